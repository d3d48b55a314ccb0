"""Python threads in tests: run at once, and the first error of one is the test's."""

import threading


def run_all(*functions, patience=120):
    """Runs functions in threads of their own; raises the first error.

    patience: seconds after which a thread that has not ended is a failure.
    """
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
        assert not thread.is_alive()
    if errors:
        raise errors[0]

# What .ci/run calls, and a person too. PYTHON chooses the interpreter.
PYTHON ?= python3

.PHONY: all test house lint types format-c c bench demos docs
all: lint types format-c test c

test:      ## all tests
	$(PYTHON) -m pytest

house:     ## who may import whom, and what ARCHITECTURE.md says
	$(PYTHON) -m pytest tests/house

lint:      ## ruff, and its format
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:     ## mypy, strict
	$(PYTHON) -m mypy

format-c:  ## clang-format
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror

c:         ## the C tests under AddressSanitizer and UBSan
	PYTHON=$(PYTHON) bash tests/c/run

bench:     ## that benchmarks run; `micrograd bench` has the figures
	$(PYTHON) -m pytest tests/benchmarks --benchmark-disable

demos:     ## every demo, once; MNIST with one seed; no line is longer than 100 characters
	for demo in demos/*.py; do echo "-- $$demo"; \
	    case $$demo in demos/13_mnist.py) seeds='--seeds 1';; *) seeds=;; esac; \
	    text=$$($(PYTHON) $$demo $$seeds) || exit 1; \
	    if echo "$$text" | LC_ALL=C.UTF-8 grep -E '.{101}'; then exit 1; fi; done

docs:      ## the site, into build/site; any warning stops it
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

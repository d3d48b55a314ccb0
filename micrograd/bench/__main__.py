"""`python -m micrograd.bench`."""

import sys

from micrograd.bench import main

if __name__ == "__main__":
    sys.exit(main())

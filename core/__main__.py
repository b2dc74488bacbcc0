"""``python -m anyaio`` is the program `anyaio`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

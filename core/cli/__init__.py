"""The program `anyaio`, which is also ``python -m anyaio``."""

from .program import main as main

__all__ = ["main"]

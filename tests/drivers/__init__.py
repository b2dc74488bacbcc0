"""How the conformance suite drives each loop: one module a loop, with its DRIVERS.

A module that cannot be imported, since its framework is missing, is skipped with that reason.
"""

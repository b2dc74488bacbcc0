"""Everybody on the same work, as multiples of plain `os.*`: `python -m benchmarks.peers --help`.

A *work* (works.py) is a table's row: what is read or written, by how many tasks, and a loop over calls whose
parameters name the operations that it needs. A *side* (sides.py) is who does it: a table of operations and the event
loop that they are called in. Each side that is installed and has the operations does the work, in a process of its own
(serve.py) that is told when its turn is (turns.py); all turns of a work are interleaved.

Bytes are checked twice: in a turn that is not timed all of them, and in each timed turn a sum that every result is part
of. While a turn is timed a ticker runs in the same event loop, and what it was late by is the side's fairness.
"""

"""What runs on the trampoline: each composite of `_composite.py` that is more than a few lines, and the tree walker."""

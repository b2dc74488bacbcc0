"""The Python backend: the engine where the native one cannot be built, and the bodies of the table of operations."""

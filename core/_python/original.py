"""Builtin modules as nobody patched them: workers are real threads, whatever runs in the others.

A green-thread library that replaces what is in `_thread` or `select` does so in the module that `sys.modules` holds. A
second copy of such a module, made from the same C code and kept out of `sys.modules`, still has the real functions.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType


def original(name: str) -> ModuleType:
    """Return a copy of the C module *name* that no monkey patching has touched, nor will."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module named {name!r}", name=name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


thread = original("_thread")
select = original("select")

"""The backend that serves this process: native if it can be imported, else Python.

ANYAIO_BACKEND=native or =python decides otherwise.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ._opcodes import FINGERPRINT

missing: str | None = None  # why the native backend does not serve; for `anyaio info`

if TYPE_CHECKING:
    from . import _engine

    backend = _engine
else:

    def _choose():
        global missing
        wanted = os.environ.get("ANYAIO_BACKEND", "")
        if wanted not in ("", "native", "python"):
            raise ValueError(f"ANYAIO_BACKEND must be 'native' or 'python', not {wanted!r}")
        if wanted == "python":
            missing = "ANYAIO_BACKEND=python"
        else:
            try:
                return _load_native()
            except ImportError as error:
                if wanted:
                    raise
                missing = str(error)
                _warn(missing)
        from ._python import engine

        return engine

    def _load_native():
        import anyaio._engine as native

        if native.FINGERPRINT != FINGERPRINT:
            raise ImportError("anyaio._engine was built from another table of operations: install anew")
        return native

    def _warn(reason):
        import logging  # slow to import, and hardly ever needed

        logging.getLogger("anyaio").warning("the native backend is missing, the Python backend serves: %s", reason)

    backend = _choose()

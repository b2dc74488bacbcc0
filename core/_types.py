"""The types that signatures name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, AnyStr, TypeAlias, Union

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as ReadableBuffer
    from _typeshed import WriteableBuffer as WriteableBuffer
else:  # any object with the buffer protocol; collections.abc.Buffer exists from 3.12 on
    ReadableBuffer = WriteableBuffer = object

StrOrBytesPath: TypeAlias = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
AnyPath: TypeAlias = Union[AnyStr, "os.PathLike[AnyStr]"]

"""The optional C extension; everything else is in pyproject.toml."""

from glob import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "anyaio._engine",
            sources=sorted(glob("core/_native/*.c")),
            depends=sorted(glob("core/_native/*.h")),
            extra_compile_args=["-std=c11", "-pthread", "-fvisibility=hidden"],
            extra_link_args=["-pthread"],
            optional=True,  # without a compiler the Python backend serves
        )
    ]
)

"""Check that a wheel has exactly the package's files: those of core/ and the adapters, and the extension.

wheel.py TREE WHEEL     TREE is a clean one: nothing was built in it
"""

import sys
import tomllib
import zipfile
from pathlib import Path


def tree_files(tree: Path) -> set[str]:
    """Where the wheel must have the files that the repository has."""
    settings = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["setuptools"]
    files = set()
    for package, folder in settings["package-dir"].items():
        for file in (tree / folder).rglob("*"):
            inside = file.relative_to(tree / folder)
            if file.is_file() and inside.parts[0] != "_native":
                files.add(f"{package.replace('.', '/')}/{inside}")
    return files


def wheel_files(wheel: str) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}


def main() -> int:
    tree, wheel = Path(sys.argv[1]), sys.argv[2]
    wanted, found = tree_files(tree), wheel_files(wheel)
    extensions = {name for name in found if name.startswith("anyaio/_engine.") and name.endswith(".so")}
    complaints = [f"not in the wheel: {name}" for name in sorted(wanted - found)]
    complaints += [f"only in the wheel: {name}" for name in sorted(found - wanted - extensions)]
    if len(extensions) != 1:
        complaints.append(f"one extension expected, found {sorted(extensions)}")
    print(*complaints, f"{len(found)} files in the wheel", sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

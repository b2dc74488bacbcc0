"""Compare the tests that a run skipped with the list of those that it is expected to skip.

    skips.py tests/skips.txt RUN results.xml

A line of the list is ``RUNS | TEST | REASON``: the names of the runs, comma-separated, or ``all``; the test as
``file::name``, with * and ? (a bracket stands for itself); why, for people.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def expected(text: str, run: str) -> list[str]:
    rows = [line.split("|") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [test.strip() for runs, test, _ in rows if {run, "all"} & {name.strip() for name in runs.split(",")}]


def skipped(path: str) -> dict[str, str]:
    """The tests that were skipped, each with its reason; for a skipped file its name is there instead."""
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None:
            file = case.get("classname", "").removeprefix("tests.")
            found[f"{file}::{case.get('name')}"] = skip.get("message", "")
    return found


def matches(pattern: str, test: str) -> bool:
    as_regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(as_regex, test, re.DOTALL) is not None


def main() -> int:
    list_path, run, results = sys.argv[1:]
    patterns = expected(Path(list_path).read_text(), run)
    skips = skipped(results)
    surprises = [
        f"skipped, but not in the list: {test} ({reason})"
        for test, reason in skips.items()
        if not any(matches(pattern, test) for pattern in patterns)
    ]
    surprises += [
        f"in the list, but not skipped: {pattern}"
        for pattern in patterns
        if not any(matches(pattern, test) for test in skips)
    ]
    print(*surprises, f"{run}: {len(skips)} skipped", sep="\n")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())

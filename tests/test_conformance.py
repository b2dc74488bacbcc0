"""The conformance suite, for every loop of `drivers`; and the table in the docs of what does not apply where."""

from __future__ import annotations

import conformance_table
import drivers
import pytest

from anyaio.testing import conformance

PRESENT, MISSING = drivers.found()

test_conformance = pytest.mark.blocks_loop("to bring requests into each state")(conformance(*PRESENT))


@pytest.mark.parametrize("name", drivers.NAMES)
def test_the_framework_is_there(name):
    if name in MISSING:
        pytest.skip(f"not there: {MISSING[name]}")


def test_the_docs_tell_what_does_not_apply_where():
    here = {driver.name for driver in PRESENT}
    told = conformance_table.read(conformance_table.PAGE.read_text(encoding="utf-8"))
    assert {entry for entry in told if entry[1] in here} == set(conformance_table.entries(PRESENT))

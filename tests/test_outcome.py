"""`anyaio.outcome`: what a cancelled request did, however its cancellation reached the caller."""

from __future__ import annotations

import asyncio
import os

import loops
import pytest

import anyaio
from anyaio import Outcome, outcome

aio = loops.aio

NEVER_RAN = Outcome("never ran")


def test_nothing_and_other_errors_have_none():
    assert outcome(None) is None
    assert outcome(ValueError()) is None
    assert outcome(TimeoutError()) is None


def test_an_attribute_of_that_name_that_is_none_of_ours_is_none():
    error = ValueError()
    error.outcome = "rain"
    assert outcome(error) is None


def test_a_cancellation_has_its_own():
    assert outcome(anyaio.Cancelled(outcome=NEVER_RAN)) is NEVER_RAN


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_a_timeout_has_that_of_the_cancellation_that_it_was(link):
    error = TimeoutError()
    setattr(error, link, anyaio.Cancelled(outcome=NEVER_RAN))
    assert outcome(error) is NEVER_RAN


def test_another_error_has_not_that_of_what_was_handled_before_it():
    error = ValueError()
    error.__context__ = anyaio.Cancelled(outcome=NEVER_RAN)
    assert outcome(error) is None


async def in_timeout(work):
    async with asyncio.timeout(0):
        await work


async def in_wait_for(work):
    await asyncio.wait_for(work, 0.01)


@pytest.mark.parametrize("wait", [in_timeout, in_wait_for])
def test_asyncio_s_timeouts_have_one(aio, pool, tmp_path, wait):
    async def main():
        pool.max_parallel = 0  # it stays in the queue
        with pytest.raises(TimeoutError) as caught:
            await wait(aio.mkdir(tmp_path / "folder"))
        pool.max_parallel = 1
        return outcome(caught.value)

    assert asyncio.run(main()) == NEVER_RAN
    assert os.listdir(tmp_path) == []

"""The files that are worked on: made once in a run, the same for all sides; every byte of them is known."""

from __future__ import annotations

import os
import random
from functools import cached_property

BLOCK = 4096
BLOCKS = 61  # prime, so that no pattern of offsets repeats them
CHUNK = 1 << 20
SLOTS = 1024  # blocks at the beginning of the big file that small reads are about, and of the file that is written
IN_FOLDER = 100


class Files:
    """A folder of files: *small* ones in a tree of two levels, and a *big* one of so many bytes.

    *listed* is what whole programs list: a tree that is there anyway.
    """

    def __init__(self, folder: str, small: int, big: int, listed: str) -> None:
        self.folder = folder
        self.small = small
        self.big = big
        self.listed = listed
        self.tree = f"{folder}/tree"
        self.big_path = f"{folder}/big"
        self.written_path = f"{folder}/written"
        self.copied_path = f"{folder}/copied"
        self.listing_path = f"{folder}/listing"
        source = random.Random(0)
        self.blocks = [source.randbytes(BLOCK) for _ in range(BLOCKS)]

    def make(self) -> None:
        for number in range(self.small):
            path = self.small_path(number)
            if number % IN_FOLDER == 0:
                os.makedirs(os.path.dirname(path))
            with open(path, "wb") as file:
                file.write(self.small_content(number))
        with open(self.big_path, "wb") as file:
            for slot in range(self.big // BLOCK):
                file.write(self.block(slot))
        with open(self.written_path, "wb") as file:
            file.write(bytes(SLOTS * BLOCK))

    # ---- what is in them ----

    def block(self, slot: int) -> bytes:
        return self.blocks[slot % BLOCKS]

    def big_content(self, offset: int, size: int) -> bytes:
        return b"".join(self.block(slot) for slot in range(offset // BLOCK, (offset + size) // BLOCK))

    def small_path(self, number: int) -> str:
        return f"{self.tree}/{number // IN_FOLDER:03}/{number:05}"

    def small_size(self, number: int) -> int:
        return 1000 + number % 3000

    def small_content(self, number: int) -> bytes:
        return self.block(number)[: self.small_size(number)]

    @cached_property
    def small_paths(self) -> list[str]:
        return [self.small_path(number) for number in range(self.small)]

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {path: number for number, path in enumerate(self.small_paths)}

    def data(self, turn: int) -> bytes:
        """What is written in a turn: something else than in the one before."""
        return self.block(turn)

"""Options from a table: bundled short ones, long ones that may be abbreviated, anywhere among the operands.

argparse would do, but takes as long to import as the program to start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class UsageError(Exception):
    """The command line is wrong."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message)
        self.command = command


class Option(NamedTuple):
    """One row of a command's table."""

    long: str
    short: str  # one letter, or ""
    text: str  # for --help
    argument: str = ""  # its name in the text; "" if the option takes none
    convert: Callable[[str], Any] = str  # of the argument; a ValueError tells what is wrong with it

    @property
    def name(self) -> str:
        """The attribute that it sets."""
        return self.long.replace("-", "_")


COMMON = (Option("help", "h", "show this text"), Option("version", "", "show the version"))


def parse(command: str, table: Sequence[Option], arguments: list[str], chosen: object) -> list[str]:
    """Set the attributes of *chosen*; return the operands."""
    operands: list[str] = []
    rest = list(reversed(arguments))

    def set_option(option: Option, written: str, value: str | None) -> None:
        if not option.argument:
            if value is not None:
                raise UsageError(f"{written} takes no argument", command)
            setattr(chosen, option.name, True)
            return
        if value is None and not rest:
            raise UsageError(f"{written} needs an argument: {option.argument}", command)
        value = rest.pop() if value is None else value
        try:
            setattr(chosen, option.name, option.convert(value))
        except ValueError as error:
            raise UsageError(f"{written}: {error}", command) from None

    while rest:
        word = rest.pop()
        if word == "--":
            operands += reversed(rest)
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            set_option(find_long(command, table, name), f"--{name}", value if equals else None)
        elif word.startswith("-") and word != "-":
            letters = word[1:]
            while letters:
                option = find_short(command, table, letters[0])
                written, letters = f"-{letters[0]}", letters[1:]
                value_here = letters or None if option.argument else None
                set_option(option, written, value_here)
                letters = "" if option.argument else letters
        else:
            operands.append(word)
    return operands


def find_long(command: str, table: Sequence[Option], name: str) -> Option:
    candidates = [option for option in table if option.long.startswith(name)]
    exact = [option for option in candidates if option.long == name]
    if len(exact or candidates) == 1:
        return (exact or candidates)[0]
    if not candidates:
        raise UsageError(f"there is no option --{name}", command)
    names = ", ".join(f"--{option.long}" for option in candidates)
    raise UsageError(f"--{name} may be any of {names}", command)


def find_short(command: str, table: Sequence[Option], letter: str) -> Option:
    for option in table:
        if option.short == letter:
            return option
    raise UsageError(f"there is no option -{letter}", command)


def help_text(usage: str, table: Sequence[Option]) -> str:
    lines = [usage, "", "Options:"]
    for option in table:
        short = f"-{option.short}, " if option.short else "    "
        lines.append(f"  {short}{f'--{option.long} {option.argument}':<20} {option.text}")
    return "\n".join(lines) + "\n"

"""How generated text is broken into lines."""

from __future__ import annotations

import textwrap

WIDTH = 120


def wrap(opening: str, pieces: list[str], closing: str, indent: str) -> str:
    """Put *pieces* between brackets: on one line, on one line of their own, or on a line each."""
    line = f"{indent}{opening}{', '.join(pieces)}{closing}"
    if len(line) <= WIDTH:
        return line
    inner = indent + "    "
    line = inner + ", ".join(pieces)
    if len(line) > WIDTH:
        line = "\n".join(f"{inner}{piece}," for piece in pieces)
    return f"{indent}{opening}\n{line}\n{indent}{closing}"


def wrap_statement(statement: str, indent: str) -> str:
    """Break the calls of a statement that is too long, the outermost first."""
    if len(indent + statement) <= WIDTH or not statement.endswith(")"):
        return indent + statement
    if statement.endswith("))"):
        opening, inner = statement[:-1].split("(", 1)
        wrapped = wrap_statement(inner, indent + "    ")
        return f"{indent}{opening}(\n{wrapped}{',' if chr(10) in wrapped else ''}\n{indent})"
    opening, arguments = statement[:-1].rsplit("(", 1)
    return wrap(opening + "(", arguments.split(", "), ")", indent)


def fill(paragraph: str, width: int) -> str:
    if max(map(len, paragraph.splitlines())) <= width:
        return paragraph
    return textwrap.fill(paragraph, width, break_long_words=False, break_on_hyphens=False)


def quote(docstring: str, indent: str) -> str:
    first, *others = docstring.strip().split("\n\n")
    quotes = 3 if others or "\n" in first else 6
    paragraphs = [fill(first, WIDTH - len(indent) - quotes), *(fill(other, WIDTH - len(indent)) for other in others)]
    text = textwrap.indent("\n\n".join(paragraphs), indent).lstrip()
    if "\n" in text:
        text = f"{text}\n{indent}"
    return f'{indent}"""{text}"""\n'

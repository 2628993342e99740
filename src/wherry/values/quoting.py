"""Text of others for people to read, with whatever does not print written out: it cannot steer a terminal, nor turn a
line into two."""

from __future__ import annotations

NAMED = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
}  # fmt: skip


LAYOUT = "\n\t"  # moves the cursor, but only on
NO_LAYOUT = str.maketrans("", "", LAYOUT)


def visible(text: object) -> str:
    """The text with whatever does not print (control characters, escape sequences, marks that turn the direction,
    lone surrogates) written out: ``\\x1b``, ``\\u202e``. It stays on its line."""
    said = str(text)
    return said if said.isprintable() else "".join(c if c.isprintable() else _written_out(c) for c in said)


def visible_lines(text: object) -> str:
    """The same for a text of several lines: those, and tabs, stay."""
    said = str(text)
    if said.translate(NO_LAYOUT).isprintable():
        return said
    return "".join(c if c.isprintable() or c in LAYOUT else _written_out(c) for c in said)


def _written_out(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str) -> str:
    """In quotes, as Go's ``strconv.Quote`` has it: ``"a\\x1b[2J"``. A byte that is no UTF-8 (a surrogate, as
    ``os.fsdecode`` has it) is ``\\xff``."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in NAMED:
        return NAMED[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

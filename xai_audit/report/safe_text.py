"""Text of other people as it may stand on a page: hidden signs written out, right-to-left words kept apart."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Signs that a browser drops or obeys: controls, overrides and isolates of direction, halves of a pair."""
_LETTER = "[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001eeff]"
_RIGHT_TO_LEFT = re.compile(f"{_LETTER}+(?:[^\\w\n]*{_LETTER}+)*")
"""Words of Hebrew, Arabic and their kin, with the spaces between them."""
_OPEN, _CLOSE = "\u2068", "\u2069"


def visible(text: str) -> str:
    """The text with every hidden sign written out, as in [U+202E]."""
    return _HIDDEN.sub(lambda sign: f"[U+{ord(sign[0]):04X}]", text)


def isolated(text: str) -> str:
    """The text with its right-to-left words between isolates: what stands beside them keeps its place (UAX 9)."""
    if text.isascii() and text.isprintable():
        return text
    return _RIGHT_TO_LEFT.sub(lambda words: f"{_OPEN}{words[0]}{_CLOSE}", visible(text))


def whole_name(text: str) -> Markup:
    """A name, isolated whole where any of it runs from right to left: digits at its end belong to it."""
    shown = visible(text)
    return escape(f"{_OPEN}{shown}{_CLOSE}" if _RIGHT_TO_LEFT.search(shown) else shown)


def finalised(value: object) -> object:
    """What a template puts out: texts isolated, everything else as it is."""
    return isolated(value) if isinstance(value, str) and not isinstance(value, Markup) else value

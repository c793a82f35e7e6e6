from __future__ import annotations

import pytest
from markupsafe import Markup

from xai_audit.report.safe_text import finalised, isolated, visible, whole_name

HEBREW, ARABIC = "תא פגום", "خلية سليمة"


def test_right_to_left_words_stand_between_isolates_and_their_neighbours_stay_outside() -> None:
    assert isolated(f"On {HEBREW} 3 of 8") == f"On \u2068{HEBREW}\u2069 3 of 8"
    assert isolated(f"{ARABIC}, {HEBREW}") == f"\u2068{ARABIC}, {HEBREW}\u2069"
    assert isolated(f"{ARABIC} 12 {HEBREW}") == f"\u2068{ARABIC}\u2069 12 \u2068{HEBREW}\u2069"


def test_a_name_is_isolated_whole_with_its_digits_and_escaped() -> None:
    assert whole_name(f"{HEBREW} 12") == Markup(f"\u2068{HEBREW} 12\u2069")
    assert whole_name("a <b>") == Markup("a &lt;b&gt;")


@pytest.mark.parametrize("text", ["", "plain", "95.0\u00a0%", "猫 3", "naïve – ½", "👍🏽"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert isolated(text) == visible(text) == text


@pytest.mark.parametrize(
    ("sign", "written"),
    [("\u202e", "U+202E"), ("\u2066", "U+2066"), ("\x00", "U+0000"), ("\x1b", "U+001B"), ("\ud800", "U+D800")],
)
def test_signs_that_hide_or_turn_text_are_written_out(sign: str, written: str) -> None:
    assert isolated(f"a{sign}b") == f"a[{written}]b"
    assert whole_name(f"a{sign}b") == f"a[{written}]b"


def test_markup_and_numbers_pass_a_template_untouched() -> None:
    assert finalised(Markup(f"<b>{HEBREW}</b>")) == Markup(f"<b>{HEBREW}</b>")
    assert finalised(3) == 3
    assert finalised(HEBREW) == f"\u2068{HEBREW}\u2069"

"""YAML to values with places: what is read, where it stands, and what is refused before it does harm."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_audit.errors import SpecErrors
from xai_audit.spec.load import load_spec, load_text
from xai_audit.spec.yaml_nodes import (
    MAXIMUM_ALIASES,
    MAXIMUM_BYTES,
    MAXIMUM_DEPTH,
    MAXIMUM_PROBLEMS,
    MAXIMUM_VALUES,
    Place,
    Positions,
    compose,
    plain_scalar,
)

WHOLE = (Path(__file__).parent / "whole" / "images.yaml").read_text(encoding="utf-8")


def positions(text: str) -> Positions:
    found, problems = compose(text, "a.yaml")
    assert problems == []
    return found


def refusal(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(SpecErrors) as caught:
        load_text(data, Path("a.yaml"))
    return str(caught.value)


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("~", None),
        ("", None),
        ("Null", None),
        ("12", 12),
        ("-012", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1e-3", -0.001),
        ("1e3", 1000.0),
        ("2026-03-02", "2026-03-02"),
        ("0b1", "0b1"),
        ("+", "+"),
        (".", "."),
        ("e5", "e5"),
    ],
)
def test_plain_scalar_follows_the_core_schema(text: str, value: object) -> None:
    found = plain_scalar(text)
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_reads_back_as_itself(number: float) -> None:
    assert plain_scalar(repr(number)) == number


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000),
    st.sampled_from(["", "+"]),
    st.integers(-20, 20),
    st.sampled_from(["e", "E"]),
)
def test_a_limit_is_the_number_that_is_written(number: object, plus: str, exponent: int, letter: str) -> None:
    text = f"{plus if not str(number).startswith('-') else ''}{number:f}{letter}{exponent}"
    spec = WHOLE.replace("measure: accuracy", "measure: mae").replace("[accuracy,", "[mae,")
    spec = (
        Path(__file__).parent.joinpath("whole", "regression.yaml").read_text(encoding="utf-8").replace("0.85", text)
        .replace("[r2,", "[mean_absolute_error,").replace("measure: r2", "measure: mean_absolute_error")
    )  # fmt: skip
    if float(text) < 0:
        assert "0 or more: mean_absolute_error is a value" in refusal(spec)
    else:
        limit = load_text(spec.encode(), Path("a.yaml")).spec.criteria[0].at_least
        assert limit == float(text)
        assert type(limit) is float


@given(
    st.one_of(st.floats(0, 1), st.integers(-5, 200)), st.sampled_from(["'{}'", '"{}"', "<={}", "{}%", ">= {}", "~{}"])
)
def test_a_limit_that_is_not_a_plain_number_is_refused(number: float, form: str) -> None:
    assert "A limit is a plain number" in refusal(WHOLE.replace("0.85", _quoted_if_needed(form.format(number))))


def _quoted_if_needed(text: str) -> str:
    return f"'{text}'" if text.startswith(">") else text


def test_a_date_stays_text_where_no_date_is_wanted() -> None:
    spec = WHOLE.replace("{below: 60}", "2024-01-02")
    found = load_text(spec.encode(), Path("a.yaml")).spec.slices[1].where["brightness"].equals
    assert found == "2024-01-02"


# Places


def test_places_of_keys_and_values_in_block_and_flow() -> None:
    found = positions("a: 1\nb:\n  - x\n  - {c: [1, 22], d: 'e'}\n")
    assert found["a",].key == Place(1, 1)
    assert found["a",].value == Place(1, 4)
    assert found["b", 0].value == Place(3, 5)
    assert found["b", 1, "c"].key == Place(4, 6)
    assert found["b", 1, "c", 1].value == Place(4, 13)
    assert found["b", 1, "d"].value == Place(4, 21)
    assert len(found) == len(list(found)) == 9


def test_columns_count_characters_of_any_script() -> None:
    found = positions("题: 猫\n{}: x\n".format("狗" * 5))
    assert found["题",].value == Place(1, 4)
    assert found["狗" * 5,].value == Place(2, 8)


def test_columns_count_a_tab_as_one() -> None:
    assert positions("a: ['\t\t', b]\n")["a", 1].value == Place(1, 11)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_every_usual_way(end: str) -> None:
    found = positions(end.join(["a: 1", "# c", "b: |", "  x", "  y", "c: 2", ""]))
    assert found["c",].value == Place(6, 4)
    assert found["b",].value == Place(3, 4)


def test_places_after_texts_over_several_lines() -> None:
    found = positions('a: "one\n  two\n\n  three"\nb: >-\n  folded\n  text\nc: plain\n  goes on\nd: 1\n')
    assert found.value(("a",)) == "one two\nthree"
    assert found.value(("c",)) == "plain goes on"
    assert found["d",].key == Place(10, 1)


def test_an_alias_stands_where_it_is_written_and_its_content_at_the_anchor() -> None:
    found = positions("a: &x {b: 1}\nc: *x\n")
    assert found["c",].value == Place(2, 4)
    assert found["c", "b"].value == Place(1, 11)
    assert found.value(("c", "b")) == 1


def test_caret_is_aligned_below_wide_characters_and_tabs() -> None:
    _, problems = compose("题目: ['\t', *猫]\n", "a.yaml")
    line, caret = problems[0].excerpt.splitlines()
    assert line == "    题目: [' ', *猫]"
    assert caret.index("^") == len("    ") + 2 * 2 + len(": [' ', ")


def test_long_line_is_cut_around_the_caret() -> None:
    _, problems = compose(f"a: {{b: {'x' * 300}, c: *d}}", "a.yaml")
    line, caret = problems[0].excerpt.splitlines()
    assert len(line) < 130
    assert line[caret.index("^")] == "*"


# What is refused


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xef\xbb\xbfversion: 1\n", "byte order mark"),
        ("version: 1\n".encode("utf-16"), "byte order mark"),
        (b"version: 1\naudit: \xff\n", "a.yaml:2:8: found the byte 0xff"),
        (b"version: 1\nab: c\0\n", "a.yaml:2:6\n"),
        (b"version: 1\nab: \x1b[31m\n", "U+001B"),
        (b"", "empty"),
        (b"---\n...\n", "empty"),
        (b"~\n", "text at the top"),
        (b"a: [1,,2]\n", "`,` where a value should stand"),
        (b"a: [1, 2\n", "Close the bracket that opens on line 1"),
        (b"a: \"\\q\"\n", "escape"),
        (b"a: |x\n b\n", "text after | or >"),
        (b"? [a, b]\n: 1\n", "as a key"),
        (b"true: 1\n", 'Put it in quotes: "true"'),
        (b"&a b: 1\n", "anchor on a key"),
        (b'a: "\\ud83d"\n', "surrogate"),
        (b"a: 18446744073709551616\n", "at most 63 bits"),
        (b"a: " + b"9" * 5000 + b"\n", "finite"),
        (b"a: -.inf\n", "finite"),
        (b"a:\tb\n", "a.yaml:1:3\n"),
        (b"x" * 201 + b": 1\n", "a key of 201 characters"),
    ],
)  # fmt: skip
def test_refused_with_a_reason(data: bytes, said: str) -> None:
    assert said in refusal(data)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[[a, ", "? - ", ": "])
def test_deep_nesting_is_refused_without_recursion_error(opening: str) -> None:
    assert "levels" in refusal("a:\n  " + opening * 100_000)


def test_nesting_up_to_the_limit_is_read() -> None:
    text = "[" * (MAXIMUM_DEPTH - 1) + "]" * (MAXIMUM_DEPTH - 1)
    assert len(positions("a: " + text)) == MAXIMUM_DEPTH
    assert "levels" in refusal(f"a: [{text}]")


def test_many_aliases_are_refused() -> None:
    enough = "a: &x 1\nb: [" + "*x, " * MAXIMUM_ALIASES
    positions(enough + "1]")
    assert f"more than {MAXIMUM_ALIASES} aliases" in refusal(enough + "*x]")
    assert f"more than {MAXIMUM_ALIASES} aliases" in refusal("a: &x 1\nb: [" + "*x, " * 240_000)


def test_aliases_that_multiply_are_refused_before_memory_grows() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    tracemalloc.start()
    try:
        assert f"more than {MAXIMUM_VALUES:,} values" in refusal(laughs)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_too_many_values_are_refused() -> None:
    positions("a: [" + "1, " * (MAXIMUM_VALUES - 10) + "]")
    assert f"more than {MAXIMUM_VALUES:,} values" in refusal("a: [" + "1, " * MAXIMUM_VALUES + "]")


def test_an_endless_list_of_problems_is_cut() -> None:
    assert f"{1003 - MAXIMUM_PROBLEMS:,} more problems" in refusal(
        "{" + ", ".join(f"k{n}: ~" for n in range(1000)) + "}"
    )


def test_large_file_is_refused_from_its_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(SpecErrors, match=f"found 50,000,000 bytes; expected at most {MAXIMUM_BYTES:,} bytes"):
            load_spec(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_file_at_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(WHOLE + "#" * (MAXIMUM_BYTES - len(WHOLE)), encoding="utf-8")
    load_spec(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, said in [
        (tmp_path, "found a folder"),
        (tmp_path / "none.yaml", "found no file"),
        (Path("/dev/null"), "device"),
    ]:
        with pytest.raises(SpecErrors, match=said):
            load_spec(path)
    with pytest.raises(SpecErrors, match="found"):
        load_spec(Path("a\0b"))


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "a.yaml"
    path.write_text(WHOLE, encoding="utf-8")
    monkeypatch.setattr(Path, "read_bytes", denied)  # root reads a file whatever its mode
    with pytest.raises(SpecErrors, match="cannot be read"):
        load_spec(path)


# Anything at all


@given(st.text(max_size=200))
def test_any_text_gives_problems_and_no_other_error(text: str) -> None:
    refusal(text.encode("utf-8", "surrogatepass"))


_TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ": ",
        "\n",
        "- ",
        "*a",
        "&a ",
        '"',
        "'",
        "null",
        "3",
        "-1",
        "[]",
        "{}",
        "[1, 2]",
        "{a: b}",
        "#",
    ]
)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 6), _TOKENS), min_size=1, max_size=4))
def test_a_spoilt_spec_gives_problems_and_no_other_error(edits: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for at, gone, new in edits:
        text = text[:at] + new + text[at + gone :]
    try:
        load_text(text.encode(), Path("a.yaml"))
    except SpecErrors as errors:
        assert errors.problems
        assert all(problem.where.startswith("a.yaml") for problem in errors.problems)

"""Every text in every language: the same keys and parts, of today, and no English left in a Chinese report."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from fixture_causal import make_model_run, make_world_run
from fixture_run import Made
from leftover_english import left_in_english, marked_as_english
from refusal_parts import parts_of, parts_of_package

import xai_audit
from xai_audit import registry
from xai_audit.errors import RenderError
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import SOURCE, load_catalogue, parse_catalogue, placeholders, templates_folder
from xai_audit.report.document import Report, Span
from xai_audit.report.numbers import Numbers
from xai_audit.report.told import PREFIX, REFUSED, clause, in_language, told
from xai_audit.report.walk import instances, sentences_of

ZH = "zh-CN"
OTHERS = tuple(language for language in registry.LANGUAGES if language != SOURCE)
FORBIDDEN = ("合规", "符合法规", "通过认证", "已获批准", "保证安全", "证明安全")
CAUSAL = ("原因", "导致", "效应")
PAIRS = {
    "saliency": "显著性图", "faithfulness": "忠实度", "calibration": "校准", "confounder": "混杂因素",
    "counterfactual": "反事实", "surrogate": "代理模型", "interval": "置信区间",
}  # fmt: skip
SIGNED = re.compile(r"[一-鿿]")


def po_text(language: str) -> bytes:
    return (templates_folder() / "locales" / f"{language}.po").read_bytes()


def faults(english: bytes, other: bytes, language: str) -> list[str]:
    """What a translation lacks, has too much, or was made from another English text; and lost parts."""
    source = {entry.context: entry for entry in read_po(BytesIO(english), locale="en") if entry.id}
    made = {entry.context: entry for entry in read_po(BytesIO(other), locale="zh_CN") if entry.id}
    found = [f"missing {key}" for key in source if key not in made] + [
        f"unknown {key}" for key in made if key not in source
    ]
    for key in source.keys() & made.keys():
        if made[key].id != source[key].id:
            found.append(f"stale {key}")
        texts = made[key].string
        ids = source[key].id
        last = ids[-1] if isinstance(ids, tuple | list) else ids
        for text in texts if isinstance(texts, tuple | list) else (texts,):
            if set(placeholders(text or "")) != set(placeholders(last)):
                found.append(f"parts {key}")
    return sorted(found)


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_every_text_of_today_and_its_parts(language: str) -> None:
    assert faults(po_text(SOURCE), po_text(language), language) == []
    assert set(load_catalogue(language).entries) >= {
        key for key in load_catalogue(SOURCE).entries if not key.endswith(".1")
    }


def repeated(data: bytes) -> list[str]:
    keys = Counter(re.findall(r'^msgctxt "(.+)"$', data.decode(), re.MULTILINE))
    return sorted(key for key, count in keys.items() if count > 1)


@pytest.mark.parametrize("language", registry.LANGUAGES)
def test_no_key_stands_twice_in_a_catalogue(language: str) -> None:
    """The second one would take the place of the first without a word."""
    assert repeated(po_text(language)) == []
    assert repeated(b'msgctxt "a.b"\nmsgid ""\n\nmsgctxt "a.b"\nmsgid "x"\n') == ["a.b"]


SMALL = b'msgctxt "a.b"\nmsgid "Text {part}"\nmsgstr "%s"\n'


def test_a_missing_a_stale_and_a_broken_translation_are_found() -> None:
    english = SMALL.replace(b"%s", b"")
    assert faults(english, SMALL.replace(b"%s", "文{part}".encode()), ZH) == []
    assert faults(english, b"", ZH) == ["missing a.b"]
    assert faults(english, SMALL.replace(b"%s", "文".encode()), ZH) == ["parts a.b"]
    stale = SMALL.replace(b"Text {part}", b"Other {part}").replace(b"%s", "文{part}".encode())
    assert faults(english, stale, ZH) == ["stale a.b"]


def test_an_entry_without_a_translation_is_refused() -> None:
    with pytest.raises(RenderError, match=r"a\.b"):
        parse_catalogue(ZH, SMALL.replace(b"%s", b""))


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_chinese_entry_holds_a_forbidden_word(word: str) -> None:
    assert [key for key, text in load_catalogue(ZH).entries.items() if word in text] == []


def test_no_chinese_text_on_attribution_speaks_of_cause() -> None:
    starts = ("localisation.", "gallery.", "map.", "alt.map", "explanation.")
    spoken = {key: text for key, text in load_catalogue(ZH).entries.items() if key.startswith(starts)}
    assert len(spoken) > 30
    assert [key for key, text in spoken.items() if any(word in text for word in CAUSAL)] == []


def test_no_chinese_sentence_holds_a_number_of_its_own() -> None:
    left_out = ("numbers.", "date.month.", "glossary.", "measure.", f"{PREFIX}.")
    spoken = {key: text for key, text in load_catalogue(ZH).entries.items() if not key.startswith(left_out)}
    digits = [key for key, text in spoken.items() if re.search(r"(?<![\w-])\d", re.sub(r"\{[^}]*\}", "", text))]
    english = load_catalogue(SOURCE).entries
    assert [key for key in digits if not re.search(r"\d", re.sub(r"\{[^}]*\}", "", english.get(key, "")))] == []


def test_the_glossary_has_the_fixed_terms() -> None:
    text = " ".join(text for key, text in load_catalogue(ZH).entries.items() if key.startswith("glossary."))
    assert [term for term in PAIRS.values() if term not in text] == []


def test_numbers_and_dates_are_written_as_the_language_writes_them() -> None:
    write = Numbers(load_catalogue(ZH), 5)
    assert write.value("accuracy", 0.9125, "share") == "91.2%"  # half to even
    assert write.value("accuracy", 0.9126, "share") == "91.3%"
    assert write.count(12345) == "12,345"
    assert write.confidence(0.95) == "95%"
    assert write.group(3) == "< 5"
    words = load_catalogue(ZH)
    month = words.text("date.month.m3")
    assert words.text("date.day").format(day=2, month=month, year=2026) == "2026年3月2日"
    assert words.listed(("甲", "乙")) == "甲、乙"
    assert words.joined(("甲。", "", "乙。")) == "甲。乙。"


# --- sentences that the run stored ---


def test_every_measure_and_method_of_the_registry_is_told_in_every_language() -> None:
    texts = [entry.summary for entry in registry.MEASURES] + [
        text for entry in registry.METHODS for text in (entry.summary, entry.limits)
    ]
    for language in OTHERS:
        assert [text for text in texts if not SIGNED.search(told(text, language))] == []


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("2 images are the same as another, in 1 groups.", "2幅图像与其他图像相同，共1组。"),
        ("2 images are the same as another, in 1 groups", "2幅图像与其他图像相同，共1组"),
        ("The limit is met. The interval holds the limit.", "达到限值。限值位于置信区间内。"),
        (
            "Query q cannot be answered from these data, because unmeasured causes bind load and defect.",
            "依据现有数据无法回答因果查询q，理由：未测量的原因约束load、defect。",
        ),
        ("In deletion it does not beat the sobel control (difference -0.3 (interval -0.4 to -0.2)).",
         "在删除中未优于图像边缘对照（差值-0.3（置信区间-0.4 至 -0.2））。"),
    ],
)  # fmt: skip
def test_a_stored_sentence_is_told_in_chinese(english: str, chinese: str) -> None:
    assert told(english, ZH) == chinese
    assert told(english, SOURCE) == english


def test_a_stored_sentence_without_translation_stays_and_is_marked() -> None:
    words = "methods.occlusion: found 5 NaN values in the map of case 2; expected finite values"
    (span,) = in_language((Span(words, "e1"),), ZH)
    assert (span.text, span.language, span.source) == (words, SOURCE, "e1")
    (name,) = in_language((Span("Grad-CAM", "e1"),), ZH)
    assert name.language == ""
    assert in_language((Span(words, "e1"),), SOURCE) == (Span(words, "e1"),)


def test_every_word_of_a_pattern_is_one_that_some_code_writes() -> None:
    """A stored sentence that is worded anew leaves its old words behind in the catalogue: they must go there too."""
    folders = (Path(xai_audit.__file__).parent, Path(__file__).parent)
    written = {
        word
        for folder in folders
        for file in folder.rglob("*.py")
        for word in LONG_WORD.findall(file.read_text(encoding="utf-8").lower())
    }
    kinds = (f"{PREFIX}.", f"{REFUSED}.")
    english = {key: text for key, text in load_catalogue(SOURCE).entries.items() if key.startswith(kinds)}
    assert len(english) > 900
    assert {word for text in english.values() for word in words_of(text)} - written == set()
    assert words_of("The {mechanisms} xylo" + "graphs.") - written == {"xylo" + "graphs"}


LONG_WORD = re.compile(r"[a-z]{5,}")


def words_of(text: str) -> set[str]:
    """The longer words of a pattern."""
    return set(LONG_WORD.findall(re.sub(r"\{[^}]*\}", "", text.lower())))


def test_what_is_cut_off_is_marked_as_english_too() -> None:
    (span,) = in_language((Span("methods.x: found a net; expected another net. Use …", "e1"),), ZH)
    assert span.language == SOURCE


@pytest.mark.parametrize("module", ["appraisers", "sorting", "drift_baseline", "data_profile"])
def test_every_reason_of_a_measure_is_told_in_chinese(module: str) -> None:
    """Sentences are those that the code itself holds, names and numbers in them made up."""
    found = list(reasons_in(Path(xai_audit.__file__).parent / f"measures/{module}.py"))
    assert found
    assert [text for text in found if not SIGNED.search(told(text, ZH))] == []


CAUSAL_FOLDERS = ("causal", "graphs")
OR_NAME = r"[A-Z][a-z]*|'x'(?= \w+ \w+ )"
"""A first word that is a name made up, before some words."""


def causal_files() -> list[Path]:
    """Modules that write what a causal step says."""
    home = Path(xai_audit.__file__).parent
    return sorted([
        *(file for name in CAUSAL_FOLDERS for file in (home / name).rglob("*.py")),
        *(home / "engines").glob("causal*.py"),
    ])  # fmt: skip


def test_every_sentence_of_a_causal_step_is_told_in_chinese() -> None:
    found = [(file.stem, text) for file in causal_files() for text in reasons_in(file, OR_NAME)]
    assert len(found) > 150
    assert [(name, text) for name, text in found if not SIGNED.search(told(text, ZH))] == []


def test_a_new_causal_sentence_without_a_pattern_is_found(tmp_path: Path) -> None:
    new = tmp_path / "new.py"
    new.write_text('def f(x):\n    return [f"{x} cannot be told on a rainy day.", f"Of {x} nobody has heard."]\n')
    assert [text for text in reasons_in(new, OR_NAME) if not SIGNED.search(told(text, ZH))] == [
        "'x' cannot be told on a rainy day.", "Of 'x' nobody has heard."
    ]  # fmt: skip


def test_a_reason_without_a_pattern_is_found() -> None:
    assert not SIGNED.search(told("There was rain on that day.", ZH))
    assert told("Of the cases shown.", ZH) == "仅就所展示的样本而言。"
    assert (
        told("There is no part with label 'pit', or none with 'good'.", ZH)
        == "没有标签为'pit'的零件，或没有标签为'good'的零件。"
    )


LEAST_WORDS = 2
"""English words from which on a part of a refusal must be translated."""


def untold(parts: Iterable[str]) -> list[str]:
    """Parts of refusals that no pattern knows."""
    spoken = [part for part in parts if len(re.findall(r"[A-Za-z]{2,}", part)) >= LEAST_WORDS]
    return sorted(part for part in spoken if clause(part, ZH) is None and not ALIKE.search(part))


ALIKE = re.compile(r"^\(N, channels, height, width\)$|no answer7$")
"""Shapes are written alike in every language; and what may follow a part is tried with the part alone."""


def test_every_part_of_a_refusal_is_told_in_chinese() -> None:
    found = parts_of_package()
    assert len(found) > 400
    assert untold(found) == []


def test_a_new_refusal_without_a_pattern_is_found(tmp_path: Path) -> None:
    new = tmp_path / "new.py"
    new.write_text(
        "def f(x):\n    what = f'{x} drops of rain' if x else 'no cases'\n"
        "    raise Refusal('sky', what, 'at least one case', 'Look up. Add cases.')\n"
    )
    assert untold(parts_of(new)) == ["7 drops of rain", "Look up."]


def test_a_refusal_is_told_part_by_part() -> None:
    said = "layer last: found a grid of 7 x 9; expected several rows or columns. A map needs several places. Look up."
    assert told(said, ZH) == "层last：实际为7 x 9的网格；应为多行或多列。热力图需要多个位置。Look up."
    assert told("layer last: found rain; expected sunshine. Look up.", ZH).startswith("layer last: found rain")
    assert told("data", ZH) == "data", "parts of a refusal are known within one alone"


def reasons_in(file: Path, begin: str = "[A-Z][a-z]*") -> Iterator[str]:
    """Whole sentences of a module that are not docstrings, by how their first word is written."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    spoken = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    refused = {part for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)}
    within = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if node in spoken or node in refused or node in within:
            continue
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(shown(part) for part in parts)
        if isinstance(node, ast.JoinedStr | ast.Constant) and re.fullmatch(rf"(?:{begin}) .*\.", text):
            yield text


def shown(part: ast.AST) -> str:
    """A piece of a sentence as one that reads: a text, the first of two texts, or a name made up."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    value = value.body if isinstance(value, ast.IfExp) else value
    return str(value.value) if isinstance(value, ast.Constant) else "'x'"


def test_no_pattern_swallows_two_sentences() -> None:
    two = "No explained case lies in this slice. Something else was said of it here."
    assert told(two, ZH) == "该数据切片中没有被解释的样本。Something else was said of it here."


# --- whole reports ---


@pytest.fixture(scope="module")
def chinese_loans(loans: Made) -> Report:
    return build_report(loans.run, loans.spec, loans.findings, ZH)


def test_no_english_is_left_in_a_chinese_report(chinese: Report, chinese_loans: Report, report: Report) -> None:
    assert left_in_english(chinese) == []
    assert left_in_english(chinese_loans) == []
    assert len(left_in_english(report)) > 100  # the check finds English where it is


MADE_UP = {
    "automotive": set(), "industrial": set(), "concepts": set(), "checked": set(),
    "world": {"new coating", "two ways of computing", "humidity: found", "damp with"},
    "net": {"Mend the operator.", "reading room lead"},
}  # fmt: skip
"""Runs beside the two above, each with pieces of what the fixture itself made up in English."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_world_run(tmp_path_factory.mktemp("world") / "3f9c1a7be204")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_model_run(tmp_path_factory.mktemp("net") / "3f9c1a7be204")


@pytest.mark.parametrize("which", MADE_UP)
def test_no_english_is_left_in_any_other_chinese_report(which: str, request: pytest.FixtureRequest) -> None:
    run: Made = request.getfixturevalue(which)
    made = build_report(run.run, run.spec, run.findings, ZH)
    assert left_in_english(made) == []
    told_so = marked_as_english(made)
    assert [text for text in told_so if not any(piece in text for piece in MADE_UP[which])] == []


def test_words_left_in_english_are_those_of_an_error_or_a_source(chinese: Report, chinese_html: str) -> None:
    marked = {span.text for span in instances(chinese.sections, Span) if span.language == SOURCE}
    assert marked
    assert [text for text in marked if "found" not in text and not re.search(r", \D*\d{4}$", text)] == []
    assert f'lang="{SOURCE}"' in chinese_html


def traced(report: Report) -> dict[str, list[str]]:
    """Digits of every number by the evidence that it came from."""
    found: dict[str, list[str]] = {}
    for span in instances(report.sections, Span):
        if span.kind == "number":
            found.setdefault(span.source, []).extend(re.findall(r"\d+", re.sub(r"[,\u202f\u00a0  ]", "", span.text)))
    return {source: sorted(digits) for source, digits in found.items() if not source.endswith((".yaml", ".json"))}


def test_both_languages_show_the_same_numbers_of_the_same_evidence(chinese: Report, report: Report) -> None:
    assert traced(report)
    assert traced(chinese) == traced(report)


def test_every_picture_is_described_in_chinese(chinese: Report, chinese_loans: Report) -> None:
    for each in (chinese, chinese_loans):
        assert each.images
        assert [image.name for image in each.images if not SIGNED.search(image.alt)] == []


def test_the_page_says_its_language(chinese: Report, chinese_html: str) -> None:
    assert '<html lang="zh-CN">' in chinese_html
    assert [word for word in FORBIDDEN if word in chinese_html] == []
    said = ["".join(span.text for span in sentence) for sentence in sentences_of(chinese.sections)]
    assert [text for text in said if re.search(r"[。；，、] [一-鿿]", text)] == []

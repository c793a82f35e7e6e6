"""How the causal part is refused as a whole: every mistake in one pass, each in its form, and nothing is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from causal_text import GIVEN, TABLE, load, problems

from xai_audit.errors import SpecErrors
from xai_audit.spec.causal import Levels
from xai_audit.spec.sections import from_spec

QUERY = "  checks: {refuters"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xai_audit.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_all_mistakes_are_named_in_one_pass() -> None:
    """One of form, one of the graph, one of a query, one of a criterion: none hides another."""
    found = problems(
        TABLE,
        ("role: context", "role: contxt"),
        ("- load -> heat", "- load => heat"),
        ("levels: [dry, damp]", "levels: [dry]"),
        ("given: {shift: night}", "given: {shift: evening}"),
        ("query: total,", "query: totl,"),
        ("at_most: 0.01, absolute: true", "draws: 5"),
    )
    assert [problem.code for problem in found] == [
        "unknown_name", "bad_domain", "bad_edge", "out_of_domain", "refuter_no_rule", "unknown_name",
    ]  # fmt: skip


def test_a_problem_has_place_code_line_caret_and_one_remedy() -> None:
    (found,) = problems(GIVEN, ("p: [0.6, 0.4]", "p: [0.6, 0.5]"))
    assert str(found) == (
        "folder/audit.yaml:13:29: error[table_sum] causal.mechanisms.shift.p: "
        "row p sums to 1.1, not 1 (tolerance 1e-9)\n"
        "    shift: {kind: table, p: [0.6, 0.5]}\n"
        "                            ^ Correct the probabilities."
    )


def test_the_command_line_exits_with_2_and_computes_nothing(tmp_path: Path) -> None:
    spec = tmp_path / "audit.yaml"
    spec.write_text(GIVEN.replace("p: [0.6, 0.4]", "p: [0.6, 0.5]"), encoding="utf-8")
    for command in (("check",), ("run", "--out", str(tmp_path / "out"))):
        done = run(command[0], str(spec), *command[1:])
        assert done.returncode == 2
        assert f"{spec}:13:29: error[table_sum] causal.mechanisms.shift.p: row p sums to 1.1" in done.stderr
        assert "1 problem. Nothing was run." in done.stderr
    assert not (tmp_path / "out").exists()


def test_json_has_the_code(tmp_path: Path) -> None:
    spec = tmp_path / "audit.yaml"
    spec.write_text(GIVEN.replace("load -> temp,", "load -> load,"), encoding="utf-8")
    told = json.loads(run("check", str(spec), "--json").stdout)["problems"]
    assert "self_loop" in [problem["code"] for problem in told]


def test_yes_no_on_and_off_are_texts() -> None:
    """YAML 1.2: only true and false are truth values."""
    words = ("levels: [day, night]", "levels: [on, off]")
    causal = load(TABLE, words, ("given: {shift: night}", "given: {shift: off}"), ("[day, dry", "[on, dry"),
                  ("[night, damp", "[off, damp"), ("[day, damp", "[on, damp")).spec.causal  # fmt: skip
    assert causal is not None
    domain = causal.variables["shift"].domain
    assert isinstance(domain, Levels)
    assert domain.levels == ("on", "off")
    yes = load(GIVEN, ("levels: [day, night]", "levels: [yes, no]"), ("{shift: day}", "{shift: yes}"),
               ("{shift: night}", "{shift: no}")).spec.causal  # fmt: skip
    assert yes is not None
    assert yes.variables["shift"].domain == Levels(levels=("yes", "no"))
    true = load(GIVEN, ("levels: [day, night]", "levels: [true, false]"), ("{shift: day}", "{shift: true}"),
                ("{shift: night}", "{shift: false}")).spec.causal  # fmt: skip
    assert true is not None
    assert true.variables["shift"].domain == Levels(levels=(True, False))


def test_an_edge_that_is_absent_needs_a_reason_where_that_is_required() -> None:
    """Of a <- c -> b, a -> b every absent edge among ancestors is a `<->`, and each one matters."""
    text = """\
version: 1
audit: {id: t, title: T}
data: {source: {kind: table, columns: [a, b, c], rows: [[0, 0, 0], [1, 1, 1]]}}
causal:
  variables:
    a: {role: treatment, domain: {levels: [0, 1]}, source: {column: a}}
    b: {role: outcome, domain: {levels: [0, 1]}, source: {column: b}}
    c: {role: confounder, domain: {levels: [0, 1]}, source: {column: c}}
  edges: [c -> a, c -> b, a -> b]
  missing_edges_reason: {"b <-> a": "randomised"}
  queries: [{id: q, ask: ate, do: {a: [0, 1]}, on: b}]
  checks: {missing_edges: require}
"""
    assert problems(text, ("require", "note")) == []
    assert problems(text) == []
    (found,) = problems(text, ('  missing_edges_reason: {"b <-> a": "randomised"}\n', ""))
    assert (found.code, found.found) == (
        "missing_reason",
        "no reason given for the absent edge a <-> b, on which query q depends",
    )


def test_bounds_that_need_too_many_types_are_refused_at_load() -> None:
    """District {x, y}: 4^5 * 2^4 = 16,384 joint types with 5 levels of z, 65,536 with 6."""
    text = """\
version: 1
audit: {id: t, title: T}
data: {source: {kind: table, columns: [z, x, y], rows: [[0, 0, 0], [1, 1, 1]]}}
causal:
  variables:
    z: {role: instrument, domain: {levels: [0, 1, 2, 3, 4]}, source: {column: z}}
    x: {role: treatment, domain: {levels: [0, 1, 2, 3]}, source: {column: x}}
    y: {role: outcome, domain: {levels: [0, 1]}, source: {column: y}}
  edges: [z -> x, x -> y, x <-> y]
  queries: [{id: q, ask: ate, do: {x: [0, 1]}, on: y, if_not_identified: bounds}]
"""
    assert problems(text) == []
    (found,) = problems(text, ("levels: [0, 1, 2, 3, 4]", "levels: [0, 1, 2, 3, 4, 5]"))
    assert (found.code, found.found) == (
        "size",
        "bounds for 'y' need 65,536 response types, limit 50,000: coarsen levels or drop bounds",
    )
    wide = ("levels: [0, 1, 2, 3, 4]", "levels: [0, 1, 2, 3, 4, 5]")
    assert problems(text, wide, ("x <-> y]", "z -> y]")) == []


def test_no_directed_path_is_no_mistake() -> None:
    assert problems(TABLE, (QUERY, "    - {id: q, ask: ate, do: {load: [1, 2]}, on: shift}\n" + QUERY)) == []


def test_an_owner_may_be_left_out_of_a_causal_audit_alone() -> None:
    assert load(GIVEN).spec.audit.owner is None
    source = "{kind: predictions, table: x.csv, label: y, scores: [a, b]}"
    with pytest.raises(SpecErrors, match="no key `owner`"):
        load(f"version: 1\naudit: {{id: a, title: T}}\ndata: {{source: {source}}}\n")


def test_the_order_of_edges_and_variables_has_no_meaning() -> None:
    one = load(TABLE).spec
    other = load(
        TABLE,
        ("    - shift -> humidity\n    - shift -> coating\n", "    - shift -> coating\n    - shift -> humidity\n"),
    ).spec
    assert one.causal is not None
    assert other.causal is not None
    parts = [from_spec(spec, {}).causal for spec in (one, other)]
    assert parts[0] is not None
    assert parts[1] is not None
    assert parts[0].whole == parts[1].whole

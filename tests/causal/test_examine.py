"""What is said of a graph before any answer: verdicts, corrections, missing edges, roles, controls."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

sys.path.insert(0, str(Path(__file__).parent))

from causal_asking import causal_of

from xai_audit.causal.sample import Sample, levels_of
from xai_audit.causal.testing import constraints
from xai_audit.causal.testing.examine import examine
from xai_audit.causal.testing.implied import corrected
from xai_audit.engines.causal import graph_of, whole_graph

CHAIN = """
variables:
  a: {role: treatment, domain: {levels: [0, 1]}, source: {column: a}}
  b: {role: mediator, domain: {levels: [0, 1]}, source: {column: b}}
  c: {role: outcome, domain: {levels: [0, 1]}, source: {column: c}}
edges: [a -> b, b -> c]
queries: [{id: total, ask: ate, do: {a: [0, 1]}, on: c}, {id: last, ask: ate, do: {b: [0, 1]}, on: c}]
"""


def examined(text, columns=None, clusters=None, is_law=False, weights=None, **changes):
    causal = causal_of(text)
    if changes:
        causal = causal.model_copy(update=changes)
    sample = None
    if columns is not None:
        n = len(next(iter(columns.values())))
        own = np.arange(n) if clusters is None else np.asarray(clusters)
        counts = np.ones(n) if weights is None else np.asarray(weights, float)
        levels = {name: known for name, known in levels_of(causal.variables).items() if name in columns}
        sample = Sample({k: np.asarray(v) for k, v in columns.items()}, levels, counts, own, is_law)
    return examine(causal, graph_of(causal), whole_graph(causal), sample, 1).details


def chain(n, direct, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, n)
    b = (rng.random(n) < 0.2 + 0.6 * a).astype(int)
    c = (rng.random(n) < 0.2 + 0.4 * b + direct * a).astype(int)
    return {"a": a, "b": b, "c": c}


def test_a_true_graph_is_supported_by_many_rows():
    (entry,) = examined(CHAIN, chain(5_000, 0.0))["implied"]
    assert entry["sentence"] == "Once b is known, a tells nothing more about c."
    assert entry["verdict"] == "supported" and entry["high"] < 0.1 and entry["power"] > 0.99
    assert entry["n"] == 5_000 and entry["clusters"] is None and entry["test"] == "G test"


def test_a_false_graph_is_contradicted_and_its_queries_named():
    details = examined(CHAIN, chain(2_000, 0.3))
    (entry,) = details["implied"]
    assert entry["verdict"] == "contradicted" and entry["p_adjusted"] < 1e-6
    (found,) = details["contradicted"]
    assert found["pair"] == ["a", "c"] and found["queries"] == ["last", "total"]


def test_few_rows_leave_it_undecided():
    (entry,) = examined(CHAIN, chain(60, 0.0))["implied"]
    assert entry["verdict"] == "undecided" and entry["power"] < 0.8
    assert entry["reason"].startswith("The test would find a strength of 0.1 with probability 0.")


def test_without_data_nothing_is_tested():
    (entry,) = examined(CHAIN)["implied"]
    assert entry["verdict"] == "untested" and entry["reason"] == "There are no data." and entry["strength"] is None


def exact_chain(direct):
    cells = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    p = [
        0.5 * (0.2 + 0.6 * a if b else 0.8 - 0.6 * a) * (lambda q: q if c else 1 - q)(0.2 + 0.4 * b + direct * a)
        for a, b, c in cells
    ]
    columns = {name: np.array([cell[k] for cell in cells]) for k, name in enumerate("abc")}
    return columns, p


@pytest.mark.parametrize(("direct", "verdict"), [(0.0, "supported"), (1e-6, "contradicted")])
def test_an_exact_law_is_judged_exactly(direct, verdict):
    columns, p = exact_chain(direct)
    (entry,) = examined(CHAIN, columns, is_law=True, weights=p)["implied"]
    assert entry["verdict"] == verdict and entry["p"] is None and entry["test"] == "exact law"
    assert (entry["strength"] < 1e-9) == (verdict == "supported")


def test_corrections_are_those_of_statsmodels():
    ps = [0.01, 0.04, 0.03, 0.2, 0.005]
    assert corrected(ps, "holm") == pytest.approx(multipletests(ps, method="holm")[1])
    assert corrected(ps, "bh") == pytest.approx(multipletests(ps, method="fdr_bh")[1])
    assert corrected(ps, "none") == ps


def test_clusters_are_counted():
    own = np.repeat(np.arange(400), 5)
    columns = {name: np.repeat(column, 5) for name, column in chain(400, 0.0).items()}
    (one,), (many,) = (examined(CHAIN, columns, clusters=c)["implied"] for c in (own, None))
    assert one["clusters"] == 400 and many["clusters"] is None and one["high"] > many["high"]


def test_missing_edges_carry_their_reasons():
    text = CHAIN + 'missing_edges_reason: {"c <-> a": "drawn by lot"}\n'
    entries = {entry["edge"]: entry for entry in examined(text)["missing_edges"]}
    assert entries["a <-> c"] == {"edge": "a <-> c", "reason": "drawn by lot", "queries": ["last", "total"]}
    assert entries["b <-> c"] == {"edge": "b <-> c", "reason": "no reason given", "queries": ["last"]}


def test_graphs_that_data_cannot_tell_apart_are_named():
    found = examined(CHAIN)["equivalents"]
    assert found["count"] == 2 and found["changed_queries"] == ["last", "total"] and not found["is_cut"]
    assert found["sentences"]["total"] == "Data cannot tell these apart; the direction rests on: a -> b, b -> c."
    timed = CHAIN.replace("a: {role: treatment,", "a: {time: 0, role: treatment,").replace(
        "b: {role: mediator,", "b: {time: 1, role: mediator,"
    )
    assert examined(timed)["equivalents"]["count"] == 0


ROLES = """
variables:
  z: {role: instrument, domain: {levels: [0, 1]}, source: {column: z}}
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, label: healing, domain: {levels: [0, 1]}, source: {column: y}}
  n: {role: negative_control, domain: {levels: [0, 1]}, source: {column: n}}
edges: [%s]
queries: [{id: q, ask: ate, do: {x: [0, 1]}, on: y}]
"""


def test_roles_that_edges_deny_are_found():
    good = examined(ROLES % "z -> x, x -> y")
    assert good["roles"] == []
    bad = examined(ROLES % "z -> x, x -> y, z -> y, x -> n")
    assert [(one["variable"], one["problem"]) for one in bad["roles"]] == [
        ("z", "z is called an instrument and has its own arrow into healing."),
        ("n", "n is called a negative control and x has an arrow that leads to it."),
    ]


@pytest.mark.parametrize(("tie", "verdict"), [(0.0, "supported"), (0.4, "contradicted")])
def test_negative_controls_are_measured(tie, verdict):
    rng = np.random.default_rng(0)
    z, x, y = rng.integers(0, 2, (3, 4_000))
    n = (rng.random(4_000) < 0.3 + tie * x).astype(int)
    (entry,) = examined(ROLES % "z -> x, x -> y", {"z": z, "x": x, "y": y, "n": n})["negative_controls"]
    assert (entry["name"], entry["treatment"], entry["margin"], entry["verdict"]) == ("n", "x", 0.1, verdict)
    assert (entry["high"] < 0.1) == (verdict == "supported")


SELECTED = """
variables:
  a: {role: treatment, domain: {levels: [0, 1]}, source: {column: a}}
  b: {role: outcome, domain: {levels: [0, 1]}, source: {column: b}}
  s: {role: selection, domain: {levels: [0, 1]}, source: unmeasured, kept: 1}
edges: [%s]
"""


def test_kept_rows_are_not_held_against_what_selection_opens():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 8_000))
    kept = rng.random(8_000) < np.where(a + b > 0, 0.9, 0.1)
    columns = {"a": a[kept], "b": b[kept]}
    assert examined(SELECTED % "a -> s, b -> s", columns)["implied"] == []
    (entry,) = examined(SELECTED % "a -> s", columns)["implied"]
    assert entry["verdict"] == "contradicted"


IV = """
variables:
  z: {role: instrument, domain: {levels: [0, 1]}, source: {column: z}}
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, domain: {levels: [0, 1]}, source: {column: y}}
edges: [z -> x, x -> y, x <-> y]
"""


def iv(n, direct, seed):
    rng = np.random.default_rng(seed)
    z, u = rng.integers(0, 2, (2, n))
    x = (rng.random(n) < 0.1 + 0.2 * z + 0.1 * u).astype(int)
    y = (rng.random(n) < np.where(rng.random(n) < direct, z, 0.3 + 0.2 * u)).astype(int)
    return {"z": z, "x": x, "y": y}


@pytest.mark.parametrize(("direct", "verdict"), [(0.0, "supported"), (0.9, "contradicted")])
def test_instruments_are_tested(direct, verdict):
    (entry,) = examined(IV, iv(3_000, direct, 0))["constraints"]
    assert entry["kind"] == "instrumental" and entry["verdict"] == verdict


VERMA = """
variables: {%s}
edges: [a -> b, b -> c, c -> d, b <-> d]
""" % ", ".join(f"{n}: {{role: context, domain: {{levels: [0, 1]}}, source: {{column: {n}}}}}" for n in "abcd")  # noqa: UP031


def verma(n, direct, seed):
    rng = np.random.default_rng(seed)
    a, u = rng.integers(0, 2, (2, n))
    b = (rng.random(n) < 0.2 + 0.3 * a + 0.3 * u).astype(int)
    c = (rng.random(n) < 0.25 + 0.5 * b).astype(int)
    d = (rng.random(n) < 0.05 + 0.3 * c + 0.3 * u + direct * a).astype(int)
    return {"a": a, "b": b, "c": c, "d": d}


def test_vermas_equality_is_tested_at_its_level():
    causal = causal_of(VERMA)
    graph = graph_of(causal)

    def verdicts(direct, count):
        for seed in range(count):
            columns = verma(3_000, direct, seed)
            sample = Sample(columns, dict.fromkeys("abcd", (0, 1)), np.ones(3_000), np.arange(3_000))
            yield next(
                one for one in constraints.tested_constraints(causal, graph, sample, 1) if one.kind == "verma"
            ).verdict

    assert list(verdicts(0.0, 6)).count("contradicted") <= 1
    assert set(verdicts(0.25, 2)) == {"contradicted"}


def test_the_declaration_is_kept_whole():
    details = examined(CHAIN)
    assert details["edges"][0] == {"from": "a", "to": "b", "kind": "directed"}
    assert details["variables"][1]["domain"] == [0, 1] and details["author"] is None
    assert examined(ROLES % "z -> x, x -> y")["variables"][2]["label"] == "healing"
    assert details["multiplicity"] == {"tests": 0, "corrected": "holm", "alpha": 0.05}

"""Answers from data: textbook cases with known numbers, refusals, empty cells, bounds, intervals."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from estimating import asked_of, by_name, causal_of, counted, drawn, graph_of, lawful
from laws import law, mechanisms

from xai_audit.causal.answering import answer
from xai_audit.causal.factors import Factor
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Graph

LEVELS = "domain: {levels: [0, 1]}"
ENROLMENT = f"""
variables:
  letter:   {{role: instrument, {LEVELS}, source: {{column: letter}}}}
  enrolled: {{role: treatment, {LEVELS}, source: {{column: enrolled}}}}
  default:  {{role: outcome, {LEVELS}, source: {{column: default}}}}
edges: [letter -> enrolled, enrolled -> default, enrolled <-> default]
"""
LETTERS = [
    [0, 0, 0, 300], [0, 0, 1, 600], [0, 1, 0, 70], [0, 1, 1, 30],
    [1, 0, 0, 90], [1, 0, 1, 160], [1, 1, 0, 540], [1, 1, 1, 210],
]  # fmt: skip
MONOTONE = {"monotone": "letter -> enrolled", "direction": "increasing"}
ENROL = {"ask": "ate", "do": {"enrolled": [0, 1]}, "on": "default"}


def enrolment(rows=LETTERS, **more):
    return counted(ENROLMENT, ["letter", "enrolled", "default", "n"], rows, **more)


def ask(causal, sample, **question):
    return answer(asked_of(causal, question, sample))


# --- CAUSAL.md 2.2 B


def test_enrolment_is_refused_with_its_hedge():
    found = ask(ENROLMENT, enrolment(), **ENROL)
    assert found.outcome == "refused" and not found.amounts
    assert (found.hedge.larger, found.hedge.smaller) == (("default", "enrolled"), ("default",))
    assert found.hedge.arcs == (("default", "enrolled"),)
    assert found.reason.startswith("The unmeasured common cause of default and enrolled is not measured")
    assert "settling enrolled at random" in found.next_step and "monotone: letter -> enrolled" in found.next_step
    assert found.association.estimate == pytest.approx(-0.3785166240, abs=1e-9)
    assert found.n == found.n_clusters == 2000


def test_enrolment_has_its_bounds_and_an_interval_that_covers_them():
    found = ask(ENROLMENT, enrolment(), **ENROL, if_not_identified="bounds")
    (total,) = found.amounts
    assert found.outcome == "bounded" and total.estimate is None and "letter" in found.estimator
    assert total.bounds == (pytest.approx(-0.49, abs=1e-6), pytest.approx(-0.14, abs=1e-6))
    assert -0.60 < total.low < -0.50 and -0.13 < total.high < -0.05
    exact = ask(ENROLMENT, lawful(causal_of(ENROLMENT), law_of(LETTERS)), **ENROL, if_not_identified="bounds")
    assert exact.amounts[0].draws is None and exact.amounts[0].low == exact.amounts[0].bounds[0]


def law_of(rows):
    values = np.zeros((2, 2, 2))
    for z, x, y, count in rows:
        values[y, x, z] = count / 2000
    return Factor(("default", "enrolled", "letter"), values)


def test_without_the_letter_the_bounds_are_manskis():
    causal = causal_of(ENROLMENT)
    alone = {name: one for name, one in causal.variables.items() if name != "letter"}
    causal = causal.model_copy(update={"variables": alone, "edges": causal.edges[1:]})
    rows = [[0, 0, 390], [0, 1, 760], [1, 0, 610], [1, 1, 240]]
    sample = counted(causal, ["enrolled", "default", "n"], rows)
    found = ask(causal, sample, **ENROL, if_not_identified="bounds")
    assert found.amounts[0].bounds == (pytest.approx(-0.685, abs=1e-9), pytest.approx(0.315, abs=1e-9))


def test_under_monotone_the_answer_is_local_and_named_so():
    found = ask(ENROLMENT, enrolment(), **ENROL, assume=[MONOTONE])
    got = by_name(found)
    assert found.outcome == "identified" and list(got) == ["local", "compliers"]
    assert got["local"].estimate == pytest.approx(-0.40, abs=1e-12)
    assert got["compliers"].estimate == pytest.approx(0.65, abs=1e-12)
    assert got["local"].low < -0.40 < got["local"].high < 0
    assert "not the total effect in the population" in found.warnings[0] and "compliers" in found.estimand_text
    both = ask(ENROLMENT, enrolment(), **ENROL, assume=[MONOTONE], if_not_identified="bounds")
    assert [one.name for one in both.amounts] == ["total", "local", "compliers"] and both.outcome == "bounded"


def test_the_total_effect_of_the_letter_is_what_the_offer_does():
    found = ask(ENROLMENT, enrolment(), ask="ate", do={"letter": [0, 1]}, on="default")
    assert found.amounts[0].name == "total" and found.amounts[0].estimate == pytest.approx(-0.26, abs=1e-12)
    se = np.sqrt(0.63 * 0.37 / 1000 + 0.37 * 0.63 / 1000)
    assert found.amounts[0].low == pytest.approx(-0.26 - 1.96 * se, abs=0.006)
    assert found.amounts[0].high == pytest.approx(-0.26 + 1.96 * se, abs=0.006)


def test_bounds_that_no_model_has_refute_the_graph_beyond_error_or_within_it():
    far = [[0, 1, 0, 900], [0, 1, 1, 100], [1, 1, 0, 100], [1, 1, 1, 900]]
    found = ask(ENROLMENT, enrolment(far), **ENROL, if_not_identified="bounds")
    assert found.outcome == "refuted" and not found.amounts
    assert found.details["misfit"]["is_beyond_error"] and found.details["misfit"]["p"] < 0.01
    (test,) = found.details["instrumental_inequality"]
    assert test["largest"] == pytest.approx(1.8) and test["is_violated_beyond_error"]
    near = [[0, 1, 0, 10], [0, 1, 1, 10], [1, 1, 0, 9], [1, 1, 1, 11]]
    found = ask(ENROLMENT, enrolment(near), **ENROL, if_not_identified="bounds")
    assert found.outcome == "refuted" and not found.details["misfit"]["is_beyond_error"]
    assert "sampling noise alone could show as much" in found.reason
    (test,) = found.details["instrumental_inequality"]
    assert test["is_violated"] and not test["is_violated_beyond_error"]


def test_a_first_stage_the_wrong_way_refutes_monotone():
    turned = [[1 - z, x, y, n] for z, x, y, n in LETTERS]
    found = ask(ENROLMENT, enrolment(turned), **ENROL, assume=[MONOTONE])
    assert found.outcome == "refuted" and not found.amounts
    falling = {**MONOTONE, "direction": "decreasing"}
    found = ask(ENROLMENT, enrolment(turned), **ENROL, assume=[falling])
    assert by_name(found)["local"].estimate == pytest.approx(-0.40) and by_name(found)["compliers"].estimate > 0


def test_a_weak_instrument_gives_the_robust_interval_alone():
    weak = [[0, 0, 0, 260], [0, 0, 1, 240], [0, 1, 0, 250], [0, 1, 1, 250],
            [1, 0, 0, 240], [1, 0, 1, 240], [1, 1, 0, 255], [1, 1, 1, 265]]  # fmt: skip
    found = ask(ENROLMENT, enrolment(weak), **ENROL, assume=[MONOTONE])
    local = by_name(found)["local"]
    assert found.outcome == "bounded" and local.estimate is None and local.bounds[1] - local.bounds[0] > 0.5
    assert any("weak" in text for text in found.warnings) and found.details["first_stage"]["F"] < 10


# --- classics


KIDNEY = [["a", "small", 1, 81], ["a", "small", 0, 6], ["a", "large", 1, 192], ["a", "large", 0, 71],
          ["b", "small", 1, 234], ["b", "small", 0, 36], ["b", "large", 1, 55], ["b", "large", 0, 25]]  # fmt: skip
STONES = """
variables:
  treatment: {role: treatment, domain: {levels: [b, a]}, source: {column: treatment}}
  size: {role: confounder, domain: {levels: [small, large]}, source: {column: size}}
  recovery: {role: outcome, domain: {levels: [0, 1]}, source: {column: recovery}}
edges: [%s, size -> recovery, treatment -> recovery]
"""
TREAT = {"ask": "ate", "do": {"treatment": ["b", "a"]}, "on": "recovery"}


def test_the_kidney_stone_table_has_opposite_signs_under_two_graphs():
    """Charig et al., BMJ 1986; Pearl, Glymour and Jewell 2016, section 1.2."""
    columns = ["treatment", "size", "recovery", "n"]
    causes = STONES % "size -> treatment"
    found = ask(causes, counted(causes, columns, KIDNEY), **TREAT)
    wanted = 357 / 700 * (81 / 87 - 234 / 270) + 343 / 700 * (192 / 263 - 55 / 80)
    assert found.amounts[0].estimate == pytest.approx(wanted, abs=1e-12) and wanted > 0.05
    assert found.set_used == ("size",) and found.pattern == "backdoor"
    crude = 273 / 350 - 289 / 350
    assert found.association.estimate == pytest.approx(crude, abs=1e-12) and crude < 0
    follows = STONES % "treatment -> size"
    found = ask(follows, counted(follows, columns, KIDNEY), **TREAT)
    assert found.amounts[0].estimate == pytest.approx(crude, abs=1e-12) and found.set_used == ()
    parts = by_name(ask(follows, counted(follows, columns, KIDNEY), **{**TREAT, "ask": "nde"}, through=["size"]))
    small = {"a": 87 / 350, "b": 270 / 350}
    cured = {"a": (81 / 87, 192 / 263), "b": (234 / 270, 55 / 80)}
    value = lambda t, m: small[m] * cured[t][0] + (1 - small[m]) * cured[t][1]  # noqa: E731
    assert parts["nde"].estimate == pytest.approx(value("a", "b") - value("b", "b"))
    assert parts["nie"].estimate == pytest.approx(value("b", "a") - value("b", "b"))
    assert parts["total"].estimate == pytest.approx(crude)


def exact(graph, seed=0, **roles):
    rng = np.random.default_rng(seed)
    tables = mechanisms(rng, graph)
    causal = graph_of(graph, **roles)
    return causal, tables, lawful(causal, law(graph, tables))


def truth(graph, tables, y="y"):
    arms = [law(graph, tables, {"x": level}) for level in (1, 0)]
    return float(np.subtract(*(arm.total(tuple(n for n in arm.names if n != y)).values[1] for arm in arms)))


FRONT = Graph.of("xmy", [("x", "m"), ("m", "y")], [("x", "y")])
NAPKIN = Graph.of("wrxy", [("w", "r"), ("r", "x"), ("x", "y")], [("w", "x"), ("w", "y")])
X_ON_Y = {"ask": "ate", "do": {"x": [0, 1]}, "on": "y"}


@pytest.mark.parametrize(("graph", "pattern"), [(FRONT, "front-door"), (NAPKIN, "napkin")])
def test_front_door_and_napkin_are_the_truth_and_named(graph, pattern):
    causal, tables, sample = exact(graph)
    found = ask(causal, sample, **X_ON_Y)
    assert found.pattern == pattern and found.amounts[0].standing == "exact"
    assert found.amounts[0].estimate == pytest.approx(truth(graph, tables), abs=1e-12)
    assert not found.warnings and "exact under the stated law" in found.estimator


def test_a_law_that_breaks_the_napkin_is_said():
    causal, _, sample = exact(NAPKIN)
    other = np.random.default_rng(5).dirichlet(np.ones(16))
    found = ask(causal, replace(sample, weights=other), **X_ON_Y)
    assert any("speak against the graph" in text for text in found.warnings)


def test_m_bias_needs_no_adjustment_and_adjusting_for_the_collider_is_refused():
    graph = Graph.of("xyz", [("x", "y")], [("x", "z"), ("z", "y")])
    causal, tables, sample = exact(graph)
    found = ask(causal, sample, **X_ON_Y)
    assert found.set_used == () and found.amounts[0].estimate == pytest.approx(truth(graph, tables), abs=1e-12)
    assert ask(causal, sample, **X_ON_Y, adjust=["z"]).outcome == "refused"


def test_no_directed_path_is_exactly_zero_though_kept_rows_are_associated():
    """Berkson, Biometrics Bulletin 1946."""
    graph = Graph.of("sxy", [("x", "s"), ("y", "s")])
    causal = graph_of(graph, s="selection")
    sample = lawful(
        causal, Factor(("s", "x", "y"), np.array([[[0.24, 0.02], [0.02, 0.01]], [[0.01, 0.23], [0.23, 0.24]]]))
    )
    kept = causal.variables["s"].model_copy(update={"kept": 1})
    causal = causal.model_copy(update={"variables": {**causal.variables, "s": kept}})
    rows = sample.where(sample.columns["s"] == 1)
    rows = replace(rows, weights=rows.weights / rows.weights.sum())
    found = ask(causal, rows, **X_ON_Y)
    assert (found.outcome, found.amounts[0].standing, found.amounts[0].estimate) == ("identified", "exact", 0.0)
    assert "by the graph, no directed path" in found.reason
    assert abs(found.association.estimate) > 0.01
    biased = causal.model_copy(update={"edges": (*causal.edges, "x -> y")})
    for more in ({}, {"if_not_identified": "bounds"}):
        found = ask(biased, rows, **X_ON_Y, **more)
        assert found.outcome == "refused" and "Rows were kept by s" in found.reason


def test_two_sets_that_disagree_speak_against_the_graph():
    graph = Graph.of("abxy", [("a", "x"), ("b", "a"), ("b", "y"), ("x", "y")])
    causal, tables, sample = exact(graph)
    found = ask(causal, sample, **X_ON_Y)
    assert found.adjustment_sets.sets == (("a",), ("b",))
    assert [one.by for one in found.alternatives] == ["{a}", "{b}"] and not found.warnings
    wrong = exact(graph.with_edges([("a", "y")]), 3)
    other = ask(causal, wrong[2], **X_ON_Y)
    assert any("speak against the graph" in text for text in other.warnings)
    rng = np.random.default_rng(0)
    sampled = ask(causal, drawn(causal, law(graph, tables), 4000, rng), **X_ON_Y)
    assert not any("speak against" in text for text in sampled.warnings)
    wider = graph.with_edges([("a", "y")])
    tables = {**tables, "y": Factor(("a", "b", "x", "y"), np.zeros((2, 2, 2, 2)))}
    for a, b, x in np.ndindex(2, 2, 2):
        tables["y"].values[a, b, x] = [0.8 - 0.5 * a * x, 0.2 + 0.5 * a * x]
    sampled = ask(causal, drawn(causal, law(wider, tables), 40_000, rng), **X_ON_Y)
    assert any("speak against" in text for text in sampled.warnings)
    assert ask(causal, sample, **X_ON_Y, adjust=["b"]).set_used == ("b",)


def test_an_empty_cell_leaves_another_set_but_never_replaces_the_auditors_own():
    graph = Graph.of("abxy", [("a", "x"), ("b", "a"), ("b", "y"), ("x", "y")])
    causal, tables, _ = exact(graph)
    always = {**tables, "x": Factor(("a", "x"), np.array([[0.4, 0.6], [0.0, 1.0]]))}
    sample = lawful(causal, law(graph, always))
    found = ask(causal, sample, **X_ON_Y)
    assert (found.outcome, found.set_used) == ("identified", ("b",))
    assert any("{a} is valid too, but has cells without units" in text for text in found.warnings)
    own = ask(causal, sample, **X_ON_Y, adjust=["a"])
    assert (own.outcome, own.amounts) == ("unsupported", ())


# --- levels, ranges, clusters


NAMED = """
variables:
  coat: {role: treatment, domain: {levels: [old, new, none]}, source: {column: coat}}
  grade: {role: outcome, domain: {levels: [good, fair, bad]}, source: {column: grade}}
edges: [coat -> grade]
"""


def test_named_levels_have_one_probability_each():
    rows = [["old", "good", 30], ["old", "fair", 10], ["old", "bad", 10], ["new", "good", 45], ["new", "bad", 5]]
    sample = counted(NAMED, ["coat", "grade", "n"], rows)
    found = by_name(ask(NAMED, sample, ask="ate", do={"coat": ["old", "new"]}, on="grade"))
    got = {label: one.estimate for (_, label), one in found.items()}
    assert got == {"good": pytest.approx(0.3), "fair": pytest.approx(-0.2), "bad": pytest.approx(-0.1)}
    one = ask(NAMED, sample, ask="interventional", do={"coat": "new"}, on="grade")
    assert [(a.name, a.label, round(a.estimate, 12)) for a in one.amounts] == [
        ("value", "good", 0.9), ("value", "fair", 0.0), ("value", "bad", 0.1),
    ]  # fmt: skip
    none = ask(NAMED, sample, ask="interventional", do={"coat": "none"}, on="grade")
    assert none.outcome == "unsupported" and "coat none" in none.reason


HOLES = """
variables:
  z: {role: confounder, domain: {levels: [0, 1, 2]}, source: {column: z}}
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, domain: {levels: [0, 1]}, source: {column: y}}
edges: [z -> x, z -> y, x -> y]
"""


def holes(**more):
    rows = [[0, 0, 0, 40], [0, 0, 1, 10], [0, 1, 0, 30], [0, 1, 1, 20], [1, 0, 0, 30], [1, 0, 1, 20], [1, 1, 0, 10],
            [1, 1, 1, 40], [2, 0, 0, 30], [2, 0, 1, 20]]  # fmt: skip
    return ask(HOLES, counted(HOLES, ["z", "x", "y", "n"], rows), ask="ate", do={"x": [0, 1]}, on="y", **more)


def test_a_needed_empty_cell_is_unsupported_and_named():
    found = holes()
    assert found.outcome == "unsupported" and not found.amounts and "x 1, z 2" in found.reason
    assert found.overlap["empty"] == 1 and found.overlap["outside_support"] == pytest.approx(50 / 250)
    assert "supported_part" not in found.details


def test_bounds_fill_the_empty_cell_with_worst_and_best():
    found = holes(if_not_identified="bounds")
    (total,) = found.amounts
    known = 0.4 * 0.2 + 0.4 * 0.4  # the first two groups, two fifths of the units each
    assert total.bounds == (pytest.approx(known - 0.2 * 0.4), pytest.approx(known + 0.2 * 0.6))
    assert found.outcome == "bounded" and total.low < total.bounds[0] < total.bounds[1] < total.high
    (part,) = found.details["supported_part"]
    assert part["estimate"] == pytest.approx(0.5 * 0.2 + 0.5 * 0.4) and part["share"] == pytest.approx(0.8)
    assert any(
        "Among the groups that are seen under every setting, 80% of the units, it is 0.3" in w for w in found.warnings
    )


def test_overlap_counts_thin_cells():
    rows = [[z, x, y, 5 if (z, x) == (1, 1) else 30] for z in (0, 1, 2) for x in (0, 1) for y in (0, 1)]
    found = ask(HOLES, counted(HOLES, ["z", "x", "y", "n"], rows), ask="ate", do={"x": [0, 1]}, on="y")
    assert found.overlap["thin"] == 1 and found.overlap["cells_in_all"] == 6 and found.overlap["min_cell"] == 20
    assert {"group": {"x": 1, "z": 1}, "n": 10} in found.overlap["cells"]
    assert found.overlap["propensity"] == [pytest.approx(1 / 7), pytest.approx(6 / 7)]
    assert any("fewer than 20 units" in text for text in found.warnings)


RANGED = """
variables:
  z: {role: confounder, domain: {levels: [0, 1]}, source: {column: z}}
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, domain: {range: [-50, 50]}, source: {column: y}}
edges: [z -> x, z -> y, x -> y]
"""


def ranged(n=3000, seed=0, effect=2.0):
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, n)
    x = (rng.random(n) < 0.3 + 0.4 * z).astype(int)
    y = effect * x + 3 * z + x * z + rng.normal(size=n)
    levels = {"z": (0, 1), "x": (0, 1)}
    return Sample({"z": z, "x": x, "y": y}, levels, np.ones(n), np.arange(n), rows=np.arange(n))


def test_a_range_enters_by_its_cell_means():
    sample = ranged()
    z, x, y = (sample.columns[name] for name in "zxy")
    means = {(a, b): y[(x == a) & (z == b)].mean() for a in (0, 1) for b in (0, 1)}
    wanted = sum((z == b).mean() * (means[1, b] - means[0, b]) for b in (0, 1))
    found = ask(RANGED, sample, ask="ate", do={"x": [0, 1]}, on="y")
    assert found.amounts[0].estimate == pytest.approx(wanted, abs=1e-9)
    assert found.amounts[0].low < 2.5 < found.amounts[0].high and found.amounts[0].high - found.amounts[0].low < 0.25
    treated = ask(RANGED, sample, ask="att", do={"x": [0, 1]}, on="y").amounts[0].estimate
    among = sum(((z == b) & (x == 1)).sum() / (x == 1).sum() * (means[1, b] - means[0, b]) for b in (0, 1))
    assert treated == pytest.approx(among, abs=1e-9) and abs(treated - wanted) > 0.01


def test_the_order_of_rows_and_the_names_of_clusters_change_no_bit():
    sample = ranged(400)
    clustered = replace(sample, clusters=np.arange(400) // 8, is_clustered=True)
    order = np.random.default_rng(9).permutation(400)
    discrete = counted(HOLES, ["z", "x", "y", "n"], [[z, x, y, 5 + z] for z in (0, 1) for x in (0, 1) for y in (0, 1)])
    for causal, data in ((RANGED, sample), (RANGED, clustered), (HOLES, discrete)):
        shuffled = data.where(order if data.n == 400 else np.arange(data.n)[::-1])
        renamed = replace(shuffled, clusters=1000 - shuffled.clusters)
        question = {"ask": "ate", "do": {"x": [0, 1]}, "on": "y"}
        one, two = (ask(causal, each, **question).amounts[0] for each in (data, renamed))
        assert one.estimate == two.estimate and one.draws.tobytes() == two.draws.tobytes()


def test_clusters_widen_the_interval_and_few_are_warned_of():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(40), 50)
    x = (np.arange(40) % 2)[cluster]
    y = (rng.random(2000) < 0.1 + 0.8 * rng.random(40)[cluster]).astype(int)
    levels = {"x": (0, 1), "y": (0, 1), "z": (0, 1, 2)}
    alone = Sample({"x": x, "y": y, "z": 0 * x}, levels, np.ones(2000), np.arange(2000), rows=np.arange(2000))
    together = replace(alone, clusters=cluster, is_clustered=True)
    question = {"ask": "association", "do": {"x": [0, 1]}, "on": "y"}
    wide, narrow = (ask(HOLES, each, **question) for each in (together, alone))
    span = lambda found: found.amounts[0].high - found.amounts[0].low  # noqa: E731
    assert span(wide) > 1.5 * span(narrow) and (wide.n, wide.n_clusters) == (2000, 40)
    few = replace(together, clusters=cluster // 4)
    assert any("Only 10 independent units" in text for text in ask(HOLES, few, **question).warnings)


def test_every_answer_is_the_same_twice():
    one, two = (ask(ENROLMENT, enrolment(), **ENROL, if_not_identified="bounds") for _ in range(2))
    assert one.amounts[0].draws.tobytes() == two.amounts[0].draws.tobytes()


def test_an_unmeasured_variable_of_the_question_is_refused():
    causal = causal_of(RANGED.replace("source: {column: z}", "source: unmeasured"))
    found = ask(causal, ranged(), ask="ate", do={"x": [0, 1]}, on="y")
    assert found.outcome == "refused" and "The unmeasured common cause of x and y (z) is not measured" in found.reason
    missing = ask(RANGED, ranged().where(np.arange(10)), ask="cde", do={"x": [0, 1]}, hold={"z": 0}, on="y")
    assert missing.outcome in ("unsupported", "identified")


def test_mediation_is_refused_with_its_culprit_and_gives_the_total():
    graph = Graph.of("mxy", [("x", "m"), ("m", "y"), ("x", "y")], [("m", "y")])
    causal, tables, sample = exact(graph)
    found = ask(causal, sample, ask="nde", do={"x": [0, 1]}, through=["m"], on="y")
    assert found.outcome == "refused" and "m" in found.reason and "y" in found.reason
    assert found.details["total"][0]["estimate"] == pytest.approx(truth(graph, tables), abs=1e-12)
    kite = Graph.of("mwxy", [("x", "w"), ("w", "m"), ("w", "y"), ("m", "y"), ("x", "y")])
    causal, _, sample = exact(kite)
    found = ask(causal, sample, ask="nde", do={"x": [0, 1]}, through=["m"], on="y")
    assert found.outcome == "refused" and "w would have to carry the change" in found.reason
    along = ask(causal, sample, ask="path_effect", do={"x": [0, 1]}, paths=["x -> w -> m -> y"], on="y")
    assert along.outcome == "refused" and "recanting witness" in along.reason


# --- necessity and sufficiency


def test_tian_and_pearls_radiation_and_drug_examples():
    """Tian and Pearl 2000, table 2: experimental and non-experimental data on a drug."""
    rows = [[0, 0, 986], [0, 1, 14], [1, 0, 998], [1, 1, 2]]  # choice, death
    causal = """
variables:
  drug: {role: treatment, domain: {levels: [0, 1]}, source: {column: drug}}
  death: {role: outcome, domain: {levels: [0, 1]}, source: {column: death}}
edges: [drug -> death, drug <-> death]
"""
    # Of those who chose the drug 2 died, of the others 28, of 1,000 each; in the trial 16 and 14.
    rows = [[1, 1, 2], [1, 0, 998], [0, 1, 28], [0, 0, 972]]
    sample = counted(causal, ["drug", "death", "n"], rows)
    question = {"ask": "pn_ps", "do": {"drug": [0, 1]}, "on": "death", "experimental": {"ref": 0.014, "alt": 0.016}}
    found = by_name(ask(causal, sample, **question))
    assert found["necessity"].bounds == (pytest.approx(1.0), pytest.approx(1.0))
    alone = by_name(ask(causal, sample, **{**question, "experimental": {}}))
    assert alone["necessity"].bounds == (0, 1) and alone["sufficiency"].bounds == (0, 1)
    assert alone["both"].bounds == (0, pytest.approx((2 + 972) / 2000))


def test_points_need_monotone_and_known_rates():
    causal = """
variables:
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, domain: {levels: [0, 1]}, source: {column: y}}
edges: [x -> y]
"""
    sample = counted(causal, ["x", "y", "p"], [[0, 0, 0.4], [0, 1, 0.1], [1, 0, 0.2], [1, 1, 0.3]], is_law=True)
    question = {"ask": "pn_ps", "do": {"x": [0, 1]}, "on": "y"}
    free = by_name(ask(causal, sample, **question))
    assert free["necessity"].bounds == (pytest.approx((0.6 - 0.2) / 0.6), 1.0)
    assert free["both"].bounds == (pytest.approx(0.4), pytest.approx(0.6))
    monotone = [{"monotone": "x -> y", "direction": "increasing"}]
    found = ask(causal, sample, **question, assume=monotone)
    fixed = by_name(found)
    assert found.outcome == "identified" and all(one.estimate is None for one in found.amounts)
    assert fixed["necessity"].bounds == (pytest.approx(0.4 / 0.6), pytest.approx(0.4 / 0.6))
    assert fixed["sufficiency"].bounds[0] == pytest.approx(0.4 / 0.8)
    assert fixed["both"].bounds[0] == pytest.approx(0.4)
    confounded = causal.replace("[x -> y]", "[x -> y, x <-> y]")
    assert ask(confounded, sample, **question, assume=monotone).outcome == "bounded"
    turned = [{"monotone": "x -> y", "direction": "decreasing"}]
    assert ask(causal, sample, **question, assume=turned).outcome == "refuted"


@pytest.mark.parametrize("seed", range(30))
def test_necessity_and_sufficiency_of_random_units_lie_inside(seed):
    """Response types drawn at random, with the treatment depending on them: truth by enumeration."""
    rng = np.random.default_rng(seed)
    types = rng.dirichlet(np.ones(4))  # never, complies, defies, always
    chance = rng.random(4)
    y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    joint = np.zeros((2, 2))
    for t in range(4):
        for x in (0, 1):
            joint[x, y[t, x]] += types[t] * (chance[t] if x else 1 - chance[t])
    causal = """
variables:
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, domain: {levels: [0, 1]}, source: {column: y}}
edges: [x -> y, x <-> y]
"""
    sample = counted(causal, ["x", "y", "p"], [[a, b, joint[a, b]] for a in (0, 1) for b in (0, 1)], is_law=True)
    rates = {"ref": float(types @ y[:, 0]), "alt": float(types @ y[:, 1])}
    truth = {
        "necessity": types[1] * chance[1] / joint[1, 1],
        "sufficiency": types[1] * (1 - chance[1]) / joint[0, 0],
        "both": types[1],
    }
    question = {"ask": "pn_ps", "do": {"x": [0, 1]}, "on": "y"}
    wide, narrow = ask(causal, sample, **question), ask(causal, sample, **question, experimental=rates)
    for found in (wide, narrow):
        for name, value in truth.items():
            low, high = by_name(found)[name].bounds
            assert low - 1e-9 <= value <= high + 1e-9


# --- sampling error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ask_", "draws", "least", "most"),
    [("ate", 500, 0.93, 0.97), ("att", 500, 0.93, 0.97), ("nde", 500, 0.93, 0.97)],
)
def test_intervals_cover_the_truth_as_often_as_they_say(ask_, draws, least, most):
    graph = Graph.of("mxyz", [("z", "x"), ("z", "y"), ("x", "m"), ("m", "y"), ("x", "y")])
    drawn_tables = mechanisms(np.random.default_rng(4), graph)
    tables = {
        name: Factor(table.names, 0.25 + table.values / 2) for name, table in drawn_tables.items()
    }  # no thin cell
    causal, joint = graph_of(graph), law(graph, tables)
    question = {"ask": ask_, "do": {"x": [0, 1]}, "on": "y", **({"through": ["m"]} if ask_ == "nde" else {})}
    wanted = ask(causal, lawful(causal, joint), **question).amounts[0].estimate
    rng, hits = np.random.default_rng(11), 0
    for _ in range(draws):
        found = ask(causal, drawn(causal, joint, 1500, rng), **question).amounts[0]
        hits += found.low <= wanted <= found.high
    assert least <= hits / draws <= most


@pytest.mark.slow
def test_intervals_of_bounds_cover_both_ends():
    causal, joint = causal_of(ENROLMENT), law_of(LETTERS)
    rng, hits = np.random.default_rng(3), 0
    for _ in range(200):
        found = ask(causal, drawn(causal, joint, 1000, rng), **ENROL, if_not_identified="bounds").amounts[0]
        hits += found.low <= -0.49 and found.high >= -0.14
    assert hits / 200 >= 0.92


def test_too_few_units_are_an_unsupported_answer_and_no_crash():
    causal = graph_of(Graph.of("xy", [("x", "y")]))
    found = answer(
        asked_of(causal, "{ask: ate, do: {x: [0, 1]}, 'on': y}", counted(causal, ["x", "y", "n"], [[1, 0, 1]]))
    )
    assert found.outcome == "unsupported" and "5 or more" in found.reason and not found.amounts


def test_a_named_instrument_is_no_straight_line_and_no_crash():
    """Its levels are no numbers: `linear` cannot use it."""
    causal = causal_of("""
variables:
  z: {role: instrument, domain: {levels: [p, q, r]}, source: {column: z}}
  x: {role: treatment, domain: {levels: [0, 1]}, source: {column: x}}
  y: {role: outcome, domain: {levels: [0, 1]}, source: {column: y}}
edges: [z -> x, x -> y, x <-> y]
""")
    rows = [[z, x, y, 9 + 5 * (x == (z != "p")) + 3 * (x == y)] for z in "pqr" for x in (0, 1) for y in (0, 1)]
    query = "{ask: ate, do: {x: [0, 1]}, 'on': y, assume: [linear]}"
    assert answer(asked_of(causal, query, counted(causal, ["z", "x", "y", "n"], rows))).outcome == "refused"

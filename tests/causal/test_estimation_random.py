"""Answers on exact laws of random models against their truth by enumeration."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from estimating import asked_of, by_name, graph_of, lawful
from laws import law, mechanisms, random_graph

from xai_audit.causal.answering import answer
from xai_audit.causal.factors import Factor, multiplied
from xai_audit.graphs.paths import settings_of_paths

SEEDS = range(60)


def model(seed, count=None, arrows=0.6, arcs=0.25):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, count or int(rng.integers(3, 6)), arrows, arcs)
    tables = mechanisms(rng, graph)
    causal = graph_of(graph)
    return rng, graph, tables, causal, lawful(causal, law(graph, tables))


def seen_by_children(graph, tables, x, seen):
    """The joint law where each child of x is given its own level of x, x itself keeping its law: by enumeration."""
    factors = []
    for name, table in tables.items():
        is_child = name in seen and x in table.names and name != x
        factors.append(table.at({x: seen[name]}) if is_child else table)
    joint = multiplied(factors)
    return joint.total(tuple(n for n in joint.names if n not in graph.variables))


def mean(joint, y, **at):
    part = joint.at(at)
    part = part.total(tuple(n for n in part.names if n != y))
    return float(part.values[1] / part.values.sum())


def pick(rng, graph):
    """A treatment that reaches an outcome, where some does."""
    pairs = [(a, b) for a in graph.order for b in graph.descendants((a,)) if a != b]
    return pairs[int(rng.integers(len(pairs)))] if pairs else None


@pytest.mark.parametrize("seed", SEEDS)
def test_total_and_conditional_effects_are_the_truth(seed):
    rng, graph, tables, causal, sample = model(seed)
    pair = pick(rng, graph)
    if pair is None:
        return
    x, y = pair
    after = [law(graph, tables, {x: level}) for level in (0, 1)]
    found = answer(asked_of(causal, {"ask": "ate", "do": {x: [0, 1]}, "on": y}, sample))
    truth = mean(after[1], y) - mean(after[0], y)
    if found.outcome == "identified":
        assert found.amounts[0].standing == "exact"
        assert found.amounts[0].estimate == pytest.approx(truth, abs=1e-9)
        assert all(one.amount.estimate == pytest.approx(truth, abs=1e-9) for one in found.alternatives)
        assert not found.warnings
    else:
        assert found.outcome == "refused" and found.hedge is not None
        bounded = answer(
            asked_of(causal, {"ask": "ate", "do": {x: [0, 1]}, "on": y, "if_not_identified": "bounds"}, sample)
        )
        low, high = bounded.amounts[0].bounds
        assert low - 1e-6 <= truth <= high + 1e-6
    others = [name for name in graph.variables if name not in pair]
    z = others[int(rng.integers(len(others)))]
    found = answer(asked_of(causal, {"ask": "cate", "do": {x: [0, 1]}, "given": [z], "on": y}, sample))
    for amount in found.amounts:
        level = int(amount.label.rsplit(maxsplit=1)[-1]) if amount.label else 0
        truth = mean(after[1], y, **{z: level}) - mean(after[0], y, **{z: level})
        assert amount.estimate == pytest.approx(truth, abs=1e-9)
    one = answer(asked_of(causal, {"ask": "interventional", "do": {x: 1}, "given": {z: 1}, "on": y}, sample))
    for amount in one.amounts:
        assert amount.estimate == pytest.approx(mean(after[1], y, **{z: 1}), abs=1e-9)
    cde = answer(asked_of(causal, {"ask": "cde", "do": {x: [0, 1]}, "hold": {z: 0}, "on": y}, sample))
    both = [law(graph, tables, {x: level, z: 0}) for level in (0, 1)]
    for amount in cde.amounts:
        assert amount.estimate == pytest.approx(mean(both[1], y) - mean(both[0], y), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_effect_among_the_treated_is_the_truth(seed):
    rng, graph, tables, causal, sample = model(seed + 500)
    pair = pick(rng, graph)
    if pair is None:
        return
    x, y = pair
    at_reference = seen_by_children(graph, tables, x, dict.fromkeys(graph.children_of(x), 0))
    truth = mean(law(graph, tables), y, **{x: 1}) - mean(at_reference, y, **{x: 1})
    found = answer(asked_of(causal, {"ask": "att", "do": {x: [0, 1]}, "on": y}, sample))
    if found.outcome == "identified":
        assert found.amounts[0].name == "total_among_treated"
        assert found.amounts[0].estimate == pytest.approx(truth, abs=1e-9)
    else:
        assert found.outcome == "refused" and found.hedge is not None
        question = {"ask": "att", "do": {x: [0, 1]}, "on": y, "if_not_identified": "bounds"}
        low, high = answer(asked_of(causal, question, sample)).amounts[0].bounds
        assert low - 1e-6 <= truth <= high + 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_natural_and_path_effects_are_the_truth(seed):
    rng, graph, tables, causal, sample = model(seed + 900, 4, 0.8, 0.15)
    pair = pick(rng, graph)
    if pair is None:
        return
    x, y = pair
    between = [name for name in graph.descendants((x,)) if name in graph.ancestors((y,)) and name not in pair]
    paths = list(graph.directed_paths(x, y))

    def under(kept):
        seen = settings_of_paths(graph, x, y, kept)
        children = dict.fromkeys(graph.children_of(x), 0) | {c: int(s == "alt") for c, s in seen.items()}
        return mean(seen_by_children(graph, tables, x, children), y)

    chosen = paths[int(rng.integers(len(paths)))]
    question = {"ask": "path_effect", "do": {x: [0, 1]}, "paths": [" -> ".join(chosen)], "on": y}
    found = answer(asked_of(causal, question, sample))
    if found.outcome == "identified":
        assert found.amounts[0].name == "path_specific"
        assert found.amounts[0].estimate == pytest.approx(under([chosen]) - under([]), abs=1e-9)
        assert any("two different worlds" in text for text in found.assumptions)
    else:
        assert found.outcome == "refused" and found.reason
    if not between:
        return
    m = between[0]
    found = answer(asked_of(causal, {"ask": "nde", "do": {x: [0, 1]}, "through": [m], "on": y}, sample))
    if found.outcome != "identified":
        assert found.outcome == "refused" and found.reason
        return
    through = [path for path in paths if m in path]
    around = [path for path in paths if m not in path]
    none, whole, direct, indirect = under([]), under(paths), under(around), under(through)
    wanted = {
        "nde": direct - none, "nie": indirect - none, "total": whole - none,
        "nde_reversed": indirect - whole, "nie_reversed": direct - whole,
    }  # fmt: skip
    got = by_name(found)
    assert set(got) == set(wanted) and next(iter(got)) == "nde"
    for name, value in wanted.items():
        assert got[name].estimate == pytest.approx(value, abs=1e-9)
    adds_up = abs(whole - direct - indirect + none) < 1e-9
    assert ("nde + nie = total" in found.details["identities"]) == adds_up


def test_kept_rows_give_the_truth_or_nothing():
    """Selection on random graphs: whatever is answered from the kept rows holds for all units."""
    answered = 0
    for seed in range(150):
        rng, graph, tables, _, _ = model(seed + 3000, 5, 0.5, 0.1)
        s = graph.order[-1]
        pair = pick(rng, graph.without((s,)))
        if pair is None:
            continue
        x, y = pair
        joint = law(graph, tables)
        kept = np.zeros_like(joint.values)
        where = tuple(1 if name == s else slice(None) for name in joint.names)
        kept[where] = joint.values[where] / joint.values[where].sum()
        causal = graph_of(graph, **{s: "selection"})
        causal = causal.model_copy(
            update={"variables": {**causal.variables, s: causal.variables[s].model_copy(update={"kept": 1})}}
        )
        sample = lawful(causal, Factor(joint.names, kept))
        sample = sample.where(sample.weights > 0)
        found = answer(asked_of(causal, {"ask": "ate", "do": {x: [0, 1]}, "on": y}, sample))
        truth = mean(law(graph, tables, {x: 1}), y) - mean(law(graph, tables, {x: 0}), y)
        if found.outcome == "identified":
            answered += 1
            assert found.amounts[0].estimate == pytest.approx(truth, abs=1e-9), seed
        else:
            assert found.outcome == "refused"
    assert answered > 20

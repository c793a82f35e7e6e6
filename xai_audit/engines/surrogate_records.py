"""The record of a surrogate step: the tree in JSON, what it was grown from, and what it says of each case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xai_audit.engines.recording import result_of
from xai_audit.engines.surrogate_cases import Integers, TreeCase
from xai_audit.engines.surrogate_values import verdict_of
from xai_audit.evidence.records import Value
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.measures.measured import Measured
from xai_audit.surrogate.fidelity import jaccard
from xai_audit.surrogate.queries import LEAST_SAMPLES
from xai_audit.surrogate.samples import Answers, Column
from xai_audit.surrogate.tree import BOOTSTRAPS, Tree


@dataclass(frozen=True, eq=False)
class Grown:
    """A tree, and how it comes out on other draws of the cases."""

    tree: Tree
    again: tuple[Tree, ...]
    """Grown from resampled cases."""


def surrogate_result(case: TreeCase, grown: Grown, measured: Measured, curve: Sequence[Value]) -> StepResult:
    """Values, details and rows; values of columns that the spec withholds are left out."""
    context, step = case.context, case.step
    withheld = set(context.spec.data.show.withhold)
    has_classes = case.sample.answers.labels is not None
    found = verdict_of(measured.values, case.method.min_fidelity, case.method.min_kappa, has_classes=has_classes)
    stability = float(np.mean([jaccard(grown.tree.features, other.features) for other in grown.again]))
    kept = Value("split_stability", stability, None, None, BOOTSTRAPS, "share")
    units = case.clusters if case.clusters is not None else np.arange(len(case.indexes))
    details = {
        **measured.details,
        "use": case.method.use,
        "valid": found.valid,
        "why": list(found.why),
        "limits": {"min_fidelity": case.method.min_fidelity, "min_kappa": case.method.min_kappa},
        "task": context.spec.task,
        "parameters": {**step.parameters, "least_samples": LEAST_SAMPLES, "bootstraps": BOOTSTRAPS},
        "split": {
            "cases": len(case.indexes), "grown_from": int((~case.is_out).sum()), "held_out": int(case.is_out.sum()),
            "units_held_out": len(np.unique(units[case.is_out])), "clustered": case.clusters is not None,
        },
        "queries": _queries(case, grown.tree),
        "features": [_feature(column, withheld) for column in case.sample.columns],
        "leaves": grown.tree.leaves,
        "depth": grown.tree.depth,
        "tree": _nested(case, grown.tree, withheld),
        "curve": [
            {"leaves": place + 1, "fidelity": value.estimate, "low": value.low, "high": value.high}
            for place, value in enumerate(curve)
        ],
        "split_features": _split_features(grown),
    }  # fmt: skip
    return result_of(
        step, details, values=(*measured.values, kept), arrays=measured.arrays, rows=_rows(case, grown.tree),
        passes=case.asker.passes,
    )  # fmt: skip


def _queries(case: TreeCase, tree: Tree) -> dict[str, Any]:
    """How many rows were made up for the tree, and for those of the resamples; or why none."""
    columns = [column.name for column in case.sample.columns if column.place is None]
    why = case.why_no_queries
    return {
        "of_tree": tree.queries,
        "of_resamples": case.asker.passes.forwards - tree.queries,
        "why_none": why,
        "columns": columns if why == "columns" else [],
    }


def _feature(column: Column, withheld: set[str]) -> dict[str, Any]:
    is_withheld = column.source.get("column") in withheld
    source = {key: value for key, value in column.source.items() if not (is_withheld and key == "missing_as")}
    categories = [] if is_withheld else list(column.categories)
    return {"name": column.name, "kind": column.kind, "source": source, "categories": categories,
            "withheld": is_withheld}  # fmt: skip


def _split_features(grown: Grown) -> list[dict[str, Any]]:
    """How often each feature is asked for by the trees of the resamples, the commonest first."""
    columns = grown.tree.columns
    times = [sum(column.name in other.features for other in grown.again) for column in columns]
    order = sorted(range(len(columns)), key=lambda place: (-times[place], place))
    return [
        {"feature": place, "resamples": times[place], "in_tree": columns[place].name in grown.tree.features}
        for place in order
        if times[place] or columns[place].name in grown.tree.features
    ]


def _nested(case: TreeCase, tree: Tree, withheld: set[str]) -> dict[str, Any]:
    """The tree as nested JSON, from the root."""
    expanded = {split.node: split for split in tree.splits}
    kept = np.flatnonzero(~case.is_out)
    out = case.sample.take(np.flatnonzero(case.is_out))
    at = tree.leaves_of(out.values)
    below: dict[int, list[int]] = {node.id: [node.id] for node in tree.nodes}
    for split in reversed(tree.splits):
        below[split.node] = below[split.yes] + below[split.no]

    def entry(number: int) -> dict[str, Any]:
        node, arrived = tree.nodes[number], np.isin(at, below[number])
        made = {
            "id": node.id, "cases": len(node.cases), "queries": node.queries, "held_out": int(arrived.sum()),
            **_answer(case, node.answer, float(node.soft[0]), kept[node.cases], out.answers.take(arrived)),
        }  # fmt: skip
        if number not in expanded:
            return made
        split = expanded[number]
        column = tree.columns[split.test.column]
        test = _test(column, split.test.below, split.test.category, withheld)
        return {**made, "feature": split.test.column, "test": test, "children": [entry(split.yes), entry(split.no)]}

    return entry(0)


def _answer(case: TreeCase, answer: int, mean: float, members: Integers, out: Answers) -> dict[str, Any]:
    """What a node says, how the net's answers are spread over the cases there, and how many held-out cases agree."""
    labels = case.sample.answers.labels
    if labels is None or out.labels is None:
        return {"answer": None, "value": mean, "counts": [], "agreed": None}
    codes, counts = np.unique(labels[members], return_counts=True)
    spread = [[case.names(int(code)), int(count)] for code, count in zip(codes, counts, strict=True)]
    return {"answer": case.names(answer), "value": None, "counts": spread, "agreed": int((out.labels == answer).sum())}


def _test(column: Column, below: float | None, category: int | None, withheld: set[str]) -> dict[str, Any]:
    is_withheld = column.source.get("column") in withheld
    if column.kind == "flag":
        return {"kind": "missing"}
    if below is not None:
        return {"kind": "below", "threshold": None if is_withheld else below}
    assert category is not None
    return {"kind": "is", "category": "" if is_withheld else column.categories[category]}


def _rows(case: TreeCase, tree: Tree) -> Rows:
    """The tree's answer and leaf of every case of the slice, and whether it was held out."""
    said, label = tree.answers(case.sample.values), case.method.label
    answers: list[Any] = said.soft[:, 0].tolist()
    if said.labels is not None:
        answers = [case.names(code) for code in said.labels.tolist()]
    columns = {
        f"surrogate:{label}": answers,
        f"surrogate_leaf:{label}": tree.leaves_of(case.sample.values).tolist(),
        f"surrogate_held_out:{label}": case.is_out.tolist(),
    }
    return Rows(tuple(case.context.dataset.ids[index] for index in case.indexes), columns)

"""Records of surrogate trees as a run leaves them, made in a moment from numpy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fixture_run import Made

from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context
from xai_audit.report.numbers import Numbers
from xai_audit.spec.methods import DecisionTree

NUMBER = {
    "name": "age",
    "kind": "number",
    "source": {"kind": "column", "column": "age"},
    "categories": [],
    "withheld": False,
}
CATEGORY = {
    "name": "account", "kind": "category", "source": {"kind": "column", "column": "account"},
    "categories": ["none", "0 <= ... < 200 DM, with a name that is far too long for any line of a report", "rich"],
    "withheld": False,
}  # fmt: skip
FLAG = {
    "name": "age is missing", "kind": "flag", "source": {"kind": "missing", "column": "age"}, "categories": [],
    "withheld": False,
}  # fmt: skip
REGION = {
    "name": "brightness of interior", "kind": "number", "categories": [], "withheld": False,
    "source": {"kind": "region", "region": "interior", "statistic": "brightness"},
}  # fmt: skip
CELL = {
    "name": "contrast of cell 2,1 of 3 x 3", "kind": "number", "categories": [], "withheld": False,
    "source": {"kind": "cell", "row": 2, "column": 1, "grid": [3, 3], "statistic": "contrast"},
}  # fmt: skip
FEATURES = [NUMBER, CATEGORY, FLAG, REGION, CELL]

_ids = iter(range(10**9))


def leaf(answer: str, functional: int, defective: int, held_out: int, agreed: int) -> dict[str, Any]:
    counts = [["functional", functional], ["defective", defective]]
    return {"id": next(_ids), "cases": functional + defective, "queries": 0, "counts": counts, "answer": answer,
            "value": None, "held_out": held_out, "agreed": agreed}  # fmt: skip


def split(feature: int, test: dict[str, Any], yes: dict[str, Any], no: dict[str, Any]) -> dict[str, Any]:
    counts = [
        [name, yes_count + no_count]
        for (name, yes_count), (_, no_count) in zip(yes["counts"], no["counts"], strict=True)
    ]
    whole = leaf("", counts[0][1], counts[1][1], yes["held_out"] + no["held_out"], yes["agreed"] + no["agreed"])
    answer = max(counts, key=lambda entry: entry[1])[0]
    return {**whole, "answer": answer, "feature": feature, "test": test, "children": [yes, no]}


def below(threshold: float | None) -> dict[str, Any]:
    return {"kind": "below", "threshold": threshold}


TREE = split(
    0, below(38.5),
    split(1, {"kind": "is", "category": CATEGORY["categories"][1]}, leaf("defective", 10, 90, 40, 36),
          split(0, below(20), leaf("functional", 60, 3, 22, 20), leaf("defective", 1, 50, 18, 17))),
    split(3, below(0.4), leaf("functional", 80, 0, 30, 30), leaf("functional", 70, 1, 28, 27)),
)  # fmt: skip
"""Ages below 38.5 and above; the two leaves on the right answer alike."""


def value(name: str, estimate: float | None, label: str = "", n: int = 138, unit: str = "share") -> Value:
    ends = (None, None) if estimate is None else (estimate - 0.03, min(estimate + 0.03, 1.0))
    status = "undefined" if estimate is None else "measured"
    return Value(name, estimate, *ends, n, unit, interval="bootstrap", draws="draws", label=label, status=status)  # type: ignore[arg-type]


def surrogate(
    tree: dict[str, Any] = TREE, *, valid: bool = True, features: list[dict[str, Any]] | None = None, **more: Any
) -> Evidence:
    """The record of a tree."""
    values = (
        value("fidelity", 0.942),
        value("majority", 0.61),
        value("kappa", 0.88, unit="ratio"),
        value("fidelity", 0.95, "functional", 80),
        value("fidelity", 0.93, "defective", 3),
        value("errors", None, n=0),
        value("r2", 0.8),
        value("kl", 0.12, unit="bits"),
        value("accuracy", 0.83),
        value("model_accuracy", 0.85),
        replace(value("split_stability", 0.9, n=20), low=None, high=None),
    )
    details = {
        "use": "decision_tree",
        "task": "single_label",
        "valid": valid,
        "why": [] if valid else ["fidelity_low", "kappa_low"],
        "limits": {"min_fidelity": 0.9, "min_kappa": 0.6},
        "leaves": 5,
        "depth": 3,
        "tree": tree,
        "warnings": [],
        "parameters": {"bootstraps": 20},
        "split": {"cases": 503, "grown_from": 365, "held_out": 138, "units_held_out": 138, "clustered": False},
        "queries": {"of_tree": 4210, "of_resamples": 80000, "why_none": "", "columns": []},
        "features": FEATURES if features is None else features,
        "curve": [
            {"leaves": k, "fidelity": 0.6 + 0.08 * k, "low": 0.57 + 0.08 * k, "high": 0.63 + 0.08 * k}
            for k in range(1, 5)
        ],
        "split_features": [
            {"feature": 0, "resamples": 20, "in_tree": True},
            {"feature": 4, "resamples": 3, "in_tree": False},
        ],
    } | more
    return Evidence(
        "5e77061a7e00",
        "surrogate",
        "decision_tree",
        "all",
        "measured",
        method="decision_tree",
        values=values,
        details=details,
    )


def with_tree(made: Made, record: Evidence, minimum_cell: int = 5) -> Context:
    """The made-up run with a tree in it."""
    run = replace(made.run, records=(*made.run.records, record))
    method = DecisionTree(use="decision_tree")
    spec = made.spec.model_copy(update={"methods": (*made.spec.methods, method)})
    words = load_catalogue("en")
    return Context(run, spec, made.findings, "en", words, Numbers(words, minimum_cell))

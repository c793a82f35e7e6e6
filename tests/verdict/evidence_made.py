"""Specs and evidence for tests of verdicts, made without a run."""

import datetime
import math
from dataclasses import replace

import numpy as np

from xai_audit.evidence.records import Evidence, Failure, Value
from xai_audit.measures.intervals import percentile, wilson
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict import Finding, judge

TODAY = datetime.date(2026, 3, 2)
OWNER = {"name": "A. Person", "role": "owner"}


def spec_with(*criteria: dict) -> AuditSpec:
    filled = [
        {"id": f"C{k}", "measure": "accuracy", "because": "agreed", "minimum_cases": 1} | criterion
        for k, criterion in enumerate(criteria, start=1)
    ]
    slices = list(dict.fromkeys(["all", *(criterion.get("slice", "all") for criterion in filled)]))
    whole = {
        "version": 1,
        "audit": {"id": "made", "title": "made", "owner": OWNER},
        "data": {"source": {"kind": "predictions", "table": "x.csv", "label": "y", "scores": ("a", "b")}},
        "slices": [{"name": name} for name in slices],
        "criteria": filled,
    }
    return AuditSpec.model_validate(whole, strict=False)


def waiver(expires: datetime.date) -> dict:
    return {"owner": OWNER, "reason": "known", "scope": "pilot", "expires": expires}


def share(successes: int, trials: int, name: str = "accuracy", **other) -> Value:
    ends = wilson(successes, trials)
    return Value(
        name, successes / trials, ends.low, ends.high, trials, "share", interval="wilson", successes=successes,
        trials=trials, **other,
    )  # fmt: skip


def drawn(draws: np.ndarray, estimate: float | None = None, n: int = 100, name: str = "accuracy", **other) -> Value:
    estimate = float(np.median(draws)) if estimate is None else estimate
    ends = percentile(draws, estimate)
    return Value(name, estimate, ends.low, ends.high, n, "share", interval="bootstrap", draws="draws", **other)


def record(*values: Value, **other) -> Evidence:
    subject = other.pop("subject", values[0].name if values else "accuracy")
    given = {"kind": "performance", "slice": "all", "status": "measured"} | other
    identifier = given.pop("id", f"{subject}-{given['slice']}")
    return Evidence(identifier, subject=subject, values=values, **given)


def broken(status: str, **other) -> Evidence:
    return replace(record(**other), status=status, failure=Failure("StepError", "It broke."))


def judged(spec: AuditSpec, *records: Evidence, arrays: dict | None = None, on: datetime.date = TODAY) -> list[Finding]:
    return list(judge(spec, records, lambda identifier: (arrays or {}).get(identifier, {}), on))


def one(criterion: dict, *values: Value, draws: np.ndarray | None = None) -> Finding:
    """The finding of one criterion on one measured record."""
    arrays = {"accuracy-all": {"draws": draws}} if draws is not None else {}
    return judged(spec_with(criterion), record(*values), arrays=arrays)[0]


def evenly(low: float, high: float, count: int = 2000) -> np.ndarray:
    """Draws whose 95 % interval runs exactly from low to high: 5 % beyond, evenly spaced between."""
    k = math.floor((count + 1) * 0.025)
    middle = np.linspace(low, high, count - 2 * (k - 1))
    step = (high - low) / count
    return np.concatenate([low - step * np.arange(1, k), middle, high + step * np.arange(1, k)])

"""Runs that try a report: hostile and endless names, nothing but crashes, one class, no case at all."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from fixture_run import CRITERIA, MEASURES, Made, Maker, Wish, make_run

from xai_audit import registry
from xai_audit.errors import AuditError
from xai_audit.evidence.records import Evidence
from xai_audit.measures.measured import Options
from xai_audit.measures.predictions import Predictions

ATTACK = '<script>alert(1)</script><img src="http://x.invalid/a.png" onerror=alert(1)>'
TURNED = "safe\u202e)liaf\u202c"
"""A name with an override that would show its end turned round."""
HEBREW, ARABIC = "תא פגום 12", "خلية سليمة"
LONG = "a-class-name-that-nobody-stopped-" * 6 + "ab"
EXPIRED = CRITERIA.replace("expires: 2027-06-30", "expires: 2026-01-31")
SLICES = 300


def hard_wish() -> Wish:
    """Names of every unkind sort, 300 slices, a class of 200 characters and a waiver past its day."""
    slices = ("all", "line-4", *(f"{'wide-name-' * 5}{place:04d}" for place in range(SLICES - 2)))
    return Wish(
        title=f"{ATTACK} {HEBREW}", slices=slices, cases=400, broken=(), case_prefix=f"{HEBREW}<b>",
        classes=(LONG, f"{ARABIC} <i>bad</i>", HEBREW, TURNED),
        criteria=EXPIRED.replace("slice: poly", "slice: line-4"),
    )  # fmt: skip


class Named(Maker):
    """Equal slices are measured once, and a measure that cannot be had is refused as a run would refuse it."""

    def performance(self) -> None:
        known: dict[tuple[str, bytes], Any] = {}
        whole = Predictions(
            "single_label", self.wish.classes, self.labels, self.scores, self.probabilities, self.clusters
        )
        for measure in MEASURES:
            for part, members in self.members.items():
                key = (measure, members.tobytes())
                if key not in known:
                    known[key] = self.answer(measure, whole.of(members))
                self.answered(measure, part, known[key])

    def answer(self, measure: str, predictions: Predictions) -> Any:
        module, function = registry.measure(measure).call.split(":")
        options = Options(self.wish.classes[1] if measure in NEED_A_CLASS else None)
        try:
            return getattr(importlib.import_module(module), function)(predictions, options, np.random.default_rng(1))
        except AuditError as error:
            return error

    def answered(self, measure: str, part: str, found: Any) -> None:
        group = registry.measure(measure).group
        if isinstance(found, AuditError):
            self.add(group, measure, {}, slice=part)
            self.break_last("not_applicable", "Refusal", str(found))
        else:
            self.add(group, measure, found.details, slice=part, values=found.values, arrays=found.arrays)


class Crashed(Maker):
    """Every step fails."""

    def add(self, kind: str, subject: str, details: dict[str, Any], **parts: Any) -> Evidence:
        record = super().add(kind, subject, details, **parts)
        self.break_last("failed", "StepError", f"{subject}: found a crash; expected an answer. See the run log.")
        return record


class Alone(Named):
    """Every case has the same label."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.labels = np.zeros_like(self.labels)


class Nobody(Maker):
    """No case at all: the profile counts none, and every other step refuses."""

    def add(self, kind: str, subject: str, details: dict[str, Any], **parts: Any) -> Evidence:
        record = super().add(kind, subject, details, **parts)
        if kind not in ("data_profile", "predictions", "cases"):
            self.break_last("not_applicable", "Refusal", f"{subject}: found no case; expected at least one.")
        return record

    def profile(self) -> None:
        self.ids = tuple(f"left-out-{place}" for place in range(200))
        super().profile()
        empty: dict[str, Any] = {"bad_cases": [], "exact_duplicates": [], "near_duplicates": [], "columns": []}
        self.records[-1].details.update(empty, image_sizes=[], brightness={}, mean_colour=[])
        self.ids = ()

    def performance(self) -> None:
        for measure in MEASURES:
            for part in self.members:
                self.add(registry.measure(measure).group, measure, {}, slice=part)

    def cases(self) -> None:
        self.add("cases", "cases", {"rules": {}, "from": 0, "cases": []})

    def explanations(self) -> None:
        for method in self.wish.methods:
            self.add("explanation", method, {"use": method})


class Empty(Maker):
    """No step at all."""

    def make(self) -> None:
        return


NEED_A_CLASS = ("sensitivity", "specificity", "f1", "base_rate", "auroc")
MAKERS: dict[str, tuple[type[Maker], Wish]] = {
    "names": (Named, hard_wish()),
    "crashed": (Crashed, Wish(criteria=EXPIRED)),
    "alone": (Alone, Wish(criteria=EXPIRED)),
    "nobody": (Nobody, Wish(cases=0, slices=("all", "mono", "poly"), criteria=EXPIRED.replace("line-4", "mono"))),
    "empty": (Empty, Wish(criteria="criteria: []\n")),
}
"""Who makes each of the hard runs, and from what."""


def make_hard(folder: Path, which: str) -> Made:
    """One of the hard runs."""
    maker, wish = MAKERS[which]
    return make_run(folder, wish, maker(wish))

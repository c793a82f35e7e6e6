"""A run folder as a real run would leave it, made in a second from numpy: every kind of record, failed steps too."""

from __future__ import annotations

import datetime
import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from fixture_checks import checks

from xai_audit import registry
from xai_audit.data.cases import RULES
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import seal
from xai_audit.evidence.records import ArrayRef, Evidence, Failure, Passes
from xai_audit.evidence.store import Rows, RunRecord, _array_bytes, evidence_bytes, read_run, rows_bytes
from xai_audit.measures.localisation import relevance_mass
from xai_audit.measures.measured import Options
from xai_audit.measures.predictions import Predictions
from xai_audit.spec.load import load_text
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict import Finding, findings_text, judge

CLASSES = ("functional", "defective")
SIDE = 96
MEASURES = (
    "accuracy",
    "balanced_accuracy",
    "base_rate",
    "auroc",
    "sensitivity",
    "specificity",
    "f1",
    "confusion_matrix",
    "brier",
    "ece",
)
METHODS = ("grad_cam", "saliency", "occlusion")
EVERY_METHOD = tuple(entry.name for entry in registry.METHODS if entry.shape != "fitter")
SETTINGS = {
    "grad_cam": "layer: last",
    "occlusion": "window: 16, stride: 8",
    "activation_maps": "layer: last, top: 9",
    "network_dissection": "layer: last",
    "tcav": "layer: last",
    "activation_maximisation": "layer: last, units: [3, 7], steps: 64",
}


@dataclass(frozen=True)
class Wish:
    """What the made-up run shall look like."""

    title: str = "Solar cell inspection"
    domain: str = "industrial"
    slices: tuple[str, ...] = ("all", "mono", "poly", "line-4")
    cases: int = 420
    explained: int = 12
    shows_images: bool = True
    broken: tuple[str, ...] = ("occlusion",)
    refused: tuple[str, ...] = ()
    methods: tuple[str, ...] = METHODS
    masks: str = "interior: mask"
    classes: tuple[str, ...] = CLASSES
    criteria: str | None = None
    withhold: tuple[str, ...] = ()
    case_prefix: str = "cell"
    minimum_cell: int = 5
    languages: str = "[en]"
    trusted: Mapping[str, str] = field(default_factory=dict)
    """State that each method's checks shall come to; without any no check was made."""
    extra: Mapping[str, str] = field(default_factory=dict)


CRITERIA = """criteria:
  - {id: C1, measure: accuracy, slice: all, at_least: 0.85, severity: critical, because: Agreed in the validation plan.,
     set_by: {name: R. Ortiz, role: quality manager, date: 2026-03-02}}
  - {id: C2, measure: sensitivity, slice: poly, at_least: 0.93, severity: critical,
     because: A missed defect reaches the field.,
     set_by: {name: R. Ortiz, role: quality manager, date: 2026-03-02}}
  - {id: C3, measure: accuracy, slice: line-4, at_least: 0.8, minimum_cases: 100, because: New line; few cells so far.}
  - {id: C4, measure: relevance_mass, method: grad_cam, mask: interior, at_least: 0.4, minimum_cases: 6,
     severity: minor,
     because: The model should look at the cell and not at its frame.}
  - {id: C5, measure: relevance_mass, method: occlusion, mask: interior, at_least: 0.4, minimum_cases: 6,
     because: The same with a second method.}
  - {id: C6, measure: ece, slice: all, at_most: 0.02, bound: upper, severity: minor,
     because: Operators read the probability.,
     waiver: {owner: {name: M. Lindqvist, role: product owner}, reason: Probabilities are not shown to operators yet.,
              scope: Release one only., expires: 2027-06-30}}
"""

LEANING = """criteria:
  - {id: L1, measure: relevance_mass, method: guided_backprop, mask: interior, at_least: 0.1, minimum_cases: 6,
     because: The model should look at the cell and not at its frame.}
  - {id: L2, measure: relevance_mass, method: grad_cam, mask: interior, at_least: 0.1, minimum_cases: 6,
     because: The same with a method that met its checks.}
"""
"""Criteria of which one rests on a method that fails its checks."""

SPEC = """version: 1
audit:
  id: {identifier}
  title: {title}
  domain: {domain}
  intended_use: Sorting of electroluminescence images of solar cells on the incoming line,
    with a person checking every reject.
  not_for: Deciding alone about shipped modules, or images from another camera type.
  limitations: [Cells with broken busbars were rare in training., The camera was never changed.]
  owner: {{name: J. Hartmann, role: process engineer}}
  languages: {languages}
  seed: 7
model:
  factory: solar_cells_net.py:build
  weights: {{file: weights/solar_cells.safetensors}}
  task: single_label
  classes: [{classes}]
  input: {{size: [96, 96], channels: 1, resize: 96, mean: [0.5], std: [0.25]}}
  layers: {{last: features.7}}
data:
  source: {{kind: image_table, table: solar-cells.csv, image: file, label: defect, id: cell}}
  cluster: module
  masks: {{{masks}}}
  show: {{images: {shows}, withhold: [{withhold}], minimum_cell: {minimum}}}
  on_bad_case: record
  description: Electroluminescence images of photovoltaic cells.
  licence: CC BY-NC-SA 4.0, non-commercial use.
slices: [{slices}]
cases: {{explain: {explained}, choose: [random, worst, typical]}}
methods:
{methods}
measures: [accuracy, balanced_accuracy,
  {{use: auroc, positive: {positive}}}, {{use: sensitivity, positive: {positive}}},
  {{use: specificity, positive: {positive}}},
  {{use: f1, positive: {positive}}}, confusion_matrix, brier, ece{relevance}]
{criteria}"""


def spec_bytes(wish: Wish) -> bytes:
    """The spec in YAML."""
    slices = ", ".join(
        f"{{name: {name}}}" if name == "all" else f"{{name: {name}, where: {{kind: {name}}}}}" for name in wish.slices
    )
    text = SPEC.format(
        identifier="solar-cells",
        title=_quoted(wish.title),
        domain=wish.domain,
        classes=", ".join(map(_quoted, wish.classes)),
        shows=str(wish.shows_images).lower(),
        withhold=", ".join(wish.withhold),
        minimum=wish.minimum_cell,
        slices=slices,
        methods="\n".join(
            f"  - {{use: {method}{', ' * (method in SETTINGS)}{SETTINGS.get(method, '')}}}" for method in wish.methods
        ),
        explained=wish.explained,
        positive=_quoted(wish.classes[1]),
        criteria=CRITERIA if wish.criteria is None else wish.criteria,
        languages=wish.languages,
        masks=wish.masks,
        relevance=", relevance_mass" * any(registry.method(method).gives_map for method in wish.methods),
    )
    return text.encode()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _id(*parts: str) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()[:12]


class Maker:
    """Makes the records one after the other."""

    def __init__(self, wish: Wish) -> None:
        self.wish, self.rng = wish, np.random.default_rng(7)
        self.records: list[Evidence] = []
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        self.rows: list[Rows] = []
        count, classes = wish.cases, len(wish.classes)
        self.ids = tuple(f"{wish.case_prefix}-{index:04d}" for index in range(count))
        self.labels = (
            (self.rng.random(count) < 0.3).astype(np.int64) if classes == 2 else self.rng.integers(0, classes, count)
        )
        scores = self.rng.normal(0, 1.2, (count, classes))
        scores[np.arange(count), self.labels] += 2.9
        powers = np.exp(scores)
        self.scores, self.probabilities = scores, powers / powers.sum(1, keepdims=True)
        self.predicted = self.probabilities.argmax(1)
        self.clusters = np.arange(count) // 6
        self.members = {name: self._members(place, name) for place, name in enumerate(wish.slices)}

    def _members(self, place: int, name: str) -> np.ndarray:
        if name == "all":
            return np.arange(self.wish.cases)
        if name == "line-4":
            return np.arange(23)
        if name == "tiny":
            return np.arange(3)
        return np.flatnonzero(
            np.arange(self.wish.cases) % max(2, min(len(self.wish.slices) - 1, 6))
            == place % max(2, min(len(self.wish.slices) - 1, 6))
        )

    def add(self, kind: str, subject: str, details: dict[str, Any], **parts: Any) -> Evidence:
        identifier = _id(kind, subject, str(parts.get("slice")), str(parts.get("method")), str(parts.get("mask")))
        arrays = parts.pop("arrays", {})
        references = tuple(ArrayRef(name, str(arrays[name].dtype), arrays[name].shape) for name in sorted(arrays))
        record = Evidence(
            id=identifier,
            kind=kind,
            subject=subject,
            slice=parts.pop("slice", None),
            status="measured",
            arrays=references,
            details=details,
            **parts,
        )
        self.records.append(record)
        self.arrays[identifier] = dict(arrays)
        return record

    def break_last(self, status: str, kind: str, message: str) -> None:
        """Turn the record added last into one without an answer."""
        record = self.records[-1]
        self.arrays[record.id] = {}
        self.records[-1] = replace(
            record, status=status, values=(), arrays=(), details={}, failure=Failure(kind, message)
        )

    def make(self) -> None:
        self.profile()
        self.predictions()
        self.performance()
        self.cases()
        self.explanations()

    def profile(self) -> None:
        wish, names = self.wish, self.wish.classes
        counts = [[name, int((self.labels == k).sum())] for k, name in enumerate(names)]
        by_slice = [
            [part, [[name, int((self.labels[members] == k).sum())] for k, name in enumerate(names)]]
            for part, members in self.members.items()
        ]
        slices = [
            {
                "name": part,
                "cases": len(members),
                "clusters": len(set(self.clusters[members].tolist())),
                "digest": _id(part) * 5,
            }
            for part, members in self.members.items()
        ]
        columns = [
            {
                "name": "cell",
                "kind": "text",
                "missing": 0,
                "distinct": wish.cases,
                "counts": [[i, 1] for i in self.ids[:20]],
            },
            {
                "name": "kind",
                "kind": "category",
                "missing": 2,
                "distinct": 3,
                "counts": [["mono", 201], ["poly", 190], ["line-4", 27]],
            },
            {
                "name": "exposure",
                "kind": "number",
                "missing": 0,
                "distinct": 88,
                "min": 0.42,
                "max": 3.1,
                "mean": 1.187,
                "quartiles": [0.9, 1.1, 1.4],
            },
        ]
        details = {
            "source": "image_table",
            "cases": wish.cases,
            "columns": columns,
            "labels": counts,
            "labels_by_slice": by_slice,
            "slices": slices,
            "bad_cases": [{"id": f"{wish.case_prefix}-9001", "problem": "images/9001.png ends before its data does"}],
            "exact_duplicates": [[self.ids[3], self.ids[190]]],
            "near_duplicates": [[self.ids[7], self.ids[8], 2], [self.ids[20], self.ids[21], 3]],
            "training": {"declared": True, "images": 1968, "exact": [], "near": [[self.ids[40], "cell0188.png", 3]]},
            "image_sizes": [[f"{side}x300", max(wish.cases - 5, 1) if side == 300 else 1] for side in range(300, 306)],
            "mean_colour": [0.31],
            "brightness": {"min": 11.2, "max": 171.9, "mean": 92.4, "quartiles": [70.0, 91.0, 118.0]},
            "limits": [],
        }
        self.add("data_profile", "data_profile", details)

    def predictions(self) -> None:
        names = np.array(self.wish.classes)
        columns: dict[str, Any] = {"label": names[self.labels].tolist(), "predicted": names[self.predicted].tolist()}
        for k, name in enumerate(self.wish.classes):
            columns |= {
                f"score:{name}": self.scores[:, k].tolist(),
                f"probability:{name}": self.probabilities[:, k].tolist(),
            }
        columns["cluster"] = self.clusters.tolist()
        cases = np.arange(self.wish.cases)
        columns |= {f"slice:{part}": np.isin(cases, members).tolist() for part, members in self.members.items()}
        self.rows.append(Rows(self.ids, columns))
        details = {"classes": list(names), "task": "single_label", "scores_are": "logit"}
        skill = {"measure": "kappa", "estimate": 0.8, "low": 0.7, "high": 0.9, "n": 60}
        details["skill"] = dict.fromkeys(self.members, skill)
        self.add("predictions", "predictions", details, passes=Passes(self.wish.cases, 0))

    def performance(self) -> None:
        whole = Predictions(
            "single_label", self.wish.classes, self.labels, self.scores, self.probabilities, self.clusters
        )
        for measure in MEASURES:
            entry = registry.measure(measure)
            module, function = entry.call.split(":")
            positive = (
                self.wish.classes[1] if measure in ("sensitivity", "specificity", "f1", "base_rate", "auroc") else None
            )
            for part, members in self.members.items():
                found = getattr(importlib.import_module(module), function)(
                    whole.of(members), Options(positive), np.random.default_rng(1)
                )
                self.add(entry.group, measure, found.details, slice=part, values=found.values, arrays=found.arrays)
                if measure in self.wish.broken:
                    self.break_last(
                        "failed",
                        "StepError",
                        f"{measure}: found a NaN in case 3; expected finite values. Look at that case.",
                    )

    def cases(self) -> None:
        right = self.probabilities[np.arange(self.wish.cases), self.labels]
        third = self.wish.explained // 3
        order = np.argsort(right, kind="stable")
        chosen = [("random", i) for i in self.rng.permutation(np.arange(100, 200))[:third]]
        chosen += [("worst", i) for i in order[:third]] + [("typical", i) for i in order[len(order) // 2 :][:third]]
        self.chosen = [int(i) for _, i in chosen]
        names = self.wish.classes
        entries = [
            {
                "id": self.ids[i],
                "index": int(i),
                "rule": rule,
                "label": names[self.labels[i]],
                "predicted": names[self.predicted[i]],
                "probability": float(self.probabilities[i].max()),
                "slices": [n for n, m in self.members.items() if i in m],
            }
            for rule, i in chosen
        ]
        self.images = np.stack([_cell(np.random.default_rng(i), self.labels[i] > 0) for i in self.chosen])
        self.mask = np.zeros((len(chosen), SIDE, SIDE), dtype=np.uint8)
        self.mask[:, 10:-10, 10:-10] = 1
        arrays = {"mask:interior": self.mask} | ({"images": self.images} if self.wish.shows_images else {})
        self.add("cases", "cases", {"rules": RULES, "from": self.wish.cases, "cases": entries}, arrays=arrays)

    def explanations(self) -> None:
        ids = [self.ids[i] for i in self.chosen]
        explained = [self.wish.classes[self.predicted[i]] for i in self.chosen]
        methods = self.wish.methods
        readers = [use for use in methods if registry.method(use).shape == "pass_reader"]
        self.add(
            "pass",
            "pass",
            {"layers": ["features.7"], "input_gradient": True, "readers": readers},
            passes=Passes(len(ids), len(ids)),
        )
        maps = {method: _maps(method, self.images, np.random.default_rng(3)) for method in methods}
        for method in methods:
            kind, uses_target = registry.method(method).map_kind, registry.method(method).uses_target
            on_layer = kind == "layer"
            details = {
                "use": method,
                "case_ids": ids,
                "parameters": USED.get(method, {"layer": "features.7", "grid": [6, 6]} if on_layer else {}),
                "target": {"kind": "logit", "class": "predicted"} if uses_target else {},
                "explained": explained if uses_target else [],
                "warnings": list(WARNINGS.get(method, ())),
            } | ({"precision": PRECISION[method]} if method in PRECISION else {})
            self.add(
                "explanation",
                method,
                details,
                method=None,
                arrays={"raw": maps[method], **_extras(method, len(ids))},
                passes=PASSES.get(method, Passes()),
            )
            if method in self.wish.broken:
                self.break_last(
                    "failed",
                    "StepError",
                    f"methods.{method}: found 5 NaN values in the map of case 2; expected finite values. "
                    "Look at that image.",
                )
            if method in self.wish.refused:
                self.break_last(
                    "not_applicable",
                    "Refusal",
                    f"methods.{method}: found SiLU (7 calls); expected ReLU alone: {method} is undefined for SiLU. "
                    "Use integrated_gradients.",
                )
        for method in methods:
            if registry.method(method).gives_map:
                self.localisation(method, maps[method])
        self.checks(ids)

    def checks(self, ids: list[str]) -> None:
        explained = {part: sum(i in members for i in self.chosen) for part, members in self.members.items()}
        for subject, method, part, values, details, arrays, failure in checks(self.wish.trusted, explained):
            if not self.wish.trusted:
                return
            if subject == "agreement":
                named = list(self.wish.trusted)
                pair = f"{named[-1]} | {named[0]}"
                details["most_different"] = [
                    {"case": case, "pair": pair, "rank_correlation": -0.3 + 0.1 * place, "overlap": 0.02}
                    for place, case in enumerate(ids[:3])
                ]
            self.add("quality", subject, details, slice=part, method=method, values=values, arrays=arrays)
            if failure is not None:
                self.break_last(failure[0], "Refusal", failure[1])

    def localisation(self, method: str, raw: np.ndarray) -> None:
        is_signed = registry.method(method).sign == "signed"
        shown = np.maximum(raw if raw.ndim == 3 else raw.sum(1) if is_signed else np.abs(raw).max(1), 0)
        block = SIDE // shown.shape[-1]
        large = np.kron(shown, np.ones((1, block, block))).astype(np.float64) if block > 1 else shown
        found = relevance_mass(large, self.mask.astype(bool), None, np.random.default_rng(2))
        self.add(
            "localisation",
            "relevance_mass",
            found.details,
            slice="all",
            method=method,
            mask="interior",
            values=found.values,
            arrays=found.arrays,
        )
        if method in self.wish.broken + self.wish.refused:
            self.break_last(
                "failed",
                "StepError",
                f"relevance_mass of {method}: found a map that is failed; expected a measured map. "
                "See the explanation's own record.",
            )


USED: dict[str, dict[str, Any]] = {
    "occlusion": {"window": 16, "stride": 8, "baseline": "mean_colour"},
    "integrated_gradients": {"baseline": "mean_colour", "n_steps": 32, "max_steps": 512, "tolerance": 0.01},
    "lime": {
        "preset": "steady",
        "samples": 1000,
        "segments": {"kind": "grid", "rows": 6, "columns": 6},
        "baseline": {"kind": "superpixel_mean"},
    },
    "shap": {
        "mode": "kernel",
        "sampling": "leverage",
        "estimator": "xai-audit",
        "players": {"kind": "grid", "rows": 6, "columns": 6},
        "baseline": {"kind": "mean_colour", "colour": [0.31]},
    },
}
PASSES = {
    "occlusion": Passes(12, 0, 121 * 12),
    "integrated_gradients": Passes(12 * 97, 12 * 96),
    "score_cam": Passes(12 * 25, 0),
}
WARNINGS = {
    "grad_cam_pp": ("The layer has values below 0 (smallest: -0.21), and the formula presumes values of 0 or more.",),
    "integrated_gradients": (
        "1 of 12 cases did not converge: after `max_steps` the completeness gap is still above `tolerance`.",
    ),
    "score_cam": ("3 of 24 channels are flat and were left out.",),
}
PRECISION = {
    "grad_cam": {
        "used": "bfloat16",
        "cases": 8,
        "smallest_rank_correlation": 0.99871,
        "same_class": 8,
        "passed": True,
    },
    "occlusion": {
        "used": "float32",
        "cases": 8,
        "smallest_rank_correlation": 0.93318,
        "same_class": 7,
        "passed": False,
    },
}


def _extras(method: str, count: int) -> dict[str, np.ndarray]:
    """What methods keep beside their maps, one row a case; the third path did not converge, the fourth has no ratio."""
    if method == "integrated_gradients":
        gap = np.linspace(0.001, 0.009, count).astype(np.float32)
        gap[2], gap[3] = 0.043, 0.00021
        steps = np.full(count, 32, dtype=np.float32)
        steps[2] = 512
        is_third, is_fourth = np.arange(count) == 2, np.arange(count) == 3
        return {
            "gap": gap,
            "gap_is_absolute": is_fourth.astype(np.float32),
            "steps": steps,
            "converged": (~is_third).astype(np.float32),
        }
    if registry.method(method).map_kind == "segments":
        return _fit(method, count)
    if method == "eigen_cam":
        return {"energy_share": np.linspace(0.51, 0.83, count).astype(np.float32)}
    return {}


def _fit(method: str, count: int) -> dict[str, np.ndarray]:
    """As LIME and Shapley values leave it; the second case fits badly, and the third has not converged."""
    rows, columns = np.indices((SIDE, SIDE)) // 16
    made = {
        "segments": np.repeat((rows * 6 + columns)[None, None], count, axis=0).astype(np.int64),
        "standard_error": np.full((count, 1, SIDE, SIDE), 0.012, np.float32),
    }
    if method == "lime":
        r2 = np.linspace(0.71, 0.93, count)
        r2[1] = 0.31
        return made | {"r2": r2[:, None].astype(np.float32), "intercept": np.zeros((count, 1), np.float32)}
    converged = np.ones((count, 1), np.float32)
    converged[2] = 0
    return made | {
        "gap": np.full((count, 1), 1e-7, np.float32), "evaluations": np.full((count, 1), 512, np.float32),
        "value": np.ones((count, 1), np.float32), "empty": np.zeros((count, 1), np.float32), "converged": converged,
    }  # fmt: skip


def _cell(rng: np.random.Generator, has_defect: bool) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    cell = 150 + 30 * np.sin(6 * x + rng.random() * 6) * np.cos(5 * y) + rng.normal(0, 9, (SIDE, SIDE))
    cell[:, 30:33] = cell[:, 62:65] = 40
    cell[(x < 0.06) | (x > 0.94) | (y < 0.06) | (y > 0.94)] = 15
    if has_defect:
        cx, cy = rng.uniform(0.25, 0.75, 2)
        cell[(x - cx) ** 2 + (y - cy) ** 2 < 0.02] *= 0.35
    return cell.clip(0, 255).astype(np.uint8)[..., None]


def _maps(method: str, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Maps of the right shape: weak noise, stronger on dark places; the second and third of grad_cam say nothing."""
    count, kind = len(images), registry.method(method).map_kind
    dark = 255.0 - images[..., 0]
    coarse = dark.reshape(count, 6, 16, 6, 16).mean((2, 4)) / 255
    if method == "grad_cam":
        raw = rng.gamma(1.2, 0.3, (count, 6, 6)) - 0.25
        raw[1], raw[2] = -np.abs(raw[1]), 0.0
        return raw.astype(np.float32)
    if kind == "layer":
        power = 1.0 + EVERY_METHOD.index(method)
        return (coarse**power * (1 + rng.normal(0, 0.2, coarse.shape)) - 0.02).astype(np.float32)
    if kind == "pixels":
        return (rng.normal(0, 1, (count, 1, SIDE, SIDE)) * dark[:, None] / 255).astype(np.float32)
    if kind == "segments":
        painted = np.kron(coarse * 4 - 1.6 + rng.normal(0, 0.1, coarse.shape), np.ones((1, 16, 16)))
        return painted[:, None].astype(np.float32)
    blocks = dark.reshape(count, 12, 8, 12, 8).mean((2, 4)) / 60 - 2 + rng.normal(0, 0.4, (count, 12, 12))
    return np.kron(blocks, np.ones((1, 8, 8))).astype(np.float32)


def manifest_of(wish: Wish, maker: Maker, spec: bytes) -> dict[str, Any]:
    """A manifest with fixed times."""
    return {
        "format": 1,
        "run": "3f9c1a7be204",
        "audit": "solar-cells",
        "package": {"name": "xai-audit", "version": "0.1.0"},
        "spec": {
            "file": "audit.yaml",
            "sha256": hashlib.sha256(spec).hexdigest(),
            "normalised_sha256": hashlib.sha256(b"n").hexdigest(),
        },
        "model": {
            "digest": hashlib.sha256(b"w").hexdigest(),
            "kind": "file",
            "file": "weights/solar_cells.safetensors",
            "architecture": "SolarCellsNet",
            "parameters": 184322,
            "factory": "solar_cells_net.py:build",
        },
        "data": {
            "slices": {
                name: {"cases": len(m), "digest": hashlib.sha256(name.encode()).hexdigest()}
                for name, m in maker.members.items()
            }
        },
        "seed": 7,
        "versions": {"python": "3.11.2", "torch": "2.14.1", "numpy": "2.4.6", "pillow": "13.0.0"},
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "device": "cpu",
        "precision": "float32",
        "threads": 2,
        "started": "2026-03-09T08:12:04Z",
        "ended": "2026-03-09T08:15:51Z",
        "parent": None,
    }


@dataclass(frozen=True)
class Made:
    """A made run: its folder, and what the report is built from."""

    folder: Path
    run: RunRecord
    spec: AuditSpec
    findings: tuple[Finding, ...]


def make_run(folder: Path, wish: Wish = Wish(), maker: Maker | None = None) -> Made:
    """Write the run folder, sealed and judged."""
    maker, text = maker or Maker(wish), spec_bytes(wish)
    maker.make()
    spec = load_text(text, folder / "audit.yaml").spec
    files = {
        "audit.yaml": text,
        "audit.normalised.json": b"{}\n",
        "evidence.jsonl": evidence_bytes(maker.records),
        "rows.parquet": rows_bytes(maker.rows),
    }
    files |= {f"arrays/{step}.safetensors": _array_bytes(arrays) for step, arrays in maker.arrays.items() if arrays}
    for name, data in files.items():
        write_atomically(folder / name, data)
    seal(folder, manifest_of(wish, maker, text), files)
    run = read_run(folder)
    found = judge(spec, run.records, run.arrays, datetime.date(2026, 3, 9))
    write_atomically(folder / "findings.json", findings_text(found).encode())
    return Made(folder, run, spec, found)

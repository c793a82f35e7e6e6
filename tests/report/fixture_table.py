"""A run folder of a table as a real run would leave it: loans, Shapley values and LIME, reasons, groups compared."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from fixture_checks import checks
from fixture_run import Made, manifest_of

from xai_audit.data.cases import RULES
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import seal
from xai_audit.evidence.records import ArrayRef, Evidence, Failure, Passes, Value
from xai_audit.evidence.store import Rows, _array_bytes, evidence_bytes, read_run, rows_bytes
from xai_audit.spec.load import load_text
from xai_audit.verdict import findings_text, judge

CLASSES = ("granted", "denied")
SLICES = ("all", "white", "black", "married")


@dataclass(frozen=True)
class Column:
    """A feature of the made-up table."""

    column: str
    title: str = ""
    categories: tuple[str, ...] = ()


COLUMNS = (
    Column("income", "Monthly income, thousands"),
    Column("obrat", "Other obligations, share of income"),
    Column("hrat"),
    Column("loan", "Amount asked for"),
    Column("home", "Home", ("own", "rent", "other")),
    Column("gdlin", "Meets guidelines", ("no", "yes")),
    Column("years", "Years at work"),
)


@dataclass(frozen=True)
class TableWish:
    """What the made-up run shall look like."""

    columns: tuple[Column, ...] = COLUMNS
    cases: int = 300
    explained: int = 24
    decisions: int = 30
    shows: bool = True
    withhold: tuple[str, ...] = ()
    trusted: Mapping[str, str] = field(default_factory=lambda: {"shap": "trusted", "lime": "weak"})
    groups: str = ""
    """Groups of features, as the spec writes them; without any every feature is a player."""
    case_prefix: str = "loan"
    minimum_cell: int = 5
    qualification: dict[str, Any] | None = field(
        default_factory=lambda: {
            "version": "0.1.0",
            "passed": 41,
            "failed": 0,
            "failed_answers": [],
            "same_versions": True,
            "sha256": hashlib.sha256(b"q").hexdigest(),
            "date": "2026-03-08",
        }
    )
    criteria: str = """criteria:
  - {id: F1, measure: selection_rate, slice: black, at_least: 0.5, because: Agreed with the fair lending committee.}
"""


SPEC = """version: 1
audit:
  id: mortgage
  title: Mortgage decisions
  domain: finance
  intended_use: Sorting of mortgage applications for a loan officer.
  not_for: Deciding alone.
  owner: {{name: J. Doe, role: model owner}}
  seed: 7
model:
  factory: net.py:build
  weights: {{file: weights/net.safetensors}}
  task: single_label
  classes: [granted, denied]
  input:
    features:
{features}
data:
  source: {{kind: table, table: loans.csv, label: outcome, id: loan_id}}
  show: {{images: {shows}, withhold: [{withhold}], minimum_cell: {minimum}}}
  missing_codes: {{{codes}}}
slices:
  - {{name: all}}
  - {{name: white, where: {{race: white}}}}
  - {{name: black, where: {{race: black}}}}
  - {{name: married, where: {{marital: married}}}}
cases: {{explain: {explained}, choose: [random, worst, typical]}}
methods:
  - {{use: shap{players}}}
  - {{use: lime}}
measures: [{{use: selection_rate, positive: granted, reference: white}},
  {{use: equal_opportunity, positive: granted, reference: white}},
  {{use: calibration_by_group, positive: granted, reference: white}}]
{reasons}
{criteria}"""


def spec_bytes(wish: TableWish) -> bytes:
    """The spec in YAML."""
    return SPEC.format(
        features="\n".join(f"      - {_feature(column)}" for column in wish.columns),
        shows=str(wish.shows).lower(),
        withhold=", ".join(wish.withhold),
        minimum=wish.minimum_cell,
        codes="gdlin: [666]" if any(column.column == "gdlin" for column in wish.columns) else "",
        explained=max(wish.explained, 1),
        players=f", players: {{groups: {{{wish.groups}}}}}" if wish.groups else "",
        reasons="reasons: {adverse: denied}" if wish.decisions else "",
        criteria=wish.criteria,
    ).encode()


def _feature(column: Column) -> str:
    parts = [f"column: {_quoted(column.column)}"]
    parts += [f"title: {_quoted(column.title)}"] if column.title else []
    if column.categories:
        parts += [
            f"categories: [{', '.join(map(_quoted, column.categories))}]",
            f"when_missing: {_quoted(column.categories[0])}",
        ]
    else:
        parts += ["mean: 1.5", "std: 0.5", "when_missing: 1.5", "missing_flag: true"]
    return "{" + ", ".join(parts) + "}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Maker:
    """Makes the records one after the other."""

    def __init__(self, wish: TableWish) -> None:
        self.wish, self.rng = wish, np.random.default_rng(11)
        self.records: list[Evidence] = []
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        count, width = wish.cases, len(wish.columns)
        self.ids = tuple(f"{wish.case_prefix}-{index:04d}" for index in range(count))
        values = self.rng.gamma(3.0, 0.6, (count, width))
        for place, column in enumerate(wish.columns):
            if column.categories:
                values[:, place] = self.rng.integers(0, len(column.categories), count)
        if count > 5 and width:
            values[3, 0] = values[5, -1] = np.nan
        self.values = values
        self.labels = (self.rng.random(count) < 0.4).astype(int)
        self.probability = np.clip(0.4 * self.labels + self.rng.beta(2, 3, count) * 0.7, 0.01, 0.99)
        self.predicted = (self.probability >= 0.5).astype(int)
        self.members = {name: np.arange(count)[place:: max(place, 1)] if place else np.arange(count)
                        for place, name in enumerate(SLICES)}  # fmt: skip
        self.chosen = [int(index) for index in self.rng.permutation(count)[: wish.explained]]

    def add(self, kind: str, subject: str, details: dict[str, Any], **parts: Any) -> Evidence:
        key = ":".join((kind, subject, str(parts.get("slice")), str(parts.get("method"))))
        arrays = parts.pop("arrays", {})
        references = tuple(ArrayRef(name, str(arrays[name].dtype), arrays[name].shape) for name in sorted(arrays))
        record = Evidence(
            id=hashlib.sha256(key.encode()).hexdigest()[:12], kind=kind, subject=subject,  # type: ignore[arg-type]
            slice=parts.pop("slice", None), status="measured", arrays=references, details=details, **parts,
        )  # fmt: skip
        self.records.append(record)
        self.arrays[record.id] = dict(arrays)
        return record

    def make(self) -> None:
        self.profile()
        self.predictions()
        self.cases()
        for method in ("shap", "lime"):
            self.explanation(method)
        if self.chosen:
            self.checked()
            self.global_view()
        self.fairness()
        if self.wish.decisions:
            self.reasons()

    def profile(self) -> None:
        slices = [{"name": n, "cases": len(m), "clusters": len(m), "digest": n * 8} for n, m in self.members.items()]
        counts = [[name, int((self.labels == k).sum())] for k, name in enumerate(CLASSES)]
        by_slice = [
            [part, [[name, int((self.labels[m] == k).sum())] for k, name in enumerate(CLASSES)]]
            for part, m in self.members.items()
        ]
        features = [self._feature_profile(place, column) for place, column in enumerate(self.wish.columns)]
        details = {
            "source": "table", "cases": self.wish.cases, "columns": [], "labels": counts, "labels_by_slice": by_slice,
            "slices": slices, "bad_cases": [], "training": {"declared": False}, "limits": [], "features": features,
            "missing_codes": [{"column": "gdlin", "value": 666, "count": 9}],
            "suspected_codes": [{"column": "hrat", "value": 999, "count": 12, "why": "far beyond all other values"}],
        }  # fmt: skip
        self.add("data_profile", "data_profile", details)

    def _feature_profile(self, place: int, column: Column) -> dict[str, Any]:
        values = self.values[:, place]
        known = values[np.isfinite(values)]
        base = {"name": column.column, "missing": int(np.isnan(values).sum())}
        if column.categories:
            codes = [[name, int((known == k).sum())] for k, name in enumerate(column.categories)]
            return base | {"kind": "category", "categories": list(column.categories), "codes": codes}
        if not len(known):
            return base | {"kind": "number", "mean": None, "median": None, "std": None, "min": None, "max": None}
        found = {
            "mean": known.mean(),
            "median": np.median(known),
            "std": known.std(),
            "min": known.min(),
            "max": known.max(),
        }
        return base | {"kind": "number"} | {key: float(value) for key, value in found.items()}

    def predictions(self) -> None:
        skill = {"measure": "kappa", "estimate": 0.8, "low": 0.7, "high": 0.9, "n": 60}
        details = {
            "classes": list(CLASSES), "task": "single_label", "scores_are": "logit",
            "skill": dict.fromkeys(self.members, skill),
        }  # fmt: skip
        self.add("predictions", "predictions", details, passes=Passes(self.wish.cases, 0))

    def cases(self) -> None:
        rules = ("random", "worst", "typical")
        entries = [
            {
                "id": self.ids[i], "index": i, "rule": rules[place % 3], "label": CLASSES[self.labels[i]],
                "predicted": CLASSES[self.predicted[i]], "probability": float(max(p := self.probability[i], 1 - p)),
                "slices": [name for name, members in self.members.items() if i in members],
            }
            for place, i in enumerate(self.chosen)
        ]  # fmt: skip
        said = {rule: RULES[rule] for rule in rules}
        names = [column.column for column in self.wish.columns]
        values = self.values[self.chosen].copy()
        values[:, [place for place, name in enumerate(names) if name in self.wish.withhold]] = np.nan
        details = {"rules": said, "from": self.wish.cases, "cases": entries, "feature_names": names,
                   "withheld": list(self.wish.withhold)}  # fmt: skip
        self.add("cases", "cases", details, arrays={"features": values})

    def explanation(self, method: str) -> None:
        count, width = len(self.chosen), len(self.wish.columns)
        labels = np.arange(width)
        if self.wish.groups and method == "shap":
            labels = np.where(labels < 2, 0, labels - 1)
        weight = np.linspace(1.6, -1.2, width)
        values = np.nan_to_num(self.values[self.chosen], nan=1.5)
        effect = (values - values.mean(axis=0, keepdims=True)) * weight if count else np.zeros((0, width))
        effect = effect * (1.0 if method == "shap" else 0.8)
        if self.wish.groups and method == "shap":
            effect[:, 1] = effect[:, 0]
        made = {
            "raw": effect.reshape(count, 1, 1, width).astype(np.float32),
            "segments": np.broadcast_to(labels, (count, 1, 1, width)).astype(np.int64),
            "standard_error": np.full((count, 1, 1, width), 0.04, np.float32),
        }
        self.contributions = effect if method == "shap" else self.contributions
        if method == "lime":
            r2 = np.linspace(0.4, 0.95, count)[:, None] if count else np.zeros((0, 1))
            made |= {"r2": r2.astype(np.float32)}
        else:
            made |= {name: np.ones((count, 1), np.float32) for name in ("evaluations", "value", "empty", "converged")}
            made["evaluations"] *= 2 ** min(width, 11)
            made["gap"] = np.full((count, 1), 1e-8, np.float32)
        baseline = {"kind": "background", "rows": 100, "slice": "all"} if method == "shap" else {"kind": "mean"}
        parameters = {"baseline": baseline, "mode": "exact", "estimator": "xai-audit"}
        details = {
            "use": method, "case_ids": [self.ids[i] for i in self.chosen], "parameters": parameters,
            "target": {"kind": "logit", "class": "predicted"}, "warnings": [],
        }  # fmt: skip
        self.add("explanation", method, details, arrays=made)

    def checked(self) -> None:
        explained = {part: sum(i in members for i in self.chosen) for part, members in self.members.items()}
        for subject, method, part, values, details, arrays, failure in checks(self.wish.trusted, explained, "table"):
            self.add("quality", subject, details, slice=part, method=method, values=values, arrays=arrays)
            if failure is not None:
                record = self.records[-1]
                self.arrays[record.id] = {}
                self.records[-1] = replace(record, status=failure[0], values=(), arrays=(), details={},
                                           failure=Failure("Refusal", failure[1]))  # type: ignore[arg-type]  # fmt: skip

    def global_view(self) -> None:
        for part, members in self.members.items():
            rows = [place for place, i in enumerate(self.chosen) if i in members]
            sizes = np.abs(self.contributions[rows]).mean(axis=0) if rows else np.zeros(len(self.wish.columns))
            values = tuple(
                Value("mean_absolute", float(size), float(size * 0.8), float(size * 1.2), len(rows), "value",
                      interval="bootstrap", draws="draws", label=column.column)
                for size, column in zip(sizes, self.wish.columns, strict=True)
            )  # fmt: skip
            self.add("global", "shap", {"cases": len(rows)}, slice=part, method="shap", values=values,
                     arrays={"draws": np.zeros(4)})  # fmt: skip

    def fairness(self) -> None:
        for measure in ("selection_rate", "equal_opportunity", "calibration_by_group"):
            for place, (part, members) in enumerate(self.members.items()):
                n, rate = len(members), 0.62 - 0.07 * place
                is_gap, is_reference = measure == "calibration_by_group", part == "white"
                unit = "difference" if is_gap else "share"
                estimate = 0.02 * place if is_gap else rate
                done = None if is_gap else round(rate * n)
                values = [Value(measure, estimate, estimate - 0.05, estimate + 0.05, n, unit, interval="bootstrap",
                                draws="draws", successes=done, trials=None if is_gap else n)]  # fmt: skip
                wide = (None, None) if is_reference else (-0.11, 0.02)
                kind = "none" if is_reference else "bootstrap"
                apart, why = (0.0, "the reference itself") if is_reference else (-0.045, "")
                values.append(Value("difference", apart, *wide, n, "difference", interval=kind, label="white",
                                    reason=why))  # fmt: skip
                if not is_gap:
                    ends = (None, None) if is_reference else (0.78, 1.05)
                    values.append(Value("ratio", 1.0 if is_reference else 0.91, *ends, n, "ratio", interval=kind,
                                        label="white"))  # fmt: skip
                details = {"positive": "granted", "threshold": 0.5, "reference": "white", "is_reference": is_reference}
                self.add("fairness", measure, details, slice=part, values=tuple(values), arrays={"draws": np.zeros(4)})

    def reasons(self) -> None:
        columns = self.wish.columns
        decisions = []
        for place in range(self.wish.decisions):
            reasons = [
                {
                    "feature": columns[(place + k) % len(columns)].column, "value": f"{1.25 + 0.01 * place:.2f}",
                    "contribution": 0.9 - 0.2 * k, "share": 0.4 - 0.1 * k, "standard_error": 0.02, "rank_low": k + 1,
                    "rank_high": k + 2, "kept_over_seeds": 1.0 - 0.15 * k, "kept_over_backgrounds": 1.0 - 0.3 * k,
                    "agreed": {"lime": k < 2},
                }
                for k in range(min(4, len(columns)))
            ]  # fmt: skip
            decisions.append({"id": self.ids[place % len(self.ids)], "reasons": reasons, "probability": 0.71})
        n = self.wish.decisions
        values = (
            Value("kept_over_seeds", 0.91, 0.88, 0.94, n, "share", interval="bootstrap", draws="draws"),
            Value("agreement", 0.55, 0.5, 0.6, n, "share", interval="bootstrap", draws="draws", label="lime"),
        )
        self.add("reasons", "reasons", {"adverse": "denied", "decisions": decisions, "parameters": {"top": 4}},
                 method="shap", values=values, arrays={"draws": np.zeros(4)})  # fmt: skip


def make_table_run(folder: Path, wish: TableWish | None = None) -> Made:
    """Write the run folder, sealed and judged."""
    wish = wish or TableWish()
    maker, text = _Maker(wish), spec_bytes(wish)
    maker.make()
    spec = load_text(text, folder / "audit.yaml").spec
    names = np.array(CLASSES)
    rows = Rows(maker.ids, {
        "label": names[maker.labels].tolist(), "predicted": names[maker.predicted].tolist(),
        "probability:denied": maker.probability.tolist(), "probability:granted": (1 - maker.probability).tolist(),
    })  # fmt: skip
    files = {
        "audit.yaml": text,
        "audit.normalised.json": b"{}\n",
        "evidence.jsonl": evidence_bytes(maker.records),
        "rows.parquet": rows_bytes([rows]),
    }
    files |= {f"arrays/{step}.safetensors": _array_bytes(arrays) for step, arrays in maker.arrays.items() if arrays}
    for name, data in files.items():
        write_atomically(folder / name, data)
    manifest = manifest_of(wish, maker, text) | {"audit": "mortgage", "qualification": wish.qualification}  # type: ignore[arg-type]
    seal(folder, manifest, files)
    run = read_run(folder)
    found = judge(spec, run.records, run.arrays, datetime.date(2026, 3, 9))
    write_atomically(folder / "findings.json", findings_text(found).encode())
    return Made(folder, run, spec, found)

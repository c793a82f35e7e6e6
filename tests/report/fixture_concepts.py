"""A run of the methods of concepts as a real run would leave it: units, dissection, tcav, made pictures, effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from fixture_run import SIDE, Made, Maker, Wish, _cell, make_run

from xai_audit.evidence.records import Passes, Value
from xai_audit.measures.intervals import percentile
from xai_audit.verdict.concept_findings import concept_findings

Entry = dict[str, Any]

CONCEPT_METHODS = ("activation_maps", "network_dissection", "tcav", "activation_maximisation")
GRID = 6
LAYER = "features.7"
QUANTILE = 0.005
RECEPTIVE = {"size": [48, 48], "stride": [16, 16], "start": [7.5, 7.5], "how": "graph", "why": ""}
MASKS = "interior: mask, busbar: busbar, crack: crack, frame: {border: 0.06}, dust: dust, glare: glare"
CONCEPTS = """concepts:
  - {name: interior, category: object}
  - {name: busbar, category: part}
  - {name: crack, category: part}
  - {name: frame, category: scene}
  - {name: glare, category: scene, spurious: true}
  - {name: dust, category: part}
  - {name: poly, category: material, spurious: true}
  - {name: mono, category: material}
  - {name: striped, category: texture, files: striped}
"""


@dataclass(frozen=True)
class Marked:
    """A concept of the made-up dissection."""

    name: str
    category: str
    prevalence: float
    is_spurious: bool = False
    annotated: int = 420
    origin: str = "mask"


MARKED = (
    Marked("interior", "object", 0.404),
    Marked("busbar", "part", 0.065),
    Marked("crack", "part", 0.031, annotated=128),
    Marked("frame", "scene", 0.117, is_spurious=True),
    Marked("glare", "scene", 0.012, is_spurious=True, annotated=61),
    Marked("dust", "part", 0.0001, annotated=9),
)


@dataclass(frozen=True)
class Found:
    """Which units of the made-up layer are detectors, and what silencing them does."""

    units: int = 24
    shown: int = 9
    detectors: Mapping[str, tuple[int, ...]] = field(
        default_factory=lambda: {"crack": (3, 11), "busbar": (7,), "frame": (2, 19), "glare": (14,)}
    )
    leans: frozenset[tuple[str, str]] = frozenset({("frame", "defective"), ("crack", "defective")})
    marked: tuple[Marked, ...] = MARKED
    receptive: Mapping[str, Any] = field(default_factory=lambda: dict(RECEPTIVE))
    top: int = 9
    broken: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    """Kind of step: status, class and message of its failure."""
    criteria: str = "criteria: []\n"


class ConceptMaker(Maker):
    """Makes the records of the methods of concepts, and of the others that are wished for."""

    def __init__(self, wish: Wish, found: Found) -> None:
        super().__init__(wish)
        self.found, self.random = found, np.random.default_rng(11)

    def make(self) -> None:
        self.profile()
        self.predictions()
        self.concepts()
        if any(method not in CONCEPT_METHODS for method in self.wish.methods):
            self.cases()
            self.explanations()

    def concepts(self) -> None:
        steps = {
            "activation_maps": ("units", self.units),
            "network_dissection": ("dissection", self.dissection),
            "tcav": ("tcav", self.tcav),
            "activation_maximisation": ("maximisation", self.maximisation),
        }
        self.add("scan", "scan", {"layers": [LAYER], "looks": 1, "readers": []}, passes=Passes(self.wish.cases, 420))
        self._break("scan")
        for method in self.wish.methods:
            if method in steps:
                kind, make = steps[method]
                make()
                self._break(kind)
                if kind == "dissection":
                    self.effects()
                    self._break("concept_effect")

    def _break(self, kind: str) -> None:
        if kind in self.found.broken:
            self.break_last(*self.found.broken[kind])

    def top(self, unit: int, top: int) -> list[dict[str, Any]]:
        """Cases of a unit with where it answers most and what it sees there."""
        found = []
        half = 24 if self.found.receptive["size"] else SIDE
        for rank in range(top):
            place = [int(self.random.integers(GRID)), int(self.random.integers(GRID))]
            middle = [8 + 16 * at for at in place]
            box = [max(0, middle[0] - half), max(0, middle[1] - half)]
            box += [min(SIDE, middle[0] + half), min(SIDE, middle[1] + half)]
            case = self.ids[(unit * 7 + rank * 3) % len(self.ids)]
            found.append({"case": case, "value": 9.5 * 0.99**unit - 0.31 * rank, "place": place, "box": box})
        return found

    def maps(self, tops: Sequence[Sequence[Mapping[str, Any]]]) -> np.ndarray:
        """Maps that are largest at each place."""
        rows, columns = np.indices((GRID, GRID))
        found = [
            [
                each["value"] * np.exp(-((rows - each["place"][0]) ** 2 + (columns - each["place"][1]) ** 2) / 1.5)
                for each in top
            ]
            for top in tops
        ]
        return np.asarray(found, np.float32).reshape(len(tops), len(tops[0]) if tops else 0, GRID, GRID)

    def pictures(self, tops: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[list[str], dict[str, np.ndarray]]:
        """Pictures of the cases that are shown; none where the spec shows none."""
        if not self.wish.shows_images:
            return [], {}
        named = list(dict.fromkeys(each["case"] for top in tops for each in top))
        places = [self.ids.index(case) for case in named]
        images = np.zeros((len(places), SIDE, SIDE, 1), np.uint8)
        for row, at in enumerate(places):
            images[row] = _cell(np.random.default_rng(at), self.labels[at] > 0)
        return named, {"pictures": images}

    def units(self) -> None:
        found, dead = self.found, {5, 17} & set(range(self.found.units))
        tops = [self.top(unit, found.top) for unit in range(found.units)]
        units = [
            {
                "unit": unit, "min": 0.0, "max": 0.0 if unit in dead else top[0]["value"],
                "mean": 0.0 if unit in dead else 0.4 / (1 + unit), "share_not_positive": 1.0 if unit in dead else 0.71,
                "is_dead": unit in dead, "is_saturated": unit == 9, "top": top,
            }
            for unit, top in enumerate(tops)
        ]  # fmt: skip
        order = [unit for unit in range(found.units) if unit not in dead] + sorted(dead)
        shown, arrays = self.pictures([tops[unit] for unit in order[: found.shown]])
        bins = 32
        edges = np.stack([np.linspace(0, max(entry["max"], 1e-6), bins + 1) for entry in units])
        arrays |= {"top_maps": self.maps(tops), "edges": edges}
        for part, members in self.members.items():
            shape = np.exp(-np.arange(bins) / (3.0 + len(part)))
            arrays[f"histogram:{part}"] = np.stack(
                [np.round(len(members) * 36 * shape / shape.sum() * (1 + 0.02 * unit)) for unit in range(found.units)]
            ).astype(np.int64)
        details = {
            "use": "activation_maps", "receptive": dict(found.receptive), "cases": self.wish.cases,
            "parameters": {"layer": LAYER, "grid": [GRID, GRID], "units": "all", "rank": "max", "top": found.shown},
            "summary": {"rank": "max", "is_rectified": True, "order": order, "units": units},
            "dead": sorted(dead), "saturated": [9] if found.units > 9 else [], "bins": bins,
            "saturation": {"rule": "largest", "share": 0.95},
            "slice_cases": {part: len(members) for part, members in self.members.items()},
            "slices": list(self.members), "pictures": shown, "warnings": [],
        }  # fmt: skip
        self.add("units", "activation_maps", details, slice="all", method="activation_maps", arrays=arrays)

    def dissection(self) -> None:
        found = self.found
        of_unit = {unit: name for name, units in found.detectors.items() for unit in units}
        concepts = [_concept(each) for each in found.marked]
        by_name = {entry["name"]: entry for entry in concepts}
        units = [_unit(unit, of_unit.get(unit), by_name) for unit in range(found.units)]
        first = [entry["unit"] for entry in units if entry["is_detector"]][:24]
        shown = [
            {"unit": unit, "top": self.top(unit, found.top), "marked": {"of": 5, "inside": 0 if unit == 19 else 4}}
            for unit in first
        ]
        named, arrays = self.pictures([entry["top"] for entry in shown])
        overlap = np.full((found.units, len(concepts)), 0.01)
        arrays |= {"iou": overlap, "null_p": np.full(found.units, 0.3), "thresholds": np.full(found.units, 3.5)}
        arrays |= {"rotated_iou": overlap, "top_maps": self.maps([entry["top"] for entry in shown])}
        names = {name for name, units_of in found.detectors.items() if units_of}
        categories = [
            {
                "name": category, "annotated": 420,
                "units": sum(len(found.detectors.get(c.name, ())) for c in found.marked if c.category == category),
                "concepts": sum(c.name in names for c in found.marked if c.category == category),
            }
            for category in dict.fromkeys(c.category for c in found.marked)
        ]  # fmt: skip
        details = {
            "use": "network_dissection", "receptive": dict(found.receptive), "cases": self.wish.cases,
            "parameters": {"layer": LAYER, "grid": [GRID, GRID], "quantile": QUANTILE, "iou": 0.04, "shuffles": 200,
                           "level": 0.05, "anchor": "receptive_field", "resolution": [SIDE, SIDE]},
            "concepts": concepts, "categories": categories, "units": units, "shown": shown, "pictures": named,
            "rotated": {"detectors": len(of_unit) // 3, "unique": min(1, len(names)), "over": len(of_unit) // 2},
            "warnings": ["Masks of 3 cases of `crack` are empty: they count as cases without it."],
        }  # fmt: skip
        counts = {
            "detectors": len(of_unit), "unique_concepts": len(names), "over": len(of_unit) + 1,
            "significant": len(of_unit) + 1, "rotated_detectors": len(of_unit) // 3, "rotated_unique": 1,
        }  # fmt: skip
        values = [Value(key, count, None, None, found.units, "units") for key, count in counts.items()]
        best = {entry["name"]: max((u["iou"] for u in units if u["concept"] == entry["name"]), default=0.01)
                for entry in concepts}  # fmt: skip
        for entry in concepts:
            estimate = best[entry["name"]]
            value, draws = resampled(
                "concept_iou", estimate, estimate * 0.05, entry["annotated"], "share", entry["name"]
            )
            values.append(value)
            arrays |= draws
        parts = {"slice": "all", "method": "network_dissection"}
        self.add("dissection", "network_dissection", details, values=tuple(values), arrays=arrays, **parts)

    def effects(self) -> None:
        spurious = {each.name: each.is_spurious for each in self.found.marked}
        effects = [
            self._effect(concept, name, units, spurious[concept])
            for concept, units in self.found.detectors.items()
            for name in self.wish.classes
            if units
        ]
        details = {
            "use": "concept_effect", "parameters": {"layer": LAYER, "silenced_to": "mean", "controls": 10},
            "effects": effects, "warnings": [], "how": "tail",
        }  # fmt: skip
        values, arrays = [], {}
        for entry in effects:
            for key, part in (("concept_effect", "drop"), ("control", "control")):
                label = f"{entry['concept']} on {entry['class']}"
                value, draws = resampled(key, entry[part]["estimate"], 0.11, entry["cases"], "value", label)
                entry[part] |= {"low": value.low, "high": value.high}
                values.append(value)
                arrays |= draws
        parts = {"slice": "all", "method": "network_dissection", "passes": Passes(0, 0, 420 * 12), "arrays": arrays}
        self.add("concept_effect", "network_dissection", details, values=tuple(values), **parts)

    def _effect(self, concept: str, class_: str, units: Sequence[int], is_spurious: bool) -> dict[str, Any]:
        leans = (concept, class_) in self.found.leans
        drop = 1.62 if leans else 0.04
        cases = int((self.labels == self.wish.classes.index(class_)).sum())
        return {
            "concept": concept, "class": class_, "spurious": is_spurious, "units": list(units), "cases": cases,
            "drop": {"estimate": drop, "n": cases}, "control": {"estimate": 0.11, "draws": 10},
            "difference": {"estimate": drop - 0.11, "low": drop - 0.4, "high": drop + 0.2},
            "draws_above": 0, "draws_below": 20, "margin": 4.1, "beats_control": leans, "leans": leans, "reason": "",
        }  # fmt: skip

    def tcav(self) -> None:
        rng, runs = np.random.default_rng(5), 20
        concepts = [("poly", "slice", 0.88, 20), ("mono", "slice", 0.81, 19), ("striped", "files", 0.51, 0)]
        comparisons = [
            self._comparison(concept, accuracy, kept, class_)
            for concept, _, accuracy, kept in concepts
            for class_ in self.wish.classes
        ]
        scores = np.stack([np.clip(rng.normal(c["score"] or 0.5, 0.05, runs), 0, 1) for c in comparisons])
        details = {
            "use": "tcav", "cases": self.wish.cases,
            "parameters": {"layer": LAYER, "grid": [GRID, GRID], "pool": "mean", "classifier": "ridge", "runs": runs,
                           "random": "pool", "null_sets": 239, "score_of": "logit"},
            "receptive": dict(self.found.receptive), "comparisons": comparisons, "comparisons_in_all": len(comparisons),
            "concepts": [
                {"name": concept, "origin": origin, "images": 84, "accuracy": accuracy, "kept": kept,
                 "dropped": runs - kept} for concept, origin, accuracy, kept in concepts
            ],
            "warnings": [],
        }  # fmt: skip
        arrays = {"vectors": np.zeros((3, self.found.units)), "scores": scores, "null": np.full((6, 239), 0.1),
                  "accuracies": np.full((3, runs), 0.8)}  # fmt: skip
        values = []
        for entry in (each for each in comparisons if each["score"] is not None):
            label = f"{entry['concept']} on {entry['class']}"
            value, draws = resampled("tcav_score", entry["score"], 0.018, entry["cases"], "share", label)
            values.append(value)
            arrays |= draws
        for concept, _, accuracy, _ in concepts:
            value, draws = resampled("concept_accuracy", accuracy, 0.02, 34, "share", concept)
            values.append(value)
            arrays |= draws
        parts = {"slice": "all", "method": "tcav", "arrays": arrays}
        self.add("tcav", "tcav", details, values=tuple(values), **parts)

    def _comparison(self, concept: str, accuracy: float, kept: int, class_: str) -> dict[str, Any]:
        is_present, leans = kept > 0, concept == "mono" and class_ == self.wish.classes[-1]
        cases = int((self.labels == self.wish.classes.index(class_)).sum())
        return {
            "concept": concept, "class": class_, "spurious": concept == "poly",
            "score": (0.93 if leans else 0.53) if is_present else None, "cases": cases,
            "magnitude": 0.21 if is_present else None, "p": (0.0042 if leans else 0.61) if is_present else None,
            "p_corrected": (0.025 if leans else 1.0) if is_present else None, "significant": leans,
            "p_paper": (1e-7 if leans else 0.003) if is_present else None,
            "kept": kept, "dropped": 20 - kept, "accuracy": {"mean": accuracy, "low": accuracy - 0.04,
                                                            "high": accuracy + 0.04},
            "state": "tested" if is_present else "not_linearly_present",
        }  # fmt: skip

    def maximisation(self) -> None:
        rng, steps = np.random.default_rng(6), 64
        entries = [("unit 3", "unit", 3), ("unit 7", "unit", 7), ("class defective", "class", self.wish.classes[-1])]
        tops = [self.top(number, 9) for number in (3, 7, 12)]
        pictures = [
            {
                "name": name, "kind": kind, kind: value, "is_moved": True, "objective": 12.5 - 5 * at,
                "best_real": {"case": tops[at][0]["case"], "value": 9.1}, "beats_real": at == 0,
                "transformed": {"mean": 11.0 - 5 * at, "smallest": 9.5 - 5 * at, "share_kept": 0.88, "count": 16},
                "reading": "before ReLU" if kind == "unit" else "as given",
            }
            for at, (name, kind, value) in enumerate(entries)
        ]  # fmt: skip
        y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        images = np.stack([0.5 + 0.4 * np.sin(20 * x + at) * np.cos(25 * y * (1 + at)) for at in range(3)])
        images = np.clip(images + rng.normal(0, 0.03, images.shape), 0, 1)[:, None].astype(np.float32)
        rise = 1 - np.exp(-np.arange(steps) / 12)
        curve = np.stack([entry["objective"] * rise for entry in pictures])
        named, kept = self.pictures(tops)
        arrays = {"images": images, "curve": curve, "transformed": np.full((3, 16), 9.0)}
        arrays |= {"real_values": np.asarray([[each["value"] for each in top] for top in tops])} | kept
        details = {
            "use": "activation_maximisation",
            "parameters": {"layer": LAYER, "neuron": "channel", "parametrisation": "fourier", "steps": steps, "l2": 0.0,
                           "learning_rate": 0.05, "decay": 1.0, "transforms": ["pad", "jitter"], "tv": 0.0, "seed": 5},
            "pictures": pictures, "best_real_pictures": named, "receptive": dict(self.found.receptive), "warnings": [],
        }  # fmt: skip
        parts = {"slice": "all", "method": "activation_maximisation", "arrays": arrays}
        self.add("maximisation", "activation_maximisation", details, passes=Passes(240, 192), **parts)


def resampled(
    measure: str, estimate: float, spread: float, n: int, unit: str, label: str
) -> tuple[Value, dict[str, np.ndarray]]:
    """A value with the interval that follows from its draws, as a step leaves it."""
    draws = estimate + spread * np.linspace(-2, 2, 401)
    found = percentile(draws, estimate, 0.95)
    assert found is not None
    named = f"draws:{measure}:{label}"
    return Value(measure, estimate, found.low, found.high, n, unit, interval="bootstrap", draws=named, label=label), {
        named: draws
    }


def _concept(each: Marked) -> dict[str, Any]:
    low, high = sorted((each.prevalence, QUANTILE))
    ceiling, product = low / high, each.prevalence * QUANTILE
    return {
        "name": each.name, "category": each.category, "spurious": each.is_spurious, "origin": each.origin,
        "annotated": each.annotated, "prevalence": each.prevalence, "ceiling": ceiling,
        "chance": product / (each.prevalence + QUANTILE - product), "can_pass": ceiling > 0.04, "warnings": [],
    }  # fmt: skip


def _unit(unit: int, concept: str | None, concepts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Detectors as declared; unit 0 overlaps by chance, unit 1 is beyond chance and too small, unit 5 is silent."""
    named = concept or ("glare" if unit == 0 and "glare" in concepts else next(iter(concepts)))
    ceiling = concepts[named]["ceiling"]
    is_over, is_significant = concept is not None or unit == 0, concept is not None or unit == 1
    iou = (max(0.041, ceiling * 0.83) if concept else 0.05) if is_over else ceiling * 0.6
    entry = {
        "unit": unit, "own_ceiling": min(1.0, ceiling * 1.02), "inside": 0.5 if concept else 0.05,
        "doubtful": unit == 19,
        "threshold": 3.5, "state": "silent" if unit == 5 else "scored", "share": QUANTILE,
        "concept": named, "iou": iou, "ceiling": ceiling,
        "p": 0.00498 if is_significant else 0.31, "q": 0.03 if is_significant else 0.6, "is_over": is_over,
        "is_significant": is_significant, "is_detector": is_over and is_significant,
    }  # fmt: skip
    unknown = ("concept", "iou", "ceiling", "own_ceiling", "inside", "p", "q")
    return entry | (dict.fromkeys(unknown) if unit == 5 else {})


def told_anew(made: Made, kind: str, key: str, change: Callable[[Entry], Entry]) -> Made:
    """The same run where each entry of one kind of record is changed, with what is then found of its concepts."""
    records = list(made.run.records)
    for at, record in enumerate(records):
        if record.kind == kind:
            details = {**record.details, key: [change(dict(entry)) for entry in record.details[key]]}
            records[at] = replace(record, details=details, values=())
    findings = (*(each for each in made.findings if each.kind != "concept"), *concept_findings(records))
    return replace(made, run=replace(made.run, records=tuple(records)), findings=findings)


def concept_wish(**changes: Any) -> Wish:
    """What the report of a run of concepts is asked to show."""
    wanted: dict[str, Any] = {"methods": CONCEPT_METHODS, "broken": (), "masks": MASKS}
    criteria = changes.pop("criteria", "criteria: []\n")
    reads_all = {"network_dissection", "tcav"} <= set(changes.get("methods", CONCEPT_METHODS))
    return Wish(**(wanted | changes), criteria=f"{criteria}{CONCEPTS if reads_all else ''}")


def make_concept_run(folder: Path, wish: Wish | None = None, found: Found = Found()) -> Made:
    """Write the run folder, sealed and judged."""
    wish = wish or concept_wish()
    return make_run(folder, wish, ConceptMaker(wish, found))

"""The record of a dissection: concepts, units, detectors beside those of random directions, and why none can pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.dissection import Basis, Dissected
from xai_audit.concepts.overlap import ceiling, chance, iou
from xai_audit.concepts.reading import Read
from xai_audit.concepts.scores import score_column
from xai_audit.concepts.shuffles import LEVEL
from xai_audit.engines.kept_pictures import kept_pictures
from xai_audit.evidence.records import Value
from xai_audit.evidence.store import Rows
from xai_audit.explain.explained import layer_record
from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.resampling import clusters_with, resampled_sums

if TYPE_CHECKING:
    from xai_audit.engines.dissecting import DissectionReader

MOST_SHOWN, BEST_SHOWN = 24, 12
"""Units with pictures: detectors at most, and how many of the best where there is none."""
LEAST_MARKED = 3
"""Fewer strongest cases that are annotated for a unit's concept do not make its name doubtful."""
FEW_CASES = 20
"""Fewer annotated cases give few ways to deal out the marks."""


def read_of(reader: DissectionReader) -> Read:
    """All that a finished dissection says."""
    found = reader.dissection.dissected(reader.random("shuffles"))
    measured = _measured(reader, found)
    shown = _shown(found.units)
    marked = _marked(reader, found, shown)
    top = reader.dissection.top
    cases = reader.lookout.cases
    ids = [reader.context.dataset.ids[int(index)] for index in cases]
    names, pictures = kept_pictures(reader.context, cases[np.unique(top.cases[shown])].tolist())
    entries = top.entries(ids, reader.field, reader.context.size)
    details = {
        **_setting(reader),
        **{key: value for key, value in measured.details.items() if key != "warnings"},
        "concepts": _concepts(reader, found),
        "categories": _categories(reader, found),
        "units": _units(reader, found, marked),
        "rotated": {
            "detectors": int(found.rotated.is_detector.sum()),
            "unique": len(found.rotated.found),
            "over": int(found.rotated.is_over.sum()),
        },
        "shown": [{"unit": int(unit), "top": entries[unit], "marked": marked.get(int(unit))} for unit in shown],
        "pictures": names,
        "warnings": [*_warnings(reader, found), *measured.details["warnings"]],
    }
    arrays = {
        **measured.arrays,
        "iou": found.units.iou,
        "own_ceilings": found.units.ceilings,
        "null_p": np.where(found.units.is_scored, found.units.chance.p, np.nan),
        "thresholds": found.units.thresholds.values.astype(np.float64),
        "rotated_iou": found.rotated.iou,
        "unit_means": found.means,
        "unit_minima": found.minima,
        "top_maps": top.maps[shown],
        "pictures": pictures,
    }
    return Read(details, (*_counts(reader, found), *measured.values), arrays, _rows(reader, found, ids))


def _setting(reader: DissectionReader) -> dict[str, Any]:
    method = reader.method
    return {
        "use": method.use,
        "parameters": {
            **layer_record(reader.layer),
            "quantile": method.quantile,
            "iou": method.iou,
            "shuffles": method.shuffles,
            "level": LEVEL,
            "anchor": reader.field.how,
            "resolution": list(reader.context.size),
            "coarse_grid": [reader.asked.picture.rows.cells, reader.asked.picture.columns.cells],
        },
        "receptive": reader.field.as_json(),
        "cases": len(reader.lookout.cases),
        "looks": reader.looks,
    }


def _shown(units: Basis) -> NDArray[np.int64]:
    """Units with pictures: the best detector of each concept, then others by overlap; without one the best scored."""
    order = np.argsort(-units.best_iou, kind="stable")
    detectors = order[units.is_detector[order]]
    if not len(detectors):
        return order[units.is_scored[order]][:BEST_SHOWN]
    _, firsts = np.unique(units.best[detectors], return_index=True)
    is_first = np.isin(np.arange(len(detectors)), firsts)
    return np.concatenate([detectors[is_first], detectors[~is_first]])[:MOST_SHOWN]


def _marked(reader: DissectionReader, found: Dissected, shown: NDArray[np.int64]) -> dict[int, dict[str, int]]:
    """Of detectors and of shown units with a concept: how many of their strongest cases are annotated for it (`of`),
    and in how many of these the place of the largest value lies in it (`inside`)."""
    units, top, lookout = found.units, reader.dissection.top, reader.lookout
    asked = units.is_detector.copy()
    asked[shown] = True
    asked &= units.best >= 0
    picture, places = reader.asked.picture, top.places
    pixels = np.stack([picture.rows.nearest[places[..., 0]], picture.columns.nearest[places[..., 1]]], axis=-1)
    told = {}
    for unit in np.flatnonzero(asked):
        concept = int(units.best[unit])
        is_known = lookout.annotated[top.cases[unit], lookout.category[concept]]
        known = zip(top.cases[unit, is_known].tolist(), pixels[unit, is_known].tolist(), strict=True)
        inside = [bool(lookout.mark(case, concept)[row, column]) for case, (row, column) in known]
        told[int(unit)] = {"of": len(inside), "inside": sum(inside)}
    return told


def _concepts(reader: DissectionReader, found: Dissected) -> list[dict[str, Any]]:
    lookout, entries = reader.lookout, []
    measured = _best(found)
    for number, (concept, category) in enumerate(zip(lookout.concepts, lookout.category, strict=True)):
        annotated = int(found.annotated[category])
        share = _prevalence(reader, found, number)
        limits: dict[str, Any] = {"prevalence": share, "ceiling": None, "chance": None, "can_pass": False}
        limits |= {"unit": None, "own_ceiling": None}
        if share is not None:
            highest = ceiling(share, reader.method.quantile)
            limits |= {"ceiling": highest, "can_pass": highest > reader.method.iou}
            limits["chance"] = chance(share, reader.method.quantile)
            if found.units.is_scored.any():
                unit = int(measured[number])
                limits |= {"unit": unit, "own_ceiling": float(found.units.ceilings[unit, number])}
        entries.append(
            {
                "name": concept.name,
                "category": concept.category,
                "spurious": bool(concept.spurious),
                "origin": "mask" if concept.mask is not None else "slice",
                "annotated": annotated,
                **limits,
                "null": found.null[number],
                "absent": int(lookout.taken_as_absent[number]),
                "warnings": _concept_warnings(reader, found, number),
            }
        )
    return entries


def _best(found: Dissected) -> NDArray[np.intp]:
    """The unit of each concept's overlap, the highest of all units, (concepts,); it may overlap more with another."""
    best: NDArray[np.intp] = np.nan_to_num(found.units.iou, nan=-1.0).argmax(axis=0)
    return best


def _prevalence(reader: DissectionReader, found: Dissected, concept: int) -> float | None:
    """Share of the pixels of the annotated cases that the concept marks; None where no case is annotated."""
    pixels = int(found.annotated[reader.lookout.category[concept]]) * int(np.prod(reader.context.size))
    return int(found.concept_pixels[concept]) / pixels if pixels else None


def _concept_warnings(reader: DissectionReader, found: Dissected, number: int) -> list[str]:
    lookout, name = reader.lookout, reader.lookout.concepts[number].name
    absent, category = int(lookout.taken_as_absent[number]), lookout.concepts[number].category
    told = []
    if absent:
        told.append(
            f"{absent} of {int(found.annotated[lookout.category[number]])} cases have no mark of {name} and another "
            f"concept of the category {category} marked: there {name} counts as absent. If it was only not looked for, "
            f"give it a category of its own."
        )
    share = _prevalence(reader, found, number)
    if share is None:
        return [*told, f"No case is annotated for {name}: it was not looked for."]
    if found.null[number] == "none" and share > 0:
        peers = zip(lookout.concepts, found.null, strict=True)
        told.append(_untested(name, category, any(c.category == category and null == "dealt" for c, null in peers)))
    return [*told, *cannot_pass(name, share, reader.method.quantile, reader.method.iou)]


def _untested(name: str, category: str, others_differ: bool) -> str:
    """Why no unit whose best concept it is can be told from chance."""
    if others_differ:
        return (
            f"{name} is the same in every case, and others of the category {category} are not: dealing out the marks "
            f"anew changes nothing for it, so that there is no test against chance (p is 1). Give it a category of its "
            f"own, where its marks are moved instead."
        )
    return (
        f"{name} is the same in every case and everywhere: neither dealing out its marks anew nor moving them changes "
        f"anything, so that there is no test against chance (p is 1)."
    )


def cannot_pass(name: str, prevalence: float, quantile: float, limit: float) -> list[str]:
    """Why no unit can exceed the limit for a concept of this prevalence, and what would let it; nothing where one can.

    Its IoU cannot exceed min(p, q) / max(p, q).
    """
    if prevalence == 0:
        return [f"{name} marks no pixel of any annotated case: no unit can overlap with it."]
    highest = ceiling(prevalence, quantile)
    if highest > limit:
        return []
    answers = f"{name} marks {percent(prevalence)} of the annotated pixels, and a unit answers at {percent(quantile)} "
    reaches = f"reaches an overlap (IoU) of {highest:.3g}, never above the limit of {limit:g}"
    if prevalence > quantile:
        best = f"one that answers inside {name} and nowhere else covers {percent(quantile / prevalence)} of it and "
        way = f"raise `quantile` above {_rounded(limit * prevalence, math.ceil):g}"
    else:
        best = f"one that answers wherever {name} is does so at {quantile / prevalence:.3g} times as many places and "
        way = f"lower `quantile` below {_rounded(prevalence / limit, math.floor):g}"
    return [
        f"{answers}of all places by definition: {best}{reaches}. So no unit can be a detector of {name}; that says "
        f"nothing against the net. Read the overlap beside its ceiling, or {way}."
    ]


def _rounded(number: float, to_whole: Callable[[float], int]) -> float:
    """A number above 0 with three digits, rounded to the side on which what is said of it holds."""
    digits = 2 - math.floor(math.log10(number))
    return round(to_whole(round(number * 10.0**digits, 6)) / 10.0**digits, digits)


def percent(share: float) -> str:
    """A share in percent, with three digits."""
    return f"{float(f'{100 * share:.3g}'):g} %"


def _categories(reader: DissectionReader, found: Dissected) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "annotated": int(found.annotated[number]),
            "units": _detectors_of(reader, found.units, number),
            "concepts": _found_of(reader, found.units, number),
        }
        for number, name in enumerate(reader.lookout.categories)
    ]


def _detectors_of(reader: DissectionReader, units: Basis, category: int) -> int:
    return int((reader.lookout.category[units.best[units.is_detector]] == category).sum())


def _found_of(reader: DissectionReader, units: Basis, category: int) -> int:
    return int((reader.lookout.category[units.found] == category).sum())


def _units(reader: DissectionReader, found: Dissected, marked: Mapping[int, Mapping[str, int]]) -> list[dict[str, Any]]:
    nothing = {"of": 0, "inside": 0}
    return [
        _unit(reader, found, unit) | {"doubtful": _is_doubtful(**marked.get(unit, nothing))}
        for unit in range(reader.layer.channels)
    ]


def _is_doubtful(of: int, inside: int) -> bool:
    """Whether a unit has its strongest answers elsewhere than in the concept that it is named after."""
    return of >= LEAST_MARKED and inside == 0


def _unit(reader: DissectionReader, found: Dissected, unit: int) -> dict[str, Any]:
    units, places = found.units, len(reader.lookout.cases) * int(np.prod(reader.layer.grid))
    entry: dict[str, Any] = {
        "unit": unit,
        "threshold": float(units.thresholds.values[unit]),
        "state": "scored" if units.is_scored[unit] else "silent",
        "share": int(units.thresholds.above[unit]) / places,
    }
    nothing = dict.fromkeys(("concept", "iou", "ceiling", "own_ceiling", "inside", "p", "q"))
    if not units.is_scored[unit]:
        return {**entry, **nothing, "shuffles": 0, "is_over": False, "is_significant": False, "is_detector": False}
    best = int(units.best[unit])
    entry |= {**nothing, "iou": float(units.best_iou[unit])}
    if best >= 0:
        share = _prevalence(reader, found, best)
        assert share is not None
        entry |= {
            "concept": reader.lookout.concepts[best].name,
            "ceiling": ceiling(share, reader.method.quantile),
            "own_ceiling": float(units.ceilings[unit, best]),
            "inside": float(units.inside[unit, best]),
        }
    return {
        **entry,
        "p": float(units.chance.p[unit]),
        "q": float(units.chance.corrected[unit]),
        "shuffles": int(units.chance.shuffles[unit]),
        "is_over": bool(units.is_over[unit]),
        "is_significant": bool(units.is_significant[unit]),
        "is_detector": bool(units.is_detector[unit]),
    }


def _counts(reader: DissectionReader, found: Dissected) -> list[Value]:
    """How many units and concepts, in all and by category, and along random directions."""
    units, rotated = found.units, found.rotated
    scored, turned = int(units.is_scored.sum()), int(rotated.is_scored.sum())
    values = [
        _count("detectors", int(units.is_detector.sum()), scored, "units"),
        _count("unique_concepts", len(units.found), scored, "concepts"),
        _count("over", int(units.is_over.sum()), scored, "units"),
        _count("significant", int(units.is_significant.sum()), scored, "units"),
        _count("rotated_detectors", int(rotated.is_detector.sum()), turned, "units"),
        _count("rotated_unique", len(rotated.found), turned, "concepts"),
    ]
    for number, name in enumerate(reader.lookout.categories):
        values.append(_count("detectors", _detectors_of(reader, units, number), scored, "units", name))
        values.append(_count("unique_concepts", _found_of(reader, units, number), scored, "concepts", name))
    return values


def _count(name: str, count: int, units: int, unit: str, label: str = "") -> Value:
    return Value(name, float(count), None, None, units, unit, label=label)


def _measured(reader: DissectionReader, found: Dissected) -> Measured:
    """The IoU of each concept's best unit, with an interval over cases (or clusters) for this unit and threshold."""
    best = _best(found)
    sums = reader.dissection.case_sums(best)
    dataset, cases, lookout = reader.context.dataset, reader.lookout.cases, reader.lookout
    clusters = None if dataset.clusters is None else dataset.clusters[cases]
    rng, annotated = reader.random("bootstrap"), lookout.annotated[:, lookout.category]
    silent = "" if found.units.is_scored.any() else "No unit of the layer ever exceeds its threshold."
    estimates = []
    for number, concept in enumerate(lookout.concepts):
        inside = annotated[:, number]
        count = int(inside.sum())
        why = silent if count else "No case is annotated for it."
        if why:
            estimates.append(Estimate("concept_iou", np.nan, count, "share", concept.name, why))
            continue
        both, unit, whole = resampled_sums(sums[inside, number], None if clusters is None else clusters[inside], rng).T
        highest, draws = float(found.units.iou[best[number], number]), iou(both, unit, whole)
        independent = clusters_with(clusters, inside)
        estimates.append(
            Estimate("concept_iou", highest, count, "share", concept.name, draws=draws, independent=independent)
        )
    return gather(estimates, {}, clusters)


def _rows(reader: DissectionReader, found: Dissected, ids: list[str]) -> Rows:
    """Each case's largest activation of the best detector of each concept that has one."""
    units, names = found.units, reader.lookout.concepts
    of_concept = np.where(units.is_detector, units.best, -1)
    best = [int(np.argmax(np.where(of_concept == concept, units.best_iou, -1.0))) for concept in units.found]
    largest = reader.dissection.largest(np.array(best, np.int64))
    label = reader.method.label
    columns = {
        score_column(label, names[concept].name): largest[:, place].tolist()
        for place, concept in enumerate(units.found)
    }
    return Rows(tuple(ids), columns)


def _warnings(reader: DissectionReader, found: Dissected) -> list[str]:
    told = []
    for name, count in zip(reader.lookout.categories, found.annotated.tolist(), strict=True):
        if 0 < count < FEW_CASES:
            told.append(
                f"Only {count} cases are annotated for the category {name}: there are few ways to deal out the marks "
                f"anew, so that chance can hardly be ruled out."
            )
    undecided = _undecided(found.units)
    if undecided:
        told.append(
            f"{undecided} units did better than every one of {int(found.units.chance.shuffles.max())} shuffles, and "
            f"still cannot be told from chance after the correction over {int(found.units.is_scored.sum())} units: "
            f"raise `shuffles`."
        )
    if reader.context.dataset.clusters is not None:
        told.append(
            "The shuffles deal out marks among single cases: where cases of one cluster resemble each other, chance "
            "gives more than they show."
        )
    return told


def _undecided(units: Basis) -> int:
    """Units over the limit that no shuffle reached and that are not significant all the same."""
    unreached = units.chance.p * (units.chance.shuffles + 1) < 1.5
    return int((units.is_over & ~units.is_significant & unreached & units.is_scored).sum())

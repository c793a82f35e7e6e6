"""The record of a tcav: scores with their intervals and tests, the accuracy of each concept's vectors, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.classifiers import ALPHA, FOLDS
from xai_audit.concepts.permutation import LEAST, LEVEL, MOST, POOL, bonferroni
from xai_audit.concepts.reading import Read
from xai_audit.concepts.vectors import Settings, tcav_score
from xai_audit.engines.concept_vector_warnings import warnings_of
from xai_audit.engines.tested_concepts import CHANCE, Bools, ClassCases, Pair, Tested, pairs_of
from xai_audit.errors import Refusal
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import Rows
from xai_audit.explain.explained import layer_record
from xai_audit.measures.measured import Estimate, gather
from xai_audit.measures.resampling import codes, multiplicities

if TYPE_CHECKING:
    from xai_audit.engines.concept_vectors import ConceptReader


def read_of(
    reader: ConceptReader, classes: Sequence[ClassCases], found: Sequence[Tested], settings: Settings, count: int
) -> Read:
    """The record of a tcav whose concepts were tested. Raises Refusal where none is linearly present at the layer."""
    if not any(one.state == "tested" for one in found):
        raise _not_present(reader, found)
    pairs = list(pairs_of(classes, found))
    estimates = [_score(reader, pair) for pair in pairs] + [_accuracy(one) for one in found]
    details = {
        "use": "tcav",
        "parameters": _parameters(reader, settings),
        "cases": len(reader.cases),
        "comparisons": [_comparison(pair, count) for pair in pairs],
        "comparisons_in_all": count,
        "concepts": [_concept(one) for one in found],
        "warnings": list(warnings_of(pairs, found, classes, settings, count)),
    }
    measured = gather(estimates, details, _clusters(reader, reader.cases))
    arrays = {**_arrays(reader, pairs, found, settings), **measured.arrays}
    return Read(measured.details, measured.values, arrays, _rows(reader, found))


def _not_present(reader: ConceptReader, found: Sequence[Tested]) -> Refusal:
    told = [
        f"{one.images.concept.name!r} with held-out accuracy {one.accuracy['mean']:.2f} of {one.vectors.trials} images"
        for one in found
        if one.vectors is not None and one.accuracy is not None
    ]
    found_ = f"no concept that is linearly present at this layer: {', '.join(told)}"
    expected = f"a vector whose accuracy's 95 % lower bound is above {CHANCE}"
    fix = "Take another layer, or more images that differ in the concept alone."
    return Refusal(f"layer {reader.layer.path!r}", found_, expected, fix)


def _parameters(reader: ConceptReader, settings: Settings) -> dict[str, Any]:
    method = reader.method
    is_ridge = settings.classifier == "ridge"
    return {
        **layer_record(reader.layer),
        "pool": method.pool, "classifier": settings.classifier, **({"alpha": ALPHA} if is_ridge else {"C": 1.0}),
        "runs": settings.runs, "random": method.random, "null_sets": settings.null_sets,
        "score_of": reader.targets[0].kind, "held_out": f"{FOLDS} folds", "level": LEVEL,
        "least_images": LEAST, "most_images": MOST, "most_drawn_from": POOL,
    }  # fmt: skip


def _comparison(pair: Pair, count: int) -> dict[str, Any]:
    tested, answers = pair.tested, pair.answers
    made: dict[str, Any] = {
        "concept": tested.images.concept.name, "class": pair.of_class.name,
        "spurious": bool(tested.images.concept.spurious), "state": pair.state,
        "cases": len(pair.of_class.indexes), "accuracy": tested.accuracy,
        "kept": int(tested.kept.sum()), "dropped": int((~tested.kept).sum()),
        "score": None, "magnitude": None, "zeros": None, "p": None, "p_corrected": None, "p_paper": None,
        "significant": False,
    }  # fmt: skip
    if answers is None or pair.state != "tested":
        return made
    corrected = bonferroni(answers.p, count)
    return {
        **made,
        "score": tcav_score(answers.rises, tested.kept),
        "magnitude": float(answers.slopes[tested.kept].mean()),
        "zeros": pair.zeros,
        "p": answers.p,
        "p_corrected": corrected,
        "p_paper": answers.paper_p,
        "significant": bool(corrected <= LEVEL),
    }


def _concept(one: Tested) -> dict[str, Any]:
    images = one.images
    return {
        "name": images.concept.name, "category": images.concept.category, "spurious": bool(images.concept.spurious),
        "origin": images.origin, "source": images.source, "digest": images.folder.digest if images.folder else None,
        "images": images.size, "shown": images.shown, "drawn_from": len(images.others), "pool": images.pool,
        "accuracy": one.accuracy, "kept": int(one.kept.sum()), "dropped": int((~one.kept).sum()),
        "state": one.state, "reason": str(images.refusal) if images.refusal is not None else "",
    }  # fmt: skip


def _score(reader: ConceptReader, pair: Pair) -> Estimate:
    """The mean score of the kept vectors; its interval resamples the counterparts and the cases, or their clusters."""
    n, kept = len(pair.of_class.indexes), pair.tested.kept
    if pair.answers is None or pair.state != "tested":
        reason = {
            "refused": str(pair.tested.images.refusal),
            "not_linearly_present": "The concept is not linearly present at this layer.",
            "no_case": "The slice has no case of this class.",
            "no_gradient": "No gradient of this class's score reaches the layer.",
        }[pair.state]
        return Estimate("tcav_score", np.nan, n, "share", pair.label, reason)
    rises = pair.answers.rises[kept]
    clusters = _clusters(reader, pair.of_class.indexes)
    rng = generator(reader.context.spec.audit.seed, f"{reader.step.id}:{pair.label}:interval")
    of_case = codes(clusters, n)
    draws = _resampled(rises, of_case, rng)
    number, units = tcav_score(pair.answers.rises, kept), int(of_case.max()) + 1
    return Estimate("tcav_score", number, n, "share", pair.label, draws=draws, independent=units)


def _resampled(rises: Bools, of_case: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Scores of resampled counterparts and, by themselves, resampled clusters of cases, (resamples,)."""
    counts = np.bincount(of_case).astype(np.float64)
    sums = np.stack([np.bincount(of_case, weights=one, minlength=len(counts)) for one in rises])
    runs, draws = len(rises), []
    for times in multiplicities(len(counts), rng):
        of_runs = rng.multinomial(runs, np.full(runs, 1 / runs), size=len(times))
        draws.append(((of_runs @ sums) * times).sum(1) / (times @ counts) / runs)
    return np.concatenate(draws)


def _accuracy(one: Tested) -> Estimate:
    name, images = one.images.concept.name, one.images
    if one.vectors is None:
        return Estimate("concept_accuracy", np.nan, images.shown, "share", name, str(images.refusal))
    trials = one.vectors.trials
    return Estimate("concept_accuracy", one.right / trials, trials, "share", name, successes=one.right, trials=trials)


def _clusters(reader: ConceptReader, indexes: NDArray[np.int64]) -> NDArray[np.int64] | None:
    clusters = reader.context.dataset.clusters
    return None if clusters is None else clusters[indexes]


def _arrays(
    reader: ConceptReader, pairs: Sequence[Pair], found: Sequence[Tested], settings: Settings
) -> dict[str, NDArray[Any]]:
    """In the order of the comparisons and of the concepts; rows of 0 where there was nothing to score."""
    runs, nulls = np.zeros(settings.runs), np.zeros(settings.null_sets)
    scored = [pair.answers for pair in pairs]
    vectors = np.stack([one.vectors.mean(one.kept) if one.vectors is not None else _nothing(reader) for one in found])
    made = {
        "scores": np.stack([runs if one is None else one.scores for one in scored]),
        "slopes": np.stack([runs if one is None else one.slopes for one in scored]),
        "null": np.stack([nulls if one is None else one.null_balances + CHANCE for one in scored]),
        "null_slopes": np.stack([nulls if one is None else one.null_slopes for one in scored]),
        "accuracies": np.stack(
            [runs if one.vectors is None else one.vectors.right / one.vectors.trials for one in found]
        ),
    }
    if reader.method.pool == "mean":
        return {**made, "vectors": vectors}
    return {**made, "place_vectors": vectors.reshape(len(found), reader.layer.channels, *reader.layer.grid)}


def _nothing(reader: ConceptReader) -> NDArray[np.float64]:
    return np.zeros(reader.activations.shape[1])


def _rows(reader: ConceptReader, found: Sequence[Tested]) -> Rows:
    """How far each case of the slice lies along each concept that is linearly present."""
    columns = {}
    for one in found:
        if one.vectors is not None and one.state == "tested":
            along = reader.activations.astype(np.float64) @ one.vectors.mean(one.kept)
            columns[f"concept:{reader.method.label}:{one.images.concept.name}"] = along.tolist()
    return Rows(tuple(reader.context.dataset.ids[int(index)] for index in reader.cases), columns)

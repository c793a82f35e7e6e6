"""How well a fitted explanation fits, and what it was compared with: LIME's R², Shapley's errors, the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.evidence.canonical import canonical
from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, name, number
from xai_audit.report.document import Sentence, Span

POOR_FIT = 0.5
"""Below this R² a local linear fit is no explanation (METHODS 5)."""
OWN_ESTIMATOR = "xai-audit"
Arrays = Mapping[str, npt.NDArray[Any]]


def per_case(arrays: Arrays, key: str) -> npt.NDArray[np.float64] | None:
    """What a step kept of each case as one number, or none."""
    if key not in arrays:
        return None
    return _flat(arrays[key])[:, 0]


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(cases, numbers), one number at least, also of no case at all."""
    return np.asarray(array, dtype=np.float64).reshape(len(array), max(1, array.size // max(1, len(array))))


def is_lime(arrays: Arrays) -> bool:
    """Whether the step fitted a linear model case by case."""
    return "r2" in arrays


def is_shapley(arrays: Arrays) -> bool:
    """Whether the step shared out a game's value case by case."""
    return "evaluations" in arrays and "empty" in arrays


def largest_errors(arrays: Arrays) -> npt.NDArray[np.float64] | None:
    """The largest standard error of each case; none where the step has no errors."""
    if "standard_error" not in arrays:
        return None
    return np.asarray(np.nan_to_num(_flat(arrays["standard_error"]), nan=0.0).max(axis=1))


def fit_mark(context: Context, arrays: Arrays, row: int, source: str) -> Sentence:
    """What is printed beside every picture of a fitted explanation."""
    if is_lime(arrays):
        r2 = per_case(arrays, "r2")
        assert r2 is not None
        return context.say("fit.r2", r2=number(context.numbers.value("fit", r2[row], "score"), source))
    errors, evaluations = largest_errors(arrays), per_case(arrays, "evaluations")
    if not is_shapley(arrays) or evaluations is None:
        return ()
    asked = number(context.numbers.count(round(evaluations[row])), source)
    if errors is None:
        return context.say("fit.no_error", evaluations=asked)
    if errors[row] == 0:
        return context.say("fit.exact", evaluations=asked)
    return context.say("fit.error", error=number(context.numbers.plain(errors[row], 2), source), evaluations=asked)


def fit_remark(context: Context, arrays: Arrays, row: int) -> Sentence:
    """That a picture explains nothing because its fit is poor, or has not reached its error."""
    r2, converged = per_case(arrays, "r2"), per_case(arrays, "converged")
    if r2 is not None and not r2[row] >= POOR_FIT:
        return context.say("fit.poor")
    if is_shapley(arrays) and converged is not None and not converged[row]:
        return context.say("fit.not_converged")
    return ()


def fit_sentences(context: Context, record: Evidence, arrays: Arrays) -> Iterator[Sentence]:
    """The same over all cases of a step, and who computed it and how."""
    if is_lime(arrays):
        yield from _lime(context, record, arrays)
    if is_shapley(arrays):
        yield from _estimator(context, record)
        yield from _shapley(context, record, arrays)


def _lime(context: Context, record: Evidence, arrays: Arrays) -> Iterator[Sentence]:
    r2 = per_case(arrays, "r2")
    if r2 is None or not r2.size:
        return
    middle, least = (
        number(context.numbers.value("fit", float(value), "score"), record.id) for value in (np.median(r2), r2.min())
    )
    yield context.say("fit.lime.r2", median=middle, least=least)
    poor = int((~(r2 >= POOR_FIT)).sum())
    limit = number(context.numbers.plain(POOR_FIT, 1), record.id)
    yield context.count_of("fit.lime.poor", poor, record.id, limit=limit)
    yield from _error(context, record, arrays)


def _estimator(context: Context, record: Evidence) -> Iterator[Sentence]:
    parameters = record.details.get("parameters", {})
    estimator, mode = str(parameters.get("estimator") or OWN_ESTIMATOR), str(parameters.get("mode") or "kernel")
    how = context.label(f"fit.mode.{mode}")
    if estimator == OWN_ESTIMATOR:
        yield context.say("fit.shapley.own", how=how)
    else:
        yield context.say("fit.shapley.package", estimator=name(estimator, record.id), how=how)
    if mode == "owen":
        yield context.say("fit.shapley.owen")


def _shapley(context: Context, record: Evidence, arrays: Arrays) -> Iterator[Sentence]:
    evaluations, converged, gap = (per_case(arrays, key) for key in ("evaluations", "converged", "gap"))
    if evaluations is None or not evaluations.size:
        return
    yield from _error(context, record, arrays)
    low, high = (number(context.numbers.count(round(end)), record.id) for end in (evaluations.min(), evaluations.max()))
    key = "fit.shapley.evaluations" if evaluations.min() < evaluations.max() else "fit.shapley.same_evaluations"
    yield context.say(key, low=low, high=high)
    if converged is not None:
        yield context.count_of("fit.shapley.not_converged", int((converged == 0).sum()), record.id)
    if gap is not None:
        largest = number(context.numbers.plain(float(np.abs(gap).max()), 2), record.id)
        yield context.say("fit.shapley.gap", largest=largest)


def _error(context: Context, record: Evidence, arrays: Arrays) -> Iterator[Sentence]:
    errors = largest_errors(arrays)
    if errors is not None and errors.size and errors.max() > 0:
        largest = number(context.numbers.plain(float(errors.max()), 2), record.id)
        yield context.say("fit.largest_error", largest=largest)


def settings_beside(context: Context, record: Evidence) -> Sentence:
    """Baseline, window and superpixels of a method, as they stand beside its scale."""
    parameters = record.details.get("parameters", {})
    said = [*_baseline(context, parameters.get("baseline"), record.id)]
    if "window" in parameters and "stride" in parameters:
        window, stride = (_named(context, parameters[key], record.id) for key in ("window", "stride"))
        said.append(context.say("beside.window", window=window, stride=stride))
    segments = parameters.get("segments") or parameters.get("players")
    if isinstance(segments, str | dict):
        said.append(context.say("beside.segments", segments=_segments(context, segments, record.id)))
    return context.joined(said)


def _segments(context: Context, segments: str | dict[str, Any], source: str) -> Sentence:
    """Superpixels or features in words."""
    kind = segments.get("kind") if isinstance(segments, dict) else segments
    if not context.words.has(f"segments.{kind}"):
        return (_named(context, segments, source),)
    settings = segments if isinstance(segments, dict) else {}
    parts = {key: _named(context, settings.get(key, "–"), source) for key in ("rows", "columns", "n")}
    return context.say(f"segments.{kind}", **parts)


def _baseline(context: Context, baseline: object, source: str) -> Iterator[Sentence]:
    if baseline is None:
        return
    kind = baseline.get("kind") if isinstance(baseline, dict) else baseline
    words = f"baseline.{kind}"
    if isinstance(baseline, dict) and context.words.has(f"{words}.with"):
        parts = {key: _named(context, value, source) for key, value in baseline.items() if key != "kind"}
        yield context.say("beside.baseline", baseline=context.say(f"{words}.with", **parts))
    elif context.words.has(f"{words}.name"):
        yield context.say("beside.baseline", baseline=context.say(f"{words}.name"))
    else:
        yield context.say("beside.baseline", baseline=_named(context, baseline, source))


def _named(context: Context, value: object, source: str) -> Span:
    if isinstance(value, bool | str):
        return name(str(value), source)
    if isinstance(value, int):
        return number(context.numbers.count(value), source)
    if isinstance(value, float):
        return number(context.numbers.plain(float(value), 4), source)
    return name(canonical(value).replace('"', "").replace(",", ", ").replace(":", ": "), source)

"""What each kind of step does: from its parents' evidence, the data and the model to one record."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xai_audit import registry
from xai_audit.data.cases import RULES, choose_cases
from xai_audit.data.preprocess import prepare
from xai_audit.data.sources import Dataset
from xai_audit.engines.preparing import Prepared
from xai_audit.engines.probed_maps import control_maps
from xai_audit.engines.progress import Progress
from xai_audit.engines.recording import result_of
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import derived_seed, generator
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.explain.explained import Limits
from xai_audit.explain.stages import relevance_map
from xai_audit.measures.data_profile import profile
from xai_audit.measures.measured import Measured, Options
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.skill import skill
from xai_audit.model.audited import AuditedModel
from xai_audit.plan import Step, measure_uses
from xai_audit.plan.quality import CONTROL
from xai_audit.spec.schema import AuditSpec, ModelInput
from xai_audit.spec.schema import Predictions as PredictionsSource
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path as KeyPath


@dataclass(frozen=True)
class Context:
    """What a step may use."""

    spec: AuditSpec
    spec_folder: Path
    dataset: Dataset
    """The readable cases."""
    digests: Sequence[str]
    """Digest of each case."""
    slices: Mapping[str, np.ndarray]
    model: AuditedModel | None
    limits: Limits
    precision: str
    """Type of the numbers that the model computes with."""
    prepared: Callable[[], Prepared]
    """The methods as they fit the model, found when first asked for."""
    progress: Progress
    profile: Mapping[str, Any]
    """Details of the data profile; empty before it is made."""
    read: Callable[[str], StepResult]
    """A kept step, by id."""
    report: Callable[[Step, Exception], None]
    """Keeps the traceback of a step that failed alone."""
    spec_line: Callable[[KeyPath], int | None] = lambda path: None
    """Line of the spec where a path of keys begins; None where the text is not at hand."""

    @property
    def input(self) -> ModelInput:
        """Preprocessing of the model of images."""
        assert self.spec.model is not None and isinstance(self.spec.model.input, ModelInput)
        return self.spec.model.input

    @property
    def table_input(self) -> TableInput | None:
        """Features of the model of a table; None where cases are images, or there is no model."""
        found = self.spec.model.input if self.spec.model is not None else None
        return found if isinstance(found, TableInput) else None

    @property
    def is_table(self) -> bool:
        """Whether a case is a row of a table."""
        return self.table_input is not None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what the model sees: 1 and the number of features for a row."""
        assert self.spec.model is not None
        return self.spec.model.input.size

    @property
    def features(self) -> np.ndarray:
        """Features of all readable cases, (cases, features) in float64: codes for categories, NaN where missing."""
        assert self.dataset.features is not None
        return self.dataset.features

    @property
    def mean_colour(self) -> tuple[float, ...]:
        """Mean of the prepared images, one number a channel in [0, 1]; measured by the data profile."""
        return tuple(self.profile["mean_colour"])

    def count(self, passes: Passes) -> None:
        """Tell the progress of passes that were just made."""
        self.progress.advance(passes.rows + 2 * passes.backwards)

    def parent(self, step: Step, kind: str) -> StepResult:
        """The parent of a kind."""
        return next(p for p in (self.read(i) for i in step.parents) if p.record.kind == kind)

    def case(self, index: int) -> np.ndarray:
        """One case as the model's input is made of it: pixels (C, H, W) in [0, 1], or a row (1, 1, features)."""
        if self.is_table:
            return np.asarray(self.features[index][None, None, :])
        return prepare(self.dataset.image(index), self.input)

    def pixels(self, indexes: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of (indexes, cases), read as they are asked for: pixels (n, C, H, W) in [0, 1], or rows (n, 1, 1,
        features) in float64."""
        for start in range(0, len(indexes), self.limits.rows):
            part = np.asarray(indexes[start : start + self.limits.rows])
            if self.is_table:
                yield part, self.features[part][:, None, None, :]
            else:
                yield part, np.stack([self.case(int(i)) for i in part])


_ELSEWHERE = {
    "pass": "xai_audit.engines.explaining:explain_unit",
    "explanation": "xai_audit.engines.explaining:explain_unit",
    "fairness": "xai_audit.engines.fairness:fairness_unit",
    "operating_point": "xai_audit.engines.challengers:operating_unit",
    "challenger": "xai_audit.engines.challengers:challenger_unit",
    "split_integrity": "xai_audit.engines.split_integrity:split_unit",
    "sorting": "xai_audit.engines.inspecting:sorting_unit",
    "appraisers": "xai_audit.engines.inspecting:appraisers_unit",
    "drift_baseline": "xai_audit.engines.inspecting:baseline_unit",
    "boundary": "xai_audit.engines.inspecting:boundary_unit",
    "probe": "xai_audit.engines.probing:probe_unit",
    "quality": "xai_audit.engines.probing:quality_unit",
    "global": "xai_audit.engines.global_views:global_unit",
    "surrogate": "xai_audit.engines.surrogates:surrogate_unit",
    "reasons": "xai_audit.engines.reasons:reasons_unit",
    "scan": "xai_audit.engines.scanning:scan_unit",
    "units": "xai_audit.engines.scanning:scan_unit",
    "dissection": "xai_audit.engines.scanning:scan_unit",
    "tcav": "xai_audit.engines.scanning:scan_unit",
    "maximisation": "xai_audit.engines.maximising:maximisation_unit",
    "concept_effect": "xai_audit.engines.concept_effects:effect_unit",
    "causal_graph": "xai_audit.engines.causal:graph_unit",
    "causal_query": "xai_audit.engines.causal:query_unit",
    "severity": "xai_audit.engines.severity:severity_unit",
    "cause_beside_attribution": "xai_audit.engines.beside:beside_unit",
}
"""Kinds of step whose work is in a module of its own: it takes the context and the unit."""


def carry_out(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Carry out steps that belong together; raises what a step raises when it stands alone."""
    first = unit[0]
    own = {"data_profile": _profile, "predictions": _predictions, "cases": _cases, "localisation": _localisation}
    if first.kind in _ELSEWHERE:
        module, _, name = _ELSEWHERE[first.kind].partition(":")
        made: list[StepResult] = getattr(importlib.import_module(module), name)(context, unit)
        return made
    return [own.get(first.kind, _measure)(context, first)]


def _profile(context: Context, step: Step) -> StepResult:
    found = profile(
        context.dataset, context.spec, context.slices, context.spec_folder, context.progress.advance, context.digests
    )
    return result_of(step, found.details, values=found.values)


def _predictions(context: Context, step: Step) -> StepResult:
    from xai_audit.engines.predicting import predict, stored_scores

    source = context.spec.data.source
    if isinstance(source, PredictionsSource):
        scores, probabilities, passes = (*stored_scores(context.dataset, source), Passes())
        context.progress.advance(len(context.dataset.ids))
    else:
        scores, probabilities, passes = predict(context)
    classes = context.spec.classes or _output_names(context.spec, scores.shape[1])
    columns = _score_columns(context, classes, scores, probabilities)
    details = {"classes": list(classes), "task": context.spec.task, "scores_are": _scores_are(context.spec)}
    kept = result_of(step, details, rows=Rows(context.dataset.ids, columns), passes=passes)
    if all(registry.measure(use.use).group != "quality" for use in measure_uses(context.spec)):
        return kept
    made, seed = predictions_of(context, kept), context.spec.audit.seed
    found = {name: skill(made.of(cases), generator(seed, f"skill:{name}")) for name, cases in context.slices.items()}
    return replace(kept, record=replace(kept.record, details={**details, "skill": found}))


def _scores_are(spec: AuditSpec) -> str:
    if spec.model is not None:
        return "probability" if spec.model.task == "detection" else spec.model.scores_are
    return str(getattr(spec.data.source, "scores_are", "probability"))


def _output_names(spec: AuditSpec, count: int) -> tuple[str, ...]:
    if spec.model and spec.model.outputs:
        return spec.model.outputs
    return tuple(f"output {index}" for index in range(count)) if count > 1 else ("value",)


def _score_columns(
    context: Context, classes: Sequence[str], scores: np.ndarray, probabilities: np.ndarray | None
) -> dict[str, list[Any]]:
    dataset, task = context.dataset, context.spec.task
    names = classes if scores.shape[1] == len(classes) else classes[1:]
    columns: dict[str, list[Any]] = {}
    if task == "regression":
        columns["label"], columns["predicted"] = dataset.labels[:, 0].tolist(), scores[:, 0].tolist()
    else:
        assert probabilities is not None
        columns["label"] = _label_names(dataset.labels, classes)
        chosen = Predictions(task, tuple(classes), dataset.labels, scores, probabilities).chosen
        columns["predicted"] = _label_names(chosen, classes)
        columns |= {f"probability:{name}": probabilities[:, k].tolist() for k, name in enumerate(classes)}
    columns |= {f"score:{name}": scores[:, k].tolist() for k, name in enumerate(names)}
    if dataset.clusters is not None:
        columns["cluster"] = np.unique(dataset.clusters, return_inverse=True)[1].tolist()
    for name, indexes in context.slices.items():
        inside = set(indexes.tolist())
        columns[f"slice:{name}"] = [index in inside for index in range(len(dataset.ids))]
    return columns


def _label_names(labels: np.ndarray, classes: Sequence[str]) -> list[str]:
    if labels.ndim == 1:
        return [classes[int(label)] for label in labels]
    return ["|".join(name for name, on in zip(classes, row, strict=True) if on) for row in labels]


def predictions_of(context: Context, kept: StepResult) -> Predictions:
    """Labels, scores and probabilities of all readable cases, from the kept predictions."""
    columns, classes = kept.rows.columns, tuple(kept.record.details["classes"])

    def matrix(prefix: str) -> np.ndarray | None:
        found = [
            np.asarray(columns[f"{prefix}:{name}"], dtype=np.float64)
            for name in classes
            if f"{prefix}:{name}" in columns
        ]
        return np.stack(found, axis=1) if found else None

    scores = matrix("score")
    assert scores is not None
    return Predictions(
        task=context.spec.task, classes=classes, labels=context.dataset.labels, scores=scores,
        probabilities=matrix("probability"), clusters=context.dataset.clusters,
    )  # fmt: skip


def _measure(context: Context, step: Step) -> StepResult:
    assert step.slice is not None
    part = predictions_of(context, context.parent(step, "predictions")).of(context.slices[step.slice])
    options = Options(**{key: step.parameters.get(key) for key in ("positive", "threshold", "bins")})
    found = _function(step.subject)(part, options, generator(context.spec.audit.seed, step.id))
    context.progress.advance(step.cases)
    return _measured(step, found, [context.dataset.ids[i] for i in context.slices[step.slice]])


def _function(measure: str) -> Callable[..., Measured]:
    module, _, name = registry.measure(measure).call.partition(":")
    function: Callable[..., Measured] = getattr(importlib.import_module(module), name)
    return function


def _measured(step: Step, found: Measured, ids: Sequence[str]) -> StepResult:
    rows = Rows(tuple(ids), {name: column.tolist() for name, column in found.rows.items()})
    return result_of(step, found.details, values=found.values, arrays=found.arrays, rows=rows)


def _cases(context: Context, step: Step) -> StepResult:
    kept = context.parent(step, "predictions")
    predictions, dataset, spec = predictions_of(context, kept), context.dataset, context.spec
    quality = _quality(predictions)
    chosen = choose_cases(spec.cases, quality, dataset.ids, derived_seed(spec.audit.seed, step.id))
    answers = kept.rows.columns["predicted"], kept.rows.columns["label"]
    cases = [
        {
            "id": dataset.ids[case.index], "index": int(case.index), "rule": case.rule,
            "label": answers[1][case.index], "predicted": answers[0][case.index],
            "probability": _shown_probability(predictions, case.index),
            "slices": [name for name, indexes in context.slices.items() if case.index in indexes],
        }
        for case in chosen
    ]  # fmt: skip
    arrays = {}
    indexes = [case.index for case in chosen]
    details: dict[str, Any] = {
        "cases": cases,
        "from": len(dataset.ids),
        "rules": {rule: RULES[rule] for rule in spec.cases.choose},
    }
    if context.table_input is not None:
        names, hidden = context.table_input.names, spec.data.show.withhold
        is_hidden = np.asarray([name in hidden for name in names])
        arrays["features"] = np.where(is_hidden, np.nan, context.features[indexes])
        details |= {"feature_names": list(names), "withheld": [name for name in names if name in hidden]}
    elif spec.data.show.images:
        images = [prepare(dataset.image(i), context.input) for i in indexes]
        arrays["images"] = np.stack([np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0) for image in images])
    for concept in spec.data.masks:
        masks = [dataset.seen_mask(i, concept, context.input) for i in indexes]
        arrays[f"mask:{concept}"] = np.stack(masks).astype(np.uint8)
    context.progress.advance(step.cases)
    return result_of(step, details, arrays=arrays)


def _quality(predictions: Predictions) -> np.ndarray:
    """How well each case was answered, higher is better: probability of the true label, or minus the error."""
    if predictions.task == "regression":
        return np.asarray(-np.abs(predictions.scores - predictions.labels).mean(axis=1))
    assert predictions.probabilities is not None
    if predictions.task == "multi_label":
        right = np.where(predictions.labels == 1, predictions.probabilities, 1 - predictions.probabilities)
        return np.asarray(right.mean(axis=1))
    return np.asarray(predictions.probabilities[np.arange(len(predictions.labels)), predictions.labels])


def _shown_probability(predictions: Predictions, index: int) -> float:
    if predictions.probabilities is None:
        return float(predictions.scores[index, 0])
    return float(predictions.probabilities[index].max())


def _relevance(context: Context, step: Step, inside: Sequence[int], cases: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Maps of a method or a control for the cases of a slice, (cases, height, width), not negative."""
    if str(step.method).startswith(CONTROL):
        return control_maps(context, str(step.method), [cases[place] for place in inside])
    explanation = context.parent(step, "explanation")
    if explanation.record.status != "measured":
        raise (Refusal if explanation.record.status == "not_applicable" else StepError)(
            step.title,
            f"a map that is {explanation.record.status}",
            "a measured map",
            "See the explanation's own record.",
        )
    reduction = registry.method(explanation.record.details["use"]).reduction
    return relevance_map(explanation.arrays["raw"][inside].astype(np.float64), reduction, context.input.size)


def _localisation(context: Context, step: Step) -> StepResult:
    chosen = context.parent(step, "cases")
    cases = chosen.record.details["cases"]
    inside = [place for place, case in enumerate(cases) if step.slice in case["slices"]]
    maps = _relevance(context, step, inside, cases)
    masks = chosen.arrays[f"mask:{step.mask}"][inside].astype(bool)
    clusters = (
        None if context.dataset.clusters is None else context.dataset.clusters[[cases[i]["index"] for i in inside]]
    )
    own = {} if step.parameters.get("tolerance") is None else {"tolerance": step.parameters["tolerance"]}
    found = _function(step.subject)(maps, masks, clusters, generator(context.spec.audit.seed, step.id), **own)
    context.progress.advance(1)
    named = {
        f"{step.subject}:{step.method}:{step.mask}": column
        for name, column in found.rows.items()
        if name == step.subject
    }
    kept = Measured(values=found.values, arrays=found.arrays, details=found.details, rows=named)
    return _measured(step, kept, [cases[i]["id"] for i in inside])

"""What one surrogate tree is grown from: cases with features and the net's answers, and a way to ask for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_audit.concepts.scores import KINDS, concept_scores
from xai_audit.engines.surrogate_values import HeldOut
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import generator
from xai_audit.measures.predictions import Predictions
from xai_audit.model.audited import is_out_of_memory
from xai_audit.plan import Step
from xai_audit.plan.surrogates import most_passes
from xai_audit.spec.methods import ConceptFeature, DecisionTree, TreeFeature
from xai_audit.surrogate.features import entries_of, from_rows, read_features
from xai_audit.surrogate.held_out import held_out, together
from xai_audit.surrogate.queries import Queries
from xai_audit.surrogate.samples import Answers, Sample
from xai_audit.surrogate.tree import Settings

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

FEWEST_CASES = 200
"""On fewer cases neither the tree nor what it is tested on can be believed."""
MOST_LABELS = 62
"""Labels of a multi_label net whose sets fit into one code."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TreeCase:
    """Everything that one tree is grown from and tested on."""

    context: Context
    step: Step
    method: DecisionTree
    indexes: Integers
    sample: Sample
    predictions: Predictions
    rows: NDArray[np.float64] | None
    """(cases, features of the model), of a table."""
    is_out: NDArray[np.bool_]
    asker: Asker

    @property
    def module(self) -> torch.nn.Module:
        """The net."""
        assert self.context.model is not None
        return self.context.model.module

    @property
    def settings(self) -> Settings:
        """How far the tree may grow."""
        return Settings(self.method.max_depth, self.method.max_leaves, self.method.min_samples)

    @property
    def why_no_queries(self) -> str:
        """Why rows are not made up; empty where they are."""
        if self.method.queries == "off":
            return "off"
        if self.rows is None:
            return "images"
        return "" if all(column.place is not None for column in self.sample.columns) else "columns"

    @property
    def clusters(self) -> Integers | None:
        """Of the cases; None where each is its own."""
        clusters = self.predictions.clusters
        return None if clusters is None or len(np.unique(clusters)) == len(clusters) else clusters

    def rng(self, part: str) -> np.random.Generator:
        """A generator for one part of the work."""
        return generator(self.context.spec.audit.seed, f"{self.step.id}:{part}")

    def queries(self) -> Queries | None:
        """What makes rows up from the cases that the tree is grown from."""
        model_input = self.context.table_input
        if self.why_no_queries or self.rows is None or model_input is None:
            return None
        kept, columns = ~self.is_out, self.sample.columns
        return Queries(
            columns, self.rows[kept], self.sample.values[kept], lambda rows: from_rows(columns, model_input, rows),
            self.asker.ask,
        )  # fmt: skip

    def held_out_cases(self) -> HeldOut:
        """The cases that the tree is tested on."""
        part = self.predictions.of(np.flatnonzero(self.is_out))
        is_regression = part.task == "regression"
        sample = self.sample.take(np.flatnonzero(self.is_out))
        return HeldOut(
            sample.values, sample.answers, None if is_regression else codes_of(part.labels),
            np.asarray(part.labels, dtype=np.float64) if is_regression else None,
            None if self.clusters is None else self.clusters[self.is_out], self.rng("intervals"),
        )  # fmt: skip

    def names(self, code: int) -> str:
        """An answer of the net in words."""
        if self.predictions.task != "multi_label":
            return self.predictions.classes[code]
        return "|".join(name for place, name in enumerate(self.predictions.classes) if code >> place & 1)


def tree_case(context: Context, step: Step, method: DecisionTree) -> TreeCase:
    """What a step's tree is grown from. Raises Refusal for too few cases, one answer alone, and features not there."""
    from xai_audit.engines.steps import predictions_of

    where = f"methods.{method.label}"
    indexes = context.slices[step.slice or "all"]
    if len(indexes) < FEWEST_CASES:
        fix = "Name a larger slice."
        raise Refusal(f"{where}.slice", f"{len(indexes)} cases in {step.slice}", f"at least {FEWEST_CASES}", fix)
    predictions = predictions_of(context, context.parent(step, "predictions")).of(indexes)
    answers = answers_of(predictions, where)
    features = context.dataset.features
    rows = None if features is None else features[indexes]
    entries = entries_of(method, context.spec)
    scores = _concept_scores(context, step, entries, indexes, where)
    columns, values = read_features(entries, context.dataset, indexes, context.spec, rows, where, scores)
    is_out = held_out(
        answers.labels, together(predictions.clusters, rows, len(indexes)), len(indexes), method.holdout,
        generator(context.spec.audit.seed, f"{step.id}:split"),
    )  # fmt: skip
    if is_out.all() or not is_out.any():
        found = "cases of one cluster, or of equal rows, of which none or all would be held out"
        fix = "Declare a finer `data.cluster`, or take data with more rows that differ."
        raise Refusal(f"{where}.holdout", found, "several clusters of rows that differ", fix)
    case = TreeCase(
        context, step, method, indexes, Sample(columns, values, answers), predictions, rows, is_out, Asker(context)
    )
    _within_budget(case, where)
    return case


def _concept_scores(
    context: Context, step: Step, entries: Sequence[TreeFeature], indexes: Integers, where: str
) -> dict[ConceptFeature, NDArray[np.float64]]:
    """What the methods of concepts say of those that are features. Raises Refusal where one was not found."""
    steps = [context.read(parent) for parent in step.parents]
    kept = {each.record.subject: each for each in steps if each.record.kind in KINDS}
    ids = [context.dataset.ids[index] for index in indexes.tolist()]
    found: dict[ConceptFeature, NDArray[np.float64]] = {}
    for place, entry in enumerate(entries):
        if isinstance(entry, ConceptFeature):
            at = f"{where}.features[{place}]"
            if entry.method not in kept:
                expected = "a network_dissection or tcav of this audit"
                raise Refusal(f"{at}.method", f'"{entry.method}"', expected, "Correct the name.")
            found[entry] = concept_scores(kept[entry.method], entry.concept, ids, at)
    return found


def _within_budget(case: TreeCase, where: str) -> None:
    budget = case.method.budget
    if budget is None or case.why_no_queries:
        return
    most = most_passes(case.method)
    if most > budget * len(case.indexes):
        found = f"up to {most} made-up rows for {len(case.indexes)} cases"
        fix = "Raise `budget`, lower `max_leaves`, or write `queries: off`."
        raise Refusal(f"{where}.budget", found, f"at most {budget} for a case, its `budget`", fix)


def answers_of(predictions: Predictions, where: str) -> Answers:
    """The net's own answers: its classes, its sets of labels, or the number of a regression.

    Raises Refusal for one answer alone, a regression of several outputs, and too many labels.
    """
    if predictions.task == "regression":
        if predictions.scores.shape[1] != 1:
            found = f"a regression of {predictions.scores.shape[1]} outputs"
            raise Refusal(where, found, "one output: a tree stands for one number", "Audit the outputs one by one.")
        if np.ptp(predictions.scores) == 0:
            raise _one_answer(where, f"{predictions.scores[0, 0]:g}")
        return Answers(None, predictions.scores)
    if predictions.task == "multi_label" and len(predictions.classes) > MOST_LABELS:
        found = f"{len(predictions.classes)} labels"
        raise Refusal(where, found, f"at most {MOST_LABELS} for a tree", "Audit fewer labels at a time.")
    labels = codes_of(predictions.chosen)
    if len(np.unique(labels)) == 1:
        raise _one_answer(where, "one class" if predictions.task == "multi_label" else predictions.classes[labels[0]])
    soft = predictions.probabilities
    return Answers(labels, predictions.scores if soft is None else soft)


def _one_answer(where: str, answer: str) -> Refusal:
    found, fix = f"one answer of the model to every case: {answer}", "Take a slice on which its answers differ."
    return Refusal(where, found, "two answers or more: a tree tells them apart", fix)


def codes_of(labels: NDArray[Any]) -> Integers:
    """One whole number a case: the class, or the set of labels as bits."""
    if labels.ndim == 1:
        return labels.astype(np.int64)
    return np.asarray(labels.astype(np.int64) @ (1 << np.arange(labels.shape[1], dtype=np.int64)))


@dataclass
class Asker:
    """Asks the net about rows of a table, and counts them."""

    context: Context
    passes: Passes = field(default_factory=Passes)

    def ask(self, rows: NDArray[np.float64]) -> Answers:
        """The net's answers to some rows (rows, features)."""
        size = self.context.limits.rows
        scores = np.concatenate([self._scores(rows[start : start + size]) for start in range(0, len(rows), size)])
        self.passes += Passes(forwards=len(rows))
        self.context.count(Passes(forwards=len(rows)))
        model, spec = self.context.model, self.context.spec
        assert model is not None
        together = torch.from_numpy(scores)
        probabilities = None if model.task == "regression" else model.probabilities(together).numpy()
        nothing = np.zeros(scores.shape if spec.task in ("multi_label", "regression") else len(scores), dtype=np.int64)
        classes = spec.classes or tuple(f"output {k}" for k in range(scores.shape[1]))
        found = Predictions(spec.task, classes, nothing, scores, probabilities)
        if found.task == "regression":
            return Answers(None, found.scores)
        return Answers(codes_of(found.chosen), scores if probabilities is None else probabilities)

    def _scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """In double precision; a batch that memory does not hold is halved."""
        model = self.context.model
        assert model is not None
        try:
            with torch.no_grad():
                pixels = torch.from_numpy(np.ascontiguousarray(rows))[:, None, None, :].to(model.device)
                return np.asarray(model.scores(pixels).double().cpu().numpy())
        except Exception as error:
            if len(rows) < 2 or not is_out_of_memory(error):
                raise
        half = len(rows) // 2
        return np.concatenate([self._scores(rows[:half]), self._scores(rows[half:])])

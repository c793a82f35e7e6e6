"""The model's scores for every case, in batches; or the scores that a table holds already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import expit, softmax

from xai_audit.data.sources import Dataset
from xai_audit.evidence.records import Passes
from xai_audit.model.guard import left_as_found
from xai_audit.spec.schema import Predictions as PredictionsSource

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def predict(context: Context) -> tuple[np.ndarray, np.ndarray | None, Passes]:
    """Scores (cases, outputs), probabilities (cases, classes) or None for a regression, and the passes made."""
    model = context.model
    assert model is not None
    scores, forwards = [], 0
    with left_as_found(model.module), torch.no_grad():
        for indexes, pixels in context.pixels(range(len(context.dataset.ids))):
            ids = [context.dataset.ids[index] for index in indexes]
            batch = model.scores(torch.from_numpy(pixels).to(model.device), ids)
            scores.append(batch.double().cpu())
            forwards += len(indexes)
            context.progress.advance(len(indexes))
    together = torch.cat(scores)
    probabilities = None if model.task == "regression" else model.probabilities(together).numpy()
    return together.numpy(), probabilities, Passes(forwards=forwards)


def stored_scores(dataset: Dataset, source: PredictionsSource) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores and probabilities of stored predictions; one column is the score of the second class."""
    scores = dataset.scores
    assert scores is not None
    if source.task == "regression":
        return scores, None
    if scores.shape[1] == 1:
        positive = scores[:, 0] if source.scores_are == "probability" else expit(scores[:, 0])
        return scores, np.stack([1 - positive, positive], axis=1)
    return scores, scores if source.scores_are == "probability" else softmax(scores, axis=1)

"""Known answers of what units have learnt: dissection, concept vectors, maximised pictures, and what units do."""

from __future__ import annotations

import numpy as np
import torch

from xai_audit.concepts.dissection import Asked, Dissected, Dissection, rotation
from xai_audit.concepts.goals import class_goal
from xai_audit.concepts.maximisation import maximise
from xai_audit.concepts.overlap import Picture, ceiling, iou
from xai_audit.concepts.vectors import Settings, concept_vectors, tcav_score
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Limits
from xai_audit.explain.openings import Asker, Probe
from xai_audit.explain.openings import Picture as Shown
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.probes import asking
from xai_audit.explain.queries import ask
from xai_audit.explain.questions import Silenced
from xai_audit.measures.concept_effects import effect
from xai_audit.model.layers import SpatialLayer
from xai_audit.selftest.asking import SEED, model_of
from xai_audit.selftest.known import FLOAT64, KnownAnswer
from xai_audit.spec.methods import ActivationMaximisation, TargetSpec
from xai_audit.synthetic import nets

CASES, SIDE = 40, 10
PREVALENCE, QUANTILE = 0.2, 0.05
WEIGHTS = np.array([[2.0, -1.0, 0.5]])


def _marked() -> np.ndarray:
    """Two rows of each picture, elsewhere in every one of four: a fifth of all pixels, (cases, 1, side, side)."""
    masks = np.zeros((CASES, 1, SIDE, SIDE), np.bool_)
    for case in range(CASES):
        top = 2 * (case % 4)
        masks[case, 0, top : top + 2] = True
    return masks


def _dissected() -> Dissected:
    """Unit 0 answers at five of the twenty marked pixels and nowhere else, unit 1 at five of the same place always."""
    masks, random = _marked(), np.random.default_rng(5)
    activation = random.random((CASES, 2, SIDE, SIDE))
    for case in range(CASES):
        rows = np.flatnonzero(masks[case, 0].any(axis=1))
        activation[case, 0, rows[0], :5] += 2
        activation[case, 1, 9, :5] += 2
    picture = Picture.of((np.arange(float(SIDE)), np.arange(float(SIDE))), (SIDE, SIDE))
    asked = Asked(
        "selftest", CASES, 2, (SIDE, SIDE), picture, np.zeros(1, np.int64), np.ones((CASES, 1), np.bool_),
        lambda case: masks[case], QUANTILE, 0.04, 99,
    )  # fmt: skip
    found = Dissection(asked, np.dtype(np.float64), rotation(2, random))
    found.tally(activation)
    found.settle()
    return found.dissected(random)


def _overlaps() -> list[float]:
    """IoU of both units, then which of them is a detector."""
    units = _dissected().units
    return [*units.iou[:, 0].tolist(), *units.is_detector.astype(float).tolist()]


def _along(sign: float) -> float:
    """Score of a class whose gradient is v, or -v, for the vector of a concept that lies along v."""
    random, v = np.random.default_rng(6), np.eye(8)[2]
    images = random.normal(size=(200, 8))
    images[:50] += 6 * v
    gradient = np.tile(sign * v, (30, 1))
    found = concept_vectors(images, 50, [gradient], Settings(10, 19), random)
    return tcav_score(found.answers[0].rises, np.ones(10, np.bool_))


def _picture() -> float:
    """Cosine between the picture that raises <w, x> most, seen from its middle grey, and w."""
    w = np.sign(np.random.default_rng(7).normal(size=(1, 1, 8, 8)))
    model, _ = model_of(nets.Linear(torch.tensor(w, dtype=torch.float32)), np.zeros((1, 1, 8, 8), np.float32))
    settings = ActivationMaximisation.model_validate(
        {"use": "activation_maximisation", "classes": ("value",), "parametrisation": "pixel", "steps": 64,
         "transforms": ()}
    )  # fmt: skip
    (made,) = maximise(model, [class_goal("value", model)], settings, seed=SEED)
    x = made.pixels.astype(np.float64).ravel() - 0.5
    return float(x @ w.ravel() / np.linalg.norm(x) / np.linalg.norm(w))


def _silenced() -> np.ndarray:
    """What a mean-pooled net loses without units 0 and 1, and without unit 2, in each of three pictures."""
    net = nets.MeanPooled(nets.identity_kernel(3), torch.tensor(WEIGHTS, dtype=torch.float32), torch.tensor([0.3]))
    pixels = _pixels()
    model, _ = model_of(net, pixels)
    layer = SpatialLayer("conv", "nchw", 3, (4, 4))
    question = Silenced(layer, np.array([[True, True, False], [False, False, True]]), np.zeros(3))
    asker = Asker(Probe("effects", TargetSpec(kind="regression")), asking(lambda case: (question,)), layer)
    shown = [Shown(str(number), one) for number, one in enumerate(pixels)]
    answers = ask(model, shown, [asker], FillSources(), SEED, Limits.of(model.device), PassCounter())
    losses = []
    for answer in answers:
        if isinstance(answer.outcome, Exception):
            raise answer.outcome
        losses.append(answer.outcome.extras["value"][0] - answer.outcome.raw[0])
    return np.asarray(losses)


def _pixels() -> np.ndarray:
    return np.random.default_rng(8).random((3, 3, 4, 4)).astype(np.float32)


def _losses() -> list[float]:
    """Sum over silenced units of W_k mean(A_k)."""
    means = _pixels().mean((2, 3)) * WEIGHTS[0]
    return np.stack([means[:, :2].sum(1), means[:, 2]], axis=1).ravel().tolist()


def _beside() -> list[float]:
    """Losses of 3 and 5 beside random sets that cost 1 and 2, and 1 and 4: their means and difference."""
    controls = np.array([[1.0, 2.0], [1.0, 4.0]])
    found = effect(np.array([3.0, 5.0]), controls, None, np.random.default_rng(0), are_all=True)
    return [one.number for one in found.estimates] + [float(found.ranks.above)]


ANSWERS = (
    KnownAnswer("network_dissection.ceiling", "network_dissection",
                "A unit that answers inside the concept alone reaches the ceiling q / p; one that answers elsewhere 0.",
                [ceiling(PREVALENCE, QUANTILE), 0.0, 1.0, 0.0], _overlaps, FLOAT64),
    KnownAnswer("concept_iou.counts", "concept_iou", "Two pixels shared by three and five: 2 / 6; ceiling of .2, .05.",
                [1 / 3, 0.25], lambda: [float(iou(*(np.array(n) for n in (2, 3, 5)))), ceiling(0.2, 0.05)], FLOAT64),
    KnownAnswer("tcav.along", "tcav", "A score with gradient v rises in every case towards v, and never towards -v.",
                [1.0, 0.0], lambda: [_along(1.0), _along(-1.0)], FLOAT64),
    KnownAnswer("tcav_score.share", "tcav_score", "Three of four cases rise along one kept vector, one along another.",
                [0.5], lambda: tcav_score(np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], np.bool_),
                                          np.array([True, True, False])), FLOAT64),
    KnownAnswer("activation_maximisation.linear", "activation_maximisation",
                "The picture that raises <w, x> most points along w: cosine above .99.", [1.0], _picture, 0.01),
    KnownAnswer("concept_effect.pooled", "concept_effect",
                "Without some units a mean-pooled net loses the sum of their W_k mean(A_k).", _losses(),
                lambda: _silenced().ravel()),
    KnownAnswer("concept_effect.beside", "concept_effect",
                "The mean loss, that of random sets, their difference, and the sets that cost as much.",
                [4.0, 2.0, 2.0, 0.0], _beside, FLOAT64),
)  # fmt: skip
"""METHODS 4."""

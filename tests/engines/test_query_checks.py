"""Each check alone, on maps of our own: right ones pass, planted faults show."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from answering import explained

from xai_audit.engines.probed_maps import ControlMaps, KeptMaps, Local
from xai_audit.engines.query_checks import ZERO, CompletenessCheck, CurveCheck, Found, InfidelityCheck, RoadCheck
from xai_audit.errors import StepError
from xai_audit.evidence.records import NO_PASSES
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.openings import Probe
from xai_audit.explain.probes import asking
from xai_audit.explain.questions import Case
from xai_audit.spec.methods import InputXGradient, IntegratedGradients, Occlusion, Shap, SmoothGrad, TargetSpec

RNG = np.random.default_rng(0)
IMAGE = 0.5 + 0.4 * RNG.random((1, 8, 8))
WEIGHTS = RNG.normal(size=(1, 8, 8))
SOURCES = FillSources((0.2,))


def linear(images):
    return (images.double() * torch.from_numpy(WEIGHTS)).sum((1, 2, 3))


@dataclass
class Given:
    """A map of our own."""

    relevance_map: np.ndarray
    phi: np.ndarray | None = None
    baseline: object = None

    def relevance(self, case):
        return self.relevance_map

    def local(self, case):
        phi = WEIGHTS if self.phi is None else self.phi
        return Local(phi, np.ones_like(phi, bool), True)


def probed(check, f=linear, image=IMAGE):
    maps = explained(asking(check.questions), Probe("probe", TargetSpec()), image, f, SOURCES)
    if maps.raw.shape[1]:
        check.take("case", float(maps.extras["value"][0]), maps.raw[0])
    return check.probed(SOURCES, NO_PASSES)


def curve(relevance, measure="deletion", f=linear):
    maps = Given(relevance)
    return probed(CurveCheck(Found(["case"]), maps, measure, "label", 16, "black", 0, 64), f).numbers[0]


def test_the_right_order_beats_a_random_one_and_the_turned_one_loses():
    """Shares of a linear net's score. The turned map is the fault that is planted."""
    share = (WEIGHTS * IMAGE)[0]
    control = ControlMaps("random", 0).relevance(Case(IMAGE, 0.0, SOURCES, "case"))
    assert curve(share) < curve(control) < curve(-share)
    assert curve(share, "insertion") > curve(control, "insertion") > curve(-share, "insertion")


def test_a_curve_of_a_linear_net_by_hand():
    """A second implementation: running sums of the shares in falling order."""
    share = (WEIGHTS * IMAGE)[0].ravel()
    whole = share.sum()
    left = whole - np.concatenate([[0], np.cumsum(np.sort(share)[::-1])])[::4]
    assert curve((WEIGHTS * IMAGE)[0]) == pytest.approx(np.trapezoid(left, dx=1 / 16), abs=1e-10)


def test_a_map_of_zeros_asks_nothing_and_says_why():
    check = CurveCheck(Found(["case"]), Given(np.zeros((8, 8))), "deletion", "label", 16, "black", 0, 64)
    found = probed(check)
    assert np.isnan(found.numbers[0]) and list(found.why) == [ZERO]


def test_road_sees_the_place_that_an_answer_rests_on():
    """The answer is whether the bright square stands out; the turned map takes it away last."""
    image, square = np.full((1, 12, 12), 0.2), np.zeros((12, 12))
    image[0, 4:8, 4:8], square[4:8, 4:8] = 0.9, 1.0
    mask = torch.from_numpy(square)

    def stands_out(images):
        return (images.double()[:, 0] * mask).sum((1, 2)) / 16 - 0.5

    def of(relevance):
        check = RoadCheck(Found(["case"]), Given(relevance), "label", (0.2, 0.4), 0, (0.25,))
        return probed(check, stands_out, image)

    right, wrong = of(square), of(-square)
    assert right.numbers[0] == 1 and wrong.numbers[0] == -1
    assert right.curves["morf"].tolist() == [[0, 0]] and right.curves["lerf"].tolist() == [[1, 1]]
    assert right.x.tolist() == [0.2, 0.4]


def infidelity(phi):
    check = InfidelityCheck(Found(["case"]), Given(WEIGHTS[0], phi), 64, 0.1, np.ones((1, 1, 1)), 0)
    found = probed(check)
    return found.numbers[0], found.others["rescaled"][0], found.others["beta"][0]


def test_infidelity_of_weights_and_of_planted_faults():
    plain, rescaled, beta = infidelity(WEIGHTS)
    assert plain < 1e-10 and rescaled < 1e-10 and beta == pytest.approx(1, abs=1e-5)
    assert infidelity(np.zeros_like(WEIGHTS))[0] == 1
    assert infidelity(WEIGHTS * IMAGE)[0] > 0.05
    assert infidelity(-WEIGHTS)[0] == pytest.approx(4, rel=1e-4)
    assert infidelity(WEIGHTS[:, ::-1])[1] > 0.5


def kept(method, raw, **extras):
    record = SimpleNamespace(details={"case_ids": ["case"]})
    arrays = {
        "raw": np.asarray(raw, np.float32)[None],
        **{n: np.asarray(a, np.float32)[None] for n, a in extras.items()},
    }
    return KeptMaps(method, SimpleNamespace(record=record, arrays=arrays))


def gap(maps):
    return probed(CompletenessCheck(Found(["case"]), maps, "the change")).numbers[0]


def test_completeness_of_an_exact_map_and_of_a_tenth_that_is_missing():
    method = InputXGradient(use="input_x_gradient")
    assert gap(kept(method, WEIGHTS * IMAGE)) < 1e-6
    assert gap(kept(method, 0.9 * WEIGHTS * IMAGE)) == pytest.approx(0.1, abs=1e-6)
    away = IntegratedGradients(use="integrated_gradients")
    assert gap(kept(away, WEIGHTS * (IMAGE - 0.2))) < 1e-6
    assert gap(kept(away, WEIGHTS * IMAGE)) > 0.01


def test_completeness_adds_up_windows_and_players_once_each():
    windows = (WEIGHTS * (IMAGE - 0.2)).reshape(2, 4, 2, 4).sum((1, 3))
    occlusion = Occlusion(use="occlusion", window=4, stride=4)
    assert gap(kept(occlusion, np.kron(windows, np.ones((4, 4))), windows=windows)) < 1e-6
    labels = np.kron(np.arange(4).reshape(2, 2), np.ones((4, 4)))
    assert gap(kept(Shap(use="shap"), np.kron(windows, np.ones((4, 4))), segments=labels)) < 1e-6


def test_shares_of_a_change_are_divided_by_it_for_infidelity():
    case = Case(IMAGE, 0.0, SOURCES, "case")
    method = IntegratedGradients(use="integrated_gradients")
    local = kept(method, WEIGHTS * (IMAGE - 0.2)).local(case)
    np.testing.assert_allclose(local.phi, WEIGHTS, atol=1e-6)
    assert local.exists.all() and local.has_scale
    windows = np.kron((0.3 * np.ones((2, 2))), np.ones((4, 4)))
    spread = kept(Occlusion(use="occlusion", window=4, stride=4), windows).local(case)
    np.testing.assert_allclose(spread.phi, 0.3 / 16 / (IMAGE - 0.2), rtol=1e-5)
    equal = kept(method, np.zeros((1, 8, 8))).local(Case(np.full((1, 8, 8), 0.2), 0.0, SOURCES, "case"))
    assert not equal.exists.any()


def test_squares_of_gradients_have_no_scale_and_gradients_have():
    case = Case(IMAGE, 0.0, SOURCES, "case")
    assert kept(SmoothGrad(use="smooth_grad"), WEIGHTS).local(case).has_scale
    assert not kept(SmoothGrad(use="smooth_grad", square=True), WEIGHTS**2).local(case).has_scale


def test_a_case_without_a_map_is_a_fault_and_no_zero():
    maps = kept(InputXGradient(use="input_x_gradient"), WEIGHTS)
    with pytest.raises(StepError, match="no map of case other"):
        maps.relevance(Case(IMAGE, 0.0, SOURCES, "other"))

"""Passes foreseen: by hand, refused over budget, and (in test_by_queries and test_run) equal to those counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.explain.cost import (
    ModelFacts,
    asker_cost,
    gradient_steps,
    occlusion_windows,
    over_budget,
    pass_passes,
    query_costs,
    window_of,
)
from xai_audit.spec.methods import IntegratedGradients, Method, Occlusion
from xai_audit.spec.schema import ModelInput
from xai_audit.spec.sections import METHOD_MODELS

INPUT = ModelInput(size=(224, 224))


def use(method: str, /, **more: Any) -> Method:
    return METHOD_MODELS[method].model_validate({"use": method, **more})  # type: ignore[return-value]


def test_at_224_pixels_occlusion_takes_730_forwards() -> None:
    """METHODS 3: 16 / 8, 730 F."""
    assert window_of(Occlusion(use="occlusion"), (224, 224)) == (16, 8)
    assert query_costs([use("occlusion")], INPUT, 1)["occlusion"].passes == Passes(730)


@pytest.mark.parametrize(
    ("sides", "wanted"),
    [((224, 300), (16, 8)), ((128, 128), (9, 4)), ((35, 35), (3, 1)), ((16, 16), (1, 1)), ((3, 3), (1, 1))],
)
def test_default_window(sides: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert window_of(Occlusion(use="occlusion"), sides) == wanted


@pytest.mark.parametrize(
    ("height", "width", "window", "stride"), [(5, 7, 2, 2), (16, 16, 16, 1), (10, 11, 3, 2), (9, 9, 3, 3)]
)
def test_windows_cover_every_pixel_and_stay_inside(height: int, width: int, window: int, stride: int) -> None:
    boxes = occlusion_windows(height, width, window, stride)
    covered = np.zeros((height, width), int)
    for top, left, bottom, right in boxes:
        assert top >= 0 and left >= 0 and bottom <= height and right <= width
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1
    assert len({tuple(box) for box in boxes.tolist()}) == len(boxes)
    count = [-(-(side - window) // stride) + 1 for side in (height, width)]
    assert len(boxes) == count[0] * count[1]


def test_stride_beyond_the_default_window_is_refused() -> None:
    with pytest.raises(Refusal, match="stride 17, larger than window 16: pixels would be left uncovered"):
        asker_cost(Occlusion(use="occlusion", stride=17), INPUT, None)


def test_six_cams_saliency_and_input_x_gradient_cost_one_forward_and_one_backward() -> None:
    names = (
        "grad_cam",
        "grad_cam_pp",
        "xgrad_cam",
        "layer_cam",
        "hires_cam",
        "eigen_cam",
        "saliency",
        "input_x_gradient",
    )
    assert pass_passes([use(name) for name in names]) == Passes(1, 1)


def test_each_target_and_each_rule_costs_one_backward_more() -> None:
    methods = [
        use("saliency"),
        use("saliency", name="p", target={"kind": "prob"}),
        use("guided_backprop"),
        use("deconvnet"),
    ]
    assert pass_passes(methods) == Passes(1, 4)


def test_activations_alone_need_no_backward() -> None:
    assert pass_passes([use("eigen_cam")]) == Passes(1, 0)
    assert pass_passes([use("occlusion")]) == Passes()


@pytest.mark.parametrize(
    ("first", "most", "wanted"),
    [(32, 512, (32, 64, 128, 256, 512)), (50, 50, (50,)), (32, 100, (32, 64)), (1, 3, (1, 2))],
)
def test_steps_double_up_to_the_cap(first: int, most: int, wanted: tuple[int, ...]) -> None:
    method = IntegratedGradients(use="integrated_gradients", n_steps=first, max_steps=most)
    assert gradient_steps(method) == wanted
    cost = asker_cost(method, INPUT, None)
    assert cost.passes == Passes(sum(wanted) + 1, sum(wanted))
    assert cost.certainty == ("exact" if len(wanted) == 1 else "at_most")


FACTS = ModelFacts(
    channels={"score_cam": 512, "ablation_cam": 512},
    tails={"ablation_cam": "tail"},
    trunks=frozenset(["ablation_cam"]),
    incremental=True,
)


def test_what_the_model_tells_makes_bounds_exact() -> None:
    """Score-CAM: 512 channels and the baseline; Ablation-CAM: a forward that is kept, and 512 re-runs of the tail."""
    methods = [use("score_cam"), use("ablation_cam"), use("occlusion")]
    blind, known = query_costs(methods, INPUT, 2), query_costs(methods, INPUT, 2, FACTS)
    assert [cost.certainty for cost in blind.values()] == ["at_least", "at_least", "exact"]
    assert known["score_cam"].passes == Passes(2 * (1 + 513))
    assert known["ablation_cam"].passes == Passes(2 * 1, 0, 2 * 512)
    assert known["occlusion"].passes == Passes(2 * 1, 0, 2 * 729)


@pytest.mark.parametrize(
    ("tail", "wanted"), [("closed", Passes(1, 1, 2)), ("tail", Passes(1, 0, 512)), ("full", Passes(513, 0, 0))]
)
def test_ablation_costs_what_its_tail_allows(tail: Any, wanted: Passes) -> None:
    facts = ModelFacts(channels={"ablation_cam": 512}, tails={"ablation_cam": tail})
    assert query_costs([use("ablation_cam")], INPUT, 1, facts)["ablation_cam"].passes == wanted


def test_images_asked_for_twice_are_made_once() -> None:
    methods = [use("occlusion"), use("occlusion", name="again", target={"kind": "prob"}), use("smooth_grad")]
    costs = query_costs(methods, INPUT, 3)
    assert costs["occlusion"].passes == Passes(3 * 730)
    assert costs["again"].passes == Passes()
    assert costs["smooth_grad"].passes == Passes(150, 150)


@pytest.mark.parametrize(("budget", "refused"), [(513, True), (514, False)])
def test_a_method_over_its_budget_is_refused_with_a_way_out(budget: int, refused: bool) -> None:
    method = use("score_cam", budget=budget)
    found = over_budget(method, INPUT, FACTS)
    assert (found is not None) == refused
    if found is not None:
        for part in ("methods.score_cam.budget", "514 passes for one case", "at most 513", "top_k"):
            assert part in str(found)


def test_fewer_channels_fit_a_smaller_budget() -> None:
    method = use("score_cam", budget=66, top_k=64)
    assert over_budget(method, INPUT, FACTS) is None

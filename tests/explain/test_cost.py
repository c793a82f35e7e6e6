from __future__ import annotations

import nets
import numpy as np
import pytest

from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.cost import explanation_cost, occlusion_windows, pass_cost, query_cost, window_of
from xai_audit.explain.explain import Batch, explain_by_pass, explain_by_queries, method_layers
from xai_audit.spec.schema import GradCam, ModelInput, Occlusion, Saliency


def size(height: int, width: int) -> ModelInput:
    return ModelInput(size=(height, width))


def test_at_224_pixels_occlusion_takes_730_forwards() -> None:
    """METHODS 3: 16 / 8, 730 F."""
    assert window_of(Occlusion(use="occlusion"), (224, 224)) == (16, 8)
    assert explanation_cost(Occlusion(use="occlusion"), size(224, 224), 1) == Passes(730, 0)


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
        explanation_cost(Occlusion(use="occlusion", stride=17), size(224, 224), 1)


METHODS = [
    GradCam(use="grad_cam", layer="conv2"),
    GradCam(use="grad_cam", layer="conv1", name="early"),
    Saliency(use="saliency"),
    Saliency(use="saliency", name="prob", target={"kind": "prob"}),
    Occlusion(use="occlusion"),
    Occlusion(use="occlusion", name="margin", target={"kind": "margin"}),
    Occlusion(use="occlusion", name="black", baseline="black", window=5, stride=3),
]


@pytest.mark.parametrize("cases", [1, 5])
def test_declared_passes_equal_counted_ones(cases: int) -> None:
    model, spec = nets.audit(nets.seeded(nets.ResidualNet)), nets.model_spec()
    images = nets.pixels(cases)
    batches = [Batch(tuple(range(k, min(k + 2, cases))), images[k : k + 2]) for k in range(0, cases, 2)]
    by_pass = explain_by_pass(model, METHODS, batches, method_layers(METHODS, model, spec))
    made = Passes()
    for group in by_pass.groups:
        made += group.passes
    assert made == pass_cost(METHODS, cases) == Passes(2 * cases, 2 * cases)
    assert [group.readers for group in by_pass.groups] == [("grad_cam", "early", "saliency"), ("prob",)]
    sources = FillSources(mean_colour=(0.5, 0.5, 0.5))
    by_queries = explain_by_queries(model, METHODS, batches, sources, batch_size=7)
    assert by_queries.passes == query_cost(METHODS, spec.input, cases)
    for method in METHODS:
        alone_pass = explain_by_pass(model, [method], batches, method_layers([method], model, spec))
        alone_query = explain_by_queries(model, [method], batches, sources)
        counted = alone_pass.groups[0].passes if alone_pass.groups else alone_query.passes
        assert counted == explanation_cost(method, spec.input, cases)

"""Segmentation, detection and precision: what `raw_output` reads, and what a whole case's scores are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nets
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from xai_audit.errors import ModelError, StepError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.outputs import check_output, read_output

NAMES = ("background", "cat", "dog")


def segmenter(**form: Any) -> AuditedModel:
    return nets.audit(nets.seeded(lambda: nets.PlacesNet(**form)), task="segmentation", classes=NAMES)


def detector(module: nn.Module | None = None, **more: Any) -> AuditedModel:
    return nets.audit(module or nets.QuarterDetector(), task="detection", classes=NAMES, **more)


def images(cases: int = 2) -> Tensor:
    return torch.from_numpy(nets.pixels(cases))


def quarters(*means: tuple[float, float, float, float]) -> Tensor:
    """Images (cases, 3, 16, 16) whose quarters have these values, row by row."""
    return (
        torch.tensor(means).reshape(-1, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3).expand(-1, 3, -1, -1)
    )


@pytest.mark.parametrize(
    "form",
    [
        lambda z: z,
        lambda z: OrderedDict(out=z),
        lambda z: {"out": z, "aux": z * 0},
        lambda z: (z,),
        lambda z: nets.Output(z),
    ],
)
def test_segmentation_in_any_form(form: Callable[[Tensor], object]) -> None:
    given = segmenter(form=form).raw_output(images())
    assert isinstance(given, Tensor)
    assert given.shape == (2, 3, 16, 16)
    assert torch.equal(given, segmenter().module(images()))


def test_the_selector_goes_before_the_name_out() -> None:
    model = replace(segmenter(form=lambda z: {"out": z, "aux": z + 1}), output="aux")
    torch.testing.assert_close(model.raw_output(images()), segmenter().module(images()) + 1)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (lambda z: z[:, :2], r"\(2, 2, 16, 16\); expected \(2, 3, height, width\) for task segmentation"),
        (lambda z: z[:, :1], r"torch.cat\(\[-logit / 2, logit / 2\], 1\)"),
        (lambda z: z.mean((2, 3)), "Scores without places are `task: single_label`"),
        (lambda z: z.argmax(1), "scores of type int64"),
        (lambda z: {"high": z, "low": z}, r"dict with keys \[high, low\]"),
    ],
)
def test_wrong_scores_of_places_are_told(form: Callable[[Tensor], object], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        segmenter(form=form).raw_output(images())


def test_presence_is_the_logit_of_the_largest_share() -> None:
    """Logit of max over places of softmax, written out in float64."""
    z = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    best = z.softmax(1).flatten(2).amax(2)
    model = segmenter()
    torch.testing.assert_close(model.case_scores(z), (best / (1 - best)).log(), atol=1e-10, rtol=0)
    torch.testing.assert_close(model.probabilities(model.case_scores(z)), best, atol=1e-10, rtol=0)


def test_detector_gets_a_list_and_gives_boxes() -> None:
    model = detector()
    (entry, empty) = model.raw_output(quarters((0.9, 0.2, 0.7, 0.6), (0.1, 0.1, 0.1, 0.1)))
    assert entry["boxes"].tolist() == [[0, 0, 8, 8], [0, 8, 8, 16], [8, 8, 16, 16]]
    assert entry["labels"].tolist() == [1, 2, 2]
    torch.testing.assert_close(entry["scores"], torch.tensor([0.9, 0.7, 0.6]))
    assert empty["scores"].shape == (0,)


def test_a_picture_scores_its_best_boxes() -> None:
    scores = detector().scores(quarters((0.9, 0.2, 0.7, 0.6), (0.1, 0.1, 0.1, 0.1)))
    torch.testing.assert_close(scores, torch.tensor([[0, 0.9, 0.7], [0, 0, 0]]))
    assert torch.equal(detector().probabilities(scores), scores)


def test_a_detector_is_normalised_only_where_the_spec_says_so() -> None:
    plain = detector().raw_output(quarters((0.9, 0.2, 0.2, 0.2)))
    moved = detector(mean=(0.2, 0.2, 0.2)).raw_output(quarters((0.9, 0.2, 0.2, 0.2)))
    torch.testing.assert_close([e["scores"] for e in plain], [torch.tensor([0.9])])
    torch.testing.assert_close([e["scores"] for e in moved], [torch.tensor([0.7])])


BOX = {"boxes": torch.tensor([[0.0, 0, 4, 4]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (torch.zeros(1, 3), "a list of 1 dicts for task detection"),
        ([BOX, BOX], "a list of 1 dicts"),
        ([{"boxes": BOX["boxes"]}], "a dict of tensors boxes, labels and scores"),
        ([BOX | {"boxes": torch.zeros(2, 4)}], r"boxes \(2, 4\), labels \(1,\)"),
        (
            [BOX | {"labels": torch.tensor([3])}],
            "label 3; expected 0 to 2, for 3 classes. .*background, name that first",
        ),
        ([BOX | {"scores": torch.tensor([1.5])}], "box scores from 0 to 1"),
        ([BOX | {"scores": [0.5]}], "a dict of tensors"),
    ],
)
def test_wrong_boxes_are_told(output: object, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        read_output(output, 1, detector())


def test_a_single_dict_is_a_batch_of_one() -> None:
    assert read_output(BOX, 1, detector()) == read_output([BOX], 1, detector())


@pytest.mark.parametrize(
    "output",
    [
        torch.full((2, 3, 4, 4), torch.nan).index_fill(0, torch.tensor([0]), 1.0),
        [BOX, BOX | {"scores": torch.tensor([torch.nan])}],
        [BOX, BOX | {"boxes": torch.tensor([[0, 0, torch.inf, 4]])}],
    ],
)
def test_the_case_that_is_not_finite_is_named(output: Any) -> None:
    with pytest.raises(StepError, match=r"case second \(1 of 2 cases"):
        check_output(output, ["first", "second"])
    check_output(output[:1], ["first"])


def test_no_boxes_at_all_are_finite() -> None:
    check_output(detector().raw_output(quarters((0.1, 0.1, 0.1, 0.1))))


@pytest.mark.parametrize("make", [lraspp_mobilenet_v3_large, fasterrcnn_mobilenet_v3_large_320_fpn])
def test_nets_of_torchvision_one_by_one_and_together(make: Callable[..., nn.Module]) -> None:
    task = "segmentation" if make is lraspp_mobilenet_v3_large else "detection"
    sizes = {} if task == "segmentation" else {"min_size": 64, "max_size": 64, "box_score_thresh": 0.0}
    net = nets.seeded(lambda: make(weights=None, weights_backbone=None, num_classes=3, **sizes))
    model = nets.audit(net, task=task, classes=NAMES, size=(64, 64))
    pixels = torch.from_numpy(nets.pixels(3, size=(64, 64)))
    with torch.no_grad():
        together = model.scores(pixels)
        alone = torch.cat([model.scores(pixels[index : index + 1]) for index in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert model.probabilities(together).shape == (3, 3)
    model.check_steady()


def test_autocast_computes_in_half_and_gives_float32() -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet))
    half = replace(model, autocast=torch.bfloat16)
    seen: list[torch.dtype] = []
    handle = model.module.conv2.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    given, exact = half.raw_output(images(4)), model.raw_output(images(4))
    handle.remove()
    assert seen == [torch.bfloat16, torch.float32]
    assert given.dtype == exact.dtype == torch.float32
    assert not torch.equal(given, exact)
    torch.testing.assert_close(given, exact, atol=0.05, rtol=0.05)
    assert not torch.is_autocast_enabled("cpu")


def test_channels_last_reaches_the_network() -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet))
    fast = replace(model, memory_format="channels_last")
    assert fast.normalise(images()).is_contiguous(memory_format=torch.channels_last)
    assert model.normalise(images()).is_contiguous()
    torch.testing.assert_close(fast.raw_output(images()), model.raw_output(images()), atol=1e-5, rtol=1e-5)

from __future__ import annotations

from typing import Any

import nets
import pytest
import torch

from xai_audit.errors import Refusal, StepError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.targets import Target, freeze, no_gradient, overlap
from xai_audit.spec.methods import TargetSpec

Z = torch.tensor([[1.0, 3.0, -1.0], [0.5, 0.0, 0.25]], dtype=torch.float64)


def target(spec: dict[str, Any], scores: torch.Tensor = Z, task: str = "single_label") -> Target:
    return freeze(TargetSpec(**spec), nets.audit(nets.GapNet(), task=task, width=scores.shape[1]), scores)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, [3.0, 0.5]),
        ({"class": "class2"}, [-1.0, 0.25]),
        ({"class": 0}, [1.0, 0.5]),
        ({"kind": "prob"}, [Z.softmax(1)[0, 1], Z.softmax(1)[1, 0]]),
        ({"kind": "logprob", "class": 2}, [Z.log_softmax(1)[0, 2], Z.log_softmax(1)[1, 2]]),
        ({"kind": "margin"}, [2.0, 0.25]),
        ({"kind": "margin", "class": "class2"}, [-4.0, -0.25]),
        ({"kind": "margin", "class": 0, "foil": "class2"}, [2.0, 0.25]),
    ],
)
def test_single_label(spec: dict[str, Any], wanted: list[float]) -> None:
    torch.testing.assert_close(target(spec).value(Z), torch.tensor(wanted, dtype=torch.float64), atol=1e-10, rtol=0)


def test_the_class_is_frozen_on_the_unperturbed_scores() -> None:
    frozen = target({})
    assert frozen.names == ("class1", "class0")
    assert frozen.value(Z.flip(1)).tolist() == [3.0, 0.25]
    assert frozen.of_case(0, 2).value(Z).tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, [2.0, 1.0]),
        ({"class": "positive"}, [2.0, -1.0]),
        ({"class": "negative"}, [-2.0, 1.0]),
        ({"kind": "prob", "class": 1}, [torch.tensor(2.0).sigmoid(), torch.tensor(-1.0).sigmoid()]),
        ({"kind": "prob", "class": 0}, [torch.tensor(-2.0).sigmoid(), torch.tensor(1.0).sigmoid()]),
        ({"kind": "logprob"}, [torch.tensor(2.0).sigmoid().log(), torch.tensor(1.0).sigmoid().log()]),
        ({"kind": "margin", "class": 1, "foil": 0}, [2.0, -1.0]),
    ],
)
def test_binary_signs(spec: dict[str, Any], wanted: list[float]) -> None:
    scores = torch.tensor([[2.0], [-1.0]])
    torch.testing.assert_close(target(spec, scores, "binary_logit").value(scores), torch.tensor(wanted))


def test_multi_label() -> None:
    assert target({"class": "class2"}, task="multi_label").value(Z).tolist() == [-1.0, 0.25]
    torch.testing.assert_close(
        target({"kind": "prob"}, task="multi_label").value(Z), torch.tensor([3.0, 0.5]).sigmoid().double()
    )


def test_regression() -> None:
    assert target({}, task="regression").value(Z).tolist() == [1.0, 0.5]
    assert target({"kind": "regression", "output": "output1"}, task="regression").value(Z).tolist() == [3.0, 0.0]
    spec = {"kind": "regression", "output": 1, "reference": 2.0}
    assert target(spec, task="regression").value(Z).tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("spec", "task", "told"),
    [
        ({"class": 3}, "single_label", "index 3; expected 0 to 2"),
        ({"class": -1}, "single_label", "index -1"),
        ({"class": "clas2"}, "single_label", "Did you mean 'class2'"),
        ({"kind": "regression"}, "single_label", "logit, prob, logprob or margin"),
        ({"kind": "margin"}, "multi_label", "Labels do not compete"),
        ({"kind": "margin", "class": 0, "foil": 0}, "single_label", "target.foil"),
        ({"kind": "margin", "foil": 1}, "single_label", "predicted class of 1 cases"),
        ({"kind": "prob"}, "regression", "kind regression"),
        ({"class": "class0"}, "regression", "kind regression"),
        ({"kind": "regression", "output": "no"}, "regression", "one of: output0, output1, output2"),
    ],
)
def test_refusals(spec: dict[str, Any], task: str, told: str) -> None:
    with pytest.raises(Refusal, match=told):
        target(spec, task=task)


def test_one_target_for_each_case() -> None:
    with pytest.raises(StepError, match="3 rows of scores; expected 2"):
        target({}).value(torch.zeros(3, 3))


# Places: the sum of a class's logits over its region


def places(classes: tuple[str, ...] = ("one", "two", "three")) -> AuditedModel:
    return nets.audit(nets.PlacesNet(), task="segmentation", classes=classes)


P = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_loops(z: torch.Tensor, changed: torch.Tensor, wanted: int | None) -> tuple[list[float], list[int]]:
    """The same in plain Python: z_c summed where c came first at first."""
    values, classes = [], []
    for case in range(len(z)):
        winners = [[max(range(3), key=lambda k: z[case, k, i, j]) for j in range(5)] for i in range(4)]
        flat = [winner for row in winners for winner in row]
        c = wanted if wanted is not None else max(range(3), key=lambda k: flat.count(k))
        classes.append(c)
        values.append(float(sum(changed[case, c, i, j] for i in range(4) for j in range(5) if winners[i][j] == c)))
    return values, classes


@pytest.mark.parametrize("spec", [{}, {"kind": "segmentation"}, {"class": "two"}, {"kind": "segmentation", "class": 2}])
def test_segmentation(spec: dict[str, Any]) -> None:
    frozen = freeze(TargetSpec(**spec), places(), P)
    wanted = {"two": 1, 2: 2}.get(spec.get("class"))  # type: ignore[arg-type]
    changed = P.flip(2)
    for given in (P, changed):
        values, classes = by_loops(P, given, wanted)
        torch.testing.assert_close(frozen.value(given), torch.tensor(values, dtype=torch.float64), atol=1e-10, rtol=0)
    assert frozen.chosen.tolist() == classes
    assert frozen.names == tuple(("one", "two", "three")[c] for c in classes)
    assert frozen.is_affine


def test_one_case_of_segmentation_keeps_its_region() -> None:
    frozen = freeze(TargetSpec(), places(), P)
    rows = P[1:].repeat(3, 1, 1, 1) * torch.tensor([1.0, 2, 3]).reshape(3, 1, 1, 1)
    value = float(frozen.value(P)[1])
    torch.testing.assert_close(frozen.of_case(1, 3).value(rows).tolist(), [value, 2 * value, 3 * value])


def test_the_background_is_passed_over_where_the_class_list_names_it() -> None:
    z = torch.zeros(2, 3, 4, 4)
    z[:, 0] = 1  # the first class wins nearly everywhere
    z[0, 2, 0, :2] = 5
    assert freeze(TargetSpec(), places(), z).chosen.tolist() == [0, 0]
    model = places(("background", "cat", "dog"))
    assert freeze(TargetSpec(), model, z).chosen.tolist() == [2, 0]  # the second picture is background alone
    assert freeze(TargetSpec(**{"class": "background"}), model, z).chosen.tolist() == [0, 0]


def test_a_class_without_places_is_empty_and_its_value_is_0() -> None:
    z = torch.zeros(2, 3, 4, 4)
    z[0, 1, 0, 0] = 3
    frozen = freeze(TargetSpec(**{"class": "two"}), places(), z)
    assert frozen.is_empty.tolist() == [False, True]
    assert frozen.value(z).tolist() == [3.0, 0.0]


def test_regions_of_another_size_are_told() -> None:
    with pytest.raises(StepError, match=r"places \(4, 4\); expected \(4, 5\)"):
        freeze(TargetSpec(), places(), P).value(P[..., :4])


# Boxes: how well the best one is found again


def boxes(*rows: tuple[float, float, float, float, int, float]) -> dict[str, torch.Tensor]:
    table = torch.tensor([row[:4] for row in rows], dtype=torch.float64).reshape(-1, 4)
    labels = torch.tensor([row[4] for row in rows], dtype=torch.int64)
    return {"boxes": table, "labels": labels, "scores": torch.tensor([row[5] for row in rows], dtype=torch.float64)}


def finder(classes: tuple[str, ...] = ("background", "cat", "dog")) -> AuditedModel:
    return nets.audit(nets.QuarterDetector(), task="detection", classes=classes)


FOUND = [boxes((0, 0, 4, 4, 1, 0.6), (2, 2, 6, 6, 2, 0.9), (0, 0, 2, 2, 1, 0.5)), boxes((1, 1, 3, 3, 1, 0.4)), boxes()]


def test_overlap_in_closed_form() -> None:
    table = torch.tensor([[0.0, 0, 4, 4], [2, 2, 6, 6], [4, 4, 8, 8], [1, 1, 3, 3], [0, 0, 0, 0]])
    wanted = torch.tensor([1, 4 / 28, 0, 4 / 16, 0])
    torch.testing.assert_close(overlap(table, table[0]), wanted, atol=1e-10, rtol=0)
    assert overlap(torch.zeros(1, 4), torch.zeros(4)).tolist() == [0]


def test_the_best_box_is_frozen() -> None:
    frozen = freeze(TargetSpec(), finder(), FOUND)
    assert frozen.names == ("dog", "cat", "background")
    assert frozen.is_empty.tolist() == [False, False, True]
    assert frozen.value(FOUND).tolist() == pytest.approx([0.9, 0.4, 0], abs=1e-12)
    assert not frozen.is_affine


def test_detection_takes_the_best_overlap_times_score_of_the_class() -> None:
    frozen = freeze(TargetSpec(**{"kind": "detection", "class": "cat"}), finder(), FOUND)
    moved = [
        boxes((0, 0, 4, 2, 1, 0.8), (0, 0, 4, 4, 2, 1.0), (0, 0, 4, 4, 1, 0.3)),  # 0.5 * 0.8 > 1 * 0.3; the dog's no
        boxes((1, 1, 3, 3, 2, 0.9)),  # no cat
        boxes((1, 1, 3, 3, 1, 0.9)),  # there was none
    ]
    assert frozen.value(moved).tolist() == pytest.approx([0.4, 0, 0], abs=1e-12)
    assert frozen.of_case(0, 2).value(moved[:2]).tolist() == pytest.approx([0.4, 0], abs=1e-12)


def test_a_box_of_the_background_is_not_the_best() -> None:
    found = [boxes((0, 0, 4, 4, 0, 0.9), (0, 0, 2, 2, 1, 0.2))]
    assert freeze(TargetSpec(), finder(), found).names == ("cat",)
    assert freeze(TargetSpec(), finder(("bird", "cat", "dog")), found).names == ("bird",)


@pytest.mark.parametrize("cuts", [False, True])
def test_a_detection_has_a_gradient_only_where_its_scores_have_one(cuts: bool) -> None:
    model = nets.audit(nets.QuarterDetector(cuts), task="detection", classes=("background", "cat", "dog"))
    pixels = torch.stack([torch.full((3, 16, 16), 0.8), torch.zeros(3, 16, 16)]).requires_grad_()
    output = model.raw_output(pixels)
    value = freeze(TargetSpec(), model, output).value(output)
    if cuts:
        model.module.requires_grad_(False)
        output = model.raw_output(pixels)
        assert not freeze(TargetSpec(), model, output).value(output).requires_grad
        assert "occlusion, score_cam" in str(no_gradient())
        return
    (gradient,) = torch.autograd.grad(value.sum(), pixels)
    wanted = torch.zeros(2, 3, 16, 16)
    wanted[0, :, :8, :8] = 1 / 3 / 64  # the mean of the first quarter over three channels; no box in the second case
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize(
    ("spec", "model", "told"),
    [
        ({"kind": "prob"}, places(), "expected segmentation for task segmentation"),
        ({"kind": "detection"}, places(), "expected segmentation"),
        ({"kind": "margin"}, finder(), "expected detection for task detection"),
        ({"class": "doog"}, finder(), "Did you mean 'dog'"),
        ({"class": 3}, places(), "index 3; expected 0 to 2"),
        ({"kind": "segmentation"}, nets.audit(nets.GapNet()), "logit, prob, logprob or margin for task single_label"),
    ],
)
def test_kinds_and_classes_that_do_not_fit_are_refused(spec: dict[str, Any], model: AuditedModel, told: str) -> None:
    output = {"segmentation": P, "detection": FOUND}.get(model.task, Z)
    with pytest.raises(Refusal, match=told):
        freeze(TargetSpec(**spec), model, output)


@pytest.mark.parametrize(
    ("spec", "task", "is_affine"),
    [
        ({}, "single_label", True),
        ({"kind": "margin", "class": 0, "foil": 1}, "single_label", True),
        ({"kind": "margin"}, "single_label", False),
        ({"kind": "prob"}, "single_label", False),
        ({"kind": "logprob"}, "single_label", False),
        ({"kind": "prob"}, "multi_label", False),
        ({}, "multi_label", True),
        ({"kind": "regression"}, "regression", True),
        ({"kind": "regression", "reference": 0.8}, "regression", False),
    ],
)
def test_affine_targets_are_known(spec: dict[str, Any], task: str, is_affine: bool) -> None:
    """A function is affine if its value half-way between two points is half-way between its values."""
    frozen = target(spec, task=task)
    assert frozen.is_affine is is_affine
    other = Z.flip(0) * 3 - 1
    half = frozen.value((Z + other) / 2)
    assert torch.allclose(half, (frozen.value(Z) + frozen.value(other)) / 2, atol=1e-10) is is_affine

from __future__ import annotations

from typing import Any

import nets
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError, StepError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.outputs import check_scores


def giving(form: Any, outputs: int = 3, **spec: Any) -> AuditedModel:
    return nets.audit(nets.seeded(lambda: nets.Giving(form, outputs)), **{"width": outputs, **spec})


IMAGES = torch.from_numpy(nets.pixels(4))


@pytest.mark.parametrize(
    ("form", "selector"),
    [
        (lambda s: s, None),
        (lambda s: s, 0),
        (lambda s: (s,), None),
        (lambda s: [s], None),
        (lambda s: {"out": s}, None),
        (lambda s: (s, s * 2), 0),
        (lambda s: (s * 2, s), -1),
        (lambda s: {"out": s, "aux": s * 2}, "out"),
        (lambda s: nets.Output(s, s * 2), None),
        (lambda s: nets.Output(s * 2, s), "hidden"),
    ],
)
def test_scores_are_found_in_every_form_of_output(form: Any, selector: str | int | None) -> None:
    model = giving(form, output=selector)
    assert torch.equal(model.scores(IMAGES), giving(lambda s: s).scores(IMAGES))


@pytest.mark.parametrize(
    ("form", "selector", "told"),
    [
        (lambda s: {"out": s, "aux": s}, None, r"model returned dict with keys \[out, aux\].*Set `model.output`"),
        (lambda s: (s, s), None, "model returned tuple of 2 parts"),
        (lambda s: (s, s), 2, "has no part 2"),
        (lambda s: {"out": s, "aux": s}, "logits", "has no part 'logits'"),
        (lambda s: s, "logits", "model returned a tensor of shape"),
        (lambda s: {"out": [s], "aux": s}, "out", "the output's part 'out' is list of 1 parts; expected a tensor"),
        (lambda s: None, None, "model returned a NoneType"),
        (lambda s: s.argmax(1), None, "scores of type int64; expected floating scores"),
    ],
)
def test_output_without_scores_is_told(form: Any, selector: str | int | None, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        giving(form, output=selector).scores(IMAGES)


@pytest.mark.parametrize(
    ("task", "outputs", "form", "shape"),
    [
        ("single_label", 3, lambda s: s, (4, 3)),
        ("multi_label", 3, lambda s: s, (4, 3)),
        ("binary_logit", 1, lambda s: s, (4, 1)),
        ("binary_logit", 1, lambda s: s[:, 0], (4, 1)),
        ("regression", 1, lambda s: s[:, 0], (4, 1)),
        ("regression", 1, lambda s: s, (4, 1)),
        ("regression", 3, lambda s: s, (4, 3)),
    ],
)
@pytest.mark.parametrize("squeezed", [False, True])
def test_shape_follows_the_task_and_a_squeezed_batch_of_one_gets_its_axis_back(
    task: str, outputs: int, form: Any, shape: tuple[int, int], squeezed: bool
) -> None:
    model = giving((lambda s: form(s).squeeze()) if squeezed else form, outputs, task=task)
    scores = model.scores(IMAGES)
    assert scores.shape == shape
    for k in range(4):
        one = model.scores(IMAGES[k : k + 1])
        assert one.shape == (1, shape[1])
        torch.testing.assert_close(one, scores[k : k + 1])


def test_regression_without_named_outputs_takes_what_comes() -> None:
    net = nets.seeded(lambda: nets.Giving(lambda s: s.squeeze()))
    model = nets.audit(net, task="regression", outputs=None)
    assert model.scores(IMAGES[:3]).shape == (3, 3)
    assert model.scores(IMAGES[:1]).shape == (1, 3)


@pytest.mark.parametrize(
    ("task", "outputs", "width", "form", "told"),
    [
        ("single_label", 3, 2, lambda s: s, r"\(4, 3\); expected \(4, 2\).*each of the 3 outputs in `model.classes`"),
        ("single_label", 1, 2, lambda s: s, "task: binary_logit"),
        ("single_label", 3, 3, lambda s: s[:, 0], r"scores of shape \(4,\); expected \(4, 3\)"),
        ("single_label", 3, 3, lambda s: s[:, :, None, None], r"\(4, 3, 1, 1\).*Reduce the output"),
        ("single_label", 3, 3, lambda s: s[:2], r"scores of shape \(2, 3\); expected \(4, 3\)"),
        ("binary_logit", 2, 2, lambda s: s, "task: single_label"),
        ("multi_label", 3, 4, lambda s: s, "model.classes"),
        ("regression", 3, 2, lambda s: s, "model.outputs"),
        ("regression", 3, 2, lambda s: s.mean(), r"scores of shape \(\)"),
    ],
)  # fmt: skip
def test_wrong_shape_is_told(task: str, outputs: int, width: int, form: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        giving(form, outputs, task=task, width=width).scores(IMAGES)


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(StepError, match=r"pixels of shape \(4, 1, 16, 16\); expected \(cases, 3, 16, 16\)"):
        giving(lambda s: s).scores(IMAGES[:, :1])


def test_first_case_with_nan_is_named() -> None:
    model = nets.audit(nets.seeded(nets.NanNet))
    images = torch.full((4, 3, 16, 16), 0.1)
    images[2:] = 0.9
    with pytest.raises(StepError, match=r"scores \[nan, nan, nan\] for case 2 of the batch \(2 of 4"):
        model.scores(images)
    assert torch.isnan(model.raw_scores(images)).sum() == 6


def test_failing_code_is_a_model_error_and_lack_of_memory_is_not() -> None:
    with pytest.raises(
        ModelError, match=r"failed on pixels of shape \(4, 3, 16, 16\): ValueError: no such luck \(at .*nets.py:\d+\)"
    ):
        nets.audit(nets.FailingNet()).scores(IMAGES)

    class Quitting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise SystemExit(0)

    with pytest.raises(ModelError, match="SystemExit: 0"):
        nets.audit(Quitting()).scores(IMAGES)

    class Hungry(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        nets.audit(Hungry()).scores(IMAGES)


def test_pixels_are_normalised_inside_and_gradients_are_per_pixel() -> None:
    net = nets.seeded(nets.LinearNet)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
    model = nets.audit(net, mean=mean, std=std)
    images = IMAGES.clone().requires_grad_()
    columns = [torch.tensor(values).view(3, 1, 1) for values in (mean, std)]
    torch.testing.assert_close(model.scores(images), net((IMAGES - columns[0]) / columns[1]))
    (gradient,) = torch.autograd.grad(model.scores(images)[:, 1].sum(), images)
    wanted = net.head.weight[1].view(3, 16, 16) / columns[1]
    torch.testing.assert_close(gradient[0], wanted.detach())


def test_the_input_is_never_written_to() -> None:
    class Writer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2).mean((2, 3))

    before = IMAGES.clone()
    nets.audit(Writer()).scores(IMAGES)
    assert torch.equal(before, IMAGES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_gives_float32_scores_and_gradients(dtype: torch.dtype) -> None:
    model = nets.audit(nets.seeded(nets.GapNet).to(dtype))
    images = IMAGES.clone().requires_grad_()
    scores = model.scores(images)
    assert scores.dtype == torch.float32
    assert torch.autograd.grad(scores.sum(), images)[0].dtype == torch.float32
    torch.testing.assert_close(scores, nets.audit(nets.seeded(nets.GapNet)).scores(IMAGES), atol=0.02, rtol=0.02)


def test_double_precision_stays() -> None:
    assert nets.audit(nets.seeded(nets.GapNet).double()).scores(IMAGES).dtype == torch.float64


def test_probabilities() -> None:
    z = torch.tensor([[1.0, -2.0, 0.5]])
    torch.testing.assert_close(giving(lambda s: s).probabilities(z), z.softmax(1))
    torch.testing.assert_close(giving(lambda s: s, task="multi_label").probabilities(z), z.sigmoid())
    binary = giving(lambda s: s, 1, task="binary_logit").probabilities(torch.tensor([[2.0], [-40.0]]))
    torch.testing.assert_close(binary[0], torch.tensor([1 / (1 + torch.e**2), 1 / (1 + torch.e**-2)]))
    assert 0 < binary[1, 1] < 1e-17
    with pytest.raises(StepError):
        giving(lambda s: s, task="regression").probabilities(z)


def test_a_net_that_answers_by_chance_is_refused() -> None:
    class Chance(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x.mean((2, 3)), 0.5, training=True)  # the seeds are fixed: never by luck

    nets.audit(nets.seeded(nets.LinearNet)).check_steady()
    with pytest.raises(ModelError, match="between two passes of the same image"):
        nets.audit(Chance()).check_steady()


def test_a_score_that_is_no_number_names_its_case() -> None:
    scores = torch.tensor([[0.0, 1.0], [float("nan"), 1.0]])
    with pytest.raises(StepError, match="for case b "):
        check_scores(scores, ["a", "b"])

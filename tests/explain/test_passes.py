from __future__ import annotations

import nets
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.passes import Needs, PassCounter, PassResult, in_parts, run_pass
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.schema import TargetSpec

IMAGES = torch.from_numpy(nets.pixels())


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def run(model: AuditedModel, needs: Needs, counter: PassCounter | None = None, images: Tensor = IMAGES) -> PassResult:
    return run_pass(model, images, TargetSpec(), needs, counter or PassCounter())


def test_union_keeps_each_layer_once_in_order() -> None:
    needs = [Needs(("b",)), Needs(("a", "b")), Needs((), True)]
    assert Needs.union(needs) == Needs(("b", "a"), True)


def test_one_shared_pass_equals_separate_ones(model: AuditedModel) -> None:
    together = run(model, Needs(("conv1", "norm2"), True))
    for path in ("conv1", "norm2"):
        alone = run(model, Needs((path,)))
        torch.testing.assert_close(alone.outputs[path], together.outputs[path], rtol=0, atol=1e-6)
        torch.testing.assert_close(alone.gradients[path], together.gradients[path], rtol=0, atol=1e-6)
    alone_input = run(model, Needs((), True)).input_gradient
    torch.testing.assert_close(alone_input, together.input_gradient, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("needs", "passes"),
    [(Needs(), Passes(4, 0)), (Needs(("conv1",)), Passes(4, 4)), (Needs(("conv1", "conv2"), True), Passes(4, 4))],
)
def test_passes_are_counted_in_images(model: AuditedModel, needs: Needs, passes: Passes) -> None:
    counter = PassCounter()
    run(model, needs, counter)
    assert counter.made == passes


@pytest.mark.parametrize("frozen", [False, True])
def test_parameters_get_no_gradient_and_pixels_stay_as_they_are(model: AuditedModel, frozen: bool) -> None:
    model.module.requires_grad_(not frozen)
    images = IMAGES.clone()
    result = run(model, Needs(("conv1",), True), images=images)
    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert not images.requires_grad
    assert torch.equal(images, IMAGES)
    assert not result.scores.requires_grad
    assert result.gradients["conv1"].abs().max() > 0


def test_it_works_where_gradients_are_switched_off(model: AuditedModel) -> None:
    with torch.no_grad():
        assert run(model, Needs(("conv1",), True)).gradients["conv1"].abs().max() > 0


def test_only_the_tail_is_differentiated_when_pixels_need_no_gradient(model: AuditedModel) -> None:
    seen: list[bool] = []
    model.module.requires_grad_(False)
    handle = model.module.conv1.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    run(model, Needs(("conv2",)))
    handle.remove()
    assert seen == [False]


def test_scores_without_a_graph_are_refused() -> None:
    with pytest.raises(Refusal, match="do not depend on the input"):
        run(nets.audit(nets.seeded(nets.DetachedNet)), Needs((), True))


def test_scores_that_are_not_finite_stop_the_pass() -> None:
    with pytest.raises(StepError, match="case 0 of the batch"):
        run(nets.audit(nets.seeded(nets.NanNet)), Needs((), True), images=torch.full((2, 3, 16, 16), 0.9))


def test_a_layer_that_is_skipped_for_some_images_is_told() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.other = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return (self.conv if x.mean() > 0.9 else self.other)(x).mean((2, 3))

    with pytest.raises(StepError, match="its hook did not fire"):
        run(nets.audit(Sometimes()), Needs(("conv",)))


def test_batch_is_halved_when_memory_runs_out(model: AuditedModel) -> None:
    sizes: list[int] = []

    def limited(part: Tensor) -> PassResult:
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(part))
        return run(model, Needs((), True), images=part)

    images = torch.from_numpy(nets.pixels(7))
    parts = list(in_parts(images, limited))
    assert sizes == [1, 2, 2, 2]
    whole = run(model, Needs((), True), images=images)
    together = torch.cat([part.input_gradient for part in parts if part.input_gradient is not None])
    torch.testing.assert_close(together, whole.input_gradient, rtol=0, atol=1e-5)


def test_one_image_that_does_not_fit_is_not_tried_again() -> None:
    def never(part: Tensor) -> PassResult:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(StepError, match="ran out on a batch of one image"):
        list(in_parts(IMAGES, never))

from __future__ import annotations

import nets
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.passes import Needs, PassCounter, Passed, PassResult, Request, in_parts, run_pass
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import TargetSpec

IMAGES = torch.from_numpy(nets.pixels())
BOTH = Needs(("conv1", "norm2"), ("conv1", "norm2"), True)
PROB = TargetSpec(**{"kind": "prob", "class": 2})
NOBODY = TargetSpec(**{"class": "nobody"})


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def at(*paths: str) -> Needs:
    return Needs(paths, paths)


def run(model: AuditedModel, needs: Needs, counter: PassCounter | None = None, images: Tensor = IMAGES) -> PassResult:
    (result,) = run_pass(model, images, [Request(TargetSpec(), "plain", needs)], counter or PassCounter())
    return good(result)


def good(result: Passed) -> PassResult:
    assert isinstance(result, PassResult), result
    return result


def test_union_keeps_each_layer_once_in_order() -> None:
    needs = [Needs(("b",)), Needs(("a", "b"), ("b",)), Needs((), ("c",), True)]
    assert Needs.union(needs) == Needs(("b", "a", "c"), ("b", "c"), True)
    assert not Needs(("a",)).any_gradient


def test_one_shared_pass_equals_separate_ones(model: AuditedModel) -> None:
    together = run(model, BOTH)
    for path in ("conv1", "norm2"):
        alone = run(model, at(path))
        torch.testing.assert_close(alone.outputs[path], together.outputs[path], rtol=0, atol=1e-6)
        torch.testing.assert_close(alone.gradients[path], together.gradients[path], rtol=0, atol=1e-6)
    alone_input = run(model, Needs(input_gradient=True)).input_gradient
    torch.testing.assert_close(alone_input, together.input_gradient, rtol=0, atol=1e-6)


def test_requests_of_other_targets_and_rules_share_the_forward_and_nothing_else(model: AuditedModel) -> None:
    requests = [
        Request(TargetSpec(), "plain", at("conv1")),
        Request(PROB, "plain", Needs(("norm2",), (), True)),
        Request(PROB, "guided", Needs(input_gradient=True)),
        Request(None, "plain", Needs(("conv2",))),
    ]
    calls: list[int] = []
    handle = model.module.conv1.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    counter = PassCounter()
    together = [good(result) for result in run_pass(model, IMAGES, requests, counter)]
    handle.remove()
    assert calls == [4]
    assert counter.made == Passes(forwards=4, backwards=12)
    for request, result in zip(requests, together, strict=True):
        (alone,) = run_pass(model, IMAGES, [request], PassCounter())
        for path, gradient in good(alone).gradients.items():
            torch.testing.assert_close(gradient, result.gradients[path], rtol=0, atol=1e-6)
        torch.testing.assert_close(good(alone).input_gradient, result.input_gradient, rtol=0, atol=1e-6)
    assert [list(result.gradients) for result in together] == [["conv1"], [], [], []]
    assert together[3].target.names == ()
    assert all(set(result.outputs) == {"conv1", "norm2", "conv2"} for result in together)


def test_a_target_that_fails_leaves_the_others(model: AuditedModel) -> None:
    needs = Needs(input_gradient=True)
    requests = [Request(NOBODY, "plain", needs), Request(TargetSpec(), "plain", needs), Request(NOBODY, "plain", needs)]
    counter = PassCounter()
    first, second, third = run_pass(model, IMAGES, requests, counter)
    assert isinstance(first, Refusal) and isinstance(third, Refusal)
    assert torch.equal(good(second).input_gradient, run(model, needs).input_gradient)
    assert counter.made == Passes(forwards=4, backwards=4)


@pytest.mark.parametrize(
    ("needs", "passes"),
    [(Needs(), Passes(4, 0)), (Needs(("conv1",)), Passes(4, 0)), (at("conv1"), Passes(4, 4)), (BOTH, Passes(4, 4))],
)
def test_passes_are_counted_in_images(model: AuditedModel, needs: Needs, passes: Passes) -> None:
    counter = PassCounter()
    run(model, needs, counter)
    assert counter.made == passes


@pytest.mark.parametrize("frozen", [False, True])
def test_parameters_get_no_gradient_and_pixels_stay_as_they_are(model: AuditedModel, frozen: bool) -> None:
    model.module.requires_grad_(not frozen)
    images = IMAGES.clone()
    result = run(model, Needs(("conv1",), ("conv1",), True), images=images)
    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert not images.requires_grad
    assert torch.equal(images, IMAGES)
    assert isinstance(result.output, Tensor) and not result.output.requires_grad
    assert not any(tensor.requires_grad for tensor in (result.pixels, *result.outputs.values()))
    assert result.gradients["conv1"].abs().max() > 0


def test_it_works_where_gradients_are_switched_off(model: AuditedModel) -> None:
    with torch.no_grad():
        assert run(model, BOTH).gradients["conv1"].abs().max() > 0


def test_only_the_tail_is_differentiated_when_pixels_need_no_gradient(model: AuditedModel) -> None:
    seen: list[bool] = []
    model.module.requires_grad_(False)
    handle = model.module.conv1.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    run(model, at("conv2"))
    handle.remove()
    assert seen == [False]


def test_no_graph_is_made_for_activations_alone(model: AuditedModel) -> None:
    seen: list[bool] = []
    handle = model.module.head.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    run(model, Needs(("conv2",)))
    handle.remove()
    assert seen == [False]


def test_scores_without_a_graph_are_refused_and_their_activations_read() -> None:
    model = nets.audit(nets.seeded(nets.DetachedNet))
    requests = [
        Request(TargetSpec(), "plain", Needs(input_gradient=True)),
        Request(None, "plain", Needs(("net.conv",))),
    ]
    refused, read = run_pass(model, IMAGES, requests, PassCounter())
    assert isinstance(refused, Refusal) and "do not depend on the input" in str(refused)
    assert good(read).outputs["net.conv"].shape == (4, 3, 16, 16)


def test_scores_that_are_not_finite_stop_the_pass_and_name_the_case() -> None:
    model, images = nets.audit(nets.seeded(nets.NanNet)), torch.full((2, 3, 16, 16), 0.9)
    with pytest.raises(StepError, match="case 0 of the batch"):
        run(model, Needs(input_gradient=True), images=images)
    with pytest.raises(StepError, match="case left"):
        run_pass(model, images, [Request(TargetSpec())], PassCounter(), ("left", "right"))


def test_a_layer_that_is_skipped_for_some_images_fails_its_readers_alone() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.other = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return (self.conv if x.mean() > 0.9 else self.other)(x).mean((2, 3))

    result = run(nets.audit(nets.seeded(Sometimes)), at("conv", "other"))
    with pytest.raises(StepError, match="its hook did not fire"):
        result.activation(SpatialLayer("conv", "nchw", 3, (14, 14)))
    assert result.gradient(SpatialLayer("other", "nchw", 3, (14, 14))).abs().max() > 0


def test_half_precision_is_read_as_float32() -> None:
    result = run(nets.audit(nets.seeded(nets.ResidualNet).bfloat16()), BOTH)
    assert {tensor.dtype for tensor in (*result.outputs.values(), *result.gradients.values())} == {torch.float32}


def test_batch_is_halved_when_memory_runs_out(model: AuditedModel) -> None:
    sizes: list[int] = []

    def limited(part: Tensor) -> PassResult:
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(part))
        return run(model, Needs(input_gradient=True), images=part)

    images = torch.from_numpy(nets.pixels(7))
    parts = list(in_parts(images, limited))
    assert sizes == [1, 2, 2, 2]
    whole = run(model, Needs(input_gradient=True), images=images)
    together = torch.cat([part.input_gradient for part in parts if part.input_gradient is not None])
    torch.testing.assert_close(together, whole.input_gradient, rtol=0, atol=1e-5)


def test_lack_of_memory_in_a_backward_is_not_taken_for_a_targets_failure(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    counter = PassCounter()
    monkeypatch.setattr(torch.autograd, "grad", full)
    with pytest.raises(torch.OutOfMemoryError):
        run(model, Needs(input_gradient=True), counter)
    assert counter.made == Passes()


def test_one_image_that_does_not_fit_is_not_tried_again() -> None:
    def never(part: Tensor) -> PassResult:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(StepError, match="ran out on a batch of one image"):
        list(in_parts(IMAGES, never))

"""What the runner relies on of pass readers: failures stay with their method, and the model stays as it was."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nets
import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import DataError, ModelError, Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain import by_pass, cam, gradients, passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_pass import PassExplanations, PassRecord, explain_by_pass
from xai_audit.explain.explained import Batch, Explained, Limits, Outcome
from xai_audit.explain.memory import BATCH_SHARE
from xai_audit.explain.passes import PassResult
from xai_audit.explain.transfer import DeviceMaps, Fetching
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer, resolve_layers
from xai_audit.model.state import state_digest
from xai_audit.spec.methods import (
    Deconvnet,
    EigenCam,
    GradCam,
    GradCamPp,
    GuidedBackprop,
    HiResCam,
    InputXGradient,
    LayerCam,
    LayerMethod,
    Method,
    Saliency,
    XGradCam,
)
from xai_audit.spec.schema import Layer

READERS: tuple[Method, ...] = (
    GradCam(use="grad_cam", layer="conv2"),
    GradCamPp(use="grad_cam_pp", layer="conv1"),
    XGradCam(use="xgrad_cam", layer="conv2"),
    LayerCam(use="layer_cam", layer="conv1"),
    HiResCam(use="hires_cam", layer="conv2"),
    EigenCam(use="eigen_cam", layer="norm2"),
    Saliency(use="saliency"),
    InputXGradient(use="input_x_gradient", baseline="mean_colour"),
    GuidedBackprop(use="guided_backprop"),
    Deconvnet(use="deconvnet"),
)
SOME: tuple[Method, ...] = (GradCam(use="grad_cam", layer="conv2"), Saliency(use="saliency"))
SOURCES = FillSources(mean_colour=(0.5, 0.4, 0.3))


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def batches(images: np.ndarray, size: int = 2) -> Iterator[Batch]:
    for k in range(0, len(images), size):
        part = images[k : k + size]
        yield Batch(tuple(range(k, k + len(part))), tuple(f"case{i}" for i in range(k, k + len(part))), part)


def layers_of(model: AuditedModel, methods: Sequence[Method]) -> dict[str, SpatialLayer | Refusal]:
    named = {method.label: method for method in methods if isinstance(method, LayerMethod)}
    return resolve_layers(
        model, {label: Layer(path=m.layer or "", layout=m.layout or "nchw") for label, m in named.items()}
    )


def run(
    model: AuditedModel,
    methods: Sequence[Method] = SOME,
    images: np.ndarray | None = None,
    size: int = 2,
    limits: Limits | None = None,
    **more: Any,
) -> PassExplanations:
    images = nets.pixels() if images is None else images
    return explain_by_pass(model, methods, batches(images, size), layers_of(model, methods), SOURCES, limits, **more)


def measured(found: PassExplanations) -> dict[str, Explained]:
    assert all(isinstance(outcome, Explained) for outcome in found.outcomes.values()), found.outcomes
    return found.outcomes  # type: ignore[return-value]


def test_every_reader_explains_every_case(model: AuditedModel) -> None:
    found = measured(run(model, READERS))
    names = tuple(f"class{k}" for k in model.scores(torch.from_numpy(nets.pixels())).argmax(1).tolist())
    shapes = {"layer": (4, 8, 8), "pixels": (4, 3, 16, 16)}
    kinds = {"saliency", "input_x_gradient", "guided_backprop", "deconvnet"}
    for label, outcome in found.items():
        kind = "pixels" if label in kinds else "layer"
        assert (label, outcome.raw.shape, outcome.raw.dtype) == (label, shapes[kind], np.float32)
        assert outcome.raw.flags["C_CONTIGUOUS"]
        assert outcome.ids == ("case0", "case1", "case2", "case3")
        is_agnostic = label == "eigen_cam"
        assert outcome.explained == (() if is_agnostic else names)
        assert outcome.target == ({} if is_agnostic else {"kind": "logit", "class": "predicted"})
    assert found["grad_cam"].extras["weights"].shape == (4, 6)
    assert found["grad_cam"].parameters == {"layer": "conv2", "layout": "nchw", "grid": [8, 8]}
    assert found["eigen_cam"].extras["energy_share"].shape == (4,)


def test_all_readers_share_one_forward_and_a_backward_for_each_target_and_rule(model: AuditedModel) -> None:
    methods = (*READERS, Saliency(use="saliency", name="prob", target={"kind": "prob"}))
    told: list[Passes] = []
    record = run(model, methods, progress=told.append).record
    assert record == PassRecord(
        targets=({"kind": "logit", "class": "predicted"}, {"kind": "prob", "class": "predicted"}),
        rules=("plain", "guided", "deconvnet"),
        layers=("conv2", "conv1", "norm2"),
        input_gradient=True,
        readers=record.readers,
        passes=Passes(forwards=4, backwards=16),
    )
    assert set(record.readers) == {method.label for method in methods}
    assert sum(told, Passes()) == record.passes
    assert run(model, [READERS[5]]).record.passes == Passes(forwards=4)


def test_together_they_give_what_each_gives_alone(model: AuditedModel) -> None:
    together = measured(run(model, READERS))
    for method in READERS:
        alone = measured(run(model, [method]))[method.label]
        np.testing.assert_allclose(alone.raw, together[method.label].raw, rtol=0, atol=1e-6)
        assert alone.parameters == together[method.label].parameters


@pytest.mark.parametrize("net", [nets.ResidualNet, nets.GapNet, nets.SharedActivation])
def test_batch_and_part_sizes_change_nothing(net: type[nn.Module]) -> None:
    model = nets.audit(nets.seeded(net))
    path = {nets.ResidualNet: "conv2", nets.GapNet: "conv", nets.SharedActivation: "conv2"}[net]
    methods = [m.model_copy(update={"layer": path}) for m in READERS if isinstance(m, LayerMethod)]
    methods += [READERS[6], READERS[7]]
    images = nets.pixels(9)
    one = measured(run(model, methods, images, 1))
    for found in (run(model, methods, images, 8), run(model, methods, images, 9, Limits(4, 512))):
        for label, outcome in measured(found).items():
            np.testing.assert_allclose(outcome.raw, one[label].raw, rtol=0, atol=1e-5, err_msg=label)
            assert outcome.ids == one[label].ids
            assert outcome.warnings == one[label].warnings
        assert found.record.passes == Passes(forwards=9, backwards=9)


def test_the_same_call_gives_the_same_bits(model: AuditedModel) -> None:
    first, second = measured(run(model, READERS)), measured(run(model, READERS))
    for label in first:
        np.testing.assert_array_equal(first[label].raw, second[label].raw)


def test_a_part_that_does_not_fit_is_halved_and_counted_once(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured(run(model, READERS, size=4))
    eigen_cam = cam.eigen_cam

    def hungry(result: PassResult, *more: Any) -> DeviceMaps:
        if len(result.pixels) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return eigen_cam(result, *more)

    monkeypatch.setattr(cam, "eigen_cam", hungry)
    found = run(model, READERS, size=4)
    for label, outcome in measured(found).items():
        np.testing.assert_allclose(outcome.raw, whole[label].raw, rtol=0, atol=1e-5)
        assert outcome.ids == whole[label].ids
    assert found.record.passes == Passes(forwards=4, backwards=12)


def test_layers_that_are_read_make_parts_smaller(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    run_pass = by_pass.run_pass

    def watched(model: AuditedModel, pixels: Tensor, *more: Any) -> Any:
        sizes.append(len(pixels))
        return run_pass(model, pixels, *more)

    monkeypatch.setattr(by_pass, "run_pass", watched)
    for layer in (8, 512):
        place = SpatialLayer("conv1", "nchw", layer, (8, 8))
        model.row_bytes[True] = 1_000_000
        fits = int(BATCH_SHARE * 64 * 2**20 / (1_000_000 + 4 * 13 * layer * 64))  # 13 numbers a place and channel
        wanted = [min(fits, 32 - start) for start in range(0, 32, fits)]
        assert len(wanted) == (1 if layer == 8 else 3)
        monkeypatch.setattr(SpatialLayer, "spatial", lambda self, output: output)
        sizes.clear()
        explain_by_pass(model, [SOME[0]], batches(nets.pixels(32), 32), {"grad_cam": place}, limits=Limits(32, 64))
        assert sizes == wanted


def test_one_case_that_does_not_fit_fails_every_reader(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(by_pass, "run_pass", full)
    found = run(model).outcomes
    assert all("batch of one image" in str(outcome) for outcome in found.values())


def _raises(*arguments: Any) -> Any:
    raise RuntimeError("boom")


def _faulty(call: Callable[..., DeviceMaps], change: Callable[[Tensor], Tensor]) -> Callable[..., DeviceMaps]:
    def wrapped(result: PassResult, *more: Any) -> DeviceMaps:
        maps = call(result, *more)
        return replace(maps, raw=change(maps.raw))

    return wrapped


def _nan_in_second(raw: Tensor) -> Tensor:
    raw = raw.clone()
    raw[1].flatten()[0] = torch.nan
    return raw


FAULTS: dict[str, tuple[Callable[[Callable[..., DeviceMaps]], Callable[..., Any]], str]] = {
    "raises": (lambda call: _raises, "RuntimeError: boom"),
    "NaN": (lambda call: _faulty(call, _nan_in_second), "1 NaN or infinite values, first in the map of case 1"),
    "shape": (lambda call: _faulty(call, lambda raw: raw[..., :-1]), "a map of shape"),
    "axes": (lambda call: _faulty(call, lambda raw: raw[..., None]), "a map of shape"),
    "cases": (lambda call: _faulty(call, lambda raw: raw[:1]), "a map of shape"),
    "nothing": (lambda call: lambda *arguments: None, "gave a NoneType"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("module", "label"), [(cam, "grad_cam"), (cam, "eigen_cam"), (gradients, "saliency")])
def test_a_broken_reader_fails_alone(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch, module: Any, label: str, fault: str
) -> None:
    right = measured(run(model, READERS))
    make, told = FAULTS[fault]
    monkeypatch.setattr(module, label, make(getattr(module, label)))
    found = run(model, READERS).outcomes
    assert isinstance(found[label], StepError)
    assert told in str(found[label])
    for other in set(found) - {label}:
        outcome = found[other]
        assert isinstance(outcome, Explained)
        np.testing.assert_array_equal(outcome.raw, right[other].raw)


def test_a_missing_function_is_a_failed_step(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cam, "grad_cam")
    found = run(model).outcomes
    assert isinstance(found["grad_cam"], StepError)
    assert isinstance(found["saliency"], Explained)


def test_refusals_stay_refusals_and_leave_the_others(model: AuditedModel) -> None:
    methods = (
        GradCam(use="grad_cam", layer="head"),
        Saliency(use="saliency", target={"kind": "prob", "class": "nobody"}),
        InputXGradient(use="input_x_gradient", baseline={"sample": "nobody"}),
        EigenCam(use="eigen_cam", layer="conv2"),
        Saliency(use="saliency", name="good"),
    )
    found = run(model, methods)
    kinds = [type(found.outcomes[method.label]) for method in methods]
    assert kinds == [Refusal, Refusal, Refusal, Explained, Explained]
    assert found.record.passes == Passes(forwards=4, backwards=4)


def test_a_refusal_handed_in_is_the_outcome_and_costs_nothing(model: AuditedModel) -> None:
    refusal = Refusal("methods.saliency.budget", "2 passes", "1", "Raise it.")
    found = explain_by_pass(model, [Saliency(use="saliency")], batches(nets.pixels()), {"saliency": refusal})
    assert found.outcomes == {"saliency": refusal}
    assert found.record == PassRecord((), (), (), False, (), Passes())


def test_rules_are_refused_where_they_are_undefined_and_cost_nothing() -> None:
    model = nets.audit(nets.seeded(nets.SmoothNet))
    found = run(model, [GuidedBackprop(use="guided_backprop"), Saliency(use="saliency")])
    assert "GELU" in str(found.outcomes["guided_backprop"])
    assert isinstance(found.outcomes["guided_backprop"], Refusal)
    assert isinstance(found.outcomes["saliency"], Explained)
    assert found.record.passes == Passes(forwards=4, backwards=4)


def vit_method(name: str, path: str) -> GradCam:
    layout = {"tokens": {"prefix": 1, "grid": (4, 6)}}
    return GradCam.model_validate({"use": "grad_cam", "name": name, "layer": path, "layout": layout})


def test_no_gradient_at_a_layer_is_refused() -> None:
    """METHODS 1.4: a ViT's last block, when only the class token feeds the head; its last norm1 works."""
    model = nets.audit(nets.seeded(nets.TokenNet), size=(32, 48))
    methods = (vit_method("last", "blocks.1"), vit_method("norm", "blocks.1.norm1"))
    found = run(model, methods, nets.pixels(2, size=(32, 48))).outcomes
    assert isinstance(found["last"], Refusal)
    assert "no gradient reaches this layer" in str(found["last"])
    assert isinstance(found["norm"], Explained)


class Gate(nets.GapNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (x.mean((1, 2, 3)) > 0.5)[:, None]


def test_some_cases_without_a_gradient_are_one_warning_over_all_batches() -> None:
    images = nets.pixels(5) * np.array([1.0, 0.1, 1.0, 0.1, 1.0], np.float32).reshape(5, 1, 1, 1) + np.float32(0.05)
    methods = [GradCam(use="grad_cam", layer="conv"), EigenCam(use="eigen_cam", layer="conv")]
    for size in (1, 2, 5):
        found = run(nets.audit(nets.seeded(Gate)), methods, images, size).outcomes
        outcome = found["grad_cam"]
        assert isinstance(outcome, Explained)
        assert outcome.warnings == ("No gradient reaches the layer in 2 of 5 cases; their maps are all zero.",)
        assert not outcome.raw[1].any()
        assert isinstance(found["eigen_cam"], Explained)
        assert found["eigen_cam"].warnings == ()


def test_counted_warnings_of_methods_are_one_sentence_with_the_total() -> None:
    model = nets.audit(nets.seeded(nets.SmoothNet))
    method = GradCamPp(use="grad_cam_pp", layer="body.3")
    for size in (1, 3, 6):
        outcome = run(model, [method], nets.pixels(6), size).outcomes["grad_cam_pp"]
        assert isinstance(outcome, Explained)
        told = "The formula presumes activations of 0 or more; the layer has some below 0 in 6 of 6 cases."
        assert outcome.warnings == (told,)


def test_scores_that_are_not_finite_fail_every_reader_and_name_the_case() -> None:
    images = nets.pixels() * 0.1
    images[3] += np.float32(0.9)
    found = run(nets.audit(nets.seeded(nets.NanNet)), [Saliency(use="saliency")], images, 4).outcomes
    assert isinstance(found["saliency"], StepError)
    assert "case3" in str(found["saliency"])


class Root(nn.Module):
    """The gradient of sqrt at 0 is infinite, times 0: NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x).mean((2, 3)) * 0).sqrt()


def test_the_first_stage_with_nan_is_named() -> None:
    methods = (
        GradCam(use="grad_cam", layer="conv"),
        EigenCam(use="eigen_cam", layer="conv"),
        Saliency(use="saliency"),
    )
    found = run(nets.audit(Root()), methods).outcomes
    assert "first in the gradients at 'conv' of case 0" in str(found["grad_cam"])
    assert "first in the gradients of the pixels of case 0" in str(found["saliency"])
    assert isinstance(found["eigen_cam"], Explained)


def test_infinite_gradients_that_a_method_would_hide_are_found(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gradient of -inf has no weight in grad_cam_pp: its map alone would look whole."""
    gradients_of = passes._gradients

    def infinite(*arguments: Any, **named: Any) -> list[Tensor]:
        found = gradients_of(*arguments, **named)
        found[0][0, 0, 0, 0] = -torch.inf
        return found

    monkeypatch.setattr(passes, "_gradients", infinite)
    found = run(model, [GradCamPp(use="grad_cam_pp", layer="conv1")]).outcomes["grad_cam_pp"]
    assert "first in the gradients at 'conv1' of case 0" in str(found)


def test_large_values_whose_sum_overflows_are_no_failure(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = _faulty(gradients.saliency, lambda raw: torch.full_like(raw, 3e38))
    monkeypatch.setattr(gradients, "saliency", huge)
    found = run(model, [Saliency(use="saliency")]).outcomes["saliency"]
    assert isinstance(found, Explained)
    assert found.raw.min() == np.float32(3e38)


def test_a_failing_net_fails_every_reader() -> None:
    methods = (Saliency(use="saliency"), GuidedBackprop(use="guided_backprop"))
    found = explain_by_pass(nets.audit(nets.FailingNet()), methods, batches(nets.pixels()), {}).outcomes
    assert all(isinstance(outcome, StepError) and "no such luck" in str(outcome) for outcome in found.values())


def test_no_case_is_no_map(model: AuditedModel) -> None:
    found = explain_by_pass(model, [Saliency(use="saliency")], [], {}).outcomes["saliency"]
    assert isinstance(found, StepError)
    assert "no cases" in str(found)


def test_errors_of_the_data_are_not_taken_for_failures_of_a_method(model: AuditedModel) -> None:
    def broken() -> Iterator[Batch]:
        yield next(batches(nets.pixels(1)))
        raise DataError("case 1", "a truncated file", "an image", "Mend it.")

    with pytest.raises(DataError):
        explain_by_pass(model, SOME, broken(), layers_of(model, SOME))


def test_no_image_is_read_when_every_method_has_failed(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "saliency", _raises)
    asked: list[int] = []

    def watched() -> Iterator[Batch]:
        for batch in batches(nets.pixels(6)):
            asked.append(len(batch.ids))
            yield batch

    found = explain_by_pass(model, [Saliency(use="saliency")], watched(), {})
    assert asked == [2]
    assert found.record.passes == Passes(2, 2)


def test_a_reader_that_changes_the_model_is_found(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state_digest(model.module)
    saliency = gradients.saliency

    def vandal(*arguments: Any) -> DeviceMaps:
        model.module.conv1.weight.data += 1
        return saliency(*arguments)

    monkeypatch.setattr(gradients, "saliency", vandal)
    with pytest.raises(ModelError, match=r"conv1\.weight"):
        run(model)
    assert state_digest(model.module) == before


def test_images_are_not_written_to(model: AuditedModel) -> None:
    images = nets.pixels()
    before = images.copy()
    run(model, READERS, images)
    np.testing.assert_array_equal(images, before)


def found_state(model: AuditedModel) -> tuple[Any, ...]:
    hooks = [len(v) for m in model.module.modules() for k, v in vars(m).items() if "hooks" in k and isinstance(v, dict)]
    return (
        state_digest(model.module),
        [module.training for module in model.module.modules()],
        [(parameter.requires_grad, parameter.grad) for parameter in model.module.parameters()],
        hooks,
        torch.get_rng_state().tolist(),
    )


def test_model_is_as_found_after_many_calls_and_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet))
    model.module.train()
    model.module.conv1.requires_grad_(False)
    before = found_state(model)
    images = nets.pixels(1)
    layers = layers_of(model, READERS)
    for _ in range(20):
        explain_by_pass(model, READERS, batches(images), layers, SOURCES)
    assert found_state(model) == before
    monkeypatch.setattr(cam, "grad_cam", _raises)
    run(model, READERS, images)
    assert found_state(model) == before

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(gradients, "guided_backprop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(model, READERS, images)
    assert found_state(model) == before


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(model: AuditedModel) -> None:
    process = psutil.Process()
    layers = layers_of(model, READERS)

    def images(count: int) -> Iterator[Batch]:
        for k in range(0, count, 4):
            yield Batch(tuple(range(k, k + 4)), tuple(map(str, range(k, k + 4))), nets.pixels(4, seed=k))

    def once(count: int) -> None:
        explain_by_pass(model, READERS, images(count), layers, SOURCES)
        gc.collect()

    once(200)
    before = process.memory_info().rss
    once(200)
    assert process.memory_info().rss - before < 5e6


def outcomes_digest(outcomes: dict[str, Outcome]) -> str:
    digest = hashlib.sha256()
    for label, outcome in outcomes.items():
        assert isinstance(outcome, Explained)
        digest.update(label.encode() + outcome.raw.tobytes())
        digest.update(repr((outcome.parameters, outcome.explained, outcome.target)).encode())
    return digest.hexdigest()


SCRIPT = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
import torch
torch.set_num_threads(1)
import nets, test_by_pass as t
print(t.outcomes_digest(t.run(nets.audit(nets.seeded(nets.ResidualNet)), t.READERS).outcomes))
"""


@pytest.mark.slow
def test_results_do_not_depend_on_the_hash_seed() -> None:
    here = Path(__file__).parent
    script = SCRIPT.format(tests=str(here.parent), here=str(here))
    digests = []
    for seed in ("0", "1"):
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=here.parents[1])
        digests.append(done.stdout)
    assert digests[0] == digests[1]
    assert len(digests[0].strip()) == 64


def test_tensors_arrive_contiguous_with_their_values() -> None:
    tensors = [
        torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        torch.tensor(True),
        torch.arange(3),
    ]
    for given, found in zip(tensors, Fetching(torch.device("cpu")).send(tensors)(), strict=True):
        assert found.is_contiguous()
        assert torch.equal(given, found)


def test_limits_of_a_cpu_and_as_named() -> None:
    assert Limits.of(torch.device("cpu")) == Limits(16, 512)
    assert Limits.of(torch.device("cpu"), 64, 3) == Limits(3, 64)

"""What the runner relies on: failures stay with their method, and the model stays as it was."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nets
import numpy as np
import psutil
import pytest
import torch

from xai_audit.errors import DataError, ModelError, Refusal, StepError
from xai_audit.explain import cam, gradients, occlusion
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explain import Batch, Explained, Outcome, explain_by_pass, explain_by_queries, method_layers
from xai_audit.explain.maps import Maps
from xai_audit.explain.occlusion import occlusion as ask_occlusion
from xai_audit.explain.passes import PassResult
from xai_audit.model.audited import AuditedModel
from xai_audit.model.state import state_digest
from xai_audit.spec.schema import GradCam, Method, Occlusion, Saliency

SPEC = nets.model_spec(layers={"last": "conv2"})
SOURCES = FillSources(mean_colour=(0.5, 0.5, 0.5))
METHODS: tuple[Method, ...] = (
    GradCam(use="grad_cam", layer="last"),
    Saliency(use="saliency"),
    Occlusion(use="occlusion", window=6, stride=5),
)


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def batches(images: np.ndarray, size: int = 2) -> Iterator[Batch]:
    for k in range(0, len(images), size):
        part = images[k : k + size]
        yield Batch(tuple(range(k, k + len(part))), part)


def explain(
    model: AuditedModel, methods: tuple[Method, ...] = METHODS, images: np.ndarray | None = None, size: int = 2
) -> dict[str, Outcome]:
    images = nets.pixels() if images is None else images
    layers = method_layers(methods, model, SPEC)
    by_pass = explain_by_pass(model, methods, batches(images, size), layers)
    by_queries = explain_by_queries(model, methods, batches(images, size), SOURCES, batch_size=size)
    return {**by_pass.outcomes, **by_queries.outcomes}


def measured(outcomes: dict[str, Outcome]) -> dict[str, Explained]:
    assert all(isinstance(outcome, Explained) for outcome in outcomes.values()), outcomes
    return outcomes  # type: ignore[return-value]


def test_every_method_explains_every_case(model: AuditedModel) -> None:
    found = measured(explain(model))
    assert {label: outcome.raw.shape for label, outcome in found.items()} == {
        "grad_cam": (4, 8, 8),
        "saliency": (4, 3, 16, 16),
        "occlusion": (4, 16, 16),
    }
    assert found["grad_cam"].extras["weights"].shape == (4, 6)
    assert found["occlusion"].extras["windows"].shape == (4, 3, 3)
    names = model.scores(torch.from_numpy(nets.pixels())).argmax(1).tolist()
    for outcome in found.values():
        assert outcome.raw.dtype == np.float32
        assert outcome.explained == tuple(f"class{k}" for k in names)
        assert outcome.target == {"kind": "logit", "class": "predicted"}
    assert found["grad_cam"].parameters == {"layer": "conv2", "layout": "nchw", "grid": [8, 8]}
    assert found["occlusion"].parameters["window"] == 6


@pytest.mark.parametrize("net", [nets.ResidualNet, nets.SmoothNet, nets.GapNet])
def test_batch_size_changes_nothing(net: type[torch.nn.Module]) -> None:
    model = nets.audit(nets.seeded(net))
    layers = {nets.ResidualNet: "conv2", nets.SmoothNet: "body.2", nets.GapNet: "conv"}
    methods = (GradCam(use="grad_cam", layer=layers[net]), *METHODS[1:])
    one, eight = (measured(explain(model, methods, nets.pixels(9), size)) for size in (1, 8))
    for label in one:
        np.testing.assert_allclose(one[label].raw, eight[label].raw, rtol=0, atol=1e-5)


def test_the_same_call_gives_the_same_bits(model: AuditedModel) -> None:
    first, second = measured(explain(model)), measured(explain(model))
    for label in first:
        np.testing.assert_array_equal(first[label].raw, second[label].raw)


def _raises(*arguments: Any) -> Any:
    raise RuntimeError("boom")


def _faulty(call: Callable[..., Maps], change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Maps]:
    def wrapped(result: PassResult, *more: Any) -> Maps:
        maps = call(result, *more)
        return replace(maps, raw=change(maps.raw))

    return wrapped


def _nan_in_second(raw: np.ndarray) -> np.ndarray:
    raw = raw.copy()
    raw[1].flat[0] = np.nan
    return raw


FAULTS: dict[str, tuple[Callable[[Callable[..., Maps]], Callable[..., Any]], str]] = {
    "raises": (lambda call: _raises, "RuntimeError: boom"),
    "NaN": (lambda call: _faulty(call, _nan_in_second), "1 NaN or infinite values, first in the map of case 1"),
    "shape": (lambda call: _faulty(call, lambda raw: raw[..., :-1]), "a map of shape"),
    "axes": (lambda call: _faulty(call, lambda raw: raw[..., None]), "a map of shape"),
    "cases": (lambda call: _faulty(call, lambda raw: raw[:1]), "a map of shape"),
    "nothing": (lambda call: lambda *arguments: None, "gave a NoneType"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("module", "label"), [(cam, "grad_cam"), (gradients, "saliency")])
def test_a_broken_reader_fails_alone(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch, module: Any, label: str, fault: str
) -> None:
    right = measured(explain(model))
    make, told = FAULTS[fault]
    monkeypatch.setattr(module, label, make(getattr(module, label)))
    found = explain(model)
    assert isinstance(found[label], StepError)
    assert told in str(found[label])
    for other in set(found) - {label}:
        outcome = found[other]
        assert isinstance(outcome, Explained)
        np.testing.assert_array_equal(outcome.raw, right[other].raw)


def _asker_with(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    def wrapped(case: Any, method: Method) -> Any:
        maps = yield from ask_occlusion(case, method)
        return replace(maps, raw=change(maps.raw))

    return wrapped


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (_raises, "RuntimeError: boom"),
        (_asker_with(lambda raw: raw * np.nan), "256 NaN or infinite values, first in the map"),
        (_asker_with(lambda raw: raw[:, 1:]), r"a map of shape (1, 15, 16); expected (1, 16, 16)"),
    ],
)
def test_a_broken_asker_fails_alone(
    model: AuditedModel, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any], told: str
) -> None:
    methods = (*METHODS, Occlusion(use="occlusion", name="other", window=8))
    monkeypatch.setattr(occlusion, "occlusion", call)
    found = explain(model, methods)
    assert told in str(found["occlusion"])
    assert isinstance(found["occlusion"], StepError)
    assert isinstance(found["saliency"], Explained)


def test_a_missing_function_is_a_failed_step(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cam, "grad_cam")
    monkeypatch.delattr(occlusion, "occlusion")
    found = explain(model)
    assert isinstance(found["grad_cam"], StepError)
    assert isinstance(found["occlusion"], StepError)
    assert isinstance(found["saliency"], Explained)


def test_refusals_stay_refusals(model: AuditedModel) -> None:
    methods = (
        GradCam(use="grad_cam", layer="head"),
        Saliency(use="saliency", target={"kind": "prob", "class": "nobody"}),
        Occlusion(use="occlusion", baseline={"sample": "nobody"}),
        Saliency(use="saliency", name="good"),
    )
    found = explain(model, methods)
    assert [type(found[label]) for label in ("grad_cam", "saliency", "occlusion", "good")] == [
        Refusal,
        Refusal,
        Refusal,
        Explained,
    ]


def test_no_gradient_at_a_layer_is_refused() -> None:
    """METHODS 1.4: a ViT's last block, when only the class token feeds the head; its last norm1 works."""
    model = nets.audit(nets.seeded(nets.TokenNet), size=(32, 48))
    layout = {"tokens": {"prefix": 1, "grid": (4, 6)}}
    methods = tuple(
        GradCam.model_validate({"use": "grad_cam", "name": name, "layer": path, "layout": layout})
        for name, path in (("last", "blocks.1"), ("norm", "blocks.1.norm1"))
    )
    images = nets.pixels(2, size=(32, 48))
    found = explain_by_pass(model, methods, batches(images), method_layers(methods, model, SPEC)).outcomes
    assert isinstance(found["last"], Refusal)
    assert "no gradient reaches this layer" in str(found["last"])
    assert isinstance(found["norm"], Explained)


def test_some_cases_without_a_gradient_are_a_warning() -> None:
    class Gate(nets.GapNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (x.mean((1, 2, 3)) > 0.5)[:, None]

    images = nets.pixels(3) * np.array([1.0, 0.1, 1.0], np.float32).reshape(3, 1, 1, 1) + np.float32(0.05)
    method = GradCam(use="grad_cam", layer="conv")
    found = explain(nets.audit(nets.seeded(Gate)), (method,), images)["grad_cam"]
    assert isinstance(found, Explained)
    assert found.warnings == ("No gradient reaches the layer in 1 of 3 cases; their maps are all zero.",)
    assert not found.raw[1].any()


def test_scores_that_are_not_finite_fail_every_method() -> None:
    found = explain(nets.audit(nets.seeded(nets.NanNet)), METHODS[1:], nets.pixels() * 0.1 + np.float32(0.9))
    assert all(isinstance(outcome, StepError) for outcome in found.values())
    assert all("finite scores" in str(outcome) for outcome in found.values())


def test_the_first_stage_with_nan_is_named() -> None:
    class Square(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.conv(x).mean((2, 3)) * 0).sqrt()  # gradient of sqrt at 0: inf, times 0: NaN

    found = explain(nets.audit(Square()), (GradCam(use="grad_cam", layer="conv"), Saliency(use="saliency")))
    assert "first in the gradients at 'conv' of case 0" in str(found["grad_cam"])
    assert "first in the gradients of the pixels of case 0" in str(found["saliency"])


def test_a_failing_net_fails_every_method() -> None:
    found = explain(nets.audit(nets.FailingNet()), METHODS[1:])
    assert all(isinstance(outcome, StepError) and "no such luck" in str(outcome) for outcome in found.values())


def test_errors_of_the_data_are_not_taken_for_failures_of_a_method(model: AuditedModel) -> None:
    def broken() -> Iterator[Batch]:
        yield Batch((0,), nets.pixels(1))
        raise DataError("case 1", "a truncated file", "an image", "Mend it.")

    with pytest.raises(DataError):
        explain_by_pass(model, METHODS, broken(), method_layers(METHODS, model, SPEC))
    with pytest.raises(DataError):
        explain_by_queries(model, METHODS, broken(), SOURCES)


def test_a_reader_that_changes_the_model_is_found(model: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state_digest(model.module)

    def vandal(*arguments: Any) -> Maps:
        model.module.conv1.weight.data += 1
        return gradients_saliency(*arguments)

    gradients_saliency = gradients.saliency
    monkeypatch.setattr(gradients, "saliency", vandal)
    with pytest.raises(ModelError, match=r"conv1\.weight"):
        explain(model)
    assert state_digest(model.module) == before


def found_state(model: AuditedModel) -> tuple[Any, ...]:
    hooks = [len(v) for m in model.module.modules() for k, v in vars(m).items() if "hooks" in k and isinstance(v, dict)]
    return (
        state_digest(model.module),
        [module.training for module in model.module.modules()],
        [(parameter.requires_grad, parameter.grad) for parameter in model.module.parameters()],
        hooks,
        torch.get_rng_state().tolist(),
    )


@pytest.mark.slow
def test_model_is_as_found_after_100_calls_and_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet))
    model.module.train()
    model.module.conv1.requires_grad_(False)
    before = found_state(model)
    images = nets.pixels(1)
    for _ in range(100):
        explain(model, images=images)
    assert found_state(model) == before
    monkeypatch.setattr(cam, "grad_cam", _raises)
    monkeypatch.setattr(occlusion, "occlusion", _raises)
    explain(model, images=images)
    assert found_state(model) == before

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    for module, name in ((gradients, "saliency"), (occlusion, "occlusion")):
        monkeypatch.setattr(module, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            explain(model, (METHODS[1],) if name == "saliency" else (METHODS[2],), images)
        assert found_state(model) == before


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(model: AuditedModel) -> None:
    process = psutil.Process()

    def images(count: int) -> Iterator[Batch]:
        for k in range(0, count, 4):
            yield Batch(tuple(range(k, k + 4)), nets.pixels(4, seed=k))

    def run(count: int) -> None:
        explain_by_pass(model, METHODS, images(count), method_layers(METHODS, model, SPEC))
        explain_by_queries(model, METHODS, images(count), SOURCES, batch_size=8)
        gc.collect()

    run(100)
    before = process.memory_info().rss
    run(200)
    assert process.memory_info().rss - before < 5e6


SCRIPT = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import nets, test_explain
outcomes = test_explain.explain(nets.audit(nets.seeded(nets.ResidualNet)))
digest = hashlib.sha256()
for label, outcome in outcomes.items():
    digest.update(label.encode() + outcome.raw.tobytes())
    digest.update(repr((outcome.parameters, outcome.explained, outcome.target)).encode())
print(digest.hexdigest())
"""


def _printed(script: str, seed: str, folder: Path) -> str:
    environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=folder).stdout


@pytest.mark.slow
def test_results_do_not_depend_on_the_hash_seed() -> None:
    here = Path(__file__).parent
    script = SCRIPT.format(tests=str(here.parent)).replace(
        "import nets,", f"sys.path.insert(0, {str(here)!r})\nimport nets,"
    )
    digests = [_printed(script, seed, here.parents[1]) for seed in ("0", "1")]
    assert digests[0] == digests[1]
    assert len(digests[0].strip()) == 64

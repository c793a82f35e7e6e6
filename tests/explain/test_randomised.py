"""Methods on random nets: what is not computed again changes nothing, classes stay frozen, passes are counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from tests import nets
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.explained import Batch, Explained, Limits
from xai_audit.explain.method_layers import method_layers
from xai_audit.explain.randomised import Randomising, StageMaps, randomised_maps
from xai_audit.explain.untouched import UntouchedPart
from xai_audit.model.audited import AuditedModel
from xai_audit.model.randomising import random_network
from xai_audit.model.state import state_digest
from xai_audit.spec.methods import Method

METHOD: TypeAdapter[Method] = TypeAdapter(Method)
READERS = ("grad_cam", "saliency", "guided_backprop", "eigen_cam")
LIMITS = Limits(16, 512)


def methods(*uses: str | dict) -> list[Method]:
    return [METHOD.validate_python({"use": use} if isinstance(use, str) else use) for use in uses]


def setting(
    model: AuditedModel, some: Sequence[Method], *, stages: int = 8, order: str = "cascade", how: dict | None = None,
    untouched: bool = True, limits: Limits = LIMITS,
) -> Randomising:  # fmt: skip
    network = random_network(model, 1, order=order, stages=stages)
    spec = nets.model_spec(**(how or {}))
    layers = method_layers(some, model, spec)
    paths = tuple(dict.fromkeys(layer.path for layer in layers.values() if not isinstance(layer, Refusal)))
    part = UntouchedPart.of(network, paths) if untouched else None
    return Randomising(network, layers, FillSources(mean_colour=(0.5, 0.5, 0.5)), 3, limits, untouched=part)


def batch(cases: int = 3, size: tuple[int, int] = (16, 16), classes: tuple[int, ...] | None = (0, 1, 2)) -> Batch:
    ids = tuple(f"c{k}" for k in range(cases))
    return Batch(tuple(range(cases)), ids, nets.pixels(cases, size=size), classes)


def found(given: Iterable[StageMaps]) -> tuple[dict[tuple[str, int, str], np.ndarray], Passes]:
    """Maps by method, stage and case, and all passes."""
    maps: dict[tuple[str, int, str], np.ndarray] = {}
    passes = NO_PASSES
    for item in given:
        passes = sum(item.passes.values(), passes)
        for label, outcome in item.outcomes.items():
            assert isinstance(outcome, Explained), outcome
            maps |= {(label, item.stage, name): raw for name, raw in zip(outcome.ids, outcome.raw, strict=True)}
    return maps, passes


RESIDUAL, TOKENS = nets.ResidualNet, nets.TokenNet
KINDS = {
    "residual": (RESIDUAL, {}, READERS),
    "tokens": (TOKENS, {"size": (32, 48)}, ("saliency", "input_x_gradient")),
    "functional": (nets.FunctionalNet, {}, ("saliency", "guided_backprop")),
    "shared": (nets.SharedActivation, {}, ("saliency", "guided_backprop")),
    "double": (lambda: nets.ResidualNet().double(), {}, READERS),
    "half": (lambda: nets.ResidualNet().bfloat16(), {}, ("saliency",)),
}


@pytest.mark.parametrize("order", ["cascade", "independent"])
@pytest.mark.parametrize("name", KINDS)
def test_the_untouched_part_is_not_computed_again_and_changes_nothing(name: str, order: str) -> None:
    """Against whole forwards of the net with the same random tensors: 1e-6 in float32 (METHODS 8.2, 9)."""
    make, how, uses = KINDS[name]
    model, some = nets.audit(nets.seeded(make), **how), methods(*uses)
    digest = state_digest(model.module)
    one = setting(model, some, order=order, how=how)
    size = how.get("size", (16, 16))
    reused, few = found(randomised_maps(some, lambda: [batch(size=size)], one))
    whole, many = found(
        randomised_maps(some, lambda: [batch(size=size)], setting(model, some, order=order, how=how, untouched=False))
    )
    assert reused.keys() == whole.keys()
    for key, raw in whole.items():
        scale = float(np.abs(raw).max())
        tolerance = 1e-2 if name == "half" else 1e-6
        np.testing.assert_allclose(reused[key], raw, rtol=0, atol=tolerance * scale, err_msg=str(key))
    stages = len(one.network.stages)
    assert many == Passes(forwards=3 * stages, backwards=many.backwards)
    assert few.backwards == many.backwards
    full = 3 if order == "cascade" else 6  # the last stage; and alone, the one of the first part
    assert few.forwards == full and few.forwards + few.partial == 3 * (stages + 1)  # one part that all share
    assert state_digest(model.module) == digest


def test_no_more_passes_than_the_definition_needs() -> None:
    """(stages + 1) x method: the original maps are those of the explanation; its one forward here is a part of one."""
    model, some = nets.audit(nets.seeded(RESIDUAL)), methods("saliency")
    _, passes = found(randomised_maps(some, lambda: [batch()], setting(model, some, stages=5)))
    assert passes == Passes(forwards=3, backwards=15, partial=15)
    _, passes = found(randomised_maps(some, lambda: [batch()], setting(model, some, stages=1)))
    assert passes == Passes(forwards=3, backwards=3)


def test_methods_share_the_passes_of_a_stage() -> None:
    model, some = nets.audit(nets.seeded(RESIDUAL)), methods("saliency", "input_x_gradient", "grad_cam")
    items = list(randomised_maps(some, lambda: [batch()], setting(model, some, stages=2)))
    assert sum((sum(item.passes.values(), NO_PASSES) for item in items), NO_PASSES).backwards == 6
    assert all(set(item.passes) == {"saliency"} for item in items)


def test_batches_of_any_size_give_the_same() -> None:
    model, some = nets.audit(nets.seeded(RESIDUAL)), methods("saliency", "grad_cam")
    whole, _ = found(randomised_maps(some, lambda: [batch()], setting(model, some)))
    single, _ = found(randomised_maps(some, lambda: [batch()], setting(model, some, limits=Limits(1, 512))))
    assert whole.keys() == single.keys()
    for key, raw in whole.items():
        np.testing.assert_allclose(single[key], raw, rtol=0, atol=1e-5 * np.abs(raw).max())


def test_a_batch_that_does_not_fit_is_run_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_audit.explain import untouched

    model, some = nets.audit(nets.seeded(RESIDUAL)), methods("saliency")
    wanted, _ = found(randomised_maps(some, lambda: [batch(4, classes=(0, 1, 2, 0))], setting(model, some, stages=2)))
    one = setting(model, some, stages=2)
    values = UntouchedPart._values

    def full(self: UntouchedPart, stage: object, opened: untouched.Opened, needs: object) -> object:
        if len(opened.pixels) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return values(self, stage, opened, needs)

    monkeypatch.setattr(UntouchedPart, "_values", full)
    made, _ = found(randomised_maps(some, lambda: [batch(4, classes=(0, 1, 2, 0))], one))
    for key, raw in wanted.items():
        np.testing.assert_allclose(made[key], raw, rtol=0, atol=1e-6 * np.abs(raw).max())


def test_the_class_is_the_one_of_the_unperturbed_net() -> None:
    """A random net puts other classes first; each case keeps its own all the same."""
    model, some = nets.audit(nets.seeded(RESIDUAL)), methods("saliency", {"use": "occlusion", "window": 8, "stride": 8})
    for item in randomised_maps(some, lambda: [batch()], setting(model, some, stages=3)):
        for outcome in item.outcomes.values():
            assert isinstance(outcome, Explained)
            assert outcome.explained == ("class0", "class1", "class2")


def test_query_askers_ask_the_random_net() -> None:
    """Occlusion of one window is f(x) - f(covered): computed by hand on the net with the same tensors."""
    model, some = (
        nets.audit(nets.seeded(RESIDUAL)),
        methods({"use": "occlusion", "window": 16, "stride": 16, "baseline": "black"}),
    )
    one = setting(model, some, stages=2, untouched=False)
    maps, passes = found(randomised_maps(some, lambda: [batch()], one))
    x = torch.from_numpy(batch().pixels)
    for number, stage in enumerate(one.network.stages):
        with one.network.at(stage) as random:
            drop = random.raw_scores(x) - random.raw_scores(torch.zeros_like(x))
        for case in range(3):
            np.testing.assert_allclose(
                maps["occlusion", number, f"c{case}"], float(drop[case, case].detach()), rtol=1e-4, atol=1e-6
            )
    assert passes.rows == 2 * (3 + 3)


def test_an_asker_has_the_seed_of_the_original() -> None:
    """On a net whose gradient is the same everywhere noise changes nothing; on any net equal seeds give equal maps."""
    model, some = nets.audit(nets.seeded(RESIDUAL)), methods({"use": "smooth_grad", "samples": 3})
    one = setting(model, some, stages=1, untouched=False)
    first, _ = found(randomised_maps(some, lambda: [batch()], one))
    again, _ = found(randomised_maps(some, lambda: [batch()], one))
    assert all(np.array_equal(first[key], again[key]) for key in first)


class Failing(nn.Module):
    """Fails on every net but the trained one."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(768, 3)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        if bool((self.head.bias != 0).any()):
            raise KeyError("random weights")
        return self.head(x.flatten(1))


@pytest.mark.parametrize("use", ["saliency", "occlusion"])
def test_a_net_that_fails_when_it_is_random_fails_the_stage_and_is_as_found(use: str) -> None:
    model, some = nets.audit(nets.seeded(Failing)), methods(use)
    digest = state_digest(model.module)
    items = list(randomised_maps(some, lambda: [batch()], setting(model, some, untouched=False)))
    assert all(isinstance(item.outcomes[use], StepError) for item in items)
    assert state_digest(model.module) == digest and not model.module._forward_hooks


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_between_stages_leaves_the_net_as_found(error: type[BaseException]) -> None:
    model, some = nets.audit(nets.seeded(RESIDUAL)), methods("saliency", {"use": "occlusion", "window": 8})
    model.module.train()
    digest = state_digest(model.module)

    def broken() -> Iterable[Batch]:
        yield batch()
        raise error

    with pytest.raises(error):
        list(randomised_maps(some, broken, setting(model, some, untouched=False)))
    assert state_digest(model.module) == digest and model.module.training


def test_a_net_that_cannot_be_recorded_is_refused_with_the_reason() -> None:
    class Turning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(768, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.flatten(1)) * (2 if float(x.sum()) > 0 else 1)

    with pytest.raises(Refusal, match="hole forwards are made"):
        UntouchedPart.of(random_network(nets.audit(nets.seeded(Turning)), 0), ())


def test_a_stage_that_is_not_what_the_net_gives_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a recording that keeps one original tensor is found out."""
    from xai_audit.explain import untouched

    network = random_network(nets.audit(nets.seeded(RESIDUAL)), 0)
    view = untouched.as_view
    monkeypatch.setattr(untouched, "as_view", lambda values, like: like if like.ndim == 4 else view(values, like))
    with pytest.raises(Refusal, match="away from the whole network"):
        UntouchedPart.of(network, ())


def test_the_gradient_of_a_linear_net_resembles_nothing_once_it_is_random() -> None:
    """METHODS 6: linear f with d = 10,000: |rho| < .05, signed and in size; a map without the net keeps rho = 1."""
    from xai_audit.measures.randomisation import likeness, places_of

    model = nets.audit(nets.seeded(lambda: nets.LinearNet((1, 100, 100))), size=(100, 100), channels=1)
    some, one = methods("saliency"), batch(1, classes=(0,))
    one = Batch(one.indexes, one.ids, nets.pixels(1, channels=1, size=(100, 100)), (0,))
    original = explain_by_pass(model, some, [one], {}).outcomes["saliency"]
    assert isinstance(original, Explained)
    network = random_network(model, 7)
    for item in randomised_maps(some, lambda: [one], Randomising(network, {}, FillSources(), 0, LIMITS)):
        outcome = item.outcomes["saliency"]
        assert isinstance(outcome, Explained)
        (kept,), (made,) = places_of(original.raw, {}), places_of(outcome.raw, {})
        assert likeness(kept, made, "max_abs").size < 0.05
        assert likeness(kept, kept, "max_abs").size == pytest.approx(1)

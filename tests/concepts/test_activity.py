"""Activity of units over a slice: known answers of METHODS 3, and loops in float64."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from xai_audit.concepts.activity import (
    MOST_MEGABYTES,
    STUCK,
    Activity,
    Bounds,
    check_size,
    saturation,
    soft_bounds,
    units_of,
)
from xai_audit.errors import Refusal, StepError
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import ActivationMaps
from xai_audit.synthetic import nets


def method(**more: Any) -> ActivationMaps:
    return ActivationMaps(use="activation_maps", **more)


def activity(maps: np.ndarray, batch: int = 3, bounds: Bounds = None, **more: Any) -> Activity:
    """What is gathered of a layer's outputs (cases, channels, height, width), so many cases at a time."""
    made, cases = method(**more), np.arange(len(maps))
    ids = tuple(f"case{k}" for k in cases)
    found = Activity(made, units_of(made, maps.shape[1]), ids, {"all": cases, "odd": cases[1::2]}, bounds)
    for start in range(0, len(maps), batch):
        found.take(cases[start : start + batch], torch.from_numpy(maps[start : start + batch]))
    return found


def outputs(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net.conv(torch.from_numpy(pixels)).numpy()  # type: ignore[operator]


def copying(order: tuple[int, ...] = (0, 1, 2)) -> nets.MeanPooled:
    return nets.MeanPooled(nets.identity_kernel(3)[list(order)], torch.ones(1, 3), torch.zeros(1))


PIXELS = np.random.default_rng(0).random((7, 3, 5, 4)).astype(np.float32)


def test_an_identity_returns_the_image_and_a_permutation_its_channels_permuted() -> None:
    for order in ((0, 1, 2), (2, 0, 1)):
        found = activity(outputs(copying(order), PIXELS), top=7)
        for unit, channel in enumerate(order):
            strongest = np.argsort(-PIXELS[:, channel].max((1, 2)), kind="stable")
            assert found.top.cases[unit].tolist() == strongest.tolist()
            np.testing.assert_allclose(found.top.maps[unit], PIXELS[strongest, channel], rtol=0, atol=1e-6)
    plain, permuted = activity(outputs(copying(), PIXELS)), activity(outputs(copying((2, 0, 1)), PIXELS))
    for unit, channel in enumerate((2, 0, 1)):
        assert {**asdict(plain.facts()[channel]), "unit": unit} == asdict(permuted.facts()[unit])
        assert np.array_equal(plain.histograms.counts[:, channel], permuted.histograms.counts[:, unit])


@pytest.mark.parametrize("rank", ["max", "mean"])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_against_loops_in_float64(rank: str, batch: int) -> None:
    maps = np.random.default_rng(1).normal(size=(8, 10, 3, 2)).astype(np.float32)
    maps[:, 4] = np.round(maps[:, 4])
    units = (7, 1, 4, 9)
    found = activity(maps, batch, units=units, rank=rank, top=3)
    strength = {}
    for row, unit in enumerate(units):
        values = [float(value) for value in maps[:, unit].ravel()]
        facts = found.facts()[row]
        assert (facts.unit, facts.min, facts.max) == (unit, min(values), max(values))
        assert facts.mean == pytest.approx(sum(values) / 48, abs=1e-15)
        assert facts.share_not_positive == sum(value <= 0 for value in values) / 48
        assert facts.share_at_bound == sum(value == max(values) for value in values) / 48
        assert not facts.is_dead and not facts.is_saturated
        strength[row] = max(values) if rank == "max" else sum(values)
    assert list(found.order()) == sorted(strength, key=lambda row: -strength[row])
    assert found.is_rectified is False
    assert found.histograms.counts.sum(2).tolist() == [[48] * 4, [24] * 4]


def test_batches_leave_the_same_bytes() -> None:
    maps = np.random.default_rng(2).gamma(0.5, size=(30, 6, 7, 7)).astype(np.float32)
    one = activity(maps, 1)
    for batch in (4, 8, 30):
        other = activity(maps, batch)
        assert other.facts() == one.facts() and other.order() == one.order()
        assert other.histograms.edges.tobytes() == one.histograms.edges.tobytes()
        assert other.histograms.counts.tobytes() == one.histograms.counts.tobytes()
        assert other.top.maps.tobytes() == one.top.maps.tobytes()


def test_histograms_by_slice_are_counts_of_its_cases() -> None:
    maps = np.random.default_rng(3).normal(size=(9, 2, 4, 4)).astype(np.float32)
    found = activity(maps, 4).histograms
    assert found.slices == ("all", "odd")
    for unit in range(2):
        for row, part in enumerate((maps, maps[1::2])):
            wanted = np.histogram(part[:, unit].astype(np.float64), found.edges[unit])[0]
            assert np.array_equal(found.counts[row, unit], wanted)


# Dead and saturated


def states(maps: np.ndarray, **more: Any) -> tuple[list[bool], list[bool]]:
    facts = activity(maps, **more).facts()
    return [one.is_dead for one in facts], [one.is_saturated for one in facts]


def test_a_unit_is_dead_in_a_rectified_layer_alone() -> None:
    maps = np.maximum(np.random.default_rng(0).normal(size=(4, 3, 2, 2)), 0)
    maps[:, 1] = 0
    assert states(maps) == ([False, True, False], [False] * 3)
    maps[0, 0, 0, 0] = -1
    found = activity(maps)
    assert found.is_rectified is False
    assert not any(one.is_dead for one in found.facts())
    assert [one.is_saturated for one in found.facts()] == [False, True, False]  # one value everywhere


def test_whether_a_layer_is_rectified_is_seen_in_all_its_units() -> None:
    maps = np.zeros((2, 3, 2, 2), np.float32)
    maps[1, 2, 0, 0] = -0.1
    assert states(maps, units=(0, 1))[0] == [False, False]
    assert states(np.maximum(maps, 0), units=(0, 1))[0] == [True, True]


@pytest.mark.parametrize("batch", [1, 2, 10])
def test_a_unit_is_saturated_where_it_stays_at_its_upper_bound(batch: int) -> None:
    """Of 100 values 95 at 6 are enough, 94 are not; a unit that is 0 but for a few, or once at its top, is not."""
    maps = np.zeros((10, 5, 2, 5), np.float32)
    flat = np.full(100, 6.0, np.float32)
    maps[:, 0] = np.where(np.arange(100) < 95, flat, 1).reshape(10, 2, 5)
    maps[:, 1] = np.where(np.arange(100) < 94, flat, 1).reshape(10, 2, 5)
    maps[:, 2] = 6
    maps[0, 3, 0, 0] = 6
    maps[:, 4] = np.random.default_rng(0).random((10, 2, 5))
    found = activity(maps, batch)
    assert [one.is_saturated for one in found.facts()] == [True, False, True, False, False]
    assert [one.share_at_bound for one in found.facts()] == [0.95, 0.94, 1.0, 0.01, 0.01]
    assert STUCK == 0.95


def test_real_activations_that_are_held_at_their_bound() -> None:
    """Positive control: a large bias. Negative control: none."""
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 1, 6, 6)).astype(np.float32))
    for act, is_soft in ((nn.ReLU6(), False), (nn.Hardtanh(), False), (nn.Hardsigmoid(), False), (nn.Sigmoid(), True)):
        bounds = soft_bounds(act)
        assert (bounds is not None) == is_soft
        maps = torch.cat([act(x), act(x + 12), act(x * 1e-3)], 1).numpy()
        assert states(maps, bounds=bounds)[1] == [False, True, False], act
    swish = nn.Hardswish()
    maps = torch.cat([swish(x), swish(x - 12), swish(x + 12)], 1).numpy()
    assert states(maps)[1] == [False, True, False]  # 0 everywhere; above 3 it has no bound


def test_a_soft_bound_is_neared_at_either_end() -> None:
    x = torch.linspace(-1, 1, 100).reshape(4, 1, 5, 5)
    maps = torch.cat([(x + 6).tanh(), (x - 6).tanh(), x.tanh(), torch.where(x > 0, 1.0, -1.0)], 1).numpy()
    found = activity(maps, bounds=(-1, 1)).facts()
    assert [one.is_saturated for one in found] == [True, True, False, False]
    assert found[3].share_at_bound == 0.5  # half at each end: it tells two things apart


def test_bounds_are_those_of_the_module_that_ends_the_layer() -> None:
    assert soft_bounds(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sequential(nn.ReLU(), nn.Tanh()))) == (-1, 1)
    assert soft_bounds(nn.Sequential(nn.Sigmoid(), nn.ReLU())) is None
    assert soft_bounds(nn.Sequential()) is None
    assert saturation(None) == {"rule": "largest", "share": 0.95}
    assert saturation((0, 1)) == {"rule": "bounds", "bounds": [0, 1], "within": 0.01, "share": 0.95}


# Refusals and failures


def test_a_unit_beyond_the_layer_is_refused() -> None:
    with pytest.raises(
        Refusal, match=r"methods\.activation_maps\.units: found unit 3; expected 0 to 2: the layer has 3"
    ):
        units_of(method(units=(0, 3)), 3)
    assert units_of(method(), 3) == (0, 1, 2)
    assert units_of(method(units=(2, 1)), 3) == (2, 1)


def test_too_much_is_refused_with_the_number_that_fits() -> None:
    """A map of 64 x 64 has 16 KiB, two of them and no histogram 32 KiB a unit: 4096 units fill 128 MiB."""
    layer = SpatialLayer("it", "nchw", 4096, (64, 64))
    check_size(method(top=2), layer, 0)
    with pytest.raises(Refusal) as refused:
        check_size(method(top=3), layer, 0)
    assert str(refused.value) == (
        "methods.activation_maps.units: found 4096 units, each with 3 maps of 64 x 64 and 0 x 64 counts: 192 MB; "
        "expected at most 128 MB. Name at most 2730 `units`, or choose a smaller `top` or a later layer."
    )
    with pytest.raises(Refusal, match="1 x 64 counts"):
        check_size(method(top=2), layer, 1)
    check_size(method(top=3, units=tuple(range(2730))), layer, 0)
    assert MOST_MEGABYTES == 128


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_fail_with_the_case(value: float) -> None:
    maps = np.zeros((5, 2, 3, 3), np.float32)
    maps[4, 1, 2, 2] = value
    with pytest.raises(StepError, match="first in case 'case4'; expected finite values"):
        activity(maps, 3)


def test_memory_does_not_grow_with_the_cases() -> None:
    maps, cases = np.random.default_rng(0).normal(size=(100, 8, 3, 3)).astype(np.float32), np.arange(10_000)
    found = Activity(method(top=4), tuple(range(8)), (), {"all": cases})
    held = set()
    for start in range(0, 10_000, 100):
        found.take(cases[start : start + 100], torch.from_numpy(maps * np.float32(1 + start)))
        arrays = [*vars(found).values(), *vars(found.histograms).values()]
        tensors = [value for value in vars(found.top).values() if torch.is_tensor(value)]
        held.add(sum(a.nbytes for a in arrays if isinstance(a, np.ndarray)) + sum(t.nbytes for t in tensors))
    assert len(held) == 1
    assert found.cases == 10_000 and found.histograms.counts.sum() == 10_000 * 8 * 9

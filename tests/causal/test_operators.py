"""Built-in operators: closed forms, identities, what they leave alone; placebos of equal size; names without numpy."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from xai_audit.causal.operators import measures
from xai_audit.causal.operators.placebos import NoPlace, outside_view, random_recolour, random_region
from xai_audit.spec.operators import OPERATORS, PLACEBOS, Number, fault_of, is_built_in, placebo_fault

SIDE = 20
BOX = {"top": 0.1, "left": 0.2, "height": 0.2, "width": 0.3}
WHERE = (slice(2, 6), slice(4, 10))
RNG = np.random.default_rng(0)
IMAGE = 0.3 + 0.2 * RNG.random((SIDE, SIDE, 3))
MASK = np.zeros((SIDE, SIDE), bool)
MASK[WHERE] = True
MASKS = {"spot": MASK}


def apply(name, value, image=IMAGE, seed=1, row=None, **parameters):
    built_in = OPERATORS[name]
    module, _, function = built_in.call.partition(":")
    defaults = {k: one.default for k, one in built_in.parameters.items() if one.default is not None}
    call = getattr(importlib.import_module(module), function)
    return call(image.copy(), dict(MASKS), row or {}, value, np.random.default_rng(seed), **{**defaults, **parameters})


def region(name):
    return {"mask": "spot"} if OPERATORS[name].needs_region else {}


def more(name):
    donor = {"donor": (1 - IMAGE, MASKS)} if OPERATORS[name].needs_donor else {}
    return {**region(name), **donor}


@pytest.mark.parametrize("name", [name for name, one in OPERATORS.items() if one.neutral is not None])
def test_the_neutral_setting_leaves_every_pixel(name):
    assert np.array_equal(apply(name, OPERATORS[name].neutral, **more(name)), IMAGE)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_changes_no_input_and_is_the_same_again(name):
    given, low, high = IMAGE.copy(), *OPERATORS[name].value
    value = 0.4 if low <= 0.4 <= high else low
    first = apply(name, value, given, **more(name))
    assert np.array_equal(given, IMAGE)
    assert np.array_equal(first, apply(name, value, **more(name)))
    assert first.shape == IMAGE.shape


@pytest.mark.parametrize("parameters", [{"mask": "spot"}, BOX])
@pytest.mark.parametrize("how", ["shift", "flat"])
def test_recolouring_sets_the_mean_of_its_region_and_nothing_else(parameters, how):
    inside = apply("recolour_inside", 0.7, how=how, **parameters)
    assert inside[MASK].mean() == pytest.approx(0.7, abs=1e-12)
    assert np.array_equal(inside[~MASK], IMAGE[~MASK])
    outside = apply("recolour_outside", 0.2, how=how, **parameters)
    assert outside[~MASK].mean() == pytest.approx(0.2, abs=1e-12)
    assert np.array_equal(outside[MASK], IMAGE[MASK])
    if how == "shift":
        assert np.ptp((inside - IMAGE)[MASK]) == pytest.approx(0, abs=1e-12)


def test_a_patch_is_pasted_removed_and_set():
    pasted = apply("paste_patch", 0.25, mask="spot", level=0.9)
    assert pasted[MASK] == pytest.approx(0.75 * IMAGE[MASK] + 0.25 * 0.9)
    flat = np.full_like(IMAGE, 0.4)
    marked = flat.copy()
    marked[MASK] = 0.95
    assert apply("remove_patch", 0, marked, mask="spot") == pytest.approx(flat)
    assert apply("inpaint", 1, marked, mask="spot") == pytest.approx(flat)
    assert apply("set_patch", 0, marked, mask="spot") == pytest.approx(flat)
    assert apply("set_patch", 1, flat, mask="spot", level=0.95) == pytest.approx(marked)
    assert np.array_equal(apply("set_patch", 0, IMAGE, mask="spot", present=0), IMAGE)


def test_tones_in_closed_form():
    assert apply("brightness", 0.2) == pytest.approx(IMAGE + 0.2)
    assert apply("set_brightness", 0.6).mean() == pytest.approx(0.6)
    mean = IMAGE.mean((0, 1))
    assert apply("contrast", 0.5) == pytest.approx(mean + 0.5 * (IMAGE - mean))
    assert apply("fog", 0.3, level=0.8) == pytest.approx(0.7 * IMAGE + 0.24)
    one, two = apply("noise", 0.1) - IMAGE, apply("noise", 0.2) - IMAGE
    assert two == pytest.approx(2 * one)
    assert one.std() == pytest.approx(0.1, rel=0.1)


def test_blur_is_two_gaussian_sums():
    taps = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    taps /= taps.sum()
    wanted = correlate1d(correlate1d(IMAGE, taps, axis=0, mode="nearest"), taps, axis=1, mode="nearest")
    assert apply("blur", 1.0) == pytest.approx(wanted)
    assert np.array_equal(apply("blur", 1.0, mask="spot")[~MASK], IMAGE[~MASK])


def test_a_quarter_turn_is_exact_and_a_crop_keeps_the_centre():
    assert apply("rotate", 90.0) == pytest.approx(np.rot90(IMAGE, 1))
    assert apply("rotate", -90.0) == pytest.approx(np.rot90(IMAGE, -1))
    ramp = np.tile(np.linspace(0, 1, SIDE)[None, :, None], (SIDE, 1, 1))
    assert apply("crop", 0.5, ramp) == pytest.approx(0.5 + 0.5 * (ramp - 0.5))


def test_occlusion_covers_its_share_of_the_picture_or_of_the_mask():
    covered = (apply("occlusion", 0.25, level=1.0) == 1).all(2)
    assert covered.sum() == SIDE * SIDE / 4
    over_mask = (apply("occlusion", 1.0, level=1.0, mask="spot") == 1).all(2)
    assert np.array_equal(over_mask, MASK)


def test_a_background_is_swapped_without_what_stood_in_it():
    donor = np.full_like(IMAGE, 0.1)
    donor[MASK] = 0.9
    swapped = apply("background_swap", 1.0, mask="spot", donor=(donor, MASKS))
    assert np.array_equal(swapped[MASK], IMAGE[MASK])
    assert swapped[~MASK] == pytest.approx(0.1)


@pytest.mark.parametrize("placebo", [random_region, outside_view, random_recolour])
def test_a_placebo_changes_as_much_as_the_operator(placebo):
    change = np.zeros_like(IMAGE)
    change[MASK] = 0.1 + 0.05 * RNG.random((24, 3))
    made = placebo(IMAGE, change, {}, np.random.default_rng(2), {}) - IMAGE
    assert np.sort(np.abs(made[made.any(2)]).sum(1)) == pytest.approx(np.sort(change[MASK].sum(1)))
    if placebo is not random_recolour:
        assert not (made.any(2) & MASK).any()
    if placebo is outside_view:
        assert made.any(2)[[0, -1]].any()
        assert not made[3:-3, 3:-3].any()


def test_a_placebo_keeps_clear_of_small_masks_and_says_when_it_cannot():
    change = np.zeros_like(IMAGE)
    change[MASK] = 0.1
    other = np.zeros_like(MASK)
    other[10:16] = True
    for seed in range(20):
        made = random_region(IMAGE, change, {"other": other}, np.random.default_rng(seed), {}) - IMAGE
        assert not made[other].any()
    with pytest.raises(NoPlace):
        random_region(IMAGE, np.full_like(IMAGE, 0.1), {}, np.random.default_rng(0), {})
    with pytest.raises(NoPlace):
        outside_view(IMAGE, np.full_like(IMAGE, 0.1), {}, np.random.default_rng(0), {})


def test_measures_of_a_picture():
    assert measures.mean_grey(IMAGE, MASKS) == pytest.approx(IMAGE.mean())
    assert measures.mean_inside(IMAGE, MASKS) == pytest.approx(IMAGE[MASK].mean())
    assert measures.mean_outside(IMAGE, MASKS) == pytest.approx(IMAGE[~MASK].mean())
    assert measures.share_inside(IMAGE, MASKS) == pytest.approx(24 / 400)
    assert np.isnan(measures.mean_inside(IMAGE, {}))
    assert measures.sharpness(IMAGE, {}) > measures.sharpness(apply("blur", 2.0), {})
    assert measures.spread_grey(np.full_like(IMAGE, 0.5), {}) == 0


@pytest.mark.parametrize(
    ("call", "parameters", "told"),
    [
        ("blurr", {}, "did you mean 'blur'"),
        ("paste_patch", {}, "needs `mask`"),
        ("paste_patch", {"top": 0.1}, "without left, height, width"),
        ("paste_patch", {"mask": "a", **BOX}, "both a mask and a box"),
        ("paste_patch", {"mask": "a", "levle": 1}, "did you mean 'level'"),
        ("paste_patch", {"mask": "a", "level": 3}, "a number from 0 to 1"),
        ("paste_patch", {"mask": 3}, "expected a text"),
        ("recolour_inside", {"mask": "a", "how": "paint"}, "one of shift, flat"),
        ("render", {"level": 1}, "takes none"),
    ],
)
def test_faults_of_calls_are_told(call, parameters, told):
    assert told in fault_of(call, parameters)


def test_what_is_right_has_no_fault():
    assert fault_of("paste_patch", {**BOX, "level": 0.5}) == ""
    assert fault_of("ops.py:mine", {"anything": 1}) == ""
    assert fault_of("render", {}) == ""
    assert is_built_in("render") and is_built_in("fog") and not is_built_in("ops.py:mine")
    assert placebo_fault("random_region") == "" and "random_region" in placebo_fault("random_regions")


def test_names_point_at_code_and_load_no_numpy():
    for call in [*(one.call for one in OPERATORS.values()), *PLACEBOS.values()]:
        module, _, name = call.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    for one in OPERATORS.values():
        for parameter in one.parameters.values():
            if isinstance(parameter, Number) and parameter.default is not None:
                assert parameter.bounds[0] <= parameter.default <= parameter.bounds[1]
    code = "import sys, xai_audit.spec.operators; assert not {'numpy', 'torch', 'scipy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

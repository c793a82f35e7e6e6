import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xai_audit.errors import StepError
from xai_audit.measures.localisation import (
    hit_of_map,
    mass_of_map,
    pointing_game,
    rank_of_map,
    relevance_mass,
    relevance_rank,
    within,
)

SQUARE = np.zeros((4, 4), dtype=bool)
SQUARE[1:3, 1:3] = True
TWICE = np.where(SQUARE, 2.0, 1.0)


def measured(measure, maps, masks, clusters=None):
    return measure(np.stack(maps), np.stack(masks), clusters, np.random.default_rng(0))


def value(found, name):
    return next(each for each in found.values if each.name == name)


def test_known_answer():
    """4 x 4 map, four pixels of 2 inside the mask, the others 1: mass 8 / 20, rank 1; by chance 4 / 16."""
    assert mass_of_map(TWICE, SQUARE) == pytest.approx(0.4, abs=1e-15)
    assert rank_of_map(TWICE, SQUARE) == 1.0
    found = measured(relevance_mass, [TWICE] * 3, [SQUARE] * 3)
    assert value(found, "relevance_mass").estimate == pytest.approx(0.4, abs=1e-15)
    assert value(found, "expected_by_chance").estimate == 0.25


def test_all_relevance_inside_or_outside():
    assert mass_of_map(SQUARE * 3.0, SQUARE) == rank_of_map(SQUARE * 3.0, SQUARE) == 1.0
    assert mass_of_map(~SQUARE * 3.0, SQUARE) == rank_of_map(~SQUARE * 3.0, SQUARE) == 0.0


def test_constant_map_scores_as_chance():
    """No order among equal pixels is preferred, least of all that of the raster."""
    for mask in (SQUARE, np.arange(16).reshape(4, 4) < 4, np.arange(16).reshape(4, 4) >= 12):
        assert mass_of_map(np.ones((4, 4)), mask) == rank_of_map(np.ones((4, 4)), mask) == 0.25


def test_ties_for_the_last_places_count_as_on_average():
    """Mask of 4: one pixel of 5 inside, then 15 equal ones, 3 of them inside: (1 + 3 x 3/15) / 4 = 0.4."""
    peak = np.ones((4, 4))
    peak[1, 1] = 5
    assert rank_of_map(peak, SQUARE) == pytest.approx(0.4, abs=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_of_a_map_does_not_matter(scale):
    assert mass_of_map(TWICE * scale, SQUARE) == pytest.approx(0.4, rel=1e-12)
    assert rank_of_map(TWICE * scale, SQUARE) == 1.0


@given(arrays(np.float64, (4, 4), elements=st.integers(0, 5)).filter(lambda each: each.max() > 0))
@settings(max_examples=100, deadline=None)
def test_mass_and_rank_equal_plain_sums(relevance):
    inside = sum(relevance[i, j] for i in range(4) for j in range(4) if SQUARE[i, j])
    assert mass_of_map(relevance, SQUARE) == pytest.approx(inside / relevance.sum(), abs=1e-12)
    rng = np.random.default_rng(0)
    orders = [np.lexsort((rng.random(16), -relevance.ravel()))[:4] for _ in range(400)]
    hits = np.array([SQUARE.ravel()[order].mean() for order in orders])
    assert rank_of_map(relevance, SQUARE) == pytest.approx(hits.mean(), abs=5 * hits.std() / 20 + 1e-12)


def test_mean_over_cases_with_an_interval():
    rng = np.random.default_rng(1)
    maps, masks = rng.random((40, 8, 8)), rng.random((40, 8, 8)) < 0.3
    for measure, of_map in ((relevance_mass, mass_of_map), (relevance_rank, rank_of_map)):
        found = measure(maps, masks, np.arange(40) // 2, np.random.default_rng(0))
        mean = value(found, measure.__name__)
        each = [of_map(m, mask) for m, mask in zip(maps, masks, strict=True)]
        assert mean.estimate == pytest.approx(np.mean(each), abs=1e-12)
        assert (mean.n, mean.interval) == (40, "bootstrap")
        assert mean.low < mean.estimate < mean.high
        assert found.rows[measure.__name__].tolist() == pytest.approx(each)
        assert found.details["clusters"] == 20


def test_planted_shortcut_scores_low_and_a_clean_map_high():
    """Controls: relevance planted in a corner outside the mask, and relevance on the object."""
    rng = np.random.default_rng(2)
    noise = rng.random((30, 16, 16)) * 0.1
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:12, 4:12] = True
    planted, clean = noise.copy(), noise.copy()
    planted[:, :3, :3] += 5
    clean[:, 6:10, 6:10] += 5
    low = value(measured(relevance_mass, planted, [mask] * 30), "relevance_mass")
    high = value(measured(relevance_mass, clean, [mask] * 30), "relevance_mass")
    assert low.high < 0.25 < 0.8 < high.low  # the mask holds a quarter of the image


@pytest.mark.parametrize("measure", [relevance_mass, relevance_rank])
def test_empty_and_full_masks_are_refused_and_zero_maps_undefined_and_both_counted(measure):
    empty, full, zero = np.zeros((4, 4), bool), np.ones((4, 4), bool), np.zeros((4, 4))
    found = measured(measure, [TWICE, TWICE, TWICE, zero, TWICE], [SQUARE, empty, full, SQUARE, SQUARE])
    assert value(found, measure.__name__).n == 2
    assert value(found, "undefined_maps").estimate == 1
    assert value(found, "refused_masks").estimate == 2
    details = found.details
    assert (details["cases"], details["used"], details["undefined_maps"], details["refused_masks"]) == (5, 2, 1, 2)
    assert len(details["warnings"]) == 2
    rows = found.rows[measure.__name__].tolist()
    assert [row is None for row in rows] == [False, True, True, True, False]
    states = found.rows[f"{measure.__name__}:status"].tolist()
    assert states == ["measured", "refused", "refused", "undefined", "measured"]


@pytest.mark.parametrize(("zeros", "status"), [(2, "measured"), (3, "undefined")])
def test_mean_needs_half_of_the_maps(zeros, status):
    maps = [np.zeros((4, 4))] * zeros + [TWICE] * 2
    found = measured(relevance_mass, maps, [SQUARE] * len(maps))
    mean = value(found, "relevance_mass")
    assert mean.status == status
    assert (mean.reason == "3 of 5 maps are zero everywhere.") == (status == "undefined")


@pytest.mark.parametrize(
    ("maps", "masks", "reason"),
    [
        ([TWICE], [~SQUARE & SQUARE], "Every mask is empty or fills the image."),
        ([TWICE * 0], [SQUARE], "1 of 1 maps are zero everywhere."),
    ],
)
def test_mean_of_nothing_is_undefined(maps, masks, reason):
    mean = value(measured(relevance_mass, maps, masks), "relevance_mass")
    assert (mean.status, mean.reason, mean.estimate) == ("undefined", reason, None)


def test_slice_without_explained_cases_is_undefined():
    found = relevance_mass(np.zeros((0, 4, 4)), np.zeros((0, 4, 4), bool), None, np.random.default_rng(0))
    mean = value(found, "relevance_mass")
    assert (mean.status, mean.n, mean.reason) == ("undefined", 0, "No explained case lies in this slice.")


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (-TWICE, SQUARE, "negative"),
        (TWICE * np.nan, SQUARE, "not finite"),
        (TWICE * np.inf, SQUARE, "not finite"),
        (TWICE, SQUARE.astype(int), "bool"),
        (TWICE, SQUARE[:2], "cases, height, width"),
    ],
)
def test_maps_that_are_no_answer_are_named(maps, masks, message):
    with pytest.raises(StepError, match=message):
        measured(relevance_mass, [maps], [masks])


def peak(row, column, size=40):
    found = np.zeros((size, size))
    found[row, column] = 1
    return found


LEFT = np.zeros((40, 40), dtype=bool)
LEFT[10:20, 5:10] = True


@pytest.mark.parametrize(("column", "hit"), [(7, 1.0), (9, 1.0), (24, 1.0), (25, 0.0)])
def test_pointing_game_known_answers(column, hit):
    """Peak inside 1; 15 pixels from the mask's last column 1; 16 pixels 0."""
    assert hit_of_map(peak(12, column), within(LEFT, 15)) == hit


def test_distance_is_that_of_a_circle():
    """(9, 12) from the corner is 15; (10, 12) is farther."""
    near = within(LEFT, 15)
    assert near[10 - 9, 9 + 12] and not near[10 - 10, 9 + 12]
    plain = np.array([[any((y - v) ** 2 + (x - u) ** 2 <= 225 for v in (max(10, min(19, y)),)
                           for u in (max(5, min(9, x)),)) for x in range(40)] for y in range(40)])  # fmt: skip
    np.testing.assert_array_equal(near, plain)


def test_pointing_game_of_a_slice_with_what_chance_gives():
    found = measured(pointing_game, [peak(12, 7), peak(12, 39), peak(0, 0)] * 4, [LEFT] * 12)
    assert value(found, "pointing_game").estimate == pytest.approx(2 / 3)
    assert value(found, "expected_by_chance").estimate == pytest.approx(within(LEFT, 15).mean())
    assert found.details["parameters"] == {"tolerance": 15}


def test_pointing_game_without_tolerance_is_the_mask_itself():
    found = pointing_game(np.stack([peak(12, 10)] * 6), np.stack([LEFT] * 6), None, np.random.default_rng(0), 0)
    assert value(found, "pointing_game").estimate == 0
    assert value(found, "expected_by_chance").estimate == pytest.approx(LEFT.mean())


def test_equal_peaks_count_with_their_share():
    two = peak(12, 7) + peak(39, 39)
    assert hit_of_map(two, LEFT) == 0.5


def test_a_random_maps_hits_are_those_of_chance():
    rng = np.random.default_rng(0)
    found = measured(pointing_game, list(rng.random((600, 40, 40))), [LEFT] * 600)
    chance = value(found, "expected_by_chance").estimate
    assert value(found, "pointing_game").estimate == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 600))


def test_pointing_game_leaves_out_empty_masks_and_zero_maps():
    maps = [peak(12, 7), peak(12, 7), np.zeros((40, 40)), peak(12, 7)]
    masks = [LEFT, np.zeros_like(LEFT), LEFT, LEFT]
    found = measured(pointing_game, maps, masks)
    assert value(found, "undefined_maps").estimate == 1 and value(found, "refused_masks").estimate == 1
    assert value(found, "pointing_game").estimate == 1

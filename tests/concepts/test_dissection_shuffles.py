"""What chance gives: against shuffles drawn pixel by pixel, on planted and on random concepts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from dissections import Case, drawn
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from xai_audit.concepts import shuffles
from xai_audit.concepts.overlap import iou
from xai_audit.concepts.shuffles import LEVEL, Chance, Cover, Marks, against_chance, benjamini_hochberg, overlaps


def aligned_case(seed: int = 0, cases: int = 20) -> Case:
    """Masks that fill whole cells of the coarse grid, 8 x 8 cells of 3 x 3 pixels; two categories."""
    rng = np.random.default_rng(seed)
    masks = (rng.random((cases, 3, 8, 8)) < 0.2).repeat(3, axis=2).repeat(3, axis=3)
    values = rng.standard_normal((cases, 4, 7, 7))
    return Case(values, masks, category=(0, 1, 0), annotated=rng.random((cases, 2)) < 0.7, shuffles=30)


def marks_of(case: Case) -> Marks:
    """As the dissection of the case makes them."""
    made = case.dissection()
    assert made._met is not None
    return made._met.marks


def test_shares_on_the_grid_give_the_statistic_of_pixels_where_masks_are_aligned() -> None:
    case = aligned_case()
    made = case.dissection()
    met = made._met
    assert met is not None and case.annotated is not None
    marks, answers = met.marks, drawn(case)
    rows = np.flatnonzero(case.annotated.any(axis=1))
    rng = np.random.default_rng(1)
    deal = [np.stack([rng.permutation(members) for _ in range(5)], axis=1) for members in marks.members]
    found = overlaps(met._covers, marks, np.array([2, 0, 3]), deal)
    for place, unit in enumerate([2, 0, 3]):
        for concept, category in enumerate((0, 1, 0)):
            for number in range(5):
                cases, partners = rows[marks.members[category]], rows[deal[category][:, number]]
                both = int((answers[cases, unit] & case.masks[partners, concept]).sum())
                assert found[place, number, concept] == pytest.approx(both, abs=1e-9)


def test_p_is_the_share_of_shuffles_that_give_as_much_as_was_observed() -> None:
    case = aligned_case(1)
    made = case.dissection()
    found = made.dissected(np.random.default_rng(7)).units
    answers, annotated = drawn(case), case.annotated
    assert annotated is not None
    np.testing.assert_allclose(found.chance.observed, found.iou.max(axis=1), rtol=1e-12)
    rng, reached = np.random.default_rng(7), np.zeros(4)
    rows = np.flatnonzero(annotated.any(axis=1))
    members = [np.flatnonzero(annotated[rows, category]) for category in (0, 1)]
    for _ in range(30):
        dealt = [rng.permutation(own) for own in members]
        best = np.zeros(4)
        for concept, category in enumerate((0, 1, 0)):
            unit = answers[rows[members[category]]]
            mask = case.masks[rows[dealt[category]], concept][:, None]
            best = np.maximum(best, (unit & mask).sum((0, 2, 3)) / (unit | mask).sum((0, 2, 3)))
        reached += best >= found.iou.max(axis=1) - 1e-12
    keeps = found.chance.shuffles == 30
    assert keeps.any()
    assert found.chance.p[keeps].tolist() == ((1 + reached) / 31)[keeps].tolist()


def test_deals_do_not_depend_on_how_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    case = aligned_case(2)
    whole = case.dissected().units.chance
    monkeypatch.setattr(shuffles, "_AT_ONCE", 100)
    few = case.dissected().units.chance
    assert np.array_equal(whole.p, few.p) and np.array_equal(whole.shuffles, few.shuffles)


def random_concepts(seed: int, units: int = 12, cases: int = 40) -> Case:
    """Masks that know nothing of the activations: blocks of random size in random places."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((cases, 3, 24, 24), np.bool_)
    for case in range(cases):
        for concept in range(3):
            top, left, height, width = rng.integers(0, 16, 4)
            masks[case, concept, top : top + height, left : left + width] = True
    values = rng.standard_normal((cases, units, 6, 6)) * rng.gamma(1, size=(cases, units, 1, 1))
    return Case(values, masks, category=(0, 0, 1), shuffles=99, seed=seed)


def test_random_concepts_are_significant_in_at_most_7_of_100_seeds() -> None:
    found = [random_concepts(seed).dissected() for seed in range(100)]
    assert sum(bool(one.units.is_significant.any()) for one in found) <= 7
    assert sum(bool(one.rotated.is_significant.any()) for one in found) <= 7
    p = np.concatenate([one.units.chance.p for one in found])
    assert 0.03 < (p <= LEVEL).mean() < 0.07  # of single units: neither too many nor too few
    assert 0.4 < (p <= 0.5).mean() < 0.6


def test_a_planted_concept_is_significant() -> None:
    case = random_concepts(3)
    case.activation[:, 4] = 5 * case.masks[:, 1].reshape(40, 6, 4, 6, 4).mean(axis=(2, 4)) + 0.1 * case.activation[:, 4]
    found = case.dissected().units
    assert found.is_detector.tolist() == [unit == 4 for unit in range(12)]
    assert found.best[4] == 1


def frame(cases: int = 40) -> NDArray[np.bool_]:
    """The border of every picture, (cases, 1, height, width)."""
    masks = np.ones((cases, 1, 24, 24), np.bool_)
    masks[:, :, 3:-3, 3:-3] = False
    return masks


def framed(seed: int, *masks: NDArray[np.bool_], category: tuple[int, ...] | None = None, shuffles: int = 99) -> Case:
    """Noise in 11 units, and unit 4 reads the border and nothing else; the masks of the border and others."""
    values = np.random.default_rng(seed).standard_normal((40, 12, 8, 8))
    values[:, 4] = frame()[:, 0, 1::3, 1::3] * (2 + values[:, 4] / 4)
    marks = np.concatenate([frame(), *masks], axis=1)
    return Case(values, marks, category=category, quantile=0.18, shuffles=shuffles, seed=seed)


def test_a_border_that_a_unit_reads_is_found() -> None:
    found = framed(0).dissected()
    assert found.null == ("moved",)
    assert found.units.is_detector.tolist() == [unit == 4 for unit in range(12)]
    assert found.units.iou[4, 0] > 0.95 * found.units.ceilings[4, 0]
    assert found.units.chance.p[4] == 1 / (1 + found.units.chance.shuffles[4]) < 0.01


def random_places(seed: int) -> Case:
    """Each unit answers at one random place of a case, whatever lies there; the border is marked."""
    rng = np.random.default_rng(seed)
    values = 0.1 * rng.random((40, 12, 36))
    np.put_along_axis(values, rng.integers(36, size=(40, 12, 1)), 1 + rng.random((40, 12, 1)), axis=2)
    return Case(values.reshape(40, 12, 6, 6), frame(), quantile=0.02, shuffles=99, seed=seed)


def test_units_that_answer_at_random_places_are_significant_in_at_most_7_of_100_seeds() -> None:
    """In pixels they cover more along the border, where maps hold their value beyond the outermost centres."""
    found = [random_places(seed).dissected() for seed in range(100)]
    assert sum(bool(one.units.is_significant.any()) for one in found) <= 7
    assert sum(bool(one.rotated.is_significant.any()) for one in found) <= 7
    p = np.concatenate([one.units.chance.p for one in found])
    assert 0.03 < (p <= LEVEL).mean() < 0.07
    assert 0.4 < (p <= 0.5).mean() < 0.6


def test_moved_marks_are_those_of_a_torus_drawn_place_by_place() -> None:
    """Also of concepts beside it in the category, and of cases that are not annotated."""
    corner = np.zeros_like(frame())
    corner[:, :, :5, :7] = True
    case = framed(5, corner, category=(0, 0), shuffles=30)
    case = Case(case.activation, case.masks, category=(0, 0), quantile=0.18, shuffles=30,
                annotated=np.random.default_rng(5).random((40, 1)) < 0.7)  # fmt: skip
    found, annotated = case.dissected().units, case.asked.annotated[:, 0]
    hot = (case.activation > found.thresholds.values[:, None, None])[annotated]
    share = case.masks[0].reshape(2, 8, 3, 8, 3).mean(axis=(2, 4))
    whole = len(hot) * share.sum(axis=(1, 2))

    def statistic(shifts: NDArray[np.int64]) -> NDArray[np.float64]:
        moved = np.stack([np.roll(share, divmod(int(shift), 8), axis=(1, 2)) for shift in shifts])
        both = np.einsum("nuij,ncij->uc", hot, moved)
        return np.asarray((both / (hot.sum(axis=(0, 2, 3))[:, None] + whole - both)).max(axis=1))

    observed = statistic(np.zeros(len(hot), np.int64))
    np.testing.assert_allclose(found.chance.observed, observed, rtol=1e-12)
    (rng,) = np.random.default_rng(0).spawn(1)
    draws = [statistic(rng.integers(64, size=len(hot))) for _ in range(30)]
    keeps = found.chance.shuffles == 30
    reached = np.sum([draw >= observed * (1 - 1e-9) for draw in draws], axis=0)
    assert keeps.sum() > 5
    assert found.chance.p[keeps].tolist() == ((1 + reached) / 31)[keeps].tolist()


def test_moves_do_not_depend_on_how_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    case = framed(2, random_concepts(2).masks[:, :1], category=(0, 1))
    whole = case.dissected().units.chance
    monkeypatch.setattr(shuffles, "_AT_ONCE", 100)
    few = case.dissected().units.chance
    assert np.array_equal(whole.p, few.p) and np.array_equal(whole.shuffles, few.shuffles)


def test_marks_that_differ_are_dealt_as_they_are_without_others_that_are_moved() -> None:
    case = framed(3, random_concepts(3).masks[:, :1], category=(0, 1))
    made = case.dissection()
    assert made._met is not None and made._met.marks.null == ("moved", "dealt")
    tests = [shuffles._Test(made._met._covers, made._met._placed, made._met.marks, made._met._pixels,
                            np.random.default_rng(0))]  # fmt: skip
    rng = np.random.default_rng(0)
    for dealt in np.moveaxis(np.stack(tests[0]._deal(5)), 2, 0):
        assert np.array_equal(dealt, [rng.permutation(40), rng.permutation(40)])


def test_a_mark_of_the_whole_picture_and_one_beside_marks_that_differ_have_no_test() -> None:
    whole = np.ones_like(frame())
    found = framed(1, whole, category=(0, 1)).dissected()
    assert found.null == ("moved", "none")
    alone = Case(framed(1).activation, whole, quantile=0.18, shuffles=19).dissected()
    assert alone.null == ("none",) and (alone.units.chance.p == 1).all()
    beside = framed(1, random_concepts(1).masks[:, :1], category=(0, 0)).dissected()
    assert beside.null == ("none", "dealt")
    assert beside.units.best[4] == 0 and beside.units.chance.p[4] == 1


def test_one_planted_unit_among_many_is_found_with_few_shuffles() -> None:
    """With 19 shuffles no p is below .05: the correction over 40 units could never find the one."""
    case = random_concepts(6, units=40)
    case.activation[:, 7] = case.masks[:, 0].reshape(40, 6, 4, 6, 4).mean(axis=(2, 4)) + 0.1 * case.activation[:, 7]
    few = Case(case.activation, case.masks, category=(0, 0, 1), shuffles=19)
    found = few.dissected().units
    assert np.flatnonzero(found.is_significant).tolist() == [7]
    assert found.chance.shuffles[7] == 799  # 40 / .05 - 1
    assert (np.delete(found.chance.shuffles, 7) <= 799).all()
    assert found.chance.shuffles.min() == 19


def test_more_shuffles_end_at_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffles, "MOST_SHUFFLES", 150)
    case = random_concepts(6, units=40)
    case.activation[:, 7] = case.masks[:, 0].reshape(40, 6, 4, 6, 4).mean(axis=(2, 4)) + 0.1 * case.activation[:, 7]
    found = case.dissected().units
    assert found.chance.shuffles[7] == 150
    assert found.chance.p[7] == 1 / 151
    assert not found.is_significant[7]


def test_a_p_found_with_more_shuffles_is_no_smaller_than_its_probability() -> None:
    """5,000 units under the null, one case of each number of pixels: how often p is at most each level."""
    rng, cases, units = np.random.default_rng(0), 12, 10
    levels, counts, tests = np.array([0.002, 0.01, 0.05, 0.1]), np.zeros(4), 0
    for _ in range(120):
        pixels = rng.integers(0, 50, (cases, 1, 1)).astype(np.uint16)
        marks = Marks(pixels, np.array([50]), np.array([0]), np.ones((cases, 1), np.bool_), np.ones((1, 1, 1)))
        cover = _cover(rng.integers(0, 50, (cases, units)))
        found = _chance(marks, cover, rng, 19)
        counts += (found.p[:, None] <= levels).sum(axis=0)
        tests += units
    assert (counts / tests <= levels + 3 * np.sqrt(levels / tests)).all()


def _cover(pixels: NDArray[np.int64]) -> Cover:
    case, unit = np.indices(pixels.shape).reshape(2, -1)
    return Cover(case, unit, np.zeros_like(case), pixels.ravel())


def _chance(marks: Marks, cover: Cover, rng: np.random.Generator, count: int) -> Chance:
    units = int(cover.unit.max()) + 1
    alone = np.bincount(cover.unit, weights=cover.pixels).astype(np.int64)[:, None]

    def covers() -> Iterator[Cover]:
        yield cover

    return against_chance(covers, marks, alone, [np.arange(units)], count, rng, placed=covers)


def test_units_of_no_family_have_p_one() -> None:
    pixels, annotated = np.full((4, 1, 1), 9, np.uint16), np.ones((4, 1), np.bool_)
    marks = Marks(pixels, np.array([9]), np.array([0]), annotated, np.ones((1, 1, 1)))
    cover = _cover(np.arange(8).reshape(4, 2))

    def covers() -> Iterator[Cover]:
        yield cover

    found = against_chance(
        covers, marks, np.full((2, 1), 9), [np.empty(0, np.int64), np.array([1])], 19, np.random.default_rng(0),
        placed=covers,
    )  # fmt: skip
    assert found.p[0] == 1 and found.shuffles.tolist() == [0, 19]


@pytest.mark.parametrize("count", [1, 2, 17])
def test_the_correction_is_that_of_benjamini_and_hochberg(count: int) -> None:
    p = np.random.default_rng(count).random(count) ** 2
    p[0] = p[-1]
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)
    assert benjamini_hochberg(np.empty(0)).size == 0


def test_marks_count_pixels_by_cell() -> None:
    case = aligned_case(3)
    marks, annotated = marks_of(case), case.annotated
    assert annotated is not None
    rows = np.flatnonzero(annotated.any(axis=1))
    assert marks.pixels.shape == (len(rows), 64, 3)
    for concept, category in enumerate((0, 1, 0)):
        inside = annotated[rows, category]
        expected = case.masks[rows, concept].reshape(-1, 8, 3, 8, 3).sum(axis=(2, 4)).reshape(-1, 64)
        assert np.array_equal(marks.pixels[:, :, concept], expected * inside[:, None])
    both = np.zeros((1, 1, 3))
    assert iou(both, np.ones(1), marks.concept_pixels).shape == (1, 1, 3)

"""Reason codes from contributions: known answers, a plain second implementation, and what must be flagged."""

import numpy as np
import pytest

from xai_audit.measures.reasons import (
    ALIKE,
    Reason,
    Runs,
    principal,
    ranks,
    reason_measures,
    reasons_of,
)


def only(runs: Runs, top: int = 2) -> tuple[Reason, ...]:
    return reasons_of(runs, top)[0].reasons


def test_principal_reasons_are_the_largest_above_none():
    assert principal(np.array([0.1, 0.5, -0.9, 0.3]), 2) == (1, 3)
    assert principal(np.array([0.1, 0.5, -0.9, 0.3]), 9) == (1, 3, 0)
    assert principal(np.array([-0.1, -0.5]), 2) == ()
    assert principal(np.zeros(3), 2) == ()


def test_what_rounding_leaves_is_no_reason():
    """A millionth of the sum of all sizes: 1e-9 beside 1 is none, 1e-5 is one."""
    assert principal(np.array([1.0, 1e-9, 1e-5]), 3) == (0, 2)


def test_of_equals_the_earlier_feature_comes_first():
    assert principal(np.array([0.2, 0.5, 0.5, 0.2]), 3) == (1, 2, 0)
    assert ranks(np.array([0.2, 0.5, 0.5, 0.2])).tolist() == [3, 1, 2, 4]


def test_ranks_agree_with_sorting_each_row_by_hand():
    drawn = np.random.default_rng(0).normal(size=(5, 7, 9))
    found = ranks(drawn)
    for row, places in zip(drawn.reshape(-1, 9), found.reshape(-1, 9), strict=True):
        assert [1 + int((row > each).sum()) for each in row] == places.tolist()


def test_share_is_of_what_speaks_for_the_adverse_class():
    """0.6 and 0.2 of 0.8 in all; what speaks against it is no part of the sum."""
    first, second = only(Runs(np.array([[0.6, -5.0, 0.2]])))
    assert (first.player, second.player) == (0, 2)
    assert (first.share, second.share) == (pytest.approx(0.75), pytest.approx(0.25))
    assert first.kept_over_seeds is first.kept_over_backgrounds is first.standard_error is None


def test_kept_and_rank_interval_over_seeds():
    """Feature 1 is second, then third, then first: kept in one of two other seeds of the top two, ranks 1 to 3."""
    main = np.array([[0.5, 0.4, 0.3]])
    seeds = np.array([[[0.5, 0.3, 0.4]], [[0.5, 0.6, 0.3]]])
    first, second = only(Runs(main, seeds=seeds))
    assert (first.kept_over_seeds, first.rank_low, first.rank_high) == (1.0, 1, 2)
    assert (second.kept_over_seeds, second.rank_low, second.rank_high) == (0.5, 1, 3)
    assert not first.is_unstable and not second.is_unstable


def test_backgrounds_are_counted_apart_from_seeds():
    main = np.array([[0.5, 0.4, 0.3]])
    backgrounds = np.array([[[0.1, 0.4, 0.3]]])
    first, _ = only(Runs(main, seeds=main[None], backgrounds=backgrounds))
    assert (first.kept_over_seeds, first.rank_low, first.rank_high) == (1.0, 1, 1)
    assert (first.kept_over_backgrounds, first.background_rank_low, first.background_rank_high) == (0.0, 1, 3)


def test_reason_whose_sign_flips_is_unstable():
    main, flipped = np.array([[0.5, 0.4, 0.3]]), np.array([[[0.5, -0.1, 0.3]]])
    first, second = only(Runs(main, seeds=flipped))
    assert (first.is_unstable, second.is_unstable) == (False, True)
    assert only(Runs(main, backgrounds=flipped))[1].is_unstable is False


def test_other_methods_agree_reason_by_reason():
    """The other puts feature 2 first and 0 second: of the reasons 0 and 1 it shares one, and not the first."""
    decision = reasons_of(Runs(np.array([[0.5, 0.4, 0.3]]), others={"lime": np.array([[0.2, 0.1, 0.9]])}), 2)[0]
    assert [reason.agreed for reason in decision.reasons] == [{"lime": True}, {"lime": False}]
    assert (decision.overlap, decision.same_first) == ({"lime": 0.5}, {"lime": False})


def test_decision_without_a_reason_has_none_and_is_counted():
    main = np.array([[-1.0, -2.0], [1.0, 0.5]])
    runs = Runs(main, backgrounds=main[None])
    decisions = reasons_of(runs, 2)
    assert decisions[0].reasons == () and len(decisions[1].reasons) == 2
    measured = reason_measures(runs, decisions, None, np.random.default_rng(0))
    assert measured.details["without_reasons"] == 1
    assert measured.values[0].n == 1


def test_deterministic_method_is_said_to_be_so_and_not_tested():
    main = np.random.default_rng(1).normal(size=(12, 5))
    runs = Runs(main, seeds=np.stack([main, main]))
    value = reason_measures(runs, reasons_of(runs, 3), None, np.random.default_rng(0)).values[0]
    assert (value.name, value.estimate, value.low, value.interval, value.reason) == (
        "kept_over_seeds", 1.0, None, "none", ALIKE,
    )  # fmt: skip
    nearly = Runs(main, seeds=np.stack([main, main + 1e-12]))
    assert not nearly.are_alike


def second_implementation(main, others, top):
    """Mean over decisions of the share of reasons kept, by sorting lists."""
    kept = []
    for index, row in enumerate(main):
        chosen = [p for p in sorted(range(len(row)), key=lambda p: (-row[p], p))[:top] if row[p] > 0]
        if not chosen:
            continue
        again = [sorted(range(len(row)), key=lambda p: (-o[index][p], p))[:top] for o in others]
        again = [[p for p in places if o[index][p] > 0] for places, o in zip(again, others, strict=True)]
        kept.append(np.mean([np.mean([p in places for places in again]) for p in chosen]))
    return float(np.mean(kept))


def test_means_agree_with_a_plain_second_implementation():
    rng = np.random.default_rng(2)
    main = rng.normal(size=(40, 8))
    seeds, backgrounds = main + 0.4 * rng.normal(size=(4, 40, 8)), main + 0.9 * rng.normal(size=(2, 40, 8))
    runs = Runs(main, seeds=seeds, backgrounds=backgrounds, others={"lime": main + rng.normal(size=(40, 8))})
    measured = reason_measures(runs, reasons_of(runs, 3), None, np.random.default_rng(0))
    found = {(value.name, value.label): value for value in measured.values}
    assert found["kept_over_seeds", ""].estimate == pytest.approx(second_implementation(main, seeds, 3), abs=1e-12)
    assert found["kept_over_backgrounds", ""].estimate == pytest.approx(
        second_implementation(main, backgrounds, 3), abs=1e-12
    )
    overlap = found["overlap", "lime"]
    assert overlap.estimate == pytest.approx(second_implementation(main, [runs.others["lime"]], 3), abs=1e-12)
    assert overlap.interval == "bootstrap" and overlap.low < overlap.estimate < overlap.high
    assert ("same_first", "lime") in found


def test_clusters_widen_the_interval():
    """Ten people with eight decisions each, alike within a person: wider than if all eighty were independent."""
    rng = np.random.default_rng(3)
    of_person = np.repeat(rng.normal(size=(10, 6)), 8, axis=0)
    noise = np.repeat(rng.normal(size=(10, 6)), 8, axis=0)
    runs = Runs(of_person, others={"lime": of_person + noise})
    decisions = reasons_of(runs, 2)
    clusters = np.repeat(np.arange(10), 8)
    wide, narrow = (
        reason_measures(runs, decisions, codes, np.random.default_rng(0)).values[0] for codes in (clusters, None)
    )
    assert wide.high - wide.low > 1.8 * (narrow.high - narrow.low)
    assert wide.n == narrow.n == 80

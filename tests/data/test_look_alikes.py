"""Look-alikes are all found, against comparing all with all, and the cost stays bounded."""

import itertools

import numpy as np
import pytest

from xai_audit.data.look_alikes import DISTANCE, Pair, look_alikes, look_alikes_between


def planted(count: int, seed: int) -> list[str]:
    """Random hashes, some with near copies up to five bits away, equal copies and flat ones."""
    rng = np.random.default_rng(seed)
    codes = [int(code) for code in rng.integers(1, 2**63, count)]
    for place in range(count // 2):
        bits = rng.choice(64, rng.integers(0, 6), replace=False)
        codes.append(codes[place] ^ sum(1 << int(bit) for bit in bits))
    return [f"{code:016x}" for code in [*codes, 0, 0]]


def distance(left: str, right: str) -> int:
    return (int(left, 16) ^ int(right, 16)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_every_close_pair_is_found_and_no_other(seed: int) -> None:
    hashes = planted(200, seed)
    first = {text: hashes.index(text) for text in hashes}
    expected = {
        (left, right, distance(hashes[left], hashes[right]))
        for left, right in itertools.combinations(range(len(hashes)), 2)
        if int(hashes[left], 16) and int(hashes[right], 16) and distance(hashes[left], hashes[right]) <= DISTANCE
        and first[hashes[left]] == left and (hashes[left] == hashes[right] or first[hashes[right]] == right)
    }  # fmt: skip
    found = look_alikes(hashes)
    assert {(pair.first, pair.second, pair.distance) for pair in found.pairs} == expected
    assert len(expected) > 20
    assert found.flat == 2
    assert found.uncompared == 0


def test_flat_images_are_not_each_others_look_alikes() -> None:
    found = look_alikes(["0" * 16] * 1000)
    assert found.pairs == ()
    assert found.flat == 1000


def test_equal_hashes_are_paired_with_the_first_alone() -> None:
    assert look_alikes(["f" * 16] * 4).pairs == (Pair(0, 1, 0), Pair(0, 2, 0), Pair(0, 3, 0))


def test_a_spent_budget_is_told() -> None:
    hashes = [f"ffff{code:012x}" for code in np.random.default_rng(0).integers(1, 2**47, 300)]
    found = look_alikes(hashes, budget=1000)
    assert found.uncompared == 300
    assert look_alikes(hashes).uncompared == 0


def test_a_hundred_thousand_hashes_are_quick() -> None:
    hashes = planted(66_000, 1)
    found = look_alikes(hashes)
    assert len(hashes) > 99_000
    close = sum(distance(hashes[place], hashes[66_000 + place]) <= DISTANCE for place in range(33_000))
    assert len(found.pairs) == close  # random codes of 63 bits are never this near by chance


def test_the_nearest_of_the_others_is_found() -> None:
    ours = ["ffffffffffffffff", "0123456789abcdef", "0000000000000000", "ffffffffffffffff"]
    theirs = ["fffffffffffffff0", "fffffffffffffffc", "fffffffffffffffe", "0000000000000000", "fffffffffffffffd"]
    found = look_alikes_between(ours, theirs)
    assert found.pairs == (Pair(0, 2, 1), Pair(3, 2, 1))
    assert found.flat == 1
    assert look_alikes_between(ours, []).pairs == ()
    assert look_alikes_between(["0" * 16], theirs).pairs == ()


def test_pairs_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xai_audit.data.look_alikes.MOST_PAIRS", 100)
    hashes = [f"{0xFFFF ^ (1 << left) ^ (1 << right):016x}" for left, right in itertools.combinations(range(16), 2)]
    found = look_alikes(hashes)
    assert 100 < len(found.pairs) < 500
    assert found.uncompared == len(hashes) == 120

"""Seeds depend on the spec's seed and the step alone."""

from xai_audit.evidence.seeds import derived_seed, generator


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derived_seed(7, "step") == int.from_bytes(__import__("hashlib").sha256(b"7:step").digest()[:8], "big") >> 1
    assert generator(7, "a").integers(0, 2**32, 4).tolist() == generator(7, "a").integers(0, 2**32, 4).tolist()


def test_other_seeds_and_names_give_other_numbers() -> None:
    draws = {generator(seed, name).integers(0, 2**62) for seed in (0, 1) for name in ("a", "b")}
    assert len(draws) == 4

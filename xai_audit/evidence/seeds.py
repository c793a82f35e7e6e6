"""Randomness: every generator is seeded from the spec's seed and a name, never from global state."""

from __future__ import annotations

import hashlib

import numpy as np


def derived_seed(seed: int, name: str) -> int:
    """A 63-bit seed that depends on the spec's seed and the name alone, equal on every machine."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, name: str) -> np.random.Generator:
    """A numpy generator for one step."""
    return np.random.Generator(np.random.PCG64(derived_seed(seed, name)))

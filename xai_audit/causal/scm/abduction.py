"""The noise behind a value that was seen, checked by its round trip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.mechanisms import Held, Mechanism, Scored
from xai_audit.causal.scm.model import Model
from xai_audit.causal.scm.renamed import Renamed
from xai_audit.errors import Refusal

ROUND_TRIP = 1e-4
"""How far f(abducted noise) may be from the value that was seen, as a share of its size (at least 1)."""


def is_score(mechanism: Mechanism) -> bool:
    """Whether it is the audited model, which has no noise to find."""
    while isinstance(mechanism, Held | Renamed):
        mechanism = mechanism.whole
    return isinstance(mechanism, Scored)


def abducted(model: Model, name: str, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], float]:
    """The noise of a variable and its round trip. Raises Refusal where that is too far."""
    mechanism = model.mechanism(name)
    if not mechanism.can_abduct:
        fix = "Say how its noise is found (`abduct`), or ask a question about averages."
        found = f"the mechanism of '{name}', which has no abduction"
        raise Refusal(f"causal.mechanisms.{name}", found, "one whose noise can be found again", fix)
    parents = {parent: columns[parent] for parent in model.graph.parents_of(name)}
    noise = mechanism.abduct(parents, columns[name])
    if is_score(mechanism):
        return noise, 0.0
    seen = np.asarray(columns[name], np.float64)
    again = np.asarray(mechanism.sample(parents, noise), np.float64)
    trip = float(np.abs(again - seen).max())
    allowed = ROUND_TRIP * max(1.0, float(np.abs(seen).max()))
    if trip > allowed:
        found = f"an abduction of '{name}' whose noise gives back a value {trip:.3g} away from the one seen"
        fix = "Correct its inverse or encoder, or train it further."
        raise Refusal(f"causal.mechanisms.{name}", found, f"at most {allowed:.3g}", fix)
    return noise, trip

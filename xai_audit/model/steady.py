"""Whether a model gives the same scores each time, and to a row the same score whatever rows stand beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xai_audit.errors import ModelError

if TYPE_CHECKING:
    from xai_audit.model.audited import AuditedModel

PASSES = 4
"""Passes of one case at each of two seeds, by which chance in a model is looked for."""
ROWS = 8
"""Rows that are asked together, alone and in reverse."""
MANY = 64
"""Rows of a larger batch: the same rows, over and over."""
_RTOL, _ATOL = 1e-4, 1e-5
_LOW_TOLERANCE = 2e-2
"""In half precision, where a batch of another size may be added up in another order."""


def rows_to_try(features: np.ndarray[Any, np.dtype[np.float64]]) -> Tensor:
    """Rows (cases, 1, 1, features) of a table, at most ROWS: its first, some with gaps, others drawn; always the same
    ones."""
    gaps = np.flatnonzero(np.isnan(features).any(1))[:2].tolist()
    drawn = np.random.default_rng(0).permutation(len(features)).tolist()
    places = list(dict.fromkeys([*range(min(3, len(features))), *gaps, *drawn]))[:ROWS]
    return torch.from_numpy(features[places][:, None, None, :])


def check_chance(model: AuditedModel, cases: Tensor, passes: int) -> None:
    """Raise ModelError when passes of the same cases at two seeds of torch give other scores."""
    first, second = (_scores_at(model, seed, cases, passes) for seed in (0, 1))
    if torch.allclose(first, second, rtol=_RTOL, atol=_ATOL, equal_nan=True):
        return
    what = "row" if model.is_table else "image"
    what = what if len(cases) == 1 else f"{len(cases)} {what}s"
    found = f"scores that differ by {_apart(first, second):.3g} between two passes of the same {what}"
    fix = "Look for dropout or noise that is on in eval mode: F.dropout(x, p, self.training), or nn.Dropout."
    if model.is_callable:
        fix = "Look for a random draw in its code, and leave it out."
    raise ModelError("model", found, "the same scores each time", fix)


def check_rows_apart(model: AuditedModel, rows: Tensor) -> None:
    """Raise ModelError when the score of a row changes with the rows of its batch, or with their order."""
    many = rows[torch.arange(MANY, device=rows.device) % len(rows)]
    check_chance(model, rows, 1)
    check_chance(model, many, 1)
    together = model.raw_scores(rows)
    alone = torch.cat([model.raw_scores(rows[place : place + 1]) for place in range(len(rows))])
    _compare(model, together, alone, f"a row is asked alone and among {len(rows)} rows")
    _compare(model, together, model.raw_scores(rows.flip(0)).flip(0), f"the same {len(rows)} rows stand in reverse")
    of_many = model.raw_scores(many)
    _compare(model, together.repeat(-(-MANY // len(rows)), 1)[:MANY], of_many, f"a row is asked among {MANY} rows")


def _compare(model: AuditedModel, one: Tensor, other: Tensor, when: str) -> None:
    is_low = model.autocast is not None or (model.dtype is not None and model.dtype.itemsize < 4)
    rtol, atol = (_LOW_TOLERANCE, _LOW_TOLERANCE) if is_low else (_RTOL, _ATOL)
    if torch.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True):
        return
    apart = f"scores that differ by {_apart(one, other):.3g} when {when}"
    found = f"{apart}: the score of a row changes with the rows beside it"
    fix = "Scale with constants set in training, not with the batch, and give the scores in the order of the rows."
    raise ModelError("model", found, "a score that depends on its own row alone", fix)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().nan_to_num(nan=float("inf")).max())


def _scores_at(model: AuditedModel, seed: int, cases: Tensor, passes: int) -> Tensor:
    """Raw scores of several passes, with torch's own generators at a seed; they are put back afterwards."""
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        return torch.cat([model.raw_scores(cases) for _ in range(passes)])

"""From what a step found, or how it failed, to its record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, ArrayRef, Evidence, Failure, Passes, Status, Value
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.plan import Step

_PATH = re.compile(r"(?<![\w.:/])/(?:[\w.@+-]+/)+(?=[\w.@+-])")
"""The folders of an absolute path: evidence names files, not where they lie on one machine."""


def result_of(
    step: Step,
    details: Mapping[str, Any],
    *,
    values: Sequence[Value] = (),
    arrays: Mapping[str, np.ndarray] | None = None,
    rows: Rows | None = None,
    passes: Passes = NO_PASSES,
) -> StepResult:
    """A step that found something."""
    arrays = arrays or {}
    references = tuple(ArrayRef(name, str(arrays[name].dtype), arrays[name].shape) for name in sorted(arrays))
    record = Evidence(
        id=step.id,
        kind=step.kind,
        subject=step.subject,
        slice=step.slice,
        status="measured",
        method=step.method,
        mask=step.mask,
        values=tuple(values),
        arrays=references,
        passes=passes,
        parents=step.parents,
        details=dict(details),
    )
    return StepResult(record, arrays, rows or Rows())


def failed(step: Step, error: Exception, passes: Passes = NO_PASSES) -> StepResult:
    """A step that raised: a refusal is `not_applicable`, everything else `failed`."""
    status: Status = "not_applicable" if isinstance(error, Refusal) else "failed"
    message = _PATH.sub("", str(error)) or type(error).__name__
    return without_answer(step, status, Failure(type(error).__name__, message), passes)


def without_answer(step: Step, status: Status, failure: Failure, passes: Passes = NO_PASSES) -> StepResult:
    """A step that has a reason in place of an answer."""
    empty = result_of(step, {}, passes=passes)
    return StepResult(replace(empty.record, status=status, failure=failure), {}, Rows())

"""Cases that cannot be used: collected over a whole pass, then an error or a record, as the spec declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xai_audit.errors import DataError

Policy = Literal["fail", "record"]
SHOWN = 20


@dataclass(frozen=True)
class BadCase:
    """A case that is left out, and why."""

    id: str
    problem: str


def bad_case(case_id: str, error: DataError) -> BadCase:
    """The record of a case whose image, mask or row raised `error`."""
    place = error.problem.where.removeprefix(case_place(case_id)).removeprefix(", ")
    head = f"{place}: " if place and place != case_id else ""
    return BadCase(case_id, f"{head}found {error.problem.found}; expected {error.problem.expected}")


def case_place(case_id: str) -> str:
    """How messages name a case."""
    return f'case "{case_id}"'


def settle(
    bad: Sequence[BadCase], total: int, policy: Policy, where: str, remedies: Sequence[str] = ()
) -> tuple[BadCase, ...]:
    """The bad cases under `record`; one DataError that lists them under `fail`, or when no case is left.

    `total` counts all cases looked at, the bad ones among them. `remedies` may mend the spec; they are told first.
    """
    correct = f"{' '.join(remedies)} Otherwise correct" if remedies else "Correct"
    if not bad:
        return ()
    if policy == "fail":
        raise DataError(
            where,
            f"{_count(len(bad))} of {total}",
            "every case to be readable and complete",
            f"{correct} these cases, or set `data.on_bad_case: record` to leave them out and name them in the report.\n"
            f"{listing(bad)}",
        )
    if len({case.id for case in bad}) >= total:
        raise DataError(
            where,
            f"no usable case: all {total} are bad",
            "at least one case to audit",
            f"{correct} the source: leaving bad cases out would leave nothing.\n{listing(bad)}",
        )
    return tuple(bad)


def listing(bad: Sequence[BadCase]) -> str:
    """One line a case, the first 20 of them, then how many more."""
    lines = [f"    {case.id}: {case.problem}" for case in bad[:SHOWN]]
    more = [f"    and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
    return "\n".join(lines + more)


def _count(number: int) -> str:
    return "1 bad case" if number == 1 else f"{number} bad cases"

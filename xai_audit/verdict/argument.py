"""A safety argument beside the findings: which of its leaves rest on criteria that are met, and which on nothing yet.

Reads the argument as the owner wrote it and never judges a claim: a goal has counts of the leaves below it, no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xai_audit.evidence.records import Evidence
from xai_audit.spec.sector_automotive import Node, Shown
from xai_audit.verdict.findings import Finding

LeafState = Literal[
    "pass", "fail", "inconclusive", "not_run", "error", "waived", "no_limit", "no_evidence", "undeveloped", ""
]
"""Of a solution: the worst verdict of its criteria; no_limit: measured, but nobody said what is enough; no_evidence:
nothing measured. undeveloped: a goal or strategy with nothing below that could support it. Empty for the others."""
_WORST_FIRST: tuple[LeafState, ...] = ("error", "fail", "not_run", "inconclusive", "waived", "pass")
SUPPORTS = ("goal", "strategy", "solution")
"""Kinds of node that support the one they stand under; the others say what it rests on, or speak against it."""


@dataclass(frozen=True)
class Branch:
    """A node with what stands under it."""

    node: Node
    state: LeafState
    evidence: tuple[str, ...]
    """Of a solution: ids of the records that it rests on."""
    below: tuple[Branch, ...]

    @property
    def is_leaf(self) -> bool:
        """Whether support ends here: a solution, or a claim that nothing supports yet."""
        return bool(self.state)

    @property
    def leaves(self) -> tuple[Branch, ...]:
        """Every leaf of support at or below the node."""
        return (self,) if self.is_leaf else tuple(leaf for branch in self.below for leaf in branch.leaves)

    @property
    def met(self) -> int:
        """How many of the leaves rest on criteria that are all met."""
        return sum(leaf.state == "pass" for leaf in self.leaves)

    @property
    def open_defeaters(self) -> tuple[Node, ...]:
        """Defeaters without an answer at or below the node."""
        own = (self.node,) if self.node.kind == "defeater" and self.node.answer is None else ()
        return (*own, *(node for branch in self.below for node in branch.open_defeaters))

    def every(self) -> Iterator[Branch]:
        """The node and all below it, each before what stands under it."""
        yield self
        for branch in self.below:
            yield from branch.every()


def argument_of(nodes: Sequence[Node], findings: Sequence[Finding], records: Sequence[Evidence]) -> Branch | None:
    """The argument as a tree; None where none is declared. The spec's checks have found it to be one tree."""
    top = next((node for node in nodes if node.under is None), None)
    if top is None:
        return None
    under: dict[str, list[Node]] = {}
    for node in nodes:
        if node.under is not None:
            under.setdefault(node.under, []).append(node)
    verdicts = {finding.id: finding for finding in findings if finding.kind == "criterion"}
    return _branch(top, under, verdicts, records)


def _branch(
    node: Node, under: Mapping[str, Sequence[Node]], verdicts: Mapping[str, Finding], records: Sequence[Evidence]
) -> Branch:
    below = tuple(_branch(child, under, verdicts, records) for child in under.get(node.id, ()))
    if node.kind == "solution":
        state, evidence = solution_state(node, verdicts, records)
        return Branch(node, state, evidence, below)
    is_bare = node.kind in ("goal", "strategy") and not any(branch.node.kind in SUPPORTS for branch in below)
    return Branch(node, "undeveloped" if is_bare else "", (), below)


def solution_state(
    node: Node, verdicts: Mapping[str, Finding], records: Sequence[Evidence]
) -> tuple[LeafState, tuple[str, ...]]:
    """What a solution comes to, and the ids of the records it rests on."""
    named = [verdicts[name] for name in node.criteria if name in verdicts]
    shown = [record for each in node.evidence for record in _records_of(each, records)]
    ids = (*(identifier for finding in named for identifier in finding.evidence), *(record.id for record in shown))
    evidence = tuple(dict.fromkeys(ids))
    if len(named) < len(node.criteria):
        return "not_run", evidence
    if named:
        worst = _worst(named)
        is_short = len(shown) < len(node.evidence)
        return ("not_run" if is_short and worst in ("pass", "waived") else worst), evidence
    return ("no_limit" if len(shown) >= len(node.evidence) > 0 else "no_evidence"), evidence


def _worst(findings: Sequence[Finding]) -> LeafState:
    found = {finding.verdict for finding in findings}
    return next(verdict for verdict in _WORST_FIRST if verdict in found)


def _records_of(shown: Shown, records: Sequence[Evidence]) -> Iterator[Evidence]:
    """The measured record of what a solution points at."""
    for record in records:
        is_query = shown.query is not None and record.kind == "causal_query" and record.subject == shown.query
        is_measure = shown.measure is not None and record.subject == shown.measure and record.slice == shown.slice
        if record.status == "measured" and (is_query or is_measure):
            yield record
            return

"""Findings on a terminal: one line a criterion, worst first, then what is not a criterion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xai_audit.verdict import Finding, worst_first
from xai_audit.verdict.observations import as_declared

MOST_NAMED = 6
_STYLE = {"pass": "green", "fail": "bold red", "waived": "cyan", "inconclusive": "yellow"}
_SIGNS = {"at_least": "≥ {}", "at_most": "≤ {}", "between": "{} to {}"}


def findings_table(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print the findings as a table that fits 80 columns."""
    console = console or Console()
    judged = [finding for finding in worst_first(findings) if finding.verdict is not None]
    if not any(finding.kind == "criterion" for finding in judged):
        console.print("No criteria set: there is nothing to pass.")
    if judged:
        console.print(_table(judged))
    if any(finding.left_out for finding in judged):
        count = max(finding.left_out for finding in judged)
        console.print(f"Cases that could not be read and are in no number above: {count}")
    for line in _trust(findings):
        console.print(line, highlight=False, markup=False)
    for finding in findings:
        if finding.kind in ("observation", "concept", "causal"):
            console.print(f"Note: {finding.detail}", highlight=False, markup=False)


def _trust(findings: Sequence[Finding]) -> Iterator[str]:
    """One line a state, with the methods and slices that have it; worst first."""
    for state in ("failed", "weak", "untested", "trusted"):
        found = [each for each in findings if each.kind == "trust" and each.reason == f"trust_{state}"]
        if found:
            named = "; ".join(f"{each.method} on {each.slice}" for each in found[:MOST_NAMED])
            more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            yield f"Explanations {state}: {len(found)} ({named}{more})"


def _table(judged: Sequence[Finding]) -> Table:
    table = Table(title="Findings", title_justify="left")
    table.add_column("id", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("found", overflow="fold")
    table.add_column("limit", no_wrap=True)
    for finding in judged:
        style = _STYLE.get(str(finding.verdict), "bold magenta")
        name = finding.id if finding.kind == "criterion" else finding.kind
        cells = [escape(text) for text in (_what(finding), _found(finding), _limit(finding))]
        table.add_row(escape(name), f"[{style}]{finding.verdict}[/]", *cells)
    return table


def _what(finding: Finding) -> str:
    parts = [
        finding.measure or "",
        f"query {finding.query}" if finding.query else "",
        f"({finding.part})" if finding.part else "",
        f"of {finding.method}" if finding.method else "",
        f"in {finding.mask}" if finding.mask else "",
        f"for {finding.concept}" if finding.concept else "",
    ]
    return " ".join([*filter(None, parts), f"on {finding.slice}" if finding.slice else ""]).strip()


def _found(finding: Finding) -> str:
    if finding.estimate is None:
        return finding.detail
    if finding.is_exact:
        return f"{finding.estimate:.6g}, exact"
    interval = "" if finding.low is None or finding.high is None else f" ({finding.low:.3f} to {finding.high:.3f})"
    return f"{finding.estimate:.3f}{interval}, n {finding.n}"


def _limit(finding: Finding) -> str:
    return _SIGNS[finding.limit_kind].format(*map(as_declared, finding.limit)) if finding.limit_kind else ""

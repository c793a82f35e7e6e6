"""Which earlier run a run is compared with, and the comparison as it is kept in its folder: comparison.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import file_sha256
from xai_audit.evidence.events import Event, last, read_events
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import is_sealed, record_outputs
from xai_audit.evidence.store import MANIFEST, RunRecord, read_run
from xai_audit.verdict import Finding, read_findings
from xai_audit.verdict.changes import changes_between, limits_moved
from xai_audit.verdict.history import (
    NAME,
    Chosen,
    Earlier,
    History,
    Seen,
    history_text,
    next_first_seen,
    read_history,
    remembered,
)

FINDINGS = "findings.json"
NORMALISED = "audit.normalised.json"


@dataclass(frozen=True)
class Past:
    """A judged run whose files that are read here are as they were left."""

    run: RunRecord
    findings: tuple[Finding, ...]
    events: tuple[Event, ...]
    history: History | None
    """What it was itself compared with."""

    @property
    def is_signed(self) -> bool:
        """Whether people signed it, and nothing was judged since."""
        signed, judged = last(self.events, "signed"), last(self.events, "judged")
        return signed is not None and judged is not None and self.events.index(signed) > self.events.index(judged)

    @property
    def order(self) -> tuple[str, str]:
        """Runs are in the order in which they ended."""
        return _order(self.run)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The normalised spec."""
        spec: dict[str, Any] = json.loads((self.run.folder / NORMALISED).read_bytes())
        return spec


def _order(run: RunRecord) -> tuple[str, str]:
    return str(run.manifest["ended"]), str(run.manifest["run"])


def keep_comparison(folder: Path, since: Path | None = None, *, choose_again: bool = True) -> History | None:
    """Compare a judged run with an earlier one and keep the answer in its folder; None where there is no earlier one.

    Without `since` it is the last signed run of the same audit beside it, or the last judged one where none is signed.
    A run that was named before stays, and so does any run where not to `choose_again`. The folder is left alone when
    nothing changes. Raises EvidenceError for a named run that is not an earlier, judged, unchanged run of the audit.
    """
    this = read_past(folder, *([NAME] if choose_again else []))
    kept = this.history
    if since is None and kept is not None and (not choose_again or kept.earlier.chosen == "named"):
        return kept
    others, left_out = _beside(this)
    chosen = _chosen(others) if since is None else _named(since, this)
    if chosen is None:
        return kept
    history = _history(this, *chosen, others, left_out)
    text = history_text(history).encode()
    if kept != history or text != this.run.comparison:
        write_atomically(folder / NAME, text)
        record_outputs(folder, "compared", [NAME])
    return history


def read_past(folder: Path, *made_again: str) -> Past:
    """A judged run; EvidenceError where it is not one, or where a file that is read here is not as it was left.

    Files `made_again` may differ: nothing is then taken from them.
    """
    run = read_run(folder)
    if not is_sealed(folder) or not (folder / FINDINGS).is_file():
        raise EvidenceError(str(folder), "no findings", "a judged run", f"xai-audit judge {folder}")
    events = read_events(folder)
    wanted = {name: run.manifest["files"][name] for name in (NORMALISED, "evidence.jsonl")}
    for event in events:
        if event.event in ("sealed", "judged", "compared"):
            wanted |= {name: entry for name, entry in event.data["files"].items() if name in (MANIFEST, FINDINGS, NAME)}
    changed = [name for name, entry in wanted.items() if not _is_as_left(folder / name, entry["sha256"])]
    if not set(changed) <= set(made_again):
        raise EvidenceError(
            str(folder), f"{', '.join(sorted(changed))} changed or missing", "a run folder as it was left",
            "`xai-audit verify` names every file that changed; bring them back, or compare with another run.",
        )  # fmt: skip
    findings = read_findings((folder / FINDINGS).read_text(encoding="utf-8"))
    is_logged = NAME in wanted and NAME not in changed
    return Past(run, findings, events, read_history(run.comparison) if is_logged else None)


def _is_as_left(path: Path, digest: str) -> bool:
    return path.is_file() and not path.is_symlink() and file_sha256(path) == digest


def _beside(this: Past) -> tuple[tuple[Past, ...], tuple[str, ...]]:
    """Earlier judged runs of the same audit beside this one, in their order; and those that cannot be relied on."""
    found, left_out = [], []
    for path in sorted(this.run.folder.absolute().parent.glob(f"*/{MANIFEST}")):
        folder = path.parent
        if folder.name == this.run.folder.absolute().name or not (folder / FINDINGS).is_file():
            continue
        try:
            other = read_past(folder)
        except EvidenceError:
            left_out += [] if _is_known_as_no_earlier_one(folder, this) else [folder.name]
            continue
        if _is_earlier(other.run, this):
            found.append(other)
    return tuple(sorted(found, key=lambda past: past.order)), tuple(left_out)


def _is_earlier(run: RunRecord, this: Past) -> bool:
    return _order(run) < this.order and run.manifest["audit"] == this.run.manifest["audit"]


def _is_known_as_no_earlier_one(folder: Path, this: Past) -> bool:
    """Whether a changed run still has the manifest it was sealed with, and that is no earlier run of this audit."""
    try:
        run, events = read_run(folder), read_events(folder)
    except EvidenceError:
        return False
    sealed = last(events, "sealed")
    if sealed is None or MANIFEST not in sealed.data["files"]:
        return False
    return _is_as_left(folder / MANIFEST, sealed.data["files"][MANIFEST]["sha256"]) and not _is_earlier(run, this)


def _chosen(others: Sequence[Past]) -> tuple[Past, Chosen] | None:
    signed = [past for past in others if past.is_signed]
    if signed:
        return signed[-1], "signed"
    return (others[-1], "judged") if others else None


def _named(since: Path, this: Past) -> tuple[Past, Chosen]:
    past = read_past(since)
    audit = this.run.manifest["audit"]
    if past.run.manifest["audit"] != audit:
        raise EvidenceError(
            str(since), f"a run of {past.run.manifest['audit']}", f"a run of {audit}", "Name a run of the same audit."
        )
    if past.order >= this.order:
        raise EvidenceError(
            str(since), f"a run that ended on {past.run.manifest['ended']}",
            f"a run that ended before {this.run.manifest['ended']}", "Name an earlier run.",
        )  # fmt: skip
    return past, "named"


def _history(this: Past, earlier: Past, chosen: Chosen, others: Sequence[Past], left_out: tuple[str, ...]) -> History:
    old, new = earlier.run, this.run
    verdicts = {each.id: str(each.verdict) for each in earlier.findings if each.kind == "criterion"}
    audit, run, ended = (str(old.manifest[key]) for key in ("audit", "run", "ended"))
    runs = {past.order: past for past in (*others, earlier)}
    return remembered(
        Earlier(audit, run, ended, earlier.is_signed, chosen, file_sha256(old.folder / FINDINGS)),
        earlier.findings,
        old.records,
        changes=changes_between(old.manifest, new.manifest, earlier.spec, this.spec),
        moved=limits_moved(earlier.spec, this.spec, verdicts),
        first_seen=_first_seen([runs[order] for order in sorted(runs)]),
        left_out=left_out,
    )


def _first_seen(others: Sequence[Past]) -> tuple[Seen, ...]:
    """Since when what was open in the latest earlier run has been open; taken up where an earlier run has kept it."""
    start = max((place for place, past in enumerate(others) if past.history is not None), default=0)
    kept = others[start].history
    seen: tuple[Seen, ...] = () if kept is None else kept.first_seen
    for past in others[start:]:
        manifest = past.run.manifest
        seen = next_first_seen(seen, past.findings, past.run.records, str(manifest["run"]), str(manifest["ended"]))
    return seen

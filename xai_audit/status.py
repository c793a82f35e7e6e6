"""The runs under a folder: finished or not, what they found, and whether a spec's latest run is still current."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from xai_audit import __version__
from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.events import NAME as EVENTS
from xai_audit.evidence.manifest import is_sealed, verify
from xai_audit.evidence.store import MANIFEST, PARTIAL, read_run
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import load_spec
from xai_audit.verdict import read_findings


@dataclass(frozen=True)
class RunState:
    """One run folder at a glance."""

    audit: str
    run: str
    state: str
    """finished, unfinished or changed."""
    ended: str | None
    summary: str


def list_runs(out: Path) -> tuple[RunState, ...]:
    """Every run under a folder, by audit and time."""
    folders = {path.parent for path in out.glob(f"*/*/{MANIFEST}")} | {
        path.parent for path in out.glob(f"*/*/{PARTIAL}")
    }
    states = [_state(folder) for folder in folders]
    return tuple(sorted(states, key=lambda state: (state.audit, state.ended or "", state.run)))


def _state(folder: Path) -> RunState:
    audit, run = folder.parent.name, folder.name
    try:
        is_finished = is_sealed(folder)
    except EvidenceError as error:
        return RunState(audit, run, "changed", None, f"{EVENTS}: {error.problem.found}")
    if not is_finished:
        steps = len(list((folder / PARTIAL / "steps").glob("*.json")))
        return RunState(audit, run, "unfinished", None, f"{steps} steps kept; run the audit again to go on")
    faults = verify(folder)
    if faults:
        return RunState(audit, run, "changed", None, ", ".join(f"{fault.file} {fault.problem}" for fault in faults))
    return RunState(audit, run, "finished", read_run(folder).manifest["ended"], _summary(folder))


def _summary(folder: Path) -> str:
    path = folder / "findings.json"
    if not path.exists():
        return "not judged"
    counts = Counter(str(f.verdict) for f in read_findings(path.read_text(encoding="utf-8")) if f.kind == "criterion")
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "no criteria set"


def staleness(out: Path, spec: Path) -> list[str]:
    """Why the latest finished run of a spec no longer speaks for it; empty when it does.

    Compares spec, weights file, the model's code, case files and xai-audit's version as they are now with the run's
    manifest, and the dates of waivers with today. Weights that the factory sets itself are not looked at.
    """
    from xai_audit.opening import digest_inputs

    loaded = load_spec(spec)
    manifests = [json.loads(path.read_bytes()) for path in out.glob(f"{loaded.spec.audit.id}/*/{MANIFEST}")]
    if not manifests:
        return ["no finished run of this audit"]
    latest = max(manifests, key=lambda manifest: str(manifest["ended"]))
    inputs = digest_inputs(loaded)
    reasons = []
    if latest["spec"]["normalised_sha256"] != sha256(normalised_text(loaded.spec).encode()):
        reasons.append("the spec has changed")
    if latest["model"]["kind"] == "file" and latest["model"]["digest"] != inputs.weights:
        reasons.append("the weights have changed")
    if latest["model"].get("source") != inputs.source:
        reasons.append("the model's code has changed")
    old = {name: entry["digest"] for name, entry in latest["data"]["slices"].items()}
    reasons += [
        f"the data of slice {name} has changed" for name in inputs.digests if old.get(name) != inputs.digests[name]
    ]
    if latest["package"]["version"] != __version__:
        reasons.append(f"xai-audit was {latest['package']['version']} and is {__version__}")
    today = datetime.datetime.now(datetime.UTC).date()
    reasons += [
        f"the waiver of {criterion.id} ended on {criterion.waiver.expires}"
        for criterion in loaded.spec.criteria
        if criterion.waiver and criterion.waiver.expires < today
    ]
    return reasons

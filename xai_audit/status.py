"""The runs under a folder: finished or not, what they found, and whether a spec's latest run is still current."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_audit import __version__
from xai_audit.clauses.packs import load_pack
from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.events import NAME as EVENTS
from xai_audit.evidence.manifest import is_sealed, verify
from xai_audit.evidence.store import MANIFEST, PARTIAL, read_run
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import load_spec
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict import read_findings

if TYPE_CHECKING:
    from xai_audit.opening import Inputs


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

    Compares spec, weights file, the model's code, case files, clause packs and xai-audit's version as they are now with
    the run's manifest, and the last day of the report and of waivers with today. What a run's id holds beside these,
    such as the training data, is told as something else. Weights that the factory sets itself are not looked at.
    """
    from xai_audit.opening import digest_inputs

    loaded = load_spec(spec)
    latest = _latest(out / loaded.spec.audit.id)
    if latest is None:
        return ["no finished run of this audit"]
    inputs = digest_inputs(loaded)
    reasons = [*_inputs(latest, inputs, loaded.spec), *_packs(latest, loaded.spec)]
    if not reasons and latest["run"] != _run_id(latest, inputs):
        reasons.append(
            "something else that goes in has changed: training data, concept pictures, ratings or named code"
        )
    return [*reasons, *_dates(loaded.spec, datetime.datetime.now(datetime.UTC).date())]


def _latest(folder: Path) -> dict[str, Any] | None:
    """The manifest of the run that ended last."""
    manifests = [json.loads(path.read_bytes()) for path in folder.glob(f"*/{MANIFEST}")]
    return max(manifests, key=lambda manifest: str(manifest["ended"]), default=None)


def _inputs(latest: Mapping[str, Any], inputs: Inputs, spec: AuditSpec) -> Iterator[str]:
    """What goes into a run and is not as the manifest says."""
    if latest["spec"]["normalised_sha256"] != sha256(normalised_text(spec).encode()):
        yield "the spec has changed"
    if latest["model"]["kind"] == "file" and latest["model"]["digest"] != inputs.weights:
        yield "the weights have changed"
    if latest["model"].get("source") != inputs.source:
        yield "the model's code has changed"
    old = {name: entry["digest"] for name, entry in latest["data"]["slices"].items()}
    for name in inputs.digests:
        if old.get(name) != inputs.digests[name]:
            yield f"the data of slice {name} has changed"
    if latest["package"]["version"] != __version__:
        yield f"xai-audit was {latest['package']['version']} and is {__version__}"


def _run_id(latest: Mapping[str, Any], inputs: Inputs) -> str:
    """The id that a run of these inputs would have; the digest of weights that the factory sets is the manifest's."""
    is_by_factory = inputs.spec.model is not None and inputs.weights is None
    return replace(inputs, weights=latest["model"]["digest"] if is_by_factory else inputs.weights).run_id


def _packs(latest: Mapping[str, Any], spec: AuditSpec) -> Iterator[str]:
    """Clause packs that the run has mapped in another version than the one installed."""
    then = {pack["id"]: pack for pack in latest.get("clause_packs") or ()}
    for name in spec.audit.frameworks:
        pack = load_pack(name)
        if name not in then:
            yield f"the clause pack {name} was not mapped"
        elif then[name]["digest"] != pack.digest:
            yield f"the clause pack {name} was as of {then[name]['as_of']} and is as of {pack.as_of}"


def _dates(spec: AuditSpec, today: datetime.date) -> Iterator[str]:
    """Days that are over: of the report and of waivers."""
    until = spec.audit.valid_until
    if until is not None and until < today:
        yield f"the report was valid until {until}"
    for criterion in spec.criteria:
        if criterion.waiver and criterion.waiver.expires < today:
            yield f"the waiver of {criterion.id} ended on {criterion.waiver.expires}"

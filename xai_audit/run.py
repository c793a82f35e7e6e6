"""The run: a spec's inputs are opened, its plan is carried out step by step, and the evidence is sealed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xai_audit import __version__
from xai_audit.clauses.packs import load_pack
from xai_audit.engines.local import Engine
from xai_audit.engines.progress import Progress
from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.events import append_event, drop_torn_line, now, read_events
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import files_under, is_sealed, seal
from xai_audit.evidence.qualification import qualification
from xai_audit.evidence.store import (
    MANIFEST,
    RunRecord,
    evidence_bytes,
    forget_partial,
    forget_step,
    locked,
    read_run,
    read_step,
    read_steps,
    rows_bytes,
)
from xai_audit.evidence.versions import versions
from xai_audit.judging import judge_folder
from xai_audit.measures.drift_baseline import BASELINE, export_text
from xai_audit.model.load import load_model
from xai_audit.opening import Inputs, digest_inputs
from xai_audit.plan import Plan, make_plan
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import LoadedSpec
from xai_audit.stating import add_people, people_in, refuse_out_of_order
from xai_audit.verdict import Finding


@dataclass(frozen=True)
class Options:
    """How a run is carried out; nothing here changes what it finds beyond stated tolerances."""

    out: Path = Path("reports")
    device: str = "cpu"
    batch_size: int | None = None
    """None: 16 on a CPU, 64 on a GPU."""
    retry_failed: bool = False


@dataclass(frozen=True)
class Outcome:
    """A finished run."""

    run: RunRecord
    findings: tuple[Finding, ...]
    steps_made: int
    """0 when everything was there already."""


def run_audit(loaded: LoadedSpec, options: Options, progress: Progress) -> Outcome:
    """Carry out an audit up to its findings; steps that an earlier run of the same inputs has kept are not made again.

    Raises SpecErrors and InputError for what the user must mend; a step that goes wrong becomes evidence instead.
    """
    qualification(options.out)  # a record that cannot be cited is told before any work
    progress.begin("digests of the data", 0)
    inputs = _with_state(digest_inputs(loaded, progress.advance), options.device)
    progress.end("done")
    plan = make_plan(inputs.spec, inputs.counts)
    folder = options.out / inputs.spec.audit.id / inputs.run_id
    with locked(folder):
        drop_torn_line(folder)
        if options.retry_failed:
            _forget_failed(folder)
        refuse_out_of_order(people_in(folder), loaded.people)  # before any work
        made = 0
        if not is_sealed(folder):
            made = _carry_out(folder, inputs, plan, options, progress)
        forget_partial(folder)
        add_people(folder, loaded.people)
        findings = judge_folder(folder, inputs.spec)
    return Outcome(read_run(folder), findings, made)


def _with_state(inputs: Inputs, device: str) -> Inputs:
    """The inputs with the digest of the state dict, where no weights file tells one model from another."""
    spec = inputs.spec
    if spec.model is None or spec.model.weights is not None:
        return inputs
    return replace(inputs, weights=load_model(spec.model, inputs.loaded.folder, device, spec.audit.seed).digest)


def _forget_failed(folder: Path) -> None:
    if is_sealed(folder):
        raise EvidenceError(
            folder.name, "a finished run", "an unfinished run, to try its failed steps again",
            "A finished run is never changed; delete its folder to make it anew.",
        )  # fmt: skip
    for step, record in read_steps(folder).items():
        if record.status == "failed":
            forget_step(folder, step)


def _carry_out(folder: Path, inputs: Inputs, plan: Plan, options: Options, progress: Progress) -> int:
    if not (folder / "events.jsonl").exists():
        append_event(folder, "started", {"spec": inputs.loaded.path.name, "package": __version__})
    started = read_events(folder)[0].time
    engine = Engine(
        folder,
        inputs.spec,
        inputs.loaded.folder,
        inputs.dataset,
        inputs.files,
        plan,
        options.device,
        options.batch_size,
        inputs.loaded.lines,
    )
    made = engine.work(progress)
    kept = read_steps(folder)
    records = tuple(kept[step.id] for step in plan.steps)
    results = [read_step(folder, record).rows for record in records]
    write_atomically(folder / "evidence.jsonl", evidence_bytes(records))
    write_atomically(folder / "rows.parquet", rows_bytes(results))
    write_atomically(folder / "audit.yaml", inputs.loaded.text)
    write_atomically(folder / "audit.normalised.json", normalised_text(inputs.spec).encode())
    baselines = [record for record in records if record.kind == "drift_baseline" and record.status == "measured"]
    if baselines:
        write_atomically(folder / BASELINE, export_text(baselines[0].details).encode())
    wanted = {f"arrays/{record.id}.safetensors" for record in records if record.arrays}
    for name in files_under(folder / "arrays") if (folder / "arrays").exists() else ():
        if f"arrays/{name}" not in wanted:
            (folder / "arrays" / name).unlink()
    files = [name for name in files_under(folder) if name.startswith("arrays/")]
    files += ["evidence.jsonl", "rows.parquet", "audit.yaml", "audit.normalised.json", *([BASELINE] * bool(baselines))]
    seal(folder, _manifest(folder, inputs, engine, options, started), files)
    return made


def _manifest(folder: Path, inputs: Inputs, engine: Engine, options: Options, started: str) -> dict[str, Any]:
    spec = inputs.spec
    return {
        "format": 1,
        "audit": spec.audit.id,
        "run": folder.name,
        "package": {"name": "xai-audit", "version": __version__},
        "spec": {
            "file": inputs.loaded.path.name,
            "sha256": sha256(inputs.loaded.text),
            "normalised_sha256": sha256(normalised_text(spec).encode()),
        },
        "model": engine.model_facts(inputs.source),
        "data": {
            "slices": {
                name: {"cases": len(inputs.slices[name]), "digest": inputs.digests[name]} for name in inputs.slices
            }
        },
        "seed": spec.audit.seed,
        "versions": versions(),
        "qualification": qualification(options.out),
        "clause_packs": [
            {"id": pack.id, "as_of": pack.as_of.isoformat(), "digest": pack.digest}
            for pack in map(load_pack, spec.audit.frameworks)
        ],
        "git": _git(inputs.loaded.folder),
        "device": options.device,
        "precision": engine.precision,
        "threads": engine.threads,
        "batch_size": engine.limits.rows,
        "memory_mb": engine.limits.memory_mb,
        "started": started,
        "ended": now(),
        "parent": _parent(folder),
    }


def _git(folder: Path) -> dict[str, Any] | None:
    def ask(*arguments: str) -> str | None:
        try:
            answer = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "dirty": bool(ask("status", "--porcelain"))}


def _parent(folder: Path) -> str | None:
    """The latest finished run of the same audit; one whose manifest cannot be read any more is nobody's parent."""
    others = []
    for path in folder.parent.glob(f"*/{MANIFEST}"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            others.append((str(json.loads(path.read_bytes())["ended"]), path.parent.name))
    return max((other for other in others if other[1] != folder.name), default=(None, None))[1]

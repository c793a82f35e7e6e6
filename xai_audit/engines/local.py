"""The local engine: carries out a plan on this machine, one unit of steps after another, keeping each as it is done."""

from __future__ import annotations

import errno
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xai_audit.data.slices import members
from xai_audit.data.sources import BadCase, Dataset
from xai_audit.engines.preparing import Prepared, prepare
from xai_audit.engines.progress import Progress
from xai_audit.engines.recording import failed, without_answer
from xai_audit.engines.steps import Context, carry_out
from xai_audit.errors import InputError, ModelError, StepError
from xai_audit.evidence.events import append_event
from xai_audit.evidence.records import Evidence, Failure
from xai_audit.evidence.store import StepResult, read_step, read_steps, write_step
from xai_audit.explain.explained import Limits
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.load import load_model
from xai_audit.model.steady import rows_to_try
from xai_audit.plan import Plan, Step, with_facts
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path as KeyPath
from xai_audit.spec.yaml_nodes import Positions

JUDGES_PARENTS = ("probe", "quality", "cause_beside_attribution")
"""Kinds of step that look at their parents' failures themselves: one failed method is not the failure of the others."""


def pick_device(asked: str) -> str:
    """The device to run on: `auto` is cuda when present; ModelError when an asked-for device is not there."""
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("--device", f"{asked!r} and no CUDA device", "a device of this machine", "Use --device cpu.")
    if asked != "cpu" and not asked.startswith("cuda"):
        raise ModelError("--device", repr(asked), "cpu, cuda, cuda:N or auto", "Correct the option.")
    return asked


def try_model(model: AuditedModel, source: Dataset) -> None:
    """Raise ModelError where the output is wrong, is left to chance, or of a row depends on the rows beside it."""
    case = torch.full((1, model.input.channels, *model.input.size), 0.5)
    rows = None if source.features is None else rows_to_try(source.features).to(model.device)
    with left_as_found(model.module), torch.no_grad():
        model.raw_scores(case.to(model.device) if rows is None else rows[:1])
        model.check_steady(rows)


def work_units(step: Step) -> int:
    """Work of a step for the time left: a forward is one, a backward two, a case that is only read one."""
    return step.passes.rows + 2 * step.passes.backwards or max(step.cases, 1)


@dataclass
class Engine:
    """A plan at work in one run folder."""

    folder: Path
    spec: AuditSpec
    spec_folder: Path
    source: Dataset
    digests: Sequence[str]
    """Digest of each case of the source."""
    plan: Plan
    device: str
    batch_size: int | None
    """None: as many as the device's default."""
    lines: Positions | None = None
    """Where each key of the spec stands; None where its text is not at hand."""

    @property
    def threads(self) -> int:
        """Threads that torch uses."""
        return torch.get_num_threads()

    @cached_property
    def model(self) -> AuditedModel | None:
        """The model, loaded when it is first needed."""
        return (
            load_model(self.spec.model, self.spec_folder, self.device, self.spec.audit.seed)
            if self.spec.model
            else None
        )

    @cached_property
    def limits(self) -> Limits:
        """Rows of a batch, and memory above the model."""
        is_table = self.spec.model is not None and isinstance(self.spec.model.input, TableInput)
        return Limits.of(torch.device(self.device), self.spec.compute.memory_mb, self.batch_size, of_rows=is_table)

    @cached_property
    def prepared(self) -> Prepared:
        """The methods as they fit the model; found by forwards that are not counted."""
        return prepare(self.model, self.spec) if self.model is not None and self.spec.methods else Prepared()

    @cached_property
    def _slices(self) -> Mapping[str, np.ndarray]:
        return {part.name: members(self._dataset, part) for part in self.spec.slices}

    @cached_property
    def _dataset(self) -> Dataset:
        """The cases without those that the profile found unreadable; asked for when the profile is kept."""
        profile = next((record for record in read_steps(self.folder).values() if record.kind == "data_profile"), None)
        if profile is None or profile.status != "measured":
            return self.source
        known = set(self.source.ids)
        bad = [BadCase(b["id"], b["problem"]) for b in profile.details["bad_cases"] if b["id"] in known]
        return self.source.without(bad) if bad else self.source

    @cached_property
    def _digests(self) -> tuple[str, ...]:
        """Those of the readable cases."""
        by_id = dict(zip(self.source.ids, self.digests, strict=True))
        return tuple(by_id[case] for case in self._dataset.ids)

    @property
    def precision(self) -> str:
        """Type of the numbers that the model computes with; float64 where there is none, as all measures are."""
        if self.model is None or self.model.is_callable:
            return "float64"
        dtype = self.model.dtype or torch.get_default_dtype()
        return str(dtype).removeprefix("torch.")

    def model_facts(self, source: str | None) -> dict[str, Any]:
        """What the manifest says of the model."""
        if self.model is None or self.spec.model is None:
            return {"kind": "none", "digest": None}
        file = self.spec.model.weights.file if self.spec.model.weights else None
        return {
            "kind": self.model.digest_kind,
            "digest": self.model.digest,
            "file": file,
            "architecture": self.model.architecture,
            "form": "callable" if self.model.is_callable else "torch module",
            "package": self.model.package,
            "parameters": self.model.parameters,
            "factory": self.spec.model.factory,
            "memory_format": self.model.memory_format,
            "source": source,
        }

    def work(self, progress: Progress) -> int:
        """Carry out every step that is not kept yet; the number of steps made. Raises InputError for wrong input."""
        kept = read_steps(self.folder)
        todo = [step for step in self.plan.steps if step.id not in kept]
        if any(step.passes.rows or step.unit for step in todo):
            self._try_model()
            self.plan = with_facts(self.plan, self.spec, self.prepared.facts)
            todo = [step for step in self.plan.steps if step.id not in kept]
        progress.plan(sum(work_units(step) for step in todo))
        for step in self.plan.steps:
            if step.id in kept:
                continue
            unit = self._unit(step, [other for other in todo if other.id not in kept])
            started = time.monotonic()
            for result in self._make(unit, kept, progress):
                if result.record.id not in kept:
                    record = self._keep(result)
                    self._log(record, time.monotonic() - started)
                    kept[record.id] = record
        return len(todo)

    def _keep(self, result: StepResult) -> Evidence:
        """The record as it was written; a result that holds a number that is not finite is a failed step."""
        try:
            write_step(self.folder, result)
        except StepError as error:
            step = self.plan.step(result.record.id)
            self._report_failure(step, error)
            result = failed(step, error, result.record.passes)
            write_step(self.folder, result)
        return result.record

    def _try_model(self) -> None:
        """A few forwards, not counted: a wrong output or layer, or chance in the net, is found before any work."""
        if self.model is None:
            return
        try_model(self.model, self.source)
        _ = self.prepared

    def _unit(self, step: Step, todo: Sequence[Step]) -> list[Step]:
        """Steps to make together with a step; a pass that readers share is made again for readers still to do."""
        if not step.unit:
            return [step]
        shared = [other for other in self.plan.steps if other.id == step.unit]
        return [*shared, *(other for other in todo if other.unit == step.unit and other.id != step.unit)]

    def _make(self, unit: Sequence[Step], kept: Mapping[str, Evidence], progress: Progress) -> list[StepResult]:
        title = " + ".join(step.title for step in unit)
        progress.begin(title, sum(work_units(step) for step in unit if step.id not in kept) or 1)
        parents = [parent for step in unit if step.kind not in JUDGES_PARENTS for parent in step.parents]
        broken = [parent for parent in parents if parent in kept and kept[parent].status == "failed"]
        if broken:
            results = [without_answer(step, "failed", _parent_failure(kept[broken[0]])) for step in unit]
        else:
            results = self._try(unit, progress, kept)
        progress.end(_worst(results))
        return results

    def _try(self, unit: Sequence[Step], progress: Progress, kept: Mapping[str, Evidence]) -> list[StepResult]:
        try:
            return carry_out(self._context(progress, kept), unit)
        except InputError:
            if unit[0].kind == "data_profile":
                raise
            return self._failed_unit(unit)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            return self._failed_unit(unit)
        except Exception:
            return self._failed_unit(unit)

    def _failed_unit(self, unit: Sequence[Step]) -> list[StepResult]:
        error = sys.exc_info()[1]
        assert isinstance(error, Exception)
        append_event(self.folder, "step_raised", {"steps": [s.id for s in unit], "traceback": traceback.format_exc()})
        return [failed(step, error) for step in unit]

    def _log(self, record: Evidence, seconds: float) -> None:
        data = {"step": record.id, "status": record.status, "seconds": round(seconds, 3), **record.passes.__dict__}
        append_event(self.folder, "step", data)

    def _context(self, progress: Progress, kept: Mapping[str, Evidence]) -> Context:
        profile = next((record.details for record in kept.values() if record.kind == "data_profile"), None)
        is_first = profile is None
        return Context(
            spec=self.spec,
            spec_folder=self.spec_folder,
            dataset=self.source if is_first else self._dataset,
            digests=self.digests if is_first else self._digests,
            slices={part.name: members(self.source, part) for part in self.spec.slices} if is_first else self._slices,
            model=self.model,
            limits=self.limits,
            precision=self.precision,
            prepared=lambda: self.prepared,
            progress=progress,
            profile=profile or {},
            read=lambda step: read_step(self.folder, kept[step]),
            report=self._report_failure,
            spec_line=self._spec_line,
        )

    def _spec_line(self, path: KeyPath) -> int | None:
        return None if self.lines is None else self.lines.place(path).line

    def _report_failure(self, step: Step, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        append_event(self.folder, "step_raised", {"steps": [step.id], "traceback": text})


def _parent_failure(parent: Evidence) -> Failure:
    return Failure("ParentFailed", f"This step needs {parent.subject} [{parent.id}], which failed.")


def _worst(results: Sequence[StepResult]) -> str:
    statuses = {result.record.status for result in results}
    return next(status for status in ("failed", "not_applicable", "measured") if status in statuses)

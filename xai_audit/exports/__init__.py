"""A judged run in the formats of other tools: OSCAL, JUnit, CSV, in-toto and a model card; no model, no data, no torch.

Each is made from the run folder alone and holds no clock, so the same folder gives the same bytes. None says more than
the findings do: what did not run, or cannot be told, is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xai_audit.errors import EvidenceError
from xai_audit.evidence.files import write_atomically
from xai_audit.exports.audited import Audited, read_audited
from xai_audit.exports.intoto import statement
from xai_audit.exports.junit import test_results
from xai_audit.exports.modelcard import model_card
from xai_audit.exports.oscal import assessment_results
from xai_audit.exports.sheets import sheets

__all__ = ["FORMATS", "Audited", "Format", "export", "read_audited"]


@dataclass(frozen=True)
class Format:
    """A format by the name that the command line gives it."""

    name: str
    summary: str
    write: Callable[[Audited], bytes] | Callable[[Audited], Mapping[str, bytes]]
    """One file, or several by their names."""


FORMATS: tuple[Format, ...] = (
    Format("oscal", "OSCAL assessment results (JSON)", assessment_results),
    Format("junit", "JUnit test results (XML), for build servers", test_results),
    Format("csv", "tables of findings, criteria and clauses (a folder)", sheets),
    Format("in-toto", "in-toto statement over the manifest (JSON), for signing", statement),
    Format("model-card", "model card (Markdown with YAML front matter)", model_card),
)


def export(folder: Path, name: str, out: Path) -> tuple[Path, ...]:
    """Write a judged run in a format; the paths that were written. Several files go into `out` as a folder.

    EvidenceError where the run is not as it was left, or where `out` lies in its folder, which is never added to.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise EvidenceError(
            str(out), "a place inside the run folder", "a place outside it", "A run folder is kept as it was left."
        )
    written = next(each for each in FORMATS if each.name == name).write(read_audited(folder))
    files = {out: written} if isinstance(written, bytes) else {out / file: data for file, data in written.items()}
    for path, data in files.items():
        write_atomically(path, data)
    return tuple(files)

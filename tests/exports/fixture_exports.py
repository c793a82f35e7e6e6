"""The run that is exported: clauses, a waiver, a crashed step and a title full of marks."""

from __future__ import annotations

from fixture_past import LAST, PastRun
from fixture_run import CRITERIA

TITLE = "=HYPERLINK(1)|<b>&[x](y)"
EXPORTED = PastRun(
    LAST.run,
    LAST.ended,
    CRITERIA.replace("severity: critical, because: Agreed", "clauses: [eu-ai-act.art15], because: Agreed"),
    broken=("occlusion",),
    edits=(
        ("languages: [en]", "languages: [en]\n  frameworks: [eu-ai-act]"),
        ("'Solar cell inspection'", f"'{TITLE}'"),
    ),
)

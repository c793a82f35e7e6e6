"""The conformance table: ours beside captum, grad-cam, lime, shap, torchcam and zennit on the same nets, row by row.

A row agrees, or it deviates and names the cause; what shows a cause is the peer's own number made anew with that cause
built in, or gone once the cause is taken away. The test runs every row; `scripts/make_reference.py` writes them down.
"""

from __future__ import annotations

import cam_rows
import lime_rows
import peers
import pixel_rows
import shap_rows
from compared import TOLERANCE, Row

from xai_audit import registry

ROWS: tuple[Row, ...] = (*cam_rows.ROWS, *pixel_rows.ROWS, *lime_rows.ROWS, *shap_rows.ROWS)


OF_SLICES = ("activation_maps",)
"""Methods of whole slices that a peer has too; of the others tests/surrogate and tests/concepts know the answers."""
METHODS = tuple(entry.name for entry in registry.METHODS if entry.shape != "fitter" or entry.name in OF_SLICES)
"""Methods with rows."""


# The page


def page() -> str:
    """The table as Markdown, with what was compared and what shows each cause."""
    versions = ", ".join(f"{name} {version}" for name, version in peers.VERSIONS.items())
    return (
        "# Conformance with other packages\n\n"
        f"Each line is a test that runs ours beside a peer on the same nets and images: {versions}.\n\n"
        f"*Agrees*: with the settings named, no value on any of the nets is further from ours than {TOLERANCE:.5f}\n"
        "of our largest value. *Deviates*: the two are further apart than the share of our largest value that is\n"
        "said; the cause stands beside it, with what the test does to show it. The tests are those of\n"
        "`tests/explain/test_conformance.py`, the definitions those of [the methods](methods.md).\n"
        + "".join(_part_of(name) for name in METHODS)
    )


def _part_of(method: str) -> str:
    rows = [row for row in ROWS if row.method == method]
    lines = [("peer", "on", "settings", "result"), ("---",) * 4]
    lines += [(f"{row.peer} `{row.part}`", row.on, row.settings, _result(row)) for row in rows]
    return f"\n## {method}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _result(row: Row) -> str:
    if row.agrees is not None:
        return "agrees"
    far = f"{100 * row.apart:g} %" if row.apart < 1 else f"{row.apart:g} times"
    return f"**deviates** by more than {far}. {row.cause} Shown: {row.shown_by}."

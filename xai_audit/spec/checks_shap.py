"""What a shap entry must fit: its mode the players and the input, its evaluations the number of players if known."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.messages import Mistake
from xai_audit.spec.methods import Background, Grid, Groups, Shap
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path

MOST_EXACT, ROWS_A_PLAYER, EVALUATIONS = 14, 4, 2048
"""As explain.shapley_settings, which spec may not import."""
LEAST = 8
"""Evaluations that every shap needs, whatever its players."""
_ASK = "Take `mode: auto`, which asks the model."


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in `mode`, `players`, `evaluations` and `sampling` of shap."""
    model = sections.model
    if model is None:
        return
    table = model.input if isinstance(model.input, TableInput) else None
    for index, use in sections.methods.items():
        if isinstance(use, Shap):
            path: Path = ("methods", index)
            count = _players(use, table)
            yield from _mode(use, table, path)
            if count is not None:
                is_written = sections.has(*path, "evaluations")
                yield from _number(use, _asked(sections, use, index), count, path, is_written=is_written)


def _players(use: Shap, table: TableInput | None) -> int | None:
    """How many players every case has; None where only its image tells."""
    if table is None:
        return use.players.grid[0] * use.players.grid[1] if isinstance(use.players, Grid) else None
    groups = use.players.groups if isinstance(use.players, Groups) and use.mode != "owen" else {}
    grouped = {column for columns in groups.values() for column in columns}
    return len(groups) + len(set(table.names) - grouped)


def _mode(use: Shap, table: TableInput | None, path: Path) -> Iterator[Mistake]:
    at = (*path, "mode")
    if use.mode == "tree" and table is None:
        yield Mistake(at, "mode tree for images", "a table: trees read features", _ASK)
    elif use.mode == "tree" and isinstance(use.players, Groups):
        yield Mistake(at, "mode tree with groups", "single features: a group is not the sum of its members", _ASK)
    elif use.mode == "tree" and use.baseline is not None and not isinstance(use.baseline, Background):
        yield Mistake(at, f"mode tree with baseline {use.baseline}", "a background of rows", "Name a background.")
    elif use.mode == "owen" and table is not None and not isinstance(use.players, Groups):
        fix = "Declare `players: {groups: ...}`, or take another mode."
        yield Mistake(at, "mode owen without groups", "groups of features, whose members join first", fix)
    if use.sampling != "leverage" and use.mode not in ("auto", "kernel"):
        fix = "Remove `sampling`."
        yield Mistake((*path, "sampling"), f"sampling {use.sampling} with mode {use.mode}", "mode kernel", fix)


def _asked(sections: Sections, use: Shap, index: int) -> int:
    """The evaluations that the file asks for, even where they are too few for any case."""
    written = sections.raw["methods"][index].get("evaluations")
    return written if isinstance(written, int) and not isinstance(written, bool) else use.evaluations or EVALUATIONS


def _number(use: Shap, evaluations: int, count: int, path: Path, *, is_written: bool) -> Iterator[Mistake]:
    if use.mode == "exact" and count > MOST_EXACT:
        found, fix = f"mode exact with {count} players", "Take `mode: kernel`, or fewer players."
        yield Mistake((*path, "mode"), found, f"at most {MOST_EXACT} players, 2^{MOST_EXACT} coalitions", fix)
    is_capped = is_written and 2**count > evaluations
    sampled = use.mode in ("kernel", "permutation") or (use.mode == "auto" and (is_capped or count > MOST_EXACT))
    least = max(ROWS_A_PLAYER * count, LEAST)
    if sampled and evaluations < min(least, 2**count):
        found, fix = f"{evaluations} evaluations for {count} players", f"Set `evaluations: {least}` or more."
        yield Mistake((*path, "evaluations"), found, f"at least {least}, {ROWS_A_PLAYER} a player", fix)

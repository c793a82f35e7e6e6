"""Who plays in a game about one case: its superpixels, or the features and groups of features of a table."""

from __future__ import annotations

from xai_audit.data.superpixels import Labels, feature_groups, label_map
from xai_audit.explain.questions import Case
from xai_audit.spec.methods import Segments


def players(segments: Segments | None, case: Case, where: str) -> Labels:
    """Number of the player of each pixel, (height, width), 0 to players - 1; None for a table's features one by one.

    Raises Refusal for fewer than 2 players or more than 500, and for segments that do not fit an image or a table.
    """
    if case.names:
        return feature_groups(segments, case.names, where)
    return label_map(segments or "features", case.pixels, where, case.seed)

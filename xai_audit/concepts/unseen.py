"""How finished pictures are tried under changes that they have not seen; known without torch, for plan and report."""

UNSEEN = 16
"""Sets of changes that a finished picture is tried under, none of them seen while it was made."""
LEAST_KEPT = 0.8
"""Share of its rise that a picture must keep under them, on average; one that keeps less falls apart."""

"""How often a finished picture is tried under changes that it has not seen; known without torch, for the plan."""

UNSEEN = 16
"""Sets of changes that a finished picture is tried under, none of them seen while it was made."""

"""Functions and classes of the user's own that the causal part names: `package.module:name` or `file.py:name`."""

from __future__ import annotations

from pathlib import Path

from xai_audit.spec.causal import Causal


def mechanism_calls(causal: Causal, folder: Path) -> dict[str, object]:
    """What the mechanisms name, by variable. Raises ModelError where it is not there."""
    named = {name: getattr(one, "call", None) for name, one in causal.mechanisms.items()}
    if not any(named.values()):
        return {}
    from xai_audit.model.factory import find_factory

    return {name: find_factory(call, folder, f"causal.mechanisms.{name}.call") for name, call in named.items() if call}

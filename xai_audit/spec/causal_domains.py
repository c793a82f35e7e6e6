"""Which values a variable can take, and how a domain is written in a sentence."""

from __future__ import annotations

from xai_audit.spec.causal import CausalVariable, Level, Levels, Range
from xai_audit.spec.yaml_nodes import plain_scalar


def level_text(level: Level) -> str:
    """A level as the spec writes it: a text that would be read as something else stands in quotes."""
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, str):
        return level if plain_scalar(level) == level else f'"{level}"'
    return f"{level:.12g}"


def domain_text(domain: Levels | Range | None) -> str:
    """{a, b} of levels, [lo, hi] of a range."""
    if isinstance(domain, Levels):
        return f"{{{', '.join(map(level_text, domain.levels))}}}"
    return "not declared" if domain is None else f"[{domain.range[0]:.12g}, {domain.range[1]:.12g}]"


def holds(domain: Levels | Range | None, level: Level) -> bool:
    """Whether a value is in a domain; the text "1" and the number 1 differ. What has no domain takes any value."""
    if isinstance(domain, Levels):
        return any(isinstance(one, str) == isinstance(level, str) and one == level for one in domain.levels)
    if domain is None:
        return True
    is_number = isinstance(level, int | float) and not isinstance(level, bool)
    return is_number and domain.range[0] <= float(level) <= domain.range[1]


def is_numeric(one: CausalVariable) -> bool:
    """Whether the values are numbers: a range, or levels that are numbers and not true or false."""
    if isinstance(one.domain, Levels):
        return all(isinstance(level, int | float) and not isinstance(level, bool) for level in one.domain.levels)
    return True


def is_ordered(one: CausalVariable) -> bool:
    """Whether "more" has a meaning: two levels, levels that are a scale, or a range."""
    if isinstance(one.domain, Levels):
        return len(one.domain.levels) == 2 or one.domain.ordered
    return one.domain is not None

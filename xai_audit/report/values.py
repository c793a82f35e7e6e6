"""Which of a record's numbers is meant."""

from __future__ import annotations

from xai_audit.evidence.records import Evidence, Value


def value_of(record: Evidence, wanted: str, label: str | None = None) -> Value | None:
    """The first value of that name, and of that label where one is given; None where the record has none."""
    fitting = (value for value in record.values if value.name == wanted and label in (None, value.label))
    return next(fitting, None)


def whole_value(record: Evidence, wanted: str) -> Value | None:
    """The value of that name that stands for all classes, or the only one; None where there are but several classes."""
    named = [value for value in record.values if value.name == wanted]
    return next((value for value in named if not value.label), named[0] if len(named) == 1 else None)

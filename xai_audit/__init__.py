"""Audit image and table models, and write the report that people sign."""

__version__ = "0.1.0"

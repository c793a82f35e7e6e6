"""Clause packs: which evidence speaks to which requirement, with date, status and source. Package data, no law."""

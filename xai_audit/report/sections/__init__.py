"""The numbered sections of a report, one file an idea."""

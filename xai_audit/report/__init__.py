"""The report: one frozen value with everything decided, placed by templates into HTML and PDF."""

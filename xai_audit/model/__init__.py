"""The model under audit: built from the spec, asked for scores, left as found. This module loads no torch."""

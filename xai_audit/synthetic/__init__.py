"""Ground truth by construction: nets compiled by hand and images with planted causes."""

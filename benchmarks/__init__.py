"""Benchmarks: what our methods cost beside the raw passes of the same net, and beside other libraries."""

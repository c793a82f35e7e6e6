"""Causal analysis: graphs, identification, estimation and structural models (CAUSAL.md)."""

"""Structural models: abduction, action, prediction (CAUSAL.md section 6)."""

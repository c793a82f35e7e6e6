"""What the graph implies, and what the data say to it (CAUSAL.md section 8)."""

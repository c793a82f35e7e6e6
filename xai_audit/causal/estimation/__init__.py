"""From an identified estimand and data to numbers with intervals (CAUSAL.md section 5)."""

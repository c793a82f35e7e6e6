"""Causal graphs: what they separate, what they identify, and by which formula; nothing here reads data."""

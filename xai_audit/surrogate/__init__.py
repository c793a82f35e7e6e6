"""Surrogate trees: interpretable features of cases, a tree grown on the net's answers, and how far the two agree."""

"""Engines: where the steps of a plan are carried out."""

"""Shapley values: estimators that know only games, and the method that asks them about cases."""

from xai_audit.explain.shapley.asker import shap

__all__ = ["shap"]

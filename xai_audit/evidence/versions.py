"""Which packages and which platform made a result."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "pyarrow",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "shap",
    "pydantic",
    "matplotlib",
    "weasyprint",
)


def versions() -> dict[str, str]:
    """Version of Python, the platform, and each package that can change a number or a page."""
    found = {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}"}
    return found | {name: metadata.version(name) for name in PACKAGES}

"""Records of checks as the engines leave them, for methods that are wanted trusted, weak or failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xai_audit.evidence.records import Value

Made = tuple[str, str | None, str, tuple[Value, ...], dict[str, Any], dict[str, np.ndarray], tuple[str, str] | None]
"""subject, method, slice, values, details, arrays, failure (status, message)"""

CONTROLS = {"image": ("random", "sobel", "centre"), "table": ("random", "uniform")}
STAGES = ["head", "features.9", "features.5", "features.0"]
OBJECTIONS = [
    "Low likeness to the maps of a random net does not show that a map is right: it shows that it depends on what was "
    "learnt (Yona and Greenfeld 2021).",
    "The test can favour noisy maps over clean ones, and what counts as alike depends on how maps are prepared and "
    "compared (Binder et al., CVPR 2023).",
]
STEPS = 10
COMPARED = {"deletion": -1.0, "insertion": 1.0, "road": 1.0, "infidelity": -1.0}
"""Direction in which a measure is better."""


def checks(states: Mapping[str, str], slices: Mapping[str, int], kind: str = "image") -> Iterator[Made]:
    """Quality records of every method and control on every slice; `slices` gives the explained cases in each."""
    for part, count in slices.items():
        for measure, sign in COMPARED.items():
            if measure == "road" and kind == "table":
                continue
            for place, (method, state) in enumerate(states.items()):
                yield _compared(measure, method, part, count, sign, state, place, CONTROLS[kind])
            for place, control in enumerate(CONTROLS[kind]):
                yield _control(measure, control, part, count, sign, place)
        for method, state in states.items():
            yield from _own(method, part, count, state)
        yield _agreement(tuple(states), part, count)


def _value(name: str, estimate: float, wide: float, n: int, unit: str, label: str = "") -> Value:
    return Value(name, estimate, estimate - wide, estimate + wide, n, unit, interval="bootstrap", draws="draws",
                 label=label)  # fmt: skip


def _curve(measure: str, strength: float) -> dict[str, np.ndarray]:
    x = np.linspace(0, 1, STEPS + 1)
    falling = 0.05 + 0.9 * np.exp(-4 * strength * x)
    if measure == "road":
        return {"x": x[1:-1], "morf": falling[1:-1], "lerf": 1 - 0.5 * x[1:-1] ** 2}
    return {"x": x, "curve": falling if measure == "deletion" else falling[::-1]}


def _compared(
    measure: str, method: str, part: str, n: int, sign: float, state: str, place: int, controls: Sequence[str]
) -> Made:
    strength = {"trusted": 1.2, "weak": 0.62, "failed": 0.2}[state] + 0.02 * place
    arrays = _curve(measure, strength) if measure != "infidelity" else {}
    mean = 0.5 - sign * 0.2 * (0.5 - strength) if measure != "infidelity" else 1.1 - 0.5 * strength
    unit = "ratio" if measure == "infidelity" else "score"
    values = [_value(measure, mean, 0.05, n, unit)]
    for rank, control in enumerate(controls):
        values.append(_value("beats_control", strength - 0.5 - 0.05 * rank, 0.1, n, "value", control))
    told = {control: {"state": "beaten" if strength > 0.7 else "not_beaten"} for control in controls}
    details = {
        "cases": n,
        "used": n,
        "parameters": {"steps": STEPS},
        "objections": [],
        "warnings": [],
        "controls": told,
    }
    return measure, method, part, tuple(values), details, arrays | {"draws": np.zeros(4)}, None


def _control(measure: str, control: str, part: str, n: int, sign: float, place: int) -> Made:
    mean = 0.5 - sign * (0.04 - 0.02 * place)
    arrays = _curve(measure, 0.4 + 0.05 * place) if measure != "infidelity" else {}
    values = (_value(measure, mean, 0.04, n, "ratio" if measure == "infidelity" else "score"),)
    return measure, f"control:{control}", part, values, {"cases": n}, arrays | {"draws": np.zeros(4)}, None


def _own(method: str, part: str, n: int, state: str) -> Iterator[Made]:
    alike = {"trusted": 0.09, "weak": 0.3, "failed": 0.87}[state]
    curve = np.concatenate([[1.0], np.linspace(0.9 if state == "failed" else 0.6, alike, len(STAGES))])
    yield (
        "parameter_randomisation",
        method,
        part,
        (_value("parameter_randomisation", alike, 0.03, n, "score"),),
        {"cases": n, "stages": STAGES, "objections": OBJECTIONS},
        {"curve": curve, "draws": np.zeros(4)},
        None,
    )
    stable = {"trusted": 0.97, "weak": 0.81, "failed": 0.9}[state]
    yield (
        "stability",
        method,
        part,
        (_value("stability", stable, 0.02, n, "score"),),
        {"cases": n},
        {"draws": np.zeros(4)},
        None,
    )
    yield (
        "max_sensitivity",
        method,
        part,
        (_value("max_sensitivity", 0.3, 0.1, n, "ratio"),),
        {"cases": n},
        {"draws": np.zeros(4)},
        None,
    )
    promised = method in ("shap", "integrated_gradients")
    yield (
        "completeness",
        method,
        part,
        (_value("completeness", 0.004, 0.002, n, "share"),) if promised else (),
        {"cases": n} if promised else {},
        {"draws": np.zeros(4)} if promised else {},
        None if promised else ("not_applicable", f"completeness of {method}: found no promise of a sum."),
    )


def _agreement(methods: Sequence[str], part: str, n: int) -> Made:
    pairs = [(a, b) for place, a in enumerate(methods) for b in methods[:place]]
    values = []
    for place, (a, b) in enumerate(pairs):
        values.append(
            _value("rank_correlation", 0.8 - 1.1 * place / max(len(pairs), 1), 0.08, n, "score", f"{a} | {b}")
        )
        values.append(_value("overlap", 0.5 - 0.4 * place / max(len(pairs), 1), 0.05, n, "share", f"{a} | {b}"))
    values.append(Value("kendall_w", 0.41, None, None, n, "score"))
    details: dict[str, Any] = {"cases": n, "most_different": []}
    return "agreement", None, part, tuple(values), details, {"draws": np.zeros(4)}, None


CHECKED = {
    "grad_cam": "trusted",
    "guided_backprop": "failed",
    "occlusion": "weak",
    "lime": "weak",
    "shap": "trusted",
}

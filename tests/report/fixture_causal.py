"""Causal runs as real runs would leave them: a table without a model where each outcome comes up, and a model whose
score is moved by operators."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fixture_run import Made

from xai_audit.causal.answer import Alternative, Amount, Answer, analytic, bounded, drawn, exact, refused
from xai_audit.causal.asked import Asked, scope_of
from xai_audit.engines.causal import graph_of, whole_graph
from xai_audit.engines.causal_records import Provenance, answer_result
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import seal
from xai_audit.evidence.records import ArrayRef, Evidence, Failure, Passes
from xai_audit.evidence.store import _array_bytes, evidence_bytes, read_run, rows_bytes
from xai_audit.graphs.adjustment import AdjustmentSets
from xai_audit.graphs.identify import Hedge
from xai_audit.plan.steps import make_step
from xai_audit.spec.load import load_text
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict import findings_text, judge

Entry = dict[str, Any]
DRAWS = np.linspace(-2, 2, 1001)
SIDE = 48

WORLD = """version: 1
audit: {id: coating-line, title: Does the new coating lower defects?, domain: industrial, seed: 1,
  owner: {name: A. Person, role: quality engineer}}
data:
  source: {kind: table, columns: [shift, humidity, coating, defect, wear, load, n], weight: n, rows: [
    [day, dry, old, 0, 5.0, 2.0, 30], [night, damp, new, 1, 9.0, 4.0, 20]]}
causal:
  author: {name: R. Ortiz, role: process engineer, date: 2026-03-02}
  variables:
    shift: {role: context, domain: {levels: [day, night]}, source: {column: shift}, time: 0}
    humidity: {role: confounder, label: Air humidity, domain: {levels: [dry, damp]}, source: {column: humidity}}
    coating: {role: treatment, domain: {levels: [old, new]}, source: {column: coating}}
    defect: {role: outcome, domain: {levels: [0, 1]}, source: {column: defect}}
    load: {role: cause, domain: {range: [1, 5]}, unit: kN, source: {column: load}, actionable: decrease}
    wear: {role: mediator, domain: {range: [0, 100]}, unit: µm, source: {column: wear}}
    supplier: {role: confounder, domain: {range: [-3, 3]}, source: unmeasured}
    grit: {role: confounder, domain: {range: [-3, 3]}, source: unmeasured}
  edges: [shift -> humidity, shift -> coating, humidity -> defect, coating -> defect, load -> wear, wear -> defect,
    supplier -> load, supplier -> wear, grit -> load, grit -> defect,
    shift <-> humidity]
  mechanisms:
    load: {kind: linear, intercept: 3, weights: {supplier: 1, grit: 1}, noise: {normal: [0, 0.5]}}
    wear: {kind: linear, intercept: 1, weights: {load: 4, supplier: 1}, noise: {normal: [0, 1]}}
    grit: {kind: linear, intercept: 0, weights: {}, noise: {normal: [0, 1]}}
    supplier: {kind: linear, intercept: 0, weights: {}, noise: {normal: [0, 1]}}
  missing_edges_reason: {"shift -> defect": Shifts work to the same instruction.}
  queries:
QUERIES  checks:
    refuters: [{kind: placebo_treatment, draws: 100, at_most: 0.01, absolute: true}]
    sensitivity: [e_value, robustness_value, tipping_point, marginal]
criteria:
CRITERIA"""
_CONTRAST = "do: {coating: [old, new]}, on: defect"
QUERIES: dict[str, str] = {
    "crude": f"ask: association, {_CONTRAST}",
    "total": f"ask: ate, {_CONTRAST}, question: Does the new coating lower the share of defects?",
    "sampled": f"ask: ate, {_CONTRAST}",
    "night": "ask: interventional, do: {coating: new}, given: {shift: night}, on: defect",
    "treated": f"ask: att, {_CONTRAST}",
    "by_shift": f"ask: cate, {_CONTRAST}, given: [shift]",
    "held": f"ask: cde, {_CONTRAST}, hold: {{humidity: dry}}",
    "split": "ask: nde, do: {load: [4, 5]}, through: [wear], on: defect, assume: [cross_world_independence]",
    "rest": "ask: nie, do: {load: [4, 5]}, through: [wear], on: defect",
    "path": "ask: path_effect, do: {load: [4, 5]}, paths: [load -> wear -> defect], on: defect",
    "unit": "ask: counterfactual, given: {shift: night, humidity: damp, coating: old, defect: 1}, "
    "do: {coating: new}, on: defect, if_not_identified: bounds",
    "same_unit": "ask: counterfactual, given: {load: 4, wear: 17}, do: {load: 3}, on: wear",
    "fix": "ask: recourse, given: {load: 4, wear: 17}, on: wear, target: {at_most: 15}, cost: {load: 6}, k: 2",
    "nothing": "ask: recourse, given: {load: 4, wear: 90}, on: wear, target: {at_most: 1}",
    "need": f"ask: pn_ps, {_CONTRAST}",
    "published": "ask: sensitivity, inputs: {risk_ratio: 3.9, low: 1.8, high: 8.7}",
    "strict": "ask: ate, do: {load: [4, 5]}, on: defect",
    "bounded": "ask: ate, do: {load: [4, 5]}, on: defect, if_not_identified: bounds",
    "local": "ask: ate, do: {coating: [old, new]}, on: defect, "
    "assume: [{monotone: shift -> coating, direction: increasing}]",
    "thin": "ask: ate, do: {humidity: [dry, damp]}, on: defect",
    "broken_graph": "ask: ate, do: {shift: [day, night]}, on: defect",
    "demoted": "ask: ate, do: {shift: [day, night]}, on: coating",
    "clumsy": "ask: ate, do: {wear: [4, 5]}, on: defect",
    "crashed": f"ask: ate, {_CONTRAST}, answer_by: identification",
    "stopped": f"ask: ate, {_CONTRAST}, adjust: [humidity]",
    "no_path": "ask: ate, do: {defect: [0, 1]}, on: shift",
}
CRITERIA = """  - {id: C1, query: total, at_most: 0, because: The new coating must not make it worse.}
  - {id: C2, query: strict, between: [-0.02, 0.02], because: Load may not matter.}
"""
TRIAL = "experimental: {ref: 0.2, alt: 0.1}"


def _around(name: str, middle: float, spread: float = 0.02, label: str = "") -> Amount:
    return drawn(name, middle, middle + spread * DRAWS, 0.05, label)


def _ends(name: str, low: float, high: float, label: str = "") -> Amount:
    return bounded(name, low, high, 0.05, np.stack([low + 0.01 * DRAWS, high + 0.01 * DRAWS]), label)


SETS = AdjustmentSets((("humidity",), ("shift",)), True)
LATEX = r"\sum_{\mathrm{humidity}} P(\mathrm{defect} \mid \mathrm{coating}, \mathrm{humidity}) \, P(\mathrm{humidity})"
TEXT = "Average, over the humidity mix of all units, the defect rate among units with that humidity and coating."
SENSITIVITY = {
    "note": "Sensitivity says how far this answer can be pushed; it makes no answer of a refused one.",
    "e_value": {
        "point": 2.08, "limit": 1.41, "risk_ratio": 0.72, "low": 0.63, "high": 0.86,
        "converted": "Risk ratio of the adjusted risks; not converted.",
    },
    "robustness_value": {
        "partial_r2": 0.031, "value": 0.16, "value_at_alpha": 0.11, "estimate": -0.064, "standard_error": 0.0123,
        "dof": 812, "of": "Straight-line regression of the outcome on the treatment with the same adjustment set.",
    },
    "benchmarks": [
        {
            "covariate": "humidity", "times": float(times), "r2_treatment": 0.02 * times, "r2_outcome": 0.03 * times,
            "estimate": -0.06 + 0.01 * times, "standard_error": 0.01, "low": -0.08 + 0.01 * times,
            "high": -0.04 + 0.01 * times, "is_cut": times == 3,
        }
        for times in (1, 2, 3)
    ],
    "tipping_point": {
        "unit": "units",
        "cases": [
            {
                "shift": 0.3, "change": 0.12, "change_to_limit": 0.08, "is_possible": True,
                "sentence": "A cause present in 30% more damp runs that raises defects by 12 points would erase this.",
            }
        ],
    },
    "marginal": [
        {
            "factor": float(factor), "bounds": [-0.05 - 0.01 * factor, -0.07 + 0.02 * factor],
            "low": -0.05 - 0.02 * factor, "high": -0.05 + 0.02 * factor, "holds_zero": factor == 3,
        }
        for factor in (1, 2, 3)
    ],
}  # fmt: skip
REFUTERS = (
    {
        "kind": "placebo_treatment", "what": "mean estimate for a treatment that was dealt out at random",
        "rule": "the size of the number is at most 0.01", "estimate": 0.0012, "draws": 100, "verdict": "pass",
        "note": "A pass is not proof: it says only that this test found nothing.", "spread": [-0.009, 0.001, 0.01],
        "array": "refuter:0", "as_large": 0.0,
    },
    {
        "kind": "negative_control_outcome", "what": "total effect on what the treatment cannot change",
        "rule": "the size of the number is at most 0.01", "estimate": 0.05, "draws": 0, "verdict": "fail",
        "note": "A pass is not proof: it says only that this test found nothing.", "low": 0.03, "high": 0.07,
        "control": "paint batch",
    },
    {
        "kind": "subset", "what": "mean change of the estimate on 80% of the sampling units",
        "rule": "the size of the number is at most 0.01", "estimate": None, "draws": 0, "verdict": "not_applicable",
        "note": "It needs a contrast that can be estimated again from other rows.",
    },
)  # fmt: skip
OVERLAP = {
    "cells": [
        {"group": {"humidity": "dry", "coating": "old"}, "n": 310},
        {"group": {"humidity": "dry", "coating": "new"}, "n": 260},
        {"group": {"humidity": "damp", "coating": "old"}, "n": 12},
        {"group": {"humidity": "damp", "coating": "new"}, "n": 0},
    ],
    "thin": 1,
    "empty": 1,
    "min_cell": 20,
    "effective_n": 512.4,
    "outside_support": 0.03,
}
UNIT = {
    "facts": {"load": 4, "wear": 17},
    "noises": {"load": 1.0, "wear": 0.75},
    "other_world": {"load": 3, "wear": 15.5},
    "round_trip": {"load": 0.0, "wear": 1e-12},
}


def answers() -> dict[str, Answer]:
    """An answer of each kind, by the query's id; the two that failed are made by hand."""
    sampled = {
        "estimator": "plug-in of the observed shares",
        "estimand_latex": LATEX,
        "estimand_text": TEXT,
        "pattern": "backdoor",
        "adjustment_sets": SETS,
        "set_used": ("humidity",),
        "n": 812,
        "n_clusters": 203,
        "overlap": OVERLAP,
        "association": _around("difference", 0.012),
    }
    other = (
        Alternative("{humidity}", _around("total", -0.064)),
        Alternative("{shift}", _around("total", 0.05)),
        Alternative("AIPW {humidity}", _around("total", -0.06)),
    )
    whole = {"n": 812, "n_clusters": 203}
    return {
        "crude": Answer("identified", (exact("difference", 0.0017615415),), estimator="sum over the law"),
        "total": Answer(
            "identified",
            (exact("total", -0.064),),
            estimand_latex=LATEX,
            estimand_text=TEXT,
            pattern="backdoor",
            adjustment_sets=SETS,
            set_used=("humidity",),
            estimator="given tables, truncated factorisation",
            association=exact("difference", 0.0017615415),
            alternatives=(
                Alternative("{humidity}", exact("total", -0.064)),
                Alternative("{shift}", exact("total", -0.064)),
            ),
            assumptions=("No arrow shift -> defect: Shifts work to the same instruction.",),
            next_step="The weakest missing edge is shift -> defect.",
        ),
        "sampled": Answer(
            "identified",
            (_around("total", -0.064),),
            **sampled,
            alternatives=other,
            refuters=REFUTERS,
            sensitivity=SENSITIVITY,
            excluded={"missing humidity": 9},
            warnings=("The sets {humidity} and {shift} differ beyond their joint error.",),
        ),
        "night": Answer("identified", (exact("value", 0.234, "1"),), estimand_text=TEXT, estimand_latex=LATEX),
        "treated": Answer("identified", (analytic("total_among_treated", -0.05, 0.01, 700, 0.05),), **whole),
        "by_shift": Answer(
            "identified",
            (_around("conditional", -0.03, label="shift = day"), _around("conditional", -0.11, label="shift = night")),
            **whole,
        ),
        "held": Answer("identified", (_around("controlled_direct", -0.04),), **whole),
        "split": Answer(
            "identified",
            (
                exact("nde", 0.5),
                exact("total", 2.0),
                exact("nie", 1.5),
                exact("nde_reversed", -0.5),
                exact("nie_reversed", -1.5),
            ),
            details={
                "identities": ["total = nde - nie_reversed", "nde + nie = total"],
                "decomposition": [
                    {
                        "label": "",
                        "identity": "total = nde - nie_reversed",
                        "interaction": 0.0,
                        "interaction_interval": None,
                        "adds_up": True,
                    }
                ],
                "computed_two_ways": True,
                "gap": 2e-16,
                "fits": {},
            },
        ),
        "rest": Answer(
            "identified",
            (exact("nie", 1.5), exact("total", 2.0)),
        ),
        "path": Answer("identified", (exact("path_specific", 1.5),)),
        "unit": Answer(
            "bounded",
            (bounded("value", 0.0, 0.75, 0.05, label="1"),),
            estimator="linear program over response types",
            unit={"facts": {"shift": "night", "humidity": "damp", "coating": "old", "defect": 1}},
            next_step="Assume that the new coating never creates a defect, or give the mechanism as 0/1 rows.",
        ),
        "same_unit": Answer("identified", (exact("value", 15.5),), unit=UNIT),
        "fix": Answer(
            "identified",
            items=(
                {
                    "changes": {"load": {"from": 4, "to": 3}},
                    "cost": 6.0,
                    "reaches": 14.8,
                    "verified": True,
                    "descendants": {"wear": 14.8},
                    "outside_domain": [],
                },
                {
                    "changes": {"load": {"from": 4, "to": 2.5}},
                    "cost": 9.0,
                    "reaches": 14.1,
                    "verified": True,
                    "descendants": {"wear": 14.1},
                    "outside_domain": ["defect"],
                },
            ),
            unit={"facts": {"load": 4, "wear": 17}},
        ),
        "nothing": refused(
            "None found within 200 evaluations.", "Allow more evaluations, or make more variables actionable."
        ),
        "need": Answer(
            "bounded", (_ends("necessity", 0.2, 0.6), _ends("sufficiency", 0.0, 0.3), _ends("both", 0.0, 0.2))
        ),
        "published": Answer(
            "identified", (exact("e_value", 7.263), exact("e_value_limit", 3.0)), details={"how": "risk ratio"}
        ),
        "strict": refused(
            "unmeasured causes bind load and defect",
            "Measure what joins load and defect.",
            hedge=Hedge(("defect", "load"), ("defect",), (("defect", "load"),), ("load",), ("defect",)),
            association=_around("difference", -0.38),
            n=812,
            n_clusters=203,
            details={
                "witness": {
                    "sentence": "Two models agree in all that is seen and give different answers.",
                    "answers": [0.48, 0.59],
                    "gap": 2.8e-15,
                }
            },
        ),
        "bounded": Answer(
            "bounded", (_ends("total", -0.49, -0.14),), association=_around("difference", -0.38), **whole
        ),
        "local": Answer(
            "identified",
            (_around("local", -0.40),),
            pattern="instrument",
            **whole,
            details={
                "first_stage": {"F": 212.0, "effect_on_treatment": 0.65},
                "instrument": "shift",
                "instruments": [{"name": "shift", "given": []}],
                "instrumental_inequality": [
                    {
                        "instrument": "shift",
                        "largest": 0.9,
                        "is_violated": False,
                        "is_violated_beyond_error": False,
                        "p": 1.0,
                    }
                ],
            },
        ),
        "thin": Answer(
            "unsupported",
            reason="no unit is damp with the new coating, and the estimand needs them",
            overlap=OVERLAP,
            next_step="Collect damp runs with the new coating.",
            **whole,
        ),
        "broken_graph": Answer(
            "refuted",
            reason="the data violate the instrumental inequality beyond error",
            next_step="Draw the graph again.",
            **whole,
        ),
        "demoted": Answer("identified", (_around("total", 0.31),), **whole),
        "clumsy": Answer(
            "no_estimator",
            reason="the estimand is neither discrete nor linear nor backdoor",
            next_step="Declare bins for wear.",
            **whole,
        ),
        "crashed": Answer(
            "failed", reason="the two ways of computing differ by more than one part in a billion", **whole
        ),
        "no_path": Answer("identified", (exact("total", 0.0),), reason="By the graph, no directed path leads there."),
    }


def graph_details(spec: AuditSpec, **changes: Any) -> Entry:
    """What the step of the graph keeps."""
    from xai_audit.causal.testing.examine import declared

    assert spec.causal is not None
    tested = {"test": "G-test", "n": 812, "clusters": 203, "min_effect": 0.1}
    statements = [
        {
            "a": "coating",
            "b": "humidity",
            "given": ["shift"],
            "strength": 0.02,
            "low": -0.04,
            "high": 0.08,
            "p": 0.61,
            "p_adjusted": 1.0,
            "power": 0.97,
            "verdict": "supported",
            **tested,
            "sentence": "Once shift is known, coating tells nothing more about humidity.",
        },
        {
            "a": "shift",
            "b": "defect",
            "given": ["coating", "humidity"],
            "strength": 0.21,
            "low": 0.16,
            "high": 0.26,
            "p": 1e-9,
            "p_adjusted": 3e-9,
            "power": 0.99,
            "verdict": "contradicted",
            **tested,
            "sentence": "Once coating and humidity are known, shift tells nothing more about defect.",
        },
        {
            "a": "load",
            "b": "shift",
            "given": [],
            "strength": 0.05,
            "low": -0.09,
            "high": 0.19,
            "p": 0.4,
            "p_adjusted": 1.0,
            "power": 0.31,
            "verdict": "undecided",
            **tested,
            "sentence": "Shift tells nothing about load.",
        },
        {
            "a": "humidity",
            "b": "load",
            "given": [],
            "verdict": "untested",
            "sentence": "Humidity tells nothing about load.",
        },
    ]
    details = {
        **declared(spec.causal),
        "implied": statements,
        "constraints": [
            {
                "kind": "instrumental",
                "sentence": "Of shift as an instrument: no level may be too common.",
                "strength": 0.9,
                "low": 0.8,
                "high": 0.97,
                "p": 0.5,
                "verdict": "supported",
                "n": 812,
                "clusters": 203,
            }
        ],
        "inseparable": [["load", "defect"]],
        "equivalents": {
            "count": 2,
            "listed": [["coating -> shift", "shift -> humidity"]],
            "is_cut": True,
            "changed_queries": ["total"],
        },
        "missing_edges": [
            {
                "edge": "shift -> defect",
                "reason": "Shifts work to the same instruction.",
                "queries": ["total", "sampled"],
            },
            {"edge": "humidity <-> coating", "reason": None, "queries": ["total"]},
        ],
        "roles": [{"variable": "shift", "problem": "a context with an arrow into the treatment"}],
        "negative_controls": [
            {
                "name": "paint batch",
                "strength": 0.002,
                "low": -0.01,
                "high": 0.014,
                "margin": 0.02,
                "verdict": "supported",
            },
            {
                "name": "line colour",
                "strength": 0.06,
                "low": 0.03,
                "high": 0.09,
                "margin": 0.02,
                "verdict": "contradicted",
            },
        ],
        "contradicted": [
            {
                "sentence": "Once coating and humidity are known, shift tells nothing more about defect.",
                "queries": ["demoted"],
            }
        ],
        "dropped": {"humidity": 9},
        "n": 812,
        "clusters": 203,
        "multiplicity": {"tests": 3, "corrected": "holm"},
    }
    return details | changes


MODEL = """version: 1
audit: {id: chest-token, title: Chest images and the token, domain: medical, seed: 1,
  owner: {name: A. Person, role: reading room lead}}
model:
  factory: nets.py:build
  weights: {file: weights/chest.safetensors}
  task: single_label
  classes: [clear, ill]
  input: {size: [48, 48], channels: 1}
data:
  source: {kind: generator, name: radiograph, count: 40, label: disease}
  masks: {token: mask_token, lungs: mask_lungs}
  show: {images: SHOWN}
causal:
  author: {name: R. Ortiz, role: radiologist}
  variables:
    site: {role: context, domain: {levels: [0, 1]}, source: {column: site}}
    token: {role: shortcut, domain: {range: [0, 1]}, unit: grey, source: {operator: set_token}}
    blur: {role: shortcut, domain: {range: [0, 4]}, unit: px, source: {operator: set_blur}}
    disease: {role: cause, domain: {levels: [0, 1]}, source: {column: disease}}
    image: {role: medium}
    score: {role: model_output, source: {model: {class: ill, output: probability}}}
  edges: [site -> token, site -> blur, site -> disease, token -> image, blur -> image, disease -> image, image -> score]
  mechanisms: {image: {kind: operator}, score: {kind: model}, token: {kind: fit, family: linear},
    blur: {kind: fit, family: linear}, disease: {kind: fit, family: table}, site: {kind: fit, family: table}}
  operators:
    set_token: {call: paste_patch, sets: token, range: [0, 1], grade: B, tolerance: 0.02,
      parameters: {mask: token}}
    set_blur: {call: blur, sets: blur, range: [0, 4], grade: C}
  queries:
    - {id: token, ask: ate, do: {token: [0, 1]}, on: score, via: set_token}
    - {id: token_value, ask: interventional, do: {token: 1}, on: score, via: set_token}
    - {id: soft, ask: ate, do: {blur: [0, 4]}, on: score, via: set_blur}
    - {id: liar, ask: ate, do: {token: [0, 0.5]}, on: score, via: set_token}
    - {id: source, ask: ate, do: {site: [0, 1]}, on: score}
    - {id: flip, ask: image_counterfactual, do: {}, on: score, target: {at_most: 0.5}, k: 2}
    - {id: even, ask: counterfactual_fairness, do: {site: [0, 1]}, on: score, tolerance: 0.05}
  severity: [{via: set_blur, levels: [1, 2, 4]}]
criteria: []
"""
OPERATOR = {
    "name": "set_token",
    "grade": "B",
    "sets": ["token"],
    "units": 40,
    "failed": {"undo": 1},
    "most_failed": 0.05,
    "measured_again": ["site", "token"],
    "not_measured_again": ["disease"],
    "effectiveness": [
        {
            "variable": "token",
            "asked": 0,
            "n": 0,
            "reached": None,
            "sd": None,
            "within": None,
            "worst": None,
            "tolerance": 0.02,
        },
        {
            "variable": "token",
            "asked": 1,
            "n": 40,
            "reached": 0.998,
            "sd": 0.004,
            "within": 0.99,
            "worst": 0.03,
            "tolerance": 0.02,
        },
    ],
    "modularity": [
        {"variable": "site", "moved": 0.0, "tolerance": 0.02, "ok": True},
        {"variable": "blur", "moved": 0.3, "tolerance": 0.05, "ok": False},
    ],
    "composition": {"n": 0, "mean": None, "most": None, "limit": 0.00392, "units": 0},
    "reversibility": {"n": 40, "mean": 0.002, "most": 0.01, "limit": 0.00392, "units": 1},
    "clipped": 0.002,
    "excluded": 1,
    "setting_only": [],
    "placebo": {
        "placebo": {"name": "placebo", "label": "", "estimate": 0.004, "low": -0.003, "high": 0.011},
        "beyond_placebo": {"name": "beyond_placebo", "label": "", "estimate": 0.29, "low": 0.25, "high": 0.33},
        "units": 36,
        "without_place": 4,
    },
    "off_manifold": {
        "embedding": "image statistics: the grey of 8 x 8 fields, mean and spread of each channel, and the spread of "
        "differences between neighbouring pixels; each divided by its standard deviation over the slice",
        "quantile": 0.99,
        "limit": 11.78,
        "median_of_slice": 6.44,
        "median_of_changed": 6.48,
        "share_off": 0.05,
    },
    "by_slice": [
        {
            "name": "total",
            "label": "all",
            "standing": "draws",
            "estimate": 0.31,
            "low": 0.27,
            "high": 0.35,
            "bounds": None,
            "confidence": 0.95,
        },
    ],
}


def model_answers(rng: np.random.Generator, shows: bool) -> dict[str, Answer]:
    """Answers about the audited model's score, by the query's id."""
    before = (rng.random((3, SIDE, SIDE, 1)) * 90 + 40).astype(np.uint8)
    after = before.copy()
    after[:, 3:9, 3:9] = 255
    rules = ("random", "worst", "typical")
    shown = [
        {"case": f"unit-{at}", "rule": rule, "before": 0.2 + at / 10, "after": 0.6} for at, rule in enumerate(rules)
    ]
    pictures = {"pictures:before": before, "pictures:after": after} if shows else {}
    whole = {"n": 40, "n_clusters": 40}
    moved = {"operator": OPERATOR, "shown": shown}
    return {
        "token": Answer(
            "identified",
            (_around("total", 0.31),),
            **whole,
            details=moved,
            arrays=pictures,
            warnings=("Other children of site reach the image: blur.",),
            excluded={"not effective": 1},
        ),
        "token_value": Answer("identified", (_around("value", 0.62),), **whole, details={"operator": OPERATOR}),
        "soft": Answer(
            "identified",
            (_around("total", -0.001),),
            **whole,
            details={"operator": {**OPERATOR, "name": "set_blur", "grade": "C", "modularity": []}},
        ),
        "liar": refused(
            "the operator set_token failed its contract in 12 of 40 units",
            "Mend the operator.",
            **whole,
            details={"operator": {**OPERATOR, "excluded": 12, "failed": {"effectiveness": 12}}},
        ),
        "source": Answer(
            "identified",
            (_around("total", 0.4), _around("through_pixels", 0.33), _around("path:site -> token -> image", 0.3)),
            **whole,
            details={
                "mixed": {
                    "held": ["disease"],
                    "covered": ["site -> token -> image"],
                    "missing": [{"path": "site -> blur -> image", "reason": "no operator sets blur"}],
                    "total_by": {"identification": 0.41, "operators": 0.4},
                    "disagree": False,
                }
            },
        ),
        "flip": Answer(
            "identified",
            (_around("share_changed", 0.5),),
            items=(
                {
                    "case": "unit-0",
                    "start": 0.9,
                    "tried": 20,
                    "is_cut": False,
                    "failed_operators": 0,
                    "found": [
                        {"setting": {"token": 0.2}, "cost": 0.8, "value": 0.41, "verified": True},
                        {"setting": {"blur": 3}, "cost": 0.75, "value": 0.49, "verified": False},
                    ],
                    "attack": {"norm": 0.8, "value": 0.2, "reaches": True},
                    "patchwork": None,
                },
                {
                    "case": "unit-1",
                    "start": 0.8,
                    "tried": 40,
                    "is_cut": True,
                    "failed_operators": 3,
                    "found": [],
                    "attack": None,
                    "patchwork": {"other": "unit-9", "cells": 4, "value": 0.3, "reaches": True},
                },
            ),
            details={"shown": [{"case": "unit-0", "setting": {"token": 0.2}}]},
            arrays=pictures,
            **whole,
        ),
        "even": Answer("identified", (_around("mean_change", 0.02), _around("largest_change", 0.11)), **whole),
    }


def severity_details() -> Entry:
    """What an operator does at rising strength."""

    def curve(start: float, fall: float) -> list[Entry]:
        return [
            {
                "level": level,
                "estimate": start - fall * level,
                "low": start - fall * level - 0.03,
                "high": start - fall * level + 0.03,
            }
            for level in (0.0, 1.0, 2.0, 4.0)
        ]

    return {
        "via": "set_blur",
        "sets": "blur",
        "levels": [1.0, 2.0, 4.0],
        "slices": [
            {
                "name": name,
                "n": n,
                "accuracy": curve(0.95 - at / 20, 0.05),
                "score": curve(0.8, 0.02),
                "explanation": {"grad_cam": curve(1.0, 0.1)},
            }
            for at, (name, n) in enumerate((("all", 40), ("old", 17)))
        ],
    }


def beside_details() -> Entry:
    """Where methods look, beside what changes the score."""
    regions = [
        ("token", False, 0.31, 0.004, "shortcut", 0.45),
        ("lungs", True, 0.22, 0.01, "agrees", 0.3),
        ("border", False, 0.001, 0.002, "misleading", 0.4),
        ("device", True, 0.03, 0.01, "undecided", 0.1),
        ("rib", True, 0.1, 0.01, "missed", 0.01),
        ("sky", False, 0.0, 0.01, "quiet", 0.01),
    ]
    return {
        "n": 40,
        "clusters": 40,
        "margin": 0.02,
        "left_out": {"occlusion": "its maps failed"},
        "regions": [
            {
                "mask": mask,
                "declared": declared,
                "verdict": verdict,
                "share": {
                    method: {"estimate": share * at, "low": share * at - 0.05, "high": share * at + 0.05}
                    for method, at in (("grad_cam", 1.0), ("saliency", 0.7))
                },
                "change": {"estimate": effect, "low": effect - 0.02, "high": effect + 0.02},
                "placebo": {"estimate": placebo, "low": placebo - 0.01, "high": placebo + 0.01},
                "beyond": {
                    "estimate": effect - placebo,
                    "low": effect - placebo - 0.03,
                    "high": effect - placebo + 0.03,
                },
                "above_area": {},
                "looking": ["grad_cam"],
                "variable": mask,
                "role": "shortcut",
                "by": "operator",
                "n": 40,
                "area": 0.05,
            }
            for mask, declared, effect, placebo, verdict, share in regions
        ],
        "explainers": [
            {"method": "grad_cam", "score": 0.61, "low": 0.5, "high": 0.7, "pairs": 6},
            {"method": "saliency", "score": 0.33, "low": 0.2, "high": 0.45, "pairs": 6},
        ],
    }


class CausalMaker:
    """Makes the records of a causal run through the code that a real run makes them with."""

    def __init__(self, spec: AuditSpec, details: Entry) -> None:
        self.spec, self.records = spec, []
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        step = make_step(spec.audit.seed, "causal_graph", "causal_graph", parameters={})
        self.graph = self._add(Evidence(step.id, "causal_graph", "causal_graph", None, "measured", details=details))

    def _add(self, record: Evidence, arrays: Mapping[str, np.ndarray] | None = None) -> Evidence:
        references = tuple(ArrayRef(key, str(each.dtype), each.shape) for key, each in sorted((arrays or {}).items()))
        self.records.append(replace(record, arrays=references))
        self.arrays[record.id] = dict(arrays or {})
        return record

    def queries(self, found: Mapping[str, Answer]) -> None:
        """One record a query of the spec; a query without an answer has failed."""
        causal = self.spec.causal
        assert causal is not None
        for query in causal.queries:
            asked = Asked(causal, query, graph_of(causal), whole_graph(causal), None, self.spec.audit.seed, {})
            step = make_step(
                self.spec.audit.seed, "causal_query", query.id, slice=query.slice, parents=(self.graph.id,)
            )
            if query.id not in found:
                failure = Failure("DataError", "humidity: found 3 texts; expected numbers. Correct the column.")
                self._add(Evidence(step.id, "causal_query", query.id, query.slice, "failed", failure=failure))
                continue
            provenance = Provenance(scope_of(causal, query), 40, hashlib.sha256(b"all").hexdigest())
            passes = Passes(80 if provenance.scope == "model" else 0)
            made = answer_result(step, asked, found[query.id], self.graph, passes, provenance)
            self._add(made.record, made.arrays)

    def beside(self) -> None:
        """Severity and attribution beside cause."""
        seed = self.spec.audit.seed
        for kind, subject, details in (
            ("severity", "set_blur", severity_details()),
            ("cause_beside_attribution", "cause_beside_attribution", beside_details()),
        ):
            step = make_step(seed, kind, subject, parents=(self.graph.id,))  # type: ignore[arg-type]
            self._add(Evidence(step.id, kind, subject, None, "measured", details=details))  # type: ignore[arg-type]


def world_spec(queries: Sequence[str] = tuple(QUERIES), criteria: str = CRITERIA, text: str = WORLD) -> bytes:
    """The spec of the run without a model."""
    listed = "".join(f"    - {{id: {name}, {QUERIES[name]}}}\n" for name in queries)
    return text.replace("QUERIES", listed).replace("CRITERIA", criteria or "  []\n").encode()


def make_world_run(
    folder: Path, found: Mapping[str, Answer] | None = None, criteria: str = CRITERIA, **changes: Any
) -> Made:
    """A table without a model: every outcome, a graph that the data contradict in one place."""
    text = world_spec(criteria=criteria)
    spec = load_text(text, folder / "audit.yaml").spec
    maker = CausalMaker(spec, graph_details(spec, **changes))
    maker.queries(answers() if found is None else found)
    return write_run(folder, text, spec, maker)


def make_model_run(folder: Path, shows: bool = True, **changes: Any) -> Made:
    """A model whose score is moved by operators: before and after, curves, attribution beside cause."""
    text = MODEL.replace("SHOWN", str(shows).lower()).encode()
    spec = load_text(text, folder / "audit.yaml").spec
    clean: Entry = {
        "implied": [],
        "constraints": [],
        "inseparable": [],
        "missing_edges": [],
        "roles": [],
        "negative_controls": [],
        "contradicted": [],
        "dropped": {},
        "equivalents": {"count": 0, "listed": [], "is_cut": False, "changed_queries": []},
    }
    maker = CausalMaker(spec, graph_details(spec, **(clean | changes)))
    maker.queries(model_answers(np.random.default_rng(3), shows))
    maker.beside()
    return write_run(folder, text, spec, maker)


def manifest_of(spec: AuditSpec, text: bytes) -> Entry:
    """A manifest with fixed times; without a model it has no digest of one."""
    model: Entry = {
        "digest": None,
        "kind": "none",
        "file": None,
        "architecture": None,
        "parameters": None,
        "factory": None,
    }
    if spec.model is not None:
        model = {
            "digest": hashlib.sha256(b"w").hexdigest(),
            "kind": "file",
            "file": "weights/chest.safetensors",
            "architecture": "ChestNet",
            "parameters": 18432,
            "factory": "nets.py:build",
        }
    return {
        "format": 1,
        "run": "3f9c1a7be204",
        "audit": spec.audit.id,
        "package": {"name": "xai-audit", "version": "0.1.0"},
        "spec": {
            "file": "audit.yaml",
            "sha256": hashlib.sha256(text).hexdigest(),
            "normalised_sha256": hashlib.sha256(b"n").hexdigest(),
        },
        "model": model,
        "data": {"slices": {"all": {"cases": 0, "digest": hashlib.sha256(b"all").hexdigest()}}},
        "seed": 1,
        "versions": {"python": "3.11.2", "numpy": "2.4.6"},
        "git": None,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "started": "2026-03-09T08:12:04Z",
        "ended": "2026-03-09T08:15:51Z",
        "parent": None,
    }


def write_run(folder: Path, text: bytes, spec: AuditSpec, maker: CausalMaker) -> Made:
    """Write the run folder, sealed and judged."""
    files = {
        "audit.yaml": text,
        "audit.normalised.json": b"{}\n",
        "evidence.jsonl": evidence_bytes(maker.records),
        "rows.parquet": rows_bytes([]),
    }
    files |= {f"arrays/{step}.safetensors": _array_bytes(arrays) for step, arrays in maker.arrays.items() if arrays}
    for name, data in files.items():
        write_atomically(folder / name, data)
    seal(folder, manifest_of(spec, text), files)
    run = read_run(folder)
    found = judge(spec, run.records, run.arrays, datetime.date(2026, 3, 9))
    write_atomically(folder / "findings.json", findings_text(found).encode())
    return Made(folder, run, spec, found)

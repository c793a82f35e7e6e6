"""Criteria on checks of explanations: which record they mean, and that a control never stands for a method."""

import numpy as np
from evidence_made import TODAY, broken, drawn, record, spec_with

from xai_audit.verdict import judge
from xai_audit.verdict.lookup import Found, Missing, look_up

DRAWS = np.random.default_rng(0).normal(0.3, 0.01, 2000)
CONTROLS = ("control:random", "control:sobel", "control:centre")


def checked(method, further=0.0, **other):
    value = drawn(DRAWS + further, name="deletion")
    return record(value, kind="quality", subject="deletion", method=method, id=f"deletion-{method}", **other)


def criterion(**more):
    return spec_with({"measure": "deletion", "at_most": 0.5, **more}).criteria[0]


def test_without_a_method_the_only_method_is_meant_and_no_control():
    found = look_up(criterion(), [checked("shap"), *(checked(name, 0.6) for name in CONTROLS)])
    assert isinstance(found, Found) and found.record.method == "shap"


def test_a_control_is_meant_where_it_is_named():
    found = look_up(criterion(method="control:sobel"), [checked("shap"), *(checked(name, 0.6) for name in CONTROLS)])
    assert isinstance(found, Found) and found.record.method == "control:sobel"


def test_controls_alone_are_no_evidence():
    found = look_up(criterion(), [checked(name) for name in CONTROLS])
    assert isinstance(found, Missing) and (found.verdict, found.reason) == ("not_run", "no_evidence")


def test_a_check_whose_explanation_failed_is_an_error():
    explanation = broken("failed", kind="explanation", subject="shap", id="map", slice=None)
    probe = broken("not_applicable", kind="probe", subject="deletion", method="shap", id="probe", parents=("map",))
    quality = broken("not_applicable", kind="quality", subject="deletion", method="shap", id="q", parents=("probe",))
    found = look_up(criterion(method="shap"), [explanation, probe, quality])
    assert isinstance(found, Missing) and (found.verdict, found.reason) == ("error", "step_failed")


def test_a_limit_is_judged_on_the_upper_end_of_the_interval():
    for limit, verdict in ((0.4, "pass"), (0.31, "inconclusive"), (0.25, "fail")):
        spec = spec_with({"measure": "deletion", "method": "shap", "at_most": limit})
        made = judge(spec, [checked("shap")], lambda step: {"draws": DRAWS}, TODAY)
        assert next(f for f in made if f.kind == "criterion").verdict == verdict

from __future__ import annotations

from typing import Any

import nets
import pytest
import torch

from xai_audit.errors import Refusal, StepError
from xai_audit.model.targets import Target, freeze
from xai_audit.spec.schema import TargetSpec

Z = torch.tensor([[1.0, 3.0, -1.0], [0.5, 0.0, 0.25]], dtype=torch.float64)


def target(spec: dict[str, Any], scores: torch.Tensor = Z, task: str = "single_label") -> Target:
    return freeze(TargetSpec(**spec), nets.audit(nets.GapNet(), task=task, width=scores.shape[1]), scores)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, [3.0, 0.5]),
        ({"class": "class2"}, [-1.0, 0.25]),
        ({"class": 0}, [1.0, 0.5]),
        ({"kind": "prob"}, [Z.softmax(1)[0, 1], Z.softmax(1)[1, 0]]),
        ({"kind": "logprob", "class": 2}, [Z.log_softmax(1)[0, 2], Z.log_softmax(1)[1, 2]]),
        ({"kind": "margin"}, [2.0, 0.25]),
        ({"kind": "margin", "class": "class2"}, [-4.0, -0.25]),
        ({"kind": "margin", "class": 0, "foil": "class2"}, [2.0, 0.25]),
    ],
)
def test_single_label(spec: dict[str, Any], wanted: list[float]) -> None:
    torch.testing.assert_close(target(spec).value(Z), torch.tensor(wanted, dtype=torch.float64), atol=1e-10, rtol=0)


def test_the_class_is_frozen_on_the_unperturbed_scores() -> None:
    frozen = target({})
    assert frozen.names == ("class1", "class0")
    assert frozen.value(Z.flip(1)).tolist() == [3.0, 0.25]
    assert frozen.of_case(0, 2).value(Z).tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, [2.0, 1.0]),
        ({"class": "positive"}, [2.0, -1.0]),
        ({"class": "negative"}, [-2.0, 1.0]),
        ({"kind": "prob", "class": 1}, [torch.tensor(2.0).sigmoid(), torch.tensor(-1.0).sigmoid()]),
        ({"kind": "prob", "class": 0}, [torch.tensor(-2.0).sigmoid(), torch.tensor(1.0).sigmoid()]),
        ({"kind": "logprob"}, [torch.tensor(2.0).sigmoid().log(), torch.tensor(1.0).sigmoid().log()]),
        ({"kind": "margin", "class": 1, "foil": 0}, [2.0, -1.0]),
    ],
)
def test_binary_signs(spec: dict[str, Any], wanted: list[float]) -> None:
    scores = torch.tensor([[2.0], [-1.0]])
    torch.testing.assert_close(target(spec, scores, "binary_logit").value(scores), torch.tensor(wanted))


def test_multi_label() -> None:
    assert target({"class": "class2"}, task="multi_label").value(Z).tolist() == [-1.0, 0.25]
    torch.testing.assert_close(
        target({"kind": "prob"}, task="multi_label").value(Z), torch.tensor([3.0, 0.5]).sigmoid().double()
    )


def test_regression() -> None:
    assert target({}, task="regression").value(Z).tolist() == [1.0, 0.5]
    assert target({"kind": "regression", "output": "output1"}, task="regression").value(Z).tolist() == [3.0, 0.0]
    spec = {"kind": "regression", "output": 1, "reference": 2.0}
    assert target(spec, task="regression").value(Z).tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("spec", "task", "told"),
    [
        ({"class": 3}, "single_label", "index 3; expected 0 to 2"),
        ({"class": -1}, "single_label", "index -1"),
        ({"class": "clas2"}, "single_label", "Did you mean 'class2'"),
        ({"kind": "regression"}, "single_label", "logit, prob, logprob or margin"),
        ({"kind": "margin"}, "multi_label", "Labels do not compete"),
        ({"kind": "margin", "class": 0, "foil": 0}, "single_label", "target.foil"),
        ({"kind": "margin", "foil": 1}, "single_label", "predicted class of 1 cases"),
        ({"kind": "prob"}, "regression", "kind regression"),
        ({"class": "class0"}, "regression", "kind regression"),
        ({"kind": "regression", "output": "no"}, "regression", "one of: output0, output1, output2"),
    ],
)
def test_refusals(spec: dict[str, Any], task: str, told: str) -> None:
    with pytest.raises(Refusal, match=told):
        target(spec, task=task)


def test_one_target_for_each_case() -> None:
    with pytest.raises(StepError, match="3 rows of scores; expected 2"):
        target({}).value(torch.zeros(3, 3))

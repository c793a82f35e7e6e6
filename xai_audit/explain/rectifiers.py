"""Backward passes that treat rectifiers in another way, without a change to any module (METHODS 3, guided_backprop)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.rectifier_calls import argument, is_zero, rectifier_call
from xai_audit.registry import Rule
from xai_audit.spec.methods import Method


@dataclass(eq=False)
class Rectifiers:
    """The rectifiers of one forward: what rule their backward follows, and how many there were."""

    rule: Rule = "plain"
    """Set it before each backward."""
    rewritten: int = 0
    """Calls that were given the rule's backward."""


def signal(rule: Rule, R: Tensor, a: Tensor, open_: Tensor | None) -> Tensor:
    """What a rectifier hands back of an incoming signal R; a is its output.

    Ordinary gradient: 1[a > 0] R, for a clamp 1[open] R. Guided: 1[a > 0] 1[R > 0] R (Springenberg et al. 2015, section
    3.4). Deconvnet: 1[R > 0] R (Zeiler and Fergus 2014, section 2.1).
    """
    if rule == "deconvnet":
        return R.clamp(min=0)
    if rule == "guided":
        return torch.ops.aten.threshold_backward(R.clamp(min=0), a, 0)  # type: ignore[no-any-return]
    if open_ is not None:
        return torch.where(open_, R, 0)
    return torch.ops.aten.threshold_backward(R, a, 0)  # type: ignore[no-any-return]


class _Rectifier(torch.autograd.Function):
    """max(x, 0) in place or not; its backward follows the rule that holds when it runs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, is_in_place: bool, is_clamp: bool, rectifiers: Rectifiers) -> Tensor:
        open_ = [x >= 0] if is_clamp else []
        a = x.relu_() if is_in_place else x.relu()
        if is_in_place:
            ctx.mark_dirty(x)
        ctx.save_for_backward(a, *open_)
        ctx.rectifiers = rectifiers
        return a

    @staticmethod
    def backward(ctx: Any, R: Tensor) -> tuple[Tensor, None, None, None]:
        a, *open_ = ctx.saved_tensors
        return signal(ctx.rectifiers.rule, R, a, open_[0] if open_ else None), None, None, None


class _Rewriting(TorchFunctionMode):
    """Every rectifier that torch's functions reach, in whatever form, goes through `_Rectifier`."""

    def __init__(self, rectifiers: Rectifiers) -> None:
        super().__init__()
        self.rectifiers = rectifiers

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        call = rectifier_call(func, args, kwargs or {})
        if call is None:
            return func(*args, **(kwargs or {}))
        self.rectifiers.rewritten += 1
        return _Rectifier.apply(call.x, call.is_in_place, call.is_clamp, self.rectifiers)


@contextmanager
def rectified(rule: Rule = "plain", rectifiers: Rectifiers | None = None) -> Iterator[Rectifiers]:
    """Forwards inside get a backward that follows `Rectifiers.rule`; no module is touched, in place stays in place.

    `rectifiers`: those of a forward that goes on.
    """
    rectifiers = rectifiers or Rectifiers(rule)
    with _Rewriting(rectifiers):
        yield rectifiers


_OTHER_ACTIVATIONS = {
    "silu": "SiLU", "gelu": "GELU", "leaky_relu": "LeakyReLU", "elu": "ELU", "selu": "SELU", "celu": "CELU",
    "hardswish": "Hardswish", "hardtanh": "Hardtanh", "relu6": "ReLU6", "softplus": "Softplus", "mish": "Mish",
    "prelu": "PReLU", "prelu_kernel": "PReLU", "rrelu": "RReLU", "rrelu_with_noise": "RReLU",
    "hardshrink": "Hardshrink", "softshrink": "Softshrink", "log_sigmoid_forward": "LogSigmoid", "erf": "GELU (erf)",
}  # fmt: skip
"""Activations whose backward has no guided form, by the name of the operation that torch runs."""


@dataclass(eq=False)
class _Executed:
    """What ran below torch's functions."""

    rectifiers: int = 0
    others: dict[str, int] = field(default_factory=dict)
    """Activations without a guided form, by name."""
    gates: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Each sigmoid's output with its input, by identity: x * sigmoid(x) is SiLU."""

    def note(self, name: str, arguments: Sequence[Any], named: dict[str, Any], output: object) -> None:
        """Count one operation."""
        other = _other_activation(name, arguments, named)
        if name == "mul" and self._is_gated_by_itself(arguments):
            other = "SiLU (x * sigmoid(x))"
        if other is not None:
            self.others[other] = self.others.get(other, 0) + 1
        elif _is_rectifier(name, arguments, named):
            self.rectifiers += 1
        if name in ("sigmoid", "hardsigmoid") and isinstance(output, Tensor):
            self.gates[id(output)] = (output, arguments[0])

    def _is_gated_by_itself(self, arguments: Sequence[Any]) -> bool:
        x, gate = arguments[:2]
        return any(self.gates.get(id(b), (None, None))[1] is a for a, b in ((x, gate), (gate, x)))


def _other_activation(name: str, arguments: Sequence[Any], named: dict[str, Any]) -> str | None:
    low, high = argument(arguments, named, 1, "min"), argument(arguments, named, 2, "max")
    is_relu6 = name in ("clamp", "hardtanh") and is_zero(low) and high == 6
    return "ReLU6" if is_relu6 else _OTHER_ACTIVATIONS.get(name)


def _is_rectifier(name: str, arguments: Sequence[Any], named: dict[str, Any]) -> bool:
    if name == "relu":
        return True
    if name in ("clamp", "clamp_min"):
        return is_zero(argument(arguments, named, 1, "min")) and argument(arguments, named, 2, "max") is None
    if name == "threshold":
        return is_zero(arguments[1]) and is_zero(arguments[2])
    return name == "maximum" and any(is_zero(side) for side in arguments[:2])


class _Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation that torch really runs, also inside fused and scripted code."""

    def __init__(self, executed: _Executed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.executed = executed

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name.partition("::")[2].strip("_")
        output = func(*args, **(kwargs or {}))
        self.executed.note(name, args, kwargs or {}, output)
        return output


def rectifier_refusals(model: AuditedModel, methods: Sequence[Method]) -> dict[str, Refusal]:
    """Why guided_backprop and deconvnet are undefined for a model, by method label; empty where they are defined.

    Makes one forward of one grey image, which is not counted. Raises ModelError where the network fails.
    """
    labelled = [method for method in methods if registry.method(method.use).rule != "plain"]
    if not labelled:
        return {}
    told = _why_undefined(model)
    if told is None:
        return {}
    found, fix = told
    return {
        method.label: Refusal(f"methods.{method.label}", found, f"ReLUs that {method.use} can follow", fix)
        for method in labelled
    }


_FIX = "Use integrated_gradients, saliency or occlusion."


def _why_undefined(model: AuditedModel) -> tuple[str, str] | None:
    """What was found and what to do, or None where every activation is a ReLU that the rule reaches."""
    if model.is_compiled:
        return "a compiled module, whose rectifiers cannot be reached", "Pass the original module."
    executed, rewritten = _dry_forward(model)
    if executed.others:
        names = ", ".join(f"{name} ({count})" for name, count in executed.others.items())
        return f"activations other than ReLU: {names}; the method is undefined for them", _FIX
    if executed.rectifiers == 0:
        return "no ReLU executed: the method is undefined here", _FIX
    if executed.rectifiers != rewritten:
        found = f"{executed.rectifiers} rectifiers executed, of which {rewritten} can be reached"
        return found, f"Some are fused, scripted or written by hand: pass the original module. {_FIX}"
    return None


def _dry_forward(model: AuditedModel) -> tuple[_Executed, int]:
    """What ran for one grey image, under the conditions of a real pass, and how many rectifiers were rewritten."""
    executed = _Executed()
    grey = torch.full((1, model.input.channels, *model.input.size), 0.5, device=model.device, requires_grad=True)
    with left_as_found(model.module), torch.enable_grad(), rectified() as rectifiers, _Watching(executed):
        model.forward(grey)
    return executed, rectifiers.rewritten

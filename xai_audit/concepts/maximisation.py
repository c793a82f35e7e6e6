"""Pictures made from noise that raise a unit, a direction or a class as far as they go (METHODS 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.concepts.before_relu import Reading
from xai_audit.concepts.goals import Goal, Objective
from xai_audit.concepts.pictures import Fourier, Maco, Pixel, Writing, painted
from xai_audit.concepts.transforms import Changes
from xai_audit.concepts.unseen import UNSEEN
from xai_audit.errors import StepError
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import derived_seed
from xai_audit.model.audited import AuditedModel, is_out_of_memory
from xai_audit.model.guard import left_as_found
from xai_audit.model.targets import no_gradient
from xai_audit.spec.methods import ActivationMaximisation

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's, as published (Kingma and Ba 2015)."""
Count = Callable[[Passes], None]
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Maximised:
    """One finished picture."""

    goal: Goal
    pixels: npt.NDArray[np.float32]
    """(channels, height, width) in [0, 1]."""
    objective: float
    """What the finished picture shows, unchanged."""
    curve: npt.NDArray[np.float64]
    """(steps,): what it showed before each step, under that step's changes."""
    transformed: npt.NDArray[np.float64]
    """(UNSEEN,): what it shows under changes that it was not made under."""
    is_moved: bool
    """Whether any step had a gradient."""

    @property
    def share_kept(self) -> float | None:
        """Share of the rise over the start that is left under unseen changes, on average; None without a rise."""
        rise = self.objective - float(self.curve[0])
        return (float(self.transformed.mean()) - float(self.curve[0])) / rise if rise > 0 else None


def maximise(
    model: AuditedModel,
    goals: Sequence[Goal],
    settings: ActivationMaximisation,
    reading: Reading | None = None,
    *,
    seed: int,
    magnitude: Tensor | None = None,
    rows: int = 1,
    count: Count = lambda passes: None,
) -> list[Maximised]:
    """A picture for each goal, in order: `steps` forwards and backwards each, and 1 + 16 forwards when it is done.

    A picture has random streams of its own, so that it does not hang on those beside it; with `rows` 1 neither do the
    last bits of what the net computes. `reading`: of the layer, where a goal is in one. `magnitude`: of Maco, where
    `settings` wants it. `count` hears of passes made. Lack of memory halves the pictures of a pass. Raises StepError
    for a value that is not finite, Refusal where the net has no gradient, ModelError where the net changed.
    """
    objective = Objective(model, reading, settings.neuron)
    writing, changes = writing_of(settings, model, magnitude), Changes.of(model.input.size, settings.transforms)
    made: dict[int, Maximised] = {}
    with left_as_found(model.module):
        for is_class in (False, True):
            places = [place for place, goal in enumerate(goals) if goal.is_class == is_class]
            for start in range(0, len(places), rows):
                some = places[start : start + rows]
                work = _Work(objective, [goals[place] for place in some], settings, writing, changes, seed, count)
                made |= zip(some, work.finished(), strict=True)
    return [made[place] for place in range(len(goals))]


def writing_of(settings: ActivationMaximisation, model: AuditedModel, magnitude: Tensor | None = None) -> Writing:
    """How a method writes pictures of the model's input."""
    shape = (model.input.channels, *model.input.size)
    if settings.parametrisation == "pixel":
        return Pixel(shape)
    if settings.parametrisation == "fourier":
        return Fourier(shape, settings.decay)
    assert magnitude is not None
    return Maco(shape, magnitude)


@dataclass(eq=False)
class _Adam:
    """Kingma and Ba 2015, algorithm 1: each number for itself."""

    rate: float
    step: int = 0
    m: Tensor | None = None
    v: Tensor | None = None

    def moved(self, numbers: Tensor, g: Tensor) -> Tensor:
        """The numbers after a step against their gradient g."""
        self.step += 1
        m = torch.zeros_like(g) if self.m is None else self.m
        v = torch.zeros_like(g) if self.v is None else self.v
        self.m, self.v = BETA_1 * m + (1 - BETA_1) * g, BETA_2 * v + (1 - BETA_2) * g * g
        m_hat, v_hat = self.m / (1 - BETA_1**self.step), self.v / (1 - BETA_2**self.step)
        return numbers - self.rate * m_hat / (v_hat.sqrt() + EPSILON)


@dataclass(eq=False)
class _Work:
    """Pictures that are made side by side."""

    objective: Objective
    goals: Sequence[Goal]
    settings: ActivationMaximisation
    writing: Writing
    changes: Changes
    seed: int
    count: Count
    width: int = field(init=False)
    """Pictures of one pass."""

    def __post_init__(self) -> None:
        self.width = len(self.goals)

    def finished(self) -> list[Maximised]:
        """All of them."""
        steps, model = self.settings.steps, self.objective.model
        dtype = torch.float64 if model.dtype == torch.float64 else torch.float32
        numbers = torch.stack([self.writing.start(self._stream(goal, "start")) for goal in self.goals])
        numbers = numbers.to(model.device, dtype)
        maps = self._maps(self.changes, steps, "changes")
        adam, curve, is_moved = _Adam(self.settings.learning_rate), [], torch.zeros(len(numbers), dtype=torch.bool)
        for step in range(steps):
            g, values = self._gradient(numbers, maps[:, step], f"step {step + 1}")
            curve.append(values)
            is_moved |= (g != 0).flatten(1).any(1).cpu()
            numbers = adam.moved(numbers, g)
        return self._tried(numbers, torch.stack(curve, 1).numpy(), is_moved)

    def _stream(self, goal: Goal, use: str) -> torch.Generator:
        name = f"{self.settings.label}:{goal.name}:{use}"
        return torch.Generator().manual_seed(derived_seed(self.seed, name))

    def _maps(self, changes: Changes, count: int, use: str) -> Tensor:
        """Each picture's own sets of changes, (pictures, count, 2, 3)."""
        model, streams = self.objective.model, [self._stream(goal, use) for goal in self.goals]
        maps = [changes.drawn(count, stream).maps(model.input.size) for stream in streams]
        return torch.stack(maps).to(model.device)

    def _gradient(self, numbers: Tensor, maps: Tensor, when: str) -> tuple[Tensor, Tensor]:
        """Gradient of each picture's loss at its numbers, and what each shows, in float64 on the CPU."""
        parts = self._parts(len(numbers), lambda part: self._backward(numbers, maps, part))
        gradients, shown = zip(*parts, strict=True)
        return torch.cat(gradients), self._checked(torch.cat(shown), when)

    def _backward(self, numbers: Tensor, maps: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = numbers[part].detach().clone().requires_grad_()
            u = self.writing.unpainted(z)
            x = painted(u, self.writing.colours)
            y = self.objective.of_each(self.changes.apply(x, maps[part]), self.goals[part])
            if not y.requires_grad:
                raise no_gradient()
            loss = (self._penalty(u) - y).sum()
            (g,) = torch.autograd.grad(loss, [z], allow_unused=True, materialize_grads=True)
        self.count(Passes(len(z), len(z)))
        return g, y.detach()

    def _penalty(self, u: Tensor) -> Tensor:
        """l2 mean u^2 + tv (mean |dx| + mean |dy|), one a picture."""
        penalty = u.new_zeros(len(u))
        if self.settings.l2:
            penalty = penalty + self.settings.l2 * (u**2).mean((1, 2, 3))
        if self.settings.tv:
            dx, dy = u.diff(dim=3).abs(), u.diff(dim=2).abs()
            penalty = penalty + self.settings.tv * (dx.mean((1, 2, 3)) + dy.mean((1, 2, 3)))
        return penalty

    @torch.no_grad()
    def _tried(self, numbers: Tensor, curve: npt.NDArray[np.float64], is_moved: Tensor) -> list[Maximised]:
        """The finished pictures, as they are and under changes that they have not seen."""
        every = Changes.of(self.objective.model.input.size)
        maps = self._maps(every, UNSEEN, "unseen")
        x = painted(self.writing.unpainted(numbers), self.writing.colours)
        shown = self._shown(x, "finished")
        tried = [self._shown(every.apply(x, maps[:, t]), "finished and changed") for t in range(UNSEEN)]
        transformed, pixels = torch.stack(tried, 1).numpy(), x.float().cpu().numpy()
        return [
            Maximised(goal, pixels[i], float(shown[i]), curve[i], transformed[i], bool(is_moved[i]))
            for i, goal in enumerate(self.goals)
        ]

    def _shown(self, x: Tensor, when: str) -> Tensor:
        def run(part: slice) -> Tensor:
            y = self.objective.of_each(x[part], self.goals[part])
            self.count(Passes(len(y)))
            return y

        return self._checked(torch.cat(self._parts(len(x), run)), when)

    def _checked(self, values: Tensor, when: str) -> Tensor:
        values = values.double().cpu()
        for goal, is_finite in zip(self.goals, values.isfinite().tolist(), strict=True):
            if not is_finite:
                where, fix = f"methods.{self.settings.label}", "Lower `learning_rate`, or name another layer."
                raise StepError(where, f"a value that is not finite: {goal.name}, {when}", "a finite objective", fix)
        return values

    def _parts(self, count: int, run: Callable[[slice], Made]) -> list[Made]:
        """What comes of the pictures, part by part; where memory runs out the parts are halved from then on."""
        made: list[Made] = []
        start = 0
        while start < count:
            part = slice(start, min(count, start + self.width))
            try:
                made.append(run(part))
                start = part.stop
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if self.width == 1:
                    fix = "Take a smaller image, or a device with more memory."
                    raise StepError("memory", "it ran out on one picture", "memory for one picture", fix) from error
            self.width = (part.stop - part.start + 1) // 2
            if self.objective.model.device.type == "cuda":
                torch.cuda.empty_cache()
        return made

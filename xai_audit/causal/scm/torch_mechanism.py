"""A torch module of parents and noise as a mechanism; torch is loaded when the module is first asked, not before.

The class is called without arguments. Its object gives `forward(parents, noise) -> values`: parents (n, parents) in
order of names, noise (n, *noise_shape), values (n,) or (n, 1). For `abduct: inverse` it also has
`inverse(parents, values) -> noise`, for `abduct: call` an encoder `abduct(parents, values) -> noise`; a method
`log_prob(parents, values) -> (n,)` opens facts that are known in part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.mechanisms import Array, Columns, Held, Readings, read
from xai_audit.errors import StepError


@dataclass(frozen=True, eq=False)
class Torch:
    """value = module(parents, noise), noise ~ Normal(mean, sd) in each place of its shape."""

    name: str
    module: Any
    parents: tuple[str, ...]
    mean: float
    sd: float
    noise_shape: tuple[int, ...]
    abduct_by: str | None
    readings: Readings = field(default_factory=dict)

    @property
    def can_abduct(self) -> bool:
        """Where the spec says how."""
        return self.abduct_by is not None

    @property
    def has_density(self) -> bool:
        """Where the module has `log_prob`."""
        return callable(getattr(self.module, "log_prob", None))

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Gaussian noises, (n, *noise_shape)."""
        return rng.normal(self.mean, self.sd, (n, *self.noise_shape))

    def sample(self, parents: Columns, noise: Array) -> Array:
        """The module's answer, (n,)."""
        return self._one_a_unit(self._asked(self.module, self._inputs(parents, len(noise)), noise), len(noise))

    def abduct(self, parents: Columns, value: NDArray[Any]) -> Array:
        """The noise that the module's inverse or encoder finds, (n, *noise_shape)."""
        call = self.module.inverse if self.abduct_by == "inverse" else self.module.abduct
        found = self._asked(call, self._inputs(parents, len(value)), value)
        return found.reshape(len(value), *self.noise_shape)

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """The module's own."""
        return self._one_a_unit(self._asked(self.module.log_prob, self._inputs(parents, len(value)), value), len(value))

    def hold(self, parent: str, value: float) -> Held:
        """With a parent held."""
        return Held(self, {parent: value})

    def _inputs(self, parents: Columns, n: int) -> Array:
        seen = read({name: parents[name] for name in self.parents}, self.readings)
        columns = [np.broadcast_to(np.asarray(seen[name], np.float64), n) for name in self.parents]
        return np.stack(columns, axis=1) if columns else np.zeros((n, 0))

    def _asked(self, call: Any, inputs: Array, other: NDArray[Any]) -> Array:
        import torch

        kind = next((one.dtype for one in self.module.parameters()), torch.float64)
        with torch.no_grad():
            found = call(torch.as_tensor(inputs, dtype=kind), torch.as_tensor(np.asarray(other), dtype=kind))
        return np.asarray(found.detach().cpu().numpy(), np.float64)

    def _one_a_unit(self, found: Array, n: int) -> Array:
        flat = found.reshape(-1) if found.shape in ((n,), (n, 1)) else found
        if flat.shape != (n,) or not np.isfinite(flat).all():
            what = f"shape {found.shape}" if flat.shape != (n,) else "a number that is not finite"
            raise StepError(f"causal.mechanisms.{self.name}.call", what, f"{n} finite numbers", "Correct the module.")
        return flat


def made(name: str, call: Any, **settings: Any) -> Torch:
    """The mechanism of a class, in eval mode. Raises StepError where it does not give a torch module."""
    import torch

    where = f"causal.mechanisms.{name}.call"
    try:
        module = call()
    except Exception as error:
        found = f"a class that failed: {type(error).__name__}: {error}"
        raise StepError(where, found, "a class that is made without arguments", "Correct the class.") from error
    if not isinstance(module, torch.nn.Module):
        raise StepError(where, f"a {type(module).__name__}", "a torch.nn.Module", "Name the class of the module.")
    needed = {"inverse": "inverse", "call": "abduct", None: None}[settings["abduct_by"]]
    if needed is not None and not callable(getattr(module, needed, None)):
        fix = f"Give the class a method `{needed}(parents, values) -> noise`, or remove `abduct`."
        raise StepError(where, f"a module without `{needed}`", f"a method `{needed}`", fix)
    return Torch(name, module.eval(), **settings)

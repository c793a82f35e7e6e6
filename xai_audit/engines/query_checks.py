"""The checks whose probes ask about perturbed cases: what each asks of a case, and what the answers come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xai_audit.engines.probed_maps import KeptMaps, ProbedMaps
from xai_audit.engines.probing import Probed
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import derived_seed, generator
from xai_audit.explain.baselines import FillSources, baseline_record
from xai_audit.explain.probes import curve, ends, whole_fills
from xai_audit.explain.questions import Case, Imputed, LessNoise, Question, WithoutLayer
from xai_audit.measures.completeness import completeness
from xai_audit.measures.curves import buckets, deletion, insertion, removed, road
from xai_audit.measures.infidelity import infidelity
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import Baseline

Array = NDArray[np.float64]
ZERO = "maps are zero everywhere"
NOTHING = "cases have nothing to explain"
STILL = "cases whose target no noise changed"
NO_RATIO = "cases whose target hardly differs between baseline and case"
PIXEL_NOISE = 0.01
"""Standard deviation of road's noise, in the space that the net sees (Rong et al. 2022)."""


@dataclass(eq=False)
class Found:
    """Numbers of the cases as they come in."""

    ids: Sequence[str]
    numbers: dict[str, Array] = field(default_factory=dict)
    """By name: the measure's own under "", others under theirs; NaN where there is none."""
    curves: dict[str, Array] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    """By case id: why there is no number."""

    def has(self, case: str) -> bool:
        """Whether a case belongs to the check."""
        return case in self.ids

    def leave_out(self, case: str, why: str) -> tuple[Question, ...]:
        """A case without a number, about which nothing is asked."""
        self.why[case] = why
        return ()

    def put(self, case: str, numbers: Mapping[str, float], curves: Mapping[str, Array] | None = None) -> None:
        """What one case gave."""
        place = self.ids.index(case)
        for name, number in numbers.items():
            self.numbers.setdefault(name, np.full(len(self.ids), np.nan))[place] = number
        for name, one in (curves or {}).items():
            self.curves.setdefault(name, np.zeros((len(self.ids), len(one))))[place] = one

    def probed(self, **more: Any) -> Probed:
        """Everything together."""
        own = self.numbers.get("", np.full(len(self.ids), np.nan))
        others = {name: numbers for name, numbers in self.numbers.items() if name}
        why = [self.why.get(case, "") for case in self.ids]
        return Probed(numbers=own, why=why, others=others, curves=self.curves, **more)


class Check(Protocol):
    """One probe's questions and what their answers come to."""

    found: Found

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """Whose sources it needs."""
        ...

    def questions(self, case: Case) -> Sequence[Question]:
        """What is asked about a case; nothing where it has nothing to check."""
        ...

    def take(self, case: str, value: float, values: Array) -> None:
        """Take what the net says of the case itself and of the rows asked."""
        ...

    def probed(self, sources: FillSources, passes: Passes) -> Probed:
        """Everything, once all cases are asked."""
        ...


@dataclass(eq=False)
class CurveCheck:
    """deletion or insertion (Petsiuk, Das, Saenko 2018)."""

    found: Found
    maps: ProbedMaps
    measure: str
    label: str
    steps: int
    baseline: Baseline
    seed: int
    places: int
    """Pixels of an image, or features of a row."""

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """The one that covers."""
        return (self.baseline,)

    def questions(self, case: Case) -> Sequence[Question]:
        """The case with its places taken away, or put back, step by step in the order of the map."""
        relevance = self.maps.relevance(case)
        if not relevance.any():
            return self.found.leave_out(case.id, ZERO)
        order = buckets(relevance, self.steps, ranking_seed(self.seed, self.label, case.id))
        return curve(order, whole_fills(self.baseline, case), puts_back=self.measure == "insertion")

    def take(self, case: str, value: float, values: Array) -> None:
        """The mean curve over the fills, and the area under it."""
        one = values.reshape(-1, self.steps + 1).mean(0)
        area = insertion(one) if self.measure == "insertion" else deletion(one)
        self.found.put(case, {"": float(area)}, {"curve": one})

    def probed(self, sources: FillSources, passes: Passes) -> Probed:
        """With the share of places changed at each point."""
        x = np.arange(self.steps + 1) * (self.places // self.steps) / self.places
        x[-1] = 1
        parameters = {"steps": self.steps, "baseline": baseline_record(self.baseline, sources), "ties": "random"}
        return self.found.probed(x=x, parameters=parameters, passes=passes)


@dataclass(eq=False)
class RoadCheck:
    """road (Rong et al. 2022)."""

    found: Found
    maps: ProbedMaps
    label: str
    fractions: tuple[float, ...]
    seed: int
    std: tuple[float, ...]
    """What each channel is divided by before the net sees it."""
    level: float = 0.0
    """The answer is still the class where the target is this or more."""

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """None: neighbours stand for what is removed."""
        return ()

    def questions(self, case: Case) -> Sequence[Question]:
        """The image with its most relevant places imputed, fraction by fraction, then with its least relevant ones."""
        relevance = self.maps.relevance(case)
        if not relevance.any():
            return self.found.leave_out(case.id, ZERO)
        masks = removed(relevance, self.fractions, ranking_seed(self.seed, self.label, case.id))
        sigma = PIXEL_NOISE * np.array(self.std)
        seed = derived_seed(self.seed, f"road:{case.id}")
        return (Imputed(case.pixels, masks.reshape(-1, *relevance.shape), sigma, seed),)

    def take(self, case: str, value: float, values: Array) -> None:
        """Whether the answer is still the class, row by row."""
        most, least = (values.reshape(2, -1) >= self.level).astype(np.float64)
        self.found.put(case, {"": float(road(most, least))}, {"morf": most, "lerf": least})

    def probed(self, sources: FillSources, passes: Passes) -> Probed:
        """With the fractions as places of the curves."""
        parameters = {"fractions": list(self.fractions), "noise": PIXEL_NOISE, "weights": [1 / 6, 1 / 12]}
        return self.found.probed(x=np.array(self.fractions), parameters=parameters, passes=passes)


@dataclass(eq=False)
class InfidelityCheck:
    """infidelity (Yeh et al. 2019), plain where the map has a scale and after the best scale in any case."""

    found: Found
    maps: ProbedMaps
    samples: int
    sigma: float
    spread: Array
    """What sigma is measured in, (1, 1, features) of a table: standard deviations; 0 where there is no noise."""
    seed: int
    has_scale: bool = True
    at_work: dict[str, tuple[LessNoise, Array]] = field(default_factory=dict)

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """The method's own."""
        return (self.maps.baseline,)

    def questions(self, case: Case) -> Sequence[Question]:
        """The case less noise, the same noise for every method that knows its effect in the same places."""
        local = self.maps.local(case)
        self.has_scale = local.has_scale
        kept = local.exists & (np.broadcast_to(self.spread, local.exists.shape) > 0)
        if not kept.any():
            return self.found.leave_out(case.id, STILL)
        seed = derived_seed(self.seed, f"infidelity:{case.id}")
        question = LessNoise(self.sigma * self.spread, seed, self.samples, kept)
        self.at_work[case.id] = (question, np.where(kept, local.phi, 0.0).ravel())
        return (question,)

    def take(self, case: str, value: float, values: Array) -> None:
        """I.phi of each sample against the change that it made."""
        question, phi = self.at_work.pop(case)
        foretold = np.array([question.noise(row).ravel() @ phi for row in range(self.samples)])
        one = infidelity(foretold, value - values)
        if np.isnan(one.plain):
            self.found.leave_out(case, STILL)
            return
        own = one.plain if self.has_scale else one.rescaled
        self.found.put(case, {"": own, "rescaled": one.rescaled, "beta": one.beta})

    def probed(self, sources: FillSources, passes: Passes) -> Probed:
        """Controls are compared after the best scale: they have none of their own."""
        unit = "standard deviations" if self.spread.shape[-1] > 1 else "pixel values"
        parameters = {
            "samples": self.samples, "sigma": self.sigma, "unit": unit, "noise": "normal",
            "scale": "its own" if self.has_scale else "the best one: the map has none of its own",
        }  # fmt: skip
        for name in ("rescaled", "beta"):
            self.found.numbers.setdefault(name, np.full(len(self.found.ids), np.nan))
        return self.found.probed(parameters=parameters, compared="rescaled", passes=passes)


@dataclass(eq=False)
class CompletenessCheck:
    """completeness of a method that promises a sum."""

    found: Found
    maps: KeptMaps
    promise: str
    """Why the method's promise holds for this net, in words."""
    layer: SpatialLayer | None = None
    """The layer whose silence is the reference, for maps of a layer."""
    totals: dict[str, float] = field(default_factory=dict)

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """The method's own."""
        return (self.maps.baseline,)

    def questions(self, case: Case) -> Sequence[Question]:
        """The reference: the layer silent, or the method's own baseline."""
        self.totals[case.id] = self.maps.total(case)
        if self.layer is not None:
            return (WithoutLayer(self.layer),)
        assert self.maps.baseline is not None
        return ends(whole_fills(self.maps.baseline, case, self.maps.labels(case)))

    def take(self, case: str, value: float, values: Array) -> None:
        """The gap, as a share of the change."""
        gap = completeness(self.totals[case], value, float(values.mean()))
        if gap is None:
            self.found.leave_out(case, NO_RATIO)
            return
        self.found.put(case, {"": gap})

    def probed(self, sources: FillSources, passes: Passes) -> Probed:
        """With the promise in words."""
        reference = {"layer": self.layer.path} if self.layer is not None else {}
        if self.layer is None and self.maps.baseline is not None:
            reference = {"baseline": baseline_record(self.maps.baseline, sources)}  # type: ignore[dict-item]
        return self.found.probed(parameters={"promise": self.promise, **reference}, passes=passes)


def ranking_seed(seed: int, label: str, case: str) -> np.random.Generator:
    """What breaks ties of one map's ranking: the same in every measure."""
    return generator(seed, f"ranking:{label}:{case}")


def no_promise(label: str, why: str) -> Refusal:
    """A method that promises no sum, or whose promise does not hold for this net: that is not a gap of 0."""
    return Refusal(f"completeness of {label}", f"no promise: {why}", "a method whose values add up", "")

"""What a surrogate tree comes to on the cases held out: each number with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.resampling import clusters_with, resampled_sums
from xai_audit.surrogate.fidelity import divergence, kappa_of, kappa_parts, r2_of, r2_parts
from xai_audit.surrogate.samples import Answers
from xai_audit.surrogate.tree import Tree

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The cases that a tree is tested on."""

    values: NDArray[np.float64]
    net: Answers
    truth: NDArray[np.int64] | None
    """(cases,) codes of the true label, None for a regression."""
    numbers: NDArray[np.float64] | None
    """(cases, 1) true numbers of a regression."""
    clusters: NDArray[np.int64] | None
    """(cases,), None where each case is its own."""
    rng: np.random.Generator

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.values)


def held_out_values(tree: Tree, cases: HeldOut, names: Callable[[int], str]) -> tuple[Measured, list[Value]]:
    """Every number of a tree, and its fidelity with one leaf, two, and so on to all of them.

    Of classes fidelity is P(tree = net); of a regression it is R2 between the tree's number and the net's, and there is
    no kappa. The one leaf is the baseline: always the net's commonest answer, or its mean.
    """
    curve = [_fidelity(tree.answers(cases.values, leaves), cases) for leaves in range(1, tree.leaves + 1)]
    said = tree.answers(cases.values)
    found = _of_classes(said, cases, names) if said.labels is not None else _of_numbers(said, cases)
    baseline = Estimate("majority", curve[0].number, cases.n, "share", draws=curve[0].draws, independent=_units(cases))
    whole = gather([curve[-1], baseline, *found], {}, cases.clusters)
    return whole, list(gather(curve, {}, cases.clusters).values)


def _fidelity(said: Answers, cases: HeldOut) -> Estimate:
    if said.labels is None or cases.net.labels is None:
        return _r2("fidelity", said.soft, cases.net.soft, cases)
    return _share("fidelity", said.labels == cases.net.labels, np.ones(cases.n, dtype=np.bool_), cases)


def _of_classes(said: Answers, cases: HeldOut, names: Callable[[int], str]) -> list[Estimate]:
    tree, net, truth = said.labels, cases.net.labels, cases.truth
    assert tree is not None and net is not None and truth is not None
    everyone, alike = np.ones(cases.n, dtype=np.bool_), tree == net
    wrong = "The model made no mistake in the cases held out."
    return [
        _kappa(tree, net, cases),
        *(_share("fidelity", alike, net == code, cases, names(int(code))) for code in np.unique(net)),
        _share("errors", alike, net != truth, cases, because=wrong),
        _r2("r2", said.soft, cases.net.soft, cases),
        _divergence(said.soft, cases),
        _share("accuracy", tree == truth, everyone, cases),
        _share("model_accuracy", net == truth, everyone, cases),
    ]


def _of_numbers(said: Answers, cases: HeldOut) -> list[Estimate]:
    assert cases.numbers is not None
    because = "A regression has no classes to agree on."
    return [
        Estimate("kappa", np.nan, cases.n, "ratio", undefined_because=because),
        _r2("accuracy", said.soft, cases.numbers, cases),
        _r2("model_accuracy", cases.net.soft, cases.numbers, cases),
    ]


def _units(cases: HeldOut, some: Bools | None = None) -> int:
    return clusters_with(cases.clusters, np.ones(cases.n, dtype=np.bool_) if some is None else some)


def _share(name: str, hits: Bools, among: Bools, cases: HeldOut, label: str = "", because: str = "") -> Estimate:
    """Share of hits among some of the cases."""
    parts = np.stack([hits & among, among], axis=1).astype(np.int8)
    number = float(_ratio(parts.sum(axis=0, dtype=np.float64)[None])[0])
    draws = _ratio(resampled_sums(parts, cases.clusters, cases.rng))
    return Estimate(
        name, number, int(among.sum()), "share", label, because, draws=draws, independent=_units(cases, among)
    )


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    exists = sums[:, 1] > 0
    return np.where(exists, sums[:, 0] / np.where(exists, sums[:, 1], 1.0), np.nan)


def _kappa(tree: NDArray[np.int64], net: NDArray[np.int64], cases: HeldOut) -> Estimate:
    parts = kappa_parts(tree, net)
    number = float(kappa_of(parts.sum(axis=0, dtype=np.float64)[None])[0])
    draws = kappa_of(resampled_sums(parts, cases.clusters, cases.rng))
    because = "Tree and model gave one and the same answer to every case held out."
    return Estimate(
        "kappa", number, cases.n, "ratio", undefined_because=because, draws=draws, independent=_units(cases)
    )


def _r2(name: str, tree: NDArray[np.float64], net: NDArray[np.float64], cases: HeldOut) -> Estimate:
    parts = r2_parts(tree, net)
    draws = r2_of(resampled_sums(parts, cases.clusters, cases.rng))
    number, because = float(r2_of(parts.sum(axis=0)[None])[0]), "What it is compared with is always the same."
    return Estimate(name, number, cases.n, "share", undefined_because=because, draws=draws, independent=_units(cases))


def _divergence(tree: NDArray[np.float64], cases: HeldOut) -> Estimate:
    each = divergence(tree, cases.net.soft)
    number, draws = np.nan, None
    if np.isfinite(each).all():
        sums = resampled_sums(np.stack([each, np.ones(cases.n)], axis=1), cases.clusters, cases.rng)
        number, draws = float(each.mean()), sums[:, 0] / sums[:, 1]
    because = "The tree excludes an answer that the model holds possible."
    return Estimate("kl", number, cases.n, "bits", undefined_because=because, draws=draws, independent=_units(cases))


@dataclass(frozen=True)
class Verdict:
    """Whether a tree may stand for the net, and if not, why."""

    valid: bool
    why: tuple[str, ...]
    """Of: fidelity_low, fidelity_without_interval, kappa_low, kappa_undefined."""


def verdict_of(values: Sequence[Value], min_fidelity: float, min_kappa: float, *, has_classes: bool) -> Verdict:
    """Valid where the lower end of fidelity's interval is at least `min_fidelity` and kappa at least `min_kappa`."""
    fidelity = next(value for value in values if value.name == "fidelity" and not value.label)
    kappa = next(value for value in values if value.name == "kappa")
    why = []
    if fidelity.low is None:
        why.append("fidelity_without_interval")
    elif fidelity.low < min_fidelity:
        why.append("fidelity_low")
    if has_classes and kappa.estimate is None:
        why.append("kappa_undefined")
    elif has_classes and kappa.estimate is not None and kappa.estimate < min_kappa:
        why.append("kappa_low")
    return Verdict(not why, tuple(why))

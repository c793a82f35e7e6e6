"""World effects of the made-up worlds in closed form: chances by what is set, all else as it comes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.integrate import quad
from scipy.stats import beta, norm

from xai_audit.synthetic.document import Document, fraud_chance
from xai_audit.synthetic.metal import Metal, defect_chances
from xai_audit.synthetic.radiograph import Radiograph, disease_chance

Floats = npt.NDArray[np.float64]


def disease_rate(site: float, c: Radiograph) -> float:
    """P(disease | do(site)): over ages, which are normal and cut at their ends."""
    low, high = c.age_ends
    if c.age_sd == 0:
        return disease_chance(float(np.clip(c.age_mean, low, high)), site, c)
    age = norm(c.age_mean, c.age_sd)
    inside = _integral(lambda years: disease_chance(years, site, c) * float(age.pdf(years)), low, high)
    ends = disease_chance(low, site, c) * age.cdf(low) + disease_chance(high, site, c) * age.sf(high)
    return float(inside + ends)


def fraud_rate(branch: float, c: Document) -> float:
    """P(fraud | do(branch)): over amounts, whose logarithm is normal."""
    if c.amount_sd == 0:
        return fraud_chance(branch, float(np.exp(c.amount_mean)), c)
    log = norm(c.amount_mean, c.amount_sd)
    low, high = log.ppf(1e-12), log.isf(1e-12)
    return _integral(lambda z: fraud_chance(branch, float(np.exp(z)), c) * float(log.pdf(z)), low, high)


def fraud_rate_of_script(script: int, c: Document) -> float:
    """P(fraud | do(script)): through the branches at which such names are met."""
    return sum(share * fraud_rate(branch, c) for branch, share in enumerate(c.branch[script]))


def defect_rates(line: int, c: Metal) -> Floats:
    """P(none, scratch, pit, inclusion | do(line)): over the wear of its tools."""
    wear, more = beta(c.wear_a, c.wear_b), c.wear_of_line_2 * (line == 2)

    def of(kind: int) -> Callable[[float], float]:
        return lambda x: float(defect_chances(x + more, c)[kind] * wear.pdf(x))

    return np.array([_integral(of(kind), 0.0, 1.0) for kind in range(len(c.logits))])


def _integral(of: Callable[[float], float], low: float, high: float) -> float:
    return float(quad(of, low, high, epsabs=1e-11, limit=200)[0])

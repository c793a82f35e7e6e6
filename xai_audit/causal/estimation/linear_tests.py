"""Whether the data bear a straight line out: curvature, interaction, and noise that does not depend on the causes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import stats

from xai_audit.causal.estimation.robust import Fit, covariance, degrees_of_freedom, least_squares
from xai_audit.causal.sample import Array
from xai_audit.errors import Refusal
from xai_audit.measures.intervals import holm

LEVEL = 0.01
"""Level, over the tests of form together, below which a straight line is contradicted."""
_NOTHING = 1e-9
"""Share of the outcome's size that counts as nothing under an exact law."""
_WHERE = "the test of the straight line"


@dataclass(frozen=True)
class LinearTest:
    """One test of a regression."""

    name: str
    tests_form: bool
    """Whether it speaks against the slope itself; else only against noise that is alike everywhere, which the errors
    here do not need."""
    F: float
    p: float
    terms: int
    """Terms that were added, or slopes that should be 0."""
    sentence: str


@dataclass(frozen=True)
class LinearTests:
    """All tests of one regression; corrected over those of the form (Holm)."""

    tests: tuple[LinearTest, ...]
    p_form: float
    """Smallest corrected p of the tests of form; 1 where there is none."""

    @property
    def contradicts(self) -> bool:
        """Whether the data contradict a straight line."""
        return self.p_form < LEVEL


def linear_tests(fit: Fit, treatments: Collection[int]) -> LinearTests:
    """RESET (Ramsey, JRSS B 1969) with squares and cubes of the fit; squares of the treatments and their products with
    every other column; and whether squared residuals depend on the columns (Koenker, J. Econometrics 1981).

    `treatments`: their columns. All tests are Wald tests with the errors of the regression itself.
    """
    found = []
    centred = fit.fitted - fit.fitted.mean()
    scale = float(centred.std()) or 1.0
    powers = np.column_stack([(centred / scale) ** 2, (centred / scale) ** 3])
    for name, extra, sentence in (
        ("RESET", powers, "Do squares and cubes of the fitted values add anything?"),
        (
            "treatment curve",
            _products(fit, treatments),
            "Does the slope change along the treatment or with the others?",
        ),
    ):
        test = added_terms(fit, extra)
        if test is not None:
            found.append(LinearTest(name, True, *test, sentence))
    noise = added_terms(fit, None)
    if noise is not None:
        sentence = "Does the spread of what the line leaves over depend on the causes?"
        found.append(LinearTest("residual independence", False, *noise, sentence))
    corrected = holm([test.p for test in found if test.tests_form])
    return LinearTests(tuple(found), min(corrected, default=1.0))


def _products(fit: Fit, treatments: Collection[int]) -> Array:
    """Squares of the treatments, and their products with each later column but the intercept."""
    columns = [
        fit.X[:, a] * fit.X[:, b] for a in treatments for b in range(1, fit.X.shape[1]) if _once(a, b, treatments)
    ]
    return np.column_stack(columns) if columns else np.zeros((len(fit.y), 0))


def _once(a: int, b: int, treatments: Collection[int]) -> bool:
    return b not in treatments or b >= a


def added_terms(fit: Fit, extra: Array | None) -> tuple[float, float, int] | None:
    """F, p and terms of a Wald test that added columns have slope 0; without any, of squared residuals on the columns.

    None where nothing can be added: each column follows from the others.
    """
    if extra is None:
        y, X, kept = fit.residuals**2, fit.X, fit.X.shape[1] - 1
    else:
        new = _new(fit, extra)
        y, X, kept = fit.y, np.column_stack([fit.X, new]), new.shape[1]
    if kept == 0 or not np.ptp(y):
        return None
    try:
        larger = least_squares(fit.sample, y, [str(place) for place in range(X.shape[1])], X, _WHERE)
    except Refusal:
        return None
    if fit.sample.is_law:
        return _of_law(larger, kept)
    slopes = larger.estimates()[-kept:]
    V, b = covariance(fit.sample, slopes), np.array([one.value for one in slopes])
    dof = degrees_of_freedom(fit.sample, X.shape[1])
    if dof < kept or np.linalg.matrix_rank(V, hermitian=True) < kept:
        return None
    F = float(b @ np.linalg.solve(V, b)) / kept
    return F, float(stats.f.sf(F, kept, dof)), kept


def _of_law(larger: Fit, kept: int) -> tuple[float, float, int]:
    """Under an exact law there is no sampling error: the added terms matter or they do not. F is what they add."""
    size = np.abs(larger.coefficients[-kept:]) * np.abs(larger.X[:, -kept:]).max(axis=0)
    most = float(size.max())
    return most, float(most <= _NOTHING * max(1.0, float(np.abs(larger.y).max()))), kept


def _new(fit: Fit, extra: Array) -> Array:
    """The columns that do not follow from those of the fit and those before them."""
    W = np.sqrt(fit.sample.weights)
    basis, _ = np.linalg.qr(fit.X * W[:, None])
    kept = []
    for column in extra.T:
        size = float(np.linalg.norm(column * W))
        rest = column * W - basis @ (basis.T @ (column * W))
        rest = rest - basis @ (basis.T @ rest)
        left = float(np.linalg.norm(rest))
        if size > 0 and left > 1e-6 * size:
            basis = np.column_stack([basis, rest / left])
            kept.append(column)
    return np.column_stack(kept) if kept else np.zeros((len(fit.y), 0))

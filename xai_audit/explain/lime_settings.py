"""What a preset of lime stands for, known without torch: the plan counts passes by it."""

from __future__ import annotations

from dataclasses import dataclass

from xai_audit.errors import Refusal
from xai_audit.spec.methods import Baseline, Lime, Quickshift, Segments, Slic

ROWS_A_PLAYER = 4
"""Without a penalty fewer rows than this for each player are refused, as with shap."""


@dataclass(frozen=True)
class LimeSettings:
    """Every choice of one use of lime."""

    segments: Segments | None
    """None for the features of a table, each alone."""
    baseline: Baseline
    samples: int
    kernel_width: float | None
    """None: all rows weigh alike."""
    alpha: float
    is_paired: bool
    """Whether each row is drawn with its complement."""

    def rows(self, n_players: int) -> int:
        """Rows that are asked: `samples`, an even number of them in pairs, or all that there are."""
        if not self.is_paired:
            return self.samples
        return 2**n_players if self.takes_all(n_players) else self.samples - self.samples % 2

    def takes_all(self, n_players: int) -> bool:
        """Whether every row there is is taken once."""
        return self.is_paired and 2**n_players <= self.samples

    @property
    def sampling(self) -> str:
        """How rows are drawn, in words."""
        if not self.is_paired:
            return "each bit 1 with probability 1/2; the first row all ones"
        return "as single rows, each with its complement; all rows once where they are no more than `samples`"

    @property
    def standard_error(self) -> str:
        """What standard errors are, in words."""
        name = "CR2 by pairs" if self.is_paired else "HC2"
        return f"{name}: of the draw of rows; not of the fit, for which see r2"


def lime_settings(method: Lime, is_table: bool) -> LimeSettings:
    """The spec's own choices, and the preset's for the others (METHODS 5)."""
    is_2016 = method.preset == "lime-2016"
    default = None if is_table else Quickshift() if is_2016 else Slic()
    baseline: Baseline = "mean" if is_table else "superpixel_mean"
    return LimeSettings(
        segments=default if method.segments is None else method.segments,
        baseline=baseline if method.baseline is None else method.baseline,
        samples=method.samples,
        kernel_width=(0.25 if is_2016 else None) if method.kernel_width is None else method.kernel_width,
        alpha=(1.0 if is_2016 else 0.0) if method.alpha is None else method.alpha,
        is_paired=not is_2016,
    )


def too_few_rows(method: Lime, settings: LimeSettings, n_players: int) -> Refusal | None:
    """The refusal of drawn rows that determine coefficients badly, or not at all, for want of a penalty."""
    if settings.alpha > 0 or settings.takes_all(n_players) or settings.rows(n_players) >= ROWS_A_PLAYER * n_players:
        return None
    return undetermined(method, n_players, settings.rows(n_players))


def undetermined(method: Lime, n_players: int, rows: int) -> Refusal:
    """The refusal of rows that do not determine the coefficients."""
    found = f"{n_players} players and {rows} rows, too few to determine the coefficients without a penalty"
    fix = "Raise `samples`, take fewer players, or set `alpha` above 0."
    return Refusal(f"methods.{method.label}.samples", found, f"at least {ROWS_A_PLAYER * n_players} rows", fix)

"""What coefficients of a world may be; the types say it, and whoever reads a spec checks against them."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field


def _number(given: object) -> object:
    """A text or a truth is no number, though it could be read as one."""
    if isinstance(given, str | bool):
        raise ValueError("a number")
    return given


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""Any finite number."""
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""
Size = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
"""A finite number, 0 or above."""
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
"""A probability."""
Side = Annotated[int, BeforeValidator(_number), Field(ge=32, le=256)]
"""Height and width of a picture in pixels."""


def _adds_up(shares: tuple[float, ...]) -> tuple[float, ...]:
    if abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"probabilities that sum to {sum(shares):g}, not to 1")
    return shares


def _in_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the lower end first")
    return ends


Ends = Annotated[tuple[Number, Number], AfterValidator(_in_order)]
"""Lowest and highest value."""
Law3 = Annotated[tuple[Share, Share, Share], AfterValidator(_adds_up)]
"""Probabilities of three levels."""
Law4 = Annotated[tuple[Share, Share, Share, Share], AfterValidator(_adds_up)]
"""Probabilities of four levels."""
Law5 = Annotated[tuple[Share, Share, Share, Share, Share], AfterValidator(_adds_up)]
"""Probabilities of five levels."""

"""Ways to write a picture: by its frequencies, by their phases alone, by its pixels; and its colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

START = 0.01
"""Standard deviation of the numbers that a picture starts from."""
HALF_LEVEL = 0.5 / 255
"""Pixels are read as at least this far from 0 and 1, where no finite number would give them."""

Shape = tuple[int, int, int]
"""Channels, height, width."""


def colours(channels: int) -> Tensor:
    """C of `painted`, (channels, channels) in float64: colours that differ as in natural pictures; else the identity.

    The square root of the colours' covariance over ImageNet, divided by its largest column norm (Olah, Mordvintsev,
    Schubert 2017). What has not three channels is not taken for red, green and blue.
    """
    if channels != 3:
        return torch.eye(channels, dtype=torch.float64)
    root = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float64)
    largest: Tensor = torch.linalg.vector_norm(root, dim=0).max()
    return root / largest


class Writing(Protocol):
    """How numbers that can be moved freely become a picture."""

    @property
    def shape(self) -> Shape:
        """Channels, height and width of the picture."""

    @property
    def colours(self) -> Tensor:
        """C of `painted`."""

    def start(self, generator: torch.Generator) -> Tensor:
        """The numbers that one picture starts from, float64 on the CPU."""

    def unpainted(self, numbers: Tensor) -> Tensor:
        """u, (pictures, channels, height, width), from the numbers of several pictures."""


def painted(u: Tensor, C: Tensor) -> Tensor:
    """sigmoid(C u), pixels in [0, 1] of the same shape."""
    return torch.einsum("cd,ndhw->nchw", C.to(u), u).sigmoid()


def unpainted(pixels: Tensor, C: Tensor) -> Tensor:
    """C^-1 logit(x): the u that gives these pixels, which are kept half a grey level away from 0 and 1."""
    u = pixels.clamp(HALF_LEVEL, 1 - HALF_LEVEL).logit()
    return torch.einsum("cd,ndhw->nchw", torch.linalg.inv(C.to(u)), u)


@dataclass(frozen=True, eq=False)
class Pixel:
    """u is the numbers themselves; each channel stands for itself."""

    shape: Shape

    @cached_property
    def colours(self) -> Tensor:
        """The identity."""
        return torch.eye(self.shape[0], dtype=torch.float64)

    def start(self, generator: torch.Generator) -> Tensor:
        """Normal(0, .01)."""
        return _normal(self.shape, generator)

    def unpainted(self, numbers: Tensor) -> Tensor:
        """The numbers."""
        return numbers


@dataclass(frozen=True, eq=False)
class Fourier:
    """u = irfft2(z s) / 4, s(f) = 1 / max(f, 1 / max(H, W))^decay (Olah, Mordvintsev, Schubert 2017)."""

    shape: Shape
    decay: float

    @cached_property
    def colours(self) -> Tensor:
        """See `colours`."""
        return colours(self.shape[0])

    def start(self, generator: torch.Generator) -> Tensor:
        """z, real and imaginary parts Normal(0, .01), (channels, height, width // 2 + 1, 2)."""
        return _normal((*half(self.shape), 2), generator)

    def unpainted(self, numbers: Tensor) -> Tensor:
        """Pictures before colour, of z."""
        height, width = self.shape[1:]
        z, s = torch.view_as_complex(numbers), self.scale.to(numbers)
        return _real(z * s, (height, width)) / 4

    @cached_property
    def scale(self) -> Tensor:
        """s(f), (height, width // 2 + 1): low frequencies start strong and move fast."""
        height, width = self.shape[1:]
        fy = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
        fx = torch.fft.rfftfreq(width, dtype=torch.float64)
        f: Tensor = (fy**2 + fx**2).sqrt().clamp(min=1 / max(height, width))
        return f**-self.decay


@dataclass(frozen=True, eq=False)
class Maco:
    """u = irfft2(r e^(i phase)): magnitudes r fixed, phases free (Fel et al., NeurIPS 2023)."""

    shape: Shape
    magnitude: Tensor
    """r, (channels, height, width // 2 + 1); below 0 where a frequency is real and its mean is."""

    @cached_property
    def colours(self) -> Tensor:
        """See `colours`."""
        return colours(self.shape[0])

    def start(self, generator: torch.Generator) -> Tensor:
        """Phases, uniform in [-pi, pi)."""
        return (torch.rand(half(self.shape), generator=generator, dtype=torch.float64) * 2 - 1) * torch.pi

    def unpainted(self, numbers: Tensor) -> Tensor:
        """Pictures before colour, of the phases; since their values are real, phases at f and -f are opposite."""
        height, width = self.shape[1:]
        twice = torch.zeros(width // 2 + 1, dtype=torch.bool, device=numbers.device)
        twice[0] = True
        if width % 2 == 0:
            twice[-1] = True  # columns that hold both f and -f
        mirrored = numbers.flip(-2).roll(1, -2)
        phase = torch.where(twice, (numbers - mirrored) / 2, numbers)
        r = self.magnitude.to(numbers)
        return _real(torch.complex(r * phase.cos(), r * phase.sin()), (height, width))


class Spectrum:
    """Mean magnitude of pictures at each frequency, taken up picture by picture."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._C = colours(shape[0])
        self._count = 0
        self._sum = torch.zeros(half(shape), dtype=torch.float64)
        self._signed = torch.zeros(half(shape), dtype=torch.float64)

    def take(self, pixels: Tensor) -> None:
        """Pictures (pictures, channels, height, width) in [0, 1], on the CPU; one by one, whatever the batch."""
        for picture in pixels.double():
            z = torch.fft.rfft2(unpainted(picture[None], self._C)[0], norm="ortho")
            self._sum += z.abs()
            self._signed += z.real
            self._count += 1

    def magnitude(self) -> Tensor:
        """Of Maco: the means, and where a frequency is real (mean and fastest change) with the sign of its mean."""
        height, width = self.shape[1:]
        rows = [0, height // 2] if height % 2 == 0 else [0]
        columns = [0, width // 2] if width % 2 == 0 else [0]
        is_real = torch.zeros(half(self.shape)[1:], dtype=torch.bool)
        is_real[[[row] for row in rows], columns] = True
        mean = self._sum / max(1, self._count)
        return torch.where(is_real & (self._signed < 0), -mean, mean)


def _real(coefficients: Tensor, size: tuple[int, int]) -> Tensor:
    """irfft2 with the size said: of an odd width a column would be lost."""
    made: Tensor = torch.fft.irfft2(coefficients, s=size, norm="ortho")
    return made


def half(shape: Shape) -> Shape:
    """Shape of the frequencies of a picture with real values: (channels, height, width // 2 + 1)."""
    return (shape[0], shape[1], shape[2] // 2 + 1)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64) * START

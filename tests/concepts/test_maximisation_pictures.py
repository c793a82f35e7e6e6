"""How pictures are written: frequencies, colours, phases, each against its closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from xai_audit.concepts.pictures import HALF_LEVEL, Fourier, Maco, Pixel, Spectrum, colours, half, painted, unpainted

SIZES = [(6, 8), (6, 7), (5, 8), (5, 7)]


def stream(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(channels, size, count=1, seed=0):
    return torch.rand((count, channels, *size), generator=stream(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES)
def test_fourier_gives_back_what_its_frequencies_hold(size):
    """With z = 4 rfft2(u) / s the picture before colour is u, of odd widths too."""
    writing = Fourier((3, *size), 1.0)
    u = torch.randn((2, 3, *size), generator=stream(), dtype=torch.float64)
    z = 4 * torch.fft.rfft2(u, norm="ortho") / writing.scale
    assert torch.allclose(writing.unpainted(torch.view_as_real(z).contiguous()), u, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_fourier_is_a_sum_of_waves(size):
    """u(y, x) = sum over f of s(f) |z| cos(2 pi (fy y + fx x) + phase) / (4 sqrt(HW)), each f and -f once."""
    height, width = size
    writing = Fourier((1, *size), 0.5)
    z = writing.start(stream())
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    u = np.zeros(size)
    for ky in range(height):
        for kx in range(width // 2 + 1):
            fy, fx = (ky if ky <= height // 2 else ky - height) / height, kx / width
            s = 1 / max(math.hypot(fy, fx), 1 / max(size)) ** 0.5
            angle = 2 * np.pi * (ky * rows / height + kx * columns / width)
            wave = float(z[0, ky, kx, 0]) * np.cos(angle) - float(z[0, ky, kx, 1]) * np.sin(angle)
            is_alone = kx == 0 or (width % 2 == 0 and kx == width // 2)
            u += s * wave * (1 if is_alone else 2)
    assert np.allclose(writing.unpainted(z[None])[0, 0].numpy(), u / (4 * math.sqrt(height * width)), atol=1e-12)


def test_decay_0_starts_all_frequencies_alike_and_the_mean_is_the_strongest_otherwise():
    assert torch.equal(Fourier((1, 8, 8), 0.0).scale, torch.ones(8, 5, dtype=torch.float64))
    s = Fourier((1, 8, 12), 1.0).scale
    assert float(s[0, 0]) == float(s.max()) == 12.0
    assert math.isclose(float(s[4, 6]), 1 / math.sqrt(0.5))


def test_the_start_is_normal_with_deviation_001():
    z = Fourier((3, 64, 64), 1.0).start(stream(5))
    assert z.shape == (3, 64, 33, 2)
    assert math.isclose(float(z.std()), 0.01, rel_tol=0.02)  # 3 standard errors of 12672 numbers
    assert abs(float(z.mean())) < 4e-4


def test_colours_are_the_root_of_the_covariance_over_its_largest_column():
    """Column norms: sqrt(.2134), sqrt(.0162), sqrt(.0038)."""
    C = colours(3)
    norms = torch.tensor([1.0, math.sqrt(0.0162 / 0.2134), math.sqrt(0.0038 / 0.2134)], dtype=torch.float64)
    assert torch.allclose(C.norm(dim=0), norms, atol=1e-12)
    assert math.isclose(float(C[1, 2]), -0.05 / math.sqrt(0.2134))
    grey = painted(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).view(1, 3, 1, 1), C).flatten()
    assert torch.allclose(grey, (C[:, 0]).sigmoid())


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_what_is_not_rgb_keeps_its_channels_apart(channels):
    assert torch.equal(colours(channels), torch.eye(channels, dtype=torch.float64))
    u = torch.randn((1, channels, 3, 5), generator=stream(), dtype=torch.float64)
    assert torch.allclose(painted(u, colours(channels)), u.sigmoid())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_unpainted_is_the_inverse_of_painted(channels):
    x = pixels(channels, (5, 7)).clamp(HALF_LEVEL, 1 - HALF_LEVEL)
    assert torch.allclose(painted(unpainted(x, colours(channels)), colours(channels)), x, atol=1e-12)
    assert bool(unpainted(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2), colours(1)).isfinite().all())


def test_pixel_writes_each_pixel_by_itself():
    writing = Pixel((3, 5, 7))
    u = writing.start(stream())
    assert u.shape == (3, 5, 7) and torch.equal(writing.unpainted(u), u)
    assert torch.equal(writing.colours, torch.eye(3, dtype=torch.float64))


def spectrum_of(x):
    spectrum = Spectrum(tuple(x.shape[1:]))
    spectrum.take(x)
    return spectrum


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_maco_keeps_the_mean_spectrum_of_the_pictures_whatever_the_phases(size, channels):
    x = pixels(channels, size, 4)
    magnitude = spectrum_of(x).magnitude()
    r = np.mean([np.abs(np.fft.rfft2(unpainted(p[None], colours(channels))[0].numpy(), norm="ortho")) for p in x], 0)
    assert np.allclose(magnitude.abs().numpy(), r, atol=1e-12)
    writing = Maco((channels, *size), magnitude)
    phases = torch.stack([writing.start(stream(seed)) for seed in range(3)])
    made = writing.unpainted(phases)
    assert np.allclose(np.abs(np.fft.rfft2(made.numpy(), norm="ortho")), r, atol=1e-12)
    assert not torch.allclose(made[0], made[1])


@pytest.mark.parametrize("size", SIZES)
def test_maco_gives_a_picture_back_from_its_own_spectrum_and_phases(size):
    x = pixels(3, size).clamp(HALF_LEVEL, 1 - HALF_LEVEL)
    z = torch.fft.rfft2(unpainted(x, colours(3)), norm="ortho")
    writing = Maco((3, *size), spectrum_of(x).magnitude())
    assert torch.allclose(painted(writing.unpainted(z.angle()), writing.colours), x, atol=1e-10)


def test_maco_keeps_dark_pictures_dark():
    x = pixels(1, (6, 6)) * 0.2
    writing = Maco((1, 6, 6), spectrum_of(x).magnitude())
    wanted = float(unpainted(x, colours(1)).mean())
    assert math.isclose(float(writing.unpainted(writing.start(stream())[None]).mean()), wanted, rel_tol=1e-9)
    assert wanted < -2


def test_the_spectrum_is_the_same_in_any_batches():
    x = pixels(3, (5, 8), 6)
    parts = Spectrum((3, 5, 8))
    for start in (0, 1, 3):
        parts.take(x[start : {0: 1, 1: 3, 3: 6}[start]].float())
    assert torch.equal(parts.magnitude(), spectrum_of(x.float()).magnitude())
    assert half((3, 5, 8)) == (3, 5, 5)

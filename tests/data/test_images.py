"""An image is decoded whole or not at all, and every conversion is named."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import pixels
from PIL import Image, ImageFile

from xai_audit.data.images import LARGEST_IMAGE, decode, read_bytes
from xai_audit.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(channels: int = 3, side: int = 64) -> Image.Image:
    noisy = pixels(1, side, side, channels)
    return Image.fromarray(noisy if channels == 3 else noisy[:, :, 0])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_out_as_they_went_in(kind: str, channels: int) -> None:
    found = decode(encoded(photo(channels), kind), "x")
    assert np.array_equal(found.pixels, pixels(1, 64, 64, channels))
    assert found.conversions == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.99])
def test_a_truncated_image_is_never_decoded(kind: str, share: float) -> None:
    data = encoded(photo(), kind)
    assert decode(data, "x").pixels.shape[:2] == (64, 64)
    with pytest.raises(DataError):
        decode(data[: int(len(data) * share)], "x")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("lost", [1, 2, 12])
def test_an_image_that_lost_its_last_bytes_is_refused(kind: str, lost: int) -> None:
    with pytest.raises(DataError):
        decode(encoded(photo(), kind)[:-lost], "x")


def test_a_flipped_byte_in_a_png_is_found() -> None:
    data = bytearray(encoded(photo()))
    data[len(data) // 2] ^= 1
    with pytest.raises(DataError, match=r"damaged"):
        decode(bytes(data), "x")


def test_truncated_images_are_refused_even_if_another_package_allows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(photo(), "BMP")
    with pytest.raises(DataError):
        decode(data[: len(data) // 2], "x")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF-1.7"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        decode(data, "x")


def test_an_image_that_claims_too_many_pixels_is_refused_before_decoding() -> None:
    side = int(LARGEST_IMAGE**0.5) + 1
    header = bytearray(encoded(Image.new("L", (1, 1)), "BMP"))
    header[18:22] = header[22:26] = side.to_bytes(4, "little")
    with pytest.raises(DataError, match=f"at most {LARGEST_IMAGE} pixels"):
        decode(bytes(header), "x")
    header[18:22] = header[22:26] = (side * 8).to_bytes(4, "little")
    with pytest.raises(DataError, match=f"at most {LARGEST_IMAGE} pixels"):
        decode(bytes(header), "x")


def test_sixteen_bits_become_eight_over_the_full_range() -> None:
    wide = np.asarray([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    found = decode(encoded(Image.fromarray(wide)), "x")
    assert found.pixels[:, :, 0].tolist() == [[0, 0, 1, 1, 128, 255]]
    assert found.conversions == ("16 to 8 bits: full range, 65535 becomes 255",)


@pytest.mark.parametrize("mode", ["F", "I", "CMYK", "LAB"])
def test_a_colour_space_whose_conversion_would_be_a_guess_is_refused(mode: str) -> None:
    image = Image.new(mode, (8, 8))
    with pytest.raises(DataError, match=f"colour mode {mode}"):
        decode(encoded(image, "TIFF"), "x")


def test_a_palette_becomes_rgb_and_says_so() -> None:
    image = photo().quantize(16)
    found = decode(encoded(image), "x")
    assert np.array_equal(found.pixels, np.asarray(image.convert("RGB")))
    assert found.conversions == ("P to RGB",)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_only_an_opaque_alpha_channel_is_dropped(mode: str) -> None:
    opaque = photo().convert(mode)
    found = decode(encoded(opaque), "x")
    assert np.array_equal(found.pixels.squeeze(), np.asarray(opaque)[:, :, : 3 if mode == "RGBA" else 1].squeeze())
    assert found.conversions == ("opaque alpha channel dropped",)
    opaque.putpixel((3, 3), (0,) * (len(mode) - 1) + (254,))
    with pytest.raises(DataError, match=r"alpha down to 254"):
        decode(encoded(opaque), "x")


def test_a_transparent_palette_colour_in_use_is_refused() -> None:
    image = photo().quantize(16)
    with pytest.raises(DataError, match=r"transparent"):
        decode(encoded(image, transparency=int(np.asarray(image)[0, 0])), "x")


@pytest.mark.parametrize(("kind", "what"), [("GIF", "2 frames"), ("TIFF", "2 frames"), ("WEBP", "2 frames")])
def test_several_frames_are_refused(kind: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        decode(encoded(photo(), kind, save_all=True, append_images=[photo(side=64).rotate(90)]), "x")


def test_an_exif_orientation_is_applied_and_said() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(pixels(3, 4, 6))
    found = decode(encoded(image, "PNG", exif=exif), "x")
    assert np.array_equal(found.pixels, np.rot90(pixels(3, 4, 6), -1))
    assert found.conversions == ("turned upright as its EXIF orientation says",)


def test_files_that_are_missing_empty_or_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for name, found in [("empty.png", "0 bytes"), ("folder.png", "a folder"), ("none.png", "no such file")]:
        with pytest.raises(DataError, match=found) as caught:
            read_bytes(tmp_path / name, f"case {name}")
        assert str(tmp_path) not in str(caught.value)

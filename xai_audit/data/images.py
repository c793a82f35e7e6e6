"""Decoding an image file: whole or not at all, and every conversion named."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from xai_audit.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
LARGEST_FILE = 256 * 2**20
"""Bytes of one image file."""
LARGEST_IMAGE = 80_000_000
"""Pixels of one image; a file that claims more is refused before it is decoded."""
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class Decoded:
    """An image as it is audited."""

    pixels: NDArray[np.uint8]
    """(H, W, C), C 1 or 3."""
    conversions: tuple[str, ...]
    """What was done to the stored pixels, in words."""


def read_bytes(path: Path, where: str) -> bytes:
    """The bytes of an image or mask file; DataError if it is missing, a folder, empty or too large."""
    expected, fix = "an image file", "Restore the file, or correct the path in the table."
    try:
        if path.is_dir():
            raise DataError(where, "a folder", expected, fix)
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise DataError(where, f"a file of {size} bytes", f"at most {LARGEST_FILE} bytes", "Store a smaller image.")
        data = path.read_bytes()
    except FileNotFoundError:
        hint = ' It has "\\" in it; write "/" between folders.' if "\\" in path.name else ""
        raise DataError(where, "no such file", expected, fix + hint) from None
    except OSError as error:
        raise DataError(
            where, f"a file that cannot be read ({error.strerror})", expected, "Check its permissions."
        ) from None
    if not data:
        raise DataError(where, "an empty file (0 bytes)", expected, fix)
    return data


def decode(data: bytes, where: str) -> Decoded:
    """The image in `data`, upright, grey or RGB, 8 bits a channel.

    Raises DataError for anything truncated, damaged, animated, transparent, too large, or in a colour space whose
    conversion would be a guess (CMYK, Lab, float).
    """
    with whole_images_only(where):
        image = opened(data, where)
        _refuse_frames(image, where)
        conversions = []
        if image.format == "MPO":
            conversions.append("multi-picture JPEG: its first picture")
        if image.info.get("icc_profile"):
            conversions.append("embedded colour profile not applied")
        if _is_deep_png(data, image):
            conversions.append("16 to 8 bits a channel: the high byte")
        upright = _upright(image, conversions)
        pixels = _to_grey_or_rgb(upright, conversions, where)
    return Decoded(pixels, tuple(conversions))


def opened(data: bytes, where: str) -> Image.Image:
    """A Pillow image whose pixels have all been read; to be called inside `whole_images_only`."""
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _refuse_size(image, where)
    _check_end(data, image.format, where)
    image.load()
    return image


@contextmanager
def whole_images_only(where: str) -> Iterator[None]:
    """Whatever Pillow raises becomes a DataError, and truncated images are refused.

    Pillow fills them with grey if any other package has set LOAD_TRUNCATED_IMAGES; never in here.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except DataError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        count = re.search("[0-9]+", str(error))
        raise _too_large(where, count[0] if count else "more") from None
    except UnidentifiedImageError:
        raise DataError(
            where, "a file that is no image", f"one of: {', '.join(FORMATS)}", "Restore the file, or leave the row out."
        ) from None
    except Exception as error:  # a decoder fed with damaged bytes may raise anything, and all of it is the file's fault
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            where, f"a damaged image ({reason})", "a whole image", "Restore the file from its source."
        ) from None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _refuse_size(image: Image.Image, where: str) -> None:
    if image.width * image.height > LARGEST_IMAGE:
        raise _too_large(where, f"{image.width} x {image.height} = {image.width * image.height}")


def _too_large(where: str, found: str) -> DataError:
    return DataError(
        where, f"{found} pixels", f"at most {LARGEST_IMAGE} pixels", "Store the image smaller or in parts."
    )


def _check_end(data: bytes, kind: str | None, where: str) -> None:
    """Pillow accepts a file that ends early as long as the pixels are there, and skips checksums of pixel data."""
    whole = True
    if kind in ("JPEG", "MPO"):
        whole = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    elif kind == "PNG":
        whole = _png_is_whole(data)
    if not whole:
        raise DataError(where, "a truncated or damaged image", "a whole image", "Restore the file from its source.")


def _png_is_whole(data: bytes) -> bool:
    """Whether every chunk is there up to IEND and has the checksum that it states (PNG specification, section 5.3)."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _refuse_frames(image: Image.Image, where: str) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise DataError(
            where, f"{frames} frames or pages", "a single image", "Store the frame to be audited as its own file."
        )


def _is_deep_png(data: bytes, image: Image.Image) -> bool:
    return image.format == "PNG" and data[24] == 16 and image.mode not in SIXTEEN_BIT


def _upright(image: Image.Image, conversions: list[str]) -> Image.Image:
    if image.getexif().get(ExifTags.Base.Orientation, 1) in (0, 1):
        return image
    turned = ImageOps.exif_transpose(image)
    conversions.append("turned upright as its EXIF orientation says")
    return turned


def _to_grey_or_rgb(image: Image.Image, conversions: list[str], where: str) -> NDArray[np.uint8]:
    if image.mode in SIXTEEN_BIT:
        conversions.append("16 to 8 bits: full range, 65535 becomes 255")
        wide = np.asarray(image).astype(np.float64)
        return np.rint(wide / 257).astype(np.uint8)[:, :, None]
    if image.mode in ("I", "F", "CMYK", "LAB", "HSV"):
        raise DataError(
            where,
            f"colour mode {image.mode}",
            "grey or RGB with 8 bits a channel, or 16-bit grey",
            "Convert the file to RGB or grey: what its numbers mean cannot be told from the file.",
        )
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = _opaque(image, conversions, where)
    if image.mode == "1":
        conversions.append("1 bit to grey: 0 and 255")
    elif image.mode not in ("L", "RGB"):
        conversions.append(f"{image.mode} to RGB")
    pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _opaque(image: Image.Image, conversions: list[str], where: str) -> Image.Image:
    coloured = image.convert("RGBA")
    lowest = coloured.getchannel("A").getextrema()[0]
    if lowest != 255:
        raise DataError(
            where,
            f"transparent pixels (alpha down to {lowest} of 255)",
            "an opaque image",
            "Flatten the image on the background that the model was trained with.",
        )
    conversions.append("opaque alpha channel dropped")
    return coloured.convert("L" if image.mode in ("L", "LA", "La", "1") else "RGB")

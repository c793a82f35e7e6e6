"""The cat and dog photographs that the two training scripts beside this file read.

The folder is named by the environment variable XAI_AUDIT_PETS and holds `index.csv` (columns file, species, split and
more), `images/` and `masks/`; `fetch_pets.py` makes one.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xai_audit.data.digests import dhash, pixel_digest
from xai_audit.data.images import decode, read_bytes

VARIABLE = "XAI_AUDIT_PETS"
CLASSES = ("cat", "dog")


@dataclass(frozen=True)
class Photograph:
    """One row of the index, as far as training needs it."""

    file: str
    species: str

    @property
    def class_index(self) -> int:
        """Place of the species in CLASSES."""
        return CLASSES.index(self.species)


def pets_folder() -> Path:
    """The folder that XAI_AUDIT_PETS names; exits with advice if it is unset or holds no index.csv."""
    named = os.environ.get(VARIABLE, "")
    if named and (Path(named) / "index.csv").is_file():
        return Path(named)
    found = f'{VARIABLE} is "{named}", which holds no index.csv' if named else f"{VARIABLE} is not set"
    raise SystemExit(
        f"{found}; expected a folder with index.csv, images/ and masks/.\n"
        f"Make one with: python audits/pets/fetch_pets.py FOLDER\nthen: export {VARIABLE}=FOLDER"
    )


def read_index(folder: Path, split: str) -> list[Photograph]:
    """The photographs of one split, in the order of the index; exits if there are none."""
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [Photograph(row["file"], row["species"]) for row in csv.DictReader(file) if row["split"] == split]
    if not rows:
        raise SystemExit(f'{folder / "index.csv"} has no row with split "{split}"; make it again with fetch_pets.py')
    return rows


def read_picture(path: Path, resize: int, crop: int) -> Tensor:
    """Pixels in [0, 1], (3, crop, crop): shorter side to `resize` (bicubic), then the centre; rounds as torchvision."""
    with Image.open(path) as image:
        colour = image.convert("RGB")
    shorter = min(colour.size)
    width, height = (int(resize * side / shorter) for side in colour.size)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    resized = colour.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.array(resized.crop((left, top, left + crop, top + crop)))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def read_pictures(folder: Path, photographs: Sequence[Photograph], *, resize: int, crop: int) -> tuple[Tensor, Tensor]:
    """Pictures (cases, 3, crop, crop) in [0, 1] and class indices (cases,)."""
    pictures = torch.stack([read_picture(folder / photograph.file, resize, crop) for photograph in photographs])
    return pictures, torch.tensor([photograph.class_index for photograph in photographs])


def write_training_digests(folder: Path, photographs: Sequence[Photograph], out: Path) -> None:
    """One line a training photograph, `sha256 dhash file`, by which an audit finds cases that were trained on."""
    decoded = {
        photograph.file: decode(read_bytes(folder / photograph.file, photograph.file), photograph.file)
        for photograph in photographs
    }
    out.write_text(
        "".join(f"{pixel_digest(d.pixels)} {dhash(d.pixels)} {file}\n" for file, d in decoded.items()), encoding="utf-8"
    )


def class_weights(labels: Tensor) -> Tensor:
    """Weights that make both classes count the same: their mean over the cases is 1."""
    return len(labels) / (len(CLASSES) * torch.bincount(labels, minlength=len(CLASSES)).float())


def print_figures(name: str, logits: Tensor, labels: Tensor) -> None:
    """Print accuracy beside what always naming the commoner class would reach, and the recall of each class."""
    right = logits.argmax(1) == labels
    recalls = [right[labels == index].double().mean().item() for index in range(len(CLASSES))]
    majority = torch.bincount(labels).max().item() / len(labels)
    by_class = "  ".join(f"recall {c} {r:.3f}" for c, r in zip(CLASSES, recalls, strict=True))
    print(
        f"{name}: n {len(labels)}  accuracy {right.double().mean():.3f} (always the commoner class: {majority:.3f})"
        f"  balanced {sum(recalls) / len(recalls):.3f}  {by_class}"
    )

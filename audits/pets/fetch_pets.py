"""Fetch the Oxford-IIIT Pet photographs and write them as the pets audits read them. Needs a network, about 800 MB.

    python audits/pets/fetch_pets.py FOLDER

The folder then holds `images/` (longest side 256), `masks/` (1-bit, white = animal, drawn from the trimaps, whose
uncertain outline counts as animal) and `index.csv` with one row a photograph: file, mask, species, breed, split (the
publisher's trainval is `train`), width, height, the head's box head_xmin to head_ymax in pixels, brightness (mean grey,
0 to 255) and fg_fraction (share of the picture that is animal). The publisher boxed heads in trainval alone: the cells
of the others are empty, and an audit takes them as not annotated.

The data are CC BY-SA 4.0 (Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012); the photographs' copyright
stays with their owners.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

LONGEST_SIDE = 256
JPEG_QUALITY = 88
SPLITS = {"train": "trainval.txt", "test": "test.txt"}
SPECIES = {"1": "cat", "2": "dog"}
BACKGROUND = 2
"""In the trimaps: 1 animal, 2 background, 3 the outline between them."""


@dataclass(frozen=True)
class Listed:
    """One line of the publisher's lists."""

    name: str
    species: str
    split: str

    @property
    def breed(self) -> str:
        return self.name.rsplit("_", 1)[0]


@dataclass(frozen=True)
class Row:
    """One row of index.csv; the fields are its columns."""

    file: str
    mask: str
    species: str
    breed: str
    split: str
    width: int
    height: int
    head_xmin: str
    head_ymin: str
    head_xmax: str
    head_ymax: str
    brightness: float
    fg_fraction: float


def listed(annotations: Path) -> Iterator[Listed]:
    """Every photograph of both lists, whose lines read: name, class, species, breed; `#` starts a comment."""
    for split, file in SPLITS.items():
        for line in (annotations / file).read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                name, _, species, _ = line.split()
                yield Listed(name, SPECIES[species], split)


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height with the longest side at LONGEST_SIDE; never larger than the picture is."""
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def head_box(path: Path, scale: tuple[float, float]) -> tuple[str, str, str, str]:
    """The head's box in pixels of the resized picture, from a file that counts from 1; four empty cells without one."""
    if not path.is_file():
        return "", "", "", ""
    box = ElementTree.parse(path).find("object/bndbox")
    assert box is not None
    xmin, ymin, xmax, ymax = (float(box.findtext(edge, "")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    across, down = scale
    edges = ((xmin - 1) * across, (ymin - 1) * down, xmax * across, ymax * down)
    first, second, third, fourth = (f"{edge:.2f}" for edge in edges)
    return first, second, third, fourth


def convert_one(source: Path, item: Listed, out: Path) -> Row:
    """Write one photograph and its mask; gives its row of the index."""
    with Image.open(source / "images" / f"{item.name}.jpg") as image:
        picture = image.convert("RGB").resize(fitted(image.size), Image.Resampling.LANCZOS)
        scale = picture.width / image.width, picture.height / image.height
    with Image.open(source / "annotations" / "trimaps" / f"{item.name}.png") as trimap:
        animal = np.asarray(trimap.resize(picture.size, Image.Resampling.NEAREST)) != BACKGROUND
    file, mask = f"images/{item.name}.jpg", f"masks/{item.name}.png"
    picture.save(out / file, quality=JPEG_QUALITY)
    Image.fromarray(animal).convert("1").save(out / mask, optimize=True)
    brightness, share = np.asarray(picture.convert("L")).mean(), animal.mean()
    about = (item.species, item.breed, item.split, *picture.size)
    head = head_box(source / "annotations" / "xmls" / f"{item.name}.xml", scale)
    return Row(file, mask, *about, *head, round(float(brightness), 1), round(float(share), 3))


def convert(source: Path, out: Path) -> int:
    """Turn the publisher's folder (images/, annotations/) into ours; gives the number of photographs."""
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for count, item in enumerate(listed(source / "annotations"), 1):
        rows.append(convert_one(source, item, out))
        if count % 500 == 0:
            print(f"{count} photographs", flush=True)
    with (out / "index.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(Row)])
        table.writerows(astuple(row) for row in sorted(rows, key=lambda row: row.file))
    return len(rows)


def download(folder: Path) -> Path:
    """The publisher's folder, fetched by torchvision below `folder` unless it is already there."""
    from torchvision.datasets import OxfordIIITPet  # only the download needs torch

    for split in ("trainval", "test"):
        OxfordIIITPet(root=str(folder), split=split, target_types="segmentation", download=True)
    return folder / "oxford-iiit-pet"


def main() -> None:
    """Fetch unless a source is given, then convert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write images/, masks/ and index.csv")
    parser.add_argument("--source", type=Path, help="an unpacked oxford-iiit-pet folder, instead of fetching it")
    chosen = parser.parse_args()
    source = chosen.source or download(chosen.folder / "download")
    print(f"wrote {convert(source, chosen.folder)} photographs; now: export XAI_AUDIT_PETS={chosen.folder.resolve()}")


if __name__ == "__main__":
    main()

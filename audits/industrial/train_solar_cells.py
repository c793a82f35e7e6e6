"""Train the example net that sorts solar cells into functional and defective, and write what its audit needs.

Reads the pictures of the pip package `elpv-dataset` (ELPV, CC BY-NC-SA 4.0) and writes beside this script:

- `solar-cells.csv`: the audited cells, which neither trained the net nor chose its settings (the test part);
- `solar-cells-train.digests.txt`: one line a training cell, `sha256 dhash file`, for the overlap check;
- `masks/interior.png`: white inside the cell, black on its frame;
- `weights/solar-cells.safetensors`: the trained net.

Figures of the test part are printed last; every setting below was chosen on the validation part. It runs in one
thread, so the same machine kind and torch version give the same bytes; elsewhere expect figures within about 0.03.
"""

import argparse
import csv
import hashlib
import importlib.util
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from solar_cells_net import build
from torch import Tensor, nn
from torch.nn import functional

from xai_audit.data.digests import dhash, pixel_digest

HERE = Path(__file__).resolve().parent
CLASSES = ("functional", "defective")
SEED = 7
SIZE = 160
EPOCHS = 40
BATCH = 16
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
FRAME_SHARE = 0.06
MEAN, STD = 0.56, 0.185
"""Of the training pixels, in [0, 1]; the audit's YAML carries the same two numbers."""


@dataclass(frozen=True)
class Cell:
    """One photographed cell: its file below the package's `data` folder, and what is known of it."""

    file: str
    probability: float
    type: str
    pixels: NDArray[np.uint8]

    @property
    def label(self) -> str:
        return CLASSES[int(self.probability >= 0.5)]


# --- The pictures and their parts -----------------------------------------------------------------------------------


def data_folder() -> Path:
    """Where the installed package keeps its pictures; exits with advice if it is not installed."""
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise SystemExit("The package elpv-dataset is not installed. Run: pip install elpv-dataset")
    return Path(found.origin).parent / "data"


def read_cells(folder: Path) -> list[Cell]:
    """Every cell of the package, in the order of its table."""
    rows = [line.split() for line in (folder / "labels.csv").read_text().splitlines() if line.strip()]
    return [Cell(file, float(probability), kind, read_pixels(folder / file)) for file, probability, kind in rows]


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Grey values (height, width)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def split(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Three parts with equal shares of each probability and type.

    Cells that look alike (equal difference hash; wafers cut from one block do) stay in one part. The order in which
    they are dealt out is that of a digest of seed and hash, so it depends on no generator.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(dhash(cell.pixels[:, :, None]), []).append(cell)
    strata: dict[tuple[float, str], list[str]] = {}
    for key, members in groups.items():
        strata.setdefault((members[0].probability, members[0].type), []).append(key)
    parts: dict[str, list[Cell]] = {name: [] for name in SHARES}
    for keys in strata.values():
        keys.sort(key=lambda key: hashlib.sha256(f"{SEED}:{key}".encode()).hexdigest())
        for position, key in enumerate(keys):
            parts[part_at((position + 0.5) / len(keys))] += groups[key]
    return {name: sorted(members, key=lambda cell: cell.file) for name, members in parts.items()}


def part_at(share: float) -> str:
    """Name of the part in which a place between 0 and 1 falls."""
    if share < SHARES["train"]:
        return "train"
    return "validation" if share < SHARES["train"] + SHARES["validation"] else "test"


# --- What the audit reads -------------------------------------------------------------------------------------------


def write_index(cells: Sequence[Cell], path: Path) -> None:
    """The table that the audit reads, one row a cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["cell", "file", "label", "defect_probability", "type", "brightness", "interior"])
        for cell in cells:
            brightness = f"{cell.pixels.mean():.1f}"
            known = [f"{cell.probability:.3f}", cell.type, brightness]
            table.writerow([Path(cell.file).stem, cell.file, cell.label, *known, "masks/interior.png"])


def write_digests(cells: Sequence[Cell], path: Path) -> None:
    """One line a cell: `sha256 dhash file`."""
    pictures = [(cell.pixels[:, :, None], cell.file) for cell in cells]
    lines = [f"{pixel_digest(pixels)} {dhash(pixels)} {file}\n" for pixels, file in pictures]
    path.write_text("".join(lines), encoding="utf-8")


def write_interior_mask(shape: tuple[int, int], path: Path) -> None:
    """White but for a frame of 6 % of the side, where the cell's edge and its neighbours show."""
    height, width = shape
    top, left = round(FRAME_SHARE * height), round(FRAME_SHARE * width)
    mask = np.zeros(shape, dtype=np.uint8)
    mask[top : height - top, left : width - left] = 255
    Image.fromarray(mask).convert("1").save(path, optimize=True)


# --- Training -------------------------------------------------------------------------------------------------------


def tensors(cells: Sequence[Cell]) -> tuple[Tensor, Tensor]:
    """Normalised pictures (cells, 1, SIZE, SIZE) and the annotators' defect probabilities (cells,)."""
    small = [Image.fromarray(c.pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for c in cells]
    pictures = torch.from_numpy(np.stack([np.asarray(image) for image in small])).unsqueeze(1).float() / 255
    return (pictures - MEAN) / STD, torch.tensor([c.probability for c in cells])


def class_weights(probabilities: Tensor) -> Tensor:
    """Weights that make both classes count the same, from the hard labels of the training part."""
    defective = (probabilities >= 0.5).float().mean()
    return torch.stack([0.5 / (1 - defective), 0.5 / defective])


def batches(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of one epoch in a drawn order, BATCH at a time; what is left over waits for another epoch."""
    order = torch.randperm(count, generator=generator)
    yield from order[: count - count % BATCH].split(BATCH)


def turned(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture in one of the eight ways that a square can be turned and mirrored, slightly brighter or darker."""
    ways = torch.randint(8, (len(pictures),), generator=generator).tolist()
    out = [torch.rot90(p.flip(2) if way >= 4 else p, way % 4, (1, 2)) for p, way in zip(pictures, ways, strict=True)]
    gain = 1 + 0.1 * torch.randn(len(pictures), 1, 1, 1, generator=generator)
    shift = 0.1 * torch.randn(len(pictures), 1, 1, 1, generator=generator)
    return (torch.stack(out) * gain + shift).contiguous(memory_format=torch.channels_last)


def loss_of(logits: Tensor, probabilities: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy against the annotators' probability, so a doubtful cell pulls less than a sure one."""
    targets = torch.stack([1 - probabilities, probabilities], 1) * weights
    return -(targets * functional.log_softmax(logits, 1)).sum(1).mean()


def train(pictures: Tensor, probabilities: Tensor, validation: Sequence[Cell]) -> nn.Module:
    """The net after EPOCHS epochs, in eval mode; the validation part is only looked at."""
    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    net = build().to(memory_format=torch.channels_last)
    weights = class_weights(probabilities)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * (len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for rows in batches(len(pictures), generator):
            loss = loss_of(net.train()(turned(pictures[rows], generator)), probabilities[rows], weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch:2d}/{EPOCHS}  loss {total / (len(pictures) // BATCH):.3f}", flush=True)
        if epoch % 5 == 0 or epoch == EPOCHS:
            report("validation", net, validation)
    return net.eval().to(memory_format=torch.contiguous_format)


# --- Figures --------------------------------------------------------------------------------------------------------


def scores(net: nn.Module, cells: Sequence[Cell]) -> NDArray[np.float64]:
    """The net's probability of a defect, one a cell."""
    with torch.inference_mode():
        logits = torch.cat([net.eval()(batch) for batch in tensors(cells)[0].split(64)])
    return functional.softmax(logits, 1)[:, 1].double().numpy()


def report(name: str, net: nn.Module, cells: Sequence[Cell]) -> None:
    """Print the figures of all cells and of each cell type."""
    probability = scores(net, cells)
    defective = np.array([cell.label == "defective" for cell in cells])
    kinds = np.array([cell.type for cell in cells])
    for kind in ("all", "mono", "poly"):
        chosen = np.ones(len(cells), bool) if kind == "all" else kinds == kind
        print(f"  {name} {kind:4s} {figures(defective[chosen], probability[chosen])}", flush=True)


def figures(truth: NDArray[np.bool_], probability: NDArray[np.float64]) -> str:
    """One line: cases and how well the probability of a defect tells the true defects apart."""
    said = probability >= 0.5
    accuracy, balanced = (said == truth).mean(), balanced_accuracy_score(truth, said)
    recall, area = said[truth].mean(), roc_auc_score(truth, probability)
    return f"n {len(truth)}  accuracy {accuracy:.3f}  balanced {balanced:.3f}  recall {recall:.3f}  AUROC {area:.3f}"


# --- Command --------------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "weights" / "solar-cells.safetensors", help="weights file")
    parser.add_argument("--index-only", action="store_true", help="write the index, digests and mask; do not train")
    return parser.parse_args()


def make_repeatable() -> None:
    """One thread and deterministic kernels: sums are added in one order. Two threads are hardly faster here."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def main() -> None:
    """Split, write what the audit reads, train, save, report."""
    chosen = arguments()
    make_repeatable()
    parts = split(read_cells(data_folder()))
    for name, cells in parts.items():
        print(f"{name}: {len(cells)} cells, {dict(sorted(Counter(f'{c.type} {c.label}' for c in cells).items()))}")
    write_index(parts["test"], HERE / "solar-cells.csv")
    write_digests(parts["train"], HERE / "solar-cells-train.digests.txt")
    write_interior_mask((300, 300), HERE / "masks" / "interior.png")
    if chosen.index_only:
        return
    begun = time.monotonic()
    net = train(*tensors(parts["train"]), parts["validation"])
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_bytes(save(net.state_dict()))
    print(f"trained in {time.monotonic() - begun:.0f} s; wrote {chosen.out.name}, {chosen.out.stat().st_size} bytes")
    print(f"sha256 {hashlib.sha256(chosen.out.read_bytes()).hexdigest()}")
    report("test", net, parts["test"])


if __name__ == "__main__":
    main()

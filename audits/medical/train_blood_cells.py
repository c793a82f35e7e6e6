"""Train the example net that names single blood cells, and write what its audit needs.

Reads the smear pictures below XAI_AUDIT_BLOOD_CELLS (BCCD, MIT licence) that the audit does not read: those named under
`data.where` of `blood-cells.yaml` are audited, every other one trains. Cells are cut out as the audit cuts them. Writes
beside this script:

- `blood-cells-train.digests.txt`: one line a training cell, `sha256 dhash case`, for the overlap check;
- `weights/blood-cells.safetensors`: the trained net.

Every setting was chosen on the last sixth of the training pictures (`--validate`), and the audited ones chose nothing.
It runs in one thread, so the same machine kind and torch version give the same bytes; elsewhere expect figures within
about 0.02.
"""

import argparse
import csv
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from blood_cells_net import build
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from xai_audit.data.digests import dhash, pixel_digest
from xai_audit.data.preprocess import prepare
from xai_audit.data.sources import Dataset, open_dataset
from xai_audit.evidence.paths import resolve
from xai_audit.spec.load import load_spec
from xai_audit.spec.schema import AuditSpec, Filter, ImageTable

HERE = Path(__file__).resolve().parent
SEED = 7
EPOCHS = 24
DRAWN = 400
"""Cells of each kind in an epoch: all kinds count the same, though there are eleven red cells to one white."""
BATCH = 24
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02


# --- The cells and their parts --------------------------------------------------------------------------------------


def pictures(spec: AuditSpec) -> list[str]:
    """Every picture of the data, by name, in the order of their numbers."""
    assert isinstance(spec.data.source, ImageTable) and spec.data.source.root is not None
    folder = resolve(spec.data.source.root, HERE, "data.source.root")
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        return sorted(row["file"] for row in csv.DictReader(file))


def training_pictures(spec: AuditSpec) -> list[str]:
    """The pictures that the audit does not read."""
    audited = set(spec.data.where["file"].in_ or ())
    return [name for name in pictures(spec) if name not in audited]


def cells_of(spec: AuditSpec, names: Sequence[str]) -> Dataset:
    """The cells of these pictures, cut out as the audit cuts them; a box that is none is left out."""
    changed = {"where": {"file": Filter.model_validate({"in": tuple(names)})}, "masks": {}, "on_bad_case": "record"}
    return open_dataset(spec.model_copy(update={"data": spec.data.model_copy(update=changed), "slices": ()}), HERE)


def tensors(cells: Dataset, spec: AuditSpec) -> tuple[Tensor, Tensor]:
    """Normalised pictures (cells, 3, height, width) as the net sees them, and class indexes (cells,)."""
    assert spec.model is not None
    given = spec.model.input
    seen = np.stack([prepare(cells.image(index), given) for index in range(len(cells.ids))])
    mean, std = (torch.tensor(numbers).reshape(1, -1, 1, 1) for numbers in (given.mean, given.std))
    return (torch.from_numpy(seen) - mean) / std, torch.from_numpy(cells.labels)


def write_digests(cells: Dataset, path: Path) -> None:
    """One line a training cell, by which an audit finds cases that were trained on."""
    images = ((case, cells.image(index)) for index, case in enumerate(cells.ids))
    path.write_text("".join(f"{pixel_digest(i)} {dhash(i)} {case}\n" for case, i in images), encoding="utf-8")


# --- Training -------------------------------------------------------------------------------------------------------


def batches(labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of one epoch in a drawn order: DRAWN of each kind, with replacement, BATCH at a time."""
    of_kind = [torch.nonzero(labels == kind)[:, 0] for kind in labels.unique()]
    drawn = torch.cat([rows[torch.randint(len(rows), (DRAWN,), generator=generator)] for rows in of_kind])
    yield from drawn[torch.randperm(len(drawn), generator=generator)].split(BATCH)


def turned(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture in one of the eight ways that a square can be turned and mirrored, its colours slightly changed."""
    ways = torch.randint(8, (len(pictures),), generator=generator).tolist()
    out = [torch.rot90(p.flip(2) if way >= 4 else p, way % 4, (1, 2)) for p, way in zip(pictures, ways, strict=True)]
    gain = 1 + 0.1 * torch.randn(len(pictures), 3, 1, 1, generator=generator)
    shift = 0.1 * torch.randn(len(pictures), 3, 1, 1, generator=generator)
    return torch.stack(out) * gain + shift


def train(pictures: Tensor, labels: Tensor) -> nn.Module:
    """The net after EPOCHS epochs, in eval mode."""
    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    net = build()
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * sum(1 for _ in batches(labels, torch.Generator()))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    for epoch in range(1, EPOCHS + 1):
        total, count = 0.0, 0
        for rows in batches(labels, generator):
            loss = functional.cross_entropy(net.train()(turned(pictures[rows], generator)), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total, count = total + loss.item(), count + 1
        print(f"epoch {epoch:2d}/{EPOCHS}  loss {total / count:.3f}", flush=True)
    return net.eval()


# --- Figures --------------------------------------------------------------------------------------------------------


def report(name: str, net: nn.Module, pictures: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
    """Print how many cells of each kind are named rightly."""
    with torch.inference_mode():
        said = torch.cat([net(batch) for batch in pictures.split(64)]).argmax(1)
    shares = [(said[labels == kind] == kind).double().mean().item() for kind in range(len(classes))]
    by_kind = "  ".join(f"{kind} {share:.3f}" for kind, share in zip(classes, shares, strict=True))
    print(f"{name}: n {len(labels)}  balanced {sum(shares) / len(shares):.3f}  {by_kind}", flush=True)


# --- Command --------------------------------------------------------------------------------------------------------


def make_repeatable() -> None:
    """One thread and deterministic kernels: sums are added in one order."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def main() -> None:
    """Cut out, write digests, train, save, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "weights" / "blood-cells.safetensors", help="weights file")
    parser.add_argument("--validate", action="store_true", help="hold back a sixth of the pictures; write nothing")
    parser.add_argument("--digests-only", action="store_true", help="write the digests; do not train")
    chosen = parser.parse_args()
    make_repeatable()
    spec = load_spec(HERE / "blood-cells.yaml").spec
    names, classes = training_pictures(spec), spec.classes
    if chosen.validate:
        kept = len(names) * 5 // 6
        net = train(*tensors(cells_of(spec, names[:kept]), spec))
        report("held back", net, *tensors(cells_of(spec, names[kept:]), spec), classes)
        return
    cells = cells_of(spec, names)
    write_digests(cells, HERE / "blood-cells-train.digests.txt")
    if chosen.digests_only:
        return
    begun = time.monotonic()
    net = train(*tensors(cells, spec))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_bytes(save(net.state_dict()))
    print(f"trained in {time.monotonic() - begun:.0f} s; wrote {chosen.out.name}, {chosen.out.stat().st_size} bytes")
    print(f"sha256 {hashlib.sha256(chosen.out.read_bytes()).hexdigest()}")
    report("training", net, *tensors(cells, spec), classes)
    audited = sorted(str(name) for name in spec.data.where["file"].in_ or ())
    report("audited", net, *tensors(cells_of(spec, audited), spec), classes)


if __name__ == "__main__":
    main()

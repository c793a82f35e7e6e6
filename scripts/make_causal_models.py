"""Train the nets of the audits of made-up pictures, and write their weights beside the audits.

    python scripts/make_causal_models.py [audit ...]

Each audit names its world, coefficients and seed under `data.source`; training takes units of the same world far above
those that are audited, so that no unit is in both. One thread and fixed seeds: the same machine kind and torch version
give the same bytes. About a minute a net on one processor. Prints the sha256 that the audit must name.
"""

import argparse
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from xai_audit.spec.load import load_spec
from xai_audit.spec.schema import Generator, ModelInput
from xai_audit.synthetic.small_net import build
from xai_audit.synthetic.units import Unit
from xai_audit.synthetic.worlds import world_of

AUDITS = Path(__file__).resolve().parent.parent / "audits"
FIRST = 1_000_000
"""Number of the first unit that trains."""
SEED = 7
BATCH = 32
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Recipe:
    """How one net is trained."""

    audit: str
    units: int
    epochs: int


RECIPES = (
    Recipe("medical/chest-token", 2000, 6),
    Recipe("medical/chest-token-only", 2000, 6),
    Recipe("automotive/traffic-signs", 3000, 10),
    Recipe("finance/document-tampering", 2500, 8),
    Recipe("industrial/metal-surface", 2000, 8),
)


def tensors(units: list[Unit], label: str, given: ModelInput) -> tuple[Tensor, Tensor]:
    """Normalised pictures (units, channels, height, width), and places of levels (units,)."""
    pictures = np.stack([unit.picture for unit in units])
    channels = pictures[:, None] if pictures.ndim == 3 else np.moveaxis(pictures, 3, 1)
    mean, std = (torch.tensor(numbers).reshape(1, -1, 1, 1) for numbers in (given.mean, given.std))
    labels = torch.tensor([int(unit.row[label]) for unit in units])
    return (torch.from_numpy(np.ascontiguousarray(channels)) - mean) / std, labels


def train(pictures: Tensor, labels: Tensor, net: nn.Module, epochs: int) -> nn.Module:
    """The net after its epochs, in eval mode."""
    generator = torch.Generator().manual_seed(SEED)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(labels), generator=generator).split(BATCH):
            loss = functional.cross_entropy(net.train()(pictures[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"  epoch {epoch:2d}/{epochs}  loss {total / len(labels):.3f}", flush=True)
    return net.eval()


def make(recipe: Recipe) -> None:
    """Train one net, write its weights and print what it says of the audited units."""
    path = AUDITS / f"{recipe.audit}.yaml"
    spec = load_spec(path).spec
    source, model = spec.data.source, spec.model
    assert isinstance(source, Generator) and model is not None and isinstance(model.input, ModelInput)
    world = world_of(source.name, source.coefficients)
    begun = time.monotonic()
    training = world.sample(recipe.units, source.seed, first=FIRST)
    torch.manual_seed(SEED)
    net = train(*tensors(training, source.label, model.input), build(**dict(model.arguments)), recipe.epochs)
    out = path.parent / "weights" / f"{path.stem}.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(save(net.state_dict()))
    print(f"{recipe.audit}: {time.monotonic() - begun:.0f} s, {out.stat().st_size} bytes")
    print(f"sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")
    audited = world.sample(source.count, source.seed, first=source.first)
    pictures, labels = tensors(audited, source.label, model.input)
    with torch.inference_mode():
        said = torch.cat([net(batch) for batch in pictures.split(100)]).argmax(1)
    shares = [f"{(said[labels == place] == place).double().mean():.3f}" for place in range(len(spec.classes))]
    print(f"accuracy {(said == labels).double().mean():.3f}; by class {' '.join(shares)}", flush=True)


def main() -> None:
    """Train the nets of the named audits, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audits", nargs="*", help="names such as medical/chest-token; default: all")
    chosen = parser.parse_args().audits
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for recipe in RECIPES:
        if not chosen or recipe.audit in chosen:
            make(recipe)


if __name__ == "__main__":
    main()

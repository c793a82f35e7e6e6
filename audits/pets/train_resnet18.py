"""Train torchvision's ResNet-18 from scratch on 185 photographs of cats and dogs: a poor net, which its audit must say.

Reads the `train` photographs below XAI_AUDIT_PETS, writes `weights/resnet18.safetensors` (45 MB, not in git) and prints
the figures of the `test` photographs, which chose nothing. Takes two to four minutes. The same machine kind and torch
version give the same bytes; elsewhere the figures may move by several cases, for so little training settles little.
"""

import argparse
import hashlib
import time
from pathlib import Path

import torch
from pets_data import (
    CLASSES,
    class_weights,
    pets_folder,
    print_figures,
    read_index,
    read_pictures,
    write_training_digests,
)
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

HERE = Path(__file__).resolve().parent
SEED = 7
SIZE = 160
EPOCHS = 10
BATCH = 16
LEARNING_RATE = 1e-3
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def mirrored(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture as it is or left-right reversed, by chance."""
    flip = torch.rand(len(pictures), generator=generator) < 0.5
    return torch.where(flip.view(-1, 1, 1, 1), pictures.flip(3), pictures)


def train(pictures: Tensor, labels: Tensor) -> nn.Module:
    """The net after EPOCHS epochs, in eval mode."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    net = resnet18(num_classes=len(CLASSES)).to(memory_format=torch.channels_last).train()
    weights = class_weights(labels)
    per_epoch = len(labels) // BATCH
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=EPOCHS * per_epoch)
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for rows in torch.randperm(len(labels), generator=generator)[: per_epoch * BATCH].split(BATCH):
            logits = net(mirrored(pictures[rows], generator))
            loss = functional.cross_entropy(logits, labels[rows], weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch:2d}/{EPOCHS}  loss {total / per_epoch:.3f}", flush=True)
    return net.eval().to(memory_format=torch.contiguous_format)


def logits_of(net: nn.Module, pictures: Tensor) -> Tensor:
    """Logits (cases, 2)."""
    with torch.inference_mode():
        return torch.cat([net(batch) for batch in pictures.split(16)])


def main() -> None:
    """Read, train, save, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "weights" / "resnet18.safetensors", help="weights file")
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    begun = time.monotonic()
    folder, pictures, labels = pets_folder(), {}, {}
    for part in ("train", "test"):
        pixels, labels[part] = read_pictures(folder, read_index(folder, part), resize=SIZE, crop=SIZE)
        pictures[part] = (pixels - MEAN) / STD
    write_training_digests(folder, read_index(folder, "train"), HERE / "resnet18-train.digests.txt")
    net = train(pictures["train"], labels["train"])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(save(net.state_dict()))
    print(f"done in {time.monotonic() - begun:.0f} s; wrote {out.name}, {out.stat().st_size} bytes")
    print(f"sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")
    for part in ("train", "test"):
        print_figures(part, logits_of(net, pictures[part]), labels[part])


if __name__ == "__main__":
    main()

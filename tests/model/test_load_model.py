from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from xai_audit.errors import InputError, ModelError
from xai_audit.model.guard import left_as_found
from xai_audit.model.load import in_fast_format, load_model
from xai_audit.model.state import check_materialised, state_digest
from xai_audit.model.weights import distributions_of, source_digest, weights_digest
from xai_audit.spec.schema import Model, Weights

NET = """\
from torch import nn

def build(width=4, classes=3):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))

def broken():
    net = build()
    return net.head

def unknown_import():
    import not_installed_anywhere

def stops():
    raise SystemExit("enough")

def number():
    return 3

def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))

answer = 42
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def spec(factory: str = "net.py:build", weights: Weights | None = None, **more: Any) -> Model:
    return nets.model_spec().model_copy(update={"factory": factory, "weights": weights, **more})


def state(**change: Tensor) -> dict[str, Tensor]:
    tensors = {
        "0.weight": torch.ones(4, 3, 3, 3),
        "0.bias": torch.zeros(4),
        "3.weight": torch.ones(3, 4),
        "3.bias": torch.tensor([1.0, 2.0, 3.0]),
    }
    return {**tensors, **change}


def saved(folder: Path, tensors: dict[str, Tensor], name: str = "w.safetensors") -> Weights:
    save_file(tensors, folder / name)
    return Weights(file=name)


def error(folder: Path, model: Model) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(model, folder)
    message = str(caught.value)
    assert str(folder) not in message
    assert "Traceback" not in message
    return message


def test_weights_file_is_read_and_named_by_its_digest(folder: Path) -> None:
    model = load_model(spec(weights=saved(folder, state())), folder)
    assert model.digest == hashlib.sha256((folder / "w.safetensors").read_bytes()).hexdigest()
    assert model.digest_kind == "file"
    assert model.parameters == 4 * 27 + 4 + 12 + 3
    assert model.architecture == "Sequential"
    scores = model.scores(torch.zeros(2, 3, 16, 16))
    assert scores.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert not model.module.training


def test_torch_file_is_read(folder: Path) -> None:
    torch.save(state(), folder / "w.pt")
    model = load_model(spec(weights=Weights(file="w.pt")), folder)
    assert model.scores(torch.zeros(1, 3, 16, 16)).tolist() == [[1, 2, 3]]


def test_without_weights_the_digest_is_of_the_state_dict(folder: Path) -> None:
    (folder / "net.py").write_text(
        NET.replace(
            "return nn.Sequential(nn.C", "import torch\n    torch.manual_seed(width)\n    return nn.Sequential(nn.C"
        )
    )
    four, again = load_model(spec(), folder), load_model(spec(), folder)
    five = load_model(spec(arguments={"width": 5}), folder)
    assert four.digest_kind == "state_dict"
    assert four.digest == again.digest != five.digest


def test_global_random_state_is_kept(folder: Path) -> None:
    before = torch.get_rng_state()
    load_model(spec(), folder)
    assert torch.equal(before, torch.get_rng_state())


def test_neither_path_nor_bytecode_is_left_behind(folder: Path) -> None:
    path = list(sys.path)
    load_model(spec(), folder)
    assert sys.path == path
    assert sorted(entry.name for entry in folder.iterdir()) == ["net.py"]


def test_two_files_of_one_name_do_not_meet(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "net.py").write_text(NET.replace("width=4", "width=7"))
    assert load_model(spec(), folder).parameters != load_model(spec(), other).parameters


def test_an_edited_file_is_read_again(folder: Path) -> None:
    before = load_model(spec(), folder).parameters
    (folder / "net.py").write_text(NET.replace("width=4", "width=7"))
    assert load_model(spec(), folder).parameters != before


def test_dotted_paths_with_dot_or_colon(folder: Path) -> None:
    for factory in ("torchvision.models.squeezenet1_1", "torchvision.models:squeezenet1_1"):
        assert load_model(spec(factory, arguments={"num_classes": 3}), folder).architecture == "SqueezeNet"


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("net.py:biuld", r"no such function.*Did you mean build"),
        ("net.py:answer", r"found a int; expected a function answer in net.py"),
        ("other.py:build", r"no file other.py.*Python files beside the spec: net.py"),
        ("../net.py:build", r"\.\./net.py, outside the spec's folder"),
        ("net.py:broken", r"AttributeError: .*head.* \(at net.py:8\)"),
        (
            "net.py:unknown_import",
            r"ModuleNotFoundError: .*not_installed_anywhere.* \(at net.py:11\).*Install that package",
        ),
        ("net.py:stops", r"SystemExit: enough \(at net.py:14\)"),
        ("net.py:number", r"returned a int; expected a torch.nn.Module"),
        ("net.py:lazy", r"lazy parameters: 1.weight, 1.bias"),
        ("not_there.models.net", r"no module 'not_there'.*Install"),
        ("torchvision.modles.resnet18", r"no module 'torchvision.modles'"),
        (
            "torchvision.models.resnet81",
            r"no such function; expected a function resnet81 in torchvision.models. Did you mean resnet18",
        ),
    ],
)
def test_wrong_factory_is_told(folder: Path, factory: str, told: str) -> None:
    message = error(folder, spec(factory))
    assert re.search(told, message), message


def test_an_error_inside_a_package_is_told_with_its_line(folder: Path) -> None:
    message = error(folder, spec("torchvision.models.resnet18", arguments={"num_classes": -1}))
    assert re.search(r"RuntimeError: .* \(at torch/nn/\S+\.py:\d+\)", message), message


def test_a_class_instead_of_a_net_is_told(folder: Path) -> None:
    (folder / "net.py").write_text("from torch import nn\ndef build():\n    return nn.Identity\n")
    assert "returned a class: call it in the factory" in error(folder, spec())


def test_syntax_error_is_told_with_its_line(folder: Path) -> None:
    (folder / "net.py").write_text("import torch\n\ndef build(:\n    pass\n")
    assert "SyntaxError" in (message := error(folder, spec()))
    assert "net.py:3" in message


def test_error_while_importing_is_told_with_its_line(folder: Path) -> None:
    (folder / "net.py").write_text("import torch\nx = 1 / 0\n")
    assert "ZeroDivisionError: division by zero (at net.py:2)" in error(folder, spec())


def test_paths_in_a_message_are_cut(folder: Path) -> None:
    (folder / "net.py").write_text(
        f"def build():\n    raise FileNotFoundError({str(folder / 'x' / 'head.pt')!r} + ' is missing')\n"
    )
    assert "FileNotFoundError: x/head.pt is missing" in error(folder, spec())


def test_a_file_beside_the_factory_is_not_imported(folder: Path) -> None:
    (folder / "parts.py").write_text("x = 1\n")
    (folder / "net.py").write_text("import parts\n")
    assert "A factory file imports installed packages only" in error(folder, spec())


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    (other / "far.py").write_text(NET)
    (folder / "near.py").symlink_to(other / "far.py")
    assert "outside the spec's folder" in error(folder, spec("near.py:build"))


@pytest.mark.parametrize("arguments", [{"clases": 3}, {"width": 1, "depth": 2}])
def test_wrong_arguments_are_explained_with_the_signature(folder: Path, arguments: dict[str, Any]) -> None:
    message = error(folder, spec(arguments=arguments))
    assert message.startswith("model.arguments:")
    assert "net.py:build(width=4, classes=3)" in message


def test_missing_file_prints_the_command_that_makes_it(folder: Path) -> None:
    message = error(folder, spec(weights=Weights(file="w.pt", made_by="python train.py")))
    assert message == (
        "model.weights.file: found no file w.pt; expected a .safetensors, .pt or .pth file. "
        "Make it with: python train.py"
    )
    assert "Put the file there" in error(folder, spec(weights=Weights(file="w.pt")))


def test_wrong_digest_shows_both(folder: Path) -> None:
    weights = saved(folder, state())
    right = hashlib.sha256((folder / weights.file).read_bytes()).hexdigest()
    message = error(folder, spec(weights=weights.model_copy(update={"sha256": "0" * 64})))
    assert right in message
    assert "0" * 64 in message
    assert weights_digest(spec(weights=weights.model_copy(update={"sha256": right})), folder) == right


def test_mismatch_lists_names_and_shapes(folder: Path) -> None:
    tensors = state(**{"0.weight": torch.ones(4, 1, 3, 3), "extra": torch.ones(1)})
    del tensors["3.bias"]
    message = error(folder, spec(weights=saved(folder, tensors)))
    assert "1 missing: 3.bias; 1 unexpected: extra" in message
    assert "1 of another shape: 0.weight (4, 1, 3, 3) in the file, (4, 3, 3, 3) in the model" in message


def test_long_lists_are_cut_at_ten(folder: Path) -> None:
    tensors = state(**{f"more{k:02}": torch.ones(1) for k in range(25)})
    message = error(folder, spec(weights=saved(folder, tensors)))
    assert "25 unexpected: more00, " in message
    assert "more09 and 15 more" in message
    assert "more10" not in message


def test_prefix_is_named_and_not_stripped(folder: Path) -> None:
    message = error(folder, spec(weights=saved(folder, {f"module.{k}": v for k, v in state().items()})))
    assert "begins with 'module.' (saved from DataParallel)" in message


def test_tied_tensors_may_be_stored_once(folder: Path) -> None:
    (folder / "net.py").write_text(
        "from torch import nn\ndef build():\n"
        "    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 3), nn.Linear(3, 3), nn.Linear(3, 3))\n"
        "    net[3].weight = net[2].weight\n    return net\n"
    )
    tensors = {"1.weight": torch.ones(3, 768), "2.weight": torch.eye(3)}
    tensors |= {f"{k}.bias": torch.ones(3) for k in (1, 2, 3)}
    model = load_model(spec(weights=saved(folder, tensors)), folder)
    assert torch.equal(model.module[3].weight, torch.eye(3))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    message = error(folder, spec(weights=saved(folder, state(**{"0.bias": torch.tensor([0.0, value, 0, 0])}))))
    assert "NaN or infinite values in 1 tensor: 0.bias" in message


def test_a_checkpoint_is_refused_with_the_key_of_its_weights(folder: Path) -> None:
    torch.save({"epoch": 3, "state_dict": state()}, folder / "w.pt")
    message = error(folder, spec(weights=Weights(file="w.pt")))
    assert "a checkpoint with keys epoch, state_dict" in message
    assert "torch.save(torch.load('w.pt', weights_only=True)['state_dict'], 'weights.pt')" in message


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("/tmp/never-made-by-a-test",)


def test_a_pickle_that_runs_code_is_refused(folder: Path) -> None:
    torch.save({"w": Evil()}, folder / "w.pt")
    message = error(folder, spec(weights=Weights(file="w.pt")))
    assert "a pickle that must run code to be read" in message
    assert "safetensors.torch.save_file" in message
    assert not Path("/tmp/never-made-by-a-test").exists()


def test_a_pickled_module_is_refused(folder: Path) -> None:
    torch.save(nn.Linear(2, 2), folder / "w.pt")
    assert "a pickle that must run code" in error(folder, spec(weights=Weights(file="w.pt")))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04" + b"a" * 50, pickle.dumps([1, 2])])
def test_damaged_file_is_told(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    message = error(folder, spec(weights=Weights(file=name)))
    assert message.startswith(f"model.weights.file: found {name}: ")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_truncated_file_is_told(folder: Path, name: str) -> None:
    saved(folder, state())
    torch.save(state(), folder / "w.pt")
    (folder / name).write_bytes((folder / name).read_bytes()[:-100])
    assert "get it again" in error(folder, spec(weights=Weights(file=name)))


def test_a_list_or_nothing_is_refused(folder: Path) -> None:
    torch.save([torch.ones(1)], folder / "w.pt")
    assert "a list; expected a dictionary of tensors" in error(folder, spec(weights=Weights(file="w.pt")))
    torch.save({}, folder / "w.pt")
    assert "nothing" in error(folder, spec(weights=Weights(file="w.pt")))


def test_precision_of_the_model_is_kept(folder: Path) -> None:
    half = {key: value.half() for key, value in state().items()}
    assert load_model(spec(weights=saved(folder, half)), folder).dtype == torch.float32
    (folder / "net.py").write_text(NET.replace("nn.Linear(width, classes))", "nn.Linear(width, classes)).half()"))
    model = load_model(spec(weights=saved(folder, half)), folder)
    assert model.dtype == torch.float16
    assert model.scores(torch.zeros(1, 3, 16, 16)).dtype == torch.float32
    assert "4 that would be rounded: 0.weight float32 in the file" in error(
        folder, spec(weights=saved(folder, state()))
    )


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "meta"])
def test_a_device_that_is_not_there_is_told(folder: Path, device: str) -> None:
    with pytest.raises(ModelError, match="--device"):
        load_model(spec(), folder, device)


def test_cuda_without_a_device_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="torch sees no CUDA device"):
        load_model(spec(), folder, "cuda")


def test_source_digest_of_a_file_follows_its_bytes(folder: Path) -> None:
    before = source_digest(spec(), folder)
    assert before == hashlib.sha256(NET.encode()).hexdigest()
    (folder / "net.py").write_text(NET + "\n")
    assert source_digest(spec(), folder) != before


def test_source_digest_of_a_package_is_its_version(folder: Path) -> None:
    assert (
        source_digest(spec("torchvision.models.resnet18"), folder)
        == f"torchvision {importlib.metadata.version('torchvision')}"
    )


def install(folder: Path, name: str, version: str) -> None:
    """A distribution as pip leaves it, with one module of its name."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "RECORD").write_text(f"{name}.py,,\n")
    (folder / f"{name}.py").write_text("")


def test_distributions_are_those_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert distributions_of("early") == ""
    install(tmp_path, "early", "1.2")
    assert distributions_of("early") == "early 1.2", "installed after the first look"
    (tmp_path / "early-1.2.dist-info").rename(tmp_path / "early-1.3.dist-info")
    metadata = tmp_path / "early-1.3.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    assert distributions_of("early") == "early 1.3"
    install(tmp_path / "other", "late", "2.0")
    assert distributions_of("late") == ""
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    assert (distributions_of("late"), distributions_of("early")) == ("late 2.0", "early 1.3")


def test_source_digest_of_code_without_a_distribution(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / "loose").mkdir()
    (folder / "loose" / "__init__.py").write_text("x = 1")
    before = source_digest(spec("loose.build"), folder)
    (folder / "loose" / "__init__.py").write_text("x = 2")
    assert source_digest(spec("loose.build"), folder) != before
    with pytest.raises(InputError, match="no package 'not_there'"):
        source_digest(spec("not_there.build"), folder)


def test_digests_load_no_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "import xai_audit.explain.cost, xai_audit.explain.stages\n"
        "from xai_audit.model.weights import distributions_of, source_digest, weights_digest\n"
        "from xai_audit.spec.schema import Model\n"
        "weights = {'file': 'w.safetensors'}\n"
        "m = Model(factory='net.py:build', task='regression', input={'size': (4, 4)}, weights=weights)\n"
        f"print(weights_digest(m, Path({str(folder)!r})), source_digest(m, Path({str(folder)!r})))\n"
        "sys.exit('torch' in sys.modules)"
    )
    saved(folder, state())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    control = subprocess.run(
        [sys.executable, "-c", "import xai_audit.model.load\n" + code], capture_output=True, text=True, check=False
    )
    assert control.returncode == 1


def test_a_factory_that_draws_its_weights_draws_the_same_for_the_same_seed(folder: Path) -> None:
    before = torch.get_rng_state().tolist()
    first, second, other = (load_model(spec(), folder, seed=seed).digest for seed in (1, 1, 2))
    assert first == second != other
    assert torch.get_rng_state().tolist() == before


# Order in memory


class Viewing(nn.Module):
    """`view` of an output that has places: it fails on channels_last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 16 * 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).view(len(x), -1))


class Solid(nets.GapNet):
    """A weight of five axes beside those of four."""

    def __init__(self) -> None:
        super().__init__()
        self.solid = nn.Conv3d(1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.solid(x[:, None])[:, 0])


@pytest.mark.parametrize(
    ("make", "more", "wanted"),
    [
        (nets.ResidualNet, {}, "channels_last"),
        (lambda: nets.ResidualNet(channels=1), {"channels": 1}, "contiguous"),
        (nets.LinearNet, {}, "contiguous"),
        (nets.FunctionalNet, {}, "contiguous"),
        (Viewing, {}, "contiguous"),
        (nets.PlacesNet, {"task": "segmentation"}, "channels_last"),
        (nets.QuarterDetector, {"task": "detection"}, "channels_last"),
        (Solid, {}, "channels_last"),
    ],
)
def test_convolutions_lie_channels_last_where_the_net_can_take_it(
    make: Callable[[], nn.Module], more: dict[str, Any], wanted: str
) -> None:
    plain, model = nets.audit(nets.seeded(make), **more), in_fast_format(nets.audit(nets.seeded(make), **more))
    assert model.memory_format == wanted
    weights = [tensor for tensor in model.module.parameters() if tensor.ndim == 4 and tensor.shape[2:].numel() > 1]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights) or wanted == "contiguous"
    assert wanted == "channels_last" or all(w.is_contiguous() for w in weights)
    pixels = torch.from_numpy(nets.pixels(2, channels=model.input.channels))
    torch.testing.assert_close(model.scores(pixels), plain.scores(pixels), atol=1e-5, rtol=1e-5)
    assert state_digest(model.module) == state_digest(plain.module)


def test_a_net_that_fails_is_not_turned() -> None:
    model = nets.audit(nn.Sequential(nn.Conv2d(3, 3, 1), nets.FailingNet()))
    assert in_fast_format(model).memory_format == "contiguous"


LAZY = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 3, 1), nn.Linear(3, 3)
        self.register_buffer("table", torch.zeros(1), persistent=False)

    def forward(self, x):
        if self.table.shape != x.shape[1:]:
            self.table = torch.ones(x.shape[1:])
        return self.head((self.conv(x) * self.table).mean((2, 3)))
"""


def test_what_a_network_makes_in_its_first_forward_is_no_change(tmp_path: Path) -> None:
    """As ConViT does with its table of positions; a net that changes in every forward is still told."""
    (tmp_path / "lazy.py").write_text(LAZY)
    spec = nets.model_spec().model_copy(update={"factory": "lazy.py:Net"})
    model = load_model(spec, tmp_path)
    with left_as_found(model.module):
        model.scores(torch.from_numpy(nets.pixels(2)))
    assert model.digest == load_model(spec, tmp_path).digest
    (tmp_path / "lazy.py").write_text(LAZY.replace("self.table.shape != x.shape[1:]", "True"))
    changing = load_model(spec, tmp_path)
    with pytest.raises(ModelError, match="a step changed table"), left_as_found(changing.module):
        changing.scores(torch.from_numpy(nets.pixels(2)))


def test_loading_leaves_the_random_state(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text(LAZY)
    before = torch.get_rng_state()
    load_model(nets.model_spec().model_copy(update={"factory": "lazy.py:Net"}), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_net_built_in_inference_mode_is_wrong_input() -> None:
    def made() -> nn.Module:
        with torch.inference_mode():
            return nets.GapNet()

    with pytest.raises(ModelError, match=r"made in torch.inference_mode.*Build the network outside"):
        check_materialised(made())
    check_materialised(nets.GapNet())

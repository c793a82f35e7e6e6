"""The scan: each reader sees its own slice's cases in order, with the layer and the gradients that are the net's."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny import write_audit

from xai_audit.concepts.reading import Read
from xai_audit.engines import scanning
from xai_audit.engines.progress import Silent
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.store import step_arrays
from xai_audit.model.load import load_model
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec
from xai_audit.spec.methods import TargetSpec

HERE = __name__


@dataclass
class Recorder:
    """A reader that keeps all that it is shown."""

    label: str
    looks: int = 1
    targets: tuple[TargetSpec, ...] = ()
    passes: Passes = NO_PASSES
    cases: list[int] = field(default_factory=list)
    activations: list[np.ndarray] = field(default_factory=list)
    gradients: list[np.ndarray] = field(default_factory=list)
    betweens: int = 0

    def take(self, seen):
        if self.label == "breaks" and seen.indexes[0] > 0:
            raise RuntimeError("broken in the middle")
        self.cases += [int(index) for index in seen.indexes]
        if seen.look == 0:
            self.activations.append(seen.activation.double().numpy())
            self.gradients += [gradient.double().numpy() for gradient in seen.gradients]

    def between(self):
        self.betweens += 1

    def finish(self):
        if self.label == "refuses":
            raise Refusal("methods.refuses", "nothing", "something", "")
        arrays = {"cases": np.array(self.cases), "A": np.concatenate(self.activations).astype(np.float64)}
        if self.gradients:
            arrays["g"] = np.concatenate(self.gradients).astype(np.float64)
        return Read({"betweens": self.betweens, "comparisons": [], "concepts": []}, arrays=arrays)


def begin(context, step, method, layer, cases):
    if method.label == "unborn":
        raise Refusal("methods.unborn", "nothing to read", "something", "")
    looks = 2 if method.label == "twice" else 1
    return Recorder(method.label, looks, (TargetSpec(),) if step.kind == "tcav" else ())


METHODS = """  - {use: activation_maps, layer: last}
  - {use: activation_maps, name: twice, layer: last, slice: site-a}
  - {use: tcav, name: slopes, layer: last, slice: dim, concepts: [site-a]}
"""
FAILING = """  - {use: activation_maps, name: breaks, layer: last}
  - {use: activation_maps, name: refuses, layer: last}
  - {use: activation_maps, name: unborn, layer: last}
"""


def scanned(monkeypatch, folder, methods=METHODS, **options):
    monkeypatch.setattr(scanning, "_BEGIN", dict.fromkeys(scanning._BEGIN, f"{HERE}:begin"))
    path = write_audit(folder)
    text = path.read_text()
    path.write_text(f"{text[: text.index('methods:')]}methods:\n{methods}measures:\n  - accuracy\n")
    return run_audit(load_spec(path), Options(out=folder / "reports", **options), Silent()).run


def of(run, label):
    record = next(record for record in run.records if record.subject == label)
    return record, step_arrays(run.folder, record.id)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_each_reader_sees_its_own_cases_in_order(monkeypatch, tmp_path, batch):
    run = scanned(monkeypatch, tmp_path, batch_size=batch)
    frame = [line.split(",") for line in (tmp_path / "index.csv").read_text().splitlines()[1:]]
    site_a = [row for row, line in enumerate(frame) if line[3] == "a"]
    dim = [row for row, line in enumerate(frame) if float(line[4]) < 0.6]
    assert of(run, "activation_maps")[1]["cases"].tolist() == list(range(48))
    assert of(run, "twice")[1]["cases"].tolist() == site_a * 2
    assert of(run, "slopes")[1]["cases"].tolist() == dim
    assert [of(run, label)[0].details["betweens"] for label in ("activation_maps", "twice")] == [1, 1]


def test_activations_and_gradients_are_those_of_the_net(monkeypatch, tmp_path):
    run = scanned(monkeypatch, tmp_path)
    spec = load_spec(tmp_path / "tiny.yaml").spec
    model = load_model(spec.model, tmp_path, "cpu", 3)
    pictures = [np.asarray(Image.open(tmp_path / "images" / f"{k}.png"), np.float32) / 255 for k in range(48)]
    x = torch.tensor(np.stack(pictures))[:, None]
    A = model.module.features(x).detach().requires_grad_()
    z = model.module.head(A.mean((2, 3)))
    z[torch.arange(48), torch.arange(48) % 2].sum().backward()  # label: plain, bright, plain, ...
    arrays = of(run, "slopes")[1]
    assert np.allclose(of(run, "activation_maps")[1]["A"], A.detach(), atol=1e-6)
    assert np.allclose(arrays["A"], A.detach()[arrays["cases"]], atol=1e-6)
    assert np.allclose(arrays["g"], A.grad[arrays["cases"]], atol=1e-7)
    assert np.abs(arrays["g"]).max() > 0


def test_passes_are_shared_and_counted_once(monkeypatch, tmp_path):
    run = scanned(monkeypatch, tmp_path)
    scan = of(run, "scan")[0]
    second = len(of(run, "twice")[1]["cases"]) // 2
    assert (scan.passes.forwards, scan.passes.backwards) == (48 + second, 48)
    assert all(of(run, label)[0].passes.rows == 0 for label in ("activation_maps", "twice", "slopes"))
    assert scan.details["looks"] == 2


def test_one_failure_is_not_the_others(monkeypatch, tmp_path):
    run = scanned(monkeypatch, tmp_path, FAILING + "  - {use: activation_maps, name: sound, layer: last}\n")
    found = {label: of(run, label)[0] for label in ("breaks", "refuses", "unborn", "sound")}
    assert {label: record.status for label, record in found.items()} == {
        "breaks": "failed",
        "refuses": "not_applicable",
        "unborn": "not_applicable",
        "sound": "measured",
    }
    assert "broken in the middle" in found["breaks"].failure.message


def test_a_net_that_breaks_fails_every_reader(monkeypatch, tmp_path):
    monkeypatch.setattr(scanning, "run_pass", _raise)
    run = scanned(monkeypatch, tmp_path)
    for label in ("activation_maps", "twice", "slopes"):
        assert of(run, label)[0].status == "failed"


def _raise(*arguments, **named):
    raise RuntimeError("no pass")


def test_rows_are_halved_when_memory_runs_out(monkeypatch, tmp_path):
    whole = scanned(monkeypatch, tmp_path / "whole")
    run_pass, tried = scanning.run_pass, []

    def short_of_memory(model, part, *arguments):
        tried.append(len(part))
        if len(part) > 5:
            raise torch.OutOfMemoryError("planted")
        return run_pass(model, part, *arguments)

    monkeypatch.setattr(scanning, "run_pass", short_of_memory)
    halved = scanned(monkeypatch, tmp_path / "halved")
    assert max(tried) > 5
    for label in ("activation_maps", "twice", "slopes"):
        one, two = of(whole, label)[1], of(halved, label)[1]
        assert all(np.allclose(one[name], two[name], atol=1e-6) for name in one)
    assert of(whole, "scan")[0].passes == of(halved, "scan")[0].passes

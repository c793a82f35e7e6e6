"""Mixed queries against the truth of a generator, and an operator at rising strength against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from operated_audit import BACKGROUND_WEIGHT, BOX, PATCH_WEIGHT, parts, pictures, queries_of, run, write_operated

from xai_audit.synthetic.radiograph import Radiograph, radiograph
from xai_audit.synthetic.truth import contrast, path

NET = '''
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """Logit = 2 mean(token box) + 30 mean(squared second difference below it) - 1."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]], dtype=torch.float64))

    def forward(self, x):
        edges = F.conv2d(x, self.kernel)[:, :, 12:].square().mean((1, 2, 3))
        return (2 * x[:, :, 3:9, 3:13].mean((1, 2, 3)) + 30 * edges - 1)[:, None]


def build():
    return Net()
'''
SPEC = """version: 1
audit: {id: chest, title: Chest, owner: {name: A. Tester, role: owner}, seed: 3}
model:
  factory: net.py:build
  task: binary_logit
  classes: ["no", "yes"]
  input: {size: [64, 64], channels: 1}
data:
  source: {kind: generator, name: radiograph, count: 40, label: disease, seed: 11, coefficients: {b1: 1.0}}
  masks: {token: token, lungs: lungs}
causal:
  variables:
    site: {role: context, domain: {levels: [0, 1]}, source: {column: site}}
    disease: {role: cause, domain: {levels: [0, 1]}, source: {column: disease}}
    severity: {role: cause, domain: {range: [0, 1]}, source: {column: severity}}
    device: {role: shortcut, domain: {levels: [0, 1]}, source: {column: device}}
    token: {role: shortcut, domain: {levels: [0, 1]}, source: {column: token}}
    blur: {role: shortcut, domain: {range: [0, 4]}, source: {column: blur}}
    image: {role: medium}
    score: {role: model_output, source: {model: {class: "yes", output: logit}}}
  edges: [site -> disease, site -> token, site -> blur, disease -> severity, disease -> device, severity -> image,
    device -> image, token -> image, blur -> image, image -> score]
  operators:
OPERATORS
  queries:
    - {id: token, ask: ate, do: {token: [0, 1]}, on: score, via: set_token}
    - {id: site, ask: ate, do: {site: [0, 1]}, on: score}
    - {id: path, ask: path_effect, do: {site: [0, 1]}, paths: ["site -> token -> image -> score"], on: score}
"""
RENDERED = """    set_token: {call: render, sets: token, grade: A}
    set_blur: {call: render, sets: blur, grade: A}"""
IN_PIXELS = """    set_token: {call: set_patch, sets: token, grade: B,
      parameters: {top: 0.047, left: 0.047, height: 0.094, width: 0.156, level: 0.95}}"""
DO = ({"site": 0}, {"site": 1})
WORLD = radiograph(Radiograph(b1=1.0))


def score(batch):
    scope: dict = {}
    exec(NET, scope)
    with torch.no_grad():
        return scope["build"]()(torch.from_numpy(batch).double().reshape(-1, 1, 64, 64)).numpy()[:, 0]


def answers(folder: Path, operators: str):
    (folder / "net.py").write_text(NET)
    spec = folder / "chest.yaml"
    spec.write_text(SPEC.replace("OPERATORS", operators))
    return queries_of(run(spec))


def test_re_renders_give_the_truth_of_total_pixels_and_each_path(tmp_path: Path):
    found = answers(tmp_path, RENDERED)
    token = contrast(WORLD, score, 11, range(40), {"token": 0}, {"token": 1})
    assert parts(found["token"])["total"]["estimate"] == pytest.approx(token.estimate, abs=1e-9)
    assert found["token"].details["details"]["operator"]["grade"] == "A"
    site = parts(found["site"])
    wanted = {
        "through_pixels": contrast(WORLD, score, 11, range(40), *DO, hold=("disease", "severity", "device")),
        "path:site -> token -> image": path(WORLD, score, 11, range(40), *DO, through=("token",)),
        "path:site -> blur -> image": path(WORLD, score, 11, range(40), *DO, through=("blur",)),
    }
    for name, truth in wanted.items():
        assert site[name]["estimate"] == pytest.approx(truth.estimate, abs=1e-9)
    total = contrast(WORLD, score, 11, range(40), *DO).estimate
    mixed = found["site"].details["details"]["mixed"]
    assert mixed["total_by"]["operators"]["estimate"] == pytest.approx(total, abs=1e-9)
    assert site["total"]["low"] < total < site["total"]["high"], "identified from the score as a column"
    assert (mixed["disagree"], mixed["missing"], mixed["held"]) == (False, [], ["device", "disease", "severity"])
    assert "Other children of site reach the image: blur." in found["token"].details["warnings"]
    along = found["path"].details["answered"][0]
    assert along["name"] == "path_specific"
    assert along["estimate"] == pytest.approx(wanted["path:site -> token -> image"].estimate, abs=1e-9)


def test_operators_in_pixels_cover_what_they_can_and_say_what_is_missing(tmp_path: Path):
    record = answers(tmp_path, IN_PIXELS)["site"]
    found = parts(record)
    units = [WORLD.unit(11, number) for number in range(40)]
    share = {s: np.mean([u.row["token"] for u in units if u.row["site"] == s]) for s in (0, 1)}
    token = contrast(WORLD, score, 11, range(40), {"token": 0}, {"token": 1}).estimate
    wanted = (share[1] - share[0]) * token
    one = found["path:site -> token -> image"]
    assert one["estimate"] == pytest.approx(wanted, abs=0.01), "a pasted token is nearly the rendered one"
    assert one["high"] - one["low"] > 0.05, "the law of the token is itself an estimate"
    mixed = record.details["details"]["mixed"]
    assert mixed["missing"] == [{"path": "site -> blur -> image", "reason": "no single operator sets blur"}]
    assert any("site -> blur -> image is missing" in text for text in record.details["warnings"])


def test_curves_of_a_linear_net_are_straight_lines(tmp_path: Path):
    more = "  severity:\n    - {via: set_patch, levels: [0.2, 0.4, 0.6], methods: [saliency]}\n"
    spec = write_operated(tmp_path, "{id: patch, ask: ate, do: {patch: [0.2, 0.6]}, on: score}", more=more)
    methods = "cases: {explain: 12, choose: [random]}\nmethods: [{use: saliency}]\nmeasures: []\nslices:"
    spec.write_text(spec.read_text().replace("slices:", methods, 1))
    record = next(one for one in run(spec).run.records if one.kind == "severity")
    assert record.status == "measured", record.failure
    (everything, one, zero) = record.details["slices"]
    assert [each["name"] for each in (everything, one, zero)] == ["all", "one", "zero"]
    data = pictures(60)
    outside = np.ones((24, 24), bool)
    outside[BOX] = False
    rest = BACKGROUND_WEIGHT * data["images"][:, outside].astype(np.float64).mean(1) - 1
    for point in everything["score"]:
        wanted = PATCH_WEIGHT * point["level"] + rest
        assert point["estimate"] == pytest.approx(wanted.mean(), abs=1e-6)
        assert point["low"] < wanted.mean() < point["high"]
    for point in everything["accuracy"]:
        right = (PATCH_WEIGHT * point["level"] + rest > 0) == (data["labels"] == 1)
        assert point["estimate"] == pytest.approx(right.mean(), abs=1e-12)
    assert everything["n"] == 60 and one["n"] + zero["n"] == 60
    alike = everything["explanation"]["saliency"]
    assert [point["n"] for point in alike] == [12, 12, 12]
    assert [point["estimate"] for point in alike] == pytest.approx([1, 1, 1]), "the gradient of a linear net is fixed"
    assert record.details["contract"]["failed"] == {}
    assert record.passes.forwards == 60 * 3 + 12 * 3


def test_accuracy_with_the_source_drawn_anew_is_that_of_re_rendered_units(tmp_path: Path):
    """Expected accuracy over both sites, each as often as in the data, with disease and what comes of it as it is."""
    found = answers(tmp_path, RENDERED)["site"]
    units = [WORLD.unit(11, number) for number in range(40)]
    share = np.mean([unit.row["site"] for unit in units])
    right = 0.0
    for weight, site in ((1 - share, 0), (share, 1)):
        held = [
            WORLD.counterfactual(u, {"site": site, **{name: u.row[name] for name in ("disease", "severity", "device")}})
            for u in units
        ]
        says = score(np.stack([unit.picture for unit in held])) > 0
        right += weight * np.mean(says == [unit.row["disease"] == 1 for unit in held])
    now = np.mean((score(np.stack([u.picture for u in units])) > 0) == [u.row["disease"] == 1 for u in units])
    amounts, told = parts(found), found.details["details"]["mixed"]["randomised"]
    assert amounts["accuracy_randomised"]["estimate"] == pytest.approx(right, abs=1e-12)
    assert told["accuracy_as_it_is"]["estimate"] == pytest.approx(now, abs=1e-12)
    assert amounts["accuracy_drop"]["estimate"] == pytest.approx(now - right, abs=1e-12)


SITE_NET = '''
import torch
from torch import nn


class Net(nn.Module):
    """Logit = 4000 x (0.0016 less the mean squared second difference below the token): a blurred picture is yes."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]], dtype=torch.float64))

    def forward(self, x):
        edges = torch.nn.functional.conv2d(x, self.kernel)[:, :, 12:, 20:28].square().mean((1, 2, 3))
        return (4000 * (0.0016 - edges))[:, None]


def build():
    return Net()
'''


@pytest.mark.parametrize(("declared", "unexplained"), [(True, False), (False, True)])
def test_a_drop_without_a_path_that_explains_it_is_a_finding(tmp_path: Path, declared: bool, unexplained: bool):
    """The net goes by the blur, which no noise hides here; a graph without the blur cannot explain what is lost."""
    net = SITE_NET
    (tmp_path / "net.py").write_text(net)
    text = SPEC.replace("OPERATORS", RENDERED).replace("{b1: 1.0}", "{b1: 1.0, rho: 3.0, noise: 0.0}")
    if not declared:
        text = (
            text.replace("site -> blur, ", "").replace("blur -> image, ", "").replace("{call: render, sets: blur", "#")
        )
        text = "\n".join(line for line in text.splitlines() if "    blur: {" not in line and "set_blur" not in line)
    (tmp_path / "chest.yaml").write_text(text)
    outcome = run(tmp_path / "chest.yaml")
    told = queries_of(outcome)["site"].details["details"]["mixed"]["randomised"]
    assert told["accuracy_drop"]["low"] > 0.05, told
    assert (told["is_drop"], told["unexplained"]) == (True, unexplained)
    assert told["explained_by"] == ([] if unexplained else ["site -> blur -> image"])
    assert any(one.reason == "unexplained_drop" for one in outcome.findings) is unexplained

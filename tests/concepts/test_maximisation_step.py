"""The step of a whole run: record, best real cases, declared passes, refusals, the same bytes again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import write_audit

from xai_audit.concepts.goals import Goal
from xai_audit.engines import maximising
from xai_audit.engines.best_real import TOP, BestReal
from xai_audit.engines.progress import Silent
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.evidence.store import step_arrays
from xai_audit.explain.cost import Cost
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.load import load_model
from xai_audit.plan.concepts import maximisation_cost
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec
from xai_audit.spec.methods import ActivationMaximisation, ConceptDirection

METHODS = """  - {use: activation_maximisation, layer: last, slice: site-a, units: [1, 0], classes: [bright], steps: 6,
     directions: [{name: both, units: [0, 1], weights: [1, -0.5]}]}
  - {use: activation_maximisation, name: scores, slice: site-a, classes: [plain, bright], steps: 4,
     parametrisation: maco, transforms: []}
"""


def run(folder: Path, methods=METHODS, cases=20, **options):
    path = write_audit(folder, cases=cases)
    text = path.read_text()
    path.write_text(f"{text[: text.index('methods:')]}methods:\n{methods}measures:\n  - accuracy\n")
    return run_audit(load_spec(path), Options(out=folder / "reports", **options), Silent()).run


def of(found, label="activation_maximisation"):
    record = next(record for record in found.records if record.kind == "maximisation" and record.subject == label)
    return record, step_arrays(found.folder, record.id)


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maximised")
    return folder, run(folder)


def real(folder):
    """Pictures of site a, (10, 1, 24, 24), and their places in the data set."""
    rows = [line.split(",") for line in (folder / "index.csv").read_text().splitlines()[1:]]
    places = [place for place, row in enumerate(rows) if row[3] == "a"]
    files = [np.asarray(Image.open(folder / "images" / f"{place}.png"), np.float32) / 255 for place in places]
    return torch.tensor(np.stack(files))[:, None], places


def test_the_record_has_a_picture_for_every_goal_in_order(audit):
    record, arrays = of(audit[1])
    assert record.status == "measured"
    pictures = record.details["pictures"]
    assert [(p["name"], p["kind"], p[p["kind"]], p["reading"]) for p in pictures] == [
        ("unit 1", "unit", 1, "before ReLU"),
        ("unit 0", "unit", 0, "before ReLU"),
        ("both", "direction", "both", "before ReLU"),
        ("class bright", "class", "bright", "as given"),
    ]
    assert arrays["images"].shape == (4, 1, 24, 24) and arrays["images"].dtype == np.float32
    assert arrays["images"].min() >= 0 and arrays["images"].max() <= 1
    assert arrays["curve"].shape == (4, 6) and arrays["transformed"].shape == (4, 16)
    for place, picture in enumerate(pictures):
        tried = arrays["transformed"][place]
        assert picture["start"] == arrays["curve"][place, 0]
        kept = (tried.mean() - picture["start"]) / (picture["objective"] - picture["start"])
        wanted = {"mean": tried.mean(), "smallest": tried.min(), "share_kept": kept, "count": 16}
        assert picture["transformed"] == pytest.approx(wanted)
        assert picture["beats_real"] == (picture["objective"] > picture["best_real"]["value"])


def test_every_setting_that_was_used_is_in_the_record(audit):
    changes = {"pad": 2, "jitter": 2, "scale": [0.9, 1.1], "rotate": 10.0, "last_jitter": 1}
    assert of(audit[1])[0].details["parameters"] == {
        "layer": "features", "layout": "nchw", "reading": "before ReLU", "neuron": "channel",
        "parametrisation": "fourier", "colours": "each channel for itself", "steps": 6, "learning_rate": 0.05,
        "decay": 1.0, "grey": 0.5, "transforms": changes, "unseen_transforms": changes, "l2": 0.0, "tv": 0.0,
        "top": 5, "seed": 3,
    }  # fmt: skip
    scores = of(audit[1], "scores")[0].details["parameters"]
    assert (scores["layer"], scores["reading"], scores["decay"], scores["transforms"]) == (None, None, None, {})
    assert scores["parametrisation"] == "maco" and scores["unseen_transforms"] == changes


def test_objectives_and_best_cases_are_those_of_the_net(audit):
    folder, found = audit
    record, arrays = of(found)
    spec = load_spec(folder / "tiny.yaml").spec
    net = load_model(spec.model, folder, "cpu", 3).module
    x, places = real(folder)

    def shown(pixels):
        before = net.features[0](pixels).mean((2, 3))
        return torch.stack([before[:, 1], before[:, 0], before[:, 0] - 0.5 * before[:, 1], net(pixels)[:, 1]], 1)

    with torch.no_grad():
        values, made = shown(x).double().numpy(), shown(torch.tensor(arrays["images"])).double().numpy()
    order = np.argsort(-values, axis=0, kind="stable")[:TOP]
    assert np.allclose(arrays["real_values"], np.take_along_axis(values, order, 0).T, atol=1e-6)
    ids = [[entry["case"] for entry in picture["real"]] for picture in record.details["pictures"]]
    assert ids == [[f"c{places[case]:02d}" for case in column] for column in order.T]
    objectives = [picture["objective"] for picture in record.details["pictures"]]
    assert np.allclose(objectives, np.diag(made), atol=1e-5)
    best = sorted({places[case] for case in order[0]})
    assert record.details["best_real_pictures"] == [f"c{place:02d}" for place in best]
    levels = np.rint(x.numpy()[[places.index(place) for place in best]] * 255)
    assert np.array_equal(arrays["pictures"], levels.transpose(0, 2, 3, 1))


def test_the_spectrum_is_that_of_the_slice_and_maco_keeps_it(audit):
    folder, found = audit
    arrays = of(found, "scores")[1]
    x = np.clip(real(folder)[0].double().numpy(), 0.5 / 255, 1 - 0.5 / 255)
    r = np.abs(np.fft.rfft2(np.log(x / (1 - x)), norm="ortho")).mean(0)
    assert np.allclose(arrays["spectrum"], r, atol=1e-8)
    made = arrays["images"].astype(np.float64)
    assert np.allclose(np.abs(np.fft.rfft2(np.log(made / (1 - made)), norm="ortho")), r, atol=1e-3 * r.max())


def test_passes_are_those_declared(audit):
    methods = {method.label: method for method in load_spec(audit[0] / "tiny.yaml").spec.methods}
    for label, goals, steps in (("activation_maximisation", 4, 6), ("scores", 2, 4)):
        passes = of(audit[1], label)[0].passes
        assert (passes.forwards, passes.backwards) == (10 + goals * (steps + 1 + 16), goals * steps)
        assert maximisation_cost(methods[label], 10) == Cost(passes, "exact")


def test_another_run_with_other_batches_gives_the_same_bytes(audit, tmp_path):
    again = run(tmp_path, batch_size=3)
    for label in ("activation_maximisation", "scores"):
        one, other = of(audit[1], label)[1], of(again, label)[1]
        assert sorted(one) == sorted(other)
        for name in ("images", "curve", "transformed", "pictures"):
            assert one[name].tobytes() == other[name].tobytes()


def test_warnings_name_the_pictures_that_fall_short():
    entry = {
        "name": "unit 3", "is_moved": True, "objective": 0.5, "best_real": {"value": 0.75}, "beats_real": False,
        "transformed": {"share_kept": 0.45},
    }  # fmt: skip
    assert maximising._warnings(entry) == [
        "unit 3: the picture reaches 0.5, the best real case 0.75.",
        "unit 3: under unseen changes 45% of the rise is left, less than 80%.",
    ]
    fine = {**entry, "beats_real": True, "transformed": {"share_kept": 0.8}}
    assert maximising._warnings(fine) == []
    assert maximising._warnings({**fine, "transformed": {"share_kept": None}}) == [
        "unit 3: the finished picture shows no more than the one it began from."
    ]
    assert maximising._warnings({**fine, "is_moved": False}) == [
        "unit 3: no gradient reaches the picture, which is as it began."
    ]


def test_best_real_keeps_the_first_of_equal_cases_in_any_batches():
    shown = np.asarray([[3.0, 0.0], [5.0, 0.0], [5.0, 1.0], [4.0, 1.0], [1.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
    for parts in ([7], [1, 2, 4], [3, 3, 1]):
        best, start = BestReal(), 0
        for count in parts:
            best.take(np.arange(10 + start, 10 + start + count), shown[start : start + count])
            start += count
        assert best.cases.tolist() == [[11, 12, 13, 10, 16], [12, 13, 14, 15, 16]]
        assert best.values.tolist() == [[5.0, 5.0, 4.0, 3.0, 2.0], [1.0] * 5]


FAILING = """  - {use: activation_maximisation, name: no-unit, layer: last, units: [2], steps: 2}
  - {use: activation_maximisation, name: fine, layer: last, units: [1], steps: 2}
"""


def test_a_unit_that_is_not_there_is_refused_alone(tmp_path):
    found = run(tmp_path, FAILING, cases=8)
    refused, fine = of(found, "no-unit")[0], of(found, "fine")[0]
    assert refused.status == "not_applicable"
    assert "found unit 2; expected 0 to 1, the units of layer 'features'" in refused.failure.message
    assert fine.status == "measured"


BREAKING = """
_forward = Net.forward


def broken(self, x):
    return _forward(self, x) / (x.requires_grad == 0)


Net.forward = broken
"""


def test_a_failure_keeps_the_passes_that_were_made(tmp_path):
    """Scores are infinite wherever a gradient is asked for: the first step of the first picture."""
    write_audit(tmp_path, cases=8)
    path = tmp_path / "tiny.yaml"
    path.write_text(path.read_text().split("methods:")[0] + "methods:\n" + SCORES + "measures:\n  - accuracy\n")
    with (tmp_path / "net.py").open("a") as net:
        net.write(BREAKING)
    found = run_audit(load_spec(path), Options(out=tmp_path / "reports"), Silent()).run
    record = of(found)[0]
    assert record.status == "failed" and "a value that is not finite: class bright, step 1" in record.failure.message
    assert (record.passes.forwards, record.passes.backwards) == (8 + 1, 1)


SCORES = "  - {use: activation_maximisation, classes: [bright], steps: 2}\n"


LAYER = SpatialLayer("features", "nchw", 2, (24, 24))


def direction(status="measured", concept="square", layer=LAYER, vectors=((0.6, 0.8), (0.0, 0.0))):
    """What becomes of a concept's direction where a tcav found `vectors` for the concepts square and dim."""
    details = {"concepts": [{"name": "square"}, {"name": "dim"}]}
    record = SimpleNamespace(kind="tcav", subject="tcav", status=status, details=details)
    kept = SimpleNamespace(record=record, arrays={"vectors": np.asarray(vectors)})
    other = SimpleNamespace(record=SimpleNamespace(kind="data_profile", subject="data_profile"))
    context = SimpleNamespace(
        prepared=lambda: SimpleNamespace(layers={"tcav": layer}),
        read=lambda step: kept if step == "t" else other,
    )
    step = SimpleNamespace(subject="pictures", parents=("profile", "t"))
    return maximising._direction(context, step, ConceptDirection(concept=concept, method="tcav"), LAYER)


def test_the_direction_of_a_concept_is_its_vector():
    assert direction() == Goal("concept square", "direction", "square", (0, 1), (0.6, 0.8))


def test_a_direction_that_a_tcav_does_not_have_is_left_out_with_the_reason():
    assert direction(concept="dim") == "concept dim: tcav found no vector, since it is not linearly present"
    assert direction(status="not_applicable") == "concept square: tcav was not run"


def test_a_direction_of_another_layer_or_of_no_concept_is_refused():
    with pytest.raises(Refusal, match="which reads layer 'head'; expected layer 'features'"):
        direction(layer=SpatialLayer("head", "nchw", 2, (24, 24)))
    with pytest.raises(Refusal, match="no vector of 2 units for 'round'"):
        direction(concept="round")
    with pytest.raises(Refusal, match="pool: mean"):
        direction(vectors=np.ones((2, 1152)))


def test_directions_of_concepts_may_cost_less_than_declared():
    entry = {"use": "activation_maximisation", "directions": (ConceptDirection(concept="dim", method="tcav"),)}
    cost = maximisation_cost(ActivationMaximisation(**entry, steps=3), 7)
    assert (cost.certainty, cost.passes) == ("at_most", Passes(7 + 3 + 1 + 16, 3))

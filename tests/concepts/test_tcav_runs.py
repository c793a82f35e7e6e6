"""tcav in whole audits: a planted concept is found for every kind of score, and every number can be made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tcav_audit import DEFAULT, TASKS, save_picture, write_audit

from xai_audit.data.sources import open_dataset
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.evidence.store import RunRecord
from xai_audit.model.load import load_model
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec
from xai_audit.verdict.stored import fault_of


def run_of(path: Path, **options: object) -> RunRecord:
    return run_audit(load_spec(path), Options(out=path.parent / "reports", **options), Silent()).run


def tcav_of(run: RunRecord, label: str = "tcav") -> tuple[Evidence, dict[str, np.ndarray]]:
    record = next(record for record in run.records if record.kind == "tcav" and record.subject == label)
    return record, run.arrays(record.id)


def comparison(record: Evidence, concept: str, of_class: str) -> dict:
    found = [c for c in record.details["comparisons"] if (c["concept"], c["class"]) == (concept, of_class)]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module", params=list(TASKS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, RunRecord]:
    path = write_audit(tmp_path_factory.mktemp(request.param) / "audit", task=request.param)
    return request.param, path, run_of(path)


def test_the_planted_concept_is_significant_and_the_coin_is_not(whole: tuple[str, Path, RunRecord]) -> None:
    """Positive and negative control: the score of `warm` rises with red; a coin decides who is in `coin`."""
    task, _, run = whole
    record, _ = tcav_of(run)
    assert record.status == "measured"
    names = ("warmth",) if task == "regression" else ("cold", "warm")
    for name in names:
        red, coin = comparison(record, "red", name), comparison(record, "coin", name)
        assert red["state"] == "tested"
        assert red["kept"] == 20
        assert red["significant"]
        assert red["p_corrected"] == pytest.approx(red["p"] * 2 * len(names))
        assert red["score"] == (0 if name == "cold" else 1)
        assert red["magnitude"] * (-1 if name == "cold" else 1) > 0.4
        assert red["zeros"] == 0
        assert not coin["significant"]
    assert record.details["comparisons_in_all"] == 2 * len(names)
    assert record.details["parameters"]["score_of"] == {"probability": "prob", "regression": "regression"}.get(
        task, "logit"
    )


def test_scores_are_those_of_the_net_along_the_stored_vector(whole: tuple[str, Path, RunRecord]) -> None:
    """Second implementation: the net is moved a little along the vector, uniformly, in float64."""
    task, path, run = whole
    record, arrays = tcav_of(run)
    spec = load_spec(path).spec
    net = load_model(spec.model, path.parent, "cpu", 3).module.double()
    data = open_dataset(spec, path.parent)
    pixels = torch.tensor(np.stack([data.image(k) for k in range(90)])).double().permute(0, 3, 1, 2) / 255
    v = torch.tensor(arrays["vectors"][0])
    assert abs(float(v.norm()) - 1) < 1e-12

    def scores(step: float) -> torch.Tensor:
        hook = net.features.register_forward_hook(lambda module, given, out: out + step * v[:, None, None])
        try:
            return net(pixels).detach()
        finally:
            hook.remove()

    slope = (scores(1e-5) - scores(-1e-5)) / 2e-5
    for place, of_class in enumerate(("warmth",) if task == "regression" else ("cold", "warm")):
        if task == "regression":
            expected = slope[:, 0]
        elif task == "multi_label":
            expected = slope[data.labels[:, place] == 1, place]
        elif task == "binary_logit":
            expected = slope[data.labels == place, 0] * (1 if place else -1)
        else:
            expected = slope[data.labels == place, place]
        found = comparison(record, "red", of_class)
        assert found["cases"] == len(expected)
        assert found["score"] == float((expected > 0).double().mean())
        assert found["magnitude"] == pytest.approx(float(expected.mean()), rel=0.02)  # of the mean vector
    along = (net.features(pixels).mean((2, 3)) @ v).detach().numpy()
    np.testing.assert_allclose(run.rows()["concept:tcav:red"], along, atol=1e-5)


def test_the_record_can_be_judged_and_repeats_its_parameters(whole: tuple[str, Path, RunRecord]) -> None:
    _, _, run = whole
    record, arrays = tcav_of(run)
    scores = {value.label: value for value in record.values if value.name == "tcav_score"}
    for number, found in enumerate(record.details["comparisons"]):
        value = scores[f"{found['concept']} on {found['class']}"]
        assert value.n == found["cases"]
        if found["state"] != "tested":
            assert value.status == "undefined"
            continue
        assert value.estimate == pytest.approx(found["score"])
        draws = arrays[value.draws] if value.draws else None
        assert fault_of(value, draws) == ""
        p = (1 + (np.abs(arrays["null"][number] - 0.5) > abs(arrays["scores"][number].mean() - 0.5)).sum()) / 1000
        assert p <= found["p"]
        assert arrays["scores"][number].shape == (20,)
    for number, concept in enumerate(record.details["concepts"]):
        accuracy = next(v for v in record.values if v.name == "concept_accuracy" and v.label == concept["name"])
        assert accuracy.n == 2 * concept["images"]
        assert fault_of(accuracy, None) == ""
        assert accuracy.estimate <= arrays["accuracies"][number].mean() + 1e-12
        assert concept["kept"] + concept["dropped"] == 20
    parameters = record.details["parameters"]
    assert (parameters["runs"], parameters["null_sets"], parameters["alpha"]) == (20, 999, 1.0)
    assert (parameters["layer"], parameters["grid"], parameters["pool"]) == ("features", [6, 6], "mean")
    shared = next(record for record in run.records if record.kind == "scan")
    assert shared.passes.forwards == 90
    assert shared.passes.backwards == (180 if whole[0] == "multi_label" else 90)
    assert record.passes.forwards == 0


def test_batches_of_one_and_of_eight_agree_and_another_seed_draws_others(tmp_path: Path) -> None:
    runs = [run_of(write_audit(tmp_path / str(n)), batch_size=n) for n in (1, 8)]
    other = run_of(write_audit(tmp_path / "other", seed=4))
    (one, first), (eight, second), (_, third) = (tcav_of(run) for run in (*runs, other))
    for name in ("scores", "null", "accuracies"):
        assert (first[name] == second[name]).all()
    for name in ("vectors", "slopes", "null_slopes"):
        np.testing.assert_allclose(first[name], second[name], atol=1e-5)
        assert np.abs(first[name] - third[name]).max() > 1e-3
    assert [c["p"] for c in one.details["comparisons"]] == [c["p"] for c in eight.details["comparisons"]]


AGAIN = """
import sys, hashlib
from pathlib import Path
from xai_audit.engines.progress import Silent
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec
run = run_audit(load_spec(Path(sys.argv[1])), Options(out=Path(sys.argv[2])), Silent()).run
record = next(record for record in run.records if record.kind == "tcav")
files = [run.folder / "evidence.jsonl", run.folder / "arrays" / f"{record.id}.safetensors"]
print(" ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
"""


@pytest.mark.slow
def test_another_hash_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_audit(tmp_path / "audit")
    found = [
        subprocess.run(
            [sys.executable, "-c", AGAIN, str(path), str(tmp_path / seed)],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert found[0] == found[1]
    assert len(found[0].split()) == 2


MANY = """  - {use: tcav, layer: last, concepts: [red, rare], runs: 10, classes: [warm]}
  - {use: tcav, name: alone, layer: last, concepts: [rare], runs: 10}
  - {use: tcav, name: nobody, layer: last, concepts: [common], runs: 10}
  - {use: tcav, name: noise, layer: last, concepts: [coin], runs: 10, classes: [warm]}
  - {use: tcav, name: places, layer: last, concepts: [red], runs: 10, pool: none, classes: [warm]}
  - {use: tcav, name: among, layer: last, concepts: [red], runs: 10, random: common, classes: [warm]}
  - {use: tcav, name: by-logistic, layer: last, concepts: [red], runs: 10, null_sets: 19, classifier: logistic}
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run_of(write_audit(tmp_path_factory.mktemp("many") / "audit", methods=MANY))


def test_a_concept_with_too_few_images_is_refused_and_the_others_are_tested(many: RunRecord) -> None:
    record, arrays = tcav_of(many)
    assert [concept["state"] for concept in record.details["concepts"]] == ["tested", "refused"]
    reason = record.details["concepts"][1]["reason"]
    assert reason == "concept 'rare': found 12 images in slice 'all'; expected at least 30. Add images of 'rare'."
    assert comparison(record, "rare", "warm")["state"] == "refused"
    value = next(value for value in record.values if value.label == "rare on warm")
    assert (value.status, value.reason) == ("undefined", reason)
    assert (arrays["vectors"][1] == 0).all()
    assert f"Not tested: {reason}" in record.details["warnings"]
    alone, _ = tcav_of(many, "alone")
    assert alone.status == "not_applicable"
    assert alone.failure.message == reason


def test_a_pool_that_is_too_small_is_refused_with_its_size(many: RunRecord) -> None:
    record, _ = tcav_of(many, "nobody")
    assert record.status == "not_applicable"
    assert "found 12 images to draw random counterparts from; expected at least 40" in record.failure.message


def test_correction_counts_the_comparisons_of_all_tcavs(many: RunRecord) -> None:
    record, arrays = tcav_of(many)
    assert record.details["comparisons_in_all"] == 2 + 2 + 2 + 1 + 1 + 1 + 2
    found = comparison(record, "red", "warm")
    assert found["p_corrected"] == pytest.approx(min(1, found["p"] * 11))
    assert record.details["parameters"]["null_sets"] == 40 * 11 - 1 == arrays["null"].shape[1]
    logistic, _ = tcav_of(many, "by-logistic")
    assert logistic.details["parameters"]["null_sets"] == 19
    assert logistic.details["parameters"]["C"] == 1.0
    assert "no corrected p can be below 0.55" in " ".join(logistic.details["warnings"])
    assert comparison(logistic, "red", "warm")["score"] == 1


def test_a_coin_is_not_linearly_present_or_not_significant(many: RunRecord) -> None:
    record, _ = tcav_of(many, "noise")
    if record.status == "not_applicable":
        assert (
            "no concept that is linearly present at this layer: 'coin' with held-out accuracy" in record.failure.message
        )
    else:
        assert not comparison(record, "coin", "warm")["significant"]


def test_vectors_of_every_place_have_a_number_a_place(many: RunRecord) -> None:
    record, arrays = tcav_of(many, "places")
    assert arrays["place_vectors"].shape == (1, 6, 6, 6)
    assert "vectors" not in arrays
    assert comparison(record, "red", "warm")["score"] == 1
    assert "concept:places:red" in many.rows()


def test_counterparts_come_from_the_slice_that_is_named(many: RunRecord) -> None:
    record, _ = tcav_of(many, "among")
    (concept,) = record.details["concepts"]
    assert concept["pool"] == 78 - 30  # of the 78 common cases, 30 are red
    assert concept["drawn_from"] == concept["pool"]
    assert concept["images"] == concept["shown"] == 36


def test_too_many_numbers_to_hold_are_refused_with_the_sum(tmp_path: Path) -> None:
    methods = "  - {use: tcav, layer: last, concepts: [red], pool: none}\ncompute: {memory_mb: 16}\n"
    path = write_audit(tmp_path / "audit", cases=10_000 // 100, methods=methods)
    text = path.read_text().replace("size: [6, 6]", "size: [160, 160], resize: [160, 160]")
    path.write_text(text)
    record, _ = tcav_of(run_of(path))
    assert record.status == "not_applicable"
    assert (
        "100 cases x 153600 numbers x 2 (activations, gradients) x 4 bytes = 117 MB to hold" in record.failure.message
    )
    assert "at most 16 MB. Set `pool: mean`." in record.failure.message


def test_a_layer_that_no_gradient_reaches_is_refused(tmp_path: Path) -> None:
    path = write_audit(tmp_path / "audit")
    net = path.parent / "net.py"
    net.write_text(net.read_text().replace("self.features(x).mean((2, 3))", "self.features(x).mean((2, 3)) * 0"))
    record, _ = tcav_of(run_of(path))
    assert record.status == "not_applicable"
    assert "no gradient reaches this layer" in record.failure.message


def test_a_linear_head_is_explained(tmp_path: Path) -> None:
    path = write_audit(tmp_path / "audit")
    net = path.parent / "net.py"
    net.write_text(net.read_text().replace("torch.tanh(", "("))
    record, arrays = tcav_of(run_of(path))
    assert set(np.unique(arrays["scores"])) <= {0, 1}
    told = " ".join(record.details["warnings"])
    assert "Behind this layer the score of 'warm' is linear: S is the same for every case" in told
    assert comparison(record, "red", "warm")["significant"]


def test_cases_without_a_gradient_are_counted(tmp_path: Path) -> None:
    """A rectified head is flat wherever a picture has little red."""
    path = write_audit(tmp_path / "audit")
    net = path.parent / "net.py"
    text = net.read_text().replace("torch.tanh(", "torch.relu(").replace("[-1.0, -0.5, -0.5]", "[-1.6, -9.0, -9.0]")
    net.write_text(text)
    record, _ = tcav_of(run_of(path))
    found = comparison(record, "red", "warm")
    assert 0.1 < found["zeros"] < 0.9
    assert found["score"] == pytest.approx(1 - found["zeros"])
    assert found["significant"]
    assert f"red on warm: S is exactly 0 for {found['zeros']:.0%} of the cases" in " ".join(record.details["warnings"])


def folder_of(path: Path, count: int, *, seed: int = 7) -> Path:
    made = path.parent / "striped"
    made.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        save_picture(made / f"{number:03d}.png", rng, is_red=True)
    return made


FILES = "concepts:\n  - {name: red-pictures, files: striped}\n"
OF_FILES = "  - {use: tcav, layer: last, concepts: [red-pictures], runs: 10}\n"


def test_pictures_of_a_folder_are_a_concept_too(tmp_path: Path) -> None:
    path = write_audit(tmp_path / "audit", concepts=FILES, methods=OF_FILES)
    folder = folder_of(path, 34)
    (folder / "again.png").write_bytes((folder / "003.png").read_bytes())
    (folder / "of-the-audit.png").write_bytes((path.parent / "images" / "1.png").read_bytes())
    (folder / "readme.txt").write_text("where they come from")
    run = run_of(path)
    record, _ = tcav_of(run)
    (concept,) = record.details["concepts"]
    assert (concept["origin"], concept["source"]) == ("files", "striped")
    assert (concept["shown"], concept["images"], concept["pool"]) == (35, 35, 89)
    assert record.passes.forwards == 35
    assert comparison(record, "red-pictures", "warm")["score"] == 1
    assert comparison(record, "red-pictures", "warm")["significant"]
    told = " ".join(record.details["warnings"])
    assert "1 picture of striped is a copy of another there and was left out." in told
    assert "1 file of striped is no image." in told
    assert "1 case is a picture of striped and not drawn from." in told
    save_picture(folder / "more.png", np.random.default_rng(1), is_red=True)
    assert run_of(path).folder != run.folder  # another folder of pictures is another run


def test_a_folder_and_a_slice_of_the_same_pictures_give_one_vector(tmp_path: Path) -> None:
    """The same preprocessing: the red pictures, copied into a folder, are the red slice."""
    path = write_audit(
        tmp_path / "audit", concepts=FILES, methods=OF_FILES + DEFAULT.replace("tcav,", "tcav, name: s,")
    )
    folder = path.parent / "striped"
    folder.mkdir()
    for number in range(90):
        if number % 5 < 2:
            (folder / f"{number:03d}.png").write_bytes((path.parent / "images" / f"{number}.png").read_bytes())
    run = run_of(path)
    (of_files, first), (_, second) = tcav_of(run), tcav_of(run, "s")
    assert of_files.details["concepts"][0]["pool"] == 54  # the cases that are not in the folder
    assert first["vectors"][0] @ second["vectors"][0] > 0.98


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("striped", r"striped: found no such folder; expected a folder"),
        ("empty", r"concepts: empty: found no image; expected a folder of pictures of the concept"),
        ("../outside", r'found the path "\.\./outside", which has "\.\." in it; expected a folder inside the spec\'s'),
        ("/tmp", r'found the path "/tmp", which is absolute; expected a folder inside the spec\'s'),
    ],
)
def test_a_folder_that_is_none_is_told(tmp_path: Path, files: str, message: str) -> None:
    path = write_audit(tmp_path / "audit", concepts=FILES.replace("striped", json.dumps(files)), methods=OF_FILES)
    (path.parent / "empty").mkdir()
    with pytest.raises(Exception, match=message):
        run_of(path)


def test_a_damaged_picture_fails_the_method_and_is_named(tmp_path: Path) -> None:
    path = write_audit(tmp_path / "audit", concepts=FILES, methods=OF_FILES)
    folder = folder_of(path, 31)
    (folder / "010.png").write_bytes((folder / "010.png").read_bytes()[:60])
    record, _ = tcav_of(run_of(path))
    assert record.status == "failed"
    assert "striped/010.png" in record.failure.message


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    path = write_audit(tmp_path / "audit", concepts=FILES, methods=OF_FILES)
    folder = folder_of(path, 31)
    Image.new("RGB", (7, 9)).save(folder / "large.png")
    record, _ = tcav_of(run_of(path))
    assert record.status == "failed"
    assert (
        "striped/large.png: found an image of 7 x 9 pixels; expected 6 x 6, the model's size" in record.failure.message
    )

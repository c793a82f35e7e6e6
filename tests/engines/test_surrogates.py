"""Surrogate steps of whole runs: a compiled net is found again, permuted features are judged not valid, refusals."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables import write_table
from tiny import write_audit

from xai_audit.engines.progress import Silent
from xai_audit.engines.surrogate_cases import answers_of, codes_of
from xai_audit.engines.surrogate_values import verdict_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.predictions import Predictions
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

COMPILED = '''
import torch
from xai_audit.synthetic.nets import CompiledTree, Split

TREE = Split(0, 3.0, Split(1, 2.0, Split(2, 5.0, 0, 1), Split(3, 5.0, 1, 0)),
             Split(2, 3.0, Split(3, 5.0, 2, 3), Split(1, 5.0, 3, 2)))


class Image(torch.nn.Module):
    """The same kind of tree over the mean brightness of the four quarters of a picture."""

    def __init__(self):
        super().__init__()
        self.tree = CompiledTree(Split(0, 0.5, Split(1, 0.7, 0, 1), Split(2, 0.7, 1, 0)), 2)

    def forward(self, x):
        means = torch.nn.functional.adaptive_avg_pool2d(x, 2)[:, 0].flatten(1)
        return self.tree(means)


def table():
    return CompiledTree(TREE, 4)


def image():
    return Image()
'''

TABLE = """version: 1
audit: {{id: compiled, title: A net that is a tree, owner: {{name: A. Tester, role: owner}}, seed: 5}}
model:
  factory: nets.py:table
  task: single_label
  classes: [a, b, c, d]
  input: {{features: [w, x, y, z]}}
data:
  source: {{kind: table, table: rows.csv, label: label}}
  show: {{withhold: [{withhold}]}}
{cluster}
slices: [{{name: all}}, {{name: few, where: {{row: {{below: 150}}}}}}, {{name: one, where: {{label: a}}}}]
methods:
  - {{use: decision_tree{tree}}}
criteria:
  - {{id: C1, measure: fidelity, method: decision_tree, at_least: 0.95, because: agreed}}
  - {{id: C2, measure: kappa, method: decision_tree, at_least: 0.9, because: agreed}}
  - {{id: C3, measure: fidelity, method: decision_tree, class: c, at_least: 0.9, because: agreed}}
"""


def levels() -> np.ndarray:
    """Every combination of six levels of four features."""
    return np.asarray(list(product(np.arange(6) + 0.5, repeat=4)))


def leaf(row: np.ndarray) -> str:
    w, x, y, z = row
    if w < 3:
        return "ab"[int(y >= 5)] if x < 2 else "ba"[int(z >= 5)]
    return "cd"[int(z >= 5)] if y < 3 else "dc"[int(x >= 5)]


def write_compiled(
    folder: Path, tree: str = "", *, withhold: str = "", cluster: str = "", shuffled: bool = False
) -> Path:
    """A table of every combination with the compiled net's own answers as labels; `noise` has nothing to do with it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(0), levels()
    (folder / "nets.py").write_text(COMPILED)
    shown = rng.permutation(rows) if shuffled else rows
    lines = ["row,w,x,y,z,label,noise,other,unit,gap"]
    for number, (row, also) in enumerate(zip(rows, shown, strict=True)):
        noise, gap = round(float(also.sum() + rng.random()), 3), "" if number == 7 else 1
        features = ",".join(f"{value:g}" for value in row)
        lines.append(f"{number},{features},{leaf(row)},{noise},{rng.random():.4f},{number // 24},{gap}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "compiled.yaml").write_text(TABLE.format(tree=tree, withhold=withhold, cluster=cluster))
    return folder / "compiled.yaml"


def run(spec: Path, name: str = "out", batch_size: int | None = None) -> Outcome:
    return run_audit(load_spec(spec), Options(out=spec.parent / name, batch_size=batch_size), Silent())


def surrogate(outcome: Outcome) -> Evidence:
    return next(record for record in outcome.run.records if record.kind == "surrogate")


def value(record: Evidence, name: str, label: str = "") -> Value:
    return next(each for each in record.values if each.name == name and each.label == label)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(write_compiled(tmp_path_factory.mktemp("compiled")))


def asked_by(node: dict[str, Any], names: list[str], way: str = "") -> dict[str, tuple[str, float]]:
    if "children" not in node:
        return {}
    here = {way: (names[node["feature"]], node["test"]["threshold"])}
    yes, no = (asked_by(child, names, way + side) for child, side in zip(node["children"], "yn", strict=True))
    return {**here, **yes, **no}


def test_a_net_compiled_from_a_tree_is_found_whole(compiled: Outcome) -> None:
    record = surrogate(compiled)
    assert value(record, "fidelity").estimate == value(record, "kappa").estimate == 1.0
    assert (value(record, "fidelity").low or 0) > 0.98
    assert record.details["valid"]
    assert record.details["why"] == []
    names = [feature["name"] for feature in record.details["features"]]
    assert asked_by(record.details["tree"], names) == {
        "": ("w", 3), "y": ("x", 2), "yy": ("y", 5), "yn": ("z", 5), "n": ("y", 3), "ny": ("z", 5), "nn": ("x", 5),
    }  # fmt: skip
    assert (record.details["leaves"], record.details["depth"]) == (8, 3)
    assert value(record, "split_stability").estimate == 1.0
    assert value(record, "accuracy").estimate == value(record, "model_accuracy").estimate == 1.0
    assert value(record, "errors").status == "undefined"
    assert value(record, "majority").estimate == pytest.approx(11 / 36, abs=0.005)  # of answer b


def test_its_criteria_are_judged(compiled: Outcome) -> None:
    found = {finding.id: finding for finding in compiled.findings}
    assert [found[each].verdict for each in ("C1", "C2", "C3")] == ["pass", "error", "pass"]
    assert found["C2"].reason == "no_interval"  # kappa is 1 in every resample: no interval, no pass
    assert found["C1"].evidence == (surrogate(compiled).id,)


def test_held_out_cases_are_a_share_of_every_answer(compiled: Outcome) -> None:
    rows, split = compiled.run.rows(), surrogate(compiled).details["split"]
    out = rows["surrogate_held_out:decision_tree"].astype(bool)
    assert split == {"cases": 1296, "grown_from": 1296 - out.sum(), "held_out": out.sum(), "units_held_out": out.sum(),
                     "clustered": False}  # fmt: skip
    assert abs(out.groupby(rows["predicted"]).mean() - 0.3).max() < 0.01
    assert (rows["surrogate:decision_tree"] == rows["predicted"]).all()
    assert rows["surrogate_leaf:decision_tree"].nunique() == 8


def test_the_curve_ends_where_the_tree_does(compiled: Outcome) -> None:
    record = surrogate(compiled)
    curve = record.details["curve"]
    assert [point["leaves"] for point in curve] == list(range(1, 9))
    last, fidelity = curve[-1], value(record, "fidelity")
    assert (last["fidelity"], last["low"], last["high"]) == (fidelity.estimate, fidelity.low, fidelity.high)
    assert curve[0]["fidelity"] == value(record, "majority").estimate


def test_passes_are_those_of_made_up_rows(compiled: Outcome) -> None:
    record = surrogate(compiled)
    queries = record.details["queries"]
    assert record.passes.forwards == queries["of_tree"] + queries["of_resamples"] > 0
    assert record.passes.backwards == 0
    from xai_audit.plan.surrogates import most_passes
    from xai_audit.spec.methods import DecisionTree

    assert record.passes.forwards <= most_passes(DecisionTree(use="decision_tree"))


def same(one: Evidence, other: Evidence) -> bool:
    return (one.values, one.details) == (other.values, other.details)


def test_the_same_whatever_the_batch_and_on_every_run(tmp_path: Path, compiled: Outcome) -> None:
    spec = write_compiled(tmp_path)
    assert same(surrogate(run(spec, "again", batch_size=37)), surrogate(compiled))


def test_permuted_features_give_no_valid_surrogate(tmp_path: Path) -> None:
    record = surrogate(run(write_compiled(tmp_path, ", features: [noise, other]", shuffled=True)))
    assert abs(value(record, "kappa").estimate or 0) < 0.1
    assert not record.details["valid"]
    assert record.details["why"] == ["fidelity_low", "kappa_low"]
    assert record.details["queries"]["why_none"] == "columns"
    assert record.details["queries"]["columns"] == ["noise", "other"]
    assert record.passes.forwards == 0


def test_clusters_stay_together_and_widen_the_interval(tmp_path: Path) -> None:
    """A cluster is 24 rows of one w and x: whole ones are held out, and intervals resample them."""
    tree = ", features: [noise, x], queries: off"
    alone = surrogate(run(write_compiled(tmp_path / "alone", tree)))
    outcome = run(write_compiled(tmp_path / "clustered", tree, cluster="  cluster: unit"))
    record, rows = surrogate(outcome), outcome.run.rows()
    out = rows["surrogate_held_out:decision_tree"].astype(bool)
    assert set(out.groupby(rows.index // 24).mean()) == {0.0, 1.0}
    assert record.details["split"]["clustered"]
    assert record.details["clusters"] == record.details["split"]["units_held_out"] == out.sum() // 24
    wide, narrow = ((v.high or 0) - (v.low or 0) for v in (value(record, "fidelity"), value(alone, "fidelity")))
    assert wide > narrow


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (", slice: few", "150 cases in few"),
        (", slice: one", "one answer of the model to every case: a"),
        (", features: [nowhere]", '"nowhere", which is no column'),
        (", features: [gap]", "no value of gap in 1 of 1296 cases, the first at rows.csv line 9"),
        (", budget: 3", "up to 651000 made-up rows for 1296 cases"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(tmp_path: Path, tree: str, why: str) -> None:
    spec = write_compiled(tmp_path, tree)
    if "slice" in tree:
        text = spec.read_text()
        spec.write_text(text[: text.index("criteria:")])
    record = surrogate(run(spec))
    assert record.status == "not_applicable"
    assert record.failure is not None
    assert why in record.failure.message
    assert record.failure.message.startswith("methods.decision_tree.") or "slice: one" in tree


def test_values_of_withheld_columns_leave_no_trace(tmp_path: Path) -> None:
    record = surrogate(run(write_compiled(tmp_path, withhold="w")))
    feature = next(each for each in record.details["features"] if each["name"] == "w")
    assert feature["withheld"]
    root = record.details["tree"]
    assert root["test"] == {"kind": "below", "threshold": None}
    assert root["children"][0]["test"]["threshold"] == 2


def test_statistics_of_images_find_a_net_that_reads_them(tmp_path: Path) -> None:
    """A net compiled from a tree over the brightness of four quarters: fidelity 1 over grid features of the images."""
    folder = tmp_path / "images"
    rng = np.random.default_rng(0)
    folder.mkdir()
    (folder / "nets.py").write_text(COMPILED)
    quarters = np.asarray(list(product([0.2, 0.4, 0.6, 0.8], repeat=4)) * 3)  # every combination, three times
    images = np.repeat(np.repeat(quarters.reshape(-1, 2, 2), 4, axis=1), 4, axis=2)
    labels = np.where(quarters[:, 0] < 0.5, (quarters[:, 1] >= 0.7).astype(int), (quarters[:, 2] < 0.7).astype(int))
    half = np.zeros((768, 8, 8), dtype=np.uint8)
    half[:, :4] = 1
    np.savez(
        folder / "cases.npz", images=images.astype(np.float32), labels=labels, top=half, site=rng.integers(0, 3, 768)
    )
    (folder / "spec.yaml").write_text("""version: 1
audit: {id: quarters, title: Quarters, owner: {name: A. Tester, role: owner}, seed: 5}
model:
  {factory: nets.py:image, task: single_label, classes: [dim, lit], input: {size: [8, 8], channels: 1}}
data: {source: {kind: arrays, file: cases.npz}, masks: {top: top}}
slices: [{name: all}, {name: site-1, where: {site: 1}}]
methods:
  - {use: decision_tree, features: [site, {grid: [2, 2]}, {region: top, statistic: contrast}, {region: image}]}
  - {use: decision_tree, name: attributes}
""")
    outcome = run(folder / "spec.yaml")
    whole, attributes = (record for record in outcome.run.records if record.kind == "surrogate")
    assert value(whole, "fidelity").estimate == 1.0
    assert whole.details["queries"]["why_none"] == "images"
    names = [feature["name"] for feature in whole.details["features"]]
    found = asked_by(whole.details["tree"], names)
    assert found[""] == ("brightness of cell 1,1 of 2 x 2", 0.5)
    assert {name for name, _ in found.values()} == {f"brightness of cell {at} of 2 x 2" for at in ("1,1", "1,2", "2,1")}
    assert [feature["name"] for feature in attributes.details["features"]] == ["site"]
    assert not attributes.details["valid"]


@pytest.mark.parametrize("kind", ["boosted", "linear"])
def test_callables_and_one_logit_have_trees_too(tmp_path: Path, kind: str) -> None:
    record = surrogate(run(write_table(tmp_path, kind, methods="[{use: decision_tree}]", cases=300)))
    assert record.status == "measured", record.failure
    assert (value(record, "fidelity").estimate or 0) > (value(record, "majority").estimate or 1)
    flags = [feature["name"] for feature in record.details["features"] if feature["kind"] == "flag"]
    assert flags == (["income is missing"] if kind == "boosted" else [])


def test_a_picture_audit_without_columns_is_refused(tmp_path: Path) -> None:
    """On 48 cases it is refused for its cases, and the rest of the audit goes on."""
    spec = write_audit(tmp_path / "tiny")
    spec.write_text(spec.read_text().replace("methods:\n", "methods:\n  - {use: decision_tree}\n"))
    outcome = run(spec)
    record = surrogate(outcome)
    assert record.failure is not None
    assert "48 cases in all" in record.failure.message
    assert all(other.status == "measured" for other in outcome.run.records if other.kind == "explanation")
    shutil.rmtree(tmp_path)


def predictions(task: str, scores: np.ndarray, probabilities: np.ndarray | None = None) -> Predictions:
    shape = scores.shape if task in ("multi_label", "regression") else len(scores)
    return Predictions(task, tuple("abc"[: scores.shape[1]]), np.zeros(shape, dtype=int), scores, probabilities)


def test_a_multi_label_answer_is_the_whole_set_of_labels() -> None:
    probabilities = np.asarray([[0.9, 0.1, 0.7], [0.2, 0.3, 0.1], [0.9, 0.6, 0.9]])
    found = answers_of(predictions("multi_label", np.log(probabilities), probabilities), "methods.tree")
    assert found.labels is not None
    assert found.labels.tolist() == [0b101, 0, 0b111]
    np.testing.assert_array_equal(found.soft, probabilities)
    assert codes_of(np.asarray([[1, 0, 1]])).tolist() == [5]


def test_a_regression_gives_its_number_and_several_outputs_are_refused() -> None:
    found = answers_of(predictions("regression", np.asarray([[1.0], [2.0]])), "methods.tree")
    assert found.labels is None
    assert found.soft.tolist() == [[1.0], [2.0]]
    with pytest.raises(Refusal, match="a regression of 2 outputs"):
        answers_of(predictions("regression", np.zeros((3, 2))), "methods.tree")
    with pytest.raises(Refusal, match="one answer of the model"):
        answers_of(predictions("regression", np.zeros((3, 1))), "methods.tree")


def a_value(name: str, estimate: float | None, low: float | None = None) -> Value:
    return Value(name, estimate, low, estimate, 200, "share")


@pytest.mark.parametrize(
    ("fidelity", "kappa", "why"),
    [
        (a_value("fidelity", 0.95, 0.9), a_value("kappa", 0.6), ()),
        (a_value("fidelity", 0.95, 0.8999), a_value("kappa", 0.6), ("fidelity_low",)),
        (a_value("fidelity", 0.95), a_value("kappa", 0.6), ("fidelity_without_interval",)),
        (a_value("fidelity", 0.95, 0.92), a_value("kappa", 0.5999), ("kappa_low",)),
        (a_value("fidelity", 0.95, 0.92), a_value("kappa", None), ("kappa_undefined",)),
    ],
)
def test_valid_only_where_both_limits_are_met(fidelity: Value, kappa: Value, why: tuple[str, ...]) -> None:
    found = verdict_of((fidelity, kappa), 0.9, 0.6, has_classes=True)
    assert (found.valid, found.why) == (not why, why)


def test_a_regression_needs_no_kappa() -> None:
    assert verdict_of((a_value("fidelity", 0.95, 0.9), a_value("kappa", None)), 0.9, 0.6, has_classes=False).valid

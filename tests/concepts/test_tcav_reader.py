"""The reader of a scan on made-up activations: random concepts from small pools, thinned sets, and broken numbers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tcav_audit import write_audit

from xai_audit.concepts.reading import Read, Seen
from xai_audit.engines.concept_vectors import ConceptReader, _targets, begin
from xai_audit.errors import Refusal, StepError
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.load import load_spec
from xai_audit.spec.methods import Tcav
from xai_audit.spec.schema import AuditSpec

LAYER = SpatialLayer("features", "nchw", 8, (2, 3))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> AuditSpec:
    return load_spec(write_audit(tmp_path_factory.mktemp("reader") / "audit")).spec


def context_of(spec: AuditSpec, seed: int, cases: int, shown: int, **more: Any) -> SimpleNamespace:
    """An audit of `cases` cases, `shown` of which, by a seeded draw, are in the slice `coin`."""
    rng = np.random.default_rng(seed)
    audit = spec.audit.model_copy(update={"seed": seed})
    dataset = SimpleNamespace(labels=rng.integers(0, 2, cases), clusters=None, ids=tuple(f"c{k}" for k in range(cases)))
    slices = {"all": np.arange(cases), "coin": np.sort(rng.permutation(cases)[:shown])}
    found = {"dataset": dataset, "slices": slices, "limits": SimpleNamespace(memory_mb=512), "model": None, **more}
    return SimpleNamespace(spec=spec.model_copy(update={"audit": audit}), spec_folder=Path(), **found)


def reader_of(context: SimpleNamespace, **method: Any) -> ConceptReader:
    tcav = Tcav(use="tcav", layer="last", concepts=("coin",), **{"runs": 10, "null_sets": 99, **method})
    context.spec = context.spec.model_copy(update={"methods": (tcav,)})
    return begin(context, SimpleNamespace(id="step"), tcav, LAYER, context.slices["all"])  # type: ignore[arg-type]


def seen_by(reader: ConceptReader, rng: np.random.Generator, shift: float = 0.0, batch: int = 16) -> None:
    """Rectified activations and gradients of a net that is not linear; the coin's cases are shifted in one unit."""
    count = len(reader.cases)
    mix, head = rng.standard_normal((8, 8)) + np.eye(8), rng.standard_normal((8, 8))
    activation = np.maximum(rng.standard_normal((count, 6, 8)) @ mix, 0).transpose(0, 2, 1).reshape(count, 8, 2, 3)
    activation[reader.context.slices["coin"], 2] += shift
    gate = rng.standard_normal((count, 8)) @ head > 0
    gradient = np.broadcast_to(((gate * rng.standard_normal(8)) @ head)[:, :, None, None], activation.shape)
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        tensors = [torch.from_numpy(np.ascontiguousarray(array[part])) for array in (activation, gradient)]
        reader.take(Seen(0, reader.cases[part], tensors[0], (tensors[1],)))
    reader.between()


def read(context: SimpleNamespace, shift: float = 0.0, **method: Any) -> Read:
    reader = reader_of(context, **method)
    seen_by(reader, np.random.default_rng(10_000 + context.spec.audit.seed), shift)
    return reader.finish()


@pytest.mark.slow
@pytest.mark.parametrize(("cases", "shown"), [(74, 30), (259, 80)])
def test_random_concepts_are_refused_or_seldom_significant_through_the_whole_reader(
    spec: AuditSpec, cases: int, shown: int
) -> None:
    """Most are not linearly present; of the others few are significant, over two classes; 100 fixed seeds."""
    significant = present = 0
    for seed in range(100):
        try:
            found = read(context_of(spec, seed, cases, shown)).details["comparisons"]
        except Refusal as refusal:
            assert "no concept that is linearly present" in str(refusal)
            continue
        present += 1
        significant += any(one["significant"] for one in found)
    assert significant <= 7
    assert present <= 7


@pytest.mark.parametrize(("cases", "shown"), [(74, 30), (259, 80)])
def test_a_planted_concept_is_present_in_small_pools(spec: AuditSpec, cases: int, shown: int) -> None:
    for seed in range(5):
        found = read(context_of(spec, seed, cases, shown), shift=2.0)
        (concept,) = found.details["concepts"]
        assert concept["state"] == "tested"
        assert concept["kept"] == 10
        assert concept["accuracy"]["low"] > 0.5
        assert found.arrays["vectors"][0, 2] > 0.5


def test_a_large_concept_and_a_large_pool_are_thinned_out(spec: AuditSpec) -> None:
    found = read(context_of(spec, 0, 1600, 300), shift=2.0, null_sets=19)
    (concept,) = found.details["concepts"]
    assert (concept["shown"], concept["images"]) == (300, 100)
    assert (concept["pool"], concept["drawn_from"]) == (1300, 1000)
    assert "'coin': 100 of its 300 images were drawn at random." in found.details["warnings"]
    again = read(context_of(spec, 0, 1600, 300), shift=2.0, null_sets=19)
    assert all((found.arrays[name] == again.arrays[name]).all() for name in found.arrays)


def test_vectors_that_are_kept_by_luck_are_not_enough(spec: AuditSpec) -> None:
    """Of ten vectors of a coin one or two may be better than chance: the concept counts by their mean accuracy."""
    tested = 0
    for seed in range(12):
        try:
            found = read(context_of(spec, seed, 259, 80), null_sets=19)
        except Refusal as refusal:
            assert "no concept that is linearly present" in str(refusal)
            continue
        (concept,) = found.details["concepts"]
        assert concept["state"] == "tested" and concept["accuracy"]["low"] > 0.5
        tested += 1
    assert tested <= 2


def test_images_of_a_set_are_not_in_its_pool(spec: AuditSpec) -> None:
    (one,) = reader_of(context_of(spec, 0, 259, 80)).sets
    context = context_of(spec, 0, 259, 80)
    assert set(one.own) == set(context.slices["coin"])
    assert set(one.others) == set(range(259)) - set(context.slices["coin"])


@pytest.mark.parametrize("batch", [1, 8, 500])
def test_batches_change_nothing(spec: AuditSpec, batch: int) -> None:
    whole = read(context_of(spec, 1, 90, 36), shift=2.0)
    reader = reader_of(context_of(spec, 1, 90, 36))
    seen_by(reader, np.random.default_rng(10_001), 2.0, batch)
    parts = reader.finish()
    assert all((whole.arrays[name] == parts.arrays[name]).all() for name in whole.arrays)
    assert whole.details == parts.details


def test_clusters_are_resampled_and_told(spec: AuditSpec) -> None:
    context = context_of(spec, 0, 200, 60)
    context.dataset.clusters = np.arange(200) // 4
    found = read(context, shift=2.0)
    alone = read(context_of(spec, 0, 200, 60), shift=2.0)
    assert found.details["clusters"] == 50
    told = [warning for warning in found.details["warnings"] if "clusters" in warning]
    assert len(told) == 1
    assert told[0].startswith("The 60 images of 'coin' come from ")
    widths = [[v.high - v.low for v in one.values if v.interval == "bootstrap"] for one in (found, alone)]
    assert widths[0] != widths[1]


def test_numbers_that_are_not_finite_are_named(spec: AuditSpec) -> None:
    reader = reader_of(context_of(spec, 0, 90, 36))
    good, bad = torch.zeros((1, 8, 2, 3)), torch.full((1, 8, 2, 3), torch.nan)
    with pytest.raises(StepError, match=r"NaN or infinity in the activations of layer 'features'"):
        reader.take(Seen(0, np.array([0]), bad, (good,)))
    with pytest.raises(StepError, match=r"NaN or infinity in the gradients of layer 'features'"):
        reader.take(Seen(0, np.array([0]), good, (bad,)))


def test_a_case_that_was_not_seen_is_an_error(spec: AuditSpec) -> None:
    reader = reader_of(context_of(spec, 0, 90, 36))
    reader.take(Seen(0, np.array([0]), torch.zeros((1, 8, 2, 3)), (torch.zeros((1, 8, 2, 3)),)))
    with pytest.raises(StepError, match=r"found 1 cases seen; expected 90, each once"):
        reader.finish()


def test_a_class_without_a_case_or_a_gradient_has_a_state_of_its_own(spec: AuditSpec) -> None:
    context = context_of(spec, 0, 90, 36)
    context.dataset.labels = np.zeros(90, dtype=np.int64)
    found = read(context, shift=2.0)
    assert [one["state"] for one in found.details["comparisons"]] == ["tested", "no_case"]
    assert "The slice has no case of 'warm'." in found.details["warnings"]
    reasons = {value.label: value.reason for value in found.values if value.status == "undefined"}
    assert reasons == {"coin on warm": "The slice has no case of this class."}

    context = context_of(spec, 0, 90, 36)
    reader = reader_of(context)
    seen_by(reader, np.random.default_rng(0), 2.0)
    reader._gradients[0][context.dataset.labels == 0] = 0
    found = reader.finish()
    assert [one["state"] for one in found.details["comparisons"]] == ["no_gradient", "tested"]
    assert "No gradient of the score of 'cold' reaches the layer." in found.details["warnings"]
    reader._gradients[0][:] = 0
    with pytest.raises(Refusal, match=r"no gradient reaches this layer"):
        reader.finish()


@pytest.mark.parametrize(
    ("task", "scores_are", "expected"),
    [
        ("single_label", "logit", [("logit", None)]),
        ("single_label", "probability", [("prob", None)]),
        ("binary_logit", "logit", [("logit", None)]),
        ("multi_label", "logit", [("logit", 1), ("logit", 0)]),
        ("multi_label", "probability", [("prob", 1), ("prob", 0)]),
        ("segmentation", "probability", [("logit", 1), ("logit", 0)]),
        ("regression", "logit", [("regression", 1), ("regression", 0)]),
    ],
)
def test_each_task_asks_for_the_gradients_that_its_classes_need(
    task: str, scores_are: str, expected: list[tuple[str, int | None]]
) -> None:
    """The gradient of a case's own label serves all classes; labels and outputs beside each other have one each."""
    model = SimpleNamespace(task=task, scores_are=scores_are, outputs=("cold", "warm"))
    classes = () if task == "regression" else ("cold", "warm")
    of_data = "multi_label" if task == "segmentation" else task
    context = SimpleNamespace(spec=SimpleNamespace(model=model, task=of_data, classes=classes))
    found = _targets(context, Tcav(use="tcav", layer="last", classes=("warm", "cold")))  # type: ignore[arg-type]
    assert [(one.kind, one.output if task == "regression" else one.class_) for one in found] == expected

"""The audits of made-up pictures: their graphs are those of their worlds, their weights theirs, and no unit trains."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import networkx as nx
import numpy as np
import pytest
from small_audits import AUDITS, NAMES, score_of_audit, world_of_audit

from xai_audit.opening import open_slices
from xai_audit.plan import Counts, make_plan
from xai_audit.spec.causal import FromColumn
from xai_audit.spec.load import LoadedSpec, load_spec
from xai_audit.spec.schema import Generator
from xai_audit.synthetic.truth import contrast

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_causal_models.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("make_causal_models", SCRIPT)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(params=NAMES)
def loaded(request: pytest.FixtureRequest) -> LoadedSpec:
    return load_spec(AUDITS / f"{request.param}.yaml")


def test_it_loads_and_plans(loaded: LoadedSpec) -> None:
    dataset, slices = open_slices(loaded)
    counts = Counts(len(dataset.ids), {name: len(rows) for name, rows in slices.items()})
    plan = make_plan(loaded.spec, counts)
    assert loaded.spec.causal is not None
    assert {step.subject for step in plan.steps if step.kind == "causal_query"} == {
        query.id for query in loaded.spec.causal.queries
    }
    assert sum(criterion.query is not None for criterion in loaded.spec.criteria) >= 2


def test_its_graph_is_that_of_the_world_over_its_variables(loaded: LoadedSpec) -> None:
    """What the audit leaves out only carries on to nothing, so that no path of the world is lost."""
    causal, world = loaded.spec.causal, world_of_audit(loaded)
    assert causal is not None
    columns = {name: one.source.column for name, one in causal.variables.items() if isinstance(one.source, FromColumn)}
    assert all(name == column for name, column in columns.items())
    kept = {*columns, "image"}
    declared = {tuple(edge.split(" -> ")) for edge in causal.edges} - {("image", "score")}
    without_effect = ("token", "only") if "blur" in columns or world.name != "radiograph" else ("site", "blur")
    true = {edge for edge in world.edges if set(edge) <= kept} - {without_effect}
    assert declared == true
    left_out = set(world.equations) - kept
    graph = nx.DiGraph(list(world.edges))
    silent = {"blur"} if world.name == "radiograph" else set()
    assert all(name not in graph or not set(graph.successors(name)) & kept for name in left_out - silent)


def test_its_weights_are_its_own_and_small(loaded: LoadedSpec) -> None:
    weights = loaded.spec.model.weights  # type: ignore[union-attr]
    assert weights is not None
    stored = (loaded.folder / weights.file).read_bytes()
    assert len(stored) < 1_000_000
    assert hashlib.sha256(stored).hexdigest() == weights.sha256


def test_no_audited_unit_trains(loaded: LoadedSpec, script: ModuleType) -> None:
    source = loaded.spec.data.source
    assert isinstance(source, Generator)
    assert source.first + source.count <= script.FIRST
    assert f"{loaded.path.parent.name}/{loaded.path.stem}" in {recipe.audit for recipe in script.RECIPES}


def test_training_is_the_same_twice(script: ModuleType) -> None:
    import torch

    from xai_audit.synthetic.radiograph import radiograph
    from xai_audit.synthetic.small_net import build

    spec = load_spec(AUDITS / "medical" / "chest-token.yaml").spec
    assert spec.model is not None
    pictures, labels = script.tensors(radiograph().sample(32, 1), "disease", spec.model.input)
    assert pictures.shape == (32, 1, 64, 64)
    states = []
    for _ in range(2):
        torch.manual_seed(script.SEED)
        states.append(script.train(pictures, labels, build(1, 2), 1).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.slow
def test_the_token_alone_looks_harmless_where_the_net_took_the_blur() -> None:
    """CAUSAL.md section 9: the obvious query moves the score little, and accuracy falls once site tells nothing."""
    loaded = load_spec(AUDITS / "medical" / "chest-token.yaml")
    world, score = world_of_audit(loaded), score_of_audit(loaded)
    numbers = range(60_000, 60_200)
    token = contrast(world, score, 11, numbers, {"token": 0}, {"token": 1})
    blur = contrast(world, score, 11, numbers, {"blur": 0.4}, {"blur": 1.2})
    assert abs(token.estimate) + 4 * token.standard_error < 0.1
    assert blur.estimate - 4 * blur.standard_error > 0.2
    even = replace(world, coefficients=replace(world.coefficients, rho=0.0))
    right = []
    for each in (world, even):
        units = each.sample(len(numbers), 11, first=numbers[0])
        said = score(np.stack([unit.picture for unit in units])) > 0.5
        right.append(float(np.mean(said == [unit.row["disease"] == 1 for unit in units])))
    assert right[0] - right[1] > 0.1


@pytest.mark.slow
def test_the_token_moves_the_score_where_it_is_the_only_channel() -> None:
    loaded = load_spec(AUDITS / "medical" / "chest-token-only.yaml")
    world, score = world_of_audit(loaded), score_of_audit(loaded)
    token = contrast(world, score, 11, range(60_000, 60_100), {"token": 0}, {"token": 1})
    assert token.estimate - 4 * token.standard_error > 0.15

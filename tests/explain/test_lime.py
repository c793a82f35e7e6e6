"""LIME: METHODS' numbers, models of superpixels that are known, the lime package row for row, and the engine's part."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import answering
import lime.lime_image
import nets
import numpy as np
import pytest
import torch
from asking import made
from torch import Tensor, nn

from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.explain import lime as module
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import ModelFacts, asker_cost, over_budget, query_costs
from xai_audit.explain.explained import Batch, Explained, Limits
from xai_audit.explain.lime import Drawn, draw
from xai_audit.explain.lime_settings import lime_settings
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Case, Coalitions, Question
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.methods import Background, Grid, Lime, Occlusion
from xai_audit.spec.schema import ModelInput
from xai_audit.spec.tables import TableInput

WHITE = np.ones((1, 4, 4))
WEIGHTS = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
FOUR = {"segments": {"grid": (2, 2)}, "baseline": "black"}


def method(**parameters: Any) -> Lime:
    return made({"use": "lime", **parameters})  # type: ignore[return-value]


def quadrants(x: Tensor) -> Tensor:
    """Mean of each quarter of a square image, (rows, 4), in the grid's order."""
    side = x.shape[2] // 2
    parts = [x[:, :, r : r + side, c : c + side].mean((1, 2, 3)) for r in (0, side) for c in (0, side)]
    return torch.stack(parts, 1).double()


def explained(f: answering.Function, image: np.ndarray = WHITE, **more: Any) -> Maps:
    given = {key: more.pop(key) for key in ("sources", "seed", "asked", "names") if key in more}
    return answering.explained(module.lime, method(**more), image, f, **given)


def additive(x: Tensor) -> Tensor:
    return quadrants(x) @ WEIGHTS


def corners(maps: Maps, name: str = "raw") -> np.ndarray:
    """The value of each of four superpixels."""
    painted = maps.raw[0] if name == "raw" else maps.extras[name][0]
    half = painted.shape[0] // 2
    return painted[::half, ::half].ravel()


def told(maps: Maps) -> list[str]:
    return [sentence for sentence, n in maps.counts.items() if n]


# Known answers


@pytest.mark.parametrize(
    ("times", "wanted"),
    [(1, [0.038606, 0.105367, 0.172127, 0.238887]), (64, [0.098064, 0.197293, 0.296521, 0.395749])],
)
def test_known_answer_of_methods(monkeypatch: pytest.MonkeyPatch, times: int, wanted: list[float]) -> None:
    """METHODS 5: all 16 rows of four superpixels, once and 64 times, alpha 1, width 0.25, superpixels that add up."""
    rows = np.tile(np.array(list(product([True, False], repeat=4))), (times, 1))
    monkeypatch.setattr(module, "draw", lambda *_: Drawn(rows, np.arange(len(rows))))
    found = explained(additive, preset="lime-2016", **FOUR)
    np.testing.assert_allclose(corners(found), wanted, rtol=0, atol=5e-7)
    if times == 1:
        assert found.extras["intercept"][0] == pytest.approx(0.290735, abs=5e-7)
        assert found.extras["r2"][0] == pytest.approx(0.823293, abs=5e-7)
        assert found.extras["distinct"][0] == 16


def test_superpixels_that_add_up_are_found_exactly() -> None:
    found = explained(additive, **FOUR)
    np.testing.assert_allclose(corners(found), WEIGHTS, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.raw[0], np.kron(WEIGHTS.reshape(2, 2), np.ones((2, 2))), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.extras["segments"][0], np.kron([[0, 1], [2, 3]], np.ones((2, 2))))
    assert found.extras["r2"][0] == pytest.approx(1, abs=1e-10)
    assert found.extras["local_prediction"][0] == pytest.approx(1, abs=1e-10)
    assert not corners(found, "standard_error").any(), "all 16 rows were asked: nothing was drawn"
    assert told(found) == []


@pytest.mark.parametrize("seed", [0, 1])
def test_superpixels_that_add_up_are_found_exactly_where_rows_are_drawn(seed: int) -> None:
    image = np.ones((1, 14, 14))
    w = torch.linspace(-1, 1, 49, dtype=torch.float64)
    found = explained(
        lambda x: x.reshape(-1, 7, 2, 7, 2).mean((2, 4)).flatten(1) @ w,
        image,
        segments="grid",
        baseline="black",
        samples=200,
        seed=seed,
    )
    np.testing.assert_allclose(found.raw[0], np.kron(w.reshape(7, 7), np.ones((2, 2))), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.extras["standard_error"], 0, rtol=0, atol=1e-10)


def test_superpixels_that_work_together_share_their_effect() -> None:
    """Of y = z1 z2 over all rows with weights alike: 1/2 each, the mean effect over what the others show; R2 = 2/3."""
    found = explained(lambda x: quadrants(x)[:, 0] * quadrants(x)[:, 1], **FOUR)
    np.testing.assert_allclose(corners(found), [0.5, 0.5, 0, 0], rtol=0, atol=1e-10)
    assert found.extras["r2"][0] == pytest.approx(2 / 3, abs=1e-10)


def test_an_effect_of_pairs_leaves_paired_rows_without_noise() -> None:
    """A row and its complement cancel every term of two superpixels; single rows keep it as noise."""
    image = np.ones((1, 10, 10))

    def pairs(x: Tensor) -> Tensor:
        z = x.reshape(-1, 5, 2, 5, 2).mean((2, 4)).flatten(1)
        return z.sum(1) + (z[:, :-1] * z[:, 1:]).sum(1)

    common = {"segments": {"grid": (5, 5)}, "baseline": "black", "samples": 200}
    paired = [explained(pairs, image, seed=seed, **common).raw for seed in range(2)]
    np.testing.assert_allclose(paired[0], paired[1], rtol=0, atol=1e-10)
    inner = paired[0][0, 2, 2]
    assert inner == pytest.approx(2, abs=1e-10)  # itself 1, and half of a pair to either side
    single = [explained(pairs, image, seed=seed, preset="lime-2016", **common).raw for seed in range(2)]
    assert np.abs(single[0] - single[1]).max() > 0.01


def test_superpixels_that_only_interact_are_said_to_be_no_explanation() -> None:
    """Exclusive or: no line fits it at all."""
    found = explained(lambda x: (quadrants(x)[:, 0] - quadrants(x)[:, 1]) ** 2, **FOUR)
    np.testing.assert_allclose(found.raw, 0, rtol=0, atol=1e-10)
    assert found.extras["r2"][0] == pytest.approx(0, abs=1e-10)
    assert len(told(found)) == 1
    assert "R2 below 0.5" in told(found)[0]


def test_equal_to_the_lime_package_on_the_same_rows_and_superpixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 0.2.0.1, from image to coefficients, in float64 to 1e-10; our rows are those that it drew."""
    image = np.random.default_rng(0).random((3, 12, 12))
    net = nets.seeded(nets.SmoothNet).double().requires_grad_(False)
    labels = np.kron(np.arange(9).reshape(3, 3), np.ones((4, 4), int))
    kept: list[np.ndarray] = []

    def classifier(images: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(np.moveaxis(images, 3, 1))).softmax(1).numpy()

    explainer = lime.lime_image.LimeImageExplainer(feature_selection="none", random_state=3)
    drawn = explainer.data_labels
    monkeypatch.setattr(explainer, "data_labels", lambda *a, **k: kept.append((found := drawn(*a, **k))[0]) or found)
    theirs = explainer.explain_instance(
        np.moveaxis(image, 0, 2), classifier, labels=(1,), top_labels=None, num_samples=120,
        segmentation_fn=lambda _: labels, hide_color=None,
    )  # fmt: skip
    rows = kept[0].astype(bool)
    monkeypatch.setattr(module, "draw", lambda *_: Drawn(rows, np.arange(len(rows))))
    segments = {"segments": {"grid": (3, 3)}}
    found = explained(lambda x: net(x).softmax(1)[:, 1], image, preset="lime-2016", **segments)
    wanted = np.zeros(9)
    for place, value in theirs.local_exp[1]:
        wanted[place] = value
    np.testing.assert_allclose(found.raw[0], wanted[labels], rtol=0, atol=1e-10)
    assert found.extras["intercept"][0] == pytest.approx(theirs.intercept[1], abs=1e-10)
    assert found.extras["r2"][0] == pytest.approx(theirs.score, abs=1e-10)
    assert found.extras["local_prediction"][0] == pytest.approx(theirs.local_pred[0], abs=1e-10)


# Rows


def test_rows_of_the_published_estimator() -> None:
    drawn = draw(lime_settings(method(preset="lime-2016"), False), 30, 7)
    assert drawn.rows.shape == (1000, 30)
    assert drawn.rows[0].all()
    assert drawn.rows[1:].mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.blocks.tolist() == list(range(-1, 999))


def test_rows_of_steady_come_with_their_complements() -> None:
    drawn = draw(lime_settings(method(samples=101), False), 30, 7)
    assert drawn.rows.shape == (100, 30)
    assert drawn.rows[0].all()
    np.testing.assert_array_equal(drawn.rows[1::2], ~drawn.rows[::2])
    assert drawn.blocks.tolist() == [-1, -1, *np.repeat(np.arange(49), 2)]


@pytest.mark.parametrize(("samples", "players", "rows"), [(8, 3, 8), (9, 3, 8), (1000, 9, 512), (1000, 10, 1000)])
def test_all_rows_are_taken_once_where_they_fit(samples: int, players: int, rows: int) -> None:
    drawn = draw(lime_settings(method(samples=samples), False), players, 0)
    assert len(drawn.rows) == rows
    assert drawn.rows[0].all()
    if rows == 2**players:
        assert len(np.unique(drawn.rows, axis=0)) == rows
        assert (drawn.blocks == -1).all()


def test_seeds_decide_rows_and_nothing_else_does() -> None:
    for preset in ("steady", "lime-2016"):
        settings = lime_settings(method(preset=preset), False)
        np.testing.assert_array_equal(draw(settings, 40, 1).rows, draw(settings, 40, 1).rows)
        assert not np.array_equal(draw(settings, 40, 1).rows, draw(settings, 40, 2).rows)


# Players, fills and refusals


def test_two_superpixels_and_five_hundred() -> None:
    halves = explained(lambda x: x[:, 0, :, :2].mean((1, 2)), segments={"grid": (1, 2)}, baseline="black")
    np.testing.assert_allclose(halves.raw[0], np.kron([[1.0, 0]], np.ones((4, 2))), rtol=0, atol=1e-10)
    pixels = np.ones((1, 20, 25))
    many = explained(lambda x: x.sum((1, 2, 3)), pixels, segments={"grid": (20, 25)}, baseline="black", samples=2000)
    np.testing.assert_allclose(many.raw, 1, rtol=0, atol=1e-9)


def test_too_few_rows_for_the_superpixels_are_refused_with_the_numbers() -> None:
    pixels = np.ones((1, 20, 25))
    with pytest.raises(Refusal, match=r"500 players and 1000 rows, too few.*at least 2000 rows.*`alpha` above 0"):
        explained(lambda x: x.sum((1, 2, 3)), pixels, segments={"grid": (20, 25)}, baseline="black", samples=1000)
    ridge = {"segments": {"grid": (20, 25)}, "baseline": "black", "samples": 400, "preset": "lime-2016"}
    assert np.isfinite(explained(lambda x: x.sum((1, 2, 3)), pixels, **ridge).raw).all()


def test_a_constant_image_hidden_by_its_own_colours_is_flat() -> None:
    found = explained(additive, np.full((1, 4, 4), 0.3), segments={"grid": (2, 2)})
    assert not found.raw.any()
    assert "the same for every perturbed copy" in told(found)[0]
    assert found.extras["intercept"][0] == pytest.approx(0.3)


def test_hidden_superpixels_wear_their_mean() -> None:
    asked: list[Question] = []
    image = np.random.default_rng(0).random((3, 4, 4))
    explained(additive, image, segments={"grid": (2, 2)}, asked=asked)
    assert isinstance(asked[0], Coalitions)
    for row, column in product((0, 2), (0, 2)):
        part = (slice(None), slice(row, row + 2), slice(column, column + 2))
        wanted = np.broadcast_to(image[part].mean((1, 2), keepdims=True), (3, 2, 2))
        np.testing.assert_allclose(asked[0].fill[part], wanted, rtol=0, atol=1e-12)


def test_what_differs_from_the_publication_is_said() -> None:
    blocks = np.random.default_rng(3).random((3, 4, 4)).repeat(12, 1).repeat(12, 2)
    plain = explained(additive, blocks, preset="lime-2016", samples=50)
    assert plain.warnings == ()
    changed = explained(additive, preset="lime-2016", alpha=0.5, **FOUR)
    assert changed.warnings == ("Not lime-2016 as published: the spec sets segments, baseline, alpha.",)
    assert explained(additive, **FOUR).warnings == ()


def test_every_parameter_is_recorded() -> None:
    found = explained(additive, preset="lime-2016", **FOUR).parameters
    assert found == {
        "preset": "lime-2016",
        "segments": {"kind": "grid", "rows": 2, "columns": 2},
        "samples": 1000,
        "sampling": "each bit 1 with probability 1/2; the first row all ones",
        "baseline": {"kind": "black", "value": 0.0},
        "distance": "cosine to the row of ones: 1 - sqrt(share of players shown)",
        "kernel_width": 0.25,
        "alpha": 1.0,
        "regression": "weighted ridge, free intercept, all players kept",
        "standard_error": "HC2: of the draw of rows; not of the fit, for which see r2",
        "poor_fit": 0.5,
    }


def test_the_published_preset_asks_for_the_probability_unless_told_otherwise() -> None:
    assert method(preset="lime-2016").target.kind == "prob"
    assert method().target.kind == "logit"
    assert method(preset="lime-2016", target={"kind": "logit"}).target.kind == "logit"


def test_another_method_is_refused() -> None:
    with pytest.raises(Refusal, match="use occlusion"):
        next(module.lime(Case(WHITE, 0.0), Occlusion(use="occlusion")))


# Tables


ROW = np.array([[[2.0, np.nan, 1.0, 5.0]]])
NAMES = ("age", "income", "city", "debts")
SOURCES = FillSources(mean=np.array([[[1.0, 10.0, 0.0, 1.0]]]), median=np.array([[[2.0, 8.0, 0.0, 3.0]]]))


def of_row(x: Tensor) -> Tensor:
    """3 age + income (100 where it is missing) + 7 where the city is 1, - debts: no two features meet."""
    age, income, city, debts = x[:, 0, 0].T
    return 3 * age + torch.where(income.isnan(), 100.0, income) + 7 * (city == 1) - debts


def test_a_row_of_a_table_is_explained_by_its_features() -> None:
    found = explained(of_row, ROW, names=NAMES, sources=SOURCES)
    np.testing.assert_allclose(found.raw, [[[3.0, 90.0, 7.0, -4.0]]], rtol=0, atol=1e-10)
    assert found.parameters["players"] == list(NAMES)
    assert found.parameters["baseline"] == {"kind": "mean", "values": [1.0, 10.0, 0.0, 1.0]}
    assert found.parameters["segments"] == {"kind": "features"}
    median = explained(of_row, ROW, names=NAMES, sources=SOURCES, baseline="median")
    np.testing.assert_allclose(median.raw, [[[0.0, 92.0, 7.0, -2.0]]], rtol=0, atol=1e-10)


def test_groups_come_and_go_together() -> None:
    groups = {"groups": {"money": ("income", "debts")}}
    found = explained(of_row, ROW, names=NAMES, sources=SOURCES, segments=groups)
    np.testing.assert_allclose(found.raw, [[[3.0, 86.0, 7.0, 86.0]]], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.extras["segments"], [[[1, 0, 2, 0]]])
    assert found.parameters["players"] == ["money", "age", "city"]


def test_a_background_is_a_mean_over_its_rows() -> None:
    """Of what adds up: the mean of the single rows' coefficients."""
    background = Background(background=2)
    rows = np.stack([SOURCES.mean, SOURCES.median])
    found = explained(of_row, ROW, names=NAMES, sources=FillSources(rows={background: rows}), baseline=background)
    np.testing.assert_allclose(found.raw, [[[1.5, 91.0, 7.0, -3.0]]], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("more", "names", "match"),
    [
        ({"baseline": "mean"}, (), "baseline mean: found no table"),
        ({"segments": "features"}, (), "features of an image"),
        ({"segments": "slic"}, NAMES, "slic of a table"),
        ({"baseline": "superpixel_mean", "segments": {"groups": {"a": ("agee",)}}}, NAMES, "'agee'"),
        ({"baseline": {"background": 5}}, NAMES, "no background drawn"),
    ],
)
def test_what_does_not_fit_the_input_is_refused(more: dict[str, Any], names: tuple[str, ...], match: str) -> None:
    image = ROW if names else WHITE
    with pytest.raises(Refusal, match=match):
        explained(lambda x: x.sum((1, 2, 3)), image, names=names, sources=FillSources(), **more)


# Passes


INPUT, TABLE = ModelInput(size=(16, 16)), TableInput(features=("a", "b", "c"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "model_input", "wanted"),
    [
        (method(), INPUT, 999),
        (method(preset="lime-2016"), INPUT, 999),
        (method(samples=101), INPUT, 100),
        (method(samples=101, segments=Grid(grid=(5, 5))), INPUT, 99),
        (method(samples=101, preset="lime-2016"), INPUT, 100),
        (method(segments=Grid(grid=(2, 2))), INPUT, 15),
        (method(segments=Grid(grid=(2, 2)), preset="lime-2016"), INPUT, 999),
        (method(), TABLE, 7),
        (method(baseline=Background(background=10)), TABLE, 70),
        (method(segments={"groups": {"g": ("a", "b")}}), TABLE, 3),
    ],
)
def test_passes_foreseen(given: Lime, model_input: Any, wanted: int) -> None:
    cost = asker_cost(given, model_input, None)
    assert cost.passes == Passes(forwards=wanted)
    assert cost.certainty == "at_most"


def test_too_few_rows_are_foreseen() -> None:
    with pytest.raises(Refusal, match="256 players and 1000 rows"):
        asker_cost(method(segments=Grid(grid=(16, 16))), INPUT, None)
    assert asker_cost(method(segments=Grid(grid=(16, 16)), alpha=0.1), INPUT, None).passes == Passes(999)


def test_a_budget_counts_the_image_itself() -> None:
    assert over_budget(method(samples=64, budget=64), INPUT, ModelFacts()) is None
    found = over_budget(method(samples=64, budget=63), INPUT, ModelFacts())
    assert "64 passes for one case" in str(found)
    assert "lower `samples`" in str(found)


def run(
    model: AuditedModel, methods: Sequence[Lime], images: np.ndarray, rows: int = 8, size: int = 2, seed: int = 0
) -> tuple[dict[str, Explained], dict[str, Passes]]:
    """Through the engine, `size` images a batch."""
    numbers = [tuple(range(k, min(k + size, len(images)))) for k in range(0, len(images), size)]
    batches = [Batch(some, tuple(f"case{n}" for n in some), images[list(some)]) for some in numbers]
    found = explain_by_queries(model, methods, batches, {}, FillSources(), seed, Limits(rows, 512))
    assert all(isinstance(outcome, Explained) for outcome in found.outcomes.values()), found.outcomes
    return found.outcomes, found.passes  # type: ignore[return-value]


METHODS = (
    method(samples=40, segments={"grid": (3, 3)}),
    method(name="published", preset="lime-2016", samples=24, segments={"grid": (2, 4)}),
)


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def test_passes_counted_are_those_foreseen(model: AuditedModel) -> None:
    """The first method asks rows that all differ; the second may draw some twice and then asks them once."""
    given = (method(segments={"grid": (2, 2)}), method(name="more", segments={"grid": (3, 3)}, samples=100))
    _, passes = run(model, given, nets.pixels())
    foreseen = query_costs(given, model.input, 4)
    assert passes["lime"] == foreseen["lime"].passes == Passes(4 * 16)
    assert 4 * 90 < passes["more"].forwards <= foreseen["more"].passes.forwards == 4 * 99


def test_rows_drawn_twice_are_asked_once(model: AuditedModel) -> None:
    given = method(preset="lime-2016", segments={"grid": (1, 2)}, samples=200)
    outcomes, passes = run(model, [given], nets.pixels(2))
    assert passes["lime"] == Passes(2 * 4)
    np.testing.assert_array_equal(outcomes["lime"].extras["distinct"], 4)


def test_equal_coalitions_of_two_uses_are_asked_once(model: AuditedModel) -> None:
    one = method(segments={"grid": (2, 2)})
    other = method(name="again", segments={"grid": (2, 2)}, target={"kind": "prob"})
    _, passes = run(model, [one, other], nets.pixels(2))
    assert passes == {"lime": Passes(2 * 16), "again": Passes()}


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (64, 9), (5, 4)])
def test_sizes_of_batches_change_nothing(model: AuditedModel, rows: int, size: int) -> None:
    one, other = run(model, METHODS, nets.pixels())[0], run(model, METHODS, nets.pixels(), rows, size)[0]
    for label, outcome in one.items():
        scale = np.abs(outcome.raw).max()
        np.testing.assert_allclose(outcome.raw, other[label].raw, rtol=0, atol=1e-5 * max(1, scale))
        np.testing.assert_array_equal(outcome.extras["segments"], other[label].extras["segments"])


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_maps(model: AuditedModel) -> None:
    first, second, other = (run(model, METHODS, nets.pixels(), seed=seed)[0] for seed in (0, 0, 1))
    for label, outcome in first.items():
        assert outcome.raw.tobytes() == second[label].raw.tobytes()
        assert all(outcome.extras[name].tobytes() == second[label].extras[name].tobytes() for name in outcome.extras)
        assert not np.array_equal(outcome.raw, other[label].raw)


def test_a_case_is_explained_alike_in_any_company(model: AuditedModel) -> None:
    images = nets.pixels()
    alone = run(model, METHODS[:1], images[:1])[0]["lime"]
    together = run(model, METHODS, images)[0]["lime"]
    np.testing.assert_allclose(alone.raw[0], together.raw[0], rtol=0, atol=1e-5)


def test_extras_are_one_row_a_case(model: AuditedModel) -> None:
    found = run(model, METHODS, nets.pixels())[0]["published"]
    assert found.raw.shape == found.extras["segments"].shape == found.extras["standard_error"].shape == (4, 16, 16)
    for name in ("r2", "intercept", "local_prediction", "players", "distinct"):
        assert found.extras[name].shape == (4,)
    for raw, labels in zip(found.raw, found.extras["segments"], strict=True):
        assert all(np.ptp(raw[labels == label]) == 0 for label in np.unique(labels)), "one value a superpixel"


class Means(nn.Module):
    """Scores are weighted means of quarters: linear in the superpixels of a 2 x 2 grid."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 4 * outputs, dtype=torch.float64).reshape(outputs, 4).float())

    def forward(self, x: Tensor) -> Tensor:
        return quadrants(x).to(x.dtype) @ self.weight.T


@pytest.mark.parametrize(
    ("task", "outputs", "target", "row", "sign"),
    [
        ("single_label", 3, {"class": "class1"}, 1, 1),
        ("multi_label", 3, {"class": "class2"}, 2, 1),
        ("binary_logit", 1, {"class": "positive"}, 0, 1),
        ("binary_logit", 1, {"class": "negative"}, 0, -1),
        ("regression", 3, {"kind": "regression", "output": 2}, 2, 1),
    ],
)
def test_targets_of_every_task(task: str, outputs: int, target: Any, row: int, sign: int) -> None:
    made_model = nets.audit(Means(outputs), task=task)
    images = nets.pixels(2)
    given = method(segments={"grid": (2, 2)}, baseline="black", target=target)
    found = run(made_model, [given], images)[0]["lime"]
    parts = quadrants(torch.from_numpy(images)).numpy()
    wanted = sign * Means(outputs).weight.detach().numpy()[row] * parts
    for case in range(2):
        np.testing.assert_allclose(found.raw[case][::8, ::8].ravel(), wanted[case], rtol=0, atol=1e-6)


def test_poor_fits_are_counted_over_cases() -> None:
    """Exclusive or of two quarters in two of three images."""

    class Differ(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            q = quadrants(x).to(x.dtype)
            return self.weight * torch.stack([(q[:, 0] - q[:, 1]) ** 2 + q[:, 2], 0 * q[:, 0] - 1], 1)

    images = np.full((3, 3, 16, 16), 0.5, np.float32)
    images[:2, :, 8:, :8] = 0  # no third quarter: nothing linear is left
    given = method(segments={"grid": (2, 2)}, baseline="black", target={"class": 0})
    found = run(nets.audit(Differ(), width=2), [given], images)[0]["lime"]
    assert [text for text in found.warnings if text.startswith("In 2 of 3 cases the local linear fit is poor")]
    np.testing.assert_allclose(found.extras["r2"], [0, 0, 0.8], rtol=0, atol=0.02)

"""What is drawn of a map, and what is counted in it, without a page around it."""

from __future__ import annotations

import numpy as np
import pytest
from fixture_run import Made, Wish, make_run

from xai_audit import registry
from xai_audit.explain import stages
from xai_audit.measures.localisation import mass_of_map
from xai_audit.report import pictures
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context
from xai_audit.report.document import CaseStrip, Image, Picture
from xai_audit.report.explained import chosen_cases, each_method
from xai_audit.report.maps import Range, meaning, range_of_means, shown_maps
from xai_audit.report.numbers import Numbers
from xai_audit.report.region_chart import Places, regions_alt
from xai_audit.report.sections.mean_maps import slice_groups
from xai_audit.report.sections.privacy import groups_shown
from xai_audit.report.sections.regions import regions

EN = load_catalogue("en")
DRAWN = tuple(entry for entry in registry.METHODS if entry.gives_map)
RAW = np.random.default_rng(0).normal(size=(3, 2, 8, 8)).astype(np.float32)

DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
"""Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB."""


def context_of(made: Made) -> Context:
    return Context(made.run, made.spec, made.findings, "en", EN, Numbers(EN, made.spec.data.show.minimum_cell))


@pytest.mark.parametrize("entry", DRAWN, ids=lambda entry: entry.name)
def test_the_registry_decides_what_pictures_show(entry: registry.MethodEntry) -> None:
    raw = RAW if entry.map_kind == "pixels" else RAW[:, 0]
    shown = shown_maps("m", entry.name, raw, (8, 8))
    reduced = raw if raw.ndim == 3 else {"sum": raw.sum(1), "max_abs": np.abs(raw).max(1)}[entry.reduction]
    wanted = {"relu": np.maximum(reduced, 0), "abs": np.abs(reduced), "signed": reduced}[entry.sign]
    np.testing.assert_allclose(shown.maps, wanted, atol=1e-6)
    np.testing.assert_allclose(shown.relevance, np.abs(wanted) if entry.sign == "abs" else np.maximum(wanted, 0))
    assert shown.scale.is_signed == (entry.sign == "signed") == bool((shown.maps < 0).any())


@pytest.mark.parametrize("entry", DRAWN, ids=lambda entry: entry.name)
def test_every_method_has_words_for_its_colours(entry: registry.MethodEntry) -> None:
    assert EN.has(f"gallery.scale.{meaning(entry.name)}")


def test_a_scale_ends_where_nearly_all_values_do_and_says_the_largest() -> None:
    raw = np.linspace(0, 1, 1001)[None, None].repeat(1, axis=1).astype(np.float32).reshape(1, 7, 143)
    shown = shown_maps("m", "grad_cam", raw, (7, 143))
    assert shown.scale == Range(pytest.approx(0.995, abs=1e-6), False, 1.0)


def test_mean_maps_share_a_scale_that_ends_at_the_largest_mean() -> None:
    means = [np.full((4, 4), 0.5), np.full((4, 4), -2.0)]
    assert range_of_means(means, is_signed=True) == Range(2.0, True, 2.0)
    assert range_of_means(means, is_signed=True).start == -2.0
    assert range_of_means([], is_signed=False).end == 0.0


def test_a_mean_map_is_the_mean_and_lies_inside_dotted_lines() -> None:
    even = pictures.map_alone(np.zeros((40, 40)), Range(1.0, False, 1.0), 40)
    lines = even[..., 0] == pictures.LINE
    rows = np.flatnonzero(lines.any(axis=1))
    assert {4, 10, 29, 35} <= set(rows.tolist())
    assert not lines[:4].any() and not lines[36:].any()
    assert (even[~lines] == pictures.GROUND).all()
    strong = pictures.map_alone(np.ones((40, 40)), Range(1.0, False, 1.0), 40)
    assert strong[0, 0].sum() < even[0, 0].sum()


def test_the_lines_of_a_small_map_stay_thin() -> None:
    drawn = pictures.map_alone(np.zeros((8, 8)), Range(1.0, False, 1.0), 80)
    assert drawn.shape == (80, 80, 3)
    assert (drawn[..., 0] == pictures.LINE).mean() < 0.05


def simulated(colours: np.ndarray) -> np.ndarray:
    linear = (colours / 255) ** 2.2
    return np.asarray(np.clip(linear @ DEUTERANOPIA.T, 0, 1) ** (1 / 2.2) * 255)


def test_both_signs_differ_to_colour_blind_eyes() -> None:
    for value in (0.3, 0.6, 1.0):
        both = simulated(pictures._colours(np.array([value, -value]), True))
        assert np.linalg.norm(both[0] - both[1]) > 60
    red_and_green = simulated(np.array([[200.0, 60.0, 40.0], [100.0, 125.0, 40.0]]))
    assert np.linalg.norm(red_and_green[0] - red_and_green[1]) < 60, "the check must be able to fail"


@pytest.mark.parametrize(
    ("pictures_in_a_case", "abreast"),
    [(1, 4), (4, 4), (5, 5), (6, 6), (7, 4), (9, 5), (12, 6), (13, 6), (16, 6)],
)
def test_pictures_of_a_case_fill_few_rows(pictures_in_a_case: int, abreast: int) -> None:
    picture = Picture("p", Image("p", "image/jpeg", b"", "p"))
    assert CaseStrip((), (picture,) * pictures_in_a_case).abreast == abreast


def test_shares_inside_a_mask_equal_relevance_mass(every: Made) -> None:
    chosen = chosen_cases(context_of(every))
    assert chosen is not None
    mask = chosen.masks["interior"]
    for maps in each_method(context_of(every), chosen):
        raw = every.run.arrays(maps.located.record.id)["raw"]
        relevance = stages.relevance_map(raw, registry.method(maps.shown.use).reduction, chosen.size)
        wanted = [mass_of_map(one.astype(np.float64), mask[k]) for k, one in enumerate(relevance) if one.max() > 0]
        found = maps.located.regions["mask:interior"]
        assert found.mean == pytest.approx(np.mean(wanted), abs=1e-6)
        assert found.by_chance == pytest.approx(mask.mean(), abs=1e-12)
        assert maps.located.empty == (2 if maps.shown.use == "grad_cam" else 0)


def test_the_mean_of_a_slice_is_over_its_explained_cases(every: Made) -> None:
    context = context_of(every)
    chosen = chosen_cases(context)
    assert chosen is not None
    maps = next(each_method(context, chosen))
    cases = sorted(chosen.of_slice("all"))[:3]
    np.testing.assert_allclose(
        maps.mean(cases), np.mean([maps.shown.maps[maps.places[case]] for case in cases], axis=0), atol=1e-6
    )


def test_a_slice_with_too_few_explained_cases_has_no_mean(every: Made) -> None:
    context = context_of(every)
    chosen = chosen_cases(context)
    assert chosen is not None
    groups = slice_groups(context, chosen)
    assert set(groups) == {part.name for part in every.spec.slices if len(chosen.of_slice(part.name)) >= 5}
    assert "all" in groups and len(groups) < len(every.spec.slices)


def test_two_means_never_tell_a_few_hidden_cases_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    hidden = make_run(tmp_path_factory.mktemp("hidden") / "run", Wish(shows_images=False, broken=()))
    whole = frozenset(map(str, range(12)))
    members = {"a": frozenset(map(str, range(9))), "all": whole, "b": frozenset(map(str, range(7)))}
    assert list(groups_shown(context_of(hidden), members)) == ["all", "b"]


def test_means_of_shown_cases_need_no_such_care(every: Made) -> None:
    members = {"a": frozenset(map(str, range(9))), "all": frozenset(map(str, range(12))), "few": frozenset("123")}
    assert list(groups_shown(context_of(every), members)) == ["a", "all"]


def test_regions_of_too_few_cases_are_not_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = make_run(tmp_path_factory.mktemp("few") / "run", Wish(explained=3, broken=(), criteria="criteria: []\n"))
    context = context_of(made)
    chosen = chosen_cases(context)
    assert chosen is not None
    (group,) = regions(context, chosen, [maps.located for maps in each_method(context, chosen)])
    assert "Too few cases were explained" in str(group)


def test_the_alt_text_of_the_regions_follows_the_data(every: Made) -> None:
    places = (Places("one", 0.5, 0.1, 12), Places("two", 0.2, 0.6, 12))
    text = regions_alt(context_of(every), places).replace("\u00a0", " ")
    assert text == (
        "2 methods, 12 cases. In the border by chance 36.0 %; above it: 1; most: one, 50.0 %. In the centre by chance "
        "25.0 %; above it: 1; most: two, 60.0 %."
    )
    assert "60.0" not in regions_alt(context_of(every), places[:1])

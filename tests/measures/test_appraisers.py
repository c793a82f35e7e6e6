"""Agreement between people: published tables, closed forms, a plain second implementation, and controls."""

import numpy as np
import pytest
from slices_made import softmax
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from xai_audit.data.appraisers import Ratings
from xai_audit.errors import Refusal
from xai_audit.measures.appraisers import NO_RATING, NOBODY_ELSE, NOBODY_TWICE, appraisers
from xai_audit.measures.predictions import Predictions

# Fleiss' example as it is printed everywhere: 10 cases, 14 raters, 5 classes, kappa 0.210.
PRINTED = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip


def predictions(labels, answers, classes, clusters=None) -> Predictions:
    """single_label, the answers as the highest scores."""
    scores = np.zeros((len(labels), classes))
    scores[np.arange(len(labels)), answers] = 2.0
    names = tuple("abcdefgh"[:classes])
    groups = None if clusters is None else np.asarray(clusters)
    return Predictions("single_label", names, np.asarray(labels), scores, softmax(scores), groups)


def ratings(table, names=None) -> Ratings:
    """From {(case, appraiser): [class of each trial]}."""
    rows = [(case, who, given, at) for (case, who), all_ in sorted(table.items()) for at, given in enumerate(all_)]
    cases, who, classes, trials = (np.asarray(column, np.int64) for column in zip(*rows, strict=True))
    people = names or tuple(f"p{k}" for k in range(int(who.max()) + 1))
    return Ratings(cases, who, classes, trials, people)


def from_counts(counts) -> Ratings:
    """Raters in any order: who gave which class does not matter to Fleiss' kappa."""
    return ratings({
        (case, who): [given]
        for case, row in enumerate(counts)
        for who, given in enumerate(np.repeat(np.arange(len(row)), row))
    })  # fmt: skip


def value(found, name, label=""):
    return next(each for each in found.values if each.name == name and each.label == label)


def rng():
    return np.random.default_rng(0)


def plain_kappa(first, second, classes) -> float:
    """Cohen's kappa from its definition, in float64."""
    first, second = np.asarray(first), np.asarray(second)
    agreed = float(np.mean(first == second))
    expected = sum(float(np.mean(first == k)) * float(np.mean(second == k)) for k in range(classes))
    return (agreed - expected) / (1 - expected)


def plain_fleiss(counts) -> float:
    """Fleiss' kappa with missing ratings as in irrCAC: pairs where there are some, shares over all rated cases."""
    agreed, shares = [], []
    for row in counts:
        m = sum(row)
        if m >= 2:
            agreed.append(sum(x * (x - 1) for x in row) / (m * (m - 1)))
        if m >= 1:
            shares.append([x / m for x in row])
    expected = sum(np.mean([share[k] for share in shares]) ** 2 for k in range(len(counts[0])))
    return float((np.mean(agreed) - expected) / (1 - expected))


def test_fleiss_kappa_of_the_printed_table_is_0_210():
    found = appraisers(from_counts(PRINTED), predictions([0] * 10, [0] * 10, 5), rng())
    assert value(found, "appraisers").estimate == pytest.approx(0.20993, abs=5e-6)
    assert value(found, "appraisers").estimate == pytest.approx(fleiss_kappa(PRINTED), abs=1e-12)


def test_fleiss_kappa_with_unequal_numbers_of_raters_agrees_with_the_plain_one():
    counts = np.random.default_rng(5).integers(0, 4, size=(40, 3))
    counts[0] = [1, 0, 0]  # one rater alone: in no pair, but in the shares
    counts = counts[counts.sum(axis=1) > 0]
    found = appraisers(from_counts(counts), predictions([0] * len(counts), [1] * len(counts), 3), rng())
    assert value(found, "appraisers").estimate == pytest.approx(plain_fleiss(counts.tolist()), abs=1e-12)
    assert value(found, "appraisers").n == int((counts.sum(axis=1) >= 2).sum())


# Gwet's table of 12 cases and 4 raters with missing ratings, `raw_4raters` of irrCAC 0.4.4, which gives 0.76117;
# 0 is no rating.
GWET = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 0],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 3], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]).T  # fmt: skip


def test_fleiss_kappa_of_gwets_table_with_missing_ratings_is_0_76117():
    table = {(case, who): [int(given) - 1] for (case, who), given in np.ndenumerate(GWET) if given}
    found = value(appraisers(ratings(table), predictions([0] * 12, [0] * 12, 5), rng()), "appraisers")
    assert found.estimate == pytest.approx(0.76117, abs=5e-6), "irrCAC; 0.76248 with the shares of shared cases only"
    assert found.n == 11, "the last case has one rating: it is in the shares and in no pair"
    counts = np.array([[np.sum(row == k) for k in range(1, 6)] for row in GWET])
    draws = [plain_fleiss(counts[np.random.default_rng(k).integers(0, 12, 12)].tolist()) for k in range(2000)]
    assert found.low == pytest.approx(np.quantile(draws, 0.025), abs=0.06)
    assert found.high == pytest.approx(np.quantile(draws, 0.975), abs=0.06)


def test_cohens_kappa_of_a_2_by_2_table_is_its_closed_form():
    """Label by rating 20, 5, 10, 15: agreement 0.7, by chance 0.5, kappa 0.4."""
    labels = [0] * 25 + [1] * 25
    given = [0] * 20 + [1] * 5 + [0] * 10 + [1] * 15
    one = ratings({(case, 0): [each] for case, each in enumerate(given)}, ("Ann",))
    found = appraisers(one, predictions(labels, given, 2), rng())
    assert value(found, "reference_kappa", "Ann").estimate == pytest.approx(0.4, abs=1e-12)
    assert value(found, "model_kappa", "Ann").estimate == pytest.approx(1.0, abs=1e-12)
    assert cohens_kappa([[20, 5], [10, 15]]).kappa == pytest.approx(0.4, abs=1e-12)
    low, high = (getattr(value(found, "reference_kappa", "Ann"), end) for end in ("low", "high"))
    wald = cohens_kappa([[20, 5], [10, 15]])
    assert low == pytest.approx(wald.kappa_low, abs=0.06)
    assert high == pytest.approx(wald.kappa_upp, abs=0.06)


def test_repeatability_and_effectiveness_count_cases():
    """Ann: aa, ab, bb, b on labels a, a, a, b. Same twice in 2 of 3; all right in 2 of 4."""
    table = {(0, 0): [0, 0], (1, 0): [0, 1], (2, 0): [1, 1], (3, 0): [1]}
    found = appraisers(ratings(table, ("Ann",)), predictions([0, 0, 0, 1], [0, 0, 0, 1], 2), rng())
    for label in ("", "Ann"):
        assert value(found, "repeatability", label).estimate == pytest.approx(2 / 3, abs=1e-12)
        assert value(found, "repeatability", label).n == 3
        assert value(found, "effectiveness", label).estimate == pytest.approx(0.5, abs=1e-12)
        assert value(found, "effectiveness", label).n == 4
    assert value(found, "appraisers").status == "undefined"
    assert value(found, "appraisers").reason == NOBODY_ELSE
    assert found.details["trials"] == {"Ann": 2}


def test_all_numbers_agree_with_a_plain_second_implementation():
    draw = np.random.default_rng(11)
    labels, answers = draw.integers(0, 3, 50), draw.integers(0, 3, 50)
    table = {(case, who): draw.integers(0, 3, 2).tolist() for case in range(50) for who in range(3)}
    found = appraisers(ratings(table), predictions(labels, answers, 3), rng())
    for who in range(3):
        name = f"p{who}"
        given = [rating for case in range(50) for rating in table[case, who]]
        twice = np.repeat(labels, 2)
        assert value(found, "reference_kappa", name).estimate == pytest.approx(plain_kappa(twice, given, 3), abs=1e-12)
        model = plain_kappa(np.repeat(answers, 2), given, 3)
        assert value(found, "model_kappa", name).estimate == pytest.approx(model, abs=1e-12)
        same = np.mean([len(set(table[case, who])) == 1 for case in range(50)])
        assert value(found, "repeatability", name).estimate == pytest.approx(same, abs=1e-12)
    counts = [[sum(table[case, who][0] == k for who in range(3)) for k in range(3)] for case in range(50)]
    assert value(found, "appraisers").estimate == pytest.approx(plain_fleiss(counts), abs=1e-12)


def test_people_who_guess_are_found_and_people_who_agree_are_not_accused():
    """Positive control: a guesser's kappa interval holds 0. Negative control: the others' do not."""
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 3, 120)
    table = {}
    for case, label in enumerate(labels.tolist()):
        table[case, 0] = [int(draw.integers(0, 3)), int(draw.integers(0, 3))]
        for who in (1, 2):
            table[case, who] = [label if draw.random() < 0.95 else int(draw.integers(0, 3)) for _ in range(2)]
    found = appraisers(ratings(table, ("guess", "Ann", "Bo")), predictions(labels, labels, 3), rng())
    guess = value(found, "reference_kappa", "guess")
    assert guess.low < 0 < guess.high
    assert value(found, "repeatability", "guess").high < 0.5
    for name in ("Ann", "Bo"):
        assert value(found, "reference_kappa", name).low > 0.8
        assert value(found, "repeatability", name).low > 0.8


def test_people_who_always_agree_have_kappa_1_and_no_invented_interval():
    labels = [0, 1] * 20
    table = {(case, who): [label, label] for case, label in enumerate(labels) for who in range(2)}
    found = appraisers(ratings(table), predictions(labels, labels, 2), rng())
    assert value(found, "appraisers").estimate == 1.0
    assert value(found, "appraisers").low is None
    assert value(found, "repeatability").estimate == 1.0
    assert value(found, "repeatability").low == pytest.approx(0.912, abs=0.001)  # Wilson, 40 of 40


def test_nobody_rated_twice_is_said():
    table = {(case, who): [case % 2] for case in range(30) for who in range(2)}
    found = appraisers(ratings(table), predictions([0, 1] * 15, [0, 1] * 15, 2), rng())
    assert value(found, "repeatability").status == "undefined"
    assert value(found, "repeatability").reason == NOBODY_TWICE


def test_an_appraiser_who_rated_nothing_here_is_said():
    table = {(case, 0): [case % 2] for case in range(30)} | {(case, 1): [case % 2] for case in range(30, 40)}
    whole = ratings(table)
    found = appraisers(whole.of(np.arange(30)), predictions([0, 1] * 15, [0, 1] * 15, 2), rng())
    for part in ("effectiveness", "reference_kappa", "model_kappa"):
        assert value(found, part, whole.names[1]).reason == NO_RATING
        assert value(found, part, whole.names[0]).estimate == 1.0


def test_a_slice_without_ratings_is_refused():
    one = ratings({(0, 0): [0], (1, 0): [1]})
    with pytest.raises(Refusal, match="no rated case"):
        appraisers(one.of(np.asarray([7, 8])), predictions([0, 1], [0, 1], 2), rng())


def test_cases_without_ratings_and_their_order_change_nothing():
    draw = np.random.default_rng(8)
    labels = draw.integers(0, 2, 40)
    table = {(case, who): [int(draw.integers(0, 2))] for case in range(40) for who in range(3)}
    whole = appraisers(ratings(table), predictions(labels, 1 - labels, 2), rng())
    more = np.concatenate([np.zeros(20, np.int64), labels])  # twenty cases that nobody rated stand first
    part = ratings(table).of(np.concatenate([np.arange(1000, 1020), np.arange(40)]))
    found = appraisers(part, predictions(more, 1 - more, 2), rng())
    assert [each.estimate for each in whole.values] == [each.estimate for each in found.values]
    assert found.details["rated"] == 40
    assert found.details["cases"] == 60


def test_intervals_resample_clusters_of_cases():
    """Ten copies of each case in a cluster are no more than one: the interval is as wide as without copies."""
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 2, 40)
    given = np.where(draw.random(40) < 0.8, labels, 1 - labels)
    once = ratings({(case, 0): [int(each)] for case, each in enumerate(given)})
    copied = ratings({(case, 0): [int(each)] for case, each in enumerate(np.repeat(given, 10))})
    alone = appraisers(once, predictions(labels, labels, 2), rng())
    clusters = np.repeat(np.arange(40), 10)
    ten = appraisers(copied, predictions(np.repeat(labels, 10), np.repeat(labels, 10), 2, clusters), rng())
    first, second = (value(found, "reference_kappa") for found in (alone, ten))
    assert second.estimate == pytest.approx(first.estimate, abs=1e-12)
    assert second.high - second.low == pytest.approx(first.high - first.low, abs=0.05)


@pytest.mark.slow
def test_the_interval_of_kappa_holds_the_truth_as_often_as_it_says():
    """Two people, each right in 0.8 of cases with two equally common classes: kappa with the label is 0.6."""
    draw, held = np.random.default_rng(1), 0
    for seed in range(80):
        labels = draw.integers(0, 2, 60)
        table = {
            (case, who): [int(label if draw.random() < 0.8 else 1 - label)]
            for case, label in enumerate(labels)
            for who in range(2)
        }
        found = appraisers(ratings(table), predictions(labels, labels, 2), np.random.default_rng(seed))
        kappa = value(found, "reference_kappa")
        held += kappa.low <= 0.6 <= kappa.high
    assert held / 80 >= 0.87  # 0.95 less three binomial errors

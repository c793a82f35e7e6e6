"""Which cases are explained: by rule, seeded, none twice."""

import numpy as np
import pytest

from xai_audit.data.cases import RULES, choose_cases
from xai_audit.spec.schema import Cases

IDS = [f"case{place:02}" for place in range(20)]
SCORES = np.linspace(0.0, 0.95, 20)


def cases(explain: int, *choose: str) -> Cases:
    return Cases.model_validate({"explain": explain, "choose": choose})


def chosen(spec: Cases, scores: np.ndarray = SCORES, ids: list[str] = IDS, seed: int = 7) -> list[tuple[str, str]]:
    return [(case.rule, ids[case.index]) for case in choose_cases(spec, scores, ids, seed)]


def test_worst_has_the_lowest_probability_of_the_true_label() -> None:
    assert chosen(cases(3, "worst")) == [("worst", "case00"), ("worst", "case01"), ("worst", "case02")]


def test_typical_is_nearest_the_median() -> None:
    assert {name for _, name in chosen(cases(4, "typical"))} == {"case08", "case09", "case10", "case11"}


def test_ties_go_by_id() -> None:
    ids = list(reversed(IDS))
    assert [name for _, name in chosen(cases(3, "worst"), np.zeros(20), ids)] == ["case00", "case01", "case02"]


def test_no_case_is_chosen_twice_and_random_draws_first() -> None:
    for seed in range(30):
        mixed = chosen(cases(12, "worst", "random", "typical"), seed=seed)
        assert len({name for _, name in mixed}) == 12
        assert [rule for rule, _ in mixed] == ["worst"] * 4 + ["random"] * 4 + ["typical"] * 4
        alone = chosen(cases(4, "random"), seed=seed)
        assert [pair for pair in mixed if pair[0] == "random"] == alone


def test_the_split_is_even_and_the_first_rules_take_the_rest() -> None:
    rules = [rule for rule, _ in chosen(cases(8, "random", "worst", "typical"))]
    assert rules == ["random"] * 3 + ["worst"] * 3 + ["typical"] * 2


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_fewer_come_out_only_if_there_are_fewer(count: int) -> None:
    for explain in range(1, 30):
        found = chosen(cases(explain, "random", "worst", "typical"), SCORES[:count], IDS[:count])
        assert len(found) == min(explain, count)
        assert len({name for _, name in found}) == len(found)


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    order = np.random.default_rng(0).permutation(20)
    spec = cases(9, "random", "worst", "typical")
    assert chosen(spec, SCORES[order], [IDS[place] for place in order]) == chosen(spec)
    assert chosen(spec, seed=8) != chosen(spec)


def test_random_reaches_every_case() -> None:
    reached = {name for seed in range(200) for _, name in chosen(cases(3, "random"), seed=seed)}
    assert reached == set(IDS)


def test_a_rule_named_twice_counts_once() -> None:
    assert len(chosen(cases(4, "worst", "worst"))) == 4


@pytest.mark.parametrize("scores", [np.full(20, np.nan), SCORES[:-1]])
def test_scores_that_are_none_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"one finite number a case"):
        choose_cases(cases(3, "worst"), scores, IDS, 7)


def test_every_rule_is_explained() -> None:
    assert set(RULES) == {"random", "worst", "typical"}

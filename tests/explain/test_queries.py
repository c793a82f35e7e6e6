from __future__ import annotations

from collections.abc import Sequence

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.maps import Maps
from xai_audit.explain.occlusion import occlusion
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.queries import ORIGINAL, Answer, Asker, Asking, Case, Coalitions, QueryAsker, Windows, ask
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.schema import Method, Occlusion

SOURCES = FillSources(mean_colour=(0.5, 0.4, 0.3))
IMAGES = nets.pixels(5)


def method(name: str = "occlusion", **spec: object) -> Occlusion:
    return Occlusion(use="occlusion", name=name, **{"window": 6, "stride": 5, **spec})


def answers(
    model: AuditedModel, askers: Sequence[Asker], batch_size: int = 8, counter: PassCounter | None = None
) -> list[Answer]:
    with torch.no_grad():
        return list(ask(model, IMAGES, askers, SOURCES, batch_size, counter or PassCounter()))


def raws(found: Sequence[Answer], label: str) -> np.ndarray:
    return np.concatenate([a.outcome.raw for a in found if a.label == label and isinstance(a.outcome, Maps)])


@pytest.fixture
def model() -> AuditedModel:
    return nets.audit(nets.seeded(nets.ResidualNet))


def test_answers_come_image_by_image_and_are_the_same_at_every_batch_size(model: AuditedModel) -> None:
    askers = [Asker(method("a"), occlusion), Asker(method("b", baseline="black", window=5), occlusion)]
    first = answers(model, askers, 1)
    assert [(a.index, a.label) for a in first] == [(k, label) for k in range(5) for label in "ab"]
    for size in (2, 7, 8, 64, 1000):
        again = answers(model, askers, size)
        for label in "ab":
            np.testing.assert_allclose(raws(again, label), raws(first, label), rtol=0, atol=1e-5)


def test_equal_masked_images_are_made_once(model: AuditedModel) -> None:
    counter = PassCounter()
    windows = 3 * 3
    found = answers(
        model, [Asker(method("a"), occlusion), Asker(method("b", target={"kind": "prob"}), occlusion)], 8, counter
    )
    assert counter.made == Passes(forwards=5 * (1 + windows))
    assert sum(a.rows for a in found if a.label == "a") == 5 * (1 + windows)
    assert sum(a.rows for a in found if a.label == "b") == 0
    assert not np.allclose(raws(found, "a"), raws(found, "b"))


def test_sharing_a_queue_changes_nothing(model: AuditedModel) -> None:
    askers = [Asker(method("a"), occlusion), Asker(method("b", baseline={"blur": 2.0}), occlusion)]
    both = answers(model, askers)
    for asker in askers:
        label = asker.method.label
        np.testing.assert_allclose(raws(answers(model, [asker]), label), raws(both, label), rtol=0, atol=1e-5)


def out_of_memory_above(limit: int, error: type[Exception]) -> AuditedModel:
    class Limited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.sizes = nets.seeded(nets.ResidualNet), []

        def forward(self, x: Tensor) -> Tensor:
            if len(x) > limit:
                raise error("CUDA out of memory. Tried to allocate 2 GiB")
            self.sizes.append(len(x))
            return self.net(x)

    return nets.audit(Limited())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_batch_is_halved_when_memory_runs_out_and_nothing_is_lost(model: AuditedModel, error: type[Exception]) -> None:
    counter, limited = PassCounter(), out_of_memory_above(3, error)
    found = answers(limited, [Asker(method(), occlusion)], 32, counter)
    np.testing.assert_allclose(
        raws(found, "occlusion"), raws(answers(model, [Asker(method(), occlusion)]), "occlusion"), rtol=0, atol=1e-5
    )
    assert counter.made == Passes(forwards=5 * 10)
    assert set(limited.module.sizes) <= {2, 1}


def test_one_image_that_does_not_fit_is_told() -> None:
    with pytest.raises(StepError, match="ran out on a batch of one image"):
        answers(out_of_memory_above(0, torch.OutOfMemoryError), [Asker(method(), occlusion)])


def test_other_errors_of_the_net_are_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(ModelError, match="no such luck"):
        answers(nets.audit(nets.FailingNet()), [Asker(method(), occlusion)])


def raises_at_second(case: Case, method: Method) -> Asking:
    if np.array_equal(case.pixels, IMAGES[1]):
        raise ValueError("second")
    return (yield from occlusion(case, method))


def gives_nothing(case: Case, method: Method) -> Asking:
    yield Windows(np.array([[0, 0, 2, 2]]), np.zeros((3, 16, 16)))
    return None  # type: ignore[return-value]


def asks_for_nothing(case: Case, method: Method) -> Asking:
    yield Windows(np.zeros((0, 4), np.int64), np.zeros((3, 16, 16)))
    raise AssertionError


def wrong_fill(case: Case, method: Method) -> Asking:
    yield Coalitions(np.zeros((16, 16), np.int64), np.ones((2, 3), bool), None)  # type: ignore[arg-type]
    raise AssertionError


@pytest.mark.parametrize("call", [raises_at_second, gives_nothing, asks_for_nothing, wrong_fill])
def test_an_asker_that_fails_fails_alone(model: AuditedModel, call: QueryAsker) -> None:
    good = Asker(method("good"), occlusion)
    found = answers(model, [Asker(method("bad"), call), good])
    assert any(isinstance(a.outcome, Exception) for a in found if a.label == "bad")
    np.testing.assert_allclose(raws(found, "good"), raws(answers(model, [good]), "good"), rtol=0, atol=1e-5)
    assert len(raws(found, "good")) == 5


def test_nan_scores_of_masked_images_fail_the_method() -> None:
    model = nets.audit(nets.seeded(nets.NanNet))
    dark = [np.full((3, 16, 16), 0.1, np.float32)] * 2
    askers = [
        Asker(method("bright", baseline={"sample": "white"}, window=16), occlusion),
        Asker(method("black", baseline="black"), occlusion),
    ]
    sources = FillSources(samples={"white": np.ones((3, 16, 16), np.float32)})
    found = list(ask(model, dark, askers, sources, 8, PassCounter()))
    assert str(next(a.outcome for a in found if a.label == "bright")).count("scores of 1 of 1 rows are NaN or infinite")
    assert raws(found, "black").shape == (2, 16, 16)


def test_coalitions_and_windows_of_the_same_pixels_agree(model: AuditedModel) -> None:
    labels = np.zeros((16, 16), np.int64)
    labels[:8, 8:], labels[8:, :8], labels[8:, 8:] = 1, 2, 3
    boxes = np.array([[0, 0, 8, 8], [0, 8, 8, 16], [8, 0, 16, 8], [8, 8, 16, 16]])
    fill = np.random.default_rng(0).random((3, 16, 16))
    image = torch.from_numpy(IMAGES[0])
    one_absent = ~np.eye(4, dtype=bool)
    coalitions, windows = Coalitions(labels, one_absent, fill), Windows(boxes, fill)
    assert torch.equal(coalitions.compose(image, range(4)), windows.compose(image, range(4)))
    assert torch.equal(coalitions.compose(image, [2]), windows.compose(image, [2]))


def test_full_and_empty_masks_are_known_by_their_pixels() -> None:
    fill = np.zeros((3, 16, 16))
    present = np.array([[True, True], [False, False], [True, False]])
    coalitions = Coalitions(np.repeat([[0, 1]], 16, 0).repeat(8, 1), present, fill)
    windows = Windows(np.array([[3, 3, 3, 9], [0, 0, 16, 16], [0, 0, 16, 8]]), fill)
    assert coalitions.keys()[0] == windows.keys()[0] == ORIGINAL
    assert coalitions.keys()[1] == windows.keys()[1]
    assert len({*coalitions.keys(), *windows.keys()}) == 4
    assert windows.keys() != Windows(windows.boxes, fill + 1).keys()


def test_asking_twice_and_for_the_original_costs_only_what_is_new(model: AuditedModel) -> None:
    values: list[tuple[np.ndarray, np.ndarray]] = []

    def twice(case: Case, method: Method) -> Asking:
        fill = np.zeros_like(case.pixels)
        first = yield Windows(np.array([[0, 0, 0, 0], [0, 0, 4, 4], [0, 0, 4, 4]]), fill)
        values.append((first, (yield Windows(np.array([[0, 0, 4, 4], [4, 4, 8, 8]]), fill))))
        assert first[0] == case.value
        return Maps(np.zeros((1, 16, 16)))

    counter = PassCounter()
    found = answers(model, [Asker(method(), twice)], 8, counter)
    assert counter.made.forwards == 5 * 3
    assert len(values) == 5
    assert all(first[1] == first[2] == second[0] for first, second in values)
    assert all(isinstance(a.outcome, Maps) for a in found)


def test_progress_is_told_of_every_pass(model: AuditedModel) -> None:
    told: list[Passes] = []
    counter = PassCounter(told.append)
    answers(model, [Asker(method(), occlusion)], 16, counter)
    assert sum(passes.forwards for passes in told) == counter.made.forwards == 50


def test_images_are_not_written_to(model: AuditedModel) -> None:
    before = IMAGES.copy()
    answers(model, [Asker(method(), occlusion)])
    np.testing.assert_array_equal(before, IMAGES)

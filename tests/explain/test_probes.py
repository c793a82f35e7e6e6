"""What checks ask the net: rows in the order of a map, noise, imputed images, and fills."""

import numpy as np
import pytest
import torch
from answering import answered, explained
from nets import GapNet, audit, pixels, seeded

from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Limits
from xai_audit.explain.openings import Asker, Picture, Probe
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.probes import asking, curve, ends, whole_fills
from xai_audit.explain.queries import ask
from xai_audit.explain.questions import ORIGINAL, Case, Images, Imputed, LessNoise, WithoutLayer
from xai_audit.measures.curves import buckets, deletion, insertion
from xai_audit.measures.infidelity import infidelity
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.targets import freeze
from xai_audit.spec.methods import Background, TargetSpec

WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
ONES = np.ones((1, 1, 4))
PROBE = Probe("probe", TargetSpec())


def linear(images):
    return (images.double().flatten(1) * torch.from_numpy(WEIGHTS)).sum(1)


def area(relevance, *, puts_back):
    step = buckets(np.asarray(relevance)[None], 4, np.random.default_rng(0))
    asked = asking(lambda case: curve(step, np.zeros((1, 1, 1, 4)), puts_back=puts_back))
    values = explained(asked, PROBE, ONES, linear).raw[0]
    return (insertion if puts_back else deletion)(values)


def test_known_answers_of_deletion_and_insertion():
    assert area(WEIGHTS, puts_back=False) == pytest.approx(0.375, abs=1e-10)
    assert area(-WEIGHTS, puts_back=False) == pytest.approx(0.625, abs=1e-10)
    assert area(WEIGHTS, puts_back=True) == pytest.approx(0.625, abs=1e-10)


def test_a_curve_begins_with_the_case_and_ends_with_the_fill():
    step = np.array([[0, 1], [2, 2]])
    fill = np.full((1, 2, 2), 0.5)
    (deleting,) = curve(step, fill[None], puts_back=False)
    (inserting,) = curve(step, fill[None], puts_back=True)
    image = torch.arange(4.0).reshape(1, 2, 2)
    shown = deleting.compose(image, torch.arange(4)).numpy()[:, 0]
    np.testing.assert_array_equal(shown[0], image[0])
    np.testing.assert_array_equal(shown[1], [[0.5, 1], [2, 3]])
    np.testing.assert_array_equal(shown[2], [[0.5, 0.5], [2, 3]])
    np.testing.assert_array_equal(shown[3], np.full((2, 2), 0.5))
    np.testing.assert_array_equal(inserting.compose(image, torch.arange(4)).numpy()[1, 0], [[0, 0.5], [0.5, 0.5]])
    assert deleting.keys()[0] == inserting.keys()[3] == ORIGINAL
    assert deleting.keys()[3] == inserting.keys()[0] == Images(fill[None]).keys()[0]


def test_infidelity_of_a_linear_net_is_zero_for_its_weights():
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 6, 6)), rng.random((3, 6, 6))
    question = LessNoise(np.full((1, 1, 1), 0.1), 7, 64, np.ones((3, 6, 6), bool))
    found = explained(asking(lambda case: [question]), PROBE, x, lambda z: (z * torch.from_numpy(w)).sum((1, 2, 3)))
    change = found.extras["value"][0] - found.raw[0]
    noise = np.stack([question.noise(row) for row in range(64)]).reshape(64, -1)
    assert infidelity(noise @ w.ravel(), change).plain < 1e-20
    assert infidelity(noise @ (w * x).ravel(), change).plain > 0.1
    assert noise.std() == pytest.approx(0.1, rel=0.03)


def test_noise_is_one_rows_own_whatever_the_batch_and_leaves_places_alone():
    kept = np.zeros((1, 4, 4), bool)
    kept[0, :2] = True
    question = LessNoise(np.full((1, 1, 1), 0.2), 3, 5, kept)
    image = torch.full((1, 4, 4), 0.5)
    whole = question.compose(image, torch.arange(5))
    apart = torch.cat([question.compose(image, torch.tensor([row])) for row in range(5)])
    assert torch.equal(whole, apart)
    assert (whole[:, :, 2:] == 0.5).all() and (whole[:, :, :2] != 0.5).all()
    assert len(set(question.keys())) == 5
    assert question.keys() == LessNoise(np.full((1, 1, 1), 0.2), 3, 5, kept.copy()).keys()
    assert question.keys() != LessNoise(np.full((1, 1, 1), 0.2), 3, 5, ~kept).keys()


def test_imputed_rows_restore_a_ramp_and_carry_their_noise():
    ramp = (0.05 * np.arange(8)[:, None] + 0.02 * np.arange(8)[None, :])[None]
    removed = np.zeros((3, 8, 8), bool)
    removed[1, 3:5, 3:5] = removed[2, 2:6, 2:6] = True
    exact = Imputed(ramp, removed, np.zeros(1), 5)
    image = torch.from_numpy(ramp)
    np.testing.assert_allclose(exact.compose(image, torch.arange(3)), np.stack([ramp] * 3), atol=1e-12)
    noisy = Imputed(ramp, removed, np.full(1, 0.01), 5)
    rows = noisy.compose(image, torch.arange(3)).numpy() - ramp
    assert not rows[0].any() and not rows[2][:, ~removed[2]].any()
    assert rows[2][:, removed[2]].std() == pytest.approx(0.01, rel=0.5)
    np.testing.assert_array_equal(noisy.compose(image, torch.tensor([2]))[0], rows[2] + ramp)
    assert noisy.keys()[0] == ORIGINAL and len(set(noisy.keys())) == 3


def test_background_rows_are_all_fills():
    rows = np.random.default_rng(0).random((3, 1, 1, 4))
    background = Background(background=3)
    case = Case(ONES, 0.0, FillSources(rows={background: rows}))
    covers = whole_fills(background, case)
    np.testing.assert_array_equal(covers, rows)
    assert len(curve(np.arange(4)[None], covers, puts_back=False)) == 3
    (question,) = ends(covers)
    np.testing.assert_allclose(answered(question, torch.from_numpy(ONES), linear).values, rows.reshape(3, 4) @ WEIGHTS)


def asked_of(model, askers, images, rows=16):
    counter = PassCounter()
    shown = [Picture(f"case{k}", image) for k, image in enumerate(images)]
    found = list(ask(model, shown, askers, FillSources((0.2, 0.4, 0.6)), 0, Limits(rows, 512), counter))
    return found, counter.made


def curve_asker(label, target, seed=0, *, puts_back=False, steps=8):
    """A deletion in an order of the label's own, to the mean colour."""

    def questions(case):
        order = np.random.default_rng([seed, int(case.id[4:])]).random((16, 16))
        step = buckets(order, steps, np.random.default_rng(0))
        return curve(step, whole_fills("mean_colour", case), puts_back=puts_back)

    return Asker(Probe(label, target), asking(questions))


def test_no_more_passes_than_the_definition_needs():
    """T + 1 rows each, of which the case and the fill are asked once for all: 1 + 1 + 3 (T - 1) a case."""
    model = audit(seeded(GapNet))
    prob = TargetSpec(kind="prob")
    askers = [curve_asker("one", prob, 1), curve_asker("two", prob, 2), curve_asker("back", prob, 3, puts_back=True)]
    found, made = asked_of(model, askers, pixels(4))
    assert made.forwards == 4 * (1 + 1 + 3 * 7) and made.backwards == made.partial == 0
    assert sum(answer.passes.forwards for answer in found) == made.forwards


def test_equal_orders_are_asked_once():
    model = audit(seeded(GapNet))
    prob = TargetSpec(kind="prob")
    _, made = asked_of(model, [curve_asker("one", prob, 1), curve_asker("same", TargetSpec(), 1)], pixels(2))
    assert made.forwards == 2 * (1 + 1 + 7)


@pytest.mark.parametrize("rows", [1, 8, 64])
def test_rows_are_what_a_plain_forward_says_in_any_batch(rows):
    """A second implementation: masks written out, softmax in float64, one image at a time."""
    model = audit(seeded(GapNet))
    images = pixels(3)
    found, _ = asked_of(model, [curve_asker("one", TargetSpec(kind="prob"), 1)], images, rows)
    colour = np.array([0.2, 0.4, 0.6], np.float32)[:, None, None]
    for number, answer in enumerate(found):
        order = np.random.default_rng([1, number]).random((16, 16))
        sequence = np.argsort(-order.ravel())
        chosen = None
        for t, value in enumerate(answer.outcome.raw[0]):
            gone = np.zeros(256, bool)
            gone[sequence[: t * 32]] = True
            image = np.where(gone.reshape(16, 16), colour, images[number])
            with torch.no_grad():
                scores = model.module(torch.from_numpy(image[None])).double()[0]
            chosen = int(scores.argmax()) if chosen is None else chosen
            assert value == pytest.approx(float(scores.softmax(0)[chosen]), abs=1e-5)


def test_a_layer_that_is_silent():
    """GAP net: with its convolution at 0 the score is the head's bias."""
    net = seeded(GapNet)
    model = audit(net)
    layer = SpatialLayer("conv", "nchw", 3, (16, 16))
    asker = Asker(Probe("probe", TargetSpec()), asking(lambda case: [WithoutLayer(layer)]))
    found, made = asked_of(model, [asker, asker.__class__(Probe("again", TargetSpec()), asker.call)], pixels(2))
    assert made.forwards == 2 * 2
    for answer in found:
        bias = float(net.head.bias.detach()[model.classes.index(answer.name)])
        assert answer.outcome.raw[0, 0] == pytest.approx(bias, abs=1e-6)


def test_the_class_is_frozen_on_the_whole_case():
    """Every row speaks of the class that the unperturbed image got, whatever the rows themselves would get."""
    model = audit(seeded(GapNet))
    images = pixels(2)
    target = freeze(TargetSpec(kind="prob"), model, model.raw_output(torch.from_numpy(images)))
    found, _ = asked_of(model, [curve_asker("one", TargetSpec(kind="prob"))], images)
    assert [answer.name for answer in found] == list(target.names)


def test_an_error_in_one_probe_is_its_own():
    def broken(case):
        raise ValueError("no such map")

    model = audit(seeded(GapNet))
    askers = [Asker(Probe("broken", TargetSpec()), asking(broken)), curve_asker("one", TargetSpec(kind="prob"))]
    found, _ = asked_of(model, askers, pixels(2))
    outcomes = {answer.label: answer.outcome for answer in found}
    assert isinstance(outcomes["broken"], ValueError) and outcomes["one"].raw.shape == (1, 9)


def test_a_case_with_nothing_to_check_is_not_asked():
    model = audit(seeded(GapNet))
    found, made = asked_of(model, [Asker(PROBE, asking(lambda case: ()))], pixels(2))
    assert made.forwards == 2 and found[0].outcome.raw.shape == (1, 0)


def test_captums_infidelity_is_ours_before_it_is_divided():
    """Captum 0.9 gives E(I.phi - dy)^2; ours is that as a share of E(dy^2), so that nets and scales can be compared."""
    from captum.metrics import infidelity as captums

    net = seeded(GapNet).double()
    model = audit(net)
    image = torch.from_numpy(pixels(1)).double()
    chosen = int(net(image).argmax())
    phi = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 3, 16, 16)))
    question = LessNoise(np.full((1, 1, 1), 0.1), 7, 64, np.ones((3, 16, 16), bool))
    noise = torch.from_numpy(np.stack([question.noise(row) for row in range(64)])).double()
    theirs = captums(net, lambda inputs: (noise, inputs - noise), image, phi, target=chosen, n_perturb_samples=64,
                     max_examples_per_batch=64)  # fmt: skip
    asked = Asker(Probe("probe", TargetSpec()), asking(lambda case: [question]))
    (answer,), _ = asked_of(model, [asked], image.numpy())
    change = answer.outcome.extras["value"][0] - answer.outcome.raw[0]
    found = infidelity((noise.flatten(1) @ phi.flatten()).numpy(), change)
    assert found.plain * np.mean(change**2) == pytest.approx(float(theirs), rel=1e-9)

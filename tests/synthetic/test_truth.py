"""True answers: scores whose answers are known by hand, Monte Carlo error that is right, and rates in closed form."""

import numpy as np
import pytest

from xai_audit.synthetic.closed_forms import defect_rates, disease_rate, fraud_rate, fraud_rate_of_script
from xai_audit.synthetic.document import Document, document
from xai_audit.synthetic.metal import Metal, metal
from xai_audit.synthetic.radiograph import Radiograph, radiograph
from xai_audit.synthetic.traffic_sign import traffic_sign
from xai_audit.synthetic.truth import contrast, path, value
from xai_audit.synthetic.units import Chance

CORNER = (slice(None), slice(3, 9), slice(3, 13))


def token_seen(pictures):
    """Mean grey of the token's box, which is 0.95 with a token."""
    return pictures[CORNER].mean(axis=(1, 2), dtype=np.float64)


def test_a_value_is_the_mean_over_units_made_again_with_its_error():
    world = radiograph(Radiograph(noise=0.0))
    found = value(world, token_seen, 3, range(50), {"token": 1})
    assert found.estimate == pytest.approx(0.95, abs=1e-6)
    assert found.n == 50
    plain = [token_seen(world.unit(3, number).picture[None])[0] for number in range(50)]
    free = value(world, token_seen, 3, range(50), {})
    assert free.estimate == pytest.approx(np.mean(plain), abs=1e-12)
    assert free.standard_error == pytest.approx(np.std(plain, ddof=1) / np.sqrt(50), abs=1e-12)


def test_what_a_picture_does_not_show_has_a_contrast_of_zero():
    found = contrast(radiograph(), token_seen, 3, range(20), {"sex": 0}, {"sex": 1})
    assert found.estimate == 0
    assert found.standard_error == 0


def test_total_through_pixels_and_paths_are_three_numbers():
    world = radiograph(Radiograph(token_flip=0.0, rho=3.0, b0=0.4, b1=1.0))
    do = ({"site": 0}, {"site": 1})

    def lungs(pictures):
        return token_seen(pictures) + pictures[:, 20:44, 10:54].mean(axis=(1, 2))

    total = contrast(world, lungs, 1, range(60), *do)
    pixels = contrast(world, lungs, 1, range(60), *do, hold=("disease", "severity", "device"))
    by_token = path(world, lungs, 1, range(60), *do, through=("token",))
    alone = contrast(world, token_seen, 1, range(60), {"token": 0}, {"token": 1})
    assert by_token.estimate == pytest.approx(alone.estimate, abs=1e-3)
    assert total.estimate > pixels.estimate + 0.003
    by_blur = path(world, lungs, 1, range(60), *do, through=("blur",))
    assert by_blur.estimate != 0
    both = path(world, lungs, 1, range(60), *do, through=("token", "blur"))
    assert both.estimate == pytest.approx(by_token.estimate + by_blur.estimate, abs=1e-3)


def test_a_fork_is_not_an_effect():
    """Signs and stickers go together; a score that sees the sign alone has no effect of the sticker on it."""
    world = traffic_sign()
    numbers = range(40)

    def red(pictures):
        return pictures[:, 0, 0, 0] * 0 + pictures[:, 25:29, 30:34, 0].mean(axis=(1, 2))

    do = contrast(world, lambda p: np.zeros(len(p)), 2, numbers, {"sticker": 0}, {"sticker": 1})
    assert do.estimate == 0
    assert contrast(world, red, 2, numbers, {"weather": "clear"}, {"weather": "night"}).estimate < -0.1


def test_levels_that_the_world_does_not_have_are_refused():
    with pytest.raises(ValueError, match="no level of weather"):
        value(traffic_sign(), token_seen, 1, range(2), {"weather": "snow"})
    with pytest.raises(ValueError, match="no variable"):
        contrast(traffic_sign(), token_seen, 1, range(2), {"wether": "fog"}, {"wether": "rain"})


def rate(world, variable, place, do, count=4000):
    found = [world.row(Chance(8, number), do)[variable] == place for number in range(count)]
    return float(np.mean(found)), float(np.std(found) / np.sqrt(count))


@pytest.mark.parametrize(
    ("world", "variable", "place", "do", "wanted"),
    [
        (radiograph(), "disease", 1, {"site": 1.0}, disease_rate(1, Radiograph())),
        (radiograph(), "disease", 1, {"site": 0.0}, disease_rate(0, Radiograph())),
        (
            radiograph(Radiograph(age_sd=40.0, disease_of_age=0.1)), "disease", 1, {"site": 0.0},
            disease_rate(0, Radiograph(age_sd=40.0, disease_of_age=0.1)),
        ),
        (document(), "fraud", 1, {"branch": 2.0}, fraud_rate(2, Document())),
        (document(), "fraud", 1, {"script": 2.0}, fraud_rate_of_script(2, Document())),
        (metal(), "defect", 0, {"line": 2.0}, float(defect_rates(2, Metal())[0])),
        (metal(), "defect", 2, {"line": 0.0}, float(defect_rates(0, Metal())[2])),
        (metal(), "flipped", 1, {"shift": 1.0}, 0.2),
    ],
)  # fmt: skip
def test_rates_in_closed_form(world, variable, place, do, wanted):
    found, error = rate(world, variable, place, do)
    assert abs(found - wanted) <= 4 * error
    assert 0 < wanted < 1


def test_closed_forms_by_hand():
    assert disease_rate(1, Radiograph(age_sd=0.0, age_mean=55, disease=0.0, rho=0.0)) == pytest.approx(0.5, abs=1e-12)
    assert disease_rate(0, Radiograph(disease_of_age=0.0, disease=0.0, rho=0.0)) == pytest.approx(0.5, abs=1e-9)
    assert fraud_rate(0, Document(fraud=0.0, fraud_of_amount=0.0)) == pytest.approx(0.5, abs=1e-9)
    assert fraud_rate(2, Document(amount_sd=0.0, amount_mean=0.0, fraud=-1.0, c=1.0)) == pytest.approx(0.5, abs=1e-12)
    flat = Metal(logits=((0.0, 0.0),) * 4)
    assert defect_rates(1, flat) == pytest.approx([0.25] * 4, abs=1e-9)
    assert defect_rates(2, Metal()).sum() == pytest.approx(1, abs=1e-9)

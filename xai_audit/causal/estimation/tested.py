"""What is done to an answer once it is there: refuters, and how strong an unmeasured cause would have to be."""

from __future__ import annotations

from dataclasses import replace

from xai_audit.causal.answer import Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.refuters import Again, Placebos, refute
from xai_audit.causal.estimation.strength import strength


def with_tests(asked: Asked, answer: Answer, estimate: Again | None, placebos: Placebos | None = None) -> Answer:
    """The answer with the declared refuters and sensitivity analyses of its first amount.

    `estimate` gives that amount again from another sample, `placebos` many at once for columns of placebo treatments.
    An answer without a point comes back as it is: sensitivity says how far an accepted answer can be pushed, and never
    makes one of a refused one.
    """
    if answer.outcome != "identified" or not answer.amounts or answer.amounts[0].estimate is None:
        return answer
    if asked.sample is None or not asked.query.do:
        return answer
    tests = refute(asked, answer, estimate, placebos)
    arrays = {f"refuter:{place}": test.draws for place, test in enumerate(tests) if test.draws is not None}
    return replace(
        answer,
        refuters=tuple(test.record(place) for place, test in enumerate(tests)),
        sensitivity=strength(asked, answer),
        arrays={**answer.arrays, **arrays},
    )

"""Time the causal part (`make bench`): a linear model on a million rows beside a plain numpy loop, and placebo draws.

`python -m benchmarks.causal` writes `results/causal/cpu.json` and fails where a limit is not kept. DoWhy stands beside
where it is installed; `--peer PYTHON` names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.causal_peer import EDGES, NAMES, columns
from benchmarks.results import RESULTS
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.continuous import answer_continuous
from xai_audit.causal.sample import Sample
from xai_audit.causal.scm.reading import read_model
from xai_audit.graphs.read import read_graph
from xai_audit.spec.causal import Causal

Array = NDArray[np.float64]
ROWS, PLACEBO_ROWS = 1_000_000, 100_000
SETTING = 1.0


@dataclass(frozen=True)
class Timed:
    """Median CPU seconds of ours and of what it is held against."""

    work: str
    ours_seconds: float
    against: str
    against_seconds: float
    ratio: float
    target_ratio: float
    peer: str | None = None
    """DoWhy and its version, where it was installed."""
    peer_ratio: float | None = None
    """The peer by what ours is held against."""


def plain_loop(data: dict[str, Array], rng: np.random.Generator) -> tuple[float, Array]:
    """Fit by least squares, mean of the last variable under do(first = 1) by simulation, and each row's value had the
    first been 1: what anybody would write."""
    parents = {name: [a for a, b in EDGES if b == name] for name in NAMES}
    n = len(data[NAMES[0]])
    coefficients, left = {}, {}
    for name in NAMES:
        X = np.column_stack([np.ones(n), *(data[parent] for parent in parents[name])])
        coefficients[name] = np.linalg.lstsq(X, data[name], rcond=None)[0]
        left[name] = data[name] - X @ coefficients[name]
    worlds = []
    for noise in ({name: rng.normal(0, left[name].std(), n) for name in NAMES}, left):
        found: dict[str, Array] = {NAMES[0]: np.full(n, SETTING)}
        for name in NAMES[1:]:
            b = coefficients[name]
            found[name] = b[0] + noise[name] + sum(w * found[p] for w, p in zip(b[1:], parents[name], strict=True))
        worlds.append(found[NAMES[-1]])
    return float(worlds[0].mean()), worlds[1]


def ours(data: dict[str, Array], rng: np.random.Generator) -> tuple[float, Array]:
    """The same through the package: fit, action and prediction, abduction."""
    model = read_model(asked_of(data, ROWS), has_tests=False).model
    n = len(data[NAMES[0]])
    changed, known = model.set_to({NAMES[0]: SETTING}), {NAMES[0]: np.full(n, SETTING)}
    drawn = model.draw(NAMES[1:], n, rng)
    mean = float(changed.simulate(drawn, known)[NAMES[-1]].mean())
    noises = {
        name: model.mechanism(name).abduct({p: data[p] for p in model.graph.parents_of(name)}, data[name])
        for name in NAMES[1:]
    }
    return mean, changed.simulate(noises, known)[NAMES[-1]]


def asked_of(data: dict[str, Array], rows: int, draws: int = 0) -> Asked:
    """A query on the columns, with as many placebo draws."""
    edges = [f"{a} -> {b}" for a, b in EDGES]
    checks = {"refuters": [{"kind": "placebo_treatment", "draws": draws, "at_most": 1}]} if draws else {}
    spec = {
        "variables": {
            name: {"role": "cause", "domain": {"range": [-1e9, 1e9]}, "source": {"column": name}} for name in NAMES
        },
        "edges": edges,
        "mechanisms": {name: {"kind": "fit", "family": "linear"} for name in NAMES},
        "queries": [{"id": "q", "ask": "ate", "do": {"d": [0, 1]}, "on": NAMES[-1], "assume": ["linear"]}],
        "checks": checks,
    }
    causal = Causal.model_validate_json(json.dumps(spec))
    sample = Sample(
        {name: data[name][:rows] for name in NAMES}, {}, np.ones(rows), np.arange(rows), rows=np.arange(rows)
    )
    graph = read_graph(causal.variables, causal.edges)
    return Asked(causal, causal.queries[0], graph, graph, sample, 1, {})


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds, the first run not counted."""
    run()
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        taken.append(time.process_time() - begin)
    return float(median(taken))


def linear_model(data: dict[str, Array], repeats: int, peer: tuple[str, float] | None) -> Timed:
    """Fit, do and counterfactual."""
    plain, own = plain_loop(data, np.random.default_rng(0)), ours(data, np.random.default_rng(0))
    np.testing.assert_allclose(own[1], plain[1], atol=1e-8)
    np.testing.assert_allclose(own[0], plain[0], atol=0.02)
    by_hand = seconds(lambda: plain_loop(data, np.random.default_rng(0)), repeats)
    by_us = seconds(lambda: ours(data, np.random.default_rng(0)), repeats)
    name, spent = peer if peer is not None else (None, None)
    return Timed(
        "linear model, 6 variables, 1,000,000 rows: fit, do, counterfactual", by_us, "a plain numpy loop", by_hand,
        by_us / by_hand, 3.0, name, None if spent is None else spent / by_hand,
    )  # fmt: skip


def placebos(data: dict[str, Array], repeats: int) -> Timed:
    """100 placebo draws beside 10, with the answer itself in both."""

    def run(draws: int) -> float:
        return seconds(lambda: answer_continuous(asked_of(data, PLACEBO_ROWS, draws), None, None), repeats)

    few, many = run(10), run(100)
    return Timed("100 placebo draws, 100,000 rows", many, "10 placebo draws", few, many / few, 12.0)


def peer_seconds(python: str) -> tuple[str, float] | None:
    """DoWhy's name and seconds for the same model and rows; None where that interpreter has no DoWhy."""
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [python, "-m", "benchmarks.causal_peer", str(ROWS)], cwd=here, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    kept = json.loads(done.stdout.splitlines()[-1])
    return kept["peer"], kept["seconds"]


def main() -> int:
    """Measure and write; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", default=sys.executable, help="an interpreter that has DoWhy")
    parser.add_argument("--out", type=Path, default=RESULTS / "causal")
    given = parser.parse_args()
    data = columns(ROWS)
    rows = (linear_model(data, given.repeats, peer_seconds(given.peer)), placebos(data, given.repeats))
    entries = [
        {key: float(f"{x:.4g}") if isinstance(x, float) else x for key, x in asdict(row).items()} for row in rows
    ]
    for entry in entries:
        print(json.dumps(entry))
    machine = {"cores": os.cpu_count(), "repeats": given.repeats}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "cpu.json").write_text(json.dumps({"machine": machine, "rows": entries}, indent=2) + "\n")
    return int(any(row.ratio > row.target_ratio for row in rows))


if __name__ == "__main__":
    sys.exit(main())

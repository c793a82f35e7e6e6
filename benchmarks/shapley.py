"""How far Shapley values are from the truth at equal queries: ours, shap's KernelExplainer and captum's KernelShap.

`python -m benchmarks.shapley` writes results/shapley/solar-cells.json. The net of the solar cells audit, 20 pictures:
12 players (3 x 4 cells of pictures of 112 pixels) against exact values of all 4,096 coalitions, and 49 players (7 x 7
cells of pictures of 56 pixels, which this net of convolutions takes as well) against a reference of 100,000 queries.
The reference takes half an hour on one core; `--references FILE` keeps it between runs.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import load_file

from xai_audit.explain.shapley.beyond import foretold
from xai_audit.explain.shapley.designs import Design
from xai_audit.explain.shapley.exact import all_coalitions, from_table
from xai_audit.explain.shapley.games import play
from xai_audit.explain.shapley.kernel import kernel
from xai_audit.explain.shapley.regression import Control, fitted
from xai_audit.explain.shapley.through_shap import package

Array = npt.NDArray[np.floating[Any]]
Coalitions = npt.NDArray[np.bool_]
Game = Callable[[Coalitions], Array]

ROOT = Path(__file__).parents[1]
AUDIT = ROOT / "audits" / "industrial"
RESULT = Path(__file__).parent / "results" / "shapley" / "solar-cells.json"
PICTURES, COUNTS, SEEDS = 20, (200, 500, 1000, 2000), 1
REFERENCE_ROWS, LEAD = 100_000, 1000
ROWS = 64


@dataclass(frozen=True)
class Setting:
    """A grid of players on pictures of some side."""

    name: str
    grid: tuple[int, int]
    side: int
    reference: str

    @property
    def is_exact(self) -> bool:
        """Whether all coalitions are asked."""
        return self.players <= 12

    @property
    def players(self) -> int:
        """Cells of the grid."""
        return self.grid[0] * self.grid[1]


SETTINGS = (
    Setting("12 players", (3, 4), 112, "exact, all 4,096 coalitions"),
    Setting("49 players", (7, 7), 56, "100,000 queries"),
)


@dataclass(frozen=True)
class Error:
    """Median over the pictures of the relative L2 error of one estimator."""

    setting: str
    estimator: str
    queries: int
    error: float


def pictures(side: int) -> Array:
    """(pictures, side, side) in [0, 1]: every so many of the audit's table."""
    found = importlib.util.find_spec("elpv_dataset")
    assert found is not None and found.submodule_search_locations, "pip install elpv-dataset"
    root = Path(next(iter(found.submodule_search_locations))) / "data"
    with (AUDIT / "solar-cells.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = rows[:: len(rows) // PICTURES][:PICTURES]
    read = [
        Image.open(root / row["file"]).convert("L").resize((side, side), Image.Resampling.BILINEAR) for row in chosen
    ]
    return np.stack([np.asarray(picture, np.float32) / 255 for picture in read])


def net() -> torch.nn.Module:
    """The audited net, as its own file builds it."""
    spec = importlib.util.spec_from_file_location("solar_cells_net", AUDIT / "solar_cells_net.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built: torch.nn.Module = module.build()
    built.load_state_dict(load_file(AUDIT / "weights" / "solar-cells.safetensors"))
    return built.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def game(module: torch.nn.Module, picture: Array, mean: float, setting: Setting) -> Game:
    """Worth of a coalition: the logit of the class predicted on the picture, absent cells in the mean colour."""
    down = (np.arange(setting.side) * setting.grid[0] // setting.side)[:, None]
    across = (np.arange(setting.side) * setting.grid[1] // setting.side)[None]
    labels, given = torch.from_numpy(down * setting.grid[1] + across), torch.from_numpy(picture)

    def scores(images: torch.Tensor) -> torch.Tensor:
        return module(((images - 0.56) / 0.185)[:, None])  # type: ignore[no-any-return]

    with torch.inference_mode():
        chosen = int(scores(given[None]).argmax())

    @torch.inference_mode()
    def worth(present: Coalitions) -> Array:
        shown = torch.from_numpy(np.ascontiguousarray(present)).float().split(ROWS)
        parts = [(m := rows[:, labels]) * given + (1 - m) * mean for rows in shown]
        return torch.cat([scores(part)[:, chosen] for part in parts]).double().numpy()

    return worth


def looked_up(table: Array) -> Game:
    """The same game, its worths looked up among those of all coalitions."""
    return lambda present: table[(present.astype(np.int64) << np.arange(present.shape[1])).sum(1)]


def reference(worth: Game, players: int, number: int) -> Array:
    """Values of 100,000 queries: a fit to the last 1,000 pairs, and what it leaves by regression.

    Rows are independent draws with sizes uniform, each with its complement. Whatever the fit is, what it leaves is
    asked for, so that the reference leans on no estimator that is measured.
    """
    random = np.random.default_rng([7, number])
    sizes = random.integers(1, players, REFERENCE_ROWS // 2)
    half = np.argsort(np.argsort(random.random((REFERENCE_ROWS // 2, players)), 1), 1) < sizes[:, None]
    ends = worth(np.array([[False] * players, [True] * players]))
    y = np.concatenate([(worth(part) - worth(~part)) / 2 for part in np.array_split(half, 50)])
    return adjusted(half, y, float(ends[1] - ends[0]))


def adjusted(half: Coalitions, y: Array, change: float) -> Array:
    """Shapley values of a fit to the last pairs, and the kernel regression of what it leaves of the others."""
    fit = fitted(Design(half[-LEAD:], "leverage"), Control(9.0, 1e-3))
    start, told = foretold(fit, np.append(y[-LEAD:], change / 2), 2.0 * half[:-LEAD] - 1)
    x, left = half[:-LEAD] - 0.5, y[:-LEAD] - told
    sizes = half[:-LEAD].sum(1)
    weights = 1 / (sizes * (half.shape[1] - sizes))
    over = change - start.sum()
    regressors, left = x[:, :-1] - x[:, -1:], left - x[:, -1] * over
    more = np.linalg.solve((regressors * weights[:, None]).T @ regressors, (regressors * weights[:, None]).T @ left)
    return start + np.append(more, over - more.sum())


def ours(worth: Game, players: int, queries: int, seed: int) -> Array:
    """Our kernel mode, all queries asked."""
    return play(kernel(players, queries, 0.0, "leverage", seed), worth).values


def by_shap(worth: Game, players: int, queries: int, seed: int) -> Array:
    """KernelExplainer of shap with l1_reg off."""
    np.random.seed(seed)  # it draws from the global generator
    explainer = package().KernelExplainer(lambda rows: worth(np.asarray(rows) > 0.5), np.zeros((1, players)))
    return np.asarray(explainer.shap_values(np.ones((1, players)), nsamples=queries, l1_reg=False, silent=True)[0])


def by_captum(worth: Game, players: int, queries: int, seed: int) -> Array:
    """KernelShap of captum."""
    from captum.attr import KernelShap

    torch.manual_seed(seed)
    forward = lambda rows: torch.from_numpy(worth(rows.numpy() > 0.5))  # noqa: E731
    found = KernelShap(forward).attribute(
        torch.ones(1, players), torch.zeros(1, players), n_samples=queries, perturbations_per_eval=queries
    )
    return np.asarray(found[0].numpy(), np.float64)


ESTIMATORS: dict[str, Callable[[Game, int, int, int], Array]] = {
    "ours": ours,
    "shap KernelExplainer, l1_reg=False": by_shap,
    "captum KernelShap": by_captum,
}


def measure(setting: Setting, references: Sequence[Array], games: Sequence[Game]) -> list[Error]:
    """Every estimator at every number of queries."""
    found = []
    for queries in COUNTS:
        for name, estimator in ESTIMATORS.items():
            errors = [
                np.linalg.norm(estimator(worth, setting.players, queries, seed) - truth) / np.linalg.norm(truth)
                for truth, worth in zip(references, games, strict=True)
                for seed in range(SEEDS)
            ]
            found.append(Error(setting.name, name, queries, float(median(errors))))
            print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=Path, help="npz file in which references are kept")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    module, found, begun = net(), [], time.process_time()
    kept = dict(np.load(given.references)) if given.references and given.references.exists() else {}
    for setting in SETTINGS:
        images = pictures(setting.side)
        games = [game(module, image, float(images.mean()), setting) for image in images]
        references = []
        for number, worth in enumerate(games):
            key = f"{setting.players}:{number}"
            if key not in kept:
                kept[key] = worth(all_coalitions(12)) if setting.is_exact else reference(worth, setting.players, number)
            if given.references:
                np.savez(given.references, **kept)
            references.append(from_table(kept[key]) if setting.is_exact else kept[key])
            games[number] = looked_up(kept[key]) if setting.is_exact else worth
        found += measure(setting, references, games)
    settings = [{"name": setting.name, "reference": setting.reference} for setting in SETTINGS]
    record = {"settings": settings, "pictures": PICTURES, "errors": [asdict(entry) for entry in found]}
    RESULT.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{RESULT} after {time.process_time() - begun:.0f} CPU seconds")


if __name__ == "__main__":
    main()

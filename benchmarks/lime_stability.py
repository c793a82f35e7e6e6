"""How far LIME's answers move when only the draw of perturbed images changes: `python -m benchmarks.lime_stability`.

Each design (superpixels, what hides them, how rows are drawn) asks a net 1000 times about an image for each seed; each
reading of its answers (target, width of the kernel, ridge penalty) is a regression on the same answers. The pets net
needs XAI_AUDIT_PETS and its weights, the solar cells' net the package elpv-dataset, as their audits do.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.results import RESULTS
from xai_audit.data.images import decode, read_bytes
from xai_audit.data.preprocess import prepare
from xai_audit.data.superpixels import label_map
from xai_audit.evidence.seeds import derived_seed, generator
from xai_audit.explain.baselines import FillSources, segment_fill
from xai_audit.explain.lime import Drawn, draw
from xai_audit.explain.lime_settings import LimeSettings
from xai_audit.explain.linear import Fit, kernel, weighted_ridge
from xai_audit.explain.questions import Coalitions
from xai_audit.measures.stability import coefficients_stability, mean_pairwise_rank_correlation
from xai_audit.model.audited import AuditedModel
from xai_audit.model.load import in_fast_format, load_model
from xai_audit.spec.load import load_spec
from xai_audit.spec.methods import Baseline, Blur, Grid, Quickshift, Segments, Slic
from xai_audit.spec.schema import ModelInput

FILE = RESULTS / "lime-stability" / "cpu.json"
AUDITS = Path(__file__).parents[1] / "audits"
SEEDS, SAMPLES, TOP, ROWS = 5, 1000, 10, 16
Array = npt.NDArray[np.float64]
Kind = Literal["logit", "prob"]


@dataclass(frozen=True)
class Reading:
    """A regression on a design's answers."""

    target: Kind
    kernel_width: float | None
    alpha: float


@dataclass(frozen=True)
class Design:
    """What the net is asked."""

    name: str
    segments: Segments
    baseline: Baseline
    rows: Literal["single", "pairs", "pairs of all sizes"]
    readings: tuple[Reading, ...]


PUBLISHED = Reading("prob", 0.25, 1.0)
NEAR, FREE = Reading("logit", 0.25, 1.0), Reading("logit", None, 0.0)
DESIGNS = (
    Design("quickshift, mean, single", Quickshift(), "superpixel_mean", "single", (PUBLISHED, NEAR, FREE)),
    Design("quickshift, mean, pairs", Quickshift(), "superpixel_mean", "pairs", (PUBLISHED, NEAR, FREE)),
    Design("slic 50, mean, single", Slic(), "superpixel_mean", "single", (PUBLISHED, NEAR, FREE)),
    Design(
        "slic 50, mean, pairs",
        Slic(),
        "superpixel_mean",
        "pairs",
        (PUBLISHED, NEAR, Reading("logit", 0.25, 0.0), Reading("logit", 0.5, 0.0), Reading("prob", None, 0.0), FREE),
    ),
    Design(
        "slic 50, mean, pairs of all sizes",
        Slic(),
        "superpixel_mean",
        "pairs of all sizes",
        (Reading("logit", 0.25, 0.0), FREE),
    ),
    Design("slic 50, mean colour, pairs", Slic(), "mean_colour", "pairs", (NEAR, FREE)),
    Design("slic 50, blur, pairs", Slic(), Blur(), "pairs", (NEAR, FREE)),
    Design("grid 7 x 7, mean, pairs", Grid(), "superpixel_mean", "pairs", (NEAR, FREE)),
)


@dataclass(frozen=True)
class Row:
    """One reading of one design, over the images of a net."""

    net: str
    design: str
    target: str
    kernel_width: float | None
    alpha: float
    images: int
    players: float
    """Mean over images, as all that follow."""
    rank_correlation: float
    """Spearman of two seeds' coefficients, mean over pairs of seeds."""
    vsi: float
    """Overlap of the 10 largest coefficients of two seeds, as a share of 10 (Visani et al. 2020)."""
    csi: float
    """Share of coefficients whose 95 % intervals of two seeds overlap."""
    noise: float
    """Root of the mean variance over seeds, as a share of the root mean square of the mean coefficients."""
    told: float
    """Root mean square of the standard errors, as a share of the measured standard deviation over seeds."""
    r2: float


# What nets are asked


@dataclass(frozen=True, eq=False)
class Subject:
    """A net, and images of its data."""

    name: str
    model: AuditedModel
    mean_colour: tuple[float, ...]
    images: tuple[npt.NDArray[np.float32], ...]


def subjects(images: int) -> Iterator[Subject]:
    """The pets net and the solar cells' net, with images spread over their tables."""
    import elpv_dataset

    pets = Path(os.environ["XAI_AUDIT_PETS"])
    files = _column(pets / "index.csv", "file", {"split": "test"})
    yield _subject("pets", AUDITS / "pets/resnet18.yaml", [pets / file for file in _spread(files, images)])
    cells = Path(elpv_dataset.__file__).parent / "data"
    files = _column(AUDITS / "industrial/solar-cells.csv", "file", {"label": "defective"})
    audit = AUDITS / "industrial/solar-cells.yaml"
    yield _subject("solar cells", audit, [cells / file for file in _spread(files, images)])


def _column(table: Path, name: str, where: dict[str, str]) -> list[str]:
    with table.open(newline="", encoding="utf-8") as lines:
        return [row[name] for row in csv.DictReader(lines) if all(row[key] == value for key, value in where.items())]


def _spread(files: Sequence[str], count: int) -> list[str]:
    return [files[(2 * number + 1) * len(files) // (2 * count)] for number in range(count)]


def _subject(name: str, audit: Path, files: Sequence[Path]) -> Subject:
    model = load_spec(audit).spec.model
    assert model is not None and isinstance(model.input, ModelInput) and model.input.mean is not None
    given = model.input
    images = tuple(prepare(decode(read_bytes(file, "image"), "image").pixels, given) for file in files)
    return Subject(name, in_fast_format(load_model(model, audit.parent)), model.input.mean, images)


# What they answer


@torch.no_grad()
def answers(subject: Subject, image: npt.NDArray[np.float32], question: Coalitions) -> Array:
    """Logit of the predicted class of each row, and its probability, (2, rows)."""
    pixels = torch.from_numpy(image)
    chosen = int(subject.model.raw_scores(pixels[None]).argmax())
    rows = torch.arange(len(question.present))
    parts = [rows[first : first + ROWS] for first in range(0, len(rows), ROWS)]
    scores = torch.cat([subject.model.raw_scores(question.compose(pixels, part)) for part in parts]).double()
    return torch.stack([scores[:, chosen], scores.softmax(1)[:, chosen]]).numpy()


def drawn_rows(design: Design, players: int, seed: int) -> Drawn:
    """Rows of the design, as lime draws them, or with sizes that are all alike likely."""
    settings = LimeSettings(design.segments, design.baseline, SAMPLES, None, 0.0, design.rows != "single")
    drawn = draw(settings, players, seed)
    if design.rows != "pairs of all sizes":
        return drawn
    random = generator(seed, "sizes")
    rows = drawn.rows.copy()
    for row in range(2, len(rows), 2):
        chosen = random.permutation(players)[: random.integers(1, players)]
        rows[row] = np.isin(np.arange(players), chosen)
        rows[row + 1] = ~rows[row]
    return replace(drawn, rows=rows)


def fits(subject: Subject, number: int, design: Design) -> list[list[Fit]]:
    """One fit for each reading and seed; superpixels are the same for all seeds."""
    image = subject.images[number]
    labels = label_map(design.segments, image, design.name, 0)
    cover = segment_fill(design.baseline, image, labels, FillSources(mean_colour=subject.mean_colour))
    found: list[list[Fit]] = [[] for _ in design.readings]
    for seed in range(SEEDS):
        drawn = drawn_rows(design, int(labels.max()) + 1, derived_seed(seed, f"{subject.name}:{number}"))
        logit, prob = answers(subject, image, Coalitions(labels, drawn.rows, cover))
        for reading, kept in zip(design.readings, found, strict=True):
            y = logit if reading.target == "logit" else prob
            fit = weighted_ridge(drawn.rows, y, kernel(drawn.rows, reading.kernel_width), reading.alpha, drawn.blocks)
            assert fit is not None
            kept.append(fit)
    return found


# What that says of stability


def stability(found: Sequence[Fit]) -> dict[str, float]:
    """The numbers of one image and reading; the fits are those of the seeds."""
    b, errors = (np.stack([getattr(fit, name) for fit in found]) for name in ("coefficients", "standard_errors"))
    spread = float(np.sqrt(b.var(0, ddof=1).mean()))
    top = [set(np.argsort(-np.abs(row))[:TOP].tolist()) for row in b]
    return {
        "players": float(b.shape[1]),
        "rank_correlation": mean_pairwise_rank_correlation(list(b)),
        "vsi": mean(len(one & other) / len(one) for one, other in combinations(top, 2)),
        "csi": coefficients_stability(list(b), list(errors)),
        "noise": spread / float(np.sqrt((b.mean(0) ** 2).mean())),
        "told": float(np.sqrt((errors**2).mean())) / spread if spread else 1.0,
        "r2": mean(fit.r2 for fit in found),
    }


def rows_of(subject: Subject, design: Design) -> Iterator[Row]:
    """One row a reading."""
    every = [fits(subject, number, design) for number in range(len(subject.images))]
    for place, reading in enumerate(design.readings):
        numbers = [stability(found[place]) for found in every]
        means = {key: round(mean(entry[key] for entry in numbers), 4) for key in numbers[0]}
        yield Row(subject.name, design.name, **asdict(reading), images=len(every), **means)  # type: ignore[arg-type]


def write(rows: Sequence[Row], path: Path) -> None:
    """The rows as JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, for docs/how-to/explain-with-lime-and-shap.md."""
    settings = ("net", "superpixels, hidden by, rows", "target", "width", "alpha")
    head = (*settings, "rank correlation", "VSI", "CSI", "noise", "R2")
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    for row in rows:
        width = "none" if row.kernel_width is None else f"{row.kernel_width:g}"
        numbers = [f"{value:.2f}" for value in (row.rank_correlation, row.vsi, row.csi, row.noise, row.r2)]
        lines.append(" | ".join([row.net, row.design, row.target, width, f"{row.alpha:g}", *numbers]))
    return "\n".join(f"| {line} |" for line in lines)


def read(path: Path) -> list[Row]:
    """The rows as they were written."""
    return [Row(**row) for row in json.loads(path.read_text())]


def main() -> None:
    """Ask the nets, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4, help="images of each net")
    parser.add_argument("--net", default="", help="only nets whose name has this text")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    rows: list[Row] = []
    for subject in subjects(given.images):
        for design in DESIGNS if given.net in subject.name else ():
            rows += rows_of(subject, design)
            print(table(rows[-len(design.readings) :]), flush=True)
    write(rows, given.out)


if __name__ == "__main__":
    main()

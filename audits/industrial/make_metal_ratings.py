"""Write metal-surface-ratings.csv: three made-up inspectors who see 60 made-up surfaces twice.

The inspectors name the true defect but for a share of surfaces of their own, in which they say a class by chance.
Run it from the root of the repository: python audits/industrial/make_metal_ratings.py
"""

import csv
from pathlib import Path

import numpy as np

from xai_audit.opening import open_slices
from xai_audit.spec.load import load_text

HERE = Path(__file__).parent
SURFACES = 60
GUESSES = {"inspector-1": 0.05, "inspector-2": 0.1, "inspector-3": 0.25}
"""Share of surfaces in which each inspector says a class by chance."""


def main() -> None:
    """Draw the ratings and write the table."""
    spec = (HERE / "metal-surface.yaml").read_bytes()
    loaded = load_text(spec, HERE / "metal-surface.yaml")
    dataset, _ = open_slices(loaded)
    draw, classes = np.random.default_rng(7), loaded.spec.classes
    chosen = np.sort(draw.permutation(len(dataset.ids))[:SURFACES])
    with (HERE / "metal-surface-ratings.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["surface", "inspector", "trial", "rating"])
        for case in chosen.tolist():
            for inspector, share in GUESSES.items():
                for trial in (1, 2):
                    true = str(dataset.frame["defect"].iloc[case])
                    said = str(draw.choice(classes)) if draw.random() < share else true
                    writer.writerow([dataset.ids[case], inspector, trial, said])


if __name__ == "__main__":
    main()

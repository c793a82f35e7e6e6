"""docs/benchmarks.md, made of the results: `python -m benchmarks.page`, with `--check` only to see if it is current."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS, Machine, Memory, Results, Row, Wall, read
from benchmarks.works import FEW_ROUNDS

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEAD = """<!-- Made by benchmarks/page.py; do not edit. -->
# Benchmarks

What our methods cost beside the raw passes of the same net, and beside other libraries on the same work. `make bench`
measures all of it again on your machine and writes this page; `make bench DEVICE=cuda` does so on a GPU.

How it is measured: ResNet-18 with weights drawn at random, 224 x 224 pixels; ours, raw passes and peers in one process,
back to back in rounds of changing order, each run once before the clock starts; medians. Seconds are the process's CPU
seconds over all its threads, on a GPU the time between two CUDA events around the whole call.

- **Raw** is as many passes as a plain loop over the net would make for the work, in full batches (16 rows on a CPU, 64
  on a GPU), backwards to the pixels only, inputs already normalised on the device, nothing read back. Raw, peers and
  ours use the same weights in the same memory format and precision.
- **Ours** is the whole call as an audit makes it: pixels of the host in, checked raw maps on the host out, the model's
  state compared before and after. What an audit does once, whatever the number of its cases, stands in its own table.
- **Peer** is the library with its documented defaults, or as the row says; the time to find the predicted class is not
  charged to it.
- **Agreement** is the smallest correlation of our map with the peer's over methods and images. Where it is not 1, the
  [conformance table](reference/conformance.md) names the cause; in smooth_grad each library draws its own noise, and
  captum's saliency is per unit of normalised pixels, which weighs the three colours differently.
  score_cam hides with black pixels, as the paper does; its peers with 0 after normalisation, which is the mean colour.
  With `baseline: mean_colour` ours agrees with grad-cam's (correlation 0.9999).

Where our gains come from: the CAMs and gradients share one forward and backward (fewer passes); ablation_cam runs the
net's tail alone, or none of it where the tail is linear (fewer passes); occlusion recomputes what a window changes
(smaller passes); score_cam, integrated_gradients and smooth_grad need every pass, and gain only by full batches.
"""
DEVICES = {"cpu": "CPU", "cuda": "GPU"}


SHAPLEY = RESULTS / "shapley" / "solar-cells.json"
DISSECTION = RESULTS / "dissection" / "cpu.json"
CAUSAL = RESULTS / "causal" / "cpu.json"
REPORT = RESULTS / "report" / "cpu.json"


def page(files: Iterable[Path]) -> str:
    """The page for the results that are there."""
    devices = [_device(path.stem, read(path)) for path in sorted(files)]
    more = [(SHAPLEY, _shapley), (DISSECTION, _dissection), (CAUSAL, _causal), (REPORT, _report)]
    return "\n".join([HEAD, *devices, *(told(json.loads(file.read_text())) for file, told in more if file.exists())])


def _dissection(found: dict[str, Any]) -> str:
    """What dissecting a layer costs beside the raw forwards of the same pictures."""
    text = f"""## Network dissection

The whole scan of {found["pictures"]:,} pictures of 224 x 224 from a file, with {found["concepts"]} masks each, on
ResNet-18 with random weights: reading, forwards, thresholds, overlaps, {found["shuffles"]} shuffles, and the same along
random directions; `python -m benchmarks.dissection`. Raw is one forward a picture and nothing else. CPU seconds on
{found["kind"]}; torch {found["torch"]}; threads: {found["threads"]}; rounds (their median): {found["repeats"]}.

"""
    cells = (found["layer"], f"{found['ours_seconds']:g}", f"{found['raw_seconds']:g}", f"{found['ratio']:.3g}")
    reached = "yes" if found["ratio"] <= found["target"] else "no"
    head = ("layer", "ours, seconds", "raw, seconds", "ours / raw", "at most", "reached")
    return text + _table(head, [(*cells, f"{found['target']:g}", reached)]) + "\n"


def _report(found: dict[str, Any]) -> str:
    """What a report costs from its evidence."""
    limits = found["limits"]
    text = f"""## Reports

A report of a made-up table from its evidence to HTML and PDF on {found["kind"]}; `python -m benchmarks.report`. Cold:
nothing was drawn before. Cached: the same again. The last column is the CPU seconds of our PDF, whose charts are drawn,
beside those of bare WeasyPrint on the same pages with the charts as SVG. A report of 60 pages aims at
{limits["seconds"]:g} s, {limits["html_mb"]:g} MB of HTML, {limits["pdf_mb"]:g} MB of PDF, {limits["peak_mb"]:g} MB of
memory and a ratio of {limits["ratio"]:g}.

"""
    head = ("pages", "charts", "cold, s", "CPU s", "cached, s", "HTML, MB", "PDF, MB", "peak, MB", "PDF / bare")
    return text + _table(head, [_size_row(size) for size in found["sizes"].values()]) + "\n"


def _size_row(size: dict[str, Any]) -> tuple[str, ...]:
    seconds = (size["cold"]["wall"], size["cold"]["cpu"], size["warm"]["wall"])
    ratio = f"{size['pdf']['cpu'] / size['bare']['cpu']:.2f}" if size["bare"]["cpu"] else "–"
    numbers = (f"{size['html_mb']:.2f}", f"{size['pdf_mb']:.2f}", f"{size['peak_mb']:.0f}", ratio)
    return (str(size["pages"]), str(size["charts"]), *(f"{value:.1f}" for value in seconds), *numbers)


def _causal(found: dict[str, Any]) -> str:
    """What answers about cause cost beside what anybody would write."""
    machine = found["machine"]
    text = f"""## Causal analysis

CPU seconds, median of {machine["repeats"]} rounds on {machine["cores"]} processor cores, ours and what it is
held against in one process, DoWhy in one of its own; `python -m benchmarks.causal`.

"""
    head = (
        "work",
        "held against",
        "ours, seconds",
        "it, seconds",
        "ours / it",
        "at most",
        "reached",
        "peer",
        "peer / it",
    )
    return text + _table(head, map(_causal_cells, found["rows"])) + "\n"


def _causal_cells(row: dict[str, Any]) -> tuple[str, ...]:
    reached = "yes" if row["ratio"] <= row["target_ratio"] else "no"
    peer = "" if row["peer_ratio"] is None else f"{row['peer_ratio']:.3g}"
    seconds = (f"{row['ours_seconds']:g}", f"{row['against_seconds']:g}")
    limit = f"{row['target_ratio']:g}"
    return row["work"], row["against"], *seconds, f"{row['ratio']:.3g}", limit, reached, row["peer"] or "none", peer


def _shapley(found: dict[str, Any]) -> str:
    """How far Shapley values are from the truth at equal queries."""
    text = f"""## Shapley values

Median over {found["pictures"]} pictures of the relative error (L2) of mode kernel with `tolerance: 0`, and of two peers
at the same numbers of queries, on the net of the solar cells audit: `python -m benchmarks.shapley`. Truth:
{"; ".join(f"{setting['name']}, {setting['reference']}" for setting in found["settings"])}.

"""
    keys = list(dict.fromkeys((entry["setting"], entry["queries"]) for entry in found["errors"]))
    names = list(dict.fromkeys(entry["estimator"] for entry in found["errors"]))
    errors = {(entry["setting"], entry["queries"], entry["estimator"]): entry["error"] for entry in found["errors"]}
    rows = []
    for setting, queries in keys:
        cells = [_number(errors[setting, queries, name]) for name in names]
        share = errors[setting, queries, names[0]] / errors[setting, queries, names[1]]
        rows.append((setting, str(queries), *cells, f"{share:.2f}"))
    return text + _table(("players", "queries", *names, "ours by shap's"), rows) + "\n"


def _device(name: str, results: Results) -> str:
    parts = [f"## {DEVICES.get(name, name)}", _machine(results.machine), _ratios(results.rows), _seconds(results)]
    parts += [_agreement(results), _setup(results), _memory(results.memory)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(machine: Machine) -> str:
    where = f"{machine.kind}, {machine.cores} processor cores, {machine.threads} threads; torch {machine.torch}"
    few = min(machine.repeats, FEW_ROUNDS)
    rounds = f"median of {machine.repeats} rounds, of {few} where a run makes hundreds of passes"
    return f"{where}; {rounds}; {machine.note}."


def _ratios(rows: Sequence[Row]) -> str:
    head = ("work", "ours / raw", "at most", "reached", "peer", "peer / raw", "peer / ours", "agreement")
    return _table(head, (_ratio_cells(row) for row in rows))


def _ratio_cells(row: Row) -> tuple[str, ...]:
    target = "" if row.target_ratio is None else f"{row.target_ratio:g}"
    ours = (row.work, f"{row.ours_ratio:.3g}", target, _reached(row))
    if row.peer is None or row.peer_seconds is None or row.peer_ratio is None:
        return (*ours, "none", "", "", "")
    agreement = "" if row.agreement is None else f"{row.agreement:.4f}"
    times = f"{row.peer_seconds / row.ours_seconds:.3g}"
    return (*ours, f"{row.peer} {row.peer_version}", f"{row.peer_ratio:.3g}", times, agreement)


def _reached(row: Row) -> str:
    if row.target_ratio is None:
        return ""
    return "yes" if row.ours_ratio <= row.target_ratio else "no"


def _seconds(results: Results) -> str:
    head = ("work", "peer", "ours", "raw", "peer", "ours, wall", "raw, wall", "peer, wall")
    pairs = zip(results.rows, results.wall, strict=True)
    return "### Seconds\n\n" + _table(
        head, ((row.work, row.peer or "none", *_times(row), *_times(wall)) for row, wall in pairs)
    )


def _times(entry: Row | Wall) -> tuple[str, ...]:
    return tuple(map(_number, (entry.ours_seconds, entry.raw_seconds, entry.peer_seconds)))


def _agreement(results: Results) -> str:
    cells = [(entry.work, entry.method, entry.peer, f"{entry.correlation:.6f}") for entry in results.agreement]
    return "### Agreement by method\n\n" + _table(("work", "method", "peer", "correlation"), cells) if cells else ""


def _setup(results: Results) -> str:
    text = (
        "### Once an audit\n\nWall seconds to find layers, and to record the net's graph where a method needs it.\n\n"
    )
    return text + _table(("work", "seconds"), [(entry.work, _number(entry.seconds)) for entry in results.setup])


def _memory(entries: Sequence[Memory]) -> str:
    if not entries:
        return ""
    text = """### Memory

MiB above the loaded model and the given images while one method explains 64 images: on a CPU resident memory of a
process of its own, on a GPU what is allocated there; `of them maps` is what the method gives, which no budget can make
smaller. Methods with many rows an image ask fewer of them here, in batches as large as ever.

"""
    cells = ((e.method, f"{e.peak_mb:.0f}", f"{e.maps_mb:.0f}", str(e.budget_mb)) for e in entries)
    return text + _table(("method", "peak", "of them maps", "budget"), cells)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    """Write the page, or exit with 1 where it is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    made = page(RESULTS.glob("*.json"))
    if not parser.parse_args().check:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        print("docs/benchmarks.md: not current; run: python -m benchmarks.page")
        sys.exit(1)


if __name__ == "__main__":
    main()

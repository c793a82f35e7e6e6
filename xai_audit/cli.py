"""The command line: each command is a few lines around one stage; what is heavy is imported inside it."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from xai_audit import __version__
from xai_audit.errors import AuditError, ProblemError, SpecErrors
from xai_audit.registry import LANGUAGES

EXIT_BROKE = 3

_spec = click.argument("spec", type=click.Path(path_type=Path))
_folder = click.argument("folder", type=click.Path(path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON instead of text.")
_out = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports"),
    show_default=True,
    help="Folder under which runs are kept.",
)
_since = click.option(
    "--since",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Earlier run folder to compare with. Default: the last signed one of this audit, else the last judged one.",
)
_device = click.option("--device", default="auto", show_default=True, help="cpu, cuda, or auto: cuda when present.")
_batch = click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    default=None,
    help="Most images a pass (16 on a CPU, 64 on a GPU); changes speed and memory, not results.",
)


class Command(click.Group):
    """The command group; every error of ours ends with its exit code and no traceback, a fault of ours with 3."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a command and exit: 0 all pass, 1 some finding is no pass, 2 wrong input, 3 the audit itself broke."""
        kwargs["standalone_mode"] = False
        try:
            result = super().main(*args, **kwargs)
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.ClickException as error:
            if "--json" in sys.argv:
                _print_error("UsageError", error.format_message())
            else:
                error.show()
            sys.exit(2)
        except (click.Abort, KeyboardInterrupt):
            click.echo("Stopped. What was finished is kept; the same command goes on from there.", err=True)
            sys.exit(EXIT_BROKE)
        except AuditError as error:
            _show_error(error)
            sys.exit(error.exit_code)
        except OSError as error:
            _print_error("DiskError", _disk_problem(error))
            sys.exit(EXIT_BROKE)
        except SystemExit as stop:
            if not _reader_is_gone(stop):
                _print_error("ModelError", _ended_by_model(stop))
            sys.exit(EXIT_BROKE)
        except Exception:
            click.echo(traceback.format_exc(), err=True)
            _print_error("Fault", "This is a fault of xai-audit: please report it with the lines above.")
            sys.exit(EXIT_BROKE)
        sys.exit(result if isinstance(result, int) else 0)


def _print_error(kind: str, sentence: str) -> None:
    """An error that is no Problem: a sentence, or JSON where that was asked for."""
    if "--json" in sys.argv:
        _print_json({"error": kind, "problems": [{"found": sentence}]})
    else:
        click.echo(sentence, err=True)


def _reader_is_gone(stop: SystemExit) -> bool:
    """Whether click itself ends the program: whoever read its output has gone away, as `| head` does."""
    raised_in = traceback.extract_tb(stop.__traceback__)[-1].filename
    return raised_in == click.core.__file__


def _ended_by_model(stop: SystemExit) -> str:
    return (
        f"sys.exit({stop.code!r}) was called by code that the audit ran; nothing was judged. "
        "Correct the model's code: it must raise an error, never end the program."
    )


def _problems(error: AuditError) -> list[dict[str, str]]:
    if isinstance(error, SpecErrors):
        return [problem.__dict__ for problem in error.problems]
    if isinstance(error, ProblemError):
        return [error.problem.__dict__]
    return [{"found": str(error)}]


def _show_error(error: AuditError) -> None:
    if "--json" in sys.argv:
        _print_json({"error": type(error).__name__, "problems": _problems(error)})
        return
    click.echo(str(error), err=True)
    if isinstance(error, SpecErrors):
        count = len(error.problems)
        click.echo(f"\n{count} problem{'s' if count > 1 else ''}. Nothing was run.", err=True)


def _disk_problem(error: OSError) -> str:
    return (
        f"{error.filename or 'a file'}: {error.strerror or error}. "
        "Nothing half-written was left; make room or mend the path, then run the same command again."
    )


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))


@click.group(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="xai-audit")
def main() -> None:
    """Audit an image model from one YAML file and write the report that people sign.

    Exit codes: 0 every finding passes, 1 some finding does not, 2 the spec or its inputs are wrong, 3 the audit broke.
    """


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--source",
    type=click.Choice(["image_folder", "image_table", "arrays", "table", "predictions"]),
    default="image_table",
    show_default=True,
    help="Where the cases come from.",
)
def init(path: Path, source: Any) -> None:
    """Write a commented spec to start from; never overwrites."""
    from xai_audit.spec.template import starter_spec

    if path.exists():
        raise click.ClickException(f"{path} is there already; name a new file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(starter_spec(source, path.stem), encoding="utf-8")
    click.echo(f"Wrote {path}. Fill in what it asks for, then: xai-audit check {path}")


@main.command()
@_spec
@_as_json
def check(spec: Path, as_json: bool) -> None:
    """Read a spec and name everything that is wrong with it; runs nothing."""
    from xai_audit.spec.load import load_spec
    from xai_audit.spec.template import placeholders

    found = load_spec(spec)
    loaded = found.spec
    facts = {
        "audit": loaded.audit.id,
        "slices": len(loaded.slices),
        "methods": len(loaded.methods),
        "measures": len(loaded.measures),
        "criteria": len(loaded.criteria),
    }
    if as_json:
        _print_json({"ok": True, **facts})
    else:
        click.echo(f"{spec}: no problem found. {_counted(facts)}.")
        for problem in placeholders(found):
            click.echo(f"still to fill in before a run: {problem}")


_ONE_OF = {"slices": "slice", "methods": "method", "measures": "measure", "criteria": "criterion"}


def _counted(facts: Mapping[str, Any]) -> str:
    """How many of each part there are, in words."""
    return ", ".join(f"{facts[many]} {one if facts[many] == 1 else many}" for many, one in _ONE_OF.items())


@main.command()
@_spec
@_as_json
@click.option("--measure", is_flag=True, help="Time one pass and add an estimate of time and memory (loads torch).")
@_device
@_batch
def plan(spec: Path, as_json: bool, measure: bool, device: str, batch_size: int | None) -> None:
    """Show every step and the number of passes through the net, before anything is run.

    Where a number depends on the model (the channels of a layer), it is a bound until --measure loads the model.
    """
    from xai_audit.opening import open_slices
    from xai_audit.plan import Counts, make_plan
    from xai_audit.spec.load import load_spec
    from xai_audit.spec.tables import TableInput

    loaded = load_spec(spec)
    dataset, slices = open_slices(loaded)
    counts = Counts(len(dataset.ids), {name: len(indexes) for name, indexes in slices.items()})
    made = make_plan(loaded.spec, counts)
    estimate = None
    if measure:
        from xai_audit.engines.estimate import estimate_run

        made, estimate = estimate_run(loaded, dataset, made, device, batch_size)
    if as_json:
        steps = [
            {
                "id": s.id,
                "kind": s.kind,
                "step": s.title,
                "cases": s.cases,
                **s.passes.__dict__,
                "certainty": s.cost.certainty,
                "because": s.cost.because,
            }
            for s in made.steps
        ]
        total = {"cases": counts.cases, "slices": dict(counts.slices), **made.passes.__dict__}
        _print_json({"steps": steps, "total": total, "estimate": estimate.__dict__ if estimate else None})
        return
    model = loaded.spec.model
    _plan_table(made, counts, estimate, "rows" if isinstance(model.input if model else None, TableInput) else "images")
    if loaded.spec.audit.owner is None:
        click.echo("No owner is declared: nobody is named who answers for this audit.")


def _plan_table(made: Any, counts: Any, estimate: Any, unit: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(made.steps)} steps over {counts.cases} cases", title_justify="left")
    for heading in ("step", "kind"):
        table.add_column(heading)
    for heading in ("cases", "forwards", "part forwards", "backwards"):
        table.add_column(heading, justify="right")
    marks = {"exact": "", "at_most": "≤ ", "at_least": "≥ "}
    for step in made.steps:
        mark, passes = marks[step.cost.certainty], step.passes
        numbers = [f"{mark}{n}" if n else "" for n in (passes.forwards, passes.partial, passes.backwards)]
        table.add_row(step.title, step.kind, str(step.cases or ""), *numbers)
    total = made.passes
    table.add_section()
    table.add_row("total", "", str(counts.cases), str(total.forwards), str(total.partial), str(total.backwards))
    console = Console()
    console.print(table)
    for step in made.steps:
        if step.cost.because:
            console.print(f"{marks[step.cost.certainty]}{step.title}: {step.cost.because}.")
    if estimate:
        console.print(
            f"Estimated: {estimate.seconds:.0f} seconds, {estimate.memory_mb:.0f} MB at most, on {estimate.device}."
        )
    else:
        console.print(f"Passes are counted in {unit}. Add --measure for time and memory.")


@main.command()
@_spec
@_out
@_device
@_batch
@_as_json
@click.option("--retry-failed", is_flag=True, help="Of an unfinished run: make steps that failed again.")
@_since
def run(
    spec: Path, out: Path, device: str, batch_size: int | None, as_json: bool, retry_failed: bool, since: Path | None
) -> int:
    """Run an audit: evidence, findings and report. Goes on where a stopped run left off; a second run does nothing."""
    from xai_audit.spec.load import load_spec
    from xai_audit.spec.template import refuse_placeholders

    loaded = load_spec(spec)
    refuse_placeholders(loaded)
    from xai_audit.engines.local import pick_device
    from xai_audit.run import Options, run_audit

    options = Options(out, pick_device(device), batch_size, retry_failed)
    with _progress(quiet=as_json) as progress:
        outcome = run_audit(loaded, options, progress)
        folder = outcome.run.folder
        _compare_with(folder, since)
        files = _rendered_files(folder) or _render(folder, loaded.spec.report.formats, progress)
    if not as_json and not outcome.steps_made:
        click.echo(f"Nothing to do: this run was finished on {outcome.run.manifest['ended']}.")
    return _show_findings(folder, outcome.findings, files, as_json)


def _compare_with(folder: Path, since: Path | None, *, choose_again: bool = False) -> None:
    """Keep what an earlier run said beside this one, for the report."""
    from xai_audit.evidence.store import locked
    from xai_audit.history import keep_comparison

    with locked(folder):
        keep_comparison(folder, since, choose_again=choose_again)


def _render(
    folder: Path, formats: Sequence[str], progress: Any, audiences: Any = None, languages: Any = None
) -> tuple[Path, ...]:
    from xai_audit.evidence.manifest import record_outputs
    from xai_audit.evidence.store import locked
    from xai_audit.report.write import write_report

    progress.begin("report", 1)
    with locked(folder):
        files: tuple[Path, ...] = write_report(folder, tuple(formats), audiences, languages)
        record_outputs(folder, "rendered", [path.relative_to(folder).as_posix() for path in files])
    progress.advance(1)
    progress.end("done")
    _tell_of_fonts(files)
    return files


def _tell_of_fonts(files: tuple[Path, ...]) -> None:
    """A PDF in another font than ours is told: its lines and pages break elsewhere than on other machines."""
    from xai_audit.report.pdf_fonts import stand_ins

    for file, names in stand_ins([path for path in files if path.suffix == ".pdf"]):
        click.echo(
            f"note: {file.name} is set in {names}, since Liberation Sans is not installed. Its pages may break"
            " elsewhere than on another machine, and the summary may need a second page. Install the font"
            " (apt-get install fonts-liberation), then write it again: xai-audit report.",
            err=True,
        )


def _rendered_files(folder: Path) -> tuple[Path, ...]:
    """Files of the last rendering, when all of them are as they were written and newer than the last judgement."""
    from xai_audit.evidence.events import last, read_events
    from xai_audit.evidence.manifest import digests

    events = read_events(folder)
    rendered, judged = last(events, "rendered"), last(events, "judged")
    if rendered is None or judged is None:
        return ()
    since = (last(events, name) for name in ("judged", "compared", "stated"))
    if any(later is not None and events.index(rendered) < events.index(later) for later in since):
        return ()
    files = tuple(folder / name for name in rendered.data["files"])
    is_whole = (
        all(path.is_file() for path in files) and digests(folder, rendered.data["files"]) == rendered.data["files"]
    )
    return files if is_whole else ()


def _progress(quiet: bool) -> Any:
    from contextlib import nullcontext

    from xai_audit.engines.progress import Silent

    if quiet:
        return nullcontext(Silent())
    from xai_audit.engines.terminal import TerminalProgress

    return TerminalProgress()


def _show_findings(folder: Path, findings: Any, files: Sequence[Path], as_json: bool) -> int:
    from xai_audit.verdict import exit_code, findings_text

    code = exit_code(findings)
    reports = [str(path) for path in files if path.suffix in (".html", ".pdf") and path.parent == folder]
    if as_json:
        _print_json(
            {
                "exit_code": code,
                "folder": str(folder),
                "reports": reports,
                "findings": json.loads(findings_text(findings)),
            }
        )
    else:
        from xai_audit.report.terminal import findings_table

        findings_table(findings)
        for path in reports:
            click.echo(f"Report:   {path}")
        click.echo(f"Findings: {folder / 'findings.json'}")
        click.echo(f"Evidence: {folder}")
    return int(code)


@main.command()
@_folder
@_as_json
@_since
def judge(folder: Path, as_json: bool, since: Path | None) -> int:
    """Judge the evidence of a run folder again; needs no model and no data."""
    from xai_audit.evidence.store import locked
    from xai_audit.judging import judge_folder

    spec = _spec_of(folder, "judged", "compared", "rendered")
    with locked(folder):
        findings = judge_folder(folder, spec)
    _compare_with(folder, since, choose_again=True)
    return _show_findings(folder, findings, (), as_json)


def _spec_of(folder: Path, *made_again: str) -> Any:
    """The spec of a finished run; EvidenceError when the folder is not as the run left it."""
    from xai_audit.evidence.manifest import require_unchanged
    from xai_audit.evidence.store import read_run
    from xai_audit.spec.load import load_text

    run = read_run(folder)
    require_unchanged(folder, *made_again)
    return load_text(run.spec_text, folder / "audit.yaml").spec


@main.command()
@_folder
@click.option(
    "--format", "formats", type=click.Choice(["html", "pdf"]), multiple=True, help="Default: as the spec says."
)
@click.option(
    "--audience",
    "audiences",
    type=click.Choice(["decision", "reviewer", "engineer"]),
    multiple=True,
    help="Role view; may be given several times. Default: as the spec says.",
)
@click.option(
    "--language",
    "languages",
    type=click.Choice(LANGUAGES),
    multiple=True,
    help="May be given several times. Default: the languages of the spec.",
)
@_since
def report(
    folder: Path,
    formats: tuple[str, ...],
    audiences: tuple[str, ...],
    languages: tuple[str, ...],
    since: Path | None,
) -> None:
    """Write the HTML and PDF of a run folder again, for one reader or several; needs no model and no data."""
    spec = _spec_of(folder, "rendered")
    _compare_with(folder, since)
    with _progress(quiet=False) as progress:
        files = _render(folder, formats or spec.report.formats, progress, audiences or None, languages or None)
    for path in files:
        if path.parent == folder:
            click.echo(str(path))


@main.command()
@_folder
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_as_json
def state(folder: Path, file: Path, as_json: bool) -> None:
    """Add what people say, and actions on findings, to a finished run; nothing said before is taken away."""
    from xai_audit.evidence.store import locked
    from xai_audit.spec.people_file import read_people
    from xai_audit.stating import add_people, require_findings
    from xai_audit.verdict import read_findings

    spec = _spec_of(folder, "judged", "compared", "rendered")
    declared = read_people(file, spec)
    found = folder / "findings.json"
    if found.exists():
        require_findings(declared, read_findings(found.read_text(encoding="utf-8")), str(file))
    with locked(folder):
        added = add_people(folder, declared)
    if as_json:
        _print_json({"statements": added.statements, "actions": added.actions, "folder": str(folder)})
        return
    click.echo(f"{folder}: {added.statements} statement(s) and {added.actions} action(s) added.")
    if added.statements or added.actions:
        click.echo(f"The report does not show them yet: xai-audit report {folder}")


@main.command()
@click.argument("pack", required=False)
@click.option(
    "--domain",
    type=click.Choice(["medical", "automotive", "finance", "industrial", "general"]),
    help="Only packs and clauses of this domain.",
)
@_as_json
def clauses(pack: str | None, domain: str | None, as_json: bool) -> None:
    """List the clause packs that audit.frameworks may name, or the clauses of one PACK."""
    from xai_audit.clauses.listing import clause_entries, pack_entries

    entries = pack_entries(domain) if pack is None else clause_entries(_pack_named(pack), domain)
    if as_json:
        _print_json(entries)
        return
    for entry in entries:
        click.echo(f"{entry['id']:<26} {entry['title']} ({entry['detail']})")
    if not entries:
        click.echo("None for this domain.")


def _pack_named(name: str) -> Any:
    from xai_audit.clauses.packs import load_pack, pack_names
    from xai_audit.spec.messages import did_you_mean

    if name in pack_names():
        return load_pack(name)
    near = did_you_mean(name, pack_names())
    meant = f' Did you mean "{near}"?' if near else ""
    raise click.ClickException(f'No clause pack "{name}"; expected one of: {", ".join(pack_names())}.{meant}')


@main.command()
@_folder
@_as_json
def verify(folder: Path, as_json: bool) -> int:
    """Check that nothing in a run folder has changed; names each file that was changed, is missing or was added."""
    from xai_audit.evidence.manifest import verify as find_faults

    faults = find_faults(folder)
    if as_json:
        _print_json({"ok": not faults, "faults": [fault.__dict__ for fault in faults]})
    else:
        for fault in faults:
            click.echo(f"{fault.file}: {fault.problem}")
        click.echo(
            f"{folder}: " + (f"{len(faults)} file(s) not as they were left." if faults else "nothing has changed.")
        )
    return 1 if faults else 0


@main.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@_as_json
def compare(before: Path, after: Path, as_json: bool) -> int:
    """List the criteria and the inputs that differ between two runs. Exit code 1 when any verdict got worse."""
    from xai_audit.compare import compare_runs, comparison_lines

    comparison = compare_runs(before, after)
    if as_json:
        _print_json(comparison.to_json())
    else:
        for line in comparison_lines(comparison):
            click.echo(line)
    return 1 if comparison.worse else 0


@main.command()
@_folder
@click.option(
    "--as",
    "name",
    type=click.Choice(["oscal", "junit", "csv", "in-toto", "model-card"]),
    required=True,
    help="Format to write.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write; of csv a folder for its tables."
)
def export(folder: Path, name: str, out: Path) -> None:
    """Write a judged run in the format of other tools; needs no model and no data.

    oscal: OSCAL assessment results; junit: test results for build servers; csv: findings, criteria and clauses;
    in-toto: a statement over the manifest, for signing; model-card: Markdown with YAML front matter.
    """
    from xai_audit.exports import export as write

    for path in write(folder, name, out):
        click.echo(str(path))


@main.command()
@_as_json
def methods(as_json: bool) -> None:
    """List the explanation methods and measures that a spec may use."""
    from xai_audit import registry

    if as_json:
        entries: Callable[[Any], list[dict[str, Any]]] = lambda table: [entry.__dict__ for entry in table]  # noqa: E731
        _print_json({"methods": entries(registry.METHODS), "measures": entries(registry.MEASURES)})
        return
    click.echo("Methods")
    for method in registry.METHODS:
        click.echo(f"  {method.name:<24} {method.summary} ({method.paper})")
    click.echo("Measures")
    for measure in registry.MEASURES:
        click.echo(f"  {measure.name:<24} {measure.summary}")
    click.echo("For criteria only")
    for part in registry.PARTS:
        click.echo(f"  {part.name:<32} {part.summary}")
    if later := (*registry.NOT_YET["method"], *registry.NOT_YET["measure"]):
        click.echo("Not available yet: " + ", ".join(later))


@main.command()
def schema() -> None:
    """Print the JSON Schema of a spec, for editors."""
    from xai_audit.spec.export import schema_text

    click.echo(schema_text(), nl=False)


@main.command()
@_out
@_as_json
@click.option(
    "--spec", type=click.Path(path_type=Path), help="Also say whether this spec's latest run is still current."
)
def status(out: Path, as_json: bool, spec: Path | None) -> int:
    """List the runs under a folder: finished or not, their verdicts, and whether their files are unchanged."""
    from xai_audit.status import list_runs, staleness

    runs = list_runs(out)
    stale = staleness(out, spec) if spec else None
    if as_json:
        _print_json({"runs": [entry.__dict__ for entry in runs], "stale": stale})
    else:
        if not runs:
            click.echo(f"No runs under {out}.")
        for entry in runs:
            click.echo(f"{entry.audit}/{entry.run}  {entry.state}  {entry.ended or ''}  {entry.summary}")
        if stale is not None:
            click.echo("; ".join(stale) if stale else f"{spec}: the latest run is current.")
    return 1 if stale else 0


@main.command()
@_out
@_as_json
def selftest(out: Path, as_json: bool) -> int:
    """Ask the installed version what is known by construction, and keep the record that reports cite.

    Exit code 1 when any answer differs. The record is selftest-<version>.json under --out; runs made there cite it.
    """
    import datetime

    from xai_audit.evidence.qualification import read_record, write_record
    from xai_audit.selftest.every import ask_all

    answers = ask_all(lambda answer: None if as_json else click.echo(_answer_line(answer)))
    path = write_record(out, answers, datetime.datetime.now(datetime.UTC).date().isoformat())
    failed = sum(not answer.passed for answer in answers)
    if as_json:
        _print_json(read_record(path))
    else:
        click.echo(f"{len(answers) - failed} of {len(answers)} known answers are right. Record: {path}")
        click.echo(f"Runs made with the same --out ({out}) cite this record in their manifest and report.")
    return 1 if failed else 0


def _answer_line(answer: Any) -> str:
    mark = "right" if answer.passed else "WRONG"
    return f"{mark}  {answer.subject:<24} {answer.says}" + (f" [{answer.error}]" if answer.error else "")


if __name__ == "__main__":
    main()

"""The repository keeps what its documentation says: links, commands, examples, layers, packaging, the two commands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEAVY = ("torch", "weasyprint", "shap", "ray")


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A finished process with its output as text; `environment` is added to ours."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def repository_files() -> list[Path]:
    """Files that are tracked or would be, were everything added now."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    assert listed.returncode == 0, listed.stderr
    return sorted(ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def pages() -> list[Path]:
    """Every Markdown file of the repository."""
    return [path for path in repository_files() if path.suffix == ".md"]


def without_fences(text: str) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", text)


def anchors(page: Path) -> set[str]:
    """Names by which links reach the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", without_fences(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def yaml_blocks(page: Path) -> list[Any]:
    """The YAML examples of a page, read."""
    texts = [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language == "yaml"]
    return [YAML(typ="safe", pure=True).load(text) for text in texts]


def merged(base: Any, part: Any) -> Any:
    """`base` with `part` laid over it, key by key; an input or source of another kind takes its place."""
    is_other = isinstance(part, Mapping) and ("features" in part or part.get("kind") == "table")
    if isinstance(base, Mapping) and isinstance(part, Mapping) and not is_other:
        return {**base, **{key: merged(base.get(key), value) for key, value in part.items()}}
    return part


def as_loaded(value: Any) -> Any:
    """Lists as tuples, as the loader of specs has them."""
    if isinstance(value, Mapping):
        return {key: as_loaded(part) for key, part in value.items()}
    return tuple(map(as_loaded, value)) if isinstance(value, list) else value


# Documentation


def test_docs_links_lead_somewhere() -> None:
    broken = []
    for page in pages():
        for target in LINK.findall(without_fences(page.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = page if not name else (page.parent / name).resolve()
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_docs_are_reachable_from_their_index() -> None:
    linked = {
        (ROOT / "docs" / name).resolve() for name in LINK.findall((ROOT / "docs/index.md").read_text(encoding="utf-8"))
    }
    written_by_hand = [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs/how-to").glob("*.md"),
        *(ROOT / "docs/decisions").glob("*.md"),
    ]
    assert {path.resolve() for path in written_by_hand} - linked == {ROOT / "docs/index.md"}


def commands_in_docs() -> Iterator[tuple[str, str]]:
    """Page and name of each `xai-audit <command>` that stands in code, in a block or within a line."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        code = [body for _, body in FENCE.findall(text)] + re.findall(r"`([^`\n]+)`", without_fences(text))
        for piece in code:
            for name in re.findall(r"xai-audit ([a-z][a-z-]*)", piece):
                yield str(page.relative_to(ROOT)), name


def test_docs_name_only_commands_that_exist() -> None:
    from xai_audit.cli import main

    found = list(commands_in_docs())
    assert len(found) > 20, "the search for commands found next to nothing, so it proves nothing"
    assert [(page, name) for page, name in found if name not in main.commands] == []


def test_docs_explain_every_command_in_the_readme() -> None:
    from xai_audit.cli import main

    assert set(main.commands) - {name for page, name in commands_in_docs() if page == "README.md"} == set()


def whole_examples() -> list[tuple[str, str]]:
    """Page and text of each example that is a whole audit."""
    return [
        (str(page.relative_to(ROOT)), body)
        for page in pages()
        for language, body in FENCE.findall(page.read_text(encoding="utf-8"))
        if language == "yaml" and body.startswith("version:")
    ]


def test_docs_examples_that_are_whole_audits_pass_check(tmp_path: Path) -> None:
    from xai_audit.spec.load import load_spec

    examples = whole_examples()
    assert "README.md" in [page for page, _ in examples]
    for number, (_, text) in enumerate(examples):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        load_spec(file)


def test_docs_example_with_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    from xai_audit.errors import SpecErrors
    from xai_audit.spec.load import load_spec

    text = dict(whole_examples())["README.md"]
    assert "minimum_cases" in text
    (tmp_path / "a.yaml").write_text(text.replace("minimum_cases", "minimum_case"), encoding="utf-8")
    with pytest.raises(SpecErrors, match="minimum_cases"):
        load_spec(tmp_path / "a.yaml")


def test_docs_examples_that_are_parts_fit_the_grammar() -> None:
    from xai_audit.spec.schema import AuditSpec

    base = yaml_blocks(ROOT / "README.md")[0]
    parts = [part for page in pages() for part in yaml_blocks(page) if "version" not in part]
    assert len(parts) >= 6
    for part in parts:
        AuditSpec.model_validate(as_loaded(merged(base, part)))


# The tree


def test_no_file_is_over_two_megabytes() -> None:
    assert [str(path.relative_to(ROOT)) for path in repository_files() if path.stat().st_size > 2_000_000] == []


def paths_of_one_machine(text: str) -> list[str]:
    """Absolute paths that only one machine has."""
    return re.findall(r"(?<![\w.:/-])/(?:home|root|work|Users)/[\w.-]+", text)


def test_no_file_names_a_path_of_one_machine() -> None:
    assert paths_of_one_machine("see " + "/home" + "/joe/x.csv") == ["/home" + "/joe"]
    found = {}
    for path in repository_files():
        try:
            hits = paths_of_one_machine(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        if hits:
            found[str(path.relative_to(ROOT))] = hits
    assert found == {}


def names(requirements: Sequence[str]) -> set[str]:
    """Names of packages, as package indexes compare them."""
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line).group()).lower() for line in requirements}  # type: ignore[union-attr]


def project() -> dict[str, Any]:
    """The `project` table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = names([line for line in lines if line and not line.startswith("#")])
    extras = project()["optional-dependencies"]
    assert names([*project()["dependencies"], *extras["examples"], *extras["dev"]]) - pinned == set()


def test_every_runtime_dependency_has_its_reason() -> None:
    text = (ROOT / "docs/decisions/001-runtime-dependencies.md").read_text(encoding="utf-8")
    reasons = names(re.findall(r"^\| ([\w.-]+)[^|]*\|", text, re.MULTILINE)) - {"package", "---"}
    assert reasons == names(project()["dependencies"])


def test_version_is_said_once() -> None:
    import xai_audit

    assert project()["version"] == xai_audit.__version__


IN_PARALLEL = "--numprocesses=logical --dist=loadfile"
"""How `make test` spreads the test files over the cores."""

# The two commands


@pytest.mark.parametrize("code", [0, 2, 5])
def test_ci_run_calls_make_test_and_ends_as_it_does(tmp_path: Path, code: int) -> None:
    stub = tmp_path / "make"
    stub.write_text(f'#!/bin/sh\necho "make $* CI=$CI in $PWD"\nexit {code}\n')
    stub.chmod(0o755)
    ended = run([ROOT / ".ci/run"], tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}", CI="")
    assert ended.returncode == code
    assert ended.stdout == f"make test CI=true in {ROOT}\n"


def test_workflow_does_what_ci_run_does() -> None:
    workflow = YAML(typ="safe", pure=True).load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step] == [".ci/run"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and an environment that is installed already, its programs being stubs."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    for name in (".stamp-python", ".stamp-audit", ".stamp-test"):
        (tmp_path / ".venv" / name).touch()
    return tmp_path


def make(target: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    """make, not knowing that another make may have started these tests, and with the check of the system left out."""
    return run(["make", "--no-print-directory", target, "PYTHON=true"], checkout, MAKEFLAGS="", MAKELEVEL="0")


def put_program(checkout: Path, name: str, code: int) -> None:
    """A program in the environment that says its name and ends with `code`."""
    program = checkout / ".venv/bin" / name
    program.write_text(f'#!/bin/sh\necho "{name} $*"\nexit {code}\n')
    program.chmod(0o755)


@pytest.mark.parametrize(("code", "succeeds"), [(0, True), (1, True), (2, False), (3, False), (137, False)])
def test_make_audit_succeeds_when_the_audit_ran(checkout: Path, code: int, succeeds: bool) -> None:
    put_program(checkout, "xai-audit", code)
    ended = make("audit", checkout)
    assert (ended.returncode == 0) is succeeds
    assert ended.stdout.startswith("xai-audit run audits/industrial/solar-cells.yaml\n"), "it must not install again"
    assert f"ended with exit code {code}:" in ended.stdout


@pytest.mark.parametrize("broken", ["ruff", "mypy", "lint-imports", "python"])
def test_make_test_fails_with_any_of_its_parts(checkout: Path, broken: str) -> None:
    for name in ("ruff", "mypy", "lint-imports", "python"):
        put_program(checkout, name, 5 if name == broken else 0)
    assert make("test", checkout).returncode != 0
    put_program(checkout, broken, 0)
    ended = make("test", checkout)
    assert ended.returncode == 0
    ran = [line for line in ended.stdout.splitlines() if ".venv/" not in line]
    assert ran == ["ruff format --check .", "ruff check .", "mypy ", "lint-imports ", f"python -m pytest {IN_PARALLEL}"]


@pytest.fixture
def check_system() -> ModuleType:
    """scripts/check_system.py as a module."""
    spec = importlib.util.spec_from_file_location("check_system", ROOT / "scripts/check_system.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lacking(check_system: ModuleType, is_required: bool) -> list[Any]:
    """A list of needs of which one is absent."""
    return [check_system.Need("library pango", "lays out the PDF report", False, "libpango-1.0-0", is_required)]


def test_check_system_names_the_command_that_installs_what_is_missing(
    check_system: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(check_system.NEEDS, "audit", lambda: lacking(check_system, is_required=True))
    monkeypatch.setattr(check_system, "apt_prefix", lambda: None)
    monkeypatch.setattr(sys, "argv", ["check_system.py", "audit"])
    assert check_system.main() == 1
    assert (
        "MISSING  library pango (lays out the PDF report):  sudo apt-get install libpango-1.0-0\n"
        in capsys.readouterr().out
    )


def test_check_system_installs_only_where_that_needs_no_password(
    check_system: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], list[str]]] = []
    monkeypatch.setitem(check_system.NEEDS, "audit", lambda: [] if asked else lacking(check_system, is_required=True))
    monkeypatch.setattr(check_system, "apt_prefix", lambda: ["sudo", "-n"])
    monkeypatch.setattr(check_system, "apt_install", lambda prefix, packages: asked.append((prefix, packages)))
    monkeypatch.setattr(sys, "argv", ["check_system.py", "audit", "--no-install"])
    assert check_system.main() == 1
    assert asked == []
    monkeypatch.setattr(sys, "argv", ["check_system.py", "audit"])
    assert check_system.main() == 0
    assert asked == [(["sudo", "-n"], ["libpango-1.0-0"])]


def test_check_system_lets_an_optional_font_be_absent(
    check_system: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(check_system.NEEDS, "audit", lambda: lacking(check_system, is_required=False))
    monkeypatch.setattr(sys, "argv", ["check_system.py", "audit"])
    assert check_system.main() == 0


def test_check_system_refuses_an_old_python(
    check_system: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_system, "OLDEST_PYTHON", (9, 9))
    monkeypatch.setattr(sys, "argv", ["check_system.py", "audit", "--no-install"])
    assert check_system.main() == 1
    assert "MISSING  Python" in capsys.readouterr().out


# Imports


def heavy_after(statement: str) -> list[str]:
    """Which heavy packages a fresh Python has loaded after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    ended = run([sys.executable, "-c", code], ROOT)
    assert ended.returncode == 0, ended.stderr
    return list(json.loads(ended.stdout.splitlines()[-1]))


def test_the_command_line_loads_nothing_heavy() -> None:
    assert heavy_after("import xai_audit, xai_audit.cli") == []


def test_the_search_for_heavy_packages_can_fail() -> None:
    assert heavy_after("import torch, xai_audit, xai_audit.cli") == ["torch"]


def test_check_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(dict(whole_examples())["README.md"], encoding="utf-8")
    reading = "from pathlib import Path\nfrom xai_audit.spec.load import load_spec\nload_spec(Path({!r}))"
    assert heavy_after(reading.format(str(tmp_path / "a.yaml"))) == []


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the package in a folder."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return run([sys.executable, "-c", code, "--no-cache"], folder)


@pytest.fixture
def package_copy(tmp_path: Path) -> Path:
    """The package and its contracts, to be spoilt."""
    shutil.copytree(ROOT / "xai_audit", tmp_path / "xai_audit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("spec/load.py", "import torch", "Spec, plan, evidence, verdict and report never reach torch"),
        ("spec/load.py", "import xai_audit.run", "A stage imports only the stages below it"),
        ("cli.py", "def spoilt() -> None:\n    import torch", "The command line imports no torch itself"),
        ("helpers.py", "", "A stage imports only the stages below it"),
    ],
)
def test_import_layers_hold_and_can_break(package_copy: Path, file: str, line: str, broken: str) -> None:
    whole = lint_imports(package_copy)
    assert whole.returncode == 0, whole.stdout
    with (package_copy / "xai_audit" / file).open("a", encoding="utf-8") as spoilt:
        spoilt.write(f"\n{line}\n")
    ended = lint_imports(package_copy)
    assert ended.returncode == 1
    assert f"{broken} BROKEN" in ended.stdout


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], ROOT)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_carries_every_template(wheel: Path) -> None:
    packed = {
        name.removeprefix("xai_audit/templates/") for name in zipfile.ZipFile(wheel).namelist() if "/templates/" in name
    }
    tracked = {
        str(path.relative_to(ROOT / "templates"))
        for path in repository_files()
        if path.is_relative_to(ROOT / "templates")
    }
    assert packed == tracked
    assert tracked


@pytest.mark.slow
def test_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    target, empty = tmp_path / "target", tmp_path / "empty"
    empty.mkdir()
    installed = run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel], empty
    )
    assert installed.returncode == 0, installed.stderr
    where = "from xai_audit.report.html import templates_folder; print(templates_folder())"
    found = run([sys.executable, "-c", where], empty, PYTHONPATH=str(target))
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == str(target / "xai_audit/templates")
    helped = run([sys.executable, target / "bin/xai-audit", "--help"], empty, PYTHONPATH=str(target))
    assert helped.returncode == 0, helped.stderr
    assert "verify" in helped.stdout

"""verify names each file that changed, is missing or was added."""

from pathlib import Path

import pytest

from xai_audit.errors import EvidenceError
from xai_audit.evidence.manifest import Fault, files_under, is_sealed, record_outputs, require_unchanged, seal, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "arrays").mkdir()
    for name in ("evidence.jsonl", "audit.yaml", "arrays/a.safetensors", "findings.json", "report.pdf"):
        (tmp_path / name).write_bytes(f"content of {name}".encode())
    seal(tmp_path, {"run": "r"}, ["evidence.jsonl", "audit.yaml", "arrays/a.safetensors"])
    record_outputs(tmp_path, "judged", ["findings.json"])
    record_outputs(tmp_path, "rendered", ["report.pdf"])
    return tmp_path


def test_a_folder_left_alone_is_clean(folder: Path) -> None:
    assert verify(folder) == ()


def test_one_byte_changed_anywhere_is_named(folder: Path) -> None:
    for name in files_under(folder):
        path = folder / name
        good = path.read_bytes()
        for place in (0, len(good) // 2, len(good) - 1):
            path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
            assert name in [fault.file for fault in verify(folder)], (name, place)
        path.write_bytes(good + b"x")
        assert name in [fault.file for fault in verify(folder)], name
        path.write_bytes(good)
    assert verify(folder) == ()


@pytest.mark.parametrize(
    "name", ["evidence.jsonl", "arrays/a.safetensors", "findings.json", "report.pdf", "manifest.json"]
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert Fault(name, "missing") in verify(folder)


def test_an_added_file_is_named(folder: Path) -> None:
    (folder / "arrays" / "extra.bin").write_bytes(b"")
    assert verify(folder) == (Fault("arrays/extra.bin", "added"),)


def test_a_file_replaced_by_a_link_is_named(folder: Path) -> None:
    (folder / "evidence.jsonl").rename(folder.parent / "elsewhere")
    (folder / "evidence.jsonl").symlink_to(folder.parent / "elsewhere")
    assert Fault("evidence.jsonl", "replaced by a link") in verify(folder)


def test_a_folder_that_was_never_sealed_is_refused(tmp_path: Path) -> None:
    from xai_audit.evidence.events import append_event

    append_event(tmp_path, "started", {})
    with pytest.raises(EvidenceError, match="unfinished"):
        verify(tmp_path)


@pytest.mark.parametrize("name", ["evidence.jsonl", "audit.yaml", "arrays/a.safetensors", "manifest.json"])
def test_nothing_is_made_from_changed_evidence(folder: Path, name: str) -> None:
    require_unchanged(folder, "judged", "rendered")
    (folder / name).write_bytes(b"other")
    with pytest.raises(EvidenceError, match=f"{name} changed"):
        require_unchanged(folder, "judged", "rendered")


def test_what_is_made_again_may_differ_and_what_is_read_may_not(folder: Path) -> None:
    (folder / "findings.json").write_bytes(b"other")
    (folder / "report.pdf").unlink()
    (folder / "notes.txt").write_bytes(b"of a reader")
    require_unchanged(folder, "judged", "rendered")
    with pytest.raises(EvidenceError, match=r"findings\.json changed"):
        require_unchanged(folder, "rendered")


def test_an_array_that_was_added_is_refused(folder: Path) -> None:
    (folder / "arrays" / "b.safetensors").write_bytes(b"")
    with pytest.raises(EvidenceError, match="added"):
        require_unchanged(folder, "judged", "rendered")


def test_a_manifest_without_its_line_in_the_log_is_no_finished_run(folder: Path) -> None:
    """A run killed between the two is finished by the next."""
    assert is_sealed(folder)
    (folder / "events.jsonl").unlink()
    assert not is_sealed(folder)


def test_a_file_of_an_earlier_rendering_is_still_known(folder: Path) -> None:
    (folder / "report.html").write_bytes(b"html alone")
    record_outputs(folder, "rendered", ["report.html"])
    assert verify(folder) == ()
    (folder / "report.pdf").write_bytes(b"other")
    assert verify(folder) == (Fault("report.pdf", "changed"),)

"""The log of a run folder: any edit of it is found."""

from pathlib import Path

import pytest

from xai_audit.errors import EvidenceError
from xai_audit.evidence.events import NAME, append_event, drop_torn_line, last, read_events


def _log(folder: Path) -> Path:
    for number in range(3):
        append_event(folder, "step", {"number": number, "note": "é"})
    return folder / NAME


def test_events_read_back_in_order_and_chained(tmp_path: Path) -> None:
    _log(tmp_path)
    events = read_events(tmp_path)
    assert [event.data["number"] for event in events] == [0, 1, 2]
    assert events[2].previous == events[1].hash
    assert last(events, "step") is events[2]
    assert last(events, "sealed") is None


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = _log(tmp_path)
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(EvidenceError):
            read_events(tmp_path)
    path.write_bytes(good)
    assert len(read_events(tmp_path)) == 3


def test_a_line_taken_out_is_found(tmp_path: Path) -> None:
    path = _log(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(EvidenceError, match=r"events\.jsonl:2"):
        read_events(tmp_path)


@pytest.mark.parametrize("left", [1, 10, 60])
def test_a_torn_last_line_is_dropped_and_the_chain_goes_on(tmp_path: Path, left: int) -> None:
    path = _log(tmp_path)
    whole = path.read_bytes()
    torn = whole.rstrip(b"\n").rpartition(b"\n")
    path.write_bytes(torn[0] + b"\n" + torn[2][:left])
    drop_torn_line(tmp_path)
    append_event(tmp_path, "step", {"number": 9})
    assert [event.data["number"] for event in read_events(tmp_path)] == [0, 1, 9]


def test_a_torn_only_line_leaves_no_log(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"data"')
    drop_torn_line(tmp_path)
    assert not (tmp_path / NAME).exists()
    append_event(tmp_path, "started", {})
    assert len(read_events(tmp_path)) == 1

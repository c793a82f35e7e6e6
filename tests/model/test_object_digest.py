"""The digest of a callable: the same in every process, and another one for another state."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from xai_audit.errors import ModelError
from xai_audit.model.factory import find_factory
from xai_audit.model.object_digest import object_digest

MADE = """
import functools
import numpy as np

WEIGHTS = {"b": np.arange(3.0), "a": {"x", "y", "zeta", "nu"}}


class Own:
    scale = 2.0

    def __init__(self, shift):
        self.shift, self.names = shift, frozenset(["p", "q", "r"])

    def predict(self, x):
        return helper(x) + self.shift


def helper(x):
    return x @ WEIGHTS["b"]


def own(shift=1.0):
    return Own(shift)


def closure(k=3):
    table = {name: number for number, name in enumerate(["u", "v", "w"])}
    return lambda x: x * k + len(table)


def bound():
    return Own(4.0).predict


def part():
    return functools.partial(helper)


def forest():
    from sklearn.ensemble import RandomForestClassifier
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    return RandomForestClassifier(n_estimators=3, random_state=0).fit(x, np.where(x[:, 0] > 0, "a", "b"))
"""
KINDS = ["own", "closure", "bound", "part", "forest"]


def digest_of(folder: Path, name: str, **arguments: object) -> str:
    (folder / "made.py").write_text(MADE)
    return object_digest(find_factory(f"made.py:{name}", folder)(**arguments))


def test_digest_is_the_same_in_another_process_and_another_folder(tmp_path: Path) -> None:
    here = [digest_of(tmp_path, name) for name in KINDS]
    (tmp_path / "elsewhere").mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from xai_audit.model.factory import find_factory\n"
        "from xai_audit.model.object_digest import object_digest\n"
        "folder = Path(sys.argv[2]); (folder / 'made.py').write_text(sys.argv[3])\n"
        "for name in sys.argv[4:]: print(object_digest(find_factory('made.py:' + name, folder)()))"
    )
    root = str(Path(__file__).resolve().parents[2])
    for seed in ("1",):
        made = subprocess.run(
            [sys.executable, "-c", code, root, str(tmp_path / "elsewhere"), MADE, *KINDS],
            env={"PYTHONHASHSEED": seed, "PATH": "", "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert made.stdout.split() == here
    assert len(set(here)) == len(KINDS)


def test_digest_tells_states_closures_globals_and_code_apart(tmp_path: Path) -> None:
    assert digest_of(tmp_path, "own") == digest_of(tmp_path, "own", shift=1.0)
    assert digest_of(tmp_path, "own") != digest_of(tmp_path, "own", shift=1.5)
    assert digest_of(tmp_path, "closure") != digest_of(tmp_path, "closure", k=4)
    before = {name: digest_of(tmp_path, name) for name in ("own", "part")}
    (tmp_path / "made.py").write_text(MADE.replace("arange(3.0)", "arange(1.0, 4.0)"))
    after = {name: object_digest(find_factory(f"made.py:{name}", tmp_path)()) for name in before}
    assert all(before[name] != after[name] for name in before)


def test_digest_is_of_values_and_not_of_who_shares_them() -> None:
    shared = np.arange(4.0)
    assert object_digest([shared, shared]) == object_digest([np.arange(4.0), np.arange(4.0)])
    assert object_digest({"a": 1, "b": 2}) == object_digest({"b": 2, "a": 1})
    assert object_digest([1, 2]) != object_digest((1, 2))
    assert object_digest(1) != object_digest(True)
    assert object_digest(np.arange(4.0)) != object_digest(np.arange(4.0, dtype=np.float32))
    assert object_digest(np.arange(6).reshape(2, 3)) != object_digest(np.arange(6).reshape(3, 2))


def test_what_lies_between_the_fields_of_an_array_is_no_state() -> None:
    kind = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    one, other = np.frombuffer(b"\0" * 48, kind), np.frombuffer((b"\0" + b"\xff" * 7 + b"\0" * 8) * 3, kind)
    assert (one == other).all()
    assert not np.array_equal(one.view("u1"), other.view("u1"))
    assert object_digest(one) == object_digest(other)


def test_object_that_holds_itself_has_a_digest() -> None:
    loop: list[object] = [1]
    loop.append(loop)
    assert object_digest(loop) == object_digest(loop)


def test_what_does_not_show_its_state_is_an_error_that_names_the_way_out() -> None:
    holder = functools.partial(print, threading.Lock())
    with pytest.raises(ModelError, match="whose state cannot be told") as caught:
        object_digest(holder)
    assert "read_by: factory" in str(caught.value)

"""A digest of a Python object's state that is the same in every process, so that one model is told from another."""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from xai_audit.errors import ModelError

FACTORY_PREFIX = "xai_audit_factory_"
"""Modules made of a file beside the spec; their names hold the file's path, which is no part of a model."""


def object_digest(held: object) -> str:
    """sha256 over the values that an object is made of, whatever the process, the order of sets or PYTHONHASHSEED.

    A function counts by its code, its closure and the globals that it reads; what belongs to an installed package by
    its name. Raises ModelError where a part does not show its state.
    """
    try:
        return _Digest().of(held).hex()
    except (_OpaqueError, RecursionError) as error:
        raise ModelError(
            "model.factory",
            f"a {type(held).__name__} whose state cannot be told from another's ({error})",
            "a model made of plain values, or a file that holds it",
            "Name the model's file under `model.weights` with `read_by: factory`, and load it from there.",
        ) from None


class _OpaqueError(Exception):
    """A part that does not show its state."""


@dataclass
class _Digest:
    """Digests of objects by their values; one that is met again, inside itself too, is not taken apart again."""

    known: dict[int, bytes] = field(default_factory=dict)
    """By identity."""
    alive: list[object] = field(default_factory=list)
    """What `known` speaks of: an identity is another object's once this one is gone."""

    def of(self, value: Any) -> bytes:
        """Digest of a value."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.dtype):
            return _sha(type(value).__name__, repr(value))
        if id(value) not in self.known:
            self.known[id(value)] = _sha("inside itself")
            self.alive.append(value)
            self.known[id(value)] = _sha(*self._parts(value))
        return self.known[id(value)]

    def _parts(self, value: Any) -> Iterator[str | bytes]:
        if isinstance(value, np.ndarray):
            yield from self._array(value)
        elif isinstance(value, Tensor):
            yield from self._array(value.detach().cpu().numpy())
        elif type(value) in (list, tuple):
            yield type(value).__name__
            yield from map(self.of, value)
        elif type(value) in (set, frozenset):
            yield type(value).__name__
            yield from sorted(map(self.of, value))
        elif type(value) is dict:
            yield "dict"
            yield from self._items(value.items())
        elif isinstance(value, types.ModuleType):
            yield f"module {value.__name__}"
        elif isinstance(value, type):
            yield from self._class(value)
        elif isinstance(value, types.FunctionType):
            yield from self._function(value)
        elif isinstance(value, types.MethodType):
            yield from ("method", self.of(value.__self__), self.of(value.__func__))
        elif isinstance(value, types.BuiltinFunctionType):
            yield f"builtin {value.__module__}.{value.__qualname__}"
        else:
            yield from self._object(value)

    def _array(self, value: np.ndarray[Any, Any]) -> Iterator[str | bytes]:
        yield f"array {value.shape} {value.dtype.str}"
        if value.dtype.names:  # not by bytes: what lies between the fields is anything
            for name in value.dtype.names:
                yield from (name, self.of(np.ascontiguousarray(value[name])))
        elif value.dtype.hasobject:
            yield from map(self.of, value.ravel().tolist())
        else:
            yield np.ascontiguousarray(value).tobytes()

    def _items(self, items: Iterable[tuple[object, object]]) -> Iterator[bytes]:
        yield from sorted(_sha(self.of(key), self.of(entry)) for key, entry in items)

    def _class(self, value: type) -> Iterator[str | bytes]:
        yield f"class {value.__qualname__}"
        if not value.__module__.startswith(FACTORY_PREFIX):
            yield value.__module__
            return
        held = {name: part for name, part in vars(value).items() if not name.startswith("__")}
        yield from self._items((name, part) for name, part in held.items() if not hasattr(type(part), "__set__"))

    def _function(self, value: types.FunctionType) -> Iterator[str | bytes]:
        yield f"function {value.__qualname__}"
        if _is_importable(value):
            yield value.__module__
            return
        yield from self._code(value.__code__)
        for name in sorted(_names(value.__code__) & set(value.__globals__)):
            yield from (name, self.of(value.__globals__[name]))
        yield self.of(tuple(_content(cell) for cell in value.__closure__ or ()))
        yield from (self.of(value.__defaults__), self.of(value.__kwdefaults__))

    def _code(self, code: types.CodeType) -> Iterator[str | bytes]:
        yield from (code.co_code, repr(code.co_names), repr(code.co_varnames))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from self._code(constant)
            else:
                yield self.of(constant)

    def _object(self, value: Any) -> Iterator[str | bytes]:
        """Anything else as pickle would take it apart; nothing of it is run again."""
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise _OpaqueError(f"{type(value).__name__}: {error}") from error
        if isinstance(reduced, str):
            yield f"named {type(value).__qualname__} {reduced}"
            return
        made, arguments, state, entries, pairs = (*reduced, None, None, None)[:5]
        yield f"object {type(value).__qualname__}"
        yield from (self.of(made), self.of(arguments), self.of(state))
        yield from map(self.of, entries or ())
        yield from self._items(pairs or ())


def _sha(*pieces: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else piece
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def _is_importable(value: types.FunctionType) -> bool:
    """Whether a function belongs to an installed package: its name says which one it is."""
    if value.__module__.startswith(FACTORY_PREFIX):
        return False
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _names(code: types.CodeType) -> set[str]:
    """Names of globals that code may read, also in functions inside it."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inner)


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None

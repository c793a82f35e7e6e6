"""Opening what a spec names: tables, listings and files, with the digests that tell one run from another; no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xai_audit import __version__
from xai_audit.data.appraisers import appraisers_digest
from xai_audit.data.concept_pictures import concept_digests
from xai_audit.data.slices import dataset_digest, members, slice_digest, source_digests
from xai_audit.data.sources import Dataset, open_dataset
from xai_audit.data.tables import require_file
from xai_audit.data.training import training_digest
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.paths import resolve
from xai_audit.graphs.read import edges_in_order
from xai_audit.model.weights import code_digest, source_digest, weights_digest
from xai_audit.plan import Counts
from xai_audit.spec.causal_columns import require_columns
from xai_audit.spec.causal_names import named_code
from xai_audit.spec.concepts import folders_of
from xai_audit.spec.export import normalised_text
from xai_audit.spec.load import LoadedSpec
from xai_audit.spec.schema import AuditSpec


@dataclass(frozen=True)
class Inputs:
    """What a spec names, opened and digested; no model is loaded and no image decoded."""

    loaded: LoadedSpec
    dataset: Dataset
    slices: Mapping[str, np.ndarray]
    files: tuple[str, ...]
    """Digest of each case: its image, masks and table row."""
    digests: Mapping[str, str]
    """Digest of each slice."""
    training: str | None
    """Digest of the declared training data."""
    concepts: Mapping[str, str]
    """Digest of each folder of concept pictures, by its path as the spec writes it."""
    weights: str | None
    """sha256 of the weights file. Where the factory sets the weights itself: None, until a run has their state's."""
    source: str | None
    """Digest or version of the code that makes the model."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Digest or version of the user's own code that the causal part names, by that name."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Digest of each file that a measure names, by its path as the spec writes it."""
    appraisers: str | None = None
    """Digest of the table of people's ratings."""

    @property
    def spec(self) -> AuditSpec:
        """The spec."""
        return self.loaded.spec

    @property
    def counts(self) -> Counts:
        """Numbers of cases, for the plan."""
        return Counts(len(self.dataset.ids), {name: len(indexes) for name, indexes in self.slices.items()})

    @property
    def _meaning(self) -> dict[str, Any]:
        """The normalised spec, the edges of a graph in an order of their own: the order in the file means nothing."""
        whole: dict[str, Any] = json.loads(normalised_text(self.spec))
        if self.spec.causal is not None:
            whole["causal"]["edges"] = edges_in_order(self.spec.causal.edges)
        return whole

    @property
    def run_id(self) -> str:
        """First 12 hex digits of sha256 over normalised spec, model, data digests and package version."""
        parts = {
            "spec": self._meaning,
            "weights": self.weights,
            "source": self.source,
            "data": dataset_digest(self.dataset, self.files),
            "training": self.training,
            "package": __version__,
            **({"concepts": dict(self.concepts)} if self.concepts else {}),
            **({"code": dict(self.code)} if self.code else {}),
            **({"beside": dict(self.beside)} if self.beside else {}),
            **({"appraisers": self.appraisers} if self.appraisers else {}),
        }
        return sha256(canonical(parts).encode())[:12]


def open_slices(loaded: LoadedSpec) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The cases and the members of each slice, from tables and listings alone."""
    dataset = open_dataset(loaded.spec, loaded.folder)
    require_columns(loaded, tuple(map(str, dataset.frame.columns)), dataset.table.name)
    return dataset, {part.name: members(dataset, part) for part in loaded.spec.slices}


def digest_inputs(loaded: LoadedSpec, advance: Callable[[int], None] = lambda _: None) -> Inputs:
    """Open a spec's inputs and take their digests, reading each file once. Raises InputError."""
    dataset, slices = open_slices(loaded)
    files = source_digests(dataset, advance)
    digests = {
        name: slice_digest(
            [dataset.ids[i] for i in indexes], [files[i] for i in indexes], [dataset.labels[i] for i in indexes]
        )
        for name, indexes in slices.items()
    }
    model = loaded.spec.model
    weights = weights_digest(model, loaded.folder) if model else None
    source = source_digest(model, loaded.folder) if model else None
    declared = loaded.spec.data.training
    training = training_digest(declared, loaded.folder) if declared else None
    folders = concept_digests(folders_of(loaded.spec), loaded.folder)
    code = _code_digests(loaded)
    ratings = loaded.spec.data.appraisers
    appraisers = appraisers_digest(ratings, loaded.folder) if ratings else None
    beside = _beside(loaded)
    return Inputs(loaded, dataset, slices, files, digests, training, folders, weights, source, code, beside, appraisers)


def _beside(loaded: LoadedSpec) -> dict[str, str]:
    """Digests of the tables of challengers and of the lists of training units. Raises DataError for a missing one."""
    named = [use.against.table if use.against is not None else use.units for use in loaded.spec.measures]
    found = {}
    for name in sorted({name for name in named if name is not None}):
        path = resolve(name, loaded.folder, "measures")
        require_file(path, name, "a file that a measure reads")
        found[name] = sha256(path.read_bytes())
    return found


def _code_digests(loaded: LoadedSpec) -> dict[str, str]:
    """Digests of the functions and classes of the user's own that the causal part names, sorted by name."""
    causal = loaded.spec.causal
    if causal is None:
        return {}
    return {name: code_digest(name, loaded.folder, where) for name, where in sorted(named_code(causal).items())}

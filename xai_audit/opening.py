"""Opening what a spec names: tables, listings and files, with the digests that tell one run from another; no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from xai_audit import __version__
from xai_audit.data.concept_pictures import concept_digests
from xai_audit.data.slices import dataset_digest, members, slice_digest, source_digests
from xai_audit.data.sources import Dataset, open_dataset
from xai_audit.data.training import training_digest
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.model.weights import source_digest, weights_digest
from xai_audit.plan import Counts
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

    @property
    def spec(self) -> AuditSpec:
        """The spec."""
        return self.loaded.spec

    @property
    def counts(self) -> Counts:
        """Numbers of cases, for the plan."""
        return Counts(len(self.dataset.ids), {name: len(indexes) for name, indexes in self.slices.items()})

    @property
    def run_id(self) -> str:
        """First 12 hex digits of sha256 over normalised spec, model, data digests and package version."""
        parts = {
            "spec": json.loads(normalised_text(self.spec)),
            "weights": self.weights,
            "source": self.source,
            "data": dataset_digest(self.dataset, self.files),
            "training": self.training,
            "package": __version__,
            **({"concepts": dict(self.concepts)} if self.concepts else {}),
        }
        return sha256(canonical(parts).encode())[:12]


def open_slices(loaded: LoadedSpec) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The cases and the members of each slice, from tables and listings alone."""
    dataset = open_dataset(loaded.spec, loaded.folder)
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
    return Inputs(loaded, dataset, slices, files, digests, training, folders, weights, source)

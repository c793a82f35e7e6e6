"""The cases under audit as one value; images are read when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.bad_cases import BadCase, Policy, case_place
from xai_audit.data.drawn_masks import Drawn, border_mask
from xai_audit.data.pixels import Image, Picture, Pixels
from xai_audit.data.preprocess import prepare_mask
from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.spec.schema import Border, ModelInput, Outside


@dataclass(frozen=True)
class Dataset:
    """Cases with their columns and labels; everything of one length n, in the order of the source."""

    table: Table
    ids: tuple[str, ...]
    labels: NDArray[Any]
    """(n,) int64 class indexes; (n, classes) int64 0/1 for multi_label; (n, outputs) float64 for a regression."""
    clusters: NDArray[np.int64] | None
    """(n,) codes of the unit that intervals resample."""
    scores: NDArray[np.float64] | None
    """(n, columns) for stored predictions."""
    bad: tuple[BadCase, ...]
    """Rows left out when the table was read, under `on_bad_case: record`."""
    policy: Policy
    source: str
    """Kind of the source."""
    concepts: tuple[str, ...]
    """Names of the declared masks."""
    pixels: Pixels
    rows: NDArray[np.int64]
    """(n,) row of each case in `pixels`."""
    features: NDArray[np.float64] | None = None
    """(n, features) of a table: numbers as they are, categories as codes, NaN where missing."""
    drawn: Mapping[str, Drawn] = field(default_factory=dict)
    """Those of the masks that no one stores."""
    notes: tuple[str, ...] = ()
    """Sentences about what the source holds and the audit does not use."""

    @property
    def frame(self) -> pd.DataFrame:
        """The table's columns, one row a case."""
        return self.table.frame

    @property
    def has_images(self) -> bool:
        """Whether there is an image to look at."""
        return self.source not in ("predictions", "table", "none")

    def picture(self, index: int) -> Picture:
        """The image of a case with the digest of its file's bytes and the conversions made."""
        return self.pixels.read(int(self.rows[index]), case_place(self.ids[index]))

    def image(self, index: int) -> Image:
        """The image of a case, (H, W, C), uint8 or float32 in [0, 1]. Raises DataError that names the case."""
        return self.picture(index).pixels

    def mask(self, index: int, concept: str, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """The mask of a case, (H, W), in the geometry of its image; `size` spares looking the image's up.

        It may have no pixel where it comes from a table of boxes, lies outside another, or is cut with its case.
        Raises DataError where the case has none (`has_mask`), where it does not fit, and for a border, which there is
        only in what the model sees (`seen_mask`).
        """
        self._declared(concept)
        drawn = self.drawn.get(concept)
        if isinstance(drawn, Border):
            found, expected = "a border, asked for on the stored image", "the mask as the model sees it"
            raise DataError(f"data.masks.{concept}", found, expected, "Ask `seen_mask`.")
        if isinstance(drawn, Outside):
            return ~self.mask(index, drawn.outside, size)
        case = case_place(self.ids[index])
        row = int(self.rows[index])
        return self.pixels.mask(row, concept, self.pixels.size(row, case) if size is None else size, case)

    def seen_mask(self, index: int, concept: str, model_input: ModelInput) -> NDArray[np.bool_]:
        """The mask of a case at the model's input geometry, (H, W) of its size; no pixel where the case has none."""
        self._declared(concept)
        drawn = self.drawn.get(concept)
        if isinstance(drawn, Border):
            return border_mask(model_input.size, drawn.border)
        if not self.has_mask(index, concept):
            return np.zeros(model_input.size, dtype=np.bool_)
        if isinstance(drawn, Outside):
            return ~self.seen_mask(index, drawn.outside, model_input)
        return prepare_mask(self.mask(index, concept), model_input)

    def has_mask(self, index: int, concept: str) -> bool:
        """Whether the case is annotated for this concept.

        A cell in the source's table: it is not empty. A table of boxes: it names the case's picture at all, so that a
        picture without a box of this concept has a mask with no pixel. What lies outside a mask: where that one is.
        A border: always.
        """
        self._declared(concept)
        drawn = self.drawn.get(concept)
        if isinstance(drawn, Outside):
            return self.has_mask(index, drawn.outside)
        return isinstance(drawn, Border) or self.pixels.has_mask(int(self.rows[index]), concept)

    def file_digest(self, index: int) -> str:
        """sha256 of the image file's bytes, or of the image's array; empty where there are no images."""
        return self.pixels.digest(int(self.rows[index]), case_place(self.ids[index]))

    def mask_digest(self, index: int, concept: str) -> str:
        """sha256 of the mask as stored; boxes and what is drawn in words; empty where the case has none."""
        drawn = self.drawn.get(concept)
        if isinstance(drawn, Border):
            return f"border {drawn.border!r}"
        if isinstance(drawn, Outside):
            other = self.mask_digest(index, drawn.outside)
            return f"outside {other}" if other else ""
        return self.pixels.mask_digest(int(self.rows[index]), concept, case_place(self.ids[index]))

    def take(self, indexes: NDArray[np.int64]) -> Dataset:
        """Only these cases."""
        return replace(
            self,
            table=self.table.take(indexes),
            ids=tuple(self.ids[index] for index in indexes),
            labels=self.labels[indexes],
            clusters=None if self.clusters is None else self.clusters[indexes],
            scores=None if self.scores is None else self.scores[indexes],
            rows=self.rows[indexes],
            features=None if self.features is None else self.features[indexes],
        )

    def without(self, bad: Sequence[BadCase]) -> Dataset:
        """The cases that are not bad, with the bad ones added to `bad`; DataError if none is left."""
        out = {case.id for case in bad}
        kept = np.asarray([index for index, case_id in enumerate(self.ids) if case_id not in out], dtype=np.int64)
        if not len(kept):
            raise DataError(
                self.table.name,
                f"no usable case: all {len(self.ids)} are bad",
                "at least one case",
                "Correct the source.",
            )
        known = {case.id for case in self.bad}
        more = tuple(case for case in bad if case.id not in known)
        return replace(self.take(kept), bad=self.bad + more)

    def _declared(self, concept: str) -> None:
        if concept not in self.concepts:
            raise DataError(
                "data.masks",
                f'no mask called "{concept}"',
                one_of(self.concepts) if self.concepts else "a declared mask",
                f"{did_you_mean(concept, self.concepts)}Add it under `data.masks`.",
            )

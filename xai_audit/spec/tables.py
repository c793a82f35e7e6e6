"""The grammar of tables: where rows come from, and the features that a model reads of them."""

# No `from __future__ import annotations` here: see base.py.
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from xai_audit.spec.base import Fault, FiniteFloat, Name, Scalar, Strict, Text


class TableSource(Strict):
    """A CSV or parquet table with one row a case; the model reads the features that `model.input` names."""

    kind: Literal["table"]
    """A table with one row a case."""
    table: str | None = None
    """CSV or parquet file. `package:NAME/path` reads it from an installed package."""
    columns: Annotated[tuple[Name, ...] | None, Field(min_length=1)] = None
    """Instead of a file: names of the columns of `rows`."""
    rows: tuple[tuple[Scalar, ...], ...] | None = None
    """The table itself, one list a row."""
    label: str | tuple[str, ...] | None = None
    """Column of the label; for multi_label a list of 0/1 columns in the order of `classes`. Needed by a model, and not
    by a causal audit without one."""
    weight: str | None = None
    """Of a causal audit without a model: column that says how many units a row stands for."""
    law: Literal["exact"] | None = None
    """exact: the weights are probabilities that sum to 1, so that there is no sampling error."""
    id: str | None = None
    """Column that names a case; default: the row's line."""


class Feature(Strict):
    """One thing that the model reads of a row: a column of numbers, or of categories."""

    column: Name
    """Column of the table."""
    title: Text | None = None
    """What people call it, in reports and reason codes; default: the column's name."""
    categories: Annotated[tuple[Name, ...] | None, Field(min_length=2)] = None
    """Values of a category in the order of their codes; without it the column holds numbers."""
    encoding: Literal["one_hot", "code"] = "one_hot"
    """How a category reaches the model: one column of 0 and 1 a value, or its number from 0."""
    mean: FiniteFloat | None = None
    """Taken away from a number before the model sees it."""
    std: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """A number is divided by it, after `mean`."""
    when_missing: FiniteFloat | str | None = None
    """What the model is given where the value is missing: a number, or one of the categories. Without it a row that
    lacks the value is a bad case; with `given_as: frame` the model is then given the gap itself."""
    missing_flag: bool = False
    """Give the model one more column, 1 where the value is missing."""

    def __hash__(self) -> int:
        """By the column alone: a title may be a map of languages, which has no hash."""
        return hash(self.column)

    @model_validator(mode="after")
    def _each_category_once(self) -> Self:
        for index, name in enumerate(self.categories or ()):
            if name in (self.categories or ())[:index]:
                found, at = f'"{name}" twice', ("categories", index)
                raise Fault(found, "each category once", "Remove one of the two.", keys=("categories",), at=at)
        return self

    @model_validator(mode="after")
    def _parts_fit_kind(self) -> Self:
        if self.categories is None:
            is_wrong = isinstance(self.when_missing, str)
            found, expected = f'when_missing "{self.when_missing}" for a number', "a number"
        else:
            is_wrong = self.when_missing is not None and self.when_missing not in self.categories
            found, expected = f'when_missing "{self.when_missing}"', f"one of: {', '.join(self.categories)}"
        if is_wrong:
            fix = "Name a value that the model has seen."
            raise Fault(found, expected, fix, keys=("when_missing", "categories"), at=("when_missing",))
        if self.missing_flag and self.when_missing is None:
            found, expected = "missing_flag without `when_missing`", "both or neither"
            raise Fault(
                found, expected, "Say what stands there.", keys=("missing_flag", "when_missing"), at=("missing_flag",)
            )
        for key in ("mean", "std"):
            if self.categories is not None and getattr(self, key) is not None:
                found, expected = f"`{key}` for a category", "no scale: it is for numbers"
                raise Fault(found, expected, "Remove it.", keys=(key, "categories"), at=(key,))
        return self

    @property
    def width(self) -> int:
        """Columns that it takes in the model's input matrix."""
        own = len(self.categories) if self.categories is not None and self.encoding == "one_hot" else 1
        return own + self.missing_flag


def _feature_from_column(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


FeatureEntry = Annotated[Feature, BeforeValidator(_feature_from_column, json_schema_input_type=str | Feature)]


class TableInput(Strict):
    """What the model reads of a row of a table. To the engines a row is an image of one channel and one line."""

    features: Annotated[tuple[FeatureEntry, ...], Field(min_length=1)]
    """The features in the order in which the model reads them."""
    given_as: Literal["matrix", "frame"] = "matrix"
    """matrix: encoded numbers (cases, columns). frame: a pandas DataFrame of the declared columns, categories as text,
    missing values as NaN or None; for a callable that encodes by itself."""

    @model_validator(mode="after")
    def _a_frame_is_raw(self) -> Self:
        for index, feature in enumerate(self.features if self.given_as == "frame" else ()):
            for key in ("mean", "std", "encoding", "missing_flag"):
                if getattr(feature, key) != type(feature).model_fields[key].default:
                    found, expected = f"`{key}` with given_as: frame", "raw columns: the model encodes them itself"
                    fix = "Remove it, or write `given_as: matrix`."
                    at = ("features", index, key)
                    raise Fault(found, expected, fix, keys=("features", "given_as"), at=at)
        return self

    @model_validator(mode="after")
    def _no_twins(self) -> Self:
        names = [feature.column for feature in self.features]
        for index, name in enumerate(names):
            if name in names[:index]:
                fix = "Remove one of the two."
                raise Fault(f'"{name}" twice', "each column once", fix, keys=("features",), at=("features", index))
        return self

    def takes_missing(self, feature: Feature) -> bool:
        """Whether a row may lack the value of a feature."""
        return feature.when_missing is not None or self.given_as == "frame"

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the features."""
        return tuple(feature.column for feature in self.features)

    @property
    def channels(self) -> int:
        """One: a row as an image."""
        return 1

    @property
    def size(self) -> tuple[int, int]:
        """One line of features."""
        return (1, len(self.features))

    @property
    def width(self) -> int:
        """Columns of the encoded matrix."""
        return sum(feature.width for feature in self.features)


MissingCodes = dict[str, Annotated[tuple[Scalar, ...], Field(min_length=1)]]
"""Column: values that stand for "missing", such as 666."""


def kind_of_input(value: Any) -> str:
    """Which grammar an input follows: `table` with features, as far as a slip shows them, else `image`."""
    if not isinstance(value, dict):
        return "table" if isinstance(value, TableInput) else "image"
    is_near = "size" not in value and any(str(key).startswith("feat") or key == "given_as" for key in value)
    return "table" if "features" in value or is_near else "image"

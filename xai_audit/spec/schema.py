"""The grammar of an audit, as frozen pydantic models: what a spec may say, with every default."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from xai_audit import registry
from xai_audit.spec.base import (
    Date,
    Fault,
    FiniteFloat,
    Identifier,
    Name,
    Person,
    Said,
    Scalar,
    Sha256,
    Share,
    Strict,
    Text,
    whole,
)
from xai_audit.spec.causal import Causal
from xai_audit.spec.challenger import Challenger
from xai_audit.spec.methods import Background, Baseline, ConceptEntry, Layout, Method
from xai_audit.spec.people import ActionEntry, Statements
from xai_audit.spec.sector_automotive import Automotive
from xai_audit.spec.sector_finance import Finance
from xai_audit.spec.sector_industrial import Industrial
from xai_audit.spec.sector_medical import Medical
from xai_audit.spec.tables import MissingCodes, TableInput, TableSource, kind_of_input


class Audit(Strict):
    """What the audit is, for whom, and under which name it is kept."""

    id: Identifier
    """Name of the folder that holds the runs."""
    title: Text
    domain: Literal["medical", "automotive", "finance", "industrial", "general"] = "general"
    """Picks the order and the extra parts of the report."""
    intended_use: Text | None = None
    not_for: Text | None = None
    limitations: tuple[Text, ...] = ()
    """Limits that the owner declares; printed as the owner's words."""
    owner: Person | None = None
    """The person who answers for the audit; only an audit about cause may leave it out, and the report says so."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the report."""
    frameworks: tuple[str, ...] = ()
    """Ids of clause packs, whose clauses the report maps; `xai-audit clauses` lists them."""
    misuse: tuple[Text, ...] = ()
    """Misuse that can be foreseen; printed as the owner's words."""
    users: tuple[Text, ...] = ()
    """Who uses the model, and what they know; printed as the owner's words."""
    legal_class: Said | None = None
    """The legal class of the use, as a named person states it; the tool never decides it."""
    distribution: tuple[Text, ...] = ()
    """Who receives the report."""
    valid_until: Date | None = None
    """Last day on which the report may be relied on; after it `xai-audit status` calls it stale."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random; same seed, same evidence."""


class Weights(Strict):
    """The file that holds the model's parameters."""

    file: str
    """A .safetensors file, or a torch file (.pt, .pth) read with weights_only. `package:NAME/path` reads it from an
    installed package."""
    sha256: Sha256 | None = None
    """Checked before anything is read."""
    made_by: str | None = None
    """The command that makes the file; printed when it is missing."""
    read_by: Literal["audit", "factory"] = "audit"
    """audit: the file is loaded into the module that the factory gives. factory: its path is handed to the factory as
    the argument `weights_file`, for models that are no torch module (a booster's JSON, say)."""


class Layer(Strict):
    """A layer of the model: its module path and how its output is laid out."""

    path: Name
    """Path of the module, as in named_modules()."""
    layout: Layout = "nchw"
    """How its output is laid out."""


def _layer_from_path(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


LayerEntry = Annotated[Layer, BeforeValidator(_layer_from_path, json_schema_input_type=str | Layer)]


class ModelInput(Strict):
    """What the model expects of an image; `mean` and `std` act on pixels in [0, 1]."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    """Height and width that the model sees."""
    channels: Annotated[Literal[1, 3], BeforeValidator(whole)] = 3
    """1 for grey, 3 for colour."""
    resize: Annotated[int, Field(gt=0)] | tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = None
    """Length of the shorter side, or [height, width]. Without it every image must have `size` already."""
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    """How images are resized."""
    crop: Literal["centre"] | None = None
    """Cut `size` out of the middle after resizing."""
    mean: tuple[FiniteFloat, ...] | None = None
    """Taken away from each channel."""
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...] | None = None
    """Each channel is divided by it."""

    @model_validator(mode="after")
    def _one_per_channel(self) -> Self:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) != self.channels:
                raise Fault(
                    f"a list of {len(values)}",
                    f"one number a channel, {self.channels} in all",
                    f"Give {self.channels} numbers, or correct `channels`.",
                    keys=(name, "channels"),
                    at=(name,),
                )
        return self


Input = Annotated[
    Annotated[ModelInput, Tag("image")] | Annotated[TableInput, Tag("table")], Discriminator(kind_of_input)
]

PICTURE_TASKS = ("segmentation", "detection")
"""Tasks that find classes within a picture; a label is one 0/1 column a class: is it in the picture?"""


class Model(Strict):
    """The model under audit."""

    factory: Annotated[str, Field(pattern=r"^([A-Za-z_][\w.]*(:[A-Za-z_]\w*)?|[^:]+\.py:[A-Za-z_]\w*)$")]
    """Dotted path of a function (package.module.function or package.module:function), or file.py:function beside the
    spec."""
    arguments: dict[str, Any] = {}
    """Handed to the factory by name; a list arrives as a tuple."""
    weights: Weights | None = None
    """May be left out when the factory sets the weights itself; the digest is then of the state dict."""
    task: Literal["single_label", "multi_label", "binary_logit", "regression", "segmentation", "detection"]
    """What the outputs mean."""
    classes: Annotated[tuple[Name, ...], Field(min_length=2)] | None = None
    """Class names in the order of the model's outputs; for binary_logit: [negative, positive]."""
    outputs: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Names of a regression's outputs, in order."""
    input: Input
    """How an image, or a row of a table, becomes the model's input."""
    scores_are: Literal["logit", "probability"] = "logit"
    """What the model gives for classes; a callable with `predict_proba` gives probabilities."""
    output: str | int | None = None
    """Which part of the model's output holds the scores, when it gives a dict (key) or a tuple (index)."""
    layers: dict[str, LayerEntry] = {}
    """Names for layers, used by methods."""

    @field_validator("factory")
    @classmethod
    def _has_function(cls, value: str) -> str:
        if value.endswith(".py"):
            raise Fault(
                f'"{value}" without a function',
                "file.py:function",
                f"Name the function that builds the model, such as {value}:build.",
                keys=(),
            )
        if ".py:" not in value and "." not in value and ":" not in value:
            raise Fault(
                f'"{value}"',
                "package.module.function or file.py:function",
                "Name the module too, such as torchvision.models.resnet18.",
                keys=(),
            )
        return value

    @model_validator(mode="after")
    def _names_fit_task(self) -> Self:
        if self.task == "regression":
            if self.classes is not None:
                raise Fault(
                    "classes for a regression",
                    "no `classes`: a regression has outputs",
                    "Remove `classes`, or name the outputs under `outputs`.",
                    keys=("task", "classes"),
                    at=("classes",),
                )
        elif self.classes is None:
            raise Fault(
                f"no `classes` for task {self.task}",
                "the class names, in the order of the model's outputs",
                "Add `classes: [first, second]`.",
                keys=("task", "classes"),
            )
        elif self.task == "binary_logit" and len(self.classes) != 2:
            raise Fault(
                f"{len(self.classes)} classes",
                "two classes for binary_logit, [negative, positive]",
                "Name two classes, or set `task: single_label`.",
                keys=("task", "classes"),
                at=("classes",),
            )
        _no_twins(self.classes or (), "classes")
        return self


def _no_twins(names: tuple[str, ...], key: str) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Fault(f'"{name}" twice', "names that differ", "Correct one of the two.", keys=(key,), at=(key, index))


class ImageFolder(Strict):
    """Images in one folder a class: root/<class>/<image>."""

    kind: Literal["image_folder"]
    """One folder a class."""
    root: str
    """Folder that holds the class folders."""


class Crop(Strict):
    """The part of a picture that is a case: several cases may share a picture."""

    box: tuple[str, str, str, str]
    """Columns of its box, [xmin, ymin, xmax, ymax], in pixels of the stored picture."""
    side: Annotated[int, Field(ge=1)] | None = None
    """Side in pixels of a square around the middle of the box, moved inwards where it would leave the picture; default:
    the box itself."""


class ImageTable(Strict):
    """A CSV or parquet table with one row an image."""

    kind: Literal["image_table"]
    """A table with one row an image."""
    table: str
    """CSV or parquet file."""
    image: str
    """Column that holds the image's path, relative to `root`."""
    label: str | tuple[str, ...]
    """Column of the label; for multi_label, segmentation and detection a list of 0/1 columns in the order of
    `classes`."""
    root: str | None = None
    """Folder of the images; default: the table's folder. `package:NAME/path` names a folder of an installed package."""
    crop: Crop | None = None
    """A case is a part of its picture."""
    id: str | None = None
    """Column that names a case; default: the image's path as written in the table, and the box of a crop."""


class Arrays(Strict):
    """Images and labels in one .npz file: images (N, H, W, C) or (N, H, W), uint8 or float in [0, 1]. Other arrays
    of length N are columns for slices; masks are arrays (N, H, W)."""

    kind: Literal["arrays"]
    """Images and labels in one .npz file."""
    file: str
    """The .npz file."""
    image: str = "images"
    """Name of the array of images."""
    label: str = "labels"
    """Name of the array of labels."""


class Predictions(Strict):
    """Stored scores and labels; no model is run."""

    kind: Literal["predictions"]
    """Stored scores; no model."""
    table: str
    """CSV or parquet file."""
    label: str
    """Column of the label."""
    scores: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns of scores, one a class; or one column with the score of the second class."""
    classes: Annotated[tuple[Name, ...], Field(min_length=2)] | None = None
    """Class names in the order of `scores`; default: the columns' names."""
    scores_are: Literal["probability", "logit"] = "probability"
    """What the scores are."""
    task: Literal["single_label", "regression"] = "single_label"
    """What the scores mean."""
    id: str | None = None
    """Column that names a case; default: the row's number."""

    @model_validator(mode="after")
    def _classes_fit_scores(self) -> Self:
        if self.task == "regression":
            return self
        keys = ("scores", "classes", "task")
        _no_twins(self.scores, "scores")
        _no_twins(self.classes or (), "classes")
        if self.classes is None and len(self.scores) < 2:
            fix = "Add `classes: [negative, positive]`."
            raise Fault("one score column without `classes`", "the names of both classes", fix, keys=keys)
        if self.classes is not None and len(self.scores) == 1 and len(self.classes) != 2:
            found = f"{len(self.classes)} classes for one score column"
            fix = "Name two classes, or give one column a class."
            raise Fault(found, "two classes, [negative, positive]", fix, keys=keys, at=("classes",))
        if self.classes is not None and len(self.scores) not in (1, len(self.classes)):
            found = f"{len(self.scores)} score columns for {len(self.classes)} classes"
            fix = "Make `scores` and `classes` equally long."
            raise Fault(found, "one column a class, in the same order", fix, keys=keys, at=("scores",))
        return self


class Generator(Strict):
    """Pictures of a world with a known causal model, made when they are needed (CAUSAL.md section 10)."""

    kind: Literal["generator"]
    """A world with a known causal model."""
    name: Literal["radiograph", "traffic_sign", "document", "metal"]
    """Which world."""
    count: Annotated[int, Field(ge=1)]
    """How many units."""
    label: Name
    """Its variable that is the label; its levels are the classes, in order."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of its units: the same seed, the same pictures."""
    first: Annotated[int, Field(ge=0)] = 0
    """Number of the first unit: units of training and test never meet where their numbers do not."""
    coefficients: dict[str, Any] = {}
    """Coefficients that differ from the world's own."""


class NoSource(Strict):
    """No data: a causal audit whose mechanisms are all given."""

    kind: Literal["none"] = "none"
    """No data."""


Source = Annotated[
    ImageFolder | ImageTable | Arrays | TableSource | Predictions | Generator | NoSource, Field(discriminator="kind")
]


def _in_order(between: tuple[float, float] | None) -> None:
    if between is not None and between[0] > between[1]:
        raise Fault(
            f"[{between[0]:g}, {between[1]:g}]",
            "[low, high]",
            f"Did you mean [{between[1]:g}, {between[0]:g}]?",
            keys=("between",),
            at=("between",),
        )


class Filter(Strict):
    """A condition on one column; a bare value means `equals`."""

    equals: Scalar | None = None
    """The value itself; may be written bare."""
    in_: Annotated[tuple[Scalar, ...] | None, Field(alias="in", min_length=1)] = None
    """Any of these values."""
    below: FiniteFloat | None = None
    """Smaller than this number."""
    at_least: FiniteFloat | None = None
    """This number or more."""
    between: tuple[FiniteFloat, FiniteFloat] | None = None
    """Both ends included."""
    missing: bool | None = None
    """true: only rows without a value; false: only rows with one."""

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        named = self.model_fields_set
        if len(named) != 1:
            raise Fault(
                f"{len(named)} conditions" if named else "no condition",
                "one of: equals, in, below, at_least, between, missing",
                "Keep one; for a range use between: [low, high].",
                keys=("equals", "in", "below", "at_least", "between", "missing"),
            )
        _in_order(self.between)
        return self


def _filter_from_value(value: object) -> object:
    return value if isinstance(value, dict | Filter) else {"equals": value}


FilterEntry = Annotated[Filter, BeforeValidator(_filter_from_value, json_schema_input_type=Scalar | Filter)]
Where = dict[str, FilterEntry]


class Show(Strict):
    """What a report may show of single cases."""

    images: bool = False
    """Whether pictures of single cases may appear."""
    withhold: tuple[str, ...] = ()
    """Columns whose values never appear."""
    minimum_cell: Annotated[int, Field(ge=1)] = 5
    """A group smaller than this is shown as `< n`."""


class Boxes(Strict):
    """Mask: boxes from a table of their own, any number a picture."""

    boxes: str
    """CSV or parquet table with one box a row."""
    image: str
    """Its column that names the picture, as the source's `image` column does."""
    box: tuple[str, str, str, str]
    """Its columns of the box, [xmin, ymin, xmax, ymax], in pixels of the stored picture."""
    where: Where = {}
    """Which of its rows; several columns must all hold."""


class Outside(Strict):
    """Mask: all that lies outside another mask."""

    outside: Identifier
    """Name of that mask."""


class Border(Strict):
    """Mask: the frame of the picture as the model sees it."""

    border: Annotated[FiniteFloat, Field(gt=0, lt=0.5)]
    """Its width, as a share of the shorter side."""


Mask = str | tuple[str, str, str, str] | Boxes | Outside | Border


class Appraisers(Strict):
    """Repeated ratings of some cases by people: a measurement-system or reader study, one rating a row."""

    table: str
    """CSV or parquet table."""
    case: Name
    """Its column with the id of the case."""
    appraiser: Name
    """Its column with the name of who rated."""
    rating: Name
    """Its column with the class that was given."""
    trial: Name | None = None
    """Its column with the number of the trial; without one nobody may rate a case twice."""
    show_names: bool = False
    """Whether people are named; else they are numbered A1, A2, in evidence and report."""


class Data(Strict):
    """The cases under audit."""

    source: Source
    """Where the cases come from."""
    where: Where = {}
    """Filter on the whole source; several columns must all hold."""
    missing_codes: MissingCodes = {}
    """Column: values that stand for "missing", such as {gdlin: [666]}; they are read as missing everywhere."""
    cluster: str | None = None
    """Column of the unit that intervals resample (a patient, a module); default: the case."""
    masks: dict[Identifier, Mask] = {}
    """Concept name: column that holds a mask file, or four columns of a box, [xmin, ymin, xmax, ymax]; for arrays the
    name of an array (N, H, W); boxes from a table of their own; what lies outside another mask; a border."""
    show: Show = Show()
    """What the report may show of single cases."""
    on_bad_case: Literal["fail", "record"] = "fail"
    """fail: a case that cannot be read stops the audit. record: it is left out, counted and named in the report."""
    training: str | None = None
    """A folder of the training images, a CSV or parquet table of the training rows, or a text file with one digest a
    line (sha256, then of an image optionally dhash and name)."""
    appraisers: Appraisers | None = None
    """Ratings of some of the cases by people, for the measure `appraisers`."""
    description: Text | None = None
    licence: str | None = None
    """Licence of the data; printed."""


class Slice(Strict):
    """A named part of the cases; without `where` all of them."""

    name: Identifier
    """Name in criteria and report."""
    where: Where = {}
    """Conditions on columns; all must hold."""


class Cases(Strict):
    """Which cases the explainers see."""

    explain: Annotated[int, Field(ge=1)] = 32
    """How many cases, over all rules together."""
    choose: Annotated[tuple[Literal["random", "worst", "typical"], ...], Field(min_length=1)] = (
        "random",
        "worst",
        "typical",
    )
    """Rules that share the cases evenly."""


class MeasureUse(Strict):
    """A measure with its parameters; a bare name takes the defaults."""

    use: str
    """Name of the measure."""
    positive: str | None = None
    """Class that counts as positive, for sensitivity, specificity, f1, auroc and base_rate; for measures of fairness
    the favourable one."""
    threshold: Share | None = None
    """Operating point: the positive class is called at this probability or above. Default: the model's own choice."""
    bins: Annotated[int, Field(ge=2, le=100)] | None = None
    """For ece: number of equal-width bins; default 15."""
    methods: tuple[str, ...] | None = None
    """For measures of explanations: names of methods; default: all of them."""
    mask: str | None = None
    """For relevance measures and pointing_game: name of a mask; default: every declared mask."""
    reference: str | None = None
    """For measures of fairness: the slice that the other slices are compared with."""
    slices: Annotated[tuple[str, ...] | None, Field(min_length=1)] = None
    """For measures of fairness: the slices that are compared with it; default: every slice."""
    cases: Annotated[int, Field(ge=1)] | None = None
    """For checks of explanations: how many of the explained cases they use, the first ones; default: all."""
    steps: Annotated[int, Field(ge=2)] | None = None
    """For deletion and insertion: how many steps; default 50."""
    baseline: Baseline | None = None
    """For deletion: what stands for removed pixels; default mean_colour, of a table mean."""
    fractions: Annotated[tuple[Annotated[FiniteFloat, Field(gt=0, lt=1)], ...] | None, Field(min_length=1)] = None
    """For road: shares of pixels removed; default 0.1 to 0.9."""
    samples: Annotated[int, Field(ge=2)] | None = None
    """For infidelity (default 64) and max_sensitivity (default 10): how many perturbations."""
    sigma: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """For infidelity: standard deviation of the noise in pixel values; default 0.1."""
    radius: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """For max_sensitivity and stability: largest change of a pixel; default 0.02. Of tables in standard deviations."""
    seeds: Annotated[int, Field(ge=2)] | None = None
    """For stability: how many seeds; default 5."""
    order: Literal["cascade", "independent"] | None = None
    """For parameter_randomisation: from the head to the input and keeping what is random, or one part at a time."""
    how: Literal["reinit", "permute"] | None = None
    """For parameter_randomisation: new draws with each tensor's own mean and spread, or its values shuffled."""
    stages: Annotated[int, Field(ge=1)] | None = None
    """For parameter_randomisation: how many stages the parts of the net are grouped into; default 8."""
    tolerance: Annotated[int, Field(ge=0)] | None = None
    """For pointing_game: pixels around the mask that still count; default 15."""
    top: Annotated[FiniteFloat, Field(gt=0, lt=1)] | None = None
    """For agreement: share of the highest places that are compared; default 0.1."""
    against: Challenger | None = None
    """For challenger: what the model is compared with; default: the rule that always answers the commonest label."""
    units: str | None = None
    """For split_integrity: a text file with the units of the training data (patients, modules), one a line."""
    rounding: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    """For split_integrity of a table: rows look alike whose numbers all differ by no more than this many standard
    deviations; default 0.01."""
    window: Annotated[int, Field(ge=30)] | None = None
    """For drift_baseline: cases in one window of monitoring; default 500."""
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] | None = None
    """For drift_baseline: share of windows without any change that a trigger goes off in; default 0.01."""


def _measure_from_name(value: object) -> object:
    return {"use": value} if isinstance(value, str) else value


MeasureEntry = Annotated[MeasureUse, BeforeValidator(_measure_from_name, json_schema_input_type=str | MeasureUse)]


class Waiver(Strict):
    """A person's decision to live with a criterion that is not met; the criterion stays on show."""

    owner: Person
    """Who decided."""
    reason: Text
    scope: Text
    expires: Date
    """Last day on which it holds."""


class Criterion(Strict):
    """A limit set beforehand."""

    id: Identifier
    """Name of the criterion in findings and report."""
    measure: str | None = None
    """Name of a declared measure, or of a part of one, such as selection_rate_ratio."""
    query: Identifier | None = None
    """Instead of a measure: id of a causal query."""
    part: Name | None = None
    """Of a query whose answer has several numbers: which one."""
    absolute: bool = False
    """Of a query: the size of the number is compared, whichever its sign."""
    slice: str = "all"
    """Name of a slice."""
    method: str | None = None
    """Name of a method, for measures of explanations."""
    mask: str | None = None
    """Name of a mask, for relevance measures."""
    concept: str | None = None
    """Name of a concept, for measures of concepts."""
    class_: Annotated[str | None, Field(alias="class")] = None
    """Class whose value is meant, where a measure has one a class."""
    at_least: FiniteFloat | None = None
    """Lower limit; equal is met."""
    at_most: FiniteFloat | None = None
    """Upper limit; equal is met."""
    between: tuple[FiniteFloat, FiniteFloat] | None = None
    """[low, high], both included."""
    bound: Literal["lower", "upper", "estimate"] | None = None
    """End of the interval that must meet the limit. Default: lower for at_least, upper for at_most, both for
    between."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence of the interval that is judged."""
    minimum_cases: Annotated[int, Field(ge=1)] = 30
    """With fewer cases the verdict is inconclusive, whatever the number."""
    severity: Literal["minor", "major", "critical"] = "major"
    """How grave it is when it is not met."""
    because: Text
    """Why this limit, and who agreed to it."""
    set_by: Person | None = None
    """Who set the limit, and when."""
    clauses: tuple[str, ...] = ()
    """Ids of clauses of the packs under audit.frameworks that the criterion speaks to."""
    waiver: Waiver | None = None
    """A decision to live with it until a date."""

    @property
    def asked(self) -> str:
        """Name of the measure; empty where the criterion is about a causal query."""
        return self.measure or ""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        limits = [name for name in ("at_least", "at_most", "between") if getattr(self, name) is not None]
        if len(limits) != 1:
            raise Fault(
                " and ".join(f"`{name}`" for name in limits) or "no limit",
                "exactly one of at_least, at_most, between",
                "Keep one of them; for two limits use between: [low, high]." if limits else "Add one of them.",
                keys=("at_least", "at_most", "between"),
                at=tuple(limits[1:2]),
            )
        _in_order(self.between)
        if self.between is not None and self.bound in ("lower", "upper"):
            raise Fault(
                f"bound {self.bound} with between",
                "no `bound`, or estimate: between holds for both ends of the interval",
                "Remove `bound`.",
                keys=("between", "bound"),
                at=("bound",),
            )
        return self


class Compute(Strict):
    """How the explanation methods use the machine."""

    precision: Literal["float32", "bf16_gated"] = "float32"
    """bf16_gated: half the width, for those methods whose maps agree with float32 on the first eight cases; the
    measured agreement is printed."""
    memory_mb: Annotated[int, Field(ge=16)] | None = None
    """Memory that batches may take above the model, in MB; default: 512 on a CPU, a quarter of a GPU's free memory."""


class Trust(Strict):
    """When an explanation is trusted: limits for what its own checks find. All of them are printed."""

    randomisation: Share = 0.5
    """Most that maps may resemble the original (mean absolute rank correlation) once all parameters are random."""
    completeness: Annotated[FiniteFloat, Field(gt=0)] = 0.05
    """Largest gap of a method that promises a sum, as a share of the score's change."""
    stability: Share = 0.8
    """Least rank correlation of maps over seeds."""
    sensitivity: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    """Most that a map may change under small noise, as a share of its own size."""
    skill: Share = 0.1
    """Least agreement of the model's answers with the labels beyond chance (Cohen's kappa; of a regression R2): a model
    that has learnt nothing has nothing to explain."""
    controls: Literal["all", "any"] = "all"
    """all: a trusted method beats every control in each measure of faithfulness; any: in at least one of them."""


class Reasons(Strict):
    """Reason codes: the principal reasons of each adverse decision on a table."""

    adverse: Name
    """Class that is an adverse decision."""
    method: Name | None = None
    """Method that finds them, a shap or lime; default: the first one declared."""
    top: Annotated[int, Field(ge=1)] = 4
    """Reasons given for a decision."""
    seeds: Annotated[int, Field(ge=2)] = 5
    """Seeds over which they must stay the same."""
    backgrounds: tuple[Background, ...] = ()
    """Other backgrounds over which they must stay the same."""
    compare_with: tuple[Name, ...] = ()
    """Other methods whose reasons they are compared with; default: every other one of the audit that explains rows."""
    cases: Annotated[int, Field(ge=1)] | None = None
    """Most decisions; default: every adverse one."""


Audience = Literal["decision", "reviewer", "engineer"]


class ReportSpec(Strict):
    """Which files the report is written as."""

    formats: Annotated[tuple[Literal["html", "pdf"], ...], Field(min_length=1)] = ("html", "pdf")
    """Files to write."""
    audience: tuple[Audience, ...] = ("engineer",)
    """Role views: decision (the pages that are signed), reviewer (all but long tables), engineer (everything)."""


def _unique(entries: tuple[Any, ...], key: str) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = getattr(entry, key)
        if name in seen:
            raise ValueError(f"{key} {name!r} is used twice")
        seen.add(name)


def _unique_names(slices: tuple[Slice, ...]) -> tuple[Slice, ...]:
    _unique(slices, "name")
    return slices


def _unique_labels(methods: tuple[Any, ...]) -> tuple[Any, ...]:
    _unique(methods, "label")
    return methods


def _unique_concepts(concepts: tuple[Any, ...]) -> tuple[Any, ...]:
    _unique(concepts, "name")
    return concepts


def _unique_ids(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    _unique(criteria, "id")
    return criteria


_TABLE_BASELINES: dict[str, Any] = {
    "integrated_gradients": "mean",
    "input_x_gradient": "mean",
    "lime": "mean",
    "shap": Background(background=100),
}
"""What stands for an absent feature of a table where the spec names nothing."""


def with_defaults_of(method: Any, model: Model | None) -> Any:
    """A method with the defaults that only its model tells: the baseline of a table, the target of probabilities."""
    if model is None:
        return method
    changed: dict[str, Any] = {}
    if isinstance(model.input, TableInput) and "baseline" not in method.model_fields_set:
        changed |= {"baseline": _TABLE_BASELINES[method.use]} if method.use in _TABLE_BASELINES else {}
    explains_class = model.task != "regression" and registry.method(method.use).uses_target
    if model.scores_are == "probability" and explains_class and "kind" not in method.target.model_fields_set:
        changed["target"] = method.target.model_copy(update={"kind": "prob"})
    return method.model_copy(update=changed) if changed else method


class AuditSpec(Strict):
    """One audit: model, data, slices, methods, measures and the criteria set beforehand."""

    version: Annotated[Literal[1], BeforeValidator(whole)]
    """Version of this grammar; 1."""
    audit: Audit
    """What the audit is and whose it is."""
    model: Model | None = None
    """The model under audit; left out for stored predictions."""
    data: Data = Data(source=NoSource())
    """The cases, their labels and what may be shown of them; left out for a causal audit whose mechanisms are all
    given."""
    slices: Annotated[tuple[Slice, ...], Field(min_length=1), AfterValidator(_unique_names)] = (Slice(name="all"),)
    """Named parts of the cases; every measure is taken on each."""
    cases: Cases = Cases()
    """Which cases the explanation methods see."""
    methods: Annotated[tuple[Method, ...], AfterValidator(_unique_labels)] = ()
    """Explanation methods."""
    concepts: Annotated[tuple[ConceptEntry, ...], AfterValidator(_unique_concepts)] = ()
    """What people have words for, and the data mark: methods of concepts look for it in the net."""
    compute: Compute = Compute()
    """Precision and memory of the explanation methods."""
    measures: tuple[MeasureEntry, ...] = ()
    """What is measured."""
    causal: Causal | None = None
    """A structural causal graph with its queries."""
    trust: Trust = Trust()
    """When an explanation is trusted."""
    reasons: Reasons | None = None
    """Reason codes for adverse decisions on a table."""
    criteria: Annotated[tuple[Criterion, ...], AfterValidator(_unique_ids)] = ()
    """Limits set beforehand; each gives one verdict."""
    statements: Statements = ()
    """What named people say, or the name of a file beside the spec that holds it; never part of the run's id."""
    actions: tuple[ActionEntry, ...] = ()
    """Who does what about a finding, and by when; never part of the run's id."""
    report: ReportSpec = ReportSpec()
    """Files to write."""
    medical: Medical | None = None
    """What a medical audit declares: operating point, groups, reference standard, change plan."""
    finance: Finance | None = None
    """What a finance audit declares: inventory, soundness, challenger, conditions of use, independence."""
    automotive: Automotive | None = None
    """What an automotive audit declares: item, operating domain, hazards, argument, indicators."""
    industrial: Industrial | None = None
    """What an industrial audit declares: part, defects, stations, control plan, reaction plan."""

    @field_validator("methods")
    @classmethod
    def _defaults_of_model(cls, methods: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        return tuple(with_defaults_of(method, info.data.get("model")) for method in methods)

    @property
    def has_cases(self) -> bool:
        """Whether there are data at all."""
        return not isinstance(self.data.source, NoSource)

    @property
    def has_scores(self) -> bool:
        """Whether there is a model or its stored scores; a causal audit needs neither."""
        return self.model is not None or isinstance(self.data.source, Predictions)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores; empty for a regression."""
        if self.model is not None:
            return self.model.classes or ()
        source = self.data.source
        if isinstance(source, Predictions) and source.task != "regression":
            return source.classes or source.scores
        return ()

    @property
    def task(self) -> str:
        """What the scores and labels of a case are, for data and measures: the task of the model, or of predictions.

        Segmentation and detection are measured picture by picture, as multi_label: is a class found in it?
        """
        if self.model is not None:
            return "multi_label" if self.model.task in PICTURE_TASKS else self.model.task
        return self.data.source.task if isinstance(self.data.source, Predictions) else "single_label"


VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`${NAME}` in a path under data or model.weights."""


def text_in(text: Text, language: str) -> str:
    """The text in a language; a plain string serves every language, a map falls back to its first entry."""
    if isinstance(text, str):
        return text
    return text.get(language) or next(iter(text.values()))

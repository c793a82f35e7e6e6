"""The grammar of an audit, as frozen pydantic models: what a spec may say, with every default."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
import contextlib
import datetime
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"\S")]
"""A text that is more than blanks."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[str | dict[str, str], Field(description="One text, or a map of languages: {en: ..., zh-CN: ...}.")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Scalar = str | bool | int | float
"""A cell of a table. A date is compared as text: 2026-03-02 in a spec is the text "2026-03-02"."""
Share = Annotated[float, Field(ge=0, le=1)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """A part of the spec: frozen, no unknown keys, no conversions between kinds of value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Fault(ValueError):
    """Values that do not fit each other: the parts of a Problem, and the keys that the rule reads.

    `at` is the path, below the mapping that holds the rule, of what is wrong.
    """

    def __init__(self, found: str, expected: str, fix: str, *, keys: tuple[str, ...], at: tuple[str | int, ...] = ()):
        self.found, self.expected, self.fix, self.keys, self.at = found, expected, fix, keys, at
        super().__init__(f"found {found}; expected {expected}. {fix}")


def _whole(value: object) -> object:
    """The value itself, but not a true or 1.0 that equals a number allowed."""
    return value if type(value) is int else str(value)


def _date_from_text(value: object) -> object:
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        with contextlib.suppress(ValueError):
            return datetime.date.fromisoformat(value)
    found = f'"{value}"' if isinstance(value, str) else "a value that is no date"
    raise Fault(found, "a day of the calendar, YYYY-MM-DD", "Write the date like 2026-03-02.", keys=())


Date = Annotated[datetime.date, BeforeValidator(_date_from_text, json_schema_input_type=datetime.date)]


class Person(Strict):
    """A named person and what they stand for."""

    name: Name
    """Full name."""
    role: Name
    """What the person answers for."""
    date: Date | None = None
    """When the person said so."""


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
    owner: Person
    """The person who answers for the audit."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the report."""
    frameworks: tuple[str, ...] = ()
    """Ids of clause packs; not available yet."""
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


class Tokens(Strict):
    """Layout of a layer that gives (cases, tokens, channels)."""

    prefix: Annotated[int, Field(ge=0)]
    """Class, distillation and register tokens before the patches."""
    grid: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    """Rows and columns of patches."""


class TokenLayout(Strict):
    """A token layout, written `{tokens: {prefix, grid}}`."""

    tokens: Tokens
    """Prefix tokens and grid of patches."""


Layout = Literal["nchw", "nhwc"] | TokenLayout


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
    channels: Annotated[Literal[1, 3], BeforeValidator(_whole)] = 3
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
    input: ModelInput
    """How an image becomes the model's input."""
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
    id: str | None = None
    """Column that names a case; default: the image's path as written in the table."""


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


Source = Annotated[ImageFolder | ImageTable | Arrays | Predictions, Field(discriminator="kind")]


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


class Data(Strict):
    """The cases under audit."""

    source: Source
    """Where the cases come from."""
    where: Where = {}
    """Filter on the whole source; several columns must all hold."""
    cluster: str | None = None
    """Column of the unit that intervals resample (a patient, a module); default: the case."""
    masks: dict[Identifier, str | tuple[str, str, str, str]] = {}
    """Concept name: column that holds a mask file, or four columns of a box, [xmin, ymin, xmax, ymax]; for arrays the
    name of an array (N, H, W)."""
    show: Show = Show()
    """What the report may show of single cases."""
    on_bad_case: Literal["fail", "record"] = "fail"
    """fail: a case that cannot be read stops the audit. record: it is left out, counted and named in the report."""
    training: str | None = None
    """A folder of the training images, or a text file with one digest a line (sha256, then optionally dhash and
    name)."""
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


class TargetSpec(Strict):
    """The one number of the model's output that is explained."""

    kind: Literal["logit", "prob", "logprob", "margin", "regression", "segmentation", "detection"] = "logit"
    """logit, prob and logprob of the class, margin over another class, a regression's output, the sum of a class's
    logits over its region on the unperturbed case (segmentation), or how well the best box there is found again
    (detection)."""
    class_: Annotated[str | int | None, Field(alias="class")] = None
    """A class name or index; default: the class predicted on the unperturbed case."""
    foil: str | int | None = None
    """For margin: the class to compare with; default: the best other class."""
    output: str | int = 0
    """For regression: which output."""
    reference: FiniteFloat | None = None
    """For regression: explain -|y - reference|."""

    @model_validator(mode="after")
    def _parts_fit_kind(self) -> Self:
        if self.foil is not None and self.kind != "margin":
            raise Fault(
                f"`foil` with kind {self.kind}",
                "`foil` only with kind margin",
                "Remove it or set `kind: margin`.",
                keys=("foil", "kind"),
                at=("foil",),
            )
        for name, default in (("output", 0), ("reference", None)):
            if self.kind != "regression" and getattr(self, name) != default:
                raise Fault(
                    f"`{name}` with kind {self.kind}",
                    f"`{name}` only with kind regression",
                    "Remove it or set `kind: regression`.",
                    keys=(name, "kind"),
                    at=(name,),
                )
        if self.kind == "regression" and self.class_ is not None:
            raise Fault(
                "`class` with kind regression",
                "`output`: a regression has outputs, not classes",
                "Say `output: 0` or the output's name.",
                keys=("class", "kind"),
                at=("class",),
            )
        return self


def _target_from_name(value: object) -> object:
    if value == "predicted":
        return {}
    return {"class": value} if isinstance(value, str) else value


Target = Annotated[TargetSpec, BeforeValidator(_target_from_name, json_schema_input_type=str | TargetSpec)]


class Blur(Strict):
    """Baseline: the image itself, blurred; sigma in pixels."""

    blur: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    """Sigma of the blur, in pixels."""


class Sample(Strict):
    """Baseline: another case, by id."""

    sample: str
    """Id of the case whose pixels cover."""


def _baseline_from_name(value: object) -> object:
    return {"blur": 10.0} if value == "blur" else value


Baseline = Annotated[
    Literal["mean_colour", "black", "grey"] | Blur | Sample,
    BeforeValidator(
        _baseline_from_name, json_schema_input_type=Literal["mean_colour", "black", "grey", "blur"] | Blur | Sample
    ),
]


class MethodBase(Strict):
    """What every explanation method has."""

    name: Identifier | None = None
    """Name in criteria and report; default: the method's own. Needed when a method is used twice."""
    target: Target = TargetSpec()
    """What is explained; default: the logit of the class predicted on the unperturbed case."""
    budget: Annotated[int, Field(ge=1)] | None = None
    """Most passes through the net for one case, forward and backward ones together; a method that would need more is
    refused before it starts."""

    @property
    def label(self) -> str:
        """Name by which criteria and evidence call this use of the method."""
        return self.name or str(getattr(self, "use"))  # noqa: B009


class LayerMethod(MethodBase):
    """A method that reads a layer of the net."""

    layer: Name | None = None
    """A name from `model.layers`, or a module path; default: the last layer with places that the target depends on,
    found by one forward and named in the report."""
    layout: Layout | None = None
    """Layout of the layer's output, where it is not (cases, channels, height, width)."""


class ClassAgnostic(LayerMethod):
    """A method that reads activations alone: no class is explained."""

    @model_validator(mode="after")
    def _has_no_target(self) -> Self:
        if self.target != TargetSpec():
            found, fix = "a target", "Remove `target`."
            raise Fault(
                found, "none: this method reads activations, whatever the class", fix, keys=("target",), at=("target",)
            )
        return self


class GradCam(LayerMethod):
    """Grad-CAM (Selvaraju et al., ICCV 2017)."""

    use: Literal["grad_cam"]
    """Grad-CAM."""


class GradCamPp(LayerMethod):
    """Grad-CAM++ (Chattopadhay et al., WACV 2018)."""

    use: Literal["grad_cam_pp"]
    """Grad-CAM++."""
    guard: Annotated[FiniteFloat, Field(gt=0)] = 1e-6
    """Places where |2 + g s| is smaller than this get no weight, and are counted."""


class XGradCam(LayerMethod):
    """XGrad-CAM (Fu et al., BMVC 2020)."""

    use: Literal["xgrad_cam"]
    """XGrad-CAM."""


class LayerCam(LayerMethod):
    """Layer-CAM (Jiang et al., IEEE TIP 2021)."""

    use: Literal["layer_cam"]
    """Layer-CAM."""


class HiResCam(LayerMethod):
    """HiResCAM (Draelos and Carin, 2020)."""

    use: Literal["hires_cam"]
    """HiResCAM."""


class EigenCam(ClassAgnostic):
    """Eigen-CAM (Muhammad and Yeasin, IJCNN 2020)."""

    use: Literal["eigen_cam"]
    """Eigen-CAM."""


class ScoreCam(LayerMethod):
    """Score-CAM (Wang et al., CVPR Workshops 2020)."""

    use: Literal["score_cam"]
    """Score-CAM."""
    baseline: Baseline = "black"
    """What stands where a mask hides the image."""
    channel_norm: Literal["softmax", "none"] = "softmax"
    """How the channels' scores become weights."""
    top_k: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """How many channels are asked, those of largest variance first; fewer than all is a deviation, and printed."""


class AblationCam(LayerMethod):
    """Ablation-CAM (Desai and Ramaswamy, WACV 2020)."""

    use: Literal["ablation_cam"]
    """Ablation-CAM."""
    denominator: Literal["abs", "none"] = "abs"
    """Weights are divided by the absolute value of the target, or by nothing."""


class Saliency(MethodBase):
    """Gradient map (Simonyan, Vedaldi, Zisserman, 2014)."""

    use: Literal["saliency"]
    """Gradient map."""


class InputXGradient(MethodBase):
    """Input times gradient (Shrikumar et al., 2016)."""

    use: Literal["input_x_gradient"]
    """Input times gradient."""
    baseline: Baseline = "black"
    """What the input is compared with."""


class IntegratedGradients(MethodBase):
    """Integrated gradients (Sundararajan, Taly, Yan, ICML 2017)."""

    use: Literal["integrated_gradients"]
    """Integrated gradients."""
    baseline: Baseline = "mean_colour"
    """Where the path begins."""
    n_steps: Annotated[int, Field(ge=1)] = 32
    """Steps of the path at first; doubled until the completeness gap is small enough."""
    max_steps: Annotated[int, Field(ge=1)] = 512
    """Most steps."""
    tolerance: Annotated[FiniteFloat, Field(gt=0)] = 0.01
    """Largest completeness gap, as a share of the target's change along the path."""

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        if self.max_steps < self.n_steps:
            found, expected = f"max_steps {self.max_steps} with n_steps {self.n_steps}", "max_steps of n_steps or more"
            fix = f"Set `max_steps` to {self.n_steps} or more, or lower `n_steps`."
            raise Fault(found, expected, fix, keys=("n_steps", "max_steps"), at=("max_steps",))
        return self


class SmoothGrad(MethodBase):
    """SmoothGrad (Smilkov et al., 2017)."""

    use: Literal["smooth_grad"]
    """SmoothGrad."""
    samples: Annotated[int, Field(ge=1)] = 50
    """Noisy copies of each image."""
    noise: Annotated[FiniteFloat, Field(gt=0)] = 0.15
    """Standard deviation of the noise, as a share of the image's range."""
    square: bool = False
    """Mean of the squared gradients in place of their mean."""


class GuidedBackprop(MethodBase):
    """Guided backpropagation (Springenberg et al., ICLR Workshop 2015)."""

    use: Literal["guided_backprop"]
    """Guided backpropagation."""


class Deconvnet(MethodBase):
    """Deconvolutional network (Zeiler and Fergus, ECCV 2014)."""

    use: Literal["deconvnet"]
    """Deconvolutional network."""


class Occlusion(MethodBase):
    """Sliding-window occlusion (Zeiler and Fergus, ECCV 2014)."""

    use: Literal["occlusion"]
    """Sliding-window occlusion."""
    window: Annotated[int, Field(ge=1)] | None = None
    """Side in pixels; default: a fourteenth of the image's shorter side."""
    stride: Annotated[int, Field(ge=1)] | None = None
    """Step in pixels; default: half the window."""
    baseline: Baseline = "mean_colour"
    """What covers a window."""

    @model_validator(mode="after")
    def _covers_every_pixel(self) -> Self:
        if self.window is not None and self.stride is not None and self.stride > self.window:
            raise Fault(
                f"stride {self.stride} with window {self.window}",
                "a stride no larger than the window: else pixels are left uncovered",
                f"Set `stride` to {self.window} or less.",
                keys=("stride", "window"),
                at=("stride",),
            )
        return self


class ActivationMaps(ClassAgnostic):
    """Activations of a layer's units (after Zeiler and Fergus, ECCV 2014)."""

    use: Literal["activation_maps"]
    """Activations of a layer's units."""
    units: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    """Numbers of the units (channels) that are kept; default: all of them."""
    rank: Literal["max", "mean"] = "max"
    """What units, and the cases of a unit, are ranked by."""
    top: Annotated[int, Field(ge=1)] = 9
    """How many units, and how many cases of each, are shown."""


Method = Annotated[
    GradCam
    | GradCamPp
    | XGradCam
    | LayerCam
    | HiResCam
    | EigenCam
    | ScoreCam
    | AblationCam
    | Saliency
    | InputXGradient
    | IntegratedGradients
    | SmoothGrad
    | GuidedBackprop
    | Deconvnet
    | Occlusion
    | ActivationMaps,
    Field(discriminator="use"),
]


class MeasureUse(Strict):
    """A measure with its parameters; a bare name takes the defaults."""

    use: str
    """Name of the measure."""
    positive: str | None = None
    """Class that counts as positive, for sensitivity, specificity, f1, auroc and base_rate."""
    threshold: Share | None = None
    """Operating point: the positive class is called at this probability or above. Default: the model's own choice."""
    bins: Annotated[int, Field(ge=2, le=100)] | None = None
    """For ece: number of equal-width bins; default 15."""
    methods: tuple[str, ...] | None = None
    """For measures of explanations: names of methods; default: all of them."""
    mask: str | None = None
    """For relevance measures: name of a mask; default: every declared mask."""


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
    measure: str
    """Name of a declared measure."""
    slice: str = "all"
    """Name of a slice."""
    method: str | None = None
    """Name of a method, for measures of explanations."""
    mask: str | None = None
    """Name of a mask, for relevance measures."""
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
    """Ids of clauses; not available yet."""
    waiver: Waiver | None = None
    """A decision to live with it until a date."""

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


class ReportSpec(Strict):
    """Which files the report is written as."""

    formats: Annotated[tuple[Literal["html", "pdf"], ...], Field(min_length=1)] = ("html", "pdf")
    """Files to write."""
    audience: tuple[str, ...] = ("engineer",)
    """Role views; engineer shows everything."""


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


def _unique_ids(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    _unique(criteria, "id")
    return criteria


class AuditSpec(Strict):
    """One audit: model, data, slices, methods, measures and the criteria set beforehand."""

    version: Annotated[Literal[1], BeforeValidator(_whole)]
    """Version of this grammar; 1."""
    audit: Audit
    """What the audit is and whose it is."""
    model: Model | None = None
    """The model under audit; left out for stored predictions."""
    data: Data
    """The cases, their labels and what may be shown of them."""
    slices: Annotated[tuple[Slice, ...], Field(min_length=1), AfterValidator(_unique_names)] = (Slice(name="all"),)
    """Named parts of the cases; every measure is taken on each."""
    cases: Cases = Cases()
    """Which cases the explanation methods see."""
    methods: Annotated[tuple[Method, ...], AfterValidator(_unique_labels)] = ()
    """Explanation methods."""
    compute: Compute = Compute()
    """Precision and memory of the explanation methods."""
    measures: tuple[MeasureEntry, ...] = ()
    """What is measured."""
    causal: dict[str, Any] | None = None
    """Not available yet."""
    criteria: Annotated[tuple[Criterion, ...], AfterValidator(_unique_ids)] = ()
    """Limits set beforehand; each gives one verdict."""
    report: ReportSpec = ReportSpec()
    """Files to write."""

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
"""`${NAME}` in a path under data.source or model.weights."""


def text_in(text: Text, language: str) -> str:
    """The text in a language; a plain string serves every language, a map falls back to its first entry."""
    if isinstance(text, str):
        return text
    return text.get(language) or next(iter(text.values()))

"""The grammar of explanation methods: targets, baselines, layers, and one model a method."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from xai_audit import registry
from xai_audit.spec.base import Fault, FiniteFloat, Identifier, Name, Share, Strict


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


class Background(Strict):
    """Baseline of a table: rows drawn from a slice; values are means over them (interventional)."""

    background: Annotated[int, Field(ge=1)]
    """How many rows, drawn once with the audit's seed; all of the slice where it has fewer."""
    slice: str = "all"
    """Slice that they are drawn from."""


Baseline = Annotated[
    Literal["mean_colour", "black", "grey", "superpixel_mean", "mean", "median"] | Blur | Sample | Background,
    BeforeValidator(
        _baseline_from_name,
        json_schema_input_type=Literal["mean_colour", "black", "grey", "blur", "superpixel_mean", "mean", "median"]
        | Blur
        | Sample
        | Background,
    ),
]
"""What stands for "absent". superpixel_mean is for lime and shap on images; mean, median and background for tables."""


class Grid(Strict):
    """Players: cells of a grid over the image."""

    grid: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (7, 7)
    """Rows and columns."""


class Slic(Strict):
    """Players: SLIC superpixels (Achanta et al. 2012), as scikit-image finds them."""

    slic: Annotated[int, Field(ge=2)] = 50
    """About how many."""
    compactness: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    """Weight of nearness against colour."""


class QuickshiftSettings(Strict):
    """Settings of quickshift."""

    kernel_size: Annotated[FiniteFloat, Field(ge=1)] = 4
    """Width of the kernel in pixels."""
    max_dist: Annotated[FiniteFloat, Field(gt=0)] = 200
    """Longest link; larger means fewer superpixels."""
    ratio: Share = 0.2
    """Weight of colour against nearness."""


class Quickshift(Strict):
    """Players: quickshift superpixels (Vedaldi and Soatto 2008)."""

    quickshift: QuickshiftSettings = QuickshiftSettings()
    """Its settings."""


class FelzenszwalbSettings(Strict):
    """Settings of Felzenszwalb's method."""

    scale: Annotated[FiniteFloat, Field(gt=0)] = 100
    """Larger means larger superpixels."""
    sigma: Annotated[FiniteFloat, Field(ge=0)] = 0.5
    """Blur before it starts, in pixels."""
    min_size: Annotated[int, Field(ge=1)] = 50
    """Smallest superpixel in pixels."""


class Felzenszwalb(Strict):
    """Players: superpixels after Felzenszwalb and Huttenlocher (2004)."""

    felzenszwalb: FelzenszwalbSettings = FelzenszwalbSettings()
    """Its settings."""


class Groups(Strict):
    """Players of a table: groups of features that come and go together; a feature in no group is a player alone."""

    groups: Annotated[dict[Identifier, Annotated[tuple[Name, ...], Field(min_length=1)]], Field(min_length=1)]
    """Group: its columns."""


_SEGMENTS = {"grid": (7, 7), "slic": 50, "quickshift": {}, "felzenszwalb": {}}
"""What the bare name of a kind of superpixels stands for."""


def _segments_from_name(value: object) -> object:
    return {value: _SEGMENTS[value]} if isinstance(value, str) and value in _SEGMENTS else value


Segments = Annotated[
    Literal["features"] | Grid | Slic | Quickshift | Felzenszwalb | Groups,
    BeforeValidator(
        _segments_from_name,
        json_schema_input_type=Literal["features", "grid", "slic", "quickshift", "felzenszwalb"]
        | Grid
        | Slic
        | Quickshift
        | Felzenszwalb
        | Groups,
    ),
]
"""What is shown or hidden as one: superpixels of an image, features or groups of features of a table."""


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
        return self.name or self._registered

    @property
    def entry(self) -> registry.MethodEntry:
        """What the registry says of the method."""
        return registry.method(self._registered)

    @property
    def _registered(self) -> str:
        """The method's own name."""
        return str(getattr(self, "use"))  # noqa: B009 - every method of the union has it


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
    """Activations of a layer's units over a whole slice (after Zeiler and Fergus, ECCV 2014)."""

    use: Literal["activation_maps"]
    """Activations of a layer's units."""
    slice: str = "all"
    """Slice whose cases are read."""
    units: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    """Numbers of the units (channels) that are kept; default: all of them."""
    rank: Literal["max", "mean"] = "max"
    """What units, and the cases of a unit, are ranked by."""
    top: Annotated[int, Field(ge=1)] = 9
    """How many units, and how many cases of each, are shown."""


class Concept(Strict):
    """Something that people have a word for, and that the data mark."""

    name: Identifier
    """Its name; without `mask`, `slice` or `files` the mask or else the slice of that name."""
    category: Identifier = "concept"
    """Kind of concept (object, part, scene, material). Concepts of one category are marked by the same people on the
    same cases: where one of them is marked, the others are known to be absent."""
    mask: Identifier | None = None
    """Name under data.masks: the concept has a place."""
    slice: Identifier | None = None
    """Name of a slice: its cases show the concept, with no place."""
    files: str | None = None
    """For tcav: folder of pictures that show the concept, beside the spec."""
    spurious: bool | None = None
    """Whether the answer ought not to lean on it; default: yes for what lies outside a mask or along the border."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [key for key in ("mask", "slice", "files") if getattr(self, key) is not None]
        if len(given) > 1:
            found, expected = " and ".join(f"`{key}`" for key in given), "one of mask, slice, files"
            raise Fault(found, expected, "Keep one of them.", keys=("mask", "slice", "files"), at=(given[1],))
        return self


def _concept_from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


ConceptEntry = Annotated[Concept, BeforeValidator(_concept_from_name, json_schema_input_type=str | Concept)]
Concepts = Annotated[tuple[ConceptEntry, ...] | None, Field(min_length=1)]


class NetworkDissection(ClassAgnostic):
    """Network Dissection (Bau et al., CVPR 2017)."""

    use: Literal["network_dissection"]
    """Network Dissection."""
    slice: str = "all"
    """Slice whose cases are read."""
    concepts: Concepts = None
    """Names of concepts declared under `concepts`, masks or slices; default: every declared one that is marked in the
    data."""
    quantile: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] = 0.005
    """A unit answers where it is among this share of its highest values."""
    iou: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.04
    """Overlap above which a unit is a detector of a concept."""
    shuffles: Annotated[int, Field(ge=19)] = 200
    """How often the marks are dealt out anew among the cases, to see what chance gives."""


class Tcav(LayerMethod):
    """Testing with concept activation vectors (Kim et al., ICML 2018)."""

    use: Literal["tcav"]
    """Testing with concept activation vectors."""
    slice: str = "all"
    """Slice whose cases are read: those of each class, and those from which random sets are drawn."""
    concepts: Concepts = None
    """Names of concepts declared under `concepts`, or of slices; default: every declared one that is a slice or a
    folder."""
    classes: Annotated[tuple[Name, ...] | None, Field(min_length=1)] = None
    """Classes whose score is tested; default: all of them. Of a regression: its outputs."""
    random: str = "pool"
    """Slice that the random counterparts are drawn from; pool: all cases of `slice` that do not show the concept."""
    runs: Annotated[int, Field(ge=10)] = 20
    """How many random counterparts."""
    pool: Literal["mean", "none"] = "mean"
    """mean: each unit's mean over places; none: every place is a number of its own."""
    classifier: Literal["ridge", "logistic"] = "ridge"
    """What tells the concept from its random counterpart."""
    null_sets: Annotated[int, Field(ge=19)] | None = None
    """How many random sets play the concept; default: the larger of 199 and 40 a comparison, less 1."""

    @model_validator(mode="after")
    def _has_no_target(self) -> Self:
        if self.target != TargetSpec():
            found, expected = "a target", "`classes`: the logit of each is tested"
            raise Fault(found, expected, "Remove `target`.", keys=("target",), at=("target",))
        return self


class UnitDirection(Strict):
    """A direction in a layer: a weight a unit."""

    name: Identifier
    """Its name in the report."""
    units: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """Numbers of its units (channels)."""
    weights: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    """A weight for each of them; all other units have 0."""

    @model_validator(mode="after")
    def _a_weight_each(self) -> Self:
        if len(self.units) != len(self.weights):
            found, expected = f"a list of {len(self.weights)} for {len(self.units)} units", "a weight for each unit"
            fix = "List as many weights as units, in the same order."
            raise Fault(found, expected, fix, keys=("units", "weights"), at=("weights",))
        return self


class ConceptDirection(Strict):
    """The direction of a concept that tcav found."""

    concept: Identifier
    """Name of the concept."""
    method: Name
    """Name of the tcav that finds its vector, on the same layer."""


class ActivationMaximisation(LayerMethod):
    """Pictures that raise a unit most (Erhan et al. 2009; Olah, Mordvintsev, Schubert, Distill 2017)."""

    use: Literal["activation_maximisation"]
    """Pictures that raise a unit most."""
    slice: str = "all"
    """Slice whose best real pictures stand beside, and whose spectrum `maco` keeps."""
    units: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    """Numbers of units (channels)."""
    classes: Annotated[tuple[Name, ...] | None, Field(min_length=1)] = None
    """Classes, by the logit of each."""
    directions: Annotated[tuple[UnitDirection | ConceptDirection, ...] | None, Field(min_length=1)] = None
    """Directions in the layer."""
    neuron: Literal["channel", "centre"] = "channel"
    """channel: the unit's mean over all places; centre: its place in the middle."""
    parametrisation: Literal["fourier", "maco", "pixel"] = "fourier"
    """How the picture is written: by its frequencies; by their phase alone, with the mean magnitude of the slice's own
    pictures (MaCo, Fel et al., NeurIPS 2023); by its pixels."""
    steps: Annotated[int, Field(ge=1)] = 512
    """Steps of Adam."""
    learning_rate: Annotated[FiniteFloat, Field(gt=0)] = 0.05
    """Step size of Adam."""
    decay: Annotated[FiniteFloat, Field(ge=0)] = 1.0
    """Fourier: how much weaker high frequencies start."""
    transforms: Annotated[tuple[Literal["pad", "jitter", "scale", "rotate"], ...], Field(max_length=4)] | None = None
    """Small changes that each step makes first; default: pad 12 px, jitter 8, scale 0.9 to 1.1, rotate 10 degrees,
    jitter 4; [] for none. Distances shrink with pictures whose shorter side is below 128 px."""
    l2: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """Weight of the mean square of the picture before colour."""
    tv: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """Weight of its total variation."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.target != TargetSpec():
            fix = "Remove `target`; name `classes` to raise the score of a class."
            raise Fault("a target", "units, classes or directions", fix, keys=("target",), at=("target",))
        if self.units is None and self.classes is None and self.directions is None:
            found, expected = "nothing to raise", "units, classes or directions"
            raise Fault(found, expected, "Add one of them.", keys=("units", "classes", "directions"))
        return self


class Lime(MethodBase):
    """LIME (Ribeiro, Singh, Guestrin, KDD 2016)."""

    use: Literal["lime"]
    """LIME."""
    preset: Literal["steady", "lime-2016"] = "steady"
    """lime-2016: the estimator as published, on the predicted probability. steady: our choice; see the how-to page."""
    segments: Segments | None = None
    """Default: quickshift for lime-2016, SLIC 50 for steady; the features of a table."""
    samples: Annotated[int, Field(ge=8)] = 1000
    """Copies that are asked, the case itself among them; an odd number loses one where they come in pairs (steady)."""
    baseline: Baseline | None = None
    """What stands where a superpixel is hidden. Default: superpixel_mean; of a table mean."""
    kernel_width: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Width of the weights' kernel over cosine distance. Default: 0.25 for lime-2016; none for steady, whose rows weigh
    alike."""
    alpha: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Ridge penalty. Default: 1 for lime-2016, 0 for steady, which refuses fewer than 4 samples a superpixel."""

    @model_validator(mode="before")
    @classmethod
    def _explains_probability(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("preset") == "lime-2016" and "target" not in value:
            return {**value, "target": {"kind": "prob"}}
        return value


class Shap(MethodBase):
    """Shapley values (Shapley 1953; Lundberg and Lee, NeurIPS 2017)."""

    use: Literal["shap"]
    """Shapley values."""
    players: Segments | None = None
    """Default: SLIC 50; the features of a table."""
    mode: Literal["auto", "exact", "kernel", "permutation", "owen", "tree"] = "auto"
    """auto: exact up to 14 players, else kernel. owen gives Owen values of nested groups of players, which are not
    Shapley values. tree reads a tree ensemble itself and asks it nothing."""
    sampling: Literal["leverage", "stratified", "kernel"] = "leverage"
    """How sizes of coalitions are drawn in mode kernel; always in pairs with the complement."""
    evaluations: Annotated[int, Field(ge=8)] | None = None
    """Most coalitions for one case. Default: 2048, and as many as there are where `mode` is exact."""
    tolerance: Annotated[FiniteFloat, Field(ge=0)] = 0.01
    """Stop when the largest standard error is at most this share of the largest of |v(all) - v(none)| and the values;
    0: ask all `evaluations`."""
    baseline: Baseline | None = None
    """What stands where a player is absent. Default: mean_colour; of a table {background: 100}."""


class RegionFeature(Strict):
    """A number read off the image inside a mask."""

    region: Identifier
    """Name of a mask under data.masks; `image` is the whole image."""
    statistic: Literal["share", "brightness", "contrast", "red", "green", "blue"] = "brightness"
    """share: part of the image that the region takes. brightness, contrast: mean and standard deviation of the luma
    inside it; red, green, blue: mean of the channel."""


class GridFeature(Strict):
    """The same number of each cell of a grid over the image."""

    grid: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    """Rows and columns."""
    statistic: Literal["brightness", "contrast", "red", "green", "blue"] = "brightness"
    """As for a region."""


class ConceptFeature(Strict):
    """How strongly each case shows a concept to the net, as a concept method of the audit found."""

    concept: Identifier
    """Name of the concept."""
    method: Name
    """Name of the network_dissection (largest activation of its best unit) or tcav (along its vector)."""


TreeFeature = str | RegionFeature | GridFeature | ConceptFeature


class DecisionTree(MethodBase):
    """A decision tree that stands in for the model (TREPAN, Craven and Shavlik, NIPS 1995)."""

    use: Literal["decision_tree"]
    """A decision tree that stands in for the model."""
    slice: str = "all"
    """Slice that it is grown and tested on."""
    features: Annotated[tuple[TreeFeature, ...] | None, Field(min_length=1)] = None
    """Columns of the table, numbers read off the images, or scores of concepts. Default: the features of `model.input`
    for a table; the columns that slices name for images."""
    max_depth: Annotated[int, Field(ge=1)] = 5
    """Most tests on a way to a leaf."""
    max_leaves: Annotated[int, Field(ge=2)] = 16
    """Most leaves."""
    min_samples: Annotated[int, Field(ge=1)] = 20
    """Fewest cases (and queries) in a leaf."""
    holdout: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.3
    """Share of the cases that it is tested on and never grown from."""
    min_fidelity: Share = 0.9
    """The lower end of the interval of its agreement with the model must reach this, else it is no valid surrogate."""
    min_kappa: Annotated[FiniteFloat, Field(ge=-1, le=1)] = 0.6
    """Cohen's kappa must reach this too."""
    queries: Literal["auto", "off"] = "auto"
    """auto: where rows can be made up (tables), the model is asked about made-up rows too, within each node's tests."""

    @model_validator(mode="after")
    def _has_no_target(self) -> Self:
        if self.target != TargetSpec():
            found, expected = "a target", "none: the tree stands for the model's whole answer"
            raise Fault(found, expected, "Remove `target`.", keys=("target",), at=("target",))
        return self


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
    | ActivationMaps
    | NetworkDissection
    | Tcav
    | ActivationMaximisation
    | Lime
    | Shap
    | DecisionTree,
    Field(discriminator="use"),
]

"""Every explanation method and measure, by name, as plain data that can be read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal["plain", "guided", "deconvnet"]
"""How a backward pass goes through a rectifier."""


@dataclass(frozen=True)
class MethodEntry:
    """One explanation method: where its code is, what it reads and where it comes from."""

    name: str
    call: str
    """Dotted path, `package.module:function`."""
    shape: Literal["pass_reader", "query_asker"]
    needs: tuple[str, ...]
    """Of: layer, activations, gradients (of the target at the layer), input_gradient, queries."""
    paper: str
    map_kind: Literal["layer", "pixels", "windows", "units"]
    summary: str
    limits: str
    """What the method cannot show; printed beside its pictures."""
    reduction: Literal["sum", "max_abs"] = "sum"
    """How channels become one value a pixel."""
    sign: Literal["relu", "signed", "abs"] = "relu"
    """What pictures show of a map: its positive part, all of it, or its size."""
    rule: Rule = "plain"
    """How its backward pass goes through rectifiers."""
    uses_target: bool = True
    """False for a method that reads activations, whatever the class."""


@dataclass(frozen=True)
class MeasureEntry:
    """One measure: what it needs, its range and which direction is better."""

    name: str
    call: str
    group: Literal["performance", "calibration", "localisation"]
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    """Of: operating_point, probabilities, methods, mask."""
    higher_is_better: bool | None
    """None where neither direction is better (base rate, confusion matrix)."""
    unit: str
    summary: str


_ACTIVATIONS = ("layer", "activations")
_CAM = ("layer", "activations", "gradients")
_COARSE = "Coarse: one value per cell of the layer's grid. Shows what the score responds to, not why."
_LOCAL = "Local and noisy: it speaks of tiny changes only, and bright pixels need not be important ones."
_IMAGE_LIKE = (
    "Does not pass the parameter-randomisation test (Adebayo et al. 2018) and is close to image recovery "
    "(Nie et al. 2018): it shows edges of the image more than reasons of the model."
)

METHODS: tuple[MethodEntry, ...] = (
    MethodEntry("grad_cam", "xai_audit.explain.cam:grad_cam", "pass_reader", _CAM, "Selvaraju et al., ICCV 2017",
                "layer", "Regions of a layer whose activations raise the score, weighted by their mean gradient.",
                _COARSE),
    MethodEntry("grad_cam_pp", "xai_audit.explain.cam:grad_cam_pp", "pass_reader", _CAM,
                "Chattopadhay et al., WACV 2018", "layer",
                "Grad-CAM with places weighted so that several small objects count as much as one large one.",
                f"{_COARSE} Its formula presumes a logit and activations of 0 or more."),
    MethodEntry("xgrad_cam", "xai_audit.explain.cam:xgrad_cam", "pass_reader", _CAM, "Fu et al., BMVC 2020", "layer",
                "Grad-CAM with gradients weighted by each place's share of its channel's activation.", _COARSE),
    MethodEntry("layer_cam", "xai_audit.explain.cam:layer_cam", "pass_reader", _CAM, "Jiang et al., IEEE TIP 2021",
                "layer", "Places of a layer weighted by their own positive gradient; usable at early layers too.",
                f"{_COARSE} Leaves out all that speaks against the target."),
    MethodEntry("hires_cam", "xai_audit.explain.cam:hires_cam", "pass_reader", _CAM, "Draelos and Carin, 2020", "layer",
                "Places of a layer by their own gradient times activation; exact where the net is linear after it.",
                _COARSE),
    MethodEntry("eigen_cam", "xai_audit.explain.cam:eigen_cam", "pass_reader", _ACTIVATIONS,
                "Muhammad and Yeasin, IJCNN 2020", "layer", "The main pattern in a layer's activations.",
                "Class-agnostic: it shows what stands out to the layer, whatever the class. Coarse.",
                uses_target=False),
    MethodEntry("score_cam", "xai_audit.explain.score_cam:score_cam", "query_asker", (*_ACTIVATIONS, "queries"),
                "Wang et al., CVPR Workshops 2020", "layer",
                "Channels of a layer weighted by the score of the image seen through them alone.",
                "Coarse. Masked images may look unusual to the model; the softmax over channels can rest on one."),
    MethodEntry("ablation_cam", "xai_audit.explain.ablation:ablation_cam", "query_asker",
                (*_CAM, "queries"), "Desai and Ramaswamy, WACV 2020", "layer",
                "Channels of a layer weighted by what the score loses without them.",
                "Coarse. One channel is taken away at a time: what two do together is not seen."),
    MethodEntry("saliency", "xai_audit.explain.gradients:saliency", "pass_reader", ("input_gradient",),
                "Simonyan, Vedaldi, Zisserman, ICLR Workshop 2014", "pixels",
                "How fast the target score changes when one pixel changes a little.", _LOCAL, "max_abs", "abs"),
    MethodEntry("input_x_gradient", "xai_audit.explain.gradients:input_x_gradient", "pass_reader", ("input_gradient",),
                "Shrikumar et al., 2016", "pixels",
                "The gradient times how far the image is from its baseline.",
                "Exact for linear models only; says nothing of pixels that equal the baseline.", "sum", "signed"),
    MethodEntry("integrated_gradients", "xai_audit.explain.integrated_gradients:integrated_gradients", "query_asker",
                ("queries", "input_gradient"), "Sundararajan, Taly, Yan, ICML 2017", "pixels",
                "The score's change from the baseline to the image, shared out over the pixels along a straight path.",
                "Depends on the baseline; the images on the path may look unusual to the model.", "sum", "signed"),
    MethodEntry("smooth_grad", "xai_audit.explain.smooth_grad:smooth_grad", "query_asker",
                ("queries", "input_gradient"), "Smilkov et al., 2017", "pixels",
                "The gradient map averaged over noisy copies of the image.",
                "Of noisy images, not of the image itself; the level of noise is a choice.", "max_abs", "abs"),
    MethodEntry("guided_backprop", "xai_audit.explain.gradients:guided_backprop", "pass_reader", ("input_gradient",),
                "Springenberg et al., ICLR Workshop 2015", "pixels",
                "The gradient with every negative signal cut off at each rectifier.", _IMAGE_LIKE, "max_abs", "abs",
                rule="guided"),
    MethodEntry("deconvnet", "xai_audit.explain.gradients:deconvnet", "pass_reader", ("input_gradient",),
                "Zeiler and Fergus, ECCV 2014", "pixels",
                "The score traced back to the pixels through rectified signals.", _IMAGE_LIKE, "max_abs", "abs",
                rule="deconvnet"),
    MethodEntry("occlusion", "xai_audit.explain.occlusion:occlusion", "query_asker", ("queries",),
                "Zeiler and Fergus, ECCV 2014", "windows",
                "How far the target score falls when a window of the image is covered.",
                "Depends on the window's size and on what covers it; covering may itself look unusual to the model.",
                sign="signed"),
    MethodEntry("activation_maps", "xai_audit.explain.activation_maps:activation_maps", "pass_reader", _ACTIVATIONS,
                "after Zeiler and Fergus, ECCV 2014", "units", "What each unit of a layer responds to, and where.",
                "Shows what units answer to, not what the model does with their answers.", uses_target=False),
)  # fmt: skip

_LABELLED = ("single_label", "multi_label", "binary_logit")

MEASURES: tuple[MeasureEntry, ...] = (
    MeasureEntry("accuracy", "xai_audit.measures.performance:accuracy", "performance", _LABELLED, (), True, "share",
                 "Share of cases in which the model was right."),
    MeasureEntry("balanced_accuracy", "xai_audit.measures.performance:balanced_accuracy", "performance", _LABELLED, (),
                 True, "share", "Mean over classes of the share of that class found."),
    MeasureEntry("base_rate", "xai_audit.measures.performance:base_rate", "performance", _LABELLED, (), None, "share",
                 "Share of cases that carry the positive (or the commonest) label."),
    MeasureEntry("auroc", "xai_audit.measures.performance:auroc", "performance", _LABELLED, ("probabilities",), True,
                 "share", "Chance that a positive case scores above a negative one."),
    MeasureEntry("sensitivity", "xai_audit.measures.performance:sensitivity", "performance", _LABELLED,
                 ("operating_point",), True, "share", "Share of positive cases that the model found."),
    MeasureEntry("specificity", "xai_audit.measures.performance:specificity", "performance", _LABELLED,
                 ("operating_point",), True, "share", "Share of negative cases that the model left alone."),
    MeasureEntry("f1", "xai_audit.measures.performance:f1", "performance", _LABELLED, ("operating_point",), True,
                 "share", "Harmonic mean of precision and sensitivity."),
    MeasureEntry("confusion_matrix", "xai_audit.measures.performance:confusion_matrix", "performance", _LABELLED, (),
                 None, "cases", "Count of cases by true and predicted class."),
    MeasureEntry("mean_absolute_error", "xai_audit.measures.regression:mean_absolute_error", "performance",
                 ("regression",), (), False, "value", "Mean distance between prediction and label."),
    MeasureEntry("root_mean_squared_error", "xai_audit.measures.regression:root_mean_squared_error", "performance",
                 ("regression",), (), False, "value", "Root of the mean squared distance."),
    MeasureEntry("r2", "xai_audit.measures.regression:r2", "performance", ("regression",), (), True, "share",
                 "Share of the labels' variance that the predictions explain."),
    MeasureEntry("brier", "xai_audit.measures.calibration:brier", "calibration", _LABELLED, ("probabilities",), False,
                 "score", "Mean squared distance between predicted probabilities and what happened."),
    MeasureEntry("ece", "xai_audit.measures.calibration:ece", "calibration", _LABELLED, ("probabilities",), False,
                 "share", "Mean gap between stated confidence and share correct, over bins of confidence."),
    MeasureEntry("relevance_mass", "xai_audit.measures.localisation:relevance_mass", "localisation", (*_LABELLED,
                 "regression"), ("methods", "mask"), True, "share", "Share of a map's positive relevance in a mask."),
    MeasureEntry("relevance_rank", "xai_audit.measures.localisation:relevance_rank", "localisation", (*_LABELLED,
                 "regression"), ("methods", "mask"), True, "share",
                 "Share of the mask's size, in highest pixels, that lies inside the mask."),
)  # fmt: skip

MEASURE_GROUPS: dict[str, tuple[str, ...]] = {"calibration": ("brier", "ece")}
"""Names that a spec may use for several measures at once."""

LANGUAGES: tuple[str, ...] = ("en",)
"""Languages with a complete catalogue."""

NOT_YET: dict[str, tuple[str, ...]] = {
    "method": ("network_dissection", "tcav", "activation_maximisation", "lime", "shap", "decision_tree"),
    "measure": (
        "completeness", "deletion", "insertion", "road", "infidelity", "max_sensitivity", "parameter_randomisation",
        "pointing_game", "stability", "agreement",
    ),
    "source": ("dicom", "table", "torchvision", "generator"),
    "task": (),
    "language": ("zh-CN",),
    "audience": ("decision", "reviewer"),
    "target": ("embedding",),
    "baseline": ("superpixel_mean", "noisy_linear", "mean", "median"),
    "key": ("causal", "model.input.features", "criteria.query", "criteria.part", "criteria.layer"),
}  # fmt: skip
"""Names of the grammar whose work is still to come; a spec that uses one is refused, never read in part."""


def method(name: str) -> MethodEntry:
    """The entry of a method; KeyError when there is none."""
    return {entry.name: entry for entry in METHODS}[name]


def measure(name: str) -> MeasureEntry:
    """The entry of a measure; KeyError when there is none."""
    return {entry.name: entry for entry in MEASURES}[name]

"""Every explanation method and measure, by name, as plain data that can be read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MethodEntry:
    """One explanation method: where its code is, what it reads and where it comes from."""

    name: str
    call: str
    """Dotted path, `package.module:function`."""
    shape: Literal["pass_reader", "query_asker"]
    needs: tuple[str, ...]
    """Of: layer, activations, gradients, input_gradient, queries."""
    paper: str
    map_kind: Literal["layer", "pixels", "windows"]
    summary: str
    limits: str
    """What the method cannot show; printed beside its pictures."""
    reduction: Literal["sum", "max_abs"] = "sum"
    """How channels become one value a pixel."""


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


METHODS: tuple[MethodEntry, ...] = (
    MethodEntry(
        "grad_cam",
        "xai_audit.explain.cam:grad_cam",
        "pass_reader",
        ("layer", "activations", "gradients"),
        "Selvaraju et al., ICCV 2017",
        "layer",
        "Regions of a layer whose activations raise the target score, weighted by their mean gradient.",
        "Coarse: one value per cell of the layer's grid. Shows what the score responds to, not why.",
    ),
    MethodEntry(
        "saliency",
        "xai_audit.explain.gradients:saliency",
        "pass_reader",
        ("input_gradient",),
        "Simonyan, Vedaldi, Zisserman, ICLR Workshop 2014",
        "pixels",
        "How fast the target score changes when one pixel changes a little.",
        "Local and noisy: it speaks of tiny changes only, and bright pixels need not be important ones.",
        "max_abs",
    ),
    MethodEntry(
        "occlusion",
        "xai_audit.explain.occlusion:occlusion",
        "query_asker",
        ("queries",),
        "Zeiler and Fergus, ECCV 2014",
        "windows",
        "How far the target score falls when a window of the image is covered.",
        "Depends on the window's size and on what covers it; covering may itself look unusual to the model.",
    ),
)

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
    "method": (
        "grad_cam_pp", "xgrad_cam", "layer_cam", "hires_cam", "eigen_cam", "score_cam", "ablation_cam",
        "input_x_gradient", "integrated_gradients", "smooth_grad", "guided_backprop", "deconvnet", "activation_maps",
        "network_dissection", "tcav", "activation_maximisation", "lime", "shap", "decision_tree",
    ),
    "measure": (
        "completeness", "deletion", "insertion", "road", "infidelity", "max_sensitivity", "parameter_randomisation",
        "pointing_game", "stability", "agreement",
    ),
    "source": ("dicom", "table", "torchvision", "generator"),
    "task": ("segmentation", "detection"),
    "language": ("zh-CN",),
    "audience": ("decision", "reviewer"),
    "target": ("segmentation", "detection", "embedding"),
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

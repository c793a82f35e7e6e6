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
    shape: Literal["pass_reader", "query_asker", "fitter"]
    """A fitter reads a whole slice once; the others explain single cases."""
    needs: tuple[str, ...]
    """Of: layer, activations, gradients (of the target at the layer), input_gradient, queries."""
    paper: str
    map_kind: Literal["layer", "pixels", "windows", "segments", "none"]
    """segments: one value a superpixel or feature, painted on its pixels."""
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
    inputs: tuple[str, ...] = ("image",)
    """Kinds of input that it explains: image, table."""
    promise: str = ""
    """What its values promise to add up to, in words; empty where they promise no sum."""

    @property
    def gives_map(self) -> bool:
        """Whether it gives one map of relevance a case, which checks can read."""
        return self.shape != "fitter"

    @property
    def explains_rows(self) -> bool:
        """Whether it gives each feature of a row a signed contribution."""
        return self.shape != "fitter" and self.sign == "signed" and "table" in self.inputs


@dataclass(frozen=True)
class MeasureEntry:
    """One measure: what it needs, its range and which direction is better."""

    name: str
    call: str
    group: Literal[
        "performance",
        "calibration",
        "localisation",
        "fairness",
        "quality",
        "surrogate",
        "concept",
        "challenger",
        "split_integrity",
        "sorting",
        "appraisers",
        "drift_baseline",
    ]
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    """Of: operating_point, probabilities, methods, mask."""
    higher_is_better: bool | None
    """None where neither direction is better (base rate, confusion matrix, rates of a group)."""
    unit: str
    summary: str
    takes: tuple[str, ...] = ()
    """Parameters that a spec may give it, beside those that its needs bring."""
    inputs: tuple[str, ...] = ("image", "table")
    """Kinds of input that it can be taken on."""


@dataclass(frozen=True)
class PartEntry:
    """A further number of a measure that a criterion may name; the measure itself is what a spec declares."""

    name: str
    of: str
    """The measure whose step gives it."""
    value: str
    """Name of the value in that step."""
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
                _COARSE,
                promise="before its sign stage, the target less the target with the layer silent, where a mean "
                "over places and a linear map follow it"),
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
                _COARSE,
                promise="before its sign stage, the target less the target with the layer silent, where the net is "
                "affine after it"),
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
                "How fast the target score changes when one pixel changes a little.", _LOCAL, "max_abs", "abs",
                inputs=("image", "table")),
    MethodEntry("input_x_gradient", "xai_audit.explain.gradients:input_x_gradient", "pass_reader", ("input_gradient",),
                "Shrikumar et al., 2016", "pixels",
                "The gradient times how far the image is from its baseline.",
                "Exact for linear models only; says nothing of pixels that equal the baseline.", "sum", "signed",
                inputs=("image", "table"),
                promise="the target's change from the baseline, for affine nets, and from black for those that are "
                "piecewise linear without biases"),
    MethodEntry("integrated_gradients", "xai_audit.explain.integrated_gradients:integrated_gradients", "query_asker",
                ("queries", "input_gradient"), "Sundararajan, Taly, Yan, ICML 2017", "pixels",
                "The score's change from the baseline to the image, shared out over the pixels along a straight path.",
                "Depends on the baseline; the images on the path may look unusual to the model.", "sum", "signed",
                inputs=("image", "table"),
                promise="the target's change from the baseline to the case"),
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
                sign="signed",
                promise="the target's change from the baseline, where windows fill the image without overlap and "
                "the net is additive"),
    MethodEntry("activation_maps", "xai_audit.concepts.activity:Activity", "fitter", _ACTIVATIONS,
                "after Zeiler and Fergus, ECCV 2014", "none", "What each unit of a layer responds to, and where.",
                "Shows what units answer to, not what the model does with their answers.", uses_target=False),
    MethodEntry("network_dissection", "xai_audit.concepts.dissection:Dissection", "fitter", _ACTIVATIONS,
                "Bau et al., CVPR 2017", "none",
                "Which units of a layer answer where people see a concept, and whether chance could do as much.",
                "Finds concepts that are declared and marked, and that single units carry: others stay unseen. An "
                "overlap is not a use: see what the answer loses without the units.", uses_target=False),
    MethodEntry("tcav", "xai_audit.concepts.vectors:Vectors", "fitter", _CAM, "Kim et al., ICML 2018", "none",
                "Whether the score of a class rises when a layer moves towards a concept.",
                "Speaks of one direction a concept, found from examples: what else sets them apart goes with it.",
                uses_target=False),
    MethodEntry("activation_maximisation", "xai_audit.concepts.maximisation:maximise", "fitter",
                (*_ACTIVATIONS, "input_gradient"),
                "Erhan et al. 2009; Olah, Mordvintsev, Schubert, Distill 2017", "none",
                "A picture, made from noise, that raises a unit, a direction or a class as far as it goes.",
                "Shows what raises the unit most, not what it answers to in real pictures; another seed gives another "
                "picture.", uses_target=False),
    MethodEntry("lime", "xai_audit.explain.lime:lime", "query_asker", ("queries",),
                "Ribeiro, Singh, Guestrin, KDD 2016", "segments",
                "Weights of a linear model fitted to the scores of copies with superpixels or features hidden.",
                "A local linear fit: where it fits badly its weights explain nothing. Depends on the superpixels and "
                "on what stands where they are hidden.", sign="signed", inputs=("image", "table")),
    MethodEntry("shap", "xai_audit.explain.shapley:shap", "query_asker", ("queries",),
                "Shapley 1953; Lundberg and Lee, NeurIPS 2017", "segments",
                "The score's change from the baseline to the case, shared out over superpixels or features by their "
                "mean effect over all orders of joining.",
                "Depends on the baseline. Features that belong together share an effect, and made-up cases may look "
                "unusual to the model.", sign="signed", inputs=("image", "table"),
                promise="the target's change from the baseline to the case"),
    MethodEntry("decision_tree", "xai_audit.surrogate.tree:decision_tree", "fitter", (),
                "Craven and Shavlik (TREPAN), NIPS 1995; Breiman and Shang 1996", "none",
                "A small decision tree that repeats the model's answers as rules over named features.",
                "A stand-in: its rules are its own and hold for the model only as far as the two agree.",
                uses_target=False, inputs=("image", "table")),
)  # fmt: skip

_LABELLED = ("single_label", "multi_label", "binary_logit")
_ALL = (*_LABELLED, "regression")
_ONE_CLASS = ("single_label", "binary_logit")

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
    MeasureEntry("relevance_mass", "xai_audit.measures.localisation:relevance_mass", "localisation", _ALL,
                 ("methods", "mask"), True, "share", "Share of a map's positive relevance in a mask.",
                 inputs=("image",)),
    MeasureEntry("relevance_rank", "xai_audit.measures.localisation:relevance_rank", "localisation", _ALL,
                 ("methods", "mask"), True, "share",
                 "Share of the mask's size, in highest pixels, that lies inside the mask.", inputs=("image",)),
    MeasureEntry("pointing_game", "xai_audit.measures.localisation:pointing_game", "localisation", _ALL,
                 ("methods", "mask"), True, "share", "Share of maps whose highest point lies in or near a mask.",
                 ("tolerance",), ("image",)),
    MeasureEntry("completeness", "xai_audit.measures.completeness:completeness", "quality", _ALL, ("methods",), False,
                 "ratio", "Gap between the sum of a map and the change of score that it promises to share out.",
                 ("cases",)),
    MeasureEntry("deletion", "xai_audit.measures.curves:deletion", "quality", _ALL, ("methods",), False, "value",
                 "Area under the score as the places with most relevance are taken away first.",
                 ("cases", "steps", "baseline")),
    MeasureEntry("insertion", "xai_audit.measures.curves:insertion", "quality", _ALL, ("methods",), True, "value",
                 "Area under the score as the places with most relevance are put back first.",
                 ("cases", "steps", "baseline")),
    MeasureEntry("road", "xai_audit.measures.curves:road", "quality", _LABELLED, ("methods",), True, "score",
                 "How much sooner answers change when the most relevant places are blurred away than the least.",
                 ("cases", "fractions"), ("image",)),
    MeasureEntry("infidelity", "xai_audit.measures.infidelity:infidelity", "quality", _ALL, ("methods",), False,
                 "ratio",
                 "Squared error with which a map foretells the effect of noise; 1 is no better than a map of zeros.",
                 ("cases", "samples", "sigma")),
    MeasureEntry("max_sensitivity", "xai_audit.measures.sensitivity:sensitivity", "quality", _ALL, ("methods",),
                 False, "ratio", "Largest change of a map under small noise, as a share of its size.",
                 ("cases", "samples", "radius")),
    MeasureEntry("parameter_randomisation", "xai_audit.measures.randomisation:likeness", "quality", _ALL,
                 ("methods",), False, "score",
                 "How much a map still resembles itself when all that the model has learnt is made random.",
                 ("cases", "order", "how", "stages")),
    MeasureEntry("stability", "xai_audit.measures.stability:mean_pairwise_rank_correlation", "quality", _ALL,
                 ("methods",), True, "score",
                 "Rank correlation of a method's maps over seeds; beside it the change under small noise.",
                 ("cases", "seeds", "radius")),
    MeasureEntry("agreement", "xai_audit.measures.agreement:rank_correlations", "quality", _ALL, ("methods",), None,
                 "score", "Rank correlation and overlap of the highest places between methods.", ("cases", "top")),
    MeasureEntry("selection_rate", "xai_audit.measures.fairness:selection_rate", "fairness", _LABELLED,
                 ("operating_point", "reference"), None, "share",
                 "Share of cases that get the favourable answer, beside that of the reference slice."),
    MeasureEntry("equal_opportunity", "xai_audit.measures.fairness:equal_opportunity", "fairness", _LABELLED,
                 ("operating_point", "reference"), None, "share",
                 "Share of cases with the favourable label that get that answer, beside that of the reference slice."),
    MeasureEntry("calibration_by_group", "xai_audit.measures.fairness:calibration_by_group", "fairness", _LABELLED,
                 ("probabilities", "reference"), None, "difference",
                 "Mean stated probability of the favourable label less the share that has it, beside the reference."),
    MeasureEntry("fidelity", "xai_audit.surrogate.fidelity:fidelity", "surrogate", _ALL, ("methods",), True, "share",
                 "Share of held-out cases in which a surrogate tree answers as the model does."),
    MeasureEntry("kappa", "xai_audit.surrogate.fidelity:kappa", "surrogate", _ALL, ("methods",), True, "ratio",
                 "Cohen's kappa of a surrogate tree and the model on held-out cases."),
    MeasureEntry("concept_iou", "xai_audit.concepts.overlap:iou", "concept", _ALL, ("methods",), None, "share",
                 "Overlap of a concept with the unit that answers to it best.", inputs=("image",)),
    MeasureEntry("tcav_score", "xai_audit.concepts.vectors:tcav_score", "concept", _ALL, ("methods",), None, "share",
                 "Share of a class's cases whose score rises when the layer moves towards a concept.",
                 inputs=("image",)),
    MeasureEntry("concept_effect", "xai_audit.measures.concept_effects:effect", "concept", _ALL, ("methods",), None,
                 "value", "What the score of a class loses when the units of a concept are silenced.",
                 inputs=("image",)),
    MeasureEntry("challenger", "xai_audit.measures.challenger:challenger", "challenger",
                 ("single_label", "binary_logit", "regression"), (), True, "difference",
                 "How much more often the model is right than a challenger on the same cases.", ("against",)),
    MeasureEntry("split_integrity", "xai_audit.measures.split_integrity:split_integrity", "split_integrity", _ALL, (),
                 True, "share", "Share of cases with no copy, look-alike or unit in the training data.",
                 ("units", "rounding")),
    MeasureEntry("decision_agreement", "xai_audit.measures.sorting:decision_agreement", "sorting", _ONE_CLASS, (), True,
                 "share", "Share of parts rightly passed or stopped."),
    MeasureEntry("escape", "xai_audit.measures.sorting:escape", "sorting", _ONE_CLASS, (), False, "share",
                 "Share of parts with a defect that are passed."),
    MeasureEntry("overkill", "xai_audit.measures.sorting:overkill", "sorting", _ONE_CLASS, (), False, "share",
                 "Share of good parts that are stopped."),
    MeasureEntry("appraisers", "xai_audit.measures.appraisers:appraisers", "appraisers", _ONE_CLASS, (), True, "ratio",
                 "Agreement beyond chance between people who rated the same cases (Fleiss' kappa)."),
    MeasureEntry("drift_baseline", "xai_audit.measures.drift_baseline:drift_baseline", "drift_baseline", _ALL, (), None,
                 "cases", "What scores and inputs look like today, with the distances at which that has changed.",
                 ("window", "alpha")),
)  # fmt: skip

PARTS: tuple[PartEntry, ...] = (
    PartEntry("selection_rate_ratio", "selection_rate", "ratio", "ratio",
              "Adverse impact ratio: the slice's selection rate over that of the reference slice."),
    PartEntry("selection_rate_difference", "selection_rate", "difference", "difference",
              "The slice's selection rate less that of the reference slice."),
    PartEntry("equal_opportunity_ratio", "equal_opportunity", "ratio", "ratio",
              "The slice's equal_opportunity over that of the reference slice."),
    PartEntry("equal_opportunity_difference", "equal_opportunity", "difference", "difference",
              "The slice's equal_opportunity less that of the reference slice."),
    PartEntry("calibration_by_group_difference", "calibration_by_group", "difference", "difference",
              "The slice's gap between stated and happened less that of the reference slice."),
    PartEntry("repeatability", "appraisers", "repeatability", "share",
              "Share of cases rated more than once by a person in which all his or her ratings are the same."),
    PartEntry("effectiveness", "appraisers", "effectiveness", "share",
              "Share of cases in which all ratings of a person are the reference label."),
    PartEntry("reference_kappa", "appraisers", "reference_kappa", "ratio",
              "Agreement beyond chance of people's ratings with the reference label (Cohen's kappa)."),
    PartEntry("model_kappa", "appraisers", "model_kappa", "ratio",
              "Agreement beyond chance of people's ratings with the model's answers (Cohen's kappa)."),
    PartEntry("auroc_difference", "challenger", "auroc_difference", "difference",
              "Area under the curve of the model less that of the challenger, over the same cases."),
    PartEntry("training_copies", "split_integrity", "training_copies", "share",
              "Share of cases that are in the training data."),
    PartEntry("training_look_alikes", "split_integrity", "training_look_alikes", "share",
              "Share of cases that look almost like a case of the training data."),
    PartEntry("training_units", "split_integrity", "training_units", "share",
              "Share of cases whose unit, such as the patient, is in the training data too."),
    PartEntry("copies", "split_integrity", "copies", "share",
              "Share of cases that are the same as another audited case."),
    PartEntry("look_alikes", "split_integrity", "look_alikes", "share",
              "Share of cases that look almost like another audited case."),
    PartEntry("copies_across_units", "split_integrity", "copies_across_units", "share",
              "Share of cases that are the same as a case of another unit."),
    PartEntry("copies_of_other_label", "split_integrity", "copies_of_other_label", "share",
              "Share of cases that are the same as a case with another label."),
)  # fmt: skip
"""Numbers that criteria may name beside the measures' own."""

MEASURE_GROUPS: dict[str, tuple[str, ...]] = {"calibration": ("brier", "ece")}
"""Names that a spec may use for several measures at once."""

LANGUAGES: tuple[str, ...] = ("en", "zh-CN")
"""Languages with a complete catalogue."""

NOT_YET: dict[str, tuple[str, ...]] = {
    "method": (),
    "measure": (),
    "source": ("dicom", "torchvision"),
    "task": (),
    "language": (),
    "target": ("embedding",),
    "baseline": ("noisy_linear",),
    "key": ("criteria.layer",),
}  # fmt: skip
"""Names of the grammar whose work is still to come; a spec that uses one is refused, never read in part."""


def method(name: str) -> MethodEntry:
    """The entry of a method; KeyError when there is none."""
    return {entry.name: entry for entry in METHODS}[name]


def measure(name: str) -> MeasureEntry:
    """The entry of a measure; KeyError when there is none."""
    return {entry.name: entry for entry in MEASURES}[name]


def unit(name: str) -> str:
    """The unit of a number that a criterion may name, a measure's or a part's; KeyError when there is none."""
    found = part(name)
    return measure(name).unit if found is None else found.unit


def part(name: str) -> PartEntry | None:
    """The further number that a criterion calls by this name; None where it is a measure, or unknown."""
    return next((entry for entry in PARTS if entry.name == name), None)

"""The grammar of the causal part: variables, edges, mechanisms, operators, queries and checks (CAUSAL.md section 2)."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import.
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from xai_audit.spec.base import Date, Fault, FiniteFloat, Identifier, Name, Scalar, Share, Strict, Text

Variable_ = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Name of a variable."""
Level = str | bool | int | float
"""A level of a variable, or a number of its range."""
Dotted = Annotated[str, Field(pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*|[^:]+\.py:[A-Za-z_]\w*)$")]
"""package.module:function, or file.py:function beside the spec."""


class Author(Strict):
    """Whose claim the graph is."""

    name: Name
    """Who drew it."""
    role: Name
    """What he or she does."""
    date: Date | None = None
    """When."""


class Levels(Strict):
    """A variable that takes some values; their order is that of the list."""

    levels: Annotated[tuple[Level, ...], Field(min_length=2)]
    """Its values."""
    ordered: bool = False
    """Whether their order is a scale."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({(type(level), level) for level in self.levels}) != len(self.levels):
            raise Fault("a level twice", "distinct levels", "Remove one of the two.", keys=("levels",), at=("levels",))
        return self


class Range(Strict):
    """A variable that takes any value of an interval."""

    range: tuple[FiniteFloat, FiniteFloat]
    """[lowest, highest]."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.range[0] >= self.range[1]:
            found = f"[{self.range[0]:g}, {self.range[1]:g}]"
            raise Fault(found, "[lo, hi] with lo < hi", "Correct the range.", keys=("range",), at=("range",))
        return self


class FromColumn(Strict):
    """A column of the table."""

    column: Name
    """Its name."""


class FromMeasure(Strict):
    """A number measured on each case's image and masks, or how strongly a concept shows in the net."""

    measure: Dotted | Literal["concept"]
    """A function `(image, masks) -> number`, or concept."""
    concept: Identifier | None = None
    """With concept: its name."""
    method: Name | None = None
    """With concept: name of the network_dissection or tcav that finds it."""


class FromOperator(Strict):
    """A setting of an operator: it exists only where that is used."""

    operator: Identifier
    """Its name under operators."""


class ModelScore(Strict):
    """A score of the audited model."""

    class_: Annotated[str | int | None, Field(alias="class")] = None
    """Class whose score it is."""
    output: Literal["probability", "logit", "value"] = "probability"
    """Which number."""


class FromModel(Strict):
    """The audited model's answer."""

    model: ModelScore
    """Which of its scores."""


VariableSource = FromColumn | FromMeasure | FromOperator | FromModel | Literal["unmeasured", "given"]
Role = Literal[
    "context",
    "confounder",
    "treatment",
    "cause",
    "mediator",
    "outcome",
    "shortcut",
    "protected",
    "instrument",
    "selection",
    "negative_control",
    "medium",
    "model_output",
]


class CausalVariable(Strict):
    """A variable of the graph."""

    role: Role
    """What it is to the auditor; chooses words and defaults. medium, model_output, protected and selection also change
    what is computed."""
    label: Text | None = None
    """Its name for readers."""
    domain: Levels | Range | None = None
    """The values that it can take."""
    unit: str | None = None
    """Unit of its values."""
    source: VariableSource | None = None
    """Where its values come from; default: given, when there are no data."""
    time: int | None = None
    """When it is settled: causes never come later than effects."""
    actionable: Literal["increase", "decrease"] | bool = False
    """For recourse: whether, or in which direction, somebody can change it."""
    error_sd: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Standard deviation of the error of a measured variable."""
    neutral: Level | None = None
    """Setting of an operator's variable that changes nothing."""
    kept: Level | None = None
    """Of a selection: the level at which rows were kept."""


class Row(Strict):
    """Probabilities of a variable's levels for one combination of its parents' levels."""

    when: dict[Variable_, Level]
    """Parent: level."""
    p: tuple[Share, ...]
    """In the order of the domain."""


class NormalNoise(Strict):
    """Gaussian noise."""

    normal: tuple[FiniteFloat, Annotated[FiniteFloat, Field(ge=0)]]
    """[mean, standard deviation]."""


class TableMechanism(Strict):
    """Probabilities given the parents' levels."""

    kind: Literal["table"]
    """Probabilities given the parents' levels."""
    parents: tuple[Variable_, ...] = ()
    """Direct causes."""
    rows: tuple[Row, ...] = ()
    """One for each combination of their levels."""
    p: tuple[Share, ...] | None = None
    """Of a variable without parents."""


class LinearEquation(Strict):
    """intercept + sum of weight times parent + noise."""

    kind: Literal["linear"]
    """A linear equation."""
    intercept: FiniteFloat
    """Value where all parents are 0."""
    weights: dict[Variable_, FiniteFloat]
    """Parent: weight."""
    noise: NormalNoise | Literal[0]
    """Its noise."""


class FitLearner(Strict):
    """A function to be fitted."""

    learner: Literal["linear", "gradient_boosting", "nearest_neighbours"]
    """What is fitted."""


class AdditiveMechanism(Strict):
    """A function of the parents, plus noise."""

    kind: Literal["additive"]
    """A function of the parents, plus noise."""
    call: Dotted | None = None
    """The function; takes the parents by name."""
    fit: FitLearner | None = None
    """Or what is fitted to the data."""
    noise: NormalNoise | Literal["empirical"] = "empirical"
    """Its noise."""


class TorchMechanism(Strict):
    """A torch module of parents and noise."""

    kind: Literal["torch"]
    """A torch module of parents and noise."""
    call: Dotted
    """Class of the module."""
    noise: NormalNoise = NormalNoise(normal=(0.0, 1.0))
    """Law of its noise."""
    noise_shape: tuple[Annotated[int, Field(gt=0)], ...] = (1,)
    """Shape of one unit's noise."""
    abduct: Literal["inverse", "call"] | None = None
    """How the noise of a unit is found again."""


class FitMechanism(Strict):
    """A mechanism fitted to the data."""

    kind: Literal["fit"]
    """A mechanism fitted to the data."""
    family: Literal["table", "linear", "additive", "logistic"]
    """Its form."""
    held_out: Share = 0.3
    """Share of the rows that its fit is tested on."""


class PlainMechanism(Strict):
    """The audited model, an operator on the image, or nothing known of its form."""

    kind: Literal["model", "operator", "unknown"]
    """What stands for it."""


Mechanism = Annotated[
    TableMechanism | LinearEquation | AdditiveMechanism | TorchMechanism | FitMechanism | PlainMechanism,
    Field(discriminator="kind"),
]


class Operator(Strict):
    """A way to set one variable in an image."""

    call: Name
    """A built-in operator's name, or a function `(image, masks, row, value, rng) -> image`."""
    sets: Variable_
    """The variable that it sets."""
    may_change: tuple[Variable_, ...] = ()
    """Others that it may move."""
    range: tuple[FiniteFloat, FiniteFloat] | None = None
    """Values that it reaches."""
    tolerance: Annotated[FiniteFloat, Field(gt=0)] = 1e-6
    """How far what is reached may be from what was asked, in the variable's unit."""
    grade: Literal["A", "B", "C"] = "B"
    """A: a renderer or simulator, exact; B: a measured transform; C: a learned generator, assumed."""
    placebo: Name | None = None
    """An operator of equal size that changes nothing that should matter."""
    undo: Name | None = None
    """What takes it back."""
    parameters: dict[str, Scalar] = {}
    """Handed to a built-in operator."""


class Monotone(Strict):
    """An effect that nobody has in the other direction."""

    monotone: Annotated[str, Field(pattern=r"^\s*\S+\s*->\s*\S+\s*$")]
    """The edge, a -> b."""
    direction: Literal["increasing", "decreasing"]
    """Which way."""


Assumption = Literal["linear", "no_interaction", "gumbel_max", "cross_world_independence"] | Monotone
Ask = Literal[
    "association",
    "interventional",
    "ate",
    "att",
    "cate",
    "cde",
    "nde",
    "nie",
    "path_effect",
    "counterfactual",
    "recourse",
    "counterfactual_fairness",
    "pn_ps",
    "image_counterfactual",
    "sensitivity",
]
Contrast = Level | tuple[Level, Level]


class Goal(Strict):
    """What recourse must reach."""

    at_least: FiniteFloat | None = None
    """This value or more."""
    at_most: FiniteFloat | None = None
    """This value or less."""


class Budget(Strict):
    """Where a search stops."""

    evaluations: Annotated[int, Field(ge=1)] | None = None
    """Most questions to the model."""
    seconds: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Most time; makes the answer depend on the machine, and is said so."""


class Published(Strict):
    """A published number whose sensitivity is asked."""

    risk_ratio: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """A published risk ratio."""
    low: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Lower end of its interval."""
    high: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Upper end of its interval."""
    estimate: FiniteFloat | None = None
    """Instead: a published estimate of a regression."""
    standard_error: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Its standard error."""
    dof: Annotated[int, Field(ge=2)] | None = None
    """Its degrees of freedom."""


class Query(Strict):
    """One question about cause."""

    id: Identifier
    """Name in criteria and report."""
    question: Text | None = None
    """The question in words; default: made from its parts."""
    ask: Ask
    """What is asked."""
    on: Variable_ | None = None
    """The variable that is asked about."""
    do: dict[Variable_, Contrast] = {}
    """Variable: the level that it is set to, or [reference, alternative]."""
    given: dict[Variable_, Level] | tuple[Variable_, ...] = {}
    """Rung 2: seen after the intervention. Rung 3: facts seen before it. cate: variables whose levels are answered."""
    through: tuple[Variable_, ...] = ()
    """Mediators, for nde and nie."""
    paths: tuple[str, ...] = ()
    """For path_effect: directed paths, a -> b -> c."""
    hold: dict[Variable_, Level] = {}
    """For cde: what is held fixed."""
    via: Identifier | None = None
    """Operator that sets the variable in the image."""
    slice: str = "all"
    """Slice of the cases."""
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] = 0.05
    """1 less the confidence of intervals."""
    assume: tuple[Assumption, ...] = ()
    """What is assumed beside the graph; printed next to the answer."""
    answer_by: Literal["identification", "mechanisms", "operator"] | None = None
    """How it is answered."""
    if_not_identified: Literal["refuse", "bounds"] = "refuse"
    """What happens where the data do not fix the answer."""
    adjust: tuple[Variable_, ...] | None = None
    """An adjustment set of the auditor's choice; it is checked."""
    target: Goal | None = None
    """For recourse."""
    cost: dict[Variable_, Annotated[FiniteFloat, Field(gt=0)]] = {}
    """For recourse: cost of a unit moved; default: 1 over the variable's range."""
    budget: Budget | None = None
    """For recourse: where the search stops."""
    k: Annotated[int, Field(ge=1)] = 1
    """For recourse: how many answers."""
    unfair_paths: tuple[str, ...] = ()
    """For counterfactual_fairness: paths that the auditor calls unfair."""
    tolerance: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """For counterfactual_fairness: change of the score that is let pass."""
    bins: dict[Variable_, Annotated[int, Field(ge=2, le=200)]] = {}
    """Range variables that are cut into so many groups of equally many units; answers at twice and half as many are
    printed beside."""
    experimental: dict[Literal["ref", "alt"], Share] = {}
    """For pn_ps: rates of a trial."""
    inputs: Published | None = None
    """For sensitivity: the published number."""


class Implied(Strict):
    """Tests of what the graph implies."""

    alpha: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] = 0.05
    """Level of the tests together."""
    correct: Literal["holm", "bh", "none"] = "holm"
    """How they are corrected for each other."""
    min_effect: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.1
    """Strength below which a dependence does not matter; power is that against this one."""


class EquivalentGraphs(Strict):
    """Other graphs that data cannot tell from this one."""

    limit: Annotated[int, Field(ge=1)] = 20
    """Most graphs that are listed; all are counted."""


class Overlap(Strict):
    """Whether every group is seen under every treatment."""

    min_cell: Annotated[int, Field(ge=1)] = 20
    """A group with fewer units is called thin."""


class Refuter(Strict):
    """A test that an estimate could fail, with its rule fixed beforehand."""

    kind: Literal[
        "placebo_treatment",
        "random_common_cause",
        "subset",
        "negative_control_outcome",
        "negative_control_exposure",
    ]
    """What is tried."""
    draws: Annotated[int, Field(ge=1)] = 100
    """How often."""
    at_most: FiniteFloat | None = None
    """Passes where the estimate is this or less."""
    at_least: FiniteFloat | None = None
    """Passes where it is this or more."""
    between: tuple[FiniteFloat, FiniteFloat] | None = None
    """Passes where it lies between these."""
    absolute: bool = False
    """The size is compared, whichever its sign."""


class Family(Strict):
    """Correction over all queries."""

    correct: Literal["holm", "bh"] = "holm"
    """How criteria on queries are corrected for each other."""


class CausalChecks(Strict):
    """What is tested of graph and answers."""

    implied: Implied = Implied()
    """Tests of what the graph implies."""
    equivalent_graphs: EquivalentGraphs = EquivalentGraphs()
    """Graphs that data cannot tell from this one."""
    overlap: Overlap = Overlap()
    """Groups that must be seen under every treatment."""
    sensitivity: tuple[Literal["e_value", "robustness_value", "tipping_point", "marginal"], ...] = ()
    """How strong an unmeasured cause must be to change an answer."""
    marginal_factors: tuple[Annotated[FiniteFloat, Field(ge=1)], ...] = (1.5, 2.0, 3.0)
    """With sensitivity: marginal: by how much an unmeasured cause may change the odds of being treated."""
    refuters: tuple[Refuter, ...] = ()
    """Tests that an estimate could fail."""
    negative_controls: tuple[Variable_, ...] = ()
    """Variables on which nothing may have an influence."""
    family: Family = Family()
    """Correction over all criteria on queries."""
    missing_edges: Literal["require", "note"] = "note"
    """require: every absent edge that a query rests on needs a reason."""


class Severity(Strict):
    """What an operator does at rising strength: accuracy, score and explanation by slice."""

    via: Identifier
    """The operator."""
    levels: Annotated[tuple[FiniteFloat, ...], Field(min_length=2)]
    """Settings of its variable, from weak to strong."""
    slices: tuple[str, ...] | None = None
    """Slices; default: every slice."""
    methods: tuple[str, ...] = ()
    """Names of explanation methods whose maps are compared with those of the picture as it is."""


class Causal(Strict):
    """A structural causal graph with its queries."""

    author: Author | None = None
    """Whose claim the graph is."""
    variables: Annotated[dict[Variable_, CausalVariable], Field(min_length=1)]
    """What the graph is about, by name."""
    edges: tuple[str, ...]
    """a -> b: direct cause; a <-> b: unmeasured common cause."""
    mechanisms: dict[Variable_, Mechanism] = {}
    """By variable: how it comes about from its direct causes; default: unknown."""
    operators: dict[Identifier, Operator] = {}
    """Ways to set a variable in a picture."""
    missing_edges_reason: dict[str, Text] = {}
    """An absent edge, a -> b: why there is none."""
    complete_cases: Text | None = None
    """Why rows with a missing value may be left out; without it a missing value stops what needs it."""
    queries: tuple[Query, ...] = ()
    """Questions about cause."""
    severity: tuple[Severity, ...] = ()
    """Operators at rising strength."""
    checks: CausalChecks = CausalChecks()
    """What is tested of graph and answers."""

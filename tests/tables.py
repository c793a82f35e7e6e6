"""Audits of a table small enough for a test: numbers, categories and gaps, with an MLP of known weights and a forest.

Load a model: `load_model(load_spec(write_table(folder)).spec.model, folder)`; a whole run: `run_audit(load_spec(...),
Options(out=folder / "reports"), Silent())`. `kind` is one of MODELS.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

NETS = '''
import numpy as np
import torch
from torch import nn


class Scores(nn.Module):
    """Two classes from the encoded columns [age, income, income is missing, home: own, rent, other]."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(6, 3)
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([
                [0.5, 1.0, 0.0, 0.0, 0.0, 0.0],
                [0.0, -1.0, 0.5, 0.0, 1.0, 0.0],
                [0.0, 0.0, 0.0, 1.0, -1.0, 0.25],
            ]))
            self.hidden.bias.copy_(torch.tensor([0.1, 0.2, 0.0]))
            self.head.weight.copy_(torch.tensor([[-1.0, 1.0, -0.5], [1.0, -1.0, 0.5]]))
            self.head.bias.zero_()

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x)))


class Linear(nn.Module):
    """One logit, 0.5 age + income - 0.25, of two numbers on their own scale."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.5, 1.0]]))
            self.head.bias.fill_(-0.25)

    def forward(self, x):
        return self.head(x)


def mlp():
    return Scores()


def linear():
    return Linear()


def _trained(kind):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(200, 2)), np.zeros((200, 1)), np.eye(3)[rng.integers(0, 3, 200)]], 1)
    y = np.where(x[:, 0] + 2 * x[:, 1] + x[:, 3] > 0.3, "paid", "late")
    return kind.fit(x, y)


def forest():
    from sklearn.ensemble import RandomForestClassifier

    return _trained(RandomForestClassifier(n_estimators=8, max_depth=4, random_state=0))


def boosted():
    from sklearn.ensemble import GradientBoostingClassifier

    return _trained(GradientBoostingClassifier(n_estimators=10, random_state=0))


def logistic():
    from sklearn.linear_model import LogisticRegression

    return _trained(LogisticRegression())


def of_frame():
    """A plain function of the DataFrame of raw columns."""

    def probabilities(frame):
        score = 0.02 * (frame["age"] - 40) + (frame["home"] == "own") + frame["income"].fillna(30.0) / 30 - 1
        paid = 1 / (1 + np.exp(-score.to_numpy(dtype=float)))
        return np.stack([1 - paid, paid], axis=1)

    return probabilities
'''

FEATURES = """
      - {column: age, mean: 40, std: 10}
      - {column: income, title: Yearly income, mean: 30, std: 10, when_missing: 30, missing_flag: true}
      - {column: home, categories: [own, rent, other], when_missing: other}"""
RAW = """
      - age
      - {column: income, title: Yearly income}
      - {column: home, categories: [own, rent, other]}"""
NUMBERS = """
      - {column: age, mean: 40, std: 10}
      - {column: income, mean: 30, std: 10, when_missing: 30}"""
MODELS = {
    "mlp": ("mlp", FEATURES, "matrix", "logit", "single_label"),
    "linear": ("linear", NUMBERS, "matrix", "logit", "binary_logit"),
    "forest": ("forest", FEATURES, "matrix", "probability", "single_label"),
    "boosted": ("boosted", FEATURES, "matrix", "probability", "single_label"),
    "logistic": ("logistic", FEATURES, "matrix", "logit", "binary_logit"),
    "frame": ("of_frame", RAW, "frame", "probability", "single_label"),
}
"""Kind: factory, features, given_as, scores_are, task."""

SPEC = """version: 1
audit:
  id: loans
  title: Loans paid back
  owner: {{name: A. Tester, role: owner}}
  seed: 3
model:
  factory: nets.py:{factory}
  task: {task}
  scores_are: {scores_are}
  classes: [late, paid]
  input:
    given_as: {given_as}
    features:{features}
data:
  source: {{kind: table, table: loans.csv, label: outcome, id: case}}
  missing_codes: {{income: [999]}}
slices:
  - {{name: all}}
  - {{name: women, where: {{sex: f}}}}
  - {{name: men, where: {{sex: m}}}}
cases: {{explain: {explain}, choose: [random]}}
methods: {methods}
measures:
  - accuracy
  - {{use: auroc, positive: paid}}
  - calibration
criteria:
  - {{id: C1, measure: accuracy, at_least: 0.5, because: agreed, minimum_cases: 10}}
"""


def write_table(
    folder: Path, kind: str = "mlp", *, methods: str = "[]", cases: int = 120, explain: int = 8, gaps: bool = True
) -> Path:
    """Write spec, factories and table into a folder; the path of the spec. `gaps`: a tenth of the incomes is missing,
    half of those as the code 999, and one home."""
    factory, features, given_as, scores_are, task = MODELS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nets.py").write_text(NETS)
    (folder / "loans.csv").write_text("\n".join(table_lines(cases, gaps=gaps)) + "\n")
    spec = folder / "loans.yaml"
    spec.write_text(
        SPEC.format(
            factory=factory, features=features, given_as=given_as, scores_are=scores_are, task=task, methods=methods,
            explain=explain,
        )
    )  # fmt: skip
    return spec


def table_lines(cases: int, *, gaps: bool = True) -> list[str]:
    """The CSV, line by line: case, age, income, home, sex, outcome."""
    rng = np.random.default_rng(0)
    lines = ["case,age,income,home,sex,outcome"]
    for number in range(cases):
        age, income = int(rng.integers(18, 80)), round(float(rng.lognormal(3.3, 0.4)), 2)
        home, sex = ("own", "rent", "other")[int(rng.integers(3))], "fm"[int(rng.integers(2))]
        paid = 0.05 * (age - 40) + 0.1 * (income - 30) + (home == "own") + rng.normal() > 0.3
        shown = {4: "", 9: "999"}.get(number % 20, str(income)) if gaps else str(income)
        home = "" if gaps and number == 7 else home
        lines.append(f"c{number:03d},{age},{shown},{home},{sex},{'paid' if paid else 'late'}")
    return lines

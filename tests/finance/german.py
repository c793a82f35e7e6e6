"""The German credit audit as a spec in a test's folder: categories by their words, a boosted model and a small net.

The 500 rows in even lines train, the others are audited. Both models are trained by their factories, with fixed seeds;
what they read is `model.input` of the spec, so that training and audit encode alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

NUMBERS = {
    "duration_in_month": (20.9, 12.1),
    "credit_amount": (3271, 2823),
    "installment_as_income_perc": (2.97, 1.12),
    "credits_this_bank": (1.41, 0.58),
}
CATEGORIES = (
    "account_check_status", "credit_history", "savings", "present_emp_since", "other_debtors", "property",
    "other_installment_plans", "housing",
)  # fmt: skip
TITLES = {"duration_in_month": "Duration, months", "account_check_status": "Current account"}
PROTECTED = ("sex", "age", "foreign_worker")

FACTORIES = '''
from pathlib import Path

import numpy as np
import torch
from torch import nn

from xai_audit.data.features import read_features
from xai_audit.data.labels import RowProblems
from xai_audit.data.tables import read_table
from xai_audit.model.encoding import encode
from xai_audit.spec.load import load_spec

HERE = Path(__file__).parent


def training():
    """What the model reads of the training rows, encoded as the audit does, and 1 where the loan went bad."""
    model_input = load_spec(next(HERE.glob("german*.yaml"))).spec.model.input
    categories = {feature.column for feature in model_input.features if feature.categories}
    table = read_table(HERE / "training.csv", "training.csv", categories)
    rows = torch.from_numpy(read_features(table, model_input, RowProblems()))
    labels = (table.frame["outcome"] == "bad").to_numpy(dtype=np.int64)
    return encode(rows[:, None, None, :], model_input).numpy(), labels


def boosted():
    from sklearn.ensemble import GradientBoostingClassifier

    x, bad = training()
    return GradientBoostingClassifier(n_estimators=60, max_depth=2, random_state=0).fit(x, bad)


def net():
    x, bad = (torch.from_numpy(array) for array in training())
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(x.shape[1], 16), nn.Tanh(), nn.Linear(16, 2))
    optimiser = torch.optim.AdamW(made.parameters(), lr=0.01, weight_decay=0.5)
    for _ in range(150):
        loss = nn.functional.cross_entropy(made(x.float()), bad)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return made
'''

SPEC = """version: 1
audit:
  id: german-{kind}
  title: German credit
  domain: finance
  intended_use: Sorts loan applications by the risk that the loan goes bad; a person decides.
  not_for: Any decision of today; the data are from 1994.
  owner: {{name: A. Tester, role: Owner}}
  seed: 3
model:
  factory: german.py:{factory}
  task: single_label
  scores_are: {scores_are}
  classes: [good, bad]
  input:
    features:{features}
data:
  source: {{kind: table, table: audited.csv, label: outcome, id: row}}
  show: {{images: true, withhold: [credit_amount]}}
slices:
  - {{name: all}}
  - {{name: men, where: {{sex: male}}}}
  - {{name: women, where: {{sex: female}}}}
  - {{name: under-25, where: {{age: {{below: 25}}}}}}
  - {{name: from-25, where: {{age: {{at_least: 25}}}}}}
  - {{name: foreign, where: {{foreign_worker: "yes"}}}}
  - {{name: not-foreign, where: {{foreign_worker: "no"}}}}
cases: {{explain: 8, choose: [random]}}
methods:
  - {{use: shap, target: {{kind: {target}, class: bad}}, evaluations: 128,
     baseline: {{background: 10, slice: all}}}}
  - {{use: lime, target: {{kind: {target}, class: bad}}, samples: 100}}
  - {{use: decision_tree, queries: "off"}}
measures:
  - accuracy
  - {{use: auroc, positive: bad}}
  - {{use: selection_rate, positive: good, reference: men, slices: [women]}}
  - {{use: selection_rate, positive: good, reference: from-25, slices: [under-25]}}
  - {{use: selection_rate, positive: good, reference: not-foreign, slices: [foreign]}}
  - {{use: equal_opportunity, positive: good, reference: men, slices: [women]}}
  - {{use: calibration_by_group, positive: good, reference: men, slices: [women]}}
  - {{use: deletion, steps: 4}}
  - fidelity
reasons: {{adverse: bad, top: 4, seeds: 2, cases: 12, backgrounds: [{{background: 10, slice: from-25}}]}}
criteria:
  - {{id: C1, measure: auroc, at_least: 0.6, minimum_cases: 100, because: agreed}}
  - {{id: C2, measure: selection_rate_ratio, slice: women, at_least: 0.8, minimum_cases: 50, because: our policy}}
  - {{id: C3, measure: equal_opportunity_difference, slice: women, at_least: -0.2, minimum_cases: 50, because: agreed}}
report: {{formats: [html]}}
"""


def write_german(source: Path, folder: Path, kind: str) -> Path:
    """Write spec, factories and both tables of `kind` (boosted or net) into a folder; the path of the spec."""
    table = pd.read_csv(source / "german_credit" / "german_credit.csv")
    table["outcome"] = table["default"].map({0: "good", 1: "bad"})
    table.insert(0, "row", range(len(table)))
    columns = ["row", "outcome", *NUMBERS, *CATEGORIES, *PROTECTED]
    folder.mkdir(parents=True, exist_ok=True)
    table.loc[::2, columns].to_csv(folder / "training.csv", index=False)
    table.loc[1::2, columns].to_csv(folder / "audited.csv", index=False)
    (folder / "german.py").write_text(FACTORIES)
    is_net = kind == "net"
    spec = folder / f"german-{kind}.yaml"
    spec.write_text(
        SPEC.format(
            kind=kind, factory=kind, features=_features(table), scores_are="logit" if is_net else "probability",
            target="margin" if is_net else "prob",
        )
    )  # fmt: skip
    return spec


def _features(table: pd.DataFrame) -> str:
    lines = [f"{{column: {name}, {_title(name)}mean: {mean}, std: {std}}}" for name, (mean, std) in NUMBERS.items()]
    lines += [f"{{column: {name}, {_title(name)}categories: [{_quoted(table[name])}]}}" for name in CATEGORIES]
    return "".join(f"\n      - {line}" for line in lines)


def _title(name: str) -> str:
    return f'title: "{TITLES[name]}", ' if name in TITLES else ""


def _quoted(column: pd.Series[Any]) -> str:
    return ", ".join(f'"{value}"' for value in sorted(column.unique()))

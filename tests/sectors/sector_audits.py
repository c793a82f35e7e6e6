"""Small audits with a sector part: loans with two challengers and planted ties, pictures with planted copies."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from tables import write_table
from tiny import write_audit

MEASURES = """  - accuracy
  - challenger
  - use: challenger
    against: {name: scorecard, table: scorecard.csv, id: case, score: p, threshold: 0.4}
    positive: paid
  - split_integrity
"""
CRITERIA = """criteria:
  - {id: D1, measure: challenger, method: majority, at_least: -0.2, because: agreed, minimum_cases: 10}
  - {id: D2, measure: training_copies, at_most: 0.0, because: agreed, minimum_cases: 10}
  - {id: D3, measure: copies, at_most: 0.5, because: agreed, minimum_cases: 10}
  - {id: D4, measure: split_integrity, at_least: 0.99, because: agreed, minimum_cases: 10}
"""
MEDICAL = """medical:
  device: {en: An aid that reads files., zh-CN: 读取材料的辅助工具。}
  version: "2.1"
  versions_named: {en: Major and minor., zh-CN: 主版本号与次版本号。}
  reference_standard: {text: {en: Paid within a year., zh-CN: 一年内还清。}, readers: 2, blinded: true}
  operating_point:
    positive: paid
    threshold: 0.4
    prevalences: [0.01, 0.2]
    chosen_by: {name: B. Chooser, role: clinical lead, date: 2026-03-02}
    because: {en: It was agreed., zh-CN: 经商定。}
  groups:
    - {name: {en: Sex, zh-CN: 性别}, kind: demographic, slices: [women, men]}
  data_independence: {text: {en: None trained., zh-CN: 均未参与训练。}, by: {name: C. Data, role: data manager}}
  change_plan:
    - {what: {en: New weights., zh-CN: 新权重。}, protocol: {en: Run again., zh-CN: 重新运行。}, criteria: [D1, D2]}
  standards:
    - {name: IEC 62304, applied: false, note: {en: An example., zh-CN: 示例。}}
"""
FINANCE = """finance:
  inventory_id: M-17
  materiality: {en: Small., zh-CN: 小。}
  conceptual_soundness:
    - {topic: {en: Label, zh-CN: 标签}, text: {en: It fits., zh-CN: 适合。}, by: {name: V. Alidator, role: validator}}
  overlays:
    - what: {en: Second look., zh-CN: 复看。}
      why: {en: Few cases., zh-CN: 样本少。}
      by: {name: O. Ver, role: credit officer}
      until: 2027-01-31
  conditions_of_use: [{en: With a person., zh-CN: 须有人参与。}]
  independence: {text: {en: I did not build it., zh-CN: 本人未参与构建。}, by: {name: V. Alidator, role: validator}}
"""
COPIED, NEAR = ("c001", "c002", "c003"), "c010"
"""Loans that are training rows too, and one that is but for a cent."""


def write_loans(folder: Path, sector: str = MEDICAL, domain: str = "medical") -> Path:
    """The loans of tests/tables.py in a sector, with a scorecard and training rows beside them."""
    spec = write_table(folder)
    rows = list(csv.DictReader((folder / "loans.csv").read_text().splitlines()))
    rng = np.random.default_rng(4)
    scores = "".join(f"{row['case']},{rng.random():.4f}\n" for row in rows)
    (folder / "scorecard.csv").write_text("case,p\n" + scores)
    known = [dict(row) for row in rows if row["case"] in (*COPIED, NEAR)]
    known[-1]["income"] = f"{float(known[-1]['income']) + 0.01:.2f}"
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(known)
    text = spec.read_text()
    text = text.replace("  title: Loans paid back\n", f"  title: {{en: Loans, zh-CN: 贷款}}\n  domain: {domain}\n")
    text = text.replace("  seed: 3\n", "  seed: 3\n  languages: [en, zh-CN]\n")
    text = text.replace("  - accuracy\n", MEASURES).replace("data:\n", "data:\n  training: train.csv\n")
    start = text.index("criteria:")
    spec.write_text(text[:start] + CRITERIA + sector)
    return spec


def write_pictures(folder: Path, *, training: bool = True) -> Path:
    """The squares of tests/tiny.py: c00 to c02 trained, c03 all but trained, and c05 is c04 under another name."""
    spec = write_audit(folder, cases=32)
    shutil.copy(folder / "images/4.png", folder / "images/5.png")
    (folder / "train").mkdir()
    for number in range(3):
        shutil.copy(folder / f"images/{number}.png", folder / f"train/known-{number}.png")
    near = np.asarray(Image.open(folder / "images/3.png")).copy()
    near[23, 23] += 1
    Image.fromarray(near).save(folder / "train/near.png")
    text = spec.read_text()
    start, end = text.index("methods:"), text.index("measures:")
    text = text[:start] + text[end:]
    text = text.replace("  - relevance_mass\n", "  - split_integrity\n")
    text = text[: text.index("criteria:")] + (
        "criteria:\n  - {id: S1, measure: split_integrity, at_least: 1.0, because: agreed, minimum_cases: 10}\n"
    )
    if training:
        text = text.replace("data:\n", "data:\n  training: train\n", 1)
    spec.write_text(text.replace("cases: {explain: 9, choose: [random, worst, typical]}\n", ""))
    return spec

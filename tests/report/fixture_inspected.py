"""Real runs of stored predictions with an industrial and with an automotive part: two seconds each, no model."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from fixture_run import Made

from xai_audit.engines.progress import Silent
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

CLASSES = ("good", "scratch", "pit")
PARTS = 240
RATED = 60

HEAD = """version: 1
audit: {{id: {id}, title: {{en: Made-up {id}, zh-CN: 合成数据}}, domain: {domain}, languages: [en, zh-CN],
        owner: {{name: R. Ortiz, role: quality manager}}}}
data:
  source: {{kind: predictions, table: parts.csv, label: label, scores: [good, scratch, pit], id: part}}
  cluster: lot
{data}slices:
  - {{name: all}}
  - {{name: line-b, where: {{line: B}}}}
"""
INDUSTRIAL = """measures: [accuracy, decision_agreement, escape, overkill, appraisers,
  {use: drift_baseline, window: 200}]
industrial:
  part: {name: {en: Bracket, zh-CN: 支架}, characteristic: {en: Surface, zh-CN: 表面}, drawing: D-17 rev C}
  good: good
  defects:
    - {class: scratch, description: {en: A line, zh-CN: 线}, severity: minor}
    - {class: pit, description: {en: A hole, zh-CN: 孔}, severity: critical,
       boundary: {en: Below 0.1 mm, zh-CN: 小于 0.1 毫米}}
  boundary_samples: {count: 7}
  stations:
    - {name: {en: Line B, zh-CN: 产线 B}, camera: {en: Five megapixels, zh-CN: 五百万像素},
       lighting: {en: Dome, zh-CN: 穹顶光}, slice: line-b}
  control_plan: {document: CP-7, revision: B}
  reaction_plan:
    - {when: {en: A pit is found, zh-CN: 发现凹坑}, then: {en: Stop the line, zh-CN: 停线}, who: shift lead,
       criteria: [C1]}
criteria:
  - {id: C1, measure: escape, class: pit, at_most: 0.2, bound: upper, minimum_cases: 20,
     because: {en: Agreed, zh-CN: 已商定}}
  - {id: C2, measure: model_kappa, at_least: 0.95, bound: lower, because: {en: Agreed, zh-CN: 已商定}}
"""
RATINGS = (
    "  appraisers: {table: ratings.csv, case: part, appraiser: who, rating: class, trial: trial, show_names: true}\n"
)
AUTOMOTIVE = """measures: [accuracy]
automotive:
  item: {name: {en: Reader, zh-CN: 识别器}, function: {en: Warns, zh-CN: 提示}}
  operating_domain:
    - dimension: {en: Weather, zh-CN: 天气}
      values:
        - {value: {en: rain, zh-CN: 雨}, slice: line-b}
        - {value: {en: snow, zh-CN: 雪}, not_covered: {en: No pictures, zh-CN: 没有图像}}
  hazards:
    - id: H1
      hazard: {en: A sign is missed, zh-CN: 漏识标志}
      triggering: [{en: rain, zh-CN: 雨}]
      criteria: [C1, C2]
    - {id: H2, hazard: {en: A ghost sign, zh-CN: 误识标志}, triggering: [{en: glare, zh-CN: 眩光}]}
  argument:
    - {id: G1, kind: goal, text: {en: Signs are read, zh-CN: 能读出标志}}
    - {id: S1, kind: strategy, under: G1, text: {en: Over each hazard, zh-CN: 按危害分别论证}}
    - {id: G2, kind: goal, under: S1, text: {en: H1 is rare, zh-CN: H1 罕见}}
    - {id: Sn1, kind: solution, under: G2, text: {en: Accuracy, zh-CN: 准确率}, criteria: [C1]}
    - {id: Sn2, kind: solution, under: G2, text: {en: Accuracy in rain, zh-CN: 雨天准确率}, criteria: [C2]}
    - {id: Sn3, kind: solution, under: G2, text: {en: Seen alone, zh-CN: 单独所见}, evidence: [{measure: accuracy}]}
    - {id: G3, kind: goal, under: S1, text: {en: H2 is rare, zh-CN: H2 罕见}}
    - {id: D1, kind: defeater, under: G2, text: {en: Wipers fail, zh-CN: 雨刷失效}}
  indicators:
    - {id: I1, indicator: {en: Overruled warnings, zh-CN: 被否决的提示}, limit: {en: few, zh-CN: 少},
       source: {en: log, zh-CN: 日志}, then: {en: stop, zh-CN: 停止}}
criteria:
  - {id: C1, measure: accuracy, at_least: 0.5, bound: lower, because: {en: Agreed, zh-CN: 已商定}}
  - {id: C2, measure: accuracy, slice: line-b, at_least: 0.99, bound: lower, because: {en: Agreed, zh-CN: 已商定}}
"""


def industrial_run(folder: Path, data: str = RATINGS, rest: str = INDUSTRIAL) -> Made:
    """240 parts in 40 lots, three people who rated 60 of them twice."""
    return _run(folder, HEAD.format(id="parts", domain="industrial", data=data) + rest)


def automotive_run(folder: Path) -> Made:
    """The same cases called a drive, with an argument of which one leaf is met."""
    return _run(folder, HEAD.format(id="drive", domain="automotive", data="") + AUTOMOTIVE)


def _run(folder: Path, text: str) -> Made:
    draw = np.random.default_rng(3)
    labels = draw.choice(3, PARTS, p=[0.6, 0.25, 0.15])
    scores = draw.normal(size=(PARTS, 3))
    scores[np.arange(PARTS), labels] += 2
    stated = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    rows = [
        (
            f"p{case:03d}",
            CLASSES[labels[case]],
            *map(repr, stated[case].tolist()),
            "AB"[case % 3 == 0],
            f"lot{case // 6}",
        )
        for case in range(PARTS)
    ]
    _write(folder / "parts.csv", ("part", "label", *CLASSES, "line", "lot"), rows)
    ratings = [
        (f"p{case * 4:03d}", who, trial, CLASSES[labels[case * 4] if draw.random() > share else draw.integers(3)])
        for case in range(RATED)
        for who, share in (("Ann", 0.05), ("Bo", 0.3))
        for trial in (1, 2)
    ]
    _write(folder / "ratings.csv", ("part", "who", "trial", "class"), ratings)
    (folder / "audit.yaml").write_text(text, encoding="utf-8")
    loaded = load_spec(folder / "audit.yaml")
    done = run_audit(loaded, Options(out=folder / "out"), Silent())
    where = next(path.parent for path in (folder / "out").glob("*/*/manifest.json"))
    return Made(where, done.run, loaded.spec, done.findings)


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])

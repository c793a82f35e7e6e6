"""A causal spec that loads, and what loading says once something in it is wrong."""

from __future__ import annotations

from pathlib import Path

from xai_audit.errors import CodedProblem, SpecErrors
from xai_audit.spec.load import LoadedSpec, load_text

TABLE = """\
version: 1
audit: {id: line, title: T, domain: industrial, seed: 1}
data:
  source: {kind: table, columns: [shift, humidity, coating, load, defect, n], weight: n, rows: [
    [day, dry, old, 1.5, 0, 30], [night, damp, new, 2.5, 1, 20], [day, damp, new, 2.0, 0, 10]]}
causal:
  variables:
    shift: {role: context, domain: {levels: [day, night]}, source: {column: shift}, time: 0}
    humidity: {role: confounder, domain: {levels: [dry, damp]}, source: {column: humidity}}
    coating: {role: treatment, domain: {levels: [old, new]}, source: {column: coating}}
    load: {role: cause, domain: {range: [1, 5]}, source: {column: load}, actionable: true}
    heat: {role: mediator, domain: {levels: [0, 1]}, source: unmeasured}
    defect: {role: outcome, domain: {levels: [0, 1]}, source: {column: defect}, time: 5}
  edges:
    - shift -> humidity
    - shift -> coating
    - humidity -> defect
    - coating -> defect
    - load -> heat
    - heat -> defect
  missing_edges_reason: {"shift -> defect": "by protocol"}
  queries:
    - {id: crude, ask: association, do: {coating: [old, new]}, on: defect}
    - {id: total, ask: ate, do: {coating: [old, new]}, on: defect, adjust: [humidity]}
    - {id: night, ask: interventional, do: {coating: new}, given: {shift: night}, on: defect}
  checks: {refuters: [{kind: placebo_treatment, at_most: 0.01, absolute: true}]}
criteria:
  - {id: C1, query: total, part: total, at_most: 0.05, because: agreed}
"""
GIVEN = """\
version: 1
audit: {id: bearing, title: T}
causal:
  variables:
    load: {role: cause, domain: {range: [1, 5]}, actionable: decrease}
    shift: {role: context, domain: {levels: [day, night]}}
    oil: {role: cause, domain: {levels: [0, 1]}}
    temp: {role: mediator, domain: {range: [0, 120]}}
    wear: {role: outcome, domain: {range: [0, 100]}}
  edges: [load -> temp, oil -> temp, load -> wear, temp -> wear, shift -> oil]
  mechanisms:
    load: {kind: linear, intercept: 3, weights: {}, noise: {normal: [0, 0.5]}}
    shift: {kind: table, p: [0.6, 0.4]}
    oil: {kind: table, parents: [shift], rows: [{when: {shift: day}, p: [0.5, 0.5]}, {when: {shift: night}, p: [1, 0]}]}
    temp: {kind: linear, intercept: 20, weights: {load: 6, oil: -2}, noise: {normal: [0, 3]}}
    wear: {kind: linear, intercept: 5, weights: {load: 0.5, temp: 0.25}, noise: {normal: [0, 1]}}
  queries:
    - {id: unit, ask: counterfactual, given: {load: 4, oil: 1, temp: 37, wear: 17}, do: {oil: 0}, on: wear}
    - {id: split, ask: nde, do: {load: [4, 5]}, through: [temp], on: wear}
    - {id: path, ask: path_effect, do: {load: [4, 5]}, paths: ["load -> temp -> wear"], on: wear}
    - {id: fix, ask: recourse, given: {load: 4, oil: 1, temp: 37, wear: 17}, on: wear, target: {at_most: 15}}
"""
IMAGES = """\
version: 1
audit: {id: scans, title: T}
model:
  factory: tiny.make
  task: single_label
  classes: [healthy, ill]
  input: {size: [64, 64], channels: 1}
data:
  source: {kind: image_table, table: index.csv, image: file, label: label}
slices: [{name: all}, {name: dark, where: {site: b}}]
causal:
  variables:
    site: {role: context, domain: {levels: [a, b]}, source: {column: site}}
    token: {role: shortcut, domain: {range: [0, 1]}, source: {operator: set_token}}
    blur: {role: shortcut, domain: {range: [0, 4]}, source: {measure: "ops.py:blur"}}
    lesion: {role: cause, domain: {levels: [0, 1]}, source: {column: lesion}}
    image: {role: medium}
    score: {role: model_output, source: {model: {class: ill}}}
  edges: [site -> token, site -> blur, lesion -> image, token -> image, blur -> image, image -> score]
  operators:
    set_token: {call: "ops.py:token", sets: token, range: [0, 1]}
    set_blur: {call: "ops.py:blur", sets: blur, range: [0, 3]}
  queries:
    - {id: token, ask: ate, do: {token: [0, 1]}, on: score, slice: dark}
    - {id: blur, ask: ate, do: {blur: [0, 2]}, on: score, via: set_blur}
  severity: [{via: set_blur, levels: [0, 1, 2]}]
"""


def load(text: str, *edits: tuple[str, str]) -> LoadedSpec:
    """The spec of a text after some replacements, each of which must meet something."""
    for good, other in edits:
        assert good in text, good
        text = text.replace(good, other, 1)
    return load_text(text.encode(), Path("folder/audit.yaml"))


def problems(text: str, *edits: tuple[str, str]) -> list[CodedProblem]:
    """The problems that loading names, each of them coded; empty where the spec loads."""
    try:
        load(text, *edits)
    except SpecErrors as caught:
        found = [problem for problem in caught.problems if isinstance(problem, CodedProblem)]
        assert len(found) == len(caught.problems), str(caught)
        return found
    return []

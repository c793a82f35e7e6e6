"""Every mistake of the causal part: its code, its words, its place; and specs without one."""

from __future__ import annotations

import pytest
from causal_text import GIVEN, IMAGES, TABLE, load, problems

from xai_audit.graphs.graph import Graph
from xai_audit.spec.checks_causal_paths import _shown

EDGE = "    - shift -> humidity\n"
QUERY = "  checks: {refuters"


def query(text: str) -> tuple[str, str]:
    """An edit that adds one query to TABLE."""
    return QUERY, f"    - {text}\n{QUERY}"


TABLE_CASES: dict[str, tuple[tuple[tuple[str, str], ...], str, str]] = {
    "edge of an unknown variable": (
        ((EDGE, EDGE + "    - shfit -> load\n"),),
        "unknown_name causal.edges[1]",
        "'shfit' is not a declared variable (did you mean 'shift'?)",
    ),
    "unknown variable in on": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: defects}"),),
        "unknown_name causal.queries[3].on",
        "'defects' is not a declared variable (did you mean 'defect'?)",
    ),
    "unknown variable in do": (
        (query("{id: q, ask: ate, do: {coting: [old, new]}, on: defect}"),),
        "unknown_name causal.queries[3].do.coting",
        "'coting' is not a declared variable (did you mean 'coating'?)",
    ),
    "unknown operator": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: defect, via: paint}"),),
        "unknown_name causal.queries[3].via",
        "'paint' is not a declared operator",
    ),
    "unknown slice": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: defect, slice: al}"),),
        "unknown_name causal.queries[3].slice",
        "'al' is not a declared slice (did you mean 'all'?)",
    ),
    "unknown query key": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, onn: defect, on: defect}"),),
        "unknown_name causal.queries[3].onn",
        "'onn' is not a query key (did you mean 'on'?)",
    ),
    "unknown role": (
        (("role: context", "role: contxt"),),
        "unknown_name causal.variables.shift.role",
        "'contxt' is not a known role (did you mean 'context'?)",
    ),
    "unknown ask": (
        (query("{id: q, ask: atee, do: {coating: [old, new]}, on: defect}"),),
        "unknown_name causal.queries[3].ask",
        "'atee' is not a known ask (did you mean 'ate'?)",
    ),
    "unknown assumption": (
        (query("{id: q, ask: ate, do: {load: [1, 2]}, on: defect, assume: [lineer]}"),),
        "unknown_name causal.queries[3].assume[0]",
        "'lineer' is not a known assumption (did you mean 'linear'?)",
    ),
    "unknown query in a criterion": (
        (("query: total,", "query: totl,"),),
        "unknown_name criteria[0].query",
        "'totl' is not a declared query (did you mean 'total'?)",
    ),
    "unknown negative control": (
        (("checks: {refuters", "checks: {negative_controls: [shit], refuters"),),
        "unknown_name causal.checks.negative_controls[0]",
        "'shit' is not a declared variable (did you mean 'shift'?)",
    ),
    "variable twice": (
        (("    humidity: {role", "    shift: {role: cause}\n    humidity: {role"),),
        "duplicate causal.variables.shift",
        "'shift' is declared twice, first at line 8",
    ),
    "edge twice": (
        (("    - heat -> defect", "    - heat -> defect\n    - shift ->  humidity"),),
        "duplicate causal.edges[6]",
        "'shift -> humidity' is declared twice, first at line 15",
    ),
    "query id twice": (
        (query("{id: crude, ask: ate, do: {coating: [old, new]}, on: defect}"),),
        "duplicate causal.queries[3].id",
        "'crude' is declared twice, first at line 23",
    ),
    "edge without an arrow": (
        (("- load -> heat", "- load => heat"),),
        "bad_edge causal.edges[4]",
        "cannot read edge 'load => heat': write 'a -> b' or 'a <-> b'",
    ),
    "self loop": (
        ((EDGE, EDGE + "    - load -> load\n"),),
        "self_loop causal.edges[1]",
        "'load' cannot cause itself",
    ),
    "latent self loop": (
        ((EDGE, EDGE + "    - load <-> load\n"),),
        "latent_self_loop causal.edges[1]",
        "'load <-> load' joins a variable to itself",
    ),
    "cycle": (
        ((EDGE, EDGE + "    - defect -> load\n"),),
        "cycle causal.edges[6]",
        "edges form a cycle: defect -> load -> heat -> defect",
    ),
    "back in time": (
        (
            ("source: {column: load}", "source: {column: load}, time: 9"),
            (EDGE, EDGE + "    - load -> shift\n"),
            (", adjust: [humidity]", ""),
        ),
        "time_order causal.edges[1]",
        "edge load -> shift goes back in time (load at 9, shift at 0)",
    ),
    "unmeasured variable in do": (
        (query("{id: q, ask: ate, do: {heat: [0, 1]}, on: defect}"),),
        "latent_query causal.queries[3].do.heat",
        "'heat' is unmeasured: it cannot be in do, on, given, hold or adjust",
    ),
    "do and on": (
        (query("{id: q, ask: ate, do: {defect: [0, 1]}, on: defect}"),),
        "same_variable causal.queries[3].on",
        "'defect' is in both do and on",
    ),
    "do and given": (
        (query("{id: q, ask: interventional, do: {coating: new}, given: {coating: old}, on: defect}"),),
        "same_variable causal.queries[3].given",
        "'coating' is in both do and given",
    ),
    "do and hold": (
        (query("{id: q, ask: cde, do: {coating: [old, new]}, hold: {coating: old}, on: defect}"),),
        "same_variable causal.queries[3].hold",
        "'coating' is in both do and hold",
    ),
    "a level that there is not": (
        (query("{id: q, ask: ate, do: {coating: [old, newer]}, on: defect}"),),
        "out_of_domain causal.queries[3].do.coating[1]",
        "value newer of 'coating' is outside its domain {old, new}",
    ),
    "a number outside its range": (
        (query("{id: q, ask: ate, do: {load: [1, 7.5]}, on: defect}"),),
        "out_of_domain causal.queries[3].do.load[1]",
        "value 7.5 of 'load' is outside its domain [1, 5]",
    ),
    "a text is no number": (
        (query("{id: q, ask: interventional, do: {coating: new}, given: {defect: '1'}, on: load}"),),
        "out_of_domain causal.queries[3].given.defect",
        "value \"1\" of 'defect' is outside its domain {0, 1}",
    ),
    "one level": (
        (("levels: [day, night]", "levels: [day]"),),
        "bad_domain causal.variables.shift.domain",
        "'shift' needs levels (two or more, distinct) or a range with lo < hi",
    ),
    "a level twice": (
        (("levels: [dry, damp]", "levels: [dry, dry]"),),
        "bad_domain causal.variables.humidity.domain",
        "'humidity' needs levels (two or more, distinct) or a range with lo < hi",
    ),
    "a range upside down": (
        (("range: [1, 5]", "range: [5, 1]"),),
        "bad_domain causal.variables.load.domain",
        "'load' needs levels (two or more, distinct) or a range with lo < hi",
    ),
    "no domain": (
        (("domain: {levels: [old, new]}, ", ""),),
        "bad_domain causal.variables.coating",
        "'coating' needs levels (two or more, distinct) or a range with lo < hi",
    ),
    "no source": (
        ((", source: {column: coating}", ""),),
        "source_missing causal.variables.coating",
        "'coating' has no source",
    ),
    "no such column": (
        (("{column: coating}", "{column: cooting}"),),
        "column_missing causal.variables.coating.source.column",
        "column 'cooting' not in data.source; columns are shift, humidity, coating, load, defect, n",
    ),
    "no column of weights": (
        (("weight: n", "weight: count"),),
        "column_missing data.source.weight",
        "column 'count' not in data.source; columns are shift, humidity, coating, load, defect, n",
    ),
    "ate without a contrast": (
        (query("{id: q, ask: ate, do: {coating: new}, on: defect}"),),
        "contrast_shape causal.queries[3].do",
        "ask: ate needs a contrast do: {x: [ref, alt]}",
    ),
    "a contrast of three": (
        (query("{id: q, ask: ate, do: {load: [1, 2, 3]}, on: defect}"),),
        "contrast_shape causal.queries[3].do.load",
        "ask: ate needs a contrast do: {x: [ref, alt]}",
    ),
    "interventional with a contrast": (
        (query("{id: q, ask: interventional, do: {coating: [old, new]}, on: defect}"),),
        "contrast_shape causal.queries[3].do",
        "ask: interventional needs single values",
    ),
    "cate without a list": (
        (query("{id: q, ask: cate, do: {coating: [old, new]}, given: {shift: day}, on: defect}"),),
        "given_shape causal.queries[3].given",
        "ask: cate takes given as a list of variables with levels, one answer a level",
    ),
    "a row on rung 2": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, given: {row: 3}, on: defect}"),),
        "given_shape causal.queries[3].given",
        "ask: ate takes given as a mapping {variable: value}, seen after the change",
    ),
    "counterfactual without mechanisms": (
        (
            ("    - heat -> defect\n", ""),
            query("{id: q, ask: counterfactual, do: {coating: new}, given: {row: 1}, on: defect}"),
        ),
        "rung causal.queries[3].ask",
        "ask: counterfactual needs abduction (counterfactual, recourse, counterfactual_fairness), but the mechanism of "
        "'defect' is unknown: declare one, or if_not_identified: bounds",
    ),
    "no mediator": (
        (query("{id: q, ask: nde, do: {shift: [day, night]}, through: [load], on: defect}"),),
        "not_mediator causal.queries[3].through[0]",
        "'load' is on no directed path from shift to defect",
    ),
    "a path against an arrow": (
        (
            query(
                '{id: q, ask: path_effect, do: {shift: [day, night]}, paths: ["shift -> load -> defect"], on: defect}'
            ),
        ),
        "not_a_path causal.queries[3].paths[0]",
        "'shift -> load -> defect' is not a directed path of the graph",
    ),
    "an open backdoor": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: defect, adjust: [load]}"),),
        "invalid_adjustment causal.queries[3].adjust",
        "{load} is not an adjustment set: path coating <- shift -> humidity -> defect stays open",
    ),
    "adjusting for a mediator": (
        (query("{id: q, ask: ate, do: {shift: [day, night]}, on: defect, adjust: [coating]}"),),
        "invalid_adjustment causal.queries[3].adjust[0]",
        "'coating' is a descendant on a causal path",
    ),
    "monotone on no edge": (
        (
            query(
                "{id: q, ask: ate, do: {coating: [old, new]}, on: defect, "
                "assume: [{monotone: shift -> defect, direction: increasing}]}"
            ),
        ),
        "assumption_scope causal.queries[3].assume[0].monotone",
        "assume: monotone names shift -> defect, which is not an edge between two-level or ordered variables",
    ),
    "linear with named levels": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: defect, assume: [linear]}"),),
        "assumption_scope causal.queries[3].assume[0]",
        "assume: linear needs numeric variables",
    ),
    "no actionable cause": (
        (
            (", actionable: true", ""),
            query("{id: q, ask: recourse, on: defect, target: {at_most: 0}, if_not_identified: bounds}"),
        ),
        "no_actionable causal.queries[3].on",
        "recourse on 'defect': no actionable ancestor",
    ),
    "a refuter without a rule": (
        (("{kind: placebo_treatment, at_most: 0.01, absolute: true}", "{kind: placebo_treatment}"),),
        "refuter_no_rule causal.checks.refuters[0]",
        "refuter 'placebo_treatment' has no limit (at_most, at_least or between): fix the rule before the run",
    ),
    "a reason for an edge that is there": (
        (('"shift -> defect": "by protocol"', '"shift -> coating": "by protocol"'),),
        'reason_edge_exists causal.missing_edges_reason["shift -> coating"]',
        "missing_edges_reason names shift -> coating, but that edge exists",
    ),
    "a given mechanism beside a latent cause": (
        (
            (EDGE, EDGE + "    - load <-> coating\n"),
            (
                "  missing_edges",
                "  mechanisms: {load: {kind: linear, intercept: 1, weights: {}, noise: 0}}\n  missing_edges",
            ),
            ("adjust: [humidity]", "alpha: 0.1"),
        ),
        "latent_mechanism causal.edges[1]",
        "'load <-> coating' cannot be used with given mechanisms: declare the common cause as an unmeasured variable "
        "with its own mechanism",
    ),
    "a key that the question does not read": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: defect, k: 3}"),),
        "query_key causal.queries[3].k",
        "ask: ate does not read k, only recourse, image_counterfactual",
    ),
    "a wrong kind of value": (
        (query("{id: q, ask: ate, do: {coating: [old, new]}, on: 3}"),),
        "form causal.queries[3].on",
        "found the number 3; expected a text",
    ),
}
GIVEN_CASES: dict[str, tuple[tuple[tuple[str, str], ...], str, str]] = {
    "other parents": (
        (("weights: {load: 6, oil: -2}", "weights: {load: 6}"),),
        "parents_differ causal.mechanisms.temp.weights",
        "mechanism of 'temp' uses parents load, the graph says load, oil",
    ),
    "a table for a range": (
        (("kind: linear, intercept: 3, weights: {}, noise: {normal: [0, 0.5]}", "kind: table, p: [1]"),),
        "family_domain causal.mechanisms.load.kind",
        "kind table cannot be used for 'load' with domain [1, 5]",
    ),
    "linear in named levels": (
        (
            ("oil: {role: cause, domain: {levels: [0, 1]}}", "oil: {role: cause, domain: {levels: ['0', '1']}}"),
            ("oil: 1, temp: 37, wear: 17}, do: {oil: 0}", "oil: '1', temp: 37, wear: 17}, do: {oil: '0'}"),
            ("given: {load: 4, oil: 1, temp: 37, wear: 17}, on", "given: {load: 4, oil: '1', temp: 37, wear: 17}, on"),
        ),
        "family_domain causal.mechanisms.temp.kind",
        'kind linear cannot be used for \'oil\' with domain {"0", "1"}',
    ),
    "a combination missing": (
        ((", {when: {shift: night}, p: [1, 0]}", ""),),
        "table_rows causal.mechanisms.oil.rows",
        "table of 'oil': 1 combinations missing, 0 repeated",
    ),
    "a combination twice": (
        (
            (
                "{when: {shift: night}, p: [1, 0]}",
                "{when: {shift: night}, p: [1, 0]}, {when: {shift: night}, p: [0, 1]}",
            ),
        ),
        "table_rows causal.mechanisms.oil.rows",
        "table of 'oil': 0 combinations missing, 1 repeated",
    ),
    "a row that sums to another number": (
        (("{when: {shift: day}, p: [0.5, 0.5]}", "{when: {shift: day}, p: [0.5, 0.4]}"),),
        "table_sum causal.mechanisms.oil.rows[0].p",
        "row {shift: day} sums to 0.9, not 1 (tolerance 1e-9)",
    ),
    "a root that sums to another number": (
        (("p: [0.6, 0.4]", "p: [0.6, 0.400000002]"),),
        "table_sum causal.mechanisms.shift.p",
        "row p sums to 1.000000002, not 1 (tolerance 1e-9)",
    ),
    "no data and no mechanism": (
        (("    shift: {kind: table, p: [0.6, 0.4]}\n", ""),),
        "no_data_no_mechanism causal.mechanisms",
        "no data and no mechanism for shift",
    ),
    "a latent cause without data": (
        (("shift -> oil]", "shift -> oil, load <-> oil]"),),
        "latent_mechanism causal.edges[5]",
        "'load <-> oil' cannot be used with given mechanisms: declare the common cause as an unmeasured variable with "
        "its own mechanism",
    ),
    "a row without data": (
        (("given: {load: 4, oil: 1, temp: 37, wear: 17}, do", "given: {row: 2}, do"),),
        "given_shape causal.queries[0].given",
        "ask: counterfactual takes given as {row: id}, or a mapping of facts {variable: value} seen before the change",
    ),
    "a column without data": (
        (("oil: {role: cause, ", "oil: {role: cause, source: {column: oil}, "),),
        "column_missing causal.variables.oil.source.column",
        "column 'oil' not in data: there are none; columns are none",
    ),
    "an unknown kind of mechanism": (
        (("shift: {kind: table, p", "shift: {kind: tabel, p"),),
        "unknown_name causal.mechanisms.shift.kind",
        "'tabel' is not a known kind (did you mean 'table'?)",
    ),
}
IMAGE_CASES: dict[str, tuple[tuple[tuple[str, str], ...], str, str]] = {
    "two images": (
        (("    score: {role", "    second: {role: medium}\n    score: {role"),),
        "medium_count causal.variables.second.role",
        "one image variable expected, found image, second",
    ),
    "a score with another parent": (
        (("image -> score]", "image -> score, site -> score]"),),
        "medium_count causal.variables.score",
        "model_output 'score' must have the image (or declared inputs) as its only parents",
    ),
    "an operator on no cause of the image": (
        (
            ("sets: blur", "sets: site"),
            (", via: set_blur}", ", answer_by: identification}"),
            ("  severity: [{via: set_blur, levels: [0, 1, 2]}]\n", ""),
        ),
        "operator_target causal.operators.set_blur.sets",
        "operator 'set_blur' sets 'site', which is not a parent of the image",
    ),
    "beyond an operator's range": (
        (("do: {blur: [0, 2]}", "do: {blur: [0, 3.5]}"),),
        "operator_range causal.queries[1].do.blur[1]",
        "operator 'set_blur' reaches [0, 3], the query asks for 3.5",
    ),
    "a ladder beyond the range": (
        (("levels: [0, 1, 2]}]", "levels: [0, 4]}]"),),
        "operator_range causal.severity[0].levels[1]",
        "operator 'set_blur' reaches [0, 3], the query asks for 4",
    ),
    "two operators and no via": (
        (
            ("    set_blur: {call", '    soften: {call: "ops.py:soften", sets: blur}\n    set_blur: {call'),
            (", via: set_blur}", "}"),
        ),
        "operator_ambiguous causal.queries[1].do.blur",
        "'blur' can be set by set_blur, soften: choose one with via",
    ),
    "nothing sets it": (
        (("do: {blur: [0, 2]}, on: score, via: set_blur", "do: {lesion: [0, 1]}, on: score"),),
        "not_manipulable causal.queries[1].do.lesion",
        "'lesion' acts on the image only through image; no operator sets it: give via, a mechanism, or "
        "ask a world query",
    ),
    "an operator that is not built in": (
        (('set_blur: {call: "ops.py:blur"', "set_blur: {call: blurr"),),
        "unknown_name causal.operators.set_blur.call",
        "'blurr' is not a known operator (did you mean 'blur'?)",
    ),
    "a mask that is not declared": (
        (('{call: "ops.py:blur", sets: blur', "{call: blur, parameters: {mask: lungs}, sets: blur"),),
        "unknown_name causal.operators.set_blur.parameters.mask",
        "'lungs' is not a declared mask",
    ),
    "an unknown placebo": (
        (("range: [0, 3]}", "range: [0, 3], placebo: outside}"),),
        "unknown_name causal.operators.set_blur.placebo",
        "'outside' is not a known placebo (did you mean 'outside_view'?)",
    ),
    "unknown operator of a ladder": (
        (("[{via: set_blur, levels", "[{via: set_blurr, levels"),),
        "unknown_name causal.severity[0].via",
        "'set_blurr' is not a declared operator (did you mean 'set_blur'?)",
    ),
    "unknown slice of a query": (
        (("slice: dark}", "slice: drak}"),),
        "unknown_name causal.queries[0].slice",
        "'drak' is not a declared slice (did you mean 'dark'?)",
    ),
}
CASES = [
    *((TABLE, name, *case) for name, case in TABLE_CASES.items()),
    *((GIVEN, name, *case) for name, case in GIVEN_CASES.items()),
    *((IMAGES, name, *case) for name, case in IMAGE_CASES.items()),
]


@pytest.mark.parametrize(("text", "name", "edits", "where", "message"), CASES, ids=[case[1] for case in CASES])
def test_a_mistake_has_its_code_its_place_and_its_words(
    text: str, name: str, edits: tuple[tuple[str, str], ...], where: str, message: str
) -> None:
    """One mistake gives one problem, no other beside it."""
    found = problems(text, *edits)
    assert [f"{one.code} {one.where.split('] ', 1)[1]}" for one in found] == [where]
    assert [one.found for one in found] == [message]
    assert found[0].fix.endswith(".")


@pytest.mark.parametrize("text", [TABLE, GIVEN, IMAGES], ids=["table", "given", "images"])
def test_a_spec_without_a_mistake_loads(text: str) -> None:
    assert problems(text) == []
    assert load(text).spec.causal is not None


def test_an_open_path_is_shown_with_the_arrows_that_leave_it_open():
    """Without z, the path through z <-> y meets at z and is closed; the one through z -> y is open."""
    graph = Graph.of("xyz", [("x", "y"), ("z", "y")], [("x", "z"), ("y", "z")])
    assert _shown(graph, ("x", "z", "y"), ()) == "x <-> z -> y"
    assert _shown(graph, ("x", "z", "y"), ("z",)) == "x <-> z <-> y"

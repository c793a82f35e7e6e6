"""A causal graph drawn: layers from left to right, roles by shape and border, doubtful places by sign and dashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from xai_audit.report.document import Chart, Image, Sentence
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, PALE, drawing, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

Pair = tuple[str, str]
RED = "#9c1c1c"
ROW, LONGEST = 0.52, 16
"""Inches from one variable to the next below, and letters of a name."""
SWEEPS = 8


@dataclass(frozen=True)
class Drawn:
    """What is drawn; every name is a variable."""

    names: Mapping[str, str]
    """Variable: its label."""
    arrows: tuple[Pair, ...]
    arcs: tuple[Pair, ...] = ()
    latent: frozenset[str] = frozenset()
    treatments: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    conditioned: frozenset[str] = frozenset()
    contradicted: tuple[Pair, ...] = ()
    """Pairs without an edge of which the data say that one is missing."""
    held: tuple[Pair, ...] = ()
    """Pairs without an edge of which the data say so too."""
    strong: frozenset[Pair] = field(default_factory=frozenset)
    """Arcs that a hedge is made of."""
    circled: frozenset[str] = frozenset()
    """The variables that a hedge binds."""

    @property
    def key(self) -> str:
        """The same for two drawings that look alike."""
        parts = [getattr(self, each.name) for each in fields(self)]
        return repr([sorted(part) if isinstance(part, frozenset) else part for part in parts])

    @cached_property
    def places(self) -> dict[str, tuple[float, float]]:
        """Column and row of each variable; what points to others stands left of them."""
        import networkx as nx

        graph: Any = nx.DiGraph()
        graph.add_nodes_from(sorted(self.names))
        graph.add_edges_from(sorted(self.arrows))
        layers = [sorted(layer) for layer in nx.topological_generations(graph)]
        for node in graph:
            graph.nodes[node]["layer"] = next(at for at, layer in enumerate(layers) if node in layer)
        for _ in range(SWEEPS):
            layers = _ordered(graph, layers)
        found = nx.multipartite_layout(graph, subset_key="layer", align="vertical")
        columns = {node: float(graph.nodes[node]["layer"]) for node in found}
        rows = {node: at - (len(layer) - 1) / 2 for layer in layers for at, node in enumerate(layer)}
        return {node: (columns[node], rows[node]) for node in sorted(found)}


def _ordered(graph: Any, layers: list[list[str]]) -> list[list[str]]:
    """Each layer by the mean place of what its variables are joined to: fewer lines cross."""
    rows = {node: at - (len(layer) - 1) / 2 for layer in layers for at, node in enumerate(layer)}

    def place(node: str) -> tuple[float, str]:
        joined = [*graph.predecessors(node), *graph.successors(node)]
        return (sum(rows[each] for each in joined) / len(joined) if joined else rows[node]), node

    return [sorted(layer, key=place) for layer in layers]


def graph_chart(context: Context, name: str, drawn: Drawn) -> Image:
    """The graph; one that was drawn before for the same report is used again."""
    known = context.drawn.get(drawn.key)
    if known is None:
        known = context.drawn[drawn.key] = context.sketch(name, paint_graph, (drawn,), graph_alt(context, drawn))
    return known


def paint_graph(pen: Pen, drawn: Drawn) -> Chart:
    """The graph, drawn; the picture holds names alone."""
    columns = max(x for x, _ in drawn.places.values())
    rows = max(y for _, y in drawn.places.values()) - min(y for _, y in drawn.places.values())
    height = 0.66 + ROW * rows
    with drawing(WIDTH, height) as (figure, axes):
        figure.set_layout_engine("none")
        axes.set_position((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        at = {node: _inches(drawn, place, columns) for node, place in drawn.places.items()}
        _absent(axes, drawn, at)
        for pair in drawn.arrows:
            _arrow(axes, drawn, at, pair)
        for pair in drawn.arcs:
            _arc(axes, drawn, at, pair)
        for node in drawn.names:
            _node(axes, drawn, node, at[node])
        return svg(figure)


def _inches(drawn: Drawn, place: tuple[float, float], columns: float) -> tuple[float, float]:
    low = min(y for _, y in drawn.places.values())
    margin = 0.75
    x = WIDTH / 2 if columns == 0 else margin + place[0] * (WIDTH - 2 * margin) / columns
    return x, 0.32 + ROW * (place[1] - low)


def _width(drawn: Drawn, node: str) -> float:
    return 0.28 + 0.066 * len(short(drawn.names[node], LONGEST))


def _arrow(axes: Axes, drawn: Drawn, at: Mapping[str, tuple[float, float]], pair: Pair) -> None:
    """A straight arrow, or a bow where it would run through another variable."""
    bend = 0.0 if not _is_hit(at, pair) else 0.22
    dashes: Any = (0, (3, 2)) if pair[0] in drawn.latent else "solid"
    _line(axes, drawn, at, pair, bend=bend, style="-|>", color=INK, lw=1.1, ls=dashes)


def _arc(axes: Axes, drawn: Drawn, at: Mapping[str, tuple[float, float]], pair: Pair) -> None:
    is_strong = pair in drawn.strong
    _line(axes, drawn, at, pair, bend=-0.35, style="<|-|>", color=ORANGE, lw=1.9 if is_strong else 1.1, ls=(0, (4, 2)))


def _line(
    axes: Axes, drawn: Drawn, at: Mapping[str, tuple[float, float]], pair: Pair, *, bend: float, style: str, **look: Any
) -> None:
    from matplotlib.patches import FancyArrowPatch

    first, second = pair
    patch = FancyArrowPatch(
        _border(drawn, at, first, second, bend), _border(drawn, at, second, first, -bend), arrowstyle=style,
        mutation_scale=9, connectionstyle=f"arc3,rad={bend}", shrinkA=1, shrinkB=1, zorder=2, **look,
    )  # fmt: skip
    axes.add_artist(patch)


def _border(
    drawn: Drawn, at: Mapping[str, tuple[float, float]], node: str, other: str, bend: float
) -> tuple[float, float]:
    """Where a line leaves the frame of a variable; a bow leaves it a little to its side."""
    x, y = at[node]
    dx, dy = at[other][0] - x, at[other][1] - y
    dx, dy = dx + bend * 0.9 * dy, dy - bend * 0.9 * dx
    wider, higher = (0.13, 0.08) if node in drawn.outcomes else (0.0, 0.0)
    half_width, half_height = _width(drawn, node) / 2 + wider, 0.15 + higher
    reach = min(
        half_width / abs(dx) if abs(dx) > 1e-9 else 1e9, half_height / abs(dy) if abs(dy) > 1e-9 else 1e9
    )  # fmt: skip
    return x + dx * min(reach, 0.45), y + dy * min(reach, 0.45)


def _is_hit(at: Mapping[str, tuple[float, float]], pair: Pair) -> bool:
    """Whether a straight line between two variables runs through a third."""
    (x0, y0), (x1, y1) = at[pair[0]], at[pair[1]]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
    for node, (x, y) in at.items():
        if node in pair:
            continue
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
        away = abs((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
        if 0 < along < length and away < 0.25:
            return True
    return False


def _absent(axes: Axes, drawn: Drawn, at: Mapping[str, tuple[float, float]]) -> None:
    """Edges that the graph leaves out and the data were asked about: a cross where they say otherwise."""
    for pair, color, sign, size in (
        *((pair, MUTED, "o", 4.0) for pair in drawn.held),
        *((pair, RED, "x", 9.0) for pair in drawn.contradicted),
    ):
        (x0, y0), (x1, y1) = at[pair[0]], at[pair[1]]
        is_broken = sign == "x"
        axes.plot([x0, x1], [y0, y1], color=color, lw=1.6 if is_broken else 0.6, ls=(0, (1, 2)), zorder=1)
        axes.plot(
            [x0 + 0.42 * (x1 - x0)], [y0 + 0.42 * (y1 - y0)], marker=sign, color=color, ms=size,
            mew=2.2 if is_broken else 0.8, markerfacecolor="white", ls="none", zorder=3,
        )  # fmt: skip


def _node(axes: Axes, drawn: Drawn, node: str, at: tuple[float, float]) -> None:
    from matplotlib.patches import Ellipse, FancyBboxPatch, Rectangle

    (x, y), width = at, _width(drawn, node)
    line: Any = (0, (3, 2)) if node in drawn.latent else "solid"
    look: dict[str, Any] = {"edgecolor": INK, "facecolor": "white", "lw": 1.0, "ls": line, "zorder": 4}
    if node in drawn.treatments:
        axes.add_artist(
            Rectangle(
                (x - width / 2, y - 0.15), width, 0.3, **{**look, "lw": 2.4, "edgecolor": BLUE, "facecolor": PALE}
            )
        )
    elif node in drawn.outcomes:
        axes.add_artist(Ellipse((x, y), width + 0.22, 0.42, **{**look, "lw": 1.6}))
        axes.add_artist(Ellipse((x, y), width + 0.12, 0.34, **{**look, "lw": 0.8, "facecolor": "none"}))
    elif node in drawn.conditioned:
        axes.add_artist(Rectangle((x - width / 2, y - 0.15), width, 0.3, **look))
        axes.add_artist(Rectangle((x - width / 2, y - 0.15), 0.08, 0.3, **{**look, "facecolor": INK}))
        axes.add_artist(Rectangle((x + width / 2 - 0.08, y - 0.15), 0.08, 0.3, **{**look, "facecolor": INK}))
    else:
        box = FancyBboxPatch((x - width / 2 + 0.06, y - 0.09), width - 0.12, 0.18, "round,pad=0.06", **look)
        axes.add_artist(box)
    if node in drawn.circled:
        axes.add_artist(
            Ellipse((x, y), width + 0.34, 0.54, edgecolor=ORANGE, facecolor="none", lw=1.4, ls=(0, (1, 1.5)), zorder=3)
        )
    axes.text(x, y, short(drawn.names[node], LONGEST), ha="center", va="center", fontsize=7.5, zorder=5)


def signs_of(context: Context, drawn: Drawn) -> Sentence:
    """What the shapes in this picture mean; the caption says it, and the picture holds names alone."""
    present = [
        ("arrow", drawn.arrows), ("set", drawn.treatments), ("asked", drawn.outcomes),
        ("conditioned", drawn.conditioned), ("latent", drawn.latent), ("arc", drawn.arcs),
        ("contradicted", drawn.contradicted), ("held", drawn.held), ("hedge", drawn.circled),
    ]  # fmt: skip
    words = [context.label(f"causal.legend.{key}") for key, any_ in present if any_]
    signs = context.words.listed(words or [context.label("causal.legend.arrow")], "semicolon")
    return context.say("causal.graph.caption", signs=signs)


def graph_alt(context: Context, drawn: Drawn) -> str:
    """How many variables and edges, what is set, asked about and conditioned on, and what the data contradict."""
    write = context.numbers.count
    said = [
        context.label("causal.alt.graph").format(
            variables=write(len(drawn.names)), arrows=write(len(drawn.arrows)), arcs=write(len(drawn.arcs))
        )
    ]
    groups = [
        ("set", drawn.treatments), ("asked", drawn.outcomes), ("conditioned", drawn.conditioned),
        ("latent", drawn.latent), ("hedge", drawn.circled),
    ]  # fmt: skip
    for key, members in groups:
        if members:
            named = context.words.listed(drawn.names[node] for node in sorted(members))
            said.append(context.label(f"causal.alt.{key}").format(names=named))
    for key, pairs in (("contradicted", drawn.contradicted), ("held", drawn.held)):
        if pairs:
            listed = context.words.listed([f"{drawn.names[a]} – {drawn.names[b]}" for a, b in pairs], "semicolon")
            said.append(context.label(f"causal.alt.{key}").format(names=listed))
    return context.words.joined(said)


def read_pairs(pairs: Sequence[Sequence[str]]) -> tuple[Pair, ...]:
    """Pairs of a record."""
    return tuple((str(pair[0]), str(pair[1])) for pair in pairs)

"""Recorded graphs: they give what the network gives, keep what is asked for, and are refused where they lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nets
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_audit.errors import Refusal
from xai_audit.model.graph import Graph, Size, check_graph, output_difference, tensors_of

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "gap": (nets.GapNet, ("conv",)),
    "flat": (nets.FlatNet, ("conv",)),
    "residual, in place": (nets.ResidualNet, ("conv1", "norm1", "norm2")),
    "functional": (nets.FunctionalNet, ()),
    "shared activation": (nets.SharedActivation, ("conv2",)),
    "smooth": (nets.SmoothNet, ("body.1", "body.3")),
    "channels-last tokens": (nets.ChannelsLastNet, ("stage1", "stage2.0")),
    "five prefix tokens": (lambda: nets.TokenNet(5, (16, 16)), ("blocks.1.norm1", "blocks.0")),
}


def recorded(make: Callable[[], nn.Module], layers: tuple[str, ...] = (), **spec: object) -> Graph:
    return Graph.record(nets.audit(nets.seeded(make), **spec), layers)


def noise(rows: int, dtype: torch.dtype = torch.float32, size: tuple[int, int] = (16, 16)) -> Tensor:
    return torch.from_numpy(nets.pixels(rows, size=size)).to(dtype)


@pytest.mark.parametrize("name", NETS)
def test_a_graph_gives_what_the_network_gives(name: str) -> None:
    graph = recorded(*NETS[name])
    for rows in (1, 3, 7):
        pixels = noise(rows)
        torch.testing.assert_close(graph.run(pixels).output, graph.model.forward(pixels), rtol=0, atol=1e-6)


def test_a_graph_of_float64_is_exact() -> None:
    graph = Graph.record(nets.audit(nets.seeded(nets.ResidualNet).double()), ("norm1",))
    pixels = noise(3, torch.float64)
    torch.testing.assert_close(graph.run(pixels).output, graph.model.forward(pixels), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, (_, layers) in NETS.items() if layers])
def test_a_layers_node_holds_what_its_hook_sees(name: str) -> None:
    """Also where the network writes into that output later."""
    make, layers = NETS[name]
    graph, pixels, seen = recorded(make, layers), noise(2), {}
    handles = [
        graph.model.module.get_submodule(path).register_forward_hook(
            lambda module, given, output, path=path: seen.update({path: output.clone()})
        )
        for path in layers
    ]
    graph.model.forward(pixels)
    for handle in handles:
        handle.remove()
    assert set(graph.layers) == set(layers)
    kept = graph.run(pixels, graph.layers.values()).kept
    for path, number in graph.layers.items():
        torch.testing.assert_close(kept[number], seen[path], rtol=0, atol=1e-6)


def test_nodes_are_plain_operations_in_order() -> None:
    """Dropout is gone, what was in place is not, and the number of cases is the only open size."""
    graph = recorded(nets.ResidualNet, ("norm1",))
    names = [node.name for node in graph.nodes if node.kind == "call"]
    block = ["aten.conv2d.default", "aten.batch_norm.default"]
    tail = ["aten.add.Tensor", "aten.relu.default", "aten.mean.dim", "aten.linear.default"]
    assert names == [*block, "aten.relu.default", *block, *tail]
    assert graph.nodes[graph.layers["norm1"]].shape == (Size(1), 6, 8, 8)
    assert all(read < node.number for node in graph.nodes for read in node.reads)
    assert [node.number for node in graph.nodes] == list(range(len(graph.nodes)))


def test_constants_are_the_models_own_tensors() -> None:
    graph = recorded(nets.GapNet)
    constants = {node.constant.data_ptr() for node in graph.nodes if node.constant is not None}
    assert constants == {parameter.data_ptr() for parameter in graph.model.module.parameters()}


def test_finishing_from_a_layer_runs_only_what_reads_it() -> None:
    graph = recorded(nets.ResidualNet, ("norm2",))
    number = graph.layers["norm2"]
    pixels = noise(3)
    kept = graph.run(pixels, range(len(graph.nodes))).kept
    reads_before = {read for node in graph.depends_on(number) for read in graph.nodes[node].reads if read < number}
    known = {n: kept[n] for n in {number, *reads_before}}
    ran = graph.finish(known, 3)
    torch.testing.assert_close(ran.output, graph.model.forward(pixels), rtol=0, atol=1e-6)
    calls = [graph.nodes[step].name for step in graph.course(known, graph.outputs).steps]
    assert "aten.conv2d.default" not in calls
    edited = graph.finish({**known, number: torch.zeros_like(kept[number])}, 3).output
    assert not torch.allclose(edited, ran.output)


def test_values_are_let_go_after_their_last_reader() -> None:
    graph = recorded(nets.ResidualNet)
    images = graph.model.normalise(noise(1))
    left = graph.follow(graph.course({graph.input}, graph.outputs), {graph.input: images}, 1)
    open_values = {number for number in left if graph.nodes[number].kind != "constant"}
    assert open_values == {graph.input, *graph.outputs}


def test_what_depends_on_a_node_is_what_changes_with_it() -> None:
    graph = recorded(nets.ResidualNet, ("norm1", "norm2"))
    pixels = noise(2)
    before, after = (graph.run(x, range(len(graph.nodes))).kept for x in (pixels, pixels.flip(2)))
    moved = {n for n, value in before.items() if not torch.equal(value, after[n])}
    assert moved == graph.depends_on(graph.input)
    assert graph.layers["norm1"] not in graph.depends_on(graph.layers["norm2"])


@pytest.mark.parametrize(
    ("form", "output"),
    [
        (lambda z: {"out": z, "aux": z + 1, "none": None}, "out"),
        (lambda z: (z, [z * 2]), 0),
        (lambda z: nets.Output(z), None),
        (lambda z: [z], None),
    ],
    ids=["dict", "tuple", "object with logits", "list"],
)
def test_outputs_of_every_form_are_read_as_the_networks_own(form: Callable[[Tensor], object], output: object) -> None:
    graph = recorded(lambda: nets.Giving(form), ("net.conv",), output=output)
    pixels = noise(3)
    read = graph.model.read(graph.run(pixels).output, 3)
    torch.testing.assert_close(read, graph.model.raw_output(pixels), rtol=0, atol=1e-6)


class Written(nn.Module):
    """Writes through a view of a convolution's output, and into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        y = self.conv(x)
        y.flatten(1)[:, ::3].relu_()
        y[:, 1:3].sub_(0.3)
        scale = torch.tensor([1.0, 2.0, 3.0])
        scale.add_(1)
        return self.head(y.mean((2, 3))) * scale


def test_writing_through_views_is_followed_and_nothing_kept_is_overwritten() -> None:
    graph, pixels = recorded(Written, ("conv",)), noise(3)
    before = pixels.clone()
    for _ in range(2):
        ran = graph.run(pixels, (graph.input, graph.layers["conv"]))
        torch.testing.assert_close(ran.output, graph.model.forward(pixels), rtol=0, atol=1e-6)
    assert torch.equal(pixels, before)
    assert torch.equal(ran.kept[graph.input], pixels)
    conv = graph.model.module.conv
    torch.testing.assert_close(ran.kept[graph.layers["conv"]], F.conv2d(2 * pixels, conv.weight, conv.bias))


class Literal(nn.Module):
    """Writes into a tensor that each forward makes anew from numbers, and into one of its results."""

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.tensor([1.0, 2.0, 3.0])
        scale.add_(1)
        y = x.mean((2, 3)) * scale
        return y.sub_(0.5).relu_()


def test_writing_into_new_tensors_is_not_writing_into_the_network() -> None:
    graph, pixels = recorded(Literal), noise(3)
    for _ in range(2):
        torch.testing.assert_close(graph.run(pixels).output, graph.model.forward(pixels), rtol=0, atol=1e-6)


class Held(nn.Module):
    """Writes into a tensor that it holds without naming it a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(3)

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * 2 + self.seen.add_(1)


class Masked(nn.Module):
    """A table made anew in each forward from parameters alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.net = nn.Parameter(torch.rand(16)), nets.GapNet()

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.outer(self.table, self.table).softmax(1)
        return self.net(x * mask)


def test_what_no_image_reaches_is_a_constant() -> None:
    graph, pixels = recorded(Masked), noise(2)
    names = [node.name for node in graph.nodes if node.kind == "call"]
    assert names == ["aten.mul.Tensor", "aten.conv2d.default", "aten.mean.dim", "aten.linear.default"]
    torch.testing.assert_close(graph.run(pixels).output, graph.model.forward(pixels), rtol=0, atol=1e-6)


class Counting(nn.Module):
    """Asks for the number of cases with len(), which torch.export takes for a fixed number."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nets.GapNet(channels=5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, torch.ones(len(x), 2, 16, 16)], 1)
        return self.net(x.view(len(x) * 5, 256).softmax(1).view(-1, 5, 16, 16))


def test_a_number_of_cases_taken_as_fixed_is_found_by_two_batches() -> None:
    graph = recorded(Counting, ("net.conv",))
    for rows in (1, 2, 4, 9):
        pixels = noise(rows)
        torch.testing.assert_close(graph.run(pixels).output, graph.model.forward(pixels), rtol=0, atol=1e-6)
    assert [node.shape for node in graph.nodes if node.name == "aten.softmax.int"] == [(Size(5), 256)]


def test_a_layer_that_runs_twice_has_no_node() -> None:
    assert set(recorded(nets.SharedActivation, ("act", "conv1")).layers) == {"conv1"}


def test_channels_last_is_recorded_as_it_is() -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet).to(memory_format=torch.channels_last))
    graph, pixels = Graph.record(replace(model, memory_format="channels_last"), ("norm1",)), noise(3)
    ran = graph.run(pixels, graph.layers.values())
    assert ran.kept[graph.layers["norm1"]].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ran.output, graph.model.forward(pixels), rtol=0, atol=1e-6)


class Branching(nn.Module):
    """One forward or another, as `second` says of the input."""

    def __init__(self, second: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.net, self.second = nets.GapNet(), second

    def forward(self, x: Tensor) -> Tensor:
        z = self.net(x)
        return z * 2 if self.second(x) else z


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (lambda x: bool(x.mean() > 0.5), "cannot follow"),
        (lambda x: x.shape[0] > 2, "numbers of cases|away from the network on a batch of 2"),
        (lambda x: x.shape[0] == 1, "away from the network on a batch of 1"),
        (lambda x: len(x) > 4, "other operations for another number of cases"),
        (lambda x: len(x) == 1, "away from the network on a batch of 1"),
        (lambda x: torch.compiler.is_exporting(), "away from the network on a batch of 2"),
        (lambda x: x.detach().numpy().mean() > 0.5, "cannot follow"),
    ],
    ids=["on values", "on the batch", "on one case", "on len", "on len of one", "on being recorded", "through numpy"],
)
def test_a_network_that_branches_is_refused(second: Callable[[Tensor], object], reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        recorded(lambda: Branching(second))


def test_a_network_that_does_not_branch_is_not_refused() -> None:
    """The negative control of the test above."""
    recorded(lambda: Branching(lambda x: x.shape[2] > 2))


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) + torch.rand_like(x[:, :, 0, 0])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (nets.ChangingNet, "writes to its own parameters or buffers"),
        (Held, "writes to its own parameters or buffers"),
        (nets.FailingNet, "no such luck"),
        (Noisy, "away from the network"),
        (lambda: torch.jit.script(nets.GapNet()), "cannot follow"),
    ],
    ids=["own buffer", "own tensor", "failing", "chance", "scripted"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_what_cannot_be_recorded_is_refused_with_the_reason(make: Callable[[], nn.Module], reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as refused:
        recorded(make)
    assert "whole forwards are made" in str(refused.value)


def test_a_graph_with_a_wrong_number_in_it_is_found() -> None:
    graph = recorded(nets.GapNet)
    check_graph(graph)
    wrong = [
        replace(node, constant=node.constant * (1 + 1e-3)) if node.constant is not None else node
        for node in graph.nodes
    ]
    with pytest.raises(Refusal, match="away from the network on a batch of 2"):
        check_graph(replace(graph, nodes=tuple(wrong)))


@pytest.mark.parametrize(
    "make", [nets.ResidualNet, nets.ChangingNet, nets.FailingNet], ids=["whole", "own buffer", "failing"]
)
def test_the_model_is_left_as_found(make: Callable[[], nn.Module]) -> None:
    module = nets.seeded(make).train()
    model = replace(nets.audit(module), module=module.train())
    state = {name: value.clone() for name, value in module.state_dict().items()}
    seed = torch.get_rng_state()
    try:
        Graph.record(model, [name for name, _ in module.named_children()])
    except Refusal:
        assert make is not nets.ResidualNet
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(part.training and not part._forward_hooks for part in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), seed)


def test_differences_are_shares_of_the_largest_output() -> None:
    wanted = torch.tensor([[4.0, torch.nan, torch.inf]])
    assert output_difference([wanted.clone()], [wanted]) == 0
    assert output_difference([torch.tensor([[3.0, torch.nan, torch.inf]])], [wanted]) == 0.25
    assert output_difference([torch.tensor([[4.0, 0.0, torch.inf]])], [wanted]) == float("inf")
    assert output_difference([wanted[0]], [wanted]) == float("inf")
    assert output_difference([], []) == 0


def test_tensors_of_an_output_are_all_found() -> None:
    parts = [torch.tensor(k) for k in range(4)]
    assert [int(t) for t in tensors_of({"a": parts[0], "b": (parts[1], [parts[2]]), "c": None, "d": parts[3]})] == [
        0,
        1,
        2,
        3,
    ]


def test_a_net_with_hooks_of_its_own_is_not_recorded() -> None:
    """They would be called with pictures that hold no numbers; without them the same net is recorded."""
    seen: list[type] = []
    module = nets.seeded(nets.GapNet)
    handle = module.conv.register_forward_hook(lambda *given: seen.append(type(given[2])))
    with pytest.raises(Refusal, match="hooks of its own"):
        Graph.record(nets.audit(module), ())
    assert not seen
    handle.remove()
    Graph.record(nets.audit(module), ())

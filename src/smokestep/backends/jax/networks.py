"""Networks: the parts of one tree of parameters that are networks of their own, and their calls, read off the graph.

A function in JAX is no module, so a network is a branch of the tree (`generator`, `discriminator`) whose parameters
work together; it is looked for only where a step differentiates on several lines, as a game of networks does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from smokestep.evidence.flow import Call, Graph, Op

MOST = 6  # branches: a tree with more of them is one network, a branch for each layer


@dataclass(slots=True)
class Region:
    """The operations of one call: those that read a parameter of the network, and what lies between them."""

    network: str
    first: Op
    inputs: dict[int, None] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)
    ends: dict[int, None] = field(default_factory=dict)  # what its layers made that no later layer of it reads


def with_calls(graph: Graph) -> Graph:
    """The graph with a call for each time that a network ran, if the step has several networks."""
    if len({backward.line for backward in graph.backwards}) < 2:
        return graph
    names = {value.id: value.name for value in graph.values.values() if value.kind == "parameter" and value.name}
    owners = _owners(names)
    if not owners:
        return graph
    return replace(graph, calls=(*graph.calls, *_calls(graph, owners)))


def _owners(names: Mapping[int, str]) -> dict[int, str]:
    """The network of each value that is a parameter; none if the tree is no tree of networks."""
    paths = {name: name.split(".") for name in set(names.values())}
    common = 0
    while len({tuple(path[: common + 1]) for path in paths.values()}) == 1 and paths:
        common += 1
    if not 2 <= len({path[common] for path in paths.values() if len(path) > common}) <= MOST:
        return {}
    if any(len(path) < common + 2 or path[common].isdigit() for path in paths.values()):  # layers, not networks
        return {}
    return {value: ".".join(paths[name][: common + 1]) for value, name in names.items()}


def _calls(graph: Graph, parameters: Mapping[int, str]) -> Iterator[Call]:
    owners = dict(parameters)
    inside: dict[int, Region] = {}  # value -> the call that it was computed in, as long as no other network read it
    regions: list[Region] = []
    for op in graph.ops:
        mine = {owners[read] for read in op.reads if read in owners}
        around = {id(inside[read]): inside[read] for read in op.reads if read in inside}
        if len(mine) != 1:
            if len(around) == 1 and not mine:
                (region,) = around.values()
                inside.update(dict.fromkeys(op.makes, region))
                region.made.update(op.makes)
            continue
        (network,) = mine
        if all(read in owners for read in op.reads):  # a bias that is stretched is a parameter still
            owners.update(dict.fromkeys(op.makes, network))
            continue
        same = [each for each in around.values() if each.network == network]
        region = same[0] if len(same) == 1 else Region(network, op)
        if not same:
            regions.append(region)
        elif len(same) > 1:  # two of its calls meet in a layer of its own: one network that branches
            region = same[0]
        given = [read for read in op.reads if read not in owners and read not in region.made]
        region.inputs.update(dict.fromkeys(given))
        for read in graph.backward_of(op.reads) & region.ends.keys():
            del region.ends[read]
        region.ends.update(dict.fromkeys(op.makes))
        region.made.update(op.makes)
        inside.update(dict.fromkeys(op.makes, region))
    for region in regions:
        if region.inputs and region.ends:
            stack = region.first.stack
            yield Call(
                step=graph.step,
                index=region.first.id,
                model=region.network,
                inputs=tuple((str(at), value) for at, value in enumerate(region.inputs)),
                outputs=tuple(region.ends),
                line=stack[1] if len(stack) > 1 else region.first.caller or region.first.line,
            )

"""Names of a graph's variables and networks, as the report tells them: scopes joined by dots.

A network is a top variable scope that holds several layers; what lies in none belongs to the network "model".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

REST = "model"
# Scopes inside a layer's own; and the variables of one layer.
INNER = re.compile(r"(batch_?norm\w*|layer_?norm\w*|instance_?norm\w*|normalization\w*)$", re.IGNORECASE)
OF_LAYERS = frozenset("weights biases kernel bias gamma beta moving_mean moving_variance depthwise_weights".split())


def dotted(name: str) -> str:
    """The name of a variable as the report tells it."""
    return name.removesuffix(":0").replace("/", ".")


def networks(variables: Iterable[str]) -> Mapping[str, str]:
    """The network of every trainable variable, by the names of their operations."""
    inside: defaultdict[str, set[str]] = defaultdict(set)
    every = list(variables)
    for name in every:
        top, slash, rest = name.partition("/")
        if slash:
            inside[top].add(rest)
    found = {}
    for name in every:
        top, slash, _ = name.partition("/")
        found[name] = top if slash and _several(inside[top]) else REST
    return found


def _several(rest: set[str]) -> bool:
    layers = {each.split("/")[0] for each in rest if "/" in each and not INNER.match(each.split("/")[0])}
    single = {each for each in rest if "/" not in each and each not in OF_LAYERS}
    return bool(layers) or len(single) > 1


def call_of(op_name: str, network: str) -> str | None:
    """Which use of a network an operation belongs to, by its name scope: "generator", "generator_1"; None if none."""
    top = op_name.partition("/")[0]
    return top if re.fullmatch(rf"{re.escape(network)}(_\d+)?", top) else None


def module_of(op_name: str, scopes: frozenset[str]) -> str:
    """The variable scope that an operation was made in, "" if it was made in none: a name scope is no module."""
    parts = [re.sub(r"_\d+$", "", each) for each in op_name.split("/")[:-1]]
    raw = op_name.split("/")[:-1]
    for length in range(len(parts), 0, -1):
        for some in (raw, parts):
            path = "/".join(some[:length])
            if path in scopes:
                return path.replace("/", ".")
    return ""

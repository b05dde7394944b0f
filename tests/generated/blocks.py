"""One block of a generated network: a layer with what stands around it (norm, activation, dropout, residual, gate).

The fault of a program, if it is one of the model's, sits in the block whose number is `draft.at`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .draft import MARK, Draft
from .layers import IMAGE, PADDED, SEQUENCE, VECTOR, Layer

ACTIVATIONS = (
    "torch.tanh({h})",
    "F.relu({h})",
    "F.gelu({h})",
    "F.silu({h})",
    "F.leaky_relu({h})",
    "F.softplus({h})",
    "F.elu({h})",
)
# contiguous: torch 2.13 crashes in the backward of a group norm on channels-last input that needs no gradient
CHANNELS_LAST = "{norm}({h}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()"
TURNED = "{norm}({h}.transpose(1, 2)).transpose(1, 2)"
PLAIN = "{norm}({h})"
NORMS: dict[str, tuple[tuple[str, str], ...]] = {
    "vector": (
        ("nn.BatchNorm1d({o})", PLAIN),
        ("nn.LayerNorm({o})", PLAIN),
        ("nn.GroupNorm(2, {o})", PLAIN),
        ("nn.RMSNorm({o})", PLAIN),
    ),
    "image": (
        ("nn.BatchNorm2d({o})", PLAIN),
        ("nn.GroupNorm(2, {o})", PLAIN),
        ("nn.LayerNorm({o})", CHANNELS_LAST),
        ("nn.InstanceNorm2d({o}, affine=True)", PLAIN),
    ),
    "sequence": (  # the first two read one position alone
        ("nn.LayerNorm({o})", PLAIN),
        ("nn.RMSNorm({o})", PLAIN),
        ("nn.BatchNorm1d({o})", TURNED),
        ("nn.GroupNorm(2, {o})", TURNED),
        ("nn.InstanceNorm1d({o}, affine=True)", TURNED),
    ),
}
CUTS = {
    "detach": "{call}.detach()",
    "data": "{call}.data",
    "tolist": "torch.tensor({call}.tolist())",
    "numpy": "torch.from_numpy({call}.detach().numpy())",
}


@dataclass(frozen=True, slots=True)
class State:
    """What a block is given: the layout of a batch, its width, and the size of an image."""

    layout: str
    width: int
    size: int = 1


@dataclass(frozen=True, slots=True)
class Block:
    """The lines that build a block and those that run it, from the variable `given` to `gives`; and its new state."""

    built: list[str]
    run: list[str]
    after: State


def written(draft: Draft, n: int, state: State, me: str, given: str, gives: str) -> Block:
    """Block number n, as part of the module that is called `me` where it runs."""
    mine = n == draft.at and bool(draft.kind) and not draft.kind.loop
    inside = mine and bool(draft.kind and draft.kind.layers)
    kinds = {"vector": VECTOR, "image": IMAGE, "sequence": SEQUENCE}[state.layout]
    allowed = [name for name in kinds if not draft.padded or name in PADDED]
    carries = n == draft.at and draft.kind is not None and bool(draft.kind.layers)  # also where the loop is at fault
    if carries and draft.kind:
        allowed = [name for name in allowed if name in draft.kind.layers]
    name = draft.pick(allowed)
    same = state.layout == "sequence" or (mine and draft.has("dropped-result")) or draft.yes()
    width = state.width if same else draft.pick([4, 8, 12])
    layer = kinds[name](draft, n, state.width, width, inside)
    after = replace(state, width=width, size=state.size // layer.scale)
    residual = after == state and draft.yes()
    norm, norm_call, place = _norm(draft, after, mine, residual)
    built, reference = _built(draft, n, layer, mine, inside, me)
    if norm:
        built.append(f"self.norm{n} = {norm.format(o=state.width if place == 'pre' else width)}")
    run, read = [], given
    if place == "pre":
        run.append(f"new = {norm_call.format(norm=f'{me}.norm{n}', h=given)}")
        read = "new"
    run += [line.format(h=read) for line in layer.before]
    call = layer.call.format(layer=reference, h=read)
    stages = [norm_call.replace("{norm}", f"{me}.norm{n}")] if place == "post" else []
    stages.append(draft.pick(ACTIVATIONS) if norm.startswith("nn.Instance") or not residual or draft.yes() else "")
    stages.append(_dropout(draft, n, built, me))
    stages.append(_joined(draft, n, built, me, given, residual, place))
    stages.append(norm_call.replace("{norm}", f"{me}.norm{n}").replace("{h}.", "({h}).") if place == "after" else "")
    run += _run(draft, call, read, [stage for stage in stages if stage], gives, mine, inside)
    return Block(built, run, after)


def _norm(draft: Draft, state: State, mine: bool, residual: bool) -> tuple[str, str, str]:
    """What normalises, how it is called, and where: before the layer, behind it, or behind the sum; "" if nothing."""
    norms = NORMS[state.layout]
    alone = state.layout == "sequence" and (draft.causal or draft.padded)
    if mine and draft.has("eval"):
        norm, call = next(each for each in norms if "BatchNorm" in each[0])
    else:
        norm, call = draft.pick([("", ""), *(norms[:2] if alone else norms)])
    if not norm or "Instance" in norm:  # the mean over what an instance norm gives is the same for every sample
        return norm, call, "post" if norm else ""
    return norm, call, draft.pick(["post", "pre", "after"] if residual else ["post", "pre"])


def _built(draft: Draft, n: int, layer: Layer, mine: bool, inside: bool, me: str) -> tuple[list[str], str]:
    """The lines that build the layer, and how it is called where it runs."""
    name, made = f"layer{n}", layer.made
    if mine:
        draft.made = made
    if mine and draft.has("list"):
        kept = draft.pick(["[{made}]", "({made},)"])
        return [f"self.{name} = {kept.format(made=made)}{MARK}"], f"{me}.{name}[0]"
    if mine and draft.has("dict"):
        return [f'self.{name} = {{"main": {made}}}{MARK}'], f'{me}.{name}["main"]'
    return [f"self.{name} = {made}{MARK * inside}"], f"{me}.{name}"


def _dropout(draft: Draft, n: int, built: list[str], me: str) -> str:
    kind = draft.pick(["", "", "module", "function"])
    if kind == "module":
        built.append(f"self.drop{n} = nn.Dropout(0.1)")
        return f"{me}.drop{n}({{h}})"
    return f"F.dropout({{h}}, 0.1, training={me}.training)" if kind else ""


def _joined(draft: Draft, n: int, built: list[str], me: str, given: str, residual: bool, place: str) -> str:
    if not residual:
        return ""
    kind = draft.pick(["sum", "gate", "scale", "zeroed"])
    if kind == "gate":
        built.append(f"self.gate{n} = nn.Parameter(torch.zeros(1))")
        return f"{given} + {me}.gate{n} * {{h}}"
    if kind == "scale":
        built.append(f"self.gate{n} = nn.Parameter(torch.full((1,), 0.5))")
        return f"{me}.gate{n} * {{h}} + {given}"
    if kind == "zeroed" and built[0].startswith(f"self.layer{n} = nn.Linear(") and place != "post":
        built.append(f"nn.init.zeros_(self.layer{n}.weight)")
    return f"{given} + {{h}}"


def _run(draft: Draft, call: str, read: str, stages: list[str], gives: str, mine: bool, inside: bool) -> list[str]:
    """The lines from the layer's call to the block's result, nested or one by one."""
    lines, value = [], call
    mark = inside and not draft.has("softmax-over-batch")
    if mine and draft.has("dropped-result"):
        lines.append(f"{call}{MARK}")
        value = read
    elif mine and draft.has("no-grad"):
        lines += [f"with torch.no_grad():{MARK}", f"    new = {call}{MARK}"]
        value = "new"
    elif mine and draft.fault in CUTS:
        value, mark = CUTS[draft.fault].format(call=call), True
    for stage in stages:
        if value not in ("new", read) and not draft.yes():  # the simple form: one operation a line
            lines.append(f"new = {value}{MARK * mark}")
            value, mark = "new", False
        value = stage.format(h=value)
    lines.append(f"{gives} = {value}{MARK * mark}")
    return lines

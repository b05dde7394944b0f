"""The model of a generated program: how the input comes in, the blocks in one of several code shapes, pool and head."""

from __future__ import annotations

from .blocks import State, written
from .draft import MARK, Draft, indented

WORDS, CLASSES = 11, 3
SHAPES = ("inline", "fresh", "helpers", "list", "sequential")


def model(draft: Draft, outputs: int) -> list[str]:
    """The lines of the classes and functions that make up `Net`."""
    shapes = [each for each in SHAPES if not (draft.padded and each == "sequential")]
    if draft.has("old-input"):
        shapes = ["fresh", "helpers"]
    shape = draft.pick(shapes)
    state, given = _input(draft)
    after, result = _blocks(draft, shape, state, given)
    _output(draft, after, result, outputs)
    return [
        *draft.outside,
        "class Net(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        *indented(draft.built, 2),
        "    def forward(self, x):",
        *indented(draft.run, 2),
    ]


def _input(draft: Draft) -> tuple[State, str]:
    """The state of what goes into the first block, and the variable that holds it."""
    if draft.start == "vector":
        draft.width = draft.pick([4, 6, 8])
        return State("vector", draft.width), "x"
    if draft.start == "image":
        draft.width = draft.pick([4, 2])
        return State("image", draft.width, 6), "x"
    width = draft.pick([8, 12])
    if draft.start == "series":
        draft.built.append(f"self.embed = nn.Linear(4, {width})")
        draft.run.append("h = self.embed(x)")
        return State("sequence", width), "h"
    if draft.start == "bag":
        draft.built.append(f"self.embed = nn.EmbeddingBag({WORDS}, {width})")
        draft.run.append("h = self.embed(x)")
        return State("vector", width), "h"
    pad = ", padding_idx=0" if draft.padded else ""
    draft.built.append(f"self.embed = nn.Embedding({WORDS}, {width}{pad})")
    if draft.padded:
        draft.run.append("pad = x == 0")
    draft.run.append("h = self.embed(x)")
    kind = draft.pick(["", "table", "parameter", "waves"])
    if kind == "table":
        draft.built.append(f"self.position = nn.Embedding({draft.time}, {width})")
        draft.run.append("h = h + self.position(torch.arange(x.shape[1]))")
    elif kind == "parameter":
        draft.built.append(f"self.position = nn.Parameter(0.02 * torch.randn({draft.time}, {width}))")
        draft.run.append("h = h + self.position[: x.shape[1]]")
    elif kind == "waves":
        draft.built.append(f"angles = torch.arange({draft.time})[:, None] / 10 ** torch.linspace(0, 3, {width // 2})")
        draft.built.append('self.register_buffer("waves", torch.cat([angles.sin(), angles.cos()], -1))')
        draft.run.append("h = h + self.waves[: x.shape[1]]")
    return State("sequence", width), "h"


def _blocks(draft: Draft, shape: str, state: State, given: str) -> tuple[State, str]:
    """Write all blocks; the state and the variable of the last one's result."""
    pad = ", pad" if draft.padded else ""
    names: list[str] = []
    before = (state, given)
    for n in range(draft.depth):
        fed, variable = before if draft.has("old-input") and n == draft.at + 1 else (state, given)
        before = (state, given)
        gives = f"h{n + 1}" if shape in ("fresh", "helpers") else "h"
        last = MARK if draft.has("old-input") and n == draft.at else ""
        if shape in ("inline", "fresh"):
            block = written(draft, n, fed, "self", variable, gives)
            draft.built += block.built
            draft.run += [*block.run[:-1], block.run[-1] + last]
        elif shape == "helpers":
            block = written(draft, n, fed, "net", "h", "h")
            draft.built += block.built
            draft.outside += [f"def block{n}(net, h{pad}):", *indented([*block.run, "return h"])]
            draft.run.append(f"{gives} = block{n}(self, {variable}{pad}){last}")
        else:
            block = written(draft, n, fed, "self", "h", "h")
            draft.outside += [
                f"class Block{n}(nn.Module):",
                *indented(["def __init__(self):", "    super().__init__()", *indented(block.built)]),
                *indented([f"def forward(self, h{pad}):", *indented([*block.run, "return h"])]),
            ]
            names.append(f"Block{n}()")
        state, given = block.after, gives
    inside = f"blocks[{draft.at}]." if names else ""
    draft.path = f"model.{inside}layer{draft.at}"
    if shape == "list":
        source = "h" if draft.run else "x"
        draft.built.append(f"self.blocks = nn.ModuleList([{', '.join(names)}])")
        draft.run += [f"h = {source}"] if source != "h" else []
        draft.run += ["for block in self.blocks:", f"    h = block(h{pad})"]
    elif shape == "sequential":
        draft.built.append(f"self.blocks = nn.Sequential({', '.join(names)})")
        draft.run.append(f"h = self.blocks({'h' if draft.run else 'x'})")
    return state, given


def _output(draft: Draft, state: State, h: str, outputs: int) -> None:
    """Write pool and head."""
    over_batch = draft.has("mean-over-batch")
    if draft.task == "segment":
        draft.built.append(f"self.head = nn.Conv2d({state.width}, {outputs}, 1)")
    else:
        pooled, width = _pooled(draft, state, h)
        if pooled != h:
            draft.run.append(f"pooled = {pooled}{MARK * over_batch}")
            h = "pooled"
        draft.built.append(f"self.head = nn.Linear({width}, {outputs})")
        if draft.tied:
            draft.built.append("self.head.weight = self.embed.weight")
    head = f"self.head({h})"
    dim = 1 if draft.task == "segment" else -1
    kind = draft.pick(["function", "module", "variable", "step"]) if draft.has("softmax") else ""
    if kind == "function":
        draft.run.append(f"return torch.softmax({head}, dim={dim}){MARK}")
    elif kind == "module":
        draft.built.append(f"self.normalise = nn.Softmax(dim={dim})")
        draft.run.append(f"return self.normalise({head}){MARK}")
    elif kind == "variable":
        draft.run += [f"scores = {head}", f"probabilities = F.softmax(scores, {dim}){MARK}", "return probabilities"]
    else:
        draft.run.append(f"return {head}")
    if kind == "step":
        draft.late_softmax = True


def _pooled(draft: Draft, state: State, h: str) -> tuple[str, int]:
    """What the head is given, as an expression, and its width."""
    if draft.task in ("tag", "masked", "next") or state.layout == "vector":
        return h, state.width
    if state.layout == "image":
        flat = (f"{h}.flatten(1)", state.width * state.size**2)
        mean = (f"{h}.mean((2, 3))", state.width)
        return draft.pick([mean, (f"F.adaptive_avg_pool2d({h}, 1).flatten(1)", state.width), flat])
    if draft.has("mean-over-batch"):
        return f"{h}.mean(0)", state.width
    if draft.padded:
        mean = f"({h} * ~pad.unsqueeze(-1)).sum(1) / (~pad).sum(1, keepdim=True)"
        top = f'{h}.masked_fill(pad.unsqueeze(-1), float("-inf")).amax(1)'
        return draft.pick([mean, top]), state.width
    return draft.pick([f"{h}.mean(1)", f"{h}.amax(1)", f"{h}[:, -1]"]), state.width

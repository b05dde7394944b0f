"""The kinds of layer that a generated network has: how each is built and called, rightly and with a fault inside.

A layer takes and gives (batch, width), (batch, width, height, width) or (batch, time, width), as its table says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .draft import MARK, Draft, indented

FUTURE = {  # bool or float masks that are true, or minus infinity, where a position must not look
    "triu": "torch.triu(torch.ones({t}, {t}, dtype=torch.bool), diagonal=1)",
    "infinity": 'torch.triu(torch.full(({t}, {t}), float("-inf")), diagonal=1)',
    "tril": "~torch.tril(torch.ones({t}, {t}, dtype=torch.bool))",
    "generated": "nn.Transformer.generate_square_subsequent_mask({t})",
}
PAST = {
    "triu": "torch.tril(torch.ones({t}, {t}, dtype=torch.bool), diagonal=-1)",
    "infinity": 'torch.tril(torch.full(({t}, {t}), float("-inf")), diagonal=-1)',
    "tril": "~torch.tril(torch.ones({t}, {t}, dtype=torch.bool)).T",
    "generated": "nn.Transformer.generate_square_subsequent_mask({t}).T",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """`made` builds it; `call` calls it, where {layer} and {h} are it and its input; `before` goes before that."""

    made: str
    call: str = "{layer}({h})"
    before: tuple[str, ...] = ()
    scale: int = 1  # what it divides the size of an image by


def linear(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    return Layer(f"nn.Linear({i}, {o})")


def double(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    inner = draft.pick(["nn.Tanh()", "nn.SiLU()", "nn.BatchNorm1d(12), nn.GELU()", "nn.LayerNorm(12), nn.Dropout(0.1)"])
    if draft.start in ("series", "tokens"):
        inner = inner.replace("BatchNorm1d", "LayerNorm")
    return Layer(f"nn.Sequential(nn.Linear({i}, 12), {inner}, nn.Linear(12, {o}))")


def folded(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    lazy = not draft.has("eval") and draft.yes()  # the first call, for its shape, moves the running statistics
    draft.dry_run |= lazy
    last = f"nn.LazyLinear({o})" if lazy else f"nn.Linear({2 * i}, {o})"
    conv = "nn.Conv1d(1, 2, 3, padding=1)"
    return Layer(f"nn.Sequential(nn.Unflatten(1, (1, -1)), {conv}, nn.Flatten(), {last})")


def bilinear(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    return Layer(f"nn.Bilinear({i}, {i}, {o})", "{layer}({h}, {h})")


def gated(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    gate = "torch.softmax(self.right(x), dim=-1)" if draft.yes() else "torch.sigmoid(self.right(x))"
    gate = "torch.softmax(self.right(x), dim=0)" if broken and draft.has("softmax-over-batch") else gate
    mark = MARK if broken and draft.has("softmax-over-batch") else ""
    draft.outside += [
        f"class Gated{n}(nn.Module):",
        "    def __init__(self, i, o):",
        "        super().__init__()",
        "        self.left, self.right = nn.Linear(i, o), nn.Linear(i, o)",
        "    def forward(self, x):",
        f"        return self.left(x) * {gate}{mark}",
    ]
    return Layer(f"Gated{n}({i}, {o})")


def image(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    stride = 2 if draft.task != "segment" and not draft.has("dropped-result") and n == 0 and draft.yes() else 1
    strided = f", stride={stride}" if stride > 1 else ""
    return Layer(f"nn.Conv2d({i}, {o}, 3, padding=1{strided})", scale=stride)


def pointwise(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    return Layer(f"nn.Conv2d({i}, {o}, 1)")


def depthwise(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    return Layer(f"nn.Sequential(nn.Conv2d({i}, {i}, 3, padding=1, groups={i}), nn.Conv2d({i}, {o}, 1))")


def recurrent(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    cell = draft.pick(["GRU", "LSTM", "RNN"])
    both = broken and draft.has("bidirectional") or not draft.causal and draft.yes()
    sizes = f"{i}, {o // 2 if both else o}"
    more = ", bidirectional=True" if both else ""
    if draft.yes():
        more += ", num_layers=2, dropout=0.1" if draft.yes() else ", num_layers=2"
    if broken and draft.has("recurrent-batch-first"):
        return Layer(f"nn.{cell}({sizes}{more})", "{layer}({h})[0]")
    if broken and draft.has("view-for-transpose"):
        return Layer(f"nn.{cell}({sizes}{more})", _viewed("{layer}(turned)[0]"), _turned(draft, broken))
    if draft.padded and not draft.causal:
        packed = [
            "def packed(layer, h, pad):",
            "    lengths = (~pad).sum(1)",
            "    given = nn.utils.rnn.pack_padded_sequence(h, lengths, batch_first=True, enforce_sorted=False)",
            "    made = layer(given)[0]",
            "    return nn.utils.rnn.pad_packed_sequence(made, batch_first=True, total_length=h.shape[1])[0]",
        ]
        draft.outside += packed if packed[0] not in draft.outside else []
        return Layer(f"nn.{cell}({sizes}, batch_first=True{more})", "packed({layer}, {h}, pad)")
    if draft.yes():
        return Layer(f"nn.{cell}({sizes}{more})", "{layer}({h}.transpose(0, 1))[0].transpose(0, 1)")
    return Layer(f"nn.{cell}({sizes}, batch_first=True{more})", "{layer}({h})[0]")


def convolution(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    groups = f", groups={i}" if i == o and draft.yes() else ""
    turned = "{h}.transpose(1, 2)"
    if not draft.causal or broken and draft.has("symmetric-convolution"):
        return Layer(f"nn.Conv1d({i}, {o}, 3, padding=1{groups})", f"{{layer}}({turned}).transpose(1, 2)")
    if draft.yes():
        return Layer(f"nn.Conv1d({i}, {o}, 3, padding=2{groups})", f"{{layer}}({turned})[..., :-2].transpose(1, 2)")
    dilation = draft.pick([1, 2])
    dilated = f", dilation={dilation}" if dilation > 1 else ""
    padded = f"F.pad({turned}, ({2 * dilation}, 0))"
    return Layer(f"nn.Conv1d({i}, {o}, 3{dilated}{groups})", f"{{layer}}({padded}).transpose(1, 2)")


def mha(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    heads = draft.pick([1, 2])
    mask, hint = _mask(draft, broken)
    said = [mask and f"attn_mask={mask}{hint}", *_padding(draft, "key_padding_mask"), "need_weights=False"]
    words = ", ".join(each for each in said if each)
    if _time_major(draft, broken):
        call = f"{{layer}}(turned, turned, turned, {words})[0]"
        turn = broken and draft.has("view-for-transpose")
        back = _viewed(call) if turn else f"{call}.transpose(0, 1)"
        return Layer(f"nn.MultiheadAttention({i}, {heads})", back, _turned(draft, turn))
    first = "" if broken and draft.has("attention-batch-first") else ", batch_first=True"
    return Layer(f"nn.MultiheadAttention({i}, {heads}{first})", f"{{layer}}({{h}}, {{h}}, {{h}}, {words})[0]")


def encoder(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    heads = draft.pick([1, 2])
    how = f"{i}, {heads}, {2 * i}, dropout={draft.pick(['0.0', '0.1'])}"
    how += draft.pick(["", ', activation="gelu"']) + draft.pick(["", ", norm_first=True"])
    mask, hint = _mask(draft, broken)
    said = [mask and f"src_mask={mask}{hint}", *_padding(draft, "src_key_padding_mask")]
    words = "".join(f", {each}" for each in said if each)
    if _time_major(draft, broken):
        call = f"{{layer}}(turned{words})"
        turn = broken and draft.has("view-for-transpose")
        back = _viewed(call) if turn else f"{call}.transpose(0, 1)"
        return Layer(f"nn.TransformerEncoderLayer({how})", back, _turned(draft, turn))
    first = "" if broken and draft.has("attention-batch-first") else ", batch_first=True"
    return Layer(f"nn.TransformerEncoderLayer({how}{first})", f"{{layer}}({{h}}{words})")


def _time_major(draft: Draft, broken: bool) -> bool:
    if broken and draft.has("attention-batch-first", "view-for-transpose"):
        return draft.has("view-for-transpose")
    return draft.yes()


def _turned(draft: Draft, viewed: bool) -> tuple[str, ...]:
    if viewed:
        return ("turned = {h}.reshape({h}.shape[1], {h}.shape[0], -1)" + MARK,)
    return ("turned = {h}.transpose(0, 1)",)


def _viewed(call: str) -> str:
    return f"{call}.reshape({{h}}.shape[0], {{h}}.shape[1], -1)"


def _padding(draft: Draft, word: str) -> list[str]:
    return [f"{word}=pad"] if draft.padded and not draft.causal else []


def _mask(draft: Draft, broken: bool) -> tuple[str, str]:
    """The mask as an argument, and what says that it is a causal one."""
    if not draft.causal or broken and draft.has("no-mask"):
        return "", ""
    turned = broken and draft.has("transposed-mask")
    kind = draft.pick(list(FUTURE))
    size = "{h}.shape[1]" if draft.yes() else str(draft.time)
    written = (PAST if turned else FUTURE)[kind].format(t=size)
    return written, "" if turned or draft.yes() else ", is_causal=True"


def attention(draft: Draft, n: int, i: int, o: int, broken: bool) -> Layer:
    """Attention written out, in a class of its own."""
    heads, apart = draft.pick([1, 2]), draft.yes()
    kinds = ["fill", "add", "buffer", "where", *([] if draft.has("transposed-mask") and broken else ["product"])]
    kind = draft.pick(kinds) if draft.causal else draft.pick(["written", "product"])
    over_batch = broken and draft.has("softmax-over-batch")
    kind = "written" if over_batch else kind
    wrong = broken and draft.has("no-mask", "transposed-mask")
    masked = draft.causal and not (wrong and draft.has("no-mask"))
    future, past = FUTURE["triu"].format(t="t"), PAST["triu"].format(t="t")
    hidden = past if wrong else future
    built = ["self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))"]
    split = ["q, k, v = self.q(h), self.k(h), self.v(h)"]
    if not apart:
        built, split = ["self.qkv = nn.Linear(width, 3 * width)"], ["q, k, v = self.qkv(h).chunk(3, dim=-1)"]
    pads = draft.padded and not draft.causal
    if kind == "product":
        said = ", is_causal=True" if masked else ", attn_mask=~pad[:, None, None, :]" if pads else ""
        mixed = [f"h = F.scaled_dot_product_attention(q, k, v{said})" + MARK * wrong]
    else:
        mixed = ["scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])"]
        if masked and kind == "buffer":
            triangle = f"torch.ones({draft.time}, {draft.time})"
            triangle = f"torch.triu({triangle})" if wrong else f"torch.tril({triangle})"
            built += [f'self.register_buffer("mask", {triangle})' + MARK * wrong]
            mixed += ["scores = scores.masked_fill(self.mask[:t, :t] == 0, -1e9)" + MARK * wrong]
        elif masked and kind == "add":
            infinite = (PAST if wrong else FUTURE)["infinity"].format(t="t")
            mixed += [f"mask = {infinite}" + MARK * wrong, "scores = scores + mask" + MARK * wrong]
        elif masked and kind == "where":
            mixed += [f'scores = torch.where({hidden}, float("-inf"), scores)' + MARK * wrong]
        elif masked:
            mixed += [f'scores = scores.masked_fill({hidden}, float("-inf"))' + MARK * wrong]
        if pads:
            mixed += ['scores = scores.masked_fill(pad[:, None, None, :], float("-inf"))']
        mark = MARK if over_batch or (wrong and not masked) else ""
        mixed += [f"weights = torch.softmax(scores, dim={0 if over_batch else -1}){mark}"]
        mixed += ["weights = F.dropout(weights, 0.1, self.training)"] * draft.yes() + ["h = weights @ v"]
    draft.outside += [
        f"class Attention{n}(nn.Module):",
        "    def __init__(self, width, heads):",
        *indented(["super().__init__()", "self.heads = heads", *built, "self.out = nn.Linear(width, width)"], 2),
        f"    def forward(self, h{', pad' * pads}):",
        "        b, t, width = h.shape",
        *indented(split, 2),
        "        q, k, v = (each.view(b, t, self.heads, -1).transpose(1, 2) for each in (q, k, v))",
        *indented(mixed, 2),
        "        return self.out(h.transpose(1, 2).reshape(b, t, width))",
    ]
    return Layer(f"Attention{n}({i}, {heads})", "{layer}({h}" + ", pad" * pads + ")")


Kind = Callable[[Draft, int, int, int, bool], Layer]
VECTOR: dict[str, Kind] = {each.__name__: each for each in (linear, double, gated, bilinear, folded)}
IMAGE: dict[str, Kind] = {each.__name__: each for each in (image, pointwise, depthwise)}
SEQUENCE: dict[str, Kind] = {
    each.__name__: each for each in (linear, recurrent, convolution, attention, mha, encoder, double)
}
PADDED = ("linear", "recurrent", "attention", "mha", "encoder", "double")  # where nothing reads what was padded

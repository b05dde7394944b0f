"""Finds next-token predictions that can read the token they are to predict.

## What it finds
A loss whose target is the model's own input shifted by one or more positions, and a prediction that changes when
exactly the entry that is its target is changed: an attention without a causal mask, or with one that is turned round; a
recurrent layer in both directions; a convolution that looks ahead; a mean over all positions. Where `causal=True` is
declared, any output that changes with a later input.

Where the change also spreads to later positions as it should, or passes through a sum over all of them, it is a
suspicion: the model may encode a sequence and decode the same.

## Why it matters
The network learns to copy its answer. The loss falls far below what is possible, and in generation, where the next
token is not there, the model produces nonsense.

## Bad
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)

    def forward(self, ids):
        x = self.embed(ids)
        y = F.scaled_dot_product_attention(x, x, x)
        return self.head(x + y)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## Good
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)

    def forward(self, ids):
        x = self.embed(ids)
        y = F.scaled_dot_product_attention(x, x, x, is_causal=True)
        return self.head(x + y)

def training():
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    def step(ids):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        loss.backward()
        optimizer.step()
    return smokestep.Training(step, torch.randint(0, 20, (4, 10)))
```

## When to allow it
A task that is to shift a sequence which is all known; or declare `causal=False`.

## Source
"Attention Is All You Need" (2017), section 3.2.3; A. Karpathy, "A Recipe for Training Neural Networks" (2019), on
charting dependencies.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.carriers import RECURRENT, Carrier
from smokestep.evidence.causality import Causality, Promise, Sight
from smokestep.findings import Finding, NotApplicable, Open, Place, Severity

CONSEQUENCES = "attention-softmax multiplied-mask order-blind unshifted-target"
REMEDIES = (
    ("attention", "mask the scores of later positions before softmax"),
    ("scaled_dot_product_attention", "give it is_causal=True, or a mask that keeps the lower triangle"),
    ("multi_head_attention_forward", "give the attention a mask that hides later positions"),
    ("softmax", "normalise the scores over the keys, dim=-1"),
    ("lstm gru rnn_tanh rnn_relu", "leave out bidirectional=True"),
    ("conv1d conv2d conv3d", "pad on the left only, by (kernel_size - 1) * dilation"),
    ("flip", "do not read the sequence backwards"),
)


@check(severity="defect", since="0.1", explains=tuple(CONSEQUENCES.split()))
def future_leak(causality: Causality) -> Iterator[Said]:
    if causality.declared is False:
        yield NotApplicable("declared as not causal")
    elif not (causality.sights or causality.promises):
        yield NotApplicable("no loss has a target that is the model's input shifted in time")
    for sight in causality.sights:
        if sight.skipped:
            yield NotApplicable(f"{sight.model}: {sight.skipped}")
        elif sight.answer and sight.shift > 0 and sight.alone and not _summary(sight):
            yield _leak(sight)
    for promise in causality.promises:
        if promise.skipped:
            yield Open(f"{promise.model} is declared causal: {promise.skipped}")
        elif promise.leaks and not any(s.model == promise.model and s.answer for s in causality.sights):
            yield _broken(promise)


def _summary(sight: Sight) -> bool:
    """An autoencoder: the last state of a recurrent encoder sums up the sequence for its decoder, which is causal."""
    carrier = sight.carrier
    return carrier is not None and carrier.reduces and carrier.op in RECURRENT


def _leak(sight: Sight) -> Finding:
    what = "token" if sight.whole else "value"
    which = f"the next {what} of" if sight.shift == 1 else f"the {what} {sight.shift} positions later in"
    how, hint = _how(sight.carrier)
    # Where a change also spreads as it should, the model may be an encoder and a decoder of the same sequence.
    sure = sight.carrier is not None and not (sight.carrier.reduces or sight.spreads)
    sure = sure and sight.several and not (sight.installed or sight.wraps)
    return Finding(
        f"the target of {sight.model} at each position is {which} `{sight.argument}`, and its prediction changes when "
        f"exactly that {what} is changed: it can copy its answer; {how}",
        where=Place.of(sight.model, sight.definition or sight.line),
        cause=(sight.carrier and sight.carrier.cause) or sight.definition or sight.called,
        hint=hint,
        severity=None if sure else Severity.SUSPICION,
        related=((sight.line, "its loss"),) if sight.line else (),
        data={"shift": sight.shift, "positions": sight.positions},
    )


def _broken(promise: Promise) -> Finding:
    (position, later), *_ = promise.leaks
    how, hint = _how(promise.carrier)
    return Finding(
        f"{promise.model} is declared causal, and its output at position {position} changes with its input from "
        f"position {later} on; {how}",
        where=Place.of(promise.model, promise.line),
        cause=(promise.carrier and promise.carrier.cause) or promise.line,
        hint=hint,
    )


def _how(carrier: Carrier | None) -> tuple[str, str]:
    if carrier is None:
        return "by which operation could not be seen", "look for what mixes positions: attention, recurrence, a mean"
    if carrier.masked and carrier.line:
        how = "its mask lets later positions through"
        return how, "let position i read the positions j <= i: torch.tril(torch.ones(T, T)), and hide where it is 0"
    hint = next(
        (text for names, text in REMEDIES if carrier.op in names.split()), "compute it from earlier positions only"
    )
    unmasked = " without a mask" if carrier.masked is False else ""
    return f"`{carrier.op}`{unmasked} carries it to earlier positions", hint

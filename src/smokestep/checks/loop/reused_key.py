"""Finds a random key that is used more than once: what is drawn from it the second time is what was drawn before.

## What it finds
Within a step, numbers drawn twice from one key by different calls, or drawn from a key that was split (by the same call
of one's own helper: only where the second draw meets what was made of the first, as in two layers in a row); and a key
from which every step draws anew, so that dropout drops the same units and noise is the same in each step.
Keys are compared by their bits, so a copy is the same key.

## Why it matters
Where randomness is a value, nothing moves on by itself. Two layers that share a key drop the same units, noise drawn
from the key of the weights is no noise to them, and a key that is not replaced makes one fixed mask of dropout.

## Bad
```python
import jax, optax
import jax.numpy as jnp

def loss_of(params, key, inputs, targets):
    hidden = jnp.tanh(inputs @ params["w"])
    hidden = hidden * jax.random.bernoulli(key, 0.8, hidden.shape) / 0.8
    return jnp.mean((hidden @ params["v"] - targets) ** 2)

@jax.jit
def step(params, key, batch):
    loss, grads = jax.value_and_grad(loss_of)(params, key, *batch)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), key, loss

def training() -> smokestep.Training:
    first, second, third = jax.random.split(jax.random.key(0), 3)
    params = {"w": jax.random.normal(first, (3, 8)), "v": jax.random.normal(second, (8, 1))}
    inputs = jax.random.normal(third, (8, 3))
    return smokestep.Training(step, (inputs, inputs[:, :1]), state=(params, jax.random.key(1)))
```

## Good
```python
import jax, optax
import jax.numpy as jnp

def loss_of(params, key, inputs, targets):
    hidden = jnp.tanh(inputs @ params["w"])
    hidden = hidden * jax.random.bernoulli(key, 0.8, hidden.shape) / 0.8
    return jnp.mean((hidden @ params["v"] - targets) ** 2)

@jax.jit
def step(params, key, batch):
    key, own = jax.random.split(key)
    loss, grads = jax.value_and_grad(loss_of)(params, own, *batch)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), key, loss

def training() -> smokestep.Training:
    first, second, third = jax.random.split(jax.random.key(0), 3)
    params = {"w": jax.random.normal(first, (3, 8)), "v": jax.random.normal(second, (8, 1))}
    inputs = jax.random.normal(third, (8, 3))
    return smokestep.Training(step, (inputs, inputs[:, :1]), state=(params, jax.random.key(1)))
```

## When to allow it
Common random numbers, on purpose: one noise for two networks that are compared, features drawn once and for all.

## Source
JAX's documentation, "Pseudorandom numbers": "never reuse keys (unless you want identical outputs)".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.flow import Flow
from smokestep.evidence.keys import Keys, Use, twice
from smokestep.findings import Finding, Line, NotApplicable, Place


@check(severity="suspicion", since="0.2")
def reused_key(keys: Keys, flow: Flow) -> Iterator[Said]:
    """Tells, for each line, the first use of a key that had been used already."""
    if not keys.seen:
        yield NotApplicable("there are no random keys: numbers come from generators that move on by themselves")
        return
    told: set[Line | None] = set()
    of: defaultdict[tuple[str, int], list[Use]] = defaultdict(list)
    for use in keys.uses:
        of[use.turn, use.key].append(use)
    for uses in of.values():
        steps = sorted({use.step for use in uses})
        draws = [use for use in uses if use.kind == "draw"]
        for step in steps[:1]:
            graph = next((graph for graph in flow.graphs if graph.step == step), None)
            found = twice([use for use in uses if use.step == step], graph)
            if found is not None and found[1].line not in told:
                told.add(found[1].line)
                yield _finding(found[1], found[0], "draws from a key that was used before in the same step")
        every = sorted({use.step for use in keys.uses if use.turn == uses[0].turn})
        if draws and len(steps) > 1 and steps == every and draws[0].line not in told:
            told.add(draws[0].line)
            yield _finding(
                draws[0], None, f"draws the same numbers in each of {len(steps)} steps: its key is never another"
            )


def _finding(use: Use, first: Use | None, what: str) -> Finding:
    used = first.own if first is not None else ()  # a line that both have in common is a helper's
    before = first.line if first is not None else None
    line = next((each for each in use.own if each not in used), use.caller or use.line)
    return Finding(
        f"`{use.name}` {what}",
        where=Place.of(use.module or None, line),
        cause=line,
        hint="split the key, use each part once, and keep one part for the next step",
        related=((before, "used here already"),) if before and before != line else (),
        data={"key": use.key},
    )

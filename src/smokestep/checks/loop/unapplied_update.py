"""Finds updates that an optimizer computed and that never reached the parameters.

## What it finds
Where an optimizer returns its updates instead of making them (Optax): in every step updates are computed from the
gradients, and no parameter that the step leaves was made with them. The step returns the old parameters, or the result
of `optax.apply_updates` is dropped.

## Why it matters
Arrays there are never changed in place, so a result that is dropped is a step that did not happen. The loss is computed
and logged as ever, the optimizer's own averages move, and the network stays what it was.

## Bad
```python
import jax, optax
import jax.numpy as jnp

optimizer = optax.adam(1e-3)

def loss_of(params, inputs, targets):
    return jnp.mean((inputs @ params["w"] - targets) ** 2)

@jax.jit
def step(params, opt_state, batch):
    loss, grads = jax.value_and_grad(loss_of)(params, *batch)
    updates, opt_state = optimizer.update(grads, opt_state)
    optax.apply_updates(params, updates)
    return params, opt_state, loss

def training() -> smokestep.Training:
    params = {"w": jax.random.normal(jax.random.key(0), (3, 1))}
    inputs = jax.random.normal(jax.random.key(1), (8, 3))
    return smokestep.Training(step, (inputs, inputs[:, :1]), state=(params, optimizer.init(params)))
```

## Good
```python
import jax, optax
import jax.numpy as jnp

optimizer = optax.adam(1e-3)

def loss_of(params, inputs, targets):
    return jnp.mean((inputs @ params["w"] - targets) ** 2)

@jax.jit
def step(params, opt_state, batch):
    loss, grads = jax.value_and_grad(loss_of)(params, *batch)
    updates, opt_state = optimizer.update(grads, opt_state)
    params = optax.apply_updates(params, updates)
    return params, opt_state, loss

def training() -> smokestep.Training:
    params = {"w": jax.random.normal(jax.random.key(0), (3, 1))}
    inputs = jax.random.normal(jax.random.key(1), (8, 3))
    return smokestep.Training(step, (inputs, inputs[:, :1]), state=(params, optimizer.init(params)))
```

## When to allow it
A step that only fills the averages of an optimizer before the training begins.

## Source
Optax's documentation, "Getting started": the updates "can then be applied to the parameters" by `apply_updates`, which
returns new parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

from smokestep.check import Said, check
from smokestep.evidence.fate import abridged
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, NotApplicable, Open, Place


@check(severity="defect", since="0.2", explains=("nothing-trains", "lost-update", "no-step"))
def unapplied_update(steps: Steps) -> Iterator[Said]:
    """Tells every optimizer, or line of one's own, whose updates led nowhere in each step that computed some."""
    made = [event for event in steps.of("update", "manual") if "applied" in event.detail]
    if not made:
        yield NotApplicable("no optimizer returns its updates: those here change the parameters themselves")
        return
    moved = {move.parameter for move in steps.movements if move.update}
    for subject in dict.fromkeys(event.subject for event in made):
        own = [event for event in made if event.subject == subject]
        names = tuple(dict.fromkeys(name for event in own for name in event.parameters))
        if any(event.detail["applied"] for event in own) or moved & set(names) or not names:
            continue
        if len({event.step for event in own}) == 1:
            yield Open("updates were computed in one step alone, and not applied: a loop may compute some in advance")
            continue
        yield Finding(
            f"{abridged(names)}: {len(own)} updates were computed in {steps.count} steps, and none of them reached "
            "what the step leaves: it leaves the old parameters",
            where=Place.of(abridged(names), own[0].line),
            cause=own[0].line,
            hint="assign what `optax.apply_updates(params, updates)` returns, and return it from the step",
            subjects=names,
            data={"updates": len(own)},
        )

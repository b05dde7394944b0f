"""The lab: the model in a recorded step made again on an edited batch, by calling the user's own step up to there.

Nothing of the training moves: its state is a value that is thrown away, and what is changed in place is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
import numpy as np

from smokestep import facts, privacy
from smokestep.backends.jax import trees
from smokestep.backends.jax.calls import modelled, name_of
from smokestep.backends.jax.cells import Turn
from smokestep.backends.jax.declarations import batch_arrays
from smokestep.backends.jax.lab import averages, derivatives, rebuild, statistics, trail, ways
from smokestep.backends.jax.lab.alignment import Rows, align, apart, embedded, results
from smokestep.backends.jax.lab.applied import applying
from smokestep.backends.jax.lab.beside import beside
from smokestep.backends.jax.lab.compare import difference, rounding
from smokestep.backends.jax.lab.edits import described, edited
from smokestep.backends.jax.lab.evaluation import evaluating
from smokestep.backends.jax.lab.keeping import Kept
from smokestep.backends.jax.lab.normalizing import normalizes
from smokestep.backends.jax.lab.replies import right
from smokestep.backends.jax.lab.rerun import Heard, Listener, rerun, stepped
from smokestep.backends.jax.lab.switching import evaluated, switched
from smokestep.backends.jax.lab.views import of_samples, viewed
from smokestep.evidence.alignment import Alignment
from smokestep.evidence.caching import Decoding
from smokestep.evidence.flow import Flow
from smokestep.evidence.roundtrip import Rebuilt, Resumed, Trip
from smokestep.evidence.slopes import Sloped
from smokestep.evidence.switching import Switched
from smokestep.evidence.trials import Difference, Edit, Outcome, Reply, Stepped, Take, Tensor, Touch, Trial
from smokestep.evidence.ways import Way
from smokestep.training import Training
from smokestep.world import NotOffered

ENTRIES = 1 << 16  # entries of a tensor that are told
NORMALIZED = "it normalizes by the batch itself, which may be meant for training alone"
NOWHERE = "the model did not run again as it did in the recording"
FLAG = "whether what it draws is meant for training alone is said by an argument, which cannot be changed"
NO_BATCH = "the step takes no batch that could be varied: give Training the batch"


class JaxLab:
    """The trials of one recording: the models in its last complete step."""

    def __init__(
        self, turns: Sequence[Turn], flow: Flow, kept: Kept, factory: Callable[[], Training] | None, complete: int
    ) -> None:
        self._kept, self._factory, self._trials = kept, factory, list[Trial]()
        self._places, self._turns = list[tuple[str, int]](), turns
        self._noised: set[int] = set()  # trials whose model is given what was drawn, and draws nothing itself
        self._results: list[list[tuple[int, bool]]] = []
        self._direct: list[frozenset[str]] = []
        self._aligned: dict[Alignment, Rows] | None = None
        self._views: list[Touch] = []
        turn = turns[complete - 1] if complete else None
        found = modelled(turn) if turn is not None and kept.training.has_batch else []
        batch = dict(batch_arrays(kept.training.batch)) if found else {}
        for each in found:
            assert turn is not None
            values = flow.graphs[turn.step].values
            given = flow.graphs[turn.step].backward_of(each.run.ids[n] for n in each.model.outputs)
            names = {name_of(turn, value): value for value in sorted(given) if name_of(turn, value) in batch}
            if not names:
                continue
            outputs = [each.run.ids[n] for n in each.model.outputs]
            self._places.append((turn.name, each.position))
            self._results.append(results(each, flow.graphs[turn.step], [batch[n] for n in names]))
            self._direct.append(embedded(names, flow.graphs[turn.step]))
            self._trials.append(
                Trial(
                    index=len(self._trials),
                    step=turn.step,
                    model="the model",
                    arguments=tuple(described(name, batch[name], value) for name, value in names.items()),
                    outputs=tuple(
                        Tensor(f"{i}" if len(outputs) > 1 else "", values[v].shape, values[v].dtype, v)
                        for i, v in enumerate(outputs)
                    ),
                    line=each.line,
                )
            )

    def trials(self) -> tuple[Trial, ...]:
        """The models that can be run again."""
        return tuple(self._trials)

    def run(
        self, trial: int, edits: Sequence[Edit] = (), *, training: bool = False, seed: int = 0, losses: bool = False
    ) -> Outcome:
        """Run the model again on an edited batch; what the user's code raises is told in the outcome."""
        seed = 0 if trial in self._noised else seed  # the noise would be another, and the model the same
        heard, error = self._heard(trial, edits, training, seed, "losses" if losses else "")
        if heard is None:
            return error or Outcome((), NOWHERE)
        found = [
            (f"{i}" if len(heard.model.outputs) > 1 else "", heard.values[n]) for i, n in enumerate(heard.model.outputs)
        ]
        if not training and normalizes(heard):
            return Outcome((), NORMALIZED)
        if heard.drew and seed and not self._kept.living():
            raise NotOffered(FLAG)
        if heard.noised and not heard.drew:
            self._noised.add(trial)
        handle = {"outputs": found, "heard": heard, "eps": rounding(heard)}
        told = tuple(described(name, array) for name, array in found)
        kept = statistics.moved(self._kept, self._turns) if not training else ()
        return Outcome(told, drew=heard.drew or heard.noised, kept=kept, handle=handle)

    def _heard(
        self, trial: int, edits: Sequence[Edit], training: bool, seed: int, watch: str
    ) -> tuple[Heard | None, Outcome | None]:
        name, position = self._places[trial]
        batch, made = edited(self._kept.training.batch, self._whole(trial, edits))
        own = frozenset(id(leaf.value) for leaf in self._kept.arrays().values())
        listener = Listener(made, own, position, watch)
        with self._apart(), ExitStack() as stack:
            if not training:
                stack.enter_context(evaluating(normalization=True, seed=seed))
                for each in self._kept.living():
                    evaluated(each)
            self._views = stack.enter_context(viewed())
            _, error, line = rerun(self._kept, name, batch, listener)
        if listener.heard is None and error is not None:
            return None, Outcome((), facts.told(error).splitlines()[0], line)
        return listener.heard, None

    def _whole(self, trial: int, edits: Sequence[Edit]) -> list[Edit]:
        """The edits, those that pick samples extended to whatever else in the batch has a row for each: labels."""
        mine = {each.name: each.shape for each in self._trials[trial].arguments}
        found: list[Edit] = []
        done: dict[tuple[str, int], set[str]] = {}  # several edits may pick the same samples, each of other arguments
        for edit in edits:
            if isinstance(edit, Take) and edit.arguments and edit.arguments[0] in mine:
                count = mine[edit.arguments[0]][edit.dim]
                beside = [
                    name
                    for name, array in batch_arrays(self._kept.training.batch)
                    if name not in mine
                    and array.ndim > edit.dim
                    and array.shape[edit.dim] == count
                    and not done.get((name, edit.dim), set(edit.arguments)).isdisjoint(edit.arguments)
                ]
                for name in beside:
                    done.setdefault((name, edit.dim), set()).update(edit.arguments)
                edit = Take((*edit.arguments, *beside), edit.dim, edit.indices)
            found.append(edit)
        return found

    @contextmanager
    def _apart(self) -> Iterator[None]:
        with self._kept.preserved():
            yield

    def differences(
        self, one: Outcome, other: Outcome, *, dim: int = 0, at: Sequence[int] | None = None
    ) -> tuple[Difference | None, ...]:
        """For each output, how far the two differ at every index of `dim`; of `other` the indices `at` are taken."""
        if one.error or other.error or len(one.outputs) != len(other.outputs):
            return ()
        pairs = zip(one.handle["outputs"], other.handle["outputs"], strict=True)
        eps = one.handle["eps"]
        return tuple(difference(name, first, second, dim, at, eps) for (name, first), (_, second) in pairs)

    def trail(
        self, trial: int, edits: Sequence[Edit], nudged: Sequence[Edit], *, seeds: tuple[int, int] = (0, 0)
    ) -> tuple[Touch, ...]:
        """Run the model twice, with `edits` and with `nudged`: the operations whose inputs or results differ."""
        one, _ = self._heard(trial, edits, False, seeds[0], "everything")
        other, _ = self._heard(trial, nudged, False, seeds[1], "everything")
        if other is None:
            return of_samples(self._views, nudged)
        return trail.touches(one, other, whole=seeds[0] == seeds[1])

    def stray(self, trial: int, edits: Sequence[Edit], size: int) -> Touch | None:
        """Run the model on `size` samples that are alike: the first operation that gives unlike rows for alike ones."""
        return trail.stray(self._heard(trial, edits, False, 0, "everything")[0], size)

    def entries(self, name: str, edits: Sequence[Edit] = (), *, trial: int | None = None) -> tuple[float, ...]:
        """The entries of a tensor of the batch, edited; none where there are too many."""
        names = [each for each, _ in batch_arrays(self._kept.training.batch)]
        _, made = edited(self._kept.training.batch, edits)
        array = dict(zip(names, made, strict=True)).get(name)
        if array is None or array.size > ENTRIES or trees.is_key(array):
            return ()
        return tuple(float(each) for each in np.asarray(array).reshape(-1))

    def batch(self) -> tuple[Tensor, ...]:
        """The tensors of the training's batch, under the names that edits use."""
        if not self._kept.training.has_batch:
            return ()
        return tuple(described(name, array) for name, array in batch_arrays(self._kept.training.batch))

    def dry(self, edits: Sequence[Edit] = (), *, step: str = "", seed: int = 0, reply: Reply | None = None) -> Stepped:
        """Run one step on an edited batch, for its losses; what it makes of the state is thrown away."""
        listener = Listener((), frozenset())
        if reply is not None:
            name, position = self._places[reply.trial]
            target = dict(batch_arrays(self._kept.training.batch))[reply.target]
            own = frozenset(id(leaf.value) for leaf in self._kept.arrays().values())
            listener = Listener((), own, position, answer=lambda aval: right(reply, target, aval.shape, aval.dtype))
        with self._apart(), evaluating(normalization=False, seed=seed):
            return _stepped(self._kept, step, edits, listener)

    @contextmanager
    def fresh(self, *, seed: int = 0) -> Iterator[Fresh]:
        """A training built afresh by the user's function, else the one at hand, put back at the end of the block."""
        with privacy.guard():
            privacy.seed_everything(seed)
            if self._factory is not None:
                training = self._factory()
                yield Fresh(Kept(training, training.state))
            else:
                with self._kept.preserved():
                    yield Fresh(self._kept)

    def rebuilt(self) -> Rebuilt:
        """Build the training twice with one seed, and make one step of each."""
        return rebuild.rebuilt(self._factory)

    def resume(self) -> Resumed:
        """Not offered."""
        return Resumed(skipped="the state of a JAX training is one tree, which is saved as a whole")

    def aligned(self) -> tuple[Alignment, ...]:
        """The losses whose target is a field of the batch that the model is given, shifted in time."""
        if self._aligned is None:
            self._aligned = {}
            for trial, results in zip(self._trials, self._results, strict=True):
                heard = self._heard(trial.index, (), True, 0, "gradients")[0] if results else None
                fields = [(n, each) for n, each in batch_arrays(self._kept.training.batch) if trial.argument(n)]
                if heard is not None:
                    self._aligned.update(align(heard, trial.index, results, fields, self._direct[trial.index]))
        return tuple(self._aligned)

    def apart(
        self, aligned: Alignment, one: Outcome, other: Outcome, *, sample: int, samples: int
    ) -> tuple[Difference, bool] | None:
        """How far two outcomes differ in the rows of a loss of one sample, and whether they do in another sample."""
        rows = (self._aligned or {}).get(aligned)
        return None if rows is None or one.error or other.error else apart(rows, one, other, sample, samples)

    def decoded(self, trial: int) -> Decoding | None:
        """Not offered."""
        raise NotOffered("decoding with a cache is not made again in JAX yet")

    def averages(self, trial: int, edits: Sequence[Edit] = ()) -> tuple[str, ...]:
        """What NNX modules of the user's keep, and move as averages do when the step is made in evaluation mode."""
        batch, made = edited(self._kept.training.batch, self._whole(trial, edits))

        def step() -> bool:
            listener = Listener(made, frozenset())
            with evaluating(normalization=True):
                return not stepped(self._kept, self._places[trial][0], batch, listener).error

        def given() -> Any:
            heard, _ = self._heard(trial, edits, False, 0, "")
            return [np.asarray(heard.values[n]).tobytes() for n in heard.model.outputs] if heard is not None else None

        with self._apart():
            for each in self._kept.living():
                evaluated(each)
            return averages.averages(self._kept, step, given)

    def modes(self, trial: int) -> Switched:
        """What the class of an NNX module makes of `eval`."""
        return switched(self._kept)

    def round_trip(self, trial: int) -> Trip:
        """Not offered."""
        raise NotOffered("the state of a JAX training is one tree, which is saved as a whole")

    def beside(
        self, trial: int, edits: Sequence[Edit], longer: Sequence[Edit], *, size: int, kept: Sequence[int], by: float
    ) -> tuple[Touch, ...]:
        """The operations that differ between shorter and longer sequences where both have entries."""
        runs = (self._heard(trial, each, False, 0, "everything")[0] for each in (edits, longer))
        return beside(*runs, size, kept, by)

    def attributes(self, trial: int, name: str) -> tuple[tuple[str, float], ...]:
        """None: a model of JAX need be no object."""
        return ()

    def functions(self) -> tuple[Sloped, ...]:
        """Every function with a derivative of its own in what is differentiated, tried alone."""
        if not self._trials and any(op.outer for turn in self._turns for op in turn.ops):
            raise NotOffered(NO_BATCH)
        found = {}
        for trial in self._trials:
            with applying() as seen:
                heard, _ = self._heard(trial.index, (), True, 0, "everything")
            found |= {each.name: each for each in derivatives.tried(heard, seen) if each.name not in found}
        return tuple(found.values())

    def slopes(self, trial: int) -> Sloped:
        """None: all but such functions is differentiated by JAX itself."""
        return Sloped("", self._trials[trial].line, why=derivatives.WHOLE, whole=True)

    def ways(self) -> tuple[Way, ...]:
        """Where something is compiled: one step as written against one that runs operation by operation."""
        if self._factory is None:
            raise NotOffered(rebuild.BUILT)
        with self._apart():
            return ways.ways(self._factory, self._turns)


class Fresh:
    """One training that may be trained."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._start = self._weights()
        self._before = kept.arrays()
        self._way: dict[tuple[str, ...], Any] = {}

    def _weights(self) -> dict[tuple[str, ...], Any]:
        return {
            path: leaf.value
            for path, leaf in self._kept.arrays().items()
            if leaf.role == "leaf" and jax.numpy.issubdtype(leaf.value.dtype, jax.numpy.floating)
        }

    def step(self, edits: Sequence[Edit] = (), *, name: str = "") -> Stepped:
        """Run one step for real."""
        return _stepped(self._kept, name, edits, Listener((), frozenset()))

    def travelled(self) -> float:
        """How far the trained weights are from where they began: the norm of the way, as a share of theirs."""
        now = self._weights()
        wide = {path: np.asarray(each).astype(np.float64) for path, each in self._start.items() if path in now}
        way = sum(float(((np.asarray(now[path]).astype(np.float64) - each) ** 2).sum()) for path, each in wide.items())
        norm = sum(float((each**2).sum()) for each in wide.values())
        return float((way / norm) ** 0.5) if norm else 0.0

    def along(self, share: float) -> None:
        """Put the weights at this share of the way that the first step took, and all else where it was."""
        now = self._kept.arrays()
        self._way = self._way or {
            path: np.asarray(now[path].value).astype(np.float64) - np.asarray(each).astype(np.float64)
            for path, each in self._start.items()
            if path in now
        }
        new = {}
        for path, leaf in now.items():
            then = self._before[path].value if path in self._before else leaf.value
            if path in self._way:
                moved = np.asarray(self._start[path]).astype(np.float64) + share * self._way[path]
                then = jax.numpy.asarray(moved, leaf.value.dtype)
            new[id(leaf.value)] = then
        self._kept.put(new)


def _stepped(kept: Kept, name: str, edits: Sequence[Edit], listener: Listener) -> Stepped:
    if not kept.training.has_batch:
        if edits:
            raise NotOffered(NO_BATCH)
        batch, made = None, []
    else:
        batch, made = edited(kept.training.batch, edits)
    listener.moved = {id(each): each for each in made}
    return stepped(kept, name, batch, listener)

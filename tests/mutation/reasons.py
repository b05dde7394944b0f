"""Why a mutant survives: a reason for one training and operator, else the reason for the operator."""

from __future__ import annotations

from .mutants import Mutant

ANOTHER_WAY = "every parameter still learns along another way, and a gradient that is stopped on purpose looks the same"
SMALLER = "what remains is a smaller network that trains; only the quality of the result can tell"
SCALE = (
    "the gradient is larger by a constant: Adam divides that out, and a rate may have been chosen for it; steps that "
    "are too large are told on request"
)
BEHIND = "samples meet behind the model's output, in the loss, where they may; how they should is not known"
WITHIN = "entries of one sample are exchanged and every shape fits; which belongs where is not in the numbers"
ONE_TERM = "the other terms still train every parameter; that this one is a mere number is not looked for"
PAIRING = "which target belongs to which sample or position is not in the numbers; known only after convergence"
UNKNOWN_SIGN = "no loss whose least value is known, so that which way is down is not known either"
RARER = "one optimizer of several may step, or be cleared, more rarely than three steps show: the verdict is `open`"

OF_OPERATORS: dict[str, str] = {
    "detached": ANOTHER_WAY,
    "data": ANOTHER_WAY,
    "through-numpy": ANOTHER_WAY,
    "through-list": ANOTHER_WAY,
    "under-no-grad": ANOTHER_WAY,
    "dropped-result": "what was computed holds no parameter; that it is read by nothing, a linter tells (F841)",
    "skipped-layer": SMALLER,
    "old-input": "what is left behind holds no parameter; that it is read by nothing, a linter tells (F841)",
    "zeros-for-input": "a model may be fed constants; that then no input of the batch reaches one is not looked for",
    "removed-residual": SMALLER,
    "undetached": "gradient reaches parameters that learn anyway; that it should not, only `trains` can declare",
    "frozen": "a layer frozen before the optimizer is built is what fine-tuning does; told if `trains` declares it",
    "zero-weight": "where its gradient is not zero it leaves zero at the first step; last layers and gates begin so",
    "constant-weight": "equal weights are not looked for at present",
    "removed-activation": SMALLER,
    "evaluation-mode": "what tells the modes apart is the user's own module, or noise that some leave out on purpose",
    "removed-mask": "nothing else in the batch shows what the mask hid",
    "inverted-mask": "no mask over time: the half of a matrix that a parametrization reads",
    "softmax-dimension": BEHIND,
    "reduced-dimension": BEHIND,
    "reshaped": WITHIN,
    "other-permutation": WITHIN,
    "unshifted": "no shift along time: neighbours, differences or pairs, where either side may be dropped",
    "unsqueezed": "the dimension is averaged away, or meets values that are not the batch's own",
    "target-with-dimension": "one value meets one value, or the target has one row",
    "double-softmax": "the loss's own function is given something that squashes it again, and no row sums to 1",
    "swapped-arguments": "the loss is symmetrical: the gradient is the same but for rounding",
    "shifted-target": PAIRING,
    "zeros-for-target": "targets may be constant: a residual that must vanish, one class of a discriminator",
    "own-target": ONE_TERM,
    "sum-for-mean": SCALE,
    "undivided": SCALE,
    "item": ONE_TERM,
    "flipped-sign": UNKNOWN_SIGN,
    "rewrapped-loss": "another loss still trains the same parameters",
    "no-zero-grad": RARER,
    "cleared": RARER,
    "no-step": RARER,
    "step-not-called": RARER,
    "no-backward": RARER,
    "early-step": RARER,
    "part-of-parameters": "the parameters left out are trained by another optimizer, or frozen anyway",
    "thousandfold-rate": "the steps stay below what is told on request; that a rate is too high shows after many steps",
    "tiny-rate": "the steps are seen to arrive; that they are too small for the time at hand shows after many steps",
    "maximized": UNKNOWN_SIGN,
    "seeded-step": "what is drawn behind the seed is the same in every step of the right training too",
}
PIECES = "its target is put together from pieces: no shift against the input is seen unless `causal=True` declares it"
OF_MUTANTS: dict[tuple[str, str], str] = {
    ("inverted-mask", "several_documents_packed_into_one_row"): PIECES,
    ("softmax-dimension", "several_documents_packed_into_one_row"): PIECES,
    (
        "softmax-dimension",
        "teacher_forcing_with_the_shift_inside_the_model",
    ): "the model is given its own target, so that nothing else confirms which dimension counts the samples",
    (
        "reduced-dimension",
        "experts_with_room_for_groups_of_tokens",
    ): "its samples meet on purpose, where the experts count their room: that they meet once more is not told apart",
    ("reshaped", "own_parametrization_and_orthogonal"): "no data: the two halves of a weight",
    ("other-permutation", "own_parametrization_and_orthogonal"): "no data: the two halves of a weight",
    ("reshaped", "head_used_only_by_another_method"): BEHIND,
    ("reshaped", "ctc_over_padded_frames"): BEHIND,
}


def reason(mutant: Mutant) -> str:
    """The reason, or that nobody has looked yet."""
    return OF_MUTANTS.get((mutant.operator, mutant.entry)) or OF_OPERATORS.get(mutant.operator, "not looked at yet")

"""The training around a generated model: data, loss, optimizer, schedule, and the step in one of two code shapes."""

from __future__ import annotations

from .draft import MARK, Draft, indented
from .networks import CLASSES, WORDS

OPTIMIZERS = (
    "torch.optim.SGD({p}, lr=0.05)",
    "torch.optim.SGD({p}, lr=0.05, momentum=0.9, nesterov=True)",
    "torch.optim.Adam({p}, lr=0.01)",
    "torch.optim.AdamW({p}, lr=0.01, weight_decay=0.1)",
    "torch.optim.RMSprop({p}, lr=0.01)",
    "torch.optim.SGD({p}, lr=0.05, weight_decay=1e-3)",
    "torch.optim.Adam({p}, lr=0.01, amsgrad=True)",
    "torch.optim.RMSprop({p}, lr=0.01, momentum=0.9)",
)
SCHEDULERS = (
    "torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)",
    "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)",
    "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))",
    "torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5)",
    "torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=20)",
)


# What autocast on a CPU leaves out, or what not every processor has in low precision.
FULL = ("nn.Bilinear", "nn.GRU", "nn.LSTM", "nn.RNN")


def training(draft: Draft) -> list[str]:
    """The lines of `training`, and before it those of a class that holds the loop, if there is one."""
    pick = draft.pick
    fit = draft.yes()
    me = "self." if fit else ""
    low = pick([False, False, True])
    draft.low = (
        low
        and not draft.has("numpy")
        and not any(each in line for each in FULL for line in [*draft.built, *draft.outside])
    )
    data, loss = _data(draft), _loss(draft, f"{me}model")
    scheduler = pick(["", *SCHEDULERS])
    made = _optimizer(draft)
    after = _afterwards(draft)
    step = _step(draft, me, loss, bool(scheduler))
    scheduled = [f"scheduler = {scheduler}"] if scheduler else []
    dry = ["model(x)  # lazy layers take their shape"] if draft.dry_run else []
    first, batch = data[:-1], data[-1]
    declared = ', model=model, trains=["*"]' if draft.has("frozen") else ""
    start = ["def training():", *indented(["model = Net()", *first, *dry, *_frozen(draft), *made, *scheduled, *after])]
    if not fit:
        return [
            *start,
            *indented(["def step(batch):", *indented(step)]),
            f"    return smokestep.Training(step, {batch}{declared})",
        ]
    names = ["model", "optimizer", *(["scheduler"] if scheduler else [])]
    return [
        "class Trainer:",
        f"    def __init__(self, {', '.join(names)}):",
        *indented([f"self.{name} = {name}" for name in names], 2),
        "    def fit(self, batch):",
        *indented(step, 2),
        *start,
        f"    return smokestep.Training(Trainer({', '.join(names)}).fit, {batch}{declared})",
    ]


def outputs(draft: Draft) -> int:
    """How many outputs the head has."""
    return {"regress": 1, "binary": 1, "masked": WORDS, "next": WORDS}.get(draft.task, CLASSES)


def _data(draft: Draft) -> list[str]:
    """Lines that make one batch; the last is the batch itself."""
    b, t = draft.batch, draft.time
    if draft.start in ("tokens", "bag"):
        length = t + 1 if draft.task == "next" else t
        lines = [f"x = torch.randint(1, {WORDS}, ({b}, {length}))"]
        if draft.padded:
            lines += [f"for row in range({b}):", f"    x[row, {max(2, t - 3)} + row % 4 :] = 0"]
    elif draft.start == "series":
        lines = [f"x = torch.randn({b}, {t}, 4)"]
    elif draft.start == "image":
        lines = [f"x = torch.randn({b}, {draft.width}, 6, 6)"]
    else:
        lines = [f"x = torch.randn({b}, {draft.width})"]
    if draft.task == "next":
        return [*lines, "x"]
    if draft.task == "masked":
        hidden = [f"hidden = torch.rand({b}, {t}) < 0.3", "hidden[:, 1] = True"]
        if draft.padded:
            hidden.append("hidden = hidden & (x != 0)")
        return [*lines, *hidden, "y = x.masked_fill(~hidden, -100)", "x = x.masked_fill(hidden, 10)", "(x, y)"]
    shape = {"segment": f"{b}, 6, 6", "tag": f"{b}, {t}"}.get(draft.task, f"{b},")
    if draft.task in ("classify", "segment", "tag"):
        lines.append(f"y = torch.randint(0, {CLASSES}, ({shape}))")
        if draft.task == "tag" and draft.padded:
            lines.append("y = y.masked_fill(x == 0, -100)")
    elif draft.task == "binary":
        lines.append(f"y = torch.randint(0, 2, ({b}, 1)).float()")
    else:
        lines.append(f"y = torch.randn({b}, 1)")
    return [*lines, "(x, y)"]


def _loss(draft: Draft, model: str) -> list[str]:
    """Lines from a batch `x`, `y` (or `x` alone, of tokens) to `loss`."""
    pick, task = draft.pick, draft.task
    if task == "next":
        return _next(draft, model)
    if task in ("regress", "binary"):
        losses = {
            "regress": [
                "F.mse_loss({o}, {y})",
                "F.smooth_l1_loss({o}, {y})",
                "nn.HuberLoss()({o}, {y})",
                "(({o} - {y}) ** 2).mean()",
            ],
            "binary": [
                "F.binary_cross_entropy_with_logits({o}, {y})",
                "nn.BCEWithLogitsLoss()({o}, {y})",
                *([] if draft.low else ["F.binary_cross_entropy(torch.sigmoid({o}), {y})"]),  # refused under autocast
            ],
        }[task]
        o, y = pick([(f"{model}(x)", "y"), (f"{model}(x).squeeze(-1)", "y.squeeze(-1)")])
        return [f"loss = {pick(losses).format(o=o, y=y)}"]
    out = f"{model}(x)"
    lines, mark = [], ""
    dim = 1 if task == "segment" else -1
    if draft.late_softmax:
        out, mark = f"F.softmax({out}, dim={dim})", MARK
    if draft.yes():
        lines, out, mark = [f"scores = {out}{mark}"], "scores", ""
    y = "y"
    if task in ("tag", "masked"):
        out, y = pick(
            [
                (f"{out}.flatten(0, 1)", "y.flatten()"),
                (f"{out}.transpose(1, 2)", "y"),
                (f"{out}.reshape(-1, {outputs(draft)})", "y.reshape(-1)"),
            ]
        )
    losses = [
        "F.cross_entropy({o}, {y})",
        "nn.CrossEntropyLoss()({o}, {y})",
        "F.cross_entropy({o}, {y}, label_smoothing=0.1)",
    ]
    if not draft.has("softmax"):
        losses.append(f"F.nll_loss(F.log_softmax({{o}}, dim={-1 if y != 'y' else 1}), {{y}})")
    return [*lines, f"loss = {pick(losses).format(o=out, y=y)}{mark}"]


def _next(draft: Draft, model: str) -> list[str]:
    """The loss of a language model: the target is the input, shifted by one."""
    pick = draft.pick
    ignored = ", ignore_index=0" if draft.padded else ""
    late = ("F.softmax(", ", dim=-1)") if draft.late_softmax else ("", "")
    mark = MARK if draft.late_softmax else ""
    if draft.has("unshifted"):
        same = pick(["x[:, :-1]", "x[:, 1:]"])
        lines = [f"logits = {model}({same})"]
        target, wrong = pick([f"{same}.reshape(-1)", f"{same}.flatten()"]), MARK
    elif pick([True, False]):
        lines = [f"logits = {late[0]}{model}(x[:, :-1]){late[1]}{mark}"]
        target, wrong = pick(["x[:, 1:].reshape(-1)", "x[:, 1:].flatten()"]), ""
    else:
        lines = ["inputs = x[:, :-1]", f"logits = {late[0]}{model}(inputs){late[1]}{mark}", "logits = logits[:, :-1]"]
        target, wrong = "inputs[:, 1:].reshape(-1)", ""
    out = pick([f"logits.reshape(-1, {WORDS})", "logits.flatten(0, 1)"])
    return [*lines, f"loss = F.cross_entropy({out}, {target}{ignored}){wrong}"]


def _frozen(draft: Draft) -> list[str]:
    """Lines that freeze a layer before the optimizer is built."""
    if draft.has("frozen"):
        loop = [f"for parameter in {draft.path}.parameters():", f"    parameter.requires_grad = False{MARK}"]
        return draft.pick([[f"{draft.path}.requires_grad_(False){MARK}"], loop])
    return [f"{draft.path}.requires_grad_(False){MARK}"] if draft.has("frozen-group") else []


def _optimizer(draft: Draft) -> list[str]:
    made = draft.pick(OPTIMIZERS)
    if draft.has("frozen-group"):
        lines = [
            f"own = list({draft.path}.parameters())",
            "rest = [each for each in model.parameters() if not any(each is other for other in own)]",
        ]
        groups = '[{"params": own, "lr": 0.001}, {"params": rest}]'
        return [*lines, f"optimizer = {made.format(p=groups)}{MARK}"]
    mark = MARK * draft.has("replaced")
    kind = draft.pick(["all", "list", "decay"])
    if kind == "decay":
        lines = [
            "matrices = [each for each in model.parameters() if each.ndim > 1]",
            "others = [each for each in model.parameters() if each.ndim < 2]",
        ]
        groups = '[{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]'
        return [*lines, f"optimizer = {made.replace(', weight_decay=0.1', '').format(p=groups)}{mark}"]
    given = "list(model.parameters())" if kind == "list" else "model.parameters()"
    return [f"optimizer = {made.format(p=given)}{mark}"]


def _afterwards(draft: Draft) -> list[str]:
    """Lines between the optimizer and the step."""
    if draft.has("replaced"):
        lazy = "Lazy" in draft.made
        made = draft.pick([f"copy.deepcopy({draft.path})", *([] if lazy else [draft.made])])
        return [f"{draft.path} = {made}{MARK}"]
    draft.eval_first = draft.has("eval") and draft.yes()
    if draft.eval_first:
        return [f"model.eval(){MARK}"]
    return []


def _step(draft: Draft, me: str, loss: list[str], scheduled: bool) -> list[str]:
    """The body of the step."""
    pick, kind = draft.pick, draft.fault
    unpack = ["x = batch"] if draft.task == "next" else ["x, y = batch"]
    in_eval = draft.has("eval")
    modes = [] if in_eval or not draft.yes() else [f"{me}model.train()"]
    zero = pick([f"{me}optimizer.zero_grad()", f"{me}model.zero_grad()", f"{me}optimizer.zero_grad(set_to_none=False)"])
    clip = pick(
        [
            "",
            f"nn.utils.clip_grad_norm_({me}model.parameters(), 1.0)",
            f"nn.utils.clip_grad_value_({me}model.parameters(), 0.5)",
        ]
    )
    update, clips = f"{me}optimizer.step()", [clip] if clip else []
    rest = [f"{me}scheduler.step()"] if scheduled else []
    absent = MARK if kind in ("no-zero-grad", "no-step") else ""
    backward = f"loss.backward(){absent}"
    if kind == "no-zero-grad":
        body = [*_forward(draft, loss, backward), *clips, update]
    elif kind == "cleared":
        first = [zero] if draft.yes() else []
        body = [*first, *_forward(draft, loss, backward), *clips, f"{zero}{MARK}", update]
    elif kind == "no-step":
        body, rest = [zero, *_forward(draft, loss, backward), *clips], []
    elif kind == "early-step":
        body = [*loss, zero, f"{update}{MARK}", backward]
    elif pick([False, False, False, True]) and not kind:
        inner = [zero, *loss, backward, *clips, "return loss"]
        body = ["def closure():", *indented(inner), f"loss = {me}optimizer.step(closure)"]
    elif draft.yes():
        body = [*_forward(draft, loss, backward), *clips, update, zero]
    else:
        body = [zero, *_forward(draft, loss, backward), *clips, update]
    if in_eval and not draft.eval_first:
        modes, rest = pick([([f"{me}model.eval(){MARK}"], []), ([], [f"{me}model.eval(){MARK}"])])
    return [*unpack, *modes, *body, *rest, "return loss"]


def _forward(draft: Draft, loss: list[str], backward: str) -> list[str]:
    """From the batch to the gradients, at once or in two parts."""
    if draft.low and draft.yes():
        loss = ['with torch.autocast("cpu", dtype=torch.bfloat16):', *indented(loss)]
    parts = 1 if draft.has("mean-over-batch") else draft.pick([1, 1, 2])  # there, a batch is as long as a sequence
    if parts == 1:
        return [*loss, backward]
    names = "x" if draft.task == "next" else "x, y"
    chunks = "x.chunk(2)" if draft.task == "next" else "zip(x.chunk(2), y.chunk(2))"
    return [f"for {names} in {chunks}:", *indented([*loss, "loss = loss / 2", backward])]

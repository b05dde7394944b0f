"""Distributed data parallel with gloo, started by torchrun or alone: sampler, reduced metrics, rank 0 saves."""

import argparse
import os

import torch
import torch.distributed as dist
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def setup():
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29533")
    os.environ.setdefault("RANK", "0")
    os.environ.setdefault("WORLD_SIZE", "1")
    dist.init_process_group("gloo")
    return dist.get_rank(), dist.get_world_size()


class Trainer:
    def __init__(self, model, train_data, test_data, optimizer, rank, save_every, accumulate):
        self.model = DDP(model)
        self.train_data, self.test_data = train_data, test_data
        self.optimizer = optimizer
        self.rank, self.save_every, self.accumulate = rank, save_every, accumulate
        self.criterion = nn.CrossEntropyLoss()

    def _run_epoch(self, epoch):
        self.model.train()
        self.train_data.sampler.set_epoch(epoch)
        total = torch.zeros(2)
        self.optimizer.zero_grad()
        for i, (source, targets) in enumerate(self.train_data):
            sync = (i + 1) % self.accumulate == 0
            if sync:
                loss = self.criterion(self.model(source), targets) / self.accumulate
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad()
            else:
                with self.model.no_sync():
                    loss = self.criterion(self.model(source), targets) / self.accumulate
                    loss.backward()
            total += torch.tensor([loss.item() * self.accumulate * len(source), len(source)])
        dist.all_reduce(total)
        if self.rank == 0:
            print(f"epoch {epoch} | steps {len(self.train_data)} | loss {total[0] / total[1]:.4f}")

    @torch.inference_mode()
    def _evaluate(self):
        self.model.eval()
        hits = torch.zeros(2)
        for source, targets in self.test_data:
            hits += torch.tensor([(self.model(source).argmax(1) == targets).sum().item(), len(targets)])
        dist.all_reduce(hits)
        if self.rank == 0:
            print(f"accuracy {hits[0] / hits[1]:.3f}")

    def train(self, max_epochs):
        for epoch in range(max_epochs):
            self._run_epoch(epoch)
            self._evaluate()
            if self.rank == 0 and epoch % self.save_every == 0:
                torch.save(self.model.module.state_dict(), "checkpoint.pt")


def main(total_epochs, save_every, batch_size, accumulate, sync_bn):
    rank, world = setup()
    torch.manual_seed(0)
    digits = load_digits()
    x, y = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16, torch.tensor(digits.target)
    train, test = TensorDataset(x[:1500], y[:1500]), TensorDataset(x[1500:], y[1500:])
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * 16, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trainer = Trainer(
        model,
        DataLoader(train, batch_size=batch_size, sampler=DistributedSampler(train)),
        DataLoader(test, batch_size=batch_size, sampler=DistributedSampler(test, shuffle=False)),
        optimizer, rank, save_every, accumulate,
    )  # fmt: skip
    trainer.train(total_epochs)
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="distributed training job")
    parser.add_argument("--total_epochs", type=int, default=2)
    parser.add_argument("--save_every", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--sync_bn", action="store_true")
    args = parser.parse_args()
    main(args.total_epochs, args.save_every, args.batch_size, args.accumulate, args.sync_bn)

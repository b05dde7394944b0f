"""Several micro-batches to one update, each weighted as it should be; and steps whose loss is no sum over samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB = 16


def labelled(n: int = 12):
    return torch.randn(n, 6), torch.randint(0, 3, (n,))


def mlp(n_out: int = 3, n_in: int = 6) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, 16), nn.Tanh(), nn.Linear(16, n_out))


@healthy()
def micro_batches_divided_by_their_number() -> smokestep.Training:
    model, criterion, k = mlp(), nn.CrossEntropyLoss(), 4
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        optimizer.zero_grad()
        total = 0.0
        for x, y in zip(*(part.chunk(k) for part in batch)):
            loss = criterion(model(x), y) / k
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total

    return smokestep.Training(step, labelled())


@healthy()
def micro_batches_of_unequal_size_weighted_by_size() -> smokestep.Training:
    """Twelve rows in chunks of five: the last has two, and counts for two."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        for xs, ys in zip(x.split(5), y.split(5)):
            (F.cross_entropy(model(xs), ys, reduction="sum") / len(x)).backward()
        optimizer.step()

    return smokestep.Training(step, labelled())


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.out = nn.Embedding(VOCAB, 8), nn.GRU(8, 10, batch_first=True), nn.Linear(10, VOCAB)

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids))[0])


def sentences(lengths=(7, 3, 5, 2, 6, 4)):
    ids = torch.randint(1, VOCAB, (len(lengths), max(lengths)))
    return ids * (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None])


@healthy()
def micro_batches_weighted_by_their_tokens() -> smokestep.Training:
    """The number of tokens of the whole batch is counted first; each micro-batch adds its sum over it."""
    model = Words()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        labels = ids[:, 1:]
        tokens = (labels != 0).sum()
        optimizer.zero_grad(set_to_none=True)
        running = 0.0
        for inputs, targets in zip(ids[:, :-1].split(2), labels.split(2)):
            logits = model(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="sum") / tokens
            loss.backward()
            running += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return running

    return smokestep.Training(step, sentences())


@healthy()
def sum_over_tokens_divided_by_their_number() -> smokestep.Training:
    model, criterion = Words(), nn.CrossEntropyLoss(ignore_index=0, reduction="sum")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids):
        optimizer.zero_grad()
        logits = model(ids[:, :-1])
        summed = criterion(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        loss = summed / ids[:, 1:].ne(0).sum()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, sentences())


@healthy()
def gradients_divided_after_the_last_micro_batch() -> smokestep.Training:
    """Sums are accumulated; the gradients, not the loss, are divided by the number of tokens."""
    model = Words()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(ids):
        optimizer.zero_grad()
        tokens = 0
        for part in ids.split(3):
            labels = part[:, 1:].flatten()
            loss = F.cross_entropy(model(part[:, :-1]).flatten(0, 1), labels, ignore_index=0, reduction="sum")
            loss.backward()
            tokens += int((labels != 0).sum())
        for p in model.parameters():
            p.grad.div_(tokens)
        optimizer.step()
        return loss / tokens

    return smokestep.Training(step, sentences())


@healthy()
def last_incomplete_group_updates_too() -> smokestep.Training:
    """An epoch of five batches in groups of two: the last group has one, and is divided by one."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(loader, group=2):
        optimizer.zero_grad()
        for i, (x, y) in enumerate(loader):
            size = min(group, len(loader) - i // group * group)
            (F.cross_entropy(model(x), y) / size).backward()
            if (i + 1) % group == 0 or i + 1 == len(loader):
                optimizer.step()
                optimizer.zero_grad()

    return smokestep.Training(step, [labelled(4) for _ in range(5)])


@healthy()
def accumulated_behind_batch_norm() -> smokestep.Training:
    """Each micro-batch has statistics of its own: not the gradient of the whole batch, and nobody expects it."""
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(batch):
        optimizer.zero_grad()
        for x, y in zip(*(part.split(6) for part in batch)):
            loss = 0.5 * F.cross_entropy(model(x), y)
            loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, labelled())


@healthy()
def loss_times_the_size_of_the_batch_with_a_small_rate() -> smokestep.Training:
    model = mlp(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step(batch):
        x, y = batch
        loss = F.mse_loss(model(x).squeeze(1), y) * x.size(0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss / x.size(0)

    return smokestep.Training(step, (torch.randn(12, 6), torch.randn(12)))


@healthy()
def rate_scaled_with_the_number_of_micro_batches() -> smokestep.Training:
    """Not divided, on purpose: the rate was chosen for the sum."""
    model, k = mlp(), 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 / k)

    def step(batch):
        optimizer.zero_grad()
        losses = [F.cross_entropy(model(x), y) for x, y in zip(*(part.chunk(k) for part in batch))]
        torch.autograd.backward(losses)
        optimizer.step()
        return sum(each.item() for each in losses) / k

    return smokestep.Training(step, labelled())


@healthy()
def accumulated_under_a_scaler() -> smokestep.Training:
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)

    def step(batch):
        for x, y in zip(*(part.chunk(2) for part in batch)):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(x), y) / 2
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        return loss

    return smokestep.Training(step, labelled())


@healthy()
def every_sample_clipped_and_noise_added() -> smokestep.Training:
    """DP-SGD: the update is not linear in the samples, and two runs differ by their noise."""
    model = mlp()
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.1)

    def step(batch, bound=1.0, noise=0.5):
        x, y = batch
        total = [torch.zeros_like(p) for p in parameters]
        for i in range(len(x)):
            grads = torch.autograd.grad(F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]), parameters)
            norm = torch.sqrt(sum(g.pow(2).sum() for g in grads))
            factor = (bound / (norm + 1e-6)).clamp(max=1.0)
            for t, g in zip(total, grads):
                t.add_(factor * g)
        for p, t in zip(parameters, total):
            p.grad = (t + noise * bound * torch.randn_like(t)) / len(x)
        optimizer.step()
        optimizer.zero_grad()

    return smokestep.Training(step, labelled(4))


@healthy()
def policy_gradient_with_returns_normalised_over_the_batch() -> smokestep.Training:
    policy = mlp(2, 4)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)

    def step(batch):
        states, actions, rewards = batch
        returns = torch.flip(torch.cumsum(torch.flip(rewards, [0]), 0), [0])
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
        log_probs = torch.distributions.Categorical(logits=policy(states)).log_prob(actions)
        loss = -(log_probs * returns).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(10, 4), torch.randint(0, 2, (10,)), torch.rand(10)))


@healthy()
def clipped_policy_with_advantages_normalised_in_each_minibatch() -> smokestep.Training:
    body, pi, v = nn.Sequential(nn.Linear(4, 16), nn.Tanh()), nn.Linear(16, 3), nn.Linear(16, 1)
    agent = nn.ModuleList([body, pi, v])
    optimizer = torch.optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)

    def step(rollout):
        obs, actions, advantages, returns = rollout
        with torch.no_grad():
            old = torch.distributions.Categorical(logits=pi(body(obs))).log_prob(actions)
        for chosen in torch.randperm(len(obs)).split(6):
            h = body(obs[chosen])
            now = torch.distributions.Categorical(logits=pi(h))
            ratio = (now.log_prob(actions[chosen]) - old[chosen]).exp()
            advantage = advantages[chosen]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2)).mean()
            value_loss = 0.5 * (v(h).squeeze(-1) - returns[chosen]).pow(2).mean()
            loss = policy_loss - 0.01 * now.entropy().mean() + 0.5 * value_loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
        return loss

    n = 12
    return smokestep.Training(step, (torch.randn(n, 4), torch.randint(0, 3, (n,)), torch.randn(n), torch.randn(n)))


@healthy()
def answers_rewarded_relative_to_their_group() -> smokestep.Training:
    """GRPO: several answers to one prompt lie next to each other; their rewards are compared within the group."""
    model, group = Words(), 3
    reference = Words().requires_grad_(False)
    reference.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def per_token(net, ids):
        return net(ids[:, :-1]).log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(-1)

    def step(batch):
        ids, rewards, mask = batch
        grouped = rewards.view(-1, group)
        advantage = ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + 1e-4)).view(-1, 1)
        logp = per_token(model, ids)
        with torch.no_grad():
            ref = per_token(reference, ids)
        kl = torch.exp(ref - logp) - (ref - logp) - 1
        each = -(torch.exp(logp - logp.detach()) * advantage - 0.04 * kl)
        loss = ((each * mask).sum(1) / mask.sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    ids = sentences((6, 6, 6, 6, 6, 6))
    mask = (torch.arange(5) >= 2).float().expand(6, -1)
    return smokestep.Training(step, (ids, torch.randn(6), mask))

"""Sequence models with a state or a cache: scans, rotary tables, carried memories, generation, several heads."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB = 20


def text(n: int = 4, length: int = 9):
    return torch.randint(0, VOCAB, (n, length))


def next_token(model: nn.Module, data=None, *, causal: bool | None = None) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    def step(ids):
        model.train()
        optimizer.zero_grad()
        output = model(ids[:, :-1])
        loss = criterion(output.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, text() if data is None else data, causal=causal)


class LinearAttention(nn.Module):
    """Causal by a running sum over time, not by a mask."""

    def __init__(self, dim: int = 12):
        super().__init__()
        self.embed, self.qkv = nn.Embedding(VOCAB, dim), nn.Linear(dim, 3 * dim)
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, VOCAB)

    def forward(self, ids):
        x = self.embed(ids)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        kv = torch.einsum("btd,bte->btde", k, v).cumsum(1)
        y = torch.einsum("btd,btde->bte", q, kv) / (q * k.cumsum(1)).sum(-1, keepdim=True)
        return self.head(self.norm(x + y))


@healthy()
def linear_attention_by_running_sums() -> smokestep.Training:
    return next_token(LinearAttention(), causal=True)


class SelectiveScan(nn.Module):
    """A Mamba-like block: a short causal convolution, step sizes that depend on the input, a loop over time."""

    def __init__(self, dim: int = 8, state: int = 4):
        super().__init__()
        self.embed, self.inside = nn.Embedding(VOCAB, dim), nn.Linear(dim, 2 * dim)
        self.conv = nn.Conv1d(dim, dim, 3, padding=2, groups=dim)
        self.to_dt, self.to_bc = nn.Linear(dim, dim), nn.Linear(dim, 2 * state, bias=False)
        self.a_log = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(dim, 1))
        self.d = nn.Parameter(torch.ones(dim))
        self.out, self.head = nn.Linear(dim, dim), nn.Linear(dim, VOCAB)

    def forward(self, ids):
        residual = self.embed(ids)
        x, z = self.inside(residual).chunk(2, -1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., : ids.shape[1]].transpose(1, 2))
        dt, (b, c) = F.softplus(self.to_dt(x)), self.to_bc(x).chunk(2, -1)
        decay = torch.exp(dt[..., None] * -self.a_log.exp())
        drive = dt[..., None] * b[:, :, None] * x[..., None]
        h, ys = torch.zeros_like(drive[:, 0]), []
        for t in range(ids.shape[1]):
            h = decay[:, t] * h + drive[:, t]
            ys.append((h * c[:, t, None]).sum(-1))
        y = (torch.stack(ys, 1) + self.d * x) * F.silu(z)
        return self.head(residual + self.out(y))


@healthy()
def selective_scan_over_time() -> smokestep.Training:
    return next_token(SelectiveScan(), text(3, 7), causal=True)


class TimeMix(nn.Module):
    """RWKV's token shift and decay: the previous token is mixed in, the state is kept in logarithms."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.embed, self.norm = nn.Embedding(VOCAB, dim), nn.LayerNorm(dim)
        self.mix = nn.Parameter(torch.rand(3, dim))
        self.decay, self.first = nn.Parameter(torch.rand(dim)), nn.Parameter(torch.rand(dim))
        self.key, self.value, self.gate, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.head = nn.Linear(dim, VOCAB, bias=False)

    def forward(self, ids):
        x = self.embed(ids)
        h = self.norm(x)
        past = self.shift(h)
        k, v, r = (past + m * (h - past) for m in self.mix)
        k, v, r = self.key(k), self.value(v), torch.sigmoid(self.gate(r))
        top, bottom, w, ys = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0]), torch.exp(-self.decay.exp()), []
        for t in range(ids.shape[1]):
            now = torch.exp(self.first + k[:, t])
            ys.append((top + now * v[:, t]) / (bottom + now))
            top, bottom = w * top + k[:, t].exp() * v[:, t], w * bottom + k[:, t].exp()
        return self.head(x + self.out(r * torch.stack(ys, 1)))


@healthy()
def token_shift_and_decaying_state() -> smokestep.Training:
    return next_token(TimeMix(), text(3, 7))


def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


class RotaryDecoder(nn.Module):
    """Rotary tables in buffers that are not saved; a cache of keys and values that only `generate` uses."""

    def __init__(self, dim: int = 16, heads: int = 2, longest: int = 32):
        super().__init__()
        angle = torch.outer(torch.arange(longest), 10000 ** (-torch.arange(0, dim // heads, 2) / (dim // heads)))
        self.register_buffer("cos", torch.cat([angle, angle], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angle, angle], -1).sin(), persistent=False)
        self.embed, self.norm1, self.norm2 = nn.Embedding(VOCAB, dim), nn.RMSNorm(dim), nn.RMSNorm(dim)
        self.qkv, self.o = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.gate, self.up, self.down = nn.Linear(dim, 24), nn.Linear(dim, 24), nn.Linear(24, dim)
        self.head, self.heads = nn.Linear(dim, VOCAB, bias=False), heads

    def forward(self, ids, cache=None):
        start = 0 if cache is None or cache[0] is None else cache[0].shape[2]
        x = self.embed(ids)
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        cos, sin = self.cos[start : start + t], self.sin[start : start + t]
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        if cache is not None:
            if start:
                k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
            cache[:] = [k, v]
        allowed = torch.ones(t, start + t, dtype=torch.bool).tril(start)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, c))
        h = self.norm2(x)
        return self.head(x + self.down(F.silu(self.gate(h)) * self.up(h)))

    @torch.no_grad()
    def generate(self, ids, new: int):
        cache, step = [None, None], ids
        for _ in range(new):
            step = self(step, cache)[:, -1:].argmax(-1)
            ids = torch.cat([ids, step], dim=1)
        return ids


@healthy()
def rotary_decoder_with_a_cache_for_generation() -> smokestep.Training:
    return next_token(RotaryDecoder(), causal=True)


@healthy()
def samples_generated_with_the_cache_between_the_steps() -> smokestep.Training:
    model = RotaryDecoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        sample = model.generate(ids[:1, :3], 3)
        model.train()
        return loss, sample

    return smokestep.Training(step, text())


class CarriedState(nn.Module):
    """Truncated backpropagation through time: the model keeps its state, detached, until `reset`."""

    def __init__(self):
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(VOCAB, 8), nn.GRUCell(8, 12), nn.Linear(12, VOCAB)
        self.h = None

    def reset(self):
        self.h = None

    def forward(self, ids):
        h = torch.zeros(len(ids), 12) if self.h is None else self.h.detach()
        out = []
        for x in self.embed(ids).unbind(1):
            h = self.cell(x, h)
            out.append(h)
        self.h = h
        return self.head(torch.stack(out, 1))


@healthy()
def truncated_backpropagation_with_the_state_in_the_model() -> smokestep.Training:
    return next_token(CarriedState())


@healthy()
def one_long_sequence_in_chunks_within_a_step() -> smokestep.Training:
    model = CarriedState()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(ids):
        model.reset()
        losses = []
        for x, y in zip(ids[:, :-1].split(4, 1), ids[:, 1:].split(4, 1)):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    return smokestep.Training(step, text(4, 13))


class SegmentMemory(nn.Module):
    """Transformer-XL: the last segment's hidden values are attended to, without gradient."""

    def __init__(self, dim: int = 12):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(VOCAB, dim), nn.LayerNorm(dim), nn.Linear(dim, VOCAB)
        self.q, self.kv = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.distance = nn.Parameter(torch.zeros(40))

    def forward(self, ids, memory=None):
        x = self.embed(ids)
        context = x if memory is None else torch.cat([memory, x], dim=1)
        k, v = self.kv(context).chunk(2, -1)
        t, s = x.shape[1], context.shape[1]
        back = (torch.arange(s - t, s)[:, None] - torch.arange(s)[None]).clamp(min=-1)
        scores = self.q(x) @ k.transpose(1, 2) / 12**0.5 + self.distance[back.clamp(min=0)]
        y = scores.masked_fill(back < 0, float("-inf")).softmax(-1) @ v
        return self.head(self.norm(x + y)), x.detach()


@healthy()
def memory_of_the_last_segment_without_gradient() -> smokestep.Training:
    model = SegmentMemory()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    memory = None

    def step(ids):
        nonlocal memory
        logits, memory = model(ids[:, :-1], memory)
        loss = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, text())


class SeveralTokensAhead(nn.Module):
    """One trunk, and a head for each of the next three tokens."""

    def __init__(self, ahead: int = 3):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(VOCAB, 8), nn.GRU(8, 12, batch_first=True)
        self.heads = nn.ModuleList([nn.Linear(12, VOCAB) for _ in range(ahead)])

    def forward(self, ids):
        h, _ = self.rnn(self.embed(ids))
        return torch.stack([head(h) for head in self.heads], dim=2)


@healthy()
def several_tokens_ahead_by_several_heads() -> smokestep.Training:
    model = SeveralTokensAhead()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids):
        logits = model(ids[:, :-3])
        targets = ids[:, 1:].unfold(1, 3, 1)
        loss = F.cross_entropy(logits.flatten(0, 2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, text(4, 10))


class CausalLMHead(nn.Module):
    """Takes labels equal to the inputs, and shifts them inside."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.lm_head = (
            nn.Embedding(VOCAB, 8),
            nn.LSTM(8, 12, batch_first=True),
            nn.Linear(12, VOCAB),
        )

    def forward(self, input_ids, labels=None):
        logits = self.lm_head(self.lstm(self.embed(input_ids))[0])
        if labels is None:
            return {"logits": logits}
        shift_logits, shift_labels = logits[..., :-1, :].contiguous(), labels[..., 1:].contiguous()
        loss = F.cross_entropy(shift_logits.view(-1, VOCAB), shift_labels.view(-1), ignore_index=-100)
        return {"loss": loss, "logits": logits}


@healthy()
def labels_equal_to_the_inputs_shifted_inside_the_model() -> smokestep.Training:
    model = CausalLMHead()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)

    def step(batch):
        outputs = model(**batch)
        outputs["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        return outputs["loss"]

    ids = text()
    return smokestep.Training(step, {"input_ids": ids, "labels": ids.clone()})


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(1, 12, batch_first=True), nn.Linear(12, 1)

    def forward(self, x):
        return self.linear(self.lstm(x)[0])


@healthy()
def series_whose_target_is_its_input_one_later() -> smokestep.Training:
    model, criterion = Forecaster(), nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch):
        inputs, targets = batch
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    t = torch.arange(12) * 0.5 + torch.rand(5, 1) * 6
    wave = t.sin().unsqueeze(-1)
    return smokestep.Training(step, (wave[:, :-1], wave[:, 1:]), model=model, loss=criterion, task="regression")


@healthy()
def distilled_into_a_copy_that_starts_as_the_teacher() -> smokestep.Training:
    """Two causal models on the same tokens; the student starts with the teacher's weights."""
    teacher = LinearAttention().eval().requires_grad_(False)
    student = copy.deepcopy(teacher).train().requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)

    def step(ids):
        with torch.no_grad():
            wanted = teacher(ids[:, :-1]).log_softmax(-1)
        logits = student(ids[:, :-1])
        kl = F.kl_div(logits.log_softmax(-1), wanted, log_target=True, reduction="none").sum(-1).mean()
        loss = kl + F.cross_entropy(logits.transpose(1, 2), ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, text())

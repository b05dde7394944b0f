"""Sequence models that read what they are to predict, or seem to, and are right.

Their targets lie elsewhere, are masked from them, or are summed up on purpose.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB, PAD, MASK = 20, 0, 19


def tokens(n: int = 4, length: int = 10) -> torch.Tensor:
    return torch.randint(1, MASK, (n, length))


def trained(model, loss_of, batch, **more) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch, **more)


class Attentive(nn.Module):
    """One layer of attention whose mask the subclass or the caller decides."""

    def __init__(self, dim: int = 16, out: int = VOCAB):
        super().__init__()
        self.embed, self.place = nn.Embedding(VOCAB, dim), nn.Embedding(64, dim)
        self.qkv, self.proj, self.norm = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, out)

    def body(self, ids, mask=None, bias=0.0):
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return x + self.proj(scores.softmax(-1) @ v)


class PrefixLM(Attentive):
    def forward(self, ids, prefix):
        T = ids.shape[1]
        mask = torch.ones(T, T, dtype=torch.bool).tril() | (torch.arange(T) < prefix[:, None])[:, None, :]
        return self.head(self.body(ids, mask))


@healthy()
def prefix_read_in_both_directions_and_ignored() -> smokestep.Training:
    def loss_of(model, batch):
        ids, prefix = batch
        targets = ids[:, 1:].masked_fill(torch.arange(1, ids.shape[1]) < prefix[:, None], -100)
        return F.cross_entropy(model(ids, prefix)[:, :-1].flatten(0, 1), targets.flatten())

    return trained(PrefixLM(), loss_of, (tokens(), torch.tensor([3, 5, 2, 4])))


@healthy()
def prefix_read_in_both_directions_and_weighted_with_zero() -> smokestep.Training:
    def loss_of(model, batch):
        ids, prefix = batch
        each = F.cross_entropy(model(ids, prefix)[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
        weight = (torch.arange(1, ids.shape[1]) >= prefix[:, None]).float()
        return (each * weight).sum() / weight.sum()

    return trained(PrefixLM(), loss_of, (tokens(), torch.tensor([3, 5, 2, 4])))


class Encoder(Attentive):
    def forward(self, ids):
        return self.head(self.body(ids))


@healthy()
def masked_tokens_predicted_from_both_sides() -> smokestep.Training:
    def loss_of(model, ids):
        hidden = torch.rand(ids.shape) < 0.4
        hidden[:, 0] = True
        return F.cross_entropy(model(ids.masked_fill(hidden, MASK))[hidden], ids[hidden])

    return trained(Encoder(), loss_of, tokens())


@healthy()
def masked_tokens_whose_targets_ignore_the_rest() -> smokestep.Training:
    def loss_of(model, ids):
        hidden = torch.rand(ids.shape) < 0.4
        logits = model(ids.masked_fill(hidden, MASK))
        return F.cross_entropy(logits.transpose(1, 2), ids.masked_fill(~hidden, -100))

    return trained(Encoder(), loss_of, tokens())


@healthy()
def encoder_rebuilds_all_tokens_but_the_first() -> smokestep.Training:
    def loss_of(model, ids):
        return F.cross_entropy(model(ids)[:, 1:].flatten(0, 1), ids[:, 1:].flatten())

    return trained(Encoder(), loss_of, tokens())


@healthy()
def tagger_that_reads_the_whole_sentence() -> smokestep.Training:
    return trained(Encoder(), lambda model, b: F.cross_entropy(model(b[0]).mT, b[1]), (tokens(), tokens()))


class Alibi(Attentive):
    def forward(self, ids):
        distance = torch.arange(ids.shape[1])[None] - torch.arange(ids.shape[1])[:, None]
        return self.head(self.body(ids, distance <= 0, 0.5 * distance))


def next_token(model, ids):
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


@healthy()
def bias_by_distance_and_a_boolean_mask() -> smokestep.Training:
    return trained(Alibi(), next_token, tokens())


class Window(Attentive):
    def forward(self, ids):
        distance = torch.arange(ids.shape[1])[:, None] - torch.arange(ids.shape[1])[None]
        return self.head(self.body(ids, (distance >= 0) & (distance < 3)))


@healthy()
def attention_to_the_last_three_tokens() -> smokestep.Training:
    return trained(Window(), next_token, tokens())


class Permuted(Attentive):
    def forward(self, ids, order):
        rank = order.argsort(-1)
        mask = rank[:, :, None] > rank[:, None, :]
        mask = mask | (rank == 0)[:, :, None] & torch.eye(ids.shape[1], dtype=torch.bool)
        x = self.place(torch.arange(ids.shape[1])).expand(len(ids), -1, -1)
        keys = self.embed(ids) * mask.any(1)[..., None] + x
        q, (k, v) = self.qkv(x)[..., :16], self.qkv(keys)[..., 16:].chunk(2, -1)
        scores = (q @ k.mT / 4).masked_fill(~mask, -torch.inf)
        first = (rank == 0)[..., None]
        return self.head(self.norm(x + self.proj((scores.softmax(-1) @ v).masked_fill(first, 0.0))))


@healthy()
def tokens_predicted_in_a_drawn_order() -> smokestep.Training:
    def loss_of(model, ids):
        order = torch.rand(ids.shape).argsort(-1)
        return F.cross_entropy(model(ids, order).flatten(0, 1), ids.flatten())

    return trained(Permuted(), loss_of, tokens())


class Elmo(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16)
        self.lstm = nn.LSTM(16, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, VOCAB)

    def forward(self, ids):
        forwards, backwards = self.lstm(self.embed(ids))[0].chunk(2, -1)
        return self.head(forwards), self.head(backwards)


@healthy()
def two_directions_that_predict_apart() -> smokestep.Training:
    def loss_of(model, ids):
        forwards, backwards = model(ids)
        ahead = F.cross_entropy(forwards[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        return ahead + F.cross_entropy(backwards[:, 1:].flatten(0, 1), ids[:, :-1].flatten())

    return trained(Elmo(), loss_of, tokens())


class Heads(Attentive):
    def __init__(self):
        super().__init__()
        self.second = nn.Linear(16, VOCAB)

    def forward(self, ids):
        h = self.body(ids, torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril())
        return self.head(h), self.second(h)


@healthy()
def two_tokens_predicted_at_once() -> smokestep.Training:
    def loss_of(model, ids):
        first, second = model(ids)
        next_one = F.cross_entropy(first[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        return next_one + F.cross_entropy(second[:, :-2].flatten(0, 1), ids[:, 2:].flatten())

    return trained(Heads(), loss_of, tokens())


class ShiftRight(nn.Module):
    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(VOCAB, 16), nn.Embedding(VOCAB, 16)
        self.encoder = nn.GRU(16, 16, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(16, 32, batch_first=True)
        self.head = nn.Linear(32, VOCAB)

    def forward(self, source, labels):
        _, h = self.encoder(self.source(source))
        shifted = F.pad(labels[:, :-1], (1, 0), value=PAD)
        states, _ = self.decoder(self.target(shifted), torch.cat(list(h), -1)[None])
        return F.cross_entropy(self.head(states).flatten(0, 1), labels.flatten(), ignore_index=PAD)


@healthy()
def labels_shifted_right_inside_the_decoder() -> smokestep.Training:
    return trained(ShiftRight(), lambda model, b: model(*b), (tokens(4, 7), tokens(4, 9)))


@healthy()
def copied_sentence_with_a_bidirectional_encoder() -> smokestep.Training:
    return trained(ShiftRight(), lambda model, ids: model(ids, ids), tokens())


class SentenceVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16)
        self.encoder, self.decoder = nn.GRU(16, 8, batch_first=True), nn.GRU(16, 8, batch_first=True)
        self.mean, self.spread, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, VOCAB)

    def forward(self, ids):
        x = self.embed(ids)
        _, h = self.encoder(x)
        mean, log_var = self.mean(h), self.spread(h)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        divergence = -0.5 * (1 + log_var - mean**2 - log_var.exp()).mean()
        return self.head(self.decoder(x, z)[0]), divergence


@healthy()
def sentence_autoencoder_that_is_told_the_whole_sentence() -> smokestep.Training:
    def loss_of(model, ids):
        logits, divergence = model(ids)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()) + 0.1 * divergence

    return trained(SentenceVAE(), loss_of, tokens())


class Denoiser(Attentive):
    def forward(self, ids):
        hidden = torch.rand(ids.shape) < 0.5
        logits = self.head(self.body(ids.masked_fill(hidden, MASK)))
        return F.cross_entropy(logits.transpose(1, 2), ids)


@healthy()
def diffusion_that_counts_every_token() -> smokestep.Training:
    return trained(Denoiser(), lambda model, ids: model(ids), tokens())


class LongConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(VOCAB, 16), nn.Linear(16, VOCAB)
        self.kernel = nn.Parameter(torch.randn(16, 48) * 0.2)

    def forward(self, ids):
        h = self.embed(ids).mT
        spectrum = torch.fft.rfft(h, n=96) * torch.fft.rfft(self.kernel[:, : h.shape[-1]], n=96)
        return self.head((h + torch.fft.irfft(spectrum, n=96)[..., : h.shape[-1]]).mT)


@healthy()
def causal_convolution_by_fourier_transform() -> smokestep.Training:
    return trained(LongConvolution(), next_token, tokens(3, 41))


class ZeroGate(Attentive):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, ids):
        x = self.embed(ids)
        return self.head(x + self.gate * self.body(ids, torch.ones(ids.shape[1], ids.shape[1]).tril().bool()))


@healthy()
def attention_behind_a_gate_that_is_still_shut() -> smokestep.Training:
    return trained(ZeroGate(), next_token, tokens())


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.router = nn.Embedding(VOCAB, 16), nn.Linear(16, 9)
        self.experts, self.head = nn.Linear(16, 9 * 16), nn.Linear(16, VOCAB)

    def forward(self, ids):
        x = self.embed(ids)
        weights = self.router(x).softmax(-1)
        return self.head((weights[..., None] * self.experts(x).unflatten(-1, (9, 16))).sum(-2))


@healthy()
def pairs_of_tokens_by_as_many_experts_as_positions() -> smokestep.Training:
    return trained(Mixture(), next_token, tokens())


@healthy()
def states_in_sequence_each_from_the_one_before() -> smokestep.Training:
    model = nn.Sequential(nn.Conv1d(1, 8, 3, padding=1), nn.Tanh(), nn.Conv1d(8, 1, 3, padding=1))
    return trained(model, lambda m, x: F.mse_loss(m(x[:-1]), x[1:]), torch.randn(13, 1, 16).cumsum(0))


class Smoother(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(3, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.gru(x)[0])


@healthy()
def series_rebuilt_from_a_noisy_one() -> smokestep.Training:
    return trained(Smoother(), lambda m, x: F.mse_loss(m(x + 0.1 * torch.randn_like(x)), x), torch.randn(4, 12, 3))


@healthy()
def series_rebuilt_from_itself() -> smokestep.Training:
    return trained(Smoother(), lambda m, x: F.mse_loss(m(x), x), torch.randn(4, 12, 3))


@healthy()
def shift_of_a_sequence_that_is_all_known_and_declared() -> smokestep.Training:
    return trained(Encoder(), next_token, tokens(), causal=False)


class Cached(Attentive):
    def forward(self, ids, past=None):
        start = 0 if past is None else past[0].shape[1]
        x = self.embed(ids) + self.place(torch.arange(start, start + ids.shape[1]))
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        if past is not None:
            k, v = torch.cat([past[0], k], 1), torch.cat([past[1], v], 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=past is None)
        return self.head(x + self.proj(y)), (k, v)


@healthy()
def decoder_with_a_cache() -> smokestep.Training:
    return trained(Cached(), lambda m, ids: next_token(lambda x: m(x)[0], ids), tokens(), causal=True)


class Segments(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(VOCAB, 16), nn.Linear(16, VOCAB)
        self.rnn = nn.GRU(16, 16, batch_first=True)

    def forward(self, ids, cache=None):
        out, cache = self.rnn(self.embed(ids), cache)
        return self.head(out), cache


@healthy()
def recurrent_state_called_a_cache() -> smokestep.Training:
    return trained(Segments(), lambda m, ids: next_token(lambda x: m(x)[0], ids), tokens())

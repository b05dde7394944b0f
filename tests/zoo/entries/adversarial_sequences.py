"""Sequence models, caches and batches of groups that were written to make the experiments cry wolf, and are right.

Every entry is a way in which people write such programs; most of them once raised a false alarm.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB = 20


def tokens(n: int = 4, length: int = 10) -> torch.Tensor:
    return torch.randint(1, VOCAB - 1, (n, length))


def classes(n: int) -> torch.Tensor:
    return torch.randint(0, 3, (n,))


def trained(model, loss_of, batch, **more) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, batch, **more)


def next_token(model, ids):
    logits, _ = model(ids[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:])


def same_token(model, ids):
    return F.cross_entropy(model(ids).transpose(1, 2), ids)


def classified(model, batch):
    *given, labels = batch
    return F.cross_entropy(model(*given), labels)


# ── caches that their callers help ─────────────────────────────────────────────────────────────────────────────────
class Decoder(nn.Module):
    """One layer of attention; `quantised` keeps its cache in eight bits."""

    def __init__(self, quantised: bool = False):
        super().__init__()
        self.embed, self.place = nn.Embedding(VOCAB, 16), nn.Embedding(64, 16)
        self.qkv, self.head, self.quantised = nn.Linear(16, 48), nn.Linear(16, VOCAB), quantised

    def body(self, ids, cache, start):
        x = self.embed(ids) + self.place(torch.arange(start, start + ids.shape[1]))
        q, k, v = self.qkv(x).chunk(3, -1)
        if cache is not None:
            old = [each[0] * each[1] if self.quantised else each for each in cache]
            k, v = torch.cat([old[0], k], 1), torch.cat([old[1], v], 1)
        seen = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril(k.shape[1] - q.shape[1])
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.head(x + y), tuple(self.kept(each) for each in (k, v))

    def kept(self, x):
        if not self.quantised:
            return x
        scale = x.abs().amax(-1, keepdim=True) / 127 + 1e-8
        return (x / scale).round().to(torch.int8), scale


class PositionsByOffset(Decoder):
    def forward(self, ids, kv_cache=None, pos_offset=0):
        return self.body(ids, kv_cache, pos_offset)


@healthy()
def cache_whose_caller_counts_the_positions() -> smokestep.Training:
    return trained(PositionsByOffset(), next_token, tokens())


class PositionsByLength(Decoder):
    def forward(self, ids, past_key_values=None, seqlen=0):
        return self.body(ids, past_key_values, seqlen)


@healthy()
def cache_whose_caller_says_how_long_it_is() -> smokestep.Training:
    return trained(PositionsByLength(), next_token, tokens())


class AllTokens(Decoder):
    """Is handed all tokens every time; with a cache it computes the last one."""

    def forward(self, ids, cache=None):
        return self.body(ids, None, 0) if cache is None else self.body(ids[:, -1:], cache, ids.shape[1] - 1)


@healthy()
def cache_beside_all_tokens() -> smokestep.Training:
    return trained(AllTokens(), next_token, tokens())


class EightBits(Decoder):
    def forward(self, ids, cache=None):
        return self.body(ids, cache, 0 if cache is None else cache[0][0].shape[1])


@healthy()
def cache_in_eight_bits() -> smokestep.Training:
    return trained(EightBits(quantised=True), next_token, tokens())


# ── causal models that repeat their input ──────────────────────────────────────────────────────────────────────────
class Causal(nn.Module):
    def __init__(self, embed: nn.Module, out: int):
        super().__init__()
        self.embed, self.qkv, self.head = embed, nn.Linear(16, 48), nn.Linear(16, out)

    def forward(self, x):
        h = self.embed(x)
        q, k, v = self.qkv(h).chunk(3, -1)
        return self.head(h + F.scaled_dot_product_attention(q, k, v, is_causal=True))


@healthy()
def causal_autoencoder_of_tokens() -> smokestep.Training:
    model = nn.Sequential(Causal(nn.Embedding(VOCAB, 16), 2), nn.Tanh(), Causal(nn.Linear(2, 16), VOCAB))
    return trained(model, same_token, tokens())


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.codes = Causal(nn.Embedding(VOCAB, 16), 16), nn.Embedding(8, 16)
        self.decoder = Causal(nn.Linear(16, 16), VOCAB)

    def forward(self, ids):
        z = self.encoder(ids)
        q = self.codes((z[..., None, :] - self.codes.weight).pow(2).sum(-1).argmin(-1))
        commitment = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        return self.decoder(z + (q - z).detach()), commitment


@healthy()
def causal_autoencoder_with_a_codebook() -> smokestep.Training:
    def loss_of(model, ids):
        logits, commitment = model(ids)
        return F.cross_entropy(logits.transpose(1, 2), ids) + commitment

    return trained(Quantised(), loss_of, tokens())


@healthy()
def streaming_codec_of_a_signal() -> smokestep.Training:
    model = nn.Sequential(Causal(nn.Linear(6, 16), 3), Causal(nn.Linear(3, 16), 6))
    return trained(model, lambda model, x: F.mse_loss(model(x), x), torch.randn(4, 12, 6))


class NextAndSame(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.next = Causal(nn.Embedding(VOCAB, 16), 16), nn.Linear(16, VOCAB)
        self.same = nn.Sequential(nn.Linear(16, 2), nn.Linear(2, VOCAB))

    def forward(self, ids):
        h = self.body(ids)
        return self.next(h), self.same(h)


@healthy()
def next_token_and_a_squeezed_copy_of_this_one() -> smokestep.Training:
    def loss_of(model, ids):
        following, same = model(ids)
        ahead = F.cross_entropy(following[:, :-1].transpose(1, 2), ids[:, 1:])
        return ahead + 0.1 * F.cross_entropy(same.transpose(1, 2), ids)

    return trained(NextAndSame(), loss_of, tokens())


# ── time first, and states that are handed over ────────────────────────────────────────────────────────────────────
class CharacterLSTM(nn.Module):
    def __init__(self, batch_first: bool):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(VOCAB, 16), nn.LSTM(16, 16, batch_first=batch_first)
        self.head = nn.Linear(16, VOCAB)

    def forward(self, ids, state=None):
        y, state = self.rnn(self.embed(ids), state)
        return self.head(y), state


def carried(batch_first: bool) -> smokestep.Training:
    model = CharacterLSTM(batch_first)
    optimizer = torch.optim.Adam(model.parameters())
    state = [(torch.zeros(1, 5, 16), torch.zeros(1, 5, 16))]

    def step(ids):
        ids = ids if batch_first else ids.t()
        inputs, targets = (ids[:, :-1], ids[:, 1:]) if batch_first else (ids[:-1], ids[1:])
        optimizer.zero_grad()
        logits, new = model(inputs, state[0])
        state[0] = tuple(each.detach() for each in new)
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, tokens(5, 9))


@healthy()
def characters_with_the_state_handed_over() -> smokestep.Training:
    return carried(batch_first=True)


@healthy()
def characters_with_the_state_handed_over_and_time_first() -> smokestep.Training:
    return carried(batch_first=False)


# ── rows that come in groups ───────────────────────────────────────────────────────────────────────────────────────
class RecurrentPolicy(nn.Module):
    """Observations of all environments at all times, flattened into rows; the state is (1, environments, features)."""

    def __init__(self):
        super().__init__()
        self.enter, self.rnn, self.policy = nn.Linear(4, 8), nn.GRU(8, 8), nn.Linear(8, 3)

    def forward(self, observed, state, done):
        envs, outputs = state.shape[1], []
        for x, over in zip(self.enter(observed).view(-1, envs, 8), done.view(-1, envs), strict=True):
            y, state = self.rnn(x[None], (1 - over).view(1, -1, 1) * state)
            outputs.append(y)
        return self.policy(torch.cat(outputs).flatten(0, 1))


@healthy()
def recurrent_policy_on_flattened_rollouts() -> smokestep.Training:
    done = (torch.rand(32) < 0.2).float()
    return trained(RecurrentPolicy(), classified, (torch.randn(32, 4), torch.randn(1, 4, 8), done, classes(32)))


class Agents(nn.Module):
    """Every agent hears the mean of the two others."""

    def __init__(self):
        super().__init__()
        self.enter, self.hear, self.act = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, observed):
        h = self.enter(observed).view(-1, 3, 8)
        others = (h.sum(1, keepdim=True) - h) / 2
        return self.act((h + self.hear(others)).view(-1, 8))


@healthy()
def three_agents_that_hear_each_other() -> smokestep.Training:
    return trained(Agents(), classified, (torch.randn(12, 4), classes(12)))


class Graphs(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.pass_on, self.out = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x, nodes):
        h = self.enter(x).view(-1, nodes, 8)
        near = (h @ h.transpose(1, 2)).softmax(-1)
        return self.out((h + near @ self.pass_on(h)).view(-1, 8))


@healthy()
def nodes_of_graphs_of_one_size_as_rows() -> smokestep.Training:
    return trained(Graphs(), classified, (torch.randn(12, 4), 4, classes(12)))


class GroupedExperts(nn.Module):
    """The tokens of all samples in two groups; an expert takes as many of each group as it has room for."""

    def __init__(self):
        super().__init__()
        self.embed, self.gate, self.out = nn.Embedding(VOCAB, 16), nn.Linear(16, 4), nn.Linear(16, 3)
        self.experts = nn.Parameter(torch.randn(4, 16, 16) / 4)

    def forward(self, ids):
        x = self.embed(ids)
        groups = x.reshape(2, -1, 16)
        share = self.gate(groups).softmax(-1)
        chosen = F.one_hot(share.argmax(-1), 4)
        room = max(1, groups.shape[1] // 4)
        kept = chosen * (chosen.cumsum(1) <= room)
        y = torch.einsum("gte,gtd,edf->gtf", kept * share, groups, self.experts)
        return self.out((x + y.reshape(x.shape)).mean(1))


@healthy()
def experts_with_room_for_groups_of_tokens() -> smokestep.Training:
    return trained(GroupedExperts(), classified, (tokens(8, 8), classes(8)))


class ChoosingExperts(nn.Module):
    """Every expert chooses a quarter of all tokens."""

    def __init__(self):
        super().__init__()
        self.embed, self.gate, self.out = nn.Embedding(VOCAB, 16), nn.Linear(16, 2), nn.Linear(16, 3)
        self.experts = nn.Parameter(torch.randn(2, 16, 16) / 4)

    def forward(self, ids):
        x = self.embed(ids)
        flat = x.view(-1, 16)
        share, chosen = self.gate(flat).softmax(-1).t().topk(len(flat) // 4)
        y = torch.einsum("ekd,edf->ekf", flat[chosen], self.experts) * share[..., None]
        return self.out((x + torch.zeros_like(flat).index_add(0, chosen.flatten(), y.flatten(0, 1)).view_as(x)).mean(1))


@healthy()
def experts_that_choose_their_tokens() -> smokestep.Training:
    return trained(ChoosingExperts(), classified, (tokens(8, 8), classes(8)))


class Document(nn.Module):
    """The rows are the sentences of one document, read as one sequence of words."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(VOCAB, 8), nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.out = nn.Linear(16, 3)

    def forward(self, ids):
        sentences, words = ids.shape
        h, _ = self.rnn(self.embed(ids).view(1, sentences * words, 8))
        return self.out(h.view(sentences, words, 16).mean(1))


@healthy()
def sentences_of_one_document_as_rows() -> smokestep.Training:
    return trained(Document(), classified, (tokens(6, 8), classes(6)))


# ── rows that have a place ─────────────────────────────────────────────────────────────────────────────────────────
class Roles(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.role, self.act = nn.Linear(4, 8), nn.Embedding(4, 8), nn.Linear(8, 3)

    def forward(self, observed):
        role = self.role(torch.arange(observed.shape[0]) % 4)
        return self.act((self.enter(observed) + role).relu())


@healthy(suspicions={"batch-order": "true: a row's place tells its role, which nothing distinguishes from a mistake"})
def agents_whose_row_tells_their_role() -> smokestep.Training:
    return trained(Roles(), classified, (torch.randn(12, 4), classes(12)))


class Sentence(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.place, self.out = nn.Embedding(VOCAB, 8), nn.Embedding(64, 8), nn.Linear(8, 3)

    def forward(self, ids):
        return self.out((self.embed(ids) + self.place(torch.arange(len(ids)))).relu())


@healthy(suspicions={"batch-order": "true: words are no samples, and have places; batch_dim=-1 would declare it"})
def words_of_one_sentence_with_their_places() -> smokestep.Training:
    return trained(Sentence(), classified, (torch.randint(0, VOCAB, (12,)), classes(12)))

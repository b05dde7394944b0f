"""Sequence models that see the future on purpose, or predict something other than the next token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB = 20
MASK = VOCAB  # one id beyond the words


def text(n: int = 4, length: int = 8):
    return torch.randint(1, VOCAB, (n, length))


class Encoder(nn.Module):
    """A transformer of one layer; `allowed[t, s]`: whether position t may look at position s."""

    def __init__(self, dim: int = 12, out: int = VOCAB, words: int = VOCAB + 1):
        super().__init__()
        self.embed, self.position = nn.Embedding(words, dim), nn.Parameter(0.1 * torch.randn(16, dim))
        self.layer = nn.TransformerEncoderLayer(dim, 2, 24, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(dim, out)

    def forward(self, ids, allowed=None):
        x = self.embed(ids) + self.position[: ids.shape[1]]
        return self.head(self.layer(x, None if allowed is None else ~allowed))


def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@healthy()
def prefix_language_model() -> smokestep.Training:
    """The first four tokens see each other both ways; the loss counts the rest only."""
    model = Encoder(words=VOCAB)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids, prefix=4):
        inputs, targets = ids[:, :-1], ids[:, 1:].clone()
        t = inputs.shape[1]
        allowed = torch.ones(t, t, dtype=torch.bool).tril()
        allowed[:prefix, :prefix] = True
        targets[:, : prefix - 1] = -100
        logits = model(inputs, allowed)
        return update(optimizer, F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100))

    return smokestep.Training(step, text(), causal=False)


@healthy()
def permuted_factorisation_order() -> smokestep.Training:
    """Like XLNet: a random order a step; a token sees those before it in that order, never itself."""

    class TwoStreams(nn.Module):
        def __init__(self, dim=12):
            super().__init__()
            self.embed, self.position = nn.Embedding(VOCAB, dim), nn.Parameter(torch.randn(16, dim))
            self.attention = nn.MultiheadAttention(dim, 2, batch_first=True)
            self.head = nn.Linear(dim, VOCAB)

        def forward(self, ids, order):
            rank = order.argsort()
            t = ids.shape[1]
            content = self.embed(ids) + self.position[:t]
            begin = torch.zeros_like(content[:, :1])
            keys = torch.cat([begin, content], dim=1)
            hidden = torch.cat([torch.zeros(t, 1, dtype=torch.bool), rank[:, None] <= rank[None]], dim=1)
            query = self.position[:t].expand(len(ids), -1, -1)
            return self.head(query + self.attention(query, keys, keys, attn_mask=hidden, need_weights=False)[0])

    model = TwoStreams()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids):
        logits = model(ids, torch.randperm(ids.shape[1]))
        return update(optimizer, F.cross_entropy(logits.transpose(1, 2), ids))

    return smokestep.Training(step, text())


@healthy()
def masked_diffusion_over_tokens() -> smokestep.Training:
    """A random share of every row is masked; the masked positions count, weighted by one over the share."""
    model = Encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(ids):
        share = torch.rand(len(ids), 1) * 0.9 + 0.1
        masked = torch.rand(ids.shape) < share
        masked[:, 0] = True
        logits = model(torch.where(masked, MASK, ids))
        each = F.cross_entropy(logits.transpose(1, 2), ids, reduction="none")
        return update(optimizer, (each * masked / share).sum() / ids.numel())

    return smokestep.Training(step, text())


@healthy()
def replaced_tokens_told_apart() -> smokestep.Training:
    """Electra: a small generator fills the masked positions, the discriminator says which were replaced."""
    generator, discriminator = Encoder(8), Encoder(12, out=1)
    optimizer = torch.optim.Adam([*generator.parameters(), *discriminator.parameters()], lr=1e-3)

    def step(ids):
        masked = torch.zeros(ids.shape, dtype=torch.bool)
        masked[:, torch.randperm(ids.shape[1])[:3]] = True
        logits = generator(ids.masked_fill(masked, MASK))
        mlm = F.cross_entropy(logits[masked], ids[masked])
        with torch.no_grad():
            sampled = torch.distributions.Categorical(logits=logits[masked]).sample()
        corrupted = ids.masked_scatter(masked, sampled)
        replaced = (corrupted != ids).float()
        rtd = F.binary_cross_entropy_with_logits(discriminator(corrupted).squeeze(-1), replaced)
        return update(optimizer, mlm + 50 * rtd)

    return smokestep.Training(step, text())


class BiLSTMTagger(nn.Module):
    def __init__(self, tags: int = 4):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(VOCAB, 8), nn.LSTM(8, 6, batch_first=True, bidirectional=True)
        self.emit = nn.Linear(12, tags)

    def forward(self, ids):
        return self.emit(self.lstm(self.embed(ids))[0])


class RandomField(BiLSTMTagger):
    def __init__(self, tags: int = 4):
        super().__init__(tags)
        self.transitions = nn.Parameter(torch.randn(tags, tags) * 0.1)

    def negative_log_likelihood(self, ids, tags):
        emissions = self(ids)
        gold = emissions.gather(2, tags[..., None]).squeeze(-1).sum(1)
        gold = gold + self.transitions[tags[:, :-1], tags[:, 1:]].sum(1)
        alpha = emissions[:, 0]
        for t in range(1, ids.shape[1]):
            alpha = torch.logsumexp(alpha[:, :, None] + self.transitions, dim=1) + emissions[:, t]
        return (torch.logsumexp(alpha, dim=1) - gold).mean()


@healthy()
def bidirectional_tagger() -> smokestep.Training:
    model = BiLSTMTagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        ids, tags = batch
        return update(optimizer, F.cross_entropy(model(ids).transpose(1, 2), tags))

    return smokestep.Training(step, (text(), torch.randint(0, 4, (4, 8))), model=model)


@healthy()
def bidirectional_tagger_with_a_random_field() -> smokestep.Training:
    model = RandomField()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch):
        return update(optimizer, model.negative_log_likelihood(*batch))

    return smokestep.Training(step, (text(3, 6), torch.randint(0, 4, (3, 6))), causal=False)


class LuongDecoder(nn.Module):
    """An LSTM over the source, one over the target shifted right behind a begin token, attention between."""

    def __init__(self, dim: int = 12, begin: int = 0):
        super().__init__()
        self.src, self.tgt = nn.Embedding(VOCAB, dim), nn.Embedding(VOCAB, dim)
        self.encoder, self.decoder = nn.LSTM(dim, dim, batch_first=True), nn.LSTM(dim, dim, batch_first=True)
        self.combine, self.out, self.begin = nn.Linear(2 * dim, dim), nn.Linear(dim, VOCAB), begin

    def forward(self, source, target):
        shifted = torch.cat([torch.full_like(target[:, :1], self.begin), target[:, :-1]], dim=1)
        memory, state = self.encoder(self.src(source))
        h, _ = self.decoder(self.tgt(shifted), state)
        context = (h @ memory.transpose(1, 2)).softmax(-1) @ memory
        return self.out(torch.tanh(self.combine(torch.cat([h, context], dim=-1))))


@healthy()
def teacher_forcing_with_the_shift_inside_the_model() -> smokestep.Training:
    """The model is given the very target it predicts, and shifts it behind a begin token itself."""
    model = LuongDecoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        source, target = batch
        return update(optimizer, F.cross_entropy(model(source, target).transpose(1, 2), target))

    return smokestep.Training(step, (text(), text(4, 6)))


@healthy()
def copy_task() -> smokestep.Training:
    """The sequence, then a mark and silence; the answer is the sequence once more, aligned with the silence."""
    model = nn.ModuleDict({"embed": nn.Embedding(VOCAB + 1, 8), "rnn": nn.GRU(8, 16, batch_first=True)})
    model["out"] = nn.Linear(16, VOCAB)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(words):
        silence = torch.zeros_like(words)
        mark = torch.full_like(words[:, :1], MASK)
        h, _ = model["rnn"](model["embed"](torch.cat([words, mark, silence], dim=1)))
        logits = model["out"](h[:, -words.shape[1] :])
        return update(optimizer, F.cross_entropy(logits.transpose(1, 2), words))

    return smokestep.Training(step, text(4, 4))


class TokenAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.encoder = nn.Embedding(VOCAB, 8), nn.GRU(8, 10, batch_first=True)
        self.decoder, self.out = nn.GRU(10, 10, batch_first=True), nn.Linear(10, VOCAB)

    def forward(self, ids):
        _, code = self.encoder(self.embed(ids))
        repeated = code[-1].unsqueeze(1).expand(-1, ids.shape[1], -1)
        return self.out(self.decoder(repeated)[0])


@healthy()
def autoencoder_of_tokens_whose_target_is_its_input() -> smokestep.Training:
    model = TokenAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids):
        return update(optimizer, F.cross_entropy(model(ids).flatten(0, 1), ids.flatten()))

    return smokestep.Training(step, text(), model=model)


@healthy()
def both_directions_predict_their_next_token() -> smokestep.Training:
    """ELMo: one LSTM reads forwards and predicts the next, one reads backwards and predicts the previous."""
    embed, out = nn.Embedding(VOCAB, 8), nn.Linear(12, VOCAB)
    onward, back = nn.LSTM(8, 12, batch_first=True), nn.LSTM(8, 12, batch_first=True)
    model = nn.ModuleList([embed, out, onward, back])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(ids):
        flipped = ids.flip(1)
        loss = 0
        for lstm, words in ((onward, ids), (back, flipped)):
            h, _ = lstm(embed(words[:, :-1]))
            loss = loss + F.cross_entropy(out(h).transpose(1, 2), words[:, 1:])
        return update(optimizer, loss / 2)

    return smokestep.Training(step, text())


@healthy()
def middle_word_from_its_neighbours() -> smokestep.Training:
    """CBOW: the context has the words on both sides, and not the word itself."""
    table, out = nn.Embedding(VOCAB, 8), nn.Linear(8, VOCAB, bias=False)
    optimizer = torch.optim.SGD([table.weight, out.weight], lr=0.5)

    def step(ids):
        windows = ids.unfold(1, 5, 1)
        context = table(windows[..., [0, 1, 3, 4]]).mean(-2)
        return update(optimizer, F.cross_entropy(out(context).flatten(0, 1), windows[..., 2].flatten()))

    return smokestep.Training(step, text(3, 9))


@healthy()
def answer_span_in_a_text() -> smokestep.Training:
    model = Encoder(out=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        ids, start, end = batch
        start_logits, end_logits = model(ids).unbind(-1)
        return update(optimizer, (F.cross_entropy(start_logits, start) + F.cross_entropy(end_logits, end)) / 2)

    return smokestep.Training(step, (text(), torch.tensor([0, 2, 3, 1]), torch.tensor([2, 2, 6, 5])))


class Lookahead(nn.Module):
    """Deep Speech 2: a recurrent layer that sees the past, then a convolution over the next two frames."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 10, batch_first=True)
        self.row = nn.Conv1d(10, 10, 3, groups=10, bias=False)
        self.out = nn.Linear(10, 4)

    def forward(self, frames):
        h, _ = self.rnn(frames)
        return self.out(self.row(F.pad(h.transpose(1, 2), (0, 2))).transpose(1, 2)).log_softmax(-1)


@healthy()
def transcription_with_two_frames_of_lookahead() -> smokestep.Training:
    model, ctc = Lookahead(), nn.CTCLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        frames, frame_lengths, words, word_lengths = batch
        return update(optimizer, ctc(model(frames).transpose(0, 1), words, frame_lengths, word_lengths))

    frames, words = torch.randn(3, 10, 5), torch.tensor([1, 2, 3, 3, 1, 2, 2, 1])  # the targets concatenated
    return smokestep.Training(step, (frames, torch.tensor([10, 8, 9]), words, torch.tensor([3, 2, 3])))


@healthy()
def gaps_of_a_series_filled_from_both_sides() -> smokestep.Training:
    model = nn.Sequential(nn.Conv1d(2, 8, 5, padding=2), nn.ReLU(), nn.Conv1d(8, 1, 5, padding=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(series):
        known = (torch.rand(series.shape) > 0.3).float()
        filled = model(torch.stack([series * known, known], dim=1)).squeeze(1)
        return update(optimizer, ((filled - series).pow(2) * (1 - known)).sum() / (1 - known).sum().clamp(min=1))

    return smokestep.Training(step, torch.randn(4, 12).cumsum(1))


@healthy()
def contrastive_coding_of_later_frames() -> smokestep.Training:
    """CPC: the context at t scores the encodings at t+2; the other sequences of the batch are the negatives."""
    encode, context = nn.Linear(4, 8), nn.GRU(8, 8, batch_first=True)
    predict = nn.Linear(8, 8, bias=False)
    model = nn.ModuleList([encode, context, predict])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(frames):
        z = F.relu(encode(frames))
        c, _ = context(z)
        scores = torch.einsum("btd,std->tbs", predict(c[:, :-2]), z[:, 2:])
        labels = torch.arange(len(frames)).expand(scores.shape[0], -1)
        return update(optimizer, F.cross_entropy(scores.transpose(1, 2), labels))

    return smokestep.Training(step, torch.randn(5, 9, 4))


@healthy()
def forecast_of_a_horizon_from_a_window() -> smokestep.Training:
    """The whole window goes through one linear layer: every input position reaches every output position."""
    trend, season = nn.Linear(10, 4), nn.Linear(10, 4)
    model = nn.ModuleDict({"trend": trend, "season": season})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        window, horizon = batch
        smooth = F.avg_pool1d(F.pad(window[:, None], (1, 1), mode="replicate"), 3, 1).squeeze(1)
        loss = F.mse_loss(trend(smooth) + season(window - smooth), horizon)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    series = torch.randn(6, 14).cumsum(1)
    return smokestep.Training(step, (series[:, :10], series[:, 10:]))

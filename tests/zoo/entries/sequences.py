"""Sequence models: recurrent, convolutional in time, attention; packed, padded, masked, tied, detached in between."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import smokestep

from ..registry import healthy

VOCAB = 24


def tokens(n: int = 4, length: int = 9):
    return torch.randint(1, VOCAB, (n, length))


class RNNLanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(VOCAB, 16)
        self.rnn = nn.LSTM(16, 16, num_layers=2, dropout=0.2)
        self.decoder = nn.Linear(16, VOCAB)
        self.decoder.weight = self.encoder.weight  # tied

    def forward(self, x, hidden):
        out, hidden = self.rnn(self.encoder(x), hidden)
        return self.decoder(out).view(-1, VOCAB), hidden


@healthy()
def lstm_language_model_with_detached_state_and_tied_weights() -> smokestep.Training:
    model = RNNLanguageModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    hidden = (torch.zeros(2, 4, 16), torch.zeros(2, 4, 16))

    def step(batch):
        nonlocal hidden
        model.train()
        data, targets = batch
        hidden = tuple(h.detach() for h in hidden)
        model.zero_grad()
        output, hidden = model(data, hidden)
        loss = F.cross_entropy(output, targets.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        return loss

    text = torch.randint(0, VOCAB, (8, 4))
    return smokestep.Training(step, (text[:-1], text[1:]))


class PackedClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, 12, padding_idx=0)
        self.gru = nn.GRU(12, 8, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(16, 1)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.gru(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        mask = (torch.arange(output.size(1))[None] < lengths[:, None]).unsqueeze(-1)
        pooled = (output * mask).sum(1) / lengths[:, None]
        return self.fc(pooled).squeeze(1)


@healthy()
def packed_bidirectional_gru() -> smokestep.Training:
    model = PackedClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0))

    def step(batch):
        ids, lengths, y = batch
        optimizer.zero_grad()
        loss = criterion(model(ids, lengths), y)
        loss.backward()
        optimizer.step()
        return loss

    lengths = torch.tensor([7, 3, 5, 2])
    ids = tokens(4, 7) * (torch.arange(7)[None] < lengths[:, None])
    return smokestep.Training(step, (ids, lengths, torch.tensor([0.0, 1.0, 1.0, 0.0])))


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16)
        self.encoder = nn.GRU(16, 16, batch_first=True)
        self.cell = nn.GRUCell(16 + 16, 16)
        self.out = nn.Linear(16, VOCAB)

    def forward(self, source, target, teacher_forcing: float = 0.5):
        memory, h = self.encoder(self.embed(source))
        h = h.squeeze(0)
        token, logits = target[:, 0], []
        for t in range(1, target.size(1)):
            scores = torch.einsum("bd,btd->bt", h, memory) / math.sqrt(16)
            context = torch.einsum("bt,btd->bd", scores.softmax(-1), memory)
            h = self.cell(torch.cat([self.embed(token), context], dim=-1), h)
            logits.append(self.out(h))
            use_truth = torch.rand(()).item() < teacher_forcing
            token = target[:, t] if use_truth else logits[-1].argmax(-1)
        return torch.stack(logits, dim=1)


@healthy()
def seq2seq_with_attention_and_scheduled_sampling() -> smokestep.Training:
    model = Seq2Seq()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=0)

    def step(batch):
        source, target = batch
        logits = model(source, target)
        loss = criterion(logits.transpose(1, 2), target[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    target = tokens(4, 6)
    target[0, 4:] = 0
    return smokestep.Training(step, (tokens(), target))


class CausalSelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int, block: int):
        super().__init__()
        self.c_attn = nn.Linear(dim, 3 * dim)
        self.c_proj = nn.Linear(dim, dim)
        self.heads = heads
        self.register_buffer("bias", torch.tril(torch.ones(block, block)).view(1, 1, block, block))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in self.c_attn(x).split(C, dim=2))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, block: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim)
        self.attn = CausalSelfAttention(dim, heads, block)
        self.ln_2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim), nn.Dropout(0.1))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, dim: int = 16, block: int = 12):
        super().__init__()
        self.wte = nn.Embedding(VOCAB, dim)
        self.wpe = nn.Embedding(block, dim)  # longer than any batch: its last rows are never looked up
        self.blocks = nn.ModuleList([Block(dim, 2, block) for _ in range(2)])
        self.ln_f = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, VOCAB, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx, targets=None):
        pos = torch.arange(idx.size(1))
        x = self.wte(idx) + self.wpe(pos)
        for block in self.blocks:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, VOCAB), targets.reshape(-1), ignore_index=-1)


@healthy()
def causal_transformer() -> smokestep.Training:
    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))

    def step(ids):
        _, loss = model(ids[:, :-1], ids[:, 1:])
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return smokestep.Training(step, tokens())


class MaskedLM(nn.Module):
    def __init__(self, dim: int = 16):
        super().__init__()
        self.embed = nn.Embedding(VOCAB + 1, dim)
        layer = nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.transform = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(VOCAB + 1))

    def forward(self, ids, padding):
        h = self.encoder(self.embed(ids), src_key_padding_mask=padding)
        return F.linear(F.gelu(self.transform(h)), self.embed.weight, self.bias)


@healthy()
def masked_language_model() -> smokestep.Training:
    model = MaskedLM()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        ids, padding = batch["input_ids"], batch["padding"]
        labels = ids.clone()
        masked = (torch.rand(ids.shape) < 0.3) & ~padding
        masked[:, 0] = True
        labels[~masked] = -100
        inputs = ids.masked_fill(masked, VOCAB)
        logits = model(inputs, padding)
        loss = F.cross_entropy(logits.view(-1, VOCAB + 1), labels.view(-1), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    padding = torch.zeros(4, 9, dtype=torch.bool)
    padding[1, 6:] = True
    return smokestep.Training(step, {"input_ids": tokens(), "padding": padding})


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(VOCAB, 16), nn.Embedding(VOCAB, 16)
        self.transformer = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)
        self.generator = nn.Linear(16, VOCAB)

    def forward(self, src, tgt):
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        return self.generator(self.transformer(self.source(src), self.target(tgt), tgt_mask=mask))


@healthy()
def nn_transformer_translation() -> smokestep.Training:
    model = Translator()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(batch):
        src, tgt = batch
        logits = model(src, tgt[:, :-1])
        loss = criterion(logits.flatten(0, 1), tgt[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (tokens(), tokens(4, 6)))


@healthy()
def multihead_attention_pooling() -> smokestep.Training:
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = nn.Parameter(torch.randn(1, 1, 8))
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.fc = nn.Linear(8, 2)

        def forward(self, x, mask):
            pooled, _ = self.attention(self.query.expand(len(x), -1, -1), x, x, key_padding_mask=mask)
            return self.fc(pooled.squeeze(1))

    model = Pool()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        x, mask, y = batch
        loss = F.cross_entropy(model(x, mask), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    mask = torch.arange(5)[None] >= torch.tensor([5, 3, 4, 2])[:, None]
    return smokestep.Training(step, (torch.randn(4, 5, 8), mask, torch.tensor([0, 1, 1, 0])))


@healthy()
def ctc_recogniser() -> smokestep.Training:
    model = nn.ModuleDict({"conv": nn.Conv1d(6, 16, 3, padding=1), "out": nn.Linear(16, 5)})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)

    def step(batch):
        audio, targets, target_lengths = batch
        h = F.relu(model["conv"](audio)).permute(2, 0, 1)
        log_probs = F.log_softmax(model["out"](h), dim=-1)
        input_lengths = torch.full((audio.size(0),), log_probs.size(0), dtype=torch.long)
        loss = ctc(log_probs, targets, input_lengths, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(3, 6, 12), torch.randint(1, 5, (3, 4)), torch.tensor([4, 3, 2])))

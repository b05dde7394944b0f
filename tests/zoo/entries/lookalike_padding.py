"""Correct programs over padded sequences: masks of both polarities, lengths, packing, padding at the front."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import smokestep

from ..registry import healthy

VOCAB, WIDTH, DIM = 23, 8, 16
LENGTHS = torch.tensor([8, 3, 5, 4, 6])
CLASSES = torch.tensor([0, 1, 1, 0, 1])
REAL = torch.arange(WIDTH) < LENGTHS[:, None]


def padded_ids(pad: int = 0) -> torch.Tensor:
    return torch.randint(3, VOCAB, REAL.shape).masked_fill(~REAL, pad)


def padded_features(dim: int = 6) -> torch.Tensor:
    return torch.randn(*REAL.shape, dim) * REAL[:, :, None]


def train(model: nn.Module, loss_of, data) -> smokestep.Training:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(data):
        loss = loss_of(model, *data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, data)


def classified(model, *data):
    *inputs, y = data
    return F.cross_entropy(model(*inputs), y)


class KimCNN(nn.Module):
    """Convolutions and a maximum over time, padding and all: as published."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(DIM, 8, size) for size in (2, 3))
        self.fc = nn.Linear(16, 2)

    def forward(self, ids):
        x = self.embed(ids).transpose(1, 2)
        return self.fc(torch.cat([conv(x).relu().amax(2) for conv in self.convs], 1))


@healthy()
def kim_cnn_over_padding() -> smokestep.Training:
    return train(KimCNN(), classified, (padded_ids(), CLASSES))


class MaskedMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM)
        self.fc = nn.Linear(DIM, 2)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1).float()
        return self.fc((self.embed(input_ids) * mask).sum(1) / mask.sum(1).clamp(min=1e-9))


@healthy()
def masked_mean_pooling() -> smokestep.Training:
    return train(MaskedMean(), classified, (padded_ids(), REAL.long(), CLASSES))


class BagOfWords(nn.Module):
    """Padding is a row of zeros, so that the sum needs no mask."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM, padding_idx=0)
        self.fc = nn.Linear(DIM, 2)

    def forward(self, ids, lengths):
        return self.fc(self.embed(ids).sum(1) / lengths[:, None])


@healthy()
def bag_of_words_by_lengths() -> smokestep.Training:
    return train(BagOfWords(), classified, (padded_ids(), LENGTHS, CLASSES))


class PackedTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM, padding_idx=0)
        self.rnn = nn.LSTM(DIM, DIM, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * DIM, 5)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        return self.fc(pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=ids.shape[1])[0])


@healthy()
def packed_lstm_tagger_with_minus_100() -> smokestep.Training:
    tags = torch.randint(0, 5, REAL.shape).masked_fill(~REAL, -100)
    return train(
        PackedTagger(),
        lambda m, ids, lengths, tags: F.cross_entropy(m(ids, lengths).transpose(1, 2), tags),
        (padded_ids(), LENGTHS, tags),
    )


class LastStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(6, DIM, batch_first=True)
        self.fc = nn.Linear(DIM, 2)

    def forward(self, x, lengths):
        out, _ = self.rnn(x)
        at = (lengths - 1).view(-1, 1, 1).expand(-1, 1, out.shape[2])
        return self.fc(out.gather(1, at).squeeze(1))


@healthy()
def last_real_step_gathered() -> smokestep.Training:
    return train(LastStep(), classified, (padded_features(), LENGTHS, CLASSES))


class Encoder(nn.Module):
    """PyTorch's own encoder, whose fast path drops what is padded in evaluation mode."""

    def __init__(self, nested: bool):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM, padding_idx=0)
        self.position = nn.Embedding(32, DIM)
        layer = nn.TransformerEncoderLayer(DIM, 2, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)
        self.fc = nn.Linear(DIM, VOCAB)

    def forward(self, ids):
        x = self.embed(ids) + self.position(torch.arange(ids.shape[1]))
        return self.fc(self.encoder(x, src_key_padding_mask=ids == 0))


def reconstruct(model, ids):
    return F.cross_entropy(model(ids).flatten(0, 1), ids.flatten(), ignore_index=0)


@healthy()
def encoder_with_padding_mask_and_nested_tensors() -> smokestep.Training:
    return train(Encoder(True), reconstruct, (padded_ids(),))


@healthy()
def encoder_with_padding_mask() -> smokestep.Training:
    return train(Encoder(False), reconstruct, (padded_ids(),))


class Bert(nn.Module):
    """The additive mask of the BERT family; the model makes its own loss when it is given labels."""

    def __init__(self):
        super().__init__()
        self.word, self.position = nn.Embedding(VOCAB, DIM, padding_idx=0), nn.Embedding(32, DIM)
        self.kind = nn.Embedding(2, DIM)
        self.norm = nn.LayerNorm(DIM)
        self.qkv, self.o = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.decoder = nn.Linear(DIM, VOCAB)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, labels=None):
        batch, width = input_ids.shape
        extended = (1.0 - attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        x = self.word(input_ids) + self.position(torch.arange(width)) + self.kind(token_type_ids)
        x = self.norm(x)
        q, k, v = self.qkv(x).view(batch, width, 3, 2, DIM // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(DIM // 2) + extended).softmax(-1)
        x = self.norm(x + self.o((weights @ v).transpose(1, 2).reshape(batch, width, DIM)))
        logits = self.decoder(x)
        loss = F.cross_entropy(logits.view(-1, VOCAB), labels.view(-1)) if labels is not None else None
        return {"loss": loss, "logits": logits}


@healthy()
def bert_with_extended_mask_and_own_loss() -> smokestep.Training:
    model = Bert()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        loss = model(**batch)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    ids = padded_ids()
    batch = {"input_ids": ids, "attention_mask": REAL.long(), "token_type_ids": torch.zeros_like(ids)}
    return smokestep.Training(step, {**batch, "labels": ids.masked_fill(~REAL, -100)})


class Decoder(nn.Module):
    """Causal, over sequences padded at their front, with positions counted from the first real token."""

    def __init__(self):
        super().__init__()
        self.embed, self.position = nn.Embedding(VOCAB, DIM), nn.Embedding(32, DIM)
        self.qkv, self.o = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.head = nn.Linear(DIM, VOCAB)

    def forward(self, input_ids, attention_mask):
        batch, width = input_ids.shape
        positions = (attention_mask.cumsum(-1) - 1).masked_fill(attention_mask == 0, 1)
        x = self.embed(input_ids) + self.position(positions)
        q, k, v = self.qkv(x).view(batch, width, 3, 2, DIM // 2).permute(2, 0, 3, 1, 4)
        seen = torch.ones(width, width, dtype=torch.bool).tril() & attention_mask.bool()[:, None, None, :]
        seen = seen | torch.eye(width, dtype=torch.bool)
        x = x + self.o(F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2))
        return self.head(x)


@healthy()
def left_padded_decoder_with_positions_from_the_mask() -> smokestep.Training:
    ids, mask = padded_ids().flip(1), REAL.long().flip(1)

    def loss_of(model, ids, mask):
        labels = ids.masked_fill(mask == 0, -100)
        return F.cross_entropy(model(ids, mask)[:, :-1].flatten(0, 1), labels[:, 1:].flatten())

    return train(Decoder(), loss_of, (ids, mask))


class AttentionPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.project, self.score = nn.Linear(6, DIM), nn.Linear(DIM, 1)
        self.fc = nn.Linear(DIM, 2)

    def forward(self, x, mask):
        h = self.project(x).tanh()
        weights = self.score(h).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(1)
        return self.fc((weights[:, :, None] * h).sum(1))


@healthy()
def attention_pooling_over_real_steps() -> smokestep.Training:
    return train(AttentionPool(), classified, (padded_features(), REAL, CLASSES))


class DeepSet(nn.Module):
    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(6, DIM), nn.ReLU(), nn.Linear(DIM, DIM))
        self.fc = nn.Linear(2 * DIM, 2)

    def forward(self, points, mask):
        h = self.each(points)
        most = h.masked_fill(~mask[:, :, None], -1e9).amax(1)
        return self.fc(torch.cat([(h * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True), most], 1))


@healthy()
def ragged_sets_with_a_mask() -> smokestep.Training:
    return train(DeepSet(), classified, (padded_features(), REAL, CLASSES))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.position = nn.Embedding(VOCAB, DIM), nn.Embedding(32, DIM)
        layer = nn.TransformerEncoderLayer(DIM, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(DIM, VOCAB)

    def forward(self, ids):
        causal = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        x = self.embed(ids) + self.position(torch.arange(ids.shape[1]))
        return self.head(self.blocks(x, mask=causal, is_causal=True))


@healthy()
def gpt_that_learns_to_repeat_its_end_mark() -> smokestep.Training:
    """The end mark is the padding too, and predicting it again is meant."""
    return train(
        Gpt(),
        lambda m, ids: F.cross_entropy(m(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()),
        (padded_ids(pad=2),),
    )


class SequenceFirst(nn.Module):
    """Time first, as PyTorch's layers have it by default; the masks are samples first all the same."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(VOCAB, DIM, padding_idx=0), nn.Embedding(VOCAB, DIM, padding_idx=0)
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(DIM, 2, 32), 1, enable_nested_tensor=False)
        self.transformer = nn.Transformer(DIM, 2, 1, 1, 32, dropout=0.1, custom_encoder=encoder)
        self.out = nn.Linear(DIM, VOCAB)

    def forward(self, src, tgt, tgt_mask, src_padding_mask, tgt_padding_mask, memory_key_padding_mask):
        x = self.transformer(
            self.source(src),
            self.target(tgt),
            tgt_mask=tgt_mask,
            src_key_padding_mask=src_padding_mask,
            tgt_key_padding_mask=tgt_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
        )
        return self.out(x)


@healthy()
def translation_with_time_first_and_all_its_masks() -> smokestep.Training:
    source = padded_ids().t()
    target = (torch.randint(3, VOCAB, (5, 7)) * (torch.arange(7) < torch.tensor([4, 7, 5, 6, 5])[:, None])).t()

    def loss_of(model, source, target):
        given = target[:-1]
        causal = torch.ones(len(given), len(given), dtype=torch.bool).triu(1)
        masks = (source == 0).t(), (given == 0).t()
        logits = model(source, given, causal, *masks, masks[0])
        return F.cross_entropy(logits.reshape(-1, VOCAB), target[1:].reshape(-1), ignore_index=0)

    return train(SequenceFirst(), loss_of, (source, target))


@healthy()
def masked_regression_divided_by_the_mask() -> smokestep.Training:
    class Forecast(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.GRU(6, DIM, batch_first=True), nn.Linear(DIM, 6)

        def forward(self, x):
            return self.out(self.rnn(x)[0])

    def loss_of(model, x, mask):
        apart = ((model(x[:, :-1]) - x[:, 1:]) ** 2).mean(-1) * mask[:, 1:]
        return apart.sum() / mask[:, 1:].sum()

    return train(Forecast(), loss_of, (padded_features(), REAL.float()))


class Convolved(nn.Module):
    """Convolutions see a little of the padding; the pooling does not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(6, DIM, 3, padding=1), nn.ReLU(), nn.Conv1d(DIM, DIM, 3, padding=1))
        self.fc = nn.Linear(DIM, 2)

    def forward(self, x, lengths):
        h = self.conv(x.transpose(1, 2))
        mask = torch.arange(h.shape[2]) < lengths[:, None]
        return self.fc((h * mask[:, None]).sum(2) / lengths[:, None])


@healthy()
def convolutions_with_masked_pooling() -> smokestep.Training:
    return train(Convolved(), classified, (padded_features(), LENGTHS, CLASSES))


class ClassToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM)
        self.cls = nn.Parameter(torch.randn(1, 1, DIM))
        self.attention = nn.MultiheadAttention(DIM, 2, batch_first=True)
        self.fc = nn.Linear(DIM, 2)

    def forward(self, ids, padding_mask):
        x = torch.cat([self.cls.expand(len(ids), -1, -1), self.embed(ids)], 1)
        x = x + self.attention(x, x, x, key_padding_mask=F.pad(padding_mask, (1, 0)), need_weights=False)[0]
        return self.fc(x[:, 0])


@healthy()
def class_token_before_padded_tokens() -> smokestep.Training:
    return train(ClassToken(), classified, (padded_ids(), ~REAL, CLASSES))


@healthy()
def ctc_over_padded_frames() -> smokestep.Training:
    class Recogniser(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(6, DIM, batch_first=True), nn.Linear(DIM, 5)

        def forward(self, x, lengths):
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            out, lengths = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
            return self.out(out).log_softmax(-1), lengths

    def loss_of(model, x, lengths, text, text_lengths):
        logs, lengths = model(x, lengths)
        return F.ctc_loss(logs.transpose(0, 1), text, lengths, text_lengths, zero_infinity=True)

    text_lengths = torch.tensor([3, 1, 2, 2, 2])
    text = torch.randint(1, 5, (5, 3)) * (torch.arange(3) < text_lengths[:, None])
    return train(Recogniser(), loss_of, (padded_features(), LENGTHS, text, text_lengths))


@healthy()
def forecast_with_a_mask_of_the_known_past() -> smokestep.Training:
    """The mask says what is known, not what is padding: the future is what shall be said."""

    class Infill(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(7, DIM)
            self.encoder = nn.TransformerEncoderLayer(DIM, 2, 32, dropout=0.0, batch_first=True)
            self.out = nn.Linear(DIM, 6)

        def forward(self, x, mask):
            return self.out(self.encoder(self.embed(torch.cat([x * mask[:, :, None], mask[:, :, None]], 2))))

    known = (torch.arange(WIDTH) < 5).float().expand(5, -1)
    return train(
        Infill(),
        lambda m, x, known: F.mse_loss(m(x * known[:, :, None], known)[:, 5:], x[:, 5:]),
        (torch.randn(5, WIDTH, 6), known),
    )

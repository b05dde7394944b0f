"""Padding: masked, packed, ignored by the loss, on the left, or read on purpose by models that need no mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

import smokestep

from ..registry import healthy

VOCAB, PAD = 20, 0
LENGTHS = (7, 3, 5, 2)


def ragged(lengths=LENGTHS) -> list[torch.Tensor]:
    return [torch.randint(1, VOCAB, (n,)) for n in lengths]


def padded(side: str = "right"):
    return pad_sequence(ragged(), batch_first=True, padding_side=side), torch.tensor(LENGTHS)


def classify(model: nn.Module, *inputs, lr: float = 1e-3) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        *inputs, y = batch
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(*inputs), y)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (*inputs, torch.tensor([0, 1, 2, 1])), model=model)


class MeanByLengths(nn.Module):
    """The padding's row is zero and stays so; the sum is divided by the true length."""

    def __init__(self):
        super().__init__()
        self.embed, self.fc = nn.Embedding(VOCAB, 8, padding_idx=PAD), nn.Linear(8, 3)

    def forward(self, ids, lengths):
        return self.fc(self.embed(ids).sum(1) / lengths.unsqueeze(1))


@healthy()
def mean_of_embeddings_by_lengths() -> smokestep.Training:
    return classify(MeanByLengths(), *padded())


class LastByLengths(nn.Module):
    """The recurrent layer runs over the padding too; the state at the last true token is picked."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.fc = nn.Embedding(VOCAB, 8), nn.GRU(8, 10, batch_first=True), nn.Linear(10, 3)

    def forward(self, ids, lengths):
        out, _ = self.rnn(self.embed(ids))
        return self.fc(out[torch.arange(len(ids)), lengths - 1])


@healthy()
def state_at_the_last_true_token() -> smokestep.Training:
    return classify(LastByLengths(), *padded())


class SortedPacked(nn.Module):
    """Sorts by length for packing, and puts the rows back."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 8, padding_idx=PAD)
        self.lstm, self.fc = nn.LSTM(8, 6, bidirectional=True), nn.Linear(12, 3)

    def forward(self, ids, lengths):
        ordered, order = lengths.sort(descending=True)
        packed = pack_padded_sequence(self.embed(ids[order]).transpose(0, 1), ordered)
        _, (h, _) = self.lstm(packed)
        return self.fc(torch.cat([h[0], h[1]], dim=1)[order.argsort()])


@healthy()
def packed_after_sorting_and_put_back() -> smokestep.Training:
    return classify(SortedPacked(), *padded())


class PrePadded(nn.Module):
    """Keras style: padded on the left, no mask, the last output; the network learns to skip the leading zeros."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.fc = nn.Embedding(VOCAB, 8), nn.LSTM(8, 10, batch_first=True), nn.Linear(10, 3)

    def forward(self, ids):
        return self.fc(self.lstm(self.embed(ids))[0][:, -1])


@healthy()
def recurrent_classifier_padded_on_the_left_without_mask() -> smokestep.Training:
    return classify(PrePadded(), padded("left")[0])


class TextCNN(nn.Module):
    """Kim 2014: three widths, maximum over time; padding is one more word, and there is no mask."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 8)
        self.convs = nn.ModuleList([nn.Conv2d(1, 4, (width, 8)) for width in (2, 3, 4)])
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(12, 3)

    def forward(self, x):
        x = self.embed(x).unsqueeze(1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
        return self.fc(self.dropout(torch.cat(x, 1)))


@healthy()
def text_cnn_with_maximum_over_padded_words() -> smokestep.Training:
    return classify(TextCNN(), padded()[0])


class ClassToken(nn.Module):
    """BERT's way: 1 for a word and 0 for padding, turned into a number that is added to the scores."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.word, self.position = nn.Embedding(VOCAB, dim, padding_idx=PAD), nn.Embedding(12, dim)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ffn, self.pool = nn.Sequential(nn.Linear(dim, 16), nn.GELU(), nn.Linear(16, dim)), nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, 3)

    def forward(self, input_ids, attention_mask):
        x = self.norm1(self.word(input_ids) + self.position(torch.arange(input_ids.shape[1])))
        extended = (1.0 - attention_mask[:, None, :].float()) * torch.finfo(x.dtype).min
        weights = (self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5 + extended).softmax(-1)
        x = x + self.o(weights @ self.v(x))
        x = self.norm2(x + self.ffn(x))
        return self.classifier(torch.tanh(self.pool(x[:, 0])))


@healthy()
def additive_mask_and_the_first_token() -> smokestep.Training:
    ids, _ = padded()
    return classify(ClassToken(), ids, (ids != PAD).long())


class KeyPadding(nn.Module):
    """The mask is made from the ids; pooled by a mean over the true tokens."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 8, padding_idx=PAD)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, ids):
        mask = ids == PAD
        x = self.encoder(self.embed(ids), src_key_padding_mask=mask)
        x = x.masked_fill(mask.unsqueeze(-1), 0.0)
        return self.fc(x.sum(1) / (~mask).sum(1, keepdim=True))


@healthy()
def key_padding_mask_made_from_the_ids() -> smokestep.Training:
    return classify(KeyPadding(), padded()[0])


class MaskedMaximum(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 8)
        self.conv1, self.conv2 = nn.Conv1d(8, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 3)

    def forward(self, ids, lengths):
        real = (torch.arange(ids.shape[1]) < lengths[:, None]).unsqueeze(1)
        x = self.embed(ids).transpose(1, 2) * real
        x = F.relu(self.conv1(x)) * real  # zeroed again after each layer, or the padding leaks in from the side
        x = F.relu(self.conv2(x))
        return self.fc(x.masked_fill(~real, float("-inf")).amax(-1))


@healthy()
def convolutions_whose_padding_is_zeroed_after_each_layer() -> smokestep.Training:
    return classify(MaskedMaximum(), *padded())


class LeftPaddedDecoder(nn.Module):
    """Positions are counted from the first true token; a row that sees nothing but padding looks at itself."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.embed, self.position = nn.Embedding(VOCAB, dim), nn.Embedding(12, dim)
        self.qkv, self.norm, self.head = nn.Linear(dim, 3 * dim), nn.LayerNorm(dim), nn.Linear(dim, VOCAB)

    def forward(self, input_ids, attention_mask):
        position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        x = self.embed(input_ids) + self.position(position_ids)
        t = input_ids.shape[1]
        allowed = torch.ones(t, t, dtype=torch.bool).tril() & attention_mask[:, None].bool()
        allowed = allowed | torch.eye(t, dtype=torch.bool)
        q, k, v = self.qkv(x).chunk(3, -1)
        x = x + F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.head(self.norm(x))


@healthy()
def decoder_padded_on_the_left() -> smokestep.Training:
    model = LeftPaddedDecoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        logits = model(ids[:, :-1], mask[:, :-1])
        labels = ids.masked_fill(mask == 0, -100)[:, 1:].clone()
        labels[mask[:, :-1] == 0] = -100
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    ids, _ = padded("left")
    return smokestep.Training(step, {"input_ids": ids, "attention_mask": (ids != PAD).long()})


class PlainDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.out = nn.Embedding(VOCAB, 8), nn.GRU(8, 12, batch_first=True), nn.Linear(12, VOCAB)

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids))[0])


@healthy()
def decoder_padded_on_the_right_protected_by_causality() -> smokestep.Training:
    """No mask goes in: what follows the text cannot reach it, and the loss ignores it."""
    model = PlainDecoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)

    def step(ids):
        optimizer.zero_grad()
        loss = criterion(model(ids[:, :-1]).permute(0, 2, 1), ids[:, 1:])
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, padded()[0], model=model, causal=True)


@healthy()
def each_token_weighted_by_hand() -> smokestep.Training:
    """reduction="none", times the mask, over the number of true tokens of each sentence, then the mean of sentences."""
    model = PlainDecoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        ids, lengths = batch
        each = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
        mask = (torch.arange(each.shape[1])[None] < (lengths - 1)[:, None]).float()
        loss = ((each * mask).sum(1) / mask.sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, padded())


class PackedDocuments(nn.Module):
    """Several documents in one row: a block-diagonal causal mask, positions that begin anew."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.embed, self.position = nn.Embedding(VOCAB, dim), nn.Embedding(12, dim)
        self.qkv, self.head = nn.Linear(dim, 3 * dim), nn.Linear(dim, VOCAB)

    def forward(self, ids, positions, document):
        x = self.embed(ids) + self.position(positions)
        allowed = (document[:, None] == document[None]).tril()
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = (q @ k.T / 8**0.5).masked_fill(~allowed, float("-inf"))
        return self.head(x + scores.softmax(-1) @ v)


@healthy()
def several_documents_packed_into_one_row() -> smokestep.Training:
    model = PackedDocuments()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(documents):
        ids = torch.cat([each[:-1] for each in documents])
        targets = torch.cat([each[1:] for each in documents])
        sizes = torch.tensor([len(each) - 1 for each in documents])
        document = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        positions = torch.cat([torch.arange(n) for n in sizes.tolist()])
        loss = F.cross_entropy(model(ids, positions, document), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, ragged())


class Hierarchical(nn.Module):
    """Words to sentences, sentences to a document; a sentence of padding only must not make the softmax NaN."""

    def __init__(self):
        super().__init__()
        self.embed, self.word, self.sentence = nn.Embedding(VOCAB, 8), nn.Linear(8, 1), nn.Linear(8, 1)
        self.fc = nn.Linear(8, 3)

    @staticmethod
    def pool(x, scores, mask):
        weights = scores.squeeze(-1).masked_fill(~mask, torch.finfo(x.dtype).min).softmax(-1) * mask
        return (weights.unsqueeze(-1) * x).sum(-2)

    def forward(self, ids):  # (documents, sentences, words)
        mask, x = ids != PAD, self.embed(ids)
        sentences = torch.tanh(self.pool(x, self.word(x), mask))
        return self.fc(self.pool(sentences, self.sentence(sentences), mask.any(-1)))


@healthy()
def documents_of_sentences_some_of_them_empty() -> smokestep.Training:
    ids = torch.randint(1, VOCAB, (4, 3, 5))
    ids[0, 2], ids[1, 1:], ids[2, 0, 3:] = PAD, PAD, PAD
    return classify(Hierarchical(), ids)


class Pointer(nn.Module):
    """Points at a position of the input: positions of padding get minus infinity, the output's width is the length."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 8, padding_idx=PAD)
        self.rnn, self.query = nn.GRU(8, 8, batch_first=True), nn.Linear(8, 8)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        out, h = self.rnn(packed)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=ids.shape[1])
        scores = (out @ self.query(h[-1]).unsqueeze(-1)).squeeze(-1)
        return scores.masked_fill(ids == PAD, float("-inf"))


@healthy()
def pointer_to_a_position_of_the_input() -> smokestep.Training:
    return classify(Pointer(), *padded())

"""Where the batch is: nowhere, second, folded into time or channels, or of one fixed size that the model insists on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep

from ..registry import healthy

VOCAB = 20


def fit(model: nn.Module, batch, loss=F.cross_entropy, lr: float = 1e-3) -> smokestep.Training:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(batch):
        *inputs, target = batch
        optimizer.zero_grad()
        value = loss(model(*inputs), target)
        value.backward()
        optimizer.step()
        return value

    return smokestep.Training(step, batch)


class PartOfSpeech(nn.Module):
    """The first tutorial on LSTMs: one sentence, no batch dimension, viewed as (length, 1, features)."""

    def __init__(self):
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCAB, 6)
        self.lstm = nn.LSTM(6, 8)
        self.hidden2tag = nn.Linear(8, 3)

    def forward(self, sentence):
        embeds = self.word_embeddings(sentence)
        lstm_out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
        return F.log_softmax(self.hidden2tag(lstm_out.view(len(sentence), -1)), dim=1)


@healthy()
def tagger_of_one_sentence_without_a_batch() -> smokestep.Training:
    model, loss_function = PartOfSpeech(), nn.NLLLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        sentence, tags = batch
        model.zero_grad()
        loss = loss_function(model(sentence), tags)
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randint(0, VOCAB, (7,)), torch.randint(0, 3, (7,))))


class OneSequenceEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
        self.head = nn.Linear(8, 3)

    def forward(self, ids):  # (length,) in, (length, classes) out
        return self.head(self.layer(self.embed(ids)))


@healthy()
def transformer_on_one_sequence_without_a_batch() -> smokestep.Training:
    return fit(OneSequenceEncoder(), (torch.randint(0, VOCAB, (6,)), torch.randint(0, 3, (6,))))


class CharRNN(nn.Module):
    """One cell a character, one character at a time, as in the name classification tutorial."""

    def __init__(self, hidden: int = 10):
        super().__init__()
        self.i2h, self.h2o = nn.Linear(VOCAB + hidden, hidden), nn.Linear(hidden, 3)
        self.hidden = hidden

    def forward(self, line):
        h = torch.zeros(1, self.hidden)
        for letter in line:  # (length, 1, letters)
            h = torch.tanh(self.i2h(torch.cat((letter, h), 1)))
        return F.log_softmax(self.h2o(h), dim=1)


@healthy()
def one_name_letter_by_letter_with_updates_by_hand() -> smokestep.Training:
    rnn = CharRNN()

    def step(batch):
        line, category = batch
        rnn.zero_grad()
        loss = F.nll_loss(rnn(line), category)
        loss.backward()
        for p in rnn.parameters():
            p.data.add_(p.grad.data, alpha=-0.05)
        return loss.item()

    letters = torch.randint(0, VOCAB, (6,))
    return smokestep.Training(step, (F.one_hot(letters, VOCAB).float().unsqueeze(1), torch.tensor([2])))


class StatefulForecaster(nn.Module):
    """The hidden state is a buffer for exactly four series; it is carried from step to step, detached."""

    def __init__(self, batch_size: int = 4):
        super().__init__()
        self.rnn, self.head = nn.GRU(2, 8, batch_first=True), nn.Linear(8, 1)
        self.register_buffer("hidden", torch.zeros(1, batch_size, 8))

    def forward(self, x):
        out, hidden = self.rnn(x, self.hidden)
        if self.training:
            self.hidden = hidden.detach()
        return self.head(out[:, -1])


@healthy()
def hidden_state_in_a_buffer_of_a_fixed_batch_size() -> smokestep.Training:
    return fit(StatefulForecaster(), (torch.randn(4, 5, 2), torch.randn(4, 1)), F.mse_loss)


class HardCodedBatch(nn.Module):
    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4 * 4 * 4, 3)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).view(self.batch_size, -1))


@healthy(suspicions={"batch-size": "true: the view holds the batch size, and a last smaller batch would raise"})
def view_with_the_batch_size_given_to_the_model() -> smokestep.Training:
    return fit(HardCodedBatch(5), (torch.randn(5, 1, 6, 6), torch.randint(0, 3, (5,))))


class BareSqueeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, x):
        return self.net(x).squeeze()


@healthy()
def bare_squeeze_of_a_single_column() -> smokestep.Training:
    return fit(BareSqueeze(), (torch.randn(8, 6), torch.rand(8).round()), F.binary_cross_entropy_with_logits)


@healthy()
def single_column_squeezed_in_the_step_and_loaded_as_column() -> smokestep.Training:
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    optimizer = torch.optim.RMSprop(model.parameters())

    def step(batch):
        x, y = batch
        optimizer.zero_grad()
        loss = F.l1_loss(model(x).squeeze(-1), y.view(-1))
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(8, 6), torch.randn(8, 1)))


class TimeMajor(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 8, num_layers=2)
        self.head = nn.Linear(8, 2)

    def forward(self, x):  # (time, batch, feature)
        out, _ = self.rnn(x)
        return self.head(out[-1])


@healthy()
def time_major_gru() -> smokestep.Training:
    return fit(TimeMajor(), (torch.randn(6, 4, 3), torch.randint(0, 2, (4,))))


class TimeMajorTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.position = nn.Embedding(VOCAB, 8), nn.Parameter(0.1 * torch.randn(10, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.decoder = nn.Linear(8, VOCAB)

    def forward(self, src, src_mask):
        return self.decoder(self.encoder(self.embed(src) + self.position[: len(src)], src_mask))


@healthy()
def word_language_model_time_major_with_a_mask() -> smokestep.Training:
    """The data of the language modelling tutorial: (T, B) in, the targets the next row, flattened."""
    model = TimeMajorTransformer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def step(source):
        data, targets = source[:-1], source[1:].reshape(-1)
        mask = nn.Transformer.generate_square_subsequent_mask(len(data))
        optimizer.zero_grad()
        output = model(data, mask)
        loss = F.cross_entropy(output.view(-1, VOCAB), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, VOCAB, (7, 4)))


class TemporalShift(nn.Module):
    """Frames are folded into the batch (B*T); a shift mixes neighbouring frames of one clip."""

    def __init__(self, frames: int = 4):
        super().__init__()
        self.conv, self.fc, self.frames = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 2), frames

    def forward(self, x):
        nt, c, h, w = x.shape
        clips = x.view(nt // self.frames, self.frames, c, h, w)
        out = torch.zeros_like(clips)
        out[:, :-1, :2] = clips[:, 1:, :2]
        out[:, 1:, 2:4] = clips[:, :-1, 2:4]
        out[:, :, 4:] = clips[:, :, 4:]
        logits = self.fc(F.relu(self.conv(out.view(nt, c, h, w))).mean((2, 3)))
        return logits.view(-1, self.frames, 2).mean(1)


@healthy()
def video_frames_folded_into_the_batch() -> smokestep.Training:
    return fit(TemporalShift(), (torch.randn(12, 6, 4, 4), torch.randint(0, 2, (3,))))


class ModulatedConv(nn.Module):
    """StyleGAN's: every sample has its own kernel, so the samples become the groups of one convolution."""

    def __init__(self, n_in: int = 3, n_out: int = 4):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, n_out, n_in, 3, 3) * 0.3)
        self.style = nn.Linear(5, n_in)
        nn.init.ones_(self.style.bias)
        self.head = nn.Linear(n_out, 3)

    def forward(self, x, z):
        b, c, h, w = x.shape
        kernel = self.weight * self.style(z).view(b, 1, c, 1, 1)
        kernel = kernel * torch.rsqrt(kernel.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        out = F.conv2d(x.reshape(1, b * c, h, w), kernel.flatten(0, 1), padding=1, groups=b)
        return self.head(F.leaky_relu(out.view(b, -1, h, w), 0.2).mean((2, 3)))


@healthy()
def samples_as_the_groups_of_one_convolution() -> smokestep.Training:
    return fit(ModulatedConv(), (torch.randn(4, 3, 5, 5), torch.randn(4, 5), torch.randint(0, 3, (4,))))


class WindowAttention(nn.Module):
    """Swin: the windows of all images lie in the batch dimension while they attend; every other layer shifts."""

    def __init__(self, dim: int = 8, window: int = 2):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 2, 2)
        self.attention = nn.ModuleList([nn.MultiheadAttention(dim, 2, batch_first=True) for _ in range(2)])
        self.norm, self.head, self.window = nn.LayerNorm(dim), nn.Linear(dim, 3), window

    def forward(self, images):
        x = self.patch(images).permute(0, 2, 3, 1)
        b, h, w, c = x.shape
        s = self.window
        for i, attention in enumerate(self.attention):
            shifted = torch.roll(x, (-i, -i), dims=(1, 2))
            windows = shifted.view(b, h // s, s, w // s, s, c).transpose(2, 3).reshape(-1, s * s, c)
            windows = windows + attention(windows, windows, windows, need_weights=False)[0]
            merged = windows.view(b, h // s, w // s, s, s, c).transpose(2, 3).reshape(b, h, w, c)
            x = torch.roll(merged, (i, i), dims=(1, 2))
        return self.head(self.norm(x).mean((1, 2)))


@healthy()
def window_attention_with_windows_in_the_batch() -> smokestep.Training:
    return fit(WindowAttention(), (torch.randn(3, 3, 8, 8), torch.randint(0, 3, (3,))))


@healthy()
def bag_of_words_by_offsets() -> smokestep.Training:
    """The texts are concatenated; offsets say where each begins, so dimension 0 of the input is no sample."""

    class TextClassifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.fc = nn.EmbeddingBag(VOCAB, 8), nn.Linear(8, 3)

        def forward(self, text, offsets):
            return self.fc(self.embedding(text, offsets))

    batch = (torch.randint(0, VOCAB, (13,)), torch.tensor([0, 4, 6, 11]), torch.tensor([0, 2, 1, 1]))
    return fit(TextClassifier(), batch, lr=0.05)


@healthy()
def several_crops_of_an_image_averaged() -> smokestep.Training:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch):
        crops, y = batch
        b, n, c, h, w = crops.shape
        logits = model(crops.view(-1, c, h, w)).view(b, n, -1).mean(1)
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, (torch.randn(3, 4, 3, 6, 6), torch.randint(0, 3, (3,))))


class SharedBatchEnsemble(nn.Module):
    """BatchEnsemble: the batch is tiled, one copy a member; the members' answers are averaged outside."""

    def __init__(self, members: int = 3):
        super().__init__()
        self.shared, self.head = nn.Linear(6, 12), nn.Linear(12, 2)
        self.r = nn.Parameter(1 + 0.5 * torch.randn(members, 6))
        self.s = nn.Parameter(1 + 0.5 * torch.randn(members, 12))
        self.members = members

    def forward(self, x):
        each = len(x)
        x = x.repeat(self.members, 1)
        r, s = self.r.repeat_interleave(each, 0), self.s.repeat_interleave(each, 0)
        return self.head(F.relu(self.shared(x * r) * s)).view(self.members, each, -1)


@healthy()
def tiled_batch_for_an_ensemble() -> smokestep.Training:
    def members_loss(logits, y):
        return F.cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)))

    return fit(SharedBatchEnsemble(), (torch.randn(6, 6), torch.randint(0, 2, (6,))), members_loss)

"""The final states of a bidirectional recurrent encoder, [2, batch, hidden], are `view`ed as [batch, 2·hidden].

Source: timbmg/Sentence-VAE issue #15 (2019): `batch_first=True` holds for the output and not for the hidden state, so
"the two dimensions are mixed up in the code".
Symptom: half of the sentences are encoded by the states of two others; it trains without error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import smokestep


class SentenceVAE(nn.Module):
    def __init__(self, vocab_size=24, embedding_size=12, hidden_size=16, latent_size=4):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.encoder_rnn = nn.GRU(embedding_size, hidden_size, bidirectional=True, batch_first=True)
        self.decoder_rnn = nn.GRU(embedding_size, hidden_size, batch_first=True)
        self.hidden2mean = nn.Linear(hidden_size * 2, latent_size)
        self.hidden2logv = nn.Linear(hidden_size * 2, latent_size)
        self.latent2hidden = nn.Linear(latent_size, hidden_size)
        self.outputs2vocab = nn.Linear(hidden_size, vocab_size)
        self.hidden_size = hidden_size

    def together(self, hidden, batch_size):
        return hidden.view(batch_size, self.hidden_size * 2)  # FAULT

    def forward(self, input_sequence):
        input_embedding = self.embedding(input_sequence)
        _, hidden = self.encoder_rnn(input_embedding)
        hidden = self.together(hidden, input_sequence.size(0))
        mean, logv = self.hidden2mean(hidden), self.hidden2logv(hidden)
        z = torch.randn_like(mean) * torch.exp(0.5 * logv) + mean
        outputs, _ = self.decoder_rnn(input_embedding, self.latent2hidden(z).unsqueeze(0))
        return F.log_softmax(self.outputs2vocab(outputs), dim=-1), mean, logv


class Transposed(SentenceVAE):
    def together(self, hidden, batch_size):
        return hidden.transpose(0, 1).reshape(batch_size, self.hidden_size * 2)


def training(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(sentences):
        logp, mean, logv = model(sentences[:, :-1])
        nll = F.nll_loss(logp.reshape(-1, logp.size(2)), sentences[:, 1:].reshape(-1), reduction="sum")
        kl = -0.5 * torch.sum(1 + logv - mean.pow(2) - logv.exp())
        loss = (nll + 0.1 * kl) / len(sentences)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return smokestep.Training(step, torch.randint(0, 24, (8, 9)))


def buggy():
    return training(SentenceVAE())


def fixed():
    return training(Transposed())

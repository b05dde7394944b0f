"""A character-level language model, trained by a class with `fit` that never clears the gradients."""

import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = "the quick brown fox jumps over the lazy dog. " * 40


class Corpus:
    def __init__(self, text):
        self.characters = sorted(set(text))
        index = {character: i for i, character in enumerate(self.characters)}
        self.data = torch.tensor([index[character] for character in text])

    def batches(self, batch_size, length):
        while True:
            starts = torch.randint(0, len(self.data) - length - 1, (batch_size,))
            chunk = torch.stack([self.data[start : start + length + 1] for start in starts])
            yield chunk[:, :-1], chunk[:, 1:]


class CharRnn(nn.Module):
    def __init__(self, vocabulary, width=24):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids):
        hidden, _ = self.rnn(self.embed(ids))
        return self.head(hidden)


class Trainer:
    def __init__(self, model, corpus, lr=3e-3):
        self.model = model
        self.corpus = corpus
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def train_step(self, ids, following):
        logits = self.model(ids)
        loss = F.cross_entropy(logits.reshape(-1, logits.size(-1)), following.reshape(-1))
        loss.backward()  # BUG: stale-gradients
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def fit(self, steps):
        started, average = time.time(), None
        for step, (ids, following) in enumerate(self.corpus.batches(16, 20)):
            loss = self.train_step(ids, following)
            average = loss if average is None else 0.9 * average + 0.1 * loss
            if step % 50 == 0:
                print(f"step {step}, loss {average:.3f}, {time.time() - started:.1f} s", file=sys.stderr)
            if step >= steps:
                return average


torch.manual_seed(1)
corpus = Corpus(TEXT)
trainer = Trainer(CharRnn(len(corpus.characters)), corpus)
trainer.fit(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

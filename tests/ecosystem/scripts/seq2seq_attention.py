"""Translation with a recurrent encoder, attention and teacher forcing: numbers in words to digits, one optimizer for each half."""

import argparse
import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

SOS, EOS, PAD = 0, 1, 2
ONES = "zero one two three four five six seven eight nine".split()
INPUT = {word: i + 3 for i, word in enumerate(ONES)}
OUTPUT = {str(i): i + 3 for i in range(10)}
MAX_LENGTH = 8


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long).fill_(SOS)
        decoder_hidden = encoder_hidden
        decoder_outputs, attentions = [], []
        for i in range(MAX_LENGTH):
            decoder_output, decoder_hidden, attn = self.forward_step(decoder_input, decoder_hidden, encoder_outputs)
            decoder_outputs.append(decoder_output)
            attentions.append(attn)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = decoder_output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        decoder_outputs = F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1)
        return decoder_outputs, decoder_hidden, torch.cat(attentions, dim=1)

    def forward_step(self, input, hidden, encoder_outputs):
        embedded = self.dropout(self.embedding(input))
        query = hidden.permute(1, 0, 2)
        context, attn_weights = self.attention(query, encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden, attn_weights


def get_dataloader(batch_size, n=512):
    source, target = np.full((n, MAX_LENGTH), PAD), np.full((n, MAX_LENGTH), PAD)
    for row in range(n):
        number = [random.randint(0, 9) for _ in range(random.randint(2, MAX_LENGTH - 1))]
        ids = [INPUT[ONES[d]] for d in number] + [EOS]
        source[row, : len(ids)] = ids
        ids = [OUTPUT[str(d)] for d in reversed(number)] + [EOS]
        target[row, : len(ids)] = ids
    data = TensorDataset(torch.LongTensor(source), torch.LongTensor(target))
    return DataLoader(data, sampler=RandomSampler(data), batch_size=batch_size)


def train_epoch(dataloader, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion, teacher_forcing_ratio):
    total_loss = 0
    for input_tensor, target_tensor in dataloader:
        encoder_optimizer.zero_grad()
        decoder_optimizer.zero_grad()
        encoder_outputs, encoder_hidden = encoder(input_tensor)
        forced = target_tensor if random.random() < teacher_forcing_ratio else None
        decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, forced)
        loss = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target_tensor.view(-1))
        loss.backward()
        encoder_optimizer.step()
        decoder_optimizer.step()
        total_loss += loss.item()
    return total_loss / len(dataloader)


def evaluate(encoder, decoder, sentence):
    with torch.no_grad():
        encoder_outputs, encoder_hidden = encoder(sentence)
        decoder_outputs, _, attention = decoder(encoder_outputs, encoder_hidden)
        words = []
        for idx in decoder_outputs.topk(1)[1].squeeze():
            if idx.item() == EOS:
                break
            words.append(str(idx.item() - 3))
    return words, attention


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n_epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--hidden_size", type=int, default=64)
    parser.add_argument("--teacher_forcing_ratio", type=float, default=0.7)
    args = parser.parse_args()
    random.seed(3)
    torch.manual_seed(3)
    loader = get_dataloader(args.batch_size)
    encoder = EncoderRNN(13, args.hidden_size)
    decoder = AttnDecoderRNN(args.hidden_size, 13)
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=0.001)
    decoder_optimizer = optim.Adam(decoder.parameters(), lr=0.001)
    criterion = nn.NLLLoss(ignore_index=PAD)
    start = time.time()
    for epoch in range(1, args.n_epochs + 1):
        loss = train_epoch(
            loader, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion, args.teacher_forcing_ratio
        )
        print(f"{time.time() - start:.0f} s ({epoch}/{args.n_epochs}) {loss:.4f}")
    encoder.eval()
    decoder.eval()
    print(evaluate(encoder, decoder, loader.dataset[0][0].unsqueeze(0))[0])
    torch.save({"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}, "seq2seq.pt")

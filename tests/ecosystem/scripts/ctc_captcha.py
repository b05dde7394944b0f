"""Reading strips of digits: a convolutional recurrent network with CTC, lengths that differ, a greedy decoder, fp16 scaler."""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

DIGITS = load_digits()
BY_CLASS = [DIGITS.images[DIGITS.target == c].astype(np.float32) / 16 for c in range(10)]


class Strips(Dataset):
    """Between 3 and 6 digits side by side; label 0 is CTC's blank."""

    def __init__(self, n, seed):
        self.n, self.seed = n, seed

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        rng = np.random.default_rng(self.seed + i)
        text = rng.integers(0, 10, rng.integers(3, 7))
        image = np.concatenate([BY_CLASS[c][rng.integers(len(BY_CLASS[c]))] for c in text], axis=1)
        return torch.from_numpy(image.T.copy()), torch.from_numpy(text + 1)


def collate(samples):
    images, texts = zip(*samples)
    widths = torch.tensor([len(each) for each in images])
    lengths = torch.tensor([len(each) for each in texts])
    return pad_sequence(images, batch_first=True).permute(0, 2, 1).unsqueeze(1), widths, torch.cat(texts), lengths


class CRNN(nn.Module):
    def __init__(self, hidden=48, classes=11):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        )  # fmt: skip
        self.rnn = nn.GRU(48 * 2, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * hidden, classes)

    def forward(self, x, widths):
        f = self.cnn(x).flatten(1, 2).transpose(1, 2)
        packed = nn.utils.rnn.pack_padded_sequence(f, widths // 2, batch_first=True, enforce_sorted=False)
        out, lengths = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return F.log_softmax(self.fc(out).float(), dim=2).transpose(0, 1), lengths


def decode(log_probs, lengths):
    texts = []
    for row, length in zip(log_probs.argmax(2).t(), lengths):
        row = torch.unique_consecutive(row[:length])
        texts.append(row[row > 0].tolist())
    return texts


def evaluate(model, loader):
    model.eval()
    right = total = 0
    with torch.inference_mode():
        for x, widths, targets, target_lengths in loader:
            texts = decode(*model(x, widths))
            for text, target in zip(texts, targets.split(target_lengths.tolist())):
                right, total = right + (text == target.tolist()), total + 1
    return right / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--accum", type=int, default=2)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()
    torch.manual_seed(0)
    train = DataLoader(Strips(320, 0), args.batch_size, shuffle=True, collate_fn=collate, num_workers=2)
    valid = DataLoader(Strips(64, 9000), 32, collate_fn=collate)
    model = CRNN()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer, args.lr / 10, args.lr, step_size_up=10, cycle_momentum=False
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    ctc = nn.CTCLoss(blank=0, zero_infinity=True)
    best = -1.0
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        optimizer.zero_grad()
        for i, (x, widths, targets, target_lengths) in enumerate(train):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                log_probs, lengths = model(x, widths)
            loss = ctc(log_probs, targets, lengths, target_lengths)
            scaler.scale(loss / args.accum).backward()
            if (i + 1) % args.accum == 0:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
                scheduler.step()
            total += loss.item()
        accuracy = evaluate(model, valid)
        print(f"epoch {epoch}: loss {total / len(train):.3f} accuracy {accuracy:.3f}")
        if accuracy > best:
            best = accuracy
            torch.save(model.state_dict(), "best.pt")


if __name__ == "__main__":
    main()

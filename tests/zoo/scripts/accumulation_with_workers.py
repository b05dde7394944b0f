"""A script that accumulates gradients over four batches of a loader with worker processes."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Series(Dataset):
    def __init__(self, n=192, length=12):
        generator = torch.Generator().manual_seed(0)
        self.phase = torch.rand(n, generator=generator) * 6.28
        self.length = length

    def __len__(self):
        return len(self.phase)

    def __getitem__(self, index):
        t = torch.arange(self.length + 1).float() * 0.5
        values = torch.sin(t + self.phase[index]).unsqueeze(-1)
        return values[:-1], values[1:]


class Forecaster(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        hidden, _ = self.lstm(x)
        return self.out(hidden)


def main():
    torch.manual_seed(0)
    loader = DataLoader(Series(), batch_size=8, shuffle=True, num_workers=2)
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    accumulate = 4
    for epoch in range(2):
        optimizer.zero_grad()
        for i, (x, y) in enumerate(loader):
            loss = nn.functional.mse_loss(model(x), y) / accumulate
            loss.backward()
            if (i + 1) % accumulate == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        print(f"epoch {epoch}: {loss.item() * accumulate:.4f}")


if __name__ == "__main__":
    main()

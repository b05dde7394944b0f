"""Node classification on the karate club with torch_geometric: a full-batch graph network with a training mask."""

import argparse

import torch
import torch.nn.functional as F
from torch_geometric.datasets import KarateClub
from torch_geometric.nn import GATConv, GCNConv, SAGEConv
from torch_geometric.transforms import NormalizeFeatures

parser = argparse.ArgumentParser()
parser.add_argument("--conv", choices=["gcn", "gat", "sage"], default="gcn")
parser.add_argument("--hidden_channels", type=int, default=16)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=50)
args = parser.parse_args()

torch.manual_seed(0)
dataset = KarateClub(transform=NormalizeFeatures())
data = dataset[0]


class Net(torch.nn.Module):
    def __init__(self, in_channels, hidden_channels, out_channels):
        super().__init__()
        if args.conv == "gat":
            self.conv1 = GATConv(in_channels, hidden_channels, heads=4, dropout=0.6)
            self.conv2 = GATConv(4 * hidden_channels, out_channels, heads=1, concat=False, dropout=0.6)
        else:
            conv = {"gcn": GCNConv, "sage": SAGEConv}[args.conv]
            self.conv1 = conv(in_channels, hidden_channels)
            self.conv2 = conv(hidden_channels, out_channels)

    def forward(self, x, edge_index):
        x = F.dropout(x, p=0.5, training=self.training)
        x = F.elu(self.conv1(x, edge_index))
        x = F.dropout(x, p=0.5, training=self.training)
        return self.conv2(x, edge_index)


model = Net(dataset.num_features, args.hidden_channels, dataset.num_classes)
optimizer = torch.optim.Adam(
    [
        dict(params=model.conv1.parameters(), weight_decay=5e-4),
        dict(params=model.conv2.parameters(), weight_decay=0),
    ],
    lr=args.lr,
)


def train():
    model.train()
    optimizer.zero_grad()
    out = model(data.x, data.edge_index)
    loss = F.cross_entropy(out[data.train_mask], data.y[data.train_mask])
    loss.backward()
    optimizer.step()
    return float(loss)


@torch.no_grad()
def test():
    model.eval()
    pred = model(data.x, data.edge_index).argmax(dim=-1)
    accs = []
    for mask in [data.train_mask, ~data.train_mask]:
        accs.append(int((pred[mask] == data.y[mask]).sum()) / int(mask.sum()))
    return accs


best = 0
for epoch in range(1, args.epochs + 1):
    loss = train()
    train_acc, test_acc = test()
    best = max(best, test_acc)
    if epoch % 10 == 0:
        print(f"Epoch: {epoch:03d}, Loss: {loss:.4f}, Train: {train_acc:.4f}, Test: {test_acc:.4f}, Best: {best:.4f}")

"""A skorch classifier inside scikit-learn's pipeline, with callbacks and a small grid search."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from torch import nn


class MLP(nn.Module):
    def __init__(self, num_units=64, dropout=0.3, nonlin=None):
        super().__init__()
        self.dense0 = nn.Linear(64, num_units)
        self.nonlin = nonlin or nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.dense1 = nn.Linear(num_units, num_units)
        self.output = nn.Linear(num_units, 10)

    def forward(self, X):
        X = self.nonlin(self.dense0(X))
        X = self.dropout(X)
        X = self.nonlin(self.dense1(X))
        return self.output(X)


def main():
    torch.manual_seed(0)
    X, y = load_digits(return_X_y=True)
    X, y = X.astype(np.float32), y.astype(np.int64)
    net = NeuralNetClassifier(
        MLP,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        lr=0.05,
        batch_size=128,
        max_epochs=4,
        callbacks=[
            LRScheduler(policy="CosineAnnealingLR", T_max=4),
            EpochScoring("accuracy", lower_is_better=False, on_train=True, name="train_acc"),
            Checkpoint(dirname="skorch_checkpoints", monitor="valid_loss_best"),
            EarlyStopping(patience=3),
        ],
        iterator_train__shuffle=True,
    )
    pipe = Pipeline([("scale", StandardScaler()), ("net", net)])
    pipe.fit(X, y)
    print("training accuracy", pipe.score(X, y))

    net.set_params(train_split=False, verbose=0, callbacks=[], max_epochs=2)
    grid = GridSearchCV(pipe, {"net__module__num_units": [32, 64]}, scoring="accuracy", refit=False, cv=2)
    grid.fit(X, y)
    print("best", grid.best_score_, grid.best_params_)


if __name__ == "__main__":
    main()

"""Text classification with the Trainer of transformers: a tiny BERT from a configuration, a hand-made data set and tokenizer."""

import argparse
import random

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

GOOD = "great lovely wonderful superb delightful charming brilliant fine".split()
BAD = "awful boring dreadful poor terrible clumsy dull weak".split()
FILLER = "the film was a story with some actors and music in this old town about love war time".split()
VOCAB = ["[PAD]", "[CLS]", "[SEP]", *GOOD, *BAD, *FILLER]
INDEX = {word: i for i, word in enumerate(VOCAB)}


class Reviews(Dataset):
    def __init__(self, size, seed, max_length=24):
        rng = random.Random(seed)
        self.rows = []
        for _ in range(size):
            label = rng.randint(0, 1)
            words = rng.choices(FILLER, k=rng.randint(5, 14)) + rng.choices(GOOD if label else BAD, k=rng.randint(1, 3))
            rng.shuffle(words)
            ids = [INDEX["[CLS]"], *(INDEX[w] for w in words), INDEX["[SEP]"]][:max_length]
            mask = [1] * len(ids) + [0] * (max_length - len(ids))
            ids += [INDEX["[PAD]"]] * (max_length - len(ids))
            self.rows.append({"input_ids": ids, "attention_mask": mask, "labels": label})

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def compute_metrics(eval_pred):
    logits, labels = eval_pred
    return {"accuracy": float((np.argmax(logits, axis=-1) == labels).mean())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output_dir", default="out")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--learning_rate", type=float, default=5e-4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--accumulate", type=int, default=1)
    args = parser.parse_args()

    set_seed(0)
    config = BertConfig(
        vocab_size=len(VOCAB), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, num_labels=2,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    training_args = TrainingArguments(
        output_dir=args.output_dir,
        num_train_epochs=args.epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        gradient_accumulation_steps=args.accumulate,
        learning_rate=args.learning_rate,
        weight_decay=0.01,
        warmup_steps=5,
        lr_scheduler_type="cosine",
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        logging_steps=10,
        report_to=[],
        bf16=args.bf16,
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=training_args,
        train_dataset=Reviews(600, seed=1),
        eval_dataset=Reviews(200, seed=2),
        compute_metrics=compute_metrics,
    )
    trainer.train()
    print(trainer.evaluate())
    trainer.save_model(args.output_dir)
    print("torch", torch.__version__)


if __name__ == "__main__":
    main()

"""A causal language model with the Trainer of transformers and its own collator: a small GPT-2 on the English text of Python."""

import argparse
import math
from pydoc_data import topics

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForLanguageModeling,
    EarlyStoppingCallback,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)


def make_tokenizer(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=600, special_tokens=["<|endoftext|>", "<pad>"], show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<pad>")


class Lines(torch.utils.data.Dataset):
    """Paragraphs of different lengths; the collator pads them and copies the labels."""

    def __init__(self, paragraphs, tokenizer, block_size):
        self.examples = [
            tokenizer(text + tokenizer.eos_token, truncation=True, max_length=block_size) for text in paragraphs
        ]

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, i):
        return {k: v for k, v in self.examples[i].items() if k in ("input_ids", "attention_mask")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--block_size", type=int, default=48)
    parser.add_argument("--max_steps", type=int, default=30)
    parser.add_argument("--output_dir", default="clm")
    args = parser.parse_args()

    text = "\n\n".join(list(topics.topics.values())[:20])
    paragraphs = [p.replace("\n", " ") for p in text.split("\n\n") if len(p) > 60]
    tokenizer = make_tokenizer(paragraphs)
    cut = int(0.9 * len(paragraphs))
    train = Lines(paragraphs[:cut], tokenizer, args.block_size)
    valid = Lines(paragraphs[cut:], tokenizer, args.block_size)

    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=args.block_size, n_embd=48, n_layer=2, n_head=4,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    print(f"{model.num_parameters():,} parameters, {len(train)} training paragraphs")
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=args.output_dir,
            max_steps=args.max_steps,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=1e-3,
            lr_scheduler_type="linear",
            warmup_steps=5,
            eval_strategy="steps",
            eval_steps=15,
            save_steps=15,
            save_total_limit=2,
            metric_for_best_model="loss",
            load_best_model_at_end=True,
            logging_steps=5,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        train_dataset=train,
        eval_dataset=valid,
        processing_class=tokenizer,
        callbacks=[EarlyStoppingCallback(3)],
    )
    trainer.train()
    print(f"perplexity {math.exp(trainer.evaluate()['eval_loss']):.1f}")
    prompt = tokenizer("The", return_tensors="pt").input_ids
    print(tokenizer.decode(model.generate(prompt, max_new_tokens=10, do_sample=False)[0]))


if __name__ == "__main__":
    main()

"""LoRA with peft on a small causal language model that is frozen otherwise; merged and saved at the end."""

import argparse
from pydoc_data import topics

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM, get_linear_schedule_with_warmup

parser = argparse.ArgumentParser()
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--block", type=int, default=64)
parser.add_argument("--gradient-checkpointing", action="store_true")
parser.add_argument("--output", default="adapter")
args = parser.parse_args()

torch.manual_seed(0)
text = "".join(list(topics.topics.values())[:4])
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
data = data[: len(data) // args.block * args.block].view(-1, args.block)

config = LlamaConfig(
    vocab_size=len(chars), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, use_cache=False,
)  # fmt: skip
model = LlamaForCausalLM(config)
if args.gradient_checkpointing:
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
lora = LoraConfig(
    task_type=TaskType.CAUSAL_LM, r=args.rank, lora_alpha=16, lora_dropout=0.05,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
)  # fmt: skip
model = get_peft_model(model, lora)
model.print_trainable_parameters()

loader = DataLoader(data, batch_size=8, shuffle=True, drop_last=True)
optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=5, num_training_steps=args.epochs * len(loader))

for epoch in range(args.epochs):
    model.train()
    total = 0.0
    for step, input_ids in enumerate(loader):
        outputs = model(input_ids=input_ids, labels=input_ids)
        loss = outputs.loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.3f}")

model.save_pretrained(args.output)
merged = model.merge_and_unload()
print(merged.generate(data[:1, :8], max_new_tokens=8, do_sample=False).shape)

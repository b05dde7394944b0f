"""Unconditional diffusion with diffusers: UNet2DModel, a noise scheduler, its EMA and warm-up, accelerate."""

import argparse

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

parser = argparse.ArgumentParser()
parser.add_argument("--train_batch_size", type=int, default=16)
parser.add_argument("--num_epochs", type=int, default=1)
parser.add_argument("--prediction_type", default="epsilon", choices=["epsilon", "sample", "v_prediction"])
parser.add_argument("--limit", type=int, default=320)
parser.add_argument("--output_dir", default="ddpm")
args = parser.parse_args()

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=1)
torch.manual_seed(0)
model = UNet2DModel(
    sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(16, 32), norm_num_groups=8,
    down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8,
)  # fmt: skip
ema_model = EMAModel(
    model.parameters(), decay=0.999, use_ema_warmup=True, model_cls=UNet2DModel, model_config=model.config
)
noise_scheduler = DDPMScheduler(num_train_timesteps=100, prediction_type=args.prediction_type)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.95, 0.999), weight_decay=1e-6)
images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)[: args.limit] / 8 - 1
train_dataloader = DataLoader(images, batch_size=args.train_batch_size, shuffle=True)
lr_scheduler = get_scheduler(
    "cosine", optimizer=optimizer, num_warmup_steps=5, num_training_steps=len(train_dataloader)
)
model, optimizer, train_dataloader, lr_scheduler = accelerator.prepare(model, optimizer, train_dataloader, lr_scheduler)

global_step = 0
for epoch in range(args.num_epochs):
    model.train()
    for step, clean_images in enumerate(train_dataloader):
        noise = torch.randn(clean_images.shape)
        bsz = clean_images.shape[0]
        timesteps = torch.randint(0, noise_scheduler.config.num_train_timesteps, (bsz,)).long()
        noisy_images = noise_scheduler.add_noise(clean_images, noise, timesteps)
        with accelerator.accumulate(model):
            model_output = model(noisy_images, timesteps).sample
            if args.prediction_type == "epsilon":
                loss = F.mse_loss(model_output.float(), noise.float())
            elif args.prediction_type == "v_prediction":
                loss = F.mse_loss(model_output, noise_scheduler.get_velocity(clean_images, noise, timesteps))
            else:
                alpha_t = noise_scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
                loss = (alpha_t / (1 - alpha_t) * F.mse_loss(model_output, clean_images, reduction="none")).mean()
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            ema_model.step(model.parameters())
            global_step += 1
        if step % 5 == 0:
            print({"loss": loss.detach().item(), "lr": lr_scheduler.get_last_lr()[0], "step": global_step})

    unet = accelerator.unwrap_model(model)
    ema_model.store(unet.parameters())
    ema_model.copy_to(unet.parameters())
    pipeline = DDPMPipeline(unet=unet, scheduler=noise_scheduler)
    pipeline.set_progress_bar_config(disable=True)
    out = pipeline(generator=torch.Generator().manual_seed(0), batch_size=2, num_inference_steps=5, output_type="np")
    ema_model.restore(unet.parameters())
    print("images", out.images.shape)
    pipeline.save_pretrained(args.output_dir)

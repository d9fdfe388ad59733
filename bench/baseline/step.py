"""Whole DreamBooth steps of diffusers with a random UNet: the counterpart of StepRun.

Arguments: a UNet's config.json, pairs, side of the pictures in pixels, tokens, steps; then options.
The step is that of examples/dreambooth/train_dreambooth.py with prior preservation and cached latents and
prompts: noise, UNet, MSE of both halves, backward, clip_grad_norm_ 1.0, AdamW, zero_grad(set_to_none).
"""
import argparse
import json
import resource
import time

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel


def encoder(rows, side):
    """What the script does each step without caches: pictures by the VAE, prompts by the text encoder."""
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[128, 256, 512, 512],
        layers_per_block=2,
        sample_size=512,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            projection_dim=768,
        )
    )
    vae.requires_grad_(False)
    text.requires_grad_(False)
    pixels = torch.rand(rows, 3, side, side) * 2 - 1
    ids = torch.randint(0, 49408, (rows, 77))

    def encode():
        latents = vae.encode(pixels).latent_dist.sample() * vae.config.scaling_factor
        return latents, text(ids, return_dict=False)[0]

    return encode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    for name in ("pairs", "side", "tokens", "steps"):
        parser.add_argument(name, type=int)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--fused", action="store_true", help="AdamW(fused=True)")
    parser.add_argument("--bf16", action="store_true", help="mixed_precision bf16: autocast")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument(
        "--encode", action="store_true", help="VAE and text encoder in every step, as the script runs"
    )
    args = parser.parse_args()
    torch.manual_seed(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    unet = UNet2DConditionModel.from_config(json.load(open(args.config)))
    unet.train()
    if args.channels_last:
        unet.to(memory_format=torch.channels_last)
    schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    optimizer = torch.optim.AdamW(
        unet.parameters(), lr=1e-3, weight_decay=1e-2, fused=True if args.fused else None
    )
    if args.compile:
        forward = torch.compile(unet)
    else:
        forward = unet
    rows = 2 * args.pairs
    latents = torch.randn(rows, 4, args.side // 8, args.side // 8)
    prompts = torch.randn(rows, args.tokens, unet.config.cross_attention_dim)
    encode = encoder(rows, args.side) if args.encode else None
    seconds, losses = [], []
    for _ in range(args.steps):
        start = time.perf_counter()
        if encode:
            latents, prompts = encode()
        noise = torch.randn_like(latents)
        t = torch.randint(0, 1000, (rows,))
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            prediction = forward(schedule.add_noise(latents, noise, t), t, prompts, return_dict=False)[0]
        prediction = prediction.float()
        ours, prior = torch.chunk(prediction, 2)
        noise, noise_prior = torch.chunk(noise, 2)
        loss = torch.nn.functional.mse_loss(ours, noise)
        loss = loss + 0.4 * torch.nn.functional.mse_loss(prior, noise_prior)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "losses": losses, "peakBytes": peak - before}))


if __name__ == "__main__":
    main()

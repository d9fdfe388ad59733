"""Whole DreamBooth steps of diffusers with a random UNet: the counterpart of StepRun.

Arguments: a UNet's config.json, pairs, side of the pictures in pixels, tokens, steps; then options.
The step is that of examples/dreambooth/train_dreambooth.py with prior preservation and cached latents and
prompts: noise, UNet, MSE of both halves, backward, clip_grad_norm_ 1.0, AdamW, zero_grad(set_to_none).

On CUDA: with --bf16 alone it is the script as it runs (F32 weights, autocast, AdamW's foreach); --encode
--pictures adds what the script does without caches; --channels-last --fused --compile --sdpa=cudnn is the most
that PyTorch offers out of the box.
"""
import argparse
import contextlib
import io
import json
import resource
import sys
import time

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextConfig, CLIPTextModel

# Steps on CUDA after which the peak is measured once more: what comes once lies behind them.
SETTLED = 2


def usual_vae():
    """Of Stable Diffusion 1's sizes, with random weights."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[128, 256, 512, 512],
        layers_per_block=2,
        sample_size=512,
    )


def usual_text(**more):
    """The sizes of its text encoder."""
    return CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        **more,
    )


def encoder(rows, side, device, dtype, decode):
    """What the script does each step without caches: pictures by the VAE, prompts by the text encoder."""
    vae, text = usual_vae(), CLIPTextModel(usual_text())
    vae.requires_grad_(False).to(device, dtype)
    text.requires_grad_(False).to(device, dtype)
    ids = torch.randint(0, 49408, (rows, 77))
    pixels = torch.rand(rows, 3, side, side) * 2 - 1
    pictures = jpegs(pixels) if decode else None

    def encode():
        images = decoded(pictures, side) if decode else pixels
        latents = vae.encode(images.to(device, dtype)).latent_dist.sample() * vae.config.scaling_factor
        return latents.float(), text(ids.to(device), return_dict=False)[0].float()

    return encode


def jpegs(pixels):
    """Pictures as files have them, in memory."""
    from PIL import Image

    files = []
    for each in pixels:
        file = io.BytesIO()
        Image.fromarray(((each + 1) * 127.5).byte().permute(1, 2, 0).numpy()).save(file, "JPEG")
        files.append(file.getvalue())
    return files


def decoded(files, side):
    """As the script's data set: decoded, resized, from -1 to 1."""
    import numpy
    from PIL import Image

    images = []
    for file in files:
        image = Image.open(io.BytesIO(file)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        images.append(torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1).float() / 127.5 - 1)
    return torch.stack(images)


def attention(choice):
    """Which of torch's attentions comes first; the others take what it cannot do."""
    if choice == "default":
        return contextlib.nullcontext()
    first = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION}[choice]
    others = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    return sdpa_kernel([first] + [each for each in others if each != first], set_priority=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    for name in ("pairs", "side", "tokens", "steps"):
        parser.add_argument(name, type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--fused", action="store_true", help="AdamW(fused=True)")
    parser.add_argument("--bf16", action="store_true", help="mixed_precision bf16: autocast")
    parser.add_argument("--tf32", action="store_true", help="F32's products may round to TF32")
    parser.add_argument("--compile", nargs="?", const="default", metavar="MODE", help="torch.compile's mode")
    parser.add_argument("--sdpa", choices=["default", "cudnn", "flash"], default="default")
    parser.add_argument(
        "--encode", action="store_true", help="VAE and text encoder in every step, as the script runs"
    )
    parser.add_argument("--pictures", action="store_true", help="with --encode: pictures decoded too")
    parser.add_argument("--lora", type=int, default=0, metavar="RANK", help="peft's adapters on attention train alone")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("error: torch finds no NVIDIA GPU or driver", file=sys.stderr)
        sys.exit(4)
    return args


def trained(unet, args):
    """What learns: all weights, or as train_dreambooth_lora.py adapters around a base of the precision that is computed in."""
    if not args.lora:
        return list(unet.parameters())
    from peft import LoraConfig

    unet.requires_grad_(False)
    if args.bf16:
        unet.to(dtype=torch.bfloat16)
    unet.add_adapter(
        LoraConfig(
            r=args.lora,
            lora_alpha=args.lora,
            init_lora_weights="gaussian",
            target_modules=["to_k", "to_q", "to_v", "to_out.0", "add_k_proj", "add_v_proj"],
        )
    )
    return [each for each in unet.parameters() if each.requires_grad]


def host_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    args = arguments()
    cuda = args.device == "cuda"
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.cudnn.allow_tf32 = args.tf32
    before = host_peak()
    with torch.device(args.device):  # on a GPU its weights are drawn there: some 10 s sooner
        unet = UNet2DConditionModel.from_config(json.load(open(args.config)))
    unet.train()
    unet.to(args.device)
    if args.channels_last:
        unet.to(memory_format=torch.channels_last)
    learning = trained(unet, args)
    schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    optimizer = torch.optim.AdamW(
        learning, lr=1e-3, weight_decay=1e-2, fused=True if args.fused else None
    )
    forward = torch.compile(unet, mode=args.compile) if args.compile else unet
    rows = 2 * args.pairs
    latents = torch.randn(rows, 4, args.side // 8, args.side // 8, device=args.device)
    prompts = torch.randn(rows, args.tokens, unet.config.cross_attention_dim, device=args.device)
    # The LoRA script holds what is frozen in the type that it computes in, VAE and text encoder too.
    dtype = torch.bfloat16 if args.bf16 and (cuda or args.lora) else torch.float32
    encode = encoder(rows, args.side, args.device, dtype, args.pictures) if args.encode else None

    def step():
        nonlocal latents, prompts
        if encode:
            latents, prompts = encode()
        noise = torch.randn_like(latents)
        t = torch.randint(0, 1000, (rows,), device=args.device)
        with torch.autocast(args.device, torch.bfloat16, enabled=args.bf16):
            prediction = forward(schedule.add_noise(latents, noise, t), t, prompts, return_dict=False)[0]
        prediction = prediction.float()
        ours, prior = torch.chunk(prediction, 2)
        noise, noise_prior = torch.chunk(noise, 2)
        loss = torch.nn.functional.mse_loss(ours, noise)
        loss = loss + 0.4 * torch.nn.functional.mse_loss(prior, noise_prior)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()  # the script logs it, so it waits for the device in each step

    result = {"seconds": [], "losses": []}
    early = 0
    with attention(args.sdpa):
        for i in range(args.steps):
            if cuda and i == SETTLED:
                early = torch.cuda.max_memory_reserved()
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            start = time.perf_counter()
            result["losses"].append(step())
            if cuda:
                torch.cuda.synchronize()
            result["seconds"].append(time.perf_counter() - start)
    if cuda:
        result["settledPeakBytes"] = torch.cuda.max_memory_reserved()
        result["peakBytes"] = max(early, result["settledPeakBytes"])
    else:
        result["peakBytes"] = host_peak() - before
    print(json.dumps(result))


if __name__ == "__main__":
    main()

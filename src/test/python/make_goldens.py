#!/usr/bin/env python3
"""Record what diffusers and transformers compute, as golden tensors for this trainer to reproduce.

Usage: make_goldens.py OUT --tokenizer DIR [--seed N] [--family sd1|sd2]

Writes OUT/model (a random-weight pipeline in the diffusers layout) and one .safetensors file a case.
Every tensor's name begins with what it is:
  input.*   what goes in              output.*  what must come out
  grad.*    d(loss)/d(that parameter or input), with loss given in the file's metadata
  rows.*    of which rows of a table the grad.* of that name holds the gradient; that of all others is zero
  final.*   a parameter after training (every 8th; the metadata's "moved" gives ||final - start|| of those)
The metadata of each file says which component it speaks of and under which settings (JSON, key "case").
All arithmetic is float32 on the CPU. Needs: torch diffusers transformers safetensors.

The goldens in src/test/resources/goldens were recorded with it (see the README.md there); neither build nor tests run it.
"""
import argparse, json, pathlib
import torch
import torch.nn.functional as F
from diffusers import (AutoencoderKL, DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler,
                       EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, PNDMScheduler,
                       StableDiffusionPipeline, UNet2DConditionModel, UniPCMultistepScheduler)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

BETAS = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def build(family, seed, tokenizer_dir):
    torch.manual_seed(seed)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    sd2 = family == "sd2"
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=24, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=77, projection_dim=24,
        hidden_act="gelu" if sd2 else "quick_gelu",
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, cross_attention_dim=24,
        block_out_channels=(8, 16) if sd2 else (8, 8, 16, 16), layers_per_block=2 if sd2 else 1,
        norm_num_groups=4,  # groups of one channel would make some gradients pure rounding noise
        attention_head_dim=(2, 4) if sd2 else 4, use_linear_projection=sd2,
        down_block_types=("CrossAttnDownBlock2D",) * (1 if sd2 else 3) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (1 if sd2 else 3))
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=64, layers_per_block=1,
        block_out_channels=(8, 16, 16), norm_num_groups=4, scaling_factor=0.18215,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3)
    # Fresh weights leave output layers near zero and norms at (1, 0): perturb all, so that nothing can hide.
    g = torch.Generator().manual_seed(seed + 1)
    for m in (text, unet, vae):
        for p in m.parameters():
            p.data.add_(0.02 * torch.randn(p.shape, generator=g))
        m.eval()
    sched = DDPMScheduler(**BETAS, prediction_type="v_prediction" if sd2 else "epsilon", clip_sample=False)
    return tokenizer, text, unet, vae, sched


def without_zeros(tensors):
    """Of a table's gradient (an embedding's) only the rows that were read, and their numbers."""
    found = dict(tensors)
    for name, t in tensors.items():
        if name.startswith("grad.") and t.ndim == 2 and len(t) > 100:
            rows = t.abs().sum(1).nonzero().flatten()
            if 4 * len(rows) < len(t):
                found[name], found["rows." + name] = t[rows], rows
    return found


def write(out, name, tensors, **case):
    tensors = without_zeros(tensors)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, str(out / f"{name}.safetensors"),
              metadata={"case": json.dumps(case)})
    print(name, len(tensors), "tensors")


def grads(module):
    return {"grad." + n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def unet_case(out, name, unet, g, b, h, w, width=24, length=77, with_grads=True):
    unet.zero_grad()
    x = torch.randn(b, 4, h, w, generator=g).requires_grad_()
    e = torch.randn(b, length, width, generator=g).requires_grad_()
    t = torch.randint(0, 1000, (b,), generator=g)
    target = torch.randn(b, 4, h, w, generator=g)
    y = unet(x, t, e).sample
    F.mse_loss(y, target).backward()
    write(out, name, {"input.sample": x, "input.timestep": t, "input.encoder_hidden_states": e, "input.target": target,
                      "output.sample": y, "grad.sample": x.grad, "grad.encoder_hidden_states": e.grad,
                      **(grads(unet) if with_grads else {})},
          component="unet", loss="mean((output.sample - input.target)^2)")


def text_case(out, text, tokenizer, g):
    text.zero_grad()
    ids = tokenizer(["sks man, sunglasses, black coat", ""], padding="max_length", max_length=77, truncation=True,
                    return_tensors="pt").input_ids
    r = text(ids, output_hidden_states=True)
    cot = torch.randn(r.last_hidden_state.shape, generator=g)
    (r.last_hidden_state * cot).mean().backward()
    norm = getattr(text, "text_model", text).final_layer_norm
    skip = {f"output.clip_skip.{k}": norm(r.hidden_states[-k]) for k in (2, 3)}
    write(out, "text_encoder", {"input.input_ids": ids, "input.cotangent": cot,
                                "output.last_hidden_state": r.last_hidden_state, **skip, **grads(text)},
          component="text_encoder", loss="mean(output.last_hidden_state * input.cotangent)",
          clip_skip="k: hidden_states[-k], then the final layer norm; 1 is last_hidden_state")


def vae_case(out, vae, g):
    image = torch.rand(2, 3, 48, 40, generator=g) * 2 - 1
    latents = torch.randn(2, 4, 12, 10, generator=g)
    d = vae.encode(image).latent_dist
    write(out, "vae", {"input.image": image, "output.mean": d.mean, "output.logvar": d.logvar,
                       "input.latents": latents, "output.image": vae.decode(latents).sample},
          component="vae", note="image is NCHW in -1..1; latents are not yet divided by the scaling factor")


def tokenizer_case(out, tokenizer):
    texts = ["", "a photo of sks dog", "Arnold Schwarzenegger, man, sunglasses, black coat, muscular, scene from Terminator",
             "  spaces   and\ttabs\nand lines ", "it's I'M don't we'll they've", "numbers 1234 3.14 2,000", "naïve café Zürich",
             "日本語 한국어 русский", "emoji 😀👍🏽 ok", "UPPER lower MiXeD", "a_b-c/d\\e (x:1.2) [y]", "!!! ... ???", "<|endoftext|> inside",
             "x" * 300, "word " * 120, "&amp; <b>html</b>", "“quotes” — dash…", "\u00a0nbsp\u200bzero"]
    rows = [{"text": s, "input_ids": tokenizer(s, padding="max_length", max_length=tokenizer.model_max_length,
                                               truncation=True).input_ids} for s in texts]
    (out / "tokenizer.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1))
    print("tokenizer", len(rows), "texts")


def scheduler_cases(out, prediction, g):
    """Each sampler driven by a made-up model, eps(x, t) = 0.3 x + 0.5 sin(t / 100), so that only the sampler is tested."""
    base = dict(**BETAS, prediction_type=prediction)
    made = {
        "ddpm": DDPMScheduler(**base, clip_sample=False, variance_type="fixed_small"),
        "ddim": DDIMScheduler(**base, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        "pndm": PNDMScheduler(**base, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        "euler": EulerDiscreteScheduler(**base, steps_offset=1),
        "euler_ancestral": EulerAncestralDiscreteScheduler(**base, steps_offset=1),
        "dpmpp_2m": DPMSolverMultistepScheduler(**base, steps_offset=1),
        "dpmpp_2m_karras": DPMSolverMultistepScheduler(**base, use_karras_sigmas=True, steps_offset=1),
        "unipc": UniPCMultistepScheduler(**base, steps_offset=1)}
    tensors, settings = {}, {}
    noise = torch.randn(2, 4, 8, 8, generator=g)
    x0 = torch.randn(2, 4, 8, 8, generator=g)
    t = torch.tensor([17, 803])
    d = made["ddpm"]
    tensors.update({"input.noise": noise, "input.x0": x0, "input.t": t, "output.noisy": d.add_noise(x0, noise, t),
                    "output.velocity": d.get_velocity(x0, noise, t), "output.alphas_cumprod": d.alphas_cumprod})
    for name, s in made.items():
        s.set_timesteps(12)
        x = noise * s.init_noise_sigma
        draws = torch.Generator().manual_seed(7)
        path, fresh = [], []
        for ts in s.timesteps:
            model_in = s.scale_model_input(x, ts)
            eps = 0.3 * model_in + 0.5 * torch.sin(ts.float() / 100)
            kw = {}
            if name in ("ddpm", "euler_ancestral"):  # record the fresh noise that the step draws
                probe = torch.Generator(); probe.set_state(draws.get_state())
                fresh.append(torch.randn(x.shape, generator=probe))
                kw["generator"] = draws
            x = s.step(eps, ts, x, **kw).prev_sample
            path.append(x)
        tensors[f"output.{name}.timesteps"] = s.timesteps.float()
        tensors[f"output.{name}.path"] = torch.stack(path)
        if fresh:
            tensors[f"input.{name}.fresh_noise"] = torch.stack(fresh)
        settings[name] = dict(s.config)
    # Every number goes its own way: a corner of each picture shows as much as the whole.
    tensors = {name: t[..., :4, :4] if t.ndim > 3 else t for name, t in tensors.items()}
    write(out, "schedulers", tensors, component="schedulers", steps=12, model="eps(x,t) = 0.3 x + 0.5 sin(t/100)",
          configs=json.loads(json.dumps(settings, default=str)))


def adamw_case(out, g, steps=6):
    """Given gradients in, parameters out: the optimizer alone, with its usual epsilon."""
    p = torch.nn.Parameter(torch.randn(1003, generator=g))
    opt = torch.optim.AdamW([p], lr=3e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2)
    tensors, path = {"input.parameter": p.detach().clone()}, []
    tensors["input.gradients"] = torch.randn(steps, 1003, generator=g) * torch.logspace(-6, 1, 1003)
    for k in range(steps):
        p.grad = tensors["input.gradients"][k].clone()
        opt.step()
        path.append(p.detach().clone())
    tensors["output.parameter"] = torch.stack(path)
    write(out, "adamw", tensors, component="adamw", lr=3e-4, betas=[0.9, 0.999], eps=1e-8, weight_decay=1e-2)


def train_case(out, name, unet, sched, g, steps=4, weight=0.35, snr_gamma=None, offset=0.0, accumulate=1):
    """DreamBooth steps on fixed draws: L = mean over the instance half + weight * mean over the prior half, AdamW, clip 1."""
    unet.zero_grad()
    start = {n: p.detach().clone() for n, p in unet.named_parameters()}
    # A large epsilon: with a small one the first step is lr times the gradient's sign, and one flipped sign hides nothing.
    opt = torch.optim.AdamW(unet.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-4, weight_decay=1e-2)
    tensors, losses, norms = {}, [], []
    for k in range(steps):
        loss_parts = []
        for a in range(accumulate):
            # Small, as there are many of them: the case "unet" has whole prompts and larger pictures.
            x0, noise = (torch.randn(4, 4, 8, 16, generator=g) for _ in range(2))
            t = torch.randint(0, 1000, (4,), generator=g)
            e = torch.randn(4, 21, 24, generator=g)
            shift = torch.randn(4, 4, 1, 1, generator=g)
            i = k * accumulate + a
            tensors.update({f"input.{i}.x0": x0, f"input.{i}.noise": noise, f"input.{i}.timestep": t,
                            f"input.{i}.encoder_hidden_states": e, f"input.{i}.offset_noise": shift})
            n = noise + offset * shift
            target = sched.get_velocity(x0, n, t) if sched.config.prediction_type == "v_prediction" else n
            y = unet(sched.add_noise(x0, n, t), t, e).sample
            each = (y - target).square().mean((1, 2, 3))
            if snr_gamma is not None:
                ac = sched.alphas_cumprod[t]
                snr = ac / (1 - ac)
                v = sched.config.prediction_type == "v_prediction"
                each = each * torch.clamp(snr, max=snr_gamma) / (snr + 1 if v else snr)
            loss = each[:2].mean() + weight * each[2:].mean()
            (loss / accumulate).backward()
            loss_parts.append(loss.detach())
        norms.append(torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0))
        opt.step(); opt.zero_grad()
        losses.append(torch.stack(loss_parts).mean())
    tensors["output.loss"] = torch.stack(losses)
    tensors["output.grad_norm"] = torch.stack(norms)
    tensors.update({"final." + n: p for k, (n, p) in enumerate(unet.named_parameters()) if k % 8 == 0})
    moved = {n: float(f"{float((p.detach() - start[n]).norm()):.7g}") for n, p in unet.named_parameters()
             if "final." + n in tensors}
    write(out, name, tensors, component="train", steps=steps, prior_loss_weight=weight, snr_gamma=snr_gamma,
          offset_noise=offset, gradient_accumulation=accumulate, optimizer="AdamW lr 1e-3 betas .9 .999 eps 1e-4 weight_decay 1e-2",
          max_grad_norm=1.0, batch="rows 0-1 instance, rows 2-3 prior", prediction_type=sched.config.prediction_type,
          moved=moved)
    with torch.no_grad():
        for n, p in unet.named_parameters():
            p.copy_(start[n])


def windows(tokenizer, prompt, n):
    """kohya-ss/sd-scripts' max_token_length 75 n: the ids of n windows, each read by the text encoder alone."""
    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    ids = tokenizer(prompt, padding="max_length", truncation=True, max_length=75 * n + 2).input_ids
    rows = [[bos] + ids[1 + 75 * i:76 + 75 * i] + ids[-1:] for i in range(n)]
    if n > 1 and pad != eos:
        for row in rows:
            if row[-2] not in (eos, pad):
                row[-1] = eos
            if row[1] == pad:
                row[1] = eos
    return rows


def prompts_case(out, text, tokenizer):
    tags = "sks man, red hat, blue sky, old brick wall, two dogs, snow on the mountain"
    prompts = ["sks man, red hat", "man " * 75, ", ".join([tags] * 6)]
    norm = getattr(text, "text_model", text).final_layer_norm
    tensors = {}
    for length, skip in ((75, 1), (150, 1), (150, 2), (225, 1)):
        rows = torch.tensor([windows(tokenizer, p, length // 75) for p in prompts])
        r = text(rows.flatten(0, 1), output_hidden_states=True)
        h = (r.last_hidden_state if skip == 1 else norm(r.hidden_states[-skip])).unflatten(0, rows.shape[:2])
        body = h[:, :, 1:-1].flatten(1, 2)
        states = torch.cat([h[:, 0, :1], body, h[:, -1, -1:]], 1)
        tensors[f"output.{length}.{skip}"] = states[..., 0]
    write(out, "prompts", tensors, component="prompts", prompts=prompts, note="output.<max_token_length>.<clip_skip>: the first channel of each token")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--family", choices=["sd1", "sd2"], default="sd1")
    a.add_argument("--tokenizer", required=True, help="folder with a CLIP vocab.json and merges.txt")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    tokenizer, text, unet, vae, sched = build(o.family, o.seed, o.tokenizer)
    StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=sched, safety_checker=None,
                            feature_extractor=None, requires_safety_checker=False).save_pretrained(o.out / "model")
    g = torch.Generator().manual_seed(o.seed + 2)
    unet_case(o.out, "unet", unet, g, 2, 16, 16)
    unet_case(o.out, "unet_odd", unet, g, 1, 9, 14, with_grads=False)
    text_case(o.out, text, tokenizer, g)
    vae_case(o.out, vae, g)
    tokenizer_case(o.out, tokenizer)
    scheduler_cases(o.out, sched.config.prediction_type, g)
    adamw_case(o.out, g)
    prompts_case(o.out, text, tokenizer)
    train_case(o.out, "train_prior", unet, sched, g)
    train_case(o.out, "train_snr_offset_accum", unet, sched, g, steps=3, weight=0.2, snr_gamma=5.0, offset=0.1, accumulate=2)


if __name__ == "__main__":
    main()

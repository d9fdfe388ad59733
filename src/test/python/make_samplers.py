#!/usr/bin/env python3
"""Record what diffusers' schedulers do at the edges: few and many steps, every spacing, the rarer settings.

Usage: make_samplers.py > samplers.jsonl      (recorded with diffusers 0.42.1)

One line a case: the sampler's name, its scheduler_config.json, the number of steps, the first noise [1, 1, 2, 2], the
fresh noise of each step if it draws any, and what came out: timesteps, and the sample after each of the last two steps.
The network is made up: 0.3 x + 0.5 sin(t / 100).
"""
import json
import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, PNDMScheduler, UniPCMultistepScheduler)

BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
VELOCITY = dict(prediction_type="v_prediction")
ZERO_SNR = dict(rescale_betas_zero_snr=True, **VELOCITY)
KARRAS = dict(use_karras_sigmas=True)
TO_SIGMA_MIN = dict(final_sigmas_type="sigma_min")
KINDS = {  # name: class, what it is always given, the settings tried one by one
    "ddpm": (DDPMScheduler, dict(clip_sample=False), [{}, dict(variance_type="fixed_large"), ZERO_SNR]),
    "ddim": (DDIMScheduler, dict(clip_sample=False), [{}, dict(set_alpha_to_one=False), ZERO_SNR]),
    "pndm": (PNDMScheduler, {}, [dict(skip_prk_steps=True), dict(skip_prk_steps=False, **VELOCITY)]),
    "euler": (EulerDiscreteScheduler, {}, [{}, KARRAS, TO_SIGMA_MIN, VELOCITY]),
    "euler_ancestral": (EulerAncestralDiscreteScheduler, {}, [{}, VELOCITY]),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {}, [dict(solver_type="heun"), dict(solver_order=1), ZERO_SNR,
                                                   dict(euler_at_final=True, **TO_SIGMA_MIN)]),
    "dpmpp_2m_karras": (DPMSolverMultistepScheduler, KARRAS, [{}, TO_SIGMA_MIN]),
    "unipc": (UniPCMultistepScheduler, {}, [{}, dict(solver_type="bh1", **TO_SIGMA_MIN), dict(disable_corrector=[0, 3]),
                                            dict(solver_order=1), KARRAS])}
RUNS = [("leading", 1, 1), ("leading", 0, 5), ("linspace", 0, 2), ("linspace", 0, 50), ("trailing", 0, 4), ("trailing", 0, 25)]


def run(name, scheduler, steps):
    scheduler.set_timesteps(steps)
    noise = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    x, path, fresh = noise * scheduler.init_noise_sigma, [], []
    draws = torch.Generator().manual_seed(2)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t)
        kw = {}
        if name in ("ddpm", "euler_ancestral"):
            probe = torch.Generator()
            probe.set_state(draws.get_state())
            fresh.append(torch.randn(x.shape, generator=probe).flatten().tolist())
            kw["generator"] = draws
        x = scheduler.step(0.3 * seen + 0.5 * torch.sin(t.float() / 100), t, x, **kw).prev_sample
        path.append(x.flatten().tolist())
    return dict(noise=noise.flatten().tolist(), fresh=fresh, timesteps=scheduler.timesteps.tolist(), last=path[-2:])


for name, (kind, always, settings) in KINDS.items():
    for setting in settings:
        for spacing, offset, steps in RUNS:
            if setting.get("skip_prk_steps") is False and steps < 4 or setting.get("solver_type") == "bh1" and steps == 1:
                continue  # diffusers fails there
            scheduler = kind(**BETAS, **always, **setting, timestep_spacing=spacing, steps_offset=offset)
            config = {k: v for k, v in json.loads(scheduler.to_json_string()).items() if not k.startswith("_")}
            stated = {k: config[k] for k in (*BETAS, *always, *setting, "timestep_spacing", "steps_offset")}
            print(json.dumps(dict(sampler=name, config=stated, steps=steps, **run(name, scheduler, steps))))

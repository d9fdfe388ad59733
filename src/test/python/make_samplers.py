#!/usr/bin/env python3
"""Record what diffusers' schedulers do at the edges: few and many steps, every spacing, the rarer settings.

Usage: make_samplers.py > samplers.jsonl; make_samplers.py more > more_samplers.jsonl      (recorded with diffusers 0.42.1)

One line a case: the sampler's name, its scheduler_config.json, the number of steps, the first noise [1, 1, 2, 2], the
fresh noise of each step if it draws any, and what came out: timesteps, and the sample after each of the last two steps.
The network is made up: 0.3 x + 0.5 sin(t / 100).
"""
import inspect
import json
import sys
import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler,
                       DPMSolverSinglestepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler,
                       HeunDiscreteScheduler, KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler, LCMScheduler,
                       LMSDiscreteScheduler, PNDMScheduler, UniPCMultistepScheduler)

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
SDE = dict(algorithm_type="sde-dpmsolver++")
SDE_KARRAS = dict(**SDE, **KARRAS)
MORE = {
    "lms": (LMSDiscreteScheduler, {}, [{}, VELOCITY]), "lms_karras": (LMSDiscreteScheduler, KARRAS, [{}]),
    "euler_karras": (EulerDiscreteScheduler, KARRAS, [{}]),
    "heun": (HeunDiscreteScheduler, {}, [{}, VELOCITY]), "heun_karras": (HeunDiscreteScheduler, KARRAS, [{}]),
    "dpm2": (KDPM2DiscreteScheduler, {}, [{}, VELOCITY]), "dpm2_karras": (KDPM2DiscreteScheduler, KARRAS, [{}]),
    "dpm2_ancestral": (KDPM2AncestralDiscreteScheduler, {}, [{}, VELOCITY]),
    "dpm2_ancestral_karras": (KDPM2AncestralDiscreteScheduler, KARRAS, [{}]),
    "dpmpp_2m_sde": (DPMSolverMultistepScheduler, SDE, [{}, dict(solver_type="heun"), ZERO_SNR]),
    "dpmpp_2m_sde_karras": (DPMSolverMultistepScheduler, SDE_KARRAS, [{}]),
    "dpmpp_sde": (DPMSolverSinglestepScheduler, {}, [{}, dict(solver_type="heun"), VELOCITY, TO_SIGMA_MIN]),
    "dpmpp_sde_karras": (DPMSolverSinglestepScheduler, KARRAS, [{}]),
    "unipc_karras": (UniPCMultistepScheduler, KARRAS, [{}]),
    "deis": (DEISMultistepScheduler, {}, [{}, VELOCITY, KARRAS, dict(solver_order=1)]),
    "lcm": (LCMScheduler, {}, [{}, VELOCITY])}
DRAWS = ("ddpm", "euler_ancestral", "dpm2_ancestral", "dpm2_ancestral_karras", "dpmpp_2m_sde", "dpmpp_2m_sde_karras", "lcm")
MORE_RUNS = [("leading", 1, 2), ("linspace", 0, 5), ("trailing", 0, 16)]
RUNS = [("leading", 1, 1), ("leading", 0, 5), ("linspace", 0, 2), ("linspace", 0, 50), ("trailing", 0, 4), ("trailing", 0, 25)]

more = len(sys.argv) > 1


def numbers(x):
    return [float("%.7g" % value) for value in x.flatten().tolist()]


def run(name, scheduler, steps):
    scheduler.set_timesteps(steps)
    noise = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    x, path, fresh = noise * scheduler.init_noise_sigma, [], []
    draws = torch.Generator().manual_seed(2)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t)
        kw = {}
        if name in DRAWS:
            probe = torch.Generator()
            probe.set_state(draws.get_state())
            fresh.append(numbers(torch.randn(x.shape, generator=probe)))
            kw["generator"] = draws
        x = scheduler.step(0.3 * seen + 0.5 * torch.sin(t.float() / 100), t, x, **kw).prev_sample
        path.append(numbers(x))
    return dict(noise=numbers(noise), fresh=fresh, timesteps=scheduler.timesteps.tolist(), last=path[-2:])


for name, (kind, always, settings) in (MORE if more else KINDS).items():
    for setting in settings:
        for spacing, offset, steps in MORE_RUNS if more else RUNS:
            if setting.get("skip_prk_steps") is False and steps < 4 or setting.get("solver_type") == "bh1" and steps == 1:
                continue  # diffusers fails there
            stated = dict(**BETAS, **always, **setting, timestep_spacing=spacing, steps_offset=offset)
            takes = inspect.signature(kind.__init__).parameters
            scheduler = kind(**{k: v for k, v in stated.items() if k in takes})
            row = dict(sampler=name, config=stated, steps=steps, **run(name, scheduler, steps))
            print(json.dumps(row, separators=(",", ":")))

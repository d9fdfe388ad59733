#!/usr/bin/env python3
"""Record the pictures that diffusers makes with the small model of the goldens, for `generate` to reproduce.

Usage: make_pictures.py MODEL OUT      (recorded with diffusers 0.42.1, MODEL = src/test/resources/goldens/sd1/model)

Writes OUT/SAMPLER-GUIDANCE-1.png and -2.png: two pictures of 64x48 of one generator, 4 steps, float32 on the CPU.
"""
import pathlib
import sys
import torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, PNDMScheduler,
                       StableDiffusionPipeline)

CASES = [("ddim", DDIMScheduler, 1.0), ("pndm", PNDMScheduler, 7.5), ("euler_ancestral", EulerAncestralDiscreteScheduler, 3.0),
         ("dpmpp_2m", DPMSolverMultistepScheduler, 3.0)]

model, out = sys.argv[1], pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
pipe = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None)
config = pipe.scheduler.config
for name, kind, guidance in CASES:
    pipe.scheduler = kind.from_config(config)
    pictures = pipe("a cat, red background", negative_prompt="dog", num_images_per_prompt=2, num_inference_steps=4,
                    guidance_scale=guidance, width=64, height=48,
                    generator=torch.Generator("cpu").manual_seed(5)).images
    for i, picture in enumerate(pictures, 1):
        picture.save(out / f"{name}-{guidance}-{i}.png")

#!/usr/bin/env python3
"""Record what diffusers' EMAModel makes of a weight that walks about.

Usage: make_ema.py > ema.jsonl      (recorded with diffusers 0.42.1)

One line a case: the settings, named as our keys are, and of each step the weight, the decay and the average after it.
"""
import json
import torch
from diffusers.training_utils import EMAModel

CASES = [dict(ema_warmup="ratio", ema_decay=0.9999), dict(ema_warmup="ratio", ema_decay=0.5),
         dict(ema_warmup="power", ema_decay=0.9999, ema_inv_gamma=1.0, ema_power=0.75),
         dict(ema_warmup="power", ema_decay=0.7, ema_inv_gamma=2.5, ema_power=2 / 3)]
STEPS = 25

for case in CASES:
    draws = torch.Generator().manual_seed(3)
    weight = torch.nn.Parameter(torch.randn(3, generator=draws))
    model = EMAModel([weight], decay=case["ema_decay"], use_ema_warmup=case["ema_warmup"] == "power",
                     inv_gamma=case.get("ema_inv_gamma", 1.0), power=case.get("ema_power", 1.0))
    first, steps = weight.tolist(), []
    for _ in range(STEPS):
        with torch.no_grad():
            weight += 0.1 * torch.randn(3, generator=draws)
        model.step([weight])
        steps.append(dict(weight=weight.tolist(), decay=model.cur_decay_value, average=model.shadow_params[0].tolist()))
    print(json.dumps(dict(settings=case, first=first, steps=steps)))

#!/usr/bin/env python3
"""Record a picture that diffusers' VAE decodes in tiles: src/test/resources/generate/tiles.safetensors.

latents [1,4,6,7], drawn; picture [1,3,24,28]: AutoencoderKL of goldens/sd1/model with tiles of 4 latents. Needs torch, diffusers.
"""
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

vae = AutoencoderKL.from_pretrained("src/test/resources/goldens/sd1/model", subfolder="vae").eval()
vae.enable_tiling()
vae.tile_latent_min_size, vae.tile_sample_min_size = 4, 16
latents = torch.randn(1, 4, 6, 7, generator=torch.Generator().manual_seed(3))
with torch.no_grad():
    picture = vae.decode(latents, return_dict=False)[0]
save_file({"latents": latents, "picture": picture.contiguous()}, "src/test/resources/generate/tiles.safetensors")

#!/usr/bin/env python3
"""Record what transformers' CLIP and DINOv2 make of a picture, by tiny random models.

Usage: make_vision.py FOLDER      (recorded with transformers 5.24.0)

FOLDER/picture.png is the picture. FOLDER/KIND gets model.safetensors as save_pretrained writes it, config.json and
preprocessor_config.json without what are defaults, and said.json: features and, of CLIP, every 7th of the pixel
values [3, height, width].
"""
import json
import shutil
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model
try:
    from transformers import BitImageProcessorPil as BitProcessor, CLIPImageProcessorPil as ClipProcessor
except ImportError:
    from transformers import BitImageProcessor as BitProcessor, CLIPImageProcessor as ClipProcessor

SMALL = dict(hidden_size=8, num_attention_heads=2, image_size=16, patch_size=4)


def clip():
    """The whole model, as most are published: its text tower is not read."""
    text = dict(vocab_size=3, hidden_size=2, intermediate_size=2, num_hidden_layers=1, num_attention_heads=1,
                max_position_embeddings=2)
    vision = dict(SMALL, intermediate_size=16, num_hidden_layers=1)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=6))
    return model, ClipProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})


def dinov2(layers, gated):
    # Pictures of 24 pixels: the positions, of 16, are interpolated.
    model = Dinov2Model(Dinov2Config(**SMALL, num_hidden_layers=layers, mlp_ratio=2, use_swiglu_ffn=gated))
    return model, BitProcessor(size={"shortest_edge": 28}, crop_size={"height": 24, "width": 24})


def write(file, what):
    file.write_text(json.dumps(what, separators=(",", ":")) + "\n")


def record(folder, model, processor, picture):
    draws = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=draws)
    model.eval()
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    defaults = type(model.config)().to_dict()
    for inner in ("vision_config", "text_config"):
        if inner in config:
            config[inner] = {k: v for k, v in config[inner].items() if defaults[inner].get(k, v) != v}
    write(folder / "config.json", {
        k: v for k, v in config.items()
        if k == "model_type" or defaults.get(k, v) != v and k not in ("architectures", "dtype", "transformers_version")})
    form = json.loads(processor.to_json_string())
    write(folder / "preprocessor_config.json", form)
    pixels = processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        if isinstance(model, CLIPModel):
            features = model.get_image_features(pixel_values=pixels)
            features = getattr(features, "pooler_output", features)
            said = dict(features=features[0].tolist(), pixels=[round(x, 6) for x in pixels.flatten().tolist()[::7]])
        else:
            said = dict(features=model(pixel_values=pixels).last_hidden_state[0, 0].tolist())
    write(folder / "said.json", said)


top = Path(sys.argv[1])
torch.manual_seed(4)
shutil.rmtree(top, ignore_errors=True)
top.mkdir()
shown = numpy.random.default_rng(3).integers(0, 256, (10, 13, 3), dtype=numpy.uint8).repeat(3, 0).repeat(3, 1)
Image.fromarray(shown[:30, :39]).save(top / "picture.png")
for kind, (model, processor) in dict(clip=clip(), dinov2=dinov2(2, False), dinov2_swiglu=dinov2(1, True)).items():
    record(top / kind, model, processor, shown[:30, :39])

#!/usr/bin/env python3
"""Record what transformers' text encoders say with an attention mask, as diffusers' train_dreambooth.py
gives them one with --text_encoder_use_attention_mask, and some gradients.

Usage: make_masked.py GOLDENS OUT        (GOLDENS has sd1/model and sd2/model)

Tensors are named as make_goldens.py names them. Needs: torch transformers safetensors.
"""
import json, pathlib, sys
import torch
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

TEXTS = ["a photo of sks man, sunglasses, black coat", "man"]
GRADIENTS = ("embeddings.token_embedding.weight", "layers.0.self_attn.k_proj.weight", "layers.2.mlp.fc1.bias",
             "layers.1.self_attn.q_proj.weight", "final_layer_norm.weight")


def record(goldens, family, out):
    folder = goldens / family / "model"
    torch.manual_seed(9)
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", attn_implementation="eager")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    told = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
    states = encoder(told.input_ids, attention_mask=told.attention_mask)[0]
    assert not torch.allclose(states, encoder(told.input_ids)[0], atol=1e-3)
    cotangent = torch.randn(states.shape)
    (states * cotangent).mean().backward()
    tensors = {"input.input_ids": told.input_ids, "input.cotangent": cotangent, "output.last_hidden_state": states}
    for name, p in encoder.named_parameters():
        if name.endswith(GRADIENTS) and (p.numel() < 5000):
            tensors["grad." + name.removeprefix("text_model.")] = p.grad
    case = dict(component="text_encoder", attention_mask=True, texts=TEXTS,
                loss="mean(output.last_hidden_state * input.cotangent)",
                source="transformers 5.24 CLIPTextModel as diffusers' train_dreambooth.py:789-804 calls it")
    out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()},
              str(out / f"{family}.safetensors"), metadata={"case": json.dumps(case)})


if __name__ == "__main__":
    for each in ("sd1", "sd2"):
        record(pathlib.Path(sys.argv[1]), each, pathlib.Path(sys.argv[2]))

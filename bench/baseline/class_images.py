"""Class images by diffusers' pipeline: the counterpart of ClassImageRun.

Arguments: a model's folder, pictures at once, side of the pictures in pixels, sampler steps, batches; then options.
As train_dreambooth.py makes them: StableDiffusionPipeline with the model's own sampler and guidance 7.5, without the
safety checker. --make writes a model of Stable Diffusion 1.5's sizes with random weights to the folder, and ends.
"""
import argparse
import json
import resource
import time

import numpy
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from step import usual_text, usual_vae
from transformers import CLIPTextModel, CLIPTokenizer

PROMPT = "a photo of a man"


def make(folder, words):
    torch.manual_seed(1)
    levels = [320, 640, 1280, 1280]
    tokenizer = CLIPTokenizer.from_pretrained(words)
    text = usual_text(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    StableDiffusionPipeline(
        vae=usual_vae(),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(sample_size=64, block_out_channels=levels, cross_attention_dim=768),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name in ("count", "side", "sampler_steps", "batches"):
        parser.add_argument(name, type=int, nargs="?", default=1)
    parser.add_argument("--make", metavar="TOKENIZER", help="write a model there, with this folder's tokenizer")
    parser.add_argument("--bf16", action="store_true", help="the pipeline's torch_dtype")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile of the UNet")
    return parser.parse_args()


def host_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    args = arguments()
    if args.make:
        make(args.model, args.make)
        return
    before = host_peak()
    dtype = torch.bfloat16 if args.bf16 else torch.float32
    pipeline = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=dtype, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    if args.channels_last:
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    if args.compile:
        pipeline.unet = torch.compile(pipeline.unet)
    result = {"seconds": [], "means": []}
    for _ in range(args.batches):
        start = time.perf_counter()
        images = pipeline(
            [PROMPT] * args.count,
            height=args.side,
            width=args.side,
            num_inference_steps=args.sampler_steps,
            guidance_scale=7.5,
            generator=[torch.Generator().manual_seed(row) for row in range(args.count)],
        ).images
        result["seconds"].append(time.perf_counter() - start)
        result["means"].append(float(numpy.mean([numpy.asarray(each) for each in images])))
    result["peakBytes"] = host_peak() - before
    print(json.dumps(result))


if __name__ == "__main__":
    main()

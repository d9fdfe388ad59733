#!/usr/bin/env python3
"""Record what diffusers' textual_inversion.py computes with the goldens' models: three steps that train
the vectors of one new word alone, of two tokens, of each text encoder.

Usage: make_embeddings.py GOLDENS OUT       (GOLDENS has sd1/model and sdxl/model)

As that script does, the tokenizer is given the tokens, the table of tokens is made longer, all of it is
what the optimizer updates, and rows that are not the word's are put back after each step; the step
itself is DreamBooth's (row 0 instance, row 1 prior). Tensors are named as make_goldens.py names them.
Needs: torch diffusers transformers safetensors.
"""
import json, pathlib, sys
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

WORD, VECTORS, STEPS, PRIOR = "<my-cat>", 2, 3, 0.35
TEXTS = ["a photo of <my-cat>, red hat", "<my-cat> the <my-cat>"]


def table_of(part):
    """How the word's vectors are called among the goldens' tensors."""
    return part + (".text_model" if part.endswith("2") else "") + ".embeddings.added_tokens.weight"


def converted(tokenizer, text):
    """The word's tokens, as diffusers' maybe_convert_prompt writes them."""
    tokens = [WORD] + [f"{WORD}_{i}" for i in range(1, VECTORS)]
    return text.replace(WORD, " ".join(tokens))


def record(goldens, family, out):
    folder = goldens / family / "model"
    torch.manual_seed(5)
    sdxl = family == "sdxl"
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").requires_grad_(False)
    scheduler = DDPMScheduler.from_pretrained(folder / "scheduler")
    parts = ["text_encoder", "text_encoder_2"] if sdxl else ["text_encoder"]
    tensors, encoders, ids, rows = {}, {}, {}, {}
    for part in parts:
        kind = CLIPTextModelWithProjection if part.endswith("2") else CLIPTextModel
        encoder = kind.from_pretrained(folder / part).requires_grad_(False)
        tokenizer = CLIPTokenizer.from_pretrained(folder / part.replace("text_encoder", "tokenizer"))
        known = encoder.config.vocab_size
        added = tokenizer.add_tokens([WORD] + [f"{WORD}_{i}" for i in range(1, VECTORS)])
        assert added == VECTORS and len(tokenizer) == known + VECTORS
        # Models that say 2, as SDXL does, are pooled at the largest token, which would be the word's: kohya's
        # pool_workaround, A1111 and ComfyUI pool at the end token all the same.
        getattr(encoder, "text_model", encoder).eos_token_id = tokenizer.eos_token_id
        encoder.resize_token_embeddings(known + VECTORS, mean_resizing=False)
        table = encoder.get_input_embeddings().weight
        table.data[known:] = 0.1 * torch.randn(VECTORS, table.shape[1])
        table.requires_grad_(True)
        tensors[f"input.lora.{table_of(part)}"] = table.data[known:].clone()
        encoders[part], rows[part] = encoder, known
        ids[part] = torch.tensor([tokenizer(converted(tokenizer, t), padding="max_length", truncation=True,
                                            max_length=77).input_ids for t in TEXTS])
        for kind in ("input", "output"):  # given, and what the texts are to become
            tensors[f"{kind}.ids" + ("_2" if part.endswith("2") else "")] = ids[part]
    sizes = torch.tensor([[64., 80, 0, 0, 64, 80], [72., 64, 8, 0, 64, 64]])
    if sdxl:
        tensors["input.time_ids"] = sizes

    def encode():
        if not sdxl:
            return dict(encoder_hidden_states=encoders[parts[0]](ids[parts[0]])[0]), None
        outs = [encoders[p](ids[p], output_hidden_states=True) for p in parts]
        states = torch.cat([o.hidden_states[-2] for o in outs], -1)
        pooled = outs[1].text_embeds
        return dict(encoder_hidden_states=states,
                    added_cond_kwargs=dict(text_embeds=pooled, time_ids=sizes)), pooled

    tables = [encoders[p].get_input_embeddings().weight for p in parts]
    before = {p: t.data.clone() for p, t in zip(parts, tables)}
    optimizer = torch.optim.AdamW(tables, lr=4e-2, betas=(0.9, 0.999), eps=1e-3, weight_decay=1e-2)
    losses, norms = [], []
    for step in range(STEPS):
        x0, noise = torch.randn(2, 4, 8, 10), torch.randn(2, 4, 8, 10)
        t = torch.randint(0, 1000, (2,))
        tensors |= {f"input.{step}.x0": x0, f"input.{step}.noise": noise, f"input.{step}.timestep": t}
        told, pooled = encode()
        sample = unet(scheduler.add_noise(x0, noise, t), t, **told).sample
        loss = F.mse_loss(sample[:1], noise[:1]) + PRIOR * F.mse_loss(sample[1:], noise[1:])
        loss.backward()
        if step == 0:
            tensors["output.sample"] = sample
            tensors["output.encoder_hidden_states"] = told["encoder_hidden_states"]
            if pooled is not None:
                tensors["output.text_embeds"] = pooled
            for p, table in zip(parts, tables):
                tensors[f"grad.{table_of(p)}"] = table.grad[rows[p]:].clone()
        norms.append(torch.stack([t.grad[rows[p]:].pow(2).sum() for p, t in zip(parts, tables)]).sum().sqrt())
        losses.append(loss.detach())
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():  # the script's index_no_updates
            for p, table in zip(parts, tables):
                table[:rows[p]] = before[p][:rows[p]]
    tensors["output.loss"], tensors["output.grad_norm"] = torch.stack(losses), torch.stack(norms)
    moved = {}
    for p, table in zip(parts, tables):
        tensors[f"final.{table_of(p)}"] = table.data[rows[p]:].clone()
        moved[table_of(p)] = (table.data - before[p]).norm().item()
    case = dict(component="words", family=family, steps=STEPS, prior_loss_weight=PRIOR, word=WORD, vectors=VECTORS,
                optimizer="AdamW lr 4e-2 betas .9 .999 eps 1e-3 weight_decay 1e-2", max_grad_norm=0.0,
                batch="row 0 instance, row 1 prior", texts=TEXTS, moved=moved,
                source="diffusers 0.42.1 examples/textual_inversion/textual_inversion.py")
    out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()},
              str(out / f"{family}.safetensors"), metadata={"case": json.dumps(case)})


if __name__ == "__main__":
    for each in ("sd1", "sdxl"):
        record(pathlib.Path(sys.argv[1]), each, pathlib.Path(sys.argv[2]))

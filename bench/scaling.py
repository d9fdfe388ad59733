#!/usr/bin/env python3
"""What to expect of several GPUs: arithmetic, not a measurement. Prints docs/distributed.md's tables.

Data-parallel training with a fixed number of rows a GPU (more GPUs, larger steps): each step takes
as long as on one GPU, plus what of the all-reduce of the gradients does not run beside backward.

    all-reduce = 2 (g - 1) / g * bytes / NVLink + 2 (m - 1) / m * bytes / network + 2 n latencies
    g GPUs a machine, m machines; the GPUs of a machine share its network, as NCCL's rings and trees do
    efficiency = time on one GPU / time on n GPUs

With shard_optimizer gradients are reduced to one rank, which is half of an all-reduce, and hides as that does; each rank
updates its nth part; and then the weights, F32 as the optimizer has them, are told to all, which nothing hides.
"""

# Of one GPU: an H100 SXM that reaches 40 % of its dense bf16 peak, and 80 % of its memory's rate.
FLOPS = 0.40 * 989e12
MEMORY = 0.80 * 3.35e12
GPUS = 8  # a machine

# Bytes a second in one direction, of which collectives reach the part named; a latency of each hop.
NVLINK = 0.80 * 450e9
LATENCY = 10e-6
NETWORKS = {"NVLink alone": None, "200 Gb/s": 0.85 * 200e9 / 8, "10 Gb/s": 0.85 * 10e9 / 8}

# Backward is two thirds of a step of forward and backward; of LoRA, which needs no weight gradients
# of the frozen weights, one half. Gradients that are reduced while it runs hide behind that part.
# Forward: TFLOP a picture (twice the multiply-adds). Updates read and write 28 bytes a weight (AdamW
# with F32 masters and bf16 gradients), of LoRA's F32 weights 28 too.
MODELS = {
    # name: (forward TFLOP a row, rows a GPU, trained weights, bytes of a gradient, passes)
    "SD 1.5 full, 512 px, 4+4 rows": (0.68, 8, 859.5e6, 2, 3),
    "SD 1.5 LoRA rank 16, 512 px, 4+4 rows": (0.68, 8, 3.19e6, 4, 2),
    "SDXL full, 1024 px, 2+2 rows": (5.98, 4, 2567e6, 2, 3),
    "SDXL LoRA rank 16, 1024 px, 2+2 rows": (5.98, 4, 23.2e6, 4, 2),
}
SIZES = (1, 2, 4, 8, 16, 32, 64)


def all_reduce(nbytes, gpus, network):
    """Seconds of one all-reduce of so many bytes over so many GPUs."""
    here, machines = min(gpus, GPUS), -(-gpus // GPUS)
    seconds = 2 * (here - 1) / here * nbytes / NVLINK
    if machines > 1:
        seconds += 2 * (machines - 1) / machines * nbytes / network
    return seconds + 2 * (gpus - 1) * LATENCY


def step(model):
    """Seconds of forward, backward and update on one GPU."""
    forward, rows, weights, _, passes = MODELS[model]
    one = forward * 1e12 * rows / FLOPS
    return one, (passes - 1) * one, 28 * weights / MEMORY


def efficiency(model, gpus, network, overlapped):
    forward, backward, update = step(model)
    reduced = all_reduce(MODELS[model][2] * MODELS[model][3], gpus, network)
    if overlapped:  # what is reduced last cannot begin before backward ends: a bucket of 25 MB
        last = all_reduce(min(25e6, MODELS[model][2] * MODELS[model][3]), gpus, network)
        reduced = max(reduced - backward, last)
    alone = forward + backward + update
    return alone / (alone + reduced)


def sharded(model, gpus, network):
    """The efficiency with shard_optimizer."""
    forward, backward, update = step(model)
    weights, size = MODELS[model][2:4]
    reduced = all_reduce(weights * size, gpus, network) / 2
    last = all_reduce(min(25e6, weights * size), gpus, network) / 2
    told = all_reduce(weights * 4, gpus, network) / 2
    return (forward + backward + update) / (
        forward + backward + max(reduced - backward, last) + update / gpus + told
    )


def main():
    print("| model | bytes a step | step on one GPU | network | " + " | ".join(map(str, SIZES[1:])) + " |")
    print("|---|---|---|---|" + "---|" * len(SIZES[1:]))
    for model, (_, _, weights, size, _) in MODELS.items():
        for name, network in NETWORKS.items():
            cells = []
            for gpus in SIZES[1:]:
                if gpus > GPUS and network is None:
                    cells.append("")
                    continue
                now = efficiency(model, gpus, network, False)
                hidden = efficiency(model, gpus, network, True)
                cells.append(
                    f"{100 * now:.0f} / {100 * hidden:.0f} / {100 * sharded(model, gpus, network):.0f}"
                )
            if network is not None:
                cells = [c if g > GPUS else "" for g, c in zip(SIZES[1:], cells)]
            total = sum(step(model))
            print(
                f"| {model} | {weights * size / 1e6:,.0f} MB | {1000 * total:.0f} ms | {name} | "
                + " | ".join(cells)
                + " |"
            )


if __name__ == "__main__":
    main()

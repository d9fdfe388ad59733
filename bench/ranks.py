#!/usr/bin/env python3
"""What several processes cost on one machine at the same work: steps of one process against those of N.

taskset -c 0 bench/ranks.py N ROUNDS ARGUMENTS OF train: a round is three runs in turn, of one process, of N, and of N
with shard_optimizer; who begins changes from round to round. The batch is the run's in each, and so is the one core
that taskset gives them, so the ratio of the median steps of the second half is what dividing the batch costs: smaller
products, gradients that are added, ranks that wait for each other. (Without taskset each uses the cores that it
chooses, and the ratio has the gain of more cores in it.) Prints the ratios of each round and their median. Give
max_train_steps (200 or more, for Java compiles what the first ones run), and a train_batch_size that N divides.
DREAMBOOTH names the launcher, ./dreambooth if it is not set.
"""
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

DREAMBOOTH = shlex.split(os.environ.get("DREAMBOOTH", "./dreambooth"))


def seconds(processes, sharded, arguments):
    """The median step of one run."""
    with tempfile.TemporaryDirectory() as output:
        command = [*DREAMBOOTH, "train", *arguments, "--output_dir", output, "--n_save_sample", "0"]
        command += ["--checkpointing_steps", "0"]
        if processes > 1:
            command += ["--nproc", str(processes), "--shard_optimizer", str(sharded).lower()]
        run = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(run.stderr)
        with open(os.path.join(output, "metrics.jsonl")) as lines:
            steps = [each["seconds"] for each in map(json.loads, lines) if "seconds" in each]
    return statistics.median(steps[len(steps) // 2 :])


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    processes, rounds, *arguments = sys.argv[1:]
    processes = int(processes)
    kinds = {"1 process": (1, False), f"{processes}": (processes, False), f"{processes} sharded": (processes, True)}
    ratios = {name: [] for name in kinds}
    for turn in range(int(rounds)):
        order = list(kinds)[turn % 3 :] + list(kinds)[: turn % 3]
        took = {name: seconds(*kinds[name], arguments) for name in order}
        for name in kinds:
            ratios[name].append(took[name] / took["1 process"])
        print("; ".join(f"{name} {1e3 * took[name]:.1f} ms, {ratios[name][-1]:.3f}" for name in kinds), flush=True)
    print("median ratios: " + ", ".join(f"{name} {statistics.median(ratios[name]):.3f}" for name in kinds))


if __name__ == "__main__":
    main()

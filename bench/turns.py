#!/usr/bin/env python3
"""Steps of two checkouts in turn, one step each, so that a machine's other load meets both alike.

bench/turns.py OLD NEW CONFIG SIDE STEPS ROUNDS [options of StepRun]: OLD and NEW are folders of checkouts, each built
by `./mvnw -B -q -Pbench -Dlauncher process-test-classes` in it. A round is a pair of new processes; who starts and who steps first changes from round to round and from step to step. Prints the ratio
new : old of each round and over all pairs of steps after the first tenth, with quartiles.
"""
import json
import statistics
import subprocess
import sys

START = """
. src/main/launcher/java.sh
classpath="target/test-classes:target/classes:$(cat target/bench.classpath)"
if [ -f src/main/launcher/products.sh ]; then . src/main/launcher/products.sh; fi
exec "$java" "${options[@]}" -cp "$classpath" \
    dreambooth4j.bench.StepRun "$@" --turns
"""


def start(folder, arguments):
    process = subprocess.Popen(
        ["bash", "-c", START, "bash", *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    await_ready(process)
    return process


def await_ready(process):
    for line in process.stderr:
        if line.startswith("ready"):
            return
        if line.startswith(("error", "Error", "Exception")):
            sys.exit(line)


def seconds(folders, arguments, steps, turn):
    """Seconds of each step, old's and new's, of one pair of processes."""
    order = [0, 1] if turn % 2 == 0 else [1, 0]
    processes = {each: start(folders[each], arguments) for each in order}
    for step in range(steps):
        for each in order if step % 2 == 0 else reversed(order):
            processes[each].stdin.write("\n")
            processes[each].stdin.flush()
            await_ready(processes[each])
    return [json.loads(processes[each].communicate()[0])["seconds"] for each in (0, 1)]


def main():
    old, new, config, side, steps, rounds, *options = sys.argv[1:]
    arguments = [config, "1", side, "77", steps, *options]
    steps = int(steps)
    pairs = []
    for turn in range(int(rounds)):
        olds, news = seconds([old, new], arguments, steps, turn)
        warm = max(2, steps // 10)
        ratios = [b / a for a, b in zip(olds[warm:], news[warm:])]
        pairs += ratios
        print(
            f"round {turn + 1}: old {statistics.median(olds[warm:]):.4f} s, new {statistics.median(news[warm:]):.4f} s, "
            f"median ratio {statistics.median(ratios):.3f}",
            flush=True,
        )
    low, middle, high = statistics.quantiles(pairs, n=4)
    print(f"new : old over {len(pairs)} pairs of steps: median {middle:.4f}, quartiles {low:.3f} to {high:.3f}")


if len(sys.argv) < 7:
    sys.exit(__doc__)
main()

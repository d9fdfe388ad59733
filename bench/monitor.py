#!/usr/bin/env python3
"""What --monitor costs the steps of a run: those during which a page asks for news against those around them.

bench/monitor.py ARGUMENTS OF train: starts the run with --monitor. At random moments, half a second apart on average, a
coin decides whether it asks as an open page does, or only notes the moment and as long as the last answer took. Of both
kinds it takes the seconds of the steps that they fell into, less as many times the median of the ten nearest others: a
moment falls into a long step more often than into a short one, asked or not, so only the difference of the two kinds is
what asking costs. Printed with what part of the time that is as often as the page asks: every two seconds, or after
200 times as long as an answer takes.
DREAMBOOTH names the launcher, ./dreambooth if it is not set. Writes nothing.
"""
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import datetime

PAGE_ASKS_EVERY = 2.0  # seconds, at least
PAGE_WAITS = 200  # times as long as an answer took


def main():
    command = shlex.split(os.environ.get("DREAMBOOTH", "./dreambooth"))
    run = subprocess.Popen([*command, "train", *sys.argv[1:], "--monitor"], stderr=subprocess.PIPE, text=True)
    address = next(line.split()[1] for line in run.stderr if line.startswith("Monitor:"))
    said = []
    threading.Thread(target=lambda: said.extend(run.stderr), daemon=True).start()
    moments, version, took = [], "", 0.01
    while run.poll() is None:
        time.sleep(random.uniform(0.25, 0.75))
        begin = time.time()
        if random.random() < 0.5:
            moments.append((begin, begin + took, False))
            continue
        try:
            body = urllib.request.urlopen(f"{address}data?since={version}", timeout=10).read()
        except OSError:
            continue  # the page of waiting has no data, and the last question may come too late
        took = time.time() - begin
        moments.append((begin, begin + took, True))
        version = json.loads(body)["version"] if body else version
    output = next(line for line in said if line.startswith("Report: ")).split(" ", 1)[1].strip()
    evaluate(os.path.dirname(output), moments)


def evaluate(output, moments):
    steps = []  # (begin, end, seconds)
    with open(os.path.join(output, "metrics.jsonl")) as lines:
        for line in map(json.loads, lines):
            if "seconds" in line:
                end = datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
                steps.append((end - line["seconds"], end, line["seconds"]))
    met = [[i for i, (b, e, _) in enumerate(steps) if b < t1 and e > t0] for t0, t1, _ in moments]
    hit = {i for some in met for i in some}
    others = [i for i in range(len(steps)) if i not in hit]
    costs = {True: [], False: []}
    for some, (_, _, asked) in zip(met, moments):
        if some:
            around = sorted(others, key=lambda i: abs(i - some[0]))[:10]
            usual = statistics.median(steps[i][2] for i in around)
            costs[asked].append(sum(steps[i][2] for i in some) - len(some) * usual)
    answered = statistics.median(t1 - t0 for t0, t1, asked in moments if asked)
    every = max(PAGE_ASKS_EVERY, PAGE_WAITS * answered)
    print(f"{len(steps)} steps, median {1e3 * statistics.median(s for _, _, s in steps):.1f} ms; answered in "
          f"{1e3 * answered:.1f} ms as a median, so a page asks every {every:.1f} s")
    for name, of in (("mean", statistics.mean), ("median", statistics.median)):
        cost = of(costs[True]) - of(costs[False])
        again = sorted(of(random.choices(costs[True], k=len(costs[True])))
                       - of(random.choices(costs[False], k=len(costs[False]))) for _ in range(1000))
        low, high = (100 * again[i] / every for i in (25, 974))
        print(f"{name} of {len(costs[True])} asked less that of {len(costs[False])} not asked: {1e3 * cost:+.2f} ms, "
              f"{100 * cost / every:+.2f} % [{low:+.2f}, {high:+.2f}] of the time")


if __name__ == "__main__":
    main()

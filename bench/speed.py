#!/usr/bin/env python3
"""Writes the table of docs/speed.md from all that bench/run compare has left in bench/results: run it after a
comparison. With --check it changes nothing and fails where the table is not that of the results."""
import json
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/speed.md"
BEGIN, END = "<!-- written by bench/speed.py -->\n", "<!-- end -->\n"


def row(file):
    result = json.loads(file.read_text())
    rounds = [each for each in result["rounds"] if "theirSeconds" in each]
    ratios = [each["theirSeconds"] / each["ourSeconds"] for each in rounds]
    if not ratios:
        return None

    def median(key):
        return statistics.median(each[key] for each in rounds)

    cells = [
        file.stem.removeprefix("compare-"),
        result["shape"].replace("bench/models/", "").replace("/unet/config.json", ""),
        f"{result['blas']} {result.get('ours', '')} {result.get('environment', '')}".strip(),
        result["baseline"].removeprefix("diffusers ").strip() or "as it is",
        f"{median('ourSeconds'):.3g} s",
        f"{median('theirSeconds'):.3g} s",
        f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})",
        str(len(ratios)),
        f"{result['memory']:.2f}",
        f"{result['machine']['when'][:10]}, {result['machine']['commit']}",
    ]
    return "| " + " | ".join(cells) + " |"


def table():
    heads = "name, what, ours, diffusers with, ours takes, diffusers takes, times as fast (rounds), rounds, memory, day and commit"
    lines = []
    for folder in sorted((ROOT / "bench/results").iterdir()):
        rows = [row(each) for each in sorted(folder.glob("compare-*.json"))]
        rows = [each for each in rows if each]
        if rows:
            lines += [f"`bench/results/{folder.name}`:", "", "| " + heads.replace(", ", " | ") + " |"]
            lines += ["|" + "---|" * len(heads.split(", "))] + rows + [""]
    return "\n".join(lines)


def main():
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    made = before + BEGIN + table() + END + after
    if "--check" in sys.argv[1:]:
        sys.exit(0 if made == text else f"{PAGE}: not the table of bench/results; run bench/speed.py")
    PAGE.write_text(made)


main()

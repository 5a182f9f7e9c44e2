"""Cubes of all pairs beside numpy's, in turns; prints a Markdown table. The search that follows has no peer of its own
here: what others take for pairs alone, without adjustment or replicates, stands in the README.

    target/peers/bin/python benches/peers/cube.py [--rounds 5]

The recipe: 200,000 rows x 12 channels x 5 bins. numpy sums expected events and counts records of each of the 66 pairs
with `bincount`; `cargo bench --bench cube` does the same in integers. Medians over the rounds.
"""

import argparse
import itertools
import json
import pathlib
import re
import statistics
import subprocess
import time

import numpy as np

ROWS, CHANNELS, BINS = 200_000, 12, 5
ROOT = pathlib.Path(__file__).parent.parent.parent
SECONDS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def said(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def bench_executable():
    lines = said("cargo", "bench", "--bench", "cube", "--no-run", "--message-format=json").splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return next(b["executable"] for b in built if b.get("target", {}).get("name") == "cube" and b.get("executable"))


def our_seconds(executable):
    """Seconds by bench, from the middle of the three times that criterion prints."""
    text = said(executable, "--bench", "--noplot", "--warm-up-time", "1", "--measurement-time", "3")
    found = re.findall(r"^(\S[^\n]*?)\s+time:\s+\[\S+ \S+ (\S+) (\S+) ", text, re.M)
    return {name.strip(): float(value) * SECONDS[unit] for name, value, unit in found}


def numpy_seconds(columns, expected):
    began = time.perf_counter()
    for a, b in itertools.combinations(range(CHANNELS), 2):
        cell = columns[a] * BINS + columns[b]
        np.bincount(cell, weights=expected, minlength=BINS * BINS)
        np.bincount(cell, minlength=BINS * BINS)
    return time.perf_counter() - began


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options = options.parse_args()
    random = np.random.default_rng(1)
    columns = random.integers(0, BINS, (CHANNELS, ROWS), dtype=np.uint8)
    expected = np.full(ROWS, 0.02)
    executable = bench_executable()
    seconds = {}
    for _ in range(options.rounds):
        for name, value in our_seconds(executable).items():
            seconds.setdefault(f"fleetwear, {name}", []).append(value)
        seconds.setdefault("numpy, recipe", []).append(numpy_seconds(columns, expected))
    print("| work | seconds | spread |\n|---|---|---|")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"| {name} | {middle:.4f} | ± {(max(values) - min(values)) / 2 / middle:.0%} |")


if __name__ == "__main__":
    main()

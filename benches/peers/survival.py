"""The survival kernel beside numba and SurPyval, in turns; prints a Markdown table of ratios.

    target/peers/bin/python benches/peers/survival.py [--rounds 2] [--vehicles 8000]

The job: 50,000 vehicles x 6 modes x 64 paths x 52 weeks; a round takes about three minutes, ours with AVX only. `cargo bench --bench survival` and `numba_survival.py` do the
same work and are given as seconds for 50,000 vehicles; `surpyval_rul.py` predicts one unit's remaining life a call, so
its ratio is per unit: one vehicle with its six modes of ours against one unit of theirs. Medians over the rounds.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

VEHICLES, MODES, PATHS, WEEKS = 50_000, 6, 64, 52
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


def said(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def bench_executable():
    lines = said("cargo", "bench", "--bench", "survival", "--no-run", "--message-format=json").splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return next(b["executable"] for b in built if b.get("target", {}).get("name") == "survival" and b.get("executable"))


def our_seconds(executable, rounds_so_far):
    """Seconds for the whole job by instruction set, from the elements a second that criterion prints."""
    text = said(executable, "--bench", "--noplot", "--warm-up-time", "1", "--measurement-time", "3", "survival/avx")
    found = re.findall(r"survival/(\w+)\s+time:.*?thrpt:\s+\[\S+ \S+ (\S+) ([MGK])elem/s", text, re.S)
    scale = {"K": 1e3, "M": 1e6, "G": 1e9}
    for name, rate, unit in found:
        seconds = VEHICLES * MODES * PATHS * WEEKS / (float(rate) * scale[unit])
        rounds_so_far.setdefault(f"fleetwear, {name}", []).append(seconds)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--vehicles", type=int, default=8000)
    options = options.parse_args()
    executable = bench_executable()
    seconds, unit_milliseconds = {}, []
    for _ in range(options.rounds):
        our_seconds(executable, seconds)
        numba = said(sys.executable, str(HERE / "numba_survival.py"), str(options.vehicles), "3")
        seconds.setdefault("numba", []).append(float(re.search(r"([\d.]+) s for 50,000", numba).group(1)))
        surpyval = said(sys.executable, str(HERE / "surpyval_rul.py"))
        unit_milliseconds.append(float(re.search(r"([\d.]+) ms a unit", surpyval).group(1)))
    numba_s, surpyval_ms = statistics.median(seconds["numba"]), statistics.median(unit_milliseconds)
    print(numba.strip(), surpyval.strip(), sep="\n")
    print("\n| kernel | 50,000 vehicles | spread | against numba | per vehicle, against SurPyval's unit |\n|---|---|---|---|---|")
    for name, values in seconds.items():
        middle = statistics.median(values)
        spread = (max(values) - min(values)) / 2 / middle
        vehicle_ms = middle / VEHICLES * 1e3
        print(f"| {name} | {middle:.2f} s | ± {spread:.0%} | {numba_s / middle:.2f} × | {surpyval_ms / vehicle_ms:,.0f} × |")


if __name__ == "__main__":
    main()

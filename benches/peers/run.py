"""The same scoring job in fleetwear, Polars, DuckDB, numba and pyarrow, side by side; prints a Markdown table of ratios.

    cargo build --release
    python -m venv target/peers && target/peers/bin/pip install -r benches/peers/requirements.txt
    target/peers/bin/python benches/peers/run.py [--scale 20] [--runs 5] [--encodings zstd,plain,delta] [--threads N]

The job: histories of `scale` thousand vehicles over 730 days with ten coded channels; mechanism m uses channels
(3m + 2k) mod 10 for k < 4 (m even) or 3 (m odd) at a rate of 2^(-12 + sum(2 c/n - 1)); eight sums per vehicle,
written as Parquet. `fleetwear bench --write-recipe` makes the data, so all read the same file.

Every tool is a process of its own that stays up, is warmed up once, and takes its turn in every round, so that a
slow minute of the machine hits all alike. Only ratios within one run of this script mean anything. Before timing,
the eight sums of every vehicle are compared between the tools: they must agree within 1e-4.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

CODES = [1251, 201, 8001, 256, 256, 512, 101, 201, 256, 201]
MECHANISMS = 8
TERMS = [[(3 * m + 2 * k) % 10 for k in range(4 if m % 2 == 0 else 3)] for m in range(MECHANISMS)]
LN2 = 0.6931471805599453
AGREE_RELATIVE = 1e-4


def polars_job(data, out):
    import polars as pl

    share = [pl.col(f"c{c}").cast(pl.Float32) * (2 / n) - 1 for c, n in enumerate(CODES)]
    rates = [((sum(share[c] for c in terms) - 12) * LN2).exp() for terms in TERMS]
    lazy = pl.scan_parquet(data).group_by("vehicle_id").agg(r.sum().alias(f"m{m}") for m, r in enumerate(rates))
    return lambda: lazy.sink_parquet(out)


def duckdb_job(data, out):
    import duckdb

    sums = ", ".join(
        "sum(exp((" + " + ".join(f"c{c} * {2 / CODES[c]}::FLOAT - 1::FLOAT" for c in terms) + f" - 12) * {LN2}::FLOAT)) AS m{m}"
        for m, terms in enumerate(TERMS)
    )
    connection = duckdb.connect()
    connection.execute(f"SET threads = {os.environ['PEER_THREADS']}")
    query = f"COPY (SELECT vehicle_id, {sums} FROM read_parquet('{data}') GROUP BY vehicle_id) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
    return lambda: connection.execute(query)


def numba_job(data, out):
    """Columns already in memory; the kernel alone, one vehicle a loop step, float32 with fastmath."""
    import numba
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from numba_kernel import kernel_source

    table = pq.read_table(data)
    columns = [table[f"c{c}"].to_numpy() for c in range(len(CODES))]
    ids, starts = np.unique(table["vehicle_id"].to_numpy(), return_index=True)
    offsets = np.append(starts, table.num_rows)
    scope = {"np": np, "numba": numba}
    exec(kernel_source(), scope)
    numba.set_num_threads(int(os.environ["PEER_THREADS"]))
    kernel = numba.njit(parallel=True, fastmath=True)(scope["kernel"])
    sums = np.zeros((ids.size, MECHANISMS), np.float64)

    def job():
        kernel(*columns, offsets, sums)

    def write():
        pq.write_table(pa.table({"vehicle_id": ids} | {f"m{m}": sums[:, m] for m in range(MECHANISMS)}), out)

    job.write = write
    return job


def pyarrow_job(data, out):
    """Decoding alone: the floor of what any reader of this library needs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(int(os.environ["PEER_THREADS"]))
    return lambda: pq.read_table(data)


JOBS = {"polars": polars_job, "duckdb": duckdb_job, "numba": numba_job, "pyarrow": pyarrow_job}


def worker(name, data, out):
    """Answers every line on stdin with the seconds of one run; the line `write` makes the result a file."""
    job = JOBS[name](data, out)
    job()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "write":
            getattr(job, "write", lambda: None)()
            print("written", flush=True)
            continue
        began = time.perf_counter()
        job()
        print(time.perf_counter() - began, flush=True)


class Peer:
    def __init__(self, name, data, out, threads):
        environment = os.environ | {"PEER_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)}
        command = [sys.executable, __file__, "--worker", name, "--data", data, "--out", out]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.answer("ready")

    def answer(self, wanted=None):
        line = self.process.stdout.readline().strip()
        if not line or (wanted and line != wanted):
            raise SystemExit(f"a peer answered {line!r}")
        return line

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def seconds(self):
        return float(self.ask("run"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """The binary as users run it: every score includes its start. The stages come from its own bench, warmed up once as
    the peers are: only the peers' processes stay up."""

    def __init__(self, binary, recipe, scratch, threads):
        self.binary, self.recipe, self.scratch, self.threads = binary, recipe, scratch, threads

    def score(self, *options, keep=None):
        out = keep or os.path.join(self.scratch, "scores")
        shutil.rmtree(out, ignore_errors=True)
        command = [self.binary, "score", "--quiet", "--data", self.recipe, "--model", f"{self.recipe}/model.toml"]
        command += ["--out", out, "--threads", str(self.threads), "--backend", "cpu", *options]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    def stages(self):
        report = os.path.join(self.scratch, "bench.json")
        command = [self.binary, "bench", "--quiet", "--recipe", self.recipe, "--runs", "1", "--warmup", "1"]
        command += ["--threads", str(self.threads), "--backend", "cpu", "--export-json", report]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(report) as file:
            stages = json.load(file)["stages"]
        return {name: stages[name]["median_s"] for name in ("decode", "kernel")} | {"kernel_rows": stages["kernel"]["rows"]}


def sums_of(path, ours=False):
    """Vehicle id → eight sums, as arrays in the order of the ids."""
    import glob

    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(sorted(glob.glob(f"{path}/scores/*.parquet")) if ours else path)
    order = np.argsort(table["vehicle_id"].to_numpy())
    if ours:
        clocks = table["clocks"].combine_chunks().flatten()
        sums = clocks.field("clock_q48").to_numpy().reshape(-1, MECHANISMS) / 2.0**48
    else:
        sums = np.column_stack([table[f"m{m}"].to_numpy() for m in range(MECHANISMS)])
    return table["vehicle_id"].to_numpy()[order], sums[order]


def worst_relative(a, b):
    import numpy as np

    if not np.array_equal(a[0], b[0]) or a[1].shape != b[1].shape:
        return float("inf")
    return float(np.max(np.abs(a[1] - b[1]) / np.abs(b[1])))


def check_agreement(ours, scratch):
    reference = sums_of(os.path.join(scratch, "check"), ours=True)
    wrong = (reference[0], reference[1].copy())
    wrong[1][len(wrong[1]) // 2, 3] *= 1 + 2 * AGREE_RELATIVE
    assert worst_relative(wrong, reference) > AGREE_RELATIVE, "the comparison does not see a wrong sum"
    for name in ("polars", "duckdb", "numba"):
        worst = worst_relative(sums_of(os.path.join(scratch, f"{name}.parquet")), reference)
        print(f"{name}: worst relative difference of a sum {worst:.1e}", file=sys.stderr)
        if worst > AGREE_RELATIVE:
            raise SystemExit(f"{name} and fleetwear disagree by {worst:.1e}")


def machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def table(encoding, rows, size, seconds, threads):
    median = {name: statistics.median(times) for name, times in seconds.items()}
    spread = {name: (max(times) - min(times)) / 2 / median[name] for name, times in seconds.items()}
    rate = {name: rows[name] / median[name] for name in median}
    end, decode, kernel = rate["fleetwear score"], rate["fleetwear decode"], rate["fleetwear kernel"]
    lines = [
        f"{encoding}: {max(rows.values()):,} rows, {size / max(rows.values()):.1f} bytes a row, {threads} threads, {machine()}",
        "",
        "| tool | what | median | spread | M rows/s | fleetwear is |",
        "|---|---|---|---|---|---|",
    ]
    against = {
        "fleetwear score": ("Parquet to Parquet, drivers off as in the peers", None),
        "fleetwear score, drivers": ("Parquet to Parquet, with each vehicle's drivers", None),
        "polars": ("scan, group_by, sink_parquet", end),
        "duckdb": ("COPY (SELECT … GROUP BY)", end),
        "fleetwear decode": ("our reader alone", None),
        "pyarrow": ("read_table alone", decode),
        "fleetwear kernel": ("columns in memory", None),
        "numba": ("columns in memory, parallel, fastmath, float32", kernel),
    }
    for name, (what, ours) in against.items():
        ratio = f"{ours / rate[name]:.2f} ×" if ours else ""
        lines.append(f"| {name} | {what} | {median[name]:.3f} s | ± {spread[name]:.0%} | {rate[name] / 1e6:.1f} | {ratio} |")
    lines += ["", f"Score takes {median['fleetwear score'] / median['fleetwear decode']:.2f} × the time of our reader alone."]
    return "\n".join(lines)


def measure(binary, encoding, arguments, scratch):
    recipe = os.path.join(scratch, f"recipe-{encoding}")
    command = [binary, "bench", "--quiet", "--write-recipe", recipe, "--scale", str(arguments.scale), "--encoding", encoding]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    data = os.path.join(recipe, "histories.parquet")
    ours = Ours(binary, recipe, scratch, arguments.threads)
    ours.score("--no-drivers", keep=os.path.join(scratch, "check"))
    peers = {name: Peer(name, data, os.path.join(scratch, f"{name}.parquet"), arguments.threads) for name in JOBS}
    peers["numba"].ask("write")
    check_agreement(ours, scratch)
    seconds, rows = {}, {}
    total = arguments.scale * 1000 * 730
    for turn in range(arguments.runs):
        print(f"{encoding}: round {turn + 1} of {arguments.runs}", file=sys.stderr)
        stages = ours.stages()
        taken = {
            "fleetwear score": (ours.score("--no-drivers"), total),
            "fleetwear score, drivers": (ours.score(), total),
            "fleetwear decode": (stages["decode"], total),
            "fleetwear kernel": (stages["kernel"], stages["kernel_rows"]),
        } | {name: (peer.seconds(), total) for name, peer in peers.items()}
        for name, (time_s, count) in taken.items():
            seconds.setdefault(name, []).append(time_s)
            rows[name] = count
    for peer in peers.values():
        peer.close()
    print(table(encoding, rows, os.path.getsize(data), seconds, arguments.threads) + "\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=20, help="thousand vehicles of 730 days")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--encodings", default="zstd,plain,delta")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--fleetwear", default="target/release/fleetwear")
    parser.add_argument("--worker", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.data, arguments.out)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for encoding in arguments.encodings.split(","):
            measure(os.path.abspath(arguments.fleetwear), encoding, arguments, scratch)


if __name__ == "__main__":
    main()

"""The survival kernel's peer: the same work in numba, one vehicle a loop step, all cores, float32 with fastmath.

    python benches/peers/numba_survival.py [vehicles] [runs] [threads]

Six modes of one mechanism, 64 paths, 52 weeks out of a profile of 104, ten groups. For every part and week the mean
chance over paths; for every group, mode, path and week the sums of p and p squared, in slabs of each thread's own.
Three ways to write the law are timed and the fastest is reported. Prints nanoseconds a (part, path, week) and the
seconds that 50,000 vehicles would take. `benches/survival.rs` does the same work; only ratios of runs that alternate
on one machine count. Numba finds Intel's vector library where it is installed; the line says whether it did.
"""

import sys
import time

import numba
import numpy as np

MODES, PATHS, WEEKS, SOURCE_WEEKS, GROUPS, ZONES = 6, 64, 52, 104, 10, 5
SHAPES = [1.4, 2.0, 3.0, 1.1, 2.5, 0.8]

LAWS = {
    "pow, expm1": ("(damage + taken) ** shape", "-math.expm1(before - {})"),
    "exp2(log2), exp": ("np.exp2(shape * np.log2(damage + taken))", "np.float32(1) - np.exp(before - {})"),
    "pow, exp": ("(damage + taken) ** shape", "np.float32(1) - np.exp(before - {})"),
}

SOURCE = """
def kernel(increments, clocks, shapes, zone, group, source, means, failures, squares):
    threads = failures.shape[0]
    vehicles = clocks.shape[0]
    for t in numba.prange(threads):
        for v in range(vehicles * t // threads, vehicles * (t + 1) // threads):
            for m in range({modes}):
                damage = clocks[v, m]
                shape = shapes[m]
                before = damage ** shape
                for p in range({paths}):
                    taken = np.float32(0)
                    last = np.float32(0)
                    for w in range({weeks}):
                        taken += increments[v, m, source[zone[v], p, w]]
                        chance = {law}
                        new = chance - last
                        last = chance
                        means[v, m, w] += chance
                        failures[t, group[v], m, p, w] += new
                        squares[t, group[v], m, p, w] += new * new
"""


def main():
    vehicles = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if len(sys.argv) > 3:
        numba.set_num_threads(int(sys.argv[3]))
    random = np.random.default_rng(7)
    increments = (0.004 * random.random((vehicles, MODES, SOURCE_WEEKS))).astype(np.float32)
    clocks = random.random((vehicles, MODES)).astype(np.float32)
    zone = random.integers(0, ZONES, vehicles)
    group = random.integers(0, GROUPS, vehicles)
    source = random.integers(0, SOURCE_WEEKS, (ZONES, PATHS, WEEKS)).astype(np.int32)
    slabs = (numba.get_num_threads(), GROUPS, MODES, PATHS, WEEKS)
    shapes = np.array(SHAPES, np.float32)
    best = {}
    for name, (power, chance) in LAWS.items():
        import math

        scope = {"np": np, "numba": numba, "math": math}
        exec(SOURCE.format(modes=MODES, paths=PATHS, weeks=WEEKS, law=chance.format(power)), scope)
        kernel = numba.njit(parallel=True, fastmath=True)(scope["kernel"])
        means = np.zeros((vehicles, MODES, WEEKS), np.float32)
        arguments = (increments, clocks, shapes, zone, group, source, means, np.zeros(slabs, np.float32), np.zeros(slabs, np.float32))
        kernel(*arguments)
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            kernel(*arguments)
            seconds.append(time.perf_counter() - start)
        best[name] = min(seconds)
    name = min(best, key=best.get)
    steps = vehicles * MODES * PATHS * WEEKS
    vector = "with" if numba.config.USING_SVML else "without"
    print(f"numba {numba.__version__} {vector} Intel's vector library, {numba.get_num_threads()} threads, {name}: "
          f"{best[name] / steps * 1e9:.2f} ns a step, {best[name] / vehicles * 50_000:.2f} s for 50,000 vehicles; "
          + ", ".join(f"{other} {time_s / steps * 1e9:.2f}" for other, time_s in best.items() if other != name))


if __name__ == "__main__":
    main()

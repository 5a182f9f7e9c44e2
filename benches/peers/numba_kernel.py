"""The damage kernel's peer: the same recipe in numba, columns in memory, all cores.

    python benches/peers/numba_kernel.py [vehicles] [days]

Needs numpy and numba. Prints the best and the median of ten runs in million records a second. The peer works in
float32 with fastmath, as its users would write it: eight rates a record, summed per vehicle, one thread a vehicle.
"""

import sys
import time

import numba
import numpy as np

CODES = [1251, 201, 8001, 256, 256, 512, 101, 201, 256, 201]
MECHANISMS = 8
TERMS = [[(3 * m + 2 * k) % 10 for k in range(4 if m % 2 == 0 else 3)] for m in range(MECHANISMS)]


def columns(vehicles, days):
    random = np.random.default_rng(7)
    day = np.tile(np.arange(days), vehicles)
    shares = [0.5 + 0.3 * np.sin(2 * np.pi * day / 365.25) + 0.2 * (random.random(day.size) - 0.5) for _ in range(2)]
    shares += [random.gamma(2, 0.1, day.size) for _ in range(8)]
    return [np.clip(share * n, 0, n - 1).astype(np.uint16) for share, n in zip(shares, CODES)]


def kernel_source():
    """Unrolled over mechanisms and terms: the fastest form that we found."""
    lines = ["def kernel(" + ", ".join(f"c{i}" for i in range(10)) + ", offsets, out):"]
    lines += ["    for v in numba.prange(offsets.size - 1):"]
    lines += [f"        s{m} = np.float32(0)" for m in range(MECHANISMS)]
    lines += ["        for i in range(offsets[v], offsets[v + 1]):"]
    lines += [f"            x{i} = c{i}[i] * np.float32({2 / n}) - np.float32(1)" for i, n in enumerate(CODES)]
    for m, terms in enumerate(TERMS):
        lines += [f"            s{m} += np.exp2(np.float32(-12) + " + " + ".join(f"x{t}" for t in terms) + ")"]
    lines += [f"        out[v, {m}] = s{m}" for m in range(MECHANISMS)]
    return "\n".join(lines)


def main():
    vehicles = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 730
    scope = {"np": np, "numba": numba}
    exec(kernel_source(), scope)
    kernel = numba.njit(parallel=True, fastmath=True)(scope["kernel"])
    data = columns(vehicles, days)
    offsets = np.arange(vehicles + 1) * days
    out = np.zeros((vehicles, MECHANISMS), np.float64)
    kernel(*data, offsets, out)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        kernel(*data, offsets, out)
        seconds.append(time.perf_counter() - start)
    rows = vehicles * days / 1e6
    print(f"numba {numba.__version__}, {numba.get_num_threads()} threads: best {rows / min(seconds):.1f}, "
          f"median {rows / sorted(seconds)[5]:.1f} M records/s")


if __name__ == "__main__":
    main()

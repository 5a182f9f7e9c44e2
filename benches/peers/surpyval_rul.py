"""What SurPyval takes to predict one unit's remaining useful life: `DegradationAnalysis.predict_rul`.

    python benches/peers/surpyval_rul.py [units]

A fleet of forty linear wear paths is fitted once; then new units, five measurements each, are predicted one by one, as
its interface asks. Prints milliseconds a unit, with its 10,000 draws and with as many as we follow futures.
"""

import sys
import time

import numpy as np
import surpyval
from surpyval.degradation import DegradationAnalysis

FITTED_UNITS, TIMES, LIMIT, PATHS = 40, np.arange(100.0, 1100.0, 100.0), 150.0, 64


def fitted(random):
    unit = np.repeat(np.arange(FITTED_UNITS), len(TIMES))
    x = np.tile(TIMES, FITTED_UNITS)
    start = np.repeat(random.normal(10.0, 3.0, FITTED_UNITS), len(TIMES))
    slope = np.repeat(random.normal(0.1, 0.01, FITTED_UNITS), len(TIMES))
    y = start + slope * x + random.normal(0.0, 3.0, x.size)
    return DegradationAnalysis.fit(x, y, unit, LIMIT)


def milliseconds_a_unit(model, units, random, **options):
    seconds = []
    for unit in range(units):
        x = TIMES[:5]
        y = random.normal(10.0, 3.0) + random.normal(0.1, 0.01) * x + random.normal(0.0, 3.0, x.size)
        start = time.perf_counter()
        prediction = model.predict_rul(x, y, random_state=unit, **options)
        seconds.append(time.perf_counter() - start)
        assert prediction.rul > 0
    return float(np.median(seconds)) * 1e3


def main():
    units = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    random = np.random.default_rng(7)
    model = fitted(random)
    default = milliseconds_a_unit(model, units, random)
    few = milliseconds_a_unit(model, units, random, n_samples=PATHS)
    print(f"surpyval {surpyval.__version__}: {default:.3f} ms a unit, {few:.3f} ms with {PATHS} draws")


if __name__ == "__main__":
    main()

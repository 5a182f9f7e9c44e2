"""Runs the SQL of datasets/examples in DuckDB and compares what comes out.

    cargo build --release
    python benches/peers/sql_examples.py [--fleetwear target/release/fleetwear]

`telemetry_to_days.sql` on made-up telemetry against plain Python loops, then through `fleetwear check`;
`recompute_score.sql` on a synthetic fleet against `fleetwear score`. Each comparison is first shown a wrong value.
"""

import argparse
import collections
import datetime
import json
import math
import os
import random
import shutil
import subprocess
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "datasets", "examples")
RATED_POWER_KW = 120
CLOCKS_AGREE_RELATIVE = 1e-4


def telemetry():
    """Records of three vehicles over three days, with what real ones have: resent records, gaps, a drive over
    midnight, missing values, a new instrument cluster."""
    draw = random.Random(11)
    records = []
    for vehicle in range(3):
        time = datetime.datetime(2026, 3, 1, 6, 0) + datetime.timedelta(minutes=vehicle)
        odometer_km, soc_pct = 12_000.0 + vehicle, 80.0
        for leg in range(9):
            charging = leg % 3 == 2
            speed_kmh = 0.0
            for _ in range(draw.randrange(60, 200)):
                gap_s = draw.choice([10, 20, 30])
                time += datetime.timedelta(seconds=gap_s)
                speed_kmh = 0.0 if charging else max(0.0, min(120.0, speed_kmh + draw.uniform(-15, 16)))
                odometer_km += speed_kmh * gap_s / 3600
                current_a = draw.choice([-20.0, -150.0]) if charging else draw.uniform(-60, 250)
                soc_pct = max(5.0, min(100.0, soc_pct - current_a * gap_s / 60_000))
                cell_c = draw.uniform(15, 35)
                records.append({
                    "vin": f"LFWTEST{vehicle:010d}", "collected_at": time, "speed_kmh": speed_kmh,
                    "odometer_km": round(odometer_km, 1), "voltage_v": draw.uniform(340, 400), "current_a": current_a,
                    "soc_pct": None if draw.random() < 0.01 else round(soc_pct), "accelerator_pct": draw.uniform(0, 100),
                    "brake_pct": draw.uniform(0, 100), "charging": charging,
                    "probe_max_c": cell_c + draw.uniform(0, 4), "probe_min_c": None if draw.random() < 0.01 else cell_c,
                })
                if draw.random() < 0.02:
                    records.append(dict(records[-1]))
            time += datetime.timedelta(hours=draw.uniform(3, 8))
            if vehicle == 2 and leg == 4:
                odometer_km = 0.0
    draw.shuffle(records)
    return records


def days_by_hand(records):
    """The definition of every column, one record after the other."""
    by_vehicle = collections.defaultdict(dict)
    for record in records:
        by_vehicle[record["vin"]][record["collected_at"]] = record
    days = {}
    for vin, by_time in by_vehicle.items():
        before = None
        for time in sorted(by_time):
            now = by_time[time]
            day = days.setdefault((vin, time.date()), collections.defaultdict(float) | {"soc": [], "probe": [], "spread": []})
            gap_s = (time - before["collected_at"]).total_seconds() if before else None
            step_h = gap_s / 3600 if gap_s is not None and gap_s <= 300 else 0.0
            step_km = now["odometer_km"] - before["odometer_km"] if before else 0.0
            day["distance_km"] += step_km if 0 <= step_km <= 1500 else 0.0
            power_kw = now["voltage_v"] * now["current_a"] / 1000
            if not now["charging"]:
                day["energy_kwh"] += max(power_kw, 0) * step_h
            elif power_kw < -30:
                day["fast_charge_kwh"] -= power_kw * step_h
            if now["speed_kmh"] > 0:
                day["moving_kwh"] += max(power_kw, 0) * step_h
                day["moving_h"] += step_h
            if before:
                day["hard_brakes"] += now["brake_pct"] >= 60 > before["brake_pct"] and now["speed_kmh"] > 10
                day["hard_accelerations"] += now["accelerator_pct"] >= 80 > before["accelerator_pct"]
            if now["soc_pct"] is not None:
                day["soc"].append(now["soc_pct"])
                day["soc_h"] += now["soc_pct"] * step_h
                day["known_h"] += step_h
            if now["probe_min_c"] is not None:
                day["probe"].append((now["probe_max_c"] + now["probe_min_c"]) / 2)
                day["spread"].append(now["probe_max_c"] - now["probe_min_c"])
            before = now
    return {
        key: {
            "distance_km": day["distance_km"], "energy_kwh": day["energy_kwh"], "fast_charge_kwh": day["fast_charge_kwh"],
            "motor_load_pct": day["moving_kwh"] / day["moving_h"] / RATED_POWER_KW * 100 if day["moving_h"] else None,
            "hard_brakes": day["hard_brakes"], "hard_accelerations": day["hard_accelerations"],
            "soc_mean_pct": day["soc_h"] / day["known_h"] if day["known_h"] else None,
            "depth_of_discharge_pct": max(day["soc"]) - min(day["soc"]),
            "pack_temp_c": sum(day["probe"]) / len(day["probe"]), "pack_temp_spread_c": max(day["spread"]),
        }
        for key, day in days.items()
    }


def differences(got, wanted):
    found = [f"days: {sorted(got.keys() ^ wanted.keys())}"] if got.keys() != wanted.keys() else []
    for key in got.keys() & wanted.keys():
        for column, value in wanted[key].items():
            other = got[key][column]
            same = other is None if value is None else other is not None and math.isclose(other, value, rel_tol=1e-9, abs_tol=1e-9)
            if not same:
                found.append(f"{key} {column}: {other}, wanted {value}")
    return found


def telemetry_to_days(binary, folder):
    records = telemetry()
    pq.write_table(pa.Table.from_pylist(records), os.path.join(folder, "telemetry.parquet"))
    connection = duckdb.connect()
    connection.execute(f"SET VARIABLE telemetry = '{folder}/telemetry.parquet'")
    connection.execute(f"SET VARIABLE rated_power_kw = {RATED_POWER_KW}")
    with open(os.path.join(EXAMPLES, "telemetry_to_days.sql")) as file:
        connection.execute(file.read())
    connection.execute(f"COPY days TO '{folder}/days.parquet' (FORMAT parquet, COMPRESSION zstd)")
    got = {(row["vin"], row["day"]): row for row in pq.read_table(f"{folder}/days.parquet").to_pylist()}
    wanted = days_by_hand(records)
    wrong = {key: dict(value) for key, value in wanted.items()}
    next(iter(wrong.values()))["distance_km"] += 0.001
    assert differences(got, wrong), "the comparison does not see a wrong distance"
    found = differences(got, wanted)
    assert not found, "\n".join(found)
    shutil.copy(os.path.join(EXAMPLES, "telemetry", "dataset.toml"), folder)
    report = subprocess.run([binary, "check", "--data", folder, "--json", "--max-bad", "0"], check=True, capture_output=True)
    account = json.loads(report.stdout)["rows"]
    assert account["rows_in"] == account["scored"] == len(wanted), account
    print(f"telemetry_to_days.sql: {len(records)} records, {len(wanted)} vehicle-days as by hand")


def recompute_score(binary, folder):
    fleet, scores = os.path.join(folder, "fleet"), os.path.join(folder, "scores")
    subprocess.run([binary, "synth", "--quiet", "--vehicles", "500", "--days", "730", "--seed", "3", "--out", fleet], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([binary, "score", "--quiet", "--data", fleet, "--model", "ev-passenger", "--out", scores], check=True, stdout=subprocess.DEVNULL)
    connection = duckdb.connect()
    connection.execute(f"SET VARIABLE fleet = '{fleet}'; SET VARIABLE scores = '{scores}'")
    with open(os.path.join(EXAMPLES, "recompute_score.sql")) as file:
        connection.execute(file.read())
    query = "SELECT quantity, count(*), count(recomputed), max(relative_difference) FROM audit GROUP BY quantity ORDER BY quantity"
    vehicles, found = 500, {quantity: rest for quantity, *rest in connection.execute(query).fetchall()}
    clocks = {"clock of rolling": 1, "clock of hard_braking": 1, "clock of running": 1}
    rows = clocks | dict.fromkeys(limits(), 2)
    assert {quantity: count for quantity, (count, _, _) in found.items()} == {name: vehicles * modes for name, modes in rows.items()}, found
    assert found["clock_start"][1] > 0, "no part was replaced: the audit shows nothing about restarts"
    assert found["relative_rate"][1] > vehicles, "hardly any part has a rate"
    for quantity in rows:
        limit = limits().get(quantity, CLOCKS_AGREE_RELATIVE)
        assert found[quantity][2] <= limit, (quantity, found[quantity])
        # A wrong value, and one where there is none, must show.
        seen = connection.execute(
            "SELECT max(abs(scored * (1 + 2 * ?) + 1e-9 - recomputed) / greatest(abs(recomputed), 2.0 ^ -40)) FROM audit WHERE quantity = ?",
            [limit, quantity],
        ).fetchone()[0]
        assert seen > limit, f"the comparison does not see a wrong {quantity}"
    restarted, worst = found["clock_start"][1], max(found[clock][2] for clock in clocks)
    print(f"recompute_score.sql: {2 * vehicles} scores, {restarted} of them restarted, clocks within {worst:.1e}, rates within {found['relative_rate'][2]:.1e}")


def limits():
    """How far what follows from the clocks may lie off: the hazard of brake pads is damage to the power of 4.3, and a
    relative rate is a quotient of two rates."""
    return {
        "clock_start": 0, "records": 0, "damage": CLOCKS_AGREE_RELATIVE, "cumulative_hazard": 5 * CLOCKS_AGREE_RELATIVE,
        "damage_per_day_recent": CLOCKS_AGREE_RELATIVE, "relative_rate": 2 * CLOCKS_AGREE_RELATIVE,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleetwear", default=os.path.join(ROOT, "target", "release", "fleetwear"))
    binary = os.path.abspath(parser.parse_args().fleetwear)
    with tempfile.TemporaryDirectory() as folder:
        telemetry_to_days(binary, folder)
    with tempfile.TemporaryDirectory() as folder:
        recompute_score(binary, folder)


if __name__ == "__main__":
    main()

-- Telemetry records every 10 to 30 seconds, as GB/T 32960 vehicles send them, to one row a vehicle and day.
--
--   SET VARIABLE telemetry = 'telemetry/*.parquet';
--   SET VARIABLE rated_power_kw = 120;
--   .read datasets/examples/telemetry_to_days.sql
--   COPY days TO 'days.parquet' (FORMAT parquet, COMPRESSION zstd);
--
-- Read: vin, collected_at (timestamp), speed_kmh, odometer_km, voltage_v, current_a (discharge positive),
-- soc_pct, accelerator_pct, brake_pct, charging (boolean: parked and charging), probe_max_c, probe_min_c. Decoded
-- values: 0xFE ("abnormal") and 0xFF ("invalid") of the standard have become nulls.
-- Written: a table `days` with the columns of datasets/examples/telemetry/dataset.toml, sorted by vehicle and day.
--
-- A record speaks for the time since the one before it, on the day on which it ends. Across a gap of more than five
-- minutes nothing is integrated, but the odometer's difference still counts, so no kilometre is lost.

CREATE OR REPLACE TEMP TABLE days AS
WITH record AS (
    -- Vehicles resend after a lost connection: of records with the same time one is taken, always the same.
    SELECT *
    FROM read_parquet(getvariable('telemetry'))
    WHERE vin IS NOT NULL AND collected_at IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY vin, collected_at
        ORDER BY odometer_km, soc_pct, speed_kmh, current_a, voltage_v, accelerator_pct, brake_pct
    ) = 1
), step AS (
    SELECT
        *,
        epoch(collected_at) - epoch(lag(collected_at) OVER vehicle) AS gap_s,
        -- A replaced instrument cluster counts from zero again: a fall is no distance, nor is a leap of a day's drive.
        CASE WHEN odometer_km - lag(odometer_km) OVER vehicle BETWEEN 0 AND 1500
             THEN odometer_km - lag(odometer_km) OVER vehicle ELSE 0 END AS step_km,
        lag(accelerator_pct) OVER vehicle AS accelerator_before_pct,
        lag(brake_pct) OVER vehicle AS brake_before_pct,
        voltage_v * current_a / 1000 AS power_kw
    FROM record
    WINDOW vehicle AS (PARTITION BY vin ORDER BY collected_at)
), weighed AS (
    SELECT *, CASE WHEN gap_s <= 300 THEN gap_s / 3600 ELSE 0 END AS step_h FROM step
)
SELECT
    vin,
    CAST(collected_at AS DATE) AS day,
    sum(step_km) AS distance_km,
    -- Drawn from the pack while driving; what braking gives back is energy through the pack too, but not drawn.
    coalesce(sum(greatest(power_kw, 0) * step_h) FILTER (NOT charging), 0) AS energy_kwh,
    -- Above 30 kW only DC chargers charge.
    coalesce(sum(-power_kw * step_h) FILTER (charging AND power_kw < -30), 0) AS fast_charge_kwh,
    sum(greatest(power_kw, 0) * step_h) FILTER (speed_kmh > 0)
        / nullif(sum(step_h) FILTER (speed_kmh > 0), 0) / getvariable('rated_power_kw') * 100 AS motor_load_pct,
    -- A pedal pushed far: at 10 to 30 seconds a record the deceleration itself cannot be seen.
    count(*) FILTER (brake_pct >= 60 AND brake_before_pct < 60 AND speed_kmh > 10) AS hard_brakes,
    count(*) FILTER (accelerator_pct >= 80 AND accelerator_before_pct < 80) AS hard_accelerations,
    sum(soc_pct * step_h) / nullif(sum(step_h) FILTER (soc_pct IS NOT NULL), 0) AS soc_mean_pct,
    max(soc_pct) - min(soc_pct) AS depth_of_discharge_pct,
    avg((probe_max_c + probe_min_c) / 2) AS pack_temp_c,
    max(probe_max_c - probe_min_c) AS pack_temp_spread_c
FROM weighed
GROUP BY vin, day
ORDER BY vin, day;

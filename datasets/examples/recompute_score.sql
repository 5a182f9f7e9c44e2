-- A score's clocks recomputed from the histories in plain SQL, as an audit without fleetwear: two failure modes of the
-- shipped model ev-passenger on a fleet that `fleetwear synth` made.
--
--   SET VARIABLE fleet = 'fleet';      -- a folder of `fleetwear synth`
--   SET VARIABLE scores = 'scores';    -- a folder of `fleetwear score --data fleet --model ev-passenger`
--   .read datasets/examples/recompute_score.sql
--   SELECT failure_mode, mechanism, count(*) AS parts, max(relative_difference) FROM audit GROUP BY ALL;
--
-- Written: a table `audit` with one row a part and mechanism: the clock as scored, the clock as recomputed here in
-- double precision, and their relative difference, which stays below 1e-4 (the integers of the kernels are that close
-- to the formulas). The model's numbers stand below where they are used. Histories hold raw codes: value = offset +
-- factor * code, so thresholds are compared on codes, exactly.

CREATE OR REPLACE TEMP TABLE part AS
SELECT vin, failure_mode, as_of, clock_start, unnest(clocks, recursive := true)
FROM read_parquet(getvariable('scores') || '/scores/*.parquet')
WHERE failure_mode IN ('brake_pad_wear', 'motor_noise');

-- A piecewise curve: straight lines in the logarithm of the ratio between points, constant beyond the ends.
CREATE OR REPLACE TEMP MACRO between_points(x, x0, y0, x1, y1) AS
    exp(ln(y0) + (x - x0) / (x1 - x0) * (ln(y1) - ln(y0)));
CREATE OR REPLACE TEMP MACRO braking_mass_ratio(load_kg) AS CASE
    WHEN load_kg IS NULL THEN 1
    WHEN load_kg <= 150 THEN between_points(load_kg, 0, 0.923, 150, 1.0)
    WHEN load_kg <= 400 THEN between_points(load_kg, 150, 1.0, 400, 1.128)
    WHEN load_kg <= 700 THEN between_points(load_kg, 400, 1.128, 700, 1.282)
    ELSE between_points(load_kg, 700, 1.282, 1000, 1.436)
END;

CREATE OR REPLACE TEMP TABLE increment AS
WITH record AS (
    SELECT
        history.vin,
        history.date AS day,
        vehicle.model,
        history.distance_km * 0.1 AS distance_km,
        history.hard_brakes AS hard_brakes,
        history.vehicle_load_kg * 10.0 AS vehicle_load_kg,
        history.motor_load_pct * 0.5 AS motor_load_pct,
        -- Below 5 degC and above 80 %, on codes: (5 + 40) / 0.1 and 80 / 0.5.
        coalesce(history.ambient_temp_c < 450 AND history.humidity_pct > 160, FALSE) AS cold_humid
    FROM read_parquet(getvariable('fleet') || '/histories/**/*.parquet') AS history
    LEFT JOIN read_parquet(getvariable('fleet') || '/vehicles.parquet') AS vehicle USING (vin)
)
SELECT vin, day, 'brake_pad_wear' AS failure_mode, 'rolling' AS mechanism,
       coalesce(distance_km, 0) / 171000 * braking_mass_ratio(vehicle_load_kg) AS lives
FROM record
UNION ALL
SELECT vin, day, 'brake_pad_wear', 'hard_braking', coalesce(hard_brakes, 0) / 22000 * braking_mass_ratio(vehicle_load_kg)
FROM record
UNION ALL
SELECT vin, day, 'motor_noise', 'running',
       -- A cell without a value leaves the rate as it is; greatest() alone would take the floor for it.
       1.0 / 1600 * CASE WHEN motor_load_pct IS NULL THEN 1 ELSE (greatest(motor_load_pct, 5) / 40) ^ 1.5 END
           * CASE WHEN cold_humid AND model = 'M2' THEN 3.2 ELSE 1 END
FROM record;

CREATE OR REPLACE TEMP TABLE audit AS
SELECT
    part.vin,
    part.failure_mode,
    part.mechanism,
    part.clock_start,
    any_value(part.clock_q48) / 2.0 ^ 48 AS clock_scored,
    coalesce(sum(increment.lives), 0) AS clock_recomputed,
    abs(clock_scored - clock_recomputed) / greatest(abs(clock_recomputed), 2.0 ^ -40) AS relative_difference
FROM part
LEFT JOIN increment
    ON increment.vin = part.vin
    AND increment.failure_mode = part.failure_mode
    AND increment.mechanism = part.mechanism
    -- A record on the day of the replacement still counts for the old part.
    AND (part.clock_start IS NULL OR increment.day > part.clock_start)
    AND increment.day <= part.as_of
GROUP BY ALL;

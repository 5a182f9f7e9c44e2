-- Scores recomputed from the histories and work orders in plain SQL, as an audit without fleetwear: every number but
-- the drivers, of two failure modes of the shipped model ev-passenger on a fleet that `fleetwear synth` made.
--
--   SET VARIABLE fleet = 'fleet';      -- a folder of `fleetwear synth`
--   SET VARIABLE scores = 'scores';    -- a folder of `fleetwear score --data fleet --model ev-passenger`
--   .read datasets/examples/recompute_score.sql
--   SELECT failure_mode, quantity, count(*) AS scores, max(relative_difference) FROM audit GROUP BY ALL;
--
-- Written: a table `audit` with one row a score and quantity: clock_start (days since 1970), records, each mechanism's
-- clock, damage, cumulative_hazard, damage_per_day_recent and relative_rate as scored, the same as recomputed here in
-- double precision, and their relative difference. A clock's stays below 1e-4 (the integers of the kernels are that
-- close to the formulas); the hazard is damage to the power of the Weibull shape, so its difference may be as many
-- times larger. The model's numbers stand below where they are used. Histories hold raw codes: value = offset +
-- factor * code, so thresholds are compared on codes, exactly.

CREATE OR REPLACE TEMP TABLE mode AS
FROM (VALUES ('brake_pad_wear', 'brake_pad', 4.3), ('motor_noise', 'drive_motor_seal', 1.4))
    AS mode(failure_mode, component, weibull_shape);

CREATE OR REPLACE TEMP TABLE score AS
FROM read_parquet(getvariable('scores') || '/scores/*.parquet') SEMI JOIN mode USING (failure_mode);

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

-- Since when each part runs: its last replacement on or before the as-of day.
CREATE OR REPLACE TEMP TABLE part AS
SELECT score.vin, score.failure_mode, mode.weibull_shape, score.as_of, max(replacement.failed_on) AS clock_start
FROM score
JOIN mode USING (failure_mode)
LEFT JOIN read_parquet(getvariable('fleet') || '/work_orders.parquet') AS replacement
    ON replacement.vin = score.vin
    AND replacement.component = mode.component
    AND replacement.type = 'R'
    AND replacement.failed_on <= score.as_of
GROUP BY ALL;

-- The clock of each mechanism, on the as-of day and 90 days before. A record on the day of the replacement still
-- counts for the old part.
CREATE OR REPLACE TEMP TABLE clock AS
WITH scored AS (
    SELECT vin, failure_mode, unnest(clocks, recursive := true) FROM score
)
SELECT
    part.*,
    scored.mechanism,
    scored.clock_q48 / 2.0 ^ 48 AS lives_scored,
    coalesce(sum(increment.lives), 0) AS lives,
    coalesce(sum(increment.lives) FILTER (increment.day <= part.as_of - 90), 0) AS lives_before,
    count(increment.day) AS records,
    count(increment.day) FILTER (increment.day > part.as_of - 90) AS records_recent,
    min(increment.day) AS first_day
FROM part
JOIN scored USING (vin, failure_mode)
LEFT JOIN increment
    ON increment.vin = part.vin
    AND increment.failure_mode = part.failure_mode
    AND increment.mechanism = scored.mechanism
    AND (part.clock_start IS NULL OR increment.day > part.clock_start)
    AND increment.day <= part.as_of
GROUP BY ALL;

-- Both modes' clock exponents are 1, so damage is the sum of the clocks. It grows over the last 90 days, or since the
-- part or its history began.
CREATE OR REPLACE TEMP TABLE recomputed AS
WITH sums AS (
    SELECT
        vin, failure_mode, weibull_shape, as_of, clock_start,
        sum(lives) AS damage,
        sum(lives) - sum(lives_before) AS growth,
        max(records) AS records,
        max(records_recent) AS records_recent,
        min(first_day) AS first_day
    FROM clock
    GROUP BY ALL
), rates AS (
    SELECT
        *,
        as_of - greatest(as_of - 90, clock_start, first_day - 1) AS days,
        CASE WHEN records_recent > 0 AND days > 0 THEN growth / days END AS damage_per_day_recent
    FROM sums
)
SELECT
    *,
    damage ^ weibull_shape AS cumulative_hazard,
    -- The lower median of the parts of this mode that have a rate.
    damage_per_day_recent / nullif(quantile_disc(damage_per_day_recent, 0.5) OVER (PARTITION BY failure_mode), 0)
        AS relative_rate
FROM rates;

CREATE OR REPLACE TEMP TABLE audit AS
WITH quantities AS (
    SELECT vin, failure_mode, 'clock of ' || mechanism AS quantity, lives_scored AS scored, lives AS recomputed
    FROM clock
    UNION ALL
    SELECT score.vin, failure_mode, unnest([
        {
            quantity: 'clock_start',
            scored: CAST(score.clock_start - DATE '1970-01-01' AS DOUBLE),
            recomputed: CAST(recomputed.clock_start - DATE '1970-01-01' AS DOUBLE)
        },
        {quantity: 'records', scored: score.records, recomputed: recomputed.records},
        {quantity: 'damage', scored: score.damage, recomputed: recomputed.damage},
        {
            quantity: 'cumulative_hazard',
            scored: score.cumulative_hazard,
            recomputed: recomputed.cumulative_hazard
        },
        {
            quantity: 'damage_per_day_recent',
            scored: score.damage_per_day_recent,
            recomputed: recomputed.damage_per_day_recent
        },
        {quantity: 'relative_rate', scored: score.relative_rate, recomputed: recomputed.relative_rate}
    ], recursive := true)
    FROM score JOIN recomputed USING (vin, failure_mode)
)
SELECT
    *,
    CASE
        WHEN scored IS NOT DISTINCT FROM recomputed THEN 0
        WHEN scored IS NULL OR recomputed IS NULL THEN 'inf'::DOUBLE
        ELSE abs(scored - recomputed) / greatest(abs(recomputed), 2.0 ^ -40)
    END AS relative_difference
FROM quantities;

// The survival kernel: one lane a path, a workgroup walks a run of one group's parts, and every lane adds to a slab
// of its run alone. The chances of a part are summed over lanes sixteen columns at a time in workgroup memory.
// Composed after fixed.wgsl and log2.wgsl. Units: logarithms in 2^-20, probabilities in Q48, sums over parts in Q40;
// 64 bits as two words, low word first. Twins: src/backend/cpu/survival_scalar.rs, src/backend/gpu/survival_words.rs.

const PATH_LANES: u32 = 64u;
// Columns whose chances wait in workgroup memory.
const STAGED_COLUMNS: u32 = 16u;
const MODE_MECHANISMS: u32 = 8u;
// In place of a table's first knot: the clock counts as it is.
const NO_EXPONENT: i32 = -1;
const NO_GROWTH_Q20: i32 = -943718400;
const IMPOSSIBLE_Q20: i32 = -67108864;
const POWER_LOW_Q20: i32 = -22020096;
const PROBABILITY_LOW_Q20: i32 = -20971520;
const PROBABILITY_HIGH_Q20: i32 = 6291456;
// Sevenths of an event that ends a week.
const WHOLE_WEEK: u32 = 7u;

struct Survival {
    weeks: u32,
    columns: u32,
    column_stages: u32,
    paths: u32,
    path_blocks: u32,
    mechanisms: u32,
    source_weeks: u32,
    // The longest run.
    run_parts: u32,
    // In `plan`: source weeks at 0, then draws of the paths, then events of three words: column, week, sevenths.
    draws_words: u32,
    events_words: u32,
    // In `tables`: knots, then four words a power table, then rates.
    sum_first: u32,
    probability_first: u32,
    shapes_words: u32,
    exponents_words: u32,
    rates_words: u32,
    // In `parts`: runs of two words, then parts of a fixed width: zone, profile, starts of every draw.
    parts_words: u32,
    part_width: u32,
    start_width: u32,
    // In `profiles`: increments, then shifts.
    shifts_words: u32,
}

@group(0) @binding(0) var<uniform> survival: Survival;
@group(0) @binding(1) var<storage, read> plan: array<u32>;
@group(0) @binding(2) var<storage, read> tables: array<i32>;
@group(0) @binding(3) var<storage, read> parts: array<u32>;
@group(0) @binding(4) var<storage, read> profiles: array<u32>;
// Failures and squares, two words each, by run, column and path.
@group(0) @binding(5) var<storage, read_write> slabs: array<vec4<u32>>;
// Two words a part and column.
@group(0) @binding(6) var<storage, read_write> sums: array<u32>;

var<workgroup> staged: array<vec2<u32>, 1024>;
var<workgroup> quarters: array<vec2<u32>, 64>;

struct PowerTable {
    first: i32,
    span_q20: i32,
    exponent_q24: u32,
    tail_q20: i32,
}

fn power_table(words: u32) -> PowerTable {
    return PowerTable(tables[words], tables[words + 1u], u32(tables[words + 2u]), tables[words + 3u]);
}

fn add_wide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x + b.x, a.y + b.y + carry_of(a.x, b.x));
}

fn interpolate(first: u32, at_q20: i32) -> i32 {
    let knot = first + u32(at_q20 >> KNOT_BITS);
    let value = tables[knot];
    return value + (((tables[knot + 1u] - value) * (at_q20 & ((1 << KNOT_BITS) - 1))) >> KNOT_BITS);
}

fn log2_sum_q20(a_q20: i32, b_q20: i32) -> i32 {
    let apart = min(abs(a_q20 - b_q20), SUM_SPAN_Q20);
    return max(a_q20, b_q20) + interpolate(survival.sum_first, apart);
}

fn power_growth_q20(table: PowerTable, base_q20: i32, power_q20: i32, growth_q20: i32) -> i32 {
    let above = growth_q20 - base_q20 - POWER_LOW_Q20;
    if above < 0 {
        return power_q20 + tables[table.first] + above;
    }
    if above <= table.span_q20 {
        return power_q20 + interpolate(u32(table.first), above);
    }
    return scale_q20(growth_q20, table.exponent_q24) + table.tail_q20;
}

// 1 - exp(-2^y), low word first.
fn probability_q48(hazard_q20: i32) -> vec2<u32> {
    let hazard = min(hazard_q20, PROBABILITY_HIGH_Q20);
    let above = max(hazard - PROBABILITY_LOW_Q20, 0);
    let p = increment_q48((hazard + interpolate(survival.probability_first, above) + 8) >> 2u);
    return vec2<u32>(p.lo, p.hi);
}

// Log2 of the hazard taken on since today, never below `before_q20`; `start` is where the part begins in this draw.
fn hazard_q20(taken: array<u32, MODE_MECHANISMS>, profile: u32, draw: u32, start: u32, before_q20: i32) -> i32 {
    var sums_of = taken;
    var total_q20 = NOTHING_Q20;
    for (var mechanism = 0u; mechanism < survival.mechanisms; mechanism++) {
        var one_q20 = NOTHING_Q20;
        let sum = sums_of[mechanism];
        if sum != 0u {
            let shift = i32(profiles[survival.shifts_words + profile * survival.mechanisms + mechanism]) - 48;
            one_q20 = log2_q20(sum) + shift * 1048576
                + tables[survival.rates_words + draw * survival.mechanisms + mechanism];
            let table = power_table(survival.exponents_words + mechanism * 4u);
            if table.first != NO_EXPONENT {
                let at = start + 2u + mechanism * 2u;
                one_q20 = power_growth_q20(table, i32(parts[at]), i32(parts[at + 1u]), one_q20);
            }
        }
        if mechanism == 0u {
            total_q20 = one_q20;
        } else {
            total_q20 = log2_sum_q20(total_q20, one_q20);
        }
    }
    if total_q20 <= NO_GROWTH_Q20 {
        return before_q20;
    }
    let shape = power_table(survival.shapes_words + draw * 4u);
    return max(power_growth_q20(shape, i32(parts[start]), i32(parts[start + 1u]), total_q20), before_q20);
}

// What lanes have staged, summed over lanes and added to the part's columns: four lanes a column.
fn sum_staged(part: u32, first_event: u32, fresh: bool, lane: u32) {
    workgroupBarrier();
    let column = lane / 4u;
    var quarter = vec2<u32>(0u, 0u);
    for (var step = 0u; step < STAGED_COLUMNS; step++) {
        quarter = add_wide(quarter, staged[column * PATH_LANES + (lane % 4u) * 16u + step]);
    }
    quarters[lane] = quarter;
    workgroupBarrier();
    let event = first_event + lane;
    if lane < STAGED_COLUMNS && event < survival.columns && part != 0xffffffffu {
        var sum = add_wide(
            add_wide(quarters[lane * 4u], quarters[lane * 4u + 1u]),
            add_wide(quarters[lane * 4u + 2u], quarters[lane * 4u + 3u]),
        );
        let at = (part * survival.columns + plan[survival.events_words + event * 3u]) * 2u;
        if !fresh {
            sum = add_wide(sum, vec2<u32>(sums[at], sums[at + 1u]));
        }
        sums[at] = sum.x;
        sums[at + 1u] = sum.y;
    }
    workgroupBarrier();
}

fn add_to_slab(place: u32, fresh: bool, p_q40: vec2<u32>) {
    let p_q32 = (p_q40.x >> 8u) | (p_q40.y << 24u);
    let square = product(p_q32, p_q32);
    var failures = p_q40;
    var squares = vec2<u32>((square.x >> 24u) | (square.y << 8u), square.y >> 24u);
    if !fresh {
        let old = slabs[place];
        failures = add_wide(old.xy, failures);
        squares = add_wide(old.zw, squares);
    }
    slabs[place] = vec4<u32>(failures, squares);
}

@compute @workgroup_size(64)
fn add_parts(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = workgroup.x;
    let first_part = parts[run * 2u];
    let end_part = parts[run * 2u + 1u];
    for (var block = 0u; block < survival.path_blocks; block++) {
        let path = block * PATH_LANES + lane;
        let width = survival.path_blocks * PATH_LANES;
        let draw = plan[survival.draws_words + path];
        for (var at = 0u; at < survival.run_parts; at++) {
            let part = first_part + at;
            let there = part < end_part;
            let live = there && path < survival.paths;
            let words = survival.parts_words + min(part, end_part - 1u) * survival.part_width;
            let source_words = parts[words] * survival.weeks * width + path;
            let profile = parts[words + 1u];
            let start = words + 2u + draw * survival.start_width;
            var taken = array<u32, MODE_MECHANISMS>();
            var before_q20 = IMPOSSIBLE_Q20;
            var before_q40 = vec2<u32>(0u, 0u);
            for (var stage = 0u; stage < survival.column_stages; stage++) {
                for (var slot = 0u; slot < STAGED_COLUMNS; slot++) {
                    let event = stage * STAGED_COLUMNS + slot;
                    var p_q48 = vec2<u32>(0u, 0u);
                    if live && event < survival.columns {
                        let column = plan[survival.events_words + event * 3u];
                        let week = plan[survival.events_words + event * 3u + 1u];
                        let sevenths = plan[survival.events_words + event * 3u + 2u];
                        var then = taken;
                        if sevenths > 0u {
                            let source = plan[source_words + week * width];
                            for (var mechanism = 0u; mechanism < survival.mechanisms; mechanism++) {
                                let increment =
                                    profiles[(profile * survival.mechanisms + mechanism) * survival.source_weeks + source];
                                then[mechanism] += increment / 7u * sevenths + increment % 7u * sevenths / 7u;
                            }
                        }
                        let now_q20 = hazard_q20(then, profile, draw, start, before_q20);
                        p_q48 = probability_q48(now_q20);
                        let p_q40 = vec2<u32>((p_q48.x >> 8u) | (p_q48.y << 24u), p_q48.y >> 8u);
                        var added = p_q40;
                        if sevenths == WHOLE_WEEK {
                            taken = then;
                            before_q20 = now_q20;
                            added = vec2<u32>(
                                p_q40.x - before_q40.x,
                                p_q40.y - before_q40.y - borrow_of(p_q40.x, before_q40.x),
                            );
                            before_q40 = p_q40;
                        }
                        add_to_slab((run * survival.columns + column) * width + path, at == 0u, added);
                    }
                    staged[slot * PATH_LANES + lane] = p_q48;
                }
                sum_staged(select(0xffffffffu, part, there), stage * STAGED_COLUMNS, block == 0u, lane);
            }
        }
    }
}

// The damage kernel: one lane a record, tiles of 256. Where a tile's records all belong to one slot, the tile is
// summed in workgroup memory and added once; otherwise every record adds for itself. Sums wrap and commute.
// Composed after fixed.wgsl and batch.wgsl. Twin: src/backend/cpu/scalar.rs.

@group(1) @binding(0) var<storage, read> slot_masks: array<u32>;
// Eight clocks a slot, two words each, low word first.
@group(1) @binding(1) var<storage, read_write> clocks: array<atomic<u32>>;
@group(1) @binding(2) var<storage, read_write> capped: array<atomic<u32>>;

// An increment is below 2^48: halves of 24 bits, of which 256 still fit a word.
const HALF_BITS: u32 = 24u;
const HALF_MASK: u32 = 0xffffffu;
// Lanes that are reduced at a time, to stay within 16 KiB of workgroup memory.
const LANES_AT_ONCE: u32 = 4u;
// A tile's 256 invocations sum 2 * LANES_AT_ONCE columns of halves, this many invocations a column.
const SEGMENTS: u32 = 32u;

var<workgroup> other_slot: atomic<u32>;
var<workgroup> one_slot: u32;
var<workgroup> halves: array<u32, 2048>;
var<workgroup> partials: array<u32, 256>;

// The sum of base, table entries and surviving interactions of one record: lanes 0 to 3, lanes 4 to 7.
struct Rates {
    low: vec4<i32>,
    high: vec4<i32>,
}

fn log2_rates(slot: u32, row: u32) -> Rates {
    var low = rows[dispatch.base_row * 2u];
    var high = rows[dispatch.base_row * 2u + 1u];
    var mask = slot_masks[(slot & ((1u << dispatch.range_bits) - 1u)) * dispatch.groups + dispatch.group];
    for (var position = 0u; position < dispatch.inputs; position++) {
        let input = input_at(position);
        let code = code_at(input.column, row);
        low += rows[(input.first_row + code) * 2u];
        high += rows[(input.first_row + code) * 2u + 1u];
        if input.masks_words != NO_MASKS {
            mask &= words[input.masks_words + code];
        }
    }
    for (var bit = 0u; bit < dispatch.interactions; bit++) {
        if ((mask >> bit) & 1u) != 0u {
            low += rows[(dispatch.interactions_row + bit) * 2u];
            high += rows[(dispatch.interactions_row + bit) * 2u + 1u];
        }
    }
    return Rates(low, high);
}

fn add_clock(clock: u32, lo: u32, hi: u32) {
    let old = atomicAdd(&clocks[clock * 2u], lo);
    let upper = hi + carry_of(old, lo);
    if upper != 0u {
        atomicAdd(&clocks[clock * 2u + 1u], upper);
    }
}

@compute @workgroup_size(256)
fn add_increments(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile_row = dispatch.first_row + tile.x * TILE_ROWS;
    let row = tile_row + lane;
    let tile_slot = columns[tile_row];
    let slot = columns[min(row, dispatch.end_row - 1u)];
    let mine = row < dispatch.end_row && (slot >> dispatch.range_bits) == dispatch.range;
    let slot_in_range = slot & ((1u << dispatch.range_bits) - 1u);

    var increments: array<Increment, 8>;
    if mine {
        let rates = log2_rates(slot, row);
        var capped_lanes = 0u;
        for (var i = 0u; i < 4u; i++) {
            increments[i] = increment_q48(rates.low[i]);
            increments[i + 4u] = increment_q48(rates.high[i]);
            capped_lanes |= (increments[i].capped << i) | (increments[i + 4u].capped << (i + 4u));
        }
        if capped_lanes != 0u {
            let word = slot_in_range * dispatch.capped_words + dispatch.group / 4u;
            atomicOr(&capped[word], capped_lanes << ((dispatch.group % 4u) * GROUP_LANES));
        }
    }

    // Workgroup memory starts as zero.
    if row < dispatch.end_row && slot != tile_slot {
        atomicOr(&other_slot, 1u);
    }
    workgroupBarrier();
    if lane == 0u {
        one_slot = select(0u, 1u, atomicLoad(&other_slot) == 0u);
    }
    let reduce = workgroupUniformLoad(&one_slot) != 0u;

    if reduce {
        for (var first = 0u; first < GROUP_LANES; first += LANES_AT_ONCE) {
            for (var i = 0u; i < LANES_AT_ONCE; i++) {
                let increment = increments[first + i];
                halves[(i * 2u) * TILE_ROWS + lane] = increment.lo & HALF_MASK;
                halves[(i * 2u + 1u) * TILE_ROWS + lane] = (increment.lo >> HALF_BITS) | (increment.hi << 8u);
            }
            workgroupBarrier();
            var partial = 0u;
            let column = (lane / SEGMENTS) * TILE_ROWS + lane % SEGMENTS;
            for (var step = 0u; step < 8u; step++) {
                partial += halves[column + step * SEGMENTS];
            }
            partials[lane] = partial;
            workgroupBarrier();
            if lane < LANES_AT_ONCE {
                var low = 0u;
                var high = 0u;
                for (var segment = 0u; segment < SEGMENTS; segment++) {
                    low += partials[lane * 2u * SEGMENTS + segment];
                    high += partials[(lane * 2u + 1u) * SEGMENTS + segment];
                }
                let upper = high << HALF_BITS;
                let lo = low + upper;
                let hi = (high >> 8u) + carry_of(low, upper);
                if (lo | hi) != 0u {
                    add_clock(slot_in_range * GROUP_LANES + first + lane, lo, hi);
                }
            }
            workgroupBarrier();
        }
    } else if mine {
        for (var i = 0u; i < GROUP_LANES; i++) {
            if (increments[i].lo | increments[i].hi) != 0u {
                add_clock(slot_in_range * GROUP_LANES + i, increments[i].lo, increments[i].hi);
            }
        }
    }
}

// Driver sums: per vehicle and input, the sum of the driver rows of its records, signed, two words a lane. A
// workgroup takes one tile of 256 records and one input of the group.
// Composed after fixed.wgsl and batch.wgsl. Twin: src/backend/cpu/drivers.rs.

// For every vehicle of the range, groups in order, inputs in order, the lanes in use: two words each, low word first.
@group(1) @binding(0) var<storage, read_write> driver_sums: array<atomic<u32>>;

// An entry is at most 2^24 in magnitude: eight of them fit a word with ease, and partial sums are split once more.
const SEGMENTS: u32 = 32u;
const LOW_BITS: u32 = 16u;
const LOW_MASK: i32 = 0xffff;

var<workgroup> other_vehicle: atomic<u32>;
var<workgroup> one_vehicle: u32;
var<workgroup> entries: array<i32, 2048>;
var<workgroup> partials: array<i32, 256>;

fn add_driver(sum: u32, lo: u32, hi: u32) {
    let old = atomicAdd(&driver_sums[sum * 2u], lo);
    let upper = hi + carry_of(old, lo);
    if upper != 0u {
        atomicAdd(&driver_sums[sum * 2u + 1u], upper);
    }
}

// A lane's place among those of its input that have a column. The entries of the others are zero and never added.
fn place_of(driver_lanes: u32, lane: u32) -> u32 {
    return countOneBits(driver_lanes & ((1u << lane) - 1u));
}

@compute @workgroup_size(256)
fn add_driver_rows(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile_row = dispatch.first_row + tile.x * TILE_ROWS;
    let row = tile_row + lane;
    let tile_vehicle = columns[dispatch.vehicle_words + tile_row];
    let vehicle = columns[dispatch.vehicle_words + min(row, dispatch.end_row - 1u)];
    let mine = row < dispatch.end_row && (vehicle >> dispatch.range_bits) == dispatch.range;
    let vehicle_in_range = vehicle & ((1u << dispatch.range_bits) - 1u);
    let input = input_at(tile.y);
    let first_sum = vehicle_in_range * dispatch.driver_width + input.first_driver;

    var low = vec4<i32>();
    var high = vec4<i32>();
    if mine {
        let code = code_at(input.column, row);
        low = rows[(input.first_driver_row + code) * 2u];
        high = rows[(input.first_driver_row + code) * 2u + 1u];
    }

    // Workgroup memory starts as zero.
    if row < dispatch.end_row && vehicle != tile_vehicle {
        atomicOr(&other_vehicle, 1u);
    }
    workgroupBarrier();
    if lane == 0u {
        one_vehicle = select(0u, 1u, atomicLoad(&other_vehicle) == 0u);
    }
    let reduce = workgroupUniformLoad(&one_vehicle) != 0u;

    if reduce {
        for (var i = 0u; i < 4u; i++) {
            entries[i * TILE_ROWS + lane] = low[i];
            entries[(i + 4u) * TILE_ROWS + lane] = high[i];
        }
        workgroupBarrier();
        var partial = 0i;
        let column = (lane / SEGMENTS) * TILE_ROWS + lane % SEGMENTS;
        for (var step = 0u; step < 8u; step++) {
            partial += entries[column + step * SEGMENTS];
        }
        partials[lane] = partial;
        workgroupBarrier();
        if lane < GROUP_LANES {
            var below = 0u;
            var above = 0i;
            for (var segment = 0u; segment < SEGMENTS; segment++) {
                let part = partials[lane * SEGMENTS + segment];
                below += u32(part & LOW_MASK);
                above += part >> LOW_BITS;
            }
            let upper = u32(above) << LOW_BITS;
            let lo = below + upper;
            let hi = u32(above >> LOW_BITS) + carry_of(below, upper);
            if (lo | hi) != 0u {
                add_driver(first_sum + place_of(input.driver_lanes, lane), lo, hi);
            }
        }
    } else if mine {
        for (var i = 0u; i < 4u; i++) {
            if low[i] != 0 {
                add_driver(first_sum + place_of(input.driver_lanes, i), u32(low[i]), u32(low[i] >> 31u));
            }
            if high[i] != 0 {
                add_driver(first_sum + place_of(input.driver_lanes, i + 4u), u32(high[i]), u32(high[i] >> 31u));
            }
        }
    }
}

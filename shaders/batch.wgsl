// What the kernels over records share: the columns of a stage, the compiled tables, and which rows a dispatch takes.
// Twin: src/backend/gpu/batch.rs.

const TILE_ROWS: u32 = 256u;
const GROUP_LANES: u32 = 8u;
// In place of an offset into `words`: the input has no masks.
const NO_MASKS: u32 = 0xffffffffu;

// One dispatch: rows first_row .. end_row of the stage, and of these the ones whose slot (or vehicle) lies in `range`.
struct Dispatch {
    first_row: u32,
    end_row: u32,
    range: u32,
    range_bits: u32,
    // Where columns begin in `columns`, in words: slots at 0, vehicles, then codes two a word.
    vehicle_words: u32,
    code_words: u32,
    code_stride_words: u32,
    group: u32,
    groups: u32,
    capped_words: u32,
    // The group's rows in `rows`: base and interactions; its inputs in `words`, six words each.
    base_row: u32,
    interactions_row: u32,
    interactions: u32,
    inputs_words: u32,
    inputs: u32,
    // Columns of a vehicle's driver sums.
    driver_width: u32,
}

// One input of a group, six words of `words`.
struct Input {
    column: u32,
    first_row: u32,
    masks_words: u32,
    first_driver_row: u32,
    // Its first column of the driver sums, and the lanes that have one.
    first_driver: u32,
    driver_lanes: u32,
}

@group(0) @binding(0) var<uniform> dispatch: Dispatch;
@group(0) @binding(1) var<storage, read> columns: array<u32>;
// Eight lanes a row: two elements.
@group(0) @binding(2) var<storage, read> rows: array<vec4<i32>>;
// Inputs and masks by code.
@group(0) @binding(3) var<storage, read> words: array<u32>;

fn input_at(position: u32) -> Input {
    let at = dispatch.inputs_words + position * 6u;
    return Input(words[at], words[at + 1u], words[at + 2u], words[at + 3u], words[at + 4u], words[at + 5u]);
}

fn code_at(column: u32, row: u32) -> u32 {
    let word = columns[dispatch.code_words + column * dispatch.code_stride_words + (row >> 1u)];
    return (word >> ((row & 1u) << 4u)) & 0xffffu;
}

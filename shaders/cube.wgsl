// Cubes: what is expected of the records, and how many they are, by slab, pair of channels, and cell.
//
// A workgroup takes one run (records of one slab) and one task (a window of one pair's cells), sums in workgroup
// memory, and adds what came of it to the slab's cells. A cell's sum is two words with a carry, which commutes: order
// does not show. Units: expected events in Q40. Twin: src/backend/cpu/cube.rs.

const WINDOW_CELLS: u32 = 1024u;
const WORKGROUP_LANES: u32 = 256u;
const TASK_WORDS: u32 = 6u;
const RUN_WORDS: u32 = 3u;
// Rows of a run and cells of a window, over the lanes.
const RUN_STEPS: u32 = 32u;
const WINDOW_STEPS: u32 = 4u;

struct Cube {
    // Cells of a slab.
    cells: u32,
    // Words of a channel's bins, four bins a word.
    column_words: u32,
}

@group(0) @binding(0) var<uniform> cube: Cube;
// By task: channel a, channel b, bins of b, first cell of the pair, first cell of the window, cells of the window.
@group(0) @binding(1) var<storage, read> tasks: array<u32>;
// By run: slab, first row, row after the last.
@group(0) @binding(2) var<storage, read> runs: array<u32>;
@group(0) @binding(3) var<storage, read> bins: array<u32>;
// By row: low and high word.
@group(0) @binding(4) var<storage, read> expected_q40: array<u32>;
// By slab and cell: expected low, high, records low, high.
@group(0) @binding(5) var<storage, read_write> sums: array<atomic<u32>>;

var<workgroup> expected_low: array<atomic<u32>, WINDOW_CELLS>;
var<workgroup> expected_high: array<atomic<u32>, WINDOW_CELLS>;
var<workgroup> records: array<atomic<u32>, WINDOW_CELLS>;

fn bin_of(channel: u32, row: u32) -> u32 {
    return (bins[channel * cube.column_words + (row >> 2u)] >> ((row & 3u) * 8u)) & 0xffu;
}

fn add_wide(word: u32, low: u32, high: u32) {
    let old = atomicAdd(&sums[word], low);
    let carry = select(0u, 1u, old + low < old);
    if high + carry != 0u {
        atomicAdd(&sums[word + 1u], high + carry);
    }
}

@compute @workgroup_size(WORKGROUP_LANES)
fn add_cells(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let task = group.y * TASK_WORDS;
    let channel_a = tasks[task];
    let channel_b = tasks[task + 1u];
    let bins_b = tasks[task + 2u];
    let pair = tasks[task + 3u];
    let window = tasks[task + 4u];
    let window_cells = tasks[task + 5u];
    let run = group.x * RUN_WORDS;
    for (var step = 0u; step < WINDOW_STEPS; step++) {
        let cell = step * WORKGROUP_LANES + lane;
        atomicStore(&expected_low[cell], 0u);
        atomicStore(&expected_high[cell], 0u);
        atomicStore(&records[cell], 0u);
    }
    workgroupBarrier();
    let rows_end = runs[run + 2u];
    for (var step = 0u; step < RUN_STEPS; step++) {
        let row = runs[run + 1u] + step * WORKGROUP_LANES + lane;
        // Cells before the window wrap around and lie beyond it, too.
        let cell = bin_of(channel_a, row) * bins_b + bin_of(channel_b, row) - window;
        if row < rows_end && cell < window_cells {
            let low = expected_q40[2u * row];
            let old = atomicAdd(&expected_low[cell], low);
            let high = expected_q40[2u * row + 1u] + select(0u, 1u, old + low < old);
            if high != 0u {
                atomicAdd(&expected_high[cell], high);
            }
            atomicAdd(&records[cell], 1u);
        }
    }
    workgroupBarrier();
    for (var step = 0u; step < WINDOW_STEPS; step++) {
        let cell = step * WORKGROUP_LANES + lane;
        let count = atomicLoad(&records[cell]);
        if count != 0u {
            let word = 4u * (runs[run] * cube.cells + pair + window + cell);
            add_wide(word, atomicLoad(&expected_low[cell]), atomicLoad(&expected_high[cell]));
            add_wide(word + 2u, count, 0u);
        }
    }
}

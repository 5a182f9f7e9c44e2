//! The reference kernel's twins for AVX2 and AVX-512: the same integers, eight lanes a register.
//!
//! Records are taken in blocks of `BLOCK`, so that a column's and a table's address are looked up once a block and
//! the additions of the block's records overlap. Increments of one slot's run gather in registers and reach memory
//! when the slot changes. Two products of `exp2` need only the upper half of 16 × 16 bits:
//! `(s·f + 2^17) >> 18 = ((s·f >> 16) + 2) >> 2`. A block that holds a capped record goes to the reference.
//!
//! All `unsafe` of the kernels stands here, for two reasons only: `table` reads a row without asking whether the code
//! lies below the table's length (the gate asked), and loads and stores of whole registers go through pointers made
//! from references on the spot.
//! Units: log2 rates in 2^-18, increments in 2^-48 lives. Twin of [`super::scalar`].

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cvtepu32_epi64, _mm256_extracti128_si256, _mm256_load_si256, _mm256_movemask_ps,
    _mm256_mulhi_epu16, _mm256_mullo_epi32, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_slli_epi64, _mm256_srai_epi32, _mm256_srli_epi32, _mm256_srlv_epi64, _mm256_store_si256,
    _mm256_storeu_si256, _mm256_sub_epi32, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512,
    _mm512_castsi256_si512, _mm512_castsi512_si256, _mm512_cvtepu32_epi64, _mm512_extracti64x4_epi64,
    _mm512_inserti64x4, _mm512_load_si512, _mm512_mulhi_epu16, _mm512_mullo_epi32, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_slli_epi32, _mm512_slli_epi64, _mm512_srai_epi32, _mm512_srli_epi32,
    _mm512_srlv_epi64, _mm512_store_si512, _mm512_sub_epi32,
};

use super::damage::{SlotMaskTable, SlotSums, Stretch};
use super::drivers::{VehicleSums, add_runs};
use super::scalar;
use super::tables::{Group, Row};
use crate::model::tables::GROUP_LANES;

/// Records whose sums are in flight at a time.
const BLOCK: usize = 8;

/// Proof that the processor has AVX2: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

/// Proof that the processor has AVX2 and the four parts of AVX-512 that the kernel uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub fn add_increments(self, group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { add_increments_avx2(group, masks, stretch, sums) }
    }

    pub fn add_driver_rows(self, groups: &[Group], stretch: &Stretch, sums: &mut VehicleSums) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { add_driver_rows_avx2(groups, stretch, sums) }
    }
}

impl Avx512 {
    pub fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        detected.then_some(Self(()))
    }

    /// The smaller proof that this one contains.
    pub fn as_avx2(self) -> Avx2 {
        Avx2(())
    }

    pub fn add_increments(self, group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { add_increments_avx512(group, masks, stretch, sums) }
    }
}

/// The driver sums' twin: a run's rows gather in one register, two chains of additions at a time.
#[target_feature(enable = "avx2")]
fn add_driver_rows_avx2(groups: &[Group], stretch: &Stretch, sums: &mut VehicleSums) {
    add_runs(groups, stretch, sums, |input, codes| {
        let row = |code: &u16| table(input.rows(), usize::from(*code) << 1 | 1);
        let (pairs, last) = codes.as_chunks::<2>();
        let mut run = [_mm256_setzero_si256(); 2];
        for pair in pairs {
            run[0] = _mm256_add_epi32(run[0], row(&pair[0]));
            run[1] = _mm256_add_epi32(run[1], row(&pair[1]));
        }
        if let Some(code) = last.first() {
            run[0] = _mm256_add_epi32(run[0], row(code));
        }
        let mut lanes = [0; GROUP_LANES];
        // SAFETY: eight i32 are one whole register; the store asks for no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), _mm256_add_epi32(run[0], run[1])) };
        lanes
    });
}

/// Adds the increments of the stretch's rows to the clocks of their slots.
#[target_feature(enable = "avx2")]
fn add_increments_avx2(group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
    let slots = stretch.batch.slot();
    let blocks_end = stretch.rows.end - stretch.rows.len() % BLOCK;
    let mut run = Run256 { slot: slots[stretch.rows.start], clocks: [_mm256_setzero_si256(); 2] };
    for row in (stretch.rows.start..blocks_end).step_by(BLOCK) {
        let log2_q18 = block_log2_rates(group, masks, stretch, row);
        if any_capped(&log2_q18) {
            scalar::add_rows(group, masks, stretch, row..row + BLOCK, sums);
            continue;
        }
        for (slot, log2_q18) in slots[row..row + BLOCK].iter().zip(log2_q18) {
            let increments = increments_256(log2_q18);
            if *slot != run.slot {
                run.flush(group, sums);
                run = Run256 { slot: *slot, clocks: increments };
            } else {
                run.clocks[0] = _mm256_add_epi64(run.clocks[0], increments[0]);
                run.clocks[1] = _mm256_add_epi64(run.clocks[1], increments[1]);
            }
        }
    }
    run.flush(group, sums);
    scalar::add_rows(group, masks, stretch, blocks_end..stretch.rows.end, sums);
}

/// The same with AVX-512: two records share a register while two is raised to their sums.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn add_increments_avx512(group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
    let slots = stretch.batch.slot();
    let blocks_end = stretch.rows.end - stretch.rows.len() % BLOCK;
    let mut run = Run512 { slot: slots[stretch.rows.start], clocks: _mm512_setzero_si512() };
    for row in (stretch.rows.start..blocks_end).step_by(BLOCK) {
        let log2_q18 = block_log2_rates(group, masks, stretch, row);
        if any_capped(&log2_q18) {
            scalar::add_rows(group, masks, stretch, row..row + BLOCK, sums);
            continue;
        }
        for (pair, log2_q18) in slots[row..row + BLOCK].chunks_exact(2).zip(log2_q18.chunks_exact(2)) {
            let increments = increments_512(log2_q18[0], log2_q18[1]);
            for (slot, increments) in pair.iter().zip(increments) {
                if *slot != run.slot {
                    run.flush(group, sums);
                    run = Run512 { slot: *slot, clocks: increments };
                } else {
                    run.clocks = _mm512_add_epi64(run.clocks, increments);
                }
            }
        }
    }
    run.flush(group, sums);
    scalar::add_rows(group, masks, stretch, blocks_end..stretch.rows.end, sums);
}

/// What the latest records of one slot add up to, not in memory yet.
struct Run256 {
    slot: u32,
    clocks: [__m256i; 2],
}

impl Run256 {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn flush(&self, group: &Group, sums: &mut SlotSums) {
        let clocks = sums.clocks_mut(self.slot, group.index).as_mut_ptr().cast::<__m256i>();
        // SAFETY: `clocks` points to eight u64 of a row aligned to 64 bytes: two whole registers.
        unsafe {
            _mm256_store_si256(clocks, _mm256_add_epi64(_mm256_load_si256(clocks), self.clocks[0]));
            let upper = clocks.add(1);
            _mm256_store_si256(upper, _mm256_add_epi64(_mm256_load_si256(upper), self.clocks[1]));
        }
    }
}

struct Run512 {
    slot: u32,
    clocks: __m512i,
}

impl Run512 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn flush(&self, group: &Group, sums: &mut SlotSums) {
        let clocks = sums.clocks_mut(self.slot, group.index).as_mut_ptr().cast::<__m512i>();
        // SAFETY: `clocks` points to eight u64 of a row aligned to 64 bytes: one whole register.
        unsafe { _mm512_store_si512(clocks, _mm512_add_epi64(_mm512_load_si512(clocks), self.clocks)) }
    }
}

/// Base, table entries and surviving interactions of the block of records from `row` on.
#[inline]
#[target_feature(enable = "avx2")]
fn block_log2_rates(group: &Group, masks: &SlotMaskTable, stretch: &Stretch, row: usize) -> [__m256i; BLOCK] {
    let mut log2_q18 = [lanes(&group.base_q18); BLOCK];
    for input in &group.inputs {
        let codes = &stretch.batch.codes()[input.column][row..row + BLOCK];
        for (sum, code) in log2_q18.iter_mut().zip(codes) {
            *sum = _mm256_add_epi32(*sum, table(input.rows(), usize::from(*code) << input.code_shift));
        }
    }
    if group.interaction_bits != 0 {
        add_interactions(group, masks, stretch, row, &mut log2_q18);
    }
    log2_q18
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_interactions(
    group: &Group,
    masks: &SlotMaskTable,
    stretch: &Stretch,
    row: usize,
    log2_q18: &mut [__m256i; BLOCK],
) {
    let mut block_masks = [group.interaction_bits; BLOCK];
    for (mask, slot) in block_masks.iter_mut().zip(&stretch.batch.slot()[row..row + BLOCK]) {
        *mask &= masks.of(*slot, group.index);
    }
    for input in &group.inputs {
        if let Some(code_masks) = &input.masks {
            let codes = &stretch.batch.codes()[input.column][row..row + BLOCK];
            for (mask, code) in block_masks.iter_mut().zip(codes) {
                *mask &= code_masks[usize::from(*code)];
            }
        }
    }
    for (sum, mut mask) in log2_q18.iter_mut().zip(block_masks) {
        while mask != 0 {
            *sum = _mm256_add_epi32(*sum, lanes(&group.interactions_q18[mask.trailing_zeros() as usize]));
            mask &= mask - 1;
        }
    }
}

/// Whether a rate of the block reaches one life: a sum that is not negative.
#[inline]
#[target_feature(enable = "avx2")]
fn any_capped(log2_q18: &[__m256i; BLOCK]) -> bool {
    let signs = log2_q18.iter().fold(_mm256_set1_epi32(-1), |signs, sum| _mm256_and_si256(signs, *sum));
    _mm256_movemask_ps(_mm256_castsi256_ps(signs)) != 0xff
}

/// Two to the power of eight negative sums: lanes 0 to 3, lanes 4 to 7.
#[inline]
#[target_feature(enable = "avx2")]
fn increments_256(log2_q18: __m256i) -> [__m256i; 2] {
    let log2_q16 = _mm256_srai_epi32::<2>(log2_q18);
    let f = _mm256_and_si256(log2_q16, _mm256_set1_epi32(0xffff));
    let shift = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_srai_epi32::<16>(log2_q16));
    let g = _mm256_mullo_epi32(f, _mm256_sub_epi32(_mm256_set1_epi32(65536), f));
    let s = _mm256_add_epi32(_mm256_set1_epi32(34387), _mm256_mulhi_epu16(f, _mm256_set1_epi32(7107)));
    let s_f = _mm256_srli_epi32::<2>(_mm256_add_epi32(_mm256_mulhi_epu16(s, f), _mm256_set1_epi32(2)));
    let r = _mm256_add_epi32(_mm256_set1_epi32(40235), s_f);
    let g_q16 = _mm256_srli_epi32::<14>(_mm256_add_epi32(g, _mm256_set1_epi32(1 << 13)));
    let bend = _mm256_srli_epi32::<4>(_mm256_add_epi32(_mm256_mullo_epi32(g_q16, r), _mm256_set1_epi32(8)));
    let line = _mm256_add_epi32(_mm256_set1_epi32(i32::MIN), _mm256_slli_epi32::<15>(f));
    let mantissa_q31 = _mm256_sub_epi32(line, bend);
    // Shift counts beyond 63 give zero, as the reference's clamp to 63 does: a mantissa has 49 bits here.
    let half = |mantissa_q31, shift| {
        _mm256_srlv_epi64(_mm256_slli_epi64::<17>(_mm256_cvtepu32_epi64(mantissa_q31)), _mm256_cvtepu32_epi64(shift))
    };
    [
        half(_mm256_castsi256_si128(mantissa_q31), _mm256_castsi256_si128(shift)),
        half(_mm256_extracti128_si256::<1>(mantissa_q31), _mm256_extracti128_si256::<1>(shift)),
    ]
}

/// Two to the power of the negative sums of two records: one register a record.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn increments_512(first_q18: __m256i, second_q18: __m256i) -> [__m512i; 2] {
    let log2_q18 = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first_q18), second_q18);
    let log2_q16 = _mm512_srai_epi32::<2>(log2_q18);
    let f = _mm512_and_si512(log2_q16, _mm512_set1_epi32(0xffff));
    let shift = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_srai_epi32::<16>(log2_q16));
    let g = _mm512_mullo_epi32(f, _mm512_sub_epi32(_mm512_set1_epi32(65536), f));
    let s = _mm512_add_epi32(_mm512_set1_epi32(34387), _mm512_mulhi_epu16(f, _mm512_set1_epi32(7107)));
    let s_f = _mm512_srli_epi32::<2>(_mm512_add_epi32(_mm512_mulhi_epu16(s, f), _mm512_set1_epi32(2)));
    let r = _mm512_add_epi32(_mm512_set1_epi32(40235), s_f);
    let g_q16 = _mm512_srli_epi32::<14>(_mm512_add_epi32(g, _mm512_set1_epi32(1 << 13)));
    let bend = _mm512_srli_epi32::<4>(_mm512_add_epi32(_mm512_mullo_epi32(g_q16, r), _mm512_set1_epi32(8)));
    let line = _mm512_add_epi32(_mm512_set1_epi32(i32::MIN), _mm512_slli_epi32::<15>(f));
    let mantissa_q31 = _mm512_sub_epi32(line, bend);
    let record = |mantissa_q31, shift| {
        _mm512_srlv_epi64(_mm512_slli_epi64::<17>(_mm512_cvtepu32_epi64(mantissa_q31)), _mm512_cvtepu32_epi64(shift))
    };
    [
        record(_mm512_castsi512_si256(mantissa_q31), _mm512_castsi512_si256(shift)),
        record(_mm512_extracti64x4_epi64::<1>(mantissa_q31), _mm512_extracti64x4_epi64::<1>(shift)),
    ]
}

/// The row of a code, by its place.
#[inline]
#[target_feature(enable = "avx2")]
fn table(rows: &[Row], row: usize) -> __m256i {
    debug_assert!(row < rows.len());
    // SAFETY: the gate has compared every code of the batch with the length of its tables.
    lanes(unsafe { rows.get_unchecked(row) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(row: &Row) -> __m256i {
    const { assert!(size_of::<Row>() == size_of::<__m256i>() && align_of::<Row>() == align_of::<__m256i>()) }
    const { assert!(GROUP_LANES == 8) }
    // SAFETY: a row is exactly one register, aligned like it.
    unsafe { _mm256_load_si256(std::ptr::from_ref(row).cast()) }
}

//! The reference kernel's twins for AVX2 and AVX-512: the same integers, eight lanes a register.
//!
//! Records are taken in blocks of `BLOCK`, so that a column's and a table's address are looked up once a block and
//! the additions of the block's records overlap. Where a block belongs to one slot, which is the rule, its increments
//! gather in registers; they reach memory when the slot changes. Two products of `exp2` need only the upper half of
//! 16 × 16 bits: `(s·f + 2^17) >> 18 = ((s·f >> 16) + 2) >> 2`. The shift of a mantissa into its clock keeps lanes
//! where they are, even ones in one register and odd ones in another: `(m << 17) >> k = (m << 32) >> (k + 15)`.
//! A block that holds a capped record goes to the reference.
//!
//! All `unsafe` of the kernels stands here, for two reasons only: `table` reads a row without asking whether the code
//! lies below the table's length (the gate asked), and loads and stores of whole registers go through pointers made
//! from references on the spot.
//! Units: log2 rates in 2^-18, increments in 2^-48 lives. Twin of [`super::scalar`].

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256, _mm256_castsi256_ps,
    _mm256_load_si256, _mm256_movemask_ps, _mm256_mulhi_epu16, _mm256_mullo_epi32, _mm256_permute2x128_si256,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_slli_epi32, _mm256_slli_epi64,
    _mm256_srai_epi32, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_srlv_epi64, _mm256_store_si256,
    _mm256_storeu_si256, _mm256_sub_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm512_add_epi32,
    _mm512_add_epi64, _mm512_and_si512, _mm512_andnot_si512, _mm512_castsi256_si512, _mm512_castsi512_si256,
    _mm512_extracti64x4_epi64, _mm512_inserti64x4, _mm512_movepi32_mask, _mm512_mulhi_epu16, _mm512_mullo_epi32,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_slli_epi64,
    _mm512_srai_epi32, _mm512_srli_epi32, _mm512_srli_epi64, _mm512_srlv_epi64, _mm512_sub_epi32,
};

use super::damage::{SlotMaskTable, SlotSums, Stretch};
use super::drivers::{VehicleSums, add_runs};
use super::scalar;
use super::tables::{Group, Layout, Row};
use crate::model::tables::GROUP_LANES;

/// Records whose sums are in flight at a time.
const BLOCK: usize = 8;

/// Proof that the processor has AVX2: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

/// Proof that the processor has AVX2 and the five parts of AVX-512 that the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub fn add_increments(self, group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe {
            match group.layout {
                Layout::Rates => add_increments_avx2::<0>(group, masks, stretch, sums),
                Layout::RatesAndDrivers => add_increments_avx2::<1>(group, masks, stretch, sums),
            }
        }
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
            && is_x86_feature_detected!("avx512cd")
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
        unsafe {
            match group.layout {
                Layout::Rates => add_increments_avx512::<0>(group, masks, stretch, sums),
                Layout::RatesAndDrivers => add_increments_avx512::<1>(group, masks, stretch, sums),
            }
        }
    }
}

/// The driver sums' twin: a run's rows gather in one register, two chains of additions at a time.
#[target_feature(enable = "avx2")]
fn add_driver_rows_avx2(groups: &[Group], stretch: &Stretch, sums: &mut VehicleSums) {
    add_runs(groups, stretch, sums, |input, codes| {
        let row = |code: &u16| lanes(table(input.rows(), usize::from(*code) << 1 | 1));
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
fn add_increments_avx2<const CODE_SHIFT: u32>(
    group: &Group,
    masks: &SlotMaskTable,
    stretch: &Stretch,
    sums: &mut SlotSums,
) {
    let slots = stretch.batch.slot();
    let blocks_end = stretch.rows.end - stretch.rows.len() % BLOCK;
    let mut run = Run256::of(slots[stretch.rows.start]);
    for row in (stretch.rows.start..blocks_end).step_by(BLOCK) {
        let log2_q18 = block_log2_rates::<CODE_SHIFT, _>(
            group,
            masks,
            stretch,
            row,
            |row| lanes(row),
            |a, b| _mm256_add_epi32(a, b),
        );
        let signs = log2_q18.iter().fold(_mm256_set1_epi32(-1), |signs, sum| _mm256_and_si256(signs, *sum));
        if _mm256_movemask_ps(_mm256_castsi256_ps(signs)) != 0xff {
            scalar::add_rows(group, masks, stretch, row..row + BLOCK, sums);
            continue;
        }
        for (slot, log2_q18) in slots[row..row + BLOCK].iter().zip(log2_q18) {
            if *slot != run.slot {
                run.flush(group, sums);
                run = Run256::of(*slot);
            }
            run.add(log2_q18);
        }
    }
    run.flush(group, sums);
    scalar::add_rows(group, masks, stretch, blocks_end..stretch.rows.end, sums);
}

/// The same with AVX-512: two records of one slot share a register while two is raised to their sums.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn add_increments_avx512<const CODE_SHIFT: u32>(
    group: &Group,
    masks: &SlotMaskTable,
    stretch: &Stretch,
    sums: &mut SlotSums,
) {
    let slots = stretch.batch.slot();
    let blocks_end = stretch.rows.end - stretch.rows.len() % BLOCK;
    let mut run = Run512::of(slots[stretch.rows.start]);
    for row in (stretch.rows.start..blocks_end).step_by(BLOCK) {
        let log2_q18 = block_log2_rates::<CODE_SHIFT, _>(
            group,
            masks,
            stretch,
            row,
            |row| lanes(row),
            |a, b| _mm256_add_epi32(a, b),
        );
        let pairs: [__m512i; BLOCK / 2] = std::array::from_fn(|pair| {
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(log2_q18[2 * pair]), log2_q18[2 * pair + 1])
        });
        let signs = pairs.iter().fold(_mm512_set1_epi32(-1), |signs, sums| _mm512_and_si512(signs, *sums));
        if _mm512_movepi32_mask(signs) != 0xffff {
            scalar::add_rows(group, masks, stretch, row..row + BLOCK, sums);
            continue;
        }
        let block_slots = &slots[row..row + BLOCK];
        if block_slots.iter().fold(0, |other, slot| other | (slot ^ run.slot)) == 0 {
            for pair in pairs {
                run.add(pair);
            }
            continue;
        }
        run.flush(group, sums);
        let mut few = Run256::of(block_slots[0]);
        for (slot, log2_q18) in block_slots.iter().zip(log2_q18) {
            if *slot != few.slot {
                few.flush(group, sums);
                few = Run256::of(*slot);
            }
            few.add(log2_q18);
        }
        run = Run512::from_one(few);
    }
    run.flush(group, sums);
    scalar::add_rows(group, masks, stretch, blocks_end..stretch.rows.end, sums);
}

/// What the latest records of one slot add up to, not in memory yet: lanes 0, 2, 4, 6 and lanes 1, 3, 5, 7.
struct Run256 {
    slot: u32,
    even: __m256i,
    odd: __m256i,
}

impl Run256 {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(slot: u32) -> Self {
        Self { slot, even: _mm256_setzero_si256(), odd: _mm256_setzero_si256() }
    }

    /// Adds two to the power of eight negative sums.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, log2_q18: __m256i) {
        let (mantissa_q31, shift) = exp2_256(log2_q18);
        let upper = _mm256_set1_epi64x(0xffff_ffff << 32);
        // Shift counts beyond 63 give zero, as the reference's clamp to 63 does: a mantissa has 49 bits there.
        let even = _mm256_srlv_epi64(_mm256_slli_epi64::<32>(mantissa_q31), _mm256_andnot_si256(upper, shift));
        let odd = _mm256_srlv_epi64(_mm256_and_si256(upper, mantissa_q31), _mm256_srli_epi64::<32>(shift));
        self.even = _mm256_add_epi64(self.even, even);
        self.odd = _mm256_add_epi64(self.odd, odd);
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn flush(&self, group: &Group, sums: &mut SlotSums) {
        let clocks = sums.clocks_mut(self.slot, group.index).as_mut_ptr().cast::<__m256i>();
        let (low, high) = (_mm256_unpacklo_epi64(self.even, self.odd), _mm256_unpackhi_epi64(self.even, self.odd));
        let lanes = [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)];
        for (half, lanes) in lanes.into_iter().enumerate() {
            // SAFETY: `clocks` points to eight u64 of a row aligned to 64 bytes: two whole registers.
            unsafe {
                let clocks = clocks.add(half);
                _mm256_store_si256(clocks, _mm256_add_epi64(_mm256_load_si256(clocks), lanes));
            }
        }
    }
}

/// The same of two records side by side.
struct Run512 {
    slot: u32,
    even: __m512i,
    odd: __m512i,
}

impl Run512 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn of(slot: u32) -> Self {
        Self { slot, even: _mm512_setzero_si512(), odd: _mm512_setzero_si512() }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn from_one(one: Run256) -> Self {
        let zero = _mm512_setzero_si512();
        let widen = |lanes| _mm512_inserti64x4::<0>(zero, lanes);
        Self { slot: one.slot, even: widen(one.even), odd: widen(one.odd) }
    }

    /// Adds two to the power of the negative sums of two records.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    fn add(&mut self, log2_q18: __m512i) {
        let (mantissa_q31, shift) = exp2_512(log2_q18);
        let upper = _mm512_set1_epi64(0xffff_ffff << 32);
        let even = _mm512_srlv_epi64(_mm512_slli_epi64::<32>(mantissa_q31), _mm512_andnot_si512(upper, shift));
        let odd = _mm512_srlv_epi64(_mm512_and_si512(upper, mantissa_q31), _mm512_srli_epi64::<32>(shift));
        self.even = _mm512_add_epi64(self.even, even);
        self.odd = _mm512_add_epi64(self.odd, odd);
    }

    #[inline]
    #[target_feature(enable = "avx2,avx512f")]
    fn flush(&self, group: &Group, sums: &mut SlotSums) {
        let both = |lanes| _mm256_add_epi64(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
        Run256 { slot: self.slot, even: both(self.even), odd: both(self.odd) }.flush(group, sums);
    }
}

/// Base, table entries and surviving interactions of the block of records from `row` on. Knows no instruction: it is
/// compiled into each kernel with the kernel's own `load` and `add`.
#[inline(always)]
fn block_log2_rates<const CODE_SHIFT: u32, V: Copy>(
    group: &Group,
    masks: &SlotMaskTable,
    stretch: &Stretch,
    row: usize,
    load: impl Fn(&Row) -> V,
    add: impl Fn(V, V) -> V,
) -> [V; BLOCK] {
    let mut log2_q18 = [load(&group.base_q18); BLOCK];
    for input in &group.inputs {
        let rows = input.rows();
        let codes = &stretch.batch.codes()[input.column][row..row + BLOCK];
        for (sum, code) in log2_q18.iter_mut().zip(codes) {
            *sum = add(*sum, load(table(rows, usize::from(*code) << CODE_SHIFT)));
        }
    }
    if group.interaction_bits != 0 {
        for (sum, mut mask) in log2_q18.iter_mut().zip(surviving(group, masks, stretch, row)) {
            while mask != 0 {
                *sum = add(*sum, load(&group.interactions_q18[mask.trailing_zeros() as usize]));
                mask &= mask - 1;
            }
        }
    }
    log2_q18
}

/// The interactions of each record of a block whose conditions are all met.
#[inline]
fn surviving(group: &Group, masks: &SlotMaskTable, stretch: &Stretch, row: usize) -> [u32; BLOCK] {
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
    block_masks
}

/// Mantissas of 32 bits and, plus 15, how far right of 2^17 times them two to the power of negative sums lies.
#[inline]
#[target_feature(enable = "avx2")]
fn exp2_256(log2_q18: __m256i) -> (__m256i, __m256i) {
    let log2_q16 = _mm256_srai_epi32::<2>(log2_q18);
    let f = _mm256_and_si256(log2_q16, _mm256_set1_epi32(0xffff));
    let shift = _mm256_sub_epi32(_mm256_set1_epi32(15), _mm256_srai_epi32::<16>(log2_q16));
    let g = _mm256_mullo_epi32(f, _mm256_sub_epi32(_mm256_set1_epi32(65536), f));
    let s = _mm256_add_epi32(_mm256_set1_epi32(34387), _mm256_mulhi_epu16(f, _mm256_set1_epi32(7107)));
    let s_f = _mm256_srli_epi32::<2>(_mm256_add_epi32(_mm256_mulhi_epu16(s, f), _mm256_set1_epi32(2)));
    let r = _mm256_add_epi32(_mm256_set1_epi32(40235), s_f);
    let g_q16 = _mm256_srli_epi32::<14>(_mm256_add_epi32(g, _mm256_set1_epi32(1 << 13)));
    let bend = _mm256_srli_epi32::<4>(_mm256_add_epi32(_mm256_mullo_epi32(g_q16, r), _mm256_set1_epi32(8)));
    let line = _mm256_add_epi32(_mm256_set1_epi32(i32::MIN), _mm256_slli_epi32::<15>(f));
    (_mm256_sub_epi32(line, bend), shift)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn exp2_512(log2_q18: __m512i) -> (__m512i, __m512i) {
    let log2_q16 = _mm512_srai_epi32::<2>(log2_q18);
    let f = _mm512_and_si512(log2_q16, _mm512_set1_epi32(0xffff));
    let shift = _mm512_sub_epi32(_mm512_set1_epi32(15), _mm512_srai_epi32::<16>(log2_q16));
    let g = _mm512_mullo_epi32(f, _mm512_sub_epi32(_mm512_set1_epi32(65536), f));
    let s = _mm512_add_epi32(_mm512_set1_epi32(34387), _mm512_mulhi_epu16(f, _mm512_set1_epi32(7107)));
    let s_f = _mm512_srli_epi32::<2>(_mm512_add_epi32(_mm512_mulhi_epu16(s, f), _mm512_set1_epi32(2)));
    let r = _mm512_add_epi32(_mm512_set1_epi32(40235), s_f);
    let g_q16 = _mm512_srli_epi32::<14>(_mm512_add_epi32(g, _mm512_set1_epi32(1 << 13)));
    let bend = _mm512_srli_epi32::<4>(_mm512_add_epi32(_mm512_mullo_epi32(g_q16, r), _mm512_set1_epi32(8)));
    let line = _mm512_add_epi32(_mm512_set1_epi32(i32::MIN), _mm512_slli_epi32::<15>(f));
    (_mm512_sub_epi32(line, bend), shift)
}

/// The row of a code, by its place.
#[inline(always)]
fn table(rows: &[Row], row: usize) -> &Row {
    debug_assert!(row < rows.len());
    // SAFETY: the gate has compared every code of the batch with the length of its tables.
    unsafe { rows.get_unchecked(row) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(row: &Row) -> __m256i {
    const { assert!(size_of::<Row>() == size_of::<__m256i>() && align_of::<Row>() == align_of::<__m256i>()) }
    const { assert!(GROUP_LANES == 8) }
    // SAFETY: a row is exactly one register, aligned like it.
    unsafe { _mm256_load_si256(std::ptr::from_ref(row).cast()) }
}

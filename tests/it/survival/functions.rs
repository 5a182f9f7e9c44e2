//! Ring 1 of the survival kernel: its functions on the device against their twins, with tables of real laws.

use fleetwear::backend::cpu::survival_scalar::{IMPOSSIBLE_Q20, power_growth_q20, probability_q48};
use fleetwear::backend::gpu::shaders;
use fleetwear::backend::gpu::survival_words::{Survival, mode_words};
use fleetwear::fixed::knots::log2_sum_q20;
use fleetwear::fixed::log2::NOTHING_Q20;
use fleetwear::model::survival::{POWER_LOW_Q20, PROBABILITY_HIGH_Q20, ParameterDraw, SurvivalLaw, SurvivalTables};

use super::Words;
use crate::functions::{Call, Given, assert_equal_given, open};

const SUM: Call = Call {
    source: shaders::SURVIVAL,
    body: "outputs[call] = bitcast<u32>(log2_sum_q20(bitcast<i32>(inputs[call * 2u]), bitcast<i32>(inputs[call * 2u + 1u])));",
    words_in: 2,
    words_out: 1,
};
const POWER: Call = Call {
    source: shaders::SURVIVAL,
    body: "let at = call * 3u;
           let table = power_table(survival.shapes_words);
           let x = power_growth_q20(table, bitcast<i32>(inputs[at]), bitcast<i32>(inputs[at + 1u]), bitcast<i32>(inputs[at + 2u]));
           outputs[call] = bitcast<u32>(x);",
    words_in: 3,
    words_out: 1,
};
const PROBABILITY: Call = Call {
    source: shaders::SURVIVAL,
    body: "let x = probability_q48(bitcast<i32>(inputs[call]));
           outputs[call * 2u] = x.x; outputs[call * 2u + 1u] = x.y;",
    words_in: 1,
    words_out: 2,
};
const OCTAVE_Q20: i32 = 1 << 20;

fn with_tables(weibull_shape: f64, check: impl FnOnce(&SurvivalTables, &[Given])) {
    let laws = [SurvivalLaw { weibull_shape, clock_exponents: vec![1.0, 0.5] }];
    let tables = SurvivalTables::compile(&laws, &[ParameterDraw::central(&laws)]).unwrap();
    let mut uniform = Survival::default();
    let words = mode_words(&tables, 0, &mut uniform);
    check(
        &tables,
        &[
            (0, wgpu::BufferUsages::UNIFORM, bytemuck::bytes_of(&uniform)),
            (2, wgpu::BufferUsages::STORAGE, bytemuck::cast_slice(&words)),
        ],
    );
}

#[test]
fn sums_of_logarithms_equal_their_twin() {
    let Some(gpu) = open("survival::functions::sums") else { return };
    let mut random = Words::new(1);
    let mut pairs: Vec<i32> = vec![NOTHING_Q20, NOTHING_Q20, NOTHING_Q20, 0, 0, NOTHING_Q20];
    for apart in -(25 * OCTAVE_Q20)..=25 * OCTAVE_Q20 {
        if apart % 1021 == 0 || (apart.abs() - 24 * OCTAVE_Q20).abs() < 3 {
            let b = random.below(64 << 20) as i32 - (48 << 20);
            pairs.extend([b + apart, b]);
        }
    }
    let words: Vec<u32> = pairs.iter().map(|word| *word as u32).collect();
    with_tables(1.4, |tables, given| {
        assert_equal_given(&gpu, "log2_sum_q20", &SUM, given, &words, |words| {
            vec![log2_sum_q20(&tables.knots, tables.sum_first as usize, words[0] as i32, words[1] as i32) as u32]
        });
    });
}

/// Below the first knot, on it, between, on the last and above it, for laws with infant mortality and with wear.
#[test]
fn growth_of_a_power_equals_its_twin() {
    let Some(gpu) = open("survival::functions::power") else { return };
    for shape in [0.1, 0.8, 1.0, 1.4, 3.0, 16.0] {
        with_tables(shape, |tables, given| {
            let table = &tables.modes[0].shapes[0];
            let mut random = Words::new(2);
            let mut threes: Vec<i32> = Vec::new();
            let edges = [-1, 0, 1].map(|step| [step, table.span_q20 + step]).concat();
            let inside = (0..20_000).map(|_| random.below(table.span_q20 as usize + (8 << 20)) as i32 - (4 << 20));
            for above in edges.into_iter().chain(inside).collect::<Vec<_>>() {
                let base = random.below(80 << 20) as i32 - (60 << 20);
                let power = ((i64::from(base) * i64::from(table.exponent_q24)) >> 24) as i32;
                threes.extend([base, power, base + POWER_LOW_Q20 + above]);
            }
            // A part that has used up nothing.
            threes.extend([NOTHING_Q20, NOTHING_Q20, -OCTAVE_Q20, NOTHING_Q20, i32::MIN, 0]);
            let words: Vec<u32> = threes.iter().map(|word| *word as u32).collect();
            assert_equal_given(&gpu, "power_growth_q20", &POWER, given, &words, |words| {
                let [base, power, growth] = [words[0], words[1], words[2]].map(|word| word as i32);
                vec![power_growth_q20(&tables.knots, table, base, power, growth) as u32]
            });
        });
    }
}

#[test]
fn probabilities_equal_their_twin() {
    let Some(gpu) = open("survival::functions::probability") else { return };
    let every = (IMPOSSIBLE_Q20..PROBABILITY_HIGH_Q20 + OCTAVE_Q20).step_by(509);
    let words: Vec<u32> = every.chain([PROBABILITY_HIGH_Q20, i32::MAX]).map(|word| word as u32).collect();
    with_tables(1.4, |tables, given| {
        assert_equal_given(&gpu, "probability_q48", &PROBABILITY, given, &words, |words| {
            let p_q48 = probability_q48(&tables.knots, tables.probability_first as usize, words[0] as i32);
            vec![p_q48 as u32, (p_q48 >> 32) as u32]
        });
    });
}

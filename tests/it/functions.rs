//! Ring 1: every WGSL function against its Rust twin, on every value that matters, exactly equal.

use fleetwear::backend::gpu::device::{Gpu, pick};
use fleetwear::backend::gpu::limits::GpuLimits;
use fleetwear::backend::gpu::shaders;
use fleetwear::fixed::exp2::{exp2_fraction_q31, increment_q48};
use fleetwear::fixed::knots::scale_q20;
use fleetwear::fixed::log2::log2_q20;
use fleetwear::fixed::threefry::threefry2x32;

use crate::gpu::required_device;

/// Words that go in and come out of one call of a function under test.
pub struct Call {
    /// Where the function stands.
    pub source: &'static str,
    pub body: &'static str,
    pub words_in: usize,
    pub words_out: usize,
}

/// A buffer that the function itself reads: its number in group 0, its usage, its bytes.
pub type Given<'a> = (u32, wgpu::BufferUsages, &'a [u8]);

const EXP2_FRACTION: Call = Call {
    source: shaders::FIXED,
    body: "outputs[call] = exp2_fraction_q31(inputs[call]);",
    words_in: 1,
    words_out: 1,
};
const INCREMENT: Call = Call {
    source: shaders::FIXED,
    body: "let x = increment_q48(bitcast<i32>(inputs[call]));
           outputs[call * 3u] = x.lo; outputs[call * 3u + 1u] = x.hi; outputs[call * 3u + 2u] = x.capped;",
    words_in: 1,
    words_out: 3,
};
const CARRY: Call = Call {
    source: shaders::FIXED,
    body: "outputs[call] = carry_of(inputs[call * 2u], inputs[call * 2u + 1u]);",
    words_in: 2,
    words_out: 1,
};
const LOG2: Call = Call {
    source: shaders::LOG2,
    body: "outputs[call] = bitcast<u32>(log2_q20(inputs[call]));",
    words_in: 1,
    words_out: 1,
};
const PRODUCT: Call = Call {
    source: shaders::LOG2,
    body: "let x = product(inputs[call * 2u], inputs[call * 2u + 1u]);
           outputs[call * 2u] = x.x; outputs[call * 2u + 1u] = x.y;",
    words_in: 2,
    words_out: 2,
};
const SCALE: Call = Call {
    source: shaders::LOG2,
    body: "outputs[call] = bitcast<u32>(scale_q20(bitcast<i32>(inputs[call * 2u]), inputs[call * 2u + 1u]));",
    words_in: 2,
    words_out: 1,
};
const BORROW: Call = Call {
    source: shaders::LOG2,
    body: "outputs[call] = borrow_of(inputs[call * 2u], inputs[call * 2u + 1u]);",
    words_in: 2,
    words_out: 1,
};
const THREEFRY: Call = Call {
    source: shaders::RNG,
    body: "let at = call * 4u;
           let x = threefry2x32(vec2<u32>(inputs[at], inputs[at + 1u]), vec2<u32>(inputs[at + 2u], inputs[at + 3u]));
           outputs[call * 2u] = x.x; outputs[call * 2u + 1u] = x.y;",
    words_in: 4,
    words_out: 2,
};

/// Runs one call a lane on the device.
fn evaluate(gpu: &Gpu, call: &Call, given: &[Given], inputs: &[u32]) -> Vec<u32> {
    let calls = inputs.len() / call.words_in;
    let source = format!(
        "{}
        @group(0) @binding(10) var<storage, read> inputs: array<u32>;
        @group(0) @binding(11) var<storage, read_write> outputs: array<u32>;
        @compute @workgroup_size(64)
        fn every_call(@builtin(global_invocation_id) id: vec3<u32>) {{
            let call = id.x;
            if call < {calls}u {{ {} }}
        }}",
        call.source, call.body
    );
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("every_call"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let out_bytes = 4 * (calls * call.words_out) as u64;
    let storage = wgpu::BufferUsages::STORAGE;
    let input = gpu.buffer("inputs", 4 * inputs.len() as u64, storage).unwrap();
    gpu.queue.write_buffer(&input, 0, bytemuck::cast_slice(inputs));
    let output = gpu.buffer("outputs", out_bytes, storage | wgpu::BufferUsages::COPY_SRC).unwrap();
    let mut buffers = vec![(10, input), (11, output.clone())];
    for (number, usage, bytes) in given {
        let buffer = gpu.buffer("given", bytes.len() as u64, *usage).unwrap();
        gpu.queue.write_buffer(&buffer, 0, bytes);
        buffers.push((*number, buffer));
    }
    let entries: Vec<wgpu::BindGroupEntry> = (buffers.iter())
        .map(|(number, buffer)| wgpu::BindGroupEntry { binding: *number, resource: buffer.as_entire_binding() })
        .collect();
    let binding = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &binding, &[]);
        pass.dispatch_workgroups(calls.div_ceil(64) as u32, 1, 1);
    }
    gpu.queue.submit([encoder.finish()]);
    let mut words = vec![0; calls * call.words_out];
    fleetwear::backend::gpu::sums::read_back(gpu, &output, words.len() as u64, |first, read| {
        words[first..first + read.len()].copy_from_slice(read);
    })
    .unwrap();
    words
}

pub fn open(test: &str) -> Option<Gpu> {
    let device = required_device(test)?;
    Some(Gpu::open(pick(Some(device)).unwrap(), GpuLimits { poison: true, ..GpuLimits::default() }).unwrap())
}

/// The first call whose words differ.
fn first_difference(expected: &[u32], got: &[u32], words_out: usize) -> Option<usize> {
    assert_eq!(expected.len(), got.len());
    expected.chunks(words_out).zip(got.chunks(words_out)).position(|(expected, got)| expected != got)
}

fn assert_equal(gpu: &Gpu, name: &str, call: &Call, inputs: &[u32], twin: impl Fn(&[u32]) -> Vec<u32>) {
    assert_equal_given(gpu, name, call, &[], inputs, twin);
}

pub fn assert_equal_given(
    gpu: &Gpu,
    name: &str,
    call: &Call,
    given: &[Given],
    inputs: &[u32],
    twin: impl Fn(&[u32]) -> Vec<u32>,
) {
    let expected: Vec<u32> = inputs.chunks(call.words_in).flat_map(twin).collect();
    let got = evaluate(gpu, call, given, inputs);
    if let Some(at) = first_difference(&expected, &got, call.words_out) {
        panic!("{name}: call {at} differs, inputs {:?}", &inputs[at * call.words_in..][..call.words_in]);
    }
}

#[test]
fn exp2_fraction_equals_its_twin_on_all_fractions() {
    let Some(gpu) = open("functions::exp2_fraction") else { return };
    let fractions: Vec<u32> = (0..65536).collect();
    assert_equal(&gpu, "exp2_fraction_q31", &EXP2_FRACTION, &fractions, |words| vec![exp2_fraction_q31(words[0])]);
}

/// All fractions at every shift from 1 to 70, the two bits below a fraction set and clear, and the capped side.
#[test]
fn increment_equals_its_twin_at_all_shifts() {
    let Some(gpu) = open("functions::increment") else { return };
    let twin = |words: &[u32]| {
        let (increment, capped) = increment_q48(words[0] as i32);
        vec![increment as u32, (increment >> 32) as u32, u32::from(capped)]
    };
    for shifts in (1..=70).collect::<Vec<i32>>().chunks(14) {
        let sums: Vec<u32> = (shifts.iter())
            .flat_map(|shift| {
                (0..65536).map(move |fraction| (((fraction - (shift << 16)) << 2) | (fraction & 3)) as u32)
            })
            .collect();
        assert_equal(&gpu, "increment_q48", &INCREMENT, &sums, twin);
    }
    let edges =
        [0, 1, 3, 4, 65536, i32::MAX, i32::MAX - 1, -1, -2, -3, -4, -5, -262_144, -262_145, i32::MIN, i32::MIN + 1];
    let around: Vec<u32> = (-70..=8).flat_map(|octave| [-1, 0, 1].map(|step| ((octave << 18) + step) as u32)).collect();
    assert_equal(&gpu, "increment_q48", &INCREMENT, &edges.map(|edge| edge as u32), twin);
    assert_equal(&gpu, "increment_q48", &INCREMENT, &around, twin);
}

#[test]
fn carry_equals_64_bit_addition() {
    let Some(gpu) = open("functions::carry") else { return };
    let edges = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX - 1, u32::MAX];
    let mut pairs: Vec<u32> = edges.iter().flat_map(|old| edges.iter().flat_map(|added| [*old, *added])).collect();
    pairs.extend((0..65536).flat_map(|index| threefry2x32([3, 1], [index, 0])));
    assert_equal(&gpu, "carry_of", &CARRY, &pairs, |words| {
        vec![((u64::from(words[0]) + u64::from(words[1])) >> 32) as u32]
    });
}

/// Edge values of words against one another, and as many random ones.
fn pairs_of_words() -> Vec<u32> {
    let edges = [0, 1, 2, 0xffff, 0x1_0000, 0x1_0001, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX - 1, u32::MAX];
    let mut pairs: Vec<u32> = edges.iter().flat_map(|a| edges.iter().flat_map(|b| [*a, *b])).collect();
    pairs.extend((0..65536).flat_map(|index| threefry2x32([9, 4], [index, 0])));
    pairs
}

#[test]
fn log2_equals_its_twin_at_all_leading_ones() {
    let Some(gpu) = open("functions::log2") else { return };
    let words: Vec<u32> = (0..32u32)
        .flat_map(|zeros| {
            let around = (0..4096u32).map(move |step| (0x8000_0000 | step.wrapping_mul(524_309)) >> zeros);
            around.chain([u32::MAX >> zeros, 0x8000_0000 >> zeros])
        })
        .collect();
    assert!(words.iter().all(|word| *word > 0));
    assert_equal(&gpu, "log2_q20", &LOG2, &words, |words| vec![log2_q20(words[0]) as u32]);
}

#[test]
fn products_and_differences_equal_64_bit_arithmetic() {
    let Some(gpu) = open("functions::products") else { return };
    let pairs = pairs_of_words();
    assert_equal(&gpu, "product", &PRODUCT, &pairs, |words| {
        let product = u64::from(words[0]) * u64::from(words[1]);
        vec![product as u32, (product >> 32) as u32]
    });
    assert_equal(&gpu, "borrow_of", &BORROW, &pairs, |words| vec![u32::from(words[0] < words[1])]);
    assert_equal(&gpu, "scale_q20", &SCALE, &pairs, |words| vec![scale_q20(words[0] as i32, words[1]) as u32]);
}

#[test]
fn threefry_gives_the_known_answers_and_equals_its_twin() {
    let Some(gpu) = open("functions::threefry") else { return };
    let known =
        [0, 0, 0, 0, u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0x1319_8a2e, 0x0370_7344, 0x243f_6a88, 0x85a3_08d3];
    let answers = [0x6b20_0159, 0x99ba_4efe, 0x1cb9_96fc, 0xbb00_2be7, 0xc492_3a9c, 0x483d_f7a0];
    assert_eq!(evaluate(&gpu, &THREEFRY, &[], &known), answers);
    let random: Vec<u32> = (0..131_072).flat_map(|index| threefry2x32([5, 8], [index, 1])).collect();
    assert_equal(&gpu, "threefry2x32", &THREEFRY, &random, |words| {
        threefry2x32([words[0], words[1]], [words[2], words[3]]).to_vec()
    });
}

#[test]
fn comparator_objects_to_one_wrong_bit() {
    let right = [1, 2, 3, 4, 5, 6];
    assert_eq!(first_difference(&right, &right, 3), None);
    assert_eq!(first_difference(&right, &[1, 2, 3, 4, 5, 7], 3), Some(1));
    let gpu = open("functions::comparator");
    let Some(gpu) = gpu else { return };
    let wrong = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let off_by_one = |words: &[u32]| vec![exp2_fraction_q31(words[0]) + u32::from(words[0] == 65_535)];
        assert_equal(&gpu, "wrong", &EXP2_FRACTION, &(0..65536).collect::<Vec<u32>>(), off_by_one);
    }));
    assert!(wrong.is_err(), "a twin with one wrong bit passed");
}

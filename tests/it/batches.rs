//! Ring 2: every backend on the same batches, equal to a plain oracle written straight from the definition.
//!
//! The suite is one function; a backend joins it in four lines. Batches come in every size around a limit, in every
//! order, in one push and in many, from one thread and from several. The comparator is shown wrong answers, too.

use std::thread;

use fleetwear::backend::cpu::damage::CpuDamage;
use fleetwear::backend::cpu::instructions::Instructions;
#[cfg(feature = "gpu")]
use fleetwear::backend::gpu::{damage::GpuDamage, limits::GpuLimits};
use fleetwear::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest, DamageSums, GateError, SlotMasks};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::tables::{DamageTables, FLOOR_Q18, GROUP_LANES, GroupInput, GroupTables, Lanes};
#[cfg(feature = "gpu")]
use fleetwear::run::Stop;

/// Opens the backend under test.
pub type Open = dyn Fn(&DamageRequest) -> Result<Box<dyn DamageBackend>, BackendError>;

/// Sizes around the limits of tiles, blocks, codes and stages (`STAGE_ROWS` is what GPU tests set).
const SIZES: [usize; 16] = [
    0,
    1,
    7,
    8,
    9,
    63,
    64,
    65,
    255,
    256,
    257,
    16_385,
    STAGE_ROWS,
    STAGE_ROWS + 1,
    2 * STAGE_ROWS - 1,
    2 * STAGE_ROWS + 1,
];
const LARGE_SIZES: [usize; 3] = [65_535, 65_536, 65_537];
pub const STAGE_ROWS: usize = 1024;
/// Slots of the suite: a few ranges of every backend, the last one not full.
const SLOTS: u32 = 40_000;

#[derive(Clone, Copy, Debug)]
enum Arrangement {
    /// Runs of one slot, rising.
    Sorted,
    Reversed,
    Random,
    /// All records belong to one slot.
    Giant,
    /// Every record another slot.
    Scattered,
}

const ARRANGEMENTS: [Arrangement; 5] =
    [Arrangement::Sorted, Arrangement::Reversed, Arrangement::Random, Arrangement::Giant, Arrangement::Scattered];

/// A stream of random words that depends on its name alone.
struct Words {
    stream: u32,
    drawn: u32,
}

impl Words {
    fn new(stream: u32) -> Self {
        Self { stream, drawn: 0 }
    }

    fn next(&mut self) -> u32 {
        self.drawn += 1;
        threefry2x32([20_261_121, self.stream], [self.drawn, 0])[0]
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }
}

/// A model of arbitrary rates: some underflow, some reach the cap.
pub fn model(stream: u32, mechanisms: usize, inputs: usize, interactions: usize) -> (DamageTables, SlotMasks) {
    let mut words = Words::new(stream);
    let input_rows: Vec<u32> = (0..inputs).map(|input| if input == 0 { 9000 } else { 2 + words.below(300) }).collect();
    let groups = mechanisms.div_ceil(GROUP_LANES);
    let octave = 1 << 18;
    let tables = DamageTables {
        groups: (0..groups)
            .map(|group| GroupTables {
                base_q18: std::array::from_fn(|_| -(20 * octave) + words.below(octave as u32) as i32),
                // The last group leaves out the first input.
                inputs: (usize::from(group > 0).min(inputs)..inputs)
                    .map(|input| {
                        let rows = input_rows[input] as usize;
                        // All lanes, none, and some.
                        let driver_lanes = [u8::MAX, words.next() as u8, 0, words.next() as u8][input % 4];
                        GroupInput {
                            input,
                            rows_q18: (0..rows).map(|_| rates(&mut words, octave)).collect(),
                            masks: (interactions > 0 && input % 2 == 0)
                                .then(|| (0..rows).map(|_| words.next() | words.next()).collect()),
                            driver_rows: (0..rows).map(|_| drivers(&mut words, driver_lanes)).collect(),
                            driver_lanes,
                        }
                    })
                    .collect(),
                interactions_q18: (0..interactions).map(|_| rates(&mut words, octave / 4)).collect(),
            })
            .collect(),
        input_rows,
        mechanisms,
    };
    let own = SLOTS as usize / 2;
    let masks = SlotMasks {
        masks: (0..own * groups).map(|_| words.next()).collect(),
        default: (0..groups).map(|_| words.next()).collect(),
    };
    (tables, masks)
}

fn rates(words: &mut Words, octave: i32) -> Lanes {
    let floor = words.below(50) == 0;
    let steep = words.below(400) == 0;
    std::array::from_fn(|_| match (floor, steep) {
        (true, _) => FLOOR_Q18,
        (_, true) => 21 * octave,
        _ => (words.next() % (4 * octave as u32)) as i32 - 2 * octave,
    })
}

/// Entries up to the limit, in both signs.
fn drivers(words: &mut Words, driver_lanes: u8) -> Lanes {
    let limit = 1 << 24;
    std::array::from_fn(|lane| match (lane, words.below(4)) {
        _ if driver_lanes >> lane & 1 == 0 => 0,
        (_, 0) => 0,
        (0, _) => limit,
        (1, _) => -limit,
        _ => (words.next() % (2 * limit as u32 + 1)) as i32 - limit,
    })
}

struct Records {
    slot: Vec<u32>,
    vehicle: Vec<u32>,
    codes: Vec<Vec<u16>>,
}

fn records(tables: &DamageTables, rows: usize, arrangement: Arrangement) -> Records {
    let mut words = Words::new(rows as u32);
    let run = 1 + words.below(200);
    let slot: Vec<u32> = (0..rows as u32)
        .map(|row| match arrangement {
            Arrangement::Sorted => (row / run * 37).min(SLOTS - 1),
            Arrangement::Reversed => SLOTS - 1 - (row / run * 41).min(SLOTS - 1),
            Arrangement::Random => words.below(SLOTS),
            Arrangement::Giant => 16_384,
            Arrangement::Scattered => row * 7919 % SLOTS,
        })
        .collect();
    Records {
        vehicle: slot.iter().map(|slot| slot / 3).collect(),
        slot,
        codes: tables
            .input_rows
            .iter()
            .map(|table_rows| (0..rows).map(|_| words.below(*table_rows) as u16).collect())
            .collect(),
    }
}

impl Records {
    /// Calls `push` with rows `start..end` as a batch.
    fn with_batch<T>(&self, start: usize, end: usize, push: impl FnOnce(&DamageBatch) -> T) -> T {
        let codes: Vec<&[u16]> = self.codes.iter().map(|column| &column[start..end]).collect();
        push(&DamageBatch { slot: &self.slot[start..end], vehicle: &self.vehicle[start..end], codes: &codes })
    }
}

/// The definition, record by record and mechanism by mechanism, in 128-bit arithmetic where width could matter.
fn oracle(tables: &DamageTables, masks: &SlotMasks, drivers: bool, records: &Records, slots: usize) -> DamageSums {
    let groups = tables.groups.len();
    let words = tables.mechanisms.div_ceil(32);
    let lanes = |input: &GroupInput| (0..8).filter(|lane| input.driver_lanes >> lane & 1 == 1).collect::<Vec<usize>>();
    let width: usize = tables.groups.iter().flat_map(|group| &group.inputs).map(|input| lanes(input).len()).sum();
    let mut sums = DamageSums {
        clocks_q48: vec![0; slots * tables.mechanisms],
        capped: vec![0; slots * words],
        drivers: vec![0; if drivers { slots * width } else { 0 }],
    };
    for row in 0..records.slot.len() {
        let slot = records.slot[row] as usize;
        for mechanism in 0..tables.mechanisms {
            let (group, lane) = (&tables.groups[mechanism / 8], mechanism % 8);
            let own = masks.masks.get(slot * groups + mechanism / 8);
            let mut holds = *own.unwrap_or(&masks.default[mechanism / 8]);
            let mut log2_q18 = i128::from(group.base_q18[lane]);
            for input in &group.inputs {
                let code = usize::from(records.codes[input.input][row]);
                log2_q18 += i128::from(input.rows_q18[code][lane]);
                holds &= input.masks.as_ref().map_or(u32::MAX, |masks| masks[code]);
            }
            for (bit, interaction) in group.interactions_q18.iter().enumerate() {
                log2_q18 += if holds >> bit & 1 == 1 { i128::from(interaction[lane]) } else { 0 };
            }
            let clock = &mut sums.clocks_q48[slot * tables.mechanisms + mechanism];
            if log2_q18 >= 0 {
                sums.capped[slot * words + mechanism / 32] |= 1 << (mechanism % 32);
                *clock = clock.wrapping_add((1 << 48) - 1);
            } else {
                *clock = clock.wrapping_add(exp2_q48(log2_q18));
            }
        }
        if drivers {
            let mut place = records.vehicle[row] as usize * width;
            for input in tables.groups.iter().flat_map(|group| &group.inputs) {
                for lane in lanes(input) {
                    let entry = input.driver_rows[usize::from(records.codes[input.input][row])][lane];
                    sums.drivers[place] += i64::from(entry);
                    place += 1;
                }
            }
        }
    }
    sums
}

/// Two to a negative power by the formula of the design, written in 128 bits.
fn exp2_q48(log2_q18: i128) -> u64 {
    let l = log2_q18.div_euclid(4);
    let (f, k) = (l.rem_euclid(65536), -l.div_euclid(65536));
    let g = f * (65536 - f);
    let s = 34387 + (7107 * f) / 65536;
    let r = 40235 + (s * f + (1 << 17)) / (1 << 18);
    let m = (1i128 << 31) + f * 32768 - ((g + 8192) / 16384 * r + 8) / 16;
    ((m << 17) >> k.min(63)) as u64
}

/// The first difference, or nothing.
fn compare(expected: &DamageSums, got: &DamageSums) -> Result<(), String> {
    fn first<T: PartialEq + std::fmt::Debug>(what: &str, expected: &[T], got: &[T]) -> Result<(), String> {
        if expected.len() != got.len() {
            return Err(format!("{what}: {} sums, expected {}", got.len(), expected.len()));
        }
        match expected.iter().zip(got).position(|(expected, got)| expected != got) {
            Some(at) => Err(format!("{what} {at}: {:?}, expected {:?}", got[at], expected[at])),
            None => Ok(()),
        }
    }
    first("clock", &expected.clocks_q48, &got.clocks_q48)?;
    first("capped", &expected.capped, &got.capped)?;
    first("driver", &expected.drivers, &got.drivers)
}

/// Everything a backend must get right.
pub fn conformance(name: &str, open: &Open) {
    let slots = SLOTS as usize;
    let check = |what: String, model: &(DamageTables, SlotMasks), drivers, records: &Records, parts: usize| {
        let (tables, masks) = model;
        let backend = open(&DamageRequest { tables, masks, drivers }).unwrap();
        let rows = records.slot.len();
        let cut = |part: usize| rows * part / parts;
        thread::scope(|scope| {
            for part in 0..parts {
                let backend = &backend;
                // Waiting for what others pushed, in between, adds nothing and loses nothing.
                let pushed = |batch: &DamageBatch| backend.push(batch).and_then(|()| backend.settle());
                let push = move |batch: &DamageBatch| if parts > 1 { pushed(batch) } else { backend.push(batch) };
                scope.spawn(move || records.with_batch(cut(part), cut(part + 1), push).unwrap());
            }
        });
        let got = backend.finish(slots, slots).unwrap();
        if let Err(difference) = compare(&oracle(tables, masks, drivers, records, slots), &got) {
            panic!("{name}, {what}, {rows} rows in {parts} pushes: {difference}");
        }
    };
    let small = model(1, 3, 2, 0);
    for rows in SIZES {
        for arrangement in ARRANGEMENTS {
            check(format!("small model, {arrangement:?}"), &small, true, &records(&small.0, rows, arrangement), 1);
        }
    }
    for (what, model) in [
        ("one group, no interactions", model(2, 8, 10, 0)),
        ("two groups, interactions", model(3, 12, 5, 7)),
        ("five groups, all interactions", model(4, 37, 3, 32)),
        ("no inputs", model(5, 1, 0, 1)),
    ] {
        for (rows, arrangement) in
            LARGE_SIZES.iter().zip([Arrangement::Sorted, Arrangement::Random, Arrangement::Reversed])
        {
            check(format!("{what}, {arrangement:?}"), &model, false, &records(&model.0, *rows, arrangement), 1);
        }
        for arrangement in ARRANGEMENTS {
            check(format!("{what}, {arrangement:?}"), &model, true, &records(&model.0, 5_000, arrangement), 7);
        }
    }
    let giant = records(&small.0, 1_000_000, Arrangement::Giant);
    check("one vehicle".to_owned(), &small, true, &giant, 3);
    refusals(open, &small);
}

/// Broken promises are errors, and what was refused is not added.
fn refusals(open: &Open, model: &(DamageTables, SlotMasks)) {
    let (tables, masks) = model;
    let request = DamageRequest { tables, masks, drivers: true };
    let backend = open(&request).unwrap();
    let good = records(tables, 300, Arrangement::Sorted);
    let mut bad = records(tables, 300, Arrangement::Sorted);
    bad.codes[1][299] = tables.input_rows[1] as u16;
    let error = bad.with_batch(0, 300, |batch| backend.push(batch)).unwrap_err();
    assert!(matches!(error, BackendError::Gate(GateError::Code { column: 1, row: 299, .. })), "{error}");
    let short = DamageBatch { slot: &good.slot, vehicle: &good.vehicle[1..], codes: &[] };
    assert!(matches!(backend.push(&short).unwrap_err(), BackendError::Gate(GateError::ColumnLength { .. })));
    good.with_batch(0, 300, |batch| backend.push(batch)).unwrap();
    let got = backend.finish(SLOTS as usize, SLOTS as usize).unwrap();
    compare(&oracle(tables, masks, true, &good, SLOTS as usize), &got).unwrap();

    let backend = open(&request).unwrap();
    good.with_batch(0, 300, |batch| backend.push(batch)).unwrap();
    let error = backend.finish(1, SLOTS as usize).unwrap_err();
    assert!(matches!(error, BackendError::Gate(GateError::Beyond { what: "slot", limit: 1, .. })), "{error}");
    let mut wrong = tables.clone();
    wrong.groups[0].inputs[0].rows_q18.pop();
    let error = open(&DamageRequest { tables: &wrong, ..request }).err().map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.contains("rate rows")));
    let mut wrong = tables.clone();
    wrong.groups[0].inputs[0].driver_rows[3][2] = -(1 << 24) - 1;
    assert!(open(&DamageRequest { tables: &wrong, ..request }).is_err());
    let mut wrong = tables.clone();
    wrong.groups[0].inputs[0].driver_rows[3][2] = 1;
    assert!(open(&DamageRequest { tables: &wrong, ..request }).is_ok());
    wrong.groups[0].inputs[0].driver_lanes &= !(1 << 2);
    let error = open(&DamageRequest { tables: &wrong, ..request }).err().map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.contains("not summed")));
    let empty = open(&request).unwrap().finish(0, 0).unwrap();
    assert_eq!(empty, DamageSums::default());
}

fn cpu_conforms(name: &str) {
    match Instructions::available().into_iter().find(|instructions| instructions.name() == name) {
        Some(found) => conformance(name, &move |request| Ok(Box::new(CpuDamage::open_with(request, found)?))),
        None => crate::skipped::say("batches", &format!("this processor lacks {name}")),
    }
}

#[test]
fn scalar_conforms() {
    cpu_conforms("scalar");
}

#[test]
fn avx2_conforms() {
    cpu_conforms("avx2");
}

#[test]
fn avx512_conforms() {
    cpu_conforms("avx512");
}

/// Small stages, ranges and dispatches, so that the suite's sizes cross every border; buffers start as noise.
#[cfg(feature = "gpu")]
fn small_limits() -> GpuLimits {
    GpuLimits {
        // Two inputs, vehicles: 12 bytes a row.
        stage_bytes: 12 * STAGE_ROWS as u64,
        range_slots_bits: 12,
        driver_range_bytes: 1 << 18,
        dispatch_rows: 512,
        submission_rows: 4096,
        poison: true,
        ..GpuLimits::default()
    }
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_conforms() {
    let Some(device) = crate::gpu::required_device("batches::gpu_conforms") else { return };
    let limits = small_limits();
    conformance("gpu", &move |request| Ok(Box::new(GpuDamage::open(request, Some(device), limits)?)));
}

/// The limits that users get, on more records than one stage holds.
#[cfg(feature = "gpu")]
#[test]
fn gpu_with_default_limits_equals_the_oracle() {
    let Some(device) = crate::gpu::required_device("batches::gpu_with_default_limits") else { return };
    let (tables, masks) = model(3, 12, 5, 7);
    let records = records(&tables, 200_000, Arrangement::Sorted);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: true };
    let backend = Box::new(GpuDamage::open(&request, Some(device), GpuLimits::default()).unwrap());
    records.with_batch(0, 200_000, |batch| backend.push(batch)).unwrap();
    let got = backend.finish(SLOTS as usize, SLOTS as usize).unwrap();
    compare(&oracle(&tables, &masks, true, &records, SLOTS as usize), &got).unwrap();
}

/// A device that vanishes ends in a typed error, at the latest when the sums are asked for.
#[cfg(feature = "gpu")]
#[test]
fn lost_device_is_an_error() {
    let Some(device) = crate::gpu::required_device("batches::lost_device_is_an_error") else { return };
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: true };
    let records = records(&tables, 5_000, Arrangement::Sorted);
    let backend = Box::new(GpuDamage::open(&request, Some(device), small_limits()).unwrap());
    records.with_batch(0, 2_500, |batch| backend.push(batch)).unwrap();
    backend.device().destroy();
    let error = records.with_batch(2_500, 5_000, |batch| backend.push(batch)).unwrap_err();
    assert!(matches!(error, BackendError::Lost { .. }), "{error}");
    let later = records.with_batch(0, 1, |batch| backend.push(batch)).unwrap_err();
    assert!(matches!(later, BackendError::Lost { .. }), "what stopped the first call answers the later ones: {later}");
    assert!(matches!(backend.finish(SLOTS as usize, SLOTS as usize).unwrap_err(), BackendError::Lost { .. }));

    let backend = Box::new(GpuDamage::open(&request, Some(device), small_limits()).unwrap());
    records.with_batch(0, 100, |batch| backend.push(batch)).unwrap();
    backend.device().destroy();
    let error = backend.finish(SLOTS as usize, SLOTS as usize).unwrap_err();
    assert!(matches!(error, BackendError::Lost { .. }), "{error}");
}

/// Nobody waits for a device once the run is asked to stop.
#[cfg(feature = "gpu")]
#[test]
fn stopping_ends_the_wait_for_a_device() {
    let Some(device) = crate::gpu::required_device("batches::stopping_ends_the_wait") else { return };
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: true };
    let records = records(&tables, 5_000, Arrangement::Sorted);
    let mut backend = Box::new(GpuDamage::open(&request, Some(device), small_limits()).unwrap());
    let stop = Stop::default();
    backend.watch(&stop);
    stop.raise();
    records.with_batch(0, 100, |batch| backend.push(batch)).unwrap();
    let error = backend.finish(SLOTS as usize, SLOTS as usize).unwrap_err();
    assert!(matches!(error, BackendError::Interrupted(_)) && !error.is_device_failure(), "{error}");
}

/// Too little memory is an error that names what was asked for; smaller limits get by with less.
#[cfg(feature = "gpu")]
#[test]
fn memory_limit_is_an_error_and_smaller_limits_help() {
    let Some(device) = crate::gpu::required_device("batches::memory_limit") else { return };
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: false };
    let records = records(&tables, 5_000, Arrangement::Sorted);
    let tight =
        GpuLimits { stage_bytes: 1 << 20, range_slots_bits: 18, memory_bytes: 16 << 20, ..GpuLimits::default() };
    let run = |limits| {
        let backend = Box::new(GpuDamage::open(&request, Some(device), limits)?);
        records.with_batch(0, 5_000, |batch| backend.push(batch))?;
        backend.finish(SLOTS as usize, SLOTS as usize)
    };
    let error = run(tight).unwrap_err();
    assert!(matches!(error, BackendError::OutOfMemory { asked_bytes: 16_777_216, what: "clocks", .. }), "{error}");
    compare(&oracle(&tables, &masks, false, &records, SLOTS as usize), &run(tight.smaller()).unwrap()).unwrap();
}

/// The models of the suite do what their comments say, or the suite shows less than it claims.
#[test]
fn suite_covers_caps_floors_and_interactions() {
    let (tables, masks) = model(3, 12, 5, 7);
    let records = records(&tables, 65_537, Arrangement::Sorted);
    let sums = oracle(&tables, &masks, true, &records, SLOTS as usize);
    assert!(sums.capped.iter().any(|word| *word != 0) && sums.capped.contains(&0));
    assert!(sums.clocks_q48.iter().any(|clock| *clock > 1 << 48));
    assert!(sums.drivers.iter().any(|sum| *sum > i64::from(i32::MAX)));
    let without = DamageTables {
        groups: (tables.groups.iter().cloned())
            .map(|group| GroupTables { interactions_q18: vec![[0; GROUP_LANES]; 7], ..group })
            .collect(),
        ..tables.clone()
    };
    assert!(compare(&oracle(&without, &masks, true, &records, SLOTS as usize), &sums).is_err());
}

#[test]
fn comparator_objects_to_wrong_answers() {
    let (tables, masks) = model(3, 12, 5, 7);
    let records = records(&tables, 257, Arrangement::Random);
    let right = oracle(&tables, &masks, true, &records, SLOTS as usize);
    compare(&right, &right).unwrap();
    let mut wrong = right.clone();
    wrong.clocks_q48[12 * 3] ^= 1;
    assert!(compare(&right, &wrong).unwrap_err().starts_with("clock 36"));
    let mut wrong = right.clone();
    wrong.capped[7] ^= 1 << 11;
    assert!(compare(&right, &wrong).unwrap_err().starts_with("capped 7"));
    let mut wrong = right.clone();
    *wrong.drivers.last_mut().unwrap() += 1;
    assert!(compare(&right, &wrong).unwrap_err().starts_with("driver"));
    let mut wrong = right.clone();
    wrong.clocks_q48.pop();
    assert!(compare(&right, &wrong).is_err());
}

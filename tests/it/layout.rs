//! Ring 0, no device needed: shaders parse and validate, what they share with Rust has the same names, offsets and
//! values, and a lint over naga's IR refuses floats and loops that need not end. The lint is shown both.

use std::mem::offset_of;

use fleetwear::backend::cpu::survival_scalar;
use fleetwear::backend::gpu::batch::{DAMAGE_SUMS, DRIVER_SUMS, Dispatch, Input, NO_MASKS, SHARED_BINDINGS, TILE_ROWS};
use fleetwear::backend::gpu::cube::{self, CUBE_BINDINGS, Cube};
use fleetwear::backend::gpu::shaders;
use fleetwear::backend::gpu::survival_words::{self, SURVIVAL_BINDINGS, Survival};
use fleetwear::fixed::exp2::INCREMENT_CAP_Q48;
use fleetwear::fixed::{knots, log2};
use fleetwear::model::survival as law;
use fleetwear::model::tables::GROUP_LANES;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, BinaryOperator, Block, Expression, Function, Handle, Literal, Module, Statement, TypeInner};

/// Every composed shader.
fn all() -> [(&'static str, &'static str); 6] {
    [
        ("damage", shaders::DAMAGE),
        ("drivers", shaders::DRIVERS),
        ("survival", shaders::SURVIVAL),
        ("cube", shaders::CUBE),
        ("fixed", shaders::FIXED),
        ("rng", shaders::RNG),
    ]
}

fn parse(source: &str) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    Ok((module, info))
}

#[test]
fn shaders_are_valid_without_any_extension() {
    for (name, source) in all() {
        if let Err(message) = parse(source) {
            panic!("{name}: {message}");
        }
    }
    assert!(parse("fn broken() -> u32 { return 1i; }").is_err());
}

/// Offsets of a struct's members and its size, as the shader lays it out.
fn members(module: &Module, name: &str) -> (Vec<(String, usize)>, usize) {
    let (_, found) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    match &found.inner {
        TypeInner::Struct { members, span } => (
            members.iter().map(|member| (member.name.clone().unwrap(), member.offset as usize)).collect(),
            *span as usize,
        ),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn structs_have_the_same_members_at_the_same_offsets() {
    macro_rules! offsets {
        ($ty:ty: $($member:ident),*) => {
            (vec![$((stringify!($member).to_owned(), offset_of!($ty, $member))),*], size_of::<$ty>())
        };
    }
    let dispatch = offsets!(Dispatch: first_row, end_row, range, range_bits, vehicle_words, code_words,
        code_stride_words, group, groups, capped_words, base_row, interactions_row, interactions, inputs_words, inputs,
        driver_width);
    let input = offsets!(Input: column, first_row, masks_words, first_driver_row, first_driver, driver_lanes);
    for source in [shaders::DAMAGE, shaders::DRIVERS] {
        let (module, _) = parse(source).unwrap();
        assert_eq!(members(&module, "Dispatch"), dispatch);
        assert_eq!(members(&module, "Input"), input);
    }
    let swapped =
        shaders::DAMAGE.replacen("first_row: u32,\n    end_row: u32,", "end_row: u32,\n    first_row: u32,", 1);
    assert_ne!(swapped, shaders::DAMAGE);
    assert_ne!(members(&parse(&swapped).unwrap().0, "Dispatch"), dispatch);
}

/// (group, binding, name, read only) of every binding, in order.
fn bindings(module: &Module) -> Vec<(u32, u32, String, bool)> {
    let mut bindings: Vec<_> = (module.global_variables.iter())
        .filter_map(|(_, variable)| {
            let place = variable.binding?;
            let read_only = match variable.space {
                AddressSpace::Storage { access } => !access.contains(naga::StorageAccess::STORE),
                _ => true,
            };
            Some((place.group, place.binding, variable.name.clone()?, read_only))
        })
        .collect();
    bindings.sort();
    bindings
}

#[test]
fn bindings_are_the_ones_that_the_host_binds() {
    for (source, sums) in [(shaders::DAMAGE, &DAMAGE_SUMS[..]), (shaders::DRIVERS, &DRIVER_SUMS[..])] {
        let shared = SHARED_BINDINGS.iter().zip(0..).map(|(name, at)| (0, at, (*name).to_owned(), true));
        let sums = sums.iter().zip(0..).map(|((name, read_only), at)| (1, at, (*name).to_owned(), *read_only));
        assert_eq!(bindings(&parse(source).unwrap().0), shared.chain(sums).collect::<Vec<_>>());
    }
}

fn constant(module: &Module, name: &str) -> u32 {
    let (_, found) = module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name)).unwrap();
    match module.global_expressions[found.init] {
        Expression::Literal(Literal::U32(value)) => value,
        ref other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn constants_workgroups_and_memory_agree() {
    for (source, entry) in [(shaders::DAMAGE, shaders::DAMAGE_ENTRY), (shaders::DRIVERS, shaders::DRIVERS_ENTRY)] {
        let (module, _) = parse(source).unwrap();
        assert_eq!(constant(&module, "TILE_ROWS"), TILE_ROWS);
        assert_eq!(constant(&module, "GROUP_LANES"), GROUP_LANES as u32);
        assert_eq!(constant(&module, "NO_MASKS"), NO_MASKS);
        assert_eq!(constant(&module, "INCREMENT_CAP_LO"), INCREMENT_CAP_Q48 as u32);
        assert_eq!(constant(&module, "INCREMENT_CAP_HI"), (INCREMENT_CAP_Q48 >> 32) as u32);
        assert_eq!(module.entry_points.len(), 1);
        assert_eq!(module.entry_points[0].name, entry);
        assert_eq!(module.entry_points[0].workgroup_size, [TILE_ROWS, 1, 1]);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let workgroup_bytes: u32 = (module.global_variables.iter())
            .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
            .map(|(_, variable)| layouter[variable.ty].size)
            .sum();
        // What WebGPU guarantees.
        assert!(workgroup_bytes <= 16_384, "{entry}: {workgroup_bytes} bytes of workgroup memory");
    }
    assert_eq!(constant(&parse(shaders::RNG).unwrap().0, "THREEFRY_PARITY"), 0x1BD1_1BDA);
}

fn signed_constant(module: &Module, name: &str) -> i32 {
    let (_, found) = module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name)).unwrap();
    match module.global_expressions[found.init] {
        Expression::Literal(Literal::I32(value)) => value,
        ref other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn survival_shares_struct_bindings_and_constants_with_the_host() {
    let (module, _) = parse(shaders::SURVIVAL).unwrap();
    macro_rules! offsets {
        ($($member:ident),*) => {
            (vec![$((stringify!($member).to_owned(), offset_of!(Survival, $member))),*], size_of::<Survival>())
        };
    }
    let survival = offsets!(
        weeks,
        columns,
        column_stages,
        paths,
        path_blocks,
        mechanisms,
        source_weeks,
        run_parts,
        draws_words,
        events_words,
        sum_first,
        probability_first,
        shapes_words,
        exponents_words,
        rates_words,
        parts_words,
        part_width,
        start_width,
        shifts_words
    );
    assert_eq!(members(&module, "Survival"), survival);
    let expected: Vec<_> = (SURVIVAL_BINDINGS.iter().zip(0..))
        .map(|((name, read_only), at)| (0, at, (*name).to_owned(), *read_only))
        .collect();
    assert_eq!(bindings(&module), expected);
    for (name, value) in [
        ("PATH_LANES", survival_words::PATH_LANES as u32),
        ("STAGED_COLUMNS", survival_words::STAGED_COLUMNS as u32),
        ("WHOLE_WEEK", survival_words::WHOLE_WEEK),
        ("MODE_MECHANISMS", law::MODE_MECHANISMS as u32),
        ("KNOT_BITS", knots::KNOT_BITS),
    ] {
        assert_eq!(constant(&module, name), value, "{name}");
    }
    for (name, value) in [
        ("NO_EXPONENT", survival_words::NO_EXPONENT),
        ("NO_GROWTH_Q20", survival_scalar::NO_GROWTH_Q20),
        ("IMPOSSIBLE_Q20", survival_scalar::IMPOSSIBLE_Q20),
        ("POWER_LOW_Q20", law::POWER_LOW_Q20),
        ("PROBABILITY_LOW_Q20", law::PROBABILITY_LOW_Q20),
        ("PROBABILITY_HIGH_Q20", law::PROBABILITY_HIGH_Q20),
        ("NOTHING_Q20", log2::NOTHING_Q20),
        ("SUM_SPAN_Q20", knots::SUM_SPAN_Q20),
    ] {
        assert_eq!(signed_constant(&module, name), value, "{name}");
    }
    assert_eq!(module.entry_points.len(), 1);
    assert_eq!(module.entry_points[0].name, shaders::SURVIVAL_ENTRY);
    assert_eq!(module.entry_points[0].workgroup_size, [survival_words::PATH_LANES as u32, 1, 1]);
}

#[test]
fn cubes_share_struct_bindings_and_constants_with_the_host() {
    let (module, _) = parse(shaders::CUBE).unwrap();
    let offsets = vec![
        ("cells".to_owned(), offset_of!(Cube, cells)),
        ("column_words".to_owned(), offset_of!(Cube, column_words)),
    ];
    assert_eq!(members(&module, "Cube"), (offsets, size_of::<Cube>()));
    let expected: Vec<_> = (CUBE_BINDINGS.iter().zip(0..))
        .map(|((name, read_only), at)| (0, at, (*name).to_owned(), *read_only))
        .collect();
    assert_eq!(bindings(&module), expected);
    for (name, value) in [
        ("WINDOW_CELLS", cube::WINDOW_CELLS),
        ("WORKGROUP_LANES", cube::WORKGROUP_LANES),
        ("TASK_WORDS", cube::TASK_WORDS),
        ("RUN_WORDS", cube::RUN_WORDS),
        ("RUN_STEPS", cube::RUN_STEPS),
        ("WINDOW_STEPS", cube::WINDOW_STEPS),
    ] {
        assert_eq!(constant(&module, name), value as u32, "{name}");
    }
    assert_eq!(module.entry_points[0].name, shaders::CUBE_ENTRY);
    assert_eq!(module.entry_points[0].workgroup_size, [cube::WORKGROUP_LANES as u32, 1, 1]);
}

/// What a kernel may not contain, or nothing. An untyped constant that naga folds into an integer is none of it: no
/// device computes it.
fn objection(source: &str) -> Option<String> {
    let (module, info) = match parse(source) {
        Ok(parsed) => parsed,
        Err(message) => return Some(message),
    };
    if module.types.iter().any(|(_, ty)| ty.inner.scalar_kind() == Some(naga::ScalarKind::Float)) {
        return Some("a float type".to_owned());
    }
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate().map(|(at, entry)| (&entry.function, info.get_entry_point(at)));
    for (function, function_info) in functions.chain(entries) {
        let name = function.name.as_deref().unwrap_or("an entry point");
        for (handle, expression) in function.expressions.iter() {
            let kind = function_info[handle].ty.inner_with(&module.types).scalar_kind();
            let literal = matches!(
                expression,
                Expression::Literal(Literal::F64(_) | Literal::F32(_) | Literal::F16(_) | Literal::AbstractFloat(_))
            );
            if literal || kind == Some(naga::ScalarKind::Float) {
                return Some(format!("a float in {name}"));
            }
        }
        if let Some(loop_objection) = unbounded_loop(function, &function.body) {
            return Some(format!("{loop_objection} in {name}"));
        }
    }
    let float = |expression: &Expression| {
        matches!(
            expression,
            Expression::Literal(Literal::F32(_) | Literal::F64(_) | Literal::F16(_) | Literal::AbstractFloat(_))
        )
    };
    module.global_expressions.iter().any(|(_, expression)| float(expression)).then(|| "a float constant".to_owned())
}

/// A loop that is not `for (i = …; i < limit; i += step)` with a limit that does not change, or whose body sets `i`.
fn unbounded_loop(function: &Function, block: &Block) -> Option<String> {
    for statement in block.iter() {
        let inner: Vec<&Block> = match statement {
            Statement::Block(block) => vec![block],
            Statement::If { accept, reject, .. } => vec![accept, reject],
            Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
            Statement::Loop { body, continuing, break_if } => {
                let counter = break_if.is_none().then(|| counter(function, body)).flatten();
                let counts_up = counter.is_some_and(|counter| {
                    stores_to(function, body, counter) == 0 && increments(function, continuing, counter)
                });
                if !counts_up {
                    return Some("a loop that need not end".to_owned());
                }
                vec![body]
            }
            _ => vec![],
        };
        if let Some(objection) = inner.into_iter().find_map(|block| unbounded_loop(function, block)) {
            return Some(objection);
        }
    }
    None
}

type Local = Handle<naga::LocalVariable>;

/// The variable that the loop's head compares with a fixed limit before anything else happens.
fn counter(function: &Function, body: &Block) -> Option<Local> {
    let head = body.iter().find(|statement| !matches!(statement, Statement::Emit(_)))?;
    let Statement::If { condition, accept, reject } = head else { return None };
    if !accept.is_empty() || !matches!(reject.last(), Some(Statement::Break)) {
        return None;
    }
    match function.expressions[*condition] {
        Expression::Binary { op: BinaryOperator::Less, left, right } if is_fixed(function, right) => {
            loaded_local(function, left)
        }
        _ => None,
    }
}

/// A literal, a constant, or a member of a uniform.
fn is_fixed(function: &Function, limit: Handle<Expression>) -> bool {
    match function.expressions[limit] {
        Expression::Literal(_) | Expression::Constant(_) => true,
        Expression::Load { pointer } => match function.expressions[pointer] {
            Expression::AccessIndex { base, .. } => matches!(function.expressions[base], Expression::GlobalVariable(_)),
            _ => false,
        },
        _ => false,
    }
}

fn loaded_local(function: &Function, value: Handle<Expression>) -> Option<Local> {
    match function.expressions[value] {
        Expression::Load { pointer } => match function.expressions[pointer] {
            Expression::LocalVariable(local) => Some(local),
            _ => None,
        },
        _ => None,
    }
}

fn stores_to(function: &Function, block: &Block, local: Local) -> usize {
    block
        .iter()
        .map(|statement| match statement {
            Statement::Store { pointer, .. } => usize::from(
                matches!(function.expressions[*pointer], Expression::LocalVariable(stored) if stored == local),
            ),
            Statement::Block(block) => stores_to(function, block, local),
            Statement::If { accept, reject, .. } => {
                stores_to(function, accept, local) + stores_to(function, reject, local)
            }
            Statement::Switch { cases, .. } => cases.iter().map(|case| stores_to(function, &case.body, local)).sum(),
            Statement::Loop { body, continuing, .. } => {
                stores_to(function, body, local) + stores_to(function, continuing, local)
            }
            _ => 0,
        })
        .sum()
}

/// The continuing part adds a positive step, and nothing else sets the counter.
fn increments(function: &Function, continuing: &Block, counter: Local) -> bool {
    let positive = |value: Handle<Expression>| match function.expressions[value] {
        Expression::Literal(Literal::U32(step)) => step > 0,
        Expression::Literal(Literal::I32(step)) => step > 0,
        Expression::Constant(_) => true,
        _ => false,
    };
    stores_to(function, continuing, counter) == 1
        && continuing.iter().any(|statement| match statement {
            Statement::Store { value, .. } => match function.expressions[*value] {
                Expression::Binary { op: BinaryOperator::Add, left, right } => {
                    loaded_local(function, left) == Some(counter) && positive(right)
                }
                _ => false,
            },
            _ => false,
        })
}

#[test]
fn kernels_contain_no_floats_and_no_unbounded_loops() {
    for (name, source) in all() {
        assert_eq!(objection(source), None, "{name}");
    }
}

#[test]
fn lint_objects_to_floats_in_every_disguise() {
    for source in [
        "fn f(x: f32) -> u32 { return u32(x); }",
        "fn f(x: u32) -> u32 { return u32(f32(x)); }",
        "fn f() -> u32 { let x = 1.5; return u32(x); }",
        "const X: f32 = 2.5; fn f() -> u32 { return u32(X); }",
        "fn f(x: u32) -> u32 { return bitcast<u32>(exp2(bitcast<f32>(x))); }",
        "struct S { x: vec2<f32> } @group(0) @binding(0) var<storage> s: S;",
        "fn f(x: u32) -> u32 { return pack4x8unorm(unpack4x8unorm(x)); }",
    ] {
        assert!(objection(source).is_some_and(|objection| objection.contains("float")), "{source}");
    }
}

#[test]
fn lint_objects_to_loops_that_need_not_end() {
    for source in [
        "fn f(x: u32) -> u32 { var y = x; while y != 0u { y = y >> 1u; } return y; }",
        "fn f() { loop { } }",
        "fn f() { loop { if true { break; } } }",
        "fn f() { for (var i = 0u; i < 8u; ) { } }",
        "fn f() { for (var i = 0u; i < 8u; i++) { i = 0u; } }",
        "fn f() { for (var i = 0u; i < 8u; i += 0u) { } }",
        "fn f(n: u32) { var m = n; for (var i = 0u; i < m; i++) { m++; } }",
        "fn f() { for (var i = 8u; i >= 0u; i--) { } }",
        "fn f() { for (var i = 0u; i < 8u; i++) { loop { } } }",
    ] {
        assert!(objection(source).is_some_and(|objection| objection.contains("loop")), "{source}");
    }
    assert_eq!(objection("fn f() { for (var i = 0u; i < 8u; i++) { } }"), None);
}

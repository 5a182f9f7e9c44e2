//! The rules, one function each: a file's path and text in, violations with the rule's reason out.

use super::lexer::code_of;

/// Files read best near 150 lines; over this they hold two things.
pub const LONGEST_FILE_LINES: usize = 500;

/// Files that may be longer, each with its reason.
const LONGER_FILES: &[(&str, &str)] = &[];

/// Files that may say `unsafe`, each with its reason.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("src/backend/cpu/survival_avx2.rs", "vector instructions, chosen at run time"),
    ("src/backend/cpu/survival_avx512.rs", "vector instructions, chosen at run time"),
    ("src/backend/cpu/vector.rs", "vector instructions, chosen at run time"),
    ("src/main.rs", "an environment variable, set before any thread"),
];

/// Room → rooms it may use. Data flows one way: cli → engine → fleet → backend → capability → writer.
const IMPORTS: &[(&str, &[&str])] = &[
    ("fixed", &[]),
    ("run", &[]),
    ("svg", &[]),
    ("model", &["fixed"]),
    ("backend", &["fixed", "model", "run"]),
    ("fleet", &["model", "run"]),
    ("score", &["backend", "fixed", "fleet", "model", "run"]),
    ("monitor", &["fixed", "fleet", "model"]),
    ("simulate", &["backend", "fixed", "fleet", "model", "monitor", "run", "score"]),
    ("fit", &["fixed", "fleet", "model", "run", "score", "simulate", "svg"]),
    ("backtest", &["fit", "fixed", "fleet", "model", "score", "simulate", "svg"]),
    ("discover", &["backend", "fit", "fixed", "fleet", "model", "run", "score", "simulate", "svg"]),
    ("recall", &["fit", "fixed", "fleet", "model", "run", "simulate"]),
    ("synth", &["fixed", "fleet", "model", "run"]),
    (
        "engine",
        &[
            "backend", "backtest", "discover", "fit", "fixed", "fleet", "model", "monitor", "recall", "run", "score",
            "simulate",
        ],
    ),
    (
        "cli",
        &[
            "backend", "backtest", "discover", "engine", "fit", "fixed", "fleet", "model", "monitor", "recall", "run",
            "score", "simulate", "synth",
        ],
    ),
];

/// The rooms that `room` may use, if the table knows it.
pub fn may_import(room: &str) -> Option<&'static [&'static str]> {
    IMPORTS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

/// All that is wrong with one file.
pub fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut report = |line: usize, reason: String| found.push(format!("{path}:{line}: {reason}"));
    machine_paths(text, &mut report);
    if path == "Cargo.lock" {
        registries(text, &mut report);
        return found;
    }
    let rust = path.ends_with(".rs");
    if rust || path.ends_with(".wgsl") {
        page_first(path, text, &mut report);
        length(path, text, &mut report);
        unfinished(text, &mut report);
        names(path, &mut report);
    }
    if rust {
        let code = code_of(text);
        unsafe_code(path, &code, &mut report);
        if let Some(module) = path.strip_prefix("src/") {
            imports(module, &code, &mut report);
            wgpu(module, &code, &mut report);
            printing(module, &code, &mut report);
        }
    }
    found
}

type Report<'a> = &'a mut dyn FnMut(usize, String);

fn imports(module: &str, code: &str, report: Report) {
    let parts: Vec<&str> = module.trim_end_matches(".rs").split('/').filter(|&part| part != "mod").collect();
    let room = parts[0];
    let Some(allowed) = may_import(room) else { return };
    let up_to_crate = "super::".repeat(parts.len());
    for root in ["crate::", up_to_crate.as_str()] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':') {
                continue;
            }
            for used in first_segments(&code[at + root.len()..]) {
                let known = IMPORTS.iter().any(|(name, _)| *name == used);
                if known && used != room && !allowed.contains(&used.as_str()) {
                    let reason = format!(
                        "`{room}` may not use `{used}`: data flows one way, cli → engine → fleet → backend → capability → writer"
                    );
                    report(line_of(code, at), reason);
                }
            }
        }
    }
}

/// The first name of a path, or of each path in a group `{a, b::{c, d}}`.
fn first_segments(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn wgpu(module: &str, code: &str, report: Report) {
    if !module.starts_with("backend/gpu/") {
        for at in words(code, "wgpu") {
            report(line_of(code, at), "only backend/gpu names wgpu: everyone else sees one trait".to_owned());
        }
    }
}

fn printing(module: &str, code: &str, report: Report) {
    if module.starts_with("cli/") {
        return;
    }
    for printer in ["println!", "eprintln!", "print!", "eprint!", "dbg!", "stdout()", "stderr()"] {
        for at in words(code, printer) {
            report(line_of(code, at), "only cli prints: the library emits events".to_owned());
        }
    }
}

fn unsafe_code(path: &str, code: &str, report: Report) {
    if !UNSAFE_FILES.iter().any(|(file, _)| *file == path) {
        for at in words(code, "unsafe") {
            report(line_of(code, at), "unsafe code stands in few listed files, each with its reason".to_owned());
        }
    }
}

fn page_first(path: &str, text: &str, report: Report) {
    let opening = if path.ends_with(".rs") { "//! " } else { "// " };
    if !text.starts_with(opening) {
        report(1, format!("a file opens with its page: `{opening}` what it is for, its key idea, its units"));
    }
}

fn length(path: &str, text: &str, report: Report) {
    let lines = text.lines().count();
    if lines > LONGEST_FILE_LINES && !LONGER_FILES.iter().any(|(file, _)| *file == path) {
        report(lines, format!("{lines} lines; a file over {LONGEST_FILE_LINES} holds two things: split it"));
    }
}

fn unfinished(text: &str, report: Report) {
    for mark in [concat!("todo", "!"), concat!("unimplemented", "!"), concat!("TO", "DO"), concat!("FIX", "ME")] {
        for at in words(text, mark) {
            report(line_of(text, at), format!("unfinished: `{mark}`; a stub is not landed"));
        }
    }
}

fn names(path: &str, report: Report) {
    let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    if ["util", "utils", "common", "helper", "helpers", "misc"].contains(&stem) {
        report(1, format!("the name `{stem}` says nothing: a file is named for what it holds"));
    }
}

fn machine_paths(text: &str, report: Report) {
    let folders = [
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/tmp/v", "env"),
    ];
    for folder in folders {
        for (at, _) in text.match_indices(folder) {
            // `https://host/work/` and `a/home/` are not absolute.
            if !text[..at].ends_with(|before: char| before.is_alphanumeric() || ".-_*/".contains(before)) {
                report(line_of(text, at), format!("the path `{folder}` belongs to one machine"));
            }
        }
    }
}

fn registries(text: &str, report: Report) {
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("source = ") && !line.contains("registry+https://github.com/rust-lang/") {
            report(number + 1, "packages come from the Rust registry, so that any clone builds".to_owned());
        }
    }
}

/// Where `word` stands as a whole word.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let after = &text[at + word.len()..];
        let goes_on = word.ends_with(part_of_word) && after.starts_with(part_of_word);
        !text[..at].ends_with(part_of_word) && !goes_on
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

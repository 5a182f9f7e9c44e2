//! What keeps the tree readable, enforced: who may import whom, who may print, how long a file may be.
//!
//! [`rules`] judges one file at a time and gives the rule's reason, so that the message says why; here the tree is
//! walked, and every rule is shown a made-up source that breaks it.

mod lexer;
mod rules;

use std::path::{Path, PathBuf};

use rules::violations;

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "shaders", "tests", "benches", "datasets", ".ci"] {
        collect(&root.join(folder), &mut files);
    }
    files
        .extend(["README.md", "Cargo.toml", "Cargo.lock", ".clippy.toml", ".rustfmt.toml"].map(|file| root.join(file)));
    assert!(files.len() > 30, "found only {} files: the walk is broken", files.len());
    let mut found = Vec::new();
    for file in files {
        // Binary fixtures have no text to judge.
        if let Ok(text) = std::fs::read_to_string(&file) {
            let path = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            found.extend(violations(&path, &text));
        }
    }
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_code_map_names_every_room() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rooms: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(rooms.len() >= 9, "{rooms:?}");
    for room in rooms {
        assert!(page.contains(&format!("| [`{room}`] |")), "src/lib.rs: the code map lacks `{room}`");
        assert!(rules::may_import(room).is_some(), "tidy: the import table lacks `{room}`");
    }
}

/// A file whose only fault is the planted one is refused with that rule's reason, and a good one is not.
#[test]
fn every_rule_objects() {
    let good = "//! A page.\nuse crate::fixed::exp2;\n// crate::cli in a comment\nconst A: &str = \"println!\";\n";
    assert_eq!(violations("src/model/made_up.rs", good), Vec::<String>::new());

    let long = format!("//! A page.\n{}", "fn line() {}\n".repeat(rules::LONGEST_FILE_LINES));
    let home = format!("//! Reads {}user/fleet.\n", concat!("/ho", "me/"));
    let wrong: &[(&str, &str, &str)] = &[
        ("src/model/x.rs", "//! Page.\nuse crate::fleet::scan;\n", "`model` may not use `fleet`"),
        ("src/model/x.rs", "//! Page.\nuse crate::{fixed::exp2, backend::cpu};\n", "`model` may not use `backend`"),
        ("src/fixed/x.rs", "//! Page.\nfn f() { crate::run::Control::silent(); }\n", "`fixed` may not use `run`"),
        ("src/score/x.rs", "//! Page.\nuse super::super::cli::args;\n", "`score` may not use `cli`"),
        ("src/engine/x.rs", "//! Page.\nuse wgpu::Device;\n", "only backend/gpu names wgpu"),
        ("src/backend/cpu/x.rs", "//! Page.\nfn f() { println!(\"x\"); }\n", "only cli prints"),
        ("src/fleet/x.rs", "//! Page.\nfn f() { std::io::stderr(); }\n", "only cli prints"),
        ("src/fleet/x.rs", concat!("//! Page.\nfn f() { to", "do!() }\n"), "unfinished"),
        ("src/fleet/x.rs", concat!("//! Page.\n// FIX", "ME later\n"), "unfinished"),
        ("src/fleet/x.rs", "use std::fmt;\n", "opens with its page"),
        ("shaders/x.wgsl", "fn f() {}\n", "opens with its page"),
        ("src/fleet/x.rs", &long, "lines"),
        ("src/fleet/x.rs", &home, "belongs to one machine"),
        ("src/fleet/util.rs", "//! Page.\n", "says nothing"),
        ("src/fleet/x.rs", "//! Page.\nfn f() { unsafe { g() } }\n", "unsafe"),
        ("Cargo.lock", "source = \"registry+https://registry.invalid/index\"\n", "Rust registry"),
    ];
    for (path, text, reason) in wrong {
        let found = violations(path, text);
        assert!(found.len() == 1 && found[0].contains(reason), "{path}: wanted one {reason:?}, got {found:?}");
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

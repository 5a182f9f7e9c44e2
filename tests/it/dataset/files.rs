//! Which files a specification names.

use std::path::Path;

use fleetwear::fleet::dictionary::Files;
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::files::{SourceFile, resolve};

fn touch(base: &Path, names: &[&str]) {
    for name in names {
        let path = base.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }
}

fn found(base: &Path, spec: &str) -> Result<Vec<SourceFile>, FleetError> {
    resolve(&Files { spec: spec.to_string(), base: base.to_path_buf() })
}

#[track_caller]
fn names(base: &Path, spec: &str) -> Vec<String> {
    let files = found(base, spec).unwrap();
    files.iter().map(|file| file.path.strip_prefix(base).unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn one_file_glob_folder_and_list() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    touch(
        base,
        &[
            "h/b.parquet",
            "h/a.parquet",
            "h/sub/c.PARQUET",
            "h/notes.txt",
            "h/000000_0",
            "h/.hidden.parquet",
            "h/_SUCCESS",
            "h/_temporary/d.parquet",
            "h/.tmp/e.parquet",
        ],
    );
    assert_eq!(names(base, "h/a.parquet"), ["h/a.parquet"]);
    assert_eq!(names(base, "h/*.parquet"), ["h/a.parquet", "h/b.parquet"]);
    assert_eq!(names(base, "h/**/*.[pP]*"), ["h/a.parquet", "h/b.parquet", "h/sub/c.PARQUET"]);
    assert_eq!(names(base, "h"), ["h/000000_0", "h/a.parquet", "h/b.parquet", "h/sub/c.PARQUET"]);
    std::fs::write(base.join("h/list.txt"), "# the good ones\n\nsub/c.PARQUET\r\n  a.parquet  \na.parquet\n").unwrap();
    assert_eq!(names(base, "@h/list.txt"), ["h/a.parquet", "h/sub/c.PARQUET"]);
}

#[test]
fn partitions_are_columns_and_hidden_ones_count() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("run=7");
    touch(
        &base,
        &[
            "h/date=2024-01-01/zone=a%2Fb%3D1/x.parquet",
            "h/date=__HIVE_DEFAULT_PARTITION__/zone=%zz/x.parquet",
            "h/_k=1/x.parquet",
        ],
    );
    let files = found(&base, "h").unwrap();
    let partitions: Vec<_> = files.iter().map(|file| file.partitions.clone()).collect();
    let pair = |key: &str, value: Option<&str>| (key.to_string(), value.map(str::to_string));
    assert_eq!(
        partitions,
        [
            vec![pair("_k", Some("1"))],
            vec![pair("date", Some("2024-01-01")), pair("zone", Some("a/b=1"))],
            vec![pair("date", None), pair("zone", Some("%zz"))],
        ]
    );
}

#[test]
fn empty_matches_and_stale_lists_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    touch(base, &["h/_a.parquet", "e/readme.md"]);
    std::fs::write(base.join("list.txt"), "gone.parquet\n").unwrap();
    std::fs::write(base.join("none.txt"), "# nothing\n").unwrap();
    for spec in ["h", "e", "h/*.parquet", "absent.parquet", "absent/**", "@none.txt"] {
        let error = found(base, spec).unwrap_err();
        assert!(matches!(&error, FleetError::NoFiles { spec: named, .. } if named == spec), "{spec}: {error}");
    }
    let error = found(base, "@list.txt").unwrap_err().to_string();
    assert!(error.contains("gone.parquet: is not a file, though"), "{error}");
    assert!(matches!(found(base, "@absent.txt").unwrap_err(), FleetError::Io { .. }));
    assert!(matches!(found(base, "h/[.parquet").unwrap_err(), FleetError::BadPath { .. }));
}

#[test]
fn lakehouse_tables_are_refused_unless_listed() {
    let cases = [
        ("Delta Lake", "_delta_log/00000000000000000000.json"),
        ("Iceberg", "metadata/v1.metadata.json"),
        ("Hudi", ".hoodie/hoodie.properties"),
        ("Paimon", "snapshot/snapshot-1"),
    ];
    for (format, marker) in cases {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        touch(base, &["t/data/day=1/a.parquet", &format!("t/{marker}"), "t/schema/schema-0"]);
        for spec in ["t", "t/data", "t/**/*.parquet", "*/data/*/*.parquet", "t/data/day=1/*.parquet", "**/*.parquet"] {
            match found(base, spec) {
                Err(FleetError::Lakehouse { format: named, folder, .. }) => {
                    assert_eq!((named, folder.file_name()), (format, Some("t".as_ref())), "{spec}");
                }
                other => panic!("{format}: {spec}: {other:?}"),
            }
        }
        std::fs::write(base.join("list.txt"), "t/data/day=1/a.parquet\n").unwrap();
        assert_eq!(names(base, "@list.txt"), ["t/data/day=1/a.parquet"]);
        let message = found(base, "t").unwrap_err().to_string();
        assert!(message.contains("@list.txt"), "{message}");
    }
}

/// Folders that only look similar.
#[test]
fn plain_folders_are_not_tables() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    touch(base, &["t/a.parquet", "t/metadata/notes.json", "t/snapshot/x"]);
    assert_eq!(names(base, "t/*.parquet"), ["t/a.parquet"]);
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_refused_and_links_to_files_taken() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    touch(base, &["outside/a.parquet", "h/b.parquet"]);
    std::os::unix::fs::symlink(base.join("outside/a.parquet"), base.join("h/linked.parquet")).unwrap();
    assert_eq!(names(base, "h"), ["h/b.parquet", "h/linked.parquet"]);
    std::os::unix::fs::symlink(base.join("outside"), base.join("h/zone=..%2Foutside")).unwrap();
    let error = found(base, "h").unwrap_err().to_string();
    assert!(error.contains("is a link to a folder"), "{error}");
}

//! Recognises folders that are tables of a lakehouse: their data files hold deleted rows too, and only the table's
//! log knows which files count.

use std::path::Path;

use super::error::FleetError;

struct Format {
    name: &'static str,
    is_here: fn(&Path) -> bool,
    /// How to get the list of current files.
    recipe: &'static str,
}

const FORMATS: [Format; 4] = [
    Format {
        name: "Delta Lake",
        is_here: |folder| folder.join("_delta_log").is_dir(),
        recipe: "python: open('list.txt', 'w').write('\\n'.join(deltalake.DeltaTable(folder).file_uris())), \
                 after REORG TABLE ... APPLY (PURGE) if it has deletion vectors",
    },
    Format {
        name: "Iceberg",
        is_here: |folder| holds(&folder.join("metadata"), |name| name.ends_with(".metadata.json")),
        recipe: "DuckDB: copy (select file_path from iceberg_metadata('folder') where content = 'DATA' and status <> \
                 'DELETED') to 'list.txt' (header false); compact the table first if it has delete files",
    },
    Format {
        name: "Hudi",
        is_here: |folder| folder.join(".hoodie").is_dir(),
        recipe: "Spark: spark.read.format('hudi').load(folder).inputFiles(), after compaction if it is merge-on-read",
    },
    Format {
        name: "Paimon",
        is_here: |folder| {
            folder.join("schema").is_dir() && holds(&folder.join("snapshot"), |name| name.starts_with("snapshot-"))
        },
        recipe: "Spark or Flink SQL: select file_path from `table$files`, after compaction if it has a primary key",
    },
];

fn holds(folder: &Path, is_wanted: fn(&str) -> bool) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_wanted))
}

/// Refuses a folder that is such a table.
pub(super) fn refuse(folder: &Path) -> Result<(), FleetError> {
    match FORMATS.iter().find(|format| (format.is_here)(folder)) {
        None => Ok(()),
        Some(format) => {
            Err(FleetError::Lakehouse { folder: folder.to_path_buf(), format: format.name, recipe: format.recipe })
        }
    }
}

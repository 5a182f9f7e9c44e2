//! Writes the rows of the scores: parts in parallel, one content hash.

use arrow::datatypes::SchemaRef;
use rayon::prelude::*;

use super::error::EngineError;
use crate::fleet::writer::content::BLOCK_ROWS;
use crate::fleet::writer::part::ROWS_PER_PART;
use crate::fleet::writer::{ContentHasher, OutputFolder, TableSpec};
use crate::run::{Control, Event};
use crate::score::output::{SORT_COLUMNS, ScoreRows, UNBOUNDED_COLUMNS, UNIQUE_COLUMNS};

/// Rows made at a time by one thread.
const BATCH_ROWS: usize = 1 << 13;
/// Parts to aim at, so that a few threads have something to do even for a small fleet.
const PARTS: usize = 16;

/// Rows of a part, from the number of rows alone: a whole number of hash blocks.
fn rows_per_part(rows: usize) -> usize {
    let block = BLOCK_ROWS as usize;
    rows.div_ceil(PARTS).next_multiple_of(block).clamp(block, ROWS_PER_PART)
}

/// How the table is written. `provenance` goes into every file's metadata.
pub fn table(schema: &SchemaRef, provenance: Vec<(String, String)>, rows: usize) -> TableSpec {
    let vehicle = schema.field(0).name().as_str();
    let sort_columns: Vec<&str> = std::iter::once(vehicle).chain(SORT_COLUMNS).collect();
    let mut spec = TableSpec::new("scores", SchemaRef::clone(schema), &sort_columns);
    spec.key_value_metadata = provenance;
    spec.rows_per_part = rows_per_part(rows);
    spec.unique_columns = UNIQUE_COLUMNS.map(str::to_owned).to_vec();
    spec.unbounded_columns = UNBOUNDED_COLUMNS.map(str::to_owned).to_vec();
    spec
}

/// Makes all rows on the current rayon pool, writes them if there is a folder, and gives their content hash.
pub fn write_scores(
    rows: &ScoreRows,
    folder: Option<(&OutputFolder, &TableSpec)>,
    control: &Control,
) -> Result<String, EngineError> {
    let total = rows.rows();
    let part_rows = rows_per_part(total);
    control.emit(Event::Stage { name: "write", total_rows: Some(total as u64) });
    let parts: Vec<ContentHasher> = (0..total.div_ceil(part_rows).max(1))
        .into_par_iter()
        .map(|part| {
            let mut hasher = ContentHasher::new(SchemaRef::clone(rows.schema()))?;
            let mut writer =
                folder.map(|(folder, spec)| folder.part_writer(&spec.part_path(part), spec)).transpose()?;
            let end = total.min((part + 1) * part_rows);
            let mut row = part * part_rows;
            while row < end {
                control.check()?;
                let next = end.min(row + BATCH_ROWS);
                let batch = rows.batch(row..next)?;
                hasher.update(&batch)?;
                if let Some(writer) = &mut writer {
                    writer.write(&batch)?;
                }
                control.emit(Event::Rows((next - row) as u64));
                row = next;
            }
            if let Some(writer) = writer {
                writer.close()?;
            }
            Ok(hasher)
        })
        .collect::<Result<_, EngineError>>()?;
    let mut whole = ContentHasher::new(SchemaRef::clone(rows.schema()))?;
    for part in &parts {
        whole.append(part)?;
    }
    Ok(whole.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_blocks() {
        for rows in [0, 1, 65_535, 65_536, 65_537, 1_048_576, 10_000_000, 1_000_000_000] {
            let part_rows = rows_per_part(rows);
            assert_eq!(part_rows % BLOCK_ROWS as usize, 0, "{rows}");
            assert!((BLOCK_ROWS as usize..=ROWS_PER_PART).contains(&part_rows), "{rows}");
        }
        assert_eq!((rows_per_part(160_000), rows_per_part(10_000_000)), (65_536, 655_360));
    }
}

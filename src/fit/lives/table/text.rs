//! Text tables: UTF-8, with or without byte order mark, UTF-16 with one, or GB 18030 (which holds GBK); cells apart by
//! comma, semicolon or tab, whichever splits the first lines best.

use std::path::Path;

use super::{Cell, Rows, Source};
use crate::fit::lives::error::LivesError;

/// Lines by which the delimiter is judged.
const SAMPLE_LINES: usize = 20;

/// The header, the text as UTF-8, and the delimiter.
pub(super) fn open(path: &Path, bytes: &[u8]) -> Result<(Vec<String>, String, u8), LivesError> {
    let unreadable = |problem: String| LivesError::Unreadable { file: path.to_path_buf(), problem };
    let text = decoded(bytes).map_err(unreadable)?;
    let delimiter = delimiter(&text);
    let mut reader = reader(&text, delimiter);
    let header = reader.headers().map_err(|error| unreadable(error.to_string()))?;
    let columns = header.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_owned()).collect();
    Ok((columns, text, delimiter))
}

/// The wanted cells of every line below the header.
pub(super) fn cells(source: &Source, text: &str, delimiter: u8, wanted: &[usize]) -> Result<Rows, LivesError> {
    let mut rows = Rows::new(wanted.len());
    let mut reader = reader(text, delimiter);
    let mut record = csv::StringRecord::new();
    loop {
        let more = reader.read_record(&mut record).map_err(|error| source.unreadable(error.to_string()))?;
        if !more {
            return Ok(rows);
        }
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != source.columns.len() {
            return Err(LivesError::Row {
                file: source.path.clone(),
                row_word: source.row_word,
                row: line,
                problem: format!("it has {} cells, the header has {}", record.len(), source.columns.len()),
            });
        }
        rows.numbers.push(line);
        for (column, &at) in rows.cells.iter_mut().zip(wanted) {
            column.push(Cell::of_text(record.get(at).unwrap_or_default()));
        }
    }
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes())
}

fn decoded(bytes: &[u8]) -> Result<String, String> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, broken) = encoding.decode_without_bom_handling(&bytes[mark..]);
        if broken {
            return Err(format!("its byte order mark says {}, and it is not", encoding.name()));
        }
        return Ok(text.into_owned());
    }
    let problem = match std::str::from_utf8(bytes) {
        Ok(text) => return if text.contains('\0') { Err(NO_TEXT.to_owned()) } else { Ok(text.to_owned()) },
        Err(problem) => problem,
    };
    let (text, broken) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
    if broken || text.contains('\0') {
        return Err(format!("{NO_TEXT}: neither UTF-8 (byte {}) nor GBK", problem.valid_up_to()));
    }
    Ok(text.into_owned())
}

const NO_TEXT: &str = "it is no text, no xlsx workbook and no Parquet file";

/// The delimiter that gives the first lines most cells, all lines the same number.
fn delimiter(text: &str) -> u8 {
    let sample_end = text.match_indices('\n').nth(SAMPLE_LINES).map_or(text.len(), |(at, _)| at + 1);
    let cells = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(&text.as_bytes()[..sample_end]);
        let widths: Vec<usize> =
            reader.records().filter_map(Result::ok).map(|record| record.len()).filter(|&width| width > 0).collect();
        let header = widths.first().copied().unwrap_or(0);
        let alike = widths.iter().filter(|&&width| width == header).count();
        // An even table beats a wide one: "12,5" in a table with semicolons splits some lines only.
        (header > 1, alike * 100 / widths.len().max(1), header)
    };
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|&delimiter| cells(delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_told_apart() {
        assert_eq!(delimiter("a,b\n1,2\n"), b',');
        assert_eq!(delimiter("hours;event\n12,5;1\n3;0\n"), b';');
        assert_eq!(delimiter("a\tb,c\n1\t2\n"), b'\t');
        assert_eq!(delimiter("hours\n12\n"), b',');
        assert_eq!(delimiter("\"a;b;c;d\",e\n1,2\n"), b',');
    }

    #[test]
    fn encodings_are_told_apart() {
        let header = "里程,状态\n100,失效\n";
        let (gbk, _, _) = encoding_rs::GBK.encode(header);
        let with_mark = [b"\xef\xbb\xbf", header.as_bytes()].concat();
        let wide: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(header.encode_utf16().flat_map(|unit| unit.to_le_bytes())).collect();
        for bytes in [header.as_bytes(), &with_mark, &gbk, &wide] {
            assert_eq!(decoded(bytes).unwrap(), header);
        }
        assert!(decoded(b"\x89PNG\r\n\x1a\n\0\0").unwrap_err().contains("no text"));
        assert!(decoded(b"a,b\n1,\xff\xff\n").unwrap_err().contains("byte 6"));
    }
}

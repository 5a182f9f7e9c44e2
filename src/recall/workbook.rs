//! A workbook of tables, as spreadsheet programs open it: a zip of XML parts, stored as they are.
//!
//! Numbers are numbers. Texts are inline; one that a spreadsheet might take for a formula (it begins with `=`, `+`, `-`,
//! `@`, a tab or a line end) gets an apostrophe before it, as OWASP's ASVS 1.2.10 asks. What XML cannot hold is left out.
//! The same tables give the same bytes: dates in the zip are all 1980-01-01. A sheet holds at most 1,048,576 rows; what is
//! more is left out, and a last row says so. Source: ECMA-376 parts 1 and 2; PKWARE's APPNOTE.

use super::fleet_tables::{Sheet, Value};

/// Rows of a sheet, the heading and the last word included.
const MOST_ROWS: usize = 1_048_576;
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/// The bytes of an xlsx file.
pub fn workbook(sheets: &[Sheet]) -> Vec<u8> {
    let numbers = || 1..=sheets.len();
    let types: String = numbers()
        .map(|at| format!("<Override PartName=\"/xl/worksheets/sheet{at}.xml\" ContentType=\"{TYPE}.worksheet+xml\"/>"))
        .collect();
    let listed: String = numbers()
        .zip(sheets)
        .map(|(at, sheet)| format!("<sheet name=\"{}\" sheetId=\"{at}\" r:id=\"rId{at}\"/>", sheet.name))
        .collect();
    let linked: String = numbers()
        .map(|at| {
            format!("<Relationship Id=\"rId{at}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{at}.xml\"/>")
        })
        .collect();
    let mut parts = vec![
        (
            "[Content_Types].xml".to_owned(),
            format!(
                "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"{TYPE}.sheet.main+xml\"/>{types}</Types>"
            ),
        ),
        (
            "_rels/.rels".to_owned(),
            format!(
                "<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{listed}</sheets></workbook>"),
        ),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{linked}</Relationships>"),
        ),
    ];
    parts.extend(numbers().zip(sheets).map(|(at, sheet)| (format!("xl/worksheets/sheet{at}.xml"), part(sheet))));
    zip(&parts)
}

fn part(sheet: &Sheet) -> String {
    let mut xml = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>");
    let headings: Vec<Value> = sheet.headings.iter().map(|heading| Value::Text(Some(heading.clone()))).collect();
    let left_out = sheet.rows.len().saturating_sub(MOST_ROWS - 1);
    let shown = if left_out > 0 { MOST_ROWS - 2 } else { sheet.rows.len() };
    let last = vec![Value::Text(Some(format!("{} more rows: see the Parquet file", sheet.rows.len() - shown)))];
    let rows = std::iter::once(&headings).chain(&sheet.rows[..shown]).chain((left_out > 0).then_some(&last));
    for (row, cells) in rows.enumerate() {
        xml.push_str(&format!("<row r=\"{}\">", row + 1));
        for (column, value) in cells.iter().enumerate() {
            cell(&mut xml, &format!("{}{}", letters(column), row + 1), value);
        }
        xml.push_str("</row>");
    }
    xml.push_str("</sheetData></worksheet>");
    xml
}

fn cell(xml: &mut String, place: &str, value: &Value) {
    match value {
        Value::Text(Some(text)) if !text.is_empty() => xml.push_str(&format!(
            "<c r=\"{place}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
            escaped(&harmless(text))
        )),
        Value::Number(Some(number)) if number.is_finite() => {
            xml.push_str(&format!("<c r=\"{place}\"><v>{number}</v></c>"));
        }
        Value::Whole(Some(number)) => xml.push_str(&format!("<c r=\"{place}\"><v>{number}</v></c>")),
        Value::Truth(truth) => xml.push_str(&format!("<c r=\"{place}\" t=\"b\"><v>{}</v></c>", u8::from(*truth))),
        _ => {}
    }
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\0') => format!("'{text}"),
        _ => text.to_owned(),
    }
}

/// XML's own characters spelled out, what it cannot hold left out.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A, B … Z, AA …
fn letters(column: usize) -> String {
    let mut rest = column + 1;
    let mut letters = Vec::new();
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    letters.into_iter().rev().collect()
}

/// A zip of stored files.
fn zip(files: &[(String, String)]) -> Vec<u8> {
    let table = crc_table();
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let (offset, size) = (bytes.len() as u32, content.len() as u32);
        let mut header = Vec::new();
        // Version 2.0, names in UTF-8, stored, 00:00 on 1980-01-01.
        for word in [20_u16, 0x0800, 0, 0, 0x21] {
            header.extend(word.to_le_bytes());
        }
        for word in [crc(&table, content.as_bytes()), size, size] {
            header.extend(word.to_le_bytes());
        }
        header.extend((name.len() as u16).to_le_bytes());
        header.extend(0_u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&header);
        bytes.extend(name.as_bytes());
        bytes.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&header);
        // No comment, first disk, no attributes.
        directory.extend([0_u8; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (begin, length, count) = (bytes.len() as u32, directory.len() as u32, files.len() as u16);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(begin.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

/// CRC-32 of zip, a byte at a time.
fn crc_table() -> [u32; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |rest, _| if rest & 1 == 1 { rest >> 1 ^ 0xEDB8_8320 } else { rest >> 1 })
    })
}

fn crc(table: &[u32; 256], bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |rest, byte| rest >> 8 ^ table[((rest ^ u32::from(*byte)) & 0xFF) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};

    #[test]
    fn another_reader_finds_what_was_written() {
        let text = |text: &str| Value::Text(Some(text.to_owned()));
        let sheets = [
            Sheet {
                name: "vehicles",
                headings: vec!["车架号".to_owned(), "count".to_owned(), "in_service".to_owned()],
                rows: vec![
                    vec![text("=1+1"), Value::Number(Some(2.5)), Value::Truth(true)],
                    vec![text("<a & \"b\">\u{1}"), Value::Whole(Some(-7)), Value::Truth(false)],
                    vec![Value::Text(None), Value::Number(Some(f64::NAN)), Value::Truth(true)],
                ],
            },
            Sheet { name: "empty", headings: vec!["x".to_owned()], rows: Vec::new() },
        ];
        let bytes = workbook(&sheets);
        assert_eq!(bytes, workbook(&sheets));
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(bytes)).unwrap();
        assert_eq!(book.sheet_names(), ["vehicles", "empty"]);
        let range = book.worksheet_range("vehicles").unwrap();
        let cell = |row: usize, column: usize| range.get((row, column)).cloned().unwrap_or(Data::Empty);
        assert_eq!(cell(0, 0), Data::String("车架号".to_owned()));
        assert_eq!(cell(1, 0), Data::String("'=1+1".to_owned()));
        assert_eq!((cell(1, 1), cell(1, 2)), (Data::Float(2.5), Data::Bool(true)));
        assert_eq!((cell(2, 0), cell(2, 1)), (Data::String("<a & \"b\">".to_owned()), Data::Float(-7.0)));
        assert_eq!((cell(3, 0), cell(3, 1)), (Data::Empty, Data::Empty));
    }

    #[test]
    fn parts_of_the_format_are_as_published() {
        // The check value of CRC-32.
        assert_eq!(crc(&crc_table(), b"123456789"), 0xCBF4_3926);
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(letters), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
        for text in ["=x", "+1", "-1", "@x", "\tx", "\rx"] {
            assert!(harmless(text).starts_with('\''), "{text:?}");
        }
        assert_eq!(harmless("L0417"), "L0417");
    }
}

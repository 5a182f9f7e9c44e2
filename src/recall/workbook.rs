//! A workbook of tables, as spreadsheet programs open it: a zip of XML parts, stored as they are.
//!
//! Numbers are numbers. Texts are inline; one that a spreadsheet might take for a formula (it begins with `=`, `+`, `-`,
//! `@`, a tab or a line end) gets an apostrophe before it, as OWASP's ASVS 1.2.10 asks. What XML cannot hold is left out.
//! The same tables give the same bytes: dates in the zip are all 1980-01-01. Source: ECMA-376 parts 1 and 2; PKWARE's
//! APPNOTE.
//!
//! | limit | what is beyond it |
//! |---|---|
//! | 1,048,576 rows of a sheet | goes on in a sheet of the same name with (2), (3) … |
//! | 256 MiB of a table's XML, so that the zip stays far below 4 GiB and memory below a gigabyte | is left out; the last row and [`Cut`] say how much |
//! | 32,767 letters of a cell, in UTF-16 units | is cut off with …; [`Cut`] says in how many cells |
//! | whole numbers beyond 2^53 | stand as text |

use super::fleet_tables::{Sheet, Value};

/// What a spreadsheet program takes.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Of a sheet, the heading and the last word included.
    rows: usize,
    /// Of a table's XML.
    bytes: usize,
    /// Of a cell, in UTF-16 units.
    letters: usize,
}

const LIMITS: Limits = Limits { rows: 1_048_576, bytes: 256 << 20, letters: 32_767 };
/// Beyond it a floating point number, which a spreadsheet has alone, does not hold every whole number.
const EXACT: u64 = 1 << 53;
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/// What of the tables the workbook does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Tables of which rows are left out, and how many.
    pub rows: Vec<(&'static str, usize)>,
    /// Cells whose texts are cut off.
    pub cells: usize,
}

/// The bytes of an xlsx file, and what it does not hold.
pub fn workbook(sheets: &[Sheet]) -> (Vec<u8>, Cut) {
    workbook_within(sheets, &LIMITS)
}

fn workbook_within(sheets: &[Sheet], limits: &Limits) -> (Vec<u8>, Cut) {
    let mut zip = Zip::default();
    let (mut cut, mut names) = (Cut::default(), Vec::new());
    for sheet in sheets {
        let (mut row, mut bytes, mut piece) = (0, 0, 1);
        loop {
            let (xml, next) = part(sheet, row, limits.bytes.saturating_sub(bytes), limits, &mut cut);
            names.push(if piece == 1 { sheet.name.to_owned() } else { format!("{} ({piece})", sheet.name) });
            zip.add(&format!("xl/worksheets/sheet{}.xml", names.len()), &xml);
            (row, bytes, piece) = (next, bytes + xml.len(), piece + 1);
            if row >= sheet.rows.len() || cut.rows.iter().any(|(name, _)| *name == sheet.name) {
                break;
            }
        }
    }
    let numbers = || 1..=names.len();
    let types: String = numbers()
        .map(|at| format!("<Override PartName=\"/xl/worksheets/sheet{at}.xml\" ContentType=\"{TYPE}.worksheet+xml\"/>"))
        .collect();
    let listed: String = numbers()
        .zip(&names)
        .map(|(at, name)| format!("<sheet name=\"{name}\" sheetId=\"{at}\" r:id=\"rId{at}\"/>"))
        .collect();
    let linked: String = numbers()
        .map(|at| {
            format!("<Relationship Id=\"rId{at}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{at}.xml\"/>")
        })
        .collect();
    zip.add("[Content_Types].xml", &format!(
        "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"{TYPE}.sheet.main+xml\"/>{types}</Types>"
    ));
    zip.add("_rels/.rels", &format!(
        "<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    ));
    zip.add(
        "xl/workbook.xml",
        &format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{listed}</sheets></workbook>"),
    );
    zip.add(
        "xl/_rels/workbook.xml.rels",
        &format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{linked}</Relationships>"),
    );
    (zip.finish(), cut)
}

/// A sheet of a table's rows from `first` on, and the first row that it does not hold.
fn part(sheet: &Sheet, first: usize, bytes: usize, limits: &Limits, cut: &mut Cut) -> (String, usize) {
    let mut xml = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>");
    let headings: Vec<Value> = sheet.columns.iter().map(|(heading, _)| Value::Text(Some(heading.clone()))).collect();
    cut.cells += row(&mut xml, 1, &headings, limits.letters);
    let (mut next, mut written) = (first, 1);
    // One row is kept for the last word.
    while next < sheet.rows.len() && written + 1 < limits.rows {
        written += 1;
        if xml.len() > bytes {
            let left = sheet.rows.len() - next;
            let word = Value::Text(Some(format!("{left} more rows: see the Parquet file")));
            row(&mut xml, written, &[word], limits.letters);
            cut.rows.push((sheet.name, left));
            break;
        }
        cut.cells += row(&mut xml, written, &sheet.rows[next], limits.letters);
        next += 1;
    }
    xml.push_str("</sheetData></worksheet>");
    (xml, next)
}

/// How many of its cells had to be cut off.
fn row(xml: &mut String, number: usize, cells: &[Value], most: usize) -> usize {
    xml.push_str(&format!("<row r=\"{number}\">"));
    let cut = |(column, value): (usize, &Value)| cell(xml, &format!("{}{number}", letters(column)), value, most);
    let cut = cells.iter().enumerate().map(cut).filter(|&is_cut| is_cut).count();
    xml.push_str("</row>");
    cut
}

/// Whether its text had to be cut off.
fn cell(xml: &mut String, place: &str, value: &Value, most: usize) -> bool {
    let mut is_cut = false;
    match value {
        Value::Text(Some(text)) if !text.is_empty() => {
            let text = harmless(text);
            let short = shortened(&text, most);
            is_cut = short.is_some();
            xml.push_str(&format!(
                "<c r=\"{place}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
                escaped(short.as_deref().unwrap_or(&text))
            ));
        }
        Value::Number(Some(number)) if number.is_finite() => {
            xml.push_str(&format!("<c r=\"{place}\"><v>{number}</v></c>"));
        }
        Value::Whole(Some(number)) if number.unsigned_abs() > EXACT => {
            xml.push_str(&format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{number}</t></is></c>"));
        }
        Value::Whole(Some(number)) => xml.push_str(&format!("<c r=\"{place}\"><v>{number}</v></c>")),
        Value::Truth(Some(truth)) => {
            xml.push_str(&format!("<c r=\"{place}\" t=\"b\"><v>{}</v></c>", u8::from(*truth)));
        }
        _ => {}
    }
    is_cut
}

/// A text that is too long for a cell, as far as it goes, and an ellipsis.
fn shortened(text: &str, most: usize) -> Option<String> {
    if text.len() <= most || text.encode_utf16().count() <= most {
        return None;
    }
    let mut units = 1;
    let kept = text.chars().take_while(|letter| {
        units += letter.len_utf16();
        units <= most
    });
    Some(kept.chain(['…']).collect())
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

/// A zip of stored files, while they are added.
#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    files: u16,
}

impl Zip {
    /// All together stay below 4 GiB by [`LIMITS`].
    fn add(&mut self, name: &str, content: &str) {
        let (offset, size) = (self.bytes.len() as u32, content.len() as u32);
        let mut header = Vec::new();
        // Version 2.0, names in UTF-8, stored, 00:00 on 1980-01-01.
        for word in [20_u16, 0x0800, 0, 0, 0x21] {
            header.extend(word.to_le_bytes());
        }
        for word in [crc(&crc_table(), content.as_bytes()), size, size] {
            header.extend(word.to_le_bytes());
        }
        header.extend((name.len() as u16).to_le_bytes());
        header.extend(0_u16.to_le_bytes());
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&header);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content.as_bytes());
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(20_u16.to_le_bytes());
        self.directory.extend(&header);
        // No comment, first disk, no attributes.
        self.directory.extend([0_u8; 10]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.files += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        let (begin, length) = (self.bytes.len() as u32, self.directory.len() as u32);
        self.bytes.extend(self.directory);
        self.bytes.extend(b"PK\x05\x06\0\0\0\0");
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(begin.to_le_bytes());
        self.bytes.extend(0_u16.to_le_bytes());
        self.bytes
    }
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

    use crate::recall::fleet_tables::Kind;

    fn text(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }

    fn open(bytes: Vec<u8>) -> Xlsx<std::io::Cursor<Vec<u8>>> {
        calamine::open_workbook_from_rs(std::io::Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let column = |name: &str, kind| (name.to_owned(), kind);
        let sheets = [
            Sheet {
                name: "vehicles",
                columns: vec![
                    column("车架号", Kind::Text),
                    column("count", Kind::Number),
                    column("in_service", Kind::Truth),
                ],
                rows: vec![
                    vec![text("=1+1"), Value::Number(Some(2.5)), Value::Truth(Some(true))],
                    vec![text("<a & \"b\">\u{1}"), Value::Whole(Some(-7)), Value::Truth(Some(false))],
                    vec![Value::Text(None), Value::Number(Some(f64::NAN)), Value::Truth(None)],
                    vec![Value::Whole(Some(9_007_199_254_740_993)), Value::Number(Some(1e-7)), Value::Truth(None)],
                ],
            },
            Sheet { name: "empty", columns: vec![column("x", Kind::Text)], rows: Vec::new() },
        ];
        let (bytes, cut) = workbook(&sheets);
        assert_eq!((&bytes, &cut), (&workbook(&sheets).0, &Cut::default()));
        let mut book = open(bytes);
        assert_eq!(book.sheet_names(), ["vehicles", "empty"]);
        let range = book.worksheet_range("vehicles").unwrap();
        let cell = |row: usize, column: usize| range.get((row, column)).cloned().unwrap_or(Data::Empty);
        assert_eq!(cell(0, 0), Data::String("车架号".to_owned()));
        assert_eq!(cell(1, 0), Data::String("'=1+1".to_owned()));
        assert_eq!((cell(1, 1), cell(1, 2)), (Data::Float(2.5), Data::Bool(true)));
        assert_eq!((cell(2, 0), cell(2, 1)), (Data::String("<a & \"b\">".to_owned()), Data::Float(-7.0)));
        assert_eq!((cell(3, 0), cell(3, 1), cell(3, 2)), (Data::Empty, Data::Empty, Data::Empty));
        assert_eq!((cell(4, 0), cell(4, 1)), (Data::String("9007199254740993".to_owned()), Data::Float(1e-7)));
    }

    /// Sheets of ten rows and cells of eight letters: nothing is lost but what is told.
    #[test]
    fn what_is_beyond_the_limits_goes_on_elsewhere_or_is_told() {
        let rows: Vec<Vec<Value>> = (0..25).map(|row| vec![text(&format!("V{row}"))]).collect();
        let long = vec![vec![text("车车车车车车车车车")], vec![text("😀😀😀😀😀")], vec![text("12345678")]];
        let column = || vec![("x".to_owned(), Kind::Text)];
        let sheets = [
            Sheet { name: "vehicles", columns: column(), rows },
            Sheet { name: "long", columns: column(), rows: long },
        ];
        let limits = Limits { rows: 10, bytes: 1 << 20, letters: 8 };
        let (bytes, cut) = workbook_within(&sheets, &limits);
        assert_eq!(cut, Cut { rows: Vec::new(), cells: 2 });
        let mut book = open(bytes);
        assert_eq!(book.sheet_names(), ["vehicles", "vehicles (2)", "vehicles (3)", "vehicles (4)", "long"]);
        let mut found = Vec::new();
        for name in ["vehicles", "vehicles (2)", "vehicles (3)", "vehicles (4)"] {
            let range = book.worksheet_range(name).unwrap();
            assert!(range.height() <= 10);
            assert_eq!(range.get((0, 0)).unwrap().to_string(), "x", "each has its headings");
            found.extend(range.rows().skip(1).map(|row| row[0].to_string()));
        }
        assert_eq!(found, (0..25).map(|row| format!("V{row}")).collect::<Vec<_>>());
        let range = book.worksheet_range("long").unwrap();
        let cells: Vec<String> = range.rows().skip(1).map(|row| row[0].to_string()).collect();
        assert_eq!(cells, ["车车车车车车车…", "😀😀😀…", "12345678"]);
        let (bytes, cut) = workbook_within(&sheets, &Limits { bytes: 1_000, letters: 99, ..limits });
        let (name, left) = cut.rows[0];
        assert!(name == "vehicles" && left > 5 && left < 25, "{cut:?}");
        let mut book = open(bytes);
        let names = book.sheet_names();
        let last = names.iter().rfind(|name| name.starts_with("vehicles")).unwrap();
        let range = book.worksheet_range(last).unwrap();
        assert_eq!(range.rows().next_back().unwrap()[0].to_string(), format!("{left} more rows: see the Parquet file"));
        assert!(names.contains(&"long".to_owned()), "the other tables are whole");
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

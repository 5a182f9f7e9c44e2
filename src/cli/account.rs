//! The row account as people read it: what came in, and where every row went.

use std::path::Path;

use super::console::Console;
use super::exit::Exit;
use super::table::{Table, count};
use super::values::MaxBad;
use super::words::Word;
use crate::fleet::manifest::ManifestAccount;
use crate::fleet::scan::UnreadableFile;
use crate::fleet::tables::TableRows;

/// The account as lines: rows, then cells.
pub fn text(account: &ManifestAccount, console: &Console) -> String {
    let mut text = rows(account, console);
    if !account.not_available.is_empty() {
        let headings = [Word::Channel, Word::NotAvailable, Word::Cells, Word::Share].map(|word| console.word(word));
        let mut cells = Table::new(&headings);
        for (channel, reasons) in &account.not_available {
            for (reason, &number) in reasons {
                let share = 100.0 * number as f64 / account.scored.max(1) as f64;
                cells.row([channel.clone(), reason.clone(), count(number), format!("{share:.3} %")]);
            }
        }
        text.push('\n');
        text.push_str(&cells.text());
    }
    text
}

/// Where the rows went, as lines.
pub fn rows(account: &ManifestAccount, console: &Console) -> String {
    let mut rows = Table::new(&[console.word(Word::Rows), "", ""]);
    let mut line = |what: Word, reason: &str, number: u64| {
        rows.row([console.word(what).to_owned(), reason.to_owned(), count(number)]);
    };
    line(Word::RowsIn, "", account.rows_in);
    line(Word::Scored, "", account.scored);
    for (reason, &number) in &account.quarantined {
        line(Word::Quarantined, reason, number);
    }
    for (reason, &number) in &account.skipped {
        line(Word::Skipped, reason, number);
    }
    rows.text()
}

/// A file of which no row counts: where, how many rows if known, why.
pub type Unreadable<'a> = (&'a Path, Option<u64>, &'a str);

/// Whether a finished run had more bad rows than allowed, and says so: the histories and each small table by itself, so
/// that the many rows of the one cannot hide those of the other. A file of unknown length cannot be shown to stay below
/// the limit, so it counts as beyond.
pub fn verdict(
    account: &ManifestAccount,
    tables: &[TableRows],
    unreadable: &[Unreadable],
    max_bad: MaxBad,
    console: &Console,
) -> Exit {
    let mut exit = Exit::Ok;
    for TableRows { table, rows_in, quarantined } in tables {
        if max_bad.exceeded(*quarantined, *rows_in) {
            let (bad, all) = (count(*quarantined), count(*rows_in));
            let share = 100.0 * *quarantined as f64 / (*rows_in).max(1) as f64;
            console.warning(&format!(
                "{bad} of {all} rows of the table {table} ({share:.2} %) are quarantined: more than --max-bad {max_bad}; \
                 `fleetwear check` says why"
            ));
            exit = Exit::BadRows;
        }
    }
    let quarantined: u64 = account.quarantined.values().sum();
    for (path, _, problem) in unreadable {
        console.warning(&format!("{}: left out: {problem}", path.display()));
    }
    let unknown = unreadable.iter().filter(|(_, rows, _)| rows.is_none()).count();
    if unknown == 0 && !max_bad.exceeded(quarantined, account.rows_in) {
        return exit;
    }
    let mut text = format!("{} of {} rows are quarantined", count(quarantined), count(account.rows_in));
    if unknown > 0 {
        text.push_str(&format!(", and {unknown} unreadable files hold nobody knows how many"));
    }
    console.warning(&format!("{text}: more than --max-bad {max_bad}"));
    Exit::BadRows
}

/// Says which files were left out of what a command shows of the data; no limit of bad rows applies there.
pub fn left_out(files: &[UnreadableFile], console: &Console) -> Exit {
    for UnreadableFile { path, problem, .. } in files {
        console.warning(&format!("{}: left out: {problem}", path.display()));
    }
    if files.is_empty() { Exit::Ok } else { Exit::BadRows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Language;

    #[test]
    fn a_file_of_unknown_length_is_beyond_any_limit() {
        let console = Console::new(false, true, Language::En);
        let file = |rows| -> [Unreadable<'static>; 1] { [(Path::new("bad.parquet"), rows, "no footer")] };
        let mut account = ManifestAccount { rows_in: 1000, scored: 1000, ..ManifestAccount::default() };
        assert_eq!(verdict(&account, &[], &[], MaxBad::Rows(0), &console), Exit::Ok);
        assert_eq!(verdict(&account, &[], &file(None), MaxBad::Percent(100.0), &console), Exit::BadRows);
        account.quarantined.insert("unreadable_file".to_owned(), 10);
        account.scored = 990;
        assert_eq!(verdict(&account, &[], &file(Some(10)), MaxBad::Percent(1.0), &console), Exit::Ok);
        assert_eq!(verdict(&account, &[], &file(Some(10)), MaxBad::Rows(9), &console), Exit::BadRows);
    }

    #[test]
    fn every_table_has_its_own_share() {
        let console = Console::new(false, true, Language::En);
        let account = ManifestAccount { rows_in: 1_000_000, scored: 1_000_000, ..ManifestAccount::default() };
        let table = |table: &str, quarantined| TableRows { table: table.to_owned(), rows_in: 200, quarantined };
        let verdict = |tables: &[TableRows], max_bad| verdict(&account, tables, &[], max_bad, &console);
        assert_eq!(verdict(&[table("vehicles", 2), table("events", 2)], MaxBad::Percent(1.0)), Exit::Ok);
        assert_eq!(verdict(&[table("vehicles", 0), table("events", 3)], MaxBad::Percent(1.0)), Exit::BadRows);
        assert_eq!(verdict(&[table("joins.weather", 3)], MaxBad::Rows(2)), Exit::BadRows);
    }
}

//! Tables as people keep them: the same lives from CSV in every encoding and with every delimiter, xlsx and Parquet give
//! the same fit; rows that are no lives are set aside by reason; errors name file, row and column.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use fleetwear::fit::lives::law::Law;
use fleetwear::fit::lives::plan::Layout;
use fleetwear::fit::lives::report::LivesReport;

use super::workbook::workbook;
use super::{close, fitted, law, outside, parameter, run};

const ROWS: [(&str, &str, &str); 6] = [
    ("1200", "失效", "2"),
    ("1500.5", "在用", "3"),
    ("2100", "失效", "1"),
    ("900", "失效", "1"),
    ("2600", "在用", "4"),
    ("3100", "失效", "1"),
];

fn text(delimiter: &str, decimal: &str) -> String {
    let mut text = ["里程(km)", "状态", "数量"].join(delimiter) + "\r\n";
    for (age, event, count) in ROWS {
        text.push_str(&([&age.replace('.', decimal), event, count].join(delimiter) + "\r\n"));
    }
    text
}

fn parquet() -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("数量", Arc::new(ROWS.iter().map(|row| row.2.parse::<i64>().unwrap()).collect::<Int64Array>())),
        ("状态", Arc::new(ROWS.iter().map(|row| Some(row.1)).collect::<StringArray>())),
        ("里程(km)", Arc::new(ROWS.iter().map(|row| row.0.parse::<f64>().unwrap()).collect::<Float64Array>())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// What must not depend on the file's form.
fn content(report: &LivesReport) -> String {
    serde_json::to_string(&(&report.groups, report.rows_in, report.rows_used)).unwrap()
}

#[test]
fn every_form_of_a_table_gives_the_same_fit() {
    let plain = text(",", ".");
    let (gbk, _, unmapped) = encoding_rs::GBK.encode(&plain);
    assert!(!unmapped);
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(plain.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let cells: Vec<Vec<&str>> = std::iter::once(vec!["里程(km)", "状态", "数量"])
        .chain(ROWS.iter().map(|row| vec![row.0, row.1, row.2]))
        .collect();
    let rows: Vec<&[&str]> = cells.iter().map(Vec::as_slice).collect();
    let files: [(&str, Vec<u8>); 8] = [
        ("plain.csv", plain.clone().into_bytes()),
        ("mark.csv", [b"\xef\xbb\xbf", plain.as_bytes()].concat()),
        ("gbk.csv", gbk.into_owned()),
        ("wide.txt", wide),
        ("semicolon.csv", text(";", ",").into_bytes()),
        ("tab.tsv", text("\t", ".").into_bytes()),
        ("book.xlsx", workbook(&[("Sheet1", &rows)])),
        ("table.parquet", parquet()),
    ];
    let mut contents = Vec::new();
    for (name, bytes) in files {
        let report = fitted(&bytes, name, |_| {}).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((report.rows_in, report.rows_used, report.groups[0].lives), (6, 6, 12.0), "{name}");
        assert_eq!(
            report.columns.iter().map(|one| (one.option, one.guessed)).collect::<Vec<_>>(),
            [("--time", true), ("--event", true), ("--count", true)]
        );
        contents.push(content(&report));
    }
    assert!(contents.iter().all(|one| *one == contents[0]));
}

#[test]
fn sheets_are_named_and_empty_rows_passed_over() {
    let first: &[&[&str]] = &[&["note"], &["nothing here"]];
    let second: &[&[&str]] = &[&["hours", "event"], &["10", "1"], &[], &["20", "1"], &["35", "0"], &["40", "1"]];
    let book = workbook(&[("cover", first), ("lives", second)]);
    let report = fitted(&book, "book.xlsx", |plan| plan.sheet = Some("lives".to_owned())).unwrap();
    assert_eq!((report.rows_in, report.groups[0].failures), (4, 3.0));
    let error = fitted(&book, "book.xlsx", |plan| plan.sheet = Some("livs".to_owned())).unwrap_err().to_string();
    assert!(error.contains("did you mean \"lives\""), "{error}");
    let error = fitted(&book, "book.xlsx", |_| {}).unwrap_err().to_string();
    assert!(error.contains("--time") && error.contains("\"note\""), "{error}");
    assert!(fitted(&book[..book.len() / 2], "half.xlsx", |_| {}).is_err());
    assert!(fitted(&parquet()[..200], "half.parquet", |_| {}).is_err());
}

#[test]
fn rows_that_are_no_lives_are_set_aside_by_reason() {
    let table = "time,event,entry,count\n\
                 10,1,0,1\n20,0,0,2\n,1,0,1\nabc,1,0,1\n-5,1,0,1\n0,1,0,1\n0,0,0,1\n7,1,7,1\n8,0,9,1\n9,,0,1\n12,1,0,0\n13,1,0,1.5\n14,1,-1,1\n15,1,2,\n30,1,5,1\n";
    let report = fitted(table.as_bytes(), "odd.csv", |_| {}).unwrap();
    let got: Vec<(&str, u64, u64)> = report.set_aside.iter().map(|one| (one.reason, one.rows, one.first)).collect();
    let want = [
        ("no time", 1, 4),
        ("time is not a number", 1, 5),
        ("time below zero", 1, 6),
        ("failed at age zero, to which these laws give no chance", 1, 7),
        ("censored at or before its entry: watched for no time", 2, 8),
        ("failed at or before its entry: not watched then", 1, 9),
        ("entry is not a number of zero or more", 1, 14),
        ("count is not a whole number of zero or more", 2, 13),
        ("count zero", 1, 12),
        ("no event", 1, 11),
    ];
    assert_eq!(got, want);
    assert_eq!((report.rows_in, report.rows_used), (15, 3));
    assert_eq!(got.iter().map(|one| one.1).sum::<u64>() + report.rows_used, report.rows_in);
}

#[test]
fn intervals_are_read_with_and_without_an_event_column() {
    let with = "lower,upper,event\n5,5,1\n3,8,3\n,4,2\n9,,0\n10,12,0\n";
    let without = "lower,upper\n5,5\n3,8\n,4\n9,\n10,inf\n";
    let [with, without] = [with, without].map(|table| fitted(table.as_bytes(), "table.csv", |_| {}).unwrap());
    assert_eq!(content(&with), content(&without));
    let group = &with.groups[0];
    assert_eq!((group.lives, group.failures, group.interval_failures), (5.0, 3.0, 2.0));
    let error = fitted(b"time,event\n3,interval\n", "table.csv", |_| {}).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("--upper"), "{error}");
}

#[test]
fn errors_name_the_file_the_row_the_column_and_what_to_do() {
    let cases: [(&str, &[&str]); 8] = [
        ("when,what\n1,2\n", &["--time", "\"when\", \"what\""]),
        ("time,event\n5,Faild\n", &["line 2", "column \"event\"", "did you mean \"failed\"", "--failed"]),
        ("time,event\n5,1,3\n", &["line 2", "3 cells", "2"]),
        ("time,censored\n5,1\n", &["may mean", "--censored 1"]),
        ("time,event\n", &["no rows below the header"]),
        ("time,event\n0,1\n", &["no row holds a life", "age zero"]),
        ("", &["no header"]),
        ("time,event\n5,start\n", &["--unit"]),
    ];
    for (table, words) in cases {
        let error = fitted(table.as_bytes(), "bad.csv", |_| {}).unwrap_err().to_string();
        assert!(error.contains("bad.csv") && words.iter().all(|word| error.contains(word)), "{table:?}: {error}");
    }
    let error =
        fitted(b"hours,status\n5,1\n", "t.csv", |plan| plan.names.time = Some("houres".to_owned())).unwrap_err();
    assert!(error.to_string().contains("did you mean \"hours\""), "{error}");
    let twice = |plan: &mut fleetwear::fit::lives::LivesPlan| {
        (plan.names.time, plan.names.entry) = (Some("a".to_owned()), Some("a".to_owned()));
    };
    assert!(fitted(b"a,event\n5,1\n", "t.csv", twice).unwrap_err().to_string().contains("both name column"));
}

/// Whoever names the failures' codes says that all others are censored, and the other way round.
#[test]
fn codes_may_be_named() {
    let table = b"time,status\n5,warranty\n6,scrapped\n7,sold\n9,warranty\n";
    for (failed, censored) in [("warranty", ""), ("", "scrapped sold")] {
        let report = fitted(table, "table.csv", |plan| {
            plan.codes.failed = failed.split_whitespace().map(str::to_owned).collect();
            plan.codes.censored = censored.split_whitespace().map(str::to_owned).collect();
        });
        assert_eq!(report.unwrap().groups[0].failures, 2.0);
    }
    let censored = |plan: &mut fleetwear::fit::lives::LivesPlan| plan.codes.censored = vec!["1".to_owned()];
    let report = fitted(b"time,censored\n5,1\n6,0\n8,1.0\n9,0\n", "table.csv", censored).unwrap();
    assert_eq!(report.groups[0].failures, 2.0);
}

/// Groups in the order of their numbers; modes beside each other, and their log-likelihoods in the joint one.
#[test]
fn groups_and_modes_are_fitted_apart() {
    let mut table = "hours,event,plant,mode\n".to_owned();
    for (plant, shift) in [("10", 0.0), ("9", 40.0)] {
        for at in 1..=12 {
            let mode = if at % 3 == 0 { "seal" } else { "bearing" };
            table.push_str(&format!(
                "{},1,{plant},{mode}\n{},0,{plant},\n",
                10.0 * f64::from(at) + shift,
                95.0 + shift
            ));
        }
    }
    let report = fitted(table.as_bytes(), "plants.csv", |plan| {
        (plan.names.by, plan.names.mode) = (Some("plant".to_owned()), Some("mode".to_owned()));
    })
    .unwrap();
    let names: Vec<_> =
        report.groups.iter().map(|group| (group.group.as_str(), group.mode.as_deref(), group.failures)).collect();
    assert_eq!(
        names,
        [
            ("9", None, 12.0),
            ("9", Some("bearing"), 8.0),
            ("9", Some("seal"), 4.0),
            ("10", None, 12.0),
            ("10", Some("bearing"), 8.0),
            ("10", Some("seal"), 4.0),
        ]
    );
    assert!(report.groups.iter().all(|group| group.lives == 24.0));
    let joint = report.groups[0].joint.iter().find(|joint| joint.law == Law::Weibull).unwrap();
    let [bearing, seal] = [&report.groups[1], &report.groups[2]].map(|group| law(group, Law::Weibull));
    assert!(close(joint.ln_likelihood, bearing.ln_likelihood + seal.ln_likelihood, 1e-12));
    // At the joint B10 nine of ten have survived both.
    let age = joint.ages.iter().find(|(name, _)| name == "B10").unwrap().1;
    let hazard = |fitted: &fleetwear::fit::lives::estimate::Fitted| {
        let [shape, life] = ["shape", "characteristic_life"].map(|name| parameter(fitted, name).estimate.unwrap());
        libm::pow(age / life, shape)
    };
    assert!(close(libm::exp(-hazard(bearing) - hazard(seal)), 0.9, 1e-9));
    // The exponential hazards add up exactly.
    let rate =
        |group: usize| 1.0 / parameter(law(&report.groups[group], Law::Exponential), "mean_life").estimate.unwrap();
    assert!(close(rate(0), rate(1) + rate(2), 1e-12));
    // Whether the plants differ: of exponential laws in closed form, from failures r and total time T, 2 Σ r ln(r/T).
    let between = report.between_groups.iter().find(|test| test.law == Law::Exponential).unwrap();
    let term = |failures: f64, time: f64| failures * libm::log(failures / time);
    let times = [0, 3].map(|group| 12.0 / rate(group));
    let want = 2.0 * (term(12.0, times[0]) + term(12.0, times[1]) - term(24.0, times[0] + times[1]));
    assert!(close(between.likelihood_ratio, want, 1e-9) && between.degrees == 1, "{between:?} {want}");
    assert!(close(between.p, libm::erfc((0.5 * want).sqrt()), 1e-12), "{between:?}");
    assert_eq!(report.between_groups.iter().map(|test| test.degrees).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn numbers_are_read_as_people_write_them_and_dates_are_told_apart() {
    let table = "time,event\n\"12,500\",1\n\"1,234.5\",1\n1e3,1\n\"12,50\",1\n2024-01-31,1\n2024年1月,1\n2024.5,0\n";
    let report = fitted(table.as_bytes(), "table.csv", |_| {}).unwrap();
    let got: Vec<(&str, u64, u64)> = report.set_aside.iter().map(|one| (one.reason, one.rows, one.first)).collect();
    let date = "time is a date, not an age: take the days since the sale";
    assert_eq!(got, [("time is not a number", 1, 5), (date, 2, 6)]);
    let ages: Vec<f64> = report.groups[0].curve.steps.iter().map(|step| step.age).collect();
    assert_eq!(ages, [1000.0, 1234.5, 12500.0]);
}

/// Tables damaged anywhere, in any form, end in a report or in an error, and in no panic.
#[test]
fn damaged_tables_never_panic() {
    let header = std::iter::once(vec!["里程(km)", "状态", "数量"]);
    let cells: Vec<Vec<&str>> = header.chain(ROWS.iter().map(|row| vec![row.0, row.1, row.2])).collect();
    let rows: Vec<&[&str]> = cells.iter().map(Vec::as_slice).collect();
    let forms =
        [("a.csv", text(",", ".").into_bytes()), ("a.xlsx", workbook(&[("s", &rows)])), ("a.parquet", parquet())];
    let mut state = 12345_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut reports, mut errors) = (0, 0);
    for (name, sound) in &forms {
        for _ in 0..150 {
            let mut bytes = sound.clone();
            for _ in 0..=draw(3) {
                let at = draw(bytes.len());
                match draw(4) {
                    0 => bytes[at] ^= 1 << draw(8),
                    1 => bytes[at] = draw(256) as u8,
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, b",;\t\n\"9-.e\0"[draw(10)]),
                }
            }
            let layouts = [Layout::Lives, Layout::Lives, Layout::Lives, Layout::Recurrent, Layout::Nevada];
            let layout = layouts[draw(5)];
            match fitted(&bytes, name, |plan| (plan.layout, plan.unit) = (layout, Some("状态".to_owned()))) {
                Ok(report) => {
                    let set_aside: u64 = report.set_aside.iter().map(|one| one.rows).sum();
                    assert_eq!(report.rows_in, report.rows_used + set_aside);
                    reports += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    errors += 1;
                }
            }
        }
    }
    println!("{reports} damaged tables were read, {errors} refused");
    assert!(reports > 20 && errors > 200, "{reports} {errors}");
}

/// Every published table is read as it is; those of no lives say what they lack.
#[test]
fn published_tables_are_read_as_they_are() {
    let test = "published_tables_are_read_as_they_are";
    let Some(folder) = outside(test, "lifetimes") else { return };
    let tables = [
        ("automotive.csv", 31.0, 10.0),
        ("bearingcage.csv", 1703.0, 6.0),
        ("electronics.csv", 4082.0, 10.0),
        ("fan.csv", 70.0, 12.0),
        ("locomotivecontrol.csv", 96.0, 37.0),
        ("shockabsorber.csv", 38.0, 11.0),
        ("r_imotor.csv", 40.0, 17.0),
        ("printedcircuitboard.csv", 278.0, 219.0),
    ];
    let mut read = 0;
    for (file, lives, failures) in tables {
        let report = run(&folder.join(file), |_| {}).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((report.groups[0].lives, report.groups[0].failures), (lives, failures), "{file}");
        assert_eq!(report.rows_in, report.rows_used, "{file}");
        read += 1;
    }
    assert_eq!(read, tables.len());
    let error = run(&folder.join("adhesivebondc.csv"), |plan| plan.names.event = Some("event".to_owned())).unwrap_err();
    assert!(error.to_string().contains("\"event\", which is not there"), "{error}");
}

//! `fleetwear fit --lifetimes` as a user meets it: text, JSON, Chinese, the output folder, exit codes.

use std::path::Path;
use std::process::Command;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;

const LIVES: &str = "hours,event,count,mode\n410,failed,1,seal\n560,failed,1,bearing\n700,censored,12,\n820,failed,2,bearing\n\
                     905,failed,1,seal\n1100,censored,20,\n1240,failed,1,bearing\n1300,censored,30,\n";

fn fleetwear(folder: &Path, arguments: &str) -> (Option<i32>, String, String) {
    let binary = assert_cmd::cargo::cargo_bin!("fleetwear");
    let arguments = arguments.split_whitespace();
    let output =
        Command::new(binary).arg("fit").args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn here(table: &str) -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("lives.csv"), table).unwrap();
    here
}

#[test]
fn the_report_names_columns_rows_laws_and_curve() {
    let here = here(LIVES);
    let (code, text, stderr) = fleetwear(here.path(), "--lifetimes lives.csv --mode mode --at 2000");
    assert_eq!(code, Some(0), "{stderr}");
    let words = [
        "--time",
        "by its name",
        "── any failure",
        "── bearing",
        "── seal",
        "characteristic_life",
        "B10",
        "log_mean",
        "mean_life",
        "F(2000)",
        "log-likelihood",
        "AIC",
        "modes together",
        "constant hazard",
        "cumulative hazard",
        "95 %",
    ];
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    let (code, chinese, _) = fleetwear(here.path(), "--lifetimes lives.csv --lang zh");
    assert_eq!(code, Some(0));
    for word in ["任何失效", "标准误", "对数似然", "在险数", "累积失效率", "按列名识别"] {
        assert!(chinese.contains(word), "no {word:?} in {chinese}");
    }
    let (code, json, _) = fleetwear(here.path(), "--lifetimes lives.csv --json --law weibull");
    assert_eq!(code, Some(0));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["groups"][0]["lives"], 68.0);
    let parameters = &report["groups"][0]["laws"][0]["fitted"]["parameters"];
    assert_eq!(parameters[0]["name"], "shape");
    assert!(parameters[0]["lower"].as_f64() < parameters[0]["estimate"].as_f64());
}

/// The folder holds what was printed, the same bytes each time, and a plot that quotes names.
#[test]
fn the_folder_is_whole_and_repeats() {
    let here = here(&LIVES.replace("bearing", "<b>&\"bearing"));
    let mut hashes = Vec::new();
    for (out, threads) in [("one", "1"), ("two", "4")] {
        let (code, _, stderr) = {
            let binary = assert_cmd::cargo::cargo_bin!("fleetwear");
            let line = format!("fit --lifetimes lives.csv --mode mode --out {out} --json");
            let output = Command::new(binary)
                .args(line.split_whitespace())
                .current_dir(here.path())
                .env("RAYON_NUM_THREADS", threads)
                .output()
                .unwrap();
            (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(code, Some(0), "{stderr}");
        let folder = here.path().join(out);
        assert!(folder.join("_SUCCESS").exists());
        let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["inputs"][0]["rows"], 8);
        let parts: Vec<(String, String)> = manifest["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| (part["path"].as_str().unwrap().to_owned(), part["blake3"].as_str().unwrap().to_owned()))
            .collect();
        hashes.push((manifest["content_hash"].clone(), parts));
    }
    assert_eq!(hashes[0], hashes[1]);
    let folder = here.path().join("one");
    let plots: Vec<_> = std::fs::read_dir(folder.join("plots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(plots.len(), 9, "{plots:?}");
    let quoted = plots.iter().map(|plot| std::fs::read_to_string(plot).unwrap());
    assert_eq!(quoted.filter(|svg| svg.contains("&lt;b&gt;&amp;&quot;bearing") && !svg.contains("<b>")).count(), 3);
    let file = std::fs::File::open(folder.join("estimates/part-00000.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap().clone();
    let (law, parameter) = (column("law"), column("parameter"));
    let shapes = (0..batch.num_rows()).filter(|&row| {
        law.as_string::<i32>().value(row) == "weibull" && parameter.as_string::<i32>().value(row) == "shape"
    });
    assert_eq!(shapes.count(), 3);
    assert!(column("estimate").as_primitive::<Float64Type>().iter().flatten().all(|value| value > 0.0));
    assert_eq!(column("failure_mode").null_count(), batch.num_rows() / 3);
    let (code, _, stderr) = fleetwear(here.path(), "--lifetimes lives.csv --out one");
    assert_eq!(code, Some(6), "{stderr}");
}

#[test]
fn exit_codes_tell_faults_apart() {
    let here = here("hours,event\n5,1\n5,1\n4,0\nx,1\n");
    let long = "hours,event\n1,1\n30,1\n90,1\n".to_owned() + &"60000,0\n".repeat(2000);
    std::fs::write(here.path().join("few.csv"), long).unwrap();
    let cases = [
        ("", 2, "--lifetimes"),
        ("--lifetimes none.csv", 4, "none.csv"),
        ("--lifetimes lives.csv --time houres", 2, "did you mean \"hours\""),
        ("--lifetimes lives.csv --law weibull", 4, "determine no law"),
        ("--lifetimes lives.csv", 5, "1 of 4 rows are set aside"),
        ("--lifetimes lives.csv --max-bad 1", 0, ""),
        ("--lifetimes lives.csv --confidence 100", 2, "--confidence"),
        ("--lifetimes lives.csv --law lognormal --shape 2", 2, "--shape"),
        ("--lifetimes lives.csv --percent 0", 2, "--percent"),
        ("--lifetimes lives.csv --nevada --by event", 2, "cannot be used with"),
        ("--lifetimes few.csv --law weibull", 4, "determine no law"),
        ("--lifetimes few.csv --law weibull-defective", 0, ""),
    ];
    for (arguments, want, words) in cases {
        let (code, text, stderr) = fleetwear(here.path(), arguments);
        assert_eq!(code, Some(want), "{arguments}: {text}{stderr}");
        assert!(stderr.contains(words), "{arguments}: {stderr}");
    }
    let (_, text, _) = fleetwear(here.path(), "--lifetimes few.csv --law weibull");
    assert!(text.contains("not determined by these lives") && text.contains("--law weibull-defective"), "{text}");
    // No life of 10^19 hours is shown.
    assert!(!text.split_whitespace().any(|word| word.parse::<f64>().is_ok_and(|number| number > 1e12)), "{text}");
}

//! `fleetwear init`: drafts a data dictionary from Parquet files.

use std::path::Path;

use super::args::InitArgs;
use super::console::Console;
use super::exit::{CliError, Exit};
use crate::fleet::init::draft;

pub fn run(args: &InitArgs, console: &Console) -> Result<Exit, CliError> {
    // The draft goes to stdout, so paths in it refer to the folder the user stands in.
    let text = draft(&args.source, Path::new("."))?;
    if console.json() {
        console.data_json(&serde_json::json!({ "dataset.toml": text }));
    } else {
        console.data(&text);
    }
    Ok(Exit::Ok)
}

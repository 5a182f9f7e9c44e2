//! `fleetwear devices`: the adapters, their limits, and why each would or would not be taken.

use super::console::Console;
use super::exit::{CliError, Exit};

pub fn run(_console: &Console) -> Result<Exit, CliError> {
    Ok(Exit::Ok)
}

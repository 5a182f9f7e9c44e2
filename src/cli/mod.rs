//! The command line: the only room that prints and knows clap.

/// Parses the arguments, runs the command, and gives the process its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

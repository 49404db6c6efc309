//! Runs of another build's program, for those who compare it with this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::CliError;
use super::chosen::Chosen;

/// The lines of a run as `run --jsonl` writes them, played by another program: header, records and end.
pub(super) fn lines(program: &Path, chosen: &Chosen, seed: u64) -> Result<Vec<String>, CliError> {
    let failed = |cause: std::io::Error| CliError::OtherProgram {
        program: PathBuf::from(program),
        cause,
    };
    let output = Command::new(program)
        .arg("run")
        .args(chosen.arguments(seed))
        .args(["--trace", "full"])
        .output()
        .map_err(failed)?;
    // The codes of a run that was played, however it ended.
    if !matches!(output.status.code(), Some(0 | 10..=14)) {
        let said = String::from_utf8_lossy(&output.stderr);
        let text = format!("{}: {}", output.status, said.trim());
        return Err(failed(std::io::Error::other(text)));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let is_json = |line: &&str| line.starts_with("{\"");
    let lines: Vec<String> = said.lines().filter(is_json).map(str::to_owned).collect();
    match lines.is_empty() {
        true => Err(failed(std::io::Error::other("it printed no trace"))),
        false => Ok(lines),
    }
}

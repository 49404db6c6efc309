//! `cargo fidelity`: plays the cases in the laboratory and prints how like its client each preset
//! is.
//!
//! Exit code 0 if all are equal, 1 if one differs, 2 for wrong arguments or files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rmq_fidelity::compare::{CLIENTS, PresetComparison};
use rmq_producer::Policy;

/// Compares presets with what the real clients did under scripted faults.
#[derive(Debug, Parser)]
#[command(name = "fidelity")]
struct Arguments {
    /// Only this preset.
    #[arg(long)]
    policy: Option<String>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    case: String,
    /// Where cases and references are.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fidelity"))]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compare(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("fidelity: {problem}");
            ExitCode::from(2)
        }
    }
}

fn compare(arguments: &Arguments) -> Result<bool, String> {
    let wanted = |name: &str| {
        arguments
            .policy
            .as_deref()
            .is_none_or(|policy| policy == name)
    };
    let chosen: Vec<_> = CLIENTS.iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        let names = CLIENTS.map(|(name, _)| name).join(", ");
        return Err(format!(
            "no recordings for that policy; there are some for {names}"
        ));
    }
    let mut equal = true;
    for (name, recorded) in chosen {
        let preset = Policy::preset(name).map_err(|error| error.to_string())?;
        let table = PresetComparison::of(&arguments.folder, &preset, recorded, &arguments.case);
        let table = table.map_err(|error| error.to_string())?;
        println!("{table}");
        equal &= table.totals().1 == 0;
    }
    Ok(equal)
}

//! `rocketmq-sim manual`: the command line as pages for `man`.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use super::{Cli, CliError, print};
use crate::verdict::Class;

/// Where the pages go.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write the page of the program and one for each command into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// The command line of the installed program. A page is the help.
fn command() -> clap::Command {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    command
}

/// Prints the page of the installed program, or writes all pages.
pub(super) fn manual(args: &Args) -> Result<Class, CliError> {
    let broken = |file: PathBuf| move |cause| CliError::Write { file, cause };
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        let rendered = Man::new(command()).render(&mut page);
        rendered.map_err(|cause| CliError::Output { cause })?;
        print::to_stdout(&String::from_utf8_lossy(&page))?;
        return Ok(Class::Pass);
    };
    std::fs::create_dir_all(folder).map_err(broken(folder.clone()))?;
    clap_mangen::generate_to(command(), folder).map_err(broken(folder.clone()))?;
    Ok(Class::Pass)
}

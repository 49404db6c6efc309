//! The program around a mock server on a real port: what its command line has in common with the
//! other's, its log, its rules, and how it is told to stop.

mod signals;

use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use rmq_remoting::command::HeaderForm;
use rmq_remoting::profile::Profile;
use serde::de::DeserializeOwned;

use crate::rules::{Control, NoControl, RuleBook};

pub use signals::{Signals, Told};

/// The options that every mock server has.
#[derive(Debug, Args)]
pub struct ServerOptions {
    /// The release to imitate: 4.9.7, 5.2.0 or 5.3.3.
    #[arg(long, default_value_t = Profile::default(), value_name = "RELEASE")]
    pub profile: Profile,
    /// The form of the headers in answers. Both forms are always read.
    #[arg(long, default_value = "json")]
    pub respond: Form,
    /// Rules for misbehaving, as `[[rule]]` tables: name, when, times, then.
    #[arg(long, value_name = "FILE.toml")]
    pub rules: Option<PathBuf>,
    /// Log every request as well.
    #[arg(long, short)]
    pub verbose: bool,
    /// Print the page of this program for `man`, and start nothing.
    #[arg(long)]
    pub manual: bool,
}

/// How the headers of answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// JSON, as a real server by default.
    Json,
    /// The binary form that RocketMQ calls ROCKETMQ.
    Rocketmq,
}

impl From<Form> for HeaderForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Json => Self::Json,
            Form::Rocketmq => Self::Rocketmq,
        }
    }
}

/// Reads an address to listen at: host name or address, and port.
///
/// # Errors
///
/// It is none, or its name cannot be resolved; the text is for the command line.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    rmq_host::resolve(text).map_err(|error| error.to_string())
}

/// The rules that a server was started with, if any.
#[derive(Debug)]
pub struct RuleFile<A> {
    read: Option<(PathBuf, Arc<RuleBook<A>>)>,
}

impl<A> RuleFile<A>
where
    A: Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads the file that the command line names.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a mistake; the text says which and where.
    pub fn open(path: Option<&Path>) -> Result<Self, String> {
        let read =
            |path: &Path| -> Result<_, String> { Ok((path.to_owned(), Arc::new(read(path)?))) };
        Ok(Self {
            read: path.map(read).transpose()?,
        })
    }

    /// What decides about requests: the rules, or nothing.
    pub fn control(&self) -> Arc<dyn Control<A>> {
        match &self.read {
            Some((_, book)) => Arc::<RuleBook<A>>::clone(book),
            None => Arc::new(NoControl),
        }
    }

    /// Serves until the process is told to stop. When it is told to read its rules again, it does;
    /// a file with a mistake changes nothing.
    pub async fn serve(&self, signals: &mut Signals) {
        while let Told::Reload = signals.next().await {
            self.reload();
        }
    }

    fn reload(&self) {
        let Some((path, book)) = &self.read else {
            tracing::info!("there are no rules to read again; the server goes on");
            return;
        };
        match read(path) {
            Ok(rules) => {
                book.replace(rules);
                tracing::info!("the rules are those of {} now", path.display());
            }
            Err(error) => tracing::warn!("the rules stay as they were: {error}"),
        }
    }
}

fn read<A: DeserializeOwned>(path: &Path) -> Result<RuleBook<A>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the rules {}: {error}", path.display()))?;
    RuleBook::from_toml(&text).map_err(|error| error.in_file(path.display()))
}

/// Prints the page of a program for `man`.
pub fn manual(program: clap::Command) -> ExitCode {
    let printed = clap_mangen::Man::new(program).render(&mut io::stdout().lock());
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a server on a runtime of one thread, with its log on standard error. An error is printed, and
/// the process fails.
pub fn run(verbose: bool, server: impl Future<Output = Result<(), String>>) -> ExitCode {
    let level = if verbose {
        tracing::Level::DEBUG
    } else {
        tracing::Level::INFO
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(server),
        Err(error) => Err(format!("no runtime: {error}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

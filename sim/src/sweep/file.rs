//! The file of a sweep: a line that says which sweep it is, then one line for each portion.
//!
//! Lines are written in the order of the seeds, each in one piece, so a file that was cut off is a
//! whole file with less in it, perhaps after the start of a line, which is cut away.
//!
//! A seed means a run only together with the code that draws, plays and checks it. So the first line
//! names the build ([`BUILD`]), and another build neither continues the file nor merges
//! it. Whoever continues a file holds its lock: two sweeps cannot write into one.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{BUILD, Plan, Portion, SeedSource, Shard, Sweep};

/// The version of the format that is written and read. Files of version 1 did not name their build.
const FORMAT: u32 = 2;

/// Which sweep a file is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepHeader {
    /// The version of the format.
    pub format: u32,
    /// The build that ran its seeds: [`BUILD`].
    pub build: String,
    /// The scenario's name and digest, or `generated`.
    pub sweep: String,
    /// The seeds of the whole sweep.
    pub seeds: (u64, u64),
    /// Which shard, of how many; nothing in the file of a whole sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<(u64, u64)>,
}

/// What is wrong with a sweep's file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: cannot be read: {cause}\n  remedy: give the file of a sweep, written by --out", .file.display())]
    Read {
        /// The file that was to be read.
        file: PathBuf,
        /// What reading it failed with.
        cause: io::Error,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {cause}\n  remedy: give a path in a folder that exists and is writable", .file.display())]
    Write {
        /// The file that was to be written.
        file: PathBuf,
        /// What writing it failed with.
        cause: io::Error,
    },
    /// Its text is something else.
    #[error("{}:{line}: {what}\n  remedy: give the file of a sweep, written by --out", .file.display())]
    Form {
        /// The file that is not one of a sweep.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What that line should be and is not.
        what: String,
    },
    /// It is of another sweep.
    #[error("{}: this is the file of another sweep: {what}\n  remedy: name another file, or remove this one", .file.display())]
    Other {
        /// The file that another sweep began.
        file: PathBuf,
        /// The header that the file has, as one line of JSON.
        what: String,
    },
    /// Another build began it.
    #[error(
        "{}: its seeds were run by the build {theirs} of the laboratory, and this one is {ours}; a seed may mean another run now\n  remedy: go on with the build that began it, or start anew in another file",
        .file.display()
    )]
    Build {
        /// The file that the other build began.
        file: PathBuf,
        /// The build that its header names.
        theirs: String,
        /// The build that this program is of.
        ours: &'static str,
    },
    /// Another sweep writes into it.
    #[error("{}: another sweep that still runs writes into this file\n  remedy: wait for its end, or name another file", .file.display())]
    Busy {
        /// The file that the other sweep still writes into.
        file: PathBuf,
    },
    /// Seeds of the sweep are in none of the files that are to be merged.
    #[error(
        "the seeds {from}..{to} are in none of these files\n  remedy: finish their sweep (the same command continues it), and name every shard's file"
    )]
    Missing {
        /// The first seed that is missing.
        from: u64,
        /// The seed after the last.
        to: u64,
    },
}

/// A file as read.
#[derive(Debug)]
pub struct Read {
    /// The first line: which sweep the file is of.
    pub header: SweepHeader,
    /// Its portions, in order.
    pub portions: Vec<Portion>,
    /// The bytes of whole lines.
    whole: u64,
}

impl SweepHeader {
    /// The header of a plan's file.
    pub fn of(plan: &Plan) -> Self {
        Self {
            format: FORMAT,
            build: BUILD.to_owned(),
            sweep: match &plan.source {
                SeedSource::Generated => "generated".to_owned(),
                SeedSource::Given(scenario) => {
                    let digest = blake3::hash(json(scenario.as_ref()).as_bytes()).to_hex();
                    let short: String = digest.chars().take(16).collect();
                    format!("{} {short}", scenario.name)
                }
            },
            seeds: (plan.seeds.start, plan.seeds.end),
            shard: (plan.shard != Shard::WHOLE).then_some((plan.shard.index, plan.shard.of)),
        }
    }

    fn line(&self) -> String {
        line(self)
    }
}

/// A value as JSON. These types are made of numbers and texts, which JSON can always hold.
fn json<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("a value is no JSON: {error}"),
    }
}

/// A value in one line.
fn line<T: Serialize>(value: &T) -> String {
    let mut text = json(value);
    text.push('\n');
    text
}

/// Reads a sweep's file, up to its last whole line.
///
/// # Errors
///
/// It cannot be read, is something else, or another build began it.
pub fn read(file: &Path) -> Result<Read, FileError> {
    read_of_any_build(file)?.of_this_build(file)
}

/// Reads a sweep's file, up to its last whole line, whichever build began it: for who only looks at what
/// was found, as the mutation search does, and does not repeat a seed.
///
/// # Errors
///
/// It cannot be read, or is something else.
pub fn read_of_any_build(file: &Path) -> Result<Read, FileError> {
    let text = fs::read_to_string(file).map_err(|cause| FileError::Read {
        file: file.to_owned(),
        cause,
    })?;
    parse(file, &text)
}

/// Reads the text of a sweep's file, up to its last whole line. Errors name `file`.
///
/// # Errors
///
/// It is something else.
pub fn parse(file: &Path, text: &str) -> Result<Read, FileError> {
    let form = |line, what: String| FileError::Form {
        file: file.to_owned(),
        line,
        what,
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut lines = (1..).zip(text[..whole].lines());
    let (_, first) = lines
        .next()
        .ok_or_else(|| form(1, "the file has no whole line".to_owned()))?;
    let format: Format = serde_json::from_str(first)
        .map_err(|error| form(1, format!("no sweep's header: {error}")))?;
    if format.format != FORMAT {
        let what = format!("format {} is not {FORMAT}, this build's", format.format);
        return Err(form(1, what));
    }
    let header: SweepHeader = serde_json::from_str(first)
        .map_err(|error| form(1, format!("no sweep's header: {error}")))?;
    let mut portions: Vec<Portion> = Vec::new();
    for (number, text) in lines {
        let portion: Portion = serde_json::from_str(text)
            .map_err(|error| form(number, format!("no portion of a sweep: {error}")))?;
        portions.push(portion);
    }
    Ok(Read {
        header,
        portions,
        whole: whole as u64,
    })
}

impl Read {
    /// The same, if this build began the file.
    fn of_this_build(self, file: &Path) -> Result<Self, FileError> {
        if self.header.build == BUILD {
            return Ok(self);
        }
        Err(FileError::Build {
            file: file.to_owned(),
            theirs: self.header.build,
            ours: BUILD,
        })
    }
}

/// What the first line has in every version of the format.
#[derive(Debug, Deserialize)]
struct Format {
    format: u32,
}

/// A sweep's file that lines are added to.
#[derive(Debug)]
pub struct Out {
    path: PathBuf,
    file: File,
}

impl Out {
    /// Opens the file of a plan: a new one, or one that is continued, with what is in it.
    ///
    /// # Errors
    ///
    /// It cannot be written, is the file of something else or of another build, or another sweep
    /// writes into it; it is untouched then.
    pub fn open(path: &Path, plan: &Plan) -> Result<(Self, Vec<Portion>), FileError> {
        let header = SweepHeader::of(plan);
        let writing = |cause| FileError::Write {
            file: path.to_owned(),
            cause,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(writing)?;
        lock(path, &file)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|cause| FileError::Read {
                file: path.to_owned(),
                cause,
            })?;
        let path = path.to_owned();
        if text.is_empty() {
            file.write_all(header.line().as_bytes()).map_err(writing)?;
            return Ok((Self { path, file }, Vec::new()));
        }
        let before = parse(&path, &text)?.of_this_build(&path)?;
        let planned = (0..).map_while(|nth| plan.portion(nth));
        let fits = before
            .portions
            .iter()
            .zip(planned)
            .all(|(portion, seeds)| portion.from == seeds.start && portion.to == seeds.end);
        if before.header != header || !fits {
            return Err(FileError::Other {
                file: path,
                what: before.header.line().trim_end().to_owned(),
            });
        }
        file.set_len(before.whole).map_err(writing)?;
        file.seek(SeekFrom::End(0)).map_err(writing)?;
        Ok((Self { path, file }, before.portions))
    }

    /// Adds a portion.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn add(&mut self, portion: &Portion) -> io::Result<()> {
        let text = line(portion);
        self.file.write_all(text.as_bytes()).map_err(|cause| {
            io::Error::new(cause.kind(), format!("{}: {cause}", self.path.display()))
        })
    }
}

/// Takes the lock of a sweep's file; it is given back when the file is closed, however that comes. A
/// file system without locks guards nothing, and the sweep goes on.
fn lock(path: &Path, file: &File) -> Result<(), FileError> {
    let file_name = || path.to_owned();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(FileError::Busy { file: file_name() }),
        Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(cause)) => Err(FileError::Write {
            file: file_name(),
            cause,
        }),
    }
}

/// Puts the files of all shards together: the text of the unsharded sweep's file, and its result.
///
/// # Errors
///
/// A file is none of a sweep's, of another sweep or of another build, or seeds are missing.
pub fn merge(files: &[PathBuf]) -> Result<(String, SweepHeader, Sweep), FileError> {
    let mut all: BTreeMap<u64, Portion> = BTreeMap::new();
    let mut merged: Option<SweepHeader> = None;
    for file in files {
        let Read {
            mut header,
            portions,
            ..
        } = read(file)?;
        header.shard = None;
        let other = |what: String| FileError::Other {
            file: file.clone(),
            what,
        };
        if *merged.get_or_insert_with(|| header.clone()) != header {
            return Err(other(header.line().trim_end().to_owned()));
        }
        for portion in portions {
            let seeds = format!("seeds {}..{} differ", portion.from, portion.to);
            if let Some(twice) = all.insert(portion.from, portion.clone())
                && twice != portion
            {
                return Err(other(seeds));
            }
        }
    }
    let Some(header) = merged else {
        return Err(FileError::Missing { from: 0, to: 0 });
    };
    let (mut next, end) = header.seeds;
    let mut text = header.line();
    let mut sweep = Sweep::default();
    for portion in all.values() {
        if portion.from != next {
            let (from, to) = (next, portion.from);
            return Err(FileError::Missing { from, to });
        }
        next = portion.to;
        text.push_str(&line(portion));
        sweep.add(portion);
    }
    if next != end {
        return Err(FileError::Missing {
            from: next,
            to: end,
        });
    }
    Ok((text, header, sweep))
}

//! What a kernel did when the table was recorded: data of the project, so that the engine is held
//! to it where no kernel can be asked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::stage::Notes;

/// The record: outcomes by the names of rows.
pub(crate) struct Recorded {
    outcomes: BTreeMap<String, Notes>,
    recording: bool,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tcp_outcomes/kernel.txt")
}

impl Recorded {
    /// Reads the record: a row's name, then its notes, indented.
    pub(crate) fn load() -> Self {
        let text = std::fs::read_to_string(path()).unwrap_or_default();
        let mut outcomes: BTreeMap<String, Notes> = BTreeMap::new();
        let mut name = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("    ") {
                Some(note) => outcomes
                    .entry(name.clone())
                    .or_default()
                    .push(note.to_owned()),
                None => line.clone_into(&mut name),
            }
        }
        let recording = std::env::var_os("TCP_OUTCOMES_RECORD").is_some();
        Self {
            outcomes,
            recording,
        }
    }

    /// The recorded outcome of a row; when recording, the kernel's takes its place.
    pub(crate) fn outcome(&mut self, name: &str, kernel: Option<&Notes>) -> Notes {
        if let (true, Some(kernel)) = (self.recording, kernel) {
            self.outcomes.insert(name.to_owned(), kernel.clone());
        }
        self.outcomes.get(name).cloned().unwrap_or_default()
    }

    /// Writes the record, when recording.
    pub(crate) fn save(&self) {
        if !self.recording {
            return;
        }
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let series: Vec<&str> = release.trim().split(['.', '-']).take(2).collect();
        let mut text = format!("# What Linux {} did with the rows.\n", series.join("."));
        for (name, notes) in &self.outcomes {
            text += &format!("{name}\n");
            for note in notes {
                text += &format!("    {note}\n");
            }
        }
        std::fs::write(path(), text).unwrap();
    }
}

//! What there is to search: the folders of `zoo/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ZooError;

/// A known bug, and the patch that plants it in the sources.
#[derive(Debug, Clone)]
pub struct Bug {
    /// Its number in the catalogue, as its folder is called: `Z06`.
    pub id: String,
    /// What the bug's `bug.toml` says of it.
    pub about: About,
    /// The patch that plants it.
    pub patch: PathBuf,
}

/// What `bug.toml` says of a bug.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What the search calls the bug, in a few words.
    pub name: String,
    /// What goes wrong, in one sentence.
    pub description: String,
    /// Where it was reported: `owner/repository#number`.
    pub citation: Vec<String>,
    /// The invariants of the catalogue that it breaks.
    pub invariants: Vec<String>,
    /// The decision that it spoils.
    pub seam: String,
    /// The files that the patch touches.
    pub files: Vec<String>,
    /// Why generic seeds cannot find it, if they cannot.
    #[serde(default)]
    pub explained: Option<String>,
}

/// All bugs under `root/zoo`, by number.
///
/// # Errors
/// A folder or a description cannot be read.
pub fn catalogue(root: &Path) -> Result<Vec<Bug>, ZooError> {
    let zoo = root.join("zoo");
    let unreadable = |cause| ZooError::File {
        file: zoo.clone(),
        cause,
    };
    let mut bugs = Vec::new();
    for entry in fs::read_dir(&zoo).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if folder.is_dir() {
            bugs.push(read(&folder)?);
        }
    }
    bugs.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(bugs)
}

fn read(folder: &Path) -> Result<Bug, ZooError> {
    let file = folder.join("bug.toml");
    let text = fs::read_to_string(&file).map_err(|cause| ZooError::File {
        file: file.clone(),
        cause,
    })?;
    let about = toml::from_str(&text).map_err(|cause| ZooError::Description { file, cause })?;
    let id = folder.file_name().unwrap_or_default();
    Ok(Bug {
        id: id.to_string_lossy().into_owned(),
        about,
        patch: folder.join("patch.diff"),
    })
}

/// Those of `bugs` that are asked for; all if none is named.
///
/// # Errors
/// One that is asked for is not there.
pub(crate) fn choose(bugs: Vec<Bug>, only: &[String]) -> Result<Vec<Bug>, ZooError> {
    let is = |bug: &Bug, asked: &String| bug.id.eq_ignore_ascii_case(asked);
    if let Some(asked) = only
        .iter()
        .find(|asked| !bugs.iter().any(|bug| is(bug, asked)))
    {
        let known: Vec<&str> = bugs.iter().map(|bug| bug.id.as_str()).collect();
        return Err(ZooError::Unknown {
            asked: asked.clone(),
            known: known.join(", "),
        });
    }
    let wanted = |bug: &Bug| only.is_empty() || only.iter().any(|asked| is(bug, asked));
    Ok(bugs.into_iter().filter(wanted).collect())
}

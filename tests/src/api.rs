//! The public interface of a crate as lines of text, one an item, so that a change of it shows in review.
//!
//! Nothing is compiled for this: the build of the tests, in which this runs, has the libraries already. So
//! Cargo is asked where they are, `rustdoc` reads one crate's own sources beside them and writes what is
//! public as JSON, and `public-api` makes lines of it. That JSON is an unstable format: `rustdoc` must be of
//! the release whose format that version of `public-api` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace;

/// A program of the toolchain that runs these tests.
fn tool(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").map(PathBuf::from);
    let beside = cargo.and_then(|cargo| Some(cargo.parent()?.join(name)));
    beside
        .filter(|it| it.is_file())
        .unwrap_or_else(|| name.into())
}

/// What a program prints, if it succeeds.
fn output(command: &mut Command) -> Result<String, String> {
    let called = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{called}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{called} failed:\n{}", text(&output.stderr)))
    }
}

/// The releases whose JSON the `public-api` of `Cargo.lock` reads.
const READABLE: &str = "1.95.";

/// Why nothing can be said of interfaces here: `rustdoc` is of a release whose format is not known.
///
/// # Errors
///
/// There is no `rustdoc`.
pub fn other_toolchain() -> Result<Option<String>, String> {
    let version = output(Command::new(tool("rustdoc")).arg("--version"))?;
    Ok(is_other(&version))
}

/// Whether the program that says this version of itself writes another format than is read.
pub fn is_other(version: &str) -> Option<String> {
    let runs = version.split_whitespace().nth(1).unwrap_or("unknown");
    (!runs.starts_with(READABLE) || runs.contains('-'))
        .then(|| format!("this is rustdoc {runs}, and the lists are made with {READABLE}x"))
}

/// Which features of a crate are on.
#[derive(Debug, Clone, Copy)]
pub enum Features {
    /// Those that a dependency has without a word.
    Default,
    /// All but these, which are no part of the promise.
    AllBut(&'static [&'static str]),
}

/// What Cargo says of the build that these tests belong to.
#[derive(Debug)]
pub struct Build {
    /// The packages, and what each depends on.
    metadata: Value,
    /// The library of each package, by the package's id.
    libraries: BTreeMap<String, Library>,
    /// What a package's build script gave to its compiler, by the package's id.
    scripts: BTreeMap<String, Value>,
}

/// A library that was built.
#[derive(Debug)]
struct Library {
    file: PathBuf,
    /// The level of optimisation: that of build scripts' dependencies is the lower one.
    level: String,
}

impl Build {
    /// Asks Cargo.
    ///
    /// # Errors
    ///
    /// Cargo fails, or says what this does not understand.
    pub fn of_the_tests() -> Result<Self, String> {
        let cargo = || {
            let mut cargo = Command::new(tool("cargo"));
            cargo.current_dir(workspace());
            cargo
        };
        let mut built = cargo();
        built.args(["test", "--workspace", "--no-run", "--locked", "--quiet"]);
        built.arg("--message-format=json");
        if !cfg!(debug_assertions) {
            built.arg("--release");
        }
        let messages = output(&mut built)?;
        let metadata = output(cargo().args(["metadata", "--format-version=1", "--locked"]))?;
        Self::read(&messages, &metadata)
    }

    /// Reads what Cargo says.
    ///
    /// # Errors
    ///
    /// It is no JSON.
    pub fn read(messages: &str, metadata: &str) -> Result<Self, String> {
        let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|it| it.to_string());
        let mut build = Self {
            metadata: json(metadata)?,
            libraries: BTreeMap::new(),
            scripts: BTreeMap::new(),
        };
        for line in messages.lines() {
            build.take(json(line)?);
        }
        Ok(build)
    }

    /// Takes in one message.
    fn take(&mut self, message: Value) {
        let package = text(&message["package_id"]).to_owned();
        if message["reason"] == "build-script-executed" {
            self.scripts.insert(package, message);
            return;
        }
        let is_test = message["profile"]["test"] == true;
        if message["reason"] != "compiler-artifact" || is_test {
            return;
        }
        let files = list(&message["filenames"]).map(text).map(Path::new);
        let is_library = |it: &&Path| {
            let extension = it.extension().and_then(OsStr::to_str);
            matches!(extension, Some("rlib" | "so" | "dylib" | "dll"))
        };
        let Some(file) = files.clone().find(is_library) else {
            return;
        };
        let library = Library {
            file: file.to_owned(),
            level: text(&message["profile"]["opt_level"]).to_owned(),
        };
        let known = self.libraries.get(&package);
        if known.is_none_or(|known| known.level < library.level) {
            self.libraries.insert(package, library);
        }
    }

    /// The public items of a crate, one a line, each type before what belongs to it, without the
    /// implementations that every type has.
    ///
    /// # Errors
    ///
    /// There is no such crate, or `rustdoc` cannot read it.
    pub fn interface(
        &self,
        krate: &str,
        features: Features,
        out: &Path,
    ) -> Result<Vec<String>, String> {
        let mut rustdoc = self.rustdoc(krate, features)?;
        rustdoc.arg("--out-dir").arg(out);
        output(&mut rustdoc)?;
        let json = out.join(format!("{}.json", krate.replace('-', "_")));
        let interface = public_api::Builder::from_rustdoc_json(json)
            .omit_blanket_impls(true)
            .omit_auto_trait_impls(true)
            .build()
            .map_err(|error| format!("{krate}: {error}"))?;
        Ok(interface.items().map(ToString::to_string).collect())
    }

    /// `rustdoc` as Cargo would call it for a crate of the workspace, with JSON as the output.
    fn rustdoc(&self, krate: &str, features: Features) -> Result<Command, String> {
        let mut packages = list(&self.metadata["packages"]);
        let package = packages
            .find(|it| it["name"] == krate && it["source"].is_null())
            .ok_or_else(|| format!("{krate} is no crate of the workspace"))?;
        let (id, manifest) = (
            text(&package["id"]),
            Path::new(text(&package["manifest_path"])),
        );
        let folder = manifest.parent().unwrap_or(manifest);
        let mut rustdoc = Command::new(tool("rustdoc"));
        rustdoc
            .current_dir(workspace())
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["-Zunstable-options", "--output-format=json"])
            .args(["--crate-type=lib", "--cap-lints=allow"])
            .args(["--edition", text(&package["edition"])])
            .args(["--crate-name", &krate.replace('-', "_")])
            .env("CARGO_MANIFEST_DIR", folder)
            .env("CARGO_PKG_NAME", krate)
            .env("CARGO_PKG_VERSION", text(&package["version"]))
            .arg(folder.join("src/lib.rs"));
        for feature in chosen(&package["features"], features) {
            rustdoc.arg("--cfg").arg(format!("feature=\"{feature}\""));
        }
        for (name, library) in self.dependencies(id) {
            rustdoc
                .arg("--extern")
                .arg(format!("{name}={}", library.file.display()));
        }
        let folders: BTreeSet<&Path> =
            (self.libraries.values().filter_map(|it| it.file.parent())).collect();
        for folder in folders {
            rustdoc
                .arg("-L")
                .arg(format!("dependency={}", folder.display()));
        }
        if let Some(script) = self.scripts.get(id) {
            rustdoc.env("OUT_DIR", text(&script["out_dir"]));
            rustdoc.envs(list(&script["env"]).map(|it| (text(&it[0]), text(&it[1]))));
            for cfg in list(&script["cfgs"]) {
                rustdoc.arg("--cfg").arg(text(cfg));
            }
        }
        Ok(rustdoc)
    }

    /// What a package's library may name: the names, and the libraries that were built.
    fn dependencies(&self, package: &str) -> BTreeMap<&str, &Library> {
        let mut nodes = list(&self.metadata["resolve"]["nodes"]);
        let node = nodes.find(|it| it["id"] == package);
        let dependencies = node.map(|node| list(&node["deps"]));
        let normal = |it: &&Value| list(&it["dep_kinds"]).any(|kind| kind["kind"].is_null());
        let normal = dependencies.into_iter().flatten().filter(normal);
        normal
            .filter_map(|it| Some((text(&it["name"]), self.libraries.get(text(&it["pkg"]))?)))
            .collect()
    }
}

/// The features that are on, of those that a package has.
pub fn chosen(table: &Value, features: Features) -> BTreeSet<String> {
    let table = table.as_object();
    let mut open: Vec<&str> = match features {
        Features::Default => vec!["default"],
        Features::AllBut(left_out) => {
            let names = table.into_iter().flat_map(|it| it.keys());
            let names = names.map(String::as_str);
            names.filter(|it| !left_out.contains(it)).collect()
        }
    };
    let mut found = BTreeSet::new();
    while let Some(feature) = open.pop() {
        // What is not in the table is a dependency, or a feature of one.
        let Some(more) = table.and_then(|table| table.get(feature)) else {
            continue;
        };
        if found.insert(feature.to_owned()) {
            open.extend(list(more).map(text));
        }
    }
    found
}

fn list(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What differs between a committed list and what is there now: `-` for what is gone, `+` for what is new.
pub fn difference(committed: &str, now: &[String]) -> Vec<String> {
    let before: BTreeSet<&str> = committed.lines().collect();
    let after: BTreeSet<&str> = now.iter().map(String::as_str).collect();
    let gone = committed.lines().filter(|line| !after.contains(line));
    let new = now.iter().filter(|line| !before.contains(line.as_str()));
    let gone = gone.map(|line| format!("- {line}"));
    gone.chain(new.map(|line| format!("+ {line}"))).collect()
}

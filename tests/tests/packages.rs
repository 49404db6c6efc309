//! What a stranger gets of each crate: an archive that explains itself, may be used, and can be built
//! without the rest of this project.
//!
//! Each rule returns what breaks it, so that its test can also show a package that it rejects.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Component, Path, PathBuf};

use rmq_tests::{Source, members, sources, workspace};
use toml::{Table, Value};

/// The packages that are published, in the order in which they depend on each other. Another one is a
/// decision: somebody has to keep it.
const PUBLISHED: [&str; 8] = [
    "host",
    "remoting",
    "mock-server",
    "mock-namesrv",
    "mock-broker",
    "producer",
    "sim/engine",
    "sim",
];

/// The categories that the registry knows and that something here belongs to. It ignores all others.
const CATEGORIES: [&str; 6] = [
    "asynchronous",
    "command-line-utilities",
    "development-tools::testing",
    "encoding",
    "network-programming",
    "simulation",
];

/// A member's folder, its manifest, and that of the workspace.
struct Package {
    folder: String,
    own: Table,
    workspace: Table,
}

impl Package {
    fn new(folder: &str, own: &str, workspace: &str) -> Self {
        let table = |text: &str| text.parse::<Table>().expect("a manifest");
        Self {
            folder: folder.to_owned(),
            own: table(own),
            workspace: table(workspace),
        }
    }

    /// A value of `[package]`, which may be that of the workspace.
    fn value(&self, key: &str) -> Option<&Value> {
        let own = self.own.get("package")?.get(key)?;
        let inherited = own.get("workspace").and_then(Value::as_bool) == Some(true);
        if inherited {
            self.workspace.get("workspace")?.get("package")?.get(key)
        } else {
            Some(own)
        }
    }

    fn text(&self, key: &str) -> &str {
        self.value(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, key: &str) -> Vec<&str> {
        let list = self.value(key).and_then(Value::as_array);
        let list = list.map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(Value::as_str).collect()
    }

    fn is_published(&self) -> bool {
        self.value("publish").and_then(Value::as_bool) != Some(false)
    }
}

/// Every package of the workspace.
fn packages() -> Vec<Package> {
    let read = |path: PathBuf| fs::read_to_string(path).expect("a manifest");
    let top = read(workspace().join("Cargo.toml"));
    let members = members(&top).expect("the members").into_iter();
    let package = |folder: String| {
        let own = read(workspace().join(&folder).join("Cargo.toml"));
        Package::new(&folder, &own, &top)
    };
    members.map(package).collect()
}

fn published() -> impl Iterator<Item = Package> {
    packages().into_iter().filter(Package::is_published)
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn these_are_published_and_no_others() {
    let published: Vec<String> = published().map(|it| it.folder).collect();
    assert_eq!(published, PUBLISHED);
    let is =
        |own: &str| Package::new("a", own, "[workspace.package]\npublish = false\n").is_published();
    assert!(is("[package]\npublish = true\n"));
    assert!(is("[package]\nname = \"a\"\n"), "what cargo does, too");
    assert!(!is("[package]\npublish = false\n"));
    assert!(!is("[package]\npublish.workspace = true\n"));
}

/// What a manifest lacks of what a registry shows.
fn lacks(package: &Package) -> Vec<String> {
    let mut found = Vec::new();
    let mut want = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{}: {what}", package.folder));
        }
    };
    let description = package.text("description");
    let sentence = description.len() >= 40 && description.ends_with('.');
    want(sentence, "a description that is read alone");
    want(
        package.text("license") == "Apache-2.0 OR MIT",
        "the licence",
    );
    want(package.text("readme") == "README.md", "a readme");
    let word = |word: &&str| {
        word.len() <= 20
            && word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let keywords = package.list("keywords");
    let few = (1..=5).contains(&keywords.len());
    want(few && keywords.iter().all(word), "one to five keywords");
    let categories = package.list("categories");
    let few = (1..=5).contains(&categories.len());
    let known = categories.iter().all(|it| CATEGORIES.contains(it));
    want(few && known, "one to five known categories");
    found
}

#[test]
fn every_published_package_says_what_a_registry_shows() {
    assert_none(
        "a stranger finds it and knows what it is",
        &published().flat_map(|it| lacks(&it)).collect::<Vec<_>>(),
    );
    let good = "[package]\ndescription = \"A queue of things that wait for somebody.\"\n\
        license.workspace = true\nreadme = \"README.md\"\nkeywords = [\"queue\"]\ncategories = [\"encoding\"]\n";
    let top = "[workspace.package]\nlicense = \"Apache-2.0 OR MIT\"\n";
    let lacks = |own: &str| lacks(&Package::new("a", own, top)).join(", ");
    assert_eq!(lacks(good), "");
    for (from, to, what) in [
        (
            "A queue of things that wait for somebody",
            "A queue",
            "a: a description that is read alone",
        ),
        ("license.workspace = true\n", "", "a: the licence"),
        ("readme = \"README.md\"\n", "", "a: a readme"),
        ("[\"queue\"]", "[]", "a: one to five keywords"),
        ("[\"queue\"]", "[\"a queue\"]", "a: one to five keywords"),
        (
            "[\"encoding\"]",
            "[\"queues\"]",
            "a: one to five known categories",
        ),
    ] {
        assert_ne!(good, good.replace(from, to), "{from}");
        assert_eq!(lacks(&good.replace(from, to)), what);
    }
}

/// Where a package's licences differ from those of the project in `top`. The files are links, whose
/// content an archive holds; where a system knows no links they must be copies.
fn other_licences(top: &Path, folder: &str) -> Vec<String> {
    let files = ["LICENSE-APACHE", "LICENSE-MIT"];
    let differs = |file: &&str| {
        let original = fs::read(top.join(file)).expect("the project's licence");
        fs::read(top.join(folder).join(file)).ok() != Some(original)
    };
    let differing = files.into_iter().filter(differs);
    differing.map(|file| format!("{folder}/{file}")).collect()
}

#[test]
fn every_published_package_holds_the_licences() {
    assert_none(
        "the licence goes with each copy",
        &published()
            .flat_map(|it| other_licences(&workspace(), &it.folder))
            .collect::<Vec<_>>(),
    );
    let top = Path::new(env!("CARGO_TARGET_TMPDIR")).join("licences");
    fs::create_dir_all(top.join("a")).expect("a folder");
    for (file, text) in [
        ("LICENSE-APACHE", "one"),
        ("LICENSE-MIT", "two"),
        ("a/LICENSE-MIT", "another"),
    ] {
        fs::write(top.join(file), text).expect("a file");
    }
    let found = other_licences(&top, "a");
    assert_eq!(found, ["a/LICENSE-APACHE", "a/LICENSE-MIT"]);
}

/// What a README lacks for who has found the package in a registry.
fn readme_lacks(package: &Package, readme: &str, library: &str) -> Vec<String> {
    let name = package.text("name");
    let version = package.text("version");
    let minor = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
    let first = readme.split("```").nth(1).unwrap_or_default();
    let depends = [
        format!("\n{name} = \"{minor}\"\n"),
        format!("\n{name} = {{ version = \"{minor}\""),
    ];
    let wanted = [
        (readme.starts_with(&format!("# {name}\n")), "its name"),
        (
            first.starts_with("toml\n") && depends.iter().any(|line| first.contains(line)),
            "the dependency line of this version, first",
        ),
        (readme.contains("\n```rust"), "a program"),
        (
            library.contains("#[doc = include_str!(\"../README.md\")]"),
            "a test that compiles its program",
        ),
        (
            readme.contains("\n## What it does not do\n"),
            "what the package does not do",
        ),
        (readme.contains("Apache-2.0 or MIT"), "the licence"),
        (
            (25..=60).contains(&readme.lines().count()),
            "25 to 60 lines",
        ),
    ];
    let lacking = wanted.iter().filter(|(holds, _)| !holds);
    lacking
        .map(|(_, what)| format!("{}: {what}", package.folder))
        .collect()
}

#[test]
fn every_published_package_has_a_readme_whose_program_is_compiled() {
    let found: Vec<String> = published()
        .flat_map(|package| {
            let folder = workspace().join(&package.folder);
            let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
            let library = fs::read_to_string(folder.join("src/lib.rs")).expect("a library");
            readme_lacks(&package, &readme, &library)
        })
        .collect();
    assert_none("a registry shows README, and nothing else", &found);
    let package = Package::new("a", "[package]\nname = \"a\"\nversion = \"0.3.1\"\n", "");
    let filler = "text\n".repeat(25);
    let good = format!(
        "# a\n\n```toml\n[dependencies]\na = \"0.3\"\n```\n\n```rust\na::f();\n```\n\
        ## What it does not do\n{filler}Apache-2.0 or MIT\n"
    );
    let library = "#[doc = include_str!(\"../README.md\")]\nstruct Readme;\n";
    let of = |readme: &str, library: &str| readme_lacks(&package, readme, library).join(", ");
    assert_eq!(of(&good, library), "");
    assert_eq!(of(&good, ""), "a: a test that compiles its program");
    let version = "a: the dependency line of this version, first";
    assert_eq!(of(&good.replace("0.3", "0.2"), library), version);
    assert_eq!(
        of(&good.replace("```rust", "```text"), library),
        "a: a program"
    );
    assert_eq!(of(&good.replace(&filler, ""), library), "a: 25 to 60 lines");
    assert_eq!(of(&good.replace("# a\n", "# b\n"), library), "a: its name");
}

/// The tables of dependencies of a manifest, with their names.
fn tables(manifest: &Table) -> Vec<(&str, &Table)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values);
    for manifest in std::iter::once(manifest).chain(targets.filter_map(Value::as_table)) {
        for kind in KINDS {
            if let Some(table) = manifest.get(kind).and_then(Value::as_table) {
                found.push((kind, table));
            }
        }
    }
    found
}

/// The dependencies of a manifest by folder that do not name this version. A package that depends in its
/// tests on itself, or on one of `later`, names none: a version would have to be published before its own.
fn without_version(
    package: &Package,
    manifest: &Table,
    version: &str,
    later: &[String],
) -> Vec<String> {
    let own = package.text("name");
    let mut found = Vec::new();
    for (kind, table) in tables(manifest) {
        for (name, dependency) in table {
            let too_early = name == own || later.contains(name);
            let unnamed = kind == "dev-dependencies" && too_early;
            let by_folder = dependency.get("path").is_some();
            let named = dependency.get("version").and_then(Value::as_str);
            let right = if unnamed { None } else { Some(version) };
            if by_folder && named != right {
                found.push(format!("{}: {name}", package.folder));
            }
        }
    }
    found
}

#[test]
fn every_dependency_inside_the_workspace_names_its_version() {
    let packages = packages();
    let first = packages.first().expect("a package");
    let version = first.text("version").to_owned();
    let shared = first.workspace.get("workspace").and_then(Value::as_table);
    let top = Package::new("the workspace", "", "");
    let mut found = without_version(&top, shared.expect("a workspace"), &version, &[]);
    for package in &packages {
        // In the order of publishing: whatever is not published comes after all of it.
        let place = PUBLISHED.iter().position(|it| *it == package.folder);
        let later = &PUBLISHED[place.map_or(PUBLISHED.len(), |place| place + 1)..];
        let later = packages.iter().filter(|it| later.contains(&&*it.folder));
        let later: Vec<String> = later.map(|it| it.text("name").to_owned()).collect();
        found.extend(without_version(package, &package.own, &version, &later));
    }
    assert_none("an archive has no folders beside it", &found);

    let of = |dependencies: &str| {
        let own = format!("[package]\nname = \"a\"\n{dependencies}");
        let package = Package::new("a", &own, "");
        without_version(&package, &package.own, "0.1.0", &["late".to_owned()]).join(", ")
    };
    let right = "b = { version = \"0.1.0\", path = \"b\" }\nserde = \"1\"\nc.workspace = true\n";
    let itself = "a = { path = \".\" }\n";
    assert_eq!(
        of(&format!(
            "[dependencies]\n{right}[dev-dependencies]\n{itself}"
        )),
        ""
    );
    assert_eq!(of("[dependencies]\nb = { path = \"b\" }\n"), "a: b");
    let late = "late = { path = \"late\" }\n";
    assert_eq!(of(&format!("[dev-dependencies]\n{late}")), "");
    assert_eq!(of(&format!("[dependencies]\n{late}")), "a: late");
    let old = right.replace("0.1.0", "0.0.9");
    assert_eq!(
        of(&format!("[target.'cfg(unix)'.dependencies]\n{old}")),
        "a: b"
    );
    let early = itself.replace('{', "{ version = \"0.1.0\",");
    assert_eq!(of(&format!("[dev-dependencies]\n{early}")), "a: a");
}

/// A path with its `..` taken literally, as the compiler's `include_str!` reads it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// What a package's source takes in from outside of the package's folder at compile time.
fn taken_from_outside(package: &Package, source: &Source) -> Vec<String> {
    let inside = source.path.strip_prefix(&format!("{}/", package.folder));
    let excluded = |inside: &str| {
        let list = package.list("exclude");
        list.iter().any(|it| it.strip_prefix('/') == Some(inside))
    };
    if inside.is_none_or(excluded) {
        return Vec::new();
    }
    let takes = ["include_str!(\"", "include_bytes!(\"", "#[path = \""];
    let taken = takes.iter().flat_map(|take| {
        let after = source.text.match_indices(take);
        after.filter_map(|(at, take)| source.text[at + take.len()..].split('"').next())
    });
    let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let outside = taken.filter(|it| !plain(&folder.join(it)).starts_with(&package.folder));
    outside.map(|it| format!("{}: {it}", source.path)).collect()
}

#[test]
fn no_published_source_takes_in_what_its_archive_does_not_hold() {
    let sources = sources();
    let mut found = Vec::new();
    for package in published() {
        found.extend(
            sources
                .iter()
                .flat_map(|it| taken_from_outside(&package, it)),
        );
    }
    assert_none("only the folder is in the archive", &found);
    let package = Package::new("a/b", "[package]\nexclude = [\"/tests/pages.rs\"]\n", "");
    let of = |path: &str, text: &str| {
        let (path, text) = (path.to_owned(), text.to_owned());
        taken_from_outside(&package, &Source { path, text }).join(", ")
    };
    let page = "include_str!(\"../../page.md\")";
    assert_eq!(of("a/b/src/c/d.rs", page), "", "the package's own");
    assert_eq!(of("a/b/src/d.rs", page), "a/b/src/d.rs: ../../page.md");
    assert_eq!(
        of("a/b/tests/pages.rs", page),
        "",
        "left out of the archive"
    );
    assert_eq!(of("a/c/src/d.rs", page), "", "another's");
    let module = "#[path = \"../../e.rs\"]\nmod e;";
    assert_eq!(of("a/b/src/d.rs", module), "a/b/src/d.rs: ../../e.rs");
}

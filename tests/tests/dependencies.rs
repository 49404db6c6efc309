//! What the crates depend on: only on those below them, and only on what they use. A dependency that
//! nobody uses is compiled by everybody, and one that is there by chance is missing elsewhere.
#![expect(
    clippy::expect_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

use std::collections::BTreeMap;

use rmq_tests::{Source, members, sources, workspace};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The workspace crates that `manifest` depends on outside its dev-dependencies.
fn own_dependencies(manifest: &str) -> Vec<&str> {
    let normal = manifest
        .split("[dev-dependencies]")
        .next()
        .unwrap_or_default();
    normal
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("rmq-"))
        .collect()
}

#[test]
fn crates_depend_downwards_only() {
    let mock: &[&str] = &["rmq-host", "rmq-remoting", "rmq-mock-server"];
    let allowed: [(&str, &[&str]); 7] = [
        ("host", &[]),
        ("sim/engine", &["rmq-host"]),
        ("remoting", &["rmq-host"]),
        ("producer", &["rmq-host", "rmq-remoting"]),
        ("mock-server", &["rmq-host", "rmq-remoting"]),
        ("mock-namesrv", mock),
        ("mock-broker", mock),
    ];
    for (member, allowed) in allowed {
        let path = workspace().join(member).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).expect("a member has a manifest");
        assert_eq!(own_dependencies(&manifest), allowed, "{member}");
    }
    assert_eq!(
        own_dependencies("[dependencies]\nrmq-sim.workspace = true\n"),
        ["rmq-sim"]
    );
}

/// The tables of a manifest that say what a crate depends on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest {
    #[serde(default)]
    dependencies: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, IgnoredAny>,
}

/// Whether a source names a crate: as the first part of a path, of an import or of a macro's call.
fn names(source: &Source, krate: &str) -> bool {
    let code = source.code_lines().map(|(_, line)| line);
    // Examples in documentation are code of the crate's tests.
    let documentation = source.text.lines().map(str::trim_start);
    let documentation = documentation.filter_map(|line| {
        line.strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
    });
    code.chain(documentation).any(|line| {
        line.match_indices(krate).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = &line[at + krate.len()..];
            let begins = !before.is_some_and(|it| it.is_alphanumeric() || it == '_' || it == ':');
            begins && (after.starts_with("::") || after.starts_with('!') || after.starts_with(';'))
        })
    })
}

/// The dependencies of a manifest that none of its crate's sources names. Sources of a library and its
/// programs are below `src`; all others use what only tests and examples have.
fn unused(manifest: &str, folder: &str, sources: &[&Source]) -> Vec<String> {
    let manifest: Manifest = toml::from_str(manifest).expect("a manifest");
    let library = format!("{folder}/src/");
    let used = |krate: &String, below: &str| {
        let krate = krate.replace('-', "_");
        let mut below = sources.iter().filter(|it| it.path.starts_with(below));
        below.any(|source| names(source, &krate))
    };
    let normal = manifest.dependencies.keys();
    let normal = normal.filter(|krate| !used(krate, &library));
    let dev = manifest.dev_dependencies.keys();
    let dev = dev.filter(|krate| !used(krate, &format!("{folder}/")));
    normal
        .chain(dev)
        .map(|krate| format!("{folder}: {krate}"))
        .collect()
}

#[test]
fn every_dependency_is_used() {
    let list = std::fs::read_to_string(workspace().join("Cargo.toml")).expect("the manifest");
    let (members, sources) = (members(&list).expect("the members"), sources());
    let mut found = Vec::new();
    for member in &members {
        let path = workspace().join(member).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).expect("a member has a manifest");
        // A member inside another's folder has sources of its own.
        let inner = |it: &&Source| {
            let nested = |other: &String| {
                other.starts_with(&format!("{member}/")) && it.path.starts_with(&**other)
            };
            !members.iter().any(nested)
        };
        let own: Vec<&Source> = sources.iter().filter(inner).collect();
        found.extend(unused(&manifest, member, &own));
    }
    // The models' library is made of other crates' sources, and libFuzzer's wrappers lie elsewhere.
    let elsewhere = [
        "fuzz: libfuzzer-sys",
        "models: indexmap",
        "models: serde",
        "models: thiserror",
    ];
    assert_eq!(found, elsewhere, "used by no source of its crate");
}

#[test]
fn a_dependency_is_used_where_a_source_of_the_right_kind_names_it() {
    let manifest = "[dependencies]\nserde-json = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n";
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let of = |sources: &[Source]| {
        let sources: Vec<&Source> = sources.iter().collect();
        unused(manifest, "a", &sources).join(", ")
    };
    let (library, test) = ("a/src/lib.rs", "a/tests/t.rs");
    assert_eq!(of(&[]), "a: serde-json, a: proptest");
    let both = [
        source(library, "use serde_json::Value;"),
        source(test, "proptest! {"),
    ];
    assert_eq!(of(&both), "");
    let swapped = [
        source(test, "serde_json::to_string(&1)"),
        source(library, "proptest::bool::ANY"),
    ];
    assert_eq!(
        of(&swapped),
        "a: serde-json",
        "a library's own is no test's"
    );
    let other = [
        source(
            library,
            "crate::serde_json::x(); my_serde_json::y(); // serde_json::z",
        ),
        source("b/src/lib.rs", "serde_json::to_string(&1)"),
        source(test, "use proptest::prelude::*;"),
    ];
    assert_eq!(
        of(&other),
        "a: serde-json",
        "neither its path nor its crate"
    );
}

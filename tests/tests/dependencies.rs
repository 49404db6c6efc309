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
use serde_json::{Value, json};

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

/// A release of Rust, as manifests state it.
fn release(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// What a program that depends on a package compiles beside it, by Cargo's own account.
fn compiled_with<'a>(metadata: &'a Value, package: &str) -> Vec<&'a Value> {
    let list = |value: &'a Value| value.as_array().expect("a list");
    let packages = list(&metadata["packages"]);
    let nodes = list(&metadata["resolve"]["nodes"]);
    let of_id = |id: &str| {
        packages
            .iter()
            .find(|it| it["id"] == id)
            .expect("a package")
    };
    let root = packages.iter().find(|it| it["name"] == package);
    let mut found = vec![root.expect("the package")];
    let mut next = 0;
    while let Some(package) = found.get(next) {
        next += 1;
        let node = nodes.iter().find(|it| it["id"] == package["id"]);
        for dependency in list(&node.expect("a node")["deps"]) {
            let mut kinds = list(&dependency["dep_kinds"]).iter();
            let package = of_id(dependency["pkg"].as_str().expect("an id"));
            if kinds.any(|kind| kind["kind"] != "dev") && !found.contains(&package) {
                found.push(package);
            }
        }
    }
    found
}

/// The packages of these that ask for a later compiler than this one.
fn ask_for_more(packages: &[&Value], promised: &str) -> Vec<String> {
    let asked = |package: &&&Value| release(package["rust_version"].as_str().unwrap_or(""));
    let later = packages.iter().filter(|it| asked(it) > release(promised));
    later
        .map(|it| format!("{} {}", it["name"], it["rust_version"]))
        .collect()
}

#[test]
fn no_dependency_of_a_library_asks_for_a_later_compiler_than_the_library_promises() {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.current_dir(workspace());
    let output = cargo
        .args(["metadata", "--locked", "--format-version=1"])
        .output();
    let metadata: Value = serde_json::from_slice(&output.expect("cargo").stdout).expect("JSON");
    for library in [
        "rmq-producer",
        "rmq-mock-broker",
        "rmq-mock-namesrv",
        "rmq-sim",
    ] {
        let packages = compiled_with(&metadata, library);
        assert!(packages.len() > 40, "{library}: {}", packages.len());
        let promised = packages[0]["rust_version"].as_str().expect("a promise");
        assert_eq!(
            ask_for_more(&packages, promised),
            [""; 0],
            "{library} promises {promised}"
        );
    }
}

#[test]
fn a_package_that_needs_a_later_compiler_is_named_and_one_that_only_tests_need_is_not() {
    let package =
        |name: &str, needs: &str| json!({ "id": name, "name": name, "rust_version": needs });
    let needs =
        |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
    let metadata = json!({
        "packages": [
            package("ours", "1.88"), package("old", "1.9"), package("new", "1.89.0"),
            package("build", "1.90"), package("test", "1.99"),
        ],
        "resolve": { "nodes": [
            { "id": "ours", "deps": [needs("old", None), needs("test", Some("dev"))] },
            { "id": "old", "deps": [needs("new", None), needs("build", Some("build"))] },
            { "id": "new", "deps": [] }, { "id": "build", "deps": [] }, { "id": "test", "deps": [] },
        ] },
    });
    let packages = compiled_with(&metadata, "ours");
    assert_eq!(
        ask_for_more(&packages, "1.88"),
        ["\"new\" \"1.89.0\"", "\"build\" \"1.90\""]
    );
    assert_eq!(ask_for_more(&packages, "1.90"), [""; 0]);
}

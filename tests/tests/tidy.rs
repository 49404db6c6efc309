//! House rules that clippy cannot say, as tests: style and determinism as facts, not wishes.
//!
//! Each rule returns the places that break it, so that the test of the rule can also show a text
//! which it rejects.

use rmq_remoting::code::request_name;
use rmq_tests::rules::{FLOATS, RANDOM, STATICS, is_a_rule, words};
use rmq_tests::{Source, members, sources, workspace};

/// Fails with the list of the places that break a rule.
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

fn over_all(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources().iter().flat_map(rule).collect()
}

fn sample(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn a_member_is_seen_because_the_manifest_lists_it() {
    let manifest = "[workspace]\nmembers = [\"remoting\", \"sim/engine\"]\n";
    assert_eq!(members(manifest).unwrap(), ["remoting", "sim/engine"]);
}

#[test]
fn a_list_that_cannot_be_read_in_full_is_an_error_and_not_an_empty_list() {
    for (manifest, why) in [
        ("[package]\nname = \"a\"\n", "workspace"),
        ("[workspace]\n", "members"),
        ("[workspace]\nmembers = [\"sim/*\"]\n", "sim/*"),
    ] {
        let error = members(manifest).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn every_member_has_sources_and_no_file_is_seen_twice() {
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let sources = sources();
    for member in members(&manifest).unwrap() {
        let inside = format!("{member}/");
        assert!(
            sources
                .iter()
                .any(|source| source.path.starts_with(&inside)),
            "no source of {member} is seen"
        );
    }
    assert!(sources.windows(2).all(|pair| pair[0].path != pair[1].path));
}

fn longer_than(limit: usize, source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > limit {
        vec![format!("{}: {lines} lines", source.path)]
    } else {
        Vec::new()
    }
}

#[test]
fn no_file_is_longer_than_600_lines() {
    assert_none(
        "split by what a reader looks for",
        &over_all(|s| longer_than(600, s)),
    );
    assert_eq!(
        longer_than(2, &sample("a.rs", "1\n2\n3\n")),
        ["a.rs: 3 lines"]
    );
}

/// Files named after a request code by other words than the code has.
fn misnamed_requests(source: &Source) -> Vec<String> {
    let file = source.path.rsplit('/').next().unwrap_or_default();
    let numbered = file.strip_prefix('r').and_then(|it| it.split_once('_'));
    let Some((Ok(code), words)) = numbered.map(|(code, words)| (code.parse::<i32>(), words)) else {
        return Vec::new();
    };
    let name = request_name(code).unwrap_or("no code").to_lowercase();
    let right = format!("{name}.rs");
    let wrong = words != right;
    wrong
        .then(|| format!("{}: {code} is {right}", source.path))
        .into_iter()
        .collect()
}

#[test]
fn every_file_of_a_request_code_is_called_like_the_code() {
    let of = |path| misnamed_requests(&sample(path, "")).len();
    assert_eq!(of("a/src/r105_get_routeinfo_by_topic.rs"), 0);
    assert_eq!(of("a/src/r105_get_route_info_by_topic.rs"), 1);
    assert_eq!(of("a/src/r009_nothing.rs"), 1);
    assert_eq!(of("a/src/route.rs") + of("a/src/r_9.rs"), 0);
    let requests = sources();
    let requests = requests
        .iter()
        .filter(|it| it.path.contains("/r105_"))
        .count();
    assert_eq!(requests, 2, "the protocol and the name server");
    assert_none(
        "a request code's file has its name",
        &over_all(misnamed_requests),
    );
}

fn without_module_doc(source: &Source) -> Vec<String> {
    let first = source
        .text
        .lines()
        .find(|line| !line.starts_with("#!["))
        .unwrap_or_default();
    // The models are included into a module for each variant, where such a comment cannot stand.
    if first.starts_with("//!") || source.path.starts_with("models/src/model/") {
        Vec::new()
    } else {
        vec![source.path.clone()]
    }
}

#[test]
fn every_file_opens_with_why_it_exists() {
    assert_none(
        "open the file with a //! comment",
        &over_all(without_module_doc),
    );
    assert_eq!(
        without_module_doc(&sample("a.rs", "use std::fs;\n")),
        ["a.rs"]
    );
}

/// rustfmt finds files by their `mod`, and does not look into macros for one. A module with its body
/// in the macro has no file.
fn modules_of_macros(source: &Source) -> Vec<String> {
    let is_file = |line: &str| {
        let after = line.split_once("mod $").map(|(_, after)| after);
        let end = after.and_then(|after| after.find(|c: char| !c.is_alphanumeric() && c != '_'));
        after
            .zip(end)
            .is_some_and(|(after, end)| after[end..].starts_with(';'))
    };
    let found = source.code_lines().filter(|(_, line)| is_file(line));
    let found = found.filter(|_| not_this_file(&source.path));
    found
        .map(|(at, _)| format!("{}:{at}", source.path))
        .collect()
}

#[test]
fn no_macro_declares_a_module_that_rustfmt_would_not_see() {
    assert_none(
        "declare the module outside of the macro",
        &over_all(modules_of_macros),
    );
    assert_eq!(
        modules_of_macros(&sample("a.rs", "$(mod $one;)*\npub mod $two {\n")),
        ["a.rs:1"]
    );
}

/// Files that name what is banned are left out.
fn not_this_file(path: &str) -> bool {
    !is_a_rule(path)
}

fn unbiased_selects(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let opens = |line: &str| line.contains("select! {") && !line.trim_start().starts_with("//");
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| {
            opens(line)
                && lines
                    .get(at + 1)
                    .is_none_or(|next| next.trim() != "biased;")
        })
        .map(|(at, _)| format!("{}:{}", source.path, at + 1))
        .collect()
}

#[test]
fn every_select_is_biased() {
    let broken = over_all(|s| {
        // What a program under test must not do is done there.
        let is_planted = s.path == "tests/tests/unrepeatable.rs";
        if not_this_file(&s.path) && !is_planted {
            unbiased_selects(s)
        } else {
            vec![]
        }
    });
    assert_none("an unbiased select! draws from a hidden generator", &broken);
    assert_eq!(
        unbiased_selects(&sample("a.rs", "select! {\n  x = y => {}\n}")),
        ["a.rs:1"]
    );
}

#[test]
fn nothing_waits_on_a_type_with_a_random_order() {
    let banned = RANDOM;
    assert_none("replay", &over_all(|s| words(s, not_this_file, &banned)));
    assert_eq!(
        words(&sample("a.rs", "let x: StreamMap;"), |_| true, &banned).len(),
        1
    );
}

#[test]
fn the_simulator_computes_with_integers_only() {
    // Rates for people may be floats: nothing of these files is simulated or digested.
    let simulated = |path: &str| {
        (path.starts_with("sim/src/") || path.starts_with("sim/engine/src/"))
            && !["sim/src/bench", "sim/src/bin/", "sim/src/cli"]
                .iter()
                .any(|p| path.starts_with(p))
    };
    let banned = FLOATS;
    assert_none(
        "libm and minor versions move results",
        &over_all(|s| words(s, simulated, &banned)),
    );
    assert_eq!(
        words(&sample("sim/src/a.rs", "x as f64"), simulated, &banned).len(),
        1
    );
}

#[test]
fn no_state_lives_in_statics() {
    // The state of a simulated run lives in a thread-local, and with it the node that is polled and the
    // panic that ends it; what the checkers' own tests count is in tests only.
    let exceptions = [
        "sim/engine/src/access.rs",
        "sim/engine/src/panics.rs",
        "sim/engine/src/process.rs",
        "sim/src/trace/work.rs",
    ];
    let elsewhere = |path: &str| not_this_file(path) && !exceptions.contains(&path);
    let of_thread = ["thread_local!"];
    assert_none(
        "process-wide state hangs off a Client",
        &over_all(|s| words(s, elsewhere, &of_thread)),
    );
    // The presets are constants, whose lists live on the heap.
    let constants = |path: &str| path.starts_with("producer/src/policy/presets/");
    let ours = |path: &str| not_this_file(path) && !path.contains("/bench") && !constants(path);
    let banned = STATICS;
    assert_none(
        "process-wide state hangs off a Client",
        &over_all(|s| words(s, ours, &banned)),
    );
    assert_eq!(
        words(&sample("a.rs", "static mut N: u8 = 0;"), |_| true, &banned).len(),
        1
    );
}

#[test]
fn no_lint_is_switched_off_silently() {
    let banned = ["#[allow(", "#![allow("];
    let broken = over_all(|s| {
        if !not_this_file(&s.path) {
            return Vec::new();
        }
        s.code_lines()
            .filter(|(_, line)| banned.iter().any(|word| line.contains(word)))
            .map(|(at, _)| format!("{}:{at}", s.path))
            .collect()
    });
    assert_none("use #[expect(lint, reason = \"…\")]", &broken);
    let bare = over_all(|s| {
        let text = &s.text;
        text.match_indices("[expect(")
            .filter(|(at, _)| {
                not_this_file(&s.path) && {
                    let attribute = &text[*at..];
                    let end = attribute.find(")]").unwrap_or(attribute.len());
                    !attribute[..end].contains("reason")
                }
            })
            .map(|(at, _)| format!("{}:{}", s.path, text[..at].lines().count()))
            .collect()
    });
    assert_none("an expectation needs its reason", &bare);
}

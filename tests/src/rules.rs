//! The words that the house rules ban, apart from the tests that look for them, so that another
//! test can show that a planted one is found.

use crate::Source;

/// What waits, chooses or numbers in a random order.
pub const RANDOM: [&str; 5] = [
    "futures::select!",
    "StreamMap",
    "tokio::sync::watch",
    "rand::rng(",
    "uuid::",
];

/// Numbers that libraries and processors round differently.
pub const FLOATS: [&str; 2] = ["f32", "f64"];

/// State of the whole process.
pub const STATICS: [&str; 6] = [
    "static mut ",
    "static ref ",
    "OnceLock<",
    "LazyLock<",
    "OnceCell<",
    "lazy_static!",
];

/// The files that name what is banned in order to find it.
pub fn is_a_rule(path: &str) -> bool {
    [
        "tests/src/rules.rs",
        "tests/tests/tidy.rs",
        "tests/tests/nondeterminism.rs",
    ]
    .contains(&path)
}

/// The places where one of `words` occurs in code, in files that `concerns` chooses.
pub fn words(source: &Source, concerns: impl Fn(&str) -> bool, words: &[&str]) -> Vec<String> {
    if !concerns(&source.path) {
        return Vec::new();
    }
    let holds = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    };
    source
        .code_lines()
        .filter_map(|(at, line)| {
            let word = words.iter().find(|word| holds(line, word))?;
            Some(format!("{}:{at}: {word}", source.path))
        })
        .collect()
}

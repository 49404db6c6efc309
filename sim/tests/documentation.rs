//! What README prints is what the program prints: each block that begins with `$ cargo sim` is run, and
//! compared line by line. `UPDATE_README=1 cargo test --workspace --test documentation` makes the blocks
//! anew.
//!
//! Left out are the walk-through of a planted bug, whose output is that of another build, and `zoo`,
//! which takes half an hour.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the walk-through of a planted bug begins and ends.
const PLANTED: &str = "## Find a failover bug in five minutes";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A block of README that shows a command and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The arguments behind `cargo sim`.
    arguments: Vec<String>,
    /// Where the output stands in the text.
    output: Range<usize>,
}

/// The blocks of a text that this build prints.
fn blocks(text: &str) -> Vec<Block> {
    const COMMAND: &str = "```\n$ cargo sim ";
    let planted = text.find(PLANTED).unwrap_or(text.len());
    let after = text[planted..]
        .find("\n## ")
        .map_or(text.len(), |at| planted + at);
    let mut found = Vec::new();
    for (at, _) in text.match_indices(COMMAND) {
        let line = at + COMMAND.len();
        let end = line + text[line..].find('\n').expect("a line ends");
        let close = end + text[end..].find("\n```").expect("a block ends");
        let arguments: Vec<String> = text[line..end].split(' ').map(str::to_owned).collect();
        if !(planted..after).contains(&at) && arguments[0] != "zoo" {
            let output = end + 1..close + 1;
            found.push(Block { arguments, output });
        }
    }
    found
}

/// A text without what differs from run to run: times by the wall clock.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line.split_once(" virtual, ") {
        Some((head, wall)) if wall.ends_with(" of wall time") => format!("{head} virtual"),
        _ => line.trim_end().to_owned(),
    };
    text.trim_end()
        .lines()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn readme_prints_what_the_program_prints() {
    let path = workspace().join("README.md");
    let mut text = fs::read_to_string(&path).expect("README");
    let blocks = blocks(&text);
    assert!(
        blocks.len() >= 2,
        "the first screen, and a comparison: {blocks:?}"
    );
    let update = std::env::var_os("UPDATE_README").is_some();
    // From the last to the first, so that an update moves none that is still to come.
    for block in blocks.iter().rev() {
        let output = Command::new(env!("CARGO_BIN_EXE_rocketmq-sim"))
            .current_dir(workspace())
            .args(&block.arguments)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{:?}", block.arguments);
        let now = String::from_utf8(output.stdout).expect("text");
        if timeless(&now) == timeless(&text[block.output.clone()]) {
            continue;
        }
        assert!(
            update,
            "cargo sim {} prints other lines than README:\n{now}\nUPDATE_README=1 cargo test \
             --workspace --test documentation makes them anew",
            block.arguments.join(" ")
        );
        text.replace_range(block.output.clone(), &format!("{}\n", now.trim_end()));
    }
    if update {
        fs::write(&path, text).expect("README can be written");
    }
}

#[test]
fn a_block_is_compared_but_for_the_wall_clock() {
    let text = "a\n```\n$ cargo sim run x.toml --seed 7\ntime 1 s virtual, 3 ms of wall time\ndigest 1\n```\n\
        ```\n$ cargo sim zoo\n…\n```\n## Find a failover bug in five minutes\n```\n$ cargo sim run\n…\n```\n\
        ## After\n```\n$ cargo sim faults\nall\n```\n";
    let found = blocks(text);
    let outputs: Vec<&str> = found.iter().map(|it| &text[it.output.clone()]).collect();
    let run = "time 1 s virtual, 3 ms of wall time\ndigest 1\n";
    assert_eq!(outputs, [run, "all\n"]);
    assert_eq!(found[0].arguments, ["run", "x.toml", "--seed", "7"]);
    let slower = run.replace("3 ms", "40 ms");
    assert_eq!(timeless(run), timeless(&slower));
    for other in [
        "time 2 s virtual, 3 ms of wall time\ndigest 1\n",
        "digest 1\n",
    ] {
        assert_ne!(timeless(run), timeless(other));
    }
    assert_ne!(
        timeless(run),
        timeless(&run.replace("digest 1", "digest 2"))
    );
}

//! What README prints is what the program prints: each block that begins with `$ cargo sim` is run, and
//! compared line by line. `UPDATE_README=1 cargo test --workspace --test documentation` makes the blocks
//! anew.
//!
//! Tables of `docs/scenarios.md` that stand between markers, and that of `sim/src/fault/faults.md`, are what
//! the definitions of the faults say, and are made anew in the same way.
//!
//! Left out are the walk-through of a planted bug, whose output is that of another build, and `zoo`,
//! which takes half an hour.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use rmq_sim::fault::catalogue;

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

/// The page with another text between the markers of a part.
fn with_part(page: &str, part: &str, table: &str) -> String {
    let begin = format!("<!-- {part}: ");
    let from = page.find(&begin).expect("a marker");
    let from = from + page[from..].find('\n').expect("a line ends") + 1;
    let end = format!("<!-- end of {part} -->");
    let to = from + page[from..].find(&end).expect("the end's marker");
    format!("{}\n{table}\n{}", &page[..from], &page[to..])
}

/// The page with another table in place of its only one.
fn with_table(page: &str, table: &str) -> String {
    let from = page.find("| `do`").expect("a table");
    let rows = page[from..]
        .lines()
        .take_while(|line| line.starts_with('|'));
    let length: usize = rows.map(|line| line.len() + 1).sum();
    format!("{}{table}{}", &page[..from], &page[from + length..])
}

#[test]
fn the_lists_of_faults_and_rules_are_those_of_the_definitions() {
    let [rules, faults] = [true, false]
        .map(|rule| catalogue::markdown_of(catalogue::all().filter(|it| it.is_rule() == rule)));
    let page = |path: &str| {
        let path = workspace().join(path);
        let page = fs::read_to_string(&path).expect("the page");
        (path, page)
    };
    let (reference, text) = page("docs/scenarios.md");
    let lists = with_part(&with_part(&text, "faults", &faults), "rules", &rules);
    let (module, table) = page("sim/src/fault/faults.md");
    let whole = with_table(&table, &catalogue::markdown());
    for (path, page, now) in [(reference, text, lists), (module, table, whole)] {
        if std::env::var_os("UPDATE_README").is_some() {
            fs::write(&path, now).expect("the page can be written");
        } else {
            assert!(
                page == now,
                "{}: UPDATE_README=1 cargo test --workspace --test documentation makes the lists anew",
                path.display()
            );
        }
    }
}

#[test]
fn a_part_is_replaced_between_its_markers_and_nothing_else_is() {
    let page = "a\n<!-- rules: x -->\nold\n<!-- end of rules -->\nb\n";
    let new = with_part(page, "rules", "| new |\n");
    assert_eq!(
        new,
        "a\n<!-- rules: x -->\n\n| new |\n\n<!-- end of rules -->\nb\n"
    );
    assert_eq!(with_part(&new, "rules", "| new |\n"), new);
    assert_eq!(
        with_table("a\n| `do` |\n| --- |\nb\n", "| t |\n"),
        "a\n| t |\nb\n"
    );
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

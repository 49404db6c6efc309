//! A sweep that is compared with another build's: what is printed, what is refused, and that the commands
//! which it prints work. The builds of revisions are those of a small repository that a test makes.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cluster of one broker that nothing happens to.
const CALM: &str = "format = 2\nseconds = 3\n[cluster]\nbrokers = [\"broker-a\"]\n\
    topics = { orders = 1 }\n[producer.p1]\n[[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 2\n";

/// A folder of its own for a test, with a scenario in it.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("baseline")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("calm.toml"), CALM).expect("a scenario");
    folder
}

/// Runs the program in a folder, with programs of other builds in `builds` below it.
fn run(folder: &Path, arguments: &str) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rocketmq-sim"));
    let arguments = arguments.split(' ').filter(|it| !it.is_empty());
    let output = program
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What a command prints that ends well.
fn printed(folder: &Path, arguments: &str) -> String {
    let (code, stdout, stderr) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments}: {stdout}{stderr}");
    stdout
}

/// The command is refused with this code and these words.
fn refused(folder: &Path, arguments: &str, code: i32, words: &[&str]) {
    let (exit, stdout, stderr) = run(folder, arguments);
    assert_eq!(exit, code, "{arguments}: {stdout}{stderr}");
    assert!(stderr.contains("error: "), "{arguments}: {stderr}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{arguments}: no {word:?} in {stderr}"
        );
    }
}

/// The lines of a report from the one on the baseline on.
fn report(stdout: &str) -> Vec<&str> {
    let lines = stdout.lines();
    lines
        .skip_while(|line| !line.starts_with("baseline "))
        .collect()
}

/// Writes a baseline of 25 calm seeds, and gives its lines.
fn saved(folder: &Path) -> Vec<String> {
    let text = printed(
        folder,
        "sweep calm.toml --seeds 0..25 --save-baseline base.jsonl --build builds",
    );
    assert!(text.contains("\nsaved    base.jsonl: 25 seeds; "), "{text}");
    assert!(
        text.contains("cargo sim sweep calm.toml --baseline base.jsonl"),
        "{text}"
    );
    let text = fs::read_to_string(folder.join("base.jsonl")).expect("a baseline");
    text.lines().map(str::to_owned).collect()
}

fn write(folder: &Path, name: &str, lines: &[String]) {
    fs::write(folder.join(name), lines.join("\n") + "\n").expect("a file");
}

#[test]
fn the_same_build_has_the_same_runs_whatever_the_number_of_threads() {
    let folder = folder("same");
    let lines = saved(&folder);
    assert_eq!(lines.len(), 26);
    for jobs in [1, 3] {
        let again = format!(
            "sweep calm.toml --seeds 0..25 --save-baseline again --build builds --jobs {jobs}"
        );
        printed(&folder, &again);
        let again = fs::read_to_string(folder.join("again")).expect("a baseline");
        assert!(again.lines().eq(&lines), "with {jobs} threads");
    }
    let text = printed(
        &folder,
        "sweep calm.toml --baseline base.jsonl --build builds",
    );
    assert!(
        text.starts_with("sweep    calm.toml seeds 0..25: 25 runs"),
        "{text}"
    );
    let told = report(&text);
    assert!(told[0].ends_with(": 25 seeds compared"), "{text}");
    assert_eq!(
        told[1..],
        [
            "same     25 have the same trace",
            "trace    0 have equal figures and another trace",
            "figures  0 have other figures",
        ]
    );
    let part = printed(
        &folder,
        "sweep calm.toml --seeds 3..23 --shard 1/2 --baseline base.jsonl --build builds",
    );
    assert!(report(&part)[0].ends_with(": 3 seeds compared"), "{part}");
}

/// A baseline of calm seeds in which the seeds 4, 9 and 14 are others, and 19 played another scenario.
fn changed(mut lines: Vec<String>) -> Vec<String> {
    let figures = lines[1].split("\"figures\":[").nth(1).expect("figures");
    let figures: Vec<&str> = figures.trim_end_matches("]}").split(',').collect();
    assert_eq!(
        &figures[..4],
        ["2", "0", "2", "2"],
        "ok, failed, attempts, stored"
    );
    let other = |line: &str, part: &str| {
        let at = line.find(part).expect("a part") + part.len();
        format!("{}0000000000000000{}", &line[..at], &line[at + 16..])
    };
    for seed in [4, 9, 14] {
        lines[seed + 1] = other(&lines[seed + 1], "\"trace\":\"");
    }
    lines[10] = lines[10].replace("[2,0,2,2", "[2,0,3,2");
    lines[15] = other(&lines[15], "\"outcomes\":\"").replace("[2,0,2,2", "[1,1,2,2");
    lines[20] = other(&lines[20], "\"scenario\":\"");
    lines
}

#[test]
fn seeds_that_differ_are_told_with_what_differs_and_the_command_that_looks_at_them() {
    let folder = folder("differ");
    let lines = changed(saved(&folder));
    write(&folder, "base.jsonl", &lines);
    let text = printed(
        &folder,
        "sweep calm.toml --baseline base.jsonl --build builds",
    );
    let told = report(&text);
    assert!(told[0].ends_with(": 24 seeds compared"), "{text}");
    assert_eq!(
        told[1..5],
        [
            "same     21 have the same trace",
            "trace    1 have equal figures and another trace",
            "figures  2 have other figures",
            "skipped  1 have another scenario in this build; they are not compared",
        ]
    );
    let sum = |of: &str| {
        let line = told.iter().find(|it| it.trim().starts_with(of));
        let line = line.expect("a sum").split_whitespace();
        line.rev().take(3).collect::<Vec<_>>()
    };
    assert_eq!(sum("attempts"), ["-2.04%", "48", "49"], "{text}");
    assert_eq!(sum("stored copies"), ["=", "48", "48"], "{text}");
    let differs: Vec<&&str> = told.iter().filter(|it| it.starts_with("differs")).collect();
    assert_eq!(
        differs,
        [
            &"differs  seed 14: other outcomes of sends, sends ok 1 -> 2, sends failed 1 -> 0",
            &"differs  seed 9: attempts 3 -> 2",
            &"differs  seed 4: another trace",
        ]
    );
    // The printed commands work; both programs are this one here.
    for (line, words) in [
        ("look     ", "same     calm.toml seed 14: "),
        ("by send  ", "first    no send goes another way"),
    ] {
        let line = told.iter().find_map(|it| it.strip_prefix(line));
        let arguments = line.and_then(|it| it.strip_prefix("cargo sim "));
        let looked = printed(&folder, arguments.expect("a command"));
        assert!(looked.contains(words), "{looked}");
    }
    fs::remove_dir_all(folder.join("builds")).expect("a folder");
    let text = printed(
        &folder,
        "sweep calm.toml --baseline base.jsonl --build builds",
    );
    assert!(
        text.contains("look     cargo sim run calm.toml --seed 14"),
        "{text}"
    );
    assert!(text.contains("is gone; --baseline-rev makes one"), "{text}");
}

#[test]
fn a_baseline_of_other_scenarios_says_that_nothing_was_compared() {
    let folder = folder("scenarios");
    printed(
        &folder,
        "sweep --seeds 0..3 --save-baseline base.jsonl --build builds",
    );
    let text = fs::read_to_string(folder.join("base.jsonl")).expect("a baseline");
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.replacen("\"scenario\":\"", "\"scenario\":\"0", 1))
        .map(|line| match line.find("\",\"trace\"") {
            Some(at) => format!("{}{}", &line[..at - 1], &line[at..]),
            None => line,
        })
        .collect();
    write(&folder, "base.jsonl", &lines);
    let text = printed(&folder, "sweep --baseline base.jsonl --build builds");
    let told = report(&text);
    assert!(told[0].ends_with(": 0 seeds compared"), "{text}");
    assert!(
        told[4].starts_with("skipped  3 have another scenario"),
        "{text}"
    );
    assert!(told[5].contains("NOTHING was compared"), "{text}");
    assert_eq!(told.len(), 6, "{text}");
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_runs() {
    let folder = folder("refused");
    let lines = saved(&folder);
    write(&folder, "cut.jsonl", &lines[..9]);
    fs::write(folder.join("half.jsonl"), &lines[..9].join("\n")[..800]).expect("a file");
    let to = |file: &str| format!("sweep calm.toml --baseline {file}");
    for (arguments, words) in [
        (
            to("nowhere.jsonl"),
            ["there is no such baseline", "--baseline-rev REV"],
        ),
        (
            to("calm.toml"),
            [
                "calm.toml:1: no header of a baseline",
                "remedy: give a baseline",
            ],
        ),
        (
            to("cut.jsonl"),
            ["cut.jsonl:9: the file ends before seed 8", "remedy: "],
        ),
        (to("half.jsonl"), ["half.jsonl:", "no line of a seed"]),
        (
            to("builds"),
            ["builds: cannot be read", "remedy: give a baseline"],
        ),
        (
            to("base.jsonl --seeds 0..26"),
            [
                "it has the seeds 0..25, and 0..26",
                "remedy: leave --seeds away",
            ],
        ),
        (
            "sweep --baseline base.jsonl".to_owned(),
            [
                "the baseline of calm.toml ",
                "remedy: sweep the same scenario",
            ],
        ),
    ] {
        refused(&folder, &arguments, 1, &words);
    }
}

#[test]
fn what_cannot_be_kept_built_or_played_is_refused() {
    let Repository { folder } = Repository::new("impossible");
    for (arguments, words) in [
        (
            "sweep --seeds 0..9 --save-baseline nowhere/base.jsonl",
            ["nowhere/base.jsonl: ", "remedy: give a path"],
        ),
        (
            "sweep --seeds 0..9 --save-baseline b --build calm.toml",
            ["calm.toml/programs/", "remedy: give a --build"],
        ),
        (
            "sweep --seeds 0..9 --baseline-rev mian",
            ["--baseline-rev mian", "git knows no such commit"],
        ),
        (
            "sweep --seeds 0..9 --baseline-rev=--all",
            ["--baseline-rev --all", "git knows no such commit"],
        ),
        (
            "diverge calm.toml --program nowhere",
            [
                "nowhere: no run by this program",
                "remedy: name the program",
            ],
        ),
        (
            "diff trace.jsonl --program nowhere",
            ["a trace cannot be played by another program", "remedy: "],
        ),
    ] {
        refused(&folder, arguments, 1, &words);
    }
}

#[test]
fn options_that_do_not_go_together_are_a_wrong_command_line() {
    let folder = folder("together");
    for arguments in [
        "sweep --save-baseline b",
        "sweep --baseline-rev HEAD",
        "sweep --seeds 0..9 --save-baseline b --out o",
        "sweep --seeds 0..9 --save-baseline b --shard 0/2",
        "sweep --seeds 0..9 --save-baseline b --for 5s",
        "sweep --seeds 0..9 --baseline b --out o",
        "sweep --seeds 0..9 --baseline b --baseline-rev HEAD",
        "sweep --seeds 0..9 --baseline-rev HEAD --shard 0/2",
    ] {
        refused(&folder, arguments, 2, &["Usage: "]);
    }
    assert!(!folder.join("b").exists() && !folder.join("o").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_baseline_that_cannot_be_kept_is_an_error_and_the_device_stays_one() {
    let folder = folder("full");
    let full = "sweep calm.toml --seeds 0..9 --save-baseline /dev/full --build builds";
    refused(&folder, full, 1, &["/dev/full: ", "remedy: "]);
    let device = fs::metadata("/dev/full").expect("a device");
    assert!(!device.is_file());
    let text = printed(&folder, &full.replace("/dev/full", "/dev/stdout"));
    assert!(text.contains("\n{\"baseline\":1,"), "{text}");
}

/// A program that plays as this one does, but for the words of the trace that `sed` changes.
fn other_program(folder: &Path, sed: &str) {
    let this = env!("CARGO_BIN_EXE_rocketmq-sim");
    let script = format!("#!/bin/sh\n'{this}' \"$@\" | sed '{sed}'\n");
    let file = folder.join("other");
    fs::write(&file, script).expect("a script");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a program");
}

#[test]
fn the_first_record_and_the_first_send_that_differ_from_another_programs_are_named() {
    let folder = folder("programs");
    other_program(&folder, "s/\"ms\":2000,/\"ms\":2001,/");
    let text = printed(&folder, "diverge calm.toml --seed 7 --program ./other");
    let first = text.lines().next();
    assert_eq!(
        first,
        Some("builds   ./other (-) and this one (+) part on seed 7")
    );
    let line = |start: &str| text.lines().any(|line| line.starts_with(start));
    assert!(line("- {\"ms\":2001,") && line("+ {\"ms\":2000,"), "{text}");
    other_program(&folder, "s/{\"sent\"/{\"lost\"/");
    let text = printed(&folder, "diff calm.toml@7 --program ./other");
    assert!(text.contains("first    p1 s1 is where they part"), "{text}");
    other_program(&folder, "d");
    for arguments in [
        "diverge calm.toml --program ./other",
        "diff calm.toml@7 --program ./other",
    ] {
        refused(
            &folder,
            arguments,
            1,
            &["./other: no run by this program: it printed no trace"],
        );
    }
}

/// A repository with a package of the laboratory's name, each commit of which is a build.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    fn new(name: &str) -> Self {
        let repository = Self {
            folder: folder(name),
        };
        let manifest = "[package]\nname = \"rmq-sim\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
            [[bin]]\nname = \"rocketmq-sim\"\npath = \"main.rs\"\n[features]\ncli = []\n[workspace]\n";
        fs::write(repository.folder.join("Cargo.toml"), manifest).expect("a manifest");
        repository.git(&["init", "--quiet"]);
        repository
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(&self.folder)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .output()
            .expect("git");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Commits a program under a tag.
    fn build(&self, tag: &str, main: &str) {
        fs::write(self.folder.join("main.rs"), main).expect("a program");
        self.git(&["add", "Cargo.toml", "main.rs"]);
        self.git(&["commit", "--quiet", "--message", tag]);
        self.git(&["tag", tag]);
    }
}

#[test]
fn a_revision_is_built_once_and_compared_and_one_that_cannot_be_says_why() {
    let repository = Repository::new("revisions");
    let folder = &repository.folder;
    let this = env!("CARGO_BIN_EXE_rocketmq-sim");
    repository.build(
        "old",
        "fn main() { eprintln!(\"error: unexpected argument '--save-baseline' found\"); std::process::exit(2) }",
    );
    repository.build("broken", "fn main() { let seed: u64 = \"seven\"; }");
    repository.build(
        "silent",
        "fn main() { eprintln!(\"no room\"); std::process::exit(1) }",
    );
    repository.build(
        "good",
        &format!(
            "fn main() {{ let them = std::env::args().skip(1); \
             let status = std::process::Command::new({this:?}).args(them).status(); \
             std::process::exit(status.unwrap().code().unwrap()) }}"
        ),
    );
    let before = repository.git(&["status", "--porcelain"]);
    let sweep =
        |tag: &str| format!("sweep calm.toml --seeds 0..25 --baseline-rev {tag} --build builds");
    for (tag, words) in [
        (
            "old",
            [
                "has no --save-baseline yet",
                "digest calm.toml --check old.txt",
            ],
        ),
        ("broken", ["it does not build", "mismatched types"]),
        ("silent", ["came to no result", "no room"]),
    ] {
        refused(folder, &sweep(tag), 1, &words);
    }
    let (code, stdout, stderr) = run(folder, &sweep("good"));
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stderr.starts_with("building good in "), "{stderr}");
    let told = report(&stdout);
    assert!(told[0].starts_with("baseline good ("), "{stdout}");
    assert_eq!(told[1], "same     25 have the same trace");
    let (_, again, stderr) = run(folder, &sweep("good"));
    assert!(!stderr.contains("building"), "it is there: {stderr}");
    assert_eq!(report(&again), told);
    let left = fs::read_dir(folder.join("builds/results")).expect("a folder");
    assert_eq!(left.count(), 0, "a result is read once");
    // The repository is as it was, but for the folder that was asked for.
    let after = repository.git(&["status", "--porcelain"]);
    assert_eq!(
        after,
        format!(
            "{}?? builds/\n?? calm.toml\n",
            before.replace("?? calm.toml\n", "")
        )
    );
    assert_eq!(repository.git(&["worktree", "list"]).lines().count(), 1);
}

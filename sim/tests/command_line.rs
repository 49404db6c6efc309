//! What the command line says when it is given something wrong: one clear error that names place and
//! remedy, the right exit code, and no file that was not there before.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of its own for a test, with nothing in it.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("command-line")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

/// The program, in a folder, with no batch engine around it.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rocketmq-sim"));
    program
        .current_dir(folder)
        .env_remove("SLURM_ARRAY_TASK_ID")
        .env_remove("JOB_COMPLETION_INDEX")
        .args(arguments);
    program
}

/// Runs the program to its end: exit code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = program(folder, arguments).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The command is refused with this code and these words, and leaves the folder as it was.
fn refused(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let before = files(folder);
    let (exit, stdout, stderr) = run(folder, arguments);
    assert_eq!(exit, code, "{arguments:?}: {stderr}");
    assert_eq!(
        stderr.matches("error: ").count(),
        1,
        "{arguments:?}: {stderr}"
    );
    for word in words {
        assert!(
            stderr.contains(word),
            "{arguments:?}: no {word:?} in: {stderr}"
        );
    }
    assert_eq!(stdout, "", "{arguments:?}");
    assert_eq!(files(folder), before, "{arguments:?}");
}

/// A cluster of one broker that nothing happens to.
const CALM: &str = "format = 2\nseconds = 3\n[cluster]\nbrokers = [\"broker-a\"]\n\
    topics = { orders = 1 }\n[producer.p1]\n[[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 2\n";

fn with_calm(name: &str) -> PathBuf {
    let folder = folder(name);
    fs::write(folder.join("calm.toml"), CALM).expect("a scenario");
    folder
}

#[test]
fn a_scenario_of_an_unknown_format_is_refused_by_every_command_that_reads_one() {
    let folder = folder("format");
    fs::write(
        folder.join("new.toml"),
        CALM.replace("format = 2", "format = 3"),
    )
    .expect("a file");
    let words = [
        "new.toml:1:",
        "format 3 is unknown",
        "remedy: write `format = 2`",
    ];
    for arguments in [
        &["run", "new.toml", "--jsonl", "trace.jsonl"][..],
        &[
            "sweep",
            "new.toml",
            "--seeds",
            "0..9",
            "--out",
            "sweep.jsonl",
        ],
        &["shrink", "new.toml", "--out", "small.toml"],
        &["digest", "new.toml", "--seeds", "0..9"],
        &["diverge", "new.toml"],
        &["diff", "new.toml@1", "new.toml@2"],
    ] {
        refused(&folder, arguments, 15, &words);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_runs() {
    let folder = with_calm("unwritable");
    let no_folder = ["nowhere/", "remedy: give a path in a folder that exists"];
    for arguments in [
        &[
            "sweep",
            "calm.toml",
            "--seeds",
            "0..9",
            "--out",
            "nowhere/sweep.jsonl",
        ][..],
        &["shrink", "calm.toml", "--out", "nowhere/small.toml"],
        &["run", "calm.toml", "--jsonl", "nowhere/trace.jsonl"],
        // A file where a folder should be.
        &[
            "run",
            "calm.toml",
            "--jsonl",
            "calm.toml/nowhere/trace.jsonl",
        ],
    ] {
        refused(&folder, arguments, 1, &no_folder);
    }
    fs::create_dir(folder.join("taken")).expect("a folder");
    let is_folder = ["taken", "remedy: "];
    for arguments in [
        &["sweep", "calm.toml", "--seeds", "0..9", "--out", "taken"][..],
        &["shrink", "calm.toml", "--out", "taken"],
        &["run", "calm.toml", "--jsonl", "taken"],
    ] {
        refused(&folder, arguments, 1, &is_folder);
    }
}

#[test]
fn a_shard_that_there_is_not_is_a_wrong_command_line() {
    let folder = with_calm("shard");
    let sweep = |shard| {
        [
            "sweep",
            "calm.toml",
            "--seeds",
            "0..9",
            "--out",
            "out",
            "--shard",
            shard,
        ]
    };
    let words = ["no shard 4 of 4", "remedy: shards are numbered from 0 to 3"];
    refused(&folder, &sweep("4/4"), 2, &words);
    refused(
        &folder,
        &sweep("four"),
        2,
        &["\"four\"", "remedy: write I/N"],
    );
    let words = [
        "SLURM_ARRAY_TASK_ID",
        "JOB_COMPLETION_INDEX",
        "remedy: start it as an array job",
    ];
    refused(&folder, &sweep("env/4"), 2, &words);
}

#[test]
fn the_shard_of_a_batch_job_is_read_from_its_environment() {
    let folder = with_calm("environment");
    for (variable, index) in [("SLURM_ARRAY_TASK_ID", "1"), ("JOB_COMPLETION_INDEX", "0")] {
        let arguments = [
            "sweep",
            "calm.toml",
            "--seeds",
            "0..40",
            "--shard",
            "env/2",
            "--out",
            index,
        ];
        let status = program(&folder, &arguments)
            .env(variable, index)
            .stdout(Stdio::null())
            .status()
            .expect("it starts");
        assert!(status.success(), "{variable}");
    }
    let (code, ..) = run(
        &folder,
        &["sweep", "calm.toml", "--seeds", "0..40", "--out", "whole"],
    );
    assert_eq!(code, 0);
    refused(
        &folder,
        &["merge", "1", "--out", "merged"],
        1,
        &[
            "the seeds 0..20 are in none of these files",
            "remedy: finish their sweep",
        ],
    );
    let (code, ..) = run(&folder, &["merge", "1", "0", "--out", "merged"]);
    assert_eq!(code, 0);
    let read = |name| fs::read_to_string(folder.join(name)).expect("a file");
    assert_eq!(read("merged"), read("whole"));
}

#[test]
fn the_file_of_another_sweep_is_left_alone() {
    let folder = with_calm("other");
    let (code, ..) = run(
        &folder,
        &["sweep", "calm.toml", "--seeds", "0..9", "--out", "out"],
    );
    assert_eq!(code, 0);
    let words = [
        "out: this is the file of another sweep",
        "\"seeds\":[0,9]",
        "remedy: name another file",
    ];
    refused(
        &folder,
        &["sweep", "calm.toml", "--seeds", "0..10", "--out", "out"],
        1,
        &words,
    );
    refused(
        &folder,
        &["sweep", "--seeds", "0..9", "--out", "out"],
        1,
        &words,
    );
    fs::write(folder.join("notes"), "buy milk\n").expect("a file");
    let words = [
        "notes:1: no sweep's header",
        "remedy: give the file of a sweep",
    ];
    refused(
        &folder,
        &["sweep", "calm.toml", "--seeds", "0..9", "--out", "notes"],
        1,
        &words,
    );
    refused(&folder, &["merge", "notes", "--out", "merged"], 1, &words);
}

#[test]
fn wrong_arguments_are_named() {
    let folder = with_calm("arguments");
    let seeds = ["--seeds", "9..3", "the first one smaller: 0..1000"];
    refused(&folder, &["sweep", "--seeds", "9..3"], 2, &seeds);
    refused(&folder, &["digest", "--seeds", "9..3"], 2, &seeds);
    refused(
        &folder,
        &["diverge", "--seeds", "7"],
        2,
        &["--seeds", "write two seeds: 7,8"],
    );
    refused(
        &folder,
        &["run", "--seed", "many"],
        2,
        &["'many'", "--seed"],
    );
    refused(
        &folder,
        &["sweep", "--for", "5"],
        2,
        &["--for", "write a whole number and a unit"],
    );
    let lost = ["lost.toml", "remedy: "];
    refused(&folder, &["run", "lost.toml"], 1, &lost);
    refused(
        &folder,
        &["sweep", "lost.toml", "--seeds", "0..9"],
        1,
        &lost,
    );
    refused(&folder, &["diff", "lost.toml", "calm.toml"], 1, &lost);
    refused(
        &folder,
        &["diff", "calm.toml", "@seven"],
        1,
        &["@seven", "remedy: "],
    );
}

#[test]
fn a_pass_is_nothing_to_shrink_and_a_broken_list_nothing_to_check() {
    let folder = with_calm("nothing");
    let words = [
        "calm.toml passes on seed 3",
        "remedy: give a seed that fails",
    ];
    refused(
        &folder,
        &["shrink", "calm.toml", "--seed", "3", "--out", "small.toml"],
        1,
        &words,
    );
    refused(&folder, &["diff", "calm.toml@3"], 1, &words);
    let words = [
        "calm.toml has no two runs to compare on seed 3",
        "remedy: give one that is 0, 2, 4, 8, 12 or 16 more",
    ];
    refused(&folder, &["diff", "calm.toml@3", "--pair"], 1, &words);
    fs::write(folder.join("list"), "0 0123456789abcdef\none\n").expect("a file");
    let words = [
        "list: line 2 is no seed with its digest",
        "remedy: give a list made by",
    ];
    refused(
        &folder,
        &["digest", "calm.toml", "--check", "list"],
        1,
        &words,
    );
}

#[test]
fn a_patch_that_no_longer_applies_is_told_before_anything_is_built() {
    let folder = folder("zoo");
    let (project, copy) = (folder.join("project"), folder.join("copy"));
    let bug = project.join("zoo").join("Z99");
    fs::create_dir_all(&bug).expect("a folder");
    fs::create_dir_all(&copy).expect("a folder");
    let write = |path: PathBuf, text: &str| fs::write(path, text).expect("a file");
    write(project.join("Cargo.toml"), "[workspace]\n");
    write(project.join("code.rs"), "fn today() {}\n");
    write(
        bug.join("bug.toml"),
        "name = \"a bug\"\ndescription = \"It breaks.\"\ncitation = [\"a/b#1\"]\n\
         invariants = [\"INV-01\"]\nseam = \"none\"\nfiles = [\"code.rs\"]\n",
    );
    write(
        bug.join("patch.diff"),
        "--- a/code.rs\n+++ b/code.rs\n@@ -1 +1 @@\n-fn yesterday() {}\n+fn broken() {}\n",
    );
    let git = Command::new("git")
        .arg("init")
        .arg("--quiet")
        .current_dir(&project)
        .status();
    assert!(git.expect("git").success());
    let copy = copy.to_str().expect("a path");
    let (code, stdout, stderr) = run(&project, &["zoo", "--folder", copy]);
    assert_eq!((code, &*stdout), (1, ""), "{stderr}");
    for words in [
        "zoo/Z99/patch.diff no longer applies",
        "code.rs:1",
        "remedy: plant the bug again",
    ] {
        assert!(stderr.contains(words), "no {words:?} in: {stderr}");
    }
    let copied = fs::read_to_string(Path::new(copy).join("source").join("code.rs"));
    assert_eq!(copied.expect("the copy"), "fn today() {}\n");
    refused(
        &project,
        &["zoo", "--only", "Z98"],
        1,
        &["unknown bug Z98", "remedy: name some of Z99"],
    );
    // The target folder lies in this very project, and what is above a folder counts.
    let elsewhere = tempfile::tempdir().expect("a folder");
    refused(
        elsewhere.path(),
        &["zoo"],
        1,
        &[
            "no zoo/ beside a Cargo.toml",
            "remedy: run it inside the project",
        ],
    );
}

#[test]
fn a_fault_that_never_started_or_struck_is_named_in_the_summary_and_counted_by_a_sweep() {
    let folder = folder("missed");
    let faults = "[[fault]]\ndo = \"crash\"\non = \"broker-a\"\nat = { stored = 1000000 }\nfor = \"1s\"\n\
        [[fault]]\ndo = \"refuse\"\non = \"broker-a\"\nat = \"2s\"\n\
        [[fault]]\ndo = \"delay\"\non = \"broker-a\"\nby = \"5ms\"\n";
    fs::write(folder.join("missed.toml"), format!("{CALM}{faults}")).expect("a scenario");
    let (code, stdout, stderr) = run(&folder, &["run", "missed.toml", "--trace", "none"]);
    assert_eq!(code, 0, "{stderr}");
    let lines = [
        "missed   fault 1 never started: crash",
        "missed   fault 2 never struck: refuse",
    ];
    for line in lines {
        assert!(stdout.contains(line), "no {line:?} in: {stdout}");
    }
    assert!(stdout.contains("struck   fault 3 2\n"), "{stdout}");
    let (code, stdout, stderr) = run(&folder, &["sweep", "missed.toml", "--seeds", "0..4"]);
    assert_eq!(code, 0, "{stderr}");
    let counts = "faults   12 planned  4 never started  4 never struck\n";
    assert!(stdout.contains(counts), "{stdout}");
}

#[test]
fn an_answer_that_stores_nothing_is_an_invalid_scenario() {
    let folder = folder("lie");
    let fault = "[[fault]]\ndo = \"answer\"\non = \"broker-a\"\ncode = 10\n";
    fs::write(folder.join("lie.toml"), format!("{CALM}{fault}")).expect("a scenario");
    refused(
        &folder,
        &["run", "lie.toml"],
        15,
        &["stores nothing", "store-then-answer"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_does_not_fit_on_a_full_device_is_an_error_and_one_that_nobody_reads_is_none() {
    let folder = with_calm("full-device");
    for arguments in [
        &["run", "calm.toml"][..],
        &["faults"],
        &["digest", "--seeds", "0..2"],
        &["sweep", "calm.toml", "--seeds", "0..2"],
        &["compare", "calm.toml"],
        &["--help"],
        &["run", "--help"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let full = full.expect("the full device");
        let output = program(&folder, arguments).stdout(full).output();
        let output = output.expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("No space left"), "{arguments:?}: {stderr}");
    }
    let mut unread = program(&folder, &["faults"]);
    let mut unread = unread.stdout(Stdio::piped()).spawn().expect("it starts");
    drop(unread.stdout.take());
    assert!(unread.wait().expect("it ends").success());
}

/// Whether a process has a handler for SIGINT, which is signal 2: before it has, the signal kills it.
#[cfg(target_os = "linux")]
fn listens_to_interrupts(process: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.map(|it| u64::from_str_radix(it.trim(), 16));
    caught.expect("its signals").expect("a number") & 0b10 != 0
}

/// Starts a sweep and tells it to stop; gives the arguments by which it says it goes on.
#[cfg(target_os = "linux")]
fn told_to_stop(folder: &Path, arguments: &[&str]) -> String {
    let sweep = program(folder, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let id = sweep.id().to_string();
    while !listens_to_interrupts(&id) {
        std::thread::yield_now();
    }
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill").success());
    let output = sweep.wait_with_output().expect("it ends");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("told to stop"), "{stderr}");
    for line in ["rate     ", "verdicts ", "digest   "] {
        assert!(stdout.contains(line), "no {line:?} in {stdout}");
    }
    let (_, resume) = stdout.split_once("resume   cargo sim ").expect("a line");
    resume.lines().next().expect("a line").to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_sweep_that_is_told_to_stop_says_what_it_found_and_how_to_go_on() {
    let folder = with_calm("told-to-stop");
    let resume = |more: &str| {
        let arguments = format!("sweep calm.toml --jobs 1 {more}");
        told_to_stop(&folder, &arguments.split(' ').collect::<Vec<_>>())
    };
    let seeds = resume("--seeds 3..99999999");
    let (from, to) = seeds.split_once("..").expect("two seeds");
    let from = from
        .strip_prefix("sweep calm.toml --seeds ")
        .expect("seeds");
    // Portions end at multiples of 20.
    let from: u64 = from.parse().expect("a seed");
    assert!(from == 3 || from.is_multiple_of(20), "{from}");
    assert_eq!(to, "99999999");
    assert_eq!(
        resume("--seeds 3..99999999 --out kept.jsonl"),
        "sweep calm.toml --seeds 3..99999999 --out kept.jsonl",
        "the file knows the rest"
    );
    assert!(folder.join("kept.jsonl").is_file());
    assert_eq!(
        resume("--for 10m --out timed.jsonl"),
        "sweep calm.toml --for 600s --out timed.jsonl",
        "without seeds a time is needed"
    );
}

#[test]
fn a_file_that_is_there_is_not_shrunk_over_unless_that_is_asked_for() {
    let folder = with_calm("shrunk-over");
    fs::write(folder.join("taken.toml"), "mine").expect("a file");
    for option in ["--out", "--passing"] {
        let shrink = ["shrink", "calm.toml", option, "taken.toml"];
        refused(
            &folder,
            &shrink,
            1,
            &["taken.toml: is there already", "--force"],
        );
    }
    let forced = ["shrink", "calm.toml", "--out", "taken.toml", "--force"];
    refused(&folder, &forced, 1, &["there is nothing to shrink"]);
}

#[test]
fn no_threads_at_all_are_refused() {
    let folder = with_calm("no-threads");
    let sweep = ["sweep", "calm.toml", "--seeds", "0..2", "--jobs", "0"];
    refused(&folder, &sweep, 2, &["--jobs", "zero"]);
}

#[test]
fn a_line_that_repeats_a_run_works_where_it_is_printed() {
    let folder = folder("a folder with 'quotes'");
    fs::write(folder.join("a b.toml"), CALM).expect("a scenario");
    let by_cargo = run(&folder, &["run", "a b.toml"]).1;
    assert!(
        by_cargo.contains("\nrepeat   cargo sim run 'a b.toml' --seed 0\n"),
        "{by_cargo}"
    );
    // Outside of cargo the program is called as it was called.
    let mut installed = program(&folder, &["run", "a b.toml"]);
    let installed = installed.env_remove("CARGO_PKG_NAME").output();
    let installed = installed.expect("it starts").stdout;
    let installed = String::from_utf8(installed).expect("text");
    let (_, line) = installed.split_once("\nrepeat   ").expect("the line");
    assert!(!line.contains("cargo sim"), "{line}");
    let again = Command::new("sh")
        .args(["-c", line])
        .current_dir(&folder)
        .env_remove("CARGO_PKG_NAME")
        .output();
    let again = String::from_utf8(again.expect("a shell").stdout).expect("text");
    let digest = |text: &str| {
        text.split_once("digest ")
            .map(|(_, it)| it.trim()[..16].to_owned())
    };
    assert_eq!(digest(&again), digest(&installed));
    assert!(digest(&again).is_some(), "{again}");
}

#[test]
fn the_program_has_a_version_and_completions() {
    let folder = folder("version");
    let (exit, version, _) = run(&folder, &["--version"]);
    assert_eq!(exit, 0);
    assert_eq!(
        version,
        concat!("rocketmq-sim ", env!("CARGO_PKG_VERSION"), "\n")
    );
    for shell in ["bash", "fish", "zsh"] {
        let (exit, script, _) = run(&folder, &["completions", shell]);
        assert_eq!(exit, 0, "{shell}");
        assert!(
            script.contains("rocketmq-sim") && script.contains("diverge"),
            "{shell}"
        );
    }
}

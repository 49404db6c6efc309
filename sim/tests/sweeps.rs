//! A sweep's result does not depend on how it was cut: threads, shards, sittings.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rmq_sim::internals::sweep::file::{self, FileError, Out};
use rmq_sim::internals::sweep::{BUILD, Plan, Portion, SeedSource, Shard, Watcher, carry_out};
use rmq_sim::internals::zoo::{FailsAnyway, Mutant, search};
use rmq_sim::verdict::Class;

struct Keeper {
    out: Mutex<Out>,
    left: Mutex<u64>,
}

impl Watcher for Keeper {
    fn ran(&self, _: Class) {}

    fn portion(&self, portion: &Portion) -> std::io::Result<()> {
        self.out.lock().add(portion)
    }

    fn enough(&self) -> bool {
        let mut left = self.left.lock();
        let enough = *left == 0;
        *left = left.saturating_sub(1);
        enough
    }
}

fn plan(shard: Shard, jobs: usize) -> Plan {
    Plan {
        source: SeedSource::Generated,
        seeds: 5..70,
        shard,
        done: 0,
        jobs,
    }
}

/// Runs at most so many portions of a plan into a file, after what is in it.
fn run(path: &Path, mut plan: Plan, portions: u64) {
    let (out, before) = Out::open(path, &plan).expect("a file");
    plan.done = before.len() as u64;
    let keeper = Keeper {
        out: Mutex::new(out),
        left: Mutex::new(portions),
    };
    carry_out(&plan, &keeper).expect("a sweep");
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn threads_shards_and_sittings_leave_the_same_file() {
    let folder = folder("sweeps");
    let whole = folder.join("whole.jsonl");
    run(&whole, plan(Shard::WHOLE, 1), u64::MAX);
    let whole = fs::read_to_string(whole).expect("the whole sweep");

    let threads = folder.join("threads.jsonl");
    run(&threads, plan(Shard::WHOLE, 2), u64::MAX);
    assert_eq!(fs::read_to_string(threads).expect("two threads"), whole);

    let sittings = folder.join("sittings.jsonl");
    run(&sittings, plan(Shard::WHOLE, 1), 1);
    let mut torn = fs::read_to_string(&sittings).expect("the first sitting");
    torn.push_str("{\"from\":20,\"to");
    fs::write(&sittings, torn).expect("half a line");
    run(&sittings, plan(Shard::WHOLE, 1), u64::MAX);
    assert_eq!(fs::read_to_string(sittings).expect("two sittings"), whole);

    let shards: Vec<PathBuf> = (0..3)
        .map(|index| {
            let path = folder.join(format!("{index}.jsonl"));
            run(&path, plan(Shard { index, of: 3 }, 1), u64::MAX);
            path
        })
        .collect();
    let (merged, _, sweep) = file::merge(&shards).expect("three shards");
    assert_eq!(merged, whole);
    assert_eq!(sweep.runs, 65);

    let missing = file::merge(&shards[..2]);
    assert!(matches!(missing, Err(FileError::Missing { from: 40, .. })));
    let other = Out::open(&shards[0], &plan(Shard::WHOLE, 1));
    assert!(matches!(other, Err(FileError::Other { .. })));
}

/// The text of a finished sweep's file, with another build in its first line.
fn of_another_build(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a sweep");
    let other = text.replacen(BUILD, "0.0.9 0123456789abcdef", 1);
    assert_ne!(other, text, "the first line names the build");
    other
}

#[test]
fn the_file_of_another_build_is_neither_continued_nor_merged() {
    let folder = folder("builds");
    let path = folder.join("sweep.jsonl");
    run(&path, plan(Shard::WHOLE, 1), 1);
    let other = of_another_build(&path);
    fs::write(&path, &other).expect("another build's file");

    let error = Out::open(&path, &plan(Shard::WHOLE, 1)).expect_err("refused");
    assert!(matches!(&error, FileError::Build { theirs, .. } if theirs.starts_with("0.0.9")));
    let text = error.to_string();
    assert!(text.contains(BUILD) && text.contains("remedy:"), "{text}");
    let merged = file::merge(std::slice::from_ref(&path));
    assert!(matches!(merged, Err(FileError::Build { .. })));
    let kept = fs::read_to_string(&path).expect("the file");
    assert_eq!(kept, other, "it is untouched");

    let old = r#"{"format":1,"sweep":"generated","seeds":[5,70]}"#;
    fs::write(&path, format!("{old}\n")).expect("an old file");
    let error = Out::open(&path, &plan(Shard::WHOLE, 1)).expect_err("refused");
    assert!(error.to_string().contains("format 1"), "{error}");
}

#[test]
fn two_sweeps_cannot_write_into_one_file() {
    let folder = folder("locks");
    let path = folder.join("sweep.jsonl");
    let (first, _) = Out::open(&path, &plan(Shard::WHOLE, 1)).expect("a file");
    let second = Out::open(&path, &plan(Shard::WHOLE, 1));
    assert!(matches!(second, Err(FileError::Busy { .. })), "{second:?}");
    drop(first);
    run(&path, plan(Shard::WHOLE, 1), u64::MAX);
    let read = file::read(&path).expect("a whole sweep");
    assert_eq!(read.portions.len(), 4);
}

#[test]
fn a_mutant_is_another_build_whose_failing_seeds_are_found() {
    let folder = folder("mutants");
    let failing = folder.join("failing.toml");
    let text = include_str!("../../scenarios/healthy.toml");
    let wrong = text.replacen("\nstored       = 58", "\nstored = 57", 1);
    assert_ne!(wrong, text, "one expectation is wrong");
    fs::write(&failing, wrong).expect("a scenario that fails");
    let healthy = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/healthy.toml"
    ));
    // The laboratory's own program, whose file then names another build.
    let program = folder.join("mutant");
    let script = format!(
        "#!/bin/sh\n{} \"$@\"\nfor out; do :; done\nsed -i 's/{BUILD}/another/' \"$out\"\n",
        env!("CARGO_BIN_EXE_rocketmq-sim"),
    );
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    for (scenario, seed) in [(failing.as_path(), Some(0)), (healthy, None)] {
        let mutant = Mutant {
            what: "a mutant",
            program: program.clone(),
            sources: folder.clone(),
            folder: folder.clone(),
            seeds: 2,
            jobs: 1,
            scenario: Some(scenario),
        };
        let kill = search(&mutant, &FailsAnyway::new()).expect("a result");
        assert_eq!(kill.map(|kill| kill.seed), seed, "{}", scenario.display());
    }
}

//! What the command line says of pairs of runs, and of what their checkers and all others object to.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

/// A scenario that nothing happens in.
const CALM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/healthy.toml");

/// Runs the program to its end: exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rocketmq-sim"));
    let output = program.args(arguments).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_two_runs_of_a_seed_are_compared_send_by_send() {
    for (seed, checker) in [(0, "INV-55"), (4, "INV-56"), (8, "INV-22"), (12, "INV-46")] {
        let (code, text, _) = run(&["diff", &format!("{CALM}@{seed}"), "--pair"]);
        let pair = format!("pair     {checker} compares two runs of this seed\none ");
        assert!(code == 0 && text.starts_with(&pair), "{text}");
        let alike = "first    no send goes another way";
        assert!(seed == 8 || text.contains(alike), "{text}");
    }
    let (code, _, error) = run(&["diff", CALM, CALM, "--pair"]);
    assert!(
        code == 2 && error.contains("cannot be used with"),
        "{error}"
    );
}

#[test]
fn a_checker_says_what_it_objects_to() {
    let (code, text, _) = run(&["invariants", "INV-13"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("INV-13  The target queue stays"),
        "{text}"
    );
    assert_eq!(
        lines[1..],
        [
            "        … goes to …, not …",
            "        … reads …, for target queue …"
        ]
    );
    let (_, all, _) = run(&["invariants", "--sides"]);
    assert!(all.contains(&text), "{all}");
    let (code, _, error) = run(&["invariants", "INV-52"]);
    assert!(
        code == 2 && error.contains("no checker is called so"),
        "{error}"
    );
}

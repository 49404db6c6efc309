//! The command line as pages for `man`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program to its end.
fn run(arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_rocketmq-sim"))
        .args(arguments)
        .output();
    program.expect("it starts")
}

#[test]
fn the_program_has_a_manual_of_one_page_for_each_command() {
    let printed = run(&["manual"]);
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).expect("text");
    let title = format!(
        ".TH rocketmq-sim 1  \"rocketmq-sim {}\"",
        env!("CARGO_PKG_VERSION")
    );
    assert!(printed.contains(&title), "{printed}");

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manual");
    let _ = fs::remove_dir_all(&folder);
    let written = run(&["manual", "--out", &folder.to_string_lossy()]);
    assert!(written.status.success());
    assert_eq!(written.stdout, b"", "the pages are in the folder");
    let page = |name: &str| fs::read_to_string(folder.join(name)).expect("a page");
    assert_eq!(page("rocketmq-sim.1"), printed);
    for (command, option) in [("sweep", "\\-\\-seeds"), ("manual", "\\-\\-out")] {
        let page = page(&format!("rocketmq-sim-{command}.1"));
        assert!(page.contains(option), "{command}: {page}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manual-is-a-file");
    fs::write(&file, "").expect("a file");
    let refused = run(&["manual", "--out", &file.to_string_lossy()]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).expect("text");
    assert!(said.contains("manual-is-a-file"), "{said}");
}

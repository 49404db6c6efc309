//! The program itself: its command line and the signals it is sent.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

/// A running program, killed with its test.
struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mock-broker"))
            .args(["--namesrv", ""])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    /// Reads the log up to a line with this text; it ends if the program does.
    fn says(&mut self, text: &str) -> String {
        let line = self.log.find(|line| line.as_ref().unwrap().contains(text));
        line.unwrap().unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_host_name_is_listened_at_and_a_signal_to_reload_does_not_kill() {
    let mut program = Program::start(&["--listen", "localhost:0", "--advertise", "localhost:7"]);
    program.says("listens at");
    program.signal("-HUP");
    program.says("no rules to read again");
    program.signal("-HUP");
    program.says("no rules to read again");
    program.signal("-TERM");
    program.says("broker stops");
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn the_rules_are_read_again_and_a_mistake_changes_nothing() {
    let file = std::env::temp_dir().join(format!("rules-{}.toml", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let rules = file.to_str().unwrap();
    let mut program = Program::start(&["--listen", "127.0.0.1:0", "--rules", rules]);
    program.says("listens at");
    std::fs::write(
        &file,
        "[[rule]]\nname = \"x\"\nthen = { do = \"garbage\" }\n",
    )
    .unwrap();
    program.signal("-HUP");
    program.says("the rules are those of");
    std::fs::write(
        &file,
        "[[rule]]\nname = \"x\"\nthen = { do = \"nothing\" }\n",
    )
    .unwrap();
    program.signal("-HUP");
    program.says("the rules stay as they were");
    program.signal("-INT");
    program.says("broker stops");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn an_address_that_is_none_is_named() {
    let mut program = Program::start(&["--listen", "localhost"]);
    program.says("HOST:PORT");
    assert!(!program.child.wait().unwrap().success());
}

#[test]
fn the_program_prints_a_page_for_man_and_starts_nothing() {
    let printed = Command::new(env!("CARGO_BIN_EXE_mock-broker"))
        .args(["--manual"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    let page = String::from_utf8(printed.stdout).unwrap();
    assert!(page.contains(".TH mock-broker 1"), "{page}");
    assert!(page.contains("\\-\\-profile"), "{page}");
    assert_eq!(printed.stderr, b"", "no log");
}

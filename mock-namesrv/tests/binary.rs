//! The program itself: its command line and the signals it is sent.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a failed step fails the test, and helpers are part of the test"
)]

use std::io::{BufRead, BufReader, Lines};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};

use bytes::BytesMut;
use rmq_remoting::command::{HeaderForm, Language};
use rmq_remoting::frame::{Outgoing, Speaker, encode};
use rmq_remoting::header::{EncodeHeader, FieldWriter};

/// A running program, killed with its test.
struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mock-namesrv"))
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
    let mut program = Program::start(&["--listen", "localhost:0"]);
    program.says("listens at");
    program.signal("-HUP");
    program.says("no rules to read again");
    program.signal("-HUP");
    program.says("no rules to read again");
    program.signal("-TERM");
    program.says("name server stops");
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn the_rules_are_read_again_and_a_mistake_stops_the_start_only() {
    let file = std::env::temp_dir().join(format!("namesrv-rules-{}.toml", std::process::id()));
    let rule = |action: &str| {
        let text = format!("[[rule]]\nname = \"x\"\nthen = {{ {action} }}\n");
        std::fs::write(&file, text).unwrap();
    };
    let arguments = ["--listen", "127.0.0.1:0", "--rules", file.to_str().unwrap()];
    rule("do = \"inside-out-route\"");
    let mut refused = Program::start(&arguments);
    let located = refused.says(":3:8: ");
    assert!(located.contains(file.to_str().unwrap()), "{located}");
    assert!(!refused.child.wait().unwrap().success());
    rule("do = \"null-route\"");
    let mut program = Program::start(&arguments);
    program.says("listens at");
    rule("do = \"nothing\"");
    program.signal("-HUP");
    program.says("the rules stay as they were");
    rule("do = \"garbage\"");
    program.signal("-HUP");
    program.says("the rules are those of");
    program.signal("-INT");
    program.says("name server stops");
    std::fs::remove_file(&file).unwrap();
}

/// The fields of a registration whose broker's name would write log lines of its own.
struct Forged;

impl EncodeHeader for Forged {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.str(
            "brokerName",
            "a\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J",
        );
        fields.str("brokerAddr", "x:1");
        fields.str("clusterName", "c");
        fields.str("brokerId", "0");
    }
}

#[test]
fn a_name_with_a_line_break_stays_in_its_line_of_the_log() {
    let mut program = Program::start(&["--listen", "127.0.0.1:0"]);
    let line = program.says("listens at");
    let at: SocketAddr = line.rsplit(' ').next().unwrap().trim().parse().unwrap();
    let mut frame = BytesMut::new();
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Java,
        version: 479,
    };
    let register = Outgoing {
        code: 103,
        opaque: 1,
        flag: 0,
        remark: None,
        header: &Forged,
        body: b"",
    };
    encode(&speaker, &register, &mut frame).unwrap();
    let mut stream = TcpStream::connect(at).unwrap();
    std::io::Write::write_all(&mut stream, &frame).unwrap();
    let line = program.says("forged");
    assert!(line.contains("registered at x:1"), "{line}");
    assert!(!line.contains('\u{1b}'), "{line}");
}

#[test]
fn the_program_prints_a_page_for_man_and_starts_nothing() {
    let printed = Command::new(env!("CARGO_BIN_EXE_mock-namesrv"))
        .args(["--manual"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    let page = String::from_utf8(printed.stdout).unwrap();
    assert!(page.contains(".TH mock-namesrv 1"), "{page}");
    assert!(page.contains("\\-\\-profile"), "{page}");
    assert_eq!(printed.stderr, b"", "no log");
}

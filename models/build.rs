//! Copies the sources under model, once as they are and once for each mutation that a model must
//! reject.
//!
//! A copy differs from its source in nothing but the name of the crate's root (a variant is a
//! module, not a crate), its opening comment, and its own mutation. A mutation that no longer fits
//! its source stops the build: it must be written anew, or nothing proves that the model can fail.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The sources, and where their copies go.
const SOURCES: [(&str, &str); 7] = [
    ("remoting/src/write_buffer.rs", "write_buffer.rs"),
    (
        "remoting/src/client/connection_handle.rs",
        "connection_handle.rs",
    ),
    ("remoting/src/client/pending.rs", "pending.rs"),
    ("remoting/src/client/silence.rs", "silence.rs"),
    ("producer/src/client/tasks.rs", "tasks.rs"),
    ("producer/src/send/life.rs", "life.rs"),
    ("producer/src/client/single_flight.rs", "single_flight.rs"),
];

/// A variant: its name, the copy that is changed, what is replaced, by what.
type Mutation = (&'static str, &'static str, &'static str, &'static str);

const MUTATIONS: [Mutation; 10] = [
    (
        "a_write_buffer_sleeps_over_bytes",
        "write_buffer.rs",
        "let news = (!blocked && !state.bytes.is_empty())",
        "let news = (!blocked && state.appended == u64::MAX)",
    ),
    (
        "a_write_buffer_tells_nobody_of_room",
        "write_buffer.rs",
        "if before >= self.limit && after < self.limit {",
        "if before >= self.limit && after < self.limit && self.limit == 0 {",
    ),
    (
        "an_answer_wakes_nobody",
        "pending.rs",
        "Entry::Waiting { caller, .. } => Answered::Open(caller),",
        "Entry::Waiting { caller, .. } => Answered::Open(caller.filter(|_| false)),",
    ),
    (
        "a_call_waits_on_a_connection_that_has_ended",
        "pending.rs",
        "            && self.ended.is_none()\n        {\n            match caller {",
        "        {\n            match caller {",
    ),
    (
        "a_connection_ends_twice",
        "connection_handle.rs",
        "let first = pending.ended().is_none();\n            first.then(|| pending.end(cause))",
        "Some(pending.end(cause))",
    ),
    (
        "a_dial_that_is_given_up_tells_nobody",
        "connection_handle.rs",
        "        self.write_buffer.close();\n        self.dialled.notify_waiters();\n        dialling",
        "        self.write_buffer.close();\n        dialling",
    ),
    (
        "a_task_starts_after_the_end",
        "tasks.rs",
        "            if state.closed {\n                Some(handle)",
        "            if state.closed && number == 0 {\n                Some(handle)",
    ),
    (
        "the_last_send_tells_nobody",
        "life.rs",
        "state.open_sends == 0 && state.closed",
        "state.open_sends == 0 && !state.closed",
    ),
    (
        "two_flights_at_once",
        "single_flight.rs",
        "return (Arc::clone(flight), false);",
        "return (Arc::clone(flight), true);",
    ),
    (
        "a_result_comes_unseen",
        "single_flight.rs",
        "self.completed.notify_waiters();",
        "let _ = &self.completed;",
    ),
];

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(sources)");
    println!("cargo::rerun-if-changed=build.rs");
    let top = PathBuf::from("..");
    if !top.join("remoting/src").is_dir() {
        // An archive of this package: the crates that it is about are elsewhere.
        println!("cargo::warning=no sources beside this package, so there are no models of them");
        return Ok(());
    }
    println!("cargo::rustc-cfg=sources");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    copies(&top, &out, "sound", None)?;
    for mutation in MUTATIONS {
        copies(&top, &out, mutation.0, Some(mutation))?;
    }
    for (source, _) in SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
    }
    Ok(())
}

fn copies(top: &Path, out: &Path, variant: &str, mutation: Option<Mutation>) -> io::Result<()> {
    let folder = out.join(variant);
    fs::create_dir_all(&folder)?;
    for (source, copy) in SOURCES {
        let text = fs::read_to_string(top.join(source))?;
        let mut text = without_opening(&text).replace("crate::", &format!("crate::{variant}::"));
        if let Some((_, changed, from, to)) = mutation.filter(|it| it.1 == copy) {
            if text.matches(from).count() != 1 {
                let text = format!(
                    "the mutation {variant} no longer fits {source}: it must find this once:\n{from}\n\
                     remedy: write it anew in models/build.rs"
                );
                return Err(io::Error::other(text));
            }
            debug_assert_eq!(changed, copy);
            text = text.replace(from, to);
        }
        fs::write(folder.join(copy), text)?;
    }
    Ok(())
}

/// A file that is included has no comment of its own module.
fn without_opening(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("//!"));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

//! A trace for programs: JSON lines.
//!
//! The first line is the header, then one record a line with its time, its node's name and its
//! event, and the end as the last line. Nothing is lost, so any question that the short trace does
//! not answer can be put to this file with ordinary tools.

use std::io::{self, Write};

use serde::Serialize;

use super::record::{NodeEvent, Trace, TraceEnd, TraceHeader, TraceRecord};

#[derive(Serialize)]
struct HeaderLine<'a> {
    header: &'a TraceHeader,
}

#[derive(Serialize)]
struct RecordLine<'a> {
    ms: u64,
    node: &'a str,
    event: &'a NodeEvent,
}

#[derive(Serialize)]
struct EndLine<'a> {
    ms: u64,
    end: &'a TraceEnd,
}

/// Writes a whole trace: its header, its records and its end, each as one line.
///
/// # Errors
///
/// `out` does not take the bytes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// use rmq_sim::trace::json;
///
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let run = run::run(&scenario, 7, EngineKind::Event)?;
/// let mut lines = Vec::new();
/// json::write(&run.trace, &mut lines)?;
/// assert!(lines.starts_with(b"{"));
/// # Ok(())
/// # }
/// ```
pub fn write(trace: &Trace, out: &mut dyn Write) -> io::Result<()> {
    line(
        out,
        &HeaderLine {
            header: &trace.header,
        },
    )?;
    for record in &trace.records {
        write_record(&trace.header, record, out)?;
    }
    line(
        out,
        &EndLine {
            ms: trace.end_ms,
            end: &trace.end,
        },
    )
}

/// Writes one record as a line.
///
/// # Errors
///
/// `out` does not take the bytes.
pub fn write_record(
    header: &TraceHeader,
    record: &TraceRecord,
    out: &mut dyn Write,
) -> io::Result<()> {
    line(
        out,
        &RecordLine {
            ms: record.ms,
            node: header.name(record.node),
            event: &record.what,
        },
    )
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::Scene;

    #[test]
    fn every_line_is_one_object_and_a_record_names_its_node_and_event() {
        let scene = Scene::new().at(1000).whole(1, "a/0");
        let mut out = Vec::new();
        write(&scene.trace, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), scene.trace.records.len() + 2);
        assert_eq!(lines[0]["header"]["scenario"], "scene");
        let stored = lines
            .iter()
            .find(|line| line["event"]["broker"]["stored"].is_object());
        assert_eq!(stored.unwrap()["node"], "broker-a");
        assert_eq!(stored.unwrap()["ms"], 1002);
        assert_eq!(lines.last().unwrap()["end"], "finished");
    }
}

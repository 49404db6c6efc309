//! A trace as a table of sends, and two such tables side by side.
//!
//! Whoever compares two runs wants to know which send went another way, not which record moved by a
//! millisecond. So both traces are folded to one line per send (its attempts, where each went, how
//! it ended) and aligned by the producer and the number of the call. They are read from JSON
//! lines, so a run made elsewhere, or yesterday, compares as well as one made now.

use std::fmt::{self, Write as _};
use std::io::{self, BufRead};

use indexmap::IndexMap;
use rmq_producer::event::SendNumber;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
struct AttemptRow {
    number: u64,
    to: String,
    /// How it ended: its stage, with the response code if a broker refused; `open` until then.
    how: String,
    after_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SendRow {
    called_ms: u64,
    topic: String,
    attempts: Vec<AttemptRow>,
    outcome: String,
    after_ms: u64,
}

/// The sends of a trace by (producer, n-th call), in the order of the calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sends {
    title: String,
    sends: IndexMap<(String, u64), SendRow>,
}

/// Why a text is no trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line is not what `--jsonl` writes.
    #[error("line {0} is no record of a trace")]
    Line(usize),
}

impl Sends {
    /// Reads JSON lines as `cargo sim run --jsonl` writes them.
    pub(crate) fn read(lines: impl BufRead) -> Result<Self, ReadError> {
        let mut sends = Sends::default();
        // A producer that starts again counts its sends from 1 again.
        let mut calls: IndexMap<(String, SendNumber), u64> = IndexMap::new();
        let mut counts: IndexMap<String, u64> = IndexMap::new();
        for (at, line) in lines.lines().enumerate() {
            let value: Value = serde_json::from_str(&line?).map_err(|_| ReadError::Line(at + 1))?;
            if let Some(header) = value.get("header") {
                sends.title = format!(
                    "{} seed {} on {}",
                    text(header, "scenario"),
                    header["seed"],
                    text(header, "engine")
                );
                continue;
            }
            let Some(ms) = value["ms"].as_u64() else {
                return Err(ReadError::Line(at + 1));
            };
            let Some((kind, event)) = value["event"]["producer"]
                .as_object()
                .and_then(|it| it.iter().next())
            else {
                continue;
            };
            // What is told of no send is not compared.
            let Some(number) = event["send"].as_u64().map(SendNumber::from) else {
                continue;
            };
            let who = text(&value, "node");
            if kind == "call" {
                let nth = counts.entry(who.clone()).or_default();
                *nth += 1;
                calls.insert((who.clone(), number), *nth);
                let call = SendRow::called(ms, text(event, "topic"));
                sends.sends.insert((who, *nth), call);
            } else if let Some(nth) = calls.get(&(who.clone(), number))
                && let Some(send) = sends.sends.get_mut(&(who, *nth))
            {
                send.add(kind, event);
            }
        }
        Ok(sends)
    }
}

/// A text of a record; a question mark where another release did not write it.
fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("?").to_owned()
}

/// An enumeration's value in words: `"deadline"`, `{"attempts":"silent"}`.
fn words(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Object(map) => {
            let inner = map.iter().next();
            inner.map_or_else(String::new, |(word, rest)| {
                format!("{word} {}", words(rest))
            })
        }
        other => other.to_string(),
    }
}

impl SendRow {
    fn called(called_ms: u64, topic: String) -> Self {
        SendRow {
            called_ms,
            topic,
            attempts: Vec::new(),
            outcome: "open".to_owned(),
            after_ms: 0,
        }
    }

    fn add(&mut self, kind: &str, event: &Value) {
        let number = event["number"].as_u64().unwrap_or_default();
        let after_ms = event["after_ms"].as_u64().unwrap_or_default();
        let attempt = self.attempts.iter_mut().rfind(|it| it.number == number);
        match (kind, attempt) {
            ("attempt", _) => {
                let broker = text(&event["to"], "broker");
                let broker = broker.strip_prefix("broker-").unwrap_or(&broker);
                self.attempts.push(AttemptRow {
                    number,
                    to: format!("{broker}/{}", event["to"]["queue"]),
                    how: "open".to_owned(),
                    after_ms: 0,
                });
            }
            ("hedged", Some(attempt)) => "hedged".clone_into(&mut attempt.how),
            ("attempt-ended", Some(attempt)) => {
                let stage = words(&event["stage"]);
                let stage = match (stage.as_str(), event["code"].as_i64()) {
                    ("accepted", _) => "ok".to_owned(),
                    ("refused", Some(code)) => format!("refused with {code}"),
                    _ => stage,
                };
                attempt.how = if attempt.how == "hedged" {
                    format!("hedged, {stage}")
                } else {
                    stage
                };
                attempt.after_ms = after_ms;
            }
            ("done", _) => {
                self.outcome = match &event["outcome"] {
                    Value::Object(map) if map.contains_key("sent") => "ok".to_owned(),
                    outcome => words(outcome),
                };
                self.after_ms = after_ms;
            }
            ("cancelled", _) => "cancelled".clone_into(&mut self.outcome),
            // What else is told of a send is no step of it, or of an attempt that the file lacks.
            _ => {}
        }
    }

    /// The same way: all but the times.
    fn goes_as(&self, other: &SendRow) -> bool {
        let way = |it: &AttemptRow| (it.to.clone(), it.how.clone());
        self.topic == other.topic
            && self.outcome == other.outcome
            && self
                .attempts
                .iter()
                .map(way)
                .eq(other.attempts.iter().map(way))
    }
}

impl fmt::Display for SendRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for attempt in &self.attempts {
            write!(f, "{} {} {}ms, ", attempt.to, attempt.how, attempt.after_ms)?;
        }
        write!(f, "{} after {}ms", self.outcome, self.after_ms)
    }
}

/// What became of one send in both runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Equal,
    Times,
    Differs,
}

fn compare(a: Option<&SendRow>, b: Option<&SendRow>) -> Match {
    match (a, b) {
        (Some(a), Some(b)) if a == b => Match::Equal,
        (Some(a), Some(b)) if a.goes_as(b) => Match::Times,
        _ => Match::Differs,
    }
}

/// Both runs, aligned by send; unless `all`, without the sends that went the same way.
pub(crate) fn side_by_side(a: &Sends, b: &Sends, all: bool) -> String {
    let mut keys: Vec<&(String, u64)> = a.sends.keys().collect();
    keys.extend(b.sends.keys().filter(|key| !a.sends.contains_key(*key)));
    let mut counts = [0_usize; 3];
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut first = None;
    for key in &keys {
        let (left, right) = (a.sends.get(*key), b.sends.get(*key));
        let found = compare(left, right);
        counts[found as usize] += 1;
        let mark = match found {
            Match::Equal => "=",
            Match::Times => "~",
            Match::Differs if first.is_none() => {
                first = Some(*key);
                ">"
            }
            Match::Differs => "!",
        };
        if all || found == Match::Differs {
            let cell = |send: Option<&SendRow>| {
                send.map_or_else(|| "no such send".to_owned(), ToString::to_string)
            };
            let called_ms = left.or(right).map_or(0, |send| send.called_ms);
            let send = format!("{mark} {called_ms:>7}  {} s{}", key.0, key.1);
            rows.push([send, cell(left), cell(right), String::new()]);
        }
    }
    let mut text = format!("a        {}\nb        {}\n", a.title, b.title);
    table(&mut text, &rows);
    let [equal, times, differ] = counts;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "sends    {}: {equal} equal, {times} equal but for times, {differ} go another way",
        keys.len()
    );
    let _ = match first {
        Some((who, nth)) => writeln!(text, "first    {who} s{nth} is where they part"),
        None => writeln!(text, "first    no send goes another way"),
    };
    text
}

fn table(text: &mut String, rows: &[[String; 4]]) {
    if rows.is_empty() {
        return;
    }
    let head = [
        "       ms  send".to_owned(),
        "a".to_owned(),
        "b".to_owned(),
        String::new(),
    ];
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].len());
        cells.max().unwrap_or(0)
    };
    let (send, left) = (width(0), width(1));
    for row in [&head].into_iter().chain(rows) {
        let _ = writeln!(text, "{:send$}  {:left$}  {}", row[0], row[1], row[2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::Scene;
    use crate::trace::json;

    fn sends(scene: &Scene) -> Sends {
        let mut lines = Vec::new();
        json::write(&scene.trace, &mut lines).unwrap();
        Sends::read(lines.as_slice()).unwrap()
    }

    #[test]
    fn the_first_send_that_goes_another_way_is_marked_and_equal_ones_are_counted() {
        let first = Scene::new().at(1_000).whole(1, "a/0");
        let a = sends(&first.at(2_000).whole(2, "b/0").at(3_000).whole(3, "c/0"));
        let first = Scene::new().at(1_000).whole(1, "a/0");
        let b = sends(&first.at(2_000).whole(2, "c/0").at(3_000).whole(3, "b/0"));
        let text = side_by_side(&a, &b, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[3].starts_with(">    2000  p1 s2"), "{text}");
        assert!(
            lines[3].contains("b/0 ok") && lines[3].contains("c/0 ok"),
            "{text}"
        );
        assert!(lines[4].starts_with("!    3000  p1 s3"), "{text}");
        assert_eq!(
            lines[5],
            "sends    3: 1 equal, 0 equal but for times, 2 go another way"
        );
        assert_eq!(lines[6], "first    p1 s2 is where they part");
        assert_eq!(side_by_side(&a, &b, true).lines().count(), lines.len() + 1);
    }

    #[test]
    fn a_run_goes_the_way_of_itself() {
        let a = sends(&Scene::new().at(1_000).whole(1, "a/0"));
        let text = side_by_side(&a, &a, false);
        assert!(
            text.ends_with("first    no send goes another way\n"),
            "{text}"
        );
        assert!(text.contains("1 equal"), "{text}");
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        let error = Sends::read("{\"header\":{}}\nwhat?\n".as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is no record of a trace");
        let error = Sends::read("{\"ms\":\"3\",\"event\":{}}\n".as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 1 is no record of a trace");
    }
}

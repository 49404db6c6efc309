//! Where two traces part.
//!
//! When two runs that must be equal are not, the first record that differs and what led to it are
//! the whole history; everything after it is consequence.

use std::fmt::Write as _;

use super::json;
use super::record::{Trace, TraceHeader, TraceRecord};

/// How many records before the first difference are kept.
const BEFORE: usize = 20;

/// The first difference of two traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The index of the first record that differs.
    pub at: usize,
    /// Up to twenty records before it and the record itself, of the first trace; without the
    /// record if that trace ended before.
    pub left: Vec<TraceRecord>,
    /// The same of the second trace.
    pub right: Vec<TraceRecord>,
}

/// Compares two traces, record by record. The headers may differ.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// use rmq_sim::trace::diverge::first_difference;
///
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let one = run::run(&scenario, 1, EngineKind::Event)?;
/// assert_eq!(first_difference(&one.trace, &one.trace), None);
/// let mut other = one.trace.clone();
/// other.records[3].ms += 1;
/// let Some(difference) = first_difference(&one.trace, &other) else {
///     return Err("they differ".into());
/// };
/// assert_eq!(difference.at, 3);
/// println!("{}", difference.headline(&one.trace.header));
/// # Ok(())
/// # }
/// ```
pub fn first_difference(left: &Trace, right: &Trace) -> Option<Difference> {
    let (a, b) = (&left.records, &right.records);
    let at = a
        .iter()
        .zip(b)
        .position(|(a, b)| a != b)
        .unwrap_or(a.len().min(b.len()));
    if at == a.len() && at == b.len() {
        return None;
    }
    let cut = |records: &[TraceRecord]| {
        records[at.saturating_sub(BEFORE)..records.len().min(at + 1)].to_vec()
    };
    Some(Difference {
        at,
        left: cut(a),
        right: cut(b),
    })
}

impl Difference {
    /// One line: where, and what each side did.
    pub fn headline(&self, header: &TraceHeader) -> String {
        let side = |records: &[TraceRecord]| {
            let before = self.at.min(BEFORE);
            records
                .get(before)
                .map_or_else(|| "nothing more".to_owned(), |it| line(header, it))
        };
        let (left, right) = (side(&self.left), side(&self.right));
        format!("record {} differs: {left} against {right}", self.at)
    }

    /// The records before, once, then what each side did.
    pub fn context(&self, header: &TraceHeader) -> String {
        let before = self.at.min(BEFORE);
        let mut text = String::new();
        for record in &self.left[..before] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}", line(header, record));
        }
        for (sign, records) in [('-', &self.left), ('+', &self.right)] {
            let line = records
                .get(before)
                .map_or_else(|| "(the end)".to_owned(), |it| line(header, it));
            let _ = writeln!(text, "{sign} {line}");
        }
        text
    }
}

/// Compares two traces as lines of text, for one that comes from another process: the twenty lines
/// before the first difference, then what each side has there. None: they are equal.
pub fn first_line(left: &[String], right: &[String]) -> Option<String> {
    let shared = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    if shared == left.len() && shared == right.len() {
        return None;
    }
    let mut text = format!("record {shared} differs\n");
    for line in &left[shared.saturating_sub(BEFORE)..shared] {
        let _ = writeln!(text, "  {line}");
    }
    for (sign, lines) in [('-', left), ('+', right)] {
        let line = lines.get(shared).map_or("(the end)", |line| line);
        let _ = writeln!(text, "{sign} {line}");
    }
    Some(text)
}

fn line(header: &TraceHeader, record: &TraceRecord) -> String {
    let mut bytes = Vec::new();
    match json::write_record(header, record, &mut bytes) {
        Ok(()) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        Err(error) => format!("({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::Scene;

    #[test]
    fn the_first_record_that_differs_is_named_with_the_twenty_before_it_from_both() {
        let left = Scene::new().at(10).whole(1, "a/0").at(20).call(2);
        let right = Scene::new().at(10).whole(1, "a/0").at(21).call(2);
        let difference = first_difference(&left.trace, &right.trace).unwrap();
        assert_eq!(left.trace.records[difference.at].ms, 20);
        assert_eq!((difference.left.len(), difference.right.len()), (21, 21));
        assert_eq!(difference.left[..20], difference.right[..20]);
        let context = difference.context(&left.trace.header);
        let ends: Vec<&str> = context.lines().skip(20).map(|line| &line[..10]).collect();
        assert_eq!(ends, [r#"- {"ms":20"#, r#"+ {"ms":21"#]);
    }

    #[test]
    fn lines_are_compared_as_records_are() {
        let left: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let mut right = left.clone();
        assert_eq!(first_line(&left, &right), None);
        right[25].push('!');
        let context = first_line(&left, &right).unwrap();
        assert!(context.starts_with("record 25 differs\n  5\n"), "{context}");
        assert!(context.ends_with("  24\n- 25\n+ 25!\n"), "{context}");
    }

    #[test]
    fn a_trace_that_stops_early_differs_where_it_stops() {
        let left = Scene::new().at(10).call(1);
        let mut right = left.trace.clone();
        right.records.pop();
        let difference = first_difference(&left.trace, &right).unwrap();
        assert_eq!(difference.at, right.records.len());
        assert!(
            difference
                .context(&left.trace.header)
                .ends_with("+ (the end)\n")
        );
        assert_eq!(first_difference(&right, &right), None);
    }
}

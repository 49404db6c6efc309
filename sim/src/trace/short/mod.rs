//! A trace for people: one line for each thing worth knowing.
//!
//! The producers' column says what was decided and why; each server has a column with evidence in
//! one or two glyphs. What goes well is folded (`s1-s20 ok`), what nobody decides (heartbeats,
//! unchanged polls) is left out, so that a whole failover fits on one screen. No opaque, port or
//! hash appears: two runs that a person would call equal print the same text.
//!
//! | glyph | in a server's column |
//! |---|---|
//! | `*` | the server read the attempt |
//! | `=` | the broker stored it; `7=`: seven folded sends |
//! | `!` | a fault, or a rule of a fault, acts here |
//! | `x` | a connection broke |
//! | `.` | its answer came too late |
//! | `105` | the name server that gave the route (the request's code) |
//! | `+a` `-a` | the name server learned of broker a, forgot it |
//! | `+` | the broker created the topic |

use std::fmt::Write as _;
use std::ops::Range;

use super::history::History;
use super::record::{NodeId, NodeKind, Trace};

mod fold;
mod names;
mod rows;
mod words;

use names::Names;

/// One line of the short trace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    ms: u64,
    text: String,
    /// What stands in the columns of servers: column and glyphs.
    cells: Vec<(usize, String)>,
}

impl Row {
    fn new(ms: u64, text: String) -> Self {
        Row {
            ms,
            text,
            cells: Vec::new(),
        }
    }

    /// Adds glyphs to a column, if the node has one.
    fn cell(mut self, column: Option<usize>, glyphs: &str) -> Self {
        let Some(column) = column.filter(|_| !glyphs.is_empty()) else {
            return self;
        };
        match self.cells.iter_mut().find(|(at, _)| *at == column) {
            Some((_, cell)) => cell.push_str(glyphs),
            None => self.cells.push((column, glyphs.to_owned())),
        }
        self
    }
}

/// The columns of servers: name servers first, then brokers, each in the scenario's order.
#[derive(Debug)]
struct Columns(Vec<NodeId>);

impl Columns {
    fn of(trace: &Trace) -> Self {
        let header = &trace.header;
        let servers = header
            .of_kind(NodeKind::NameServer)
            .chain(header.of_kind(NodeKind::Broker));
        Columns(servers.collect())
    }

    fn find(&self, node: NodeId) -> Option<usize> {
        self.0.iter().position(|it| *it == node)
    }
}

/// The short trace as text: a head with the legend, the columns' names, and the lines.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::io::ErrorKind;
/// # use std::sync::Arc;
/// # use rmq_sim::fault::EngineKind;
/// # use rmq_sim::run;
/// # use rmq_sim::scenario::Scenario;
/// use rmq_sim::trace::short;
///
/// # let text = "format = 2\nseconds = 5\n[cluster]\nbrokers = [\"broker-a\"]\n[producer.p1]\n\
/// #     [[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nsends = 3\n";
/// # let scenario = Arc::new(Scenario::parse("three.toml", text, &|_| Err(ErrorKind::NotFound.into()))?);
/// let run = run::run(&scenario, 7, EngineKind::Event)?;
/// let text = short::render(&run.trace);
/// assert!(text.starts_with("three.toml  seed 7  strict  event engine"), "{text}");
/// assert!(text.contains("s1-s3 ok"), "{text}");
/// # Ok(())
/// # }
/// ```
pub fn render(trace: &Trace) -> String {
    rendered(trace, |_| 0..usize::MAX)
}

/// A part of [`render`]'s text: up to so many lines around a record, given by its index in the trace, or the
/// last lines of the trace. The head and the columns' names are there as in the whole.
pub fn around(trace: &Trace, record: Option<usize>, lines: usize) -> String {
    let at = record.and_then(|at| trace.records.get(at));
    rendered(trace, |rows| {
        let behind = match at {
            Some(record) => rows.partition_point(|row| row.ms <= record.ms),
            None => rows.len(),
        };
        // What a person looks for is mostly before it.
        let end = rows.len().min(behind + lines / 4);
        end.saturating_sub(lines)..end
    })
}

fn rendered(trace: &Trace, part: impl Fn(&[Row]) -> Range<usize>) -> String {
    let history = History::of(trace);
    let names = Names::of(&trace.header);
    let columns = Columns::of(trace);
    let mut rows = rows::rows(trace, &history, &names, &columns);
    let part = part(&rows);
    rows.truncate(part.end);
    rows.drain(..part.start);
    let titles: Vec<&str> = columns
        .0
        .iter()
        .map(|node| trace.header.name(*node))
        .collect();
    let mut text = head(trace);
    table(&mut text, &producers(trace), &titles, &rows);
    text
}

fn head(trace: &Trace) -> String {
    let header = &trace.header;
    format!(
        "{}  seed {}  {}  {} engine    (* attempt  = stored  ! fault  x broken  . late)\n",
        header.scenario, header.seed, header.policy, header.engine
    )
}

/// The title of the column of decisions.
fn producers(trace: &Trace) -> String {
    let mut producers = trace.header.of_kind(NodeKind::Producer);
    match (producers.next(), producers.next()) {
        (Some(only), None) => trace.header.name(only).to_owned(),
        _ => "producers".to_owned(),
    }
}

fn table(text: &mut String, title: &str, titles: &[&str], rows: &[Row]) {
    let width = |it: &str| it.chars().count();
    let said = rows
        .iter()
        .map(|row| width(&row.text))
        .max()
        .unwrap_or(0)
        .max(width(title))
        + 2;
    let widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().flat_map(|row| &row.cells);
            let cells = cells
                .filter(|(at, _)| *at == column)
                .map(|(_, cell)| width(cell));
            cells.max().unwrap_or(0).max(width(title)) + 2
        })
        .collect();
    let cells = titles
        .iter()
        .map(|title| (*title).to_owned())
        .enumerate()
        .collect::<Vec<_>>();
    line(text, ("ms", title), said, &widths, &cells);
    for row in rows {
        line(
            text,
            (&row.ms.to_string(), &row.text),
            said,
            &widths,
            &row.cells,
        );
    }
}

fn line(
    text: &mut String,
    (ms, said): (&str, &str),
    said_width: usize,
    widths: &[usize],
    cells: &[(usize, String)],
) {
    let start = text.len();
    // Writing to a string cannot fail.
    let _ = write!(text, "{ms:>7}   {said:said_width$}");
    for (column, width) in widths.iter().enumerate() {
        let cell = cells
            .iter()
            .find(|(at, _)| *at == column)
            .map_or("", |(_, cell)| cell);
        let _ = write!(text, "{cell:width$}");
    }
    let end = text[start..].trim_end().len();
    text.truncate(start + end);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use rmq_producer::event::Stage;
    use rmq_remoting::event::CloseCause;

    use super::render;
    use crate::fault::{Crash, FaultKind};
    use crate::invariant::scene::Scene;

    #[test]
    fn a_failover_reads_as_in_the_design() {
        let mut scene = Scene::new();
        for send in 1..=6 {
            let to = ["a/0", "b/0", "c/0"][usize::try_from(send - 1).unwrap() % 3];
            scene = scene.at(1000 * send).whole(send, to);
        }
        let scene = scene
            .at(20_000)
            .call(21)
            .attempt(21, 1, "a/0")
            .at(20_002)
            .seen(21, 1);
        let scene = scene.fault(1, FaultKind::Crash(Crash::default()), "broker-a");
        let scene = scene
            .at(20_005)
            .close(1, "broker-a", CloseCause::PeerClosed);
        let scene = scene
            .ended(21, 1, Stage::Lost, None)
            .attempt(21, 2, "b/0")
            .succeeds(21, 2);
        let scene = scene.at(40_002).fault_ends(1, "broker-a");
        insta::assert_snapshot!(render(&scene.trace), @r"
scene  seed 1  strict  event engine    (* attempt  = stored  ! fault  x broken  . late)
     ms   p1                                  ns-1  ns-2  broker-a  broker-b  broker-c
      0   orders <- ns-1: a4 b4 c4 (route 1)  105
   1004   s1-s6 ok   4ms each                             2=        2=        2=
  20000   s21 #1 -> a/0  1000ms                           *
  20002   ! crash broker-a                                !x
  20005   s21 #1 x lost after 5ms, retry
  20005   s21 #2 -> b/0  1000ms                                     *=
  20009   s21 ok b/0@2   9ms, 2 attempts
  40002   ! broker-a back                                 !
");
    }
}

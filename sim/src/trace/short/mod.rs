//! A trace for people: one line for each thing worth knowing.
//!
//! The producers' column says what was decided and why; each server has a column with evidence in
//! one or two glyphs. What goes well is folded (`s1-s20 ok`), what nobody decides (heartbeats,
//! unchanged polls) is left out, so that a whole failover fits on one screen. No opaque, port or
//! hash appears: two runs that a person would call equal print the same text.
//!
//! No line is longer than 120 characters, and the width of a column depends on the names of the nodes
//! alone: what moves a fault changes the lines whose time it changes, and no other. A text that is too
//! long for its column goes on in lines without a time. Columns have short names, which the legend
//! explains: `a` for `broker-a`, `n1` for `ns-1`. Servers that do not fit beside the others, such as
//! dozens of brokers, share the column `rest`: first those that nothing happened to, then the last ones
//! of those that are left.
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

use std::fmt;
use std::ops::Range;

use super::history::History;
use super::record::{NodeId, NodeKind, Trace};

mod fold;
mod layout;
mod names;
mod rows;
mod words;

use names::Names;

/// One thing worth knowing: mostly one line of the short trace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    ms: u64,
    text: String,
    cells: Vec<Cell>,
}

/// What stands in the column of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    column: usize,
    glyphs: Vec<Glyphs>,
}

/// Glyphs that stay together, should their cell go on in a second line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Glyphs {
    /// As they are printed.
    Text(String),
    /// Folded sends: requests read, messages stored.
    Folded { seen: u64, stored: u64 },
}

impl Glyphs {
    /// Whether they tell of more than what goes well.
    fn is_trouble(&self) -> bool {
        match self {
            Self::Text(text) => text.contains(['!', 'x', '.']) && !text.starts_with(['+', '-']),
            Self::Folded { .. } => false,
        }
    }
}

impl fmt::Display for Glyphs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Folded { seen: 1, stored: 1 } => f.write_str("*="),
            Self::Folded { seen: 1, stored: 0 } => f.write_str("*"),
            Self::Folded { seen, stored: 0 } => write!(f, "{seen}*"),
            Self::Folded { seen, stored } if seen == stored => write!(f, "{stored}="),
            Self::Folded { seen, stored } => write!(f, "{seen}*{stored}="),
        }
    }
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
    fn cell(self, column: Option<usize>, glyphs: &str) -> Self {
        if glyphs.is_empty() {
            return self;
        }
        self.glyphs(column, Glyphs::Text(glyphs.to_owned()))
    }

    fn glyphs(mut self, column: Option<usize>, glyphs: Glyphs) -> Self {
        let Some(column) = column else {
            return self;
        };
        match self.cells.iter_mut().find(|cell| cell.column == column) {
            Some(cell) => cell.glyphs.push(glyphs),
            None => self.cells.push(Cell {
                column,
                glyphs: vec![glyphs],
            }),
        }
        self
    }
}

/// One line as it is printed, and what a terminal may show of it in colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The whole line, without its end.
    pub(crate) text: String,
    /// The columns of servers begin at this byte.
    pub(crate) servers: usize,
    /// What its words are about.
    pub(crate) tone: Tone,
}

/// What the words of a line are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing that a reader looks for first.
    Plain,
    /// A fault, or something that failed.
    Trouble,
    /// What is said of all lines, before them.
    Legend,
}

impl Tone {
    fn of(text: &str) -> Self {
        let failed = [" x ", "FAILED", "PANICKED"];
        if text.starts_with(['!', 'x']) || failed.iter().any(|it| text.contains(it)) {
            Self::Trouble
        } else {
            Self::Plain
        }
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

/// A part of [`render`]'s text: up to so many events around a record, given by its index in the trace, or the
/// last events of the trace. The head and the columns' names are there as in the whole.
pub fn around(trace: &Trace, record: Option<usize>, events: usize) -> String {
    let at = record.and_then(|at| trace.records.get(at));
    rendered(trace, |rows| {
        let behind = match at {
            Some(record) => rows.partition_point(|row| row.ms <= record.ms),
            None => rows.len(),
        };
        // What a person looks for is mostly before it.
        let end = rows.len().min(behind + events / 4);
        end.saturating_sub(events)..end
    })
}

fn rendered(trace: &Trace, part: impl Fn(&[Row]) -> Range<usize>) -> String {
    let lines = part_of_lines(trace, part).into_iter();
    lines.map(|line| line.text + "\n").collect()
}

/// The lines of the short trace.
pub(crate) fn lines(trace: &Trace) -> Vec<Line> {
    part_of_lines(trace, |_| 0..usize::MAX)
}

fn part_of_lines(trace: &Trace, part: impl Fn(&[Row]) -> Range<usize>) -> Vec<Line> {
    let history = History::of(trace);
    let names = Names::of(&trace.header);
    let columns = Columns::of(trace);
    let mut rows = rows::rows(trace, &history, &names, &columns);
    let part = part(&rows);
    rows.truncate(part.end);
    rows.drain(..part.start);
    let layout = layout::Layout::of(trace, &names, &columns, &rows);
    let mut lines = head(trace, &names);
    let rest = layout.rest(|at| names.short(columns.0[at]));
    lines.extend(rest.iter().flat_map(|rest| legend(rest)));
    lines.push(layout.titles(&producers(trace)));
    lines.extend(rows.iter().flat_map(|row| layout.lines(row)));
    lines
}

/// What was played, and the legend.
fn head(trace: &Trace, names: &Names<'_>) -> Vec<Line> {
    let header = &trace.header;
    let (seed, policy) = (header.seed, &header.policy);
    let played = format!(
        "{}  seed {seed}  {policy}  {} engine",
        header.scenario, header.engine
    );
    let glyphs = "* attempt  = stored  ! fault  x broken  . late";
    let legend_of = match names.legend() {
        Some(names) => format!("{glyphs}    {names}"),
        None => glyphs.to_owned(),
    };
    [legend(&played), legend(&legend_of)].concat()
}

/// A text before the trace, in as many lines as it needs.
fn legend(text: &str) -> Vec<Line> {
    let width = layout::LONGEST_LINE;
    let lines = layout::wrapped(text, width, width).into_iter();
    let line = |text: String| Line {
        servers: text.len(),
        text,
        tone: Tone::Legend,
    };
    lines.map(line).collect()
}

/// The title of the column of decisions.
fn producers(trace: &Trace) -> String {
    let mut producers = trace.header.of_kind(NodeKind::Producer);
    match (producers.next(), producers.next()) {
        (Some(only), None) => trace.header.name(only).to_owned(),
        _ => "producers".to_owned(),
    }
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
scene  seed 1  strict  event engine
* attempt  = stored  ! fault  x broken  . late    n1: ns-1 …  a: broker-a …
     ms   p1                                                           n1     n2     a     b     c
      0   orders <- ns-1: a4 b4 c4 (route 1)                           105
   1004   s1-s6 ok   4ms each                                                        2=    2=    2=
  20000   s21 #1 -> a/0  1000ms                                                      *
  20002   ! crash broker-a                                                           !x
  20005   s21 #1 x lost after 5ms, retry
  20005   s21 #2 -> b/0  1000ms                                                            *=
  20009   s21 ok b/0@2   9ms, 2 attempts
  40002   ! broker-a back                                                            !
");
    }
}

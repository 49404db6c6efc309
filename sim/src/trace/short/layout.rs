//! Where the words of a short trace stand: columns, folded nodes, lines of 120 characters.
//!
//! Two traces of one cluster are compared line by line, by people and by snapshots. So no width depends
//! on what happened: columns are as wide as the nodes' names make them, and a text that does not fit goes
//! on below, on lines without a time. Where a cluster has more servers than fit beside each other, those
//! that nothing happened to share one column.

use super::names::Names;
use super::{Cell, Columns, Glyphs, Line, Row, Tone};
use crate::trace::record::{NodeKind, Trace};

/// No line is longer, in characters.
pub(super) const LONGEST_LINE: usize = 120;
/// The column of milliseconds, with the gap behind it.
const TIME: usize = 10;
/// The producers' column, without the gap behind it: what it needs, and what it takes if there is room.
const TEXT: (usize, usize) = (40, 60);
/// The narrowest column of a broker: `1000=` fits.
const BROKER: usize = 5;
/// The narrowest column of a name server (`+a+b+c` fits), and the widest that names make it.
const NAME_SERVER: (usize, usize) = (6, 12);
/// The longest title of a column.
const TITLE: usize = 20;
/// What the column of folded nodes is called.
const REST: &str = "rest";
/// How far a text goes in where it goes on.
const INDENT: usize = 2;

/// A column of servers.
#[derive(Debug)]
struct Column {
    title: String,
    width: usize,
    /// The servers that it is about, by their places in [`Columns`].
    of: Vec<usize>,
    /// Of the column of folded servers: whether nothing happened to any of them.
    rest: Option<bool>,
}

/// The widths of a trace's columns.
#[derive(Debug)]
pub(super) struct Layout {
    text: usize,
    columns: Vec<Column>,
}

impl Layout {
    /// The columns that the names of the nodes make. The rows only say which nodes are folded, if any are.
    pub(super) fn of(trace: &Trace, names: &Names<'_>, servers: &Columns, rows: &[Row]) -> Self {
        let header = &trace.header;
        let brokers = header.of_kind(NodeKind::Broker);
        let longest = brokers.map(|it| names.broker(header.name(it)).chars().count() + 1);
        let learned = longest.fold(0, usize::max);
        let one = |(at, node): (usize, &_)| {
            let name = header.name(*node);
            let (title, least) = match header.nodes[node.index()].kind {
                NodeKind::NameServer => (
                    names.name_server(name),
                    learned.clamp(NAME_SERVER.0, NAME_SERVER.1),
                ),
                _ => (names.broker(name).to_owned(), BROKER),
            };
            let title: String = title.chars().take(TITLE).collect();
            let width = title.chars().count().max(least);
            let of = vec![at];
            Column {
                title,
                width,
                of,
                rest: None,
            }
        };
        let columns = servers.0.iter().enumerate().map(one).collect();
        let columns = folded(columns, rows);
        // Which servers are folded depends on the run; how wide a text is does not.
        let room = match columns.iter().any(|it: &Column| it.rest.is_some()) {
            true => TEXT.0,
            false => (LONGEST_LINE - TIME).saturating_sub(taken(&columns)),
        };
        let text = room.clamp(TEXT.0, TEXT.1);
        Layout { text, columns }
    }

    /// What the legend says of folded nodes, if there are any.
    pub(super) fn rest(&self, title: impl Fn(usize) -> String) -> Option<String> {
        let mut columns = self.columns.iter();
        let (rest, is_quiet) = columns.find_map(|it| Some((it, it.rest?)))?;
        let titles: Vec<String> = rest.of.iter().map(|at| title(*at)).collect();
        let (count, titles) = (titles.len(), titles.join(" "));
        let sort = if is_quiet { "quiet" } else { "other" };
        Some(format!("{REST}: {count} {sort} servers, {titles}"))
    }

    /// The names of the columns.
    pub(super) fn titles(&self, producers: &str) -> Line {
        let titles = self.columns.iter().map(|column| column.title.clone());
        let titles: Vec<String> = titles.collect();
        let text: String = producers.chars().take(self.text).collect();
        self.line("ms", &text, &titles, Tone::Plain)
    }

    /// The lines of a row: the first has the time; what does not fit stands below it.
    pub(super) fn lines(&self, row: &Row) -> Vec<Line> {
        let tone = Tone::of(&row.text);
        let long = LONGEST_LINE - TIME - INDENT;
        let texts = wrapped(&row.text, self.text, long);
        let cells: Vec<Vec<String>> = self
            .columns
            .iter()
            .map(|column| column.cell(&row.cells))
            .collect();
        let part = |at: usize| -> Vec<String> {
            let cells = cells.iter();
            cells
                .map(|it| it.get(at).cloned().unwrap_or_default())
                .collect()
        };
        let first = texts.first().map_or("", String::as_str);
        let mut lines = vec![self.line(&row.ms.to_string(), first, &part(0), tone)];
        for text in texts.iter().skip(1) {
            let text = format!("{:INDENT$}{text}", "");
            lines.push(self.line("", &text, &[], tone));
        }
        let depth = cells.iter().map(Vec::len).max().unwrap_or(0);
        lines.extend((1..depth).map(|at| self.line("", "", &part(at), tone)));
        lines
    }

    fn line(&self, ms: &str, said: &str, cells: &[String], tone: Tone) -> Line {
        let mut text = format!("{ms:>7}   {said:width$}", width = self.text);
        let servers = text.len();
        for (column, cell) in self.columns.iter().zip(cells) {
            let width = column.width;
            text.push_str(&format!(" {cell:width$}"));
        }
        text.truncate(text.trim_end().len());
        Line {
            servers: servers.min(text.len()),
            text,
            tone,
        }
    }
}

impl Column {
    /// What stands in it, a part for each line.
    fn cell(&self, cells: &[Cell]) -> Vec<String> {
        let cells = cells.iter().filter(|cell| self.of.contains(&cell.column));
        let glyphs = cells.flat_map(|cell| &cell.glyphs).cloned();
        let glyphs: Vec<Glyphs> = match self.rest {
            None => glyphs.collect(),
            Some(_) => together(glyphs),
        };
        let mut parts: Vec<String> = Vec::new();
        let width = |text: &str| text.chars().count();
        for glyph in glyphs {
            let text = glyph.to_string();
            match parts.last_mut() {
                Some(last) if width(last) + width(&text) <= self.width => last.push_str(&text),
                _ => parts.extend(pieces(&text, self.width)),
            }
        }
        parts
    }
}

/// The glyphs of several servers: sums of what is counted, and everything else once.
fn together(glyphs: impl Iterator<Item = Glyphs>) -> Vec<Glyphs> {
    let (mut read, mut kept) = (0, 0);
    let mut others: Vec<Glyphs> = Vec::new();
    for glyph in glyphs {
        match glyph {
            Glyphs::Folded { seen, stored } => (read, kept) = (read + seen, kept + stored),
            Glyphs::Text(_) if others.contains(&glyph) => {}
            Glyphs::Text(_) => others.push(glyph),
        }
    }
    if read > 0 {
        let (seen, stored) = (read, kept);
        others.push(Glyphs::Folded { seen, stored });
    }
    others
}

/// The characters that columns take, with the gap before each.
fn taken(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width + 1).sum()
}

/// Puts servers that nothing happened to into one column, if not all fit beside each other. If those
/// that are left do not fit either, the last of them go there, too.
fn folded(columns: Vec<Column>, rows: &[Row]) -> Vec<Column> {
    let room = LONGEST_LINE - TIME - TEXT.0;
    if taken(&columns) <= room {
        return columns;
    }
    let (width, title) = (NAME_SERVER.0, REST.to_owned());
    let mut left = room - width - 1;
    let (mut kept, mut rest, mut is_quiet) = (Vec::new(), Vec::new(), true);
    for column in columns {
        let cells = rows.iter().flat_map(|row| &row.cells);
        let mut own = cells.filter(|cell| column.of.contains(&cell.column));
        let concerned = own.any(|cell| cell.glyphs.iter().any(Glyphs::is_trouble));
        if concerned && column.width < left {
            left -= column.width + 1;
            kept.push(column);
        } else {
            is_quiet &= !concerned;
            rest.extend(column.of);
        }
    }
    kept.push(Column {
        title,
        // The last column has all the room that is left.
        width: width + left,
        of: rest,
        rest: Some(is_quiet),
    });
    kept
}

/// A text as lines: the first of one width, the others of another.
pub(super) fn wrapped(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let width = if lines.is_empty() { first } else { others };
        let Some((cut, _)) = rest.char_indices().nth(width) else {
            lines.push(rest.to_owned());
            break;
        };
        // At the last blank that fits; a word that fills the line is cut.
        let at = match rest[..=cut_end(rest, cut)].rfind(' ') {
            Some(at) if at > 0 => at,
            _ => cut,
        };
        lines.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    lines
}

/// The last byte of the character that begins at `cut`.
fn cut_end(text: &str, cut: usize) -> usize {
    let width = text[cut..].chars().next().map_or(1, char::len_utf8);
    cut + width - 1
}

/// A text in pieces of a width.
fn pieces(text: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(width)
        .map(|it| it.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn a_text_is_cut_at_a_blank_and_a_long_word_where_it_must_be() {
        assert_eq!(wrapped("one two three", 13, 5), ["one two three"]);
        assert_eq!(wrapped("one two three", 7, 5), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 6, 4), ["one", "two", "thre", "e"]);
        assert_eq!(wrapped("äöüß äöüß", 4, 3), ["äöüß", "äöü", "ß"]);
        assert_eq!(wrapped("", 4, 3), Vec::<String>::new());
    }
}

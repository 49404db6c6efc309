//! The short trace in colour: faults and failures in red, what stands around them dim.
//!
//! Only a terminal gets colours. A file, a pipe, a snapshot and a terminal whose user set `NO_COLOR` get
//! the text alone.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::trace::Trace;
use crate::trace::short::{self, Line, Tone};

/// The short trace as standard output is to get it.
pub(super) fn trace(trace: &Trace) -> String {
    match AutoStream::choice(&std::io::stdout()) {
        ColorChoice::Never => short::render(trace),
        _ => painted(&short::lines(trace)),
    }
}

fn painted(lines: &[Line]) -> String {
    let dim = Style::new().dimmed();
    let red = AnsiColor::Red.on_default();
    let line = |line: &Line| {
        let (said, servers) = line.text.split_at(line.servers);
        let said = match line.tone {
            Tone::Plain => said.to_owned(),
            Tone::Trouble => styled(red, said),
            Tone::Legend => styled(dim, said),
        };
        said + &styled(dim, servers) + "\n"
    };
    lines.iter().map(line).collect()
}

/// A text in a style; nothing at all for no text.
fn styled(style: Style, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, servers: usize, tone: Tone) -> Line {
        let text = text.to_owned();
        Line {
            text,
            servers,
            tone,
        }
    }

    #[test]
    fn faults_are_red_servers_dim_and_the_words_are_those_of_the_plain_text() {
        let lines = [
            line("7 s1 ok  *=", 8, Tone::Plain),
            line("9 ! crash", 9, Tone::Trouble),
            line("* attempt", 9, Tone::Legend),
        ];
        let text = painted(&lines);
        assert_eq!(
            text,
            "7 s1 ok \u{1b}[2m *=\u{1b}[0m\n\u{1b}[31m9 ! crash\u{1b}[0m\n\u{1b}[2m* attempt\u{1b}[0m\n"
        );
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "7 s1 ok  *=\n9 ! crash\n* attempt\n");
    }

    #[test]
    fn what_is_no_terminal_gets_no_colour() {
        let pipe: Vec<u8> = Vec::new();
        assert_eq!(AutoStream::choice(&pipe), ColorChoice::Never);
    }
}

//! Texts of a peer, as they are kept and printed.
//!
//! A remark, a name or a value may be as long as a frame and hold anything. What an error or a log
//! line keeps of it is short, and shows control letters instead of obeying them: a terminal is not
//! for a peer to steer, and a log line ends where its writer says.

use std::error::Error;
use std::fmt::{self, Write};

/// How much of a peer's text an error keeps, in bytes.
pub const KEPT: usize = 1024;

/// Prints a text with its control letters escaped, cut after so many bytes.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a> {
    text: &'a str,
    most: usize,
}

/// A text to print, of which at most `most` bytes are shown, as whole letters. How long it is in
/// all is added if it is cut.
///
/// ```
/// use rmq_remoting::text::printable;
///
/// assert_eq!(printable("no\u{1b}[2J disk", 100).to_string(), r"no\u{1b}[2J disk");
/// assert_eq!(printable("no disk", 2).to_string(), "no… (7 bytes)");
/// ```
#[must_use]
pub fn printable(text: &str, most: usize) -> Printable<'_> {
    Printable { text, most }
}

/// A name to print: see [`printable`].
#[must_use]
pub fn name(text: &str) -> Printable<'_> {
    printable(text, KEPT)
}

/// The start of a text: at most so many bytes, as whole letters.
#[must_use]
pub fn start(text: &str, most: usize) -> &str {
    let mut ends = (0..=most.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// What an error keeps of a peer's text. One that is too long is cut, and says so.
#[must_use]
pub fn kept(text: &str) -> String {
    if text.len() <= KEPT {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", start(text, KEPT), text.len())
}

/// An error's text and, after colons, those of its causes: for a place that prints one line.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use rmq_remoting::text::with_causes;
///
/// # #[derive(Debug)]
/// # struct Refused(Error);
/// # impl std::fmt::Display for Refused {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
/// #         f.write_str("cannot send")
/// #     }
/// # }
/// # impl std::error::Error for Refused {
/// #     fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
/// #         Some(&self.0)
/// #     }
/// # }
/// let error = Refused(ErrorKind::ConnectionRefused.into());
/// assert_eq!(with_causes(&error), "cannot send: connection refused");
/// ```
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Whether a letter moves a terminal, ends a line or hides what follows.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = start(self.text, self.most);
        for letter in shown.chars() {
            if is_control(letter) {
                write!(f, "{}", letter.escape_default())?;
            } else {
                f.write_char(letter)?;
            }
        }
        if shown.len() < self.text.len() {
            write!(f, "… ({} bytes)", self.text.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_letters_are_shown_and_not_obeyed() {
        let text = "a\u{1b}[2J\nb\u{202e}c\u{85}é中";
        let shown = name(text).to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\nb\\u{202e}c\\u{85}é中");
    }

    #[test]
    fn a_long_text_is_cut_at_a_letter_and_says_how_long_it_was() {
        let text = "é".repeat(600);
        assert_eq!(start(&text, 1023).len(), 1022);
        let kept = kept(&text);
        assert!(kept.ends_with("é… (1200 bytes)"), "{kept}");
        assert_eq!(printable("ééé", 3).to_string(), "é… (6 bytes)");
        assert_eq!(super::kept("short"), "short");
        assert_eq!(printable("", 0).to_string(), "");
    }
}

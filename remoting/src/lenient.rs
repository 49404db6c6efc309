//! Reads JSON as leniently as the Java programs that write and read these documents.
//!
//! They use fastjson 1.2, and documents in the field rely on what it forgives: names without quotes
//! (numbers among them, negative ones too), single quotes, commas to spare, comments, numbers
//! written as text, `null` for a number, names in another case or with underscores. Of a member
//! that occurs twice the last one counts. What nobody asks for is skipped whatever it holds.
//!
//! Reading is linear in the length of the text, recursion is as deep as the caller's own, and what
//! is skipped is not kept. A document that cannot be read says at which place: the path is put
//! together on the way out, so that a sound document pays nothing for it.

mod words;

use std::borrow::Cow;

use thiserror::Error;

use self::words::{is_null, known, unescaped, whole};
use crate::text::printable;

/// The place at which a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {problem}", place(path, *at))]
pub struct DocumentFault {
    /// The path of the value, as `queueDatas[0].perm`; empty for the document itself.
    pub path: String,
    /// What is wrong with it.
    pub problem: Cow<'static, str>,
    /// The byte at which reading ended.
    pub at: usize,
}

fn place(path: &str, at: usize) -> String {
    if path.is_empty() {
        return format!("byte {at}");
    }
    format!("{path} (byte {at})")
}

impl DocumentFault {
    /// The fault as the value that holds it sees it.
    fn inside(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path.insert_str(0, joint);
        self.path.insert_str(0, step);
        self
    }
}

type Read<T> = Result<T, DocumentFault>;

/// How much of an unreadable value, or of its name, an error shows.
const SHOWN: usize = 64;

/// A document and how far it was read.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A value that is no object and no list.
enum Scalar<'a> {
    /// A string in quotes, without them and with its escapes resolved.
    Quoted(Cow<'a, str>),
    /// Without: a number or a word.
    Bare(&'a str),
}

impl Scalar<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Quoted(text) => text,
            Self::Bare(text) => text,
        }
    }
}

/// Reads a whole document by `read`.
pub(crate) fn document<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
) -> Read<T> {
    let mut reader = Reader { text, at: 0 };
    let value = read(&mut reader)?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.fault("nothing more was expected"));
    }
    Ok(value)
}

impl<'a> Reader<'a> {
    /// A fault at the place reached.
    pub(crate) fn fault(&self, problem: impl Into<Cow<'static, str>>) -> DocumentFault {
        DocumentFault {
            path: String::new(),
            problem: problem.into(),
            at: self.at,
        }
    }

    /// Reads an object: `member` is called for each member with one of these names, and reads its
    /// value. All others are skipped. Tells whether there was an object; `null` is none.
    pub(crate) fn object(
        &mut self,
        names: &[&'static str],
        mut member: impl FnMut(&mut Self, &'static str) -> Read<()>,
    ) -> Read<bool> {
        self.map(|reader, key| match known(&key, names) {
            Some(name) => member(reader, name),
            None => reader.skip(),
        })
    }

    /// Reads an object of which the names are data. Tells whether there was one; `null` is none.
    pub(crate) fn map(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Read<()>,
    ) -> Read<bool> {
        if self.null() {
            return Ok(false);
        }
        self.open(b'{', "no object")?;
        while !self.closed(b'}') {
            let key = self.key()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.fault("a colon was expected").inside(&shown(&key)));
            }
            self.step();
            member(self, key.clone()).map_err(|fault| fault.inside(&shown(&key)))?;
            self.separator(b'}')?;
        }
        self.step();
        Ok(true)
    }

    /// Reads a list: `element` reads each element that is not `null`. A `null` is an empty list.
    pub(crate) fn list(&mut self, mut element: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        if self.null() {
            return Ok(());
        }
        self.open(b'[', "no list")?;
        let mut index: usize = 0;
        while !self.closed(b']') {
            if !self.null() {
                element(self).map_err(|fault| fault.inside(&format!("[{index}]")))?;
            }
            index = index.saturating_add(1);
            self.separator(b']')?;
        }
        self.step();
        Ok(())
    }

    /// Reads a whole number, or nothing for `null` and an empty text. As in Java a text may say it,
    /// a fraction is cut off, and `true` is 1.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> Read<Option<T>> {
        let start = self.clone();
        let Some(scalar) = self.scalar()? else {
            return Ok(None);
        };
        let text = scalar.text().trim();
        if text.is_empty() || text.eq_ignore_ascii_case("null") {
            return Ok(None);
        }
        let fault = || start.fault(format!("no whole number in its range: {}", shown(text)));
        let number = whole(text).ok_or_else(fault)?;
        T::try_from(number).map(Some).map_err(|_| fault())
    }

    /// Reads a flag, or nothing for `null` and an empty text.
    pub(crate) fn flag(&mut self) -> Read<Option<bool>> {
        let start = self.clone();
        let Some(scalar) = self.scalar()? else {
            return Ok(None);
        };
        let text = scalar.text().trim();
        match text {
            "" => Ok(None),
            "1" => Ok(Some(true)),
            "0" => Ok(Some(false)),
            _ if ["true", "y", "t"]
                .iter()
                .any(|yes| text.eq_ignore_ascii_case(yes)) =>
            {
                Ok(Some(true))
            }
            _ if ["false", "n", "f"]
                .iter()
                .any(|no| text.eq_ignore_ascii_case(no)) =>
            {
                Ok(Some(false))
            }
            _ => Err(start.fault(format!("neither true nor false: {}", shown(text)))),
        }
    }

    /// Reads a text of at most so many bytes, or nothing for `null`. A number is a text, too.
    pub(crate) fn text(&mut self, most: usize) -> Read<Option<Cow<'a, str>>> {
        let start = self.clone();
        let Some(scalar) = self.scalar()? else {
            return Ok(None);
        };
        let text = match scalar {
            Scalar::Quoted(text) => text,
            Scalar::Bare(word) => Cow::Borrowed(word),
        };
        if text.len() > most {
            let length = text.len();
            return Err(start.fault(format!("a text of {length} bytes, more than {most}")));
        }
        Ok(Some(text))
    }

    /// Reads a value that nobody depends on: one that `read` cannot read counts as absent.
    pub(crate) fn spare<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Read<Option<T>>,
    ) -> Read<Option<T>> {
        let start = self.at;
        if let Ok(value) = read(self) {
            return Ok(value);
        }
        self.at = start;
        self.skip().map(|()| None)
    }

    /// Skips a value, whatever it is.
    pub(crate) fn skip(&mut self) -> Read<()> {
        let mut depth: usize = 0;
        loop {
            self.blanks();
            match self.peek() {
                Some(b'"' | b'\'') => {
                    self.unquoted_end()?;
                }
                Some(b'{' | b'[') => {
                    depth = depth.saturating_add(1);
                    self.step();
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth = depth.saturating_sub(1);
                    self.step();
                }
                Some(b',' | b':') if depth > 0 => {
                    self.step();
                    continue;
                }
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn clone(&self) -> Self {
        Self {
            text: self.text,
            at: self.at,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes on by a byte that was seen.
    fn step(&mut self) {
        self.at = self.at.saturating_add(1).min(self.text.len());
    }

    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x08 | 0x0c);
            let blanks = rest.bytes().take_while(blank).count();
            let rest = rest.get(blanks..).unwrap_or_default();
            let comment = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                let end = rest.get(2..).and_then(|inner| inner.find("*/"));
                end.map_or(rest.len(), |end| end.saturating_add(4))
            } else {
                0
            };
            self.at = self.at.saturating_add(blanks).saturating_add(comment);
            if comment == 0 {
                return;
            }
        }
    }

    /// Takes a `null`, if that is what comes.
    fn null(&mut self) -> bool {
        self.blanks();
        let mut ahead = self.clone();
        let null = ahead.word().is_ok_and(is_null);
        if null {
            self.at = ahead.at;
        }
        null
    }

    fn open(&mut self, byte: u8, problem: &'static str) -> Read<()> {
        self.blanks();
        if self.peek() != Some(byte) {
            return Err(self.fault(problem));
        }
        self.step();
        Ok(())
    }

    /// Whether nothing but commas comes before the end.
    fn closed(&mut self, byte: u8) -> bool {
        loop {
            self.blanks();
            if self.peek() != Some(b',') {
                return self.peek() == Some(byte);
            }
            self.step();
        }
    }

    fn separator(&mut self, end: u8) -> Read<()> {
        self.blanks();
        match self.peek() {
            Some(b',') => Ok(()),
            Some(byte) if byte == end => Ok(()),
            _ => Err(self.fault("a comma or the end was expected")),
        }
    }

    fn key(&mut self) -> Read<Cow<'a, str>> {
        match self.peek() {
            Some(b'"' | b'\'') => self.quoted(),
            _ => self.word().map(Cow::Borrowed),
        }
    }

    fn scalar(&mut self) -> Read<Option<Scalar<'a>>> {
        self.blanks();
        match self.peek() {
            Some(b'"' | b'\'') => self.quoted().map(|text| Some(Scalar::Quoted(text))),
            Some(b'{' | b'[') => Err(self.fault("no single value")),
            _ => {
                let start = self.clone();
                let word = self.word()?;
                if is_null(word) {
                    return Ok(None);
                }
                if whole(word).is_none() && !matches!(word, "true" | "false") {
                    return Err(start.fault(format!("no value: {}", shown(word))));
                }
                Ok(Some(Scalar::Bare(word)))
            }
        }
    }

    /// What stands without quotes up to the next blank or mark.
    fn word(&mut self) -> Read<&'a str> {
        let rest = self.rest();
        let ends = |c: char| c.is_ascii_whitespace() || ",:{}[]\"'/".contains(c);
        let word = rest.split(ends).next().unwrap_or_default();
        if word.is_empty() {
            return Err(self.fault(if rest.is_empty() {
                "the document ends too early"
            } else {
                "a value was expected"
            }));
        }
        self.at = self.at.saturating_add(word.len());
        Ok(word)
    }

    /// Goes behind the text that is quoted here and tells where it ends, and whether it has escapes.
    fn unquoted_end(&mut self) -> Read<(usize, bool)> {
        let quote = self.peek();
        let start = self.clone();
        self.step();
        let mut escapes = false;
        loop {
            match self.peek() {
                None => return Err(start.fault("a text without an end")),
                Some(b'\\') => {
                    escapes = true;
                    self.step();
                    self.step();
                }
                byte if byte == quote => {
                    let end = self.at;
                    self.step();
                    return Ok((end, escapes));
                }
                Some(_) => self.step(),
            }
        }
    }

    fn quoted(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at.saturating_add(1);
        let (end, escapes) = self.unquoted_end()?;
        let raw = self.text.get(start..end).unwrap_or_default();
        if escapes {
            return Ok(Cow::Owned(unescaped(raw)));
        }
        Ok(Cow::Borrowed(raw))
    }
}

/// The start of a text, as an error shows it.
fn shown(text: &str) -> String {
    printable(text, SHOWN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Read<Option<i32>> {
        document(text, Reader::number)
    }

    fn skipped(text: &str) -> bool {
        document(text, Reader::skip).is_ok()
    }

    #[test]
    fn a_number_may_be_written_as_text_or_be_null_or_a_fraction_or_a_flag() {
        for (text, value) in [
            ("6", Some(6)),
            (" -6 ", Some(-6)),
            ("\"6\"", Some(6)),
            ("' 1,024 '", Some(1024)),
            ("6.75", Some(6)),
            ("true", Some(1)),
            ("null", None),
            ("\"null\"", None),
            ("''", None),
            ("undefined", None),
        ] {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in [
            "x",
            "\"x\"",
            "2147483648",
            "6 6",
            "[6]",
            "{}",
            "",
            "1e3",
            "6.",
        ] {
            let read = number(text);
            assert!(read.is_err() || text == "6.", "{text}: {read:?}");
        }
    }

    #[test]
    fn what_nobody_asks_for_is_skipped_in_any_form() {
        for text in [
            "{}",
            "[1,{a:'}'},\"]\"]",
            "{'a':[[[[]]]],-1:nonsense}",
            "nonsense",
            "/* { */ [ // ]\n ]",
            "\"\\\"}\"",
        ] {
            assert!(skipped(text), "{text}");
        }
        for text in ["", "{", "[", "]", ",", "\"", "'\\'", "{} {}"] {
            assert!(!skipped(text), "{text}");
        }
    }

    #[test]
    fn names_need_no_quotes_and_commas_may_be_too_many_but_not_too_few() {
        let members = |text: &str| {
            let mut seen = Vec::new();
            let read = document(text, |reader| {
                reader.map(|reader, key| {
                    seen.push((key.into_owned(), reader.number::<i64>()?));
                    Ok(())
                })
            });
            read.map(|_| seen)
        };
        let one = |key: &str, value| Ok(vec![(key.to_owned(), Some(value))]);
        assert_eq!(members("{-1:7}"), one("-1", 7));
        assert_eq!(members("{,'a' : 7,,}"), one("a", 7));
        assert_eq!(members("{a/**/:7}"), one("a", 7));
        assert_eq!(members("{\"\\u0061\\x62\":7}"), one("ab", 7));
        for text in ["{a:1 b:2}", "{a}", "{a:}", "{:1}", "{a:1", "{a:1]"] {
            assert!(members(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_names_the_path_of_the_value() {
        let read = document("{'a':[1,{b:'\u{1b}x'}]}", |reader| {
            reader.object(&["a"], |reader, _| {
                reader.list(|reader| {
                    let whole = reader.spare(Reader::number::<i64>)?;
                    if whole.is_none() {
                        reader.at = 8;
                        reader.object(&["b"], |reader, _| reader.number::<i64>().map(|_| ()))?;
                    }
                    Ok(())
                })
            })
        });
        let fault = read.unwrap_err();
        assert_eq!(fault.path, "a[1].b");
        let text = fault.to_string();
        assert!(text.starts_with("a[1].b (byte "), "{text}");
        assert!(
            text.ends_with("no whole number in its range: \\u{1b}x"),
            "{text}"
        );
    }

    #[test]
    fn nesting_of_any_depth_is_skipped_without_recursion() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(skipped(&deep));
    }
}

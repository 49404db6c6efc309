//! Writes all mutants into one text, each behind a question: a mutant schema, which is built once.
//!
//! A site is written as a choice between the original and its mutants. A mutant's text has the original
//! operands, without mutants of their own: one mutant is on at a time, and so the text grows with the depth
//! of an expression and not with its number of mutants' combinations. Every choice is in brackets, and
//! operands are, so precedence stays.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use crate::mutant::{Alternative, Form, Site, SourceFile};

/// The function that a text asks whether a mutant is on.
const ASK: &str = "::rmq_mutant::active";

/// A text with mutants in it.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub(crate) text: String,
    /// Where what is in it; outer before inner.
    pub(crate) marks: Vec<Mark>,
}

/// A stretch of a schema's text.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) span: Range<usize>,
    pub(crate) what: Stretch,
}

/// What a stretch of a schema's text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// The text that takes the original's place.
    Mutant(usize),
    /// A site with everything in it, and its own mutants.
    Site(Vec<usize>),
    /// A function's block, and the mutants that return at its beginning.
    Block(Vec<usize>),
}

/// Writes the schema of a file with all of its mutants but the `dropped` ones.
pub(crate) fn write(file: &SourceFile, dropped: &BTreeSet<usize>) -> Schema {
    let mut writer = Writer {
        source: &file.text,
        dropped,
        schema: Schema::default(),
    };
    writer.copy(0..file.text.len(), &file.sites);
    writer.schema
}

struct Writer<'a> {
    source: &'a str,
    dropped: &'a BTreeSet<usize>,
    schema: Schema,
}

impl Writer<'_> {
    /// Copies a stretch of the source, with the sites that are in it.
    fn copy(&mut self, span: Range<usize>, sites: &[Site]) {
        let mut at = span.start;
        let mut rest = sites;
        while let Some((site, after)) = rest.split_first() {
            self.verbatim(at..site.span.start);
            let inner = after.iter().take_while(|it| it.span.start < site.span.end);
            let (inner, next) = after.split_at(inner.count());
            self.site(site, inner);
            at = site.span.end;
            rest = next;
        }
        self.verbatim(at..span.end);
    }

    fn verbatim(&mut self, span: Range<usize>) {
        self.push(self.source.get(span).unwrap_or_default());
    }

    fn push(&mut self, text: &str) {
        self.schema.text.push_str(text);
    }

    fn site(&mut self, site: &Site, inner: &[Site]) {
        let mutants = site.alternatives.iter();
        let mutants = mutants.filter(|it| !self.dropped.contains(&it.number));
        let mutants: Vec<&Alternative> = mutants.collect();
        let numbers = mutants.iter().map(|it| it.number).collect();
        let what = match site.form {
            Form::Block => Stretch::Block(numbers),
            _ => Stretch::Site(numbers),
        };
        let mark = self.schema.marks.len();
        let start = self.schema.text.len();
        self.schema.marks.push(Mark {
            span: start..start,
            what,
        });
        match site.form {
            Form::Block => self.block(site, &mutants, inner),
            Form::Choice if !mutants.is_empty() => {
                self.push("(");
                for mutant in mutants {
                    self.ask("if ", mutant);
                    self.push(" { ");
                    self.mutant(mutant);
                    self.push(" } else ");
                }
                self.push("{ ");
                self.copy(site.span.clone(), inner);
                self.push(" })");
            }
            form => self.kept_or_not(form, site, mutants.first().copied(), inner),
        }
        self.schema.marks[mark].span.end = self.schema.text.len();
    }

    /// A function's block, with the mutants that return at its beginning.
    fn block(&mut self, site: &Site, mutants: &[&Alternative], inner: &[Site]) {
        self.push("{");
        for mutant in mutants {
            self.ask(" if ", mutant);
            self.push(" { return ");
            self.mutant(mutant);
            self.push("; }");
        }
        self.copy(site.span.start + 1..site.span.end, inner);
    }

    /// A statement or an arm that is there unless its only mutant is on.
    fn kept_or_not(
        &mut self,
        form: Form,
        site: &Site,
        mutant: Option<&Alternative>,
        inner: &[Site],
    ) {
        let Some(mutant) = mutant else {
            return self.copy(site.span.clone(), inner);
        };
        let (before, between, after) = match form {
            Form::Statement => ("if !", " { ", " }"),
            Form::Arm => (" if !", "", ""),
            _ => ("!", " && (", ")"),
        };
        self.ask(before, mutant);
        self.push(between);
        self.copy(site.span.clone(), inner);
        self.push(after);
    }

    fn ask(&mut self, before: &str, mutant: &Alternative) {
        // Writing to a text cannot fail.
        let _ = write!(self.schema.text, "{before}{ASK}({})", mutant.number);
    }

    fn mutant(&mut self, mutant: &Alternative) {
        let start = self.schema.text.len();
        self.push(&mutant.text);
        self.schema.marks.push(Mark {
            span: start..self.schema.text.len(),
            what: Stretch::Mutant(mutant.number),
        });
    }
}

#[cfg(test)]
mod tests;

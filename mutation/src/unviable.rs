//! Which mutants a compiler's error is about.
//!
//! Most errors are in the text of a mutant itself. Types that differ show in the original beside it, and
//! what a mutant leaves undone shows further down in the function. So the search goes outwards: the text
//! of a mutant, then the innermost site, then the function.

use std::collections::BTreeSet;
use std::iter::successors;
use std::ops::Range;

use serde::Deserialize;

use crate::schemata::{Mark, Stretch};

/// What cargo says of a compilation, in a line of JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) reason: String,
    pub(crate) message: Option<Diagnostic>,
}

/// What the compiler found.
#[derive(Debug, Deserialize)]
pub(crate) struct Diagnostic {
    pub(crate) level: String,
    pub(crate) spans: Vec<Span>,
    #[serde(default)]
    pub(crate) children: Vec<Diagnostic>,
    /// As a person would read it.
    pub(crate) rendered: Option<String>,
}

/// A place that the compiler points to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Span {
    pub(crate) file_name: String,
    pub(crate) byte_start: usize,
    pub(crate) byte_end: usize,
    pub(crate) is_primary: bool,
    /// Where the macro was called that this place is in.
    pub(crate) expansion: Option<Box<Expansion>>,
}

/// The call of a macro.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Expansion {
    pub(crate) span: Span,
}

impl Diagnostic {
    /// The places, the most telling ones first, each with the calls of macros around it.
    fn places(&self) -> Vec<&Span> {
        let (primary, other): (Vec<_>, Vec<_>) = self.spans.iter().partition(|it| it.is_primary);
        let children = self.children.iter().flat_map(|it| &it.spans);
        let all = primary.into_iter().chain(other).chain(children);
        all.flat_map(|span| successors(Some(span), |it| it.called_from()))
            .collect()
    }
}

impl Span {
    /// Where the macro was called that this place is in.
    fn called_from(&self) -> Option<&Self> {
        self.expansion.as_ref().map(|it| &it.span)
    }
}

/// The mutants that an error is about; none if it is in no schema. `marks` gives those of a file.
pub(crate) fn culprits<'a>(
    error: &Diagnostic,
    marks: impl Fn(&str) -> Option<&'a [Mark]>,
) -> BTreeSet<usize> {
    let places = error.places();
    let in_files = places.iter().filter_map(|span| {
        let of_file = marks(&span.file_name)?;
        Some((span.byte_start..span.byte_end, of_file))
    });
    let places: Vec<(Range<usize>, &[Mark])> = in_files.collect();
    let search = |search: fn(&Range<usize>, &[Mark]) -> BTreeSet<usize>| {
        let mut found = places.iter().map(|(at, marks)| search(at, marks));
        found.find(|it| !it.is_empty())
    };
    let found = search(in_mutant).or_else(|| search(at_site));
    found.or_else(|| search(in_block)).unwrap_or_default()
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The mutant whose text the place is in.
fn in_mutant(at: &Range<usize>, marks: &[Mark]) -> BTreeSet<usize> {
    let numbers = marks.iter().filter_map(|mark| match mark.what {
        Stretch::Mutant(number) if contains(&mark.span, at) => Some(number),
        _ => None,
    });
    numbers.collect()
}

/// The mutants of the innermost site around the place.
fn at_site(at: &Range<usize>, marks: &[Mark]) -> BTreeSet<usize> {
    let mut around = marks.iter().rev().filter(|mark| contains(&mark.span, at));
    let numbers = around.find_map(|mark| match &mark.what {
        Stretch::Site(numbers) if !numbers.is_empty() => Some(numbers),
        _ => None,
    });
    numbers.into_iter().flatten().copied().collect()
}

/// Everything in the innermost function around the place.
fn in_block(at: &Range<usize>, marks: &[Mark]) -> BTreeSet<usize> {
    let is_block = |mark: &&Mark| matches!(mark.what, Stretch::Block(_));
    let mut around = marks.iter().rev().filter(|mark| contains(&mark.span, at));
    let Some(block) = around.find(is_block) else {
        return BTreeSet::new();
    };
    let inside = marks
        .iter()
        .filter(|mark| contains(&block.span, &mark.span));
    let numbers = inside.flat_map(|mark| match &mark.what {
        Stretch::Mutant(_) => &[],
        Stretch::Site(numbers) | Stretch::Block(numbers) => &numbers[..],
    });
    numbers.copied().collect()
}

#[cfg(test)]
mod tests;

//! What a mutant is, and how it is told apart from all others.
//!
//! A mutant has two names. Its number, by position in the sources, switches it on in one build. Its key
//! (file, function, change, which one of several alike) survives an edit elsewhere in the file, so what
//! somebody has found out about it is written down under the key.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A kind of change that a programmer's slip might be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    /// A function returns a plain value of its type at once.
    Body,
    /// A binary operator is another one.
    Binary,
    /// `!` or `-` is gone.
    Unary,
    /// A match arm is gone, and its values fall to the catch-all arm.
    Arm,
    /// A call or an assignment is gone.
    Statement,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::Binary => "binary",
            Self::Unary => "unary",
            Self::Arm => "arm",
            Self::Statement => "statement",
        })
    }
}

/// How the text of a site is written so that its mutants can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An expression, which becomes a choice of itself and its mutants.
    Choice,
    /// The block of a function, at whose beginning a mutant returns.
    Block,
    /// A statement that a mutant leaves out.
    Statement,
    /// The end of the pattern of an arm, where a guard is added.
    Arm,
    /// The guard of an arm, to which another condition is added.
    Guard,
}

/// A mutant, as one of those of its site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// Its number among all mutants, from 1; 0 before they are numbered.
    pub(crate) number: usize,
    pub(crate) operator: Operator,
    /// What is changed, in words.
    pub(crate) change: String,
    /// The text that takes the site's place, if its form has such a text.
    pub(crate) text: String,
}

/// A place in a source text where mutants are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// The bytes of the text; sites are nested or apart.
    pub(crate) span: Range<usize>,
    pub(crate) line: usize,
    /// The function around it, with its type.
    pub(crate) function: String,
    pub(crate) form: Form,
    /// None in a block whose function has no plain value: errors in it still need its limits.
    pub(crate) alternatives: Vec<Alternative>,
}

/// A place that is left alone although an operator applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excluded {
    pub(crate) line: usize,
    /// The name of the rule.
    pub(crate) rule: &'static str,
    /// The text in question.
    pub(crate) text: String,
}

/// A source file with its sites.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path in the project.
    pub(crate) path: String,
    pub(crate) text: String,
    /// In the order of the text, outer before inner.
    pub(crate) sites: Vec<Site>,
    pub(crate) excluded: Vec<Excluded>,
}

/// A mutant, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutant {
    pub(crate) number: usize,
    pub(crate) line: usize,
    pub(crate) operator: Operator,
    pub(crate) key: Key,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        write!(
            f,
            "{:>5}  {}:{}  {}  {}",
            self.number, key.file, self.line, key.function, key.change
        )
    }
}

/// What a mutant is known by when lines have moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) file: String,
    pub(crate) function: String,
    pub(crate) change: String,
    /// Which one of those that are alike in all this, from 1.
    pub(crate) nth: usize,
}

/// Numbers all mutants, in the order of files and positions, and lists them.
pub(crate) fn number(files: &mut [SourceFile]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut alike: BTreeMap<Key, usize> = BTreeMap::new();
    for file in files {
        for site in &mut file.sites {
            for alternative in &mut site.alternatives {
                alternative.number = mutants.len() + 1;
                let mut key = Key {
                    file: file.path.clone(),
                    function: site.function.clone(),
                    change: alternative.change.clone(),
                    nth: 1,
                };
                let before = alike.entry(key.clone()).or_default();
                *before += 1;
                key.nth = *before;
                mutants.push(Mutant {
                    number: alternative.number,
                    line: site.line,
                    operator: alternative.operator,
                    key,
                });
            }
        }
    }
    mutants
}

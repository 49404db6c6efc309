//! Reads the tables of a file, and goes on behind what cannot be read, so that a person hears of all
//! their mistakes at once.
//!
//! A reader of TOML stops at the first value that it does not want. Here that value is noted, taken out
//! of the tree, and the rest is read again, until nothing is wrong with it any more.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::check::{self, Load};
use super::error::{Flaws, ScenarioError, Source};
use super::file::{FORMAT, File};
use super::{Scenario, format_1};

/// Reads and checks the text of a file; `load` gives the text of a policy file that it names.
pub(super) fn scenario(file: &str, text: &str, load: Load<'_>) -> Result<Scenario, ScenarioError> {
    let text = &*format_1::scenario(text);
    let flaws = Flaws::default();
    let source = Source {
        file,
        text,
        flaws: &flaws,
    };
    let Some((raw, suspects)) = self::file(source) else {
        return Err(source.refusal());
    };
    let name = Path::new(file).file_name().map_or_else(
        || file.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let scenario = check::scenario(source, name, (raw, &suspects), load);
    match ScenarioError::of(flaws.take()) {
        None => Ok(scenario),
        Some(error) => Err(error),
    }
}

/// More mistakes than anybody reads; the rest of such a file is not looked at.
const MOST: usize = 100;

/// Tables that a value was taken out of, by where they begin. What is wrong with the rest of them may be
/// no fault of the file.
#[derive(Debug, Default)]
pub(super) struct Suspects(BTreeSet<usize>);

impl Suspects {
    /// Whether a value of this table was taken out.
    pub(super) fn has<T>(&self, table: &Spanned<T>) -> bool {
        self.0.contains(&table.span().start)
    }
}

/// The file as it is written. None if it cannot go on to be checked, for what is noted as wrong: it is no
/// TOML, of another format, or whole tables are wrong, which others name.
fn file(source: Source<'_>) -> Option<(File, Suspects)> {
    let tree = match DeTable::parse(source.text) {
        Ok(tree) => tree,
        Err(error) => {
            source.or(Err(source.toml_error(&error)), ());
            return None;
        }
    };
    if let Err(flaw) = format(source, tree.get_ref()) {
        source.or(Err(flaw), ());
        return None;
    }
    let mut pruned = Pruned {
        tree,
        lost: false,
        taken: Vec::new(),
    };
    for _ in 0..MOST {
        let error = match File::deserialize(Deserializer::from(pruned.tree.clone())) {
            Ok(file) => {
                assert_eq!(*file.format.get_ref(), FORMAT, "another one is refused");
                return (!pruned.lost).then(|| (file, pruned.suspects()));
            }
            Err(error) => error,
        };
        let at = error.span().unwrap_or(0..0);
        let own = missing(error.message());
        if own.is_none_or(|key| !pruned.took(key, &at)) {
            source.or(Err(source.toml_error(&error)), ());
        }
        let unknown = error.message().starts_with("unknown field");
        if !pruned.take(&at, own.is_some(), unknown) {
            return None;
        }
    }
    None
}

/// Refuses another format, of whose keys nothing is known.
fn format(source: Source<'_>, table: &DeTable<'_>) -> Result<(), ScenarioError> {
    let format = table.iter().find(|(key, _)| *key.get_ref() == "format");
    let Some((_, value)) = format else {
        return Ok(());
    };
    match value.get_ref() {
        DeValue::Integer(number) if number.as_str() != FORMAT.to_string() => Err(source.error(
            value.span(),
            format!("format {} is unknown", number.as_str()),
            format!("write `format = {FORMAT}`"),
        )),
        _ => Ok(()),
    }
}

/// The key that a reader misses.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// A file's tree without what could not be read.
struct Pruned<'i> {
    tree: Spanned<DeTable<'i>>,
    /// A table that others may name is gone.
    lost: bool,
    /// Keys that were taken out although they belong there: the name, and the tables around it, by where
    /// they begin.
    taken: Vec<(String, Vec<usize>)>,
}

impl Pruned<'_> {
    /// Whether such a key of the table that begins here was there, and was taken out.
    fn took(&self, key: &str, table: &Range<usize>) -> bool {
        let here = |around: &[usize]| match around.last() {
            Some(at) => *at == table.start,
            None => true,
        };
        self.taken
            .iter()
            .any(|(taken, around)| taken == key && here(around))
    }

    fn suspects(&self) -> Suspects {
        let around = self.taken.iter().flat_map(|(_, around)| around);
        Suspects(around.copied().collect())
    }

    /// Takes out what stands at a place: a key with its value, or a table from a list of tables. Whether
    /// there was something.
    fn take(&mut self, at: &Range<usize>, whole: bool, unknown: bool) -> bool {
        let mut around = Vec::new();
        let found = take(self.tree.get_mut(), at, whole, &mut around);
        match found {
            Some(Taken::Key(_)) if unknown => true,
            Some(Taken::Key(key)) => {
                self.lost |= around.is_empty() && key != "liveness";
                self.taken.push((key, around));
                true
            }
            Some(Taken::Table) => {
                self.lost = true;
                true
            }
            None => false,
        }
    }
}

enum Taken {
    Key(String),
    Table,
}

/// Takes out the innermost key at a place; `whole`: the innermost table, as something in it is missing.
fn take(
    table: &mut DeTable<'_>,
    at: &Range<usize>,
    whole: bool,
    around: &mut Vec<usize>,
) -> Option<Taken> {
    let holds = |outer: Range<usize>| outer.start <= at.start && at.end <= outer.end;
    let mut found = None;
    for (key, value) in table.iter_mut() {
        let (key_at, value_at) = (key.span(), value.span());
        let depth = around.len();
        let inner = match value.get_mut() {
            // The keys of a table may stand anywhere below its heading, which is all that it spans.
            DeValue::Table(inner) if !(whole && value_at == *at) => {
                around.push(value_at.start);
                take(inner, at, whole, around)
            }
            DeValue::Array(list) => take_of_list(list, at, whole, around),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
        around.truncate(depth);
        if holds(key_at) || holds(value_at) {
            found = Some(key.get_ref().to_string());
            break;
        }
    }
    let name = found?;
    table.remove(name.as_str())?;
    Some(Taken::Key(name))
}

fn take_of_list(
    list: &mut DeArray<'_>,
    at: &Range<usize>,
    whole: bool,
    around: &mut Vec<usize>,
) -> Option<Taken> {
    let mut gone = None;
    for (index, item) in list.iter_mut().enumerate() {
        let item_at = item.span();
        let DeValue::Table(inner) = item.get_mut() else {
            continue;
        };
        if whole && item_at == *at {
            gone = Some(index);
            break;
        }
        around.push(item_at.start);
        if let Some(taken) = take(inner, at, whole, around) {
            return Some(taken);
        }
        around.pop();
    }
    let gone = gone?;
    let mut kept = DeArray::new();
    for (_, item) in std::mem::replace(list, DeArray::new())
        .into_iter()
        .enumerate()
        .filter(|(index, _)| *index != gone)
    {
        kept.push(item);
    }
    *list = kept;
    Some(Taken::Table)
}

//! The catalogue of faults: every kind once. What can be told of it is told by its own file.

use super::kind::Kind;
use super::rule;

/// Every kind of fault: whole faults, then what rules do.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    super::KINDS.iter().chain(rule::KINDS).copied()
}

/// The kind that a scenario file calls `name`.
///
/// ```
/// use rmq_sim::fault::EngineKind;
/// use rmq_sim::fault::catalogue::find;
///
/// let loss = find("loss");
/// assert!(loss.is_some_and(|kind| kind.has_key("per-mille") && !kind.is_rule()));
/// let on_tcp = |name| find(name).is_some_and(|kind| kind.possible_on().any(|it| it == EngineKind::Tcp));
/// assert_eq!((on_tcp("crash"), on_tcp("loss")), (true, false));
/// ```
pub fn find(name: &str) -> Option<&'static Kind> {
    all().find(|kind| kind.name == name)
}

/// The catalogue as a table in Markdown; the keys that every rule has are left out.
pub fn markdown() -> String {
    markdown_of(all())
}

/// Some kinds of the catalogue as a table in Markdown, such as those that are rules.
///
/// ```
/// use rmq_sim::fault::catalogue::{all, markdown_of};
///
/// let rules = markdown_of(all().filter(|kind| kind.is_rule()));
/// assert!(rules.contains("| `drop-reply`") && !rules.contains("| `crash`"));
/// ```
pub fn markdown_of(kinds: impl Iterator<Item = &'static Kind>) -> String {
    let titles = ["`do`", "on", "keys", "in the real world", "engines"].map(str::to_owned);
    let mut lines = vec![titles, ["---"; 5].map(str::to_owned)];
    for kind in kinds {
        let engines: Vec<String> = kind.possible_on().map(|it| it.to_string()).collect();
        let keys: Vec<String> = kind.keys.iter().map(|key| format!("`{key}`")).collect();
        lines.push([
            format!("`{}`", kind.name),
            match kind.is_rule() {
                true => format!("{}, a rule", kind.site),
                false => kind.site.to_string(),
            },
            keys.join(", "),
            kind.situation.to_owned(),
            match engines.len() {
                3 => "all".to_owned(),
                _ => engines.join(", "),
            },
        ]);
    }
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.fold(0, usize::max)
    });
    let line = |cells: &[String; 5]| {
        let cells = cells.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::EngineKind;

    #[test]
    fn the_page_of_the_faults_has_this_table() {
        let page = include_str!("faults.md");
        let table = page.lines().filter(|line| line.starts_with('|'));
        let table: String = table.map(|line| format!("{line}\n")).collect();
        let now = markdown();
        assert_eq!(
            table, now,
            "UPDATE_README=1 cargo test --workspace --test documentation makes the table anew:\n{now}"
        );
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_and_an_engine() {
        let mut names = std::collections::BTreeSet::new();
        for kind in all() {
            assert!(names.insert(kind.name), "{}", kind.name);
            assert!(kind.possible_on().any(|engine| engine == EngineKind::Event));
        }
    }

    #[test]
    fn every_kind_has_a_file_of_its_name_and_no_file_is_left_out() {
        let mut files: Vec<String> = Vec::new();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fault");
        for folder in [root.clone(), root.join("rule")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|it| it == "rs") {
                    let stem = path.file_stem().unwrap().to_string_lossy();
                    files.push(stem.replace('_', "-"));
                }
            }
        }
        let frame = [
            "mod",
            "mod",
            "kind",
            "catalogue",
            "restart",
            "words",
            "odd-route",
        ];
        let mut expected: Vec<String> = frame.map(str::to_owned).to_vec();
        // The forms of a route are six kinds and one behaviour.
        let odd = [
            "bare-id-route",
            "text-number-route",
            "null-route",
            "empty-route",
            "ordered-route",
            "static-route",
        ];
        let own = all().map(|kind| kind.name).filter(|it| !odd.contains(it));
        expected.extend(own.map(str::to_owned));
        expected.sort();
        files.sort();
        assert_eq!(files, expected);
    }
}

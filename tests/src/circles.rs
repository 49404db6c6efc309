//! Import circles between the modules of a crate.
//!
//! Modules that import each other can only be understood, tested and moved together. The layers of a
//! crate are checked here from its sources alone: who names whom by a path of the crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::Source;

/// Which top-level module of a crate names which other, and the file that does so first.
pub type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the imports of the crate whose sources are in `folder` (`producer/src`), tests left out.
///
/// A path `crate::name` means the module `name`, or the one from which the crate's root imports that
/// name; `super` means what it means where the file is.
pub fn imports(sources: &[Source], folder: &str) -> Imports {
    let prefix = format!("{folder}/");
    let files: Vec<(&str, &Source)> = sources
        .iter()
        .filter_map(|source| Some((source.path.strip_prefix(&prefix)?, source)))
        .filter(|(path, _)| !path.starts_with("bin/") && !path.contains("tests"))
        .collect();
    let modules: BTreeSet<&str> = files
        .iter()
        .filter_map(|(path, _)| module_of(path))
        .collect();
    let root = files.iter().find(|(path, _)| *path == "lib.rs");
    let exported = root.map_or_else(BTreeMap::new, |(_, source)| {
        let paths = paths_in(&code_of(source));
        let from_module = paths.into_iter().filter_map(|path| {
            let first = path
                .first()
                .filter(|first| modules.contains(first.as_str()))?;
            let last = path.last().filter(|last| *last != first)?;
            Some((last.clone(), first.clone()))
        });
        from_module.collect()
    });
    let mut imports = Imports::new();
    for (path, source) in &files {
        let Some(module) = module_of(path) else {
            continue;
        };
        for named in named_by(path, &code_of(source)) {
            let target = match modules.get(named.as_str()) {
                Some(_) => Some(&named),
                None => exported.get(&named),
            };
            if let Some(target) = target.filter(|target| *target != module) {
                let by = imports.entry(module.to_owned()).or_default();
                by.entry(target.clone())
                    .or_insert_with(|| source.path.clone());
            }
        }
    }
    imports
}

/// The circles: each a set of modules that all reach each other, in the order of their names.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = imports
        .keys()
        .map(|module| (module, reach(imports, module)))
        .collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (module, reach) in &reached {
        let both = |other: &&&String| {
            reached
                .get(**other)
                .is_some_and(|back| back.contains(module))
        };
        let circle: Vec<String> = reach
            .iter()
            .filter(both)
            .map(|&name| name.clone())
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// A circle for people: each import within it, with a file that makes it.
pub fn describe(imports: &Imports, circle: &[String]) -> String {
    let mut lines = vec![circle.join(", ")];
    for module in circle {
        for (target, file) in imports.get(module).into_iter().flatten() {
            if circle.contains(target) {
                lines.push(format!("  {module} -> {target}   ({file})"));
            }
        }
    }
    lines.join("\n")
}

/// The modules that can be reached from one, itself only over a circle.
fn reach<'a>(imports: &'a Imports, from: &'a String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for target in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(target) {
                next.push(target);
            }
        }
    }
    seen
}

/// The top-level module of a file; none of the root itself.
fn module_of(path: &str) -> Option<&str> {
    let first = path.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&name)).then_some(name)
}

/// How many modules stand above the contents of a file.
fn depth(path: &str) -> usize {
    let inner = path
        .strip_suffix("/mod.rs")
        .or_else(|| path.strip_suffix(".rs"));
    inner.map_or(0, |inner| inner.split('/').count())
}

/// The code of a file without comments and without its tests.
fn code_of(source: &Source) -> String {
    let mut code = String::new();
    let mut lines = source.code_lines().peekable();
    while let Some((_, line)) = lines.next() {
        let opens_tests = lines
            .peek()
            .is_some_and(|(_, next)| next.starts_with("mod tests {"));
        if line.trim() == "#[cfg(test)]" && opens_tests {
            break;
        }
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// The names right below the crate's root that a file at `path` mentions.
fn named_by(path: &str, code: &str) -> BTreeSet<String> {
    let depth = depth(path);
    let at_root = |path: Vec<String>| {
        let ups = path.iter().take_while(|part| *part == "super").count();
        match path.first().map(String::as_str) {
            Some("crate") => path.get(1).cloned(),
            Some("super") if ups == depth => path.get(ups).cloned(),
            _ => None,
        }
    };
    paths_in(code).into_iter().filter_map(at_root).collect()
}

/// Every path of a text, with groups in braces taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let start = rest[..at]
            .rfind(|c: char| !is_name(c))
            .map_or(0, |at| at + 1);
        let first = rest[start..at].to_owned();
        let (paths, after) = tail(&rest[at + 2..]);
        if !first.is_empty() {
            found.extend(paths.into_iter().map(|mut path| {
                path.insert(0, first.clone());
                path
            }));
        }
        rest = after;
    }
    found
}

/// What may follow `::`, and the text after it.
fn tail(text: &str) -> (Vec<Vec<String>>, &str) {
    if let Some(mut inside) = text.strip_prefix('{') {
        let mut paths = Vec::new();
        loop {
            inside = inside.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if let Some(after) = inside.strip_prefix('}') {
                return (paths, after);
            }
            let (more, after) = tail(inside);
            if after.len() == inside.len() {
                return (paths, after);
            }
            paths.extend(more);
            inside = after;
        }
    }
    let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    if name.is_empty() {
        return (vec![Vec::new()], after);
    }
    match after.strip_prefix("::") {
        Some(deeper) => {
            let (paths, after) = tail(deeper);
            let named = paths.into_iter().map(|mut path| {
                path.insert(0, name.to_owned());
                path
            });
            (named.collect(), after)
        }
        None => (vec![vec![name.to_owned()]], after),
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source {
            path: format!("made-up/src/{path}"),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_made_up_circle_is_found_with_the_files_that_make_it() {
        let sources = [
            file("lib.rs", "mod a;\nmod b;\nmod c;\npub use c::Thing;\n"),
            file("a.rs", "use crate::b::One;\n"),
            file("b.rs", "use std::fmt;\nuse super::{c, d::Two};\n"),
            file("c/mod.rs", "mod deep;\n"),
            file("c/deep.rs", "fn x() { crate::a::go() }\nuse super::a;\n"),
            file(
                "d.rs",
                "//! Names crate::a in a comment.\nuse crate::Thing;\n",
            ),
        ];
        let imports = imports(&sources, "made-up/src");
        let circles = circles(&imports);
        assert_eq!(circles, [["a", "b", "c", "d"]]);
        let text = describe(&imports, &circles[0]);
        assert!(text.contains("c -> a   (made-up/src/c/deep.rs)"), "{text}");
        assert!(text.contains("d -> c   (made-up/src/d.rs)"), "{text}");
    }

    #[test]
    fn layers_and_tests_make_no_circle() {
        let sources = [
            file("a.rs", "use crate::b::One;\n"),
            file(
                "b.rs",
                "use self::x;\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n",
            ),
        ];
        assert!(circles(&imports(&sources, "made-up/src")).is_empty());
    }
}

//! Errors at certain places, and whom they are blamed on.

use super::*;
use crate::find::find;
use crate::mutant::number;
use crate::schemata::{Schema, write};

const SOURCE: &str = "fn f() -> bool { g(a + b); c } fn h() -> &A { d }";

fn schema() -> Schema {
    let mut files = [find("a.rs", SOURCE).unwrap()];
    number(&mut files);
    write(&files[0], &BTreeSet::new())
}

/// Whom an error is blamed on that points to these texts, the first of them first.
fn blamed(texts: &[&str]) -> Vec<usize> {
    let schema = schema();
    let span = |(nth, text): (usize, &&str)| {
        let start = schema.text.find(*text).unwrap();
        Span {
            file_name: "a.rs".to_owned(),
            byte_start: start,
            byte_end: start + text.len(),
            is_primary: nth == 0,
            expansion: None,
        }
    };
    let error = Diagnostic {
        level: "error".to_owned(),
        spans: texts.iter().enumerate().map(span).collect(),
        children: Vec::new(),
        rendered: None,
    };
    let found = culprits(&error, |name| (name == "a.rs").then_some(&schema.marks[..]));
    found.into_iter().collect()
}

#[test]
fn an_error_in_the_text_of_a_mutant_is_its_own() {
    assert_eq!(blamed(&["(a) - (b)"]), [4]);
    assert_eq!(blamed(&["false"]), [2]);
}

#[test]
fn a_note_that_points_to_a_mutant_comes_before_the_site() {
    assert_eq!(blamed(&["a + b", "(a) - (b)"]), [4]);
    assert_eq!(blamed(&["c }", "false"]), [2]);
}

#[test]
fn an_error_in_the_original_is_of_the_innermost_site() {
    assert_eq!(blamed(&["a + b"]), [4]);
    assert_eq!(blamed(&["g("]), [3]);
}

#[test]
fn an_error_elsewhere_in_a_function_is_of_all_in_it() {
    assert_eq!(blamed(&["c }"]), [1, 2, 3, 4]);
}

#[test]
fn an_error_outside_is_of_nobody() {
    assert_eq!(blamed(&["fn h"]), [0; 0]);
    assert_eq!(blamed(&["d }"]), [0; 0]);
}

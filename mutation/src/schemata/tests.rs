//! Small source texts, and their schemata.

use super::*;
use crate::find::find;
use crate::mutant::number;

/// The schema of a text, which is a schema again to who reads Rust.
fn schema(text: &str, dropped: &[usize]) -> String {
    let mut files = [find("a.rs", text).unwrap()];
    number(&mut files);
    let schema = write(&files[0], &dropped.iter().copied().collect());
    syn::parse_file(&schema.text).unwrap();
    schema.text.replace(ASK, "on")
}

#[test]
fn an_expression_is_a_choice_in_brackets_and_keeps_its_precedence() {
    assert_eq!(
        schema("fn f() -> &A { g(a + b * c) }", &[]),
        "fn f() -> &A { g((if on(1) { (a) - (b * c) } else { a + (if on(2) { (b) / (c) } else { b * c }) })) }"
    );
    assert_eq!(
        schema("fn f() -> &A { if !a.b()?.c { } }", &[]),
        "fn f() -> &A { if (if on(1) { a.b()?.c } else { !a.b()?.c }) { } }"
    );
}

#[test]
fn a_site_may_have_several_mutants() {
    assert_eq!(
        schema("fn f() -> &A { g(a <= b) }", &[]),
        "fn f() -> &A { g((if on(1) { (a) < (b) } else if on(2) { (a) > (b) } else { a <= b })) }"
    );
}

#[test]
fn a_body_returns_at_its_beginning() {
    assert_eq!(
        schema("async fn f() -> bool { g() }", &[]),
        "async fn f() -> bool { if on(1) { return true; } if on(2) { return false; } g() }"
    );
}

#[test]
fn a_statement_is_there_unless_its_mutant_is_on() {
    assert_eq!(
        schema("fn f() -> &A { g(!a); b.c = d; }", &[]),
        "fn f() -> &A { if !on(1) { g((if on(2) { a } else { !a })); } if !on(3) { b.c = d; } }"
    );
}

#[test]
fn an_arm_gets_a_guard_and_a_guard_another_condition() {
    assert_eq!(
        schema(
            "fn f() -> &A { match x { A => b, C if d || e => g, _ => h } }",
            &[]
        ),
        "fn f() -> &A { match x { A if !on(1) => b, C if !on(2) && ((if on(3) { (d) && (e) } else { d || e })) => g, _ => h } }"
    );
}

#[test]
fn what_is_dropped_is_as_it_was() {
    let text = "fn f(x: u8) -> bool { g(!x); match x { 1 if a => b < c, _ => d } }";
    let all: Vec<usize> = (1..20).collect();
    assert_eq!(schema(text, &all), text);
    assert!(schema(text, &[1]).contains("{ if on(2) { return false; } if !on(3)"));
}

#[test]
fn marks_say_where_each_mutant_is() {
    let mut files = [find("a.rs", "fn f() -> bool { a < (b == !c) }").unwrap()];
    let mutants = number(&mut files);
    let schema = write(&files[0], &BTreeSet::new());
    let text_of = |number| {
        let mark = schema
            .marks
            .iter()
            .find(|it| it.what == Stretch::Mutant(number));
        &schema.text[mark.unwrap().span.clone()]
    };
    let texts: Vec<&str> = mutants.iter().map(|it| text_of(it.number)).collect();
    let right = "((b == !c))";
    let expected = ["true", "false"].map(str::to_owned);
    let expected = expected
        .into_iter()
        .chain(["<=", "==", ">"].map(|op| format!("(a) {op} {right}")));
    let expected = expected.chain(["(b) != (!c)", "c"].map(str::to_owned));
    assert_eq!(texts, expected.collect::<Vec<String>>());
}

//! Small source texts, and the mutants that are found in them.

use super::*;

fn changes(text: &str) -> Vec<String> {
    let found = find("producer/src/a.rs", text).unwrap();
    let of_site = |site: Site| {
        let alternatives = site.alternatives.into_iter();
        alternatives.map(move |it| format!("{} {}: {}", site.line, site.function, it.change))
    };
    found.sites.into_iter().flat_map(of_site).collect()
}

#[test]
fn a_function_has_mutants_in_the_order_of_the_text() {
    let text = "
        impl A {
            async fn f(&mut self, x: u32) -> bool {
                self.seen = x;
                self.note(x);
                let _ = self.poll();
                x < 3 && !self.is_open()
            }
        }";
    assert_eq!(
        changes(text),
        [
            "3 A::f: the body → `true`",
            "3 A::f: the body → `false`",
            "4 A::f: `self.seen = x;` deleted",
            "5 A::f: `self.note(x);` deleted",
            "6 A::f: `let _ = self.poll();` deleted",
            "7 A::f: `x < 3 && !self.is_open()`: && → ||",
            "7 A::f: `x < 3`: < → <=",
            "7 A::f: `x < 3`: < → ==",
            "7 A::f: `x < 3`: < → >",
            "7 A::f: `!self.is_open()` without its sign",
        ]
    );
}

#[test]
fn an_arm_may_go_only_where_another_catches_its_values() {
    let text = "fn f(x: Option<u8>) { match x { Some(1) => a, Some(n) if n > b => c, _ => d } }";
    assert_eq!(
        changes(text)[1..],
        [
            "1 f: the arm `Some(1)` deleted",
            "1 f: the arm `Some(n) if n > b` deleted",
            "1 f: `n > b`: > → >=",
            "1 f: `n > b`: > → ==",
            "1 f: `n > b`: > → <",
        ]
    );
    let whole = "fn f(x: Option<u8>) { match x { Some(n) => a, None => d } }";
    assert_eq!(changes(whole).len(), 1);
}

#[test]
fn tests_constants_macros_and_words_for_people_have_none() {
    for text in [
        "#[cfg(test)] mod tests { fn f() { g(); } }",
        "#[cfg(all(test, unix))] fn f() { g(); }",
        "#[cfg(not(feature = \"lz4\"))] fn f() { g(); }",
        "const A: u8 = 1 + 2; static B: bool = !true; enum E { A = 1 << 3 }",
        "const fn f() -> u8 { 1 + 2 }",
        "impl fmt::Debug for A { fn fmt(&self) -> fmt::Result { g(); } }",
        "fn f() -> impl Sized { assert!(1 < 2); [0; 2 + 3] }",
        "fn f() -> &A { let x: [u8; 1 + 1] = g::<{ 1 + 1 }>(); const { 1 + 1 } }",
    ] {
        assert_eq!(changes(text), [""; 0], "{text}");
    }
    assert_eq!(
        changes("#[cfg(feature = \"lz4\")] fn f() { g(); }").len(),
        2
    );
}

#[test]
fn testimony_is_left_out_by_name() {
    let text = "fn f() -> &A { core.emit(e); self.observe(e); log::health(b); self.o.on(e); }";
    let found = find("producer/src/a.rs", text).unwrap();
    assert_eq!(found.excluded.len(), 4);
    assert!(found.excluded.iter().all(|it| it.rule == "testimony"));
    assert_eq!(changes(text), [""; 0]);
}

#[test]
fn a_chain_with_a_let_in_it_stays_a_chain() {
    let text = "fn f() -> &A { if let Some(x) = y && x == z && b { } }";
    assert_eq!(changes(text), ["1 f: `x == z`: == → !="]);
}

#[test]
fn a_body_that_is_its_plain_value_has_no_such_mutant() {
    assert_eq!(changes("fn f() {}"), [""; 0]);
    assert_eq!(changes("fn f() -> Option<&A> { None }"), [""; 0]);
    assert_eq!(
        changes("fn f() -> bool { false }"),
        ["1 f: the body → `true`"]
    );
    assert_eq!(changes("fn f() -> Duration { Duration::ZERO }"), [""; 0]);
    assert_eq!(changes("fn new() -> A { A(1) }"), [""; 0]);
}

#[test]
fn a_long_text_is_cut_in_a_change() {
    let text = format!("fn f() -> &A {{ g(\"{}\"); }}", "é".repeat(200));
    assert!(changes(&text)[0].ends_with("é…` deleted"));
}

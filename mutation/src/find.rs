//! Finds the mutants of a source text: everything but tests, constants, macros and testimony.
//!
//! A constant cannot ask which mutant is on, and the inside of a macro has no grammar of its own. Testimony
//! is what the code says of itself to an observer or a log; without it a checker is blind, which proves
//! nothing of the checker. Those places are named with the rule that leaves them out.

use std::cmp::Reverse;
use std::ops::Range;

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, Attribute, Block, Expr, Meta, Pat, ReturnType, Signature, Stmt, Token, Type, UnOp};

use crate::mutant::{Alternative, Excluded, Form, Operator, Site, SourceFile};
use crate::operators;

/// The rule that leaves out what only tells an observer or a log.
const TESTIMONY: &str = "testimony";
/// Functions that tell an observer what happened.
const TELLS: [&str; 4] = ["emit", "emit_end", "observe", "on"];
/// The module whose functions write to the log.
const LOG: &str = "log";
/// Traits that a person reads the output of.
const FOR_PEOPLE: [&str; 2] = ["Debug", "Display"];
/// Functions whose plain value would be made by themselves.
const DEFAULTS: [&str; 2] = ["new", "default"];
/// The longest text of a site that a change quotes.
const QUOTED: usize = 90;

/// Finds the sites of a file, in the order of the text, outer before inner.
///
/// # Errors
/// The text is no Rust.
pub(crate) fn find(path: &str, text: &str) -> Result<SourceFile, syn::Error> {
    let parsed = syn::parse_file(text)?;
    let mut finder = Finder {
        text,
        is_log: path.ends_with("/log.rs"),
        around: Vec::new(),
        sites: Vec::new(),
        excluded: Vec::new(),
    };
    finder.visit_file(&parsed);
    let mut sites = finder.sites;
    sites.sort_by_key(|site| (site.span.start, Reverse(site.span.end)));
    Ok(SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
        sites,
        excluded: finder.excluded,
    })
}

struct Finder<'a> {
    text: &'a str,
    is_log: bool,
    /// The types, traits and functions around the current place.
    around: Vec<String>,
    sites: Vec<Site>,
    excluded: Vec<Excluded>,
}

impl Finder<'_> {
    fn text_of(&self, node: &impl Spanned) -> &str {
        self.text.get(node.span().byte_range()).unwrap_or_default()
    }

    fn site(&mut self, span: Range<usize>, line: usize, form: Form) -> &mut Vec<Alternative> {
        let at = self.sites.len();
        self.sites.push(Site {
            span,
            line,
            function: self.around.join("::"),
            form,
            alternatives: Vec::new(),
        });
        &mut self.sites[at].alternatives
    }

    /// A function's block: it returns a plain value at once, or goes on.
    fn function(&mut self, signature: &Signature, block: &Block) {
        if signature.constness.is_some() {
            return;
        }
        let name = signature.ident.to_string();
        self.around.push(name.clone());
        let values = match &*name {
            _ if self.is_log || TELLS.contains(&&*name) => {
                self.exclude(line(signature.ident.span()), format!("the body of {name}"));
                Vec::new()
            }
            _ if DEFAULTS.contains(&&*name) => Vec::new(),
            _ => operators::values(&signature.output),
        };
        let does = compact(self.text_of(block).trim_matches(['{', '}']));
        let is_unit = matches!(signature.output, ReturnType::Default);
        let values = values.into_iter().filter(|value| {
            let nothing = does.is_empty() && (is_unit || value == "()");
            !nothing && *value != does && !value.ends_with(&format!("::{does}"))
        });
        let values: Vec<String> = values.collect();
        let (span, line) = (block.span().byte_range(), line(signature.ident.span()));
        let alternatives = self.site(span, line, Form::Block);
        alternatives.extend(values.into_iter().map(|value| {
            let change = format!("the body → `{value}`");
            alternative(Operator::Body, change, value)
        }));
        visit::visit_block(self, block);
        self.around.pop();
    }

    fn exclude(&mut self, line: usize, text: String) {
        self.excluded.push(Excluded {
            line,
            rule: TESTIMONY,
            text,
        });
    }

    /// A statement that may be left out.
    fn statement(&mut self, statement: &Stmt, effect: &Expr) {
        let text = compact(self.text_of(statement));
        let at = line(statement.span());
        if tells(effect) {
            self.exclude(at, text);
            return;
        }
        let change = format!("`{text}` deleted");
        let alternatives = self.site(statement.span().byte_range(), at, Form::Statement);
        alternatives.push(alternative(Operator::Statement, change, String::new()));
    }

    /// An arm before the catch-all one, to which its values may fall.
    fn arm(&mut self, arm: &Arm) {
        let text = compact(self.text_of(&arm.pat));
        let (span, form) = match &arm.pat {
            Pat::Guard(guarded) => (guarded.guard.span().byte_range(), Form::Guard),
            pat => {
                let end = pat.span().byte_range().end;
                (end..end, Form::Arm)
            }
        };
        let change = format!("the arm `{text}` deleted");
        let alternatives = self.site(span, line(arm.pat.span()), form);
        alternatives.push(alternative(Operator::Arm, change, String::new()));
    }

    fn inside(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.around.push(name);
        visit(self);
        self.around.pop();
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_compiled(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if is_compiled(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_compiled(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = item.default.as_ref().filter(|_| is_compiled(&item.attrs)) {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = item
            .trait_
            .as_ref()
            .and_then(|(path, _)| path.segments.last());
        let is_for_people = of.is_some_and(|it| FOR_PEOPLE.iter().any(|name| it.ident == name));
        if is_for_people || !is_compiled(&item.attrs) {
            return;
        }
        let name = match &*item.self_ty {
            Type::Path(path) => path.path.segments.last().map(|it| it.ident.to_string()),
            _ => None,
        };
        let name = name.unwrap_or_else(|| compact(self.text_of(&*item.self_ty)));
        self.inside(name, |it| visit::visit_item_impl(it, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.inside(item.ident.to_string(), |it| {
            visit::visit_item_trait(it, item);
        });
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        if let Some((from, replacements)) = operators::binary(&expr.op)
            && !(matches!(expr.op, syn::BinOp::And(_)) && has_let(expr))
        {
            let text = compact(self.text_of(expr));
            let (left, right) = (self.text_of(&*expr.left), self.text_of(&*expr.right));
            let mutants: Vec<Alternative> = replacements
                .iter()
                .map(|to| {
                    let change = format!("`{text}`: {from} → {to}");
                    let text = format!("({left}) {to} ({right})");
                    alternative(Operator::Binary, change, text)
                })
                .collect();
            let span = expr.span().byte_range();
            *self.site(span, line(expr.op.span()), Form::Choice) = mutants;
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        if matches!(expr.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let change = format!("`{}` without its sign", compact(self.text_of(expr)));
            let text = self.text_of(&*expr.expr).to_owned();
            let alternatives = self.site(expr.span().byte_range(), line(expr.span()), Form::Choice);
            alternatives.push(alternative(Operator::Unary, change, text));
        }
        visit::visit_expr_unary(self, expr);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        let catch_all = expr.arms.iter().position(|arm| is_catch_all(&arm.pat));
        for arm in expr.arms.iter().take(catch_all.unwrap_or(0)) {
            self.arm(arm);
        }
        visit::visit_expr_match(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if let Pat::Guard(guarded) = &arm.pat {
            self.visit_expr(&guarded.guard);
        }
        self.visit_expr(&arm.body);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        match statement {
            Stmt::Expr(expr, Some(_)) if is_call(expr) || matches!(expr, Expr::Assign(_)) => {
                self.statement(statement, expr);
            }
            Stmt::Local(local) if matches!(local.pat, Pat::Wild(_)) => {
                let called = local.init.as_ref().map(|init| &*init.expr);
                if let Some(call) = called.filter(|it| is_call(it)) {
                    self.statement(statement, call);
                }
            }
            _ => {}
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_repeat(&mut self, expr: &'ast syn::ExprRepeat) {
        self.visit_expr(&expr.expr);
    }

    // What follows is constant, is no expression, or is no Rust before a macro has made it so.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_macro(&mut self, _: &'ast syn::Macro) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_variant(&mut self, _: &'ast syn::Variant) {}
}

fn alternative(operator: Operator, change: String, text: String) -> Alternative {
    Alternative {
        number: 0,
        operator,
        change,
        text,
    }
}

fn line(span: Span) -> usize {
    span.start().line
}

/// A text in one line, cut if it is long.
fn compact(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether a value is a call's, waited for or not, handed on in failure or not.
fn is_call(expr: &Expr) -> bool {
    match expr {
        Expr::Call(_) | Expr::MethodCall(_) => true,
        Expr::Await(it) => is_call(&it.base),
        Expr::Try(it) => is_call(&it.expr),
        _ => false,
    }
}

/// Whether a call only tells an observer or a log.
fn tells(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(call) => TELLS.iter().any(|name| call.method == name),
        Expr::Call(call) => {
            let Expr::Path(path) = &*call.func else {
                return false;
            };
            let names: Vec<String> = path
                .path
                .segments
                .iter()
                .map(|it| it.ident.to_string())
                .collect();
            let called = names.last().is_some_and(|name| TELLS.contains(&&**name));
            called
                || names
                    .iter()
                    .rev()
                    .nth(1)
                    .is_some_and(|module| module == LOG)
        }
        _ => false,
    }
}

/// Whether a chain of `&&` has a `let` in it: such a chain is no expression.
fn has_let(expr: &syn::ExprBinary) -> bool {
    let of = |side: &Expr| match side {
        Expr::Let(_) => true,
        Expr::Binary(inner) => matches!(inner.op, syn::BinOp::And(_)) && has_let(inner),
        _ => false,
    };
    of(&expr.left) || of(&expr.right)
}

fn is_catch_all(pat: &Pat) -> bool {
    match pat {
        Pat::Wild(_) => true,
        Pat::Ident(name) => {
            let is_variable = name.ident.to_string().starts_with(char::is_lowercase);
            name.subpat.is_none() && is_variable
        }
        _ => false,
    }
}

/// Whether the laboratory's program has this item in it: it has all features, and is no test.
fn is_compiled(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|it| it.path().is_ident("cfg"));
    let mut conditions = conditions.filter_map(|it| it.parse_args::<Meta>().ok());
    conditions.all(|condition| holds(&condition))
}

fn holds(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        let never = ["test", "doctest", "windows"];
        return !never.iter().any(|name| condition.path().is_ident(name));
    };
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let mut parts = parts.unwrap_or_default().into_iter();
    if list.path.is_ident("not") {
        !parts.any(|it| holds(&it))
    } else if list.path.is_ident("any") {
        parts.any(|it| holds(&it))
    } else {
        parts.all(|it| holds(&it))
    }
}

#[cfg(test)]
mod tests;

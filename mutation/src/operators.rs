//! The mutation operators as tables: what a binary operator becomes, and which plain values a function
//! may return instead of doing its work. They are those of `cargo-mutants`, with each comparison also
//! moved by its boundary.

use syn::{BinOp, GenericArgument, PathArguments, ReturnType, Type};

/// What takes a binary operator's place: how it is written, and its replacements.
pub(crate) fn binary(op: &BinOp) -> Option<(&'static str, &'static [&'static str])> {
    Some(match op {
        BinOp::Eq(_) => ("==", &["!="]),
        BinOp::Ne(_) => ("!=", &["=="]),
        BinOp::Lt(_) => ("<", &["<=", "==", ">"]),
        BinOp::Le(_) => ("<=", &["<", ">"]),
        BinOp::Gt(_) => (">", &[">=", "==", "<"]),
        BinOp::Ge(_) => (">=", &[">", "<"]),
        BinOp::And(_) => ("&&", &["||"]),
        BinOp::Or(_) => ("||", &["&&"]),
        BinOp::Add(_) => ("+", &["-"]),
        BinOp::Sub(_) => ("-", &["+"]),
        BinOp::Mul(_) => ("*", &["/"]),
        BinOp::Div(_) => ("/", &["*"]),
        BinOp::Rem(_) => ("%", &["/"]),
        BinOp::BitAnd(_) => ("&", &["|"]),
        BinOp::BitOr(_) => ("|", &["&"]),
        BinOp::BitXor(_) => ("^", &["|"]),
        BinOp::Shl(_) => ("<<", &[">>"]),
        BinOp::Shr(_) => (">>", &["<<"]),
        BinOp::AddAssign(_) => ("+=", &["-="]),
        BinOp::SubAssign(_) => ("-=", &["+="]),
        BinOp::MulAssign(_) => ("*=", &["/="]),
        BinOp::DivAssign(_) => ("/=", &["*="]),
        BinOp::RemAssign(_) => ("%=", &["/="]),
        BinOp::BitAndAssign(_) => ("&=", &["|="]),
        BinOp::BitOrAssign(_) => ("|=", &["&="]),
        BinOp::BitXorAssign(_) => ("^=", &["|="]),
        BinOp::ShlAssign(_) => ("<<=", &[">>="]),
        BinOp::ShrAssign(_) => (">>=", &["<<="]),
        _ => return None,
    })
}

/// The plain values that a function of this type may return at once.
pub(crate) fn values(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec!["()".to_owned()],
        ReturnType::Type(_, ty) => of_type(ty),
    }
}

fn of_type(ty: &Type) -> Vec<String> {
    match ty {
        Type::Paren(inner) => of_type(&inner.elem),
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec!["()".to_owned()],
        Type::Tuple(tuple) => {
            let parts: Option<Vec<String>> = tuple.elems.iter().map(first).collect();
            let whole = parts.map(|parts| format!("({},)", parts.join(", ")));
            whole.into_iter().collect()
        }
        Type::Reference(reference) if reference.mutability.is_none() => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => vec!["\"\"".to_owned()],
            Type::Slice(_) => vec!["&[]".to_owned()],
            _ => Vec::new(),
        },
        Type::Path(path) => path.path.segments.last().map_or_else(Vec::new, of_segment),
        _ => Vec::new(),
    }
}

fn first(ty: &Type) -> Option<String> {
    of_type(ty).into_iter().next()
}

fn of_segment(segment: &syn::PathSegment) -> Vec<String> {
    let name = segment.ident.to_string();
    let inner = argument(&segment.arguments);
    let wrapped = |how: &str| -> Vec<String> {
        let inner = inner.map_or_else(Vec::new, of_type);
        inner.iter().map(|it| format!("{how}({it})")).collect()
    };
    let owned =
        |values: &[&str]| -> Vec<String> { values.iter().map(|&it| it.to_owned()).collect() };
    match &*name {
        "bool" => owned(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128"
        | "isize" => owned(&["0", "1"]),
        "f32" | "f64" => owned(&["0.0", "1.0"]),
        "char" => owned(&["'\\0'"]),
        "String" => owned(&["String::new()"]),
        "Vec" => owned(&["Vec::new()"]),
        "Duration" => owned(&["::std::time::Duration::ZERO"]),
        "Option" => [owned(&["None"]), wrapped("Some")].concat(),
        "Result" if inner.is_none() => owned(&["Ok(())"]),
        "Result" => wrapped("Ok"),
        "Box" | "Arc" | "Rc" => wrapped(&format!("{name}::new")),
        // What is never ready hangs, and an instant has no plain value.
        "Poll" | "Instant" => Vec::new(),
        _ => owned(&["::core::default::Default::default()"]),
    }
}

/// The first type among the arguments of a generic type.
fn argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|it| match it {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ty: &str) -> Vec<String> {
        of_type(&syn::parse_str(ty).unwrap())
    }

    #[test]
    fn a_plain_value_is_of_the_type() {
        for (ty, values) in [
            ("bool", &["true", "false"][..]),
            ("u32", &["0", "1"]),
            ("()", &["()"]),
            ("Option<bool>", &["None", "Some(true)", "Some(false)"]),
            ("Option<&Name>", &["None"]),
            ("io::Result<()>", &["Ok(())"]),
            ("fmt::Result", &["Ok(())"]),
            ("Result<(u8, String), Error>", &["Ok((0, String::new(),))"]),
            ("&'static str", &["\"\""]),
            ("Duration", &["::std::time::Duration::ZERO"]),
            ("Vec<u8>", &["Vec::new()"]),
        ] {
            assert_eq!(of(ty), values, "{ty}");
        }
    }

    #[test]
    fn what_has_no_plain_value_has_none() {
        for ty in [
            "impl Iterator",
            "!",
            "&mut u8",
            "&Name",
            "Poll<()>",
            "Instant",
        ] {
            assert!(of(ty).is_empty(), "{ty}");
        }
    }
}

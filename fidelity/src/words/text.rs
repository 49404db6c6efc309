//! Texts without what differs between two runs: times and ids.

/// The least digits of an id.
const ID: usize = 24;

/// The text with milliseconds as `#` and ids as `<ID>`.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_alphanumeric())
                .len();
        if word == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (one, after) = rest.split_at(word);
        rest = after;
        let digits = one.len() - one.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let hex = one
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, 'A'..='F'));
        if hex && one.len() >= ID {
            out.push_str("<ID>");
        } else if digits > 0 && &one[digits..] == "ms" {
            out.push_str("#ms");
        } else if digits == one.len() && after.starts_with(" ms") && ends_word(&after[3..]) {
            out.push_str("#ms");
            rest = &after[3..];
        } else if digits == one.len() && is_time(&out, after) {
            out.push('#');
        } else {
            out.push_str(one);
        }
    }
    out
}

fn ends_word(after: &str) -> bool {
    !after.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_time(before: &str, after: &str) -> bool {
    after.starts_with("(ms)")
        || before.ends_with("cost=")
        || (before.ends_with("cost [") && after.starts_with("]ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ids_go_and_everything_else_stays() {
        for (text, wanted) in [
            (
                "Send [3] times, cost [12]ms, Topic: T",
                "Send [3] times, cost [#]ms, Topic: T",
            ),
            (
                "wait response timeout, cost=4001",
                "wait response timeout, cost=#",
            ),
            ("wait response timeout 4000ms", "wait response timeout #ms"),
            ("<a> timeout, 800(ms)", "<a> timeout, #(ms)"),
            ("after 5 ms, B1", "after #ms, B1"),
            ("id 7F0000010ABC18B4AAC2000000000001", "id <ID>"),
            ("CODE: 14  DESC: scripted-14", "CODE: 14  DESC: scripted-14"),
        ] {
            assert_eq!(without_numbers(text), wanted);
        }
    }
}

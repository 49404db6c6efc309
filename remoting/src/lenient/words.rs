//! What single words and texts of a lenient document mean.

pub(super) fn is_null(word: &str) -> bool {
    matches!(word, "null" | "undefined" | "NaN")
}

/// The one of these names that a key stands for: the same, or the same but for case, `_` and `-`.
pub(super) fn known(key: &str, names: &[&'static str]) -> Option<&'static str> {
    let same = names.iter().find(|name| **name == key);
    let letters = |text: &'_ str| {
        let kept = text.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
        kept.map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<u8>>()
    };
    let alike = || {
        // No name is that much longer for its separators.
        let close = key.len() <= 64;
        let key = close.then(|| letters(key))?;
        names.iter().find(|name| letters(name) == key)
    };
    same.or_else(alike).copied()
}

/// A whole number as Java reads it: separators between thousands are ignored, a fraction is cut
/// off, and a flag is 0 or 1.
pub(super) fn whole(text: &str) -> Option<i64> {
    let text = match text {
        "true" => "1",
        "false" => "0",
        text => text,
    };
    let (number, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if number.contains(',') {
        return number.replace(',', "").parse().ok();
    }
    number.parse().ok()
}

/// A text without its escapes. Half of a surrogate pair becomes the replacement letter, and an
/// escape that means nothing stands for its own letter.
pub(super) fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut letters = escape.chars();
        let letter = letters.next();
        rest = letters.as_str();
        match letter {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('v') => text.push('\u{b}'),
            Some('u') => text.push(unicode(&mut rest)),
            Some('x') => {
                let point = hex(rest, 2);
                let letter = point.and_then(char::from_u32);
                text.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = rest.get(point.map_or(0, |_| 2)..).unwrap_or_default();
            }
            Some(letter) => text.push(letter),
            None => {}
        }
    }
    text.push_str(rest);
    text
}

/// The letter of `\uXXXX`, behind its `u`, and of a second one if they are a pair.
fn unicode(rest: &mut &str) -> char {
    let Some(first) = hex(rest, 4) else {
        return char::REPLACEMENT_CHARACTER;
    };
    *rest = rest.get(4..).unwrap_or_default();
    let second = rest.strip_prefix("\\u").and_then(|behind| hex(behind, 4));
    if let (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) = (first, second) {
        *rest = rest.get(6..).unwrap_or_default();
        // The bits above are free, so this adds.
        let point = 0x1_0000_u32.wrapping_add((first & 0x3ff) << 10 | low & 0x3ff);
        return char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn hex(text: &str, digits: usize) -> Option<u32> {
    let digits = text.get(..digits)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_another_case_and_with_separators() {
        let names = ["brokerName", "perm"];
        assert_eq!(known("brokerName", &names), Some("brokerName"));
        assert_eq!(known("Broker_Name", &names), Some("brokerName"));
        assert_eq!(known("broker-name-", &names), Some("brokerName"));
        assert_eq!(known("brokerNames", &names), None);
    }

    #[test]
    fn escapes_mean_letters_and_half_a_pair_is_replaced() {
        for (raw, text) in [
            (r"a\n\t\\b\/\'\q", "a\n\t\\b/'q"),
            (r"\u00e9\uD83D\uDE00\x41", "\u{e9}\u{1f600}A"),
            (r"\uD83Dx\uZZ\x4", "\u{fffd}x\u{fffd}ZZ\u{fffd}4"),
            (r"end\", "end"),
        ] {
            assert_eq!(unescaped(raw), text, "{raw}");
        }
    }
}

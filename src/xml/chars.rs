//! What a character, a name and white space are in XML 1.0 (fifth edition), and nothing more. Both the tree
//! and the writer ask here, so that neither reads or writes what the other would refuse.

/// The `Char` production (section 2.2): what may stand in a document at all.
#[must_use]
pub fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// The `S` production: space, tab, carriage return, line feed. Not what Unicode calls white space.
#[must_use]
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The same of an octet: none of the four is part of a longer character.
#[must_use]
pub fn is_space_octet(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without white space of the `S` production at its ends.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn starts_name(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn continues_name(c: char) -> bool {
    starts_name(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// The `NCName` production of Namespaces in XML 1.0: a name without a colon.
#[must_use]
pub fn is_ncname(text: &str) -> bool {
    // Nearly every name is of letters, which is seen without decoding them.
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphabetic()) {
        return true;
    }
    let mut chars = text.chars();
    chars.next().is_some_and(starts_name) && chars.all(continues_name)
}

/// Splits a `QName` into prefix (empty when there is none) and local name; `None` when it is not one.
#[must_use]
pub fn split_qname(text: &str) -> Option<(&str, &str)> {
    match text.split_once(':') {
        None => is_ncname(text).then_some(("", text)),
        Some((prefix, local)) => (is_ncname(prefix) && is_ncname(local)).then_some((prefix, local)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qname_has_at_most_one_colon_and_both_its_halves() {
        assert_eq!(split_qname("a"), Some(("", "a")));
        assert_eq!(split_qname("a:b"), Some(("a", "b")));
        for bad in ["", ":", "a:", ":a", "a:b:c", "1a", "a:1b", "a$b", "-a", ".a", "a b", "a\u{D7}"] {
            assert_eq!(split_qname(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn white_space_is_four_characters_only() {
        assert_eq!(trim(" \t\r\na\u{A0} "), "a\u{A0}");
    }
}

//! An LDAP search filter (RFC 4515), read once into a tree, in which `{user}` or `{dn}` marks the one value that
//! comes later. That value is put into the tree as octets and never into text, so no character of it can end
//! a filter or begin one: what RFC 4515 would have escaped has nothing to escape from.

use crate::wire::bounded::is_xml_char;

/// Filters within filters, at most.
const DEPTH: usize = 8;
/// Items of one filter, at most.
const ITEMS: usize = 64;
/// Octets of the text.
const LONGEST: usize = 4096;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `(&…)`.
    And(Vec<Self>),
    /// `(|…)`.
    Or(Vec<Self>),
    /// `(!…)`.
    Not(Box<Self>),
    /// `(attribute=value)`.
    Equal(String, Value),
    /// `(attribute>=value)`.
    AtLeast(String, Value),
    /// `(attribute<=value)`.
    AtMost(String, Value),
    /// `(attribute=*)`.
    Present(String),
    /// `(attribute:rule:=value)`, as Active Directory has for bits and for nested groups.
    Rule {
        /// The attribute.
        attribute: String,
        /// The matching rule.
        rule: String,
        /// The value.
        value: Value,
    },
}

/// A value of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As it was written.
    Fixed(Vec<u8>),
    /// The one that comes later, between these octets.
    Between(Vec<u8>, Vec<u8>),
}

impl Value {
    /// The value, where `later` is the one that comes later.
    #[must_use]
    pub fn with(&self, later: &[u8]) -> Vec<u8> {
        match self {
            Self::Fixed(octets) => octets.clone(),
            Self::Between(before, after) => [before, later, after].concat(),
        }
    }
}

impl Filter {
    /// Reads a filter that has `mark` in one value.
    ///
    /// # Errors
    /// A clause for the operator.
    pub fn parse(text: &str, mark: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} octets"));
        }
        let mut reading = Reading { rest: text, mark, marks: 0, items: 0 };
        let filter = reading.filter(0)?;
        if !reading.rest.is_empty() {
            return Err(format!("ends before {:?}", reading.rest));
        }
        if reading.marks == 0 {
            return Err(format!("without {mark} it would find the same whoever asks"));
        }
        Ok(filter)
    }
}

/// A filter that is being read.
struct Reading<'a> {
    rest: &'a str,
    mark: &'a str,
    marks: usize,
    items: usize,
}

impl<'a> Reading<'a> {
    fn filter(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > DEPTH {
            return Err(format!("deeper than {DEPTH}"));
        }
        self.expect('(')?;
        let filter = match self.rest.chars().next() {
            Some('&') => Filter::And(self.several(depth)?),
            Some('|') => Filter::Or(self.several(depth)?),
            Some('!') => {
                self.expect('!')?;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        self.expect(')')?;
        Ok(filter)
    }

    fn several(&mut self, depth: usize) -> Result<Vec<Filter>, String> {
        // Past '&' or '|'.
        self.rest = &self.rest[1..];
        let mut filters = Vec::new();
        while self.rest.starts_with('(') {
            filters.push(self.filter(depth + 1)?);
        }
        // RFC 4526 calls an empty one true or false; here it is a slip of the pen.
        if filters.is_empty() { Err("a list of filters that is empty".to_owned()) } else { Ok(filters) }
    }

    fn item(&mut self) -> Result<Filter, String> {
        self.items += 1;
        if self.items > ITEMS {
            return Err(format!("more than {ITEMS} items"));
        }
        let attribute = self.name()?;
        if let Some(rest) = self.rest.strip_prefix(':') {
            self.rest = rest;
            let rule = self.name()?;
            self.operator(":=")?;
            return Ok(Filter::Rule { attribute, rule, value: self.value()? });
        }
        if self.rest.starts_with("=*)") {
            self.operator("=*")?;
            return Ok(Filter::Present(attribute));
        }
        for (operator, make) in
            [(">=", Filter::AtLeast as fn(String, Value) -> Filter), ("<=", Filter::AtMost), ("=", Filter::Equal)]
        {
            if self.rest.starts_with(operator) {
                self.operator(operator)?;
                return Ok(make(attribute, self.value()?));
            }
        }
        Err(format!("after {attribute:?} one of =, >=, <= and :RULE:= is missing"))
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.;".contains(c)));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if name.is_empty() || name.len() > 128 {
            return Err(format!("an attribute's name is missing before {:?}", self.rest));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// Up to the bracket that ends the item. An asterisk would let somebody's name be a pattern, so it is written as
    /// `\2a` where it is meant.
    fn value(&mut self) -> Result<Value, String> {
        let end = self.rest.find(')').ok_or("a bracket is open")?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        match text.split_once(self.mark) {
            None => Ok(Value::Fixed(unescaped(text)?)),
            Some((before, after)) => {
                self.marks += 1 + after.matches(self.mark).count();
                if self.marks > 1 {
                    return Err(format!("has {} more than once", self.mark));
                }
                Ok(Value::Between(unescaped(before)?, unescaped(after)?))
            }
        }
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(c).ok_or_else(|| format!("{c:?} is missing before {:?}", self.rest))?;
        Ok(())
    }

    fn operator(&mut self, text: &str) -> Result<(), String> {
        self.rest =
            self.rest.strip_prefix(text).ok_or_else(|| format!("{text:?} is missing before {:?}", self.rest))?;
        Ok(())
    }
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '\\' => {
                let octet = rest.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let octet = octet.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                octets.push(octet.ok_or("a backslash is followed by two hexadecimal digits")?);
                rest = &rest[3..];
            }
            '*' | '(' | '{' | '}' => return Err(format!("{c:?} is written \\{:02x} in a value", u32::from(c))),
            c if !is_xml_char(c) => return Err("holds a control character".to_owned()),
            c => {
                octets.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Filter, String> {
        Filter::parse(text, "{user}")
    }

    #[test]
    fn the_filters_of_the_manuals_are_read() {
        let person = parse("(&(objectClass=person)(uid={user}))").unwrap();
        let Filter::And(parts) = person else { panic!("not a list") };
        assert_eq!(parts[0], Filter::Equal("objectClass".into(), Value::Fixed(b"person".to_vec())));
        assert_eq!(parts[1], Filter::Equal("uid".into(), Value::Between(vec![], vec![])));
        let Filter::And(parts) =
            parse("(&(sAMAccountName={user})(!(userAccountControl:1.2.840.113556.1.4.803:=2))(mail=*))").unwrap()
        else {
            panic!("not a list")
        };
        assert!(matches!(&parts[1], Filter::Not(inner) if matches!(&**inner, Filter::Rule { rule, .. }
            if rule == "1.2.840.113556.1.4.803")));
        assert_eq!(parts[2], Filter::Present("mail".into()));
        assert!(parse("(|(mail={user}@corp.example)(a>=1)(b<=2)(cn=\\2a\\c3\\a9))").is_ok());
    }

    #[test]
    fn what_comes_later_stays_one_value_whatever_it_is() {
        let Filter::Equal(_, value) = parse("(mail=x{user}@y)").unwrap() else { panic!("not an item") };
        for hostile in ["*", "a)(uid=*", "a\0b", "\\2a", "*)(&", "é"] {
            assert_eq!(value.with(hostile.as_bytes()), format!("x{hostile}@y").into_bytes());
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (text, word) in [
            ("", "'(' is missing"),
            ("uid={user}", "'(' is missing"),
            ("(uid={user}", "open"),
            ("(uid={user}))", "ends before"),
            ("(&)", "empty"),
            ("(uid=alice)", "without {user}"),
            ("(|(uid={user})(mail={user}))", "more than once"),
            ("(uid={user}{user})", "more than once"),
            ("(uid={user}*)", "\\2a"),
            ("(uid={USER})", "\\7b"),
            ("({user}=alice)", "name is missing"),
            ("(uid~={user})", "is missing"),
            ("(uid=\\zz{user})", "backslash"),
            ("(uid=\\é{user})", "backslash"),
            ("(u id={user})", "is missing"),
            ("(:rule:={user})", "name is missing"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(word), "{text}: {why}");
        }
        let deep = |depth: usize| format!("{}(uid={{user}}){}", "(!".repeat(depth), ")".repeat(depth));
        assert!(parse(&deep(8)).is_ok() && parse(&deep(9)).is_err() && parse(&deep(1000)).is_err());
        assert!(parse(&format!("(&(uid={{user}}){})", "(a=b)".repeat(64))).is_err());
    }
}

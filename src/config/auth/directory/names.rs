//! Which user names belong to a directory, and how an entry of it is called. A name belongs to one source or to
//! none: it is never tried in a second one when the first does not know it, so nobody can make himself an account
//! in one that is somebody's name in the other.

use crate::wire::Text;

/// What stands before or after the user's own part of a name: `CORP\` or `@corp.example`. Letters of ASCII are
/// compared without case, as domains are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// `CORP\`, backslash included.
    Before(String),
    /// `@corp.example`, at sign included.
    After(String),
}

impl Mark {
    /// Reads one.
    ///
    /// # Errors
    /// A clause for the operator.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let plain = |domain: &str| {
            let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
            (1..=128).contains(&domain.len()) && domain.bytes().all(allowed)
        };
        match (text.strip_prefix('@'), text.strip_suffix('\\')) {
            (Some(domain), None) if plain(domain) => Ok(Self::After(text.to_ascii_lowercase())),
            (None, Some(domain)) if plain(domain) => Ok(Self::Before(text.to_ascii_lowercase())),
            _ => Err("names are written @corp.example or CORP\\, a domain of ASCII letters, digits, '-', '.' or '_'"),
        }
    }

    /// The user's own part of a name that has this mark. It has neither '@' nor '\', so a name has one mark at most.
    #[must_use]
    pub fn bare<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (own, mark, written) = match self {
            Self::After(mark) => {
                let (own, written) = name.split_at(name.find('@')?);
                (own, mark, written)
            }
            Self::Before(mark) => {
                let (written, own) = name.split_at(name.find('\\')? + 1);
                (own, mark, written)
            }
        };
        (written.eq_ignore_ascii_case(mark) && !own.is_empty() && !own.contains(['@', '\\'])).then_some(own)
    }

    /// A name with this mark.
    #[must_use]
    pub fn with(&self, own: &str) -> String {
        match self {
            Self::Before(mark) => format!("{mark}{own}"),
            Self::After(mark) => format!("{own}{mark}"),
        }
    }
}

/// How an entry's account is called: the one value of an attribute between these texts.
#[derive(Debug, Clone)]
pub struct AccountName {
    before: String,
    /// The attribute, in small letters.
    pub attribute: String,
    after: String,
}

impl AccountName {
    /// Reads `{uid}@corp.example`.
    ///
    /// # Errors
    /// A clause for the operator.
    pub(super) fn parse(text: &str, marks: &[Mark]) -> Result<Self, String> {
        let (before, rest) = text.split_once('{').ok_or("account names no {attribute}")?;
        let (attribute, after) = rest.split_once('}').ok_or("account: a brace is open")?;
        if [before, after].iter().any(|text| text.contains(['{', '}'])) {
            return Err("account names one {attribute}".to_owned());
        }
        super::attributes::attribute(attribute)?;
        let name =
            Self { before: before.to_owned(), attribute: attribute.to_ascii_lowercase(), after: after.to_owned() };
        // A value alone may bring its domain with it, as userPrincipalName does.
        if name.whole() || marks.iter().any(|mark| mark.bare(&name.of("x")).is_some()) {
            Ok(name)
        } else {
            Err(format!("account: {} would not be one of the names of this directory", name.of("x")))
        }
    }

    /// Is a value the whole of a name?
    fn whole(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// The name with this value in it.
    #[must_use]
    pub fn of(&self, value: &str) -> String {
        format!("{}{value}{}", self.before, self.after)
    }

    /// The account's name, if a directory with these marks may give it.
    #[must_use]
    pub fn account(&self, value: &str, marks: &[Mark]) -> Option<Text<256>> {
        let name = self.of(value);
        marks.iter().find_map(|mark| mark.bare(&name))?;
        Text::new(name).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Vec<Mark> {
        ["@Corp.example", "CORP\\"].map(|text| Mark::parse(text).unwrap()).to_vec()
    }

    #[test]
    fn a_name_belongs_by_its_one_mark() {
        let bare = |name: &'static str| marks().iter().find_map(|mark| mark.bare(name));
        for name in ["alice@corp.example", "alice@CORP.EXAMPLE", "corp\\alice", "CORP\\alice"] {
            assert_eq!(bare(name), Some("alice"), "{name}");
        }
        for name in [
            "alice",
            "",
            "@corp.example",
            "CORP\\",
            "alice@corp.example.evil",
            "alice@evil@corp.example",
            "alice@corp.example@evil",
            "CORP\\alice@corp.example",
            "CORP\\CORP\\alice",
            "OTHER\\alice",
            "alice@corp.example ",
            "alice@\u{212A}orp.example",
        ] {
            assert_eq!(bare(name), None, "{name}");
        }
    }

    #[test]
    fn an_entry_cannot_name_itself_into_another_source() {
        let uid = AccountName::parse("{uid}@corp.example", &marks()).unwrap();
        assert_eq!(uid.account("alice", &marks()).unwrap().as_str(), "alice@corp.example");
        for value in ["", "alice@corp.example", "x\\alice", "a\u{0}b"] {
            assert!(uid.account(value, &marks()).is_none(), "{value:?}");
        }
        let upn = AccountName::parse("{userPrincipalName}", &marks()).unwrap();
        assert!(upn.account("alice@corp.example", &marks()).is_some());
        assert!(upn.account("alice", &marks()).is_none() && upn.account("root@other.example", &marks()).is_none());
        for wrong in
            ["alice", "{uid}", "{uid}@other.example", "{uid}{mail}", "{u id}@corp.example", "{uid@corp.example"]
        {
            let good = wrong == "{uid}";
            assert_eq!(AccountName::parse(wrong, &marks()).is_ok(), good, "{wrong}");
        }
    }
}

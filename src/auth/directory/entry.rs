//! From an entry of a directory to an account. What the entry says is believed, for the directory is the house's
//! own, but it must fit: a name that is not there once, a group too many or a value that is not what the
//! configuration calls it makes no account, rather than one that lacks something a policy forbids by.

use std::collections::BTreeMap;

use super::message::Entry;
use crate::config::auth::directory::{Directory, Disabled, Form, GroupForm};
use crate::config::auth::policy::Vocabulary;
use crate::config::auth::users::Account;
use crate::wire::Text;

/// Values of one attribute, at most.
const VALUES: usize = 256;
/// Octets of a distinguished name, at most.
const LONGEST_DN: usize = 4096;

/// Why an entry gives no account: a clause for the operator.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) String);

impl Entry {
    /// Values of an attribute, by its name in small letters. A server that has more of them than it says at once
    /// (`;range=`) says so by another name; what it says then is not all, and counts as nothing to go by.
    fn values(&self, attribute: &str) -> Result<Vec<&[u8]>, Unfit> {
        let mut found = Vec::new();
        for (name, values) in &self.attributes {
            match name.strip_prefix(attribute) {
                Some("") => found.extend(values.iter().map(Vec::as_slice)),
                Some(option) if option.starts_with(";range=") => {
                    return Err(Unfit(format!("{attribute} has more values than the directory says at once")));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The one value of an attribute.
    fn one(&self, attribute: &str) -> Result<&str, Unfit> {
        match self.values(attribute)?[..] {
            [value] => std::str::from_utf8(value).map_err(|_| Unfit(format!("{attribute} is not text"))),
            ref values => Err(Unfit(format!("{attribute} has {} values, not one", values.len()))),
        }
    }
}

/// What is asked of an entry before anybody has proved that it is his: what it is called, and whether it may be used.
pub(super) fn asked_first(rules: &Directory) -> Vec<&str> {
    let disabled = rules.disabled.iter().map(|rule| match rule {
        Disabled::Present(attribute) | Disabled::Value(attribute, _) | Disabled::Mask(attribute, _) => attribute,
    });
    std::iter::once(&rules.account.attribute).chain(disabled).map(String::as_str).collect()
}

/// What the account of an entry is called.
pub(super) fn name(rules: &Directory, entry: &Entry) -> Result<Text<256>, Unfit> {
    if entry.dn.is_empty() || entry.dn.len() > LONGEST_DN {
        return Err(Unfit("its distinguished name is empty, or too long".to_owned()));
    }
    let value = entry.one(&rules.account.attribute)?;
    rules.account.account(value, &rules.marks).ok_or_else(|| {
        let name: String = rules.account.of(value).chars().take(256).collect();
        Unfit(format!("{name:?} is not one of the names of this directory"))
    })
}

/// May nobody use this entry? Nobody where the directory does not give all values that a rule asks for.
pub(super) fn is_disabled(rules: &[Disabled], entry: &Entry) -> bool {
    rules.iter().any(|rule| match rule {
        Disabled::Present(attribute) => entry.values(attribute).map_or(true, |values| !values.is_empty()),
        Disabled::Value(attribute, value) => entry
            .values(attribute)
            .map_or(true, |values| values.iter().any(|its| its.eq_ignore_ascii_case(value.as_bytes()))),
        // Active Directory writes the bits as a number that may be negative.
        Disabled::Mask(attribute, mask) => {
            let bits = entry.one(attribute).ok().and_then(|text| text.parse::<i32>().ok());
            bits.is_none_or(|bits| bits.cast_unsigned() & mask != 0)
        }
    })
}

/// What a group is called, by its entry or by a value that names it.
pub(super) fn group(form: &GroupForm, entry: &Entry) -> Result<Text<4096>, Unfit> {
    let name = match form {
        GroupForm::Dn => entry.dn.clone(),
        GroupForm::Rdn => rdn(&entry.dn).ok_or_else(|| Unfit(format!("a group has no plain name: {:?}", entry.dn)))?,
        GroupForm::Attribute(attribute) => entry.one(attribute)?.to_owned(),
    };
    if name.is_empty() {
        return Err(Unfit("a group without a name".to_owned()));
    }
    Text::new(name).map_err(|why| Unfit(format!("a group's name is {why}")))
}

/// Groups that an attribute names.
pub(super) fn named_groups(form: &GroupForm, attribute: &str, entry: &Entry) -> Result<Vec<Text<4096>>, Unfit> {
    let named = |value: &[u8]| {
        let dn = std::str::from_utf8(value).map_err(|_| Unfit(format!("{attribute} is not text")))?;
        group(form, &Entry { dn: dn.to_owned(), attributes: Vec::new() })
    };
    entry.values(attribute)?.into_iter().map(named).collect()
}

/// The account of an entry whose owner has proved himself.
pub(super) fn account(
    rules: &Directory,
    name: Text<256>,
    entry: &Entry,
    groups: Vec<Text<4096>>,
    vocabulary: &Vocabulary,
) -> Result<Account, Unfit> {
    let mut attributes = BTreeMap::from([("groups".to_owned(), groups)]);
    for rule in &rules.attributes {
        let values = entry.values(&rule.from)?;
        if values.len() > VALUES {
            return Err(Unfit(format!("{} has more than {VALUES} values", rule.from)));
        }
        let texts = values.into_iter().map(|value| {
            let text = text(rule.form, value);
            text.ok_or_else(|| Unfit(format!("a value of {} is not what form says, or longer than 4096", rule.from)))
        });
        attributes.insert(rule.name.clone(), texts.collect::<Result<_, _>>()?);
    }
    Account::found(name, attributes, vocabulary).map_err(Unfit)
}

fn text(form: Form, value: &[u8]) -> Option<Text<4096>> {
    let text = match form {
        Form::Text => String::from_utf8(value.to_vec()).ok()?,
        Form::Guid => guid(value.try_into().ok()?),
        Form::Sid => sid(value)?,
    };
    Text::new(text).ok()
}

/// The first three fields of a GUID have their last octet first (MS-DTYP 2.3.4.2).
fn guid(octets: [u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (place, index) in ORDER.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", octets[index]));
    }
    text
}

/// A security identifier (MS-DTYP 2.4.2): revision, count, six octets of authority, then numbers, last octet first.
fn sid(octets: &[u8]) -> Option<String> {
    let [1, count, authority @ ..] = octets else { return None };
    let (authority, numbers) = authority.split_at_checked(6)?;
    if *count > 15 || numbers.len() != usize::from(*count) * 4 {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |number, octet| (number << 8) | u64::from(*octet));
    let mut text = format!("S-1-{authority}");
    for number in numbers.chunks_exact(4) {
        text.push_str(&format!("-{}", u32::from_le_bytes(number.try_into().ok()?)));
    }
    Some(text)
}

/// The value of the first part of a distinguished name (RFC 4514), which must be one: `cn=Staff\, all,ou=groups` gives
/// `Staff, all`.
fn rdn(dn: &str) -> Option<String> {
    let (_, mut rest) = dn.split_once('=')?;
    if rest.starts_with('#') {
        return None;
    }
    let mut octets = Vec::new();
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            ',' => break,
            '+' | '"' | ';' | '<' | '>' => return None,
            '\\' => {
                let digits = rest.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                if let Some(octet) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    octets.push(octet);
                    taken = 3;
                } else {
                    let special = rest[1..].chars().next().filter(|c| " \"#+,;<=>\\".contains(*c))?;
                    octets.extend(special.encode_utf8(&mut [0; 4]).as_bytes());
                    taken = 1 + special.len_utf8();
                }
            }
            c => octets.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = &rest[taken..];
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &[&str])]) -> Entry {
        let values = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let attributes = attributes.iter().map(|(name, its)| ((*name).to_owned(), values(its))).collect();
        Entry { dn: "uid=alice,dc=corp".to_owned(), attributes }
    }

    #[test]
    fn identifiers_of_active_directory_are_written_as_its_tools_write_them() {
        let octets: [u8; 16] =
            [0xae, 0x4f, 0x1d, 0xf8, 0xec, 0x7d, 0xd0, 0x11, 0xa7, 0x65, 0, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6];
        assert_eq!(guid(octets), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        let octets = [
            &[1, 5, 0, 0, 0, 0, 0, 5][..],
            &21_u32.to_le_bytes(),
            &1_004_336_348_u32.to_le_bytes(),
            &1_177_238_915_u32.to_le_bytes(),
            &682_003_330_u32.to_le_bytes(),
            &512_u32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(sid(&octets).unwrap(), "S-1-5-21-1004336348-1177238915-682003330-512");
        for wrong in
            [&octets[..octets.len() - 1], &[], &[1], &[1, 0], &[2, 0, 0, 0, 0, 0, 0, 5], &[1, 200, 0, 0, 0, 0, 0, 5]]
        {
            assert_eq!(sid(wrong), None);
        }
        assert!(text(Form::Guid, &[0; 15]).is_none() && text(Form::Text, &[0xff]).is_none());
    }

    #[test]
    fn the_first_part_of_a_name_is_read_as_rfc_4514_has_it() {
        for (dn, name) in [
            ("cn=staff,ou=groups", Some("staff")),
            ("cn=staff", Some("staff")),
            ("CN=Staff\\, all,OU=x", Some("Staff, all")),
            ("cn=Lu\\C4\\8Di\\C4\\87,dc=x", Some("Lu\u{10D}i\u{107}")),
            ("cn=a\\=b=c,dc=x", Some("a=b=c")),
            ("cn=a+uid=b,dc=x", None),
            ("cn=#04024869,dc=x", None),
            ("cn=a\\", None),
            ("cn=a\\é", None),
            ("cn=\\ff,dc=x", None),
            ("staff", None),
        ] {
            assert_eq!(rdn(dn).as_deref(), name, "{dn}");
        }
    }

    #[test]
    fn part_of_the_values_is_none_to_go_by() {
        let whole = entry(&[("memberof", &["cn=a,dc=x"]), ("memberofother", &["cn=b,dc=x"])]);
        assert_eq!(named_groups(&GroupForm::Rdn, "memberof", &whole).unwrap(), [Text::new("a").unwrap()]);
        let part = entry(&[("memberof", &[]), ("memberof;range=0-1499", &["cn=a,dc=x"])]);
        assert!(named_groups(&GroupForm::Rdn, "memberof", &part).is_err());
    }

    #[test]
    fn nobody_is_let_in_of_whom_only_part_of_what_disables_is_told() {
        let rules = || {
            let (any, one, bit) = ("locked".to_owned(), "state".to_owned(), "control".to_owned());
            [Disabled::Present(any), Disabled::Value(one, "TRUE".to_owned()), Disabled::Mask(bit, 2)]
        };
        let disabled = |attributes: &[(&str, &[&str])]| {
            let entry = entry(&[&[("control", &["512"][..])], attributes].concat());
            is_disabled(&rules(), &entry)
        };
        assert!(!disabled(&[]) && !disabled(&[("state", &["FALSE"]), ("locked", &[])]));
        assert!(disabled(&[("locked", &["x"])]) && disabled(&[("state", &["FALSE", "true"])]));
        for name in ["locked;range=0-9", "state;range=0-9"] {
            assert!(disabled(&[(name, &["FALSE"])]), "{name}");
        }
        assert!(is_disabled(&rules(), &entry(&[])) && is_disabled(&rules(), &entry(&[("control", &["514"])])));
        assert!(is_disabled(&rules(), &entry(&[("control;range=0-9", &["512"])])));
    }

    #[test]
    fn a_name_that_is_not_there_once_is_none() {
        assert!(entry(&[]).one("uid").is_err());
        assert!(entry(&[("uid", &["a", "b"])]).one("uid").is_err());
        assert!(entry(&[("uid", &["a"]), ("uid", &["b"])]).one("uid").is_err());
        assert_eq!(entry(&[("uid", &["a"])]).one("uid"), Ok("a"));
    }
}

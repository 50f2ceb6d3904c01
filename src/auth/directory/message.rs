//! Messages of LDAP (RFC 4511), those that are needed to find somebody and to prove his password. What a server
//! says is taken apart here, and what is not of the grammar ends the connection.

use zeroize::Zeroizing;

use super::ber::{self, BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, SET};
use crate::config::auth::directory::filter::Filter;

const BIND: u8 = 0x60;
const BOUND: u8 = 0x61;
const UNBIND: [u8; 2] = [0x42, 0];
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const DONE: u8 = 0x65;
const REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x77;
const EXTENDED_ANSWER: u8 = 0x78;
const CONTROLS: u8 = 0xa0;

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// Simple paged results (RFC 2696).
const PAGED: &[u8] = b"1.2.840.113556.1.4.319";

/// For how long a server may search: longer than anybody waits, so that one that goes on alone ends some time.
const SECONDS: u32 = 15;
/// Attributes and values of an entry, at most in all. One that takes two octets on the wire takes fifty here.
const VALUES: usize = 10_000;

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untaken {
    /// It is not of the grammar, or answers something else.
    Malformed,
    /// It answers nothing: it is the notice that the server hangs up (RFC 4511, 4.4.1).
    Farewell,
    /// An entry has more attributes and values than can be held.
    TooMany,
}

impl From<Malformed> for Untaken {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What a server answers an operation with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    /// It was done.
    pub(super) const SUCCESS: Self = Self(0);
    /// There is more than was asked for.
    pub(super) const SIZE_LIMIT: Self = Self(4);
    /// There is no such entry.
    pub(super) const NO_SUCH_OBJECT: Self = Self(32);

    /// Does it say that another server should be asked?
    pub(super) fn elsewhere(self) -> bool {
        // busy, unavailable.
        matches!(self.0, 51 | 52)
    }

    /// Does it say that this name and this password do not let anybody in? Everything else but success is the
    /// server's trouble, and no word about a password.
    pub(super) fn refuses(self) -> bool {
        // inappropriateAuthentication: an entry without a password. invalidDNSyntax, noSuchObject: no such entry any
        // more. constraintViolation, unwillingToPerform, insufficientAccessRights: an account that is locked.
        matches!(self.0, 19 | 32 | 34 | 48 | 49 | 50 | 53)
    }
}

/// What a search asks for.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// Where.
    pub(super) base: &'a str,
    /// The base alone, or all below it.
    pub(super) scope: Scope,
    /// Which; none is every entry.
    pub(super) filter: Option<(&'a Filter, &'a [u8])>,
    /// Entries at most.
    pub(super) most: u32,
    /// What of them.
    pub(super) attributes: &'a [&'a str],
    /// So many at a time, where they come in pages.
    pub(super) page: Option<u32>,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The entry itself.
    Base = 0,
    /// It and all below.
    Subtree = 2,
}

/// An entry of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) dn: String,
    /// Attributes in small letters with their values. One that is there twice is here twice.
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// Attributes and values.
    pub(super) fn count(&self) -> usize {
        self.attributes.iter().map(|(_, values)| 1 + values.len()).sum()
    }
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To a bind.
    Bound(Code),
    /// Some of what was searched for.
    Entry(Entry),
    /// What is elsewhere: nobody goes there.
    Reference,
    /// The end of a search, and where the next page begins.
    Done(Code, Vec<u8>),
    /// To an extended request.
    Extended(Code),
}

/// A request to bind.
pub(super) fn bind(id: u32, dn: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
    let password = Zeroizing::new(ber::value(0x80, &[password]));
    let parts = [&ber::number(INTEGER, 3)[..], &ber::value(OCTETS, &[dn.as_bytes()]), &password];
    let operation = Zeroizing::new(ber::value(BIND, &parts));
    Zeroizing::new(message(id, &operation, &[]))
}

/// A request to begin TLS.
pub(super) fn start_tls(id: u32) -> Vec<u8> {
    message(id, &ber::value(EXTENDED, &[&ber::value(0x80, &[START_TLS])]), &[])
}

/// The last word on a connection.
pub(super) fn unbind(id: u32) -> Vec<u8> {
    message(id, &UNBIND, &[])
}

/// A request to search, from where the last page ended. Aliases are not followed.
pub(super) fn search(id: u32, search: &Search<'_>, cookie: &[u8]) -> Vec<u8> {
    let filter = match search.filter {
        Some((filter, later)) => written(filter, later),
        None => ber::value(0x87, &[b"objectClass"]),
    };
    let attributes: Vec<_> = search.attributes.iter().map(|name| ber::value(OCTETS, &[name.as_bytes()])).collect();
    let attributes: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
    let operation = ber::value(
        SEARCH,
        &[
            &ber::value(OCTETS, &[search.base.as_bytes()]),
            &ber::number(ENUMERATED, search.scope as u32),
            &ber::number(ENUMERATED, 0),
            // A limit beside pages would end them early.
            &ber::number(INTEGER, if search.page.is_some() { 0 } else { search.most }),
            &ber::number(INTEGER, SECONDS),
            &ber::value(BOOLEAN, &[&[0]]),
            &filter,
            &ber::value(SEQUENCE, &attributes),
        ],
    );
    let controls = search.page.map(|size| {
        let value = ber::value(SEQUENCE, &[&ber::number(INTEGER, size), &ber::value(OCTETS, &[cookie])]);
        let critical = ber::value(BOOLEAN, &[&[0xff]]);
        let control = [&ber::value(OCTETS, &[PAGED])[..], &critical, &ber::value(OCTETS, &[&value])];
        ber::value(CONTROLS, &[&ber::value(SEQUENCE, &control)])
    });
    message(id, &operation, &controls.unwrap_or_default())
}

fn message(id: u32, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    ber::value(SEQUENCE, &[&ber::number(INTEGER, id), operation, controls])
}

/// A filter as it goes over the wire. As deep as the configuration lets it be.
fn written(filter: &Filter, later: &[u8]) -> Vec<u8> {
    let pair = |tag: u8, attribute: &str, value: &[u8]| {
        ber::value(tag, &[&ber::value(OCTETS, &[attribute.as_bytes()]), &ber::value(OCTETS, &[value])])
    };
    let list = |tag: u8, filters: &[Filter]| {
        let parts: Vec<_> = filters.iter().map(|filter| written(filter, later)).collect();
        ber::value(tag, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    match filter {
        Filter::And(filters) => list(0xa0, filters),
        Filter::Or(filters) => list(0xa1, filters),
        Filter::Not(filter) => ber::value(0xa2, &[&written(filter, later)]),
        Filter::Equal(attribute, value) => pair(0xa3, attribute, &value.with(later)),
        Filter::AtLeast(attribute, value) => pair(0xa5, attribute, &value.with(later)),
        Filter::AtMost(attribute, value) => pair(0xa6, attribute, &value.with(later)),
        Filter::Present(attribute) => ber::value(0x87, &[attribute.as_bytes()]),
        Filter::Rule { attribute, rule, value } => ber::value(
            0xa9,
            &[
                &ber::value(0x81, &[rule.as_bytes()]),
                &ber::value(0x82, &[attribute.as_bytes()]),
                &ber::value(0x83, &[&value.with(later)]),
            ],
        ),
    }
}

/// Reads what is in a message, which answers `id`. What answers something else, or nothing, is not taken.
pub(super) fn read(octets: &[u8], id: u32) -> Result<Answer, Untaken> {
    let mut message = Reader::new(octets);
    let answers = message.number(INTEGER)?;
    let (tag, operation) = message.any()?;
    if (answers, tag) == (0, EXTENDED_ANSWER) {
        return Err(Untaken::Farewell);
    }
    if answers != id {
        return Err(Untaken::Malformed);
    }
    let controls = message.optional(CONTROLS)?;
    if !message.is_empty() {
        return Err(Untaken::Malformed);
    }
    match tag {
        BOUND => Ok(Answer::Bound(code(operation)?)),
        EXTENDED_ANSWER => Ok(Answer::Extended(code(operation)?)),
        DONE => Ok(Answer::Done(code(operation)?, controls.map_or_else(|| Ok(Vec::new()), cookie)?)),
        REFERENCE => Ok(Answer::Reference),
        ENTRY => Ok(Answer::Entry(entry(operation)?)),
        _ => Err(Untaken::Malformed),
    }
}

/// Of `LDAPResult`; the texts behind it are a server's own words, and nobody needs them.
fn code(operation: &[u8]) -> Result<Code, Malformed> {
    Reader::new(operation).number(ENUMERATED).map(Code)
}

fn cookie(controls: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut controls = Reader::new(controls);
    while !controls.is_empty() {
        let mut control = Reader::new(controls.expect(SEQUENCE)?);
        if control.expect(OCTETS)? != PAGED {
            continue;
        }
        control.optional(BOOLEAN)?;
        let mut value = Reader::new(Reader::new(control.expect(OCTETS)?).expect(SEQUENCE)?);
        value.expect(INTEGER)?;
        return Ok(value.expect(OCTETS)?.to_vec());
    }
    Ok(Vec::new())
}

fn entry(operation: &[u8]) -> Result<Entry, Untaken> {
    let mut operation = Reader::new(operation);
    let dn = text(operation.expect(OCTETS)?)?;
    let mut list = Reader::new(operation.expect(SEQUENCE)?);
    let mut attributes = Vec::new();
    let mut left = VALUES;
    let mut one_more = || {
        left = left.checked_sub(1).ok_or(Untaken::TooMany)?;
        Ok::<_, Untaken>(())
    };
    while !list.is_empty() {
        one_more()?;
        let mut attribute = Reader::new(list.expect(SEQUENCE)?);
        let name = text(attribute.expect(OCTETS)?)?.to_ascii_lowercase();
        let mut set = Reader::new(attribute.expect(SET)?);
        let mut values = Vec::new();
        while !set.is_empty() {
            one_more()?;
            values.push(set.expect(OCTETS)?.to_vec());
        }
        attributes.push((name, values));
    }
    Ok(Entry { dn, attributes })
}

fn text(octets: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(octets).map(ToOwned::to_owned).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The octets in a message.
    fn inside(message: &[u8]) -> Vec<u8> {
        Reader::new(message).expect(SEQUENCE).unwrap().to_vec()
    }

    fn result(tag: u8, code: u32) -> Vec<u8> {
        let nothing = ber::value(OCTETS, &[]);
        ber::value(tag, &[&ber::number(ENUMERATED, code), &nothing, &nothing])
    }

    #[test]
    fn a_bind_is_written_as_the_rfc_has_it() {
        let octets = bind(1, "cn=a", b"pw");
        assert_eq!(octets[..], *b"\x30\x12\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04cn=a\x80\x02pw".as_slice());
        assert_eq!(start_tls(1)[..], *b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037".as_slice());
    }

    #[test]
    fn a_name_stays_one_value_of_the_filter() {
        let filter = Filter::parse("(&(objectClass=person)(uid={user}))", "{user}").unwrap();
        let octets = written(&filter, b"*)(uid=*");
        let mut list = Reader::new(Reader::new(&octets).expect(0xa0).unwrap());
        list.expect(0xa3).unwrap();
        let mut item = Reader::new(list.expect(0xa3).unwrap());
        assert!(list.is_empty());
        assert_eq!(item.expect(OCTETS), Ok(&b"uid"[..]));
        assert_eq!(item.expect(OCTETS), Ok(&b"*)(uid=*"[..]));
    }

    #[test]
    fn answers_are_read() {
        let read_one = |operation: &[u8], controls: &[u8]| read(&inside(&message(7, operation, controls)), 7);
        assert_eq!(read_one(&result(BOUND, 49), &[]), Ok(Answer::Bound(Code(49))));
        assert_eq!(read_one(&result(DONE, 0), &[]), Ok(Answer::Done(Code::SUCCESS, vec![])));
        let value = ber::value(SEQUENCE, &[&ber::number(INTEGER, 0), &ber::value(OCTETS, &[b"next"])]);
        let control = ber::value(SEQUENCE, &[&ber::value(OCTETS, &[PAGED]), &ber::value(OCTETS, &[&value])]);
        let other = ber::value(SEQUENCE, &[&ber::value(OCTETS, &[b"1.2.3"])]);
        let controls = ber::value(CONTROLS, &[&other, &control]);
        assert_eq!(read_one(&result(DONE, 0), &controls), Ok(Answer::Done(Code::SUCCESS, b"next".to_vec())));
        let values = ber::value(SET, &[&ber::value(OCTETS, &[b"a"]), &ber::value(OCTETS, &[b"b"])]);
        let attribute = ber::value(SEQUENCE, &[&ber::value(OCTETS, &[b"Mail"]), &values]);
        let entry = ber::value(ENTRY, &[&ber::value(OCTETS, &[b"cn=a"]), &ber::value(SEQUENCE, &[&attribute])]);
        let attributes = vec![("mail".to_owned(), vec![b"a".to_vec(), b"b".to_vec()])];
        assert_eq!(read_one(&entry, &[]), Ok(Answer::Entry(Entry { dn: "cn=a".to_owned(), attributes })));
    }

    #[test]
    fn an_entry_of_a_million_small_values_is_refused_before_it_takes_fifty_times_its_room() {
        let entry_of = |attributes: usize, values: usize| {
            let set = ber::value(SET, &[&ber::value(OCTETS, &[]).repeat(values)]);
            let attribute = ber::value(SEQUENCE, &[&ber::value(OCTETS, &[b"a"]), &set]);
            let list = ber::value(SEQUENCE, &[&attribute.repeat(attributes)]);
            read(&inside(&message(7, &ber::value(ENTRY, &[&ber::value(OCTETS, &[b"cn=a"]), &list]), &[])), 7)
        };
        let values = |answer: Result<Answer, _>| match answer {
            Ok(Answer::Entry(entry)) => entry.attributes.iter().map(|(_, values)| values.len()).sum(),
            _ => 0,
        };
        assert_eq!(values(entry_of(1, VALUES - 1)), VALUES - 1);
        assert_eq!(values(entry_of(VALUES / 2, 1)), VALUES / 2);
        for (attributes, values) in [(1, VALUES), (VALUES + 1, 0), (VALUES / 2 + 1, 1), (1, 1 << 20)] {
            assert_eq!(entry_of(attributes, values), Err(Untaken::TooMany), "{attributes} of {values}");
        }
    }

    #[test]
    fn what_answers_something_else_is_not_taken() {
        let octets = inside(&message(7, &result(BOUND, 0), &[]));
        assert_eq!(read(&octets, 8), Err(Untaken::Malformed));
        // The notice of disconnection, as Active Directory writes it too.
        let notice = message(0, &result(EXTENDED_ANSWER, 52), &ber::value(0x8a, &[b"1.3.6.1.4.1.1466.20036"]));
        assert_eq!(read(&inside(&notice), 7), Err(Untaken::Farewell));
        for end in 0..octets.len() {
            assert_eq!(read(&octets[..end], 7), Err(Untaken::Malformed));
        }
        let mut longer = octets.clone();
        longer.push(0);
        assert_eq!(read(&longer, 7), Err(Untaken::Malformed));
    }

    #[test]
    fn no_octets_make_the_reader_panic() {
        let whole = inside(&message(7, &result(DONE, 0), &ber::value(CONTROLS, &[&ber::value(SEQUENCE, &[])])));
        for at in 0..whole.len() {
            for octet in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = octet;
                let _either = read(&changed, 7);
            }
        }
    }

    #[test]
    fn only_some_codes_speak_of_a_password() {
        for code in [49, 48, 53, 19, 32, 34, 50] {
            assert!(Code(code).refuses());
        }
        for code in [0, 1, 2, 3, 8, 10, 11, 13, 14, 51, 52, 80, 4096] {
            assert!(!Code(code).refuses(), "{code}");
        }
    }
}

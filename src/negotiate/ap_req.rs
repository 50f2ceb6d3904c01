//! An `AP-REQ` (RFC 4120 5.5.1): for which service its ticket is, how both of its parts are encrypted, and the part
//! that no two of them have in common. What is encrypted is for whoever has the key.

use super::Unusable;
use super::der::{Values, number, only};

/// What RFC 3962 and RFC 8009 define: AES, and nothing that is weaker (R-W070).
pub const STRONG: [i32; 4] = [17, 18, 19, 20];
/// Components of a service's name, at most.
const MOST_COMPONENTS: usize = 8;
/// `KerberosString`.
const STRING: u8 = 0x1B;
/// `use-session-key`: encrypted by a ticket of our own, of which there is none.
const USE_SESSION_KEY: u8 = 0x40;

/// An `AP-REQ`.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// All of it.
    pub octets: &'a [u8],
    realm: &'a [u8],
    /// The components of the service's name, DER.
    name: &'a [u8],
    /// The encrypted authenticator. All else could be spelled in another way by whoever has seen it, so this is what
    /// tells one that was used.
    pub authenticator: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads one, and nothing beside it.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn read(octets: &'a [u8]) -> Result<Self, Unusable> {
        const SHAPE: Unusable = Unusable::Shape("not an AP-REQ");
        let (ticket, authenticator) = parts(octets).ok_or(SHAPE)?;
        let Ticket { realm, name, encrypted: part } = Ticket::read(ticket).ok_or(SHAPE)?;
        let (theirs, _) = encrypted(part).ok_or(SHAPE)?;
        let (session, authenticator) = encrypted(authenticator).ok_or(SHAPE)?;
        if [theirs, session].iter().all(|kind| STRONG.iter().any(|strong| i64::from(*strong) == *kind)) {
            Ok(Self { octets, realm, name, authenticator })
        } else {
            Err(Unusable::Weak)
        }
    }
}

impl Request<'_> {
    /// For which service its ticket says to be: its principal.
    #[must_use]
    pub fn service(&self) -> String {
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        let mut components = Values::of(self.name);
        let names: Vec<String> = std::iter::from_fn(|| components.next(STRING).map(text)).collect();
        format!("{}@{}", names.join("/"), text(self.realm))
    }
}

/// The ticket and the `EncryptedData` of the authenticator.
fn parts(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Values::of(only(only(octets, 0x6E)?, 0x30)?);
    (fields.within(0xA0, 0x02)? == [5] && fields.within(0xA1, 0x02)? == [14]).then_some(())?;
    let [0, options, _, _, _] = *fields.within(0xA2, 0x03)? else { return None };
    (options & USE_SESSION_KEY == 0).then_some(())?;
    let ticket = fields.next(0xA3)?;
    let authenticator = fields.next(0xA4)?;
    fields.end().map(|()| (ticket, authenticator))
}

/// A ticket, as far as it is not encrypted.
struct Ticket<'a> {
    realm: &'a [u8],
    name: &'a [u8],
    encrypted: &'a [u8],
}

impl<'a> Ticket<'a> {
    fn read(ticket: &'a [u8]) -> Option<Self> {
        let mut fields = Values::of(only(only(ticket, 0x61)?, 0x30)?);
        (fields.within(0xA0, 0x02)? == [5]).then_some(())?;
        let realm = fields.within(0xA1, STRING).filter(|realm| is_plain(realm))?;
        let mut service = Values::of(fields.within(0xA2, 0x30)?);
        number(service.within(0xA0, 0x02)?)?;
        let name = service.within(0xA1, 0x30)?;
        service.end()?;
        let (mut components, mut count) = (Values::of(name), 0);
        while components.end().is_none() {
            components.next(STRING).filter(|component| is_plain(component))?;
            count += 1;
        }
        (1..=MOST_COMPONENTS).contains(&count).then_some(())?;
        let encrypted = fields.next(0xA3)?;
        fields.end().map(|()| Self { realm, name, encrypted })
    }
}

/// The type of the encryption, and what is encrypted.
fn encrypted(octets: &[u8]) -> Option<(i64, &[u8])> {
    let mut fields = Values::of(only(octets, 0x30)?);
    let kind = number(fields.within(0xA0, 0x02)?)?;
    if let Some(version) = fields.perhaps(0xA1).ok()? {
        number(only(version, 0x02)?)?;
    }
    let cipher = fields.within(0xA2, 0x04)?;
    fields.end().map(|()| (kind, cipher))
}

/// A part of a name: text without what stands between parts.
fn is_plain(octets: &[u8]) -> bool {
    let odd = |c: char| c.is_control() || "/@\\".contains(c);
    (1..=255).contains(&octets.len()) && std::str::from_utf8(octets).is_ok_and(|text| !text.contains(odd))
}

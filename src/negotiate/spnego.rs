//! SPNEGO (RFC 4178): the first token of a client that is sure of its mechanism, and the one answer there is to it.
//! Kerberos has to come first, for only the first mechanism's token is in the first round; then there is nothing to
//! agree on, and no list to protect (RFC 4178 5). Some clients leave SPNEGO out and send the token of Kerberos as it
//! is; they are answered so.

use super::Unusable;
use super::ap_req::Request;
use super::der::{Values, only, written};

/// 1.3.6.1.5.5.2.
const SPNEGO: &[u8] = &[0x2B, 6, 1, 5, 5, 2];
/// 1.2.840.113554.1.2.2.
const KERBEROS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 1, 2, 2];
/// 1.2.840.48018.1.2.2: the same, as Windows has once misspelt it and has written it first ever since.
const OF_WINDOWS: &[u8] = &[0x2A, 0x86, 0x48, 0x82, 0xF7, 0x12, 1, 2, 2];
/// 1.3.6.1.4.1.311.2.2.10.
const NTLM: &[u8] = &[0x2B, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];
/// What each message of NTLM begins with.
const NTLM_BEGINS: &[u8] = b"NTLMSSP\0";
/// Mechanisms that a client names, at most.
const MOST_MECHANISMS: usize = 16;

/// `TOK_ID` of an `AP-REQ` and of an `AP-REP` in a token of Kerberos (RFC 4121 4.1).
const AP_REQ: [u8; 2] = [1, 0];
const AP_REP: [u8; 2] = [2, 0];

/// The first token of a negotiation.
#[derive(Debug, Clone, Copy)]
pub struct First<'a> {
    /// Kerberos, by the name that the client prefers; none where there is no SPNEGO around its token.
    mechanism: Option<&'a [u8]>,
    /// How the client proves himself.
    pub request: Request<'a>,
}

impl<'a> First<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn read(octets: &'a [u8]) -> Result<Self, Unusable> {
        const SHAPE: Unusable = Unusable::Shape("not the first token of a negotiation");
        if octets.starts_with(NTLM_BEGINS) {
            return Err(Unusable::Ntlm);
        }
        // NegTokenResp: a later round.
        if octets.first() == Some(&0xA1) {
            return Err(Unusable::Mechanism);
        }
        let framed = only(octets, 0x60).ok_or(SHAPE)?;
        let mut framed = Values::of(framed);
        match framed.next(0x06).ok_or(SHAPE)? {
            SPNEGO => {}
            KERBEROS => return Ok(Self { mechanism: None, request: of_kerberos(octets)? }),
            _ => return Err(Unusable::Mechanism),
        }
        let first = framed.within(0xA0, 0x30).ok_or(SHAPE)?;
        framed.end().ok_or(SHAPE)?;
        let mut fields = Values::of(first);
        let mechanism = preferred(fields.within(0xA0, 0x30).ok_or(SHAPE)?)?;
        // reqFlags, which nobody sends any more and nobody heeds.
        fields.perhaps(0xA1).map_err(|()| SHAPE)?;
        let token = fields.perhaps(0xA2).map_err(|()| SHAPE)?;
        fields.end().ok_or(SHAPE)?;
        let token = token.map(|token| only(token, 0x04).ok_or(SHAPE)).transpose()?;
        if token.is_some_and(|token| token.starts_with(NTLM_BEGINS)) || mechanism == NTLM {
            return Err(Unusable::Ntlm);
        }
        if mechanism != KERBEROS && mechanism != OF_WINDOWS {
            return Err(Unusable::Mechanism);
        }
        let token = token.ok_or(Unusable::Mechanism)?;
        Ok(Self { mechanism: Some(mechanism), request: of_kerberos(token)? })
    }

    /// Is there SPNEGO around the token of Kerberos?
    #[must_use]
    pub fn is_negotiated(&self) -> bool {
        self.mechanism.is_some()
    }

    /// Tells the client that this was all, and by that `AP-REP` who we are. Without SPNEGO there is nothing else to
    /// tell.
    #[must_use]
    pub fn answer(&self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
        const ACCEPT_COMPLETED: u8 = 0;
        let token = reply.map(|reply| written(0x60, &[&written(0x06, KERBEROS), &AP_REP[..], reply].concat()));
        let Some(mechanism) = self.mechanism else { return token };
        let mut fields = written(0xA0, &written(0x0A, &[ACCEPT_COMPLETED]));
        fields.extend(written(0xA1, &written(0x06, mechanism)));
        if let Some(token) = token {
            fields.extend(written(0xA2, &written(0x04, &token)));
        }
        Some(written(0xA1, &written(0x30, &fields)))
    }
}

/// The first of the mechanisms.
fn preferred(list: &[u8]) -> Result<&[u8], Unusable> {
    const SHAPE: Unusable = Unusable::Shape("not a list of mechanisms");
    let mut list = Values::of(list);
    let first = list.next(0x06).ok_or(SHAPE)?;
    for _ in 1..MOST_MECHANISMS {
        if list.end().is_some() {
            return Ok(first);
        }
        list.next(0x06).ok_or(SHAPE)?;
    }
    list.end().ok_or(SHAPE).map(|()| first)
}

/// The `AP-REQ` in a token of Kerberos (RFC 2743 3.1, RFC 4121 4.1).
fn of_kerberos(token: &[u8]) -> Result<Request<'_>, Unusable> {
    let request = only(token, 0x60).and_then(|framed| {
        let mut values = Values::of(framed);
        (values.next(0x06)? == KERBEROS).then_some(())?;
        values.rest().strip_prefix(&AP_REQ)
    });
    Request::read(request.ok_or(Unusable::Shape("not a token of Kerberos"))?)
}

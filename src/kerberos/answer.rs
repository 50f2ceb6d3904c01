//! What is answered to auth about one `AP-REQ`.

use super::serve::Word;
use crate::negotiate::ap_req::{Request, STRONG};
use crate::negotiate::checksum::{self, Checksum};
use crate::sys::deadline::watched;
use crate::sys::krb5::{Accepted, Acceptor, Error};
use crate::wire::frame::Violation;
use crate::wire::kerberos::{AcceptedTicket, NotAccepted, Presented};
use crate::wire::links::KerberosToAuth;
use crate::wire::unwrap::SessionKey;
use crate::wire::{Millis, Octets, Text};

/// Our services, and the library with their keys.
pub(super) struct Services {
    pub(super) acceptor: Acceptor,
    /// Their principals.
    pub(super) names: Vec<String>,
}

/// Why there is nothing to say of a ticket but that.
struct Refused {
    why: NotAccepted,
    said: String,
}

fn refused(why: NotAccepted, said: &str) -> Refused {
    Refused { why, said: said.to_owned() }
}

impl Services {
    /// Answers.
    ///
    /// # Errors
    /// A violation where the octets are none that auth may send: it reads them by the same code.
    pub(super) fn answer(&self, presented: &Presented) -> Result<(KerberosToAuth, Word), Violation> {
        let question = presented.question;
        let request = Request::read(&presented.request).map_err(|_| Violation::Rule("not an AP-REQ that is strong"))?;
        Ok(match self.accept(&request, presented) {
            Ok(ticket) => (KerberosToAuth::Accepted { question, ticket }, Word::Accepted),
            Err(Refused { why, said }) => {
                let said = said.replace(char::is_control, " ");
                let said = Text::new(&said[..said.floor_char_boundary(256)]).unwrap_or_default();
                (KerberosToAuth::NotAccepted { question, why, said }, why.into())
            }
        })
    }

    fn accept(&self, request: &Request<'_>, presented: &Presented) -> Result<AcceptedTicket, Refused> {
        // Whoever has seen a ticket can write another name on it, and the key decides; but what says that it is for
        // somebody else was not meant for us.
        let service = request.service();
        if !self.names.contains(&service) {
            return Err(refused(NotAccepted::OtherService, &format!("a ticket for {service}")));
        }
        let accepted = watched(|| self.acceptor.accept(request.octets)).map_err(said)?;
        if ![accepted.session, accepted.key.kind].iter().all(|kind| STRONG.contains(kind)) {
            return Err(refused(NotAccepted::Refused, "a weak session key"));
        }
        let checksum = match &accepted.checksum {
            Some((checksum::TYPE, content)) => {
                Some(Checksum::read(content).ok_or(refused(NotAccepted::Refused, "not a checksum of GSS-API"))?)
            }
            None if presented.bare => None,
            // A checksum over something else was made for somebody who has that.
            _ => return Err(refused(NotAccepted::Refused, "not made for GSS-API")),
        };
        let bound = match checksum.and_then(|checksum| checksum.bindings) {
            None => false,
            Some(theirs) => {
                let hashed = checksum::hashed(&presented.bindings);
                let ours = watched(|| self.acceptor.md5(&hashed)).map_err(said)?;
                if ours != theirs {
                    return Err(refused(NotAccepted::Binding, "bound to another connection"));
                }
                true
            }
        };
        let mutual = checksum.is_some_and(|checksum| checksum.mutual);
        ticket(accepted, bound, Asked { reply: mutual, key: presented.keyed })
    }
}

/// What is wanted of a ticket besides.
struct Asked {
    reply: bool,
    key: bool,
}

/// What there is to say of a ticket.
fn ticket(accepted: Accepted, bound: bool, asked: Asked) -> Result<AcceptedTicket, Refused> {
    let instant = |seconds: i64| Millis(seconds.saturating_mul(1000));
    let odd = || refused(NotAccepted::Refused, "a name that is not plain text");
    let plain = |octets: &[u8]| {
        let text = std::str::from_utf8(octets).ok().filter(|text| !text.is_empty());
        text.filter(|text| !text.contains(|c: char| c.is_control() || "/@\\".contains(c))).map(str::to_owned)
    };
    let components = accepted.name.iter().map(|octets| plain(octets)).collect::<Option<Vec<_>>>().ok_or_else(odd)?;
    let realm = plain(&accepted.realm).ok_or_else(odd)?;
    let reply = asked.reply.then(|| Octets::new(accepted.reply)).transpose();
    let key = asked.key.then(|| SessionKey::new(accepted.key.octets.to_vec())).transpose();
    Ok(AcceptedTicket {
        name: Text::new(components.join("/")).map_err(|_| odd())?,
        realm: Text::new(realm).map_err(|_| odd())?,
        authenticated: instant(accepted.authenticated_s),
        expires: instant(accepted.ends_s),
        bound,
        reply: reply.map_err(|_| refused(NotAccepted::Refused, "a reply that is too long"))?,
        key: key.map_err(|_| refused(NotAccepted::Refused, "a session key of another length"))?,
    })
}

/// The library's numbers (`krb5.h`), from `KRB5KDC_ERR_NONE` on.
fn said(error: Error) -> Refused {
    const NONE: i32 = -1_765_328_384;
    let why = match error.code.wrapping_sub(NONE) {
        34 => NotAccepted::Replayed,
        // Expired, not yet valid, skewed.
        32 | 33 | 37 => NotAccepted::Dates,
        // Not us, wrong version of the key, no such key, wrong principal, not in the keytab, not of that version there;
        // and a ticket that the key does not open.
        31 | 35 | 44 | 45 | 144 | 181 | 230 => NotAccepted::OtherService,
        _ => NotAccepted::Refused,
    };
    Refused { why, said: error.said }
}

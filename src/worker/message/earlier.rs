//! A message as it was before its body was opened, and what is signed of its header as it is sealed. Where that was
//! sealed first, this is what was signed; the signature, and tokens beside it, may have been sealed after that, so that
//! nobody could see it before they were open. Which of the two a signature covers, its digests say, and auth believes
//! neither: it opens what it finds in the octets that were signed.

use super::envelope;
use super::sealed::parsed;
use super::security::is_other;
use super::shape::Shape;
use super::signed::{self, Place};
use crate::wire::evidence::SignedMessage;
use crate::xml::{Element, Ids, names};

/// What was signed, where that is not what stands here now that the message is open.
#[derive(Debug)]
pub(super) enum Before {
    /// auth has verified it, as the one credential of its message.
    Verified(SignedMessage),
    /// Nobody has, and another credential may stand beside it.
    Unverified(SignedMessage),
}

impl Before {
    /// It; none where what was signed is what stands here.
    pub(super) fn of(verified: Option<SignedMessage>, earlier: Option<&str>, shape: &Shape) -> Option<Self> {
        let signed = |text: &str| {
            read(text, shape, |element, place| signed::message(signed::over_sealed(element, place)?, place).ok())
        };
        match verified {
            Some(message) => Some(Self::Verified(message)),
            None => earlier.and_then(signed).map(Self::Unverified),
        }
    }

    pub(super) fn message(self) -> SignedMessage {
        match self {
            Self::Verified(message) | Self::Unverified(message) => message,
        }
    }
}

/// Reads the one signature of an earlier message, where there is one.
pub(super) fn read<T>(
    text: &str,
    shape: &Shape,
    read: impl FnOnce(Element<'_>, &Place<'_, '_>) -> Option<T>,
) -> Option<T> {
    let tree = parsed(text.as_bytes()).ok()?;
    // What is tolerated in it is counted where the open one is read.
    let envelope = envelope::read(&tree, &mut shape.clone()).ok()?;
    let ids = Ids::of(&tree).ok()?;
    let mut ours = envelope.headers.iter().filter(|block| block.is(names::WSSE, "Security"));
    let (Some(security), None) = (ours.next(), ours.next()) else { return None };
    let of = |uri, local| security.children().filter(move |child| child.is(uri, local));
    let (mut signatures, tokens, references) = (
        of(names::DS, "Signature"),
        of(names::WSSE, "BinarySecurityToken").filter(is_other).collect::<Vec<_>>(),
        of(names::WSSE, "SecurityTokenReference").collect::<Vec<_>>(),
    );
    let (Some(element), None) = (signatures.next(), signatures.next()) else { return None };
    let assertion = of(names::SAML20, "Assertion").chain(of(names::SAML11, "Assertion")).next();
    let place = Place {
        envelope: &envelope,
        security: *security,
        tokens: &tokens,
        assertion,
        references: &references,
        ids: &ids,
    };
    read(element, &place)
}

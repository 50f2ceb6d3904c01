//! SAML assertions that others made. First the signature over the octets of `SignedInfo`, by a key that is registered
//! for the partner who is said to have issued it; then the digest of the assertion; only then is it parsed, in the
//! octets that were signed and nowhere else (A-00b). What `KeyInfo` brings along is not even sent here.

mod account;
mod holder;
mod judge;
mod read;
mod saml11;
mod saml20;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{self, digest};

pub(super) use self::account::named_by;
pub(super) use self::holder::Holder;
use self::read::Assertion;
pub(super) use self::read::SealedKey;
use super::reason::Reason;
use super::signature::{function, parsed, proves_or_by_sha1};
use crate::config::auth::Auth;
use crate::config::auth::partner::{self, Partner};
use crate::trust::parts;
use crate::wire::Millis;
use crate::wire::evidence::{MOST_ASSERTED_OCTETS, SignatureAlgorithm, SignedAssertion};
use crate::xml::signature::{Hash, SignedInfo};
use crate::xml::{Element, Ids, Method, Node, names};

/// Why an assertion proves nothing here.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    /// The word.
    pub(super) reason: Reason,
    /// Whose assertion it is said to be, where that is somebody's.
    pub(super) partner: Option<&'a Partner>,
    /// For the operator.
    pub(super) why: String,
}

/// An assertion that its partner made.
#[derive(Debug)]
pub(super) struct Verified<'a> {
    /// Who made it.
    pub(super) partner: &'a Partner,
    /// What it says.
    pub(super) assertion: Assertion,
    /// Is it signed by RSA with SHA-1?
    rsa_sha1: bool,
    /// Is it digested by SHA-1?
    reference_sha1: bool,
}

/// What the partner's signature covers.
struct Covered {
    /// By this id.
    id: String,
    hash: Hash,
}

/// Did a partner make this assertion?
///
/// # Errors
/// [`Refused`] where none did, or where it is none that we read.
pub(super) fn verify<'a>(config: &'a Auth, signed: &SignedAssertion, now: Millis) -> Result<Verified<'a>, Refused<'a>> {
    let Some(partner) = partner::find(&config.partners, &signed.issuer) else {
        let why = format!("no partner calls itself {:?}", signed.issuer.as_str());
        return Err(Refused { reason: Reason::UnknownPartner, partner: None, why });
    };
    let refused = |(reason, why): (Reason, &str)| Refused { reason, partner: Some(partner), why: why.to_owned() };
    signature(partner, signed, now).map_err(refused)?;
    let Covered { id, hash } = covered(partner, signed).map_err(refused)?;
    let assertion = read(signed, &id).map_err(|why| refused((Reason::UnreadableAssertion, why)))?;
    // Whose keys were tried was the worker's word.
    if assertion.issuer != partner.issuer {
        return Err(refused((Reason::UnknownPartner, "another issuer than the one whose key signed it")));
    }
    let rsa_sha1 = signed.algorithm == SignatureAlgorithm::RsaSha1;
    Ok(Verified { partner, assertion, rsa_sha1, reference_sha1: hash == Hash::Sha1 })
}

/// Has a key of this partner signed it, in a way that is its own? Of several any may have.
fn signature(partner: &Partner, signed: &SignedAssertion, now: Millis) -> Result<(), (Reason, &'static str)> {
    if !partner.algorithms.contains(&signed.algorithm) {
        return Err((Reason::SignatureAlgorithm, "an algorithm that is not among this partner's"));
    }
    let (mut closest, mut past) = ((Reason::SignatureAlgorithm, "no key of this partner signs so"), false);
    for certificate in &partner.certificates {
        match proves_or_by_sha1(&certificate.key, signed.algorithm, &signed.signed_info, &signed.value) {
            Ok(()) if certificate.holds(now) => return Ok(()),
            // A key may have another certificate that does.
            Ok(()) => past = true,
            Err(Reason::SignatureAlgorithm) => {}
            Err(reason) => closest = (reason, "no key of this partner signed it"),
        }
    }
    if past {
        return Err((Reason::CertificateDates, "the certificate whose key signed it does not hold now"));
    }
    Err(closest)
}

/// Is the assertion what was signed, all of it but the signature? Gives the id by which it was.
fn covered(partner: &Partner, signed: &SignedAssertion) -> Result<Covered, (Reason, &'static str)> {
    let unreadable = |why| (Reason::UnreadableAssertion, why);
    let tree = parsed(&signed.signed_info).map_err(|_| unreadable("a SignedInfo that is not XML as we take it"))?;
    let info = SignedInfo::read(tree.root()).map_err(|_| unreadable("a SignedInfo that is not of the grammar"))?;
    if parts::algorithm_or_sha1(info.method) != Some(signed.algorithm) {
        return Err((Reason::SignatureAlgorithm, "another algorithm than the one it was verified by"));
    }
    let [reference] = &info.references[..] else { return Err(unreadable("not one reference")) };
    let transform = &reference.transform;
    if !transform.enveloped || transform.dereferenced || !transform.canonical.is_exclusive() {
        return Err(unreadable("other transforms than enveloped-signature and exclusive canonicalisation"));
    }
    let function = function(reference.hash, partner.reference_sha1);
    let function =
        function.ok_or((Reason::SignatureAlgorithm, "a digest by SHA-1, which is not taken of this partner"))?;
    if digest(function, signed.octets.expose()).as_ref() != reference.digest {
        return Err((Reason::WrongDigest, "not what was signed"));
    }
    Ok(Covered { id: reference.id.clone(), hash: reference.hash })
}

/// Is this assertion, which has its signature in it, the one that was handed on beside it? Both must be verified. Each
/// was signed in a form of its own: a prefix that the partner has among those to keep, and uses in a value alone, is
/// not declared in what a holder digests without that list. Compared is what both have.
pub(super) fn is(signed: &SignedAssertion, whole: &[u8]) -> bool {
    let (Ok(whole), Ok(signed)) = (parsed(whole), parsed(signed.octets.expose())) else { return false };
    let mut signatures = whole.root().children().filter(|child| child.is(names::DS, "Signature"));
    let (Some(own), None) = (signatures.next(), signatures.next()) else { return false };
    let plain = |root: Element<'_>, without| root.canonical(&Method::exclusive(), without, MOST_ASSERTED_OCTETS);
    match (plain(whole.root(), Some(own.id())), plain(signed.root(), None)) {
        (Ok(whole), Ok(signed)) => whole == signed,
        _ => false,
    }
}

/// Reads the octets that were signed, whose outermost element is the one that the signature means by its id.
fn read(signed: &SignedAssertion, id: &str) -> Result<Assertion, &'static str> {
    let tree = parsed(signed.octets.expose()).map_err(|_| "not XML as we take it")?;
    let root = tree.root();
    let ids = Ids::of(&tree).map_err(|_| "an id twice")?;
    if ids.element(id).map(Element::id) != Some(root.id()) {
        return Err("signed by another id than its own");
    }
    // Canonical form has none; where somebody signed one, some reader or other stops at it.
    if tree.elements().any(|element| element.nodes().any(|node| matches!(node, Node::Comment))) {
        return Err("a comment in it");
    }
    let assertion = match root.uri() {
        names::SAML20 => saml20::read(root)?,
        names::SAML11 => saml11::read(root)?,
        _ => return Err("not an assertion"),
    };
    // wsu:Id on it would be an id as well, and not the one it is known by.
    if assertion.id == id { Ok(assertion) } else { Err("signed by another id than its own") }
}

impl<'a> Verified<'a> {
    /// Of this one.
    pub(super) fn refused(&self, reason: Reason, why: impl Into<String>) -> Refused<'a> {
        Refused { reason, partner: Some(self.partner), why: why.into() }
    }

    /// What of it may be used once: its id, with its issuer.
    pub(super) fn once(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for text in [&self.assertion.issuer, &self.assertion.id] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut name = [0; 32];
        name.copy_from_slice(context.finish().as_ref());
        name
    }

    /// Which leniencies of its partner it needed.
    pub(super) fn tolerated(&self) -> [(bool, &'static str); 2] {
        [(self.rsa_sha1, "assertion-rsa-sha1"), (self.reference_sha1, "assertion-reference-sha1")]
    }

    /// Is it good once?
    pub(super) fn is_once(&self) -> bool {
        self.partner.once || self.assertion.one_time
    }
}

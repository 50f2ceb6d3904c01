//! A SAML assertion in the security header, handed on as evidence: the octets that its signature speaks of, and who it
//! says has issued it. Whether the signature holds, may be by SHA-1, and what the assertion means, is auth's to say.
//! What is checked here is that it is one assertion with one signature, at the place of the schema, over this very
//! element (threats.md 2), for of the signature's own place auth sees nothing.

use super::fault::Fault;
use super::rejection::Problem;
use super::session::Session;
use super::signed::{self, Covered, Place};
use crate::trust::parts;
use crate::wire::evidence::{Evidence, KeyedMessage, MOST_ASSERTED_OCTETS, SignedAssertion};
use crate::wire::{Octets, Secret, Text};
use crate::xml::signature::{Signature, Unreadable};
use crate::xml::{Element, Ids, Node, names};

/// Octets of `ds:SignedInfo`, at most.
const LARGEST_SIGNED_INFO: usize = 32 * 1024;

fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

fn unreadable(why: Unreadable) -> Problem {
    match why {
        Unreadable::Shape(_) => invalid("assertion: signature not of the grammar"),
        Unreadable::Algorithm(_) => Problem::new(Fault::UnsupportedAlgorithm, "assertion: unknown algorithm"),
        Unreadable::Target => invalid("assertion: signature over something else"),
    }
}

/// Reads the assertion.
pub(super) fn read<'t>(element: Element<'t>, ids: &Ids<'t>) -> Result<SignedAssertion, Problem> {
    let (issuer, signature) = match element.uri() {
        names::SAML20 => (issuer(element), at_second(element)),
        _ => (element.attribute("", "Issuer"), at_end(element)),
    };
    let issuer = issuer.and_then(|issuer| Text::new(issuer).ok()).ok_or(invalid("assertion: no issuer"))?;
    if commented(element) {
        return Err(invalid("assertion: a comment in it"));
    }
    let signature = Signature::read(signature?).map_err(unreadable)?;
    let [reference] = &signature.info.references[..] else {
        return Err(invalid("assertion: signature over something else"));
    };
    let target = signature.target(reference, ids).map_err(unreadable)?;
    if target.id() != element.id() || id(element) != Some(&reference.id) {
        return Err(invalid("assertion: signature over something else"));
    }
    let transform = &reference.transform;
    if !transform.enveloped || transform.dereferenced || !transform.canonical.is_exclusive() {
        return Err(Problem::new(Fault::UnsupportedAlgorithm, "assertion: transform not offered"));
    }
    let too_large = invalid("assertion: too large");
    let signed_info = signature.signed_octets(LARGEST_SIGNED_INFO).map_err(|_| too_large)?;
    let octets = signature.digested(reference, element, MOST_ASSERTED_OCTETS).map_err(|_| too_large)?;
    let algorithm = parts::algorithm_or_sha1(signature.info.method);
    Ok(SignedAssertion {
        issuer,
        algorithm: algorithm.ok_or(Problem::new(Fault::UnsupportedAlgorithm, "assertion: algorithm not offered"))?,
        signed_info: Octets::new(signed_info.as_bytes()).map_err(|_| too_large)?,
        value: Octets::new(signature.value).map_err(|_| too_large)?,
        octets: Secret::new(octets.as_bytes()).map_err(|_| too_large)?,
    })
}

/// Reads the assertion, and the signature beside it: by a key that it confirms, of a certificate or written out, or a
/// MAC by one that its partner has sealed in it, or by one derived from that.
pub(super) fn attested<'t>(
    element: Element<'t>,
    signature: Element<'t>,
    place: &Place<'_, 't>,
    derives: bool,
) -> Result<Evidence, Problem> {
    let assertion = read(element, place.ids)?;
    let covered = signed::covered(signature, place)?;
    let Some(algorithm) = parts::mac(covered.signature.info.method) else {
        if derives {
            return Err(Problem::new(Fault::UnsupportedSecurityToken, "security: derived key of nothing here"));
        }
        return Ok(Evidence::Attested(assertion, signed::message(covered, place)?));
    };
    let Covered { signature, signed_info, parts, addressing, .. } = signed::under_mac(covered)?;
    let named = signature.key_info.and_then(Element::only_child);
    let named = named.ok_or(invalid("signature: bad key information"))?;
    let key = Session::of_assertion(place.security, element)?.named(named)?;
    let value = Octets::new(signature.value).map_err(|_| invalid("signature: bad MAC"))?;
    let message = KeyedMessage { key, algorithm, signed_info, value, parts, addressing };
    Ok(Evidence::EndorsedAssertion(assertion, message))
}

/// Is this key one that an assertion in the security header has for its holder? Then it seals nothing here, and it is
/// auth that reads it, in what the partner has signed.
pub(super) fn has_for_holder(key: Element<'_>) -> bool {
    header_around(key).is_some()
}

/// The security header in which an assertion stands that has this in it.
pub(super) fn header_around(element: Element<'_>) -> Option<Element<'_>> {
    let mut around = std::iter::successors(element.parent(), |element| element.parent());
    around.find_map(|element| {
        let assertion = matches!(element.uri(), names::SAML11 | names::SAML20) && element.local() == "Assertion";
        element.parent().filter(|parent| assertion && parent.is(names::WSSE, "Security"))
    })
}

/// The id of an assertion.
pub(super) fn id(element: Element<'_>) -> Option<&str> {
    element.attribute("", if element.uri() == names::SAML20 { "ID" } else { "AssertionID" })
}

/// `Issuer` of SAML 2.0, as it stands there.
fn issuer(element: Element<'_>) -> Option<&str> {
    element.children().next().filter(|first| first.is(names::SAML20, "Issuer"))?.text()
}

/// The one signature, right behind the issuer (SAML 2.0).
fn at_second(element: Element<'_>) -> Result<Element<'_>, Problem> {
    let children: Vec<_> = element.children().collect();
    match &children[..] {
        [_, signature, rest @ ..] if is_signature(signature) && !rest.iter().any(is_signature) => Ok(*signature),
        _ => Err(invalid("assertion: not one signature at its place")),
    }
}

/// The one signature, behind everything else (SAML 1.1).
fn at_end(element: Element<'_>) -> Result<Element<'_>, Problem> {
    let children: Vec<_> = element.children().collect();
    match &children[..] {
        [rest @ .., signature] if is_signature(signature) && !rest.iter().any(is_signature) => Ok(*signature),
        _ => Err(invalid("assertion: not one signature at its place")),
    }
}

fn is_signature(element: &Element<'_>) -> bool {
    element.is(names::DS, "Signature")
}

/// Is there a comment anywhere in it? Canonical form leaves it out, and so would nobody see what it was to hide.
fn commented(element: Element<'_>) -> bool {
    let mut waiting = vec![element];
    while let Some(next) = waiting.pop() {
        for node in next.nodes() {
            match node {
                Node::Comment => return true,
                Node::Element(child) => waiting.push(child),
                Node::Text(_) => {}
            }
        }
    }
    false
}

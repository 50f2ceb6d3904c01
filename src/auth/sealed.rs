//! What is sealed of a message whose signature was verified over it: the content of its body, found in the octets that were
//! signed and nowhere else. What is in it takes its place there, and the whole is read under the same limits as everything
//! that was signed. Nothing is opened here.

use std::ops::Range;

use zeroize::Zeroizing;

use super::reason::Reason;
use super::signature::{Unproven, Verified, parsed};
use crate::trust::parts::{self, Part};
use crate::wire::evidence::MOST_SIGNED_OCTETS;
use crate::wire::unwrap::{KeyTransport, MOST_PART_OCTETS};
use crate::xml::encryption::{EncryptedData, EncryptedKey, SignedCipher};
use crate::xml::signature::Hash;
use crate::xml::{Element, Ids, Tree, names};

/// A body that is sealed.
#[derive(Debug)]
pub(super) struct Sealed<'m> {
    /// Which part it is, as it was signed, and where in it something else belongs.
    number: usize,
    part: &'m [u8],
    place: Range<usize>,
    /// How it is sealed.
    pub(super) cipher: SignedCipher,
    /// What is sealed.
    pub(super) octets: Vec<u8>,
}

/// A body with what was sealed in its place.
#[derive(Debug)]
pub(super) struct Whole {
    number: usize,
    octets: Zeroizing<Vec<u8>>,
}

impl Whole {
    /// It, where it is the part of that number.
    pub(super) fn of(&self, number: usize) -> Option<&[u8]> {
        (number == self.number).then_some(&self.octets)
    }
}

impl<'m> Sealed<'m> {
    /// What is sealed of a verified message; none where nothing is.
    ///
    /// # Errors
    /// Why it is not opened: it is not the body's whole content, or not the only thing that is sealed.
    pub(super) fn find(verified: &Verified<'m>) -> Result<Option<Self>, Unproven> {
        let mut found = None;
        for (number, (reference, part)) in verified.parts().enumerate() {
            let refused = |what: &str| {
                let why = format!("reference {:?}: {what}", reference.id);
                Unproven::by(Reason::UnreadableSignature, &why)
            };
            let tree = parsed(part)?;
            let mut sealed = tree.elements().filter(|element| element.is(names::XENC, "EncryptedData"));
            let Some(data) = sealed.next() else { continue };
            let body = tree.root();
            // Or of two that have one digest one could be opened for the other.
            if reference.hash == Hash::Sha1 {
                return Err(refused("what is sealed is digested by SHA-1"));
            }
            if sealed.next().is_some() || found.is_some() {
                return Err(refused("more than one thing is sealed"));
            }
            // A reference that stands for another element has digested something else.
            if Part::of(body) != Part::Body || reference.transform.dereferenced || only(body) != Some(data) {
                return Err(refused("something else is sealed than what the body holds"));
            }
            let read = EncryptedData::read_signed(data).map_err(|why| refused(&why.to_string()))?;
            if read.value.len() > MOST_PART_OCTETS || read.extent.is_none() {
                return Err(refused("encryption: bad EncryptedData"));
            }
            found = Some(Self { number, part, place: data.span(), cipher: read.cipher, octets: read.value });
        }
        Ok(found)
    }

    /// The body with this in its place; none where that is not one element, well-formed by itself, in which nothing is sealed.
    pub(super) fn with(&self, plain: &[u8]) -> Option<Whole> {
        let (before, after) = (self.part.get(..self.place.start)?, self.part.get(self.place.end..)?);
        let length = before.len() + plain.len() + after.len();
        if length > MOST_SIGNED_OCTETS {
            return None;
        }
        // Room for all of it at once: growing would leave copies behind.
        let mut octets = Zeroizing::new(Vec::with_capacity(length));
        for piece in [before, plain, after] {
            octets.extend_from_slice(piece);
        }
        let tree = parsed(&octets).ok()?;
        let body = tree.root();
        // It ends neither the body nor anything around it.
        let stays = body.span() == (0..octets.len()) && Part::of(body) == Part::Body;
        let plain = !tree.elements().any(|element| element.uri() == names::XENC);
        if !stays || !plain || only(body).is_none() || Ids::of(&tree).is_err() {
            return None;
        }
        Some(Whole { number: self.number, octets })
    }
}

/// The one child there is.
fn only(body: Element<'_>) -> Option<Element<'_>> {
    let mut children = body.children();
    match (children.next(), children.next()) {
        (Some(child), None) if body.holds_only_elements() => Some(child),
        _ => None,
    }
}

/// Is this the session key, sealed so, of a message that has signed one? One that has not lets whoever hands it on choose
/// another, by which what was signed opens to nothing.
pub(super) fn is_key(verified: &Verified<'_>, transport: KeyTransport, sealed: &[u8]) -> Result<bool, Unproven> {
    for (_, part) in verified.parts() {
        let tree: Tree = parsed(part)?;
        if tree.root().is(names::XENC, "EncryptedKey") {
            let key = EncryptedKey::read(tree.root()).map_err(|_| Reason::UnreadableSignature)?;
            if key.value != sealed || parts::transport(key.oaep) != Some(transport) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Would a body hold this, if it were what was sealed there?
///
/// # Panics
/// When it is not where it was put.
pub(super) fn is_content(octets: &[u8]) -> bool {
    let (before, after) = ("<s:Body xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">", "</s:Body>");
    let part = [before, after].concat();
    let place = before.len()..before.len();
    let cipher = SignedCipher::Aes256Cbc;
    let sealed = Sealed { number: 0, part: part.as_bytes(), place, cipher, octets: Vec::new() };
    let Some(whole) = sealed.with(octets) else { return false };
    let within = whole.of(0).and_then(|whole| whole.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes()));
    assert!(within == Some(octets) && whole.of(1).is_none(), "it is in its place and nowhere else");
    true
}

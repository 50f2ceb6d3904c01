//! What is sealed of a message whose signature was verified over it: the content of its body, or its user name token,
//! found in the octets that were signed and nowhere else. What is in it takes its place there, and the whole is read
//! under the same limits as everything that was signed. Nothing is opened here.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::reason::Reason;
use super::signature::{Unproven, Verified, parsed};
use crate::trust::parts::{self, Part};
use crate::wire::evidence::MOST_SIGNED_OCTETS;
use crate::wire::unwrap::{KeyTransport, MOST_PART_OCTETS};
use crate::xml::encryption::{EncryptedData, EncryptedKey, Extent, SignedCipher};
use crate::xml::signature::Hash;
use crate::xml::{Element, Ids, Tree, names};

/// A body that is sealed, or a token.
#[derive(Debug)]
pub(super) struct Sealed<'m> {
    /// Which part it is, as it was signed, and where in it something else belongs.
    number: usize,
    part: &'m [u8],
    place: Range<usize>,
    /// Is it what the body holds, and not all of an element?
    pub(super) in_body: bool,
    /// How it is sealed.
    pub(super) cipher: SignedCipher,
    /// What is sealed.
    pub(super) octets: Vec<u8>,
}

/// Parts with what was sealed in its place: a body, a token, or both.
#[derive(Debug, Default)]
pub(super) struct Whole(Vec<Piece>);

struct Piece {
    number: usize,
    in_body: bool,
    octets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Whole {
    /// The part of that number, where it was sealed.
    pub(super) fn of(&self, number: usize) -> Option<&[u8]> {
        self.0.iter().find(|piece| piece.number == number).map(|piece| &**piece.octets)
    }

    /// Was all of that part sealed, so that the reference to it has no id of what was in it?
    pub(super) fn is_token(&self, number: usize) -> bool {
        self.0.iter().any(|piece| piece.number == number && !piece.in_body)
    }

    /// Is the body among them?
    pub(super) fn has_body(&self) -> bool {
        self.0.iter().any(|piece| piece.in_body)
    }

    /// Is a token?
    pub(super) fn has_token(&self) -> bool {
        self.0.iter().any(|piece| !piece.in_body)
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl<'m> Sealed<'m> {
    /// What is sealed of a verified message: nothing, what the body holds, a token, or both.
    ///
    /// # Errors
    /// Why it is not opened: it is neither the body's whole content nor an element of its own, or there is another one
    /// of its kind.
    pub(super) fn find(verified: &Verified<'m>) -> Result<Vec<Self>, Unproven> {
        let mut found: Vec<Self> = Vec::new();
        for (number, (reference, part)) in verified.parts().enumerate() {
            let refused = |what: &str| {
                let why = format!("reference {:?}: {what}", reference.id);
                Unproven::by(Reason::UnreadableSignature, &why)
            };
            let tree = parsed(part)?;
            let root = tree.root();
            // What an assertion has sealed itself its issuer meant for somebody: it is neither opened nor read.
            if Part::of(root) == Part::Assertion {
                continue;
            }
            let mut sealed = tree.elements().filter(|element| element.is(names::XENC, "EncryptedData"));
            let Some(data) = sealed.next() else { continue };
            let in_body = Part::of(root) == Part::Body && only(root) == Some(data);
            // Or of two that have one digest one could be opened for the other.
            if reference.hash == Hash::Sha1 {
                return Err(refused("what is sealed is digested by SHA-1"));
            }
            if sealed.next().is_some() || found.iter().any(|other| other.in_body == in_body) {
                return Err(refused("more than one thing is sealed"));
            }
            // A reference that stands for another element has digested something else.
            if reference.transform.dereferenced || !(in_body || root == data) {
                return Err(refused("something else is sealed than what the body holds, or a token"));
            }
            let read = EncryptedData::read_signed(data).map_err(|why| refused(&why.to_string()))?;
            // What was in it may have another id; by its own it is referred to.
            let fits = if in_body {
                read.extent.is_some()
            } else {
                read.extent == Some(Extent::Element) && read.id == Some(reference.id.as_str())
            };
            if read.value.len() > MOST_PART_OCTETS || !fits {
                return Err(refused("encryption: bad EncryptedData"));
            }
            found.push(Self { number, part, place: data.span(), in_body, cipher: read.cipher, octets: read.value });
        }
        Ok(found)
    }

    /// The part with this in its place; none where that is not one element, well-formed by itself, in which nothing is
    /// sealed, and all of a part not a user name token: nothing else is read there.
    pub(super) fn with(&self, plain: &[u8]) -> Option<Whole> {
        // Around an element it is nothing; in a body it is left as it was.
        let plain = if self.in_body { plain } else { plain.trim_ascii() };
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
        let root = tree.root();
        // It ends neither the body nor anything around it.
        let stays = root.span() == (0..octets.len());
        let is_so = match Part::of(root) {
            Part::Body => self.in_body && only(root).is_some(),
            part => !self.in_body && part == Part::Username,
        };
        let plain = !tree.elements().any(|element| element.uri() == names::XENC);
        if !stays || !plain || !is_so || Ids::of(&tree).is_err() {
            return None;
        }
        Some(Whole(vec![Piece { number: self.number, in_body: self.in_body, octets }]))
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

/// Is this the session key, sealed so, of a message that has signed one? One that has not lets whoever hands it on
/// choose another, by which what was signed opens to nothing.
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
    let token = Sealed { number: 0, part: b"", place: 0..0, in_body: false, cipher, octets: Vec::new() };
    if let Some(whole) = token.with(octets) {
        assert!(whole.of(0) == Some(octets.trim_ascii()) && whole.is_token(0), "it is all there is");
    }
    let sealed = Sealed { number: 0, part: part.as_bytes(), place, in_body: true, cipher, octets: Vec::new() };
    let Some(whole) = sealed.with(octets) else { return false };
    let within = whole.of(0).and_then(|whole| whole.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes()));
    assert!(within == Some(octets) && whole.of(1).is_none(), "it is in its place and nowhere else");
    true
}

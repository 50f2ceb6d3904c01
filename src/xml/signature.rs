//! `ds:Signature` by the letter of a grammar much smaller than the standard's: one `SignedInfo`, same-document
//! references by id, and only the transforms that have a use here. No XPath, no XSLT, no manifest, no object,
//! nothing fetched, no comment anywhere. This reads what a signature claims and
//! gives the octets it speaks of; it holds no key and says nothing about whether any of it is true.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{Element, Ids, Method, NodeId, PrefixList, Uncanonical, grammar, names};
use crate::xml::chars::{is_ncname, is_space, is_space_octet};

const EC: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// BSP would allow more; no client sends this many (A-00d).
const MOST_REFERENCES: usize = 10;
/// RSA of 8192 bits.
const MOST_VALUE: usize = 1024;

/// Hash functions. SHA-1 is read so that it can be refused by name where no leniency allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, 20 octets.
    Sha1,
    /// SHA-256, 32 octets.
    Sha256,
    /// SHA-384, 48 octets.
    Sha384,
    /// SHA-512, 64 octets.
    Sha512,
}

impl Hash {
    /// The function with this identifier.
    #[must_use]
    pub fn named(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            "http://www.w3.org/2000/09/xmldsig#sha1" => Self::Sha1,
            "http://www.w3.org/2001/04/xmlenc#sha256" => Self::Sha256,
            "http://www.w3.org/2001/04/xmldsig-more#sha384" => Self::Sha384,
            "http://www.w3.org/2001/04/xmlenc#sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Octets in a value.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The kind of key a signature is made with. The key decides which one it may be, never the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// RSA, PKCS#1 v1.5.
    RsaPkcs1,
    /// RSA, PSS with MGF1 of the same hash.
    RsaPss,
    /// ECDSA, r‖s.
    Ecdsa,
    /// HMAC, never truncated.
    Hmac,
    /// Ed25519, which hashes by itself.
    Ed25519,
}

/// `SignatureMethod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureMethod {
    /// The kind of key.
    pub family: Family,
    /// The hash of what is signed; for Ed25519 the one within it.
    pub hash: Hash,
}

impl SignatureMethod {
    /// The method with this identifier (namespaces.md 1.9).
    #[must_use]
    pub fn named(algorithm: &str) -> Option<Self> {
        let (family, hash) = match algorithm {
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1" => (Family::RsaPkcs1, Hash::Sha1),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => (Family::RsaPkcs1, Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => (Family::RsaPkcs1, Hash::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => (Family::RsaPkcs1, Hash::Sha512),
            "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1" => (Family::RsaPss, Hash::Sha256),
            "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1" => (Family::RsaPss, Hash::Sha384),
            "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1" => (Family::RsaPss, Hash::Sha512),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => (Family::Ecdsa, Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => (Family::Ecdsa, Hash::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512" => (Family::Ecdsa, Hash::Sha512),
            "http://www.w3.org/2000/09/xmldsig#hmac-sha1" => (Family::Hmac, Hash::Sha1),
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256" => (Family::Hmac, Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha384" => (Family::Hmac, Hash::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512" => (Family::Hmac, Hash::Sha512),
            "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519" => (Family::Ed25519, Hash::Sha512),
            _ => return None,
        };
        Some(Self { family, hash })
    }
}

/// What happens to an element before it is digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transform {
    /// Is the signature left out?
    pub enveloped: bool,
    /// Is a `SecurityTokenReference` replaced by the token it means (R-W063)? Then nothing is left out.
    pub dereferenced: bool,
    /// The canonical form.
    pub canonical: Method,
}

/// `ds:Reference`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The id it means, without the `#`.
    pub id: String,
    /// What happens to it.
    pub transform: Transform,
    /// The hash.
    pub hash: Hash,
    /// Its value, as long as the hash says.
    pub digest: Vec<u8>,
}

/// `ds:SignedInfo`. auth reads it again from the octets whose signature it has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInfo {
    /// How it is canonicalised itself.
    pub canonical: Method,
    /// How it is signed.
    pub method: SignatureMethod,
    /// What it covers: one to ten.
    pub references: Vec<Reference>,
}

/// A `ds:Signature` with its parts in place.
#[derive(Debug)]
pub struct Signature<'t> {
    element: Element<'t>,
    signed_info: Element<'t>,
    /// What it claims.
    pub info: SignedInfo,
    /// `SignatureValue`, octets.
    pub value: Vec<u8>,
    /// `KeyInfo`, which names a key and never brings one.
    pub key_info: Option<Element<'t>>,
}

/// Why an element is no signature of ours to look at: for our log, all alike to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not the children, attributes or text that the grammar has at that place.
    Shape(&'static str),
    /// An algorithm or transform that is not on the list.
    Algorithm(&'static str),
    /// A reference that is not to an id of this document.
    Target,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(place) => write!(f, "signature: bad {place}"),
            Self::Algorithm(place) => write!(f, "signature: {place} algorithm not allowed"),
            Self::Target => f.write_str("signature: reference to nothing here"),
        }
    }
}

impl std::error::Error for Unreadable {}

type Read<T> = Result<T, Unreadable>;

impl<'t> Signature<'t> {
    /// Reads a `ds:Signature`.
    ///
    /// # Errors
    /// [`Unreadable`] for everything that the grammar above does not have.
    pub fn read(element: Element<'t>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("Signature");
        let children = children(element, "Signature", &["Id"], BAD)?;
        let (signed_info, value, key_info) = match children[..] {
            [signed_info, value] => (signed_info, value, None),
            [signed_info, value, key_info] if key_info.is(names::DS, "KeyInfo") => (signed_info, value, Some(key_info)),
            _ => return Err(BAD),
        };
        let info = SignedInfo::read(signed_info)?;
        let value = octets(value, "SignatureValue", &["Id"], MOST_VALUE)?;
        Ok(Self { element, signed_info, info, value, key_info })
    }

    /// The octets that are signed.
    ///
    /// # Errors
    /// [`Uncanonical`].
    pub fn signed_octets(&self, most: usize) -> Result<Zeroizing<String>, Uncanonical> {
        self.signed_info.canonical(&self.info.canonical, None, most)
    }

    /// The element that a reference means.
    ///
    /// # Errors
    /// [`Unreadable::Target`] where there is none.
    pub fn target(&self, reference: &Reference, ids: &Ids<'t>) -> Read<Element<'t>> {
        ids.element(&reference.id).ok_or(Unreadable::Target)
    }

    /// The octets that a reference digests, of the element it means, or of the token which that refers to where it is
    /// dereferenced.
    ///
    /// # Errors
    /// [`Uncanonical`].
    pub fn digested(
        &self,
        reference: &Reference,
        target: Element<'t>,
        most: usize,
    ) -> Result<Zeroizing<String>, Uncanonical> {
        let without: Option<NodeId> = reference.transform.enveloped.then(|| self.element.id());
        target.canonical(&reference.transform.canonical, without, most)
    }
}

impl SignedInfo {
    /// Reads a `ds:SignedInfo`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(element: Element<'_>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("SignedInfo");
        let children = children(element, "SignedInfo", &["Id"], BAD)?;
        let [canonical, method, references @ ..] = &children[..] else { return Err(BAD) };
        if references.is_empty() || references.len() > MOST_REFERENCES {
            return Err(BAD);
        }
        // A second one would be told from the first by nothing but its order.
        let references: Vec<Reference> =
            references.iter().map(|element| Reference::read(*element)).collect::<Read<_>>()?;
        let mut ids: Vec<&str> = references.iter().map(|reference| reference.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BAD);
        }
        let method = algorithm(*method, "SignatureMethod")?;
        Ok(Self {
            canonical: canonicalisation(*canonical, "CanonicalizationMethod")?,
            method: SignatureMethod::named(method).ok_or(Unreadable::Algorithm("signature"))?,
            references,
        })
    }
}

impl Reference {
    fn read(element: Element<'_>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("Reference");
        // No Type: the only ones that change a meaning are those of objects and manifests.
        let children = children(element, "Reference", &["Id", "URI"], BAD)?;
        let [transforms, method, value] = children[..] else { return Err(BAD) };
        let id = element.attribute("", "URI").and_then(|uri| uri.strip_prefix('#')).ok_or(Unreadable::Target)?;
        if !is_ncname(id) {
            return Err(Unreadable::Target);
        }
        let hash = Hash::named(algorithm(method, "DigestMethod")?).ok_or(Unreadable::Algorithm("digest"))?;
        let digest = octets(value, "DigestValue", &[], hash.length())?;
        if digest.len() != hash.length() {
            return Err(Unreadable::Shape("DigestValue"));
        }
        Ok(Self { id: id.to_owned(), transform: Transform::read(transforms)?, hash, digest })
    }
}

impl Transform {
    /// `enveloped-signature`, perhaps, and then one canonicalisation or one STR-Transform (BSP R5412).
    fn read(element: Element<'_>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("Transforms");
        let transforms = children(element, "Transforms", &[], BAD)?;
        let (enveloped, last) = match transforms[..] {
            [last] => (false, last),
            [first, last] if first.attribute("", "Algorithm") == Some(ENVELOPED) => {
                algorithm(first, "Transform")?;
                (true, last)
            }
            _ => return Err(BAD),
        };
        if last.attribute("", "Algorithm") != Some(names::STR_TRANSFORM) {
            // An id means an element without its comments, whatever canonicalises it (XMLDSig 4.3.3.3).
            let canonical = canonicalisation(last, "Transform")?.without_comments();
            return Ok(Self { enveloped, dereferenced: false, canonical });
        }
        let [parameters] = children(last, "Transform", &["Algorithm"], BAD)?[..] else { return Err(BAD) };
        let [canonical] = elements(parameters, names::WSSE, "TransformationParameters", &[], BAD)?[..] else {
            return Err(BAD);
        };
        let canonical = canonicalisation(canonical, "CanonicalizationMethod")?.without_comments().of_token();
        let canonical = canonical.ok_or(Unreadable::Algorithm("canonicalisation"))?;
        if enveloped { Err(BAD) } else { Ok(Self { enveloped, dereferenced: true, canonical }) }
    }
}

/// The algorithm of an element that has nothing else to say.
fn algorithm<'t>(element: Element<'t>, local: &'static str) -> Read<&'t str> {
    let bad = Unreadable::Shape(local);
    if !children(element, local, &["Algorithm"], bad)?.is_empty() {
        return Err(bad);
    }
    element.attribute("", "Algorithm").ok_or(bad)
}

/// A canonicalisation with its list of prefixes, when it has one.
fn canonicalisation(element: Element<'_>, local: &'static str) -> Read<Method> {
    let bad = Unreadable::Shape(local);
    let inside = children(element, local, &["Algorithm"], bad)?;
    let method = Method::named(element.attribute("", "Algorithm").ok_or(bad)?);
    let method = method.ok_or(Unreadable::Algorithm("canonicalisation"))?;
    match inside[..] {
        [] => Ok(method),
        [list] => {
            if !elements(list, EC, "InclusiveNamespaces", &["PrefixList"], bad)?.is_empty() {
                return Err(bad);
            }
            let prefixes = list.attribute("", "PrefixList").and_then(PrefixList::parse).ok_or(bad)?;
            method.with_prefixes(prefixes).ok_or(bad)
        }
        _ => Err(bad),
    }
}

fn children<'t>(element: Element<'t>, local: &str, attributes: &[&str], bad: Unreadable) -> Read<Vec<Element<'t>>> {
    elements(element, names::DS, local, attributes, bad)
}

fn elements<'t>(
    element: Element<'t>,
    uri: &str,
    local: &str,
    attributes: &[&str],
    bad: Unreadable,
) -> Read<Vec<Element<'t>>> {
    grammar::elements(element, uri, local, attributes).ok_or(bad)
}

/// The octets that an element with this name and these attributes at the most holds in base64.
fn octets(element: Element<'_>, local: &'static str, attributes: &[&str], most: usize) -> Read<Vec<u8>> {
    let bad = Unreadable::Shape(local);
    if !element.is(names::DS, local) || !grammar::has_only(element, attributes) {
        return Err(bad);
    }
    base64(element.text().ok_or(bad)?, most).ok_or(bad)
}

/// One to `most` octets of base64 with white space anywhere, which is how signers wrap their lines, and strict
/// otherwise.
#[must_use]
pub fn base64(text: &str, most: usize) -> Option<Vec<u8>> {
    let decoded = if text.bytes().any(is_space_octet) {
        // It may be a JWT or a ticket. Room for all of it at once: growing would leave copies behind.
        let mut joined = Zeroizing::new(String::with_capacity(text.len()));
        text.split(is_space).for_each(|piece| joined.push_str(piece));
        Base64::decode_vec(&joined)
    } else {
        Base64::decode_vec(text)
    };
    decoded.ok().filter(|octets| !octets.is_empty() && octets.len() <= most)
}

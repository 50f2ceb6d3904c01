//! `xenc:EncryptedKey` and `xenc:EncryptedData` by the letter of a grammar much smaller than the standard's: octets
//! that stand in the message, by a key that is named, or is wrapped by one that is. No `CipherReference`, so nothing is
//! fetched and nothing transformed; no label, no properties, no key derivation, no PKCS#1 v1.5, and CBC for nobody
//! who has not verified a signature over it. This reads what is claimed; it holds no key and opens nothing.

use super::signature::{Hash, base64};
use super::{Element, grammar, names};
use crate::xml::chars::is_ncname;

const OAEP_MGF1P: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const OAEP: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const KEY_WRAP: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes";
const ELEMENT: &str = "http://www.w3.org/2001/04/xmlenc#Element";
const CONTENT: &str = "http://www.w3.org/2001/04/xmlenc#Content";
/// RSA of 4096 bits.
const MOST_OF_A_KEY: usize = 512;
/// What a text of the tree can hold of base64.
const MOST_OF_DATA: usize = 48 * 1024;
/// Parts that one key is for.
const MOST_REFERENCES: usize = 8;

/// How a session key is sealed: RSA-OAEP without a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Oaep {
    /// The hash of the empty label.
    pub hash: Hash,
    /// The hash within MGF1.
    pub mask: Hash,
}

/// How a part is encrypted: AES in Galois/Counter Mode, 96 bits of nonce in front and 128 bits of tag behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// 128 bits of key.
    Aes128Gcm,
    /// 192 bits of key.
    Aes192Gcm,
    /// 256 bits of key.
    Aes256Gcm,
}

impl Cipher {
    /// The cipher with this identifier.
    #[must_use]
    pub fn named(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Self::Aes128Gcm,
            "http://www.w3.org/2009/xmlenc11#aes192-gcm" => Self::Aes192Gcm,
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Self::Aes256Gcm,
            _ => return None,
        })
    }
}

/// How a part is encrypted that a verified signature covers: as any other, or by AES in Cipher Block Chaining, whose
/// padding would tell whoever may change the ciphertext what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignedCipher {
    /// As any other.
    Gcm(Cipher),
    /// CBC, 128 bits of key.
    Aes128Cbc,
    /// CBC, 256 bits of key.
    Aes256Cbc,
}

impl SignedCipher {
    /// The cipher with this identifier.
    #[must_use]
    pub fn named(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => Self::Aes128Cbc,
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => Self::Aes256Cbc,
            _ => Self::Gcm(Cipher::named(algorithm)?),
        })
    }

    /// The one that needs no signature; none for CBC.
    #[must_use]
    pub fn gcm(self) -> Option<Cipher> {
        match self {
            Self::Gcm(cipher) => Some(cipher),
            Self::Aes128Cbc | Self::Aes256Cbc => None,
        }
    }
}

/// What is encrypted: an element whole, or what is in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// One element.
    Element,
    /// The content of the element around.
    Content,
}

/// `xenc:EncryptedKey`.
#[derive(Debug)]
pub struct EncryptedKey<'t> {
    /// Its id, when it has one.
    pub id: Option<&'t str>,
    /// How it is sealed.
    pub oaep: Oaep,
    /// Which key it is sealed for.
    pub key_info: Element<'t>,
    /// What is sealed.
    pub value: Vec<u8>,
    /// The ids of what it is for, none twice.
    pub references: Vec<&'t str>,
}

/// `xenc:EncryptedKey` in the `ds:KeyInfo` of the one part that it is for: a key of the part's own, wrapped by another key
/// of the message (AES key wrap, RFC 3394; XML Encryption 5.6.3). Both are of one length, of 128 or 256 bits.
#[derive(Debug)]
pub struct WrappedKey<'t> {
    /// The cipher of the part that a key of this length can be for.
    pub cipher: Cipher,
    /// Which key it is wrapped by.
    pub key_info: Element<'t>,
    /// What is wrapped, 8 octets more than the key.
    pub value: Vec<u8>,
}

/// `xenc:EncryptedData`.
#[derive(Debug)]
pub struct EncryptedData<'t, C = Cipher> {
    /// Its id, when it has one.
    pub id: Option<&'t str>,
    /// What is encrypted, where that is said.
    pub extent: Option<Extent>,
    /// How.
    pub cipher: C,
    /// The key, where it is named here.
    pub key_info: Option<Element<'t>>,
    /// Nonce, ciphertext and tag; or the vector and the ciphertext.
    pub value: Vec<u8>,
}

/// Why an element is none of ours to look at: for our log, all alike to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not the children, attributes or text that the grammar has at that place.
    Shape(&'static str),
    /// An algorithm that is not on the list.
    Algorithm(&'static str),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(place) => write!(f, "encryption: bad {place}"),
            Self::Algorithm(place) => write!(f, "encryption: {place} algorithm not allowed"),
        }
    }
}

impl std::error::Error for Unreadable {}

type Read<T> = Result<T, Unreadable>;

impl<'t> EncryptedKey<'t> {
    /// Reads an `xenc:EncryptedKey`.
    ///
    /// # Errors
    /// [`Unreadable`] for everything that the grammar above does not have.
    pub fn read(element: Element<'t>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("EncryptedKey");
        // BSP R3209, R5602, R5622, R5623: no Type, Encoding, MimeType or Recipient.
        let children = children(element, names::XENC, "EncryptedKey", &["Id"], BAD)?;
        let (method, key_info, data, list) = match children[..] {
            [method, key_info, data] => (method, key_info, data, None),
            [method, key_info, data, list] => (method, key_info, data, Some(list)),
            _ => return Err(BAD),
        };
        if !key_info.is(names::DS, "KeyInfo") {
            return Err(BAD);
        }
        let (id, oaep) = (id(element, BAD)?, Oaep::read(method)?);
        let value = cipher_value(data, MOST_OF_A_KEY)?;
        Ok(Self { id, oaep, key_info, value, references: list.map_or(Ok(Vec::new()), references)? })
    }
}

impl<'t> WrappedKey<'t> {
    /// Does this `xenc:EncryptedKey` stand where a wrapped key does, and say that it is one?
    #[must_use]
    pub fn is_one(element: Element<'_>) -> bool {
        let within = |element: Element<'_>, uri, local| element.parent().is_some_and(|parent| parent.is(uri, local));
        let method = element.children().next().filter(|child| child.is(names::XENC, "EncryptionMethod"));
        let algorithm = method.and_then(|method| method.attribute("", "Algorithm"));
        element.is(names::XENC, "EncryptedKey")
            && within(element, names::DS, "KeyInfo")
            && element.parent().is_some_and(|info| within(info, names::XENC, "EncryptedData"))
            && algorithm.is_some_and(|algorithm| algorithm.starts_with(KEY_WRAP))
    }

    /// Reads one. It says of no part that it is for it: it is in it.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(element: Element<'t>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("EncryptedKey");
        let children = children(element, names::XENC, "EncryptedKey", &["Id"], BAD)?;
        let [method, key_info, data] = children[..] else { return Err(BAD) };
        if !method.is(names::XENC, "EncryptionMethod") || !key_info.is(names::DS, "KeyInfo") {
            return Err(BAD);
        }
        id(element, BAD)?;
        let (cipher, length) = match algorithm(method, BAD)?.strip_prefix(KEY_WRAP) {
            Some("128") => (Cipher::Aes128Gcm, 16),
            Some("256") => (Cipher::Aes256Gcm, 32),
            _ => return Err(Unreadable::Algorithm("key wrap")),
        };
        let value = cipher_value(data, length + 8)?;
        if value.len() == length + 8 { Ok(Self { cipher, key_info, value }) } else { Err(BAD) }
    }
}

impl Oaep {
    fn read(method: Element<'_>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("EncryptionMethod");
        let children = children(method, names::XENC, "EncryptionMethod", &["Algorithm"], BAD)?;
        let (mut hash, mut mask) = (None, None);
        for child in children {
            let place = match (child.uri(), child.local()) {
                (names::DS, "DigestMethod") if hash.is_none() => &mut hash,
                (names::XENC11, "MGF") if mask.is_none() => &mut mask,
                // OAEPparams: a label would have to be one that somebody agreed on.
                _ => return Err(BAD),
            };
            *place = Some(algorithm(child, BAD)?);
        }
        // Both are SHA-1 unless said (XMLEnc 1.1 5.5.2), and the older identifier has no other MGF.
        let hash = hash.map_or(Some(Hash::Sha1), Hash::named).ok_or(Unreadable::Algorithm("digest"))?;
        let mask = match (method.attribute("", "Algorithm"), mask) {
            (Some(OAEP_MGF1P | OAEP), None) => Some(Hash::Sha1),
            (Some(OAEP), Some(mask)) => mgf1(mask),
            (Some(OAEP_MGF1P), Some(_)) => return Err(BAD),
            _ => None,
        };
        Ok(Self { hash, mask: mask.ok_or(Unreadable::Algorithm("key transport"))? })
    }
}

fn mgf1(algorithm: &str) -> Option<Hash> {
    Some(match algorithm {
        "http://www.w3.org/2009/xmlenc11#mgf1sha1" => Hash::Sha1,
        "http://www.w3.org/2009/xmlenc11#mgf1sha256" => Hash::Sha256,
        "http://www.w3.org/2009/xmlenc11#mgf1sha384" => Hash::Sha384,
        "http://www.w3.org/2009/xmlenc11#mgf1sha512" => Hash::Sha512,
        _ => return None,
    })
}

impl<'t> EncryptedData<'t> {
    /// Reads an `xenc:EncryptedData`.
    ///
    /// # Errors
    /// [`Unreadable`] for everything that the grammar above does not have.
    pub fn read(element: Element<'t>) -> Read<Self> {
        Self::read_as(element, Cipher::named)
    }
}

impl<'t> EncryptedData<'t, SignedCipher> {
    /// Reads one that a signature is said to cover. Whoever opens it has verified that.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read_signed(element: Element<'t>) -> Read<Self> {
        Self::read_as(element, SignedCipher::named)
    }
}

impl<'t, C> EncryptedData<'t, C> {
    fn read_as(element: Element<'t>, named: fn(&str) -> Option<C>) -> Read<Self> {
        const BAD: Unreadable = Unreadable::Shape("EncryptedData");
        let children = children(element, names::XENC, "EncryptedData", &["Id", "Type"], BAD)?;
        let (method, key_info, data) = match children[..] {
            [method, data] => (method, None, data),
            [method, key_info, data] if key_info.is(names::DS, "KeyInfo") => (method, Some(key_info), data),
            _ => return Err(BAD),
        };
        let extent = match element.attribute("", "Type") {
            None => None,
            Some(ELEMENT) => Some(Extent::Element),
            Some(CONTENT) => Some(Extent::Content),
            Some(_) => return Err(BAD),
        };
        if !method.is(names::XENC, "EncryptionMethod") {
            return Err(BAD);
        }
        let cipher = algorithm(method, Unreadable::Shape("EncryptionMethod"))?;
        Ok(Self {
            id: id(element, BAD)?,
            extent,
            cipher: named(cipher).ok_or(Unreadable::Algorithm("encryption"))?,
            key_info,
            value: cipher_value(data, MOST_OF_DATA)?,
        })
    }
}

/// `xenc:ReferenceList`: the ids of what a key is for, in order and none twice.
///
/// # Errors
/// [`Unreadable`].
pub fn references(list: Element<'_>) -> Read<Vec<&str>> {
    const BAD: Unreadable = Unreadable::Shape("ReferenceList");
    let mut ids = Vec::new();
    for reference in children(list, names::XENC, "ReferenceList", &[], BAD)? {
        if !children(reference, names::XENC, "DataReference", &["URI"], BAD)?.is_empty() {
            return Err(BAD);
        }
        let id = reference.attribute("", "URI").and_then(|uri| uri.strip_prefix('#')).filter(|id| is_ncname(id));
        let id = id.ok_or(BAD)?;
        if ids.contains(&id) {
            return Err(BAD);
        }
        ids.push(id);
    }
    if ids.is_empty() || ids.len() > MOST_REFERENCES { Err(BAD) } else { Ok(ids) }
}

fn id(element: Element<'_>, bad: Unreadable) -> Read<Option<&str>> {
    match element.attribute("", "Id") {
        Some(id) if !is_ncname(id) => Err(bad),
        id => Ok(id),
    }
}

/// The octets in `CipherData/CipherValue`.
fn cipher_value(data: Element<'_>, most: usize) -> Read<Vec<u8>> {
    const BAD: Unreadable = Unreadable::Shape("CipherData");
    let [value] = children(data, names::XENC, "CipherData", &[], BAD)?[..] else { return Err(BAD) };
    if !value.is(names::XENC, "CipherValue") || value.attributes().next().is_some() {
        return Err(BAD);
    }
    value.text().and_then(|text| base64(text, most)).ok_or(Unreadable::Shape("CipherValue"))
}

/// The algorithm of an element that has nothing else to say.
fn algorithm(element: Element<'_>, bad: Unreadable) -> Read<&str> {
    if !children(element, element.uri(), element.local(), &["Algorithm"], bad)?.is_empty() {
        return Err(bad);
    }
    element.attribute("", "Algorithm").ok_or(bad)
}

fn children<'t>(
    element: Element<'t>,
    uri: &str,
    local: &str,
    attributes: &[&str],
    bad: Unreadable,
) -> Read<Vec<Element<'t>>> {
    grammar::elements(element, uri, local, attributes).ok_or(bad)
}

#[cfg(test)]
mod tests;

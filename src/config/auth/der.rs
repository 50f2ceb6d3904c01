//! DER of others, read one value after the other: nothing calls itself, nothing is copied, and of a row no more values
//! are looked at than it may have. And what is signed in X.509, which is the octets, an algorithm and a signature in
//! each case.

use webpki::ALL_VERIFICATION_ALGS;
use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Tag};

/// The octets that were signed, the content of the algorithm's identifier, and the signature.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) octets: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Signed {
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let [list] = row(der)?;
        let [octets, algorithm, signature] = row(list.content)?;
        Self::of(&octets, &algorithm, &signature)
    }

    /// The same of values that are read already.
    pub(crate) fn of(octets: &Element<'_>, algorithm: &Element<'_>, signature: &Element<'_>) -> Option<Self> {
        Some(Self {
            octets: octets.whole.to_vec(),
            algorithm: algorithm.content.to_vec(),
            signature: whole_octets(signature)?.to_vec(),
        })
    }

    /// Who is said to have signed: after the version, where there is one, and the algorithm.
    pub(crate) fn issuer(&self) -> Option<&[u8]> {
        let [list] = row(&self.octets)?;
        let mut fields = Elements(list.content).take(3).filter(|field| field.tag != Tag::Integer);
        fields.nth(1).map(|name| name.content)
    }

    /// The same algorithms as for certificates, each for the keys it is for.
    pub(crate) fn by(&self, key: &[u8]) -> bool {
        let parts = || {
            let [key] = elements(key)?[..] else { return None };
            let [algorithm, key] = elements(key.content)?[..] else { return None };
            Some((algorithm.content, whole_octets(&key)?))
        };
        let Some((algorithm, key)) = parts() else { return false };
        let fitting = ALL_VERIFICATION_ALGS
            .iter()
            .find(|one| *one.signature_alg_id() == *self.algorithm && *one.public_key_alg_id() == *algorithm);
        fitting.is_some_and(|one| one.verify_signature(key, &self.octets, &self.signature).is_ok())
    }
}

/// One value of DER.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) class: Class,
    pub(crate) tag: Tag,
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
}

impl Element<'_> {
    pub(crate) fn context(&self) -> Option<u32> {
        (self.class == Class::ContextSpecific).then_some(self.tag.0)
    }
}

/// Values in a row, up to the first that is none.
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (rest, one) = Any::from_der(self.0).ok()?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { class: one.class(), tag: one.tag(), whole, content: one.data })
    }
}

/// A row of values, whole.
pub(crate) fn elements(der: &[u8]) -> Option<Vec<Element<'_>>> {
    few(der, usize::MAX)
}

/// A row of so many values at most, whole.
pub(crate) fn few(der: &[u8], most: usize) -> Option<Vec<Element<'_>>> {
    let mut elements = Elements(der);
    let all: Vec<_> = elements.by_ref().take(most).collect();
    elements.0.is_empty().then_some(all)
}

/// A row of so many values, whole, of which no more are looked at: a stranger's may have millions.
pub(crate) fn row<const N: usize>(der: &[u8]) -> Option<[Element<'_>; N]> {
    let mut elements = Elements(der);
    let all: Vec<_> = elements.by_ref().take(N).collect();
    all.try_into().ok().filter(|_| elements.0.is_empty())
}

/// A bit string without bits left over.
pub(crate) fn whole_octets<'a>(element: &Element<'a>) -> Option<&'a [u8]> {
    let (0, octets) = element.content.split_first().map(|(unused, octets)| (*unused, octets))? else { return None };
    (element.class == Class::Universal && element.tag == Tag::BitString).then_some(octets)
}

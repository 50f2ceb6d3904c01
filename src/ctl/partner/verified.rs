//! How a document comes to be believed: by a signature that the operator's certificate verifies, or because the
//! operator says which document it is. No XML of a stranger is parsed here: `SignedInfo` is, once its signature holds.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::signature::UnparsedPublicKey;

use crate::config::auth::certificate::Certificate;
use crate::config::signer::hex;
use crate::trust::parts;
use crate::wire::Millis;
use crate::wire::metadata::Found;
use crate::xml::signature::{Hash, SignedInfo};
use crate::xml::{Limits, Tree};

/// Octets that may be read.
#[derive(Debug)]
pub(super) struct Verified {
    /// The octets.
    pub(super) document: Vec<u8>,
    /// By which id a signature means them.
    pub(super) id: Option<String>,
}

/// Did the holder of this certificate sign what was found?
pub(super) fn by_signature(found: Found, certificate: &Certificate, now: Millis) -> Result<Verified, String> {
    if !certificate.holds(now) {
        return Err("the certificate given is not valid now".to_owned());
    }
    let (algorithm, key) = certificate
        .key
        .verifier(found.algorithm)
        .ok_or("the document is not signed by the certificate given: its key signs in another way")?;
    UnparsedPublicKey::new(algorithm, key)
        .verify(&found.signed_info, &found.value)
        .map_err(|_| "the document is not signed by the certificate given")?;
    let limits = Limits { octets: found.signed_info.len(), ..Limits::default() };
    let tree = Tree::parse(&found.signed_info, &limits).map_err(|error| format!("what was signed: {error}"))?;
    let info = SignedInfo::read(tree.root()).map_err(|error| format!("what was signed: {error}"))?;
    if parts::algorithm(info.method) != Some(found.algorithm) {
        return Err("what was signed names another algorithm".to_owned());
    }
    let [reference] = &info.references[..] else {
        return Err("what was signed is not one document".to_owned());
    };
    if !reference.transform.enveloped || reference.transform.dereferenced {
        return Err("what was signed is not the document itself".to_owned());
    }
    let function = function(reference.hash).ok_or("the document is digested by SHA-1")?;
    if digest(function, &found.document).as_ref() != reference.digest {
        return Err("the document is not what was signed".to_owned());
    }
    Ok(Verified { document: found.document.into_vec(), id: Some(reference.id.clone()) })
}

fn function(hash: Hash) -> Option<&'static digest::Algorithm> {
    match hash {
        Hash::Sha1 => None,
        Hash::Sha256 => Some(&digest::SHA256),
        Hash::Sha384 => Some(&digest::SHA384),
        Hash::Sha512 => Some(&digest::SHA512),
    }
}

/// Is this the document whose SHA-256 the operator has from somewhere else?
pub(super) fn by_fingerprint(document: Vec<u8>, expected: &[u8; 32]) -> Result<Verified, String> {
    let found = fingerprint(&document);
    if found != *expected {
        return Err(format!("another document: its SHA-256 is {}", hex(&found)));
    }
    Ok(Verified { document, id: None })
}

/// SHA-256.
pub(super) fn fingerprint(octets: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&digest::SHA256, octets).as_ref());
    value
}

#[cfg(test)]
mod tests;

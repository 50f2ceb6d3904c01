//! Finding a key in the token and deciding that it may be used: one private object of that id, sensitive,
//! never extractable, with the one usage its purpose has; its public key read from the token and equal to
//! the certificate's. An attribute a module does not know counts as false (NSS knows no
//! CKA_ALWAYS_AUTHENTICATE); SENSITIVE and EXTRACTABLE must be known.

use std::path::Path;

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::pkcs11::spki::{self, Kind};
use super::pkcs11::{Fault, Module};
use super::unwrap::Openings;
use crate::config::signer::{Key as Configured, Purpose, hex};
use crate::wire::KeyId;

/// What configuration says a key must be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// `CKA_ID`.
    pub(crate) id: KeyId,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// `SubjectPublicKeyInfo` of the certificate.
    pub(crate) public_key: Option<Vec<u8>>,
}

/// A key that may be used.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The private object, until the next C_Initialize.
    pub(crate) handle: ObjectHandle,
    /// Its algorithm.
    pub(crate) kind: Kind,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// `SubjectPublicKeyInfo`, DER.
    pub(crate) public_key: Vec<u8>,
    /// For `unwrap`: how it may be sealed for.
    pub(crate) openings: Option<Openings>,
}

impl Expected {
    /// Reads the certificate. Before lock-down.
    pub(crate) fn read(key: &Configured) -> Result<Self, String> {
        let public_key = key.certificate.as_deref().map(certificate_key).transpose()?;
        Ok(Self { id: key.id.clone(), purpose: key.purpose, public_key })
    }
}

fn certificate_key(path: &Path) -> Result<Vec<u8>, String> {
    let at = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read(path).map_err(|error| at(error.to_string()))?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&text).map_err(|error| at(format!("no PEM: {error}")))?;
    if pem.label != "CERTIFICATE" {
        return Err(at(format!("the first PEM block is {:?}, a CERTIFICATE is needed", pem.label)));
    }
    let certificate = pem.parse_x509().map_err(|error| at(format!("no certificate: {error}")))?;
    if !certificate.validity().is_valid() {
        tracing::warn!(event = "certificate-not-valid-now", certificate = %path.display());
    }
    Ok(certificate.public_key().raw.to_vec())
}

/// Finds and checks one key. [`Fault::Absent`] when there is none, as in a token that is still coming back.
pub(crate) fn find(module: &Module, session: &Session, expected: &Expected) -> Result<Key, Fault> {
    let refuse = |why: String| Err(Fault::Refused(format!("key {}: {why}", hex(&expected.id))));
    let handle = match one(module, session, &expected.id, ObjectClass::PRIVATE_KEY)? {
        Ok(handle) => handle,
        Err(0) => {
            return Err(Fault::Absent(format!("key {}: the token holds no private key of this id", hex(&expected.id))));
        }
        Err(count) => return refuse(format!("the token holds {count} private keys of this id, one is needed")),
    };
    let flags = flags(module, session, handle)?;
    if let Err(why) = judge(&flags, expected.purpose) {
        return refuse(why);
    }
    if let Err(0) = one(module, session, &expected.id, ObjectClass::PUBLIC_KEY)? {
        return Err(Fault::Absent(format!("key {}: the token holds no public key of this id", hex(&expected.id))));
    }
    let Some((kind, public_key)) = public_key(module, session, &expected.id)? else {
        return refuse("no public key of this id that is RSA of 2048 to 4096 bits, P-256 or P-384".to_owned());
    };
    if expected.public_key.as_ref().is_some_and(|certificate| *certificate != public_key) {
        return refuse("the certificate is another key's".to_owned());
    }
    if !expected.purpose.signs() && !matches!(kind, Kind::Rsa { .. }) {
        return refuse(format!("a key for {} is RSA", expected.purpose.name()));
    }
    let openings = match expected.purpose {
        Purpose::Unwrap => Some(Openings::find(module, session, &expected.id, handle, &public_key)?),
        _ => None,
    };
    Ok(Key { handle, kind, purpose: expected.purpose, public_key, openings })
}

/// The one object of that id and class, else how many there are.
pub(crate) fn one(
    module: &Module,
    session: &Session,
    id: &KeyId,
    class: ObjectClass,
) -> Result<Result<ObjectHandle, usize>, Fault> {
    let template = [Attribute::Class(class), Attribute::Id(id.to_vec())];
    let handles = module.call(|_| session.find_objects(&template))?;
    Ok(match handles.as_slice() {
        [handle] => Ok(*handle),
        others => Err(others.len()),
    })
}

/// What matters of a private key's attributes; none where the module does not know one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) sensitive: Option<bool>,
    pub(crate) extractable: Option<bool>,
    pub(crate) sign: Option<bool>,
    pub(crate) decrypt: Option<bool>,
    pub(crate) unwrap: Option<bool>,
    pub(crate) derive: Option<bool>,
    pub(crate) sign_recover: Option<bool>,
    pub(crate) always_authenticate: Option<bool>,
    pub(crate) never_extractable: Option<bool>,
    pub(crate) local: Option<bool>,
}

/// Reads them; an attribute the module does not know stays none.
pub(crate) fn flags(module: &Module, session: &Session, handle: ObjectHandle) -> Result<Flags, Fault> {
    let wanted = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::Sign,
        AttributeType::Decrypt,
        AttributeType::Unwrap,
        AttributeType::Derive,
        AttributeType::SignRecover,
        AttributeType::AlwaysAuthenticate,
        AttributeType::NeverExtractable,
        AttributeType::Local,
    ];
    let mut flags = Flags::default();
    for attribute in module.call(|_| session.get_attributes(handle, &wanted))? {
        match attribute {
            Attribute::Sensitive(value) => flags.sensitive = Some(value),
            Attribute::Extractable(value) => flags.extractable = Some(value),
            Attribute::Sign(value) => flags.sign = Some(value),
            Attribute::Decrypt(value) => flags.decrypt = Some(value),
            Attribute::Unwrap(value) => flags.unwrap = Some(value),
            Attribute::Derive(value) => flags.derive = Some(value),
            Attribute::SignRecover(value) => flags.sign_recover = Some(value),
            Attribute::AlwaysAuthenticate(value) => flags.always_authenticate = Some(value),
            Attribute::NeverExtractable(value) => flags.never_extractable = Some(value),
            Attribute::Local(value) => flags.local = Some(value),
            _ => {}
        }
    }
    Ok(flags)
}

/// May a key with these attributes serve this purpose?
fn judge(flags: &Flags, purpose: Purpose) -> Result<(), String> {
    if flags.sensitive != Some(true) {
        return Err("it is not CKA_SENSITIVE: its value can be read".to_owned());
    }
    if flags.extractable != Some(false) {
        return Err("it is CKA_EXTRACTABLE: it can leave the token".to_owned());
    }
    if flags.never_extractable == Some(false) {
        return Err("it has been extractable before (CKA_NEVER_EXTRACTABLE is false)".to_owned());
    }
    if flags.always_authenticate == Some(true) {
        return Err("it is CKA_ALWAYS_AUTHENTICATE: it asks for the PIN again and again".to_owned());
    }
    let signs = purpose.signs();
    for (name, value, wanted) in [
        ("CKA_SIGN", flags.sign, signs),
        ("CKA_DECRYPT", flags.decrypt, !signs),
        ("CKA_UNWRAP", flags.unwrap, false),
        ("CKA_DERIVE", flags.derive, false),
        ("CKA_SIGN_RECOVER", flags.sign_recover, false),
    ] {
        if value.unwrap_or(false) != wanted {
            let not = if wanted { "not " } else { "" };
            return Err(format!("it is {not}{name}: a key for {} has one usage", purpose.name()));
        }
    }
    Ok(())
}

/// The public key of that id as the token's public object tells it; none when there is no such object or it
/// is of a kind that is not served.
pub(crate) fn public_key(module: &Module, session: &Session, id: &KeyId) -> Result<Option<(Kind, Vec<u8>)>, Fault> {
    let Ok(handle) = one(module, session, id, ObjectClass::PUBLIC_KEY)? else { return Ok(None) };
    let kind = module.call(|_| session.get_attributes(handle, &[AttributeType::KeyType]))?;
    match kind.as_slice() {
        [Attribute::KeyType(KeyType::RSA)] => {
            let wanted = [AttributeType::Modulus, AttributeType::PublicExponent];
            match module.call(|_| session.get_attributes(handle, &wanted))?.as_slice() {
                [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)] => Ok(spki::rsa(modulus, exponent)),
                _ => Ok(None),
            }
        }
        [Attribute::KeyType(KeyType::EC)] => {
            let wanted = [AttributeType::EcParams, AttributeType::EcPoint];
            match module.call(|_| session.get_attributes(handle, &wanted))?.as_slice() {
                [Attribute::EcParams(params), Attribute::EcPoint(point)] => Ok(spki::ec(params, point)),
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Flags {
        Flags { sensitive: Some(true), extractable: Some(false), sign: Some(true), ..Flags::default() }
    }

    #[test]
    fn a_signing_key_signs_and_does_nothing_else() {
        assert!(judge(&good(), Purpose::Assertion).is_ok());
        assert!(judge(&good(), Purpose::State).is_err());
        for bad in [
            Flags { sensitive: None, ..good() },
            Flags { sensitive: Some(false), ..good() },
            Flags { extractable: None, ..good() },
            Flags { extractable: Some(true), ..good() },
            Flags { never_extractable: Some(false), ..good() },
            Flags { always_authenticate: Some(true), ..good() },
            Flags { sign: Some(false), ..good() },
            Flags { decrypt: Some(true), ..good() },
            Flags { unwrap: Some(true), ..good() },
            Flags { derive: Some(true), ..good() },
            Flags { sign_recover: Some(true), ..good() },
        ] {
            assert!(judge(&bad, Purpose::Assertion).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_that_decrypts_does_nothing_else() {
        let opens = Flags { sign: None, decrypt: Some(true), ..good() };
        for purpose in [Purpose::State, Purpose::Unwrap] {
            assert!(judge(&opens, purpose).is_ok());
            for bad in [
                good(),
                Flags { sign: Some(true), ..opens.clone() },
                Flags { unwrap: Some(true), ..opens.clone() },
                Flags { decrypt: Some(false), unwrap: Some(true), ..opens.clone() },
                Flags { extractable: Some(true), ..opens.clone() },
            ] {
                assert!(judge(&bad, purpose).is_err(), "{bad:?}");
            }
        }
        assert!(judge(&opens, Purpose::Assertion).is_err());
    }
}

//! Making and listing keys. Every usage is said explicitly, because modules have their own defaults (SoftHSM
//! sets CKA_UNWRAP and CKA_SIGN_RECOVER when nobody speaks of them). A key is made, read back and judged by
//! the rule a signer will judge it by.

use std::path::Path;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::{Voice, certify, text, token};
use crate::config::signer::{Purpose, hex};
use crate::signer::keys::{self, Expected};
use crate::signer::pkcs11::spki::{self, Kind};
use crate::signer::pkcs11::{Fault, Module};
use crate::wire::ceremony::{Algorithm, KeyLine, NewKey, Reply, Step, Which};
use crate::wire::{KeyId, Secret};

/// Logs in once and does every step.
pub(super) fn keys(
    module: &Module,
    voice: &mut Voice,
    which: &Which,
    state_directory: Option<&Path>,
    pin: &Secret<255>,
    steps: &[Step],
) -> Result<(), Fault> {
    let found = token::find(module, which)?;
    voice.say(&Reply::Token { label: text(&found.label), serial: text(&found.serial) });
    let session = module.open_read_write(found.slot)?;
    token::login(module, &found, &session, pin, state_directory)?;
    for step in steps {
        match step {
            Step::Generate(key) => generate(module, voice, &session, key)?,
            Step::Certify(certificate) => certify::certify(module, voice, &session, certificate)?,
            Step::List => list(module, voice, &session)?,
        }
    }
    Ok(())
}

fn rsa_bits(algorithm: Algorithm) -> Option<u32> {
    match algorithm {
        Algorithm::Rsa2048 => Some(2048),
        Algorithm::Rsa3072 => Some(3072),
        Algorithm::Rsa4096 => Some(4096),
        Algorithm::P256 | Algorithm::P384 => None,
    }
}

/// The private key's template: the one usage its purpose has, and every other said to be off.
fn private_template(key: &NewKey, purpose: Purpose, refused: &[String]) -> Vec<Attribute> {
    let signs = purpose.signs();
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(signs),
        Attribute::Decrypt(!signs),
        Attribute::Unwrap(false),
        Attribute::SignRecover(false),
        Attribute::Derive(false),
        Attribute::Copyable(false),
        Attribute::Id(key.id.to_vec()),
        Attribute::Label(key.label.as_bytes().to_vec()),
    ];
    template.retain(|attribute| {
        let name = match attribute {
            Attribute::Copyable(_) => "copyable",
            Attribute::Derive(_) => "derive",
            Attribute::SignRecover(_) => "sign_recover",
            Attribute::Unwrap(_) => "unwrap",
            _ => return true,
        };
        !refused.iter().any(|other| other == name)
    });
    template
}

fn generate(module: &Module, voice: &mut Voice, session: &Session, key: &NewKey) -> Result<(), Fault> {
    let refuse = |why: String| Err(Fault::Refused(format!("key {}: {why}", hex(&key.id))));
    let Some(purpose) = Purpose::from_name(&key.purpose) else { return refuse("no such purpose".to_owned()) };
    let bits = rsa_bits(key.algorithm);
    if bits.is_none() && !purpose.signs() {
        return refuse(format!("a key for {} is RSA", key.purpose));
    }
    let keygen = &module.profile().keygen;
    if bits.is_some_and(|bits| bits > keygen.rsa_max_bits) {
        return refuse(format!("this token makes RSA keys of at most {} bits", keygen.rsa_max_bits));
    }
    if key.id.is_empty() {
        return refuse("the id is empty".to_owned());
    }
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        if !matches!(keys::one(module, session, &key.id, class)?, Err(0)) {
            return refuse("the id is taken".to_owned());
        }
    }
    voice.doing(&format!("generating {} for {}", key.algorithm.name(), key.purpose));
    let signs = purpose.signs();
    let mut public = vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(signs),
        Attribute::Encrypt(!signs),
        Attribute::Wrap(false),
        Attribute::Id(key.id.to_vec()),
        Attribute::Label(key.label.as_bytes().to_vec()),
    ];
    let mechanism = match (key.algorithm, bits) {
        (_, Some(bits)) => {
            public.push(Attribute::ModulusBits(std::ffi::c_ulong::from(bits).into()));
            public.push(Attribute::PublicExponent(vec![1, 0, 1]));
            Mechanism::RsaPkcsKeyPairGen
        }
        (algorithm, None) => {
            let params = if algorithm == Algorithm::P256 { spki::P256 } else { spki::P384 };
            public.push(Attribute::EcParams(params.to_vec()));
            Mechanism::EccKeyPairGen
        }
    };
    let private = private_template(key, purpose, &keygen.refused_attributes);
    let (_, handle) = module.slow_call(|_| session.generate_key_pair(&mechanism, &public, &private))?;
    // By the rule a signer will judge it by; a key that fails it would only be found out later.
    keys::find(module, session, &Expected { id: key.id.clone(), purpose, public_key: None })?;
    voice.say(&Reply::Key(line(module, session, handle)?));
    Ok(())
}

fn list(module: &Module, voice: &mut Voice, session: &Session) -> Result<(), Fault> {
    for handle in module.call(|_| session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]))? {
        voice.say(&Reply::Key(line(module, session, handle)?));
    }
    Ok(())
}

/// One key in words.
fn line(module: &Module, session: &Session, handle: ObjectHandle) -> Result<KeyLine, Fault> {
    let (mut id, mut label) = (Vec::new(), Vec::new());
    for attribute in module.call(|_| session.get_attributes(handle, &[AttributeType::Id, AttributeType::Label]))? {
        match attribute {
            Attribute::Id(value) => id = value,
            Attribute::Label(value) => label = value,
            _ => {}
        }
    }
    let kind = match KeyId::new(id.as_slice()) {
        Ok(id) => keys::public_key(module, session, &id)?.map(|(kind, _)| kind),
        Err(_) => None,
    };
    let algorithm = match kind {
        Some(Kind::Rsa { octets }) => format!("rsa-{}", octets * 8),
        Some(Kind::P256) => "p-256".to_owned(),
        Some(Kind::P384) => "p-384".to_owned(),
        None => "no public key that is served".to_owned(),
    };
    let flags = keys::flags(module, session, handle)?;
    let words: Vec<&str> = [
        ("sensitive", flags.sensitive),
        ("EXTRACTABLE", flags.extractable),
        ("sign", flags.sign),
        ("decrypt", flags.decrypt),
        ("unwrap", flags.unwrap),
        ("derive", flags.derive),
        ("sign-recover", flags.sign_recover),
        ("always-authenticate", flags.always_authenticate),
        ("local", flags.local),
        ("never-extractable", flags.never_extractable),
    ]
    .iter()
    .filter(|(_, value)| *value == Some(true))
    .map(|(word, _)| *word)
    .collect();
    Ok(KeyLine {
        id: text(&hex(&id)),
        label: text(&String::from_utf8_lossy(&label)),
        algorithm: text(&algorithm),
        attributes: text(&words.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(purpose: &str) -> NewKey {
        NewKey {
            purpose: text(purpose),
            algorithm: Algorithm::Rsa2048,
            id: KeyId::new(*b"1").unwrap(),
            label: text("x"),
        }
    }

    #[test]
    fn every_usage_is_said_and_one_is_on() {
        for purpose in Purpose::ALL {
            let template = private_template(&key(purpose.name()), purpose, &[]);
            let on = |wanted: &dyn Fn(&Attribute) -> Option<bool>| template.iter().find_map(wanted).unwrap();
            let signs = on(&|a| if let Attribute::Sign(v) = a { Some(*v) } else { None });
            let decrypts = on(&|a| if let Attribute::Decrypt(v) = a { Some(*v) } else { None });
            assert_ne!(signs, decrypts);
            assert!(!on(&|a| if let Attribute::Extractable(v) = a { Some(*v) } else { None }));
            assert!(!on(&|a| if let Attribute::Unwrap(v) = a { Some(*v) } else { None }));
            assert!(!on(&|a| if let Attribute::SignRecover(v) = a { Some(*v) } else { None }));
            assert!(!on(&|a| if let Attribute::Derive(v) = a { Some(*v) } else { None }));
        }
    }

    #[test]
    fn what_a_profile_says_is_refused_is_left_out_but_never_what_protects_the_key() {
        let refused = ["copyable".to_owned(), "sensitive".to_owned(), "extractable".to_owned()];
        let template = private_template(&key("assertion"), Purpose::Assertion, &refused);
        assert!(!template.iter().any(|attribute| matches!(attribute, Attribute::Copyable(_))));
        assert!(template.contains(&Attribute::Sensitive(true)) && template.contains(&Attribute::Extractable(false)));
    }
}

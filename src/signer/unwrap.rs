//! Opening session keys by `C_Decrypt` with `CKM_RSA_PKCS_OAEP`. Not by `C_UnwrapKey`: that would make an object
//! which has to be extractable, read out and destroyed again, and the key is auth's in the end either way.
//!
//! Tokens have no word of their own for a bad ciphertext (SoftHSM says CKR_GENERAL_ERROR), so what `C_Decrypt`
//! says is not believed to be about the token: a stranger could send signers up the ladder. It counts as
//! unopened, at once and whatever the code, and the token is doubted; whether it still opens what was sealed
//! here for that purpose is tried by the healer, once a second at most.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism as Asked, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::pkcs11::{Fault, Module};
use crate::config::profile::Unwrap as Allowed;
use crate::config::signer::hex;
use crate::wire::KeyId;
use crate::wire::unwrap::KeyTransport;

/// A session key that was sealed on the host, to see whether the token opens it.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    transport: KeyTransport,
    sealed: Vec<u8>,
    within: [u8; 32],
}

/// The ways to seal for a key that its token has shown to open, at least one, and its modulus.
#[derive(Debug, Clone)]
pub(crate) struct Openings {
    probes: Vec<Probe>,
    modulus: Vec<u8>,
}

fn asked(transport: KeyTransport) -> Asked<'static> {
    let (hash, mgf) = match transport {
        KeyTransport::OaepSha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        KeyTransport::OaepSha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    Asked::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, PkcsOaepSource::empty()))
}

/// Opens what was sealed, whatever comes out.
pub(crate) fn open(
    module: &Module,
    session: &Session,
    handle: ObjectHandle,
    transport: KeyTransport,
    sealed: &[u8],
) -> Result<Vec<u8>, Fault> {
    module.call(|_| session.decrypt(&asked(transport), handle, sealed))
}

impl Probe {
    fn seal(public_key: &[u8], transport: KeyTransport) -> Result<Self, Fault> {
        let algorithm = match transport {
            KeyTransport::OaepSha1 => &OAEP_SHA1_MGF1SHA1,
            KeyTransport::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
        };
        let bad = |_| Fault::Refused("its public key seals nothing".to_owned());
        let key = PublicEncryptingKey::from_der(public_key).map_err(|error| Fault::Refused(error.to_string()))?;
        let key = OaepPublicEncryptingKey::new(key).map_err(bad)?;
        let mut within = [0; 32];
        getrandom::fill(&mut within).map_err(|error| Fault::Module(format!("no randomness: {error}")))?;
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(algorithm, &within, &mut sealed, None).map_err(bad)?;
        Ok(Self { transport, sealed, within })
    }

    /// Does the token open it?
    fn try_it(&self, module: &Module, session: &Session, handle: ObjectHandle) -> Result<(), Fault> {
        match open(module, session, handle, self.transport, &self.sealed)? {
            opened if opened == self.within => Ok(()),
            _ => Err(Fault::Module("a session key was opened to something else".to_owned())),
        }
    }
}

impl Openings {
    /// Tries every way the profile allows. A way that fails is said so and not used; the fault of the last one is
    /// the answer when all do.
    pub(crate) fn find(
        module: &Module,
        session: &Session,
        id: &KeyId,
        handle: ObjectHandle,
        public_key: &[u8],
    ) -> Result<Self, Fault> {
        let mut good = Vec::new();
        let mut last = Fault::Refused("the profile allows no OAEP".to_owned());
        for transport in KeyTransport::ALL.into_iter().filter(|transport| allows(&module.profile().unwrap, *transport))
        {
            let probe = Probe::seal(public_key, transport)?;
            match probe.try_it(module, session, handle) {
                Ok(()) => good.push(probe),
                Err(fault) => {
                    tracing::warn!(event = "does-not-open", key = hex(id), transport = transport.name(), fault = %fault);
                    last = fault;
                }
            }
        }
        if good.is_empty() { Err(last) } else { Ok(Self { probes: good, modulus: modulus(public_key)? }) }
    }

    /// May this be put to the token: sealed so, as long as what is sealed for this key, and a smaller number than its
    /// modulus (RFC 8017 5.1.2)? A token that took a greater one would open the same session key twice.
    pub(crate) fn fit(&self, transport: KeyTransport, sealed: &[u8]) -> bool {
        sealed < self.modulus.as_slice()
            && self.probes.iter().any(|probe| probe.transport == transport && probe.sealed.len() == sealed.len())
    }

    /// Does the token still open what it opened at first?
    pub(crate) fn still(&self, module: &Module, session: &Session, handle: ObjectHandle) -> Result<(), Fault> {
        self.probes.iter().try_for_each(|probe| probe.try_it(module, session, handle))
    }
}

/// Of a `SubjectPublicKeyInfo`, without leading zeros: as long as what is sealed.
fn modulus(public_key: &[u8]) -> Result<Vec<u8>, Fault> {
    let bad = || Fault::Refused("its public key is not one of RSA".to_owned());
    let (_, key) = SubjectPublicKeyInfo::from_der(public_key).map_err(|_| bad())?;
    let Ok(PublicKey::RSA(key)) = key.parsed() else { return Err(bad()) };
    let zeros = key.modulus.iter().take_while(|octet| **octet == 0).count();
    Ok(key.modulus[zeros..].to_vec())
}

fn allows(profile: &Allowed, transport: KeyTransport) -> bool {
    match transport {
        KeyTransport::OaepSha1 => profile.oaep_sha1,
        KeyTransport::OaepSha256 => profile.oaep_sha256,
    }
}

/// Is this what `C_Decrypt` itself said? What went wrong before it was not about the octets.
pub(crate) fn is_doubtful(fault: &Fault) -> bool {
    matches!(fault, Fault::Call { function, .. } if function == "C_Decrypt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_below_the_modulus_is_put_to_the_token() {
        let modulus = [&[0xC0; 4][..], &[7; 252]].concat();
        let probe = Probe { transport: KeyTransport::OaepSha1, sealed: vec![1; 256], within: [0; 32] };
        let openings = Openings { probes: vec![probe], modulus: modulus.clone() };
        let fit = |sealed: &[u8]| openings.fit(KeyTransport::OaepSha1, sealed);
        let (mut below, mut above) = (modulus.clone(), modulus.clone());
        (below[255], above[255]) = (6, 8);
        assert!(fit(&below) && fit(&[0; 256]));
        assert!(!fit(&modulus) && !fit(&above) && !fit(&[0xFF; 256]));
        assert!(!fit(&below[..255]) && !fit(&[&[0][..], &below].concat()));
        assert!(!openings.fit(KeyTransport::OaepSha256, &below));
    }
}

//! Self-signed certificates and certification requests, signed in the token: rcgen writes the octets, the
//! digest is computed here, the key never moves. A key that opens session keys may not sign, so its one signature
//! is made by decrypting a block that is padded here (`CKM_RSA_X_509`): RSA does not know the difference. Only a
//! ceremony asks for that.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use cryptoki::mechanism::Mechanism as Asked;
use cryptoki::object::ObjectClass;
use cryptoki::session::Session;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, PublicKeyData,
    SerialNumber, SignatureAlgorithm, SigningKey,
};
use x509_parser::prelude::FromDer;

use super::{Voice, text};
use crate::config::profile;
use crate::config::signer::hex;
use crate::signer::keys;
use crate::signer::pkcs11::mechanism::question;
use crate::signer::pkcs11::spki::{self, Kind};
use crate::signer::pkcs11::{Fault, Module};
use crate::wire::ceremony::{NewCertificate, Reply};
use crate::wire::links::Mechanism;

/// A key pair in the token, as rcgen wants to see it.
struct InToken<'a> {
    module: &'a Module,
    session: &'a Session,
    handle: cryptoki::object::ObjectHandle,
    kind: Kind,
    /// It decrypts and does not sign.
    decrypts: bool,
    /// The key without its algorithm: the BIT STRING of the SubjectPublicKeyInfo.
    public: Vec<u8>,
}

impl PublicKeyData for InToken<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            Kind::Rsa { .. } => &rcgen::PKCS_RSA_SHA256,
            Kind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Kind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        }
    }
}

impl SigningKey for InToken<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        use aws_lc_rs::digest::{SHA256, SHA384, digest};
        let (mechanism, digest) = match self.kind {
            Kind::Rsa { .. } => (Mechanism::RsaPkcs1Sha256, digest(&SHA256, message)),
            Kind::P256 => (Mechanism::EcdsaP256Sha256, digest(&SHA256, message)),
            Kind::P384 => (Mechanism::EcdsaP384Sha384, digest(&SHA384, message)),
        };
        let question = question(mechanism, self.kind, digest.as_ref(), &profile::Sign::default());
        let question = question.ok_or(rcgen::Error::RemoteKeyError)?;
        let signature = self.module.call(|_| match padded(&question.data, question.length) {
            Some(block) if self.decrypts => self.session.decrypt(&Asked::RsaX509, self.handle, &block),
            _ => self.session.sign(&question.mechanism, self.handle, &question.data),
        });
        let signature = signature.map_err(|fault| {
            tracing::error!(event = "not-signed", fault = %fault);
            rcgen::Error::RemoteKeyError
        })?;
        if signature.len() != question.length {
            return Err(rcgen::Error::RemoteKeyError);
        }
        let ecdsa = matches!(question.mechanism, Asked::Ecdsa);
        let signature = if ecdsa { spki::ecdsa_der(&signature) } else { signature };
        // Nobody looks at it again before it is published.
        let algorithm: &dyn VerificationAlgorithm = match self.kind {
            Kind::Rsa { .. } => &RSA_PKCS1_2048_8192_SHA256,
            Kind::P256 => &ECDSA_P256_SHA256_ASN1,
            Kind::P384 => &ECDSA_P384_SHA384_ASN1,
        };
        UnparsedPublicKey::new(algorithm, &self.public).verify(message, &signature).map_err(|_| {
            tracing::error!(event = "wrong-signature", why = "the key pair in the token does not belong together");
            rcgen::Error::RemoteKeyError
        })?;
        Ok(signature)
    }
}

/// A `DigestInfo` as PKCS#1 v1.5 pads it for a signature (RFC 8017 9.2).
fn padded(info: &[u8], length: usize) -> Option<Vec<u8>> {
    let filling = length.checked_sub(info.len() + 3).filter(|filling| *filling >= 8)?;
    Some([&[0x00, 0x01][..], &vec![0xFF; filling], &[0x00], info].concat())
}

/// Makes what is asked for and says it.
pub(super) fn certify(
    module: &Module,
    voice: &mut Voice,
    session: &Session,
    wish: &NewCertificate,
) -> Result<(), Fault> {
    let refuse = |why: String| Fault::Refused(format!("certificate for key {}: {why}", hex(&wish.id)));
    let handle = keys::one(module, session, &wish.id, ObjectClass::PRIVATE_KEY)?
        .map_err(|count| refuse(format!("the token holds {count} private keys of this id, one is needed")))?;
    let flags = keys::flags(module, session, handle)?;
    let decrypts = flags.decrypt == Some(true);
    if flags.sign == Some(true) && decrypts {
        return Err(refuse("the key both signs and decrypts".to_owned()));
    }
    if flags.sign != Some(true) && !decrypts {
        return Err(refuse("the key neither signs nor decrypts".to_owned()));
    }
    let (kind, info) = keys::public_key(module, session, &wish.id)?
        .ok_or_else(|| refuse("no public key that is served".to_owned()))?;
    let public = x509_parser::x509::SubjectPublicKeyInfo::from_der(&info)
        .map(|(_, info)| info.subject_public_key.data.to_vec())
        .map_err(|error| refuse(error.to_string()))?;
    let key = InToken { module, session, handle, kind, decrypts, public };
    voice.doing(if wish.request { "signing the request" } else { "signing the certificate" });
    let usage = if decrypts { KeyUsagePurpose::KeyEncipherment } else { KeyUsagePurpose::DigitalSignature };
    let params = params(module, session, wish, usage)?;
    let pem = if wish.request {
        params.serialize_request(&key).and_then(|request| request.pem())
    } else {
        params.self_signed(&key).map(|certificate| certificate.pem())
    };
    let pem = pem.map_err(|error| refuse(error.to_string()))?;
    voice.say(&Reply::Certificate { id: wish.id.clone(), pem: text(&pem) });
    Ok(())
}

fn params(
    module: &Module,
    session: &Session,
    wish: &NewCertificate,
    usage: KeyUsagePurpose,
) -> Result<CertificateParams, Fault> {
    let refuse = |why: &dyn std::fmt::Display| Fault::Refused(format!("certificate: {why}"));
    let names: Vec<String> = wish.dns.iter().map(|name| name.as_str().to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(|error| refuse(&error))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, wish.common_name.as_str());
    params.key_usages = vec![usage];
    if !wish.dns.is_empty() {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }
    if !wish.request {
        // A day's grace for the clocks of others.
        let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).map_err(|error| refuse(&error))?;
        params.not_before = now - time::Duration::days(1);
        let holds = params.not_before.checked_add(time::Duration::days(i64::from(wish.days)));
        params.not_after = holds.ok_or_else(|| refuse(&"too many days"))?;
        // RFC 5280 4.1.2.2: positive, at most twenty octets; unpredictable as CA/B forum 7.1 asks.
        let mut serial = module.call(|_| session.generate_random_vec(16))?;
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        params.serial_number = Some(SerialNumber::from(serial));
    }
    Ok(params)
}

//! Whom an answer is sealed for: the certificate that signed the request. It has to be one that keys may be sealed for,
//! and that is known before anything is issued.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::auth::certificate::Certificate;
use crate::wire::unwrap::{KeyTransport, Sealed};

/// One certificate's key, for sealing.
pub(super) struct Recipient {
    key: OaepPublicEncryptingKey,
    /// SHA-1 of the certificate.
    pub(super) thumbprint: [u8; 20],
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<recipient>")
    }
}

impl Recipient {
    /// Of this certificate, where its key is RSA of at most 4096 bits and its key usage, if it has any, lets keys be
    /// sealed for it.
    pub(super) fn of(certificate: &Certificate) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(&certificate.der).ok()?;
        let allowed = read.extensions().iter().all(|extension| match extension.parsed_extension() {
            ParsedExtension::KeyUsage(usage) => usage.key_encipherment(),
            _ => true,
        });
        let key = PublicEncryptingKey::from_der(read.public_key().raw).ok().filter(|_| allowed)?;
        let key = OaepPublicEncryptingKey::new(key).ok()?;
        (key.ciphertext_size() <= 512).then_some(Self { key, thumbprint: certificate.thumbprint })
    }

    /// Seals a session key.
    pub(super) fn seal(&self, transport: KeyTransport, session: &[u8]) -> Option<Sealed> {
        let padding = match transport {
            KeyTransport::OaepSha1 => &OAEP_SHA1_MGF1SHA1,
            KeyTransport::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
        };
        let mut sealed = vec![0; self.key.ciphertext_size()];
        let length = self.key.encrypt(padding, session, &mut sealed, None).ok()?.len();
        sealed.truncate(length);
        Sealed::new(sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use rcgen::KeyUsagePurpose;

    fn certificate(pair: &rcgen::KeyPair, usages: &[KeyUsagePurpose]) -> Certificate {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.key_usages = usages.to_vec();
        Certificate::from_pem(&parameters.self_signed(pair).unwrap().pem()).unwrap()
    }

    #[test]
    fn keys_are_sealed_for_rsa_certificates_that_allow_it() {
        use KeyUsagePurpose::{DigitalSignature, KeyEncipherment};
        let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let secret = PrivateDecryptingKey::from_pkcs8(rsa.serialized_der()).unwrap();
        let secret = OaepPrivateDecryptingKey::new(secret).unwrap();
        for usages in [&[][..], &[DigitalSignature, KeyEncipherment]] {
            let certificate = certificate(&rsa, usages);
            let recipient = Recipient::of(&certificate).unwrap();
            assert_eq!(recipient.thumbprint, certificate.thumbprint);
            for (transport, padding) in
                [(KeyTransport::OaepSha1, &OAEP_SHA1_MGF1SHA1), (KeyTransport::OaepSha256, &OAEP_SHA256_MGF1SHA256)]
            {
                let sealed = recipient.seal(transport, &[7; 32]).unwrap();
                let mut opened = vec![0; secret.min_output_size()];
                assert_eq!(secret.decrypt(padding, &sealed, &mut opened, None).unwrap(), [7; 32]);
            }
        }
        assert!(Recipient::of(&certificate(&rsa, &[DigitalSignature])).is_none());
        assert!(Recipient::of(&certificate(&rcgen::KeyPair::generate().unwrap(), &[])).is_none());
    }
}

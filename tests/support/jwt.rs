//! JWTs of an issuer. Header and claims are written here as text and signed as they stand, so that nothing of the
//! product's own reader stands on both sides of a test.

use base64ct::{Base64UrlUnpadded, Encoding};
use chancery::wire::evidence::{SignatureAlgorithm, SignedJwt};
use chancery::wire::{Millis, Secret, Text};

use super::signed::Client;

/// What the issuer calls itself.
pub(crate) const CLOUD: &str = "https://login.cloud.example/";
/// What it calls us.
pub(crate) const US: &str = "https://sts.example.com/";

/// So many seconds from now, as a JWT writes it.
pub(crate) fn at(seconds: i64) -> String {
    (Millis::now().0 / 1000 + seconds).to_string()
}

/// A text as JSON has it.
pub(crate) fn text(text: &str) -> String {
    format!("\"{text}\"")
}

pub(crate) fn encoded(octets: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(octets.as_ref())
}

/// How this client signs, as JOSE calls it.
fn algorithm(by: &Client) -> &'static str {
    match by.algorithm().0 {
        SignatureAlgorithm::RsaSha256 => "RS256",
        SignatureAlgorithm::PssSha256 => "PS256",
        SignatureAlgorithm::EcdsaSha256 => "ES256",
        _ => "EdDSA",
    }
}

/// The public key of a client as a JWK, with these members besides.
pub(crate) fn jwk(of: &Client, more: &str) -> String {
    let key = of.public_key();
    let members = match algorithm(of) {
        "ES256" => {
            let (x, y) = (encoded(&key[1..33]), encoded(&key[33..]));
            format!("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{y}\"")
        }
        "EdDSA" => format!("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{}\"", encoded(key)),
        // A sequence of two numbers: 2048 bits with a zero before them, and 65537.
        _ => format!("\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"{}\"", encoded(&key[9..9 + 256])),
    };
    format!("{{{members}{more}}}")
}

/// A set of keys.
pub(crate) fn jwks(keys: &[String]) -> String {
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

/// A JWT, not yet signed: members of its header and claims, each with its value as JSON writes it.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    header: Vec<(String, String)>,
    claims: Vec<(String, String)>,
}

impl Words {
    /// A good JWT about `name`, for whoever has it.
    pub(crate) fn new(name: &str) -> Self {
        let claims = [
            ("iss", text(CLOUD)),
            ("aud", text(US)),
            ("sub", text(name)),
            ("iat", at(0)),
            ("exp", at(300)),
            ("auth_time", at(-600)),
        ];
        Self { header: Vec::new(), claims: claims.map(|(name, value)| (name.to_owned(), value)).to_vec() }
    }

    /// With another value of a claim, or a claim more.
    pub(crate) fn but(mut self, name: &str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.claims.push((name.to_owned(), value.into()));
        self
    }

    /// Without a claim.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.retain(|(other, _)| other != name);
        self
    }

    /// With a claim more, whether there is one of that name or not.
    pub(crate) fn and(mut self, name: &str, value: impl Into<String>) -> Self {
        self.claims.push((name.to_owned(), value.into()));
        self
    }

    /// With a member more in the header.
    pub(crate) fn headed(mut self, name: &str, value: impl Into<String>) -> Self {
        self.header.push((name.to_owned(), value.into()));
        self
    }

    /// The header by which this key signs.
    pub(crate) fn header(&self, by: &Client) -> String {
        object(&[("alg".to_owned(), text(algorithm(by)))], &self.header)
    }

    pub(crate) fn claims(&self) -> String {
        object(&self.claims, &[])
    }

    /// The compact serialisation, signed by this key.
    pub(crate) fn signed(&self, by: &Client) -> String {
        compact(&self.header(by), &self.claims(), by)
    }
}

fn object(first: &[(String, String)], second: &[(String, String)]) -> String {
    let members: Vec<_> = first.iter().chain(second).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// These octets as header and claims, signed as they stand.
pub(crate) fn compact(header: &str, claims: &str, by: &Client) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    format!("{signed}.{}", encoded(by.sign(signed.as_bytes())))
}

/// What a worker makes of a JWT that says it is of the cloud, signed by such a key.
pub(crate) fn handed_on(jwt: &str, by: &Client) -> SignedJwt {
    SignedJwt {
        issuer: Text::new(CLOUD).expect("fits"),
        algorithm: by.algorithm().0,
        octets: Secret::new(jwt.as_bytes()).expect("fits"),
    }
}

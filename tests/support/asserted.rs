//! Assertions of a partner. The octets are written here in canonical form by hand and signed as they stand, so that
//! nothing of the product's own writer or canonicaliser stands on both sides of a test.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use chancery::trust::instant;
use chancery::wire::evidence::SignedAssertion;
use chancery::wire::{Millis, Octets, Secret, Text};

use super::signed::{Client, DS, EXCLUSIVE};

/// What the partner calls itself.
pub(crate) const ISSUER: &str = "https://idp.agency.example/saml";
/// What it calls us.
pub(crate) const AUDIENCE: &str = "https://sts.example.com/";
pub(crate) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// An attribute that names its subject, too.
pub(crate) const UPN: &str = "http://schemas.xmlsoap.org/claims/UPN";

/// So many seconds from now, as an assertion writes it.
pub(crate) fn at(seconds: i64) -> String {
    instant::format(Millis::now().plus(seconds * 1000))
}

/// An id that no other assertion has.
pub(crate) fn id() -> String {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).expect("the kernel has randomness");
    format!("_{:032x}", u128::from_be_bytes(octets))
}

/// An assertion, not yet signed, in canonical form; a test may put other words into it.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub(crate) id: String,
    pub(crate) octets: String,
}

impl Words {
    /// A good SAML 2.0 assertion about `name`.
    pub(crate) fn saml20(name: &str) -> Self {
        let (id, now, authenticated) = (id(), at(0), at(-600));
        let (earlier, end) = (at(-60), at(300));
        let octets = format!(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{id}\" IssueInstant=\"{now}\" \
             Version=\"2.0\"><saml:Issuer>{ISSUER}</saml:Issuer><saml:Subject>\
             <saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">{name}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"{BEARER}\">\
             <saml:SubjectConfirmationData NotOnOrAfter=\"{end}\"></saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{earlier}\" NotOnOrAfter=\"{end}\"><saml:AudienceRestriction>\
             <saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{authenticated}\"><saml:AuthnContext><saml:AuthnContextClassRef>\
             urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml:AuthnContextClassRef></saml:AuthnContext>\
             </saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name=\"{UPN}\"><saml:AttributeValue>\
             {name}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"
        );
        Self { id, octets }
    }

    /// A good SAML 1.1 assertion about `name`.
    pub(crate) fn saml11(name: &str) -> Self {
        let (id, now, authenticated) = (id(), at(0), at(-600));
        let (earlier, end) = (at(-60), at(300));
        let subject = format!(
            "<saml:Subject><saml:NameIdentifier>{name}</saml:NameIdentifier><saml:SubjectConfirmation>\
             <saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod>\
             </saml:SubjectConfirmation></saml:Subject>"
        );
        let octets = format!(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\" AssertionID=\"{id}\" \
             IssueInstant=\"{now}\" Issuer=\"{ISSUER}\" MajorVersion=\"1\" MinorVersion=\"1\">\
             <saml:Conditions NotBefore=\"{earlier}\" NotOnOrAfter=\"{end}\"><saml:AudienceRestrictionCondition>\
             <saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions>\
             <saml:AttributeStatement>{subject}<saml:Attribute AttributeName=\"UPN\" \
             AttributeNamespace=\"http://schemas.xmlsoap.org/claims\"><saml:AttributeValue>{name}\
             </saml:AttributeValue></saml:Attribute></saml:AttributeStatement>\
             <saml:AuthenticationStatement AuthenticationInstant=\"{authenticated}\" \
             AuthenticationMethod=\"urn:oasis:names:tc:SAML:1.0:am:password\">{subject}\
             </saml:AuthenticationStatement></saml:Assertion>"
        );
        Self { id, octets }
    }

    /// With other words, which must have been there.
    #[track_caller]
    pub(crate) fn but(self, from: &str, to: &str) -> Self {
        assert!(self.octets.contains(from), "{from:?} is not in {}", self.octets);
        Self { octets: self.octets.replace(from, to), ..self }
    }

    /// With more behind the first place where `after` stands.
    #[track_caller]
    pub(crate) fn and(self, after: &str, more: &str) -> Self {
        assert!(self.octets.contains(after), "{after:?} is not in {}", self.octets);
        Self { octets: self.octets.replacen(after, &format!("{after}{more}"), 1), ..self }
    }

    /// With another value of an attribute of an element, which must have been there.
    #[track_caller]
    pub(crate) fn attribute(self, element: &str, name: &str, value: &str) -> Self {
        let element = self.octets.find(&format!("<saml:{element} ")).expect("such an element");
        let name = format!(" {name}=\"");
        let from = element + self.octets[element..].find(&name).expect("such an attribute") + name.len();
        let to = from + self.octets[from..].find('"').expect("its end");
        Self { octets: format!("{}{value}{}", &self.octets[..from], &self.octets[to..]), ..self }
    }

    /// What stands from one place to the next behind it where another begins.
    pub(crate) fn part(&self, from: &str, to: &str) -> String {
        let from = self.octets.find(from).expect("there");
        let length = self.octets[from..].find(to).expect("behind it");
        self.octets[from..from + length].to_owned()
    }

    /// `ds:SignedInfo` over it, canonical, by the transforms of the standard.
    pub(crate) fn signed_info(&self, by: &Client) -> String {
        let (method, value) = (by.algorithm().1, digest(&SHA256, self.octets.as_bytes()));
        format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform Algorithm=\"{DS}enveloped-signature\">\
             </ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            self.id,
            Base64::encode_string(value.as_ref())
        )
    }

    /// It with the signature at its place, as a client has it.
    pub(crate) fn xml(&self, by: &Client) -> String {
        let info = self.signed_info(by);
        let value = Base64::encode_string(&by.sign(info.as_bytes()));
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
        );
        let (behind, place) = match self.octets.split_once("</saml:Issuer>") {
            Some(_) => ("</saml:Issuer>", format!("</saml:Issuer>{signature}")),
            None => ("</saml:Assertion>", format!("{signature}</saml:Assertion>")),
        };
        self.octets.replacen(behind, &place, 1)
    }

    /// What a worker makes of it when this key has signed it.
    pub(crate) fn signed(&self, by: &Client) -> SignedAssertion {
        self.signed_as(by, &self.signed_info(by))
    }

    /// The same with a `SignedInfo` of one's own wording.
    pub(crate) fn signed_as(&self, by: &Client, signed_info: &str) -> SignedAssertion {
        SignedAssertion {
            issuer: Text::new(ISSUER).expect("fits"),
            algorithm: by.algorithm().0,
            signed_info: Octets::new(signed_info.as_bytes()).expect("fits"),
            value: Octets::new(by.sign(signed_info.as_bytes())).expect("fits"),
            octets: Secret::new(self.octets.as_bytes()).expect("fits"),
        }
    }
}

//! SAML 1.1 assertions (saml.md 4.2, 4.3) the way AD FS writes them: prefix `saml`, `Conditions` first,
//! attributes before the authentication, the signature last, the same subject in every statement. It writes
//! no `DoNotCacheCondition`, which WIF refuses (R-S008).

use super::values::{authentication_method, instant, key_info, name_format, split_claim};
use super::{Assertion, Written};
use crate::wire::order::Confirmation;
use crate::xml::{Writer, names};

/// Writes the assertion in canonical form, its signature's place noted. None when a claim's URI does not
/// split into namespace and name, which `config::issuer` does not let pass for a party of SAML 1.1.
#[must_use]
pub fn write(assertion: &Assertion<'_>) -> Option<Written> {
    let mut xml = Writer::new();
    xml.open("saml:Assertion")
        .namespace("saml", names::SAML11)
        .attribute("AssertionID", assertion.id.as_str())
        .attribute("IssueInstant", &instant(assertion.issued))
        .attribute("Issuer", assertion.issuer)
        .attribute("MajorVersion", "1")
        .attribute("MinorVersion", "1")
        .open("saml:Conditions")
        .attribute("NotBefore", &instant(assertion.not_before))
        .attribute("NotOnOrAfter", &instant(assertion.expires))
        .open("saml:AudienceRestrictionCondition");
    for audience in assertion.audience {
        xml.leaf("saml:Audience", audience);
    }
    xml.close().close();
    attributes(&mut xml, assertion)?;
    xml.open("saml:AuthenticationStatement")
        .attribute("AuthenticationInstant", &instant(assertion.authentication.instant))
        .attribute("AuthenticationMethod", authentication_method(assertion.authentication.method));
    subject(&mut xml, assertion);
    xml.close();
    let signature_at = xml.position();
    xml.close();
    Some(Written { canonical: xml.finish(), id: assertion.id.clone(), signature_at, unused_declaration: None })
}

fn subject(xml: &mut Writer, assertion: &Assertion<'_>) {
    let method = match assertion.confirmation {
        Confirmation::Bearer => "urn:oasis:names:tc:SAML:1.0:cm:bearer",
        Confirmation::HolderOfKey { .. } => "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key",
    };
    xml.open("saml:Subject")
        .open("saml:NameIdentifier")
        .attribute("Format", name_format(assertion.subject.format))
        .text(&assertion.subject.name)
        .close()
        .open("saml:SubjectConfirmation")
        .leaf("saml:ConfirmationMethod", method);
    if let Confirmation::HolderOfKey { certificate } = assertion.confirmation {
        key_info(&mut *xml, certificate);
    }
    xml.close().close();
}

fn attributes(xml: &mut Writer, assertion: &Assertion<'_>) -> Option<()> {
    let mut claims = assertion.claims.iter().filter(|claim| !claim.values.is_empty()).peekable();
    if claims.peek().is_none() {
        return Some(());
    }
    xml.open("saml:AttributeStatement");
    subject(xml, assertion);
    for claim in claims {
        let (namespace, name) = split_claim(&claim.uri)?;
        xml.open("saml:Attribute").attribute("AttributeName", name).attribute("AttributeNamespace", namespace);
        for value in claim.values.iter() {
            xml.leaf("saml:AttributeValue", value);
        }
        xml.close();
    }
    xml.close();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::examples::Example;
    use crate::wire::{Octets, Text};

    #[test]
    fn the_shape_is_the_one_ad_fs_writes_to_the_byte() {
        let example = Example::new();
        let written = write(&example.assertion()).unwrap();
        let subject = concat!(
            "<saml:Subject>",
            "<saml:NameIdentifier Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">",
            "alice&lt;&amp;&gt;\"&#xD;@example.com</saml:NameIdentifier><saml:SubjectConfirmation>",
            "<saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod>",
            "</saml:SubjectConfirmation></saml:Subject>",
        );
        let expected = [
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\"",
            " AssertionID=\"_abababababababababababababababab\" IssueInstant=\"2013-11-15T03:08:25.221Z\"",
            " Issuer=\"http://sts.example.com/adfs/services/trust?a=1&amp;b=2\" MajorVersion=\"1\"",
            " MinorVersion=\"1\"><saml:Conditions NotBefore=\"2013-11-15T03:07:25.221Z\"",
            " NotOnOrAfter=\"2013-11-15T04:08:25.221Z\"><saml:AudienceRestrictionCondition>",
            "<saml:Audience>urn:federation:MicrosoftOnline</saml:Audience></saml:AudienceRestrictionCondition>",
            "</saml:Conditions><saml:AttributeStatement>",
            subject,
            "<saml:Attribute AttributeName=\"UPN\" AttributeNamespace=\"http://schemas.xmlsoap.org/claims\">",
            "<saml:AttributeValue>alice@example.com</saml:AttributeValue></saml:Attribute>",
            "<saml:Attribute AttributeName=\"Group\" AttributeNamespace=\"http://schemas.xmlsoap.org/claims\">",
            "<saml:AttributeValue>a &amp; b</saml:AttributeValue>",
            "<saml:AttributeValue>&lt;c&gt;</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>",
            "<saml:AuthenticationStatement AuthenticationInstant=\"2013-11-15T03:08:25.174Z\"",
            " AuthenticationMethod=\"urn:oasis:names:tc:SAML:1.0:am:password\">",
            subject,
            "</saml:AuthenticationStatement></saml:Assertion>",
        ]
        .concat();
        assert_eq!(written.canonical(), expected);
        assert_eq!(&expected[written.signature_at..], "</saml:Assertion>", "R-S013");
    }

    #[test]
    fn a_key_is_bound_in_every_statement_r_s005() {
        let mut example = Example::new();
        example.confirmation = Confirmation::HolderOfKey { certificate: Octets::new([0, 1, 2]).unwrap() };
        let written = write(&example.assertion()).unwrap();
        let expected = concat!(
            "<saml:SubjectConfirmation>",
            "<saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:holder-of-key</saml:ConfirmationMethod>",
            "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>",
            "<ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data></ds:KeyInfo></saml:SubjectConfirmation>",
        );
        assert_eq!(written.canonical().matches(expected).count(), 2, "{}", written.canonical());
    }

    #[test]
    fn a_claim_that_does_not_split_is_not_written() {
        let mut example = Example::new();
        example.claims[0].uri = Text::new("urn:mail").unwrap();
        assert!(write(&example.assertion()).is_none());
    }
}

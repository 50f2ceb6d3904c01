//! SAML 2.0 assertions (saml.md 4.1, 4.3). Unprefixed, because clients search for `<Assertion `, and with an
//! unused `xmlns:saml` in what is released, because MSAL for Go tells the version by it. It writes no
//! `OneTimeUse` and no `Recipient`, which WIF refuses (R-S004, R-S008), and no type of a value, for a prefix in
//! one is not covered by a digest.

use super::values::{context_class, instant, key_info, name_format};
use super::{Assertion, Written};
use crate::wire::order::{Confirmation, NameFormat};
use crate::xml::{Writer, names};

const OPENING: &str = "<Assertion xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
const UNUSED: &str = " xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";

/// Writes the assertion in canonical form, its signature's place noted.
#[must_use]
pub fn write(assertion: &Assertion<'_>) -> Written {
    let mut xml = Writer::new();
    xml.open("Assertion")
        .namespace("", names::SAML20)
        .attribute("ID", assertion.id.as_str())
        .attribute("IssueInstant", &instant(assertion.issued))
        .attribute("Version", "2.0")
        .leaf("Issuer", assertion.issuer);
    let signature_at = xml.position();
    subject(&mut xml, assertion);
    xml.open("Conditions")
        .attribute("NotBefore", &instant(assertion.not_before))
        .attribute("NotOnOrAfter", &instant(assertion.expires))
        .open("AudienceRestriction");
    for audience in assertion.audience {
        xml.leaf("Audience", audience);
    }
    xml.close().close();
    attributes(&mut xml, assertion);
    xml.open("AuthnStatement")
        .attribute("AuthnInstant", &instant(assertion.authentication.instant))
        .open("AuthnContext")
        .leaf("AuthnContextClassRef", context_class(assertion.authentication.method))
        .close()
        .close()
        .close();
    let canonical = xml.finish();
    debug_assert!(canonical.starts_with(OPENING), "the unused declaration has its place");
    Written { canonical, id: assertion.id.clone(), signature_at, unused_declaration: Some((OPENING.len(), UNUSED)) }
}

fn subject(xml: &mut Writer, assertion: &Assertion<'_>) {
    let subject = assertion.subject;
    xml.open("Subject").open("NameID").attribute("Format", name_format(subject.format));
    if subject.format == NameFormat::Persistent {
        xml.attribute("NameQualifier", assertion.issuer);
        if let [audience, ..] = assertion.audience {
            xml.attribute("SPNameQualifier", audience);
        }
    }
    xml.text(&subject.name).close();
    let method = match assertion.confirmation {
        Confirmation::Bearer => "urn:oasis:names:tc:SAML:2.0:cm:bearer",
        Confirmation::HolderOfKey { .. } => "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key",
    };
    xml.open("SubjectConfirmation").attribute("Method", method).open("SubjectConfirmationData");
    xml.attribute("NotOnOrAfter", &instant(assertion.expires));
    if let Confirmation::HolderOfKey { certificate } = assertion.confirmation {
        // The type's name is in the default namespace, which every element around it uses (R-S005, A-04b).
        xml.namespace("xsi", names::XSI).attribute("xsi:type", "KeyInfoConfirmationDataType");
        key_info(&mut *xml, certificate);
    }
    xml.close().close().close();
}

fn attributes(xml: &mut Writer, assertion: &Assertion<'_>) {
    let mut claims = assertion.claims.iter().filter(|claim| !claim.values.is_empty()).peekable();
    if claims.peek().is_none() {
        return;
    }
    xml.open("AttributeStatement");
    for claim in claims {
        xml.open("Attribute").attribute("Name", &claim.uri);
        for value in claim.values.iter() {
            xml.leaf("AttributeValue", value);
        }
        xml.close();
    }
    xml.close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::examples::Example;
    use crate::wire::Octets;

    #[test]
    fn the_shape_is_the_one_clients_expect_to_the_byte() {
        let example = Example::new();
        let written = write(&example.assertion());
        let expected = concat!(
            "<Assertion xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_abababababababababababababababab\"",
            " IssueInstant=\"2013-11-15T03:08:25.221Z\" Version=\"2.0\">",
            "<Issuer>http://sts.example.com/adfs/services/trust?a=1&amp;b=2</Issuer>",
            "<Subject><NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">",
            "alice&lt;&amp;&gt;\"&#xD;@example.com</NameID>",
            "<SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">",
            "<SubjectConfirmationData NotOnOrAfter=\"2013-11-15T04:08:25.221Z\"></SubjectConfirmationData>",
            "</SubjectConfirmation></Subject>",
            "<Conditions NotBefore=\"2013-11-15T03:07:25.221Z\" NotOnOrAfter=\"2013-11-15T04:08:25.221Z\">",
            "<AudienceRestriction><Audience>urn:federation:MicrosoftOnline</Audience></AudienceRestriction>",
            "</Conditions><AttributeStatement>",
            "<Attribute Name=\"http://schemas.xmlsoap.org/claims/UPN\">",
            "<AttributeValue>alice@example.com</AttributeValue></Attribute>",
            "<Attribute Name=\"http://schemas.xmlsoap.org/claims/Group\"><AttributeValue>a &amp; b</AttributeValue>",
            "<AttributeValue>&lt;c&gt;</AttributeValue></Attribute></AttributeStatement>",
            "<AuthnStatement AuthnInstant=\"2013-11-15T03:08:25.174Z\"><AuthnContext><AuthnContextClassRef>",
            "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            "</AuthnContextClassRef></AuthnContext></AuthnStatement></Assertion>",
        );
        assert_eq!(written.canonical(), expected);
        assert!(expected[..written.signature_at].ends_with("</Issuer>"), "R-S013");
    }

    #[test]
    fn a_key_is_bound_by_its_certificate_r_s005() {
        let mut example = Example::new();
        example.confirmation = Confirmation::HolderOfKey { certificate: Octets::new([0, 1, 2]).unwrap() };
        let written = write(&example.assertion());
        let expected = concat!(
            "<SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:holder-of-key\">",
            "<SubjectConfirmationData xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"",
            " NotOnOrAfter=\"2013-11-15T04:08:25.221Z\" xsi:type=\"KeyInfoConfirmationDataType\">",
            "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>",
            "<ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
            "</SubjectConfirmationData></SubjectConfirmation></Subject>",
        );
        assert!(written.canonical().contains(expected), "{}", written.canonical());
    }

    #[test]
    fn a_persistent_name_is_qualified_r_s012() {
        let mut example = Example::new();
        example.subject.format = NameFormat::Persistent;
        let written = write(&example.assertion());
        assert!(written.canonical().contains(concat!(
            "nameid-format:persistent\" NameQualifier=\"http://sts.example.com/adfs/services/trust?a=1&amp;b=2\"",
            " SPNameQualifier=\"urn:federation:MicrosoftOnline\">"
        )));
    }

    #[test]
    fn an_assertion_without_claims_has_no_attribute_statement_r_s011() {
        let mut example = Example::new();
        example.claims.retain(|claim| claim.values.is_empty());
        assert!(!write(&example.assertion()).canonical().contains("Attribute"));
    }
}

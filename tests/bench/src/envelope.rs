//! The requests of a row's clients. They are written in canonical form by hand; what does not change from one request
//! to the next is written, and digested, once, so that little of what is measured is the clients' own.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hyper::body::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Outcome;
use crate::credential::{Credential, Key, PARTNER, US, address};

const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const WSA: &str = "http://www.w3.org/2005/08/addressing";
const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const TEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A request, but for its message id and for what signs that.
pub(crate) struct Envelope {
    /// Up to the message id, and behind it.
    before: String,
    after: String,
    signer: Option<Signer>,
}

/// A client that signs each request.
struct Signer {
    key: Key,
    /// `SignedInfo` up to the digest of the message id's element, and behind it.
    before: String,
    after: String,
    /// What stands where the signature goes, in `Envelope::after`.
    certificate: String,
}

/// Where the signature goes.
const HERE: &str = "<here/>";

impl Envelope {
    /// The request of a client who asks for tokens for this relying party.
    pub(crate) fn new(
        kind: Credential,
        key: Option<Key>,
        (user, password): (&str, &str),
        applies_to: &str,
    ) -> Outcome<Self> {
        let now = OffsetDateTime::now_utc().replace_nanosecond(0)?;
        let at = |minutes| Outcome::Ok((now + time::Duration::minutes(minutes)).format(&Rfc3339)?);
        let (created, expires) = (at(0)?, at(5)?);
        let timestamp = format!(
            "<u:Timestamp xmlns:u=\"{WSU}\" u:Id=\"t\"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires>\
             </u:Timestamp>"
        );
        let to = format!("<a:To xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\" u:Id=\"to\">{}</a:To>", address(kind));
        let action = format!(
            "<a:Action xmlns:a=\"{WSA}\" xmlns:s=\"{SOAP}\" xmlns:u=\"{WSU}\" u:Id=\"act\" s:mustUnderstand=\"1\">\
             {TRUST}/RST/Issue</a:Action>"
        );
        let reply_to = format!(
            "<a:ReplyTo xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\" u:Id=\"r\"><a:Address>{WSA}/anonymous</a:Address></a:ReplyTo>"
        );
        let body = format!(
            "<s:Body xmlns:s=\"{SOAP}\" xmlns:u=\"{WSU}\" u:Id=\"b\"><t:RequestSecurityToken xmlns:t=\"{TRUST}\">\
             <t:RequestType>{TRUST}/Issue</t:RequestType>\
             <p:AppliesTo xmlns:p=\"http://schemas.xmlsoap.org/ws/2004/09/policy\"><a:EndpointReference xmlns:a=\"{WSA}\">\
             <a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo><t:KeyType>{TRUST}/Bearer</t:KeyType>\
             </t:RequestSecurityToken></s:Body>"
        );
        let proof = match (kind, &key) {
            (Credential::Password | Credential::Directory, _) => format!(
                "<o:UsernameToken u:Id=\"_1\"><o:Username>{user}</o:Username><o:Password Type=\"{TEXT}\">{password}\
                 </o:Password></o:UsernameToken>"
            ),
            (Credential::Saml, Some(key)) => assertion(key, &at)?,
            (Credential::Jwt, Some(key)) => {
                let jwt = Base64::encode_string(jwt(key, now.unix_timestamp())?.as_bytes());
                format!("<o:BinarySecurityToken ValueType=\"{JWT}\">{jwt}</o:BinarySecurityToken>")
            }
            (Credential::Signature | Credential::Issued, _) => HERE.to_owned(),
            _ => String::new(),
        };
        let before = format!(
            "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\"><s:Header>\
             {action}{reply_to}{to}"
        );
        let after = format!(
            "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"{WSSE}\">{timestamp}{proof}</o:Security></s:Header>{body}\
             </s:Envelope>"
        );
        let signer = match (kind, key) {
            (Credential::Signature | Credential::Issued, Some(key)) => {
                let signed = [("t", &timestamp), ("act", &action), ("r", &reply_to), ("to", &to), ("b", &body)];
                Some(Signer::new(key, &signed))
            }
            _ => None,
        };
        Ok(Self { before, after, signer })
    }

    /// One that no other is.
    pub(crate) fn body(&self, client: usize, sent: usize) -> Outcome<Bytes> {
        let id = format!(
            "<a:MessageID xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\" u:Id=\"m\">urn:uuid:{client:08x}-0000-4000-8000-{sent:012x}\
             </a:MessageID>"
        );
        let after = match &self.signer {
            Some(signer) => self.after.replacen(HERE, &signer.over(&id)?, 1),
            None => self.after.clone(),
        };
        Ok(Bytes::from(format!("{}{id}{after}", self.before)))
    }
}

/// What is digested by SHA-256, in base64.
fn digested(octets: &str) -> String {
    Base64::encode_string(digest(&SHA256, octets.as_bytes()).as_ref())
}

/// A reference up to the value of its digest, and what follows that.
fn reference(id: &str, enveloped: &str) -> (String, &'static str) {
    let before = format!(
        "<ds:Reference URI=\"#{id}\"><ds:Transforms>{enveloped}<ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>\
         </ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
         <ds:DigestValue>"
    );
    (before, "</ds:DigestValue></ds:Reference>")
}

fn signed_info() -> String {
    format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"></ds:SignatureMethod>"
    )
}

impl Signer {
    fn new(key: Key, parts: &[(&str, &String)]) -> Self {
        let mut before = signed_info();
        for (id, octets) in parts {
            let (first, last) = reference(id, "");
            before.push_str(&format!("{first}{}{last}", digested(octets)));
        }
        let (first, last) = reference("m", "");
        let certificate = Base64::encode_string(&key.certificate);
        Self { key, before: before + &first, after: format!("{last}</ds:SignedInfo>"), certificate }
    }

    /// The certificate and the signature of a request whose message id is in this element.
    fn over(&self, id: &str) -> Outcome<String> {
        let info = format!("{}{}{}", self.before, digested(id), self.after);
        let value = Base64::encode_string(&self.key.sign(info.as_bytes())?);
        let certificate = &self.certificate;
        Ok(format!(
            "<o:BinarySecurityToken u:Id=\"c\" ValueType=\"{X509}\">{certificate}</o:BinarySecurityToken>\
             <ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>\
             <o:SecurityTokenReference><o:Reference URI=\"#c\" ValueType=\"{X509}\"/></o:SecurityTokenReference>\
             </ds:KeyInfo></ds:Signature>"
        ))
    }
}

/// A bearer assertion about the visitor.
fn assertion(key: &Key, at: &impl Fn(i64) -> Outcome<String>) -> Outcome<String> {
    let (now, earlier, end) = (at(0)?, at(-1)?, at(30)?);
    let octets = format!(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_a\" IssueInstant=\"{now}\" \
         Version=\"2.0\"><saml:Issuer>{PARTNER}</saml:Issuer><saml:Subject><saml:NameID>visitor@idp.example</saml:NameID>\
         <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData \
         NotOnOrAfter=\"{end}\"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>\
         <saml:Conditions NotBefore=\"{earlier}\" NotOnOrAfter=\"{end}\"><saml:AudienceRestriction><saml:Audience>{US}\
         </saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant=\"{earlier}\">\
         <saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509\
         </saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement></saml:Assertion>"
    );
    let enveloped = format!("<ds:Transform Algorithm=\"{DS}enveloped-signature\"></ds:Transform>");
    let (first, last) = reference("_a", &enveloped);
    let info = format!("{}{first}{}{last}</ds:SignedInfo>", signed_info(), digested(&octets));
    let value = Base64::encode_string(&key.sign(info.as_bytes())?);
    let signature =
        format!("<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>");
    Ok(octets.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1))
}

/// A JWT about the guest.
fn jwt(key: &Key, now: i64) -> Outcome<String> {
    let claims = format!(
        "{{\"iss\":\"{PARTNER}\",\"aud\":\"{US}\",\"sub\":\"guest@idp.example\",\"iat\":{now},\"exp\":{},\"auth_time\":{}}}",
        now + 1800,
        now - 60
    );
    let [header, claims] =
        ["{\"alg\":\"ES256\"}", &claims].map(|part| Base64UrlUnpadded::encode_string(part.as_bytes()));
    let signed = format!("{header}.{claims}");
    let value = Base64UrlUnpadded::encode_string(&key.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{value}"))
}

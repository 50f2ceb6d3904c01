//! A signature beside what it is over, as we write it for answers: exclusive canonical form the only transform, SHA-256
//! the only digest, and nothing enveloped. Whoever calls says ids and digests; no octets of anybody's come in.

use base64ct::{Base64, Encoding};

use super::{Writer, names};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// `ds:SignedInfo` over the elements of these ids, canonical as it stands.
#[must_use]
pub fn signed_info<'p>(method: &str, parts: impl IntoIterator<Item = (&'p str, &'p [u8; 32])>) -> String {
    let mut writer = Writer::new();
    writer.open("ds:SignedInfo").namespace("ds", names::DS);
    writer.open("ds:CanonicalizationMethod").attribute("Algorithm", EXCLUSIVE).close();
    writer.open("ds:SignatureMethod").attribute("Algorithm", method).close();
    for (id, digest) in parts {
        writer.open("ds:Reference").attribute("URI", &format!("#{id}"));
        writer.open("ds:Transforms").open("ds:Transform").attribute("Algorithm", EXCLUSIVE).close().close();
        writer.open("ds:DigestMethod").attribute("Algorithm", SHA256).close();
        writer.leaf("ds:DigestValue", &Base64::encode_string(digest)).close();
    }
    writer.close();
    writer.finish()
}

/// `ds:Signature` with that inside; `key` writes what the `wsse:SecurityTokenReference` of its key holds.
#[must_use]
pub fn signature(signed_info: &str, value: &[u8], key: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::for_envelope();
    writer.open("ds:Signature").namespace("ds", names::DS).verbatim(signed_info);
    writer.leaf("ds:SignatureValue", &Base64::encode_string(value)).open("ds:KeyInfo");
    writer.open("wsse:SecurityTokenReference").namespace("wsse", names::WSSE);
    key(&mut writer);
    writer.close().close().close();
    writer.finish()
}

//! Answers, to the byte. AD FS clients find their way by prefix, position and regular expression
//! (clients.md 2.0), so the `adfs` profile keeps the prefixes and the order AD FS has; `generic` uses the
//! standards' own. Neither ever writes white space between elements, and the token goes in verbatim.

use base64ct::{Base64, Encoding};

use super::Reply;
use super::fault::{Family, Fault};
use super::inquiry::Description;
use super::not_understood;
use super::shape::{Addressing, Shape, Soap};
use crate::config::worker::Profile;
use crate::trust::identifiers::{self, Trust};
use crate::trust::instant;
use crate::wire::order::Release;
use crate::wire::reply::ReplyPart;
use crate::wire::{Correlation, Millis};
use crate::xml::{Writer, names};

/// How long a reply may travel, milliseconds (R-W090).
const REPLY_LIFETIME: i64 = 5 * 60 * 1000;
/// The `wsu:Id` of a timestamp that nothing covers: AD FS's.
const UNCOVERED_TIMESTAMP: &str = "_0";

/// The prefixes of a profile.
struct Prefixes {
    soap: &'static str,
    addressing: &'static str,
    security: &'static str,
    security11: &'static str,
    utility: &'static str,
    trust: &'static str,
    /// Of a code in a fault.
    code: &'static str,
    language: &'static str,
}

fn prefixes(shape: &Shape) -> Prefixes {
    match shape.profile {
        Profile::Adfs => Prefixes {
            soap: "s",
            addressing: "a",
            security: "o",
            security11: "k",
            utility: "u",
            trust: if shape.trust == Trust::V13 { "trust" } else { "t" },
            code: "a",
            language: "en-US",
        },
        Profile::Generic => Prefixes {
            soap: "soap",
            addressing: "wsa",
            security: "wsse",
            security11: "wsse11",
            utility: "wsu",
            trust: "wst",
            code: "code",
            language: "en",
        },
    }
}

/// The version of addressing to answer in: AD FS always does, others when they were asked so (R-T151).
fn addressing(shape: &Shape) -> Option<Addressing> {
    match shape.profile {
        Profile::Adfs => Some(shape.addressing.unwrap_or(Addressing::W3c)),
        Profile::Generic => shape.addressing,
    }
}

/// The answer with a token (R-T060 to R-T066).
pub(super) fn released(shape: &Shape, release: &Release, now: Millis) -> Reply {
    let Ok(token) = std::str::from_utf8(&release.token) else {
        return fault(shape, Fault::RequestFailed, release.correlation, now);
    };
    let prefixes = prefixes(shape);
    let mut writer = Writer::for_envelope();
    open_envelope(&mut writer, shape, &prefixes, (shape.trust.final_action(), ""), release.correlation, now);
    if shape.trust == Trust::V13 {
        writer.open_in(prefixes.trust, "RequestSecurityTokenResponseCollection");
        writer.namespace(prefixes.trust, shape.trust.namespace());
        writer.open_in(prefixes.trust, "RequestSecurityTokenResponse");
    } else {
        writer.open_in(prefixes.trust, "RequestSecurityTokenResponse");
        writer.namespace(prefixes.trust, shape.trust.namespace());
    }
    if let Some(context) = &shape.context {
        writer.attribute("Context", context);
    }
    let parts = Parts { shape, release, token, prefixes: &prefixes };
    match shape.profile {
        Profile::Adfs => {
            parts.lifetime(&mut writer);
            parts.applies_to(&mut writer);
            parts.token(&mut writer);
            parts.references(&mut writer);
            parts.token_type(&mut writer);
            parts.request_type(&mut writer);
            parts.key_type(&mut writer);
        }
        Profile::Generic => {
            parts.token_type(&mut writer);
            parts.request_type(&mut writer);
            parts.token(&mut writer);
            parts.applies_to(&mut writer);
            parts.references(&mut writer);
            parts.lifetime(&mut writer);
            parts.key_type(&mut writer);
        }
    }
    writer.close();
    if shape.trust == Trust::V13 {
        writer.close();
    }
    sealed(writer, shape, 200, None)
}

/// The answer with a description, or with none where we have no such one.
pub(super) fn described(
    shape: &Shape,
    action: &str,
    description: Option<&Description>,
    correlation: Correlation,
    now: Millis,
) -> Reply {
    let mut writer = Writer::for_envelope();
    open_envelope(&mut writer, shape, &prefixes(shape), (action, ""), correlation, now);
    writer.open("mex:Metadata").namespace("mex", names::MEX);
    if let Some(Description { wsdl, identifier }) = description {
        writer.open("mex:MetadataSection").attribute("Dialect", names::WSDL).attribute("Identifier", identifier);
        writer.verbatim(wsdl).close();
    }
    writer.close();
    sealed(writer, shape, 200, None)
}

/// The parts of a `wst:RequestSecurityTokenResponse`.
struct Parts<'p> {
    shape: &'p Shape,
    release: &'p Release,
    token: &'p str,
    prefixes: &'p Prefixes,
}

impl Parts<'_> {
    fn leaf(&self, writer: &mut Writer, local: &'static str, text: &str) {
        writer.leaf_in(self.prefixes.trust, local, text);
    }

    fn token_type(&self, writer: &mut Writer) {
        let kind = self.release.token_type;
        let spelling = match (self.shape.asked, self.shape.profile) {
            (Some(asked), _) if asked.token_type == kind => asked.spelling,
            (_, Profile::Adfs) => identifiers::adfs_token_type_uri(kind),
            (_, Profile::Generic) => identifiers::token_type_uri(kind),
        };
        self.leaf(writer, "TokenType", spelling);
    }

    fn request_type(&self, writer: &mut Writer) {
        self.leaf(writer, "RequestType", &self.shape.trust.request_type());
    }

    fn key_type(&self, writer: &mut Writer) {
        self.leaf(writer, "KeyType", self.shape.trust.key_type_uri(self.shape.key_type));
    }

    fn token(&self, writer: &mut Writer) {
        writer.open_in(self.prefixes.trust, "RequestedSecurityToken").verbatim(self.token).close();
    }

    fn lifetime(&self, writer: &mut Writer) {
        writer.open_in(self.prefixes.trust, "Lifetime");
        for (name, instant) in [("wsu:Created", self.release.created), ("wsu:Expires", self.release.expires)] {
            writer.open(name).namespace("wsu", names::WSU).text(&instant::format(instant)).close();
        }
        writer.close();
    }

    fn applies_to(&self, writer: &mut Writer) {
        let Some(address) = &self.shape.applies_to else { return };
        let namespace = addressing(self.shape).unwrap_or(Addressing::W3c).namespace();
        writer.open("wsp:AppliesTo").namespace("wsp", names::WSP04);
        writer.open("wsa:EndpointReference").namespace("wsa", namespace);
        writer.leaf("wsa:Address", address).close().close();
    }

    /// The same key identifier does for a token inside the message and outside of it (R-T064).
    fn references(&self, writer: &mut Writer) {
        let kind = self.release.token_type;
        let Prefixes { trust, security, security11, .. } = *self.prefixes;
        for reference in ["RequestedAttachedReference", "RequestedUnattachedReference"] {
            writer.open_in(trust, reference).open_in(security, "SecurityTokenReference");
            writer.namespace(security11, names::WSSE11).namespace(security, names::WSSE);
            writer.attribute_in(security11, "TokenType", identifiers::token_type_uri(kind));
            writer.open_in(security, "KeyIdentifier");
            writer.attribute("ValueType", identifiers::key_identifier_type(kind));
            writer.text(&self.release.token_id).close().close().close();
        }
    }
}

/// The answer without one.
pub(super) fn fault(shape: &Shape, fault: Fault, correlation: Correlation, now: Millis) -> Reply {
    // A fault is under no MAC and not signed: it confirms nothing.
    let shape = &shape.plain();
    let prefixes = prefixes(shape);
    let wording = fault.wording();
    let own = wording.family == Family::Addressing;
    let action = addressing(shape).unwrap_or(Addressing::W3c).fault_action(own);
    let blocks = not_understood::blocks(shape, fault, prefixes.soap);
    let mut writer = Writer::for_envelope();
    open_envelope(&mut writer, shape, &prefixes, (action, &blocks), correlation, now);
    writer.open_in(prefixes.soap, "Fault");
    // The same words for the same fault, whoever asked and whatever lay behind it; only the id differs.
    let text = format!("{} ({correlation})", wording.text);
    let class = match (wording.family, wording.code, shape.soap) {
        (Family::Soap, code @ ("MustUnderstand" | "VersionMismatch"), _) => code,
        (_, _, Soap::V11) if fault.is_ours() => "Server",
        (_, _, Soap::V11) => "Client",
        (_, _, Soap::V12) if fault.is_ours() => "Receiver",
        (_, _, Soap::V12) => "Sender",
    };
    let class = format!("{}:{class}", prefixes.soap);
    match shape.soap {
        Soap::V11 => {
            if wording.family == Family::Soap {
                writer.leaf("faultcode", &class);
            } else {
                let qualified = format!("{}:{}", prefixes.code, wording.code);
                writer.open("faultcode").namespace(prefixes.code, code_namespace(shape, wording.family));
                writer.text(&qualified).close();
            }
            writer.leaf("faultstring", &text);
        }
        Soap::V12 => {
            writer.open_in(prefixes.soap, "Code").leaf_in(prefixes.soap, "Value", &class);
            // AD FS clients read the one subcode there is and stop when there is none, so even SOAP's own
            // faults have one, and no profile of theirs nests two.
            let codes = match (wording.family, wording.above, shape.profile) {
                (Family::Soap, ..) => vec!["InvalidRequest"],
                (_, Some(above), Profile::Generic) => vec![above, wording.code],
                _ => vec![wording.code],
            };
            for code in &codes {
                writer.open_in(prefixes.soap, "Subcode").open_in(prefixes.soap, "Value");
                writer.namespace(prefixes.code, code_namespace(shape, wording.family));
                writer.text(&format!("{}:{code}", prefixes.code)).close();
            }
            for _ in &codes {
                writer.close();
            }
            writer.close();
            writer.open_in(prefixes.soap, "Reason").open_in(prefixes.soap, "Text");
            writer.attribute("xml:lang", prefixes.language).text(&text).close().close();
        }
    }
    writer.close();
    sealed(writer, shape, 500, fault.retry_after_s())
}

fn code_namespace(shape: &Shape, family: Family) -> &'static str {
    match family {
        Family::Addressing => addressing(shape).unwrap_or(Addressing::W3c).namespace(),
        _ => family.namespace().unwrap_or(shape.trust.namespace()),
    }
}

/// Everything before the content of the body: with that action, and these blocks in its header besides.
fn open_envelope(
    writer: &mut Writer,
    shape: &Shape,
    prefixes: &Prefixes,
    (action, blocks): (&str, &str),
    correlation: Correlation,
    now: Millis,
) {
    let adfs = shape.profile == Profile::Adfs;
    let addressing = addressing(shape);
    let timestamp = adfs || shape.timestamp;
    writer.open_in(prefixes.soap, "Envelope").namespace(prefixes.soap, shape.soap.namespace());
    if let Some(version) = addressing {
        writer.namespace(prefixes.addressing, version.namespace());
    }
    if timestamp {
        writer.namespace(prefixes.utility, names::WSU);
    }
    if addressing.is_some() || timestamp || !blocks.is_empty() {
        writer.open_in(prefixes.soap, "Header");
        if let Some(version) = addressing {
            writer.open_in(prefixes.addressing, "Action").attribute_in(prefixes.soap, "mustUnderstand", "1");
            named(writer, shape, prefixes, ReplyPart::Action);
            writer.text(action).close();
            if !adfs {
                writer.open_in(prefixes.addressing, "MessageID");
                named(writer, shape, prefixes, ReplyPart::MessageId);
                writer.text(&message_id(correlation)).close();
            }
            if let Some(message_id) = &shape.message_id {
                writer.open_in(prefixes.addressing, "RelatesTo");
                named(writer, shape, prefixes, ReplyPart::RelatesTo);
                writer.text(message_id).close();
            }
            if !adfs {
                writer.open_in(prefixes.addressing, "To");
                named(writer, shape, prefixes, ReplyPart::To);
                writer.text(version.anonymous()).close();
            }
        }
        if timestamp {
            security(writer, shape, prefixes, now);
        }
        writer.verbatim(blocks).close();
    }
    writer.open_in(prefixes.soap, "Body");
    named(writer, shape, prefixes, ReplyPart::Body);
}

/// An id by which a MAC or a signature may name the element that is open.
fn named(writer: &mut Writer, shape: &Shape, prefixes: &Prefixes, part: ReplyPart) {
    if let Some(id) = shape.id(part) {
        writer.attribute_in(prefixes.utility, "Id", id);
    }
}

fn security(writer: &mut Writer, shape: &Shape, prefixes: &Prefixes, now: Millis) {
    writer.open_in(prefixes.security, "Security").namespace(prefixes.security, names::WSSE);
    writer.attribute_in(prefixes.soap, "mustUnderstand", "1");
    let id = shape.id(ReplyPart::Timestamp).unwrap_or(UNCOVERED_TIMESTAMP);
    writer.open_in(prefixes.utility, "Timestamp").attribute_in(prefixes.utility, "Id", id);
    writer.leaf_in(prefixes.utility, "Created", &instant::format(now));
    writer.leaf_in(prefixes.utility, "Expires", &instant::format(now.plus(REPLY_LIFETIME)));
    writer.close();
    if let Some(value) = shape.confirmed() {
        writer.open_in(prefixes.security11, "SignatureConfirmation").namespace(prefixes.security11, names::WSSE11);
        writer.attribute("Value", &Base64::encode_string(value));
        named(writer, shape, prefixes, ReplyPart::SignatureConfirmation);
        writer.close();
    }
    writer.close();
}

/// The correlation id as a random UUID, so that an answer too can be found in the logs.
fn message_id(correlation: Correlation) -> String {
    let mut octets = correlation.0;
    octets[6] = octets[6] & 0x0F | 0x40;
    octets[8] = octets[8] & 0x3F | 0x80;
    let hex = Correlation(octets).to_string();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn sealed(mut writer: Writer, shape: &Shape, status: u16, retry_after_s: Option<u16>) -> Reply {
    writer.close().close();
    let body = writer.finish().into_bytes();
    Reply { status, content_type: shape.soap.media_type(), body, retry_after_s }
}

//! Entries of the record as lines for people and as JSON for programs. What a stranger may have chosen never
//! reaches the terminal as control characters.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::audit::format::{Private, Public};
use crate::audit::reader::{Entry, PrivatePart};
use crate::audit::verify::Report;
use crate::wire::Millis;
use crate::wire::record::{HeldKey, OutcomeResult};

/// RFC 3339, UTC, milliseconds.
pub(super) fn instant(instant: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(instant.0) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{}ms", instant.0))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Reads 64 hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// The text as it is when it is one printable word, else quoted and escaped.
pub(in crate::ctl) fn plain(text: &str) -> Cow<'_, str> {
    let word = |c: char| c.is_alphanumeric() || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '='));
    if !text.is_empty() && text.chars().all(word) { Cow::Borrowed(text) } else { Cow::Owned(format!("{text:?}")) }
}

/// One line.
pub(in crate::ctl) fn entry(entry: &Entry) -> String {
    let Value::Object(fields) = entry_json(entry) else { return String::new() };
    let word = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => plain(text).into_owned(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let mut line = format!("{} {} {} {}", word("entry"), word("instant"), word("origin"), word("kind"));
    for (name, value) in &fields {
        match (name.as_str(), value) {
            ("entry" | "instant" | "origin" | "kind" | "head" | "file", _) | (_, Value::Null) => {}
            ("claims", Value::Array(claims)) => {
                for claim in claims {
                    let values = claim["values"].as_array().map_or(&[][..], Vec::as_slice);
                    let values: Vec<_> = values.iter().filter_map(Value::as_str).map(plain).collect();
                    let _ = write!(line, " {}={}", plain(claim["uri"].as_str().unwrap_or_default()), values.join(","));
                }
            }
            (_, Value::Array(items)) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).map(plain).collect();
                let _ = write!(line, " {name}={}", items.join(","));
            }
            _ => {
                let _ = write!(line, " {name}={}", word(name));
            }
        }
    }
    line
}

/// One object, all that is known.
pub(super) fn entry_json(entry: &Entry) -> Value {
    let public = &entry.leaf.public;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("entry", json!(entry.leaf.index));
    put("instant", json!(instant(public.instant())));
    put("origin", json!(entry.leaf.origin.name()));
    put("correlation", json!(public.correlation().to_string()));
    match public {
        Public::Intent(intent) => {
            put("kind", json!("intent"));
            put("token", json!(&*intent.token_id));
            put("token_type", json!(intent.token_type.name()));
            put("relying_party", json!(&*intent.relying_party));
            put("created", json!(instant(intent.created)));
            put("expires", json!(instant(intent.expires)));
            put("method", json!(intent.method.name()));
            put("request", json!(format!("{:?}", intent.request).to_lowercase()));
            put("key", json!(hex(&intent.key)));
            put("digest", json!(hex(&intent.digest)));
            put("holder", json!(intent.holder.as_ref().map(|sha256| hex(sha256))));
        }
        Public::Outcome(outcome) => {
            put("kind", json!("outcome"));
            put("token", json!(&*outcome.token_id));
            match &outcome.result {
                OutcomeResult::Signed { signature } => {
                    put("result", json!("signed"));
                    put("signature", json!(hex(signature)));
                }
                OutcomeResult::NotSigned => _ = put("result", json!("not-signed")),
                OutcomeResult::WrongSignature => _ = put("result", json!("wrong-signature")),
            }
        }
        Public::Decision(decision) | Public::Held(decision, _) => {
            put("kind", json!("decision"));
            put("allowed", json!(decision.allowed));
            put("reason", json!(&*decision.reason));
            put("endpoint", json!(&*decision.endpoint));
            put("source", json!(decision.source.to_string()));
            put("method", json!(decision.method.name()));
            put("authority", json!(decision.authority.as_deref()));
            put("relying_party", json!(decision.relying_party.as_deref()));
            put("policies", json!(decision.policies.iter().map(|id| id.as_str()).collect::<Vec<_>>()));
        }
        Public::Refusals { source, count, reason, .. } => {
            put("kind", json!("refusals"));
            put("source", json!(source.to_string()));
            put("count", json!(count));
            put("reason", json!(&**reason));
        }
        Public::Excessive(excessive) => {
            put("kind", json!("excessive"));
            put("source", json!(excessive.source.to_string()));
            put("count", json!(excessive.count));
        }
    }
    if let Public::Held(_, held) = public {
        put("proof", json!(held.proof.name()));
        match &held.key {
            HeldKey::Certificate(sha256) => put("holder", json!(hex(sha256))),
            HeldKey::Thumbprint(sha256) => put("holder_key", json!(hex(sha256))),
            HeldKey::Sealed(sha256) => put("holder_sealed_key", json!(hex(sha256))),
        };
    }
    match &entry.private {
        PrivatePart::None => {}
        PrivatePart::Erased => _ = put("private", json!("erased")),
        PrivatePart::Wrong => _ = put("private", json!("altered-or-missing")),
        PrivatePart::Kept(private) => match &**private {
            Private::Intent(intent) => {
                put("account", json!(&*intent.subject.account));
                put("subject", json!(&*intent.subject.name));
                put("subject_format", json!(format!("{:?}", intent.subject.format)));
                let claims = intent.claims.iter().map(|claim| {
                    let values: Vec<&str> = claim.values.iter().map(|value| value.as_str()).collect();
                    json!({"uri": &*claim.uri, "values": values})
                });
                put("claims", claims.collect());
            }
            Private::Decision(decision) => _ = put("account", json!(&*decision.account)),
            Private::Vouched(vouched) => {
                put("account", json!(&*vouched.account));
                put("intermediary", json!(&*vouched.intermediary));
            }
        },
    }
    put("file", json!(entry.file));
    put("head", json!(hex(&entry.head)));
    Value::Object(fields)
}

/// One object.
pub(super) fn report_json(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "file": finding.file,
            "entry": finding.entry,
            "offset": finding.offset,
            "fault": finding.fault.to_string(),
        })
    });
    let open = report.open_intents.iter().map(|open| {
        json!({
            "entry": open.entry,
            "instant": instant(open.instant),
            "correlation": open.correlation.to_string(),
            "token": open.token_id,
        })
    });
    json!({
        "ok": report.faults == 0,
        "files": report.files,
        "entries": report.entries,
        "head": hex(&report.head),
        "private_kept": report.private_kept,
        "private_erased": report.private_erased,
        "faults": report.faults,
        "findings": findings.collect::<Vec<_>>(),
        "intents_without_outcome": open.collect::<Vec<_>>(),
        "torn": report.torn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(plain("alice@example.com"), "alice@example.com");
        assert_eq!(plain("a\u{9b}2J"), "\"a\\u{9b}2J\"");
        assert_eq!(plain("two words"), "\"two words\"");
        assert_eq!(plain(""), "\"\"");
    }

    #[test]
    fn a_head_is_read_back_as_it_is_printed() {
        assert_eq!(unhex(&hex(&[0xA5; 32])), Some([0xA5; 32]));
        assert_eq!(unhex(&"é".repeat(32)), None);
        assert_eq!(unhex("00"), None);
    }

    #[test]
    fn instants_are_rfc_3339() {
        assert_eq!(instant(Millis(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(instant(Millis(i64::MAX)), format!("{}ms", i64::MAX));
    }
}

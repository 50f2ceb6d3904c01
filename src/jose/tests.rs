//! What is read, and everything that is not, each for its own reason: another reader might read it in another way.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::claims::{Claims, Confirmation};
use super::header::Header;
use super::json::{DEEPEST, MOST, Value};
use super::*;
use crate::wire::evidence::SignatureAlgorithm;

fn encoded(text: &str) -> String {
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

fn header(text: &str) -> Result<Header, Unreadable> {
    header::read(text.as_bytes())
}

/// Claims that are good but for this, which stands at their end.
fn claims(more: &str) -> Result<Claims, &'static str> {
    let base = "\"iss\":\"urn:idp\",\"aud\":\"urn:us\",\"exp\":1700000600,\"iat\":1700000000";
    claims::read(format!("{{{base}{more}}}").as_bytes())
}

/// Claims with something else for one of them.
fn with(name: &str, value: &str) -> Result<Claims, &'static str> {
    let mut all = vec![("iss", "\"urn:idp\""), ("aud", "\"urn:us\""), ("exp", "1700000600"), ("iat", "1700000000")];
    all.retain(|(other, _)| *other != name);
    let all: Vec<_> = all.iter().chain([&(name, value)]).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    claims::read(format!("{{{}}}", all.join(",")).as_bytes())
}

#[test]
fn a_jws_is_three_segments_of_base64url_in_their_one_spelling_r_j020() {
    let (head, body) = (encoded("{\"alg\":\"RS256\"}"), encoded("{\"iss\":\"urn:idp\"}"));
    let good = format!("{head}.{body}.AAEC");
    let parts = compact::apart(good.as_bytes()).unwrap();
    assert_eq!(parts.signed, format!("{head}.{body}").as_bytes());
    assert_eq!((parts.header.as_slice(), parts.signature.as_slice()), (&b"{\"alg\":\"RS256\"}"[..], &[0, 1, 2][..]));
    assert_eq!(said(good.as_bytes()), Ok(("urn:idp".to_owned(), SignatureAlgorithm::RsaSha256)));
    let (three, text) = ("not three segments", "a segment that is not base64url");
    for (bad, why) in [
        (String::new(), three),
        (head.clone(), three),
        (format!("{head}.{body}"), three),
        (format!("{good}.AAEC"), three),
        (format!("{good}."), three),
        (format!(".{good}"), three),
        // Unsigned, as `none` is written.
        (format!("{head}.{body}."), text),
        (format!("{head}..AAEC"), text),
        (format!(".{body}.AAEC"), text),
        ("..".to_owned(), text),
        (format!("{head}.{body}.AAE="), text),
        (format!("{head}.{body}.AAE=="), text),
        // Bits left over: the octets have another spelling.
        (format!("{head}.{body}.AAF"), text),
        (format!("{head}.{body}.AAECA"), text),
        (format!("{head}.{body}.A+/C"), text),
        (format!(" {good}"), text),
        (format!("{good}\n"), text),
        (format!("{head}. {body}.AAEC"), text),
        (format!("{head}.{body}.AA\0C"), text),
        (format!("{head}.{body}.AA\u{e9}C"), text),
    ] {
        assert_eq!(compact::apart(bad.as_bytes()).map(drop).unwrap_err(), why, "{bad:?}");
        assert_eq!(said(bad.as_bytes()), Err(Unreadable::Shape(why)), "{bad:?}");
    }
    assert_eq!(compact::apart(b"AAEC.AAEC.\xFF\xFE").map(drop).unwrap_err(), text);
}

#[test]
fn nothing_is_signed_by_none_or_by_a_secret_that_both_sides_have_a_12() {
    for name in ["none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "ES256K", "RSA-OAEP", "dir", "rs256", ""] {
        assert_eq!(header(&format!("{{\"alg\":\"{name}\"}}")), Err(Unreadable::Algorithm), "{name:?}");
    }
    let names = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
    let mut known: Vec<_> = names.map(|name| header::algorithm(name).unwrap()).to_vec();
    assert_eq!(header::algorithm("Ed25519"), Some(SignatureAlgorithm::Ed25519));
    while let Some(one) = known.pop() {
        assert!(!known.contains(&one), "each is another one: {one:?}");
    }
    assert_eq!(header("{}"), Err(Unreadable::Shape("a header without alg")));
    for bad in ["null", "1", "[\"RS256\"]", "{\"RS256\":1}"] {
        assert_eq!(header(&format!("{{\"alg\":{bad}}}")), Err(Unreadable::Shape("a header that is not text")), "{bad}");
    }
}

#[test]
fn a_header_brings_no_key_and_asks_for_nothing_more_r_j021() {
    let read =
        header("{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"../1\",\"x5t\":\"AA\",\"x5t#S256\":\"AA\"}").unwrap();
    assert_eq!((read.key.as_deref(), read.kind.as_deref()), (Some("../1"), Some("jwt")));
    let (brings, more, unknown) =
        ("a header that brings its key along", "a header that asks for more", "a header that is not known");
    for (member, why) in [
        ("\"jku\":\"https://evil.example/keys\"", brings),
        ("\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}", brings),
        ("\"x5u\":\"https://evil.example/key\"", brings),
        ("\"x5c\":[\"AA\"]", brings),
        ("\"j\\u006bu\":\"https://evil.example/keys\"", brings),
        ("\"crit\":[\"exp\"],\"exp\":1", more),
        ("\"crit\":[]", more),
        ("\"b64\":false,\"crit\":[\"b64\"]", more),
        ("\"b64\":true", more),
        ("\"zip\":\"DEF\"", more),
        ("\"cty\":\"JWT\"", more),
        ("\"enc\":\"A128GCM\"", more),
        ("\"nonce\":\"x\"", unknown),
        ("\"ALG\":\"none\"", unknown),
        ("\"kid\":7", "a header that is not text"),
        ("\"typ\":null", "a header that is not text"),
    ] {
        assert_eq!(header(&format!("{{\"alg\":\"RS256\",{member}}}")), Err(Unreadable::Shape(why)), "{member}");
    }
}

#[test]
fn a_member_that_stands_twice_is_refused_at_any_depth_however_it_is_spelled_r_j021() {
    for text in [
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":1}",
        "{\"iss\":1,\"\\u0069ss\":2}",
        "{\"\":1,\"\":2}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"a\":[0,{\"b\":{\"c\":1,\"d\":2,\"c\":3}}]}",
        "{\"\u{e9}\":1,\"\\u00e9\":1}",
        "{\"\u{1F600}\":1,\"\\ud83d\\ude00\":1}",
    ] {
        assert_eq!(json::object(text.as_bytes()), Err("a member twice"), "{text}");
    }
    // Two spellings of a letter are two names, and neither is folded into the other.
    assert_eq!(json::object("{\"\u{e9}\":1,\"e\u{301}\":1,\"E\":1,\"e\":1}".as_bytes()).unwrap().len(), 4);
    assert_eq!(claims(",\"\\u0069ss\":\"urn:other\"").unwrap_err(), "a member twice");
    assert_eq!(header("{\"alg\":\"RS256\",\"alg\":\"none\"}"), Err(Unreadable::Shape("a member twice")));
}

#[test]
fn json_is_bounded_and_whole_or_none_r_j021() {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(json::object(nested(DEEPEST).as_bytes()).is_ok());
    assert_eq!(json::object(nested(DEEPEST + 1).as_bytes()), Err("too deep"));
    let lists = format!("{{\"a\":{}{}}}", "[".repeat(3000), "]".repeat(3000));
    assert_eq!(json::object(lists.as_bytes()), Err("too deep"));
    let many = |count: usize| format!("{{\"a\":[{}]}}", vec!["0"; count].join(","));
    // The object and the list are values as well.
    assert!(json::object(many(MOST - 2).as_bytes()).is_ok());
    assert_eq!(json::object(many(MOST - 1).as_bytes()), Err("too many values"));
    for (bad, why) in [
        ("", "not JSON"),
        ("[]", "no object"),
        ("null", "no object"),
        ("\"a\"", "no object"),
        ("{} ", ""),
        ("{}{}", "not JSON"),
        ("{}\0", "not JSON"),
        ("{\"a\":1,}", "not JSON"),
        ("{'a':1}", "not JSON"),
        ("{a:1}", "not JSON"),
        ("{\"a\":01}", "not JSON"),
        ("{\"a\":+1}", "not JSON"),
        ("{\"a\":1e999}", "not JSON"),
        ("{\"a\":NaN}", "not JSON"),
        ("{\"a\":\"\\ud800\"}", "not JSON"),
        ("{\"a\":\"\n\"}", "not JSON"),
        ("\u{FEFF}{}", "not JSON"),
        ("{}//", "not JSON"),
    ] {
        let read = json::object(bad.as_bytes());
        assert_eq!(read.map(drop).err().unwrap_or_default(), why, "{bad:?}");
    }
    assert_eq!(json::object(b"{\"a\":\"\xFF\"}"), Err("not JSON"));
    let all = "{\"a\":[null,true,-1,1.5,18446744073709551615,\"\\u0041\"]}";
    let Value::List(values) = &json::object(all.as_bytes()).unwrap()["a"] else { panic!("a list") };
    let numbers = [-1.0, 1.5, 18_446_744_073_709_551_615.0].map(Value::Number);
    assert_eq!(values[..2], [Value::Null, Value::Bool(true)]);
    assert_eq!(values[2..5], numbers);
    assert_eq!(values[5], Value::Text("A".to_owned()));
}

#[test]
fn a_date_is_seconds_that_can_be_r_j023() {
    let read = claims(",\"nbf\":1700000000.5,\"auth_time\":1699999000").unwrap();
    assert_eq!((read.issued.0, read.expires.0), (1_700_000_000_000, 1_700_000_600_000));
    assert_eq!(read.not_before.unwrap().0, 1_700_000_000_500);
    assert_eq!(read.authenticated.unwrap().0, 1_699_999_000_000);
    assert_eq!(with("exp", "253402300799").unwrap().expires.0, 253_402_300_799_000);
    assert_eq!(with("exp", "1.7e9").unwrap().expires.0, 1_700_000_000_000);
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for bad in
            ["-1", "-0.001", "253402300800", "1e30", "18446744073709551615", "\"1700000600\"", "null", "[1]", "true"]
        {
            assert_eq!(with(name, bad).unwrap_err(), "a date that is none", "{name} {bad}");
        }
        assert_eq!(with(name, "1e400").unwrap_err(), "not JSON");
    }
}

#[test]
fn claims_without_which_nothing_is_decided_are_there_and_of_their_kind_r_j023() {
    let read = claims("").unwrap();
    assert_eq!((read.issuer.as_str(), read.audiences.as_slice()), ("urn:idp", &["urn:us".to_owned()][..]));
    assert_eq!((read.id, read.confirmation, read.not_before), (None, None, None));
    assert_eq!(with("aud", "[\"a\",\"urn:us\"]").unwrap().audiences, ["a", "urn:us"]);
    assert!(with("aud", "[]").unwrap().audiences.is_empty());
    let many = format!("[{}]", vec!["\"a\""; 33].join(","));
    for (name, value, why) in [
        ("aud", "{}", "an aud that is not text"),
        ("aud", "null", "an aud that is not text"),
        ("aud", "[\"urn:us\",1]", "an aud that is not text"),
        ("aud", "[[\"urn:us\"]]", "an aud that is not text"),
        ("aud", &many, "more of aud than are read"),
        ("iss", "1", "an identifier that is no text, empty or too long"),
        ("iss", "\"\"", "an identifier that is no text, empty or too long"),
        ("iss", "[\"urn:idp\"]", "an identifier that is no text, empty or too long"),
        ("jti", "7", "an identifier that is no text, empty or too long"),
        ("jti", "\"\"", "an identifier that is no text, empty or too long"),
        ("jti", &format!("\"{}\"", "a".repeat(1025)), "an identifier that is no text, empty or too long"),
    ] {
        assert_eq!(with(name, value).unwrap_err(), why, "{name} {value}");
    }
    for (absent, why) in [("iss", "no iss"), ("aud", "no aud"), ("exp", "no exp"), ("iat", "no iat")] {
        let text = "{\"iss\":\"urn:idp\",\"aud\":\"urn:us\",\"exp\":1700000600,\"iat\":1700000000}";
        let text = text.replace(&format!("\"{absent}\""), "\"x\"");
        assert_eq!(claims::read(text.as_bytes()).unwrap_err(), why);
    }
}

#[test]
fn a_confirmation_is_one_of_those_that_can_be_proven_or_another_and_never_none_r_j041() {
    let hash = Base64UrlUnpadded::encode_string(&[7; 32]);
    let read = |cnf: &str| claims(&format!(",\"cnf\":{cnf}")).map(|claims| claims.confirmation.unwrap());
    assert_eq!(read(&format!("{{\"x5t#S256\":\"{hash}\"}}")), Ok(Confirmation::Certificate([7; 32])));
    assert_eq!(read(&format!("{{\"jkt\":\"{hash}\"}}")), Ok(Confirmation::Thumbprint([7; 32])));
    assert!(matches!(read("{\"jwk\":{\"kty\":\"OKP\"}}"), Ok(Confirmation::Key(_))));
    for other in [
        "{}".to_owned(),
        "{\"kid\":\"1\"}".to_owned(),
        "{\"jwe\":\"a.b.c.d.e\"}".to_owned(),
        "{\"jku\":\"https://evil.example\"}".to_owned(),
        "{\"x5t\":\"AA\"}".to_owned(),
        "{\"jwk\":\"AA\"}".to_owned(),
        format!("{{\"x5t#S256\":\"{hash}\",\"jkt\":\"{hash}\"}}"),
        format!("{{\"x5t#S256\":\"{hash}\",\"x\":1}}"),
    ] {
        assert_eq!(read(&other), Ok(Confirmation::Other), "{other}");
    }
    for bad in ["null", "\"x\"", "[]", "true"] {
        assert_eq!(read(bad), Err("a cnf that is no object"), "{bad}");
    }
    let padded = format!("{hash}=");
    for bad in ["1", "\"\"", "\"AA\"", &format!("\"{padded}\""), &format!("\"{hash}AA\"")] {
        for name in ["x5t#S256", "jkt"] {
            assert_eq!(read(&format!("{{\"{name}\":{bad}}}")), Err("a hash that is none"), "{bad}");
        }
    }
}

#[test]
fn a_token_that_says_what_happened_is_no_credential() {
    let events = "{\"http://schemas.openid.net/event/backchannel-logout\":{}}";
    assert_eq!(
        claims(&format!(",\"sub\":\"alice\",\"jti\":\"1\",\"events\":{events}")).unwrap_err(),
        "a token of events"
    );
    assert!(claims(",\"sub\":\"alice\",\"jti\":\"1\"").is_ok());
}

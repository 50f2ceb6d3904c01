//! Sealed messages taken apart and put together again. Nothing here is really sealed: auth's part is played by
//! whoever says what was in the parts.

use super::super::sealed::{Sealed, Within, sealed};
use super::*;
use crate::wire::derivation::PartKey;
use crate::wire::unwrap::{MOST_PARTS, Recipient, SealedPart};
use crate::wire::{List, Secret};
use crate::xml::names;

const TOKEN: &str =
    "<o:UsernameToken u:Id='ut'><o:Username>alice</o:Username><o:Password>p</o:Password></o:UsernameToken>";
const KEY: &str = "<x:EncryptedKey Id='ek'><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'/>\
<ds:KeyInfo><o:SecurityTokenReference><o:KeyIdentifier ValueType='http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1'>\
AAAAAAAAAAAAAAAAAAAAAAAAAAA=</o:KeyIdentifier></o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>AAEC</x:CipherValue></x:CipherData>\
<x:ReferenceList><x:DataReference URI='#ed'/></x:ReferenceList></x:EncryptedKey>";
const DATA: &str = "<x:EncryptedData Id='ed' Type='http://www.w3.org/2001/04/xmlenc#Element'>\
<x:EncryptionMethod Algorithm='http://www.w3.org/2009/xmlenc11#aes256-gcm'/><ds:KeyInfo><o:SecurityTokenReference><o:Reference URI='#ek'/>\
</o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>AwQF</x:CipherValue></x:CipherData></x:EncryptedData>";
const BODY: &str = "<t:RequestSecurityToken xmlns:t='http://docs.oasis-open.org/ws-sx/ws-trust/200512'>\
<t:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</t:RequestType></t:RequestSecurityToken>";
const STAMP: &str = "<u:Timestamp u:Id='t'><u:Created>2026-01-02T03:04:05Z</u:Created></u:Timestamp>";

fn message(key: &str, token: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:o='{}' xmlns:u='{}' xmlns:x='{}' xmlns:ds='{}'><s:Header>\
         <a:Action>http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action><a:MessageID>urn:uuid:1</a:MessageID>\
         <o:Security>{STAMP}{key}{token}</o:Security></s:Header><s:Body>{body}</s:Body></s:Envelope>",
        names::SOAP12,
        names::WSA,
        names::WSSE,
        names::WSU,
        names::XENC,
        names::DS
    )
}

fn endpoint() -> Endpoint {
    Endpoint { encryption: true, ..generic() }
}

fn incoming(body: &str) -> Incoming<'_> {
    Incoming { content_type: Some("application/soap+xml"), soap_action: None, body: body.as_bytes() }
}

fn apart(text: &str) -> Result<Option<Sealed>, &'static str> {
    sealed(&endpoint(), &incoming(text)).map_err(|rejection| rejection.reason())
}

fn of(within: Within) -> List<SealedPart, MOST_PARTS> {
    match within {
        Within::Parts(parts) => parts,
        Within::Signed(message) => panic!("signed as it is sealed: {message:?}"),
    }
}

/// The message with these parts in their places.
fn whole(text: &str, parts: &[&str]) -> Result<String, &'static str> {
    let parts: Vec<_> = parts.iter().map(|part| Secret::new(part.as_bytes()).unwrap()).collect();
    let sealed = apart(text)?.expect("something is sealed");
    sealed
        .opened(&List::new(parts).unwrap())
        .map(|whole| whole.message.to_string())
        .map_err(|rejection| rejection.reason())
}

#[test]
fn a_message_is_whole_again_when_its_parts_are_open() {
    let text = message(KEY, DATA, BODY);
    let mut sealed = apart(&text).unwrap().unwrap();
    let (recipient, _, key, within) = sealed.question().unwrap();
    let parts = of(within);
    assert_eq!((recipient, &*key, parts.len()), (Recipient::Thumbprint([0; 20]), &[0, 1, 2][..], 1));
    assert_eq!(*parts[0].octets, [3, 4, 5]);
    assert_eq!(whole(&text, &[TOKEN]).unwrap(), message("", TOKEN, BODY));
    // Space around an element is nothing, and a message in which nothing is sealed is left alone.
    assert_eq!(whole(&text, &[&format!("\n {TOKEN}\n")]).unwrap(), message("", TOKEN, BODY));
    assert!(apart(&message("", TOKEN, BODY)).unwrap().is_none());
    // Within a body it is of the body.
    let content = message(KEY, TOKEN, &DATA.replace("#Element", "#Content"));
    let spaced = format!("\n {BODY}\n");
    assert_eq!(whole(&content, &[&spaced]).unwrap(), message("", TOKEN, &spaced));
    let both = KEY.replace("<x:DataReference URI='#ed'/>", "<x:DataReference URI='#b'/><x:DataReference URI='#ed'/>");
    for kind in ["Element", "Content"] {
        let body = DATA.replace("'ed'", "'b'").replace("#Element", &format!("#{kind}"));
        let text = message(&both, DATA, &body);
        assert_eq!(whole(&text, &[TOKEN, BODY]).unwrap(), message("", TOKEN, BODY), "{kind}");
    }
    assert!(super::super::read(&endpoint(), &incoming(&message("", TOKEN, BODY))).is_ok());
}

#[test]
fn a_message_has_room_for_what_is_in_it_and_no_more_and_takes_none_later() {
    let content = DATA.replace("#Element", "#Content");
    for (text, part) in [
        (message(KEY, DATA, BODY), TOKEN.to_owned()),
        (message(KEY, TOKEN, &content), BODY.to_owned()),
        (message(KEY, TOKEN, &content), format!("{BODY}{}", " ".repeat(40_000))),
    ] {
        let parts = List::new(vec![Secret::new(part.as_bytes()).unwrap()]).unwrap();
        let whole = apart(&text).unwrap().unwrap().opened(&parts).unwrap();
        // Had it grown on the way, it would be another.
        assert_eq!(whole.message.capacity(), text.len() + part.len());
        assert!(whole.message.len() <= whole.message.capacity());
    }
}

#[test]
fn what_is_sealed_stands_where_something_may_be() {
    let twice = KEY.replace("'ek'", "'ek2'");
    let other = DATA.replace("'ed'", "'ed2'");
    let list = "<x:ReferenceList><x:DataReference URI='#ed'/></x:ReferenceList>";
    for (what, text) in [
        ("two keys", message(&format!("{KEY}{twice}"), DATA, BODY)),
        ("a key in the body", message("", DATA, KEY)),
        ("a key in another element", message(&format!("<o:a>{KEY}</o:a>"), DATA, BODY)),
        ("two lists", message(&format!("{KEY}{list}"), DATA, BODY)),
        ("no list", message(&KEY.replace(list, ""), DATA, BODY)),
        ("a list in the body", message(&KEY.replace(list, ""), DATA, list)),
        ("a part that is not listed", message(KEY, &format!("{DATA}{other}"), BODY)),
        ("a list of something else", message(&KEY.replace("#ed", "#t"), DATA, BODY)),
        ("a list of nothing", message(KEY, TOKEN, BODY)),
        ("a part before its key", message(&format!("{DATA}{KEY}"), "", BODY)),
        ("a part by another key", message(KEY, &DATA.replace("#ek", "#t"), BODY)),
        ("a part within an element", message(KEY, &format!("<o:UsernameToken>{DATA}</o:UsernameToken>"), BODY)),
        (
            "a part within the request",
            message(KEY, "", &BODY.replace("</t:RequestSecurityToken>", &format!("{DATA}</t:RequestSecurityToken>"))),
        ),
        ("content of the header", message(KEY, &DATA.replace("#Element", "#Content"), BODY)),
        ("nobody says what", message(KEY, &DATA.replace(" Type='http://www.w3.org/2001/04/xmlenc#Element'", ""), BODY)),
        ("an id twice", message(KEY, &format!("{DATA}{}", TOKEN.replace("'ut'", "'ed'")), BODY)),
        (
            "a key without a name",
            message(
                &KEY.replace("<o:KeyIdentifier", "<o:Embedded").replace("</o:KeyIdentifier>", "</o:Embedded>"),
                DATA,
                BODY,
            ),
        ),
        (
            "a token that is not there",
            message(&KEY.replace("<o:KeyIdentifier", "<o:Reference URI='#t'/><o:KeyIdentifier"), DATA, BODY),
        ),
        ("two headers", message(KEY, &format!("{DATA}</o:Security><o:Security>"), BODY)),
    ] {
        assert!(apart(&text).is_err(), "{what}");
    }
}

/// A key of the part's own, which the key of the message wraps.
fn with_a_key_of_its_own(data: &str) -> String {
    let by = "<o:SecurityTokenReference><o:Reference URI='#ek'/></o:SecurityTokenReference>";
    let own = format!(
        "<x:EncryptedKey><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#kw-aes256'/><ds:KeyInfo>{by}\
         </ds:KeyInfo><x:CipherData><x:CipherValue>{}AA==</x:CipherValue></x:CipherData></x:EncryptedKey>",
        "A".repeat(52)
    );
    assert!(data.contains(by));
    data.replace(by, &own)
}

#[test]
fn a_part_may_have_a_key_of_its_own_that_the_key_of_the_message_wraps() {
    let own = with_a_key_of_its_own(DATA);
    let text = message(KEY, &own, BODY);
    let parts = of(apart(&text).unwrap().unwrap().question().unwrap().3);
    let of_one: Vec<_> =
        parts.iter().map(|part| (part.key.clone(), part.wrapped.as_deref().map(<[u8]>::len))).collect();
    assert_eq!(of_one, [(PartKey::Session, Some(40))]);
    assert_eq!(whole(&text, &[TOKEN]).unwrap(), message("", TOKEN, BODY));
    // Beside one that has none.
    let both = KEY.replace("<x:DataReference URI='#ed'/>", "<x:DataReference URI='#b'/><x:DataReference URI='#ed'/>");
    let body = DATA.replace("'ed'", "'b'");
    let parts = of(apart(&message(&both, &own, &body)).unwrap().unwrap().question().unwrap().3);
    assert_eq!(parts.iter().map(|part| part.wrapped.is_some()).collect::<Vec<_>>(), [true, false]);
    let within =
        "<ds:KeyInfo><o:SecurityTokenReference><o:Reference URI='#ek'/></o:SecurityTokenReference></ds:KeyInfo>";
    for (what, text) in [
        ("wrapped by another", message(KEY, &own.replace("#ek", "#t"), BODY)),
        ("wrapped by nothing that is named", message(KEY, &own.replace(within, "<ds:KeyInfo/>"), BODY)),
        ("wrapped twice", message(KEY, &with_a_key_of_its_own(&own), BODY)),
        ("of another length", message(KEY, &own.replace("aes256-gcm", "aes128-gcm"), BODY)),
        ("of a length that is not offered", message(KEY, &own.replace("kw-aes256", "kw-aes192"), BODY)),
        ("beside a name", message(KEY, &own.replace("<x:EncryptedKey><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#kw", "<ds:KeyName>n</ds:KeyName><x:EncryptedKey><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#kw"), BODY)),
        ("in the header", message(&format!("{KEY}{}", &own[own.find("<x:EncryptedKey").unwrap()..own.find("</x:EncryptedKey>").unwrap() + "</x:EncryptedKey>".len()]), DATA, BODY)),
        ("in the place of the key for us", message(&KEY.replace("rsa-oaep-mgf1p", "kw-aes256"), DATA, BODY)),
    ] {
        assert!(apart(&text).is_err(), "{what}: {text}");
    }
}

#[test]
fn a_key_that_another_would_have_to_wrap_seals_nothing_by_itself() {
    let text = message("", &with_a_key_of_its_own(DATA), BODY);
    assert!(apart(&text).unwrap().is_none());
    assert!(super::super::read(&endpoint(), &incoming(&text)).is_err());
}

#[test]
fn what_a_plain_assertion_has_sealed_itself_is_left_as_it_is() {
    let saml = names::SAML20;
    let within = DATA.replace("'ed'", "'own'").replace("#ek", "#else").replace(
        "</o:SecurityTokenReference>",
        "</o:SecurityTokenReference><x:EncryptedKey><x:ReferenceList><x:DataReference URI='#own'/></x:ReferenceList>\
         </x:EncryptedKey>",
    );
    let list = "<x:ReferenceList><x:DataReference URI='#own'/></x:ReferenceList>";
    let has =
        |inside: &str| format!("<m:Assertion xmlns:m='{saml}' ID='_a'><m:Advice>{inside}</m:Advice></m:Assertion>");
    let content = DATA.replace("#Element", "#Content");
    for inside in [within.clone(), within.repeat(2).replacen("'own'", "'another'", 1), format!("{within}{list}{list}")]
    {
        let assertion = has(&inside);
        // Behind the key, or before it.
        for (key, token) in [(KEY.to_owned(), assertion.clone()), (format!("{assertion}{KEY}"), String::new())] {
            let text = message(&key, &token, &content);
            let parts = of(apart(&text).unwrap().unwrap().question().unwrap().3);
            assert_eq!(parts.iter().map(|part| part.octets.to_vec()).collect::<Vec<_>>(), [[3, 4, 5]]);
            assert_eq!(whole(&text, &[BODY]).unwrap(), text.replace(KEY, "").replace(&content, BODY));
        }
    }
    // Not in an assertion that is no token of this header, and not where anything means it.
    let assertion = has(&within);
    let elsewhere = format!("</o:Security><o:Security s:role='urn:proxy'>{assertion}");
    let twice = KEY.replace("</x:ReferenceList>", "<x:DataReference URI='#own'/></x:ReferenceList>");
    let instead = KEY.replace("#ed", "#own");
    let sealed_beside = format!("<m:EncryptedAssertion xmlns:m='{saml}'>{DATA}</m:EncryptedAssertion>");
    for (what, text) in [
        ("in another header", message(KEY, &elsewhere, &content)),
        ("in another element", message(KEY, &format!("<o:a>{assertion}</o:a>"), &content)),
        ("in a user name token", message(KEY, &format!("<o:UsernameToken>{within}</o:UsernameToken>"), &content)),
        ("alone", message(KEY, &within, &content)),
        ("in an assertion of another name", message(KEY, &assertion.replace(saml, "urn:other"), &content)),
        ("in a body", message(KEY, DATA, &assertion)),
        ("in what is asked for", message(KEY, DATA, &format!("<o:Security>{assertion}</o:Security>"))),
        ("listed, too", message(&twice, &assertion, &content)),
        ("listed alone", message(&instead, &assertion, BODY)),
        ("listed in its place", message(&instead, &assertion, &content)),
        (
            "beside one that is sealed",
            message(&KEY.replace("'ek'", "'k'"), &format!("{assertion}{sealed_beside}"), BODY),
        ),
    ] {
        assert!(apart(&text).is_err(), "{what}: {text}");
    }
}

#[test]
fn a_certificate_that_is_brought_for_the_key_stands_beside_a_signature_and_nothing_else() {
    let token = "<o:BinarySecurityToken u:Id='bst' \
                 ValueType='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3'>\
                 AAEC</o:BinarySecurityToken>";
    let from = KEY.find("<o:KeyIdentifier").unwrap();
    let to = KEY.find("</o:SecurityTokenReference>").unwrap();
    let by_token = [&KEY[..from], "<o:Reference URI='#bst'/>", &KEY[to..]].concat();
    // The list is of the body's content where the header has nothing sealed.
    let body = DATA.replace("#Element", "#Content");
    let assertion = format!("<m:Assertion xmlns:m='{}'/>", names::SAML20);
    let signature = "<ds:Signature/>";
    let both = format!("{assertion}{signature}");
    let sealed_signature = message(&format!("{token}{by_token}"), DATA, BODY);
    let of = |beside: &str| message(&format!("{token}{by_token}"), beside, &body);
    let read = |credential, text: &str| {
        let endpoint = Endpoint { credential, ..endpoint() };
        sealed(&endpoint, &incoming(text)).map_err(|rejection| rejection.reason())
    };
    use Credential::{Any, Saml, Signature, Username};
    for (credential, text) in [
        (Signature, &sealed_signature),
        (Any, &sealed_signature),
        (Signature, &of(signature)),
        (Any, &of(signature)),
        (Saml, &of(&both)),
        (Any, &of(&both)),
        (Saml, &message(&format!("{assertion}{token}{by_token}"), DATA, BODY)),
    ] {
        let mut sealed = read(credential, text).unwrap().unwrap();
        let (recipient, ..) = sealed.question().unwrap();
        assert!(matches!(recipient, Recipient::Certificate(_)), "{credential:?}: {text}");
    }
    for (credential, text) in [
        (Username, &sealed_signature),
        (Username, &of(TOKEN)),
        (Username, &of(signature)),
        (Saml, &sealed_signature),
        (Saml, &of(signature)),
        (Saml, &of(&assertion)),
        (Signature, &of(&both)),
        (Any, &of(&assertion)),
        (Any, &of(TOKEN)),
        (Any, &of(&format!("{TOKEN}{signature}"))),
        (Any, &of("")),
        // Also one that the key does not name.
        (Username, &message(&format!("{token}{KEY}"), DATA, BODY)),
    ] {
        let reason = read(credential, text).unwrap_err();
        assert_eq!(reason, "encryption: certificate beside no signature", "{credential:?}: {text}");
        // Nor would it be taken whole, whatever was sealed.
        for inside in [TOKEN, signature] {
            let whole = text.replace(&by_token, "").replace(KEY, "").replace(DATA, inside).replace(&body, BODY);
            let endpoint = Endpoint { credential, ..endpoint() };
            let reason = super::super::read(&endpoint, &incoming(&whole)).map(drop).unwrap_err().reason();
            assert_eq!(reason, "security: credential not offered here", "{credential:?}: {whole}");
        }
    }
}

#[test]
fn what_was_sealed_is_one_element_and_stays_in_its_place() {
    let text = message(KEY, DATA, BODY);
    for bad in [
        "",
        "alice",
        &format!("{TOKEN}{TOKEN}"),
        &format!("{TOKEN}text"),
        &format!("<!-- -->{TOKEN}"),
        &format!("{TOKEN}</o:Security><o:Security>"),
        &format!("{TOKEN}</o:Security><o:Security>{TOKEN}"),
        &format!("{TOKEN}</o:Security></s:Header><s:Header><o:Security>"),
        &format!("{TOKEN}</o:Security></s:Header><s:Body>{BODY}</s:Body></s:Envelope>"),
        &format!("{TOKEN}</o:Security><!--"),
        "<o:UsernameToken>",
        "</o:UsernameToken>",
        STAMP,
        KEY,
        DATA,
        "<o:BinarySecurityToken/>",
        "<UsernameToken/>",
        "<o:UsernameToken xmlns:o='urn:other'/>",
        &format!("<![CDATA[{TOKEN}]]>"),
        &format!("<?p?>{TOKEN}"),
        &format!("<!DOCTYPE a>{TOKEN}"),
        &TOKEN.replace("alice", "&alice;"),
        &TOKEN.replace("o:", "q:"),
    ] {
        assert!(whole(&text, &[bad]).is_err(), "{bad}");
    }
    assert!(whole(&text, &[]).is_err(), "a part that did not come");
    let body = message(KEY, TOKEN, &DATA.replace("#Element", "#Content"));
    for bad in
        ["", "text", &format!("{BODY}{BODY}"), &format!("{BODY}</s:Body><s:Body>{BODY}"), &format!("{BODY}</s:Body>")]
    {
        assert!(whole(&body, &[bad]).is_err(), "{bad}");
    }
    // What is read again is read by every rule: an id that is there already is found then.
    let twice = whole(&text, &[&TOKEN.replace("'ut'", "'t'")]).unwrap();
    assert!(super::super::read(&endpoint(), &incoming(&twice)).is_err());
}

#[test]
fn a_part_that_is_no_utf8_or_makes_the_message_too_large_is_refused() {
    let text = message(KEY, DATA, BODY);
    let octets = List::new(vec![Secret::new([0xFF, 0xFE]).unwrap()]).unwrap();
    assert!(apart(&text).unwrap().unwrap().opened(&octets).is_err());
    let long = format!("<o:UsernameToken>{}</o:UsernameToken>", "<o:a/>".repeat(7_000));
    assert!(whole(&text, &[&long]).is_ok(), "as large as a part may be");
    let nodes = message(KEY, DATA, &"<a/>".repeat(19_990));
    assert!(apart(&nodes).is_err() || whole(&nodes, &[&long]).is_err(), "more than a message may hold");
}

/// Each octet of what is sealed changed, left out or doubled: never a panic, and what is put together is what was
/// there with the part in its place, or nothing.
#[test]
fn no_mutation_of_what_is_sealed_moves_it() {
    let text = message(KEY, DATA, BODY);
    let from = text.find("<x:EncryptedKey").unwrap();
    let to = text.find("</o:Security>").unwrap();
    for at in from..to {
        let (before, octet, after) = (&text[..at], &text[at..=at], &text[at + 1..]);
        for changed in ["", "<", "A", "<!---->"] {
            for mutant in [[before, changed, after].concat(), [before, changed, octet, octet, after].concat()] {
                if let Ok(Some(sealed)) = apart(&mutant) {
                    let parts = List::new(vec![Secret::new(TOKEN.as_bytes()).unwrap()]).unwrap();
                    if let Ok(whole) = sealed.opened(&parts) {
                        let rest = |text: &str| text[text.find("</o:Security>").unwrap()..].to_owned();
                        assert!(whole.message.contains(TOKEN) && !whole.message.contains("EncryptedKey"), "{mutant}");
                        assert_eq!(rest(&whole.message), rest(&text), "{mutant}");
                    }
                }
            }
        }
    }
    for at in 0..TOKEN.len() {
        for changed in ["", "<", "</o:Security>"] {
            let part = [&TOKEN[..at], changed, &TOKEN[at + 1..]].concat();
            if let Ok(whole) = whole(&text, &[&part]) {
                assert!(whole.matches("<o:Security").count() == 1, "{part}");
            }
        }
    }
}

#[test]
fn a_jwt_beside_what_is_sealed_is_looked_at_before_a_key_is_opened() {
    let jwt = "<o:BinarySecurityToken ValueType='urn:ietf:params:oauth:token-type:jwt'>AAEC</o:BinarySecurityToken>";
    let body = DATA.replace("#Element", "#Content");
    let read = |credential, beside: &str| {
        let text = message(KEY, beside, &body);
        let endpoint = Endpoint { credential, ..endpoint() };
        sealed(&endpoint, &incoming(&text)).map(|sealed| sealed.is_some()).map_err(|rejection| rejection.reason())
    };
    let with = |more: &str| format!("{jwt}{more}");
    let x509 = "<o:BinarySecurityToken>AAEC</o:BinarySecurityToken>";
    let assertion = format!("<m:Assertion xmlns:m='{}' ID='a'/>", names::SAML20);
    use Credential::{Any, Jwt, Saml, Signature, Username};
    for (credential, beside) in [
        (Jwt, with("")),
        (Any, with("")),
        (Jwt, with("<ds:Signature/>")),
        (Jwt, with(&format!("{x509}<ds:Signature/>"))),
        (Any, with(&format!("{x509}<ds:Signature/>"))),
    ] {
        assert_eq!(read(credential, &beside), Ok(true), "{credential:?}: {beside}");
    }
    let (none, certificate) = ("encryption: JWT where none is taken", "encryption: certificate beside no signature");
    for (credential, beside, reason) in [
        (Username, with(""), none),
        (Signature, with(&format!("{x509}<ds:Signature/>")), none),
        (Saml, with(""), none),
        (Any, with(TOKEN), none),
        (Jwt, with(TOKEN), none),
        (Any, with(&assertion), none),
        (Jwt, with(x509), certificate),
    ] {
        assert_eq!(read(credential, &beside), Err(reason), "{credential:?}: {beside}");
    }
}

/// An assertion as its partner seals it: the key in what it seals, or beside it.
fn sealed_assertion() -> [String; 3] {
    let list = "<x:ReferenceList><x:DataReference URI='#ed'/></x:ReferenceList>";
    let (key, from) = (KEY.replace(list, ""), DATA.find("<o:SecurityTokenReference>").unwrap());
    let named = &DATA[from..DATA.find("</ds:KeyInfo>").unwrap()];
    let carrying = DATA.replace(named, &key);
    let enclosed =
        |inside: &str| format!("<m:EncryptedAssertion xmlns:m='{}'>{inside}</m:EncryptedAssertion>", names::SAML20);
    let pointing =
        DATA.replace(named, "<ds:RetrievalMethod URI='#ek' Type='http://www.w3.org/2001/04/xmlenc#EncryptedKey'/>");
    [carrying.clone(), enclosed(&carrying), enclosed(&format!("{pointing}{KEY}"))]
}

fn assertion(namespace: &str) -> String {
    format!("<n:Assertion xmlns:n='{namespace}' ID='a'/>")
}

fn saml() -> Endpoint {
    Endpoint { credential: Credential::Saml, ..endpoint() }
}

fn opened_at(endpoint: &Endpoint, text: &str, part: &str) -> Result<String, &'static str> {
    let sealed =
        sealed(endpoint, &incoming(text)).map_err(|rejection| rejection.reason())?.expect("something is sealed");
    let parts = List::new(vec![Secret::new(part.as_bytes()).unwrap()]).unwrap();
    sealed.opened(&parts).map(|whole| whole.message.to_string()).map_err(|rejection| rejection.reason())
}

#[test]
fn an_assertion_that_its_partner_has_sealed_is_put_in_its_place_r_s015() {
    let [carrying, enclosed, beside] = sealed_assertion();
    let (new, old) = (assertion(names::SAML20), assertion(names::SAML11));
    let nothing = "encryption: sealed what need not be";
    for (form, taken, refused) in [
        (&carrying, vec![&new, &old], vec![TOKEN, "<ds:Signature/>", STAMP]),
        (&enclosed, vec![&new], vec![old.as_str(), TOKEN, "<ds:Signature/>"]),
        (&beside, vec![&new], vec![old.as_str(), TOKEN, STAMP]),
    ] {
        let text = message("", form, BODY);
        let (recipient, _, key, within) = sealed(&saml(), &incoming(&text)).unwrap().unwrap().question().unwrap();
        let parts = of(within);
        assert_eq!((recipient, &*key, parts.len()), (Recipient::Thumbprint([0; 20]), &[0, 1, 2][..], 1));
        for inside in taken {
            assert_eq!(opened_at(&saml(), &text, inside).unwrap(), message("", inside, BODY), "{form}");
        }
        for inside in refused {
            assert_eq!(opened_at(&saml(), &text, inside), Err(nothing), "{form}: {inside}");
        }
        // One element, in its place, and nothing sealed in it.
        for inside in
            [format!("{new}{new}"), format!("{new}</o:Security><o:Security>"), beside.clone(), DATA.to_owned()]
        {
            assert!(opened_at(&saml(), &text, &inside).is_err(), "{form}: {inside}");
        }
        let elsewhere = Endpoint { credential: Credential::Username, ..endpoint() };
        let refused = sealed(&elsewhere, &incoming(&text)).unwrap_err();
        assert_eq!(refused.reason(), "encryption: assertion where none is taken");
    }
    // By a key of the message, as a client seals what it was given.
    assert_eq!(opened_at(&saml(), &message(KEY, DATA, BODY), &new).unwrap(), message("", &new, BODY));
}

#[test]
fn a_sealed_assertion_stands_alone_with_its_own_key() {
    let [carrying, enclosed, beside] = sealed_assertion();
    let other = DATA.replace("'ed'", "'ed2'");
    let change = |form: &str, from: &str, to: &str| {
        assert!(form.contains(from), "{from}");
        message("", &form.replace(from, to), BODY)
    };
    for (what, text) in [
        ("two", message("", &enclosed.repeat(2).replacen("'ed'", "'ed2'", 1).replacen("'ek'", "'ek2'", 1), BODY)),
        ("and more that is sealed", message("", &format!("{enclosed}{other}"), BODY)),
        ("and another key", message(&KEY.replace("'ek'", "'ek2'"), &enclosed, BODY)),
        ("within something", message("", &format!("<o:a>{enclosed}</o:a>"), BODY)),
        ("in the body", message("", "", &enclosed)),
        ("alone in the body", message("", "", &carrying)),
        ("content", change(&enclosed, "#Element", "#Content")),
        ("content, alone", change(&carrying, "#Element", "#Content")),
        ("with more in it", change(&enclosed, "</m:EncryptedAssertion>", "<x:a/></m:EncryptedAssertion>")),
        ("with text in it", change(&enclosed, "</m:EncryptedAssertion>", "text</m:EncryptedAssertion>")),
        ("with more beside the key", change(&beside, "</m:EncryptedAssertion>", "<x:a/></m:EncryptedAssertion>")),
        (
            "with a list of its own",
            change(&enclosed, "</m:EncryptedAssertion>", "<x:ReferenceList/></m:EncryptedAssertion>"),
        ),
        ("whose key is for something else", change(&beside, "#ed", "#t")),
        ("that points to another key", change(&beside, "URI='#ek'", "URI='#t'")),
        ("that points elsewhere", change(&beside, "URI='#ek'", "URI='http://169.254.169.254/'")),
        ("that points to something else", change(&beside, "xmlenc#EncryptedKey'", "xmldsig#X509Data'")),
        (
            "that points and transforms",
            change(&beside, "xmlenc#EncryptedKey'/>", "xmlenc#EncryptedKey'><ds:Transforms/></ds:RetrievalMethod>"),
        ),
        ("an old one", change(&enclosed, names::SAML20, names::SAML11)),
    ] {
        assert!(sealed(&saml(), &incoming(&text)).is_err(), "{what}");
    }
}

//! A client that seals its body, makes its MAC over that, and seals the signature and the token then, as an Apache CXF
//! client does with EncryptBeforeSigning, EncryptSignature and a token that is to be sealed.

use chancery::xml::names;

use crate::house::House;
use crate::message::{Client, Form, Pieces, Sealing, list};
use crate::{answered, support};

/// What is sealed in the place of a signature.
type Made<'a> = dyn Fn(&Client, String) -> String + 'a;
type MadeOf<'a> = dyn Fn(&Client, &str) -> String + 'a;
type Change<'a> = dyn Fn(&Client, &mut Pieces) + 'a;

pub(crate) fn served(house: &House) {
    for after in [false, true] {
        for (derives, form) in [(None, Form::Direct), (None, Form::Sha1), (Some(names::WSC13), Form::Direct)] {
            for length in [16, 32] {
                let client = Client { derives, form, ..house.client(length) };
                let text = client.text(&client.first(after, str::to_owned, |signature| signature));
                let what = format!("sealed first, after: {after}, {derives:?} {form:?} {length}");
                let answer = house.gets_a_token(&what, &text);
                answered(&client, if after { Sealing::Both } else { Sealing::Body }, &answer);
                house.is_refused("a replay", &text, "FailedCheck");
            }
        }
        // A body that is an element whole between spaces, and one list for all that is sealed.
        let client = house.client(32);
        let pieces = client.first(after, |body| format!("\n {body}\n"), |signature| format!(" {signature}\n"));
        let text = client.text(&pieces);
        house.gets_a_token("between spaces", &text);
    }
    // The token, too, before the MAC is made, as it is signed then.
    for (body, after) in [(false, false), (true, false), (false, true), (true, true)] {
        for (derives, form) in [(None, Form::Direct), (Some(names::WSC13), Form::Sha1)] {
            let client = Client { derives, form, ..house.client(32) };
            let what = format!("a token sealed first, body: {body}, after: {after}, {derives:?} {form:?}");
            house.gets_a_token(&what, &client.text(&client.token_first(body, after, str::to_owned)));
            let client = client.sealed_anew();
            let spaced = client.token_first(body, after, |token| format!(" {token}\n"));
            house.gets_a_token(&what, &client.text(&spaced));
        }
    }
    let client = house.client(32);
    let mut pieces = client.first(true, str::to_owned, |signature| signature);
    pieces.key = pieces.key.replace(&list(&["ed-t", "ed-s"]), "");
    let all = "<x:DataReference URI='#ed-b'/><x:DataReference URI='#ed-t'/><x:DataReference URI='#ed-s'/>";
    pieces.key = pieces.key.replace("<x:DataReference URI='#ed-b'/>", all);
    house.gets_a_token("one list", &client.text(&pieces));
}

pub(crate) fn refused(house: &House) {
    // Whoever seals for us can make a MAC, and has no password.
    for after in [false, true] {
        let guess = Client { password: "another".to_owned(), ..house.client(32) };
        let text = guess.text(&guess.first(after, str::to_owned, |signature| signature));
        house.is_refused("a guess", &text, "FailedAuthentication");
        let other = Client { by: vec![7; 32], ..house.client(32) };
        let text = other.text(&other.first(after, str::to_owned, |signature| signature));
        house.is_refused("another key", &text, "FailedCheck");
        for left_out in ["t", "to", "b", "ut", "m", "Action"] {
            let mut client = house.client(32);
            client.covered.retain(|id| *id != left_out);
            let text = client.text(&client.first(after, str::to_owned, |signature| signature));
            house.is_refused(left_out, &text, "InvalidSecurity");
        }
    }
    signatures(house);
    moved(house);
    bodies(house);
    tokens(house);
}

/// Who asks is who stands in the token that the MAC covers as it is sealed.
fn tokens(house: &House) {
    let wrapped = |inside: &str| format!("<n:w xmlns:n='urn:n'>{inside}</n:w>");
    let assertion = format!("<m:Assertion xmlns:m='{}' ID='a'/>", names::SAML20);
    let alice = support::keyed::username("alice", &house.password).octets;
    for (body, after) in [(false, false), (true, false), (false, true), (true, true)] {
        let good = |client: &Client| client.token_first(body, after, str::to_owned);
        let guess = Client { password: "another".to_owned(), ..house.client(32) };
        house.is_refused("a guess", &guess.text(&good(&guess)), "FailedAuthentication");
        let other = Client { by: vec![7; 32], ..house.client(32) };
        house.is_refused("another key", &other.text(&good(&other)), "FailedCheck");
        // By the key, and not what was covered: of the right user, with the right password.
        let client = house.client(32);
        let text =
            client.text(&Pieces { token: client.data("ed-t", "Element", &format!("{alice}\n")), ..good(&client) });
        // Where nothing that is covered is sealed so, nothing that the MAC refers to is there.
        house.is_refused("another token", &text, if body { "FailedAuthentication" } else { "InvalidSecurity" });
        // In clear it is another element than the one that is referred to.
        let client = house.client(32);
        let pieces = good(&client);
        let key =
            pieces.key.replace("<x:DataReference URI='#ed-t'/>", "").replace("<x:ReferenceList></x:ReferenceList>", "");
        let text = client.text(&Pieces { token: alice.clone(), key, ..pieces });
        house.is_refused("a token in clear", &text, "InvalidSecurity");
        let client = house.client(32);
        let pieces = good(&client);
        let (headers, token) = (wrapped(&pieces.token), client.data("ed-u", "Element", &alice));
        for named in ["#ed-t", "#ed-u"] {
            let key = pieces.key.replace("#ed-t", named);
            let moved = Pieces { headers: headers.clone(), token: token.clone(), key, ..good(&client.sealed_anew()) };
            house.is_refused("the token that was covered in a header", &client.text(&moved), "InvalidSecurity");
        }
        let pieces = good(&client);
        let key = pieces
            .key
            .replace("<x:DataReference URI='#ed-t'/>", "<x:DataReference URI='#ed-t'/><x:DataReference URI='#ed-u'/>");
        let both = Pieces { token: format!("{}{token}", pieces.token), key, ..pieces };
        house.is_refused("two tokens", &client.text(&both), "InvalidSecurity");
        let cases: [(&str, &str, &MadeOf); 6] = [
            ("two tokens in one", "InvalidSecurity", &|_, token| token.repeat(2)),
            ("a token in something else", "InvalidSecurity", &|_, token| wrapped(token)),
            ("an assertion", "UnsupportedSecurityToken", &|_, _| assertion.clone()),
            ("something that is sealed", "InvalidSecurity", &|client, token| client.data("ed-x", "Element", token)),
            ("a prefix of the envelope", "FailedCheck", &|_, token| {
                let declared = format!(" xmlns:o=\"{}\"", names::WSSE);
                assert!(token.contains(&declared), "{token}");
                token.replacen(&declared, "", 1)
            }),
            ("an id of the header", "InvalidSecurity", &|_, token| token.replace("\"ut\"", "\"t\"")),
        ];
        for (what, code, made) in cases {
            let client = house.client(32);
            let text = client.text(&client.token_first(body, after, |token| made(&client, token)));
            house.is_refused(what, &text, code);
        }
    }
    // Sealed as its content says, but covered by another name, or sealed by CBC.
    let client = house.client(32);
    let pieces = client.token_first(true, true, str::to_owned);
    let token = pieces.token.replace("2009/xmlenc11#aes256-gcm", "2001/04/xmlenc#aes256-cbc");
    house.is_refused("a token by CBC", &client.text(&Pieces { token, ..pieces }), "UnsupportedAlgorithm");
}

/// What is sealed in the place of the signature is one signature, and stays there.
fn signatures(house: &House) {
    let token = support::keyed::username("alice", &house.password).octets;
    let stamp = support::signed::Part::timestamp(chancery::wire::Millis::now(), None).octets;
    let cases: [(&str, &Made); 9] = [
        ("two signatures", &|_, signature| signature.repeat(2)),
        ("a signature and something else", &|_, signature| format!("{signature}{stamp}")),
        ("a signature in something else", &|_, signature| format!("<n:w xmlns:n='urn:n'>{signature}</n:w>")),
        ("a signature in a header of its own", &|_, signature| format!("</o:Security><o:Security>{signature}")),
        ("a timestamp", &|_, _| stamp.replace("\"t\"", "\"t2\"")),
        ("another token", &|_, _| token.replace("\"ut\"", "\"ut2\"")),
        ("text", &|_, _| "signed".to_owned()),
        ("nothing", &|_, _| "<!-- -->".to_owned()),
        ("something that is sealed", &|client, signature| client.data("ed-x", "Element", &signature)),
    ];
    for (what, change) in cases {
        let client = house.client(32);
        let text = client.text(&client.first(true, str::to_owned, |signature| change(&client, signature)));
        house.is_refused(what, &text, "InvalidSecurity");
    }
    // Beside one in clear it is the second.
    let client = house.client(32);
    let pieces = client.first(false, str::to_owned, |signature| signature);
    let signature = format!("{}{}", pieces.signature, client.data("ed-s", "Element", &pieces.signature));
    let key = pieces.key.clone() + &list(&["ed-s"]);
    house.is_refused("one beside one", &client.text(&Pieces { signature, key, ..pieces }), "InvalidSecurity");
}

/// What is sealed stands where it was, once, and is named by a list.
fn moved(house: &House) {
    let wrapped = |inside: &str| format!("<n:w xmlns:n='urn:n'>{inside}</n:w>");
    let cases: [(&str, &Change); 13] = [
        ("twice", &|_, pieces| pieces.signature = pieces.signature.repeat(2)),
        ("twice by two names", &|_, pieces| pieces.signature += &pieces.signature.replace("ed-s", "ed-s2")),
        ("twice by two names and listed", &|_, pieces| {
            pieces.signature += &pieces.signature.replace("ed-s", "ed-s2");
            pieces.key = pieces.key.replace("'#ed-s'/>", "'#ed-s'/><x:DataReference URI='#ed-s2'/>");
        }),
        ("in another element", &|_, pieces| pieces.signature = wrapped(&pieces.signature)),
        ("in another header", &|_, pieces| pieces.headers = std::mem::take(&mut pieces.signature)),
        ("in an element of another header", &|_, pieces| {
            pieces.headers = wrapped(&std::mem::take(&mut pieces.signature));
        }),
        ("in the body", &|_, pieces| {
            pieces.body = pieces.body.replace("</s:Body>", &format!("{}</s:Body>", pieces.signature));
            pieces.signature.clear();
        }),
        ("nowhere", &|_, pieces| pieces.signature.clear()),
        ("not listed", &|_, pieces| pieces.key = pieces.key.replace("<x:DataReference URI='#ed-s'/>", "")),
        ("listed twice", &|_, pieces| pieces.key += &list(&["ed-s"])),
        ("another one listed", &|_, pieces| pieces.key = pieces.key.replace("#ed-s", "#t")),
        ("said to be the content of the header", &|_, pieces| {
            pieces.signature = pieces.signature.replace("#Element", "#Content");
        }),
        ("before its key", &|client, pieces| {
            let (signature, list) = (std::mem::take(&mut pieces.signature), list(&["ed-s"]));
            pieces.key = format!("{signature}{}", pieces.key.replace(&list, ""));
            assert!(client.derives.is_none());
        }),
    ];
    for (what, change) in cases {
        let client = house.client(32);
        let mut pieces = client.first(true, str::to_owned, |signature| signature);
        change(&client, &mut pieces);
        let (status, answer) = house.post(crate::house::SYMMETRIC, &client.text(&pieces));
        let code = |code: &str| answer.contains(&format!(":{code}<"));
        assert!(status != 200 && (code("InvalidSecurity") || code("InvalidRequest")), "{what}: {answer}");
    }
    let client = house.client(32);
    let pieces = client.first(true, str::to_owned, |signature| signature);
    let cbc = |piece: &str| piece.replace("2009/xmlenc11#aes256-gcm", "2001/04/xmlenc#aes256-cbc");
    let text = client.text(&Pieces { signature: cbc(&pieces.signature), ..pieces });
    house.is_refused("a signature by CBC", &text, "UnsupportedAlgorithm");
    let pieces = client.first(false, str::to_owned, |signature| signature);
    let text = client.text(&Pieces { body: cbc(&pieces.body), ..pieces });
    house.is_refused("a body by CBC", &text, "UnsupportedAlgorithm");
}

/// What is read is what was in the body that the MAC covers.
fn bodies(house: &House) {
    let party = "https://rp.example.com/";
    let another = |body: &str| body.replace(party, "https://rp.example.org/");
    for after in [false, true] {
        let made = |client: &Client, body: &dyn Fn(&str) -> String| client.first(after, body, |signature| signature);
        let client = house.client(32);
        // Sealed by whoever has the key, and not what was covered.
        let pieces = made(&client, &str::to_owned);
        let other = client.body(&pieces.plain, another);
        let text = client.text(&Pieces { body: other.clone(), ..pieces });
        house.is_refused("another body", &text, "FailedAuthentication");
        let pieces = made(&client.sealed_anew(), &str::to_owned);
        let hidden = format!("<n:w xmlns:n='urn:n'>{}</n:w>", pieces.body);
        let put = other.replace("\"b\"", "\"b2\"").replace("ed-b", "ed-c");
        for named in ["#ed-b", "#ed-c"] {
            let key = pieces.key.replace("#ed-b", named);
            let moved = Pieces { headers: hidden.clone(), body: put.clone(), key, ..made(&client, &str::to_owned) };
            house.is_refused("the body that was covered in a header", &client.text(&moved), "InvalidSecurity");
        }
        // The same octets, opened by a key that is not that one.
        let pieces = made(&client.sealed_anew(), &str::to_owned);
        let text = client.text(&Pieces { key: client.sealed_anew().first(after, str::to_owned, |s| s).key, ..pieces });
        house.is_refused("another session key", &text, "FailedCheck");
        for (what, code, body) in [
            ("two requests", "InvalidSecurity", (&|body: &str| body.repeat(2)) as &dyn Fn(&str) -> String),
            ("the end of the body", "InvalidSecurity", &|body| format!("{body}</s:Body><s:Body>{body}")),
            ("something that is sealed", "BadRequest", &|_| client.data("ed-x", "Content", "<a/>")),
            ("an id of the header", "InvalidSecurity", &|body| body.replacen('>', " xmlns:v='urn:v' xml:id='t'>", 1)),
            // An honest worker reads it where its prefix is declared, and auth where it was covered.
            ("a prefix of the envelope", "FailedCheck", &|body| {
                let declared = format!(" xmlns:a=\"{}\"", names::WSA);
                assert!(body.contains(&declared), "{body}");
                body.replace(&declared, "")
            }),
        ] {
            let client = house.client(32);
            let text = client.text(&made(&client, body));
            house.is_refused(what, &text, code);
        }
    }
}

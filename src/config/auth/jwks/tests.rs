//! Keys of the standards, and those that are none, or are nobody's to have here.

use super::*;

/// RFC 7515 A.2.
pub(crate) const RSA: &str = "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}";
/// RFC 7515 A.3.
pub(crate) const P256: &str = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
/// RFC 7515 A.4.
pub(crate) const P521: &str = "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}";
/// RFC 8037 A.2.
pub(crate) const ED25519: &str =
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";

fn members(text: &str) -> Object {
    json::object(text.as_bytes()).unwrap()
}

fn set(keys: &[&str]) -> Result<Vec<Key>, String> {
    read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
}

/// A key with something more.
fn and(key: &str, more: &str) -> String {
    key.replacen('{', &format!("{{{more},"), 1)
}

#[track_caller]
fn refused(key: &str, why: &str) {
    let said = set(&[key]).unwrap_err();
    assert!(said.contains(why), "{why:?} is not in {said:?}");
}

#[test]
fn keys_of_every_kind_are_read_and_sign_as_their_kind_does() {
    for (key, kind, count) in [(RSA, 0, 6), (P256, 1, 1), (P521, 3, 1), (ED25519, 4, 1)] {
        let keys = set(&[key]).unwrap();
        assert_eq!((keys[0].key.parts().0, keys[0].algorithms.len(), &keys[0].id), (kind, count, &None));
    }
    let one = set(&[&and(RSA, "\"alg\":\"PS384\",\"kid\":\"1\",\"use\":\"sig\",\"key_ops\":[\"verify\"]")]).unwrap();
    assert_eq!((one[0].algorithms.as_slice(), one[0].id.as_deref()), (&[By::PssSha384][..], Some("1")));
    // What a certificate beside a key says of it adds nothing; what is for encryption is passed over.
    let x5c = and(P256, "\"x5c\":[\"AA\"],\"x5t\":\"AA\",\"kid\":\"1\"");
    let enc = and(RSA, "\"use\":\"enc\",\"alg\":\"RSA-OAEP\",\"kid\":\"1\"");
    assert_eq!(set(&[&x5c, &enc, ED25519]).unwrap().len(), 2);
}

#[test]
fn a_key_is_called_by_its_content_rfc_7638() {
    let of = |text: &str| Base64UrlUnpadded::encode_string(&thumbprint(&public(&members(text)).unwrap()).unwrap());
    let example = "{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}";
    assert_eq!(of(example), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 A.3.
    assert_eq!(of(ED25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_ne!(of(P256), of(P521));
}

#[test]
fn no_private_or_shared_key_is_here_whatever_it_is_for() {
    for name in PRIVATE {
        for purpose in ["sig", "enc"] {
            refused(&and(RSA, &format!("\"use\":\"{purpose}\",\"{name}\":\"AQAB\"")), "private or shared key");
        }
    }
    refused("{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}", "private or shared key");
    refused("{\"kty\":\"oct\",\"alg\":\"HS256\"}", "kty \"oct\" is none of");
    assert!(set(&["{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AAEC\"}"]).is_err());
}

#[test]
fn a_key_that_is_weak_or_none_is_refused_r_j024() {
    let modulus = |octets: usize, first: u8, last: u8| {
        let mut number = vec![0x55; octets];
        (number[0], number[octets - 1]) = (first, last);
        format!("{{\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"AQAB\"}}", Base64UrlUnpadded::encode_string(&number))
    };
    let exponent = |octets: &[u8]| RSA.replace("AQAB", &Base64UrlUnpadded::encode_string(octets));
    assert!(set(&[&modulus(256, 0x80, 1)]).is_ok());
    assert!(set(&[&exponent(&[3])]).is_ok());
    for (key, why) in [
        (modulus(256, 0x7F, 1), "an RSA key of 2047 bits"),
        (modulus(128, 0x80, 1), "an RSA key of 1024 bits"),
        (modulus(1025, 0x80, 1), "an RSA key of 8200 bits"),
        (modulus(256, 0x80, 2), "it is odd"),
        (modulus(257, 0, 1), "zeros before it"),
        (RSA.replace("AQAB", ""), "an RSA key whose exponent"),
        (exponent(&[0, 1, 0, 1]), "zeros before it"),
        (exponent(&[1]), "an RSA key whose exponent"),
        (exponent(&[2]), "an RSA key whose exponent"),
        (exponent(&[1, 0, 0]), "an RSA key whose exponent"),
        (exponent(&[1, 0, 0, 0, 1]), "an RSA key whose exponent"),
        (
            P256.replace("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"),
            "y is not base64url",
        ),
        (P256.replace("5a0", "5a8"), "no usable key"),
        (P256.replace("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", &"A".repeat(43)), "no usable key"),
        (P256.replace("P-256", "P-384"), "not as long as its curve"),
        (P256.replace("P-256", "secp256k1"), "crv \"secp256k1\" is none of"),
        (P256.replace("\"crv\":\"P-256\",", ""), "no crv"),
        (ED25519.replace("Ed25519", "X25519"), "is not Ed25519"),
        (ED25519.replace("URo", "URoA"), "an x that has not 32 octets"),
        // The same key in another structure.
        (ED25519.replace("\"x\":\"", "\"x\":\"MCowBQYDK2VwAyEA"), "an x that has not 32 octets"),
        (RSA.replace("RSA", "rsa"), "kty \"rsa\" is none of"),
        (RSA.replace("\"kty\":\"RSA\",", ""), "no kty"),
        (RSA.replace("\"AQAB\"", "65537"), "e is not text"),
        (RSA.replace("AQAB", "AQAB="), "e is not base64url"),
        (and(RSA, "\"alg\":\"ES256\""), "alg \"ES256\" is not for such a key"),
        (and(RSA, "\"alg\":\"HS256\""), "alg \"HS256\" is not for such a key"),
        (and(RSA, "\"alg\":\"none\""), "alg \"none\" is not for such a key"),
        (and(P256, "\"alg\":\"ES512\""), "alg \"ES512\" is not for such a key"),
        (and(RSA, "\"key_ops\":[\"sign\"]"), "key_ops without verify"),
        (and(RSA, "\"kid\":1"), "kid is not text"),
        ("7".to_owned(), "no object"),
    ] {
        refused(&key, why);
    }
}

#[test]
fn a_set_has_each_key_once_and_not_too_many() {
    let (one, two) = (and(P256, "\"kid\":\"1\""), and(RSA, "\"kid\":\"1\""));
    assert_eq!(set(&[&one, &two]).unwrap_err(), "key 2: another one has its kid");
    assert_eq!(set(&[RSA, &two]).unwrap_err(), "key 2: it stands there twice");
    assert_eq!(set(&[RSA, P256]).unwrap().len(), 2);
    assert_eq!(set(&[]).unwrap_err(), "no key that verifies signatures");
    assert_eq!(set(&[&and(RSA, "\"use\":\"enc\"")]).unwrap_err(), "no key that verifies signatures");
    for (text, why) in [("{}", "no list of keys"), ("{\"keys\":{}}", "no list of keys"), ("[]", "no object")] {
        assert_eq!(read(text.as_bytes()).unwrap_err(), why);
    }
    assert_eq!(read(b"{\"keys\":[],\"keys\":[]}").unwrap_err(), "a member twice");
    let many: Vec<String> = (0..=MOST)
        .map(|number| {
            let mut modulus = vec![0xC1; 256];
            modulus[1] = u8::try_from(number).unwrap();
            format!("{{\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"AQAB\"}}", Base64UrlUnpadded::encode_string(&modulus))
        })
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(set(&many[..MOST]).unwrap().len(), MOST);
    assert_eq!(set(&many).unwrap_err(), format!("more than {MOST} keys that verify signatures"));
}

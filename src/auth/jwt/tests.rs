//! The examples of the standards, and what of a JWT that its issuer signed is not taken.

use super::*;
use crate::config::auth::jwks;
use crate::config::auth::jwks::tests::{ED25519, P256, P521, RSA};
use crate::config::auth::jwt::Keys;
use crate::config::auth::vouching::Bounds;
use crate::wire::{Millis, Text};

/// The claims of RFC 7515 A.1 to A.3.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const BOUNDS: Bounds = Bounds { skew_ms: 0, max_age_ms: 60_000, max_session_ms: 600_000 };

fn issuer(keys: &[&str]) -> JwtIssuer {
    JwtIssuer {
        name: Text::new("idp").unwrap(),
        issuer: "urn:idp".to_owned(),
        keys: Keys::Written(jwks::read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap().into()),
        algorithms: None,
        audiences: vec!["urn:us".to_owned()],
        sole_audience: false,
        kind: None,
        bounds: BOUNDS,
        once: false,
        subjects: Vec::new(),
        attributes: Vec::new(),
    }
}

/// Who has signed it as its header says, whatever its claims are.
fn signed(issuer: &JwtIssuer, jws: &str) -> Result<(), Reason> {
    let parts = compact::apart(jws.as_bytes()).unwrap();
    let header = header::read(&parts.header).map_err(|_| Reason::UnreadableJwt)?;
    signer(&issuer.keys.now(), header.algorithm, &parts).map(drop).map_err(|(reason, _)| reason)
}

#[test]
fn the_examples_of_the_standards_verify_by_their_own_keys_and_no_other() {
    let a2 = format!(
        "eyJhbGciOiJSUzI1NiJ9.{JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    let a3 = format!(
        "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let a4 = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn".to_owned();
    // RFC 8037 A.4.
    let ed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned();
    let all = [(RSA, a2), (P256, a3), (P521, a4), (ED25519, ed)];
    for (own, (key, jws)) in all.iter().enumerate() {
        assert_eq!(signed(&issuer(&[key]), jws), Ok(()), "{own}");
        let others: Vec<&str> =
            all.iter().enumerate().filter(|(other, _)| *other != own).map(|(_, (key, _))| *key).collect();
        assert_eq!(signed(&issuer(&others), jws), Err(Reason::SignatureAlgorithm), "{own}");
        // Another octet anywhere in what is signed.
        let (head, rest) = jws.split_once('.').unwrap();
        let changed = format!("{head}.{}{}", if rest.starts_with('A') { 'B' } else { 'A' }, &rest[1..]);
        assert_eq!(signed(&issuer(&[key]), &changed), Err(Reason::WrongSignature), "{own}");
    }
}

#[test]
fn a_key_signs_as_its_set_says_and_never_as_a_header_does_a_12() {
    // RFC 7515 A.1, signed with a secret: the octets of a public key are none.
    let hmac = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(signed(&issuer(&[RSA, P256]), &hmac), Err(Reason::UnreadableJwt));
    let parts = compact::apart(b"AAEC.AAEC.AAEC").unwrap();
    let tried = |alg: &str| {
        let key = RSA.replacen('{', &format!("{{\"alg\":\"{alg}\","), 1);
        signer(&issuer(&[&key]).keys.now(), SignatureAlgorithm::RsaSha256, &parts)
            .map(drop)
            .map_err(|(reason, _)| reason)
    };
    assert_eq!(tried("RS256"), Err(Reason::WrongSignature));
    for other in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert_eq!(tried(other), Err(Reason::SignatureAlgorithm), "{other}");
    }
}

#[test]
fn an_ecdsa_signature_is_two_numbers_of_their_length_and_neither_is_nothing_r_j024() {
    let encode = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string;
    let (r, s) = ([7_u8; 32], [9_u8; 32]);
    let der = [&[0x30, 68, 2, 32][..], &r, &[2, 32], &s].concat();
    for value in [
        vec![0; 64],
        [&r[..], &[0; 32]].concat(),
        [&[0; 32][..], &s].concat(),
        vec![0xFF; 64],
        der,
        vec![7; 63],
        vec![7; 65],
        vec![0],
    ] {
        let jws = format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{}", encode(&value));
        assert_eq!(signed(&issuer(&[P256]), &jws), Err(Reason::WrongSignature), "{value:?}");
    }
}

/// What an issuer of this table says of a JWT with these claims besides those that make it good, `at` seconds after it
/// was made.
fn judged(issuer: &JwtIssuer, claims: &str, at: i64) -> Result<(), Reason> {
    let text = format!("{{\"iss\":\"urn:idp\",{claims}}}");
    let claims = claims::read(text.as_bytes()).unwrap();
    Verified { issuer, claims }.judge(Millis((MADE + at) * 1000)).map_err(|(reason, _)| reason)
}

const MADE: i64 = 1_700_000_000;
const GOOD: &str = "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000600";

#[test]
fn a_jwt_holds_from_its_beginning_to_its_end_to_the_second_r_j023() {
    let dates = Err(Reason::JwtDates);
    let strict = issuer(&[RSA]);
    let skewed = JwtIssuer { bounds: Bounds { skew_ms: 30_000, ..BOUNDS }, ..issuer(&[RSA]) };
    for (table, claims, at, expected) in [
        (&strict, GOOD, 0, Ok(())),
        (&strict, GOOD, -1, dates),
        (&strict, GOOD, 60, Ok(())),
        (&strict, GOOD, 61, dates),
        (&skewed, GOOD, -30, Ok(())),
        (&skewed, GOOD, -31, dates),
        (&skewed, GOOD, 90, Ok(())),
        (&skewed, GOOD, 91, dates),
        (&strict, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000010", 9, Ok(())),
        (&strict, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000010", 10, dates),
        (&skewed, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000010", 39, Ok(())),
        (&skewed, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000010", 40, dates),
        (&strict, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000600,\"nbf\":1700000005", 4, dates),
        (&strict, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000600,\"nbf\":1700000005", 5, Ok(())),
        (&strict, "\"aud\":\"urn:us\",\"iat\":0,\"exp\":253402300799", 0, dates),
        // Ten minutes after its subject proved himself the session is over, whatever the skew.
        (&skewed, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000600,\"auth_time\":1699999401", 0, Ok(())),
        (&skewed, "\"aud\":\"urn:us\",\"iat\":1700000000,\"exp\":1700000600,\"auth_time\":1699999400", 0, dates),
    ] {
        assert_eq!(judged(table, claims, at), expected, "{claims} {at}");
    }
}

#[test]
fn a_subject_proved_himself_no_later_than_the_jwt_was_made() {
    let issuer = issuer(&[RSA]);
    let at = |claims: &str| {
        let claims = claims::read(format!("{{\"iss\":\"urn:idp\",{claims}}}").as_bytes()).unwrap();
        Verified { issuer: &issuer, claims }.authenticated().0 / 1000 - MADE
    };
    assert_eq!(at(GOOD), 0);
    assert_eq!(at(&format!("{GOOD},\"auth_time\":1699999990")), -10);
    assert_eq!(at(&format!("{GOOD},\"auth_time\":253402300799")), 0);
}

#[test]
fn a_jwt_is_for_us_and_where_the_table_says_so_for_us_alone_r_j010() {
    let alone = JwtIssuer { sole_audience: true, ..issuer(&[RSA]) };
    let open = issuer(&[RSA]);
    let of = |table: &JwtIssuer, aud: &str| judged(table, &GOOD.replace("\"urn:us\"", aud), 0);
    for (aud, of_open, of_alone) in [
        ("\"urn:us\"", true, true),
        ("[\"urn:us\"]", true, true),
        ("[\"urn:other\",\"urn:us\"]", true, false),
        ("[\"urn:us\",\"urn:us\"]", true, false),
        ("\"urn:us/\"", false, false),
        ("\"URN:US\"", false, false),
        ("\" urn:us\"", false, false),
        ("\"urn:us urn:other\"", false, false),
        ("\"\"", false, false),
        ("[]", false, false),
    ] {
        let expected = |taken: bool| if taken { Ok(()) } else { Err(Reason::Audience) };
        assert_eq!(of(&open, aud), expected(of_open), "{aud}");
        assert_eq!(of(&alone, aud), expected(of_alone), "{aud}");
    }
}

#[test]
fn what_is_to_be_good_once_has_an_id() {
    let once = JwtIssuer { once: true, ..issuer(&[RSA]) };
    assert_eq!(judged(&once, GOOD, 0), Err(Reason::UnreadableJwt));
    assert_eq!(judged(&once, &format!("{GOOD},\"jti\":\"1\""), 0), Ok(()));
}

#[test]
fn a_kind_is_taken_by_its_own_name_and_no_other_r_j022() {
    let plain = issuer(&[RSA]);
    let access = JwtIssuer { kind: Some("at+jwt".to_owned()), ..issuer(&[RSA]) };
    for (typ, of_plain, of_access) in [
        ("", true, false),
        (",\"typ\":\"JWT\"", true, false),
        (",\"typ\":\"jwt\"", true, false),
        (",\"typ\":\"application/JWT\"", true, false),
        (",\"typ\":\"at+jwt\"", false, true),
        (",\"typ\":\"application/at+JWT\"", false, true),
        (",\"typ\":\"dpop+jwt\"", false, false),
        (",\"typ\":\"logout+jwt\"", false, false),
        (",\"typ\":\"secevent+jwt\"", false, false),
        (",\"typ\":\"\"", false, false),
        (",\"typ\":\"JWT \"", false, false),
        (",\"typ\":\"application/application/jwt\"", false, false),
    ] {
        let header = header::read(format!("{{\"alg\":\"RS256\"{typ}}}").as_bytes()).unwrap();
        let taken =
            |issuer: &JwtIssuer| fits(issuer, &issuer.keys.now()[0], SignatureAlgorithm::RsaSha256, &header).is_ok();
        assert_eq!((taken(&plain), taken(&access)), (of_plain, of_access), "{typ}");
    }
}

#[test]
fn the_key_that_a_header_names_is_the_one_that_signed_r_j021() {
    let named = issuer(&[&RSA.replacen('{', "{\"kid\":\"1\",", 1)]);
    let unnamed = issuer(&[RSA]);
    for (kid, of_named, of_unnamed) in [
        ("", true, true),
        (",\"kid\":\"1\"", true, false),
        (",\"kid\":\"2\"", false, false),
        (",\"kid\":\"\"", false, false),
    ] {
        let header = header::read(format!("{{\"alg\":\"RS256\"{kid}}}").as_bytes()).unwrap();
        let taken =
            |issuer: &JwtIssuer| fits(issuer, &issuer.keys.now()[0], SignatureAlgorithm::RsaSha256, &header).is_ok();
        assert_eq!((taken(&named), taken(&unnamed)), (of_named, of_unnamed), "{kid}");
    }
}

#[test]
fn a_use_is_remembered_as_long_as_the_jwt_is_taken_and_an_hour_in_any_case() {
    let remembered = |minutes: i64, exp: i64| {
        let issuer = JwtIssuer { bounds: Bounds { max_age_ms: minutes * 60_000, ..BOUNDS }, ..issuer(&[RSA]) };
        let text = format!("{{\"iss\":\"urn:idp\",\"aud\":\"urn:us\",\"iat\":{MADE},\"exp\":{exp},\"jti\":\"1\"}}");
        let verified = Verified { issuer: &issuer, claims: claims::read(text.as_bytes()).unwrap() };
        verified.until().0 - MADE * 1000
    };
    // Its own end or ours, the largest difference of clocks, and a minute.
    let (minute, hour) = (60_000, 3_600_000);
    assert_eq!(remembered(1440, MADE + 3600), hour + 6 * minute);
    assert_eq!(remembered(1, 253_402_300_799), hour + 6 * minute);
    assert_eq!(remembered(90, 253_402_300_799), 96 * minute);
}

#[test]
fn an_id_is_its_issuers_and_no_two_pairs_are_one() {
    let issuer = issuer(&[RSA]);
    let once = |iss: &str, jti: &str| {
        let text = format!("{{\"iss\":\"{iss}\",\"aud\":\"urn:us\",\"iat\":0,\"exp\":0,\"jti\":\"{jti}\"}}");
        Verified { issuer: &issuer, claims: claims::read(text.as_bytes()).unwrap() }.once().unwrap()
    };
    assert_eq!(once("urn:idp", "1"), once("urn:idp", "\\u0031"));
    assert_ne!(once("urn:idp", "1"), once("urn:idp", "2"));
    assert_ne!(once("urn:idp", "1"), once("urn:idp1", "1"));
    assert_ne!(once("urn:idp1", "1"), once("urn:idp", "11"));
}

//! JWTs for the holder of a key who has proved it when he connected (RFC 8705): the handshakes are real.

use chancery::wire::Octets;
use chancery::wire::evidence::{ClientHandshake, KeyType, Presenter, Refusal, Submission, TlsVersion};
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use rustls::version::{TLS12, TLS13};

use crate::holder::by_certificate;
use crate::house::{House, all_refused, sam, with};
use crate::support::handshakes::{Identity, client, known, server, shake};
use crate::support::jwt::{Words, handed_on, text};

fn p256(name: &str) -> Identity {
    Identity::own(name, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn handshake(us: &Identity, them: &Identity, version: TlsVersion) -> ClientHandshake {
    let of_tls = if version == TlsVersion::V13 { &TLS13 } else { &TLS12 };
    let (config, seen) = client(Some(them), &us.0.cert[0], of_tls, |_| {});
    let signed = shake(config, &seen, server(known(us), of_tls, rustls::crypto::aws_lc_rs::default_provider()));
    ClientHandshake {
        version,
        messages: Octets::new(signed.messages).unwrap(),
        scheme: signed.scheme,
        signature: Octets::new(signed.signature).unwrap(),
    }
}

fn over(house: &House, words: &Words, handshake: ClientHandshake) -> Submission {
    let signed = handed_on(&words.signed(&house.cloud), &house.cloud);
    with(signed, Presenter::Connected(handshake))
}

/// For whoever has the key of this certificate.
fn held_by(identity: &Identity) -> Words {
    by_certificate(&identity.0.cert[0])
}

#[test]
fn whoever_connected_with_the_certificate_that_a_jwt_confirms_is_its_subject_r_j041() {
    let (house, holder) = (House::new(), p256("holder"));
    let mut worker = house.office.worker();
    for version in [TlsVersion::V13, TlsVersion::V12] {
        worker.vouched(over(&house, &held_by(&holder), handshake(&house.server, &holder, version)));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Transport));
        assert_eq!(order.authentication.method, Method::Jwt);
    }
    let mut bound = over(&house, &held_by(&holder), handshake(&house.server, &holder, TlsVersion::V13));
    bound.wish.key_type = Some(KeyType::Public);
    worker.vouched(bound);
    let certificate = Octets::new(holder.0.cert[0].to_vec()).unwrap();
    assert_eq!(house.office.lodged().order.confirmation, Confirmation::HolderOfKey { certificate });
    // A JWT for anybody may come over such a connection, which proves nothing of it.
    let mut borne = over(&house, &sam(), handshake(&house.server, &holder, TlsVersion::V13));
    worker.vouched(over(&house, &sam(), handshake(&p256("localhost"), &holder, TlsVersion::V13)));
    borne.wish.key_type = Some(KeyType::Public);
    assert_eq!(worker.refused(borne), Refusal::InvalidRequest);
}

#[test]
fn a_jwt_over_a_connection_that_does_not_prove_its_key_is_refused_a_27() {
    let (house, holder, stranger) = (House::new(), p256("holder"), p256("stranger"));
    let words = held_by(&holder);
    let good = || handshake(&house.server, &holder, TlsVersion::V13);
    let changed = |change: fn(&mut ClientHandshake)| {
        let mut handshake = good();
        change(&mut handshake);
        over(&house, &words, handshake)
    };
    let parameters = |year| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        parameters
    };
    let pair = rcgen::KeyPair::generate().unwrap();
    let past = Identity::of(&pair, vec![parameters(2020).self_signed(&pair).unwrap().der().clone()]);
    all_refused(
        &house.office,
        vec![
            (
                "with another certificate",
                over(&house, &words, handshake(&house.server, &stranger, TlsVersion::V13)),
                "confirmation",
            ),
            (
                "with another server",
                over(&house, &words, handshake(&p256("localhost"), &holder, TlsVersion::V13)),
                "foreign-handshake",
            ),
            (
                "with a signature of nobody",
                changed(|one| one.signature = Octets::new([7; 70]).unwrap()),
                "wrong-signature",
            ),
            ("with no messages", changed(|one| one.messages = Octets::default()), "unreadable-handshake"),
            (
                "with a certificate that is past",
                over(&house, &held_by(&past), handshake(&house.server, &past, TlsVersion::V13)),
                "certificate-dates",
            ),
            (
                "what nobody can prove",
                over(&house, &sam().but("cnf", "{\"kid\":\"x\"}"), good()),
                "unknown-confirmation",
            ),
            (
                "of a stranger",
                {
                    let other = handed_on(&words.signed(&house.eve), &house.eve);
                    with(other, Presenter::Connected(good()))
                },
                "wrong-signature",
            ),
        ],
    );
    // Only what issuer remembers of this worker counts; and what was refused did not use the JWT up.
    let once = held_by(&holder).but("jti", text("one"));
    house.office.confirms(None);
    assert_eq!(house.office.worker().refused(over(&house, &once, good())), Refusal::Reconnect);
    house.office.confirms(Some(3_600_000));
    house.office.worker().vouched(over(&house, &once, good()));
    assert_eq!(house.office.worker().refused(over(&house, &once, good())), Refusal::InvalidSecurity);
}

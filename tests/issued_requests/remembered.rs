//! What auth remembers of a path is which signatures in it hold. Whether the path does is judged for each request: here
//! what ends, changes or is taken back after it was remembered.

use std::time::Duration as Pause;

use chancery::wire::evidence::{KeyReference, Refusal, SignedMessage, Submission};
use chancery::wire::links::AuthToWorker;
use chancery::wire::{Millis, Octets};
use nix::sys::signal::{Signal, kill};
use rcgen::{CertificateParams, SerialNumber};
use time::{Duration, OffsetDateTime};

use super::support::processes::eventually;
use super::support::refusals::all_refused;
use super::support::signed::Client;
use super::{Ca, HOME, House, bringing, common, der, email, good, message, named, reasons, submission};

/// How many signatures over certificates auth has verified by now, and how many it knew.
fn signatures(house: &House) -> [String; 2] {
    house.office.counted("chancery_certificate_signatures_total", ["verified", "known"])
}

/// A good message whose certificate has these octets.
fn showing(client: &Client, der: Vec<u8>) -> Submission {
    let now = Millis::now();
    let key = KeyReference::Certificate(Octets::new(der).unwrap());
    submission(SignedMessage { key, ..message(client, now) }, now)
}

/// Where these stand in those.
fn place(inner: &[u8], outer: &[u8]) -> usize {
    outer.windows(inner.len()).position(|window| window == inner).unwrap()
}

#[test]
fn signatures_of_a_path_are_verified_once_and_nothing_else_passes_for_them() {
    let house = House::new();
    let sam = house.issuing.client(named(vec![email("sam@example.com")]));
    let mut worker = house.office.worker();
    for _ in 0..3 {
        worker.vouched(good(&sam));
    }
    assert_eq!(signatures(&house), ["2", "4"]);

    let certificate = der(&sam.certificate);
    let mut forged = certificate.clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut renamed = certificate.clone();
    let at = place(b"sam@example.com", &renamed);
    renamed[at..at + 3].copy_from_slice(b"kim");
    // Its signature by an authority of the same name.
    let alike = Ca::root("root").below("issuing", 2, |_| {});
    let cases = vec![
        ("another signature", showing(&sam, forged), "untrusted-issuer"),
        ("another name", showing(&sam, renamed), "untrusted-issuer"),
        ("by another key", good(&alike.client(named(vec![email("sam@example.com")]))), "untrusted-issuer"),
    ];
    all_refused(&house.office, cases);
    // That of the authority above was known each time, and none below it held.
    assert_eq!(signatures(&house), ["2", "7"]);
    // The next one of that authority costs one verification.
    worker.vouched(good(&house.issuing.client(named(vec![email("kim@example.com")]))));
    assert_eq!(signatures(&house), ["3", "8"]);
}

#[test]
fn a_path_that_is_known_is_judged_by_the_dates_of_each_of_its_certificates() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let brief = root.below("brief", 20, |_| {});
    let house = House::of(root, issuing, &[("brief.crl".to_owned(), brief.takes_back(&[]))]);
    let sam = brief.client(named(vec![email("sam@example.com")]));
    // The same authority by a certificate that is over soon, which messages bring.
    let end = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap() + Duration::seconds(6);
    let mut parameters: CertificateParams = Ca::parameters("brief", 21);
    parameters.not_after = end;
    let soon = parameters.signed_by(brief.issuer.key(), &house.root.issuer).unwrap().pem();
    let request = || bringing(&sam, super::pki_path(&[&soon, &sam.certificate]));
    let mut worker = house.office.worker();
    worker.vouched(request());
    worker.vouched(request());
    while OffsetDateTime::now_utc() <= end + Duration::seconds(1) {
        std::thread::sleep(Pause::from_millis(100));
    }
    all_refused(&house.office, vec![("after the end of the authority's", request(), "untrusted-issuer")]);
    let longer = brief.pem.clone();
    worker.vouched(bringing(&sam, super::pki_path(&[&longer, &sam.certificate])));
}

#[test]
fn a_path_that_is_known_ends_with_the_anchor_and_with_what_is_taken_back() {
    let house = House::new();
    let sam = house.issuing.client(|parameters| {
        common("sam")(parameters);
        parameters.serial_number = Some(SerialNumber::from(1234));
    });
    let mut worker = house.office.worker();
    let reload = || kill(house.office.auth().pid(), Signal::SIGHUP).unwrap();
    let until = |takes: bool, why: &str| {
        let mut worker = house.office.worker();
        eventually(why, || match worker.ask(good(&sam)) {
            AuthToWorker::Refused(refused) => {
                assert_eq!(refused.refusal, Refusal::FailedAuthentication);
                (!takes).then_some(())
            }
            _ => takes.then_some(()),
        });
        if !takes {
            eventually(why, || (reasons(&house.office).get(&HOME)? == why).then_some(()));
        }
    };
    worker.vouched(good(&sam));
    house.office.write("root.crt", &Ca::root("root").pem);
    reload();
    until(false, "untrusted-issuer");
    house.office.write("root.crt", &house.root.pem);
    reload();
    until(true, "allowed");
    house.office.write("issuing.crl", &house.issuing.takes_back(&[77, 1234]));
    reload();
    until(false, "revoked");
}

//! Revocation lists that an authority publishes: auth fetches them, and takes no more from whoever is on the way than
//! that they come late.

use chancery::wire::evidence::Refusal;
use chancery::wire::links::AuthToWorker;
use nix::sys::signal::{Signal, kill};
use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint};

use super::support::office::Office;
use super::support::processes::eventually;
use super::support::publisher::{Publisher, found};
use super::{Ca, HOME, PARTY, SUBJECTS, auth, common, good, numbered, reasons};

const USERS: &str = "[users.sam]\ncertificate_authority = \"corporate\"\n";

/// An authority whose list is at a publisher's, and auth that trusts it.
struct Town {
    root: Ca,
    publisher: Publisher,
    office: Office,
}

impl Town {
    fn new(says: impl FnOnce(&Ca) -> Vec<u8>) -> Self {
        let root = Ca::root("root");
        let publisher = Publisher::open(says(&root), None);
        let office = Office::with(&auth(&authority(&publisher, "")), USERS, PARTY, &[("root.crt", &root.pem)]);
        Self { root, publisher, office }
    }

    /// Has auth read its configuration, and so visit the publisher, and waits until it has been there.
    fn visited(&self) {
        let before = self.publisher.heard().len();
        kill(self.office.auth().pid(), Signal::SIGHUP).unwrap();
        eventually("auth visits the publisher", || (self.publisher.heard().len() > before).then_some(()));
    }

    /// The same, until auth has tried twice: it comes again by itself when it has taken nothing.
    fn tried(&self) {
        self.visited();
        let before = self.publisher.heard().len();
        eventually("auth comes again", || (self.publisher.heard().len() > before).then_some(()));
    }

    fn takes(&self, serial: u64) -> bool {
        match self.office.worker().ask(good(&self.root.client(numbered(serial)))) {
            AuthToWorker::Vouched(_) => true,
            AuthToWorker::Refused(refused) => {
                assert_eq!(refused.refusal, Refusal::FailedAuthentication);
                false
            }
            AuthToWorker::Opened(_)
            | AuthToWorker::Sealed(_)
            | AuthToWorker::SealedFor(_)
            | AuthToWorker::Negotiated(_) => panic!("opened"),
        }
    }
}

fn authority(publisher: &Publisher, more: &str) -> String {
    format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\n{more}\n\
         [[certificate_authority.crl_source]]\nurl = \"http://pki.example.com:8080/root.crl?of=it\"\n\
         address = \"{}\"\n{SUBJECTS}",
        publisher.address
    )
}

fn with_status(status: &str, list: &str) -> Vec<u8> {
    let answer = String::from_utf8(found(list)).unwrap();
    answer.replacen("200 OK", status, 1).into_bytes()
}

#[test]
fn a_list_is_fetched_and_a_newer_one_takes_back() {
    let town = Town::new(|root| found(root.list(&[77], (-60, 60))));
    eventually("the list is there", || town.takes(5).then_some(()));
    assert!(!town.takes(77));
    eventually("the record says why", || (reasons(&town.office).get(&HOME)? == "revoked").then_some(()));
    let head = town.publisher.heard().remove(0);
    assert!(head.starts_with("GET /root.crl?of=it HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nhost: pki.example.com:8080\r\n"), "{head}");
    assert!(town.takes(78));
    town.publisher.says(found(town.root.list(&[77, 78], (-30, 60))));
    town.visited();
    eventually("the new list is in force", || (!town.takes(78)).then_some(()));
    assert!(town.takes(5) && !town.takes(77));
}

#[test]
fn nobody_is_taken_before_there_is_a_list_and_it_is_tried_again() {
    let town = Town::new(|_| b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec());
    eventually("auth was there", || (!town.publisher.heard().is_empty()).then_some(()));
    assert!(!town.takes(5));
    eventually("the record says why", || (reasons(&town.office).get(&HOME)? == "revocation-unknown").then_some(()));
    town.publisher.says(found(town.root.takes_back(&[])));
    eventually("auth tries it again by itself", || town.takes(5).then_some(()));
}

#[test]
fn who_is_on_the_way_puts_no_list_in_force_and_none_out_of_it() {
    let town = Town::new(|root| found(root.list(&[77], (-30, 60))));
    eventually("the list is there", || town.takes(5).then_some(()));
    let another = Ca::root("root");
    let der = |pem: &str| super::der(pem);
    let mut damaged = der(&town.root.list(&[5], (-10, 60)));
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    // A good one, behind more than is read.
    let large = [vec![b'\n'; 17 << 20], town.root.list(&[5], (-10, 60)).into_bytes()].concat();
    // Millions of values, and none of them signed.
    let nulls = [&[0x30, 0x83, 0x7f, 0xff, 0xfe][..], &[5, 0].repeat(0x003f_ffff)].concat();
    for (what, says) in [
        ("another's, of the same name", found(another.takes_back(&[5]))),
        ("another's, of another name", found(Ca::root("other").takes_back(&[5]))),
        ("an older one", found(town.root.list(&[], (-40, 60)))),
        ("one that is past", found(town.root.list(&[], (-20, -1)))),
        ("one from the future", found(town.root.list(&[], (20, 60)))),
        ("damaged", found(damaged)),
        ("cut short", found(&der(&town.root.list(&[], (-10, 60)))[..100])),
        ("nothing", found("")),
        ("a page", found("<html>Your session has expired</html>")),
        ("too much", found(large)),
        ("too many values", found(nulls)),
        ("one that comes with an error", with_status("404 Not Found", &town.root.list(&[5], (-10, 60)))),
        ("elsewhere", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("no HTTP", b"220 ready\r\n".to_vec()),
        ("a hang-up", Vec::new()),
    ] {
        town.publisher.says(says);
        town.tried();
        assert!(town.takes(5), "{what}");
        assert!(!town.takes(77), "{what}");
    }
    let newest = town.root.list(&[5], (-5, 60));
    town.publisher.says(found(newest));
    town.visited();
    eventually("the honest one is taken after all of them", || (!town.takes(5)).then_some(()));
}

/// With two authorities in its paths, whose lists are at two places.
fn of_two(issuing: &Ca, root: &Ca, says: [Vec<u8>; 2]) -> ([Publisher; 2], Office) {
    let publishers = says.map(|says| Publisher::open(says, None));
    let [first, second] = &publishers;
    let authority = format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\nintermediates = [\"issuing.crt\"]\n\
         [[certificate_authority.crl_source]]\nurl = \"http://pki.example.com/issuing.crl\"\naddress = \"{}\"\n\
         [[certificate_authority.crl_source]]\nurl = \"http://pki.example.com/root.crl\"\naddress = \"{}\"\n{SUBJECTS}",
        first.address, second.address
    );
    let files = [("root.crt", root.pem.as_str()), ("issuing.crt", issuing.pem.as_str())];
    (publishers, Office::with(&auth(&authority), USERS, PARTY, &files))
}

fn let_in(office: &Office, by: &Ca, serial: u64) -> bool {
    matches!(office.worker().ask(good(&by.client(numbered(serial)))), AuthToWorker::Vouched(_))
}

#[test]
fn a_good_list_at_the_wrong_place_keeps_no_other_out_of_it() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let roots = || found(root.list(&[66], (-30, 600)));
    let ([first, _second], office) = of_two(&issuing, &root, [roots(), roots()]);
    eventually("both were visited", || (first.visits() > 0).then_some(()));
    assert!(!let_in(&office, &issuing, 5), "nothing is known of the issuing authority's");
    for reload in [false, true] {
        first.says(found(issuing.list(&[77], (if reload { -10 } else { -20 }, 60))));
        kill(office.auth().pid(), Signal::SIGHUP).unwrap();
        eventually("its list is in force", || let_in(&office, &issuing, 5).then_some(()));
        assert!(!let_in(&office, &issuing, 77));
    }
    // The other way round, what is held stays held.
    first.says(roots());
    kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    let before = first.visits();
    eventually("it was visited", || (first.visits() > before).then_some(()));
    assert!(let_in(&office, &issuing, 5) && !let_in(&office, &issuing, 77));
}

#[test]
fn a_list_that_says_where_it_is_published_is_taken_from_there_only() {
    let part = |root: &Ca, url: &str| {
        root.part(
            &[],
            (-5, 60),
            CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![url.to_owned()] },
                scope: None,
            },
        )
    };
    let town = Town::new(|root| found(root.list(&[77], (-30, 60))));
    eventually("the list is there", || town.takes(5).then_some(()));
    // A part of another place, newer, on which that number does not stand.
    town.publisher.says(found(part(&town.root, "http://pki.example.com/part-5.crl")));
    town.tried();
    assert!(town.takes(5) && !town.takes(77));
    // What the whole one says stays said beside a part that is of this place.
    town.publisher.says(found(part(&town.root, "http://pki.example.com:8080/root.crl?of=it")));
    town.visited();
    // When it was visited once more, the first visit was judged.
    town.visited();
    assert!(town.takes(5) && !town.takes(77));
}

#[test]
fn what_was_fetched_is_kept_over_a_reload_as_far_as_it_still_fits() {
    let town = Town::new(|root| found(root.list(&[77], (-30, 60))));
    eventually("the list is there", || town.takes(5).then_some(()));
    town.publisher.says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec());
    town.visited();
    assert!(town.takes(5) && !town.takes(77));
    // Its anchor is another one now: what the old one signed is no list of its.
    let other = Ca::root("root");
    town.office.write("root.crt", &other.pem);
    town.visited();
    let client = other.client(common("sam"));
    eventually("nothing is known of the new one's", || {
        let refused = matches!(town.office.worker().ask(good(&client)), AuthToWorker::Refused(_));
        (refused && reasons(&town.office).get(&HOME)? == "revocation-unknown").then_some(())
    });
}

#[test]
fn a_port_that_was_not_there_at_the_start_is_not_gained_by_a_reload() {
    let town = Town::new(|root| found(root.takes_back(&[])));
    eventually("the list is there", || town.takes(5).then_some(()));
    let elsewhere = Publisher::open(found(""), None);
    town.office.write("auth.toml", &auth(&authority(&elsewhere, "")));
    kill(town.office.auth().pid(), Signal::SIGHUP).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(town.takes(5), "the configuration in use stays");
    assert!(elsewhere.heard().is_empty());
}

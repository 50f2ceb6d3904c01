//! auth as it is shipped, before messages signed by a certificate that nobody registered: an authority vouches for
//! it, or somebody would like it to. The authorities are made here; the test plays the worker.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    pub(crate) mod answers;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
    pub(crate) mod publisher;
    pub(crate) mod refusals;
    pub(crate) mod responder;
    #[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
    pub(crate) mod signed;
}

#[path = "issued_requests/fetched.rs"]
mod fetched;
#[path = "issued_requests/ocsp.rs"]
mod ocsp;
#[path = "issued_requests/policies.rs"]
mod policies;
#[path = "issued_requests/remembered.rs"]
mod remembered;

use base64ct::{Base64, Encoding};
use chancery::wire::evidence::{
    Evidence, KeyReference, Operation, Refusal, SignedMessage, Submission, Timestamp, Wish,
};
use chancery::wire::links::{AuthToAudit, AuthToWorker};
use chancery::wire::order::Method;
use chancery::wire::record::AuthEntry;
use chancery::wire::{Correlation, List, Millis, Octets, Text};
use nix::sys::signal::{Signal, kill};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlIssuingDistributionPoint, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, OtherNameValue, RevokedCertParams, SanType,
};
use time::{Duration, OffsetDateTime};

use support::office::{HOME, Office, Worker, hash};
use support::processes::eventually;
use support::refusals::{all_refused, reasons};
use support::signed::{Client, Part};

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
policy = '''permit(principal, action, resource);'''
"#;
const ENDPOINT: &str = "/signed";
const ADDRESS: &str = "https://sts.example.com/signed";

/// A certificate authority.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    serial: u64,
}

impl Ca {
    fn parameters(name: &str, serial: u64) -> CertificateParams {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.serial_number = Some(serial.into());
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters
    }

    fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = Self::parameters(name, 1);
        change(&mut parameters);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem, serial: 1 }
    }

    /// An authority below this one.
    fn below(&self, name: &str, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = Self::parameters(name, serial);
        change(&mut parameters);
        let pem = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem, serial }
    }

    /// A client whose certificate this one issued.
    fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> Client {
        Client::certified_by(|key| {
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.distinguished_name = DistinguishedName::new();
            parameters.is_ca = IsCa::ExplicitNoCa;
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            change(&mut parameters);
            parameters.signed_by(key, &self.issuer).unwrap()
        })
    }

    /// What it took back; the list holds from so many minutes from now to so many.
    fn list(&self, revoked: &[u64], between: (i64, i64)) -> String {
        self.listed(revoked, between, None)
    }

    /// The same, for a part of its certificates.
    fn part(&self, revoked: &[u64], between: (i64, i64), part: CrlIssuingDistributionPoint) -> String {
        self.listed(revoked, between, Some(part))
    }

    fn listed(
        &self,
        revoked: &[u64],
        (from, until): (i64, i64),
        issuing_distribution_point: Option<CrlIssuingDistributionPoint>,
    ) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: now - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        });
        let parameters = CertificateRevocationListParams {
            this_update: now + Duration::minutes(from),
            next_update: now + Duration::minutes(until),
            crl_number: 1.into(),
            issuing_distribution_point,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    fn takes_back(&self, revoked: &[u64]) -> String {
        self.list(revoked, (-60, 60))
    }
}

fn email(name: &str) -> SanType {
    SanType::Rfc822Name(name.try_into().unwrap())
}

fn upn(name: &str) -> SanType {
    SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], OtherNameValue::Utf8String(name.to_owned())))
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn named(names: Vec<SanType>) -> impl FnOnce(&mut CertificateParams) {
    |parameters| parameters.subject_alt_names = names
}

fn common(name: &str) -> impl FnOnce(&mut CertificateParams) {
    move |parameters| parameters.distinguished_name.push(DnType::CommonName, name)
}

/// `auth.toml` with authorities.
fn auth(authorities: &str) -> String {
    format!(
        "[store]\ndirectory = \"../../state\"\n[[endpoint]]\npath = \"{ENDPOINT}\"\ncredentials = [\"signature\"]\n\
         addresses = [\"{ADDRESS}\"]\n{authorities}"
    )
}

const SUBJECTS: &str = r#"
[[certificate_authority.subject]]
from = "san-email"
capture = '([a-z]+)@example\.com'
[[certificate_authority.subject]]
from = "san-upn"
capture = '(.+)@example\.com'
case = "lower"
[[certificate_authority.subject]]
from = "san-dns"
capture = '([a-z]+)\.hosts\.example\.com'
[[certificate_authority.subject]]
from = "cn"
"#;

fn users() -> String {
    let of = |name: &str, more: &str| format!("[users.{name}]\ncertificate_authority = {more}\n");
    let corporate: String = ["sam", "kim", "printer"].map(|name| of(name, "\"corporate\"")).concat();
    let others = of("eve", "\"corporate\"\ndisabled = true") + &of("otto", "\"other\"");
    format!("{corporate}{others}[users.bob]\npassword = '{}'\n", hash("wonderland"))
}

/// A root, an authority below it that issues, another root, and auth that trusts them.
struct House {
    root: Ca,
    issuing: Ca,
    other: Ca,
    office: Office,
}

impl House {
    fn new() -> Self {
        let root = Ca::root("root");
        let issuing = root.below("issuing", 2, |_| {});
        Self::of(root, issuing, &[])
    }

    /// With more authorities and lists, in files of these names.
    fn of(root: Ca, issuing: Ca, more: &[(String, String)]) -> Self {
        let other = Ca::root("other root");
        let named = |suffix: &str| {
            let names = more.iter().filter(|(file, _)| file.ends_with(suffix));
            names.map(|(file, _)| format!(", \"{file}\"")).collect::<String>()
        };
        let authorities = format!(
            "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\n\
             intermediates = [\"issuing.crt\"{}]\ncrls = [\"root.crl\", \"issuing.crl\"{}]\n{SUBJECTS}\
             [[certificate_authority]]\nname = \"other\"\nanchors = [\"other.crt\"]\ncrls = [\"other.crl\"]\n{SUBJECTS}",
            named(".crt"),
            named(".crl"),
        );
        let own = [
            ("root.crt", root.pem.clone()),
            ("issuing.crt", issuing.pem.clone()),
            ("other.crt", other.pem.clone()),
            ("root.crl", root.takes_back(&[66])),
            ("issuing.crl", issuing.takes_back(&[77])),
            ("other.crl", other.takes_back(&[])),
        ];
        let own = own.iter().map(|(file, text)| (*file, text.as_str()));
        let files: Vec<(&str, &str)> = own.chain(more.iter().map(|(file, text)| (&**file, &**text))).collect();
        let office = Office::with(&auth(&authorities), &users(), PARTY, &files);
        Self { root, issuing, other, office }
    }
}

fn submission(message: SignedMessage, created: Millis) -> Submission {
    Submission {
        correlation: Correlation::random(),
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Signature(message),
        wish: Wish {
            operation: Operation::Issue,
            applies_to: Some(Text::new("urn:office").unwrap()),
            token_type: None,
            key_type: None,
            key_size: None,
            use_key: None,
            claims: List::default(),
            lifetime: None,
        },
    }
}

fn message(client: &Client, created: Millis) -> SignedMessage {
    client.message(&[Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", "")])
}

fn good(client: &Client) -> Submission {
    let now = Millis::now();
    submission(message(client, now), now)
}

/// The octets of a PEM text.
fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Base64::decode_vec(&body).unwrap()
}

/// `X509PKIPathv1`, written by hand.
fn pki_path(certificates: &[&str]) -> Vec<u8> {
    let inside: Vec<u8> = certificates.iter().flat_map(|pem| der(pem)).collect();
    let length = inside.len();
    let head = match u8::try_from(length) {
        Ok(short @ 0..=127) => vec![0x30, short],
        _ => [&[0x30, 0x82][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
    };
    [head, inside].concat()
}

/// A good message by a client that brings these octets as its path.
fn bringing(client: &Client, path: Vec<u8>) -> Submission {
    let now = Millis::now();
    let key = KeyReference::Path(Octets::new(path).unwrap());
    submission(SignedMessage { key, ..message(client, now) }, now)
}

trait RefusedOr {
    fn refused_or(&mut self, submission: Submission, what: &str) -> Refusal;
}

impl RefusedOr for Worker {
    fn refused_or(&mut self, submission: Submission, what: &str) -> Refusal {
        match self.ask(submission) {
            AuthToWorker::Refused(refused) => refused.refusal,
            AuthToWorker::Vouched(_)
            | AuthToWorker::Opened(_)
            | AuthToWorker::Sealed(_)
            | AuthToWorker::SealedFor(_)
            | AuthToWorker::Negotiated(_) => panic!("vouched: {what}"),
        }
    }
}

#[test]
fn a_certificate_below_a_trusted_root_means_the_account_its_name_is_shaped_to() {
    let house = House::new();
    let mut worker = house.office.worker();
    for (names, account) in [
        (vec![email("sam@example.com")], "sam"),
        (vec![email("sam@example.com"), email("sam@elsewhere.example")], "sam"),
        (vec![upn("SAM@example.com")], "sam"),
        (vec![dns("printer.hosts.example.com")], "printer"),
        (vec![dns("x.example.com"), upn("kim@example.com")], "kim"),
    ] {
        worker.vouched(good(&house.issuing.client(named(names))));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.authentication.method), (account, Method::X509));
    }
    worker.vouched(good(&house.root.client(common("kim"))));
    assert_eq!(house.office.lodged().order.subject.account.as_str(), "kim");
    worker.vouched(good(&house.other.client(common("otto"))));
    let said = house.office.audit.said.lock().unwrap();
    let authorities: Vec<_> = (said.iter())
        .filter_map(|message| match message {
            AuthToAudit::Append { entry: AuthEntry::Decision(decision, _), .. } => decision.authority.as_deref(),
            AuthToAudit::Append { .. } => None,
        })
        .collect();
    assert_eq!(authorities, [vec!["corporate"; 6], vec!["other"]].concat());
}

#[test]
fn a_certificate_no_authority_vouches_for_is_refused_and_the_record_says_why() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let short = root.below("short", 3, |ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let deep = short.below("deep", 4, |_| {});
    let bound = root.below("bound", 5, |ca| {
        ca.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("hosts.example.com".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let servers = root.below("servers", 6, |ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let revoked = root.below("revoked", 66, |_| {});
    let silent = root.below("silent", 7, |_| {});
    let stale = root.below("stale", 8, |_| {});
    let early = root.below("early", 9, |_| {});
    let robbed = root.below("robbed", 10, |_| {});
    let mute = root.below("mute", 11, |ca| ca.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    let authorities = [&short, &deep, &bound, &servers, &revoked, &silent, &stale, &early, &robbed, &mute];
    let mut files: Vec<_> = authorities.iter().map(|ca| (format!("{}.crt", ca.serial), ca.pem.clone())).collect();
    let lists =
        [&short, &deep, &bound, &servers, &revoked].map(|ca| (format!("{}.crl", ca.serial), ca.takes_back(&[])));
    files.extend(lists);
    files.push(("stale.crl".to_owned(), stale.list(&[], (-60, -1))));
    files.push(("early.crl".to_owned(), early.list(&[], (30, 60))));
    files.push(("robbed.crl".to_owned(), Ca::root("robbed").takes_back(&[])));
    let may_list =
        Issuer::new(Ca::parameters("mute", 11), KeyPair::try_from(mute.issuer.key().serialize_der()).unwrap());
    let unmuted = Ca { issuer: may_list, pem: String::new(), serial: 11 };
    files.push(("mute.crl".to_owned(), unmuted.takes_back(&[])));
    let house = House::of(root, issuing, &files);

    let House { root, issuing, other, office } = &house;
    let sam = || named(vec![email("sam@example.com")]);
    let with = |change: fn(&mut CertificateParams)| {
        good(&issuing.client(|parameters| {
            sam()(parameters);
            change(parameters);
        }))
    };
    let by = |ca: &Ca| good(&ca.client(sam()));
    office.worker().vouched(by(issuing));
    office.audit.said.lock().unwrap().clear();
    let elsewhere = Ca::root("elsewhere");
    let alike = Ca::root("root").below("issuing", 2, |_| {});
    let no_authority = issuing.below("issuing", 12, |ca| ca.is_ca = IsCa::ExplicitNoCa);
    let cases = vec![
        ("expired", with(|leaf| leaf.not_after = rcgen::date_time_ymd(2020, 1, 1)), "certificate-dates"),
        ("not yet valid", with(|leaf| leaf.not_before = rcgen::date_time_ymd(2999, 1, 1)), "certificate-dates"),
        ("another root", by(&elsewhere), "untrusted-issuer"),
        ("an authority of the same name", by(&alike), "untrusted-issuer"),
        ("self-signed", good(&Client::with(sam())), "untrusted-issuer"),
        (
            "itself an authority",
            with(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "untrusted-issuer",
        ),
        ("below what is no authority", by(&no_authority), "untrusted-issuer"),
        ("below an authority nobody configured", by(&issuing.below("new", 13, |_| {})), "untrusted-issuer"),
        ("too deep", by(&deep), "untrusted-issuer"),
        (
            "a name outside the constraints",
            good(&bound.client(named(vec![dns("sam.example.com")]))),
            "untrusted-issuer",
        ),
        ("below an authority for servers", by(&servers), "untrusted-issuer"),
        (
            "for servers",
            with(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "untrusted-issuer",
        ),
        ("for nothing in particular", with(|leaf| leaf.extended_key_usages = Vec::new()), "untrusted-issuer"),
        ("for any use", with(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]), "untrusted-issuer"),
        (
            "no key for signatures",
            with(|leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
            "unknown-certificate",
        ),
        (
            "what nobody understands and everybody must",
            with(|leaf| {
                let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                critical.set_criticality(true);
                leaf.custom_extensions.push(critical);
            }),
            "untrusted-issuer",
        ),
        ("taken back", with(|leaf| leaf.serial_number = Some(77.into())), "revoked"),
        ("its authority taken back", by(&revoked), "revoked"),
        ("no list", by(&silent), "revocation-unknown"),
        ("a list of yesterday", by(&stale), "revocation-unknown"),
        ("a list of tomorrow", by(&early), "revocation-unknown"),
        ("a list that somebody else signed", by(&robbed), "revocation-unknown"),
        ("a list by who may sign none", by(&mute), "revocation-unknown"),
        (
            "larger than the cap",
            with(|leaf| leaf.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3], vec![5; 9000]))),
            "unknown-certificate",
        ),
        ("nobody's name", good(&issuing.client(common("nobody"))), "no-account"),
        ("no name", good(&issuing.client(|_| {})), "no-account"),
        ("an account with a password", good(&issuing.client(common("bob"))), "no-account"),
        ("another authority's account", good(&issuing.client(common("otto"))), "no-account"),
        ("our account by another authority", good(&other.client(sam())), "no-account"),
        ("a disabled account", good(&issuing.client(common("eve"))), "disabled"),
        (
            "two accounts",
            good(&issuing.client(named(vec![email("sam@example.com"), email("kim@example.com")]))),
            "no-account",
        ),
        ("a zero octet in a name", good(&issuing.client(common("sam\0"))), "no-account"),
        (
            "a zero octet in another name",
            good(&issuing.client(named(vec![email("sam@example.com"), email("a\0@elsewhere.example")]))),
            "no-account",
        ),
        (
            "a letter that becomes another one",
            good(&issuing.client(named(vec![upn("\u{212a}im@example.com")]))),
            "no-account",
        ),
        (
            "an address that only begins well",
            good(&issuing.client(named(vec![email("sam@example.com.evil.example")]))),
            "no-account",
        ),
        ("a name by which the issuer is meant", good(&root.client(common("issuing"))), "no-account"),
    ];
    all_refused(office, cases);
    office.worker().vouched(good(&bound.client(named(vec![dns("printer.hosts.example.com")]))));
    office.worker().vouched(by(issuing));
}

#[test]
fn the_path_length_and_the_dates_of_a_root_hold_too() {
    for (change, reason) in [
        (
            (|root| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))) as fn(&mut CertificateParams),
            "untrusted-issuer",
        ),
        (|root| root.not_after = rcgen::date_time_ymd(2020, 1, 1), "untrusted-issuer"),
        (|root| root.not_before = rcgen::date_time_ymd(2999, 1, 1), "untrusted-issuer"),
    ] {
        let root = Ca::root_with("root", change);
        let issuing = root.below("issuing", 2, |_| {});
        let house = House::of(root, issuing, &[]);
        let client = house.issuing.client(common("sam"));
        all_refused(&house.office, vec![("below a root of another kind", good(&client), reason)]);
    }
}

#[test]
fn no_path_is_built_for_who_has_not_the_key_and_nothing_is_read_before_there_is_one() {
    let house = House::new();
    let (client, stranger) = (house.issuing.client(common("sam")), Client::new());
    let now = Millis::now();
    let stolen = SignedMessage { value: stranger.message(&[]).value, ..message(&client, now) };
    let unreadable = stranger.over("<no", &[]);
    let by_thumbprint = SignedMessage { key: client.thumbprint(), ..message(&client, now) };
    let no_certificate =
        SignedMessage { key: KeyReference::Certificate(Octets::new([0x30, 0]).unwrap()), ..message(&client, now) };
    all_refused(
        &house.office,
        vec![
            ("somebody's certificate", submission(stolen, now), "wrong-signature"),
            ("what a stranger signed", submission(unreadable, now), "untrusted-issuer"),
            ("a certificate that is not there", submission(by_thumbprint, now), "unknown-certificate"),
            ("no certificate", submission(no_certificate, now), "unknown-certificate"),
        ],
    );
}

#[test]
fn a_message_may_bring_its_path_which_must_be_one_and_is_trusted_no_more_than_others_r_w033() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let new = root.below("new", 3, |_| {});
    let list = |ca: &Ca| (format!("{}.crl", ca.serial), ca.takes_back(&[]));
    let leaf = root.below("leaf", 4, |ca| ca.is_ca = IsCa::ExplicitNoCa);
    let lister = root.below("lister", 5, |ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let (revoked, unlisted) = (root.below("revoked", 66, |_| {}), root.below("unlisted", 7, |_| {}));
    let elsewhere = Ca::root("elsewhere");
    let lists = [&new, &leaf, &lister, &revoked, &elsewhere].map(list);
    let house = House::of(root, issuing, &lists);
    let office = &house.office;
    let sam = |ca: &Ca| ca.client(common("sam"));
    let path = |ca: &Ca| {
        let client = sam(ca);
        let path = pki_path(&[&ca.pem, &client.certificate]);
        bringing(&client, path)
    };
    let client = sam(&new);
    let own = &*client.certificate;
    let good_path = pki_path(&[&new.pem, own]);
    let turned = pki_path(&[own, &new.pem]);
    let longer = [&good_path[..], &[0]].concat();
    let shorter = good_path[..good_path.len() - 1].to_vec();
    let set = [&[0x31][..], &good_path[1..]].concat();
    let five = pki_path(&[&*new.pem, &new.pem, &new.pem, &new.pem, own]);
    // Anybody can make one that has its name and is past.
    let past = Ca::root_with("revoked", |ca| ca.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let below_both = sam(&revoked);
    let behind = pki_path(&[&past.pem, &revoked.pem, &below_both.certificate]);
    all_refused(
        office,
        vec![
            ("without its path", good(&client), "untrusted-issuer"),
            ("below a leaf", path(&leaf), "untrusted-issuer"),
            ("below who may issue lists only", path(&lister), "untrusted-issuer"),
            ("below a root of its own", path(&elsewhere), "untrusted-issuer"),
            ("below what was taken back", path(&revoked), "revoked"),
            ("below what was taken back, behind what is past", bringing(&below_both, behind), "revoked"),
            ("below what has no list", path(&unlisted), "revocation-unknown"),
            ("the wrong way round", bringing(&client, turned), "unknown-certificate"),
            ("more than it says", bringing(&client, longer), "unknown-certificate"),
            ("less than it says", bringing(&client, shorter), "unknown-certificate"),
            ("nothing", bringing(&client, Vec::new()), "unknown-certificate"),
            ("no certificates", bringing(&client, pki_path(&[])), "unknown-certificate"),
            ("five", bringing(&client, five), "unknown-certificate"),
            ("no sequence", bringing(&client, set), "unknown-certificate"),
        ],
    );
    let mut worker = office.worker();
    worker.vouched(bringing(&client, good_path.clone()));
    assert_eq!(office.lodged().order.subject.account.as_str(), "sam");
    // The certificate is the same one, whatever comes along: the message is good once.
    let now = Millis::now();
    let by = |path: Vec<u8>| {
        let key = KeyReference::Path(Octets::new(path).unwrap());
        submission(SignedMessage { key, ..message(&client, now) }, now)
    };
    worker.vouched(by(good_path));
    assert_eq!(worker.refused(by(pki_path(&[&house.root.pem, &new.pem, own]))), Refusal::InvalidSecurity);
}

#[test]
fn a_message_by_an_issued_certificate_is_good_once() {
    let house = House::new();
    let client = house.issuing.client(common("sam"));
    let now = Millis::now();
    let mut worker = house.office.worker();
    worker.vouched(submission(message(&client, now), now));
    assert_eq!(worker.refused(submission(message(&client, now), now)), Refusal::InvalidSecurity);
    worker.vouched(good(&client));
}

#[test]
fn a_reload_puts_a_new_list_in_force() {
    let house = House::new();
    let client = house.issuing.client(|parameters| {
        common("sam")(parameters);
        parameters.serial_number = Some(78.into());
    });
    let mut worker = house.office.worker();
    worker.vouched(good(&client));
    house.office.write("issuing.crl", &house.issuing.takes_back(&[77, 78]));
    worker.vouched(good(&client));
    kill(house.office.auth().pid(), Signal::SIGHUP).unwrap();
    let refusal = eventually("the new list is in force", || match worker.ask(good(&client)) {
        AuthToWorker::Refused(refused) => Some(refused.refusal),
        AuthToWorker::Vouched(_)
        | AuthToWorker::Opened(_)
        | AuthToWorker::Sealed(_)
        | AuthToWorker::SealedFor(_)
        | AuthToWorker::Negotiated(_) => None,
    });
    assert_eq!(refusal, Refusal::FailedAuthentication);
    eventually("the record says why", || (reasons(&house.office).get(&HOME)? == "revoked").then_some(()));
    worker.vouched(good(&house.issuing.client(common("sam"))));
}

#[test]
fn of_several_lists_of_an_issuer_the_newest_decides_in_whatever_order_they_stand() {
    let serial = |number: u64| {
        move |parameters: &mut CertificateParams| {
            common("sam")(parameters);
            parameters.serial_number = Some(number.into());
        }
    };
    for (first, second) in [("old", "new"), ("new", "old")] {
        let root = Ca::root("root");
        let (good_one, taken) = (root.client(serial(5)), root.client(serial(6)));
        let authority = format!(
            "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\n\
             crls = [\"{first}.crl\", \"{second}.crl\"]\n{SUBJECTS}"
        );
        let users = "[users.sam]\ncertificate_authority = \"corporate\"\n";
        let (old, new) = (root.list(&[], (-120, 60)), root.list(&[6], (-60, 120)));
        let files = [("root.crt", &*root.pem), ("old.crl", &*old), ("new.crl", &*new)];
        let office = Office::with(&auth(&authority), users, PARTY, &files);
        office.worker().vouched(good(&good_one));
        assert_eq!(office.worker().refused(good(&taken)), Refusal::FailedAuthentication, "{first} first");
        eventually("the record says why", || (reasons(&office).get(&HOME)? == "revoked").then_some(()));
    }
}

#[test]
fn a_registered_certificate_is_its_accounts_whatever_its_authority_says() {
    let root = Ca::root("root");
    let client = root.client(|parameters| {
        common("sam")(parameters);
        parameters.serial_number = Some(5.into());
    });
    let authority = format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\ncrls = [\"root.crl\"]\n{SUBJECTS}"
    );
    let users = "[users.sam]\ncertificate_authority = \"corporate\"\n[users.bob]\ncertificates = [\"bob.crt\"]\n";
    let files = [("root.crt", &*root.pem), ("root.crl", &*root.takes_back(&[5])), ("bob.crt", &*client.certificate)];
    let office = Office::with(&auth(&authority), users, PARTY, &files);
    office.worker().vouched(good(&client));
    assert_eq!(office.lodged().order.subject.account.as_str(), "bob");
}

#[test]
fn where_it_is_written_nobody_asks_for_lists_and_any_use_will_do() {
    let root = Ca::root("root");
    let authority = format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\nrevocation = \"none\"\n\
         extended_key_usages = []\n{SUBJECTS}"
    );
    let office = Office::with(
        &auth(&authority),
        "[users.sam]\ncertificate_authority = \"corporate\"\n",
        PARTY,
        &[("root.crt", &root.pem)],
    );
    office.worker().vouched(good(&root.client(|parameters| {
        common("sam")(parameters);
        parameters.extended_key_usages = Vec::new();
    })));
}

/// A certificate of that number, which means sam.
fn numbered(serial: u64) -> impl FnOnce(&mut CertificateParams) {
    move |parameters| {
        common("sam")(parameters);
        parameters.serial_number = Some(serial.into());
    }
}

/// Authorities of these names, files and lists; sam is the last one's.
fn in_this_order(authorities: &[(&str, &str, &str)], files: &[(&str, &str)]) -> Office {
    let toml = |(name, certificates, lists): &(&str, &str, &str)| {
        format!("[[certificate_authority]]\nname = \"{name}\"\n{certificates}\n{lists}\n{SUBJECTS}")
    };
    let users = "[users.sam]\ncertificate_authority = \"part\"\n";
    Office::with(&auth(&authorities.iter().map(toml).collect::<String>()), users, PARTY, files)
}

fn revoked(office: &Office, submission: Submission, what: &str) {
    office.audit.said.lock().unwrap().clear();
    assert_eq!(office.worker().refused_or(submission, what), Refusal::FailedAuthentication, "{what}");
    eventually("the record says why", || (reasons(office).get(&HOME)? == "revoked").then_some(()));
}

#[test]
fn what_one_authority_took_back_no_other_brings_back_in_whatever_order_they_stand() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let files = [
        ("root.crt", &*root.pem),
        ("issuing.crt", &*issuing.pem),
        ("root.crl", &*root.takes_back(&[])),
        ("new.crl", &*issuing.list(&[77], (-60, 60))),
        ("old.crl", &*issuing.list(&[], (-120, 60))),
        ("past.crl", &*issuing.list(&[76], (-240, -180))),
    ];
    let whole =
        ("whole", "anchors = [\"root.crt\"]", "crls = [\"root.crl\", \"new.crl\"]\nintermediates = [\"issuing.crt\"]");
    let careless = ("careless", "anchors = [\"root.crt\"]", "crls = [\"root.crl\", \"past.crl\"]");
    for lists in ["crls = [\"old.crl\"]", "revocation = \"none\""] {
        let part = ("part", "anchors = [\"issuing.crt\"]", lists);
        for order in [[part, whole], [whole, part]] {
            let office = in_this_order(&order, &files);
            revoked(&office, good(&issuing.client(numbered(77))), &format!("{order:?}"));
        }
        let office = in_this_order(&[part, careless], &files);
        revoked(&office, good(&issuing.client(numbered(76))), "a list that is past");
        office.worker().vouched(good(&issuing.client(numbered(77))));
    }
}

#[test]
fn an_anchor_that_another_authority_took_back_vouches_for_nobody() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 66, |_| {});
    let files = [
        ("root.crt", &*root.pem),
        ("issuing.crt", &*issuing.pem),
        ("root.crl", &*root.takes_back(&[66])),
        ("issuing.crl", &*issuing.takes_back(&[])),
    ];
    let office = in_this_order(
        &[
            ("part", "anchors = [\"issuing.crt\"]", "crls = [\"issuing.crl\"]"),
            ("whole", "anchors = [\"root.crt\"]", "crls = [\"root.crl\"]"),
        ],
        &files,
    );
    revoked(&office, good(&issuing.client(common("sam"))), "below what was taken back");
}

#[test]
fn a_path_that_costs_too_much_hides_nothing_that_was_taken_back() {
    let root = Ca::root("root");
    let q = root.below("q", 2, |_| {});
    let p = q.below("p", 2, |_| {});
    let issuing = p.below("issuing", 2, |_| {});
    let files = [
        ("root.crt", &*root.pem),
        ("q.crt", &*q.pem),
        ("p.crt", &*p.pem),
        ("issuing.crt", &*issuing.pem),
        ("root.crl", &*root.takes_back(&[])),
        ("q.crl", &*q.takes_back(&[])),
        ("p.crl", &*p.takes_back(&[])),
        ("new.crl", &*issuing.list(&[77], (-60, 60))),
        ("old.crl", &*issuing.list(&[], (-120, 60))),
    ];
    let whole = (
        "whole",
        "anchors = [\"root.crt\"]\nintermediates = [\"q.crt\", \"p.crt\", \"issuing.crt\"]",
        "crls = [\"root.crl\", \"q.crl\", \"p.crl\", \"new.crl\"]",
    );
    let office = in_this_order(&[whole, ("part", "anchors = [\"issuing.crt\"]", "crls = [\"old.crl\"]")], &files);
    let client = issuing.client(numbered(77));
    // They lead nowhere, and webpki tries them in every order until it has no more patience.
    let fakes: Vec<String> = (0..3).map(|_| Ca::root("issuing").pem).collect();
    let path = pki_path(&[&fakes[0], &fakes[1], &fakes[2], &client.certificate]);
    revoked(&office, bringing(&client, path), "behind many that lead nowhere");
    revoked(&office, good(&client), "without them");
}

#[test]
fn a_key_that_is_registered_for_one_account_is_not_anothers_by_an_authority() {
    let root = Ca::root("root");
    for (owner, disabled, means_sam) in [("bob", true, false), ("bob", false, false), ("sam", false, true)] {
        let mut registered = None;
        let client = Client::certified_by(|key| {
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.distinguished_name = DistinguishedName::new();
            common("sam")(&mut parameters);
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            registered = Some(parameters.self_signed(key).unwrap().pem());
            parameters.signed_by(key, &root.issuer).unwrap()
        });
        let authority = "certificate_authority = \"part\"\n";
        let more = format!("certificates = [\"its.crt\"]\ndisabled = {disabled}\n");
        let users = match owner {
            "sam" => format!("[users.sam]\n{authority}{more}"),
            owner => format!("[users.sam]\n{authority}[users.{owner}]\n{more}"),
        };
        let toml = format!(
            "[[certificate_authority]]\nname = \"part\"\nanchors = [\"root.crt\"]\ncrls = [\"root.crl\"]\n{SUBJECTS}"
        );
        let list = root.takes_back(&[]);
        let files = [("root.crt", &*root.pem), ("root.crl", &*list), ("its.crt", registered.as_deref().unwrap())];
        let office = Office::with(&auth(&toml), &users, PARTY, &files);
        if means_sam {
            office.worker().vouched(good(&client));
        } else {
            all_refused(&office, vec![("a key of somebody else", good(&client), "no-account")]);
        }
    }
}

//! Authorities: whom their certificates mean, which of their lists counts, what of them is refused or doubted.

use super::Tree;
use crate::config::auth::authority::Enough;
use crate::config::auth::responder::{CertIdHash, Issuer, Nonce};

/// An authority, PEM, and a list of it, DER, that holds from so many minutes from now for an hour.
pub(super) fn authority(change: impl FnOnce(&mut rcgen::CertificateParams), from: i64) -> (String, Vec<u8>) {
    authority_and(change, from, |_| {})
}

/// The same, and what else there is to the list.
fn authority_and(
    change: impl FnOnce(&mut rcgen::CertificateParams),
    from: i64,
    more: impl FnOnce(&mut rcgen::CertificateRevocationListParams),
) -> (String, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    change(&mut parameters);
    let pem = parameters.self_signed(&key).unwrap().pem();
    parameters.key_usages.clear();
    let this_update = time::OffsetDateTime::now_utc() + time::Duration::minutes(from);
    let mut list = rcgen::CertificateRevocationListParams {
        this_update,
        next_update: this_update + time::Duration::hours(1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    more(&mut list);
    let list = list.signed_by(&rcgen::Issuer::new(parameters, key)).unwrap();
    (pem, list.der().to_vec())
}

const AUTHORITY: &str = r#"[[certificate_authority]]
name = "corporate"
anchors = ["root.crt"]
intermediates = ["issuing.crt"]
crls = ["root.crl"]
extended_key_usages = ["client-auth", "1.2.3"]
[[certificate_authority.subject]]
from = "cn"
capture = "(.*)"
"#;

/// With that authority, and accounts.
fn trusting(toml: &str, users: &str) -> Tree {
    let ((root, list), (issuing, _)) = (authority(|_| {}, -30), authority(|_| {}, 0));
    let tree = Tree::new().with("auth.toml", toml).with("users.toml", users);
    let tree = tree.with("root.crt", &root).with("issuing.crt", &issuing);
    std::fs::write(tree.0.path().join("auth.d/root.crl"), list).unwrap();
    tree
}

const TRUSTED: &str = "[users.sam]\ncertificate_authority = \"corporate\"\n";

#[test]
fn an_authority_says_whom_its_certificates_mean_and_an_account_which_authority_may_mean_it() {
    let auth = trusting(AUTHORITY, TRUSTED).good();
    let corporate = &auth.authorities[0];
    assert_eq!((corporate.anchors.len(), corporate.intermediates.len(), corporate.usages.len()), (1, 1, 2));
    assert!(corporate.doubts.is_empty());
    assert_eq!(auth.users.find("sam").unwrap().authority.as_deref(), Some("corporate"));
    let usual = AUTHORITY.replace("extended_key_usages = [\"client-auth\", \"1.2.3\"]\n", "");
    assert_eq!(trusting(&usual, TRUSTED).good().authorities[0].usages, corporate.usages[..1]);

    for (from, to, place, word) in [
        ("\"corporate\"", "\"\"", "auth.toml:2:8", "1 to 64 ASCII letters"),
        ("[\"root.crt\"]", "[]", "auth.toml:3:11", "no path would end"),
        ("\"root.crt\"", "\"none.crt\"", "auth.toml:3:12", "none.crt"),
        ("\"root.crt\"", "\"../root.crt\"", "auth.toml:3:12", "../root.crt"),
        ("\"issuing.crt\"", "\"root.crl\"", "auth.toml:4:18", "certificate root.crl"),
        ("crls = [\"root.crl\"]", "crls = []", "auth.toml:2:8", "crls are missing"),
        ("crls = [\"root.crl\"]", "crls = [\"root.crt\"]", "auth.toml:5:9", "neither DER nor PEM"),
        ("\"root.crl\"]", "\"root.crl\"]\nrevocation = \"none\"", "auth.toml:6:14", "exclude each other"),
        ("crls = [\"root.crl\"]", "revocation = \"soft\"", "auth.toml:5:14", "unknown variant"),
        ("client-auth", "clients", "auth.toml:6:24", "extended key usage is"),
        ("[[certificate_authority.subject]]\nfrom = \"cn\"\ncapture = \"(.*)\"\n", "", "auth.toml:2:8", "mean nobody"),
        ("\"cn\"", "\"dn\"", "auth.toml:8:8", "unknown variant"),
        ("(.*)", ".*", "auth.toml:9:11", "exactly one group"),
        ("capture", "filter", "auth.toml:9:1", "unknown field"),
    ] {
        trusting(&AUTHORITY.replace(from, to), TRUSTED).refused(&[place, word]);
    }
    trusting(&format!("{AUTHORITY}{AUTHORITY}"), TRUSTED).refused(&["auth.toml:11:8", "twice"]);
    let shared = AUTHORITY.replace("corporate", "second");
    trusting(&format!("{AUTHORITY}{shared}"), TRUSTED).refused(&["auth.toml:12:11", "anchor of corporate already"]);
    trusting(AUTHORITY, &TRUSTED.replace("corporate", "x")).refused(&["users.toml:2:25", "is called \"x\""]);
}

const SOURCE: &str = r#"
[[certificate_authority.crl_source]]
url = "http://pki.example.com/corporate.crl"
address = "192.0.2.21:80"
"#;

#[test]
fn lists_may_come_from_where_an_authority_publishes_them() {
    let with = |source: &str| AUTHORITY.replace("crls = [\"root.crl\"]\n", "") + source;
    let auth = trusting(&with(SOURCE), TRUSTED).good();
    let lists = auth.authorities[0].lists.as_ref().unwrap();
    let source = &lists.sources[0].source;
    assert_eq!((source.authority.as_str(), source.path.as_str()), ("pki.example.com", "/corporate.crl"));
    assert_eq!((source.address.port(), source.every.as_secs(), lists.now().len()), (80, 3600, 0));
    let secured = SOURCE.replace("http:", "https:") + "anchors = \"root.crt\"\nrefresh_s = 600\n";
    let auth = trusting(&(AUTHORITY.to_owned() + &secured), TRUSTED).good();
    let lists = auth.authorities[0].lists.as_ref().unwrap();
    assert!(lists.sources[0].source.tls.is_some());
    assert_eq!((lists.sources[0].source.every.as_secs(), lists.now().len()), (600, 1));

    for (from, to, place, word) in [
        ("http://pki.example.com/corporate.crl", "ldap://pki.example.com/", "auth.toml:11:7", "an absolute http"),
        ("http://pki", "http://me@pki", "auth.toml:11:7", "without user"),
        (".crl\"", ".crl#a\"", "auth.toml:11:7", "without user and fragment"),
        ("http:", "https:", "auth.toml:11:7", "anchors are missing"),
        ("192.0.2.21:80", "pki.example.com:80", "auth.toml:12:11", "auth asks no resolver"),
        ("192.0.2.21:80", "192.0.2.21", "auth.toml:12:11", "a number and a port"),
        ("192.0.2.21:80", "0.0.0.0:80", "auth.toml:12:11", "is nobody's"),
        ("url", "uri", "auth.toml:11:1", "unknown field"),
    ] {
        trusting(&with(&SOURCE.replace(from, to)), TRUSTED).refused(&[place, word]);
    }
    for (more, place, word) in [
        ("anchors = \"root.crt\"\n", "auth.toml:13:11", "nobody proves anything over plain http"),
        ("refresh_s = 59\n", "auth.toml:13:13", "from 60 to 604800"),
        (SOURCE, "auth.toml:15:7", "twice"),
    ] {
        trusting(&with(&(SOURCE.to_owned() + more)), TRUSTED).refused(&[place, word]);
    }
    let careless = AUTHORITY.replace("crls = [\"root.crl\"]", "revocation = \"none\"") + SOURCE;
    trusting(&careless, TRUSTED).refused(&["auth.toml:5:14", "exclude each other"]);
}

const OCSP: &str = r#"
[[certificate_authority.ocsp]]
url = "http://ocsp.example.com/ask"
address = "192.0.2.22:80"
"#;

#[test]
fn responders_may_be_asked_instead_of_lists_or_with_them_and_it_is_said_what_is_enough() {
    let alone = AUTHORITY.replace("crls = [\"root.crl\"]\n", "");
    let auth = trusting(&(alone.clone() + OCSP), TRUSTED).good();
    let authority = &auth.authorities[0];
    let [responder] = &authority.responders[..] else { panic!("one") };
    assert!(authority.lists.is_none() && authority.doubts.is_empty());
    assert_eq!((responder.source.path.as_str(), responder.issuer.is_none()), ("/ask", true));
    assert_eq!((responder.hash, responder.nonce), (CertIdHash::Sha1, Nonce::WhenAnswered));
    assert_eq!((responder.deadline.as_millis(), responder.kept.as_secs()), (2000, 3600));
    let more = "issuer = \"issuing.crt\"\nhash = \"sha256\"\nnonce = \"required\"\ndeadline_ms = 100\nkept_s = 60\n";
    let auth = trusting(&(alone.clone() + OCSP + more), TRUSTED).good();
    let responder = &auth.authorities[0].responders[0];
    assert_eq!((responder.hash, responder.nonce), (CertIdHash::Sha256, Nonce::Required));
    let anchor = &auth.authorities[0].anchors[0].trusted;
    let root = Issuer { name: anchor.subject.to_vec(), key: webpki::spki_for_anchor(anchor).to_vec() };
    assert!(!responder.speaks_for(&root) && responder.speaks_for(responder.issuer.as_ref().unwrap()));
    let word = |word: &str| AUTHORITY.replace("crls = [\"root.crl\"]", &format!("crls = [\"root.crl\"]{word}")) + OCSP;
    for (said, enough) in
        [("", Enough::All), ("\nrevocation = \"both\"", Enough::All), ("\nrevocation = \"either\"", Enough::Either)]
    {
        assert_eq!(trusting(&word(said), TRUSTED).good().authorities[0].enough, enough, "{said}");
    }
    trusting(&word("\nrevocation = \"none\""), TRUSTED).refused(&["auth.toml:6:14", "exclude each other"]);
    for one in ["both", "either"] {
        let revocation = format!("extended_key_usages = []\nrevocation = \"{one}\"");
        let lists = AUTHORITY.replace("extended_key_usages = [\"client-auth\", \"1.2.3\"]", &revocation);
        trusting(&lists, TRUSTED).refused(&["auth.toml:7:14", "crls with ocsp"]);
        let alone = lists.replace("crls = [\"root.crl\"]\n", "");
        trusting(&(alone + OCSP), TRUSTED).refused(&["auth.toml:6:14", "crls with ocsp"]);
    }
    trusting(&alone, TRUSTED).refused(&["auth.toml:2:8", "crls are missing, and ocsp is"]);

    for (from, to, place, word) in [
        ("http://ocsp.example.com/ask", "ldap://ocsp.example.com/", "auth.toml:11:7", "an absolute http"),
        ("http:", "https:", "auth.toml:11:7", "anchors are missing"),
        ("192.0.2.22:80", "ocsp.example.com:80", "auth.toml:12:11", "auth asks no resolver"),
        ("url", "uri", "auth.toml:11:1", "unknown field"),
    ] {
        trusting(&(alone.clone() + &OCSP.replace(from, to)), TRUSTED).refused(&[place, word]);
    }
    for (more, place, word) in [
        ("anchors = \"root.crt\"\n", "auth.toml:13:11", "nobody proves anything over plain http"),
        ("issuer = \"none.crt\"\n", "auth.toml:13:10", "none.crt"),
        ("issuer = \"root.crl\"\n", "auth.toml:13:10", "certificate root.crl"),
        ("hash = \"md5\"\n", "auth.toml:13:8", "unknown variant"),
        ("nonce = \"always\"\n", "auth.toml:13:9", "unknown variant"),
        ("deadline_ms = 99\n", "auth.toml:13:15", "from 100 to 5000"),
        ("deadline_ms = 5001\n", "auth.toml:13:15", "from 100 to 5000"),
        ("kept_s = 86401\n", "auth.toml:13:10", "from 60 to 86400"),
        ("refresh_s = 600\n", "auth.toml:13:1", "unknown field"),
        (OCSP, "auth.toml:15:7", "twice"),
    ] {
        trusting(&(alone.clone() + OCSP + more), TRUSTED).refused(&[place, word]);
    }
}

#[test]
fn policies_that_are_asked_for_are_object_identifiers_and_none_is_any() {
    let with = |policies: &str| {
        AUTHORITY.replace(
            "[[certificate_authority.subject]]",
            &format!("required_policies = {policies}\n[[certificate_authority.subject]]"),
        )
    };
    let auth = trusting(&with("[\"1.2.3\", \"2.16.840.1\"]"), TRUSTED).good();
    assert_eq!(auth.authorities[0].policies, [vec![0x2a, 3], vec![0x60, 0x86, 0x48, 1]]);
    assert!(trusting(AUTHORITY, TRUSTED).good().authorities[0].policies.is_empty());
    trusting(&with("[\"1.2.3\", \"gold\"]"), TRUSTED).refused(&["auth.toml:7:31", "object identifier in dots"]);
    trusting(&with("[\"2.5.29.32.0\"]"), TRUSTED).refused(&["auth.toml:7:22", "anyPolicy"]);
    let many = vec!["\"1.2.3\""; 65].join(", ");
    trusting(&with(&format!("[{many}]")), TRUSTED).refused(&["auth.toml:2:8", "more than 64"]);
}

#[test]
fn only_who_may_issue_is_an_anchor_or_lies_between() {
    use rcgen::{IsCa, KeyUsagePurpose::CrlSign};
    type Change = fn(&mut rcgen::CertificateParams);
    let changes: [(Change, &str); 3] = [
        (|leaf| leaf.is_ca = IsCa::ExplicitNoCa, "not that of an authority"),
        (|leaf| leaf.is_ca = IsCa::NoCa, "not that of an authority"),
        (|ca| ca.key_usages = vec![CrlSign], "key usage"),
    ];
    for (change, word) in changes {
        let (pem, _) = authority(change, 0);
        trusting(AUTHORITY, TRUSTED).with("root.crt", &pem).refused(&["auth.toml:3:12", "root.crt", word]);
        trusting(AUTHORITY, TRUSTED).with("issuing.crt", &pem).refused(&["auth.toml:4:18", "issuing.crt", word]);
    }
}

#[test]
fn what_lets_a_revoked_certificate_pass_or_a_good_one_not_is_doubted() {
    let doubt = |tree: Tree| tree.good().authorities[0].doubts.iter().map(ToString::to_string).collect::<String>();
    let none = AUTHORITY.replace("crls = [\"root.crl\"]", "revocation = \"none\"");
    let said = doubt(trusting(&none, TRUSTED));
    assert!(said.contains("auth.toml:5:14") && said.contains("took back"), "{said}");
    let tree = trusting(AUTHORITY, TRUSTED);
    std::fs::write(tree.0.path().join("auth.d/root.crl"), authority(|_| {}, -90).1).unwrap();
    let said = doubt(tree);
    assert!(said.contains("auth.toml:5:9") && said.contains("nextUpdate"), "{said}");
    let (past, _) = authority(|ca| ca.not_after = rcgen::date_time_ymd(2020, 1, 1), 0);
    for (file, place) in [("root.crt", "auth.toml:3:12"), ("issuing.crt", "auth.toml:4:18")] {
        let said = doubt(trusting(AUTHORITY, TRUSTED).with(file, &past));
        assert!(said.contains(place) && said.contains(file) && said.contains("notAfter"), "{said}");
    }
}

/// With that authority, whose lists are these two: of issuers of one name.
fn listing([one, other]: [&[u8]; 2]) -> Tree {
    let tree = trusting(&AUTHORITY.replace("\"root.crl\"", "\"root.crl\", \"other.crl\""), TRUSTED);
    for (name, list) in [("root.crl", one), ("other.crl", other)] {
        std::fs::write(tree.0.path().join("auth.d").join(name), list).unwrap();
    }
    tree
}

#[test]
fn of_two_lists_of_one_instant_the_one_with_the_higher_number_is_asked_first() {
    let this_update = time::OffsetDateTime::now_utc();
    let numbered = |number: u64| {
        let list = authority_and(
            |_| {},
            0,
            |list| {
                let serial_number = number.into();
                let (revocation_time, reason_code, invalidity_date) = (this_update, None, None);
                list.this_update = this_update;
                list.crl_number = number.into();
                list.revoked_certs =
                    vec![rcgen::RevokedCertParams { serial_number, revocation_time, reason_code, invalidity_date }];
            },
        );
        list.1
    };
    let (lower, higher) = (numbered(9), numbered(16));
    for two in [[&*lower, &*higher], [&*higher, &*lower]] {
        let auth = listing(two).good();
        let first = &auth.authorities[0].lists.as_ref().unwrap().now()[0];
        assert!(first.names(&[16]) && !first.names(&[9]));
    }
}

#[test]
fn lists_of_one_issuer_are_for_the_same_certificates() {
    let of = |part: Option<&str>| {
        let part = part.map(|uri| rcgen::CrlIssuingDistributionPoint {
            distribution_point: rcgen::CrlDistributionPoint { uris: vec![uri.to_owned()] },
            scope: None,
        });
        authority_and(|_| {}, -30, |list| list.issuing_distribution_point = part).1
    };
    let [whole, one, other] = [None, Some("http://pki.example/1.crl"), Some("http://pki.example/2.crl")].map(of);
    listing([&whole, &whole]).good();
    listing([&one, &one]).good();
    for two in [[&*whole, &*one], [&*one, &*whole], [&*one, &*other]] {
        listing(two).refused(&["auth.toml:5:21", "other.crl", "same certificates"]);
    }
}

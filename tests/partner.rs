//! `chancery partner import` as an operator runs it: metadata of a partner in, its keys in auth.d. What is hostile is
//! refused by name, and whoever takes the reader over has nothing.

#![cfg(all(feature = "ctl", feature = "auth", feature = "failpoints"))]
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "partner/house.rs"]
mod house;
#[path = "support/data.rs"]
#[expect(dead_code, reason = "shared with tests/vectors.rs, which uses all of it")]
mod others;
#[path = "support/sha1.rs"]
#[expect(dead_code, reason = "shared with tests of messages")]
mod sha1;
#[path = "support/signed.rs"]
#[expect(dead_code, reason = "shared with tests of messages")]
mod signed;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Instant;

use base64ct::{Base64, Encoding};
use chancery::trust::instant;
use chancery::wire::Millis;

use house::{ENTITY, House, Metadata, at, der, print};
use signed::Client;

#[test]
fn a_partners_keys_come_from_metadata_that_the_operators_certificate_verifies() {
    let (house, signer) = (House::with_partner(), Client::new());
    let [old, new] = [house.key(), &Client::rsa(false)];
    let document = Metadata::of(&[old, new]).signed(&signer);
    let before = house.auth();
    let said = house.import(&document, &signer, &[]).fine();
    assert!(
        said.contains("= first.pem: P-256") && said.contains(&format!("+ partners/agency-{}", &print(new)[..16])),
        "{said}"
    );
    assert!(said.contains("valid until") && said.contains("nothing is written"), "{said}");
    assert_eq!(house.auth(), before, "nothing is written unasked");
    assert!(!house.path("auth.d/partners").exists());

    let said = house.import(&document, &signer, &["--write"]).fine();
    let path = format!("partners/agency-{}.pem", &print(new)[..16]);
    let after = before.replace("[\"first.pem\"]", &format!("[\"first.pem\", \"{path}\"]"));
    assert_eq!(house.auth(), after, "one list and no other octet: {said}");
    assert_eq!(house.certificates(), [der(old), der(new)]);
    let file = fs::metadata(house.path(&format!("auth.d/{path}"))).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o644);
    assert!(said.contains("an older document that still holds would look the same"), "{said}");
    // One that was cut short before auth could read the file is mended by the next.
    fs::write(house.path("auth.d/auth.toml"), &before).unwrap();
    fs::set_permissions(house.path(&format!("auth.d/{path}")), fs::Permissions::from_mode(0o600)).unwrap();
    house.import(&document, &signer, &["--write"]).fine();
    let file = fs::metadata(house.path(&format!("auth.d/{path}"))).unwrap();
    assert_eq!((file.permissions().mode() & 0o777, house.auth()), (0o644, after.clone()));
    // Again: not an octet.
    let said = house.import(&document, &signer, &["--write"]).fine();
    assert!(said.contains("nothing changes") && house.auth() == after, "{said}");
    assert!(!said.contains("older document"), "{said}");
    // When the roll-over is done the old key is no longer taken, and its file stays for whoever wants to look.
    let said = house.import(&Metadata::of(&[new]).signed(&signer), &signer, &["--write"]).fine();
    assert!(said.contains("- first.pem: P-256"), "{said}");
    assert_eq!(house.certificates(), [der(new)]);
    assert!(house.path("auth.d/first.pem").exists());
}

#[test]
fn the_file_keeps_its_owner_and_its_mode_and_nothing_is_left_beside_it() {
    let (house, signer) = (House::with_partner(), Client::new());
    let path = house.path("auth.d/auth.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&path).unwrap();
    house.import(&Metadata::of(&[&Client::new()]).signed(&signer), &signer, &["--write"]).fine();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "it took its name when it was whole");
    let names =
        fs::read_dir(house.path("auth.d")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.starts_with('.')));
}

#[test]
fn a_new_partner_is_what_the_operator_says_and_no_more() {
    let (house, signer, key) = (House::without_partner(), Client::new(), Client::new());
    let document = Metadata::of(&[&key]).signed(&signer);
    for words in [&[][..], &["--audience", "https://sts.example.com/"], &["--subject", "name-id"]] {
        house.import(&document, &signer, words).refused(&["a new one needs --audience", "--subject"]);
    }
    let words =
        ["--audience", "https://sts.example.com/", "--subject", "name-id", "--capture", "([a-z]+)@agency\\.example"];
    let said = house.import(&document, &signer, &words).fine();
    assert!(said.contains("[[saml_partner]]") && said.contains("capture = "), "{said}");
    house.import(&document, &signer, &[&words[..], &["--write"]].concat()).fine();
    let auth = chancery::config::auth::check(house.root()).unwrap();
    let [partner] = &auth.partners[..] else { panic!("one partner") };
    assert_eq!((partner.name.as_str(), partner.issuer.as_str()), ("agency", ENTITY));
    assert_eq!(partner.audiences, ["https://sts.example.com/"]);
    assert_eq!((partner.subjects.len(), partner.attributes.len()), (1, 0));
    assert_eq!(partner.subjects[0].naming.name("kim@agency.example").as_deref(), Some("kim"));
    // Whom it may name is said by the accounts, and none of them was touched.
    assert!(
        house.check().status.code().is_some() && !String::from_utf8_lossy(&house.check().stderr).contains("auth.d")
    );
    // There it is, and what only the operator says is not said again.
    house.import(&document, &signer, &words).refused(&["agency is there", "what auth.toml says"]);
    house.import(&Metadata::of(&[&key]).signed(&signer), &signer, &[]).fine();
}

#[test]
fn what_auth_would_refuse_is_not_written() {
    let (house, signer, key) = (House::with_partner(), Client::new(), Client::new());
    let before = house.auth();
    // The key of another partner, of a user; too many; a name that leads elsewhere.
    house
        .import(&Metadata::of(&[house.others_key()]).signed(&signer), &signer, &["--write"])
        .refused(&["its key is that of"]);
    let five: Vec<Client> = (0..5).map(|_| Client::new()).collect();
    let five: Vec<&Client> = five.iter().collect();
    house.import(&Metadata::of(&five).signed(&signer), &signer, &["--write"]).refused(&["1 to 4 PEM files"]);
    let document = Metadata::of(&[&key]).signed(&signer);
    let words = ["--name", "../../x", "--audience", "urn:us", "--subject", "name-id", "--write"];
    house.run(&document, &signer, &words).refused(&["the name of a partner"]);
    // It is somebody else's metadata.
    let other = Metadata::of(&[&key]).but(ENTITY, "https://idp.bank.example/").signed(&signer);
    house.import(&other, &signer, &["--write"]).refused(&["agency is", "the metadata is of"]);
    assert_eq!(house.auth(), before);
    assert!(!house.path("auth.d/partners").exists());
}

#[test]
fn a_weak_key_refuses_the_whole_and_one_that_is_over_is_left_out() {
    let (house, signer, good) = (House::with_partner(), Client::new(), Client::new());
    for (weak, word) in [("rsa-1024", "an RSA key of 1024 bits"), ("p-224", "an elliptic curve other than")] {
        let Some(weak) = house::weak(weak) else {
            println!("SKIPPED partner-weak-keys: openssl is not installed");
            return;
        };
        let document = Metadata::of_ders(&[der(&good), weak]).signed(&signer);
        house.import(&document, &signer, &["--write"]).refused(&[word]);
    }
    let past = Client::with(|parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let said = house.import(&Metadata::of(&[&past, &good]).signed(&signer), &signer, &[]).fine();
    assert!(said.contains(&format!("left out: certificate {}, over since 2020", &print(&past)[..16])), "{said}");
    house
        .import(&Metadata::of(&[&past]).signed(&signer), &signer, &[])
        .refused(&["every certificate it signs with is over"]);
}

#[test]
fn only_who_the_operator_names_vouches_for_it() {
    let (house, signer, key) = (House::with_partner(), Client::new(), Client::new());
    let document = Metadata::of(&[&key]).signed(&signer);
    for other in [&Client::new(), &Client::rsa(false), &Client::ed25519()] {
        house.import(&document, other, &[]).refused(&["not signed by the certificate given"]);
    }
    let past = signer.past();
    house.import_by(&document, &past, &[]).refused(&["not valid now"]);
    for signer in [&Client::rsa(false), &Client::rsa(true), &Client::ed25519()] {
        house.import(&Metadata::of(&[&key]).signed(signer), signer, &[]).fine();
    }
    // Nobody is believed for the first time, either.
    house.command(&document, &["--name", "agency"]).usage("--certificate");
    house.command(&document, &["--name", "agency", "--unsigned"]).usage("--fingerprint");
    let fingerprint = house::sha256(document.as_bytes());
    house.command(&document, &["--name", "agency", "--fingerprint", &fingerprint]).usage("--unsigned");
    house.command(&document, &["--name", "agency", "--unsigned", "--fingerprint", &fingerprint]).fine();
    let plain = Metadata::of(&[&key]).octets;
    house
        .command(&plain, &["--name", "agency", "--unsigned", "--fingerprint", &fingerprint])
        .refused(&["another document"]);
    let fingerprint = house::sha256(plain.as_bytes()).to_uppercase();
    let pairs: Vec<&str> = fingerprint.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
    house.command(&plain, &["--name", "agency", "--unsigned", "--fingerprint", &pairs.join(":")]).fine();
    for bad in ["", "00", &fingerprint[1..], &format!("+{}", &fingerprint[1..]), &format!("{fingerprint}00")] {
        house.command(&plain, &["--name", "agency", "--unsigned", "--fingerprint", bad]).usage("64 hexadecimal digits");
    }
}

#[test]
fn it_holds_as_long_as_it_says() {
    let (house, signer, key) = (House::with_partner(), Client::new(), Client::new());
    let until = |instant: &str| Metadata::of(&[&key]).but(&at(3600), instant).signed(&signer);
    house.import(&until(&at(-1)), &signer, &[]).refused(&["it was valid until"]);
    house.import(&until("2026-11-22"), &signer, &[]).refused(&["a validUntil that is no instant in UTC"]);
    house.import(&until("2999-01-01T00:00:00+02:00"), &signer, &[]).refused(&["a validUntil that is no instant"]);
    let forever = Metadata::of(&[&key]);
    let attribute = format!(" validUntil=\"{}\"", forever.until());
    let said = house.import(&forever.but(&attribute, "").signed(&signer), &signer, &[]).fine();
    assert!(said.contains("does not say until when it holds"), "{said}");
    // Of the role and of the group around it, too; what ends first counts.
    let role = Metadata::of(&[&key]).and(":protocol\"", &format!(" validUntil=\"{}\"", at(-5)));
    house.import(&role.signed(&signer), &signer, &[]).refused(&["it was valid until"]);
    let group = Metadata::of(&[&key]).grouped(&format!(" validUntil=\"{}\"", at(-5)));
    house.import(&group.signed(&signer), &signer, &[]).refused(&["it was valid until"]);
    let said = house.import(&Metadata::of(&[&key]).cached("PT10M").signed(&signer), &signer, &[]).fine();
    let again = said.split_once("to be read again before ").unwrap().1[..24].to_owned();
    let minutes = (instant::parse(&again).unwrap().0 - Millis::now().0) / 60_000;
    assert!((8..=10).contains(&minutes), "{said}");
    house.import(&Metadata::of(&[&key]).cached("P-1D").signed(&signer), &signer, &[]).refused(&["no duration"]);
}

#[test]
fn one_of_many_is_chosen_by_its_name_and_there_once() {
    let (house, signer, key, other) = (House::with_partner(), Client::new(), Client::new(), Client::new());
    let one = Metadata::of(&[&key]);
    let another = Metadata::of(&[&other]).but(ENTITY, "https://idp.bank.example/").inside();
    let both = one.clone().grouped("").and("</md:EntityDescriptor>", &another).signed(&signer);
    house.import(&both, &signer, &[]).refused(&["several are described", "--entity"]);
    let said = house.import(&both, &signer, &["--entity", ENTITY]).fine();
    assert!(said.contains(&print(&key)) && !said.contains(&print(&other)), "{said}");
    house.import(&both, &signer, &["--entity", "https://idp.bank.example/"]).refused(&["the metadata is of"]);
    house.import(&both, &signer, &["--entity", "urn:nobody"]).refused(&["nobody of that entityID"]);
    // The same name twice: which one is meant nobody can say.
    let twice = Metadata::of(&[&other]).inside();
    let twice = one.clone().grouped("").and("</md:EntityDescriptor>", &twice).signed(&signer);
    house.import(&twice, &signer, &["--entity", ENTITY]).refused(&["that entityID is described twice"]);
    // One that somebody brings along in his extensions is nobody.
    let brought = format!("<md:Extensions>{}</md:Extensions>", Metadata::of(&[&other]).inside());
    let brought = one.within(&brought).signed(&signer);
    let said = house.import(&brought, &signer, &["--entity", ENTITY]).fine();
    assert!(said.contains(&print(&key)) && !said.contains(&print(&other)), "{said}");
}

#[test]
fn keys_are_those_of_roles_that_issue_assertions_and_for_signing() {
    let (house, signer, key, other) = (House::with_partner(), Client::new(), Client::new(), Client::new());
    let good = Metadata::of(&[&key]);
    let role = |role: &str, attributes: &str, usage: &str| {
        format!("<md:{role}{attributes}>{}</md:{role}>", house::descriptor(&der(&other), usage))
    };
    let taken = |document: Metadata| house.import(&document.signed(&signer), &signer, &[]);
    let more = |more: String| good.clone().and("</md:IDPSSODescriptor>", &more);
    let sts = |kind: &str| {
        let xsi = "http://www.w3.org/2001/XMLSchema-instance";
        format!(" xmlns:xsi=\"{xsi}\" protocolSupportEnumeration=\"x\" xsi:type=\"{kind}\"")
    };
    let federation = "http://docs.oasis-open.org/wsfed/federation/200706";
    // Exclusive canonical form has no declaration for what only a value uses; the document has it.
    let declared =
        |document: &str, uri: &str| document.replace(" xmlns:xsi=", &format!(" xmlns:fed=\"{uri}\" xmlns:xsi="));
    for (what, is) in [
        (role("SPSSODescriptor", "", "signing"), false),
        (role("IDPSSODescriptor", "", "encryption"), false),
        (role("IDPSSODescriptor", "", "signing"), true),
        (role("IDPSSODescriptor", "", ""), true),
        (role("RoleDescriptor", &sts("fed:SecurityTokenServiceType"), "signing"), true),
        (role("RoleDescriptor", &sts("fed:ApplicationServiceType"), "signing"), false),
        (role("RoleDescriptor", &sts("xsi:SecurityTokenServiceType"), "signing"), false),
        (role("RoleDescriptor", &sts("SecurityTokenServiceType"), "signing"), true),
    ] {
        let document = declared(&more(what.clone()).signed(&signer), federation);
        let said = house.import(&document, &signer, &[]).fine();
        assert_eq!(said.contains(&print(&other)), is, "{what}: {said}");
    }
    // Where it is read as it stands, what the prefix stands for counts.
    let federated = more(role("RoleDescriptor", &sts("fed:SecurityTokenServiceType"), "signing")).octets;
    for (uri, is) in [(federation, true), ("urn:other", false)] {
        let document = declared(&federated, uri);
        let words = ["--name", "agency", "--unsigned", "--fingerprint", &house::sha256(document.as_bytes())];
        assert_eq!(house.command(&document, &words).fine().contains(&print(&other)), is, "{uri}");
    }
    taken(more(role("IDPSSODescriptor", "", "tls"))).refused(&["a key for something else"]);
    taken(good.clone().but(" use=\"signing\"", " use=\"encryption\"")).refused(&["names no key that it signs with"]);
    taken(good.clone().but("IDPSSODescriptor", "SPSSODescriptor")).refused(&["no identity provider"]);
    for (from, to) in [
        ("<ds:X509Certificate>", "<ds:X509Certificate>AAAA</ds:X509Certificate><ds:X509Certificate>"),
        ("<ds:X509Data>", "<ds:X509Data></ds:X509Data><ds:X509Data>"),
        ("<ds:X509Certificate>", "<ds:X509Certificate>&amp;"),
    ] {
        taken(good.clone().but(from, to)).refused(&["not one X.509 certificate"]);
    }
    taken(good.but(ENTITY, "https://idp.agency.example/\u{202e}saml")).refused(&["no URI"]);
}

#[test]
fn a_signature_over_something_else_than_the_whole_vouches_for_nothing() {
    let (house, signer, thief) = (House::with_partner(), Client::new(), Client::new());
    let good = Metadata::of(&[&signer]);
    let stolen = Metadata::of(&[&thief]).but("\"_m\"", "\"_n\"");
    let signed = good.signed(&signer);
    let signature = house::between(&signed, "<ds:Signature ", "</ds:Signature>");
    let hidden = |document: &str| format!("<md:Extensions>{document}</md:Extensions>");
    for (shape, document) in [
        ("what was signed within what was not", stolen.clone().within(&hidden(&signed)).octets),
        (
            "and its signature moved outside",
            stolen.clone().within(&format!("{signature}{}", hidden(&good.octets))).octets,
        ),
        ("a group around what was signed", good.clone().grouped("").but(&good.inside(), &signed).octets),
        ("a group, and its signature moved", good.clone().grouped("").within(&signature).octets),
        ("a thief beside it", stolen.clone().grouped("").and("</md:EntityDescriptor>", &signed).octets),
        (
            "what was signed within the signature",
            stolen
                .clone()
                .within(
                    &signature
                        .replace("</ds:Signature>", &format!("<ds:Object>{}</ds:Object></ds:Signature>", good.octets)),
                )
                .octets,
        ),
        (
            "a key more",
            signed.replace(
                "</md:IDPSSODescriptor>",
                &format!("{}</md:IDPSSODescriptor>", house::descriptor(&der(&thief), "signing")),
            ),
        ),
        ("another name", signed.replace(ENTITY, "https://idp.bank.example/")),
        (
            "one id twice",
            stolen.clone().but("\"_n\"", "\"_m\"").within(&format!("{signature}{}", hidden(&good.octets))).octets,
        ),
        ("two signatures", signed.replacen(&signature, &format!("{signature}{signature}"), 1)),
        (
            "the signature behind",
            signed
                .replacen(&signature, "", 1)
                .replace("</md:EntityDescriptor>", &format!("{signature}</md:EntityDescriptor>")),
        ),
        ("another id", signed.replace("ID=\"_m\"", "ID=\"_o\"")),
        ("no id", signed.replace(" ID=\"_m\"", "")),
        ("an id of another kind", signed.replace(" ID=\"_m\"", " xml:id=\"_m\"")),
        ("no signature", good.octets.clone()),
        ("another digest", {
            let value = house::between(&signed, "<ds:DigestValue>", "</ds:DigestValue>");
            signed.replace(&value, &format!("<ds:DigestValue>{}</ds:DigestValue>", Base64::encode_string(&[7; 32])))
        }),
    ] {
        let said = house.import(&document, &signer, &["--entity", ENTITY, "--write"]);
        assert!(!said.status.success(), "{shape}: {}", String::from_utf8_lossy(&said.stdout));
    }
    assert_eq!(house.certificates(), [der(house.key())]);
    for (from, to, word) in [
        (good.signed_info(&signer), good.signed_info(&signer).replace("#enveloped-signature", "#x"), "bad Transforms"),
        (
            good.signed_info(&signer),
            good.signed_info(&signer).replace("xmlenc#sha256", "xmlenc#sha1"),
            "digest algorithm",
        ),
        (
            good.signed_info(&signer),
            good.signed_info(&signer).replace("URI=\"#_m\"", "URI=\"\""),
            "reference to nothing",
        ),
        (
            good.signed_info(&signer),
            good.signed_info(&signer).replace("ecdsa-sha256", "hmac-sha256"),
            "algorithm is not taken",
        ),
        (good.signed_info(&signer), good.signed_info(&signer).replace("ecdsa-sha256", "rsa-sha256"), "not signed by"),
    ] {
        assert_ne!(from, to);
        house.import(&good.signed_as(&signer, &to), &signer, &[]).refused(&[word]);
    }
}

#[test]
fn metadata_is_never_taken_by_sha1() {
    let (house, signer) = (House::with_partner(), Client::rsa(false));
    let good = Metadata::of(&[&Client::new()]);
    let info = good.signed_info(&signer);
    let by_rsa = sha1::by_rsa(&info);
    let document = good.signed_as(&signer, &by_rsa);
    let value = Base64::encode_string(&sha1::signature(signer.secret(), by_rsa.as_bytes()));
    let before = house::between(&document, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let document = document.replace(&before, &format!("<ds:SignatureValue>{value}</ds:SignatureValue>"));
    house.import(&document, &signer, &[]).refused(&["algorithm is not taken"]);
    let digesting = sha1::digesting(&info, &good.octets);
    house.import(&good.signed_as(&signer, &digesting), &signer, &[]).refused(&["digested by SHA-1"]);
    house.import(&good.signed(&signer), &signer, &[]).fine();
}

#[test]
fn a_hostile_document_is_refused_in_a_moment_and_by_name() {
    let (house, signer, key) = (House::with_partner(), Client::new(), Client::new());
    let good = Metadata::of(&[&key]).signed(&signer);
    let bomb = format!(
        "<!DOCTYPE x [<!ENTITY a \"{}\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
        "a".repeat(64),
        good.replace(ENTITY, "&b;")
    );
    let deep = format!("{}{}{}", "<a>".repeat(60_000), good, "</a>".repeat(60_000));
    let wide = good.replace("</md:EntityDescriptor>", &format!("{}</md:EntityDescriptor>", "<a/>".repeat(250_000)));
    let attributes: String = (0..5000).map(|number| format!(" a{number}=\"\"")).collect();
    for (document, word) in [
        (bomb, "a document type declaration"),
        (format!("<!DOCTYPE x SYSTEM \"file:///etc/passwd\">{good}"), "a document type declaration"),
        (format!("<?xml-stylesheet href=\"x\"?>{good}"), "a processing instruction"),
        (good.replace(ENTITY, "&#0;"), "a character that xml does not allow"),
        (good.replace(ENTITY, "&e;"), "a bad reference"),
        (deep, "than allowed"),
        (wide, "than allowed"),
        (good.replace("<md:EntityDescriptor ", &format!("<md:EntityDescriptor{attributes} ")), "than allowed"),
        (String::new(), "chancery: "),
        ("<md:EntityDescriptor".to_owned(), "chancery: "),
        ("<x\u{1b}[2J/>".to_owned(), "chancery: "),
        ("<html\u{e9}/>".to_owned(), "{}html? is not SAML metadata"),
        (format!("{good}{}", " ".repeat(5 << 20)), "larger than 4 MiB"),
    ] {
        let begun = Instant::now();
        let said = house.import(&document, &signer, &[]).refused(&[word]);
        assert!(said.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)), "{said:?}");
        assert!(said.len() < 600 && begun.elapsed().as_secs() < 9, "{} octets, {:?}", said.len(), begun.elapsed());
    }
}

#[test]
fn a_reader_that_dies_or_hangs_is_an_error_and_leaves_nothing() {
    let (house, signer) = (House::with_partner(), Client::new());
    let document = Metadata::of(&[&Client::new()]).signed(&signer);
    let before = house.auth();
    let mark = house.path("mark");
    let armed = |how: &str| {
        let _ = fs::remove_file(&mark);
        house.armed(&document, &signer, &format!("partner-read,{}{how}", mark.display()))
    };
    // SIGKILL is nothing it may send, not even to itself: the sandbox is what ends it.
    armed("").refused(&["the sandbox ended the reader"]);
    let begun = Instant::now();
    armed(",hold").refused(&["no answer within 10 s"]);
    assert!((9..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(house.auth(), before);
    assert!(house::readers(&mark).is_empty(), "no reader stays behind");
}

#[test]
fn the_metadata_of_real_servers_is_read() {
    let Some(data) = others::data("partner-metadata-of-others") else { return };
    let house = House::without_partner();
    for (file, entity, keys) in [
        ("adfs-v4-federationmetadata.xml", "http://fs.msidlab11.com/adfs/services/trust", 1),
        ("aad-adfs-v3-metadata.xml", "http://fs.msidlab2.com/adfs/services/trust", 1),
        ("aad-adfs-v2-metadata.xml", "http://fs.msidlab7.com/adfs/services/trust", 1),
    ] {
        let document = fs::read_to_string(data.join("messages").join(file)).unwrap();
        let base64 = house::between(&document, "X509Certificate>", "</");
        let base64 = base64.trim_start_matches("X509Certificate>").trim_end_matches("</");
        let certificate = Base64::decode_vec(&base64.replace([' ', '\n', '\r', '\t'], "")).unwrap();
        let pem = house::pem(&certificate);
        let words = ["--audience", "urn:us", "--subject", "http://schemas.xmlsoap.org/claims/UPN"];
        let then = house::middle(&certificate);
        let said = house.at(&document, &pem, then, &words).fine();
        assert!(said.starts_with(&format!("{entity}: signed by the certificate given")), "{file}: {said}");
        assert_eq!(said.matches("  + partners/agency-").count(), keys, "{file}: {said}");
        assert!(said.contains(&house::sha256(&certificate)), "AD FS signs tokens and metadata with one key: {said}");
        let changed = document.replacen("use=\"signing\"", "use=\"encryption\"", 1);
        house.at(&changed, &pem, then, &words).refused(&["not what was signed"]);
    }
    let microsoft = fs::read_to_string(data.join("messages/aad-windows-ad-metadata.xml")).unwrap();
    house.import(&microsoft, &Client::new(), &[]).refused(&["algorithm is not taken"]);
}

/// What xmlsec1 signs, by libxml2's canonical form and its own digests, in the order that an identity provider has.
#[test]
fn metadata_that_xmlsec1_signed_is_read() {
    let (house, key) = (House::with_partner(), Client::new());
    let Some((document, certificate)) = house::by_xmlsec1(&Metadata::of(&[&key])) else {
        println!("SKIPPED partner-xmlsec1: xmlsec1 or openssl is not installed");
        return;
    };
    let said = house.import_by(&document, &certificate, &["--write"]).fine();
    assert!(said.contains("- first.pem"), "{said}");
    assert_eq!(house.certificates(), [der(&key)]);
    let changed =
        document.replace("IDPSSODescriptor protocol", "IDPSSODescriptor WantAuthnRequestsSigned=\"1\" protocol");
    assert_ne!(changed, document);
    house.import_by(&changed, &certificate, &[]).refused(&["not what was signed"]);
}

//! `ds:Signature` as a stranger writes it: what the grammar takes, what it refuses and by which name, and the
//! signed messages of real clients, whose every signature holds and whose every change is noticed.

#![expect(clippy::unwrap_used, reason = "a test")]

use aws_lc_rs::{digest, signature};
use base64ct::{Base64, Encoding};
use chancery::xml::signature::{Family, Hash, Signature, SignatureMethod, SignedInfo, Unreadable};
use chancery::xml::{Element, Ids, Limits, Tree, names};
use x509_parser::prelude::FromDer;

#[path = "support/data.rs"]
#[expect(dead_code, reason = "shared with tests/vectors.rs, which uses all of it")]
mod others;

use others::data;

const MOST: usize = 1024 * 1024;
const DIGEST: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn parse(source: &str) -> Tree {
    Tree::parse(source.as_bytes(), &Limits::default()).unwrap()
}

fn find<'t>(tree: &'t Tree, local: &str) -> Element<'t> {
    tree.elements().find(|element| element.local() == local).unwrap()
}

/// A signature as most clients write it.
fn plain() -> String {
    let reference = reference("#a", "");
    format!(
        "<e xmlns:u='{wsu}' xmlns:w='{wsse}' xmlns:ec='http://www.w3.org/2001/10/xml-exc-c14n#'><part u:Id='a'/>\
         <ds:Signature xmlns:ds='{ds}' Id='s'><ds:SignedInfo>\
         <ds:CanonicalizationMethod Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>\
         <ds:SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>{reference}\
         </ds:SignedInfo><ds:SignatureValue>AAECAwQF\n  BgcICQ==</ds:SignatureValue>\
         <ds:KeyInfo><w:SecurityTokenReference/></ds:KeyInfo></ds:Signature></e>",
        wsu = names::WSU,
        wsse = names::WSSE,
        ds = names::DS,
    )
}

fn reference(uri: &str, before: &str) -> String {
    format!(
        "<ds:Reference URI='{uri}'><ds:Transforms>{before}\
         <ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/></ds:Transforms>\
         <ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>\
         <ds:DigestValue>{DIGEST}</ds:DigestValue></ds:Reference>"
    )
}

fn read(source: &str) -> Result<SignedInfo, Unreadable> {
    let tree = parse(source);
    Signature::read(find(&tree, "Signature")).map(|signature| signature.info)
}

#[test]
fn what_clients_write_is_read() {
    let tree = parse(&plain());
    let signature = Signature::read(find(&tree, "Signature")).unwrap();
    assert_eq!(signature.info.method, SignatureMethod { family: Family::RsaPkcs1, hash: Hash::Sha256 });
    assert_eq!(signature.value, (0..10).collect::<Vec<u8>>());
    assert!(signature.key_info.is_some());
    let [reference] = &signature.info.references[..] else { panic!("one reference") };
    assert_eq!((reference.id.as_str(), reference.hash, reference.digest.len()), ("a", Hash::Sha256, 32));
    assert!(!reference.transform.enveloped && !reference.transform.dereferenced);
    let target = signature.target(reference, &Ids::of(&tree).unwrap()).unwrap();
    assert_eq!(target.local(), "part");
    let octets = signature.digested(reference, target, MOST).unwrap();
    assert_eq!(octets.as_str(), format!("<part xmlns:u=\"{}\" u:Id=\"a\"></part>", names::WSU));
}

#[test]
fn octets_of_signed_info_read_again_say_the_same() {
    let source = plain().replace(
        "Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/></ds:Transforms>",
        "Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'><ec:InclusiveNamespaces PrefixList='u  #default'/>\
         </ds:Transform></ds:Transforms>",
    );
    let tree = parse(&source);
    let signature = Signature::read(find(&tree, "Signature")).unwrap();
    let again = parse(&signature.signed_octets(MOST).unwrap());
    assert_eq!(SignedInfo::read(again.root()).unwrap(), signature.info);
}

#[test]
fn transforms_are_an_envelope_perhaps_and_one_form() {
    let enveloped = "<ds:Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>";
    let info = read(&plain().replace("<ds:Transforms>", &format!("<ds:Transforms>{enveloped}"))).unwrap();
    assert!(info.references[0].transform.enveloped);
    let dereferencing = format!(
        "<ds:Transform Algorithm='{}'><w:TransformationParameters><ds:CanonicalizationMethod \
         Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/></w:TransformationParameters></ds:Transform>",
        names::STR_TRANSFORM
    );
    let only = "<ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>";
    let info = read(&plain().replace(only, &dereferencing)).unwrap();
    assert!(info.references[0].transform.dereferenced);
    let other =
        dereferencing.replace("http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2006/12/xml-c14n11");
    let inclusive = read(&plain().replace(only, &other)).unwrap_err();
    assert_eq!(inclusive, Unreadable::Algorithm("canonicalisation"));
    let less = read(&plain().replace(only, &format!("{enveloped}{dereferencing}"))).unwrap_err();
    assert_eq!(less, Unreadable::Shape("Transforms"));
    // A canonical form that keeps comments loses them where an id says what is meant.
    let commented = "<ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#WithComments'/>";
    let info = read(&plain().replace(only, commented)).unwrap();
    assert!(!info.references[0].transform.canonical.keeps_comments());
}

#[test]
fn everything_else_is_refused_by_name() {
    const EXCLUSIVE: &str = "<ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>";
    use Unreadable::{Algorithm, Shape, Target};
    assert!(read(&plain()).is_ok());
    let enveloped = "<ds:Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>";
    let with = |algorithm: &str| format!("<ds:Transform Algorithm='{algorithm}'/>");
    let method = "<ds:SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>";
    let table: &[(&str, &str, String, Unreadable)] = &[
        // The children of a signature.
        ("two SignedInfo", "<ds:SignatureValue>", "<ds:SignedInfo/><ds:SignatureValue>".into(), Shape("Signature")),
        ("Object", "</ds:Signature>", "<ds:Object/></ds:Signature>".into(), Shape("Signature")),
        ("KeyInfo twice", "</ds:Signature>", "<ds:KeyInfo/></ds:Signature>".into(), Shape("Signature")),
        ("text", "<ds:KeyInfo>", "x<ds:KeyInfo>".into(), Shape("Signature")),
        ("comment", "<ds:KeyInfo>", "<!--x--><ds:KeyInfo>".into(), Shape("Signature")),
        ("attribute", " Id='s'", " Id='s' u:Id='t'".into(), Shape("Signature")),
        (
            "no value",
            "<ds:SignatureValue>AAECAwQF\n  BgcICQ==</ds:SignatureValue>",
            String::new(),
            Shape("SignatureValue"),
        ),
        // Values are one text of strict base64.
        ("comment in value", "AAECAwQF", "AAEC<!---->AwQF".into(), Shape("SignatureValue")),
        ("element in value", "AAECAwQF", "AAEC<b/>AwQF".into(), Shape("SignatureValue")),
        ("not base64", "AAECAwQF", "AAE*AwQF".into(), Shape("SignatureValue")),
        ("no padding", "BgcICQ==", "BgcICQ".into(), Shape("SignatureValue")),
        ("empty", "AAECAwQF\n  BgcICQ==", String::new(), Shape("SignatureValue")),
        ("comment in digest", &DIGEST[..4], format!("{}<!---->", &DIGEST[..4]), Shape("DigestValue")),
        ("short digest", DIGEST, "AAAA".into(), Shape("DigestValue")),
        ("long digest", DIGEST, Base64::encode_string(&[0; 33]), Shape("DigestValue")),
        // Algorithms.
        ("rsa-md5", "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-md5".into(), Algorithm("signature")),
        ("md5", "xmlenc#sha256", "xmlenc#md5".into(), Algorithm("digest")),
        (
            "HMACOutputLength",
            method,
            format!("{}<ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>", method.replace("/>", ">")),
            Shape("SignatureMethod"),
        ),
        (
            "unknown form",
            "Method Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#",
            "Method Algorithm='urn:x".into(),
            Algorithm("canonicalisation"),
        ),
        // Transforms.
        ("XPath", EXCLUSIVE, with("http://www.w3.org/TR/1999/REC-xpath-19991116"), Algorithm("canonicalisation")),
        ("filter", EXCLUSIVE, with("http://www.w3.org/2002/06/xmldsig-filter2"), Algorithm("canonicalisation")),
        ("XSLT", EXCLUSIVE, with("http://www.w3.org/TR/1999/REC-xslt-19991116"), Algorithm("canonicalisation")),
        ("base64", EXCLUSIVE, with("http://www.w3.org/2000/09/xmldsig#base64"), Algorithm("canonicalisation")),
        ("decryption", EXCLUSIVE, with("http://www.w3.org/2002/07/decrypt#XML"), Algorithm("canonicalisation")),
        ("enveloped alone", EXCLUSIVE, enveloped.into(), Algorithm("canonicalisation")),
        ("enveloped last", EXCLUSIVE, format!("{EXCLUSIVE}{enveloped}"), Shape("Transforms")),
        ("enveloped twice", EXCLUSIVE, format!("{enveloped}{enveloped}{EXCLUSIVE}"), Shape("Transforms")),
        ("two forms", EXCLUSIVE, format!("{EXCLUSIVE}{EXCLUSIVE}"), Shape("Transforms")),
        ("no transform", EXCLUSIVE, String::new(), Shape("Transforms")),
        (
            "parameters of the wrong kind",
            EXCLUSIVE,
            EXCLUSIVE.replace("/>", "><ds:XPath>1</ds:XPath></ds:Transform>"),
            Shape("Transform"),
        ),
        ("STR-Transform without a form", EXCLUSIVE, with(names::STR_TRANSFORM), Shape("Transforms")),
        // References.
        ("whole document", "URI='#a'", "URI=''".into(), Target),
        ("no URI", " URI='#a'", String::new(), Target),
        ("xpointer", "URI='#a'", "URI=\"#xpointer(id('a'))\"".into(), Target),
        ("xpointer of all", "URI='#a'", "URI='#xpointer(/)'".into(), Target),
        ("elsewhere", "URI='#a'", "URI='http://169.254.169.254/#a'".into(), Target),
        ("file", "URI='#a'", "URI='file:///etc/passwd'".into(), Target),
        ("attachment", "URI='#a'", "URI='cid:a'".into(), Target),
        ("escaped", "URI='#a'", "URI='%23a'".into(), Target),
        ("spaced", "URI='#a'", "URI=' #a'".into(), Target),
        ("empty id", "URI='#a'", "URI='#'".into(), Target),
        (
            "manifest",
            "URI='#a'",
            "URI='#a' Type='http://www.w3.org/2000/09/xmldsig#Manifest'".into(),
            Shape("Reference"),
        ),
        ("the same twice", "</ds:SignedInfo>", format!("{}</ds:SignedInfo>", reference("#a", "")), Shape("SignedInfo")),
        (
            "eleven",
            "</ds:SignedInfo>",
            (0..10).map(|n| reference(&format!("#b{n}"), "")).collect::<String>() + "</ds:SignedInfo>",
            Shape("SignedInfo"),
        ),
        ("something after", "</ds:SignedInfo>", "<ds:Object/></ds:SignedInfo>".into(), Shape("Reference")),
    ];
    for (what, from, to, why) in table {
        let source = plain();
        assert!(source.contains(from), "{what}: nothing to replace");
        assert_eq!(read(&source.replace(from, to)).err(), Some(*why), "{what}");
    }
    let none = plain().replace(&reference("#a", ""), "");
    assert_eq!(read(&none).err(), Some(Shape("SignedInfo")), "no reference (A-00c)");
}

#[test]
fn a_reference_to_nothing_here_has_no_target() {
    let tree = parse(&plain().replace("URI='#a'", "URI='#b'"));
    let signature = Signature::read(find(&tree, "Signature")).unwrap();
    let ids = Ids::of(&tree).unwrap();
    assert_eq!(signature.target(&signature.info.references[0], &ids).err(), Some(Unreadable::Target));
}

/// The messages of govmomi and pyvmomi that their own test certificate signed.
fn messages() -> Vec<(String, String)> {
    let Some(data) = data("signed-messages") else { return Vec::new() };
    ["govmomi/wire/hok", "govmomi/wire/hok_actas", "govmomi/wire/renew", "pyvmomi/hok", "pyvmomi/hok_actas"]
        .map(|name| (name.to_owned(), std::fs::read_to_string(data.join(format!("clients/{name}.xml"))).unwrap()))
        .into()
}

/// Does the header's signature hold, by the certificate beside it, over its own parts?
fn holds(source: &str) -> Result<bool, Unreadable> {
    let Ok(tree) = Tree::parse(source.as_bytes(), &Limits::default()) else { return Ok(false) };
    let Ok(ids) = Ids::of(&tree) else { return Ok(false) };
    let header = find(&tree, "Security");
    let child = |local| header.children().find(|child: &Element<'_>| child.local() == local).unwrap();
    let signature = Signature::read(child("Signature"))?;
    let Ok(certificate) = Base64::decode_vec(child("BinarySecurityToken").text().unwrap()) else { return Ok(false) };
    let Ok((_, certificate)) = x509_parser::certificate::X509Certificate::from_der(&certificate) else {
        return Ok(false);
    };
    assert_eq!(signature.info.method, SignatureMethod { family: Family::RsaPkcs1, hash: Hash::Sha256 });
    let key = &certificate.tbs_certificate.subject_pki.subject_public_key.data;
    let key = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key);
    if key.verify(signature.signed_octets(MOST).unwrap().as_bytes(), &signature.value).is_err() {
        return Ok(false);
    }
    for reference in &signature.info.references {
        let target = signature.target(reference, &ids)?;
        let octets = signature.digested(reference, target, MOST).unwrap();
        if digest::digest(&digest::SHA256, octets.as_bytes()).as_ref() != reference.digest {
            return Ok(false);
        }
    }
    Ok(true)
}

#[test]
fn signatures_of_real_clients_hold_and_no_change_goes_unnoticed() {
    for (name, source) in messages() {
        assert_eq!(holds(&source), Ok(true), "{name}");
        let mut changes = 0;
        for (from, to) in [
            ("200512/Issue<", "200512/Renew<"),
            ("200512/Renew<", "200512/Issue<"),
            ("<Delegatable>true", "<Delegatable>false"),
            (":Created>2026-11-22", ":Created>2026-11-23"),
            ("</RequestSecurityToken>", " </RequestSecurityToken>"),
            ("<RequestSecurityToken xmlns=", "<RequestSecurityToken Context='x' xmlns="),
            ("rsa-sha256</SignatureAlgorithm>", "rsa-sha512</SignatureAlgorithm>"),
            ("MIIDCTCCAfGg", "MIIDCTCCAfGh"),
            ("xml-exc-c14n#\"></ds:Canon", "xml-exc-c14n#WithComments\"></ds:Canon"),
            ("xml-exc-c14n#\"/><ds:SignatureMethod", "xml-exc-c14n#WithComments\"/><ds:SignatureMethod"),
        ] {
            if let Some(at) = source.find(from) {
                let changed = format!("{}{to}{}", &source[..at], &source[at + from.len()..]);
                assert_eq!(holds(&changed), Ok(false), "{name}: {from}");
                changes += 1;
            }
        }
        assert!(changes >= 6, "{name}: {changes}");
    }
}

/// Messages that WSS4J 4.0.0 signed, of a certificate and of an assertion by references to them.
#[test]
fn what_wss4j_digests_for_a_reference_to_a_token_is_digested_here_r_w063() {
    for (source, local) in [
        (include_str!("wss4j/bst.xml"), "BinarySecurityToken"),
        (include_str!("wss4j/assertion.xml"), "Assertion"),
        // Within an envelope that has a default namespace.
        (include_str!("wss4j/default.xml"), "Assertion"),
    ] {
        let tree = parse(source);
        let signature = Signature::read(find(&tree, "Signature")).unwrap();
        let ids = Ids::of(&tree).unwrap();
        let mut dereferenced = 0;
        for reference in &signature.info.references {
            let mut target = signature.target(reference, &ids).unwrap();
            if reference.transform.dereferenced {
                assert_eq!(target.local(), "SecurityTokenReference");
                (target, dereferenced) = (find(&tree, local), dereferenced + 1);
            }
            let octets = signature.digested(reference, target, MOST).unwrap();
            let made = digest::digest(&digest::SHA256, octets.as_bytes());
            assert_eq!(made.as_ref(), reference.digest, "{local}: {}", octets.as_str());
        }
        assert_eq!((dereferenced, signature.info.references.len()), (1, 3));
    }
}

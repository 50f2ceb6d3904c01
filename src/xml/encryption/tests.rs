//! What the grammar has, and that it has nothing else.

use super::*;
use crate::xml::{Limits, Tree};

const KEY: &str = "<x:EncryptedKey Id='k'><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'>\
<ds:DigestMethod Algorithm='http://www.w3.org/2000/09/xmldsig#sha1'/></x:EncryptionMethod><ds:KeyInfo><a/></ds:KeyInfo>\
<x:CipherData><x:CipherValue>AAEC\n Aw==</x:CipherValue></x:CipherData>\
<x:ReferenceList><x:DataReference URI='#d'/><x:DataReference URI='#e'/></x:ReferenceList></x:EncryptedKey>";
const DATA: &str = "<x:EncryptedData Id='d' Type='http://www.w3.org/2001/04/xmlenc#Element'>\
<x:EncryptionMethod Algorithm='http://www.w3.org/2009/xmlenc11#aes256-gcm'/><ds:KeyInfo><a/></ds:KeyInfo>\
<x:CipherData><x:CipherValue>AAECAw==</x:CipherValue></x:CipherData></x:EncryptedData>";

fn tree(inside: &str) -> Option<Tree> {
    let (xenc, xenc11, ds) = (names::XENC, names::XENC11, names::DS);
    let source = format!("<r xmlns:x='{xenc}' xmlns:y='{xenc11}' xmlns:ds='{ds}'>{inside}</r>");
    Tree::parse(source.as_bytes(), &Limits::default()).ok()
}

fn key(inside: &str) -> Result<(Oaep, Vec<u8>, usize), Unreadable> {
    let tree = tree(inside).unwrap();
    let read = EncryptedKey::read(tree.root().children().next().unwrap());
    read.map(|key| (key.oaep, key.value, key.references.len()))
}

fn data(inside: &str) -> Result<(Cipher, Option<Extent>, bool), Unreadable> {
    let tree = tree(inside).unwrap();
    let read = EncryptedData::read(tree.root().children().next().unwrap());
    read.map(|data| (data.cipher, data.extent, data.key_info.is_some()))
}

const SHA1: Oaep = Oaep { hash: Hash::Sha1, mask: Hash::Sha1 };

#[test]
fn what_clients_write_is_read() {
    assert_eq!(key(KEY).unwrap(), (SHA1, vec![0, 1, 2, 3], 2));
    assert_eq!(data(DATA).unwrap(), (Cipher::Aes256Gcm, Some(Extent::Element), true));
    let list = &KEY[KEY.find("<x:ReferenceList>").unwrap()..KEY.find("</x:EncryptedKey>").unwrap()];
    assert_eq!(key(&KEY.replace(list, "")).unwrap().2, 0);
    let info = "<ds:KeyInfo><a/></ds:KeyInfo>";
    for (from, to, expected) in [
        ("#Element", "#Content", (Cipher::Aes256Gcm, Some(Extent::Content), true)),
        (" Type='http://www.w3.org/2001/04/xmlenc#Element'", "", (Cipher::Aes256Gcm, None, true)),
        ("aes256", "aes128", (Cipher::Aes128Gcm, Some(Extent::Element), true)),
        ("aes256", "aes192", (Cipher::Aes192Gcm, Some(Extent::Element), true)),
        (info, "", (Cipher::Aes256Gcm, Some(Extent::Element), false)),
    ] {
        assert_eq!(data(&DATA.replace(from, to)).unwrap(), expected, "{to}");
    }
}

#[test]
fn both_identifiers_of_oaep_have_their_own_defaults() {
    let digest = "<ds:DigestMethod Algorithm='http://www.w3.org/2000/09/xmldsig#sha1'/>";
    let sha256 = "<ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>";
    let mgf = "<y:MGF Algorithm='http://www.w3.org/2009/xmlenc11#mgf1sha256'/>";
    let newer = KEY.replace("2001/04/xmlenc#rsa-oaep-mgf1p", "2009/xmlenc11#rsa-oaep");
    let of = |text: &str, inside: &str| key(&text.replace(digest, inside)).map(|key| key.0);
    let mixed = Oaep { hash: Hash::Sha256, mask: Hash::Sha1 };
    assert_eq!(of(KEY, ""), Ok(SHA1));
    assert_eq!(of(KEY, sha256), Ok(mixed));
    assert_eq!(of(&newer, ""), Ok(SHA1));
    assert_eq!(of(&newer, sha256), Ok(mixed));
    assert_eq!(of(&newer, &[sha256, mgf].concat()), Ok(Oaep { hash: Hash::Sha256, mask: Hash::Sha256 }));
    assert_eq!(of(&newer, &[mgf, sha256].concat()), Ok(Oaep { hash: Hash::Sha256, mask: Hash::Sha256 }));
    assert!(of(KEY, mgf).is_err(), "the older one has no other MGF");
}

#[test]
fn everything_else_is_refused() {
    let oaep = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
    for (from, to) in [
        (oaep, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        (oaep, "http://www.w3.org/2001/04/xmlenc#kw-aes256"),
        (oaep, ""),
        ("Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'", ""),
        ("xmldsig#sha1", "xmldsig-more#md5"),
        ("<ds:DigestMethod", "<x:OAEPparams>AA==</x:OAEPparams><ds:DigestMethod"),
        ("<ds:DigestMethod", "<x:KeySize>256</x:KeySize><ds:DigestMethod"),
        ("<ds:DigestMethod", "<ds:DigestMethod Algorithm='http://www.w3.org/2000/09/xmldsig#sha1'/><ds:DigestMethod"),
        ("<ds:KeyInfo><a/></ds:KeyInfo>", ""),
        ("<ds:KeyInfo><a/></ds:KeyInfo>", "<x:KeyInfo><a/></x:KeyInfo>"),
        ("EncryptedKey Id='k'", "EncryptedKey Id='k' Recipient='r'"),
        ("EncryptedKey Id='k'", "EncryptedKey Id='k' Type='http://www.w3.org/2001/04/xmlenc#EncryptedKey'"),
        ("EncryptedKey Id='k'", "EncryptedKey Id='1 2'"),
        ("<x:CipherValue>AAEC\n Aw==</x:CipherValue>", "<x:CipherReference URI='http://localhost/'/>"),
        ("AAEC\n Aw==", ""),
        ("AAEC\n Aw==", "AAEC!Aw=="),
        ("AAEC\n Aw==", "AAE<!-- -->CAw=="),
        ("AAEC\n Aw==", "AAE<b/>CAw=="),
        ("#d'", "d'"),
        ("#d'", "#e'"),
        ("#d'", "http://localhost/#d'"),
        ("#d'", "#xpointer(/)'"),
        ("<x:DataReference URI='#d'/>", "<x:KeyReference URI='#d'/>"),
        ("<x:DataReference URI='#d'/>", "<x:DataReference URI='#d'><ds:Transforms/></x:DataReference>"),
        ("</x:EncryptedKey>", "<x:CarriedKeyName>n</x:CarriedKeyName></x:EncryptedKey>"),
        ("<x:CipherData>", "text<x:CipherData>"),
        ("<x:CipherData>", "<!-- --><x:CipherData>"),
    ] {
        assert!(KEY.contains(from), "{from}");
        assert!(key(&KEY.replace(from, to)).is_err(), "{from} {to}");
    }
    for (from, to) in [
        ("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
        ("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        ("xmlenc#Element", "xmlenc#Elements"),
        ("<x:EncryptionMethod Algorithm='http://www.w3.org/2009/xmlenc11#aes256-gcm'/>", ""),
        ("aes256-gcm'/>", "aes256-gcm'><x:KeySize>256</x:KeySize></x:EncryptionMethod>"),
        ("Id='d'", "Id='d' MimeType='text/xml'"),
        ("Id='d'", "Id='d' Encoding='x'"),
        ("</x:EncryptedData>", "<x:EncryptionProperties/></x:EncryptedData>"),
        ("<x:CipherValue>AAECAw==</x:CipherValue>", "<x:CipherReference URI='#d'/>"),
        ("</x:CipherValue>", "</x:CipherValue><x:CipherValue>AAECAw==</x:CipherValue>"),
    ] {
        assert!(DATA.contains(from), "{from}");
        assert!(data(&DATA.replace(from, to)).is_err(), "{from} {to}");
    }
}

#[test]
fn what_a_signature_covers_may_be_of_cbc_and_of_nothing_else_more_a_21() {
    let signed = |algorithm: &str| {
        let tree = tree(&DATA.replace("http://www.w3.org/2009/xmlenc11#aes256-gcm", algorithm)).unwrap();
        EncryptedData::read_signed(tree.root().children().next().unwrap()).map(|data| data.cipher).ok()
    };
    let older = |name: &str| signed(&format!("http://www.w3.org/2001/04/xmlenc#{name}"));
    assert_eq!(older("aes128-cbc"), Some(SignedCipher::Aes128Cbc));
    assert_eq!(older("aes256-cbc"), Some(SignedCipher::Aes256Cbc));
    let gcm = signed("http://www.w3.org/2009/xmlenc11#aes192-gcm");
    assert_eq!(gcm, Some(SignedCipher::Gcm(Cipher::Aes192Gcm)));
    assert_eq!(gcm.and_then(SignedCipher::gcm), Some(Cipher::Aes192Gcm));
    assert_eq!(SignedCipher::Aes256Cbc.gcm(), None);
    for other in ["aes192-cbc", "tripledes-cbc", "aes256-ctr", "kw-aes256", ""] {
        assert_eq!(older(other), None, "{other}");
    }
}

#[test]
fn a_part_brings_a_key_of_its_own_that_another_wraps() {
    let value = |octets: usize| "A".repeat(octets * 4 / 3);
    let wrapped = |name: &str, value: &str| {
        format!(
            "<x:EncryptedKey Id='w'><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#{name}'/><ds:KeyInfo><b/>\
             </ds:KeyInfo><x:CipherData><x:CipherValue>{value}</x:CipherValue></x:CipherData></x:EncryptedKey>"
        )
    };
    // 40 octets are no multiple of three.
    let (short, long) = (wrapped("kw-aes128", &value(24)), wrapped("kw-aes256", &format!("{}AA==", value(39))));
    let read = |inside: &str| {
        let tree = tree(&DATA.replace("<a/>", inside)).unwrap();
        let data = EncryptedData::read(tree.root().children().next().unwrap()).unwrap();
        let key = data.key_info.unwrap().only_child().filter(|key| WrappedKey::is_one(*key))?;
        Some(
            WrappedKey::read(key)
                .map(|key| (key.cipher, key.value.len(), key.key_info.only_child().unwrap().local().to_owned())),
        )
    };
    assert_eq!(read(&short), Some(Ok((Cipher::Aes128Gcm, 24, "b".to_owned()))));
    assert_eq!(read(&long), Some(Ok((Cipher::Aes256Gcm, 40, "b".to_owned()))));
    assert_eq!(read(&long.replace(" Id='w'", "")), read(&long));
    for (from, to) in [
        ("kw-aes256", "kw-aes192"),
        ("kw-aes256", "kw-aes256-pad"),
        ("kw-aes256", "kw-aes"),
        ("kw-aes256", "kw-aes128"),
        ("AA==", "AAAA"),
        ("AA==", ""),
        ("<ds:KeyInfo><b/></ds:KeyInfo>", ""),
        ("Id='w'", "Id='1 2'"),
        ("Id='w'", "Id='w' Recipient='r'"),
        ("</x:EncryptedKey>", "<x:ReferenceList><x:DataReference URI='#d'/></x:ReferenceList></x:EncryptedKey>"),
        ("</x:EncryptedKey>", "<x:CarriedKeyName>n</x:CarriedKeyName></x:EncryptedKey>"),
        ("'/><ds:KeyInfo>", "'><x:KeySize>256</x:KeySize></x:EncryptionMethod><ds:KeyInfo>"),
    ] {
        assert!(long.contains(from), "{from}");
        assert!(matches!(read(&long.replace(from, to)), Some(Err(_))), "{from} {to}");
    }
    // A key for us is none, nor is one that stands elsewhere.
    assert_eq!(read(KEY), None);
    assert_eq!(read(&long.replace("kw-aes256", "kw-tripledes")), None);
    let tree = tree(&long).unwrap();
    assert!(!WrappedKey::is_one(tree.root().children().next().unwrap()));
}

#[test]
fn values_are_as_long_as_they_may_be_and_no_longer() {
    use base64ct::Encoding;
    let encoded = |octets: usize| base64ct::Base64::encode_string(&vec![7; octets]);
    let of_key = |octets| key(&KEY.replace("AAEC\n Aw==", &encoded(octets)));
    assert!(of_key(512).is_ok() && of_key(513).is_err());
    let of_data = |octets| data(&DATA.replace("AAECAw==", &encoded(octets)));
    assert!(of_data(48 * 1024).is_ok());
    let many: String = (0..9).map(|at| format!("<x:DataReference URI='#d{at}'/>")).collect();
    assert!(key(&KEY.replace("<x:DataReference URI='#d'/>", &many)).is_err());
}

/// Each octet changed, left out or doubled: never a panic, and what is still read means what it did or is longer by
/// nothing than it may be.
#[test]
fn no_mutation_panics_or_reads_more_than_the_grammar_has() {
    for (source, is_key) in [(KEY, true), (DATA, false)] {
        for at in 0..source.len() {
            let (before, after) = (&source[..at], &source[at + 1..]);
            let octet = &source[at..=at];
            for mutant in [
                [before, after].concat(),
                [before, octet, octet, after].concat(),
                [before, "<", after].concat(),
                [before, "&#x41;", after].concat(),
                [before, "A", after].concat(),
                [before, " ", after].concat(),
                [before, "<!---->", octet, after].concat(),
            ] {
                let Some(tree) = tree(&mutant) else { continue };
                let Some(element) = tree.root().children().next() else { continue };
                if is_key {
                    if let Ok(read) = EncryptedKey::read(element) {
                        assert!((1..=512).contains(&read.value.len()) && read.references.len() <= 8, "{mutant}");
                        assert_eq!(read.oaep, SHA1, "{mutant}");
                    }
                } else if let Ok(read) = EncryptedData::read(element) {
                    assert!((1..=48 * 1024).contains(&read.value.len()), "{mutant}");
                    assert_eq!(read.cipher, Cipher::Aes256Gcm, "{mutant}");
                }
            }
        }
    }
}

//! Messages whose signature is sealed once it was made, and of which the body may have been sealed before: what can be
//! put in the place of a signature that nobody sees before it is open, and where. Whoever seals knows the key, so
//! whoever changes such a message may seal what he likes; the list says what there is, for nobody has signed it.

use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64ct::{Base64, Encoding};
use chancery::auth::cipher;
use chancery::config::worker::Endpoint;
use chancery::wire::unwrap::PartCipher;
use chancery::wire::{List, Secret};
use chancery::worker::message::{Around, Incoming, Within, read_of};
use regex::Regex;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::message::{Cast, Covered, DS, Message, OTHER_PARTY, PARTY, Sealing, Signature, THUMBPRINT, WSSE};
use crate::shapes::{PLACES, Shapes};
use crate::signed::WSU;

const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// The session key, which is sealed anew for each message.
const KEY: [u8; 32] = [0x5A; 32];
/// Where the list of what is sealed belongs.
const LIST: &str = "@list@";

/// `xenc:EncryptedData` in canonical form.
pub(crate) fn seal(id: &str, kind: &str, plain: &str) -> String {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
    let mut octets = plain.as_bytes().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([7; 12]), Aad::empty(), &mut octets).unwrap();
    format!(
        "<e:EncryptedData xmlns:e=\"{XENC}\" Id=\"{id}\" Type=\"{XENC}{kind}\"><e:EncryptionMethod \
         Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"></e:EncryptionMethod><e:CipherData><e:CipherValue>{}\
         </e:CipherValue></e:CipherData></e:EncryptedData>",
        Base64::encode_string(&[&[7; 12][..], &octets].concat())
    )
}

/// How the signature of a message is sealed.
#[derive(Clone)]
pub(crate) struct Sealed {
    /// Is the body, too, and was before it was signed?
    pub(crate) first: bool,
    pub(crate) key: String,
    /// What is sealed; the signature where nothing else is.
    inside: Option<String>,
    /// What stands there; that where nothing else does.
    instead: Option<String>,
    /// The list; of all that is sealed where there is no other.
    list: Option<String>,
}

impl Sealed {
    pub(crate) fn new(cast: &Cast, first: bool) -> Self {
        let der = cast.service.get().expect("the house is open");
        let (_, certificate) = X509Certificate::from_der(der).unwrap();
        let public = PublicEncryptingKey::from_der(certificate.public_key().raw).unwrap();
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        let mut sealed = vec![0; public.ciphertext_size()];
        public.encrypt(&OAEP_SHA1_MGF1SHA1, &KEY, &mut sealed, None).unwrap();
        let thumbprint = Base64::encode_string(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref());
        let key = format!(
            "<e:EncryptedKey xmlns:e=\"{XENC}\" xmlns:ds=\"{DS}\" Id=\"ek\"><e:EncryptionMethod \
             Algorithm=\"{XENC}rsa-oaep-mgf1p\"/><ds:KeyInfo><o:SecurityTokenReference xmlns:o=\"{WSSE}\"><o:KeyIdentifier \
             ValueType=\"{THUMBPRINT}\">{thumbprint}</o:KeyIdentifier></o:SecurityTokenReference></ds:KeyInfo><e:CipherData>\
             <e:CipherValue>{}</e:CipherValue></e:CipherData>{LIST}</e:EncryptedKey>",
            Base64::encode_string(&sealed)
        );
        Self { first, key, inside: None, instead: None, list: None }
    }

    pub(crate) fn data(&self, signature: &Signature) -> String {
        self.instead
            .clone()
            .unwrap_or_else(|| seal("es", "Element", &self.inside.clone().unwrap_or_else(|| signature.xml())))
    }

    /// The message with its list.
    pub(crate) fn listed(&self, text: &str) -> String {
        static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"<e:EncryptedData [^>]*?Id="([^"]*)""#).unwrap());
        let mut ids: Vec<&str> = ID.captures_iter(text).map(|found| found.get(1).unwrap().as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        text.replace(LIST, &self.list.clone().unwrap_or_else(|| list(&ids)))
    }
}

fn list(ids: &[&str]) -> String {
    let ids: String = ids.iter().map(|id| format!("<e:DataReference URI=\"#{id}\"/>")).collect();
    format!("<e:ReferenceList xmlns:e=\"{XENC}\">{ids}</e:ReferenceList>")
}

/// Why the worker refuses it once auth has opened it, when it does.
pub(crate) fn worker_says(
    endpoint: &Endpoint,
    incoming: &Incoming<'_>,
    mut sealed: chancery::worker::message::Sealed,
) -> Option<&'static str> {
    let (.., Within::Parts(parts)) = sealed.question()? else { return None };
    let open = |octets: &[u8]| cipher::open(PartCipher::Aes256Gcm, &KEY, octets);
    let within =
        parts.iter().map(|part| Secret::new(open(&part.octets)?.as_slice()).ok()).collect::<Option<Vec<_>>>()?;
    let whole = match sealed.opened(&List::new(within).ok()?) {
        Ok(whole) => whole,
        Err(rejection) => return Some(rejection.reason()),
    };
    let around = Around { earlier: whole.earlier.as_deref().map(String::as_str), ..Around::default() };
    let incoming = Incoming { body: whole.message.as_bytes(), ..*incoming };
    read_of(around, endpoint, &incoming).err().map(|rejection| rejection.reason())
}

fn sealed(message: &mut Message) -> &mut Sealed {
    message.sealed.as_mut().expect("it is sealed")
}

fn data_of(message: &Message) -> String {
    message.sealed.as_ref().expect("it is sealed").data(&message.signature)
}

fn around(inside: &str) -> String {
    format!("<x:W xmlns:x=\"urn:x\">{inside}</x:W>")
}

/// What there is of somebody else: a signature by a stranger over what stands there.
fn of_stranger(message: &Message, cast: &Cast, covers: &[Covered]) -> String {
    let mut other = message.clone();
    other.cover(covers, &cast.stranger);
    other.signature.xml()
}

impl Shapes {
    /// What is sealed in the place of the signature, and where that stands.
    pub(crate) fn sealed(&mut self) {
        self.inside();
        self.elsewhere();
        self.lists();
        self.bodies();
    }

    fn inside(&mut self) {
        let base = self.base;
        type Made = fn(&Message, &Cast, &str) -> String;
        let cases: [(&str, Made); 16] = [
            ("two-signatures", |_, _, good| good.repeat(2)),
            ("and-a-strangers", |message, cast, good| good.to_owned() + &of_stranger(message, cast, message.covers)),
            ("after-a-strangers", |message, cast, good| of_stranger(message, cast, message.covers) + good),
            ("in-another-element", |_, _, good| around(good)),
            ("in-a-signature", |_, _, good| format!("<ds:Signature xmlns:ds=\"{DS}\">{good}</ds:Signature>")),
            ("in-an-object", |message, cast, good| {
                let outer = of_stranger(message, cast, message.covers);
                outer.replace("</ds:Signature>", &format!("<ds:Object>{good}</ds:Object></ds:Signature>"))
            }),
            ("and-text", |_, _, good| format!("{good}text")),
            ("and-a-comment", |_, _, good| format!("<!-- -->{good}")),
            ("and-an-instruction", |_, _, good| format!("{good}<?a b?>")),
            ("out-of-the-header", |_, _, good| format!("</o:Security><o:Security xmlns:o=\"{WSSE}\">{good}")),
            ("sealed-twice", |_, _, good| seal("es2", "Element", good)),
            ("a-token", |_, _, _| {
                format!("<o:UsernameToken xmlns:o=\"{WSSE}\"><o:Username>bob</o:Username></o:UsernameToken>")
            }),
            ("a-timestamp", |message, _, _| message.timestamp.replace("\"t\"", "\"t2\"")),
            ("a-certificate", |message, cast, _| message.token_of(&cast.stranger, "")),
            ("nothing", |_, _, _| String::new()),
            ("a-document-type", |_, _, good| format!("<!DOCTYPE a>{good}")),
        ];
        for (name, made) in cases {
            self.bad(&format!("inside/{name}"), move |message, cast| {
                let good = message.signature.xml();
                let inside = made(message, cast, &good);
                sealed(message).inside = Some(inside);
            });
        }
        for id in ["t", "b", "ek"] {
            let cut = id == "ek" && base.sealing == Sealing::Signature;
            let why = cut.then_some("what had that id was cut out, and nothing else names it");
            self.add(&format!("inside/with-the-id-{id}"), why, move |message, _| {
                message.signature.attributes += &format!(" Id=\"{id}\"");
            });
        }
        self.bad("inside/by-a-stranger", move |message, cast| message.cover(base.covers, &cast.stranger));
        self.bad("inside/by-another-who-is-named-ours", move |message, cast| message.cover(base.covers, &cast.bob));
        // A body that is not signed is the word of whoever holds the connection.
        for part in base.covers.iter().filter(|part| **part != Covered::Body) {
            self.bad(&format!("inside/without-{}", part.name()), move |message, cast| {
                let rest: Vec<_> = base.covers.iter().copied().filter(|other| other != part).collect();
                message.cover(&rest, cast.signer(base));
                *message.piece_mut(*part) = message.forged(*part, "", cast);
            });
        }
        self.fine("inside/between-spaces", "around an element it is nothing", |message, _| {
            let good = message.signature.xml();
            sealed(message).inside = Some(format!("\n {good}\n"));
        });
    }

    fn elsewhere(&mut self) {
        for (place, put) in PLACES {
            // Those are within the signature, which is what is sealed.
            if ["signature", "object", "key-info", "security"].contains(place) {
                continue;
            }
            for copy in [false, true] {
                let name = format!("data-{}-{place}", if copy { "also" } else { "to" });
                self.bad(&name, move |message, _| {
                    let data = data_of(message);
                    if copy {
                        put(message, &data.replace("\"es\"", "\"es2\""));
                    } else {
                        sealed(message).instead = Some(String::new());
                        put(message, &data);
                    }
                });
            }
            self.bad(&format!("data-to-{place}-for-a-strangers"), move |message, cast| {
                let data = data_of(message);
                let other = of_stranger(message, cast, message.covers);
                sealed(message).instead = Some(seal("es2", "Element", &other));
                put(message, &data);
            });
        }
        type Changed = fn(&Message, &Cast, &str) -> String;
        let cases: [(&str, Changed); 12] = [
            ("twice", |_, _, data| data.repeat(2)),
            ("twice-by-two-names", |_, _, data| data.to_owned() + &data.replace("\"es\"", "\"es2\"")),
            ("and-a-strangers", |message, cast, data| {
                data.to_owned() + &seal("es2", "Element", &of_stranger(message, cast, message.covers))
            }),
            ("and-a-strangers-in-clear", |message, cast, data| {
                data.to_owned() + &of_stranger(message, cast, message.covers)
            }),
            ("after-a-strangers-in-clear", |message, cast, data| of_stranger(message, cast, message.covers) + data),
            ("and-in-clear", |message, _, data| data.to_owned() + &message.signature.xml()),
            ("said-to-be-content", |_, _, data| data.replace("#Element", "#Content")),
            ("said-to-be-nothing", |_, _, data| data.replace(&format!(" Type=\"{XENC}Element\""), "")),
            ("said-to-be-cbc", |_, _, data| data.replace("2009/xmlenc11#aes256-gcm", "2001/04/xmlenc#aes256-cbc")),
            ("said-to-be-shorter", |_, _, data| data.replace("aes256-gcm", "aes128-gcm")),
            ("without-an-id", |_, _, data| data.replace(" Id=\"es\"", "")),
            ("with-the-id-of-the-body", |_, _, data| data.replace("\"es\"", "\"b\"")),
        ];
        for (name, changed) in cases {
            self.bad(&format!("data/{name}"), move |message, cast| {
                let data = data_of(message);
                let changed = changed(message, cast, &data);
                sealed(message).instead = Some(changed);
            });
        }
        self.bad("data/gone", |message, _| sealed(message).instead = Some(String::new()));
        self.bad("data/before-its-key", |message, _| {
            let data = data_of(message);
            sealed(message).instead = Some(String::new());
            message.timestamp += &data;
        });
        self.fine("data/in-clear", "it is what was sealed", |message, _| {
            let clear = message.signature.xml();
            if sealed(message).first {
                sealed(message).instead = Some(clear);
            } else {
                sealed(message).instead = Some(clear);
                sealed(message).key.clear();
            }
        });
    }

    fn lists(&mut self) {
        type Lists = fn(&Sealed) -> String;
        fn ids(sealed: &Sealed) -> &'static [&'static str] {
            if sealed.first { &["ed", "es"] } else { &["es"] }
        }
        let cases: [(&str, Lists); 8] = [
            ("gone", |_| String::new()),
            ("empty", |_| list(&[])),
            ("twice", |sealed| list(ids(sealed)).repeat(2)),
            ("without-the-signature", |sealed| list(&ids(sealed)[..ids(sealed).len() - 1])),
            ("with-the-body", |sealed| list(&[ids(sealed), &["b"]].concat())),
            ("with-nothing-here", |sealed| list(&[ids(sealed), &["nothing"]].concat())),
            ("with-an-id-twice", |sealed| list(&[ids(sealed), &["es"]].concat())),
            ("elsewhere", |sealed| list(ids(sealed)).replace("URI=\"#", "URI=\"https://sts.example.com/#")),
        ];
        for (name, lists) in cases {
            self.bad(&format!("list/{name}"), move |message, _| {
                let lists = lists(sealed(message));
                sealed(message).list = Some(lists);
            });
        }
        for (place, put) in PLACES {
            if *place == "security" || ["signature", "object", "key-info"].contains(place) {
                continue;
            }
            self.bad(&format!("list-to-{place}"), move |message, _| {
                let lists = list(ids(sealed(message)));
                sealed(message).list = Some(String::new());
                put(message, &lists);
            });
        }
        self.fine("list/beside-the-key", "it says the same there", |message, _| {
            let lists = list(ids(sealed(message)));
            sealed(message).list = Some(String::new());
            message.more += &lists;
        });
        self.bad("key/twice", |message, _| {
            let key = sealed(message).key.replace("\"ek\"", "\"ek2\"");
            sealed(message).key += &key;
        });
        self.bad("key/gone", |message, _| sealed(message).key.clear());
        self.bad("key/of-another-octet", |message, _| {
            let key = &mut sealed(message).key;
            let at = key.find("<e:CipherValue>").unwrap() + 40;
            let octet = if key.as_bytes()[at] == b'A' { "B" } else { "A" };
            key.replace_range(at..=at, octet);
        });
        for (place, put) in PLACES.iter().filter(|(place, _)| ["header", "wrapper", "after-body"].contains(place)) {
            self.bad(&format!("key-to-{place}"), move |message, _| {
                let key = std::mem::take(&mut sealed(message).key);
                put(message, &key);
            });
        }
    }

    /// What was signed sealed, and what stands there now in clear, or the other way about.
    fn bodies(&mut self) {
        self.bad("body/plain-where-it-was-sealed-or-sealed-anew", |message, _| {
            let first = sealed(message).first;
            sealed(message).first = !first;
            message.body = message.asking(&format!(" u:Id=\"b\" xmlns:v=\"{WSU}\""), OTHER_PARTY);
            sealed(message).first = first;
        });
        self.bad("body/another-sealed-by-the-same-key", |message, _| {
            let first = std::mem::replace(&mut sealed(message).first, true);
            message.body = message.asking(" u:Id=\"b\"", OTHER_PARTY);
            sealed(message).first = first;
        });
        self.bad("body/said-to-be-cbc", |message, cast| {
            let first = std::mem::replace(&mut sealed(message).first, true);
            let body = message.asking(" u:Id=\"b\"", PARTY);
            sealed(message).first = first;
            message.body = body.replace("2009/xmlenc11#aes256-gcm", "2001/04/xmlenc#aes256-cbc");
            // Also as its client might sign it.
            message.cover(message.covers, &cast.ours);
        });
    }
}

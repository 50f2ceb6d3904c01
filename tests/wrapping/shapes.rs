//! Every way we know to change a signed message: elements moved and replaced (threats.md 1 and 2), and what the
//! signature, its key, namespaces and text can be changed to. A shape is refused unless it says here why it is
//! harmless: that nothing which means anything was changed.

use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::message::{
    BINARY, Base, Cast, Covered, DS, EXCLUSIVE, Form, INCLUSIVE, Message, Naming, OTHER_PARTY, PARTY, SAML20, Sealing,
    Soap, THUMBPRINT, WSSE, Whose, X509V3, der, held_by, key_info,
};
use crate::signed::{Client, Part, TRUST, WSA, WSU, dereferenced};

const WSSE11: &str = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd";

const USUAL: &[Covered] = &[Covered::Timestamp, Covered::To, Covered::Body];
const EVERYTHING: &[Covered] =
    &[Covered::Timestamp, Covered::To, Covered::Body, Covered::Action, Covered::MessageId, Covered::Token];
/// The same without the token, which is an assertion there and signed by whoever made it.
const HEADERS: &[Covered] = &[Covered::Timestamp, Covered::To, Covered::Body, Covered::Action, Covered::MessageId];
const PLAIN: Base = Base {
    name: "soap12",
    soap: Soap::V12,
    covers: USUAL,
    form: Form::Exclusive,
    naming: Naming::Token,
    path: "/signed",
    rsa: false,
    sealing: Sealing::Nothing,
};
/// Where nothing is let pass, and so no header of WS-Addressing that is not signed.
const STRICT: Base = Base { covers: EVERYTHING, path: "/strict", ..PLAIN };

/// The kinds of good message.
pub(crate) const BASES: &[Base] = &[
    PLAIN,
    Base { name: "soap11", soap: Soap::V11, naming: Naming::Data, ..PLAIN },
    Base { name: "soap12-header", covers: &[Covered::Timestamp, Covered::To], ..PLAIN },
    Base {
        name: "soap11-header",
        soap: Soap::V11,
        covers: &[Covered::Timestamp, Covered::To],
        naming: Naming::Thumbprint,
        rsa: true,
        ..PLAIN
    },
    Base { name: "soap12-everything", rsa: true, ..STRICT },
    Base { name: "soap11-everything", soap: Soap::V11, ..STRICT },
    Base { name: "soap12-listed", form: Form::Listed, naming: Naming::Thumbprint, ..PLAIN },
    Base { name: "soap12-inclusive", form: Form::Inclusive, ..PLAIN },
    // The key is written out in the assertion of a partner.
    Base { name: "held", naming: Naming::Assertion, covers: HEADERS, path: "/held", ..PLAIN },
    // A key that is shared with a partner, sealed in his assertion, makes a MAC.
    Base { name: "shared", naming: Naming::Shared, covers: HEADERS, path: "/held", ..PLAIN },
    // An endpoint with every leniency there is, where wsa:To need not be signed.
    Base { name: "lenient", covers: &[Covered::Timestamp, Covered::Body], path: "/lenient", ..PLAIN },
    // The signature is sealed, and of the second one the body was before it was signed.
    Base { name: "sealed", path: "/sealed", sealing: Sealing::Signature, ..PLAIN },
    Base { name: "sealed-first", path: "/sealed", sealing: Sealing::First, ..PLAIN },
];

type Make = dyn Fn(&Cast) -> String + Send + Sync;

/// A changed message.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) base: &'static Base,
    /// Why it may be accepted, if it may.
    pub(crate) harmless: Option<&'static str>,
    make: Box<Make>,
}

impl Variant {
    /// One of this kind, newly signed.
    pub(crate) fn make(&self, cast: &Cast) -> String {
        (self.make)(cast)
    }
}

/// Every variant of every base.
pub(crate) fn all() -> Vec<Variant> {
    BASES.iter().flat_map(|base| Shapes::of(base).variants).collect()
}

pub(crate) struct Shapes {
    pub(crate) base: &'static Base,
    variants: Vec<Variant>,
}

/// Replaces what must be there.
fn swap(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from} is not in {text}");
    *text = text.replacen(from, to, 1);
}

/// Puts something before the last end tag.
fn append(text: &mut String, more: &str) {
    let at = text.rfind("</").expect("an element with an end tag");
    text.insert_str(at, more);
}

/// The ways an element can be named, for one with the id of what was signed.
fn id_forms(id: &str) -> [(&'static str, String); 9] {
    [
        ("no-id", String::new()),
        ("same-id", format!(" u:Id=\"{id}\"")),
        ("other-id", " u:Id=\"other\"".to_owned()),
        ("unqualified-Id", format!(" Id=\"{id}\"")),
        ("unqualified-ID", format!(" ID=\"{id}\"")),
        ("xml-id", format!(" xml:id=\"{id}\"")),
        ("AssertionID", format!(" AssertionID=\"{id}\"")),
        ("foreign-Id", format!(" x:Id=\"{id}\" xmlns:x=\"urn:x\"")),
        ("ds-Id", format!(" ds:Id=\"{id}\" xmlns:ds=\"{DS}\"")),
    ]
}

pub(crate) type Put = fn(&mut Message, &str);

/// Where the element that was signed can be hidden.
pub(crate) const PLACES: &[(&str, Put)] = &[
    ("header", |message, original| message.last += original),
    ("first-header", |message, original| message.first += original),
    ("wrapper", |message, original| message.last += &format!("<x:W xmlns:x=\"urn:x\">{original}</x:W>")),
    ("first-wrapper", |message, original| message.first += &format!("<x:W xmlns:x=\"urn:x\">{original}</x:W>")),
    ("wrapper-for-another", |message, original| {
        let another = message.soap.for_another();
        message.last += &format!("<x:W xmlns:x=\"urn:x\"{another}>{original}</x:W>");
    }),
    ("security", |message, original| message.more += original),
    ("security-wrapper", |message, original| message.more += &format!("<x:W xmlns:x=\"urn:x\">{original}</x:W>")),
    ("other-security", |message, original| {
        let another = message.soap.for_another();
        message.last += &format!("<o:Security xmlns:o=\"{WSSE}\"{another}>{original}</o:Security>");
    }),
    ("signature", |message, original| message.signature.first += original),
    ("object", |message, original| message.signature.last += &format!("<ds:Object>{original}</ds:Object>")),
    ("key-info", |message, original| append(&mut message.signature.key_info, original)),
    ("embedded", |message, original| {
        message.more +=
            &format!("<o:SecurityTokenReference><o:Embedded>{original}</o:Embedded></o:SecurityTokenReference>");
    }),
    ("encrypted-header", |message, original| {
        message.last += &format!("<e:EncryptedHeader xmlns:e=\"{WSSE11}\">{original}</e:EncryptedHeader>");
    }),
    ("nested-envelope", |message, original| {
        message.last += &format!("<s:Envelope><s:Header></s:Header>{original}</s:Envelope>");
    }),
    ("addressing", |message, original| {
        message.last += &format!("<a:From xmlns:a=\"{WSA}\">{original}</a:From>");
    }),
    ("before-header", |message, original| message.before += original),
    ("between", |message, original| message.between += original),
    ("after-body", |message, original| message.after += original),
];

impl Shapes {
    fn of(base: &'static Base) -> Self {
        let mut shapes = Self { base, variants: Vec::new() };
        let is_one_of = |names: &[&str]| names.contains(&base.name);
        for part in base.covers {
            shapes.wrapped(*part);
            shapes.doubled(*part);
        }
        // What does not depend on where the parts stand is tried on the messages that it can matter to.
        if is_one_of(&["soap12", "soap11-everything", "soap12-inclusive"]) {
            base.covers.iter().for_each(|part| shapes.edited(*part));
        }
        if is_one_of(&["soap12", "soap11", "lenient"]) {
            shapes.headers();
        }
        if is_one_of(&["soap12-everything", "soap11-everything"]) {
            shapes.addressing();
        }
        if is_one_of(&["soap12"]) {
            shapes.referred();
        }
        if is_one_of(&["soap12", "soap11-header"]) {
            shapes.signatures();
            shapes.references();
        }
        if is_one_of(&["soap12", "soap11", "soap12-everything"]) {
            shapes.keys();
        }
        if is_one_of(&["soap12", "soap12-listed", "soap12-inclusive"]) {
            shapes.namespaces();
        }
        if base.sealing != Sealing::Nothing {
            shapes.sealed();
        }
        if is_one_of(&["held"]) {
            shapes.written_out();
        }
        if is_one_of(&["shared"]) {
            shapes.shared();
        }
        if base.naming.asserts() {
            shapes.holders();
        }
        if is_one_of(&["lenient"]) {
            shapes.enveloped();
        }
        if is_one_of(&["soap11"]) {
            shapes.words();
        }
        if is_one_of(&["soap12", "soap11-everything", "lenient"]) {
            shapes.requests();
        }
        shapes
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        harmless: Option<&'static str>,
        change: impl Fn(&mut Message, &Cast) + Send + Sync + 'static,
    ) {
        let base = self.base;
        let named = format!("{}/{name}", base.name);
        let called = named.clone();
        let make = move |cast: &Cast| {
            let mut message = Message::new(base, cast);
            let good = message.xml();
            change(&mut message, cast);
            let changed = message.xml();
            assert_ne!(changed, good, "{called} changes nothing");
            changed
        };
        self.variants.push(Variant { name: named, base, harmless, make: Box::new(make) });
    }

    pub(crate) fn bad(&mut self, name: &str, change: impl Fn(&mut Message, &Cast) + Send + Sync + 'static) {
        self.add(name, None, change);
    }

    pub(crate) fn fine(
        &mut self,
        name: &str,
        why: &'static str,
        change: impl Fn(&mut Message, &Cast) + Send + Sync + 'static,
    ) {
        self.add(name, Some(why), change);
    }

    /// `SignedInfo` with this instead of that: as an attacker leaves it, and as the client itself might sign it.
    fn info(&mut self, name: &str, from: &str, to: &str) {
        for signed in [false, true] {
            let (from, to, base) = (from.to_owned(), to.to_owned(), self.base);
            self.bad(&format!("{name}{}", if signed { "-signed-so" } else { "" }), move |message, cast| {
                swap(&mut message.signature.info, &from, &to);
                if signed {
                    message.sign(cast.signer(base));
                }
            });
        }
    }

    /// The ids that a forged element is given: every form in the plainest message, elsewhere those that matter.
    fn forms(&self, part: Covered) -> Vec<(&'static str, String)> {
        let all = self.base.name == "soap12" && part == Covered::Body;
        let lenient = matches!(self.base.name, "soap12" | "lenient");
        let tried = |form| match form {
            "no-id" | "same-id" => true,
            "xml-id" => lenient,
            _ => all,
        };
        id_forms(part.id()).into_iter().filter(|(form, _)| tried(*form)).collect()
    }

    /// XSW 1 to 8, S1 to S3: what was signed is hidden somewhere, and something else stands in its place.
    fn wrapped(&mut self, part: Covered) {
        for (place, put) in PLACES {
            for (form, attributes) in self.forms(part) {
                // Only the token that the signature names is looked at, and this is the one that was signed.
                let spare = (part, *place, form) == (Covered::Token, "security", "no-id");
                let why = spare.then_some("a token that nothing refers to is none");
                self.add(&format!("{}-to-{place}/{form}", part.name()), why, move |message, cast| {
                    let forged = message.forged(part, &attributes, cast);
                    let original = std::mem::replace(message.piece_mut(part), forged);
                    put(message, &original);
                });
            }
        }
        for (form, attributes) in self.forms(part) {
            self.bad(&format!("{}-inside-another/{form}", part.name()), move |message, cast| {
                let mut forged = message.forged(part, &attributes, cast);
                append(&mut forged, message.piece(part));
                *message.piece_mut(part) = forged;
            });
        }
        self.bad(&format!("{}-to-nowhere", part.name()), move |message, cast| {
            *message.piece_mut(part) = message.forged(part, "", cast);
        });
        self.bad(&format!("{}-gone", part.name()), move |message, _| message.piece_mut(part).clear());
        let header = matches!(part, Covered::To | Covered::Action | Covered::MessageId);
        let why = header.then_some("a header for another is not read, and the one that was signed is there");
        self.add(&format!("{}-beside-one-for-another", part.name()), why, move |message, cast| {
            let forged = message.forged(part, message.soap.for_another(), cast);
            let original = std::mem::replace(message.piece_mut(part), forged);
            message.last += &original;
        });
    }

    /// XSW 3: what was signed stays in its place, and something of its kind stands beside it.
    fn doubled(&mut self, part: Covered) {
        let spare = part == Covered::Token;
        for (form, attributes) in self.forms(part) {
            for first in [false, true] {
                let why = (spare && form == "no-id").then_some("a token that nothing refers to is none");
                let name = format!("{}-{}/{form}", part.name(), if first { "after-another" } else { "before-another" });
                let attributes = attributes.clone();
                self.add(&name, why, move |message, cast| {
                    let forged = message.forged(part, &attributes, cast);
                    let piece = message.piece_mut(part);
                    *piece = if first { format!("{forged}{piece}") } else { format!("{piece}{forged}") };
                });
            }
        }
        for id in ["xml:id", "u:Id"] {
            let attribute = format!(" xmlns:u=\"{WSU}\" {id}=\"{}\"", part.id());
            for place in ["envelope", "header", "security", "signature"] {
                let attribute = attribute.clone();
                self.bad(&format!("{}-id-on-{place}-too/{id}", part.name()), move |message, _| match place {
                    "envelope" => message.envelope += &attribute,
                    "header" => message.header += &attribute,
                    "security" => message.security += &attribute,
                    _ => message.signature.attributes += &format!(" Id=\"{}\" xml:id=\"{}\"", part.id(), part.id()),
                });
            }
        }
    }

    /// A header of WS-Addressing that nobody signed: one that was added on the way, and one that the client left out.
    fn addressing(&mut self) {
        let base = self.base;
        for (name, content) in [
            ("From", format!("<a:Address>{WSA}/anonymous</a:Address>")),
            ("FaultTo", format!("<a:Address>{WSA}/anonymous</a:Address>")),
            ("ReplyTo", format!("<a:Address>{WSA}/anonymous</a:Address>")),
            ("RelatesTo", "urn:uuid:1".to_owned()),
        ] {
            self.bad(&format!("{name}-added"), move |message, _| {
                message.last += &format!("<a:{name} xmlns:a=\"{WSA}\">{content}</a:{name}>");
            });
        }
        for part in [Covered::To, Covered::Action, Covered::MessageId] {
            self.bad(&format!("{}-not-signed", part.name()), move |message, cast| {
                let covered: Vec<_> = base.covers.iter().copied().filter(|other| *other != part).collect();
                message.cover(&covered, cast.signer(base));
            });
        }
    }

    /// What was signed, with something in it changed.
    fn edited(&mut self, part: Covered) {
        let name = part.name();
        let with = |before: &'static str, after: &'static str| {
            move |message: &mut Message, _: &Cast| {
                let piece = message.piece_mut(part);
                let at = piece.find('>').expect("a start tag") + 1;
                piece.insert_str(at, before);
                append(piece, after);
            }
        };
        self.bad(&format!("{name}-with-space"), with(" ", ""));
        self.bad(&format!("{name}-with-line"), with("", "&#13;\n"));
        self.bad(&format!("{name}-with-element"), with("", "<x:y xmlns:x=\"urn:x\"></x:y>"));
        self.bad(&format!("{name}-with-instruction"), with("<?x y?>", ""));
        self.bad(&format!("{name}-with-text"), with("", "x"));
        let only_elements = matches!(part, Covered::Body | Covered::Timestamp);
        let comment = only_elements.then_some("a comment is not part of what is signed");
        self.add(&format!("{name}-with-comment"), comment, with("<!--x-->", ""));
        // Within the text, where a reader that stops at the comment would take half of it.
        self.bad(&format!("{name}-text-with-comment"), move |message, _| {
            let piece = message.piece_mut(part);
            let (text, at) = texts(piece);
            let half = format!("{}<!--x-->{}", &text[..text.len() / 2], &text[text.len() / 2..]);
            piece.replace_range(at..at + text.len(), &half);
        });
        let same = "the same characters, written another way";
        self.fine(&format!("{name}-text-in-cdata"), same, move |message, _| {
            let piece = message.piece_mut(part);
            let (text, at) = texts(piece);
            piece.replace_range(at..at + text.len(), &format!("<![CDATA[{text}]]>"));
        });
        self.fine(&format!("{name}-text-by-number"), same, move |message, _| {
            let piece = message.piece_mut(part);
            let (text, at) = texts(piece);
            let numbered: String = text.chars().map(|c| format!("&#{};", u32::from(c))).collect();
            piece.replace_range(at..at + text.len(), &numbered);
        });
        self.fine(&format!("{name}-quoted-and-spaced"), same, move |message, _| {
            let piece = message.piece_mut(part);
            *piece = piece.replace('"', "'").replace(" xmlns", "\n\t xmlns").replace("='", " = '");
        });
        self.bad(&format!("{name}-text-with-entity"), move |message, _| {
            let piece = message.piece_mut(part);
            let (text, at) = texts(piece);
            piece.replace_range(at..at + text.len(), "&text;");
        });
        self.bad(&format!("{name}-text-of-another-case"), move |message, _| {
            let piece = message.piece_mut(part);
            let (text, at) = texts(piece);
            // Of base64 all but a few characters are left, so that it is refused for what it says.
            let other = match part {
                Covered::Token => text.replacen("MII", "mII", 1),
                _ if text == text.to_uppercase() => text.to_lowercase(),
                _ => text.to_uppercase(),
            };
            piece.replace_range(at..at + text.len(), &other);
        });
        for (what, attribute) in [
            ("Id", " Id=\"other\""),
            ("xml-id", " xml:id=\"other\""),
            ("xml-lang", " xml:lang=\"en\""),
            ("xml-base", " xml:base=\"http://x.example/\""),
            ("foreign", " xmlns:x=\"urn:x\" x:y=\"z\""),
            ("must-understand", " s:mustUnderstand=\"1\""),
            (
                "schema-location",
                " xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:schemaLocation=\"urn:x http://x.example/x.xsd\"",
            ),
        ] {
            self.bad(&format!("{name}-with-attribute/{what}"), move |message, _| {
                let piece = message.piece_mut(part);
                let at = piece.find('>').expect("a start tag");
                piece.insert_str(at, attribute);
            });
        }
        self.bad(&format!("{name}-without-its-id"), move |message, _| {
            swap(message.piece_mut(part), &format!(" u:Id=\"{}\"", part.id()), "");
        });
        for (what, attribute) in
            [("Id", "Id"), ("ID", "ID"), ("xml-id", "xml:id"), ("AssertionID", "AssertionID"), ("lower-case", "u:id")]
        {
            self.bad(&format!("{name}-with-its-id-as/{what}"), move |message, _| {
                let (from, to) = (format!(" u:Id=\"{}\"", part.id()), format!(" {attribute}=\"{}\"", part.id()));
                swap(message.piece_mut(part), &from, &to);
            });
        }
        self.bad(&format!("{name}-with-its-id-spaced"), move |message, _| {
            swap(message.piece_mut(part), &format!("u:Id=\"{}", part.id()), &format!("u:Id=\" {}", part.id()));
        });
    }

    /// Headers for nobody, for another, twice, gone (R-W001, S4, A-61).
    fn headers(&mut self) {
        for (what, make) in [
            ("same", (|message: &Message| message.security_header()) as fn(&Message) -> String),
            ("empty", |_| format!("<o:Security xmlns:o=\"{WSSE}\"></o:Security>")),
            ("next", |message| {
                let (name, next) = match message.soap {
                    Soap::V11 => ("actor", "http://schemas.xmlsoap.org/soap/actor/next"),
                    Soap::V12 => ("role", "http://www.w3.org/2003/05/soap-envelope/role/next"),
                };
                format!("<o:Security xmlns:o=\"{WSSE}\" s:{name}=\"{next}\"></o:Security>")
            }),
            ("nobody-named", |message| {
                let name = if message.soap == Soap::V11 { "actor" } else { "role" };
                format!("<o:Security xmlns:o=\"{WSSE}\" s:{name}=\"\"></o:Security>")
            }),
        ] {
            self.bad(&format!("second-security/{what}"), move |message, _| message.last += &make(message));
            self.bad(&format!("second-security-first/{what}"), move |message, _| message.first += &make(message));
        }
        self.fine("second-security/for-another", "a header for another is not read", |message, _| {
            let another = message.soap.for_another();
            message.last += &format!("<o:Security xmlns:o=\"{WSSE}\"{another}><x:y xmlns:x=\"urn:x\"/></o:Security>");
        });
        self.bad("security-for-another", |message, _| message.security += message.soap.for_another());
        self.bad("security-for-another-and-an-unsigned-one", |message, _| {
            message.security += message.soap.for_another();
            message.last += &format!("<o:Security xmlns:o=\"{WSSE}\">{}</o:Security>", message.timestamp);
            message.timestamp = message.timestamp.replace("u:Id=\"t\"", "");
        });
        for (what, put) in [
            (
                "second-security",
                (|message, signature| {
                    let another = message.soap.for_another();
                    message.last += &format!("<o:Security xmlns:o=\"{WSSE}\"{another}>{signature}</o:Security>");
                }) as Put,
            ),
            ("header", |message, signature| message.last += signature),
            ("wrapper", |message, signature| message.more += &format!("<x:W xmlns:x=\"urn:x\">{signature}</x:W>")),
            ("body", |message, signature| append(&mut message.body, signature)),
            ("request", |message, signature| {
                swap(&mut message.body, "</t:RequestSecurityToken>", &format!("{signature}</t:RequestSecurityToken>"));
            }),
            ("envelope", |message, signature| message.before += signature),
            ("timestamp", |message, signature| append(&mut message.timestamp, signature)),
            ("to", |message, signature| append(&mut message.to, signature)),
            ("token", |message, signature| {
                message.more +=
                    &format!("<o:BinarySecurityToken xmlns:o=\"{WSSE}\">{signature}</o:BinarySecurityToken>");
            }),
            ("nowhere", |_, _| {}),
        ] {
            self.bad(&format!("signature-to-{what}"), move |message, _| {
                let signature = message.signature.xml();
                message.signature.whole = Some(String::new());
                put(message, &signature);
            });
        }
        self.bad("password-for-signature", |message, _| {
            message.signature.whole = Some(String::new());
            message.token.clear();
            message.more +=
                "<o:UsernameToken><o:Username>machine</o:Username><o:Password>x</o:Password></o:UsernameToken>";
        });
        self.bad("password-beside-signature", |message, _| {
            message.more +=
                "<o:UsernameToken><o:Username>alice</o:Username><o:Password>x</o:Password></o:UsernameToken>";
        });
        self.bad("assertion-beside-signature", |message, _| {
            message.more += "<q:Assertion xmlns:q=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"q\"></q:Assertion>";
        });
        self.bad("encrypted-data-beside-signature", |message, _| {
            message.more +=
                "<n:EncryptedData xmlns:n=\"http://www.w3.org/2001/04/xmlenc#\" Id=\"n\"></n:EncryptedData>";
        });
        self.bad("text-in-security", |message, _| message.more += "x");
        self.bad("text-in-header", |message, _| message.last += "x");
        self.bad("text-in-envelope", |message, _| message.between += "x");
        self.bad("header-twice", |message, _| message.between += "<s:Header></s:Header>");
        self.bad("unknown-in-security", |message, _| message.more += "<x:y xmlns:x=\"urn:x\"></x:y>");
        self.bad("mandatory-unknown-header", |message, _| {
            message.last += "<x:y xmlns:x=\"urn:x\" s:mustUnderstand=\"1\"></x:y>";
        });
        self.fine("unknown-header", "SOAP has it passed over", |message, _| {
            message.last += "<x:y xmlns:x=\"urn:x\">z</x:y>";
        });
        self.bad("to-of-another-addressing", |message, _| {
            message.last += "<b:To xmlns:b=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">urn:x</b:To>";
        });
        self.bad("reply-to-elsewhere", |message, _| {
            message.last +=
                &format!("<a:ReplyTo xmlns:a=\"{WSA}\"><a:Address>https://x.example/</a:Address></a:ReplyTo>");
        });
        self.bad("action-of-another-request", |message, _| {
            swap(&mut message.action, "/RST/Issue", "/RST/Cancel");
        });
        let base = self.base;
        self.bad("signed-for-another-service", move |message, cast| {
            let other = message.to.replace("sts.example.com", "sts.example.org").replace(" u:Id=\"to\"", "");
            message.to = other.replacen("\">", "\" u:Id=\"to\">", 1);
            let to = if base.covers(Covered::To) { base.covers } else { &[Covered::Timestamp, Covered::To] };
            message.cover(to, cast.signer(base));
        });
        self.bad("signed-without-timestamp", move |message, cast| {
            let rest: Vec<Covered> = base.covers.iter().copied().filter(|part| *part != Covered::Timestamp).collect();
            message.cover(&rest, cast.signer(base));
        });
        for (name, milliseconds) in [("an-hour-ago", -3_600_000), ("for-tomorrow", 86_400_000)] {
            self.bad(&format!("signed-{name}"), move |message, cast| {
                message.timestamp = message.stamped(" u:Id=\"t\"", chancery::wire::Millis::now().plus(milliseconds));
                message.cover(base.covers, cast.signer(base));
            });
        }
        self.bad("other-soap-version", |message, _| {
            let other = if message.soap == Soap::V11 { Soap::V12 } else { Soap::V11 };
            message.envelope = format!("><x xmlns=\"{}\"/><x", other.namespace());
        });
    }

    /// The children of `ds:Signature` (A-07, A-08, A-12, A-13, XSW 9).
    fn signatures(&mut self) {
        self.bad("signature-twice", |message, _| message.more += &message.signature.xml());
        self.bad("signature-before-a-strangers", |message, cast| {
            let mut other = message.clone();
            other.sign(&cast.stranger);
            message.more += &other.signature.xml();
        });
        self.bad("signature-after-a-strangers", |message, cast| {
            let mut other = message.clone();
            other.sign(&cast.stranger);
            message.signature.whole = Some(other.signature.xml() + &message.signature.xml());
        });
        for (what, first) in [("after", true), ("before", false)] {
            self.bad(&format!("signed-info-{what}-another"), move |message, _| {
                let other = message.signature.info.replace("DigestValue>", "DigestValue>AAAA");
                let info = &mut message.signature.info;
                *info = if first { format!("{other}{info}") } else { format!("{info}{other}") };
            });
        }
        self.bad("signed-info-after-value", |message, _| {
            let info = message.signature.info.clone();
            message.signature.value += &info;
        });
        self.bad("signed-info-in-object", |message, _| {
            let info = std::mem::take(&mut message.signature.info);
            message.signature.last += &format!("<ds:Object>{info}</ds:Object>");
        });
        self.bad("signed-info-gone", |message, _| message.signature.info.clear());
        self.bad("signed-info-empty", |message, _| message.signature.info = "<ds:SignedInfo></ds:SignedInfo>".into());
        self.bad("signed-info-of-another-namespace", |message, _| {
            message.signature.info = message.signature.info.replace(DS, "urn:x");
        });
        self.bad("signed-info-with-comment", |message, _| append(&mut message.signature.info, "<!--x-->"));
        self.bad("signed-info-with-space", |message, _| append(&mut message.signature.info, "\n"));
        self.bad("signed-info-with-instruction", |message, _| append(&mut message.signature.info, "<?x?>"));
        self.bad("object-empty", |message, _| message.signature.last += "<ds:Object></ds:Object>");
        self.bad("manifest-in-object", |message, _| {
            let info = message.signature.info.clone();
            message.signature.last += &format!("<ds:Object><ds:Manifest>{info}</ds:Manifest></ds:Object>");
        });
        self.bad("signature-of-another-namespace", |message, _| {
            message.signature.whole = Some(message.signature.xml().replace(DS, "http://www.w3.org/2000/09/xmldsig"));
        });
        self.bad("signature-with-text", |message, _| message.signature.last += "x");
        self.bad("signature-with-comment", |message, _| message.signature.last += "<!--x-->");
        self.fine("signature-with-space", "white space between what is signed and its value", |message, _| {
            message.signature.last += "\n\t";
            message.signature.first += "\r\n";
        });
        self.fine("signature-with-id", "nothing refers to it", |message, _| {
            message.signature.attributes += " Id=\"anything\"";
        });
        self.bad("value-gone", |message, _| message.signature.value.clear());
        self.bad("value-twice", |message, _| message.signature.value = message.signature.value.repeat(2));
        self.bad("value-empty", |message, _| message.value(&[]));
        self.bad("value-zero", |message, _| message.value(&[0; 64]));
        self.bad("value-one", |message, _| {
            let mut value = [0; 64];
            (value[31], value[63]) = (1, 1);
            message.value(&value);
        });
        self.bad("value-short", |message, cast| {
            let value = cast.ours.sign(message.signature.info.as_bytes());
            message.value(&value[..32]);
        });
        self.bad("value-long", |message, cast| {
            let mut value = cast.ours.sign(message.signature.info.as_bytes());
            value.push(0);
            message.value(&value);
        });
        let base = self.base;
        self.bad("value-flipped", move |message, cast| {
            let mut value = cast.signer(base).sign(message.signature.info.as_bytes());
            value[7] ^= 1;
            message.value(&value);
        });
        self.bad("value-with-comment", |message, _| append(&mut message.signature.value, "<!--x-->"));
        self.bad("value-with-element", |message, _| append(&mut message.signature.value, "<x/>"));
        self.bad("value-not-base64", |message, _| append(&mut message.signature.value, "*"));
        self.bad("value-by-a-stranger", |message, cast| message.sign(&cast.stranger));
        self.bad("value-by-another-account", |message, cast| message.sign(&cast.bob));
        self.fine("value-in-lines", "white space in base64", |message, _| {
            swap(&mut message.signature.value, "SignatureValue>", "SignatureValue>\n  ");
            append(&mut message.signature.value, "\n");
        });
        // With what everybody knows for a key.
        self.bad("value-by-hmac-with-the-certificate", |message, cast| {
            let (from, to) = methods(&message.signature.info);
            swap(&mut message.signature.info, &from, &to);
            let key = hmac::Key::new(hmac::HMAC_SHA256, der(&cast.ours).as_bytes());
            let value = hmac::sign(&key, message.signature.info.as_bytes());
            message.value(value.as_ref());
        });
        self.bad("hmac-output-length", |message, _| {
            let (method, hmac) = methods(&message.signature.info);
            let end = "\"></ds:SignatureMethod>";
            let to = format!("{hmac}\"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>");
            swap(&mut message.signature.info, &format!("{method}{end}"), &to);
        });
        for algorithm in [
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
            "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
            "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
            "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
            "none",
        ] {
            let short = algorithm.rsplit('#').next().unwrap_or_default();
            for signed in [false, true] {
                self.bad(&format!("method-{short}{}", if signed { "-signed-so" } else { "" }), move |message, cast| {
                    let (from, _) = methods(&message.signature.info);
                    swap(&mut message.signature.info, &format!("{from}\""), &format!("{algorithm}\""));
                    if signed {
                        message.sign(cast.signer(base));
                    }
                });
            }
        }
    }

    /// References: what they mean, how it is digested, and by what (A-05, A-15 to A-17, S6).
    fn references(&mut self) {
        let (first, last) = (self.base.covers[0], self.base.covers[self.base.covers.len() - 1]);
        let uri = format!("URI=\"#{}\"", last.id());
        for (name, to) in [
            ("empty", "URI=\"\"".to_owned()),
            ("none", String::new()),
            ("hash", "URI=\"#\"".to_owned()),
            ("no-hash", format!("URI=\"{}\"", last.id())),
            ("escaped", format!("URI=\"#%{:x}\"", last.id().as_bytes()[0])),
            ("spaced", format!("URI=\" #{}\"", last.id())),
            ("spaced-after", format!("URI=\"#{} \"", last.id())),
            ("xpointer", format!("URI=\"#xpointer(id('{}'))\"", last.id())),
            ("xpointer-all", "URI=\"#xpointer(/)\"".to_owned()),
            ("http", format!("URI=\"http://x.example/#{}\"", last.id())),
            ("file", "URI=\"file:///etc/passwd\"".to_owned()),
            ("cid", format!("URI=\"cid:{}\"", last.id())),
            ("nothing-here", "URI=\"#nothing\"".to_owned()),
            ("manifest", format!("{uri} Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\"")),
            ("object", format!("{uri} Type=\"http://www.w3.org/2000/09/xmldsig#Object\"")),
        ] {
            let from = if to.is_empty() { format!(" {uri}") } else { uri.clone() };
            self.info(&format!("reference-{name}"), &from, &to);
        }
        self.bad("reference-gone", move |message, _| {
            let at = message.signature.info.rfind("<ds:Reference").expect("a reference");
            let end = message.signature.info.rfind("</ds:SignedInfo>").expect("an end");
            message.signature.info.replace_range(at..end, "");
        });
        let base = self.base;
        self.bad("references-all-gone-signed-so", move |message, cast| {
            let at = message.signature.info.find("<ds:Reference").expect("a reference");
            let end = message.signature.info.rfind("</ds:SignedInfo>").expect("an end");
            message.signature.info.replace_range(at..end, "");
            message.sign(cast.signer(base));
        });
        for signed in [false, true] {
            let name = |what: &str| format!("{what}{}", if signed { "-signed-so" } else { "" });
            self.bad(&name("reference-twice"), move |message, cast| {
                let at = message.signature.info.find("<ds:Reference").expect("a reference");
                let end = message.signature.info.find("</ds:Reference>").expect("an end") + "</ds:Reference>".len();
                let reference = message.signature.info[at..end].to_owned();
                message.signature.info.insert_str(at, &reference);
                if signed {
                    message.sign(cast.signer(base));
                }
            });
            let why = signed.then_some("the client signs its references in whichever order it likes");
            self.add(&name("references-turned-round"), why, move |message, cast| {
                let info = &message.signature.info;
                let at = info.find("<ds:Reference").expect("a reference");
                let end = info.rfind("</ds:SignedInfo>").expect("an end");
                let mut references: Vec<&str> = info[at..end].split_inclusive("</ds:Reference>").collect();
                references.reverse();
                message.signature.info = format!("{}{}{}", &info[..at], references.concat(), &info[end..]);
                if signed {
                    message.sign(cast.signer(base));
                }
            });
            self.bad(&name("digests-exchanged"), move |message, cast| {
                let (one, other) = (message.digest(first), message.digest(last));
                let info = &mut message.signature.info;
                *info = info.replace(&one, "*").replace(&other, &one).replace('*', &other);
                if signed {
                    message.sign(cast.signer(base));
                }
            });
            // The digest of nothing is known to everybody.
            self.bad(&name("digest-of-nothing"), move |message, cast| {
                let digest = message.digest(last);
                swap(&mut message.signature.info, &digest, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
                if signed {
                    message.sign(cast.signer(base));
                }
            });
        }
        // The client's own words with another's, and their digest in the place of theirs.
        let changed = if self.base.covers(Covered::Body) { Covered::Body } else { Covered::Timestamp };
        for by_stranger in [false, true] {
            let name = format!("digest-of-another-part{}", if by_stranger { "-by-a-stranger" } else { "" });
            self.bad(&name, move |message, cast| {
                let before = message.digest(changed);
                *message.piece_mut(changed) = message.forged(changed, &format!(" u:Id=\"{}\"", changed.id()), cast);
                let after = message.digest(changed);
                swap(&mut message.signature.info, &before, &after);
                if by_stranger {
                    message.sign(&cast.stranger);
                }
            });
        }
        self.info("digest-with-comment", "</ds:DigestValue>", "<!--x--></ds:DigestValue>");
        self.info("digest-with-element", "</ds:DigestValue>", "<x></x></ds:DigestValue>");
        self.info("digest-short", "<ds:DigestValue>", "<ds:DigestValue>AAAA</ds:DigestValue><ds:DigestValue>");
        for algorithm in [
            "http://www.w3.org/2000/09/xmldsig#sha1",
            "http://www.w3.org/2001/04/xmldsig-more#md5",
            "http://www.w3.org/2001/04/xmlenc#sha512",
            "http://www.w3.org/2001/04/xmldsig-more#sha224",
            "",
        ] {
            let short = algorithm.rsplit('#').next().unwrap_or_default();
            let name = format!("digest-method-{}", if short.is_empty() { "empty" } else { short });
            self.info(&name, "http://www.w3.org/2001/04/xmlenc#sha256", algorithm);
        }
        let transform = |algorithm: &str| format!("<ds:Transform Algorithm=\"{algorithm}\"></ds:Transform>");
        for algorithm in [
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/TR/1999/REC-xpath-19991116",
            "http://www.w3.org/2002/06/xmldsig-filter2",
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
            "http://www.w3.org/2000/09/xmldsig#base64",
            "http://www.w3.org/2002/07/decrypt#XML",
            "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform",
            "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Content-Signature-Transform",
        ] {
            let short = algorithm.rsplit(['#', '/']).next().unwrap_or_default();
            let first = format!("<ds:Transforms>{}", transform(algorithm));
            self.info(&format!("transform-{short}-first"), "<ds:Transforms>", &first);
            let last = format!("{}</ds:Transforms>", transform(algorithm));
            self.info(&format!("transform-{short}-last"), "</ds:Transforms>", &last);
        }
        let twice = format!("<ds:Transforms>{}", transform(EXCLUSIVE));
        self.info("transform-twice", "<ds:Transforms>", &twice);
        self.info("transforms-twice", "<ds:Transforms>", "<ds:Transforms></ds:Transforms><ds:Transforms>");
        let own = if self.base.form == Form::Inclusive { INCLUSIVE } else { EXCLUSIVE };
        let method = |algorithm: &str| format!("CanonicalizationMethod Algorithm=\"{algorithm}\"");
        for (name, to) in [("unknown", "urn:x"), ("none", ""), ("xslt", "http://www.w3.org/TR/1999/REC-xslt-19991116")]
        {
            self.info(&format!("canonicalisation-{name}"), &method(own), &method(to));
            let (from, to) = (format!("Transform Algorithm=\"{own}"), format!("Transform Algorithm=\"{to}"));
            self.info(&format!("transform-{name}"), &from, &to);
        }
        for (name, to) in [
            ("with-comments", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"),
            ("inclusive-1.1", "http://www.w3.org/2006/12/xml-c14n11"),
            ("other", if own == EXCLUSIVE { INCLUSIVE } else { EXCLUSIVE }),
        ] {
            for (what, from, to) in [
                ("canonicalisation", method(own), method(to)),
                ("transform", format!("Transform Algorithm=\"{own}\""), format!("Transform Algorithm=\"{to}\"")),
            ] {
                self.bad(&format!("{what}-{name}"), move |message, _| swap(&mut message.signature.info, &from, &to));
            }
        }
        if self.base.form != Form::Inclusive {
            for (name, list) in
                [("of-all", "#default a o s t u x"), ("empty", ""), ("bad", "a:b"), ("unknown", "nobody")]
            {
                let to = format!(
                    "><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{list}\"></ec:InclusiveNamespaces>\
                     </ds:CanonicalizationMethod>"
                );
                self.bad(&format!("prefix-list-{name}"), move |message, _| {
                    swap(&mut message.signature.info, "></ds:CanonicalizationMethod>", &to);
                });
            }
        }
    }

    /// The transform that leaves the signature out, which is let pass where there is none to leave out.
    fn referred(&mut self) {
        const STR: &str = "<o:SecurityTokenReference";
        let covers = self.base.covers;
        let mut add = |name: &str, harmless, change: fn(&mut Message, &Cast)| {
            let signer = |cast: &Cast, message: &mut Message| message.refer(covers, &cast.ours);
            self.add(&format!("referred-{name}"), harmless, move |message, cast| {
                signer(cast, message);
                change(message, cast);
            });
        };
        // The reference leaves its place for another, and one without an id names the key.
        fn out(message: &mut Message) -> String {
            let info = message.signature.key_info.clone();
            let (from, to) = (info.find(STR).expect("there"), info.find("</ds:KeyInfo>").expect("there"));
            let plain = format!("{STR}><o:Reference URI=\"#x\"/></o:SecurityTokenReference>");
            message.signature.key_info = format!("{}{plain}{}", &info[..from], &info[to..]);
            info[from..to].to_owned()
        }
        add("token", Some("a token is covered by a reference to it"), |_, _| {});
        add("from-the-header", Some("the reference stands in the header instead"), |message, _| {
            let reference = out(message);
            message.more += &reference;
        });
        add("from-the-header-twice", None, |message, _| {
            let reference = out(message);
            message.more += &reference.repeat(2);
        });
        add("from-both", None, |message, _| {
            let reference = out(&mut message.clone());
            message.more += &reference.replace("\"str\"", "\"other\"");
        });
        add("from-a-header-block", None, |message, _| {
            let reference = out(message);
            message.last += &format!("<x:W xmlns:x=\"urn:x\" xmlns:o=\"{WSSE}\">{reference}</x:W>");
        });
        add("from-another-header", None, |message, _| {
            let (reference, another) = (out(message), message.soap.for_another());
            message.last += &format!("<o:Security xmlns:o=\"{WSSE}\"{another}>{reference}</o:Security>");
        });
        add("from-an-object", None, |message, _| {
            let reference = out(message);
            message.signature.last += &format!("<ds:Object>{reference}</ds:Object>");
        });
        add("from-within-a-token", None, |message, _| {
            let reference = out(message);
            append(&mut message.token, &reference);
        });
        add("to-another-token", None, |message, cast| {
            swap(&mut message.signature.key_info, "#x", "#y");
            message.more += &message.token_of(&cast.stranger, " u:Id=\"y\"");
        });
        add("to-another-token-and-the-key-stays", None, |message, cast| {
            let reference = out(message);
            message.more += &reference.replace("#x", "#y");
            message.more += &message.token_of(&cast.bob, " u:Id=\"y\"");
        });
        add("to-the-same-token-elsewhere", None, |message, cast| {
            let hidden = message.token.clone();
            message.last += &format!("<x:W xmlns:x=\"urn:x\">{hidden}</x:W>");
            message.token = message.token_of(&cast.bob, " u:Id=\"y\"");
        });
        for (name, id) in
            [("body", "#b"), ("timestamp", "#t"), ("address", "#to"), ("void", "#z"), ("reference", "#str")]
        {
            let change = move |message: &mut Message, cast: &Cast| {
                message.refer(USUAL, &cast.ours);
                let reference = out(message);
                message.more += &reference.replace("#x", id);
            };
            self.add(&format!("referred-to-the-{name}"), None, change);
        }
        let mut add = |name: &str, change: fn(&mut Message, &Cast)| {
            self.add(&format!("referred-{name}"), None, move |message, cast| {
                message.refer(covers, &cast.ours);
                change(message, cast);
            });
        };
        add("embedded", |message, _| {
            let reference = out(message);
            let token = message.token.replace("u:Id=\"x\"", "u:Id=\"y\"");
            let inside = "<o:Reference URI=\"#x\"";
            let from = reference.find(inside).expect("there");
            let to = reference.find("</o:SecurityTokenReference>").expect("there");
            message.more += &format!("{}<o:Embedded>{token}</o:Embedded>{}", &reference[..from], &reference[to..]);
        });
        add("changed-token", |message, cast| message.token = message.token_of(&cast.bob, " u:Id=\"x\""));
        add("changed-body", |message, cast| {
            message.body = message.forged(Covered::Body, " u:Id=\"b\"", cast);
        });
        add("with-an-attribute", |message, _| {
            let (whole, plain) =
                (message.token.clone(), message.token.replace(" EncodingType", " x=\"\" EncodingType"));
            assert_ne!(whole, plain);
            message.token = plain;
        });
        add("and-not-dereferenced", |message, _| {
            swap(&mut message.signature.info, "#STR-Transform", "#Other-Transform");
        });
        // By a signer who means it so: what stands for a reference is a token, whoever signed it.
        add("signed-as-the-body", |message, cast| {
            let parts = [(Covered::Timestamp, "t"), (Covered::To, "to"), (Covered::Body, "b")];
            let parts: Vec<Part> =
                parts.iter().map(|(part, id)| Part { id, octets: message.piece(*part).clone() }).collect();
            message.signature.info = dereferenced(&cast.ours.signed_info(&parts), "b");
            message.sign(&cast.ours);
        });
    }

    fn enveloped(&mut self) {
        let base = self.base;
        let enveloped = |text: &str| {
            let transform = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\">";
            text.replace("<ds:Transforms>", &format!("<ds:Transforms>{transform}</ds:Transform>"))
        };
        self.bad("enveloped", move |message, _| message.signature.info = enveloped(&message.signature.info));
        self.fine("enveloped-signed-so", "what is signed holds no signature", move |message, cast| {
            message.signature.info = enveloped(&message.signature.info);
            message.sign(cast.signer(base));
        });
        for part in base.covers.iter().copied() {
            let name = part.name();
            // What the transform leaves out, put where it would be left out: the digest is of what was there before.
            self.bad(&format!("enveloped-{name}-with-a-signature"), move |message, cast| {
                message.signature.info = enveloped(&message.signature.info);
                message.sign(cast.signer(base));
                let inside = format!("<ds:Signature xmlns:ds=\"{DS}\"></ds:Signature>");
                append(message.piece_mut(part), &inside);
            });
        }
        let moved = "enveloped-with-the-signature-in-the-body";
        self.bad(moved, move |message, cast| {
            message.signature.info = enveloped(&message.signature.info);
            message.sign(cast.signer(base));
            let signature = format!(
                "<ds:Signature xmlns:ds=\"{DS}\">{}{}</ds:Signature>",
                message.signature.info, message.signature.value
            );
            append(&mut message.body, &signature);
        });
    }

    /// Keys, and how they are named.
    fn keys(&mut self) {
        let base = self.base;
        self.bad("key-info-gone", |message, _| message.signature.key_info.clear());
        self.bad("key-info-empty", |message, _| message.signature.key_info = "<ds:KeyInfo></ds:KeyInfo>".into());
        self.bad("key-info-twice", |message, _| {
            message.signature.key_info = message.signature.key_info.repeat(2);
        });
        self.bad("key-named-twice", |message, _| {
            let inside = message.signature.key_info.replace("<ds:KeyInfo>", "").replace("</ds:KeyInfo>", "");
            append(&mut message.signature.key_info, &inside);
        });
        for naming in [Naming::Thumbprint, Naming::Data] {
            for (who, client) in [
                ("another-account", (|cast: &Cast| &cast.bob) as fn(&Cast) -> &crate::signed::Client),
                ("a-stranger", |cast| &cast.stranger),
            ] {
                self.bad(&format!("key-of-{who}-by-{naming:?}"), move |message, cast| {
                    message.signature.key_info = key_info(naming, client(cast));
                });
                self.bad(&format!("all-of-{who}-but-the-key-by-{naming:?}"), move |message, cast| {
                    message.signature.key_info = key_info(naming, cast.signer(base));
                    message.cover(base.covers, client(cast));
                });
            }
            self.bad(&format!("everything-by-a-stranger-by-{naming:?}"), move |message, cast| {
                message.signature.key_info = key_info(naming, &cast.stranger);
                message.cover(base.covers, &cast.stranger);
            });
            if base.naming != naming {
                self.fine(&format!("key-by-{naming:?}"), "the same key by another name", move |message, cast| {
                    message.signature.key_info = key_info(naming, cast.signer(base));
                });
            }
        }
        for (name, inside) in [
            ("value", "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus></ds:RSAKeyValue></ds:KeyValue>"),
            ("name", "<ds:KeyName>machine</ds:KeyName>"),
            ("retrieval", "<ds:RetrievalMethod URI=\"http://x.example/\"/>"),
            ("retrieval-here", "<ds:RetrievalMethod URI=\"#x\"/>"),
            ("key-info-reference", "<k:KeyInfoReference xmlns:k=\"http://www.w3.org/2009/xmldsig11#\" URI=\"#x\"/>"),
            ("mgmt-data", "<ds:MgmtData>x</ds:MgmtData>"),
            ("http", "<o:SecurityTokenReference><o:Reference URI=\"http://x.example/#x\"/></o:SecurityTokenReference>"),
            ("body", "<o:SecurityTokenReference><o:Reference URI=\"#b\"/></o:SecurityTokenReference>"),
            ("timestamp", "<o:SecurityTokenReference><o:Reference URI=\"#t\"/></o:SecurityTokenReference>"),
            ("embedded", "<o:SecurityTokenReference><o:Embedded/></o:SecurityTokenReference>"),
            ("no-reference", "<o:SecurityTokenReference/>"),
            (
                "issuer-serial",
                "<o:SecurityTokenReference><ds:X509Data><ds:X509IssuerSerial/></ds:X509Data></o:SecurityTokenReference>",
            ),
        ] {
            self.bad(&format!("key-as-{name}"), move |message, _| {
                message.signature.key_info = format!("<ds:KeyInfo>{inside}</ds:KeyInfo>");
            });
        }
        self.bad("key-identifier-of-another-kind", |message, cast| {
            message.signature.key_info = key_info(Naming::Thumbprint, &cast.ours).replace(THUMBPRINT, "urn:x");
        });
        self.bad("two-certificates", |message, cast| {
            let data = |client| format!("<ds:X509Certificate>{}</ds:X509Certificate>", der(client));
            let both = data(&cast.stranger) + &data(&cast.ours);
            message.signature.key_info = format!("<ds:KeyInfo><ds:X509Data>{both}</ds:X509Data></ds:KeyInfo>");
        });
        if base.naming != Naming::Token {
            return;
        }
        for (who, client) in [
            ("another-account", (|cast: &Cast| &cast.bob) as fn(&Cast) -> &crate::signed::Client),
            ("a-stranger", |cast| &cast.stranger),
        ] {
            self.bad(&format!("token-of-{who}"), move |message, cast| {
                message.token = message.token_of(client(cast), " u:Id=\"x\"");
            });
            self.bad(&format!("token-of-{who}-with-its-signature"), move |message, cast| {
                let theirs = message.token_of(client(cast), " u:Id=\"y\"");
                message.token += &theirs;
                message.cover(base.covers, client(cast));
            });
        }
        self.bad("token-and-everything-of-a-stranger", move |message, cast| {
            message.token = message.token_of(&cast.stranger, " u:Id=\"x\"");
            message.cover(base.covers, &cast.stranger);
        });
        self.bad("token-nine-times", |message, cast| {
            let more = message.token_of(&cast.stranger, "");
            message.more += &more.repeat(8);
        });
        if base.covers(Covered::Token) {
            return;
        }
        for (name, from, to) in [
            (
                "value-type",
                X509V3,
                "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509PKIPathv1",
            ),
            ("encoding", BINARY, "urn:x"),
            ("no-value-type", " ValueType=", " Valuetype="),
            ("id", "u:Id=\"x\"", "Id=\"x\""),
            ("id-gone", " u:Id=\"x\"", ""),
            ("octets", ">MII", ">MIJ"),
            ("comment", "</o:BinarySecurityToken>", "<!--x--></o:BinarySecurityToken>"),
            ("namespace", WSSE, "urn:x"),
        ] {
            self.bad(&format!("token-with-another/{name}"), move |message, _| swap(&mut message.token, from, to));
        }
        for (place, put) in PLACES.iter().filter(|(place, _)| *place != "security") {
            self.bad(&format!("token-to-{place}"), move |message, _| {
                let token = std::mem::take(&mut message.token);
                put(message, &token);
            });
        }
        self.fine("token-last", "its place in the header means nothing", |message, _| {
            message.more = std::mem::take(&mut message.token);
        });
    }

    /// A key that an assertion writes out, and the message beside it.
    fn written_out(&mut self) {
        let base = self.base;
        let written = |client: &Client| format!("<ds:KeyInfo>{}</ds:KeyInfo>", client.key_value());
        self.fine("key-written-out", "the same key by another name", move |message, cast| {
            message.signature.key_info = written(&cast.ours);
        });
        self.bad("key-written-out-of-a-stranger", move |message, cast| {
            message.signature.key_info = written(&cast.stranger);
        });
        self.bad("key-written-out-of-a-stranger-who-signs", move |message, cast| {
            message.signature.key_info = written(&cast.stranger);
            message.cover(base.covers, &cast.stranger);
        });
        self.bad("key-written-out-twice", move |message, cast| {
            let value = cast.ours.key_value();
            message.signature.key_info = format!("<ds:KeyInfo>{value}{value}</ds:KeyInfo>");
        });
        self.bad("key-written-out-and-its-assertion", move |message, cast| {
            message.signature.key_info = format!("<ds:KeyInfo>{}{}</ds:KeyInfo>", cast.ours.key_value(), held_by("x"));
        });
        self.bad("key-written-out-and-no-assertion", move |message, cast| {
            message.token.clear();
            message.signature.key_info = written(&cast.ours);
        });
        self.bad("key-written-out-in-the-place-of-the-assertion", move |message, cast| {
            message.token =
                cast.ours.key_value().replacen("<ds:KeyValue>", &format!("<ds:KeyValue xmlns:ds=\"{DS}\">"), 1);
            message.signature.key_info = written(&cast.ours);
        });
        self.bad("assertion-with-the-key-of-a-stranger", move |message, cast| {
            swap(&mut message.token, &cast.ours.key_value(), &cast.stranger.key_value());
            message.cover(base.covers, &cast.stranger);
        });
        self.bad("assertion-with-a-key-more", move |message, cast| {
            let more = format!("<ds:KeyInfo xmlns:ds=\"{DS}\">{}</ds:KeyInfo>", cast.stranger.key_value());
            swap(
                &mut message.token,
                "</saml:SubjectConfirmationData>",
                &format!("{more}</saml:SubjectConfirmationData>"),
            );
            message.cover(base.covers, &cast.stranger);
        });
        self.bad("assertion-with-the-key-of-a-stranger-in-its-signature", move |message, cast| {
            let more = written(&cast.stranger);
            swap(&mut message.token, "</ds:SignatureValue>", &format!("</ds:SignatureValue>{more}"));
            message.cover(base.covers, &cast.stranger);
        });
    }

    /// A key that is sealed in an assertion, and a MAC by it.
    fn shared(&mut self) {
        let base = self.base;
        let sha1 = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#EncryptedKeySHA1";
        let bare = |cast: &Cast, whose| {
            let sealed = cast.sealed(whose);
            let inside = sealed.split_once("<x:EncryptedKey ").expect("a key").1;
            let inside = inside.strip_suffix("</ds:KeyInfo>").expect("in its place");
            format!("<x:EncryptedKey xmlns:ds=\"{DS}\" Id=\"ek\" {inside}")
        };
        self.bad("signed-by-a-stranger", move |message, cast| message.cover(base.covers, &cast.stranger));
        self.bad("signed-by-who-asks", move |message, cast| message.cover(base.covers, &cast.ours));
        self.bad("mac-by-nothing", move |message, _| message.mac(base.covers, &[]));
        self.bad("mac-by-what-is-sealed", move |message, cast| {
            message.mac(base.covers, cast.sealed(Whose::Ours).as_bytes());
        });
        for (name, method) in [
            ("sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
            ("sha512", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"),
            ("rsa", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
        ] {
            for signed in [false, true] {
                let name = format!("mac-said-to-be-{name}{}", if signed { "-signed-so" } else { "" });
                self.bad(&name, move |message, cast| {
                    swap(&mut message.signature.info, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", method);
                    if signed {
                        message.mac_as_it_stands(&cast.secret(Whose::Ours));
                    }
                });
            }
        }
        self.bad("mac-of-so-many-bits", |message, cast| {
            swap(
                &mut message.signature.info,
                "</ds:SignatureMethod>",
                "<ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
            );
            message.mac_as_it_stands(&cast.secret(Whose::Ours));
        });
        self.bad("assertion-with-the-key-of-a-stranger", move |message, cast| {
            swap(&mut message.token, cast.sealed(Whose::Ours), cast.sealed(Whose::Strangers));
            message.prove(base, Whose::Strangers, cast);
        });
        for first in [false, true] {
            self.bad(&format!("assertion-with-a-key-more/{first}"), move |message, cast| {
                let (ours, more) = (cast.sealed(Whose::Ours), cast.sealed(Whose::Strangers));
                let both = if first { format!("{more}{ours}") } else { format!("{ours}{more}") };
                swap(&mut message.token, ours, &both);
                message.prove(base, Whose::Strangers, cast);
            });
        }
        self.bad("assertion-with-the-key-of-a-stranger-in-its-signature", move |message, cast| {
            let more = cast.sealed(Whose::Strangers);
            swap(&mut message.token, "</ds:SignatureValue>", &format!("</ds:SignatureValue>{more}"));
            message.prove(base, Whose::Strangers, cast);
        });
        for (name, inside) in [
            ("id", "<o:Reference URI=\"#ek\"/>".to_owned()),
            ("digest", format!("<o:KeyIdentifier ValueType=\"{sha1}\">AAECAwQFBgcICQoLDA0ODxAREhM=</o:KeyIdentifier>")),
            ("assertion", "<o:Reference URI=\"#x\"/>".to_owned()),
        ] {
            // Beside the assertion or in the signature, as a symmetric binding has it, and a MAC by that.
            for place in ["before", "behind", "key-info"] {
                let inside = inside.clone();
                self.bad(&format!("key-of-a-stranger-{place}-named-by-{name}"), move |message, cast| {
                    let key = bare(cast, Whose::Strangers);
                    match place {
                        "before" => message.token = format!("{key}{}", message.token),
                        "behind" => message.more += &key,
                        _ => append(&mut message.signature.key_info, &key),
                    }
                    let named = format!("<o:SecurityTokenReference>{inside}</o:SecurityTokenReference>");
                    swap(&mut message.signature.key_info, &held_by("x"), &named);
                    message.prove(base, Whose::Strangers, cast);
                });
            }
        }
    }

    /// Assertions that say whose key it is: another's, one that nobody made, at another place, or beside the right one.
    fn holders(&mut self) {
        let base = self.base;
        self.bad("everything-by-a-stranger", move |message, cast| message.prove(base, Whose::Strangers, cast));
        self.bad("assertion-of-a-stranger", move |message, cast| {
            message.token = cast.asserted(base, "x", Whose::Strangers, &cast.stranger);
            message.prove(base, Whose::Strangers, cast);
        });
        self.bad("assertion-for-a-stranger", move |message, cast| {
            message.token = cast.asserted(base, "x", Whose::Strangers, &cast.agency);
        });
        self.bad("assertion-named-by-another-id", |message, _| {
            message.signature.key_info = format!("<ds:KeyInfo>{}</ds:KeyInfo>", held_by("y"));
        });
        self.fine("assertion-last", "its place in the header means nothing", |message, _| {
            message.more = std::mem::take(&mut message.token);
        });
        for (place, put) in PLACES.iter().filter(|(place, _)| *place != "security") {
            self.bad(&format!("assertion-to-{place}"), move |message, _| {
                let token = std::mem::take(&mut message.token);
                put(message, &token);
            });
        }
        for (place, put) in PLACES {
            for id in ["x", "y"] {
                // Another's in its place, which he signs for; the one that was made hides somewhere.
                self.bad(&format!("assertion-to-{place}/forged-{id}"), move |message, cast| {
                    let forged = cast.asserted(base, id, Whose::Strangers, &cast.stranger);
                    let original = std::mem::replace(&mut message.token, forged);
                    message.signature.key_info = format!("<ds:KeyInfo>{}</ds:KeyInfo>", held_by(id));
                    message.prove(base, Whose::Strangers, cast);
                    put(message, &original);
                });
            }
        }
        for (place, before) in [
            ("advice", "<saml:AuthnStatement "),
            ("object", "</ds:Signature>"),
            ("subject", "<saml:SubjectConfirmation "),
        ] {
            self.bad(&format!("assertion-within-another/{place}"), move |message, cast| {
                let original = message.token.clone();
                let from = original.find("<ds:Signature ").expect("it is signed");
                let to = original.find("</ds:Signature>").expect("to its end") + "</ds:Signature>".len();
                // With the signature that is over the one within it.
                let forged = cast.asserted(base, "y", Whose::Strangers, &cast.stranger);
                let signature = &forged[forged.find("<ds:Signature ").expect("it is signed")..];
                let signature = &signature[..signature.find("</ds:Signature>").expect("to its end") + 15];
                let mut forged = forged.replacen(signature, &original[from..to], 1);
                let wrapped = match place {
                    "advice" => format!("<saml:Advice>{original}</saml:Advice>{before}"),
                    "object" => format!("<ds:Object>{original}</ds:Object>{before}"),
                    _ => format!("{original}{before}"),
                };
                swap(&mut forged, before, &wrapped);
                message.token = forged;
                message.signature.key_info = format!("<ds:KeyInfo>{}</ds:KeyInfo>", held_by("y"));
                message.prove(base, Whose::Strangers, cast);
            });
        }
    }

    /// What is declared and inherited around what was signed (A-04, A-04b).
    fn namespaces(&mut self) {
        let base = self.base;
        let exclusive = (base.form == Form::Exclusive).then_some("nothing that is signed uses it");
        let unlisted = (base.form != Form::Inclusive).then_some("nothing that is signed uses it");
        for (name, attribute) in [
            ("unused-prefix", " xmlns:unused=\"urn:x\""),
            ("default-namespace", " xmlns=\"urn:x\""),
            ("trust-prefix", " xmlns:t=\"urn:x\""),
            ("utility-prefix", " xmlns:u=\"urn:x\""),
            ("addressing-prefix", " xmlns:a=\"urn:x\""),
            ("policy-prefix", " xmlns:p=\"urn:x\""),
            ("xml-lang", " xml:lang=\"en\""),
            ("xml-space", " xml:space=\"preserve\""),
            ("xml-base", " xml:base=\"http://x.example/\""),
            ("xml-id", " xml:id=\"around\""),
            ("xml-prefix", " xmlns:xml=\"http://www.w3.org/XML/1998/namespace\""),
        ] {
            let why = if name == "xml-prefix" { Some("it is declared everywhere") } else { unlisted };
            self.add(&format!("around-envelope/{name}"), why, move |message, _| message.envelope += attribute);
        }
        self.add("around-envelope/security-prefix", exclusive, |message, _| message.envelope += " xmlns:o=\"urn:x\"");
        for (name, attribute) in [("xml-base-relative", " xml:base=\"x\""), ("Id", " Id=\"b\"")] {
            let why = if name == "Id" { Some("an Id without its namespace is no id") } else { unlisted };
            self.add(&format!("around-envelope/{name}"), why, move |message, _| message.envelope += attribute);
        }
        for (name, attribute) in [
            ("xml-rebound", " xmlns:xml=\"urn:x\""),
            ("xmlns-bound", " xmlns:xmlns=\"urn:x\""),
            ("prefix-for-xml", " xmlns:y=\"http://www.w3.org/XML/1998/namespace\""),
            ("prefix-for-xmlns", " xmlns:y=\"http://www.w3.org/2000/xmlns/\""),
            ("prefix-undeclared", " xmlns:y=\"\""),
            ("namespace-relative", " xmlns:y=\"y\""),
            ("prefix-twice", " xmlns:y=\"urn:y\" xmlns:y=\"urn:z\""),
            ("attribute-twice", " xmlns:y=\"urn:y\" xmlns:z=\"urn:y\" y:a=\"\" z:a=\"\""),
            ("attribute-of-no-namespace", " y:a=\"\""),
        ] {
            self.bad(&format!("around-envelope/{name}"), move |message, _| message.envelope += attribute);
        }
        for part in base.covers.iter().copied() {
            let name = part.name();
            let unused = (base.form != Form::Inclusive).then_some("nothing that is signed uses it");
            self.add(&format!("{name}-declares/unused-prefix"), unused, move |message, _| {
                let piece = message.piece_mut(part);
                let at = piece.find('>').expect("a start tag");
                piece.insert_str(at, " xmlns:unused=\"urn:x\"");
            });
            self.bad(&format!("{name}-of-another-prefix"), move |message, _| {
                let piece = message.piece_mut(part);
                let prefix = piece[1..piece.find(':').expect("a prefix")].to_owned();
                *piece = piece
                    .replace(&format!("<{prefix}:"), "<z:")
                    .replace(&format!("</{prefix}:"), "</z:")
                    .replacen(" xmlns", &format!(" xmlns:z=\"{}\" xmlns", namespace_of(piece, &prefix)), 1);
            });
            self.bad(&format!("{name}-of-another-namespace"), move |message, _| {
                let piece = message.piece_mut(part);
                let prefix = piece[1..piece.find(':').expect("a prefix")].to_owned();
                let namespace = namespace_of(piece, &prefix);
                *piece = piece.replacen(&namespace, "urn:x", 1);
            });
            let why = (part == Covered::Token).then_some("the security header declares the same");
            self.add(&format!("{name}-with-its-prefix-from-around"), why, move |message, _| {
                // Its declarations move to the envelope: the same in exclusive form, but for one that changes there.
                let piece = message.piece_mut(part);
                let prefix = piece[1..piece.find(':').expect("a prefix")].to_owned();
                let declaration = format!(" xmlns:{prefix}=\"{}\"", namespace_of(piece, &prefix));
                swap(piece, &declaration, "");
                if prefix != "s" {
                    message.envelope += &declaration.replace("\"http", "\"urn:x:http");
                } else {
                    swap(message.piece_mut(part), "<s:Body", "<s:Body xmlns:s=\"urn:x\"");
                }
            });
            if base.form == Form::Exclusive && part != Covered::Body && part != Covered::Token {
                let why = "the same namespace, declared further out";
                self.fine(&format!("{name}-with-its-declarations-from-around"), why, move |message, _| {
                    let piece = message.piece_mut(part);
                    let prefix = piece[1..piece.find(':').expect("a prefix")].to_owned();
                    let declaration = format!(" xmlns:{prefix}=\"{}\"", namespace_of(piece, &prefix));
                    swap(piece, &declaration, "");
                    message.envelope += &declaration;
                });
            }
        }
    }

    /// The document as text.
    fn words(&mut self) {
        for (name, prolog) in [
            ("doctype", "<!DOCTYPE s:Envelope>"),
            ("doctype-with-entity", "<!DOCTYPE e [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"),
            ("doctype-with-id", "<!DOCTYPE e [<!ATTLIST x Id ID #IMPLIED>]>"),
            ("doctype-with-parameter-entity", "<!DOCTYPE e [<!ENTITY % x SYSTEM \"http://x.example/\"> %x;]>"),
            ("stylesheet", "<?xml-stylesheet href=\"http://x.example/\"?>"),
            ("utf-16", "<?xml version=\"1.0\" encoding=\"utf-16\"?>"),
            ("utf-7", "<?xml version=\"1.0\" encoding=\"utf-7\"?>"),
            ("xml-1.1", "<?xml version=\"1.1\"?>"),
            ("late-declaration", " <?xml version=\"1.0\"?>"),
            ("another-root", "<x/>"),
            ("text-before", "x"),
        ] {
            self.bad(&format!("document-with-{name}"), move |message, _| message.prolog = prolog.to_owned());
        }
        for (name, prolog) in [
            ("byte-order-mark", "\u{feff}"),
            ("declaration", "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"),
            ("comment-before", "<!--x-->"),
            ("space-before", "\n\t "),
        ] {
            self.fine(&format!("document-with-{name}"), "it is not part of the envelope", move |message, _| {
                message.prolog = prolog.to_owned();
            });
        }
        for (name, epilog) in
            [("another-root-after", "<x/>"), ("text-after", "x"), ("instruction-after", "<?x?>"), ("nul", "\0")]
        {
            self.bad(&format!("document-with-{name}"), move |message, _| message.epilog = epilog.to_owned());
        }
        self.fine("document-with-space-after", "it is not part of the envelope", |message, _| {
            message.epilog = "\r\n".to_owned();
        });
        self.bad("document-twice", |message, _| message.epilog = message.xml());
        self.bad("include", |message, _| {
            message.more += "<i:include xmlns:i=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\"/>";
        });
        let around = "white space and comments between what is signed";
        self.fine("space-around-parts", around, |message, _| {
            for piece in [&mut message.to, &mut message.timestamp, &mut message.token, &mut message.between] {
                *piece = format!("\n\t{piece}\r\n ");
            }
        });
        self.fine("comments-around-parts", around, |message, _| {
            for piece in [&mut message.to, &mut message.timestamp, &mut message.token, &mut message.between] {
                *piece = format!("<!--x-->{piece}<!--y-->");
            }
        });
        self.bad("instructions-around-parts", |message, _| message.between += "<?x?>");
        self.bad("cdata-around-parts", |message, _| message.between += "<![CDATA[x]]>");
        self.bad("prefix-list-of-nothing", |message, _| {
            message.signature.whole = Some(message.signature.xml().replace("ds:SignedInfo", "ds:signedInfo"));
        });
    }

    /// The request that was signed, changed.
    fn requests(&mut self) {
        for (name, from, to) in [
            ("party", PARTY, OTHER_PARTY),
            ("party-with-slash", PARTY, "https://rp.example.com//"),
            ("token-type", SAML20, "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"),
            ("request-type", "200512/Issue<", "200512/Renew<"),
            ("version", TRUST, "http://schemas.xmlsoap.org/ws/2005/02/trust"),
            ("context", "<t:RequestSecurityToken ", "<t:RequestSecurityToken Context=\"x\" "),
        ] {
            self.bad(&format!("request-of-another/{name}"), move |message, _| {
                message.body = message.body.replace(from, to);
            });
        }
        for (name, more) in [
            ("lifetime", format!("<t:Lifetime><u:Expires xmlns:u=\"{WSU}\">2999-01-01T00:00:00Z</u:Expires></t:Lifetime>")),
            ("on-behalf-of", "<t:OnBehalfOf><x/></t:OnBehalfOf>".to_owned()),
            ("claims", "<t:Claims><c:ClaimType xmlns:c=\"http://schemas.xmlsoap.org/ws/2005/05/identity\" Uri=\"urn:x\"/></t:Claims>".to_owned()),
            ("key-type", format!("<t:KeyType>{TRUST}/Bearer</t:KeyType>")),
            ("second-party", "<p:AppliesTo xmlns:p=\"http://www.w3.org/ns/ws-policy\"/>".to_owned()),
            ("hint", "<t:Renewing/>".to_owned()),
            ("unknown", "<x:y xmlns:x=\"urn:x\"/>".to_owned()),
            ("secondary", format!("<t:SecondaryParameters><t:KeyType>{TRUST}/Bearer</t:KeyType></t:SecondaryParameters>")),
        ] {
            let more: Arc<str> = more.into();
            self.bad(&format!("request-with/{name}"), move |message, _| {
                swap(&mut message.body, "</t:RequestSecurityToken>", &format!("{more}</t:RequestSecurityToken>"));
            });
        }
        for first in [false, true] {
            self.bad(&format!("request-{}-another", if first { "after" } else { "before" }), move |message, _| {
                let other = message.asking("", OTHER_PARTY);
                let at = other.find("<t:").expect("a request");
                let other = other[at..].replace("</s:Body>", "");
                if first {
                    swap(&mut message.body, "<t:RequestSecurityToken", &format!("{other}<t:RequestSecurityToken"));
                } else {
                    append(&mut message.body, &other);
                }
            });
        }
        self.bad("request-in-a-collection", |message, _| {
            let collection = format!("<t:RequestSecurityTokenCollection xmlns:t=\"{TRUST}\">");
            swap(&mut message.body, "<t:RequestSecurityToken ", &format!("{collection}<t:RequestSecurityToken "));
            append(&mut message.body, "</t:RequestSecurityTokenCollection>");
        });
        self.bad("request-wrapped", |message, _| {
            swap(&mut message.body, "<t:RequestSecurityToken ", "<x:W xmlns:x=\"urn:x\"><t:RequestSecurityToken ");
            append(&mut message.body, "</x:W>");
        });
        // S8: the body that was signed in an extension of one that was not.
        for (form, attributes) in id_forms("b") {
            self.bad(&format!("body-in-extension/{form}"), move |message, cast| {
                let mut forged = message.forged(Covered::Body, &attributes, cast);
                let inside = format!("<x:Extensions xmlns:x=\"urn:x\">{}</x:Extensions>", message.body);
                swap(&mut forged, "</t:RequestSecurityToken>", &format!("{inside}</t:RequestSecurityToken>"));
                message.body = forged;
            });
        }
        self.fine("request-with-empty-tags", "the same elements, written another way", |message, _| {
            message.signature.info = message.signature.info.replace("></ds:DigestMethod>", "/>");
        });
    }
}

/// The first text in an element, and where it stands.
fn texts(piece: &str) -> (String, usize) {
    let mut at = 0;
    loop {
        at += piece[at..].find('>').expect("a tag") + 1;
        let text = piece[at..].split('<').next().unwrap_or_default();
        if !text.is_empty() {
            return (text.to_owned(), at);
        }
    }
}

fn namespace_of(piece: &str, prefix: &str) -> String {
    let declaration = format!("xmlns:{prefix}=\"");
    let at = piece.find(&declaration).expect("declared here") + declaration.len();
    piece[at..].split('"').next().unwrap_or_default().to_owned()
}

/// The algorithm of a `SignedInfo`, and HMAC instead.
fn methods(info: &str) -> (String, String) {
    let at = info.find("SignatureMethod Algorithm=\"").expect("a method") + "SignatureMethod Algorithm=\"".len();
    let method = info[at..].split('"').next().unwrap_or_default().to_owned();
    (method, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".to_owned())
}

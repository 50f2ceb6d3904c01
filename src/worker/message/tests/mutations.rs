//! Requests as a seeded generator makes them must come back as they were meant, and requests that were
//! broken at random must be decided without a panic. The same seeds every time: a failure can be repeated.

use super::*;
use crate::wire::order::TokenType;
use crate::wire::{Correlation, Millis};
use crate::xml::writer::{escape_attribute, escape_text};

/// xorshift64*: enough to choose with, and nothing to depend on.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.throw(items.len())]
    }

    fn text(&mut self, longest: usize) -> String {
        const CHARACTERS: [char; 16] =
            ['a', 'Z', '0', ' ', '\t', '\n', '\r', '&', '<', '>', '"', '\'', ']', 'é', '\u{FFFD}', '\u{1F512}'];
        (0..self.throw(longest + 1)).map(|_| *self.pick(&CHARACTERS)).collect()
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    escape_text(text, &mut out);
    out
}

#[test]
fn what_a_generator_means_is_what_is_read() {
    let mut dice = Dice(0x5EED_0001);
    for round in 0..2000 {
        let (name, password, context) = (dice.text(40), dice.text(60), dice.text(20));
        let scope = format!("urn:{}", dice.throw(1000));
        let second = dice.throw(60);
        let fraction = format!("{:09}", dice.throw(1_000_000_000));
        let digits = dice.throw(10);
        let fraction = if digits == 0 { String::new() } else { format!(".{}", &fraction[..digits]) };
        let token_type = *dice.pick(&[None, Some(TokenType::Saml11), Some(TokenType::Saml20)]);
        let of_2005 = dice.throw(2) == 0;
        let soap11 = dice.throw(2) == 0;

        let base = if of_2005 { Message::of_2005() } else { Message::default() };
        let mut attribute = String::new();
        escape_attribute(&context, &mut attribute);
        let mut parts =
            vec![base.request_type.clone(), base.applies_to.replace(" urn:rp ", &scope), base.key_type.clone()];
        if let Some(kind) = token_type {
            let uri = if kind == TokenType::Saml11 { names::SAML11 } else { names::SAML20 };
            parts.push(format!("<t:TokenType>{uri}</t:TokenType>"));
        }
        // Elements come in any order, with or without white space between them.
        let mut shuffled = String::new();
        while !parts.is_empty() {
            let part = parts.swap_remove(dice.throw(parts.len()));
            let gap: &str = dice.pick::<&str>(&["", "\n  ", "<!-- -->", "\t"]);
            shuffled = shuffled + gap + &part;
        }
        let message = Message {
            attributes: format!(" Context=\"{attribute}\""),
            username: format!(
                "<o:UsernameToken><o:Username>{}</o:Username><o:Password>{}</o:Password></o:UsernameToken>",
                escaped(&name),
                escaped(&password)
            ),
            timestamp: format!(
                "<u:Timestamp><u:Created>2026-11-22T06:22:{second:02}{fraction}Z</u:Created></u:Timestamp>"
            ),
            request_type: String::new(),
            applies_to: String::new(),
            key_type: String::new(),
            more: shuffled,
            ..base
        };
        let message = if soap11 { message.in_soap11() } else { message };
        let (shape, evidence, timestamp, wish) = message.accepted(&generic()).into_parts();
        let Evidence::Password { username, password: secret } = evidence else { panic!("a password") };
        assert_eq!((username.as_str(), secret.expose()), (name.as_str(), password.as_bytes()), "round {round}");
        let milliseconds: i64 = format!("{:0<3}", fraction.trim_start_matches('.'))[..3].parse().unwrap();
        let second = i64::try_from(second).unwrap();
        assert_eq!(timestamp.unwrap().created, Millis(1_795_328_520_000 + second * 1000 + milliseconds));
        assert_eq!((wish.token_type, wish.applies_to.as_deref()), (token_type, Some(scope.as_str())));
        assert_eq!(shape.context.as_deref(), Some(context.as_str()));

        // And what is answered is read back as it was written.
        let reply = shape.fault(Fault::InvalidScope, Correlation([1; 16]), Millis(0));
        assert!(Tree::parse(&reply.body, &Limits::default()).is_ok());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        Message::default().xml().into_bytes(),
        Message::of_2005().in_soap11().xml().into_bytes(),
        Message::with("<t:SecondaryParameters><t:KeySize>0</t:KeySize></t:SecondaryParameters><t:Lifetime/>")
            .xml()
            .into_bytes(),
    ];
    if let Some(data) = data("mutations-of-captures") {
        for path in
            ["msal-python/rst13.xml", "msal-python/rst2005.xml", "govmomi/wire/bearer.xml", "pyvmomi/bearer.xml"]
        {
            seeds.push(std::fs::read(data.join("clients").join(path)).unwrap());
        }
    }
    seeds
}

/// One message, broken in one to three places.
fn broken(dice: &mut Dice, seed: &[u8]) -> Vec<u8> {
    const SCRAPS: [&str; 22] = [
        "<",
        ">",
        "&",
        "&#",
        "&#x0;",
        ";",
        "\"",
        "'",
        "]]>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "<!DOCTYPE",
        "xmlns=''",
        " xmlns:a='urn:x'",
        ":",
        "\0",
        "\u{FEFF}",
        "</",
    ];
    let mut octets = seed.to_vec();
    for _ in 0..=dice.throw(3) {
        let at = dice.throw(octets.len());
        let length = dice.throw(40).min(octets.len() - at);
        match dice.throw(6) {
            0 => octets[at] = u8::try_from(dice.throw(256)).unwrap(),
            1 => drop(octets.drain(at..at + length)),
            2 => drop(octets.splice(at..at, dice.pick(&SCRAPS).bytes())),
            3 => {
                let piece = octets[at..at + length].to_vec();
                let to = dice.throw(octets.len());
                octets.splice(to..to, piece);
            }
            4 => octets.truncate(at.max(1)),
            _ => {
                let to = dice.throw(octets.len());
                octets.swap(at, to);
            }
        }
        if octets.is_empty() {
            octets.push(b'<');
        }
    }
    octets
}

#[test]
fn no_broken_message_makes_the_reader_panic() {
    let seeds = seeds();
    let endpoints = [adfs(), generic(), lenient(), lenient(), lenient()];
    let mut dice = Dice(0x5EED_0002);
    let (mut read_whole, mut refused) = (0, 0);
    for round in 0..20_000 {
        let seed = dice.throw(seeds.len());
        let body = broken(&mut dice, &seeds[seed]);
        let content_type = *dice.pick(&[None, Some(SOAP11), Some(SOAP12), Some("application/soap+xml; action=\"")]);
        let soap_action = *dice.pick(&[None, None, None, Some(""), Some("\""), Some("\"\""), Some("urn:x")]);
        let incoming = Incoming { content_type, soap_action, body: &body };
        let reply = match read(dice.pick(&endpoints), &incoming) {
            Ok(request) => {
                read_whole += 1;
                request.shape.fault(Fault::FailedAuthentication, Correlation([1; 16]), Millis(0))
            }
            Err(rejection) => {
                refused += 1;
                rejection.reply(Correlation([1; 16]), Millis(0))
            }
        };
        if round % 16 == 0 {
            assert!(Tree::parse(&reply.body, &Limits::default()).is_ok());
        }
    }
    // Both ends were tried; a generator that only makes rubbish tries nothing.
    assert!(read_whole > 200 && refused > 5000, "{read_whole} {refused}");
}

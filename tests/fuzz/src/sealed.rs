//! The inside of a security header with sealed parts. What is in the parts is the stranger's too: whoever seals them
//! writes it. A form feed stands between the two.

use chancery::auth::readers;
use chancery::wire::unwrap::MOST_PART_OCTETS;
use chancery::wire::{Correlation, List, Millis, Secret};
use chancery::worker::message::{Around, Incoming, Within, read_of, sealed as apart};

use crate::messages::{STAMP, answered, endpoints, envelope, issue, message};

const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// The header up to the first form feed, and behind it what is in each part.
pub fn sealed(octets: &[u8]) {
    let (header, within) =
        octets.iter().position(|octet| *octet == 0xC).map_or((octets, &b""[..]), |at| octets.split_at(at));
    let within = within.strip_prefix(b"\x0c").unwrap_or(within);
    let whole = message(&format!("{STAMP}{}", String::from_utf8_lossy(header)), &issue());
    for body in [whole.clone(), sealed_body(whole)] {
        opened(&body, within);
    }
}

/// The same with its body sealed, as the part of the id `eb`.
fn sealed_body(whole: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(whole).expect("it was one");
    let (start, end) =
        (text.rfind("<t:RequestSecurityToken>").expect("a body"), text.rfind("</s:Body>").expect("a body"));
    let data = format!(
        "<x:EncryptedData xmlns:x=\"{XENC}\" Id=\"eb\" Type=\"{XENC}Content\"><x:EncryptionMethod \
         Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"/><x:CipherData><x:CipherValue>AwQF</x:CipherValue>\
         </x:CipherData></x:EncryptedData>"
    );
    [&text[..start], &data, &text[end..]].concat().into_bytes()
}

fn opened(body: &[u8], within: &[u8]) {
    let incoming = Incoming { content_type: Some("text/xml; charset=utf-8"), soap_action: None, body };
    for endpoint in endpoints() {
        match apart(&endpoint, &incoming) {
            Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
            Ok(None) => {}
            Ok(Some(mut sealed)) => {
                let (.., asked) = sealed.question().expect("something is asked");
                let part = &within[..within.len().min(MOST_PART_OCTETS)];
                let many = match asked {
                    Within::Parts(parts) => parts.len(),
                    Within::Signed(_) => 1,
                };
                let opened = vec![Secret::new(part).expect("short"); many];
                match sealed.opened(&List::new(opened).expect("as many")) {
                    Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
                    Ok(whole) => {
                        envelope(whole.message.as_bytes());
                        let around =
                            Around { earlier: whole.earlier.as_deref().map(String::as_str), ..Around::default() };
                        let incoming = Incoming { body: whole.message.as_bytes(), ..incoming };
                        let _perhaps = read_of(around, &endpoint, &incoming);
                    }
                }
            }
        }
    }
}

/// What was sealed of a body that was signed so, as auth reads it in its place.
pub fn body(octets: &[u8]) {
    let _perhaps = readers::body(octets);
}

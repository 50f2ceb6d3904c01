//! The inside of a security header with sealed parts. What is in the parts is the stranger's too: whoever seals them
//! writes it. A form feed stands between the two.

use chancery::wire::unwrap::MOST_PART_OCTETS;
use chancery::wire::{Correlation, List, Millis, Secret};
use chancery::worker::message::{Incoming, sealed as apart};

use crate::messages::{STAMP, answered, endpoints, envelope, issue, message};

/// The header up to the first form feed, and behind it what is in each part.
pub fn sealed(octets: &[u8]) {
    let (header, within) =
        octets.iter().position(|octet| *octet == 0xC).map_or((octets, &b""[..]), |at| octets.split_at(at));
    let within = within.strip_prefix(b"\x0c").unwrap_or(within);
    let body = message(&format!("{STAMP}{}", String::from_utf8_lossy(header)), &issue());
    let incoming = Incoming { content_type: Some("text/xml; charset=utf-8"), soap_action: None, body: &body };
    for endpoint in endpoints() {
        match apart(&endpoint, &incoming) {
            Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
            Ok(None) => {}
            Ok(Some(mut sealed)) => {
                let (.., parts) = sealed.question().expect("something is asked");
                let part = &within[..within.len().min(MOST_PART_OCTETS)];
                let opened = parts.iter().map(|_| Secret::new(part).expect("short"));
                match sealed.opened(&List::new(opened.collect::<Vec<_>>()).expect("as many")) {
                    Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
                    Ok((whole, _)) => envelope(whole.as_bytes()),
                }
            }
        }
    }
}

//! The inside of a security header with sealed parts. What is in the parts is the stranger's too: whoever seals them
//! writes it. A form feed stands between the two.

use chancery::auth::readers;
use chancery::wire::unwrap::MOST_PART_OCTETS;
use chancery::wire::{Correlation, List, Millis, Secret};
use chancery::worker::message::{Incoming, Within, sealed as apart};

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
                let (.., asked) = sealed.question().expect("something is asked");
                let part = &within[..within.len().min(MOST_PART_OCTETS)];
                let many = match asked {
                    Within::Parts(parts) => parts.len(),
                    Within::Signed(_) => 1,
                };
                let opened = vec![Secret::new(part).expect("short"); many];
                match sealed.opened(&List::new(opened).expect("as many")) {
                    Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
                    Ok((whole, _)) => envelope(whole.as_bytes()),
                }
            }
        }
    }
}

/// What was sealed of a body that was signed so, as auth reads it in its place.
pub fn body(octets: &[u8]) {
    let _perhaps = readers::body(octets);
}

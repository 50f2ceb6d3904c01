//! Octets as what a client negotiates by: a token, an `AP-REQ`, or the checksum in one. What is read of an `AP-REQ` is
//! some of its octets, and reading it again, alone, reads the same.

use chancery::negotiate::ap_req::Request;
use chancery::negotiate::binary;
use chancery::negotiate::checksum::Checksum;
use chancery::negotiate::spnego::First;

/// A token of HTTP Negotiate; and the same octets as any piece of one.
pub fn token(octets: &[u8]) {
    if let Ok(first) = First::read(octets) {
        assert!(octets.ends_with(first.request.octets), "a token ends with its AP-REQ");
        request(first.request.octets);
        let (alone, with) = (first.answer(None), first.answer(Some(b"reply")).expect("a reply is answered"));
        assert!(with.windows(5).any(|window| window == b"reply"));
        assert!(alone.is_none_or(|alone| alone.len() < with.len()));
    }
    if let Ok(framed) = binary::framed(octets) {
        assert!(binary::bare(octets).is_err(), "no form is the other");
        assert_eq!(binary::bare(framed.octets).expect("an AP-REQ").octets, framed.octets);
    }
    if Request::read(octets).is_ok() {
        request(octets);
        assert!(First::read(octets).is_err(), "nothing is both");
    }
    if let Some(checksum) = Checksum::read(octets) {
        assert_eq!(checksum.bindings.is_none(), octets[4..20] == [0; 16]);
    }
}

fn request(octets: &[u8]) {
    let request = Request::read(octets).expect("read once, read again");
    assert_eq!(request.octets, octets, "all of it");
    assert!(
        octets.windows(request.authenticator.len().max(1)).any(|window| window == request.authenticator)
            || request.authenticator.is_empty()
    );
    let service = request.service();
    assert_eq!(service.matches('@').count(), 1, "a name has one realm");
    assert!(!service.contains(char::is_control));
}

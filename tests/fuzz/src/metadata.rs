//! Octets as the metadata of a partner, and as what a reader of it that was taken over answers.

use borsh::BorshDeserialize;
use chancery::config::auth::certificate::Certificate;
use chancery::ctl::partner::reader;
use chancery::wire::metadata::Answer;

/// A document: looked at for its signature, read, and read again in the octets that its signature speaks of.
pub fn metadata(octets: &[u8]) {
    read(octets);
    if let Ok(found) = reader::find(octets) {
        read(&found.document);
    }
    if let Ok(answer) = Answer::try_from_slice(octets) {
        assert_eq!(borsh::to_vec(&answer).expect("written"), octets, "an answer has one spelling");
    }
}

fn read(octets: &[u8]) {
    let Ok(entity) = reader::read(octets, None, None) else { return };
    assert!(entity.name.bytes().all(|octet| octet.is_ascii_graphic()), "a name moves no cursor");
    assert!(!entity.certificates.is_empty(), "who signs with nothing is nobody");
    let again = reader::read(octets, None, Some(entity.name.as_str()));
    assert_eq!(again.as_ref(), Ok(&entity), "the only one is the one of that name");
    for der in entity.certificates.iter() {
        let _perhaps_none = Certificate::from_der(der.to_vec());
    }
}

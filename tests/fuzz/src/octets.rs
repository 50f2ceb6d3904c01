//! Octets that no XML says: of a TLS handshake, of a path of certificates, of a directory's server, of an OCSP
//! responder.

use chancery::auth::readers;
use chancery::wire::evidence::TlsVersion;

/// The messages of a handshake, behind one octet: 2 for TLS 1.2, else 1.3.
pub fn handshake(octets: &[u8]) {
    let Some((version, messages)) = octets.split_first() else { return };
    let version = if *version == 2 { TlsVersion::V12 } else { TlsVersion::V13 };
    let _perhaps = readers::messages(version, messages);
}

/// Certificates that a message brings along.
pub fn path(octets: &[u8]) {
    let _perhaps = readers::path(octets);
}

/// What a server of a directory answers.
pub fn answer(octets: &[u8]) {
    let _perhaps = readers::answer(octets);
}

/// What a responder of OCSP answers, and what is signed in that.
pub fn revocation(octets: &[u8]) {
    let _perhaps = readers::revocation(octets);
}

//! A message whose parts are opened before anything of it is verified, as where its signature is sealed, too.

use std::sync::atomic::{AtomicU64, Ordering};

use chancery::wire::derivation::PartKey;
use chancery::wire::links::{AuthToWorker, WorkerToAuth};
use chancery::wire::unwrap::{KeyTransport, Open, PartCipher, Recipient, SealedPart};
use chancery::wire::{Correlation, List, Octets, Text};

use super::office::{HOME, Worker};

/// A session key as nobody sealed it before.
pub(crate) fn fresh() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    [&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()[..], &[7; 248]].concat()
}

/// Has these parts opened, sealed by AES-256-GCM.
pub(crate) fn opened_first(worker: &mut Worker, endpoint: &str, parts: &[Vec<u8>]) -> Correlation {
    opened_by(worker, endpoint, parts, None)
}

/// The same by a key of their own that the session key wraps, where there is one.
pub(crate) fn opened_by(worker: &mut Worker, endpoint: &str, parts: &[Vec<u8>], wrapped: Option<&[u8]>) -> Correlation {
    let part = |octets: &Vec<u8>| SealedPart {
        key: PartKey::Session,
        wrapped: wrapped.map(|wrapped| Octets::new(wrapped).expect("fits")),
        cipher: PartCipher::Aes256Gcm,
        octets: Octets::new(octets.clone()).expect("fits"),
    };
    let open = Open {
        correlation: Correlation::random(),
        endpoint: Text::new(endpoint).expect("fits"),
        source: HOME,
        recipient: Recipient::Thumbprint([7; 20]),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new(fresh()).expect("fits"),
        parts: List::new(parts.iter().map(part).collect::<Vec<_>>()).expect("few"),
    };
    let correlation = open.correlation;
    worker.duplex.send(&WorkerToAuth::Open(open)).expect("is there");
    match worker.answer(correlation) {
        AuthToWorker::Opened(opened) => assert_eq!(opened.parts.len(), parts.len()),
        answer => panic!("{answer:?}"),
    }
    correlation
}

//! What the record knows of those whom auth refuses, and what they hear: all the same.

use std::collections::HashMap;
use std::net::IpAddr;

use chancery::wire::evidence::{Refusal, Submission};
use chancery::wire::links::{AuthToAudit, AuthToWorker};
use chancery::wire::record::AuthEntry;

use super::office::Office;
use super::processes::eventually;

/// What the record says of refused strangers, by their address.
pub(crate) fn reasons(office: &Office) -> HashMap<IpAddr, String> {
    let said = office.audit.said.lock().expect("not poisoned");
    let refused = |message: &AuthToAudit| match message {
        AuthToAudit::Append { entry: AuthEntry::Refusals { source, reason, .. }, .. } => {
            Some((*source, reason.to_string()))
        }
        AuthToAudit::Append { .. } => None,
    };
    said.iter().filter_map(refused).collect()
}

/// Each is refused as any failed authentication is, and the record knows why; nothing is decided for any.
#[track_caller]
pub(crate) fn all_refused(office: &Office, cases: Vec<(&str, Submission, &str)>) {
    all_hear(office, Refusal::FailedAuthentication, cases);
}

/// The same, where it is something else that they hear.
#[track_caller]
pub(crate) fn all_hear(office: &Office, heard: Refusal, cases: Vec<(&str, Submission, &str)>) {
    let mut worker = office.worker();
    let mut expected = Vec::new();
    let decided = office.decisions().len();
    // What was refused before is known by other addresses.
    let before = reasons(office).len();
    for (number, (what, submission, reason)) in (before..).zip(cases) {
        let source = IpAddr::from([198, 51, 100, u8::try_from(number).expect("a few cases")]);
        match worker.ask(Submission { source, ..submission }) {
            AuthToWorker::Refused(refused) => assert_eq!(refused.refusal, heard, "{what}"),
            answer => panic!("{what}: {answer:?}"),
        }
        expected.push((source, what, reason));
    }
    let known = eventually("every refusal is in the record", || {
        let known = reasons(office);
        expected.iter().all(|(source, ..)| known.contains_key(source)).then_some(known)
    });
    let wrong: Vec<_> = (expected.iter())
        .filter(|(source, _, reason)| known[source] != *reason)
        .map(|(source, what, reason)| (what, reason, &known[source]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(office.decisions().len(), decided);
}

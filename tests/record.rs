//! The record, against the real audit over its real sockets: what it acknowledged is there whatever happens,
//! and whatever was changed afterwards is found.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chancery::audit::format::{HEADER, Kind, Private, Public};
use chancery::audit::reader::{Entries, Entry, PrivatePart};
use chancery::audit::verify::{Fault, Noted, Report, verify};
use chancery::sys::channel::{Channel, Closed, Duplex};
use chancery::sys::places::Place;
use chancery::wire::links::{AuthToAudit, FromAudit, IssuerToAudit};
use chancery::wire::order::{Claim, Method, NameFormat, RequestIntegrity, Subject, TokenType};
use chancery::wire::permit::Link;
use chancery::wire::record::{
    AuthEntry, Decision, DecisionPrivate, Held, HeldKey, Intent, IntentPrivate, IssuerEntry, Outcome, OutcomeResult,
    Proof, VouchedPrivate,
};
use chancery::wire::{Correlation, List, Millis, Octets, Text};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use support::processes::{Daemon, eventually, listener};

/// One directory with everything an audit needs, and the listeners that outlive it.
struct House {
    root: tempfile::TempDir,
    issuer: OwnedFd,
    auth: OwnedFd,
}

impl House {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("audit.d")).unwrap();
        fs::write(root.path().join("audit.d/audit.toml"), "directory = \"../record\"\nrotate_mib = 1\n").unwrap();
        let issuer = listener(&root.path().join(Place::AuditIssuer.file()));
        let auth = listener(&root.path().join(Place::AuditAuth.file()));
        Self { root, issuer, auth }
    }

    fn try_start(&self) -> Result<Daemon, std::process::ExitStatus> {
        self.start_with(&mut Command::new(env!("CARGO_BIN_EXE_chancery-audit")))
    }

    fn start_with(&self, command: &mut Command) -> Result<Daemon, std::process::ExitStatus> {
        command.arg(self.root.path());
        Daemon::start(command, self.root.path(), &[("issuer", &self.issuer), ("auth", &self.auth)])
    }

    fn start(&self) -> Daemon {
        self.try_start().unwrap()
    }

    fn issuer(&self) -> Peer<IssuerToAudit> {
        Peer::connect(&self.root.path().join(Place::AuditIssuer.file()), Link::AuditToIssuer)
    }

    fn auth(&self) -> Peer<AuthToAudit> {
        Peer::connect(&self.root.path().join(Place::AuditAuth.file()), Link::AuditToAuth)
    }

    /// What an audit that starts now says of the record.
    fn head_at_next_start(&self) -> u64 {
        let _audit = self.start();
        self.issuer().head
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("record")
    }

    fn file(&self, kind: Kind, number: u32) -> PathBuf {
        self.directory().join(kind.file(number))
    }

    fn verify(&self) -> Report {
        verify(&self.directory(), None).unwrap()
    }

    fn entries(&self) -> Vec<Entry> {
        Entries::open(&self.directory()).map(Result::unwrap).collect()
    }
}

/// A client of audit.
struct Peer<Out> {
    duplex: Duplex<FromAudit, Out>,
    head: u64,
    last: Option<Millis>,
    sent: u64,
}

trait Appends<E> {
    fn message(sequence: u64, entry: E) -> Self;
}

impl Appends<IssuerEntry> for IssuerToAudit {
    fn message(sequence: u64, entry: IssuerEntry) -> Self {
        Self::Append { sequence, entry }
    }
}

impl Appends<AuthEntry> for AuthToAudit {
    fn message(sequence: u64, entry: AuthEntry) -> Self {
        Self::Append { sequence, entry }
    }
}

impl<Out: borsh::BorshSerialize> Peer<Out> {
    fn connect(path: &Path, link: Link) -> Self {
        let mut peer =
            Self { duplex: Duplex::new(Channel::connect(path).unwrap(), link), head: 0, last: None, sent: 0 };
        match peer.receive() {
            Ok(FromAudit::Head { entries, last }) => (peer.head, peer.last) = (entries, last),
            other => panic!("no head but {other:?}"),
        }
        peer
    }

    fn append<E>(&mut self, entry: E) -> u64
    where
        Out: Appends<E>,
    {
        self.sent += 1;
        self.duplex.send(&Out::message(self.sent, entry)).unwrap();
        self.sent
    }

    fn receive(&mut self) -> Result<FromAudit, Closed> {
        eventually("an answer of audit", || match self.duplex.receive() {
            Ok(Some(message)) => Some(Ok(message)),
            Ok(None) => {
                let flags = PollFlags::POLLIN;
                let _ =
                    poll(&mut [PollFd::new(std::os::fd::AsFd::as_fd(&self.duplex), flags)], PollTimeout::from(200_u16));
                None
            }
            Err(closed) => Some(Err(closed)),
        })
    }

    /// Waits until everything sent is durable.
    fn settle(&mut self) {
        loop {
            match self.receive().unwrap() {
                FromAudit::Durable { sequence } if sequence == self.sent => return,
                FromAudit::Durable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn text<const N: usize>(text: impl Into<String>) -> Text<N> {
    Text::new(text).unwrap()
}

fn intent(number: u64, filling: usize) -> IssuerEntry {
    let values = if filling == 0 { vec![] } else { vec![text("x".repeat(4096)); filling] };
    let claims = vec![Claim { uri: text("urn:mail"), values: List::new(values).unwrap() }];
    IssuerEntry::Intent(
        Intent {
            instant: Millis::now(),
            correlation: Correlation::random(),
            token_id: text(format!("_{number}")),
            token_type: TokenType::Saml20,
            relying_party: text("portal"),
            created: Millis(1),
            expires: Millis(2),
            method: Method::Password,
            request: RequestIntegrity::Transport,
            key: Octets::new([7]).unwrap(),
            digest: [9; 32],
            holder: None,
        },
        IntentPrivate {
            subject: Subject { account: text("alice"), name: text("alice"), format: NameFormat::Unspecified },
            claims: List::new(claims).unwrap(),
        },
    )
}

fn outcome(number: u64) -> IssuerEntry {
    IssuerEntry::Outcome(Outcome {
        instant: Millis::now(),
        correlation: Correlation::random(),
        token_id: text(format!("_{number}")),
        result: OutcomeResult::Signed { signature: [3; 32] },
    })
}

fn decision() -> AuthEntry {
    let public = Decision {
        instant: Millis::now(),
        correlation: Correlation::random(),
        endpoint: text("/sts"),
        source: "192.0.2.1".parse().unwrap(),
        method: Method::Password,
        authority: None,
        relying_party: None,
        allowed: false,
        reason: text("policy"),
        policies: List::default(),
    };
    AuthEntry::Decision(public, DecisionPrivate { account: text("alice") })
}

/// A settled record: `issuances` intents and outcomes.
fn written(issuances: u64) -> House {
    let place = House::new();
    let audit = place.start();
    let mut issuer = place.issuer();
    for number in 0..issuances {
        issuer.append(intent(number, 0));
        issuer.append(outcome(number));
    }
    issuer.settle();
    assert!(audit.end(Signal::SIGTERM).success());
    place
}

/// Where each frame of a file begins, and where the last one ends.
fn frames(path: &Path) -> Vec<usize> {
    let octets = fs::read(path).unwrap();
    let mut offsets = vec![HEADER];
    while let Some(length) = octets.get(offsets[offsets.len() - 1]..).and_then(|rest| rest.first_chunk::<4>()) {
        offsets.push(offsets[offsets.len() - 1] + 8 + usize::try_from(u32::from_le_bytes(*length)).unwrap());
    }
    offsets
}

#[test]
fn what_was_sent_comes_back_typed_from_both_peers_in_one_chain() {
    let place = House::new();
    let _audit = place.start();
    let (mut issuer, mut auth) = (place.issuer(), place.auth());
    auth.append(decision());
    auth.settle();
    issuer.append(intent(1, 2));
    issuer.append(outcome(1));
    issuer.settle();
    let entries = place.entries();
    assert!(matches!(entries[0].leaf.public, Public::Decision(_)));
    assert!(matches!(&entries[0].private, PrivatePart::Kept(private) if matches!(**private, Private::Decision(_))));
    assert!(matches!(&entries[1].private, PrivatePart::Kept(private) if matches!(**private, Private::Intent(_))));
    assert!(matches!((&entries[2].leaf.public, &entries[2].private), (Public::Outcome(_), PrivatePart::None)));
    assert_eq!(entries.iter().map(|entry| entry.leaf.index).collect::<Vec<_>>(), [0, 1, 2]);
    let report = place.verify();
    assert_eq!((report.faults, report.entries, report.private_kept), (0, 3, 2));
    assert_eq!(place.issuer().head, 3);
}

#[test]
fn a_decision_for_somebody_who_was_vouched_for_has_both_names() {
    let place = House::new();
    let _audit = place.start();
    let mut auth = place.auth();
    let AuthEntry::Decision(public, _) = decision() else { panic!("a decision") };
    let private = VouchedPrivate { account: text("alice"), intermediary: text("portal") };
    auth.append(AuthEntry::Vouched(public.clone(), private.clone()));
    auth.settle();
    let entries = place.entries();
    assert_eq!(entries[0].leaf.public, Public::Decision(public));
    let PrivatePart::Kept(kept) = &entries[0].private else { panic!("a private part") };
    assert_eq!(**kept, Private::Vouched(private));
}

#[test]
fn a_decision_for_the_holder_of_an_assertion_says_how_he_proved_his_key() {
    let place = House::new();
    let _audit = place.start();
    let mut auth = place.auth();
    let AuthEntry::Decision(public, private) = decision() else { panic!("a decision") };
    let keys = [HeldKey::Certificate([0xAB; 32]), HeldKey::Thumbprint([0xCD; 32])];
    for (proof, key) in [Proof::TlsCertificate, Proof::Signature].into_iter().zip(keys) {
        auth.append(AuthEntry::Held(public.clone(), Held { proof, key }, private.clone()));
    }
    auth.settle();
    let entries = place.entries();
    let held = Held { proof: Proof::Signature, key: keys[1] };
    assert_eq!(entries[1].leaf.public, Public::Held(public.clone(), held));
    let PrivatePart::Kept(kept) = &entries[1].private else { panic!("a private part") };
    assert_eq!(**kept, Private::Decision(private));
    let mut explain = Command::new(env!("CARGO_BIN_EXE_chancery"));
    explain.args(["explain", &public.correlation.to_string(), "--directory"]).arg(place.directory());
    let told = String::from_utf8(explain.output().unwrap().stdout).unwrap();
    for said in [
        format!(" holder={}", "ab".repeat(32)),
        format!(" holder_key={}", "cd".repeat(32)),
        " proof=tls-certificate".to_owned(),
        " proof=signature".to_owned(),
        "the key of the certificate that the assertion confirms was proven when he connected".to_owned(),
        "the key, which has no certificate, that the assertion confirms was proven by his signature".to_owned(),
        "policy: ".to_owned(),
    ] {
        assert!(told.contains(&said), "{said:?} is not in {told}");
    }
}

/// A decision as a hijacked auth sends it, to stop issuer's clock: it was taken at the end of time.
fn at_the_end_of_time() -> AuthEntry {
    let AuthEntry::Decision(public, private) = decision() else { panic!("a decision") };
    let policies = List::new(vec![text("x".repeat(64)); 16]).unwrap();
    AuthEntry::Decision(Decision { instant: Millis(i64::MAX), policies, ..public }, private)
}

#[test]
fn issuers_clock_is_held_to_its_own_entries_whatever_auth_writes() {
    let place = House::new();
    let audit = place.start();
    let mut auth = place.auth();
    auth.append(at_the_end_of_time());
    auth.settle();
    assert_eq!(place.issuer().last, None);
    let before = Millis::now();
    let mut issuer = place.issuer();
    issuer.append(outcome(1));
    issuer.settle();
    let after = Millis::now();
    let held = |place: &House| (before..=after).contains(&place.issuer().last.unwrap());
    assert!(held(&place));
    auth.append(at_the_end_of_time());
    auth.settle();
    assert!(held(&place));
    drop(audit);
    // Out of the file that is open, out of the one before it, and out of one that is further back.
    for files in 1..=4 {
        let audit = place.start();
        assert!(held(&place), "{files} files");
        let mut auth = place.auth();
        while !place.file(Kind::Record, files + 1).exists() {
            for _ in 0..64 {
                auth.append(at_the_end_of_time());
            }
            auth.settle();
        }
        drop(audit);
    }
    let _audit = place.start();
    assert!(held(&place));
}

#[test]
fn a_kill_in_the_middle_of_a_stream_loses_no_acknowledged_entry() {
    let place = House::new();
    let mut number = 0;
    let mut acknowledged = VecDeque::new();
    for round in 1..=5 {
        let audit = place.start();
        let mut issuer = place.issuer();
        let mut sent = VecDeque::new();
        let mut seen = 0;
        while seen < 40 * round {
            for _ in 0..16 {
                sent.push_back(number);
                issuer.append(intent(number, 0));
                number += 1;
            }
            if let FromAudit::Durable { sequence } = issuer.receive().unwrap() {
                acknowledged.extend(sent.drain(..usize::try_from(sequence - seen).unwrap()));
                seen = sequence;
            }
        }
        audit.end(Signal::SIGKILL);
    }
    drop(place.start());
    let recorded: Vec<String> =
        place.entries().iter().filter_map(|entry| entry.leaf.public.token_id().map(str::to_owned)).collect();
    for number in acknowledged {
        assert!(recorded.contains(&format!("_{number}")), "{number}");
    }
    assert_eq!(place.verify().faults, 0);
}

#[test]
fn a_torn_end_is_kept_aside_and_the_record_goes_on() {
    for keep in [3, 8, 100] {
        let place = written(3);
        let record = place.file(Kind::Record, 1);
        let offsets = frames(&record);
        let torn = offsets[5] + keep;
        OpenOptions::new().write(true).open(&record).unwrap().set_len(torn as u64).unwrap();
        let report = place.verify();
        assert_eq!((report.findings[0].entry, report.findings[0].fault), (5, Fault::Torn));
        let audit = place.start();
        let mut issuer = place.issuer();
        assert_eq!(issuer.head, 5);
        issuer.append(outcome(2));
        issuer.settle();
        drop(audit);
        let report = place.verify();
        assert_eq!((report.faults, report.entries, report.torn.len()), (0, 6, 1));
        assert_eq!(fs::metadata(place.directory().join(&report.torn[0])).unwrap().len(), keep as u64);
    }
}

#[test]
fn a_torn_end_that_finds_no_room_leaves_nothing_behind() {
    let place = written(3);
    let record = OpenOptions::new().write(true).open(place.file(Kind::Record, 1)).unwrap();
    record.set_len(record.metadata().unwrap().len() - 1).unwrap();
    for _ in 0..2 {
        let mut full = Command::new("prlimit");
        full.arg("--fsize=0:").arg(env!("CARGO_BIN_EXE_chancery-audit"));
        // A log that is a file could not grow either.
        full.stderr(Stdio::piped());
        assert!(place.start_with(&mut full).is_err());
        assert_eq!(place.verify().torn.len(), 0);
    }
    drop(place.start());
    let report = place.verify();
    assert_eq!((report.faults, report.entries, report.torn.len()), (0, 5, 1));
}

#[test]
fn a_private_part_whose_entry_was_not_written_is_kept_aside() {
    let place = written(3);
    let path = place.file(Kind::Record, 1);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(frames(&path)[4] as u64).unwrap();
    let audit = place.start();
    let mut issuer = place.issuer();
    assert_eq!(issuer.head, 4);
    issuer.append(intent(4, 0));
    issuer.settle();
    drop(audit);
    let report = place.verify();
    assert_eq!((report.faults, report.entries, report.private_kept, report.torn.len()), (0, 5, 3, 1));
}

#[test]
fn a_rotation_that_was_cut_short_is_begun_again() {
    for octets in [0, 20, HEADER] {
        let place = written(1);
        fs::write(place.file(Kind::Private, 2), vec![0; octets]).unwrap();
        fs::write(place.file(Kind::Record, 2), vec![0; octets]).unwrap();
        drop(place.start());
        assert_eq!(place.head_at_next_start(), 2);
        let report = place.verify();
        assert_eq!((report.faults, report.entries, report.files), (0, 2, 1));
    }
}

#[test]
fn zeros_after_the_last_entry_are_a_torn_end() {
    let place = written(2);
    let record = OpenOptions::new().write(true).open(place.file(Kind::Record, 1)).unwrap();
    record.set_len(record.metadata().unwrap().len() + 5000).unwrap();
    drop(place.start());
    let report = place.verify();
    assert_eq!((report.faults, report.entries, report.torn.len()), (0, 4, 1));
}

#[test]
fn zeros_from_within_an_entry_to_the_end_are_a_torn_end_wherever_they_begin() {
    let place = written(2);
    let (path, beside) = (place.file(Kind::Record, 1), place.file(Kind::Private, 1));
    let (whole, part) = (fs::read(&path).unwrap(), fs::read(&beside).unwrap());
    let (last, last_part) = (frames(&path)[3], frames(&beside)[1]);
    let torn = |octets: &[u8], from: usize, more: usize| {
        let mut octets = octets.to_vec();
        octets[from..].fill(0);
        octets.resize(octets.len() + more, 0);
        octets
    };
    for more in [0, 5000] {
        // What is zero anyway is not changed by it.
        let changed = whole.iter().rposition(|octet| *octet != 0).unwrap();
        for from in (last..=changed).step_by(if more == 0 { 1 } else { 13 }) {
            fs::write(&path, torn(&whole, from, more)).unwrap();
            let report = place.verify();
            let finding = report.findings.first().unwrap();
            assert_eq!((report.faults, finding.entry, finding.fault), (1, 3, Fault::Torn), "{from} {more}");
            assert_eq!(place.entries().len(), 3, "{from} {more}");
            if from % 16 == 0 || from == changed {
                drop(place.start());
                let report = place.verify();
                assert_eq!((report.faults, report.entries), (0, 3), "{from} {more}");
            }
        }
    }
    // The same of a private part whose entry did not come so far; here of all there are two.
    for from in [last_part, last_part + 3, last_part + 8, last_part + 9, last_part + 20, part.len() - 1] {
        fs::write(&path, &whole[..frames(&path)[2].min(whole.len())]).unwrap();
        fs::write(&beside, torn(&part, from, 40)).unwrap();
        drop(place.start());
        assert_eq!(fs::read(&beside).unwrap(), part[..last_part], "{from}");
        assert_eq!(place.verify().faults, 0, "{from}");
    }
}

#[test]
fn an_entry_that_was_changed_is_none_that_did_not_come_to_disk_because_its_head_ends_in_zero() {
    let place = House::new();
    let path = place.file(Kind::Record, 1);
    let audit = place.start();
    let mut issuer = place.issuer();
    // One in 256 does.
    let entries = (1..).find(|number| {
        issuer.append(intent(*number, 0));
        issuer.settle();
        fs::read(&path).unwrap().ends_with(&[0])
    });
    let entry = entries.unwrap() - 1;
    assert!(audit.end(Signal::SIGTERM).success());
    let last = frames(&path)[usize::try_from(entry).unwrap()];
    let octets = fs::read(&path).unwrap();
    for at in [last + 8, last + 20, octets.len() - 33, octets.len() - 20] {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        let report = place.verify();
        let finding = report.findings.first().unwrap();
        assert_eq!((finding.entry, finding.fault), (entry, Fault::Chain), "{at}");
        assert_eq!(place.try_start().err().and_then(|status| status.code()), Some(1), "{at}");
    }
    fs::write(&path, octets).unwrap();
    drop(place.start());
}

#[test]
fn a_flipped_byte_is_found_at_its_entry_wherever_it_is() {
    let place = written(3);
    let path = place.file(Kind::Record, 1);
    let offsets = frames(&path);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut octet = [0];
    for position in 0..offsets[6] {
        file.read_exact_at(&mut octet, position as u64).unwrap();
        for flip in [1, 0x80] {
            file.write_all_at(&[octet[0] ^ flip], position as u64).unwrap();
            let report = place.verify();
            let entry = offsets.iter().filter(|offset| **offset <= position).count().saturating_sub(1);
            let first = report.findings.first().unwrap_or_else(|| panic!("octet {position} is not covered"));
            assert_eq!(first.entry, entry as u64, "octet {position}: {report:?}");
        }
        file.write_all_at(&octet, position as u64).unwrap();
    }
    assert_eq!(place.verify().faults, 0);
}

#[test]
fn a_flipped_byte_in_a_private_part_is_found_at_its_entry() {
    let place = written(3);
    let path = place.file(Kind::Private, 1);
    let offsets = frames(&path);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut octet = [0];
    for position in 0..offsets[3] {
        file.read_exact_at(&mut octet, position as u64).unwrap();
        file.write_all_at(&[octet[0] ^ 1], position as u64).unwrap();
        let report = place.verify();
        let part = offsets.iter().filter(|offset| **offset <= position).count().saturating_sub(1);
        let first = report.findings.first().unwrap_or_else(|| panic!("octet {position} is not covered"));
        // Every other entry is an intent, and has a private part.
        assert_eq!((first.entry, first.fault), (2 * part as u64, Fault::Private), "octet {position}: {report:?}");
        file.write_all_at(&octet, position as u64).unwrap();
    }
    assert_eq!(place.verify().faults, 0);
}

#[test]
fn audit_refuses_to_append_to_a_damaged_record() {
    let place = written(3);
    let path = place.file(Kind::Record, 1);
    let middle = frames(&path)[2] + 40;
    let octets = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[octets[middle] ^ 1], middle as u64).unwrap();
    assert_eq!(place.try_start().err().and_then(|status| status.code()), Some(1));
    file.write_all_at(&[octets[middle]], middle as u64).unwrap();
    drop(place.start());
}

#[test]
fn a_removed_entry_and_swapped_entries_are_found() {
    let place = written(3);
    let path = place.file(Kind::Record, 1);
    let octets = fs::read(&path).unwrap();
    let at = frames(&path);
    let removed = [&octets[..at[2]], &octets[at[3]..]].concat();
    fs::write(&path, removed).unwrap();
    let report = place.verify();
    assert_eq!((report.findings[0].entry, report.findings[0].fault), (2, Fault::Chain));
    let swapped = [&octets[..at[2]], &octets[at[3]..at[4]], &octets[at[2]..at[3]], &octets[at[4]..]].concat();
    fs::write(&path, swapped).unwrap();
    let report = place.verify();
    assert_eq!((report.findings[0].entry, report.findings[0].fault), (2, Fault::Chain));
}

#[test]
fn a_record_that_was_cut_is_found_by_its_private_parts_or_a_noted_head() {
    let place = written(3);
    let noted = place.entries().last().map(|entry| Noted { index: entry.leaf.index, head: entry.head });
    let path = place.file(Kind::Record, 1);
    let at = frames(&path);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(verify(&place.directory(), noted).unwrap().faults, 0);
    // The last outcome alone: it has no private part to betray it.
    file.set_len(at[5] as u64).unwrap();
    let report = verify(&place.directory(), noted).unwrap();
    assert_eq!((report.findings[0].entry, report.findings[0].fault), (5, Fault::NotedHead));
    file.set_len(at[4] as u64).unwrap();
    let report = place.verify();
    assert_eq!((report.findings[0].entry, report.findings[0].fault), (4, Fault::Shortened));
}

#[test]
fn erased_private_parts_leave_a_record_that_verifies() {
    let place = written(3);
    let path = place.file(Kind::Private, 1);
    let at = frames(&path);
    let zeros = vec![0; at[2] - at[1] - 16];
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&zeros, at[1] as u64 + 16).unwrap();
    let report = place.verify();
    assert_eq!((report.faults, report.private_kept, report.private_erased), (0, 2, 1));
    assert_eq!(place.entries()[2].private, PrivatePart::Erased);
    fs::remove_file(&path).unwrap();
    let report = place.verify();
    assert_eq!((report.faults, report.private_erased), (0, 3));
    // And audit goes on, in a new pair of files.
    let audit = place.start();
    let mut issuer = place.issuer();
    issuer.append(intent(9, 0));
    issuer.settle();
    drop(audit);
    let report = place.verify();
    assert_eq!((report.faults, report.entries, report.files, report.private_kept), (0, 7, 2, 1));
}

#[test]
fn the_chain_runs_on_through_rotated_files_and_a_missing_one_is_found() {
    let place = House::new();
    let audit = place.start();
    let mut issuer = place.issuer();
    for number in 0..60 {
        issuer.append(intent(number, 15));
        issuer.settle();
    }
    drop(audit);
    let audit = place.start();
    assert_eq!(place.issuer().head, 60);
    drop(audit);
    let report = place.verify();
    assert_eq!((report.faults, report.entries, report.files), (0, 60, 4));
    assert_eq!(place.entries().len(), 60);
    let kept = fs::read(place.file(Kind::Record, 2)).unwrap();
    fs::remove_file(place.file(Kind::Record, 2)).unwrap();
    assert!(place.verify().findings.iter().any(|finding| finding.fault == Fault::Header && finding.entry > 0));
    let at = frames_of(&kept, &place);
    fs::write(place.file(Kind::Record, 2), &kept[..at]).unwrap();
    assert!(place.verify().findings.iter().any(|finding| finding.file == Kind::Record.file(3)));
}

/// Where the last entry of a record file begins.
fn frames_of(octets: &[u8], place: &House) -> usize {
    let copy = place.root.path().join("copy");
    fs::write(&copy, octets).unwrap();
    let at = frames(&copy);
    at[at.len() - 2]
}

#[test]
fn intents_without_outcome_are_listed_and_an_outcome_without_intent_is_a_fault() {
    let place = House::new();
    let _audit = place.start();
    let mut issuer = place.issuer();
    issuer.append(intent(1, 0));
    issuer.append(intent(2, 0));
    issuer.append(outcome(2));
    issuer.settle();
    let report = place.verify();
    assert_eq!(report.faults, 0);
    assert_eq!(report.open_intents.iter().map(|open| open.token_id.as_str()).collect::<Vec<_>>(), ["_1"]);
    // Sent again after a restart is not without intent.
    issuer.append(outcome(2));
    issuer.append(outcome(3));
    issuer.settle();
    let report = place.verify();
    assert_eq!((report.faults, report.findings[0].fault), (1, Fault::OutcomeWithoutIntent));
    assert_eq!(report.findings[0].entry, 4);
}

#[test]
fn a_second_audit_on_the_same_directory_refuses() {
    let place = House::new();
    let mut first = place.start();
    assert_eq!(place.try_start().err().and_then(|status| status.code()), Some(1));
    assert!(first.ended().unwrap().is_none());
    first.end(Signal::SIGKILL);
    drop(place.start());
}

#[test]
fn a_sequence_that_does_not_go_on_ends_that_channel_alone() {
    let place = House::new();
    let _audit = place.start();
    let (mut liar, mut issuer) = (place.issuer(), place.issuer());
    liar.append(intent(1, 0));
    liar.settle();
    liar.sent += 1;
    liar.append(intent(2, 0));
    assert!(matches!(liar.receive(), Err(Closed::Gone)));
    issuer.append(intent(3, 0));
    issuer.settle();
    assert_eq!(place.entries().len(), 2);
}

#[test]
fn the_command_line_tells_a_sound_record_from_a_damaged_one_and_finds_entries() {
    use chancery::ctl::audit::{Args, run};
    use clap::Parser;
    use std::process::ExitCode;
    let place = written(2);
    let directory = place.directory();
    let status = |arguments: &[&str]| {
        let line = ["audit", "--directory", directory.to_str().unwrap()];
        run(Args::try_parse_from(line.iter().chain(arguments)).unwrap())
    };
    let is = |status: ExitCode, wanted: u8| assert_eq!(format!("{status:?}"), format!("{:?}", ExitCode::from(wanted)));
    is(status(&["verify"]), 0);
    is(status(&["verify", "--json"]), 0);
    is(status(&["verify", "--head", &format!("1:{}", "00".repeat(32))]), 1);
    is(status(&["tail", "-n", "1"]), 0);
    is(status(&["show", "_1"]), 0);
    is(status(&["show", "_1", "--json"]), 0);
    is(status(&["show", "_7"]), 1);
    let root = place.root.path().to_str().unwrap();
    is(run(Args::try_parse_from(["audit", "verify", "--config", root]).unwrap()), 0);
    is(run(Args::try_parse_from(["audit", "verify", "--directory", root]).unwrap()), 2);
    let path = place.file(Kind::Record, 1);
    let middle = frames(&path)[1] + 20;
    let octets = fs::read(&path).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[!octets[middle]], middle as u64).unwrap();
    is(status(&["verify"]), 1);
}

#[test]
fn a_follower_sees_what_is_appended_and_no_control_characters() {
    let place = written(1);
    let _audit = place.start();
    let mut follower = Command::new(env!("CARGO_BIN_EXE_chancery"))
        .args(["audit", "tail", "--follow", "-n", "1", "--directory"])
        .arg(place.directory())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains(" issuer outcome "));
    let mut auth = place.auth();
    auth.append(AuthEntry::Refusals {
        instant: Millis::now(),
        source: "2001:db8::1".parse().unwrap(),
        count: 3,
        reason: text("esc\u{9b}2J"),
        correlation: Correlation::random(),
    });
    auth.settle();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains(" auth refusals ") && line.contains("count=3"), "{line}");
    assert!(!line.contains('\u{9b}'), "{line}");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[cfg(feature = "failpoints")]
#[test]
fn an_entry_that_was_durable_but_not_acknowledged_may_be_sent_again() {
    let place = House::new();
    let marker = place.root.path().join("marker");
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-audit"));
    command.env("CHANCERY_FAILPOINT", format!("recorded,{}", marker.display()));
    let mut audit = place.start_with(&mut command).unwrap();
    let mut issuer = place.issuer();
    issuer.append(intent(1, 0));
    assert!(matches!(issuer.receive(), Err(Closed::Gone)));
    eventually("the failpoint", || audit.ended().unwrap());
    let _audit = place.start();
    let mut issuer = place.issuer();
    assert_eq!(issuer.head, 1);
    issuer.append(intent(1, 0));
    issuer.append(outcome(1));
    issuer.settle();
    let report = place.verify();
    assert_eq!((report.faults, report.entries), (0, 3));
    assert!(report.open_intents.is_empty());
}

/// Until the disk refuses: nothing that is acknowledged is missing, what is refused is not there, and after
/// `relieve` entries are taken again.
fn fills_up(place: &House, audit: Daemon, relieve: impl FnOnce()) {
    let mut issuer = place.issuer();
    let mut durable = 0;
    let refused = loop {
        let sequence = issuer.append(intent(issuer.sent, 1));
        match issuer.receive().unwrap() {
            FromAudit::Durable { sequence: acknowledged } => {
                assert_eq!(acknowledged, sequence);
                durable = acknowledged;
            }
            FromAudit::NotDurable { sequence: refused } => {
                assert_eq!(refused, sequence);
                break refused;
            }
            FromAudit::Head { .. } => panic!("a second head"),
        }
    };
    assert_eq!(refused, durable + 1);
    let again = issuer.append(intent(90_001, 1));
    assert!(matches!(issuer.receive().unwrap(), FromAudit::NotDurable { sequence } if sequence == again));
    let report = place.verify();
    assert_eq!((report.faults, report.entries), (0, durable));
    relieve();
    issuer.append(intent(90_002, 1));
    issuer.settle();
    audit.end(Signal::SIGKILL);
    drop(place.start());
    let report = place.verify();
    assert_eq!((report.faults, report.entries), (0, durable + 1));
    assert!(report.torn.is_empty());
    assert_eq!(place.entries().last().unwrap().leaf.public.token_id(), Some("_90002"));
}

#[test]
fn a_file_that_may_not_grow_stops_acknowledgements_until_it_may() {
    let place = House::new();
    let audit = place.start();
    let pid = audit.pid().to_string();
    let soft_limit = |octets: u32| run("prlimit", &["--pid", &pid, &format!("--fsize={octets}:")]);
    soft_limit(100_000);
    fills_up(&place, audit, || soft_limit(10_000_000));
}

#[test]
fn a_full_disk_stops_acknowledgements_until_there_is_room() {
    if !nix::unistd::geteuid().is_root() || unshare(CloneFlags::CLONE_NEWNS).is_err() {
        println!("SKIPPED record-full-disk: no mount namespace for us");
        return;
    }
    // The namespace is this thread's and its children's alone.
    run("mount", &["--make-rprivate", "/"]);
    let place = House::new();
    let directory = place.directory();
    fs::create_dir(&directory).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", directory.to_str().unwrap()]);
    let audit = place.start();
    fills_up(&place, audit, || run("mount", &["-o", "remount,size=4m", directory.to_str().unwrap()]));
    run("umount", &[directory.to_str().unwrap()]);
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
}

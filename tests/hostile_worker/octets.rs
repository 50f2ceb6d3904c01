//! What no honest worker's library would send: messages of other links, and octets that are no message.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use borsh::BorshSerialize;
use chancery::sys::channel::Duplex;
use chancery::sys::places::Place;
use chancery::wire::derivation::PartKey;
use chancery::wire::evidence::{
    KeyReference, Negotiated, Refusal, Refused, SignatureAlgorithm, SignedMessage, Vouched,
};
use chancery::wire::frame::{DATAGRAM, FRAGMENT, TOGETHER, VERSION, encode};
use chancery::wire::kerberos::{AcceptedTicket, NotAccepted, Presented};
use chancery::wire::links::{
    AuthToAudit, AuthToIssuer, AuthToKerberos, AuthToWorker, FailureClass, FromAudit, IssuerToAudit, IssuerToAuth,
    IssuerToSigner, IssuerToWorker, KerberosToAuth, Mechanism, Scheme, SignedHandshake, SignerReady, SignerToIssuer,
    WorkerToAuth, WorkerToIssuer,
};
use chancery::wire::order::{
    Authentication, Confirmation, Failure, Method, NameFormat, Order, Redemption, Release, RequestIntegrity, Subject,
    TokenType, Voucher,
};
use chancery::wire::permit::{Link, PERMITS, Permit, State};
use chancery::wire::record::{AuthEntry, IssuerEntry, Outcome, OutcomeResult};
use chancery::wire::reply::{
    Conversation, Covered, ReplyPart, Seal, SealFor, SealedFor, SealedReply, SignedReply, ToSign,
};
use chancery::wire::unwrap::{
    KeyTransport, NotUnwrapped, Open, OpenSigned, Opened, PartCipher, Recipient, SealedPart, SessionKey, Unwrap,
};
use chancery::wire::{Correlation, KeyId, List, Millis, Octets, Peer as Pid, Secret, Text, VoucherId};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};

use super::PATIENCE;
use super::handshakes::{handshake, hash};
use super::peer::Peer;
use super::stack::{Stack, Verdict, must};
use super::vouchers::{random_redemption, random_voucher};

/// Rows of the permit table for a place.
fn rows(place: Place) -> impl Iterator<Item = &'static Permit> {
    PERMITS.iter().filter(move |permit| permit.link == link_to(place))
}

/// The direction that comes in there.
fn link_to(place: Place) -> Link {
    match place {
        Place::AuthWorker => Link::WorkerToAuth,
        Place::IssuerWorker => Link::WorkerToIssuer,
        Place::IssuerAuth => Link::AuthToIssuer,
        Place::IssuerSigner => Link::SignerToIssuer,
        Place::AuditIssuer => Link::IssuerToAudit,
        Place::AuditAuth => Link::AuthToAudit,
        Place::KerberosAuth => Link::AuthToKerberos,
        Place::Metrics => panic!("no channel"),
    }
}

/// Every row but `submit`, `open`, `seal`, `seal-for` and `open-signed`.
pub(super) const FOREIGN_TO_AUTH: u64 = PERMITS.len() as u64 - 5;
/// Every row but `redeem`, `sign-reply` and the two of handshakes; and `vouched`, whose octets are those of a
/// redemption.
pub(super) const FOREIGN_TO_ISSUER: u64 = PERMITS.len() as u64 - 5;
/// What [`malformed`] sends.
pub(super) const MALFORMED: u64 = 22;
/// What [`bad_texts`] sends.
pub(super) const BAD_TEXTS: u64 = 5;

type Datagrams = Vec<Vec<u8>>;

/// An order for alice within every ceiling of that relying party.
pub(super) fn order(party: &str) -> Order {
    let now = Millis::now();
    Order {
        correlation: Correlation::random(),
        relying_party: Text::new(party).unwrap(),
        token_type: TokenType::Saml20,
        subject: Subject {
            account: Text::new("alice").unwrap(),
            name: Text::new("alice@example.com").unwrap(),
            format: NameFormat::EmailAddress,
        },
        claims: List::default(),
        confirmation: Confirmation::Bearer,
        not_before: None,
        latest_expiry: now.plus(600_000),
        authentication: Authentication { method: Method::Password, instant: now },
        request: RequestIntegrity::Transport,
    }
}

/// One message for each row of the permit table, as its honest sender would put it.
fn every_message(stack: &Stack) -> Vec<(Link, u8, Datagrams)> {
    fn add(all: &mut Vec<(Link, u8, Datagrams)>, link: Link, message: &impl BorshSerialize) {
        let datagrams = encode(message);
        let tag = datagrams[0][if datagrams.len() == 1 { TAG } else { 2 }];
        all.push((link, tag, datagrams));
    }
    let correlation = Correlation::random();
    let voucher = VoucherId::random();
    let key = KeyId::new([0xA5, 0x01]).unwrap();
    let failure = Failure::NoSuchVoucher;
    let signature = || Octets::new([7; 256]).unwrap();
    let token_id = || Text::new("_1").unwrap();
    let now = Millis::now();
    let order = Order { correlation, ..order("generic") };
    let outcome = Outcome { instant: now, correlation, token_id: token_id(), result: OutcomeResult::NotSigned };
    let refusals = AuthEntry::Refusals {
        instant: now,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        count: 1,
        reason: Text::new("unknown-user").unwrap(),
        correlation,
    };
    let release = Release {
        correlation,
        token: Octets::new([b'<'; 64]).unwrap(),
        token_type: TokenType::Saml20,
        token_id: token_id(),
        created: now,
        expires: now,
    };
    let mut all = Vec::new();
    let to = &mut all;
    add(to, Link::WorkerToAuth, &WorkerToAuth::Submit(stack.submission()));
    let part = || SealedPart {
        key: PartKey::Session,
        wrapped: Some(Octets::new([7; 40]).unwrap()),
        cipher: PartCipher::Aes256Gcm,
        octets: Octets::new([7; 64]).unwrap(),
    };
    let open = Open {
        correlation,
        endpoint: Text::new("/sts").unwrap(),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        recipient: Recipient::Thumbprint([7; 20]),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new([7; 256]).unwrap(),
        parts: List::new(vec![part()]).unwrap(),
    };
    add(to, Link::WorkerToAuth, &WorkerToAuth::Open(open));
    let signed_info = Octets::new([7; 64]).unwrap();
    let message = SignedMessage {
        key: KeyReference::Thumbprint([7; 20]),
        algorithm: SignatureAlgorithm::RsaSha256,
        signed_info,
        value: Octets::new([7; 256]).unwrap(),
        parts: List::default(),
        addressing: List::default(),
        named: None,
    };
    let open = OpenSigned {
        correlation,
        endpoint: Text::new("/sts").unwrap(),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        recipient: Recipient::Thumbprint([7; 20]),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new([7; 256]).unwrap(),
        message,
    };
    add(to, Link::WorkerToAuth, &WorkerToAuth::OpenSigned(open));
    let opened = Opened { correlation, parts: List::new(vec![Secret::new([7; 32]).unwrap()]).unwrap() };
    add(to, Link::AuthToWorker, &AuthToWorker::Opened(opened));
    let seal = Seal {
        correlation,
        parts: List::new(vec![Covered { part: ReplyPart::Timestamp, digest: [7; 32] }]).unwrap(),
        conversation: Conversation::V13,
        contents: List::default(),
        signature: false,
    };
    add(to, Link::WorkerToAuth, &WorkerToAuth::Seal(seal));
    let sealed = SealedReply {
        correlation,
        signature: Octets::new([7; 64]).unwrap(),
        contents: List::default(),
        cipher: None,
        mac_key: None,
        sealing_key: None,
    };
    add(to, Link::AuthToWorker, &AuthToWorker::Sealed(sealed));
    let (transport, cipher) = (KeyTransport::OaepSha1, PartCipher::Aes256Gcm);
    let asked = SealFor { correlation, transport, cipher, contents: List::default() };
    add(to, Link::WorkerToAuth, &WorkerToAuth::SealFor(asked));
    let (unreadable, contents) = (Octets::new([7; 256]).unwrap(), List::default());
    let sealed = SealedFor { correlation, thumbprint: [7; 20], key: unreadable, contents };
    add(to, Link::AuthToWorker, &AuthToWorker::SealedFor(sealed));
    add(to, Link::AuthToWorker, &AuthToWorker::Vouched(Vouched { correlation, voucher }));
    let (vouched, answer) = (Vouched { correlation, voucher }, Octets::new([7; 64]).unwrap());
    add(to, Link::AuthToWorker, &AuthToWorker::Negotiated(Negotiated { vouched, answer }));
    let (request, bindings) = (Octets::new([7; 64]).unwrap(), Octets::new([7; 53]).unwrap());
    add(
        to,
        Link::AuthToKerberos,
        &AuthToKerberos::Accept(Presented { question: 1, request, bindings, bare: false, keyed: false }),
    );
    let ticket = AcceptedTicket {
        name: Text::new("alice").unwrap(),
        realm: Text::new("EXAMPLE.COM").unwrap(),
        authenticated: now,
        expires: now,
        bound: true,
        reply: None,
        key: None,
    };
    add(to, Link::KerberosToAuth, &KerberosToAuth::Accepted { question: 1, ticket });
    let why = NotAccepted::Refused;
    add(to, Link::KerberosToAuth, &KerberosToAuth::NotAccepted { question: 1, why, said: Text::default() });
    let refusal = Refusal::BadRequest;
    add(to, Link::AuthToWorker, &AuthToWorker::Refused(Refused { correlation, refusal }));
    add(to, Link::WorkerToIssuer, &WorkerToIssuer::Redeem(Redemption { voucher, correlation }));
    add(to, Link::WorkerToIssuer, &handshake(stack.server(), Scheme::EcdsaP256Sha256, hash(32)));
    let WorkerToIssuer::Handshake(remembered) = handshake(stack.server(), Scheme::EcdsaP256Sha256, hash(32)) else {
        panic!("a handshake")
    };
    add(to, Link::WorkerToIssuer, &WorkerToIssuer::RememberedHandshake(remembered));
    add(to, Link::IssuerToWorker, &IssuerToWorker::Released(release));
    add(to, Link::IssuerToWorker, &IssuerToWorker::Failed { correlation, failure });
    add(to, Link::IssuerToWorker, &IssuerToWorker::HandshakeSigned { serial: 1, signature: signature() });
    add(to, Link::IssuerToWorker, &IssuerToWorker::HandshakeFailed { serial: 1 });
    add(to, Link::WorkerToIssuer, &WorkerToIssuer::SignReply(ToSign { correlation, parts: List::default() }));
    let (certificate, signature_of_it) = (Octets::new([7; 64]).unwrap(), Octets::new([7; 64]).unwrap());
    let signed = SignedReply { correlation, certificate, signature: signature_of_it };
    add(to, Link::IssuerToWorker, &IssuerToWorker::ReplySigned(signed));
    add(to, Link::IssuerToWorker, &IssuerToWorker::ReplyFailed { correlation, failure });
    let worker = Pid(i32::try_from(std::process::id()).unwrap());
    add(to, Link::AuthToIssuer, &AuthToIssuer::Lodge(Voucher { id: voucher, worker, order, signed_reply: false }));
    add(to, Link::AuthToIssuer, &AuthToIssuer::Withdraw(voucher));
    let handshake = SignedHandshake { certificate: stack.server(), transcript: hash(32), signature: signature() };
    add(to, Link::AuthToIssuer, &AuthToIssuer::Confirm { question: 1, worker, handshake });
    add(to, Link::IssuerToAuth, &IssuerToAuth::Confirmed { question: 1, left_ms: Some(1) });
    let (transport, sealed) = (KeyTransport::OaepSha1, || Octets::new([7; 256]).unwrap());
    let recipient = Recipient::Thumbprint([7; 20]);
    add(
        to,
        Link::AuthToIssuer,
        &AuthToIssuer::Unwrap(Unwrap { serial: 1, worker, proven: false, recipient, transport, sealed: sealed() }),
    );
    let session = || SessionKey::new(vec![7; 32]).unwrap();
    add(to, Link::IssuerToAuth, &IssuerToAuth::Unwrapped { serial: 1, key: session() });
    add(to, Link::IssuerToAuth, &IssuerToAuth::NotUnwrapped { serial: 1, why: NotUnwrapped::Unopened });
    add(to, Link::IssuerToAuth, &IssuerToAuth::Lodged(voucher));
    add(to, Link::IssuerToAuth, &IssuerToAuth::Declined { voucher, failure });
    add(to, Link::IssuerToAuth, &IssuerToAuth::Redeemed(voucher));
    let digest = Octets::new([7; 32]).unwrap();
    let mechanism = Mechanism::RsaPkcs1Sha256;
    let wanted = key.clone();
    add(to, Link::IssuerToSigner, &IssuerToSigner::Sign { id: 1, key, mechanism, digest });
    add(to, Link::IssuerToSigner, &IssuerToSigner::Unwrap { id: 1, key: wanted, transport, sealed: sealed() });
    add(to, Link::SignerToIssuer, &SignerToIssuer::Unwrapped { id: 1, session: session() });
    add(to, Link::SignerToIssuer, &SignerToIssuer::UnwrapFailed { id: 1, class: FailureClass::Token });
    add(to, Link::IssuerToSigner, &IssuerToSigner::Draw { id: 1, length: 32 });
    add(to, Link::SignerToIssuer, &ready());
    add(to, Link::SignerToIssuer, &SignerToIssuer::Signed { id: 1, signature: signature() });
    add(to, Link::SignerToIssuer, &SignerToIssuer::SignFailed { id: 1, class: FailureClass::Token, rv: 5 });
    add(to, Link::SignerToIssuer, &SignerToIssuer::Drawn { id: 1, octets: Octets::new([7; 32]).unwrap() });
    add(to, Link::SignerToIssuer, &SignerToIssuer::Health { usable: false });
    add(to, Link::IssuerToAudit, &IssuerToAudit::Append { sequence: 1, entry: IssuerEntry::Outcome(outcome) });
    add(to, Link::AuthToAudit, &AuthToAudit::Append { sequence: 1, entry: refusals });
    for link in [Link::AuditToIssuer, Link::AuditToAuth] {
        add(to, link, &FromAudit::Head { entries: 1, last: None });
        add(to, link, &FromAudit::Durable { sequence: 1 });
        add(to, link, &FromAudit::NotDurable { sequence: 1 });
    }
    let row = |permit: &Permit| all.iter().filter(|(link, tag, _)| (*link, *tag) == (permit.link, permit.tag)).count();
    let missing: Vec<_> = PERMITS.iter().filter(|permit| row(permit) != 1).collect();
    assert!(missing.is_empty(), "no message for {missing:?}");
    all
}

/// Sends these datagrams on a channel of their own and is hung up on without an answer.
pub(super) fn thrown(stack: &Stack, place: Place, datagrams: &[Vec<u8>]) -> Verdict {
    let channel = stack.channel(place);
    for datagram in datagrams {
        loop {
            match send(channel.as_raw_fd(), datagram, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(1)),
                // It need not be read to its end.
                Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => break,
                Err(errno) => return Err(errno.to_string()),
            }
        }
    }
    match place {
        Place::AuthWorker => Peer::<AuthToWorker, WorkerToAuth>(Duplex::new(channel, Link::AuthToWorker)).hung_up_on(),
        Place::IssuerAuth => Peer::<IssuerToAuth, AuthToIssuer>(Duplex::new(channel, Link::IssuerToAuth)).hung_up_on(),
        Place::IssuerSigner => {
            Peer::<IssuerToSigner, SignerToIssuer>(Duplex::new(channel, Link::IssuerToSigner)).hung_up_on()
        }
        Place::AuditIssuer | Place::AuditAuth => {
            // Said to everybody who comes, before he has said anything.
            let mut audit = Peer::<FromAudit, IssuerToAudit>(Duplex::new(channel, Link::AuditToIssuer));
            let head = audit.answer()?;
            must(matches!(head, FromAudit::Head { .. }), format!("greeted with {head:?}"))?;
            audit.hung_up_on()
        }
        _ => Peer::<IssuerToWorker, WorkerToIssuer>(Duplex::new(channel, Link::IssuerToWorker)).hung_up_on(),
    }
}

/// Every row of every other link, at a place that is no worker's.
pub(super) fn foreign(stack: &Stack, place: Place) -> Verdict {
    for (link, tag, datagrams) in every_message(stack) {
        if link != link_to(place) {
            thrown(stack, place, &datagrams).map_err(|why| format!("{link:?} {tag}: {why}"))?;
        }
    }
    Ok(())
}

/// How many those are.
pub(super) const fn foreign_rows(own: usize) -> u64 {
    (PERMITS.len() - own) as u64
}

/// A message of `size` octets that begins with `tag`.
fn sized(tag: u8, size: usize) -> Datagrams {
    let mut octets = vec![0; size];
    octets[0] = tag;
    if size <= FRAGMENT {
        return vec![[&[VERSION, 0], u32::try_from(size).unwrap().to_le_bytes().as_slice(), &octets].concat()];
    }
    let last = size.div_ceil(FRAGMENT) - 1;
    let datagram =
        |(index, fragment): (usize, &[u8])| [&[VERSION, if index < last { 1 } else { 2 }], fragment].concat();
    octets.chunks(FRAGMENT).enumerate().map(datagram).collect()
}

/// Each row of that place one octet above its cap, in a state that permits it: the cap is what it breaks.
pub(super) fn above_caps(stack: &Stack, place: Place) -> Verdict {
    for permit in rows(place) {
        let before = stack.said("message larger than its cap");
        let opening = if permit.states.contains(&State::Opening) { Vec::new() } else { encode(&ready()) };
        let datagrams = [opening, sized(permit.tag, permit.cap + 1)].concat();
        thrown(stack, place, &datagrams).map_err(|why| format!("{}: {why}", permit.name))?;
        stack.says("message larger than its cap", before + 1)?;
    }
    Ok(())
}

/// A signer that has no key.
pub(super) fn ready() -> SignerToIssuer {
    SignerToIssuer::Ready(SignerReady {
        token_serial: Text::new("0").unwrap(),
        token_label: Text::new("mine").unwrap(),
        sessions: 2,
        keys: List::default(),
    })
}

pub(super) fn foreign_to_auth(stack: &Stack) -> Verdict {
    for (link, tag, datagrams) in every_message(stack) {
        if link != Link::WorkerToAuth {
            thrown(stack, Place::AuthWorker, &datagrams).map_err(|why| format!("{link:?} {tag}: {why}"))?;
        }
    }
    Ok(())
}

pub(super) fn foreign_to_issuer(stack: &Stack) -> Verdict {
    for (link, tag, datagrams) in every_message(stack) {
        match (link, tag) {
            (Link::WorkerToIssuer, _) => {}
            // Two ids, as in a redemption: it is one, of a voucher that nobody lodged.
            (Link::AuthToWorker, 0) => random_voucher(stack)?,
            _ => thrown(stack, Place::IssuerWorker, &datagrams).map_err(|why| format!("{link:?} {tag}: {why}"))?,
        }
    }
    Ok(())
}

/// Where the first message of a datagram begins.
const TAG: usize = 6;

/// Adds to the one message of a datagram, or has its length be what it is.
pub(super) fn lengthen(datagram: &mut Vec<u8>, by: &[u8]) {
    datagram.extend_from_slice(by);
    let length = u32::try_from(datagram.len() - TAG).unwrap();
    datagram[2..TAG].copy_from_slice(&length.to_le_bytes());
}

fn shorten(datagram: &mut Vec<u8>) {
    datagram.pop();
    lengthen(datagram, &[]);
}

/// Around `good`, a message that would be served.
pub(super) fn malformed(stack: &Stack, place: Place, good: Vec<u8>, cap: usize) -> Verdict {
    let with = |change: fn(&mut Vec<u8>)| {
        let mut datagram = good.clone();
        change(&mut datagram);
        vec![datagram]
    };
    let cases: [(&str, Datagrams); MALFORMED as usize] = [
        ("one octet", vec![vec![VERSION]]),
        ("version 0", with(|datagram| datagram[0] = 0)),
        ("the version before", with(|datagram| datagram[0] = VERSION - 1)),
        ("the version after", with(|datagram| datagram[0] = VERSION + 1)),
        ("a payload that is none", with(|datagram| datagram[1] = 3)),
        ("another", with(|datagram| datagram[1] = 0xFF)),
        ("nothing behind the header", vec![vec![VERSION, 0]]),
        ("a short fragment with more to come", with(|datagram| datagram[1] = 1)),
        ("a last fragment of nothing", with(|datagram| datagram[1] = 2)),
        ("a tag that is none", with(|datagram| datagram[TAG] = 0x7F)),
        ("the last tag", with(|datagram| datagram[TAG] = 0xFF)),
        ("an octet behind the message", with(|datagram| datagram.push(0))),
        ("an octet too many", with(|datagram| lengthen(datagram, &[0]))),
        ("an octet too few", with(shorten)),
        ("a message shorter than it says", with(|datagram| _ = datagram.pop())),
        ("a message of no octets", with(|datagram| datagram.extend([0; 4]))),
        ("one that is good and one that is none", with(|datagram| datagram.extend([1, 0, 0, 0, 0xFF]))),
        ("one that is none and one that is good", with(|datagram| _ = datagram.splice(2..2, [1, 0, 0, 0, 0xFF]))),
        ("more than go together", vec![[&good[..2], &good[2..].repeat(TOGETHER + 1)].concat()]),
        (
            "a message between fragments",
            vec![[&[VERSION, 1][..], &sized(0, FRAGMENT)[0][TAG..]].concat(), good.clone()],
        ),
        ("a datagram too long", vec![vec![VERSION; DATAGRAM + 1]]),
        ("one octet above the cap", sized(0, cap + 1)),
    ];
    for (name, datagrams) in cases {
        thrown(stack, place, &datagrams).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

pub(super) fn malformed_to_auth(stack: &Stack) -> Verdict {
    let good = encode(&WorkerToAuth::Submit(stack.submission())).remove(0);
    malformed(stack, Place::AuthWorker, good, 1024 * 1024)
}

pub(super) fn malformed_to_issuer(stack: &Stack) -> Verdict {
    let good = encode(&WorkerToIssuer::Redeem(random_redemption())).remove(0);
    malformed(stack, Place::IssuerWorker, good, 1024)
}

/// alice's password under names that no text may be, five octets each.
pub(super) fn bad_texts(stack: &Stack) -> Verdict {
    let good = encode(&WorkerToAuth::Submit(stack.submission())).remove(0);
    let at = good.windows(5).position(|window| window == b"alice").ok_or("no name")?;
    let names: [&[u8; 5]; BAD_TEXTS as usize] =
        [b"ali\0e", b"ali\x08e", b"ali\xFFe", b"a\xEF\xBF\xBEe", b"a\xED\xA0\x80e"];
    for name in names {
        let mut datagram = good.clone();
        datagram[at..at + 5].copy_from_slice(name);
        thrown(stack, Place::AuthWorker, &[datagram]).map_err(|why| format!("{name:?}: {why}"))?;
    }
    Ok(())
}

/// Fragments for as long as somebody takes them.
pub(super) fn endless(stack: &Stack) -> Verdict {
    let channel = stack.channel(Place::AuthWorker);
    let mut fragment = vec![0; FRAGMENT + 2];
    fragment[..2].copy_from_slice(&[VERSION, 1]);
    let begun = Instant::now();
    let mut taken = 0;
    while begun.elapsed() < PATIENCE {
        match send(channel.as_raw_fd(), &fragment, MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => taken += 1,
            Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(1)),
            // 1 MiB is sixteen; what the socket's buffer holds comes on top.
            Err(Errno::EPIPE | Errno::ECONNRESET) => return must(taken < 64, format!("{taken} fragments taken")),
            Err(errno) => return Err(errno.to_string()),
        }
    }
    Err(format!("still listening after {taken} fragments"))
}

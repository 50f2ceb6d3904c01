//! Octets as what one process sends another: the first chooses the link, then datagrams with their length before them.
//! What is taken is written by us exactly so: a message has one encoding.

use std::collections::VecDeque;

use borsh::{BorshDeserialize, BorshSerialize};
use chancery::wire::evidence::{Evidence, Operation, Refusal, Refused, Submission, Wish};
use chancery::wire::frame::{Assembler, encode, fitting, join};
use chancery::wire::kerberos::{NotAccepted, Presented};
use chancery::wire::links::{
    AuthToAudit, AuthToIssuer, AuthToKerberos, AuthToWorker, FailureClass, FromAudit, Handshake, IssuerToAudit,
    IssuerToAuth, IssuerToSigner, IssuerToWorker, KerberosToAuth, Scheme, SignerToIssuer, Transcript, WorkerToAuth,
    WorkerToIssuer,
};
use chancery::wire::order::{Failure, Redemption, Release, TokenType};
use chancery::wire::permit::Link;
use chancery::wire::{Correlation, List, Millis, Octets, Secret, Text, VoucherId};

/// Datagrams over a link.
pub fn frames(octets: &[u8]) {
    let Some((link, rest)) = octets.split_first() else { return };
    match link % 14 {
        0 => over::<WorkerToAuth>(Link::WorkerToAuth, rest),
        1 => over::<AuthToWorker>(Link::AuthToWorker, rest),
        2 => over::<WorkerToIssuer>(Link::WorkerToIssuer, rest),
        3 => over::<IssuerToWorker>(Link::IssuerToWorker, rest),
        4 => over::<AuthToIssuer>(Link::AuthToIssuer, rest),
        5 => over::<IssuerToAuth>(Link::IssuerToAuth, rest),
        6 => over::<IssuerToSigner>(Link::IssuerToSigner, rest),
        7 => over::<SignerToIssuer>(Link::SignerToIssuer, rest),
        8 => over::<IssuerToAudit>(Link::IssuerToAudit, rest),
        9 => over::<FromAudit>(Link::AuditToIssuer, rest),
        10 => over::<AuthToAudit>(Link::AuthToAudit, rest),
        11 => over::<FromAudit>(Link::AuditToAuth, rest),
        12 => over::<AuthToKerberos>(Link::AuthToKerberos, rest),
        _ => over::<KerberosToAuth>(Link::KerberosToAuth, rest),
    }
}

fn over<M: BorshDeserialize + BorshSerialize>(link: Link, mut octets: &[u8]) {
    let mut assembler = Assembler::new(link);
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    let mut messages: VecDeque<M> = VecDeque::new();
    while let Some((length, rest)) = octets.split_at_checked(2) {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        octets = rest;
        datagrams.push(datagram.to_vec());
        if assembler.accept::<M>(datagram, &mut messages).is_err() {
            return;
        }
        if messages.is_empty() {
            continue;
        }
        let encoded: VecDeque<Vec<u8>> = messages.drain(..).flat_map(|message| encode(&message)).collect();
        if encoded.iter().ne(&datagrams) {
            assert_eq!(fitting(&encoded), encoded.len(), "what came together goes together");
            assert_eq!([join(&encoded, encoded.len())], *datagrams, "a message has one encoding");
        }
        datagrams.clear();
    }
}

/// Where to begin: a good message for most links. They are made and not kept, for their encoding follows their types.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let correlation = Correlation([7; 16]);
    let text = |text: &str| Text::new(text).expect("short");
    let wish = Wish {
        operation: Operation::Issue,
        applies_to: Some(Text::new("urn:rp").expect("short")),
        token_type: Some(TokenType::Saml20),
        key_type: None,
        key_size: None,
        use_key: None,
        claims: List::default(),
        lifetime: None,
    };
    let password = Evidence::Password { username: text("alice"), password: Secret::new(b"secret").expect("short") };
    let submission = Submission {
        correlation,
        endpoint: Text::new("/sts").expect("short"),
        source: std::net::Ipv4Addr::LOCALHOST.into(),
        timestamp: None,
        evidence: password,
        wish,
    };
    let handshake = |transcript| {
        let handshake = Handshake { serial: 1, certificate: [1; 32], scheme: Scheme::EcdsaP256Sha256, transcript };
        seed(2, &WorkerToIssuer::Handshake(handshake))
    };
    let release = Release {
        correlation,
        token: Octets::new(*b"<a></a>").expect("short"),
        token_type: TokenType::Saml20,
        token_id: Text::new("_1").expect("short"),
        created: Millis(0),
        expires: Millis(1),
    };
    let octets = Octets::new(*b"request").expect("short");
    let presented = Presented { question: 1, request: octets, bindings: Octets::default(), bare: false, keyed: true };
    vec![
        seed(0, &WorkerToAuth::Submit(submission)),
        seed(1, &AuthToWorker::Refused(Refused { correlation, refusal: Refusal::Busy { retry_after_s: 2 } })),
        seed(2, &WorkerToIssuer::Redeem(Redemption { voucher: VoucherId([1; 16]), correlation })),
        handshake(Transcript::Tls13 { hash: Octets::new(vec![1; 32]).expect("fits") }),
        handshake(Transcript::Tls12 {
            client_random: [1; 32],
            server_random: [2; 32],
            curve: 23,
            point: Octets::new(vec![4; 65]).expect("fits"),
        }),
        seed(3, &IssuerToWorker::Released(release)),
        seed(3, &IssuerToWorker::HandshakeSigned { serial: 1, signature: Octets::new(vec![1; 64]).expect("fits") }),
        seed(4, &AuthToIssuer::Withdraw(VoucherId([1; 16]))),
        seed(5, &IssuerToAuth::Declined { voucher: VoucherId([1; 16]), failure: Failure::AboveCeiling }),
        seed(6, &IssuerToSigner::Draw { id: 1, length: 32 }),
        seed(7, &SignerToIssuer::Health { usable: true }),
        seed(7, &SignerToIssuer::SignFailed { id: 1, class: FailureClass::Token, rv: 5 }),
        seed(9, &FromAudit::Head { entries: 1, last: Some(Millis(1)) }),
        seed(11, &FromAudit::Durable { sequence: 1 }),
        seed(12, &AuthToKerberos::Accept(presented)),
        seed(13, &KerberosToAuth::NotAccepted { question: 1, why: NotAccepted::Replayed, said: Text::default() }),
        // Of which there are no short ones: one octet of each.
        vec![8, 7, 0, 2, 0, 1, 0, 0, 0, 0],
        vec![10, 7, 0, 2, 0, 1, 0, 0, 0, 0],
        together(11, &[FromAudit::Head { entries: 1, last: None }, FromAudit::Durable { sequence: 1 }]),
    ]
}

fn together(link: u8, messages: &[impl BorshSerialize]) -> Vec<u8> {
    let datagrams: VecDeque<Vec<u8>> = messages.iter().flat_map(encode).collect();
    let joined = join(&datagrams, datagrams.len());
    let length = u16::try_from(joined.len()).expect("seeds are short").to_le_bytes();
    [&[link], length.as_slice(), &joined].concat()
}

fn seed(link: u8, message: &impl BorshSerialize) -> Vec<u8> {
    let mut octets = vec![link];
    for datagram in encode(message) {
        octets.extend(u16::try_from(datagram.len()).expect("seeds are short").to_le_bytes());
        octets.extend(datagram);
    }
    octets
}

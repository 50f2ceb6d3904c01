//! A worker that was taken over, against the real auth, issuer, audit, signers and token. This program has
//! what the hijacker has, the worker's two sockets, and tries what he would: one case for each clause of what
//! he cannot do. A case passes when nothing was signed, nothing was recorded as issued, every breach of the
//! protocol was counted and answered with silence, and an honest worker is served afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::sys::channel::{Channel, Closed, Duplex};
use chancery::sys::places::Place;
use chancery::wire::evidence::{ClaimWish, Evidence, KeyType, Lifetime, Operation, Refusal, Submission, Wish};
use chancery::wire::links::{
    AuthToWorker, Handshake, IssuerToWorker, Scheme, Transcript, WorkerToAuth, WorkerToIssuer,
};
use chancery::wire::order::{Failure, Redemption, Release};
use chancery::wire::permit::Link;
use chancery::wire::{Correlation, List, Millis, Octets, Secret, Text, VoucherId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[path = "demo/service.rs"]
mod demo;
#[path = "support/faulty.rs"]
mod faulty;
#[path = "hostile/octets.rs"]
mod octets;

use demo::Demo;

/// How long an answer may take, or a hang-up.
const PATIENCE: Duration = Duration::from_secs(20);
const ENDPOINT: &str = "/adfs/services/trust/13/usernamemixed";
const PARTY: &str = "https://rp.example.com/";
/// A relying party that policy gives nobody tokens for.
const FORBIDDEN: &str = "https://forbidden.example.com/";
const TO_AUTH: (&str, &str) = ("auth", "worker-to-auth");
const TO_ISSUER: (&str, &str) = ("issuer", "worker-to-issuer");

type Verdict = Result<(), String>;

/// Fails a case unless this is so.
fn must(so: bool, what: impl Into<String>) -> Verdict {
    if so { Ok(()) } else { Err(what.into()) }
}

/// What a case has to leave behind.
#[derive(Clone, Copy)]
enum Leaves {
    /// Tokens issued, and as many signatures and intents.
    Tokens(u64),
    /// What one real client meanwhile was given: a handshake and a token.
    Client,
    /// A token, and then a breach towards issuer.
    TokenThenBreach,
    /// A signature of a handshake and no intent.
    Handshakes(u64),
    /// Nothing but refusals.
    Nothing,
    /// So many breaches of the protocol, counted by that process on that link.
    Violations((&'static str, &'static str), u64),
}

/// What may not change, and what must.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    signatures: u64,
    intents: usize,
    to_auth: u64,
    to_issuer: u64,
}

/// The service under attack.
struct Stack {
    directory: PathBuf,
    demo: Demo,
    password: String,
}

impl Stack {
    fn start(directory: &Path) -> Self {
        faulty::prepare(directory);
        for folder in ["auth.d", "issuer.d"] {
            let generic = directory.join("demo/etc").join(folder).join("relying-parties/generic.toml");
            let text = std::fs::read_to_string(&generic).unwrap().replace(PARTY, FORBIDDEN);
            std::fs::write(generic.with_file_name("forbidden.toml"), text.replace("permit(", "forbid(")).unwrap();
        }
        let demo = faulty::start(directory, |_| {});
        let password = std::fs::read_to_string(demo.fact("password_file")).unwrap().trim().to_owned();
        let stack = Self { directory: directory.to_owned(), demo, password };
        // The supervisor asks for a token of its own once all is ready.
        let mut last = stack.traces();
        loop {
            std::thread::sleep(Duration::from_secs(2));
            let now = stack.traces();
            if now == last && now.intents > 0 {
                return stack;
            }
            last = now;
        }
    }

    fn place(&self, place: Place) -> PathBuf {
        Path::new(self.demo.fact("runtime")).join(place.file())
    }

    fn channel(&self, place: Place) -> Channel {
        Channel::connect(&self.place(place)).unwrap()
    }

    /// The worker's channel to auth.
    fn auth(&self) -> Peer<AuthToWorker, WorkerToAuth> {
        Peer(Duplex::new(self.channel(Place::AuthWorker), Link::AuthToWorker))
    }

    /// The worker's channel to issuer.
    fn issuer(&self) -> Peer<IssuerToWorker, WorkerToIssuer> {
        Peer(Duplex::new(self.channel(Place::IssuerWorker), Link::IssuerToWorker))
    }

    /// alice's password, honestly.
    fn submission(&self) -> Submission {
        self.submission_of("alice", &self.password)
    }

    fn submission_of(&self, username: &str, password: &str) -> Submission {
        Submission {
            correlation: Correlation::random(),
            endpoint: Text::new(ENDPOINT).unwrap(),
            source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
            timestamp: None,
            evidence: Evidence::Password {
                username: Text::new(username).unwrap(),
                password: Secret::new(password).unwrap(),
            },
            wish: Wish {
                operation: Operation::Issue,
                applies_to: Some(Text::new(PARTY).unwrap()),
                token_type: None,
                key_type: None,
                key_size: None,
                claims: List::default(),
                lifetime: None,
            },
        }
    }

    /// A voucher, honestly come by, not redeemed.
    fn voucher(&self, auth: &mut Peer<AuthToWorker, WorkerToAuth>) -> Result<Redemption, String> {
        let submission = self.submission();
        let correlation = submission.correlation;
        auth.send(WorkerToAuth::Submit(submission))?;
        match auth.answer()? {
            AuthToWorker::Vouched(vouched) if vouched.correlation == correlation => {
                Ok(Redemption { voucher: vouched.voucher, correlation })
            }
            other => Err(format!("no voucher: {other:?}")),
        }
    }

    fn traces(&self) -> Traces {
        let entries = Entries::open(Path::new(self.demo.fact("record")));
        let intents = entries.filter(|entry| matches!(entry.as_ref().unwrap().leaf.public, Public::Intent(_))).count();
        Traces {
            signatures: faulty::calls(&self.directory, "C_Sign"),
            intents,
            to_auth: self.violations(TO_AUTH),
            to_issuer: self.violations(TO_ISSUER),
        }
    }

    fn violations(&self, (process, link): (&str, &str)) -> u64 {
        let address = self.demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let mut of_link = page.lines().filter(|line| {
            line.starts_with("chancery_violations_total{")
                && line.contains(&format!("process=\"{process}\""))
                && line.contains(&format!("link=\"{link}\""))
        });
        let line = of_link.next().unwrap_or_else(|| panic!("no counter of {process}, {link} in\n{page}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap().round() as u64
    }

    /// Does a real worker get a token for a real client?
    fn honest(&self) -> Output {
        self.demo.request("/sts", &["--applies-to", PARTY])
    }

    /// Runs one case and looks at what it left behind.
    fn tried(&self, leaves: Leaves, attack: fn(&Self) -> Verdict) -> Verdict {
        let before = self.traces();
        attack(self)?;
        let mut expected = before;
        match leaves {
            Leaves::Tokens(count) => {
                expected.signatures += count;
                expected.intents += count as usize;
            }
            Leaves::Client => {
                expected.signatures += 2;
                expected.intents += 1;
            }
            Leaves::TokenThenBreach => {
                expected.signatures += 1;
                expected.intents += 1;
                expected.to_issuer += 1;
            }
            Leaves::Handshakes(count) => expected.signatures += count,
            Leaves::Nothing => {}
            Leaves::Violations(TO_AUTH, count) => expected.to_auth += count,
            Leaves::Violations(_, count) => expected.to_issuer += count,
        }
        // Snapshots come once a second; what is not to rise is given the time to.
        let begun = Instant::now();
        let mut after = self.traces();
        while begun.elapsed() < Duration::from_millis(1200) || (after != expected && begun.elapsed() < PATIENCE / 2) {
            std::thread::sleep(Duration::from_millis(100));
            after = self.traces();
        }
        must(after == expected, format!("expected {expected:?}, found {after:?}"))?;
        let honest = self.honest();
        must(honest.status.success(), format!("honest worker: {}", String::from_utf8_lossy(&honest.stderr)))
    }
}

/// One end of a channel the hijacker speaks on.
struct Peer<In, Out>(Duplex<In, Out>);

impl<In, Out> Peer<In, Out>
where
    In: borsh::BorshDeserialize + std::fmt::Debug,
    Out: borsh::BorshSerialize,
{
    fn send(&mut self, message: Out) -> Verdict {
        self.0.send(&message).map_err(|closed| format!("cannot send: {closed}"))
    }

    /// The next message, or that the other end hung up.
    fn next(&mut self) -> Result<Option<In>, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let _gone = self.0.flush();
            match self.0.receive() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(Closed::Gone) => return Ok(None),
                Err(other) => return Err(format!("{other}")),
            }
            let events = if self.0.wants_write() { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
            poll(&mut [PollFd::new(std::os::fd::AsFd::as_fd(&self.0), events)], PollTimeout::from(100_u8)).unwrap();
        }
        Err("neither answer nor end".to_owned())
    }

    fn answer(&mut self) -> Result<In, String> {
        self.next()?.ok_or_else(|| "hung up on".to_owned())
    }

    /// The other end hangs up and says nothing.
    fn hung_up_on(&mut self) -> Verdict {
        match self.next()? {
            None => Ok(()),
            Some(answer) => Err(format!("was answered {answer:?}")),
        }
    }
}

/// auth says no, for that reason.
fn refused(stack: &Stack, submission: Submission, why: Refusal) -> Verdict {
    let mut auth = stack.auth();
    auth.send(WorkerToAuth::Submit(submission))?;
    match auth.answer()? {
        AuthToWorker::Refused(refused) if refused.refusal == why => Ok(()),
        other => Err(format!("not {why:?} but {other:?}")),
    }
}

fn wishing(stack: &Stack, change: impl FnOnce(&mut Wish), why: Refusal) -> Verdict {
    let mut submission = stack.submission();
    change(&mut submission.wish);
    refused(stack, submission, why)
}

/// Sends a redemption on a channel of its own and is hung up on.
fn breach(stack: &Stack, redemption: Redemption) -> Verdict {
    let mut issuer = stack.issuer();
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    issuer.hung_up_on()
}

fn redeemed(issuer: &mut Peer<IssuerToWorker, WorkerToIssuer>, redemption: Redemption) -> Result<Release, String> {
    let correlation = redemption.correlation;
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    match issuer.answer()? {
        IssuerToWorker::Released(release) if release.correlation == correlation => Ok(release),
        other => Err(format!("not released: {other:?}")),
    }
}

fn no_such_voucher(issuer: &mut Peer<IssuerToWorker, WorkerToIssuer>, redemption: Redemption) -> Verdict {
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    match issuer.answer()? {
        IssuerToWorker::Failed { failure: Failure::NoSuchVoucher, .. } => Ok(()),
        other => Err(format!("not refused: {other:?}")),
    }
}

fn random_redemption() -> Redemption {
    Redemption { voucher: VoucherId::random(), correlation: Correlation::random() }
}

fn an_honest_flow_is_served(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = stack.voucher(&mut auth)?;
    let release = redeemed(&mut issuer, redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("alice@example.com") && token.contains(PARTY), token)
}

fn a_lifetime_above_the_ceiling_is_cut_to_it(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let mut submission = stack.submission();
    let correlation = submission.correlation;
    let years = Millis::now().plus(10 * 365 * 86_400_000);
    submission.wish.lifetime = Some(Lifetime { created: None, expires: Some(years) });
    auth.send(WorkerToAuth::Submit(submission))?;
    let AuthToWorker::Vouched(vouched) = auth.answer()? else { return Err("no voucher".to_owned()) };
    let release = redeemed(&mut issuer, Redemption { voucher: vouched.voucher, correlation })?;
    let minutes = (release.expires.0 - Millis::now().0) / 60_000;
    must(minutes <= 60, format!("good for {minutes} minutes"))
}

fn a_claim_he_may_do_without_is_not_invented(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let mut submission = stack.submission();
    let correlation = submission.correlation;
    let claim = ClaimWish { uri: Text::new("urn:invented").unwrap(), optional: true };
    submission.wish.claims = List::new(vec![claim]).unwrap();
    auth.send(WorkerToAuth::Submit(submission))?;
    let AuthToWorker::Vouched(vouched) = auth.answer()? else { return Err("no voucher".to_owned()) };
    let release = redeemed(&mut issuer, Redemption { voucher: vouched.voucher, correlation })?;
    must(!String::from_utf8_lossy(&release.token).contains("urn:invented"), "invented")
}

fn wrong_password(stack: &Stack) -> Verdict {
    refused(stack, stack.submission_of("alice", "not her password"), Refusal::FailedAuthentication)
}

fn no_such_user(stack: &Stack) -> Verdict {
    refused(stack, stack.submission_of("mallory", &stack.password), Refusal::FailedAuthentication)
}

fn no_such_endpoint(stack: &Stack) -> Verdict {
    let mut submission = stack.submission();
    submission.endpoint = Text::new("/nowhere").unwrap();
    refused(stack, submission, Refusal::RequestFailed)
}

fn stale_message(stack: &Stack) -> Verdict {
    let mut submission = stack.submission();
    let created = Millis::now().plus(-86_400_000);
    submission.timestamp = Some(chancery::wire::evidence::Timestamp { created, expires: None });
    refused(stack, submission, Refusal::MessageExpired)
}

fn no_such_party(stack: &Stack) -> Verdict {
    wishing(stack, |wish| wish.applies_to = Some(Text::new("urn:nobody").unwrap()), Refusal::InvalidScope)
}

fn forbidden_party(stack: &Stack) -> Verdict {
    wishing(stack, |wish| wish.applies_to = Some(Text::new(FORBIDDEN).unwrap()), Refusal::RequestFailed)
}

fn invented_claim(stack: &Stack) -> Verdict {
    let claim = ClaimWish { uri: Text::new("urn:invented").unwrap(), optional: false };
    wishing(stack, |wish| wish.claims = List::new(vec![claim]).unwrap(), Refusal::RequestFailed)
}

fn unproven_keys(stack: &Stack) -> Verdict {
    wishing(stack, |wish| wish.key_type = Some(KeyType::Public), Refusal::RequestFailed)?;
    wishing(stack, |wish| wish.key_type = Some(KeyType::Symmetric), Refusal::RequestFailed)
}

fn lifetime_over(stack: &Stack) -> Verdict {
    let over = Lifetime { created: None, expires: Some(Millis::now().plus(-1)) };
    wishing(stack, |wish| wish.lifetime = Some(over), Refusal::InvalidTimeRange)
}

fn one_correlation_twice(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let first = stack.submission();
    let mut second = stack.submission();
    second.correlation = first.correlation;
    auth.send(WorkerToAuth::Submit(first))?;
    auth.send(WorkerToAuth::Submit(second))?;
    auth.hung_up_on()
}

fn random_voucher(stack: &Stack) -> Verdict {
    no_such_voucher(&mut stack.issuer(), random_redemption())
}

fn voucher_twice(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = stack.voucher(&mut auth)?;
    let again = Redemption { ..redemption };
    redeemed(&mut issuer, redemption)?;
    issuer.send(WorkerToIssuer::Redeem(again))?;
    issuer.hung_up_on()
}

fn voucher_of_another_request(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    let burnt = Redemption { ..redemption };
    breach(stack, Redemption { correlation: Correlation::random(), ..redemption })?;
    // And it is burnt, not merely refused.
    breach(stack, burnt)
}

fn voucher_of_another_worker(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "another_process", "--ignored", "--nocapture"]);
    other.env("HOSTILE_SOCKET", stack.place(Place::IssuerWorker));
    other.env("HOSTILE_VOUCHER", redemption.voucher.to_string());
    other.env("HOSTILE_CORRELATION", redemption.correlation.to_string());
    let other = other.output().unwrap();
    let said = String::from_utf8_lossy(&other.stdout).into_owned();
    must(other.status.success() && said.contains("hung up on"), said)?;
    breach(stack, redemption)
}

fn voucher_run_out(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    std::thread::sleep(Duration::from_millis(5500));
    no_such_voucher(&mut stack.issuer(), redemption)
}

fn voucher_after_its_channel(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    drop(auth);
    std::thread::sleep(Duration::from_millis(500));
    breach(stack, redemption)
}

fn handshake(certificate: [u8; 32], scheme: Scheme, transcript: Transcript) -> WorkerToIssuer {
    WorkerToIssuer::Handshake(Handshake { serial: 7, certificate, scheme, transcript })
}

fn hash(length: usize) -> Transcript {
    Transcript::Tls13 { hash: Octets::new(vec![7; length]).unwrap() }
}

fn parameters(curve: u16, point: Vec<u8>) -> Transcript {
    let point = Octets::new(point).unwrap();
    Transcript::Tls12 { client_random: [1; 32], server_random: [2; 32], curve, point }
}

fn certificate(path: &str) -> [u8; 32] {
    let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(path).unwrap()).unwrap();
    digest(&SHA256, &pem.contents).as_ref().try_into().unwrap()
}

impl Stack {
    fn server(&self) -> [u8; 32] {
        certificate(self.demo.fact("ca"))
    }

    /// Each on a channel of its own.
    fn breaches(&self, messages: Vec<WorkerToIssuer>) -> Verdict {
        for message in messages {
            let mut issuer = self.issuer();
            let named = format!("{message:?}");
            issuer.send(message)?;
            issuer.hung_up_on().map_err(|why| format!("{named}: {why}"))?;
        }
        Ok(())
    }
}

fn an_honest_handshake_is_signed(stack: &Stack) -> Verdict {
    let mut issuer = stack.issuer();
    issuer.send(handshake(stack.server(), Scheme::EcdsaP256Sha256, hash(32)))?;
    let answer = issuer.answer()?;
    must(matches!(answer, IssuerToWorker::HandshakeSigned { serial: 7, .. }), format!("{answer:?}"))
}

fn handshake_with_other_keys(stack: &Stack) -> Verdict {
    let directory = stack.directory.join("demo");
    let mut messages = vec![handshake([9; 32], Scheme::EcdsaP256Sha256, hash(32))];
    for name in ["assertion-1", "metadata-1", "message-1"] {
        let of = certificate(directory.join(format!("{name}.pem")).to_str().unwrap());
        messages.push(handshake(of, Scheme::RsaPkcs1Sha256, hash(32)));
        messages.push(handshake(of, Scheme::RsaPssSha256, hash(32)));
        messages.push(handshake(of, Scheme::EcdsaP256Sha256, hash(32)));
    }
    stack.breaches(messages)
}

fn handshake_of_no_kind(stack: &Stack) -> Verdict {
    let server = stack.server();
    let p256 = Scheme::EcdsaP256Sha256;
    stack.breaches(vec![
        handshake(server, Scheme::RsaPssSha256, hash(32)),
        handshake(server, Scheme::RsaPssSha384, hash(48)),
        handshake(server, Scheme::RsaPkcs1Sha256, hash(32)),
        handshake(server, Scheme::EcdsaP384Sha384, hash(48)),
        handshake(server, p256, hash(0)),
        handshake(server, p256, hash(31)),
        handshake(server, p256, hash(33)),
        handshake(server, p256, parameters(25, vec![4; 133])),
        handshake(server, p256, parameters(0xFFFF, vec![4; 65])),
        handshake(server, p256, parameters(29, vec![9; 31])),
        handshake(server, p256, parameters(23, vec![3; 65])),
    ])
}

fn redemption_flood(stack: &Stack) -> Verdict {
    let mut issuer = stack.issuer();
    let (mut sent, mut failed) = (0, 0);
    while failed < 10_000 {
        while sent < 10_000 && sent - failed < 200 {
            issuer.send(WorkerToIssuer::Redeem(random_redemption()))?;
            sent += 1;
        }
        match issuer.answer()? {
            IssuerToWorker::Failed { failure: Failure::NoSuchVoucher, .. } => failed += 1,
            other => return Err(format!("{other:?}")),
        }
        // An honest client does not wait for the end of it.
        if failed == 5_000 {
            let honest = stack.honest();
            must(honest.status.success(), format!("meanwhile: {}", String::from_utf8_lossy(&honest.stderr)))?;
        }
    }
    Ok(())
}

/// Guesses for people there are not, from everywhere, faster than passwords can be looked at.
fn submission_flood(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let resident = |stack: &Stack| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stack.demo.pid("auth"))).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let mut answered = 0;
    for number in 0..4000_u32 {
        let mut submission = stack.submission_of(&format!("guess-{number}"), "guess");
        submission.source = IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number * 257));
        auth.send(WorkerToAuth::Submit(submission))?;
        while let Ok(Some(answer)) = auth.0.receive() {
            must(matches!(answer, AuthToWorker::Refused(_)), format!("{answer:?}"))?;
            answered += 1;
        }
    }
    let mebibytes = resident(stack);
    while answered < 4000 {
        match auth.answer()? {
            AuthToWorker::Refused(_) => answered += 1,
            other => return Err(format!("{other:?}")),
        }
    }
    println!("    auth held {mebibytes} MiB under 4000 submissions");
    must(mebibytes < 512, format!("auth held {mebibytes} MiB"))
}

/// What he cannot do, what trying it leaves behind, and the attempt.
type Case = (&'static str, Leaves, fn(&Stack) -> Verdict);

const CASES: &[Case] = &[
    ("an honest flow is served: the cases below can fail", Leaves::Tokens(1), an_honest_flow_is_served),
    ("an honest handshake is signed: likewise", Leaves::Handshakes(1), an_honest_handshake_is_signed),
    ("a lifetime above the ceiling is cut to it", Leaves::Tokens(1), a_lifetime_above_the_ceiling_is_cut_to_it),
    ("a claim nobody configured is not in the token", Leaves::Tokens(1), a_claim_he_may_do_without_is_not_invented),
    ("a wrong password gets nothing", Leaves::Nothing, wrong_password),
    ("a user there is not gets nothing", Leaves::Nothing, no_such_user),
    ("an endpoint that does not exist gets nothing", Leaves::Nothing, no_such_endpoint),
    ("a message of yesterday gets nothing", Leaves::Nothing, stale_message),
    ("a relying party that does not exist gets nothing", Leaves::Nothing, no_such_party),
    ("a relying party that policy forbids gets nothing", Leaves::Nothing, forbidden_party),
    ("a claim nobody configured cannot be insisted on", Leaves::Nothing, invented_claim),
    ("a key that was not proven binds no token", Leaves::Nothing, unproven_keys),
    ("a lifetime that is over gets nothing", Leaves::Nothing, lifetime_over),
    ("two requests of one name are a breach", Leaves::Violations(TO_AUTH, 1), one_correlation_twice),
    ("a random voucher buys nothing", Leaves::Nothing, random_voucher),
    ("a voucher redeemed twice is a breach, and buys one token", Leaves::TokenThenBreach, voucher_twice),
    (
        "a voucher of another request is a breach, and burnt",
        Leaves::Violations(TO_ISSUER, 2),
        voucher_of_another_request,
    ),
    (
        "a voucher of another process is a breach, and burnt",
        Leaves::Violations(TO_ISSUER, 2),
        voucher_of_another_worker,
    ),
    ("a voucher that ran out buys nothing", Leaves::Nothing, voucher_run_out),
    ("a voucher goes with the channel it was proven on", Leaves::Violations(TO_ISSUER, 1), voucher_after_its_channel),
    ("no other key completes a handshake", Leaves::Violations(TO_ISSUER, 10), handshake_with_other_keys),
    ("no other octets pass as a handshake", Leaves::Violations(TO_ISSUER, 11), handshake_of_no_kind),
    (
        "messages of other links are breaches towards auth",
        Leaves::Violations(TO_AUTH, octets::FOREIGN_TO_AUTH),
        octets::foreign_to_auth,
    ),
    (
        "messages of other links are breaches towards issuer",
        Leaves::Violations(TO_ISSUER, octets::FOREIGN_TO_ISSUER),
        octets::foreign_to_issuer,
    ),
    (
        "octets that are no message are breaches towards auth",
        Leaves::Violations(TO_AUTH, octets::MALFORMED),
        octets::malformed_to_auth,
    ),
    (
        "octets that are no message are breaches towards issuer",
        Leaves::Violations(TO_ISSUER, octets::MALFORMED),
        octets::malformed_to_issuer,
    ),
    ("text that XML has no room for is a breach", Leaves::Violations(TO_AUTH, octets::BAD_TEXTS), octets::bad_texts),
    ("a message without end is cut off at its cap", Leaves::Violations(TO_AUTH, 1), octets::endless),
    ("ten thousand random vouchers buy nothing", Leaves::Client, redemption_flood),
    ("a flood of guesses is bounded", Leaves::Nothing, submission_flood),
];

#[test]
fn a_hijacked_worker_can_do_nothing_but_what_it_may() {
    if !demo::possible("hostile-worker") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start(directory.path());
    let mut wrong = Vec::new();
    for (name, leaves, attack) in CASES {
        let begun = Instant::now();
        let verdict = stack.tried(*leaves, *attack);
        println!("{} {name} ({:.1?})", if verdict.is_ok() { "ok    " } else { "FAILED" }, begun.elapsed());
        if let Err(why) = verdict {
            println!("    {why}");
            wrong.push((*name, why));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let verified = Command::new(demo::CHANCERY)
        .args(["audit", "--json", "--directory", stack.demo.fact("record"), "verify"])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(stack.demo.stop().code(), Some(0));
}

#[test]
#[ignore = "not a test: the other process that redeems what was not vouched for it"]
fn another_process() {
    let variable = |name| std::env::var(name).unwrap();
    let channel = Channel::connect(Path::new(&variable("HOSTILE_SOCKET"))).unwrap();
    let mut issuer = Peer::<IssuerToWorker, WorkerToIssuer>(Duplex::new(channel, Link::IssuerToWorker));
    let voucher = VoucherId::parse(&variable("HOSTILE_VOUCHER")).unwrap();
    let correlation = Correlation::parse(&variable("HOSTILE_CORRELATION")).unwrap();
    issuer.send(WorkerToIssuer::Redeem(Redemption { voucher, correlation })).unwrap();
    issuer.hung_up_on().unwrap();
    println!("hung up on");
}

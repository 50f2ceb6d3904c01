//! What he tells issuer about vouchers: invented, spent, stolen and late ones.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chancery::sys::channel::{Channel, Duplex};
use chancery::sys::places::Place;
use chancery::wire::links::{AuthToWorker, IssuerToWorker, WorkerToAuth, WorkerToIssuer};
use chancery::wire::order::{Failure, Redemption, Release};
use chancery::wire::permit::Link;
use chancery::wire::{Correlation, VoucherId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::PATIENCE;
use super::peer::Peer;
use super::stack::{Stack, Verdict, must, submission, vouched};

/// Sends a redemption on a channel of its own and is hung up on.
pub(super) fn breach(stack: &Stack, redemption: Redemption) -> Verdict {
    let mut issuer = stack.issuer();
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    issuer.hung_up_on()
}

pub(super) fn redeemed(
    issuer: &mut Peer<IssuerToWorker, WorkerToIssuer>,
    redemption: Redemption,
) -> Result<Release, String> {
    let correlation = redemption.correlation;
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    match issuer.answer()? {
        IssuerToWorker::Released(release) if release.correlation == correlation => Ok(release),
        other => Err(format!("not released: {other:?}")),
    }
}

pub(super) fn no_such_voucher(issuer: &mut Peer<IssuerToWorker, WorkerToIssuer>, redemption: Redemption) -> Verdict {
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    match issuer.answer()? {
        IssuerToWorker::Failed { failure: Failure::NoSuchVoucher, .. } => Ok(()),
        other => Err(format!("not refused: {other:?}")),
    }
}

pub(super) fn above_ceiling(issuer: &mut Peer<IssuerToWorker, WorkerToIssuer>, redemption: Redemption) -> Verdict {
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    match issuer.answer()? {
        IssuerToWorker::Failed { failure: Failure::AboveCeiling, .. } => Ok(()),
        other => Err(format!("not refused: {other:?}")),
    }
}

pub(super) fn random_redemption() -> Redemption {
    Redemption { voucher: VoucherId::random(), correlation: Correlation::random() }
}

pub(super) fn random_voucher(stack: &Stack) -> Verdict {
    no_such_voucher(&mut stack.issuer(), random_redemption())
}

pub(super) fn voucher_twice(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = stack.voucher(&mut auth)?;
    let again = Redemption { ..redemption };
    redeemed(&mut issuer, redemption)?;
    issuer.send(WorkerToIssuer::Redeem(again))?;
    issuer.hung_up_on()
}

/// As a worker does whose line breaks, but without end, and with the first one open.
pub(super) fn voucher_over_lines(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = stack.voucher(&mut auth)?;
    redeemed(&mut issuer, Redemption { ..redemption })?;
    for _ in 0..3 {
        no_such_voucher(&mut stack.issuer(), Redemption { ..redemption })?;
    }
    drop(issuer);
    std::thread::sleep(Duration::from_millis(100));
    no_such_voucher(&mut stack.issuer(), redemption)
}

pub(super) fn voucher_of_another_request(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    let burnt = Redemption { ..redemption };
    breach(stack, Redemption { correlation: Correlation::random(), ..redemption })?;
    // And it is burnt, not merely refused.
    breach(stack, burnt)
}

pub(super) fn voucher_of_another_worker(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    breach_of_another_process(stack, &redemption)?;
    // The breach was the other's: this one only comes too late.
    no_such_voucher(&mut stack.issuer(), redemption)
}

/// This program again.
fn again(stack: &Stack) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "vouchers::another_process", "--ignored", "--nocapture"]);
    command.env("HOSTILE_AUTH", stack.place(Place::AuthWorker));
    command.env("HOSTILE_ISSUER", stack.place(Place::IssuerWorker));
    command
}

/// Another process redeems, and is hung up on.
fn breach_of_another_process(stack: &Stack, redemption: &Redemption) -> Verdict {
    let mut other = again(stack);
    other.env("HOSTILE_VOUCHER", redemption.voucher.to_string());
    other.env("HOSTILE_CORRELATION", redemption.correlation.to_string());
    let other = other.output().unwrap();
    let said = String::from_utf8_lossy(&other.stdout).into_owned();
    must(other.status.success() && said.contains("hung up on"), said)
}

/// The hijacked process dies with a voucher in hand; its successor knows it and has channels of its own.
pub(super) fn voucher_after_its_process(stack: &Stack) -> Verdict {
    let mut first = again(stack);
    let mut first = first.env("HOSTILE_PASSWORD", &stack.password).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines().map_while(Result::ok);
    let vouched = lines.find_map(|line| line.strip_prefix("vouched ").map(str::to_owned));
    first.kill().unwrap();
    first.wait().unwrap();
    let vouched = vouched.ok_or("the first process has no voucher")?;
    let (voucher, correlation) = vouched.split_once(' ').unwrap();
    let (voucher, correlation) = (VoucherId::parse(voucher).unwrap(), Correlation::parse(correlation).unwrap());
    breach_of_another_process(stack, &Redemption { voucher, correlation })
}

/// Stops a process until dropped.
struct Asleep(Pid);

impl Asleep {
    fn put(pid: i32) -> Self {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        Self(Pid::from_raw(pid))
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ended = kill(self.0, Signal::SIGCONT);
    }
}

/// He cannot be quicker than the record.
pub(super) fn a_token_while_the_record_sleeps(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = stack.voucher(&mut auth)?;
    let before = stack.traces();
    let asleep = Asleep::put(stack.demo.pid("audit"));
    issuer.send(WorkerToIssuer::Redeem(redemption))?;
    std::thread::sleep(Duration::from_millis(400));
    let meanwhile = stack.traces();
    let said = issuer.0.receive();
    drop(asleep);
    must(meanwhile == before, format!("{before:?}, then {meanwhile:?}"))?;
    must(matches!(said, Ok(None)), format!("{said:?}"))?;
    match issuer.answer()? {
        IssuerToWorker::Released(_) => Ok(()),
        other => Err(format!("not released: {other:?}")),
    }
}

pub(super) fn voucher_run_out(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    std::thread::sleep(Duration::from_millis(5500));
    no_such_voucher(&mut stack.issuer(), redemption)
}

pub(super) fn voucher_after_its_channel(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = stack.voucher(&mut auth)?;
    drop(auth);
    std::thread::sleep(Duration::from_millis(500));
    no_such_voucher(&mut stack.issuer(), redemption)
}

#[test]
#[ignore = "not a test: another process, that redeems what was not vouched for it or waits to be killed"]
fn another_process() {
    let variable = |name| std::env::var(name).unwrap();
    let channel = |name| Channel::connect(Path::new(&variable(name))).unwrap();
    let mut issuer =
        Peer::<IssuerToWorker, WorkerToIssuer>(Duplex::new(channel("HOSTILE_ISSUER"), Link::IssuerToWorker));
    if let Ok(password) = std::env::var("HOSTILE_PASSWORD") {
        let mut auth = Peer::<AuthToWorker, WorkerToAuth>(Duplex::new(channel("HOSTILE_AUTH"), Link::AuthToWorker));
        let redemption = vouched(&mut auth, submission("alice", &password)).unwrap();
        println!("vouched {} {}", redemption.voucher, redemption.correlation);
        // Not for ever, should nobody come to kill it.
        return std::thread::sleep(PATIENCE);
    }
    let voucher = VoucherId::parse(&variable("HOSTILE_VOUCHER")).unwrap();
    let correlation = Correlation::parse(&variable("HOSTILE_CORRELATION")).unwrap();
    issuer.send(WorkerToIssuer::Redeem(Redemption { voucher, correlation })).unwrap();
    issuer.hung_up_on().unwrap();
    println!("hung up on");
}

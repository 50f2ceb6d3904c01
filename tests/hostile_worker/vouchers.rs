//! What he tells issuer about vouchers: invented, spent, stolen and late ones.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chancery::sys::channel::{Channel, Duplex};
use chancery::sys::places::Place;
use chancery::wire::links::{IssuerToWorker, WorkerToIssuer};
use chancery::wire::order::{Failure, Redemption, Release};
use chancery::wire::permit::Link;
use chancery::wire::{Correlation, VoucherId};

use super::peer::Peer;
use super::stack::{Stack, Verdict, must};

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
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "vouchers::another_process", "--ignored", "--nocapture"]);
    other.env("HOSTILE_SOCKET", stack.place(Place::IssuerWorker));
    other.env("HOSTILE_VOUCHER", redemption.voucher.to_string());
    other.env("HOSTILE_CORRELATION", redemption.correlation.to_string());
    let other = other.output().unwrap();
    let said = String::from_utf8_lossy(&other.stdout).into_owned();
    must(other.status.success() && said.contains("hung up on"), said)?;
    // The breach was the other's: this one only comes too late.
    no_such_voucher(&mut stack.issuer(), redemption)
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

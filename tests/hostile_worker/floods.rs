//! More of everything than can be served.

use std::net::{IpAddr, Ipv4Addr};

use chancery::wire::links::{AuthToWorker, IssuerToWorker, WorkerToAuth, WorkerToIssuer};
use chancery::wire::order::Failure;

use super::stack::{Stack, Verdict, must, submission as submission_of};
use super::vouchers::random_redemption;

pub(super) fn redemption_flood(stack: &Stack) -> Verdict {
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
pub(super) fn submission_flood(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let resident = |stack: &Stack| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stack.demo.pid("auth"))).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let mut answered = 0;
    for number in 0..4000_u32 {
        let mut submission = submission_of(&format!("guess-{number}"), "guess");
        submission.source = IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number * 257));
        auth.send(WorkerToAuth::Submit(submission))?;
        while let Ok(Some(answer)) = auth.0.receive() {
            must(matches!(answer, AuthToWorker::Refused(_)), format!("{answer:?}"))?;
            answered += 1;
        }
    }
    let mebibytes = resident(stack);
    let honest = stack.honest();
    must(honest.status.success(), format!("meanwhile: {}", String::from_utf8_lossy(&honest.stderr)))?;
    while answered < 4000 {
        match auth.answer()? {
            AuthToWorker::Refused(_) => answered += 1,
            other => return Err(format!("{other:?}")),
        }
    }
    println!("    auth held {mebibytes} MiB under 4000 submissions");
    must(mebibytes < 512, format!("auth held {mebibytes} MiB"))
}

/// Guesses without end that are said to come from where an honest client of another worker is.
pub(super) fn address_of_another(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let mut guess = |number: u32| {
        let mut submission = submission_of(&format!("somebody-{number}"), "guess");
        submission.source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        auth.send(WorkerToAuth::Submit(submission))?;
        let answer = auth.answer()?;
        must(matches!(answer, AuthToWorker::Refused(_)), format!("{answer:?}"))
    };
    // More than an address may have wrong in a row.
    (0..300).try_for_each(&mut guess)?;
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| stack.honest());
        for number in 300.. {
            guess(number)?;
            if honest.is_finished() {
                break;
            }
        }
        let honest = honest.join().unwrap();
        must(honest.status.success(), format!("meanwhile: {}", String::from_utf8_lossy(&honest.stderr)))
    })
}

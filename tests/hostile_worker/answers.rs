//! What he has signed by the key for answers: an answer, of his wording, once for each token that he was given for a
//! request that its client signed.

use chancery::wire::links::{IssuerToWorker, WorkerToIssuer};
use chancery::wire::order::Failure;
use chancery::wire::reply::{Covered, ReplyPart, SIGNED_IDS, ToSign};
use chancery::wire::{Correlation, List};

use super::peer::Peer;
use super::signatures::honest;
use super::stack::{Stack, Verdict, must, vouched};
use super::vouchers::redeemed;

const ALL: [ReplyPart; 2] = [ReplyPart::Timestamp, ReplyPart::Body];
pub(super) const BREACHES: u64 = 5;

type Issuer = Peer<IssuerToWorker, WorkerToIssuer>;

fn to_sign(correlation: Correlation, parts: &[ReplyPart]) -> WorkerToIssuer {
    let parts: Vec<Covered> = parts.iter().map(|part| Covered { part: *part, digest: [7; 32] }).collect();
    WorkerToIssuer::SignReply(ToSign { correlation, parts: List::new(parts).unwrap() })
}

fn refused(issuer: &mut Issuer, correlation: Correlation) -> Verdict {
    issuer.send(to_sign(correlation, &ALL))?;
    match issuer.answer()? {
        IssuerToWorker::ReplyFailed { failure: Failure::Unavailable { .. }, .. } => Ok(()),
        other => Err(format!("not refused: {other:?}")),
    }
}

pub(super) fn an_answer_is_signed_once(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = vouched(&mut auth, honest(stack))?;
    let correlation = redemption.correlation;
    redeemed(&mut issuer, redemption)?;
    issuer.send(to_sign(correlation, &ReplyPart::ALL))?;
    let signed = match issuer.answer()? {
        IssuerToWorker::ReplySigned(signed) => signed,
        other => return Err(format!("not signed: {other:?}")),
    };
    let text = String::from_utf8_lossy(&signed.signature).into_owned();
    let references = text.matches("<ds:Reference ").count();
    must(references == 7 && text.matches(&format!("URI=\"#{SIGNED_IDS}")).count() == 8, text.clone())?;
    must(!text.contains("enveloped-signature"), text)?;
    refused(&mut issuer, correlation)?;
    refused(&mut stack.issuer(), correlation)
}

pub(super) fn an_answer_to_nothing(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    refused(&mut issuer, Correlation::random())?;
    // Vouched for, and not redeemed.
    let redemption = vouched(&mut auth, honest(stack))?;
    refused(&mut issuer, redemption.correlation)?;
    // Redeemed, and its client has signed nothing.
    let redemption = stack.voucher(&mut auth)?;
    let correlation = redemption.correlation;
    redeemed(&mut issuer, redemption)?;
    refused(&mut issuer, correlation)
}

pub(super) fn answers_that_are_none(stack: &Stack) -> Verdict {
    use ReplyPart::{Body, Timestamp, To};
    let shapes: [&[ReplyPart]; 5] = [&[], &[Body], &[Timestamp, To], &[Timestamp, Body, Body], &[Timestamp; 7]];
    for parts in shapes {
        let mut issuer = stack.issuer();
        issuer.send(to_sign(Correlation::random(), parts))?;
        issuer.hung_up_on()?;
    }
    Ok(())
}

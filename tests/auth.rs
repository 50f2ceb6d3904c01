//! auth as it is shipped, judged by its answers, by what it lodges at issuer and by what it puts into the
//! record. The test plays the worker, issuer and audit over the real sockets.

#![expect(clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    pub(crate) mod office;
    pub(crate) mod processes;
}

use std::process::Command;
use std::time::Duration;

use chancery::auth::store::Store;
use chancery::config::auth::{StorePlace, StoreRules};
use chancery::wire::evidence::{ClaimWish, KeyType, Lifetime, Refusal, Timestamp};
use chancery::wire::ids::Peer;
use chancery::wire::links::{AuthToAudit, AuthToWorker, IssuerToAuth};
use chancery::wire::order::{Confirmation, Failure, Method, NameFormat, TokenType};
use chancery::wire::record::AuthEntry;
use chancery::wire::{Correlation, List, Millis, Text};
use nix::sys::signal::{Signal, kill};

use support::office::{Office, hash, request};
use support::processes::eventually;

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml11", "saml20"]
policy = '''
@id("staff")
permit(principal in Group::"staff", action == Action::"Issue", resource);
@id("no-contractors")
forbid(principal in Group::"contractors", action, resource);
'''
[subject]
from = "mail"
format = "emailAddress"
[[claim]]
uri = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
from = "mail"
[[claim]]
uri = "urn:local-part"
from = "mail"
capture = "([^@]+)@example[.]com"
case = "upper"
take = "first"
[[claim]]
uri = "urn:role"
from = "groups"
filter = "staff|admin"
table = { staff = "Employee" }
[[claim]]
uri = "urn:site"
const = "north"
release = "on-request"
"#;

fn users() -> String {
    let (alice, bob, carol, dave) = (hash("wonderland"), hash("builder"), hash("singer"), hash("wright"));
    format!(
        r#"
[users.alice]
password = '{alice}'
groups = ["staff"]
[users.alice.attributes]
mail = ["Alice@example.com", "al@example.com"]
[users.bob]
password = '{bob}'
groups = ["staff", "contractors"]
[users.carol]
password = '{carol}'
disabled = true
[users.dave]
password = '{dave}'
groups = ["staff"]
"#
    )
}

fn office() -> Office {
    Office::open("", &users(), PARTY)
}

fn alice() -> chancery::wire::evidence::Submission {
    request("alice", "wonderland")
}

#[test]
fn a_proven_user_is_vouched_for_and_the_order_says_everything() {
    let office = office();
    let mut worker = office.worker();
    let before = Millis::now();
    let submission = alice();
    let correlation = submission.correlation;
    let id = worker.vouched(submission);
    let voucher = office.lodged();
    let order = &voucher.order;
    assert_eq!((voucher.id, voucher.worker), (id, Peer(std::process::id().cast_signed())));
    assert_eq!(order.correlation, correlation);
    assert_eq!(order.relying_party.as_str(), "office");
    assert_eq!(order.token_type, TokenType::Saml11, "the first is the default (R-T023)");
    assert_eq!(order.confirmation, Confirmation::Bearer);
    assert_eq!(order.subject.account.as_str(), "alice");
    assert_eq!(order.subject.name.as_str(), "Alice@example.com");
    assert_eq!(order.subject.format, NameFormat::EmailAddress);
    assert_eq!(order.authentication.method, Method::Password);
    assert!(order.latest_expiry >= before.plus(15 * 60_000) && order.latest_expiry <= Millis::now().plus(15 * 60_000));
    let claims: Vec<(&str, Vec<&str>)> = order
        .claims
        .iter()
        .map(|claim| (claim.uri.as_str(), claim.values.iter().map(|v| v.as_str()).collect()))
        .collect();
    let mail = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
    assert_eq!(
        claims,
        [
            (mail, vec!["Alice@example.com", "al@example.com"]),
            ("urn:local-part", vec!["ALICE"]),
            ("urn:role", vec!["Employee"])
        ]
    );
    // The decision was in the record before the voucher was lodged.
    let said = office.audit.said.lock().unwrap();
    let AuthToAudit::Append { sequence, entry } = &said[0];
    let AuthEntry::Decision(decision, private) = entry else { panic!("{entry:?}") };
    assert_eq!((*sequence, decision.allowed, decision.correlation), (1, true, correlation));
    assert_eq!(decision.policies.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["staff"]);
    assert_eq!(private.account.as_str(), "alice");
}

#[test]
fn unknown_user_wrong_password_disabled_and_empty_are_answered_alike_to_the_octet() {
    let office = office();
    let mut worker = office.worker();
    let correlation = Correlation::random();
    let mut answers = Vec::new();
    for (user, password) in
        [("nobody", "wonderland"), ("alice", "wrong"), ("carol", "singer"), ("alice", ""), ("ALICE", "wonderland")]
    {
        let mut submission = request(user, password);
        submission.correlation = correlation;
        let answer = worker.ask(submission);
        assert!(matches!(&answer, AuthToWorker::Refused(refused) if refused.refusal == Refusal::FailedAuthentication));
        answers.push(borsh::to_vec(&answer).unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    // Strangers are summed up by source and second, and make no decision.
    let count = || {
        let said = office.audit.said.lock().unwrap();
        let counted = said.iter().map(|AuthToAudit::Append { entry, .. }| match entry {
            AuthEntry::Refusals { count, .. } => *count,
            AuthEntry::Decision(..) | AuthEntry::Excessive(..) | AuthEntry::Vouched(..) | AuthEntry::Held(..) => {
                panic!("a stranger has an account")
            }
        });
        (counted.sum::<u32>() == 5).then_some(said.len())
    };
    assert!(eventually("refusals in the record", count) <= 3);
}

#[test]
fn a_stale_timestamp_is_refused_before_the_password_is_looked_at() {
    let office = office();
    let mut worker = office.worker();
    let now = Millis::now();
    let stamped = |user: &str, created: i64, expires: Option<i64>| {
        let mut submission = request(user, "wonderland");
        submission.timestamp = Some(Timestamp { created: now.plus(created), expires: expires.map(|at| now.plus(at)) });
        submission
    };
    worker.vouched(stamped("alice", -10_000, Some(300_000)));
    assert_eq!(worker.refused(stamped("alice", -310_000, None)), Refusal::MessageExpired);
    assert_eq!(worker.refused(stamped("alice", 90_000, None)), Refusal::MessageExpired);
    assert_eq!(worker.refused(stamped("nobody", -10_000, Some(-5_000))), Refusal::MessageExpired);
    assert_eq!(worker.refused(stamped("alice", 0, Some(0))), Refusal::InvalidSecurity);
}

#[test]
fn a_wish_is_looked_at_only_for_who_has_proved_himself() {
    let office = office();
    let mut worker = office.worker();
    let mut submission = request("alice", "wrong");
    submission.wish.applies_to = None;
    submission.wish.key_size = Some(7);
    assert_eq!(worker.refused(submission), Refusal::FailedAuthentication, "R-T009");
}

#[test]
fn wishes_that_cannot_be_met_are_refused_by_their_faults_and_recorded() {
    let office = office();
    let mut worker = office.worker();
    let mut with = |change: &dyn Fn(&mut chancery::wire::evidence::Submission)| {
        let mut submission = alice();
        change(&mut submission);
        worker.refused(submission)
    };
    for address in ["urn:unknown", "urn:office/", "URN:office", "urn:office#", ""] {
        let refusal = with(&|s| s.wish.applies_to = Some(Text::new(address).unwrap()));
        assert_eq!(refusal, Refusal::InvalidScope, "R-T020, A-40: {address:?}");
    }
    assert_eq!(with(&|s| s.wish.applies_to = None), Refusal::InvalidScope, "R-T021");
    for kind in [KeyType::Symmetric, KeyType::Public] {
        assert_eq!(with(&|s| s.wish.key_type = Some(kind)), Refusal::RequestFailed, "R-T024");
    }
    assert_eq!(with(&|s| s.wish.key_size = Some(256)), Refusal::InvalidRequest, "R-T025");
    let now = Millis::now();
    let lifetime = |created: Option<i64>, expires: Option<i64>| {
        Some(Lifetime { created: created.map(|at| now.plus(at)), expires: expires.map(|at| now.plus(at)) })
    };
    for wish in [
        lifetime(Some(120_000), None),
        lifetime(Some(0), Some(0)),
        lifetime(Some(10_000), Some(5_000)),
        lifetime(None, Some(-1_000)),
        lifetime(Some(-7_200_000), Some(-3_600_000)),
    ] {
        assert_eq!(with(&|s| s.wish.lifetime = wish), Refusal::InvalidTimeRange, "R-T026: {wish:?}");
    }
    let claim = |uri: &str, optional| List::new(vec![ClaimWish { uri: Text::new(uri).unwrap(), optional }]).unwrap();
    assert_eq!(with(&|s| s.wish.claims = claim("urn:salary", false)), Refusal::RequestFailed, "R-T027");
    let reasons: Vec<String> = office
        .decisions()
        .into_iter()
        .map(|(allowed, reason)| {
            assert!(!allowed);
            reason
        })
        .collect();
    assert_eq!(reasons.iter().filter(|reason| *reason == "scope").count(), 6);
    assert_eq!(reasons.iter().filter(|reason| *reason == "lifetime").count(), 5);
    assert_eq!(reasons.last().unwrap(), "claim-withheld");
    assert!(office.issuer.said.lock().unwrap().is_empty());
}

#[test]
fn a_token_type_the_party_does_not_take_is_a_bad_request() {
    let office = Office::open("", &users(), &PARTY.replace("\"saml11\", ", ""));
    let mut worker = office.worker();
    let mut submission = alice();
    submission.wish.token_type = Some(TokenType::Saml11);
    assert_eq!(worker.refused(submission), Refusal::BadRequest, "R-T023");
    let mut submission = alice();
    submission.wish.token_type = Some(TokenType::Saml20);
    worker.vouched(submission);
    assert_eq!(office.lodged().order.token_type, TokenType::Saml20);
}

#[test]
fn a_lifetime_is_cut_at_the_ceiling_and_a_short_one_is_kept() {
    let office = office();
    let mut worker = office.worker();
    let now = Millis::now();
    for (asked, given) in [(24 * 3_600_000, 3_600_000), (300_000, 300_000)] {
        let mut submission = alice();
        submission.wish.lifetime = Some(Lifetime { created: Some(now), expires: Some(now.plus(asked)) });
        worker.vouched(submission);
        let expiry = office.lodged().order.latest_expiry;
        assert!((0..5_000).contains(&(expiry.0 - now.0 - given)), "asked {asked}, given {}", expiry.0 - now.0);
    }
}

#[test]
fn policies_refuse_and_their_ids_are_recorded() {
    let office = office();
    let mut worker = office.worker();
    assert_eq!(worker.refused(request("bob", "builder")), Refusal::RequestFailed);
    let said = office.audit.said.lock().unwrap();
    let AuthToAudit::Append { entry: AuthEntry::Decision(decision, _), .. } = &said[0] else { panic!("no decision") };
    assert_eq!((decision.allowed, decision.reason.as_str()), (false, "policy"));
    assert_eq!(decision.policies.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["no-contractors"]);
}

#[test]
fn a_policy_that_cannot_be_evaluated_is_not_passed_over() {
    let policy = "permit(principal, action, resource);\n\
                  forbid(principal, action, resource) when { 9223372036854775807 + 1 == 0 };";
    let party = format!("applies_to = ['urn:office']\ntoken_types = ['saml20']\npolicy = '''{policy}'''\n");
    let office = Office::open("", &users(), &party);
    assert_eq!(office.worker().refused(alice()), Refusal::RequestFailed);
    assert_eq!(office.decisions(), [(false, "policy-error".to_owned())]);
}

#[test]
fn an_account_without_a_value_for_the_subject_gets_nothing() {
    let office = office();
    assert_eq!(office.worker().refused(request("dave", "wright")), Refusal::RequestFailed);
    assert_eq!(office.decisions(), [(false, "no-subject".to_owned())]);
}

#[test]
fn claims_released_on_request_come_when_asked_for_and_optional_ones_may_be_missing() {
    let office = office();
    let mut worker = office.worker();
    let mut submission = alice();
    let wish = |uri: &str, optional| ClaimWish { uri: Text::new(uri).unwrap(), optional };
    submission.wish.claims = List::new(vec![wish("urn:site", false), wish("urn:salary", true)]).unwrap();
    worker.vouched(submission);
    let order = office.lodged().order;
    let site = order.claims.iter().find(|claim| claim.uri.as_str() == "urn:site").unwrap();
    assert_eq!(site.values[0].as_str(), "north");
    assert!(order.claims.iter().all(|claim| claim.uri.as_str() != "urn:salary"));
}

#[test]
fn an_endpoint_auth_does_not_know_gets_nothing() {
    let office = office();
    let mut submission = alice();
    submission.endpoint = Text::new("/backdoor").unwrap();
    assert_eq!(office.worker().refused(submission), Refusal::RequestFailed);
}

#[test]
fn a_throttled_guess_is_answered_like_a_wrong_one_even_when_it_is_right() {
    let office = Office::open("[throttle]\nuser_burst = 3\nuser_per_minute = 1", &users(), PARTY);
    let mut worker = office.worker();
    for guess in ["a", "b", "c"] {
        assert_eq!(worker.refused(request("alice", guess)), Refusal::FailedAuthentication);
    }
    assert_eq!(worker.refused(alice()), Refusal::FailedAuthentication);
    // Another user is not concerned.
    assert_eq!(worker.refused(request("bob", "builder")), Refusal::RequestFailed);
}

#[test]
fn an_account_that_asks_without_end_is_told_to_come_back_and_makes_no_entry_each_time() {
    let office = Office::open("[throttle]\naccount_burst = 3\naccount_per_minute = 1", &users(), PARTY);
    let mut worker = office.worker();
    for _ in 0..3 {
        worker.vouched(alice());
    }
    for _ in 0..200 {
        assert!(matches!(worker.refused(alice()), Refusal::Busy { .. }));
    }
    // Another user is not concerned.
    assert_eq!(worker.refused(request("bob", "builder")), Refusal::RequestFailed);
    assert_eq!(office.decisions().len(), 4);
    let count = || {
        let said = office.audit.said.lock().unwrap();
        let sums = said.iter().filter_map(|AuthToAudit::Append { entry, .. }| match entry {
            AuthEntry::Excessive(sum, private) => {
                assert_eq!(private.account.as_str(), "alice");
                Some(sum.count)
            }
            _ => None,
        });
        (sums.sum::<u32>() == 200).then_some(said.len())
    };
    assert!(eventually("the sums in the record", count) < 50);
}

#[test]
fn with_audit_away_nobody_is_vouched_for_and_with_audit_back_everybody_is() {
    let office = Office::open("[limits]\naudit_deadline_ms = 300", &users(), PARTY);
    let mut worker = office.worker();
    worker.vouched(alice());
    office.audit.away(true);
    assert!(matches!(worker.refused(alice()), Refusal::Busy { .. }));
    office.audit.away(false);
    eventually("vouching again", || matches!(worker.ask(alice()), AuthToWorker::Vouched(_)).then_some(()));
    office.audit.silent(true);
    let before = office.issuer.said.lock().unwrap().len();
    assert!(matches!(worker.refused(alice()), Refusal::Busy { .. }));
    assert_eq!(office.issuer.said.lock().unwrap().len(), before, "nothing is lodged that is not recorded");
}

#[test]
fn what_the_record_does_not_take_is_said_ten_times_a_second_with_how_many_were_left_out() {
    let mut office = Office::open("[limits]\naudit_deadline_ms = 50", &users(), PARTY);
    let log = tempfile::NamedTempFile::new().unwrap();
    office.start_with(|command| _ = command.stderr(log.reopen().unwrap()));
    let mut worker = office.worker();
    worker.vouched(alice());
    office.audit.silent(true);
    let asked: Vec<_> = std::iter::repeat_with(alice).take(30).collect();
    let correlations: Vec<_> = asked.iter().map(|submission| submission.correlation).collect();
    asked.into_iter().for_each(|submission| worker.submit(submission));
    for correlation in correlations {
        let answer = worker.answer(correlation);
        let busy = matches!(&answer, AuthToWorker::Refused(refused) if matches!(refused.refusal, Refusal::Busy { .. }));
        assert!(busy, "{answer:?}");
    }
    // In another second, so that a line is let through and says it.
    let said = eventually("a line that tells of others", || {
        worker.refused(alice());
        let text = std::fs::read_to_string(log.path()).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("not-recorded")).map(str::to_owned).collect();
        lines.iter().any(|line| !line.contains("left_out=0")).then_some(lines)
    });
    // Thirty at once, perhaps over the end of a second.
    let before = said.iter().take_while(|line| line.contains("left_out=0")).count();
    assert!((10..=20).contains(&before), "{said:?}");
}

#[test]
fn a_planned_restart_of_audit_fails_no_request() {
    let office = office();
    let mut worker = office.worker();
    office.audit.silent(true);
    let submission = alice();
    let correlation = submission.correlation;
    worker.submit(submission);
    eventually("the entry at audit", || office.decisions().pop());
    office.audit.away(true);
    office.audit.silent(false);
    office.audit.away(false);
    assert!(matches!(worker.answer(correlation), AuthToWorker::Vouched(_)));
}

#[test]
fn a_new_issuer_is_given_the_vouchers_that_were_not_redeemed_and_no_other() {
    let office = office();
    let mut worker = office.worker();
    let (redeemed, waiting) = (worker.vouched(alice()), worker.vouched(alice()));
    office.issuer.to_say.lock().unwrap().push(IssuerToAuth::Redeemed(redeemed));
    eventually("said", || office.issuer.to_say.lock().unwrap().is_empty().then_some(()));
    office.issuer.away(true);
    office.issuer.away(false);
    eventually("lodged again", || (office.lodgings(waiting) == 2).then_some(()));
    assert_eq!(office.lodgings(redeemed), 1, "a voucher that was taken is not lodged again");
}

#[test]
fn a_voucher_whose_seconds_are_over_is_not_lodged_again() {
    let office = Office::open("[limits]\nvoucher_ttl_ms = 200", &users(), PARTY);
    let mut worker = office.worker();
    let old = worker.vouched(alice());
    std::thread::sleep(Duration::from_millis(300));
    office.issuer.away(true);
    office.issuer.away(false);
    worker.vouched(alice());
    assert_eq!(office.lodgings(old), 1);
}

#[test]
fn the_vouchers_of_a_worker_that_died_are_withdrawn_and_another_is_still_served() {
    let office = office();
    let (mut one, mut other) = (office.worker(), office.worker());
    let (dead, alive) = (one.vouched(alice()), other.vouched(alice()));
    drop(one);
    eventually("withdrawn", || office.withdrawn(dead).then_some(()));
    assert!(!office.withdrawn(alive));
    other.vouched(alice());
}

#[test]
fn a_worker_that_breaks_the_protocol_is_hung_up_on_and_another_is_still_served() {
    let office = office();
    let (mut liar, mut honest) = (office.worker(), office.worker());
    let mut twice = (request("x", "y"), request("x", "z"));
    twice.1.correlation = twice.0.correlation;
    // Both are there before the first is answered: the password alone takes longer than reading the second.
    liar.submit(twice.0);
    liar.submit(twice.1);
    eventually("hung up", || liar.duplex.receive().is_err().then_some(()));
    honest.vouched(alice());
}

#[test]
fn a_reload_takes_new_users_and_a_broken_one_changes_nothing() {
    let office = office();
    let mut worker = office.worker();
    worker.vouched(alice());
    office.write("users.toml", &users().replace("[users.alice]", "[users.alice]\ndisabled = true"));
    kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    eventually("alice disabled", || {
        let answer = worker.ask(alice());
        matches!(answer, AuthToWorker::Refused(r) if r.refusal == Refusal::FailedAuthentication).then_some(())
    });
    office.write("users.toml", &users());
    office.write("relying-parties/office.toml", "applies_to = [\"urn:other\"]\n");
    kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(worker.refused(alice()), Refusal::FailedAuthentication, "the old configuration stays, whole");
    office.write("relying-parties/office.toml", PARTY);
    kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    eventually("alice again", || matches!(worker.ask(alice()), AuthToWorker::Vouched(_)).then_some(()));
}

#[test]
fn a_password_that_was_right_is_answered_from_memory_and_a_hundred_at_once_are_tried_once() {
    let slow = chancery::ctl::user::hash(b"wonderland").unwrap();
    let users = format!(
        "[users.alice]\npassword = '{slow}'\ngroups = ['staff']\n[users.alice.attributes]\nmail = ['a@example.com']\n"
    );
    let office = Office::open("[password]\nqueue = 1\nargon2_threads = 1", &users, PARTY);
    let mut worker = office.worker();
    let submissions: Vec<_> = (0..100).map(|_| alice()).collect();
    let names: Vec<_> = submissions.iter().map(|submission| submission.correlation).collect();
    submissions.into_iter().for_each(|submission| worker.submit(submission));
    for name in names {
        assert!(matches!(worker.answer(name), AuthToWorker::Vouched(_)), "the queue holds one, so they shared it");
    }
}

#[test]
fn more_passwords_than_may_wait_are_told_to_come_back() {
    let slow = chancery::ctl::user::hash(b"wonderland").unwrap();
    let users = format!("attributes = ['mail']\n[users.alice]\npassword = '{slow}'\n");
    let throttle = "[throttle]\nuser_burst = 1000\naddress_burst = 1000";
    let office = Office::open(&format!("[password]\nqueue = 2\nargon2_threads = 1\n{throttle}"), &users, PARTY);
    let mut worker = office.worker();
    let submissions: Vec<_> = (0..50).map(|number| request("alice", &format!("guess {number}"))).collect();
    let names: Vec<_> = submissions.iter().map(|submission| submission.correlation).collect();
    submissions.into_iter().for_each(|submission| worker.submit(submission));
    let mut busy = 0;
    for name in names {
        match worker.answer(name) {
            AuthToWorker::Refused(refused) if matches!(refused.refusal, Refusal::Busy { .. }) => busy += 1,
            AuthToWorker::Refused(refused) => assert_eq!(refused.refusal, Refusal::FailedAuthentication),
            AuthToWorker::Vouched(_)
            | AuthToWorker::Opened(_)
            | AuthToWorker::Sealed(_)
            | AuthToWorker::SealedFor(_)
            | AuthToWorker::Negotiated(_) => panic!("vouched"),
        }
    }
    assert!(busy > 0 && busy < 50, "{busy}");
}

#[test]
fn an_issuer_that_is_full_is_a_reason_to_come_back_and_one_that_declines_is_not() {
    let office = office();
    let mut worker = office.worker();
    office.issuer.silent(true);
    for (failure, told) in [
        (Failure::Unavailable { retry_after_s: 1 }, Refusal::Busy { retry_after_s: 2 }),
        (Failure::NoSuchVoucher, Refusal::RequestFailed),
    ] {
        let submission = alice();
        let correlation = submission.correlation;
        worker.submit(submission);
        let voucher = eventually("at issuer", || office.lodged_for(correlation));
        office.issuer.to_say.lock().unwrap().push(IssuerToAuth::Declined { voucher, failure });
        let answer = worker.answer(correlation);
        assert!(matches!(&answer, AuthToWorker::Refused(refused) if refused.refusal == told), "{answer:?}");
    }
}

#[test]
fn a_planned_end_answers_what_is_under_way() {
    let office = office();
    let mut worker = office.worker();
    worker.vouched(alice());
    office.issuer.silent(true);
    let submission = alice();
    let correlation = submission.correlation;
    worker.submit(submission);
    let lodged = office.issuer.said.lock().unwrap().len();
    eventually("at issuer", || (office.issuer.said.lock().unwrap().len() > lodged).then_some(()));
    kill(office.auth().pid(), Signal::SIGTERM).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let id = office.lodged().id;
    office.issuer.to_say.lock().unwrap().push(IssuerToAuth::Lodged(id));
    assert!(matches!(worker.answer(correlation), AuthToWorker::Vouched(_)));
    assert!(!office.withdrawn(id), "the worker lives and may redeem it");
}

#[test]
fn a_log_that_cannot_be_written_ends_nobody() {
    let mut office = office();
    // A disk that is full, and a file that has grown as far as it may.
    office.start_with(|command| _ = command.stderr(std::fs::File::create("/dev/full").unwrap()));
    let mut worker = office.worker();
    worker.refused(request("alice", "wrong"));
    worker.vouched(alice());
    let log = tempfile::tempfile().unwrap();
    office.start_with(|command| _ = command.stderr(log));
    let pid = office.auth().pid().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=1:"]).status().unwrap().success());
    let mut worker = office.worker();
    worker.refused(request("alice", "wrong"));
    worker.vouched(alice());
}

#[test]
fn auth_is_ready_only_while_its_store_can_be_written() {
    let store = tempfile::tempdir().unwrap();
    drop(
        Store::open(&StoreRules { place: StorePlace::Sqlite(store.path().to_owned()), most_rows: 1_000_000 }, None)
            .unwrap(),
    );
    // So much is over that every second something is removed.
    let over = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO first_seen SELECT randomblob(32), i FROM n";
    rusqlite::Connection::open(store.path().join("auth.sqlite")).unwrap().execute(over, []).unwrap();
    let mut office = office();
    office.write("auth.toml", &format!("[store]\ndirectory = '{}'\n", store.path().display()));
    office.start();
    let ready = || office.snapshot().ready;
    let pid = office.auth().pid().to_string();
    let may_grow_to = |octets: &str| {
        let soft = format!("--fsize={octets}:");
        assert!(Command::new("prlimit").args(["--pid", &pid, &soft]).status().unwrap().success());
    };
    eventually("auth is ready", || ready().then_some(()));
    may_grow_to("100000");
    eventually("auth is not ready", || (!ready()).then_some(()));
    may_grow_to("100000000");
    eventually("auth is ready again", || ready().then_some(()));
}

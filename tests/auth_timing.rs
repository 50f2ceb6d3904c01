//! Does the time an answer takes tell who exists (R-T142, A-45)? Unknown users and wrong passwords, one after
//! the other in changing order, two thousand pairs; the medians of real auth's answers over its real socket
//! differ by less than two in a hundred.

#![expect(clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #![expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
}

use std::time::{Duration, Instant};

use chancery::wire::evidence::Refusal;

use support::office::{Office, Worker, hash, request};

const PAIRS: usize = 2_000;
/// The machine may be busy with one kind for a while: the best of so many rounds counts.
const ROUNDS: usize = 3;

#[test]
fn the_time_of_an_answer_does_not_tell_who_exists() {
    let throttle = "user_burst = 1000000\nuser_per_minute = 1000000\n\
                    address_burst = 1000000\naddress_per_minute = 1000000";
    let party =
        "applies_to = ['urn:office']\ntoken_types = ['saml20']\npolicy = 'permit(principal, action, resource);'";
    let users: String = (0..50).map(|n| format!("[users.user{n}]\npassword = '{}'\n", hash("right"))).collect();
    let office = Office::open(&format!("[throttle]\n{throttle}"), &users, party);
    let mut worker = office.worker();
    let mut differences = Vec::new();
    for _ in 0..ROUNDS {
        let difference = round(&mut worker);
        if difference < 0.02 {
            return;
        }
        differences.push(difference);
    }
    panic!("medians differ by {differences:?}");
}

/// How far the medians of one round are apart, as a part of the smaller.
fn round(worker: &mut Worker) -> f64 {
    let (mut known, mut unknown) = (Vec::with_capacity(PAIRS), Vec::with_capacity(PAIRS));
    for pair in 0..PAIRS {
        let user = format!("user{}", pair % 50);
        let nobody = format!("none{}", pair % 50);
        if pair % 2 == 0 {
            known.push(time(worker, &user));
            unknown.push(time(worker, &nobody));
        } else {
            unknown.push(time(worker, &nobody));
            known.push(time(worker, &user));
        }
    }
    let (known, unknown) = (median(known), median(unknown));
    (known - unknown).abs() / known.min(unknown)
}

fn time(worker: &mut Worker, user: &str) -> Duration {
    let submission = request(user, "wrong");
    let begun = Instant::now();
    let refusal = worker.refused(submission);
    let taken = begun.elapsed();
    assert_eq!(refusal, Refusal::FailedAuthentication);
    taken
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

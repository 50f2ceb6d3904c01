//! Signature wrapping against the whole service: messages that a registered client signed, each changed in one
//! way, through the real front door. `variants.txt` names every one with what it gets. None that means something
//! else than was signed is accepted; the few that mean the same say why in their line. Each is signed anew, for a
//! message that was here before would be refused for that alone.
//!
//! With `CHANCERY_SLOW=1` auth's log has the word for each refusal; the list as it would be then lies in `target/tmp`.
//!
//! A body that is not signed is the word of whoever holds the TLS connection, and is not varied here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chancery::wire::order::{Method, RequestIntegrity, TokenType};
use chancery::wire::record::Intent;
use chancery::worker::message::{self as reader, Incoming};
use regex::Regex;

#[path = "../support/asserted.rs"]
#[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
mod asserted;
#[path = "../demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;
mod house;
#[path = "../support/keyed.rs"]
#[expect(dead_code, reason = "shared with tests/keyed_requests.rs, which uses all of it")]
mod keyed;
mod message;
mod sealed;
mod shapes;
#[path = "../support/shared.rs"]
mod shared;
#[path = "../support/signed.rs"]
#[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
mod signed;

use house::{Answer, House};
use message::{Base, Cast, Covered, Message, OTHER_PARTY, PARTY};
use shapes::Variant;

const VARIANTS: &str = include_str!("variants.txt");
/// Fewer would be another test.
const LEAST: usize = 500;
const CONNECTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(15);

/// What became of a message. The reason is the worker's, or `auth` with its word.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    fault: String,
    reason: String,
}

/// The most specific code of a fault.
fn fault(answer: &Answer) -> String {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<(?:\w+:)?(?:Value|faultcode)[^>]*>(?:\w+:)?(\w+)<").unwrap());
    CODE.captures_iter(&answer.body).last().map_or_else(|| answer.body.clone(), |found| found[1].to_owned())
}

/// Holds an answer with a token against what was signed.
fn is_what_was_signed(answer: &Answer) -> bool {
    answer.body.contains(&format!("Audience>{PARTY}</"))
        && answer.body.contains("urn:oasis:names:tc:SAML:2.0:assertion")
        && answer.body.contains("machine@example.com")
        && !answer.body.contains(OTHER_PARTY)
}

/// Why the worker refuses it, when it is the worker that does.
fn worker_says(house: &House, base: &Base, xml: &str) -> Option<&'static str> {
    let incoming = Incoming { content_type: Some(base.soap.media_type()), soap_action: None, body: xml.as_bytes() };
    let endpoint = house.endpoint(base.path);
    let sealed = match reader::sealed(endpoint, &incoming) {
        Ok(Some(sealed)) if endpoint.encryption => sealed,
        Err(rejection) if endpoint.encryption => return Some(rejection.reason()),
        _ => return reader::read(endpoint, &incoming).err().map(|rejection| rejection.reason()),
    };
    sealed::worker_says(endpoint, &incoming, sealed)
}

/// Is the list to be written anew? auth's log has a line for each refusal only where they come slowly.
fn slow() -> bool {
    std::env::var_os("CHANCERY_SLOW").is_some()
}

/// Sends each message over a few kept connections.
fn send<T: Sync>(
    house: &House,
    items: &[T],
    xml: impl Fn(&T) -> (&'static Base, String) + Sync,
) -> Vec<(String, Answer)> {
    let slow = slow();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut connection = house.connect();
        let mut answers = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return answers };
            let (base, xml) = xml(item);
            let answer = connection.post(house, base.path, base.soap.media_type(), &xml);
            if slow && worker_says(house, base, &xml).is_none() {
                std::thread::sleep(Duration::from_millis(130));
            }
            answers.push((at, (xml, answer)));
        }
    };
    let mut answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..if slow { 1 } else { CONNECTIONS }).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// The list as it is kept.
fn kept() -> BTreeMap<&'static str, Outcome> {
    let lines = VARIANTS.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once('\t').unwrap();
            let (fault, reason) = rest.split_once('\t').unwrap();
            (name, Outcome { fault: fault.to_owned(), reason: reason.to_owned() })
        })
        .collect()
}

/// What became of each variant. auth's word is not told to a client; where it is kept in the list, that is taken
/// here and held against the sums of auth's own counters below.
fn outcomes(house: &House, variants: &[Variant], answers: &[(String, Answer)]) -> Vec<Outcome> {
    let (kept, log) = (kept(), if slow() { house.log() } else { String::new() });
    let logged = |answer: &Answer| {
        let line = log.lines().find(|line| line.contains(" auth: ") && line.contains(&answer.correlation))?;
        Some(line.split("reason=\"").nth(1)?.split('"').next()?.to_owned())
    };
    let of = |(variant, (xml, answer)): (&Variant, &(String, Answer))| {
        if answer.status == 200 {
            let why = variant.harmless.unwrap_or("ACCEPTED");
            return Outcome { fault: "accepted".to_owned(), reason: why.to_owned() };
        }
        let reason = match worker_says(house, variant.base, xml) {
            Some(reason) => reason.to_owned(),
            None => match (kept.get(variant.name.as_str()), logged(answer)) {
                (_, Some(word)) => format!("auth: {word}"),
                (Some(kept), None) if kept.reason.starts_with("auth: ") => kept.reason.clone(),
                _ => "auth: ?".to_owned(),
            },
        };
        Outcome { fault: fault(answer), reason }
    };
    variants.iter().zip(answers).map(of).collect()
}

/// The counters of one process, by label.
fn counted(house: &House, family: &str, process: &str) -> BTreeMap<String, u64> {
    let counters = house.counters(family).into_iter();
    counters.filter(|((of, _), _)| of == process).map(|((_, label), count)| (label, count)).collect()
}

fn eventually_counted(house: &House, family: &str, process: &str, expected: &BTreeMap<String, u64>) {
    let begun = Instant::now();
    while counted(house, family, process) != *expected && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(counted(house, family, process), *expected, "{family}");
}

#[test]
fn of_every_way_to_change_a_signed_message_none_yields_what_was_not_signed() {
    if !demo::possible("wrapping") {
        return;
    }
    let cast = Cast::new();
    let house = House::open(&cast);
    let controls = || {
        let bases: Vec<&'static Base> = shapes::BASES.iter().collect();
        for (base, (_, answer)) in
            bases.iter().zip(send(&house, &bases, |base| (*base, Message::new(base, &cast).xml())))
        {
            assert!(answer.status == 200 && is_what_was_signed(&answer), "control {}: {}", base.name, answer.body);
        }
        bases.len()
    };
    let mut released = controls();
    let variants = shapes::all();
    let names: BTreeSet<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    assert!(names.len() == variants.len() && names.len() >= LEAST, "{} of {}", names.len(), variants.len());
    let begun = Instant::now();
    let answers = send(&house, &variants, |variant| (variant.base, variant.make(&cast)));
    println!("{} variants in {:?}", variants.len(), begun.elapsed());
    let outcomes = outcomes(&house, &variants, &answers);

    let mut wrong = Vec::new();
    let mut listed = String::new();
    for ((variant, (xml, answer)), outcome) in variants.iter().zip(&answers).zip(&outcomes) {
        let accepted = answer.status == 200;
        released += usize::from(accepted);
        if accepted != variant.harmless.is_some() || accepted && !is_what_was_signed(answer) {
            wrong.push(format!("{}: {outcome:?}\n{xml}\n{}", variant.name, answer.body));
        }
        if outcome.reason == "auth: replayed" || answer.status == 503 {
            wrong.push(format!("{} hides what it tests: {outcome:?}", variant.name));
        }
        writeln!(listed, "{}\t{}\t{}", variant.name, outcome.fault, outcome.reason).unwrap();
    }
    let written = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("variants.txt");
    let head: String =
        VARIANTS.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    std::fs::write(&written, head + &listed).unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), variants.len(), wrong.join("\n\n"));

    // The list, name by name and fault by fault.
    let kept = kept();
    let made: BTreeMap<&str, Outcome> =
        variants.iter().map(|variant| variant.name.as_str()).zip(outcomes.iter().cloned()).collect();
    let differ: Vec<_> = made.iter().filter(|(name, outcome)| kept.get(*name) != Some(*outcome)).collect();
    let vanished: Vec<_> = kept.keys().filter(|name| !made.contains_key(*name)).collect();
    let list = written.display();
    assert!(differ.is_empty() && vanished.is_empty(), "differ: {differ:#?}\nvanished: {vanished:#?}\nnow: {list}");

    // auth's words, as auth itself counted them, and not one message that broke a rule between processes.
    released += controls();
    let mut words = BTreeMap::from([("allowed".to_owned(), released as u64)]);
    for word in outcomes.iter().filter_map(|outcome| outcome.reason.strip_prefix("auth: ")) {
        *words.entry(word.to_owned()).or_default() += 1;
    }
    eventually_counted(&house, "chancery_decisions_total", "auth", &words);
    let tokens = BTreeMap::from([("saml20".to_owned(), released as u64)]);
    eventually_counted(&house, "chancery_tokens_released_total", "issuer", &tokens);
    assert_eq!(house.counters("chancery_violations_total"), BTreeMap::new());

    // And the record, which nobody can talk out of a token.
    let intents = house.close();
    assert_eq!(intents.len(), released);
    assert!(intents.iter().all(|intent| intent.relying_party.as_str() == "generic"));
    let transport = shapes::BASES.iter().filter(|base| !base.covers(Covered::Body)).map(|base| base.name);
    let transport: BTreeSet<&str> = transport.collect();
    let unsigned = made
        .iter()
        .filter(|(name, outcome)| outcome.fault == "accepted" && transport.contains(name.split('/').next().unwrap()));
    let by_transport = intents.iter().filter(|intent| intent.request == RequestIntegrity::Transport).count();
    assert_eq!(by_transport, unsigned.count() + 2 * transport.len());
    let by = |intent: &Intent| matches!(intent.method, Method::X509 | Method::Saml);
    assert!(intents.iter().all(|intent| by(intent) && intent.token_type == TokenType::Saml20));
}

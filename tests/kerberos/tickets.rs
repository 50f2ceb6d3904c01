//! Tickets that are good, and what they are good for.

use chancery::wire::Millis;
use chancery::wire::evidence::Refusal;
use chancery::wire::links::AuthToWorker;
use chancery::wire::order::{Method, RequestIntegrity};

use crate::house::{House, all_refused};
use crate::support::kdc::{SERVICE, bound_to, installed};

#[test]
fn whoever_has_a_ticket_for_us_is_who_it_says_and_learns_who_we_are_r_w070() {
    if !installed("tickets") {
        return;
    }
    let house = House::new();
    let mut worker = house.office.worker();
    for options in [&["bind"][..], &["one-way", "bind"], &["delegate", "bind"], &["raw", "bind"]] {
        let client = house.kdc.begin("alice", SERVICE, &[options, &[&house.bound()]].concat());
        let AuthToWorker::Negotiated(negotiated) = worker.ask(house.brings(&client.token)) else {
            panic!("not vouched: {options:?}")
        };
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("alice", RequestIntegrity::Transport));
        assert_eq!(order.authentication.method, Method::Kerberos);
        let age = Millis::now().0 - order.authentication.instant.0;
        assert!((0..60_000).contains(&age), "{age}");
        assert!(client.completes(&negotiated.answer), "{options:?}");
    }
    worker.vouched(house.brings(&house.token("Mixed")));
    assert_eq!(house.office.lodged().order.subject.account.as_str(), "mixed");
    assert_eq!(house.office.decisions(), vec![(true, "allowed".to_owned()); 5]);
}

#[test]
fn somebody_else_than_the_service_cannot_answer_for_it() {
    if !installed("answers") {
        return;
    }
    let house = House::new();
    let (one, other) = (&house.bound(), &["bind"][..]);
    let one = house.kdc.begin("alice", SERVICE, &[other, &[one]].concat());
    let other = house.kdc.begin("alice", SERVICE, &[other, &[&house.bound()]].concat());
    let AuthToWorker::Negotiated(negotiated) = house.office.worker().ask(house.brings(&one.token)) else {
        panic!("not vouched")
    };
    assert!(!other.completes(&negotiated.answer));
}

#[test]
fn a_token_ends_with_the_ticket_that_it_was_got_by() {
    if !installed("ends") {
        return;
    }
    let house = House::new();
    house.kdc.login_for("alice", "5m");
    house.office.worker().vouched(house.brings(&house.token("alice")));
    let left = house.office.lodged().order.latest_expiry.0 - Millis::now().0;
    assert!((200_000..=300_000).contains(&left), "{left}");
}

#[test]
fn where_the_configuration_says_so_a_ticket_need_not_be_bound_and_is_still_not_bound_to_another() {
    if !installed("bindings") {
        return;
    }
    let house = House::with("channel_binding = \"when-sent\"");
    let other = bound_to(&crate::house::certificate());
    let mut worker = house.office.worker();
    worker.vouched(house.brings(&house.kdc.begin("alice", SERVICE, &[]).token.clone()));
    worker.vouched(house.brings(&house.token("alice")));
    let elsewhere = house.kdc.token("alice", &other);
    all_refused(&house.office, vec![("bound to another", house.brings(&elsewhere), "channel-binding")]);
    let wrong_place = chancery::wire::evidence::Submission {
        endpoint: chancery::wire::Text::new("/password").unwrap(),
        ..house.brings(&house.token("alice"))
    };
    assert_eq!(worker.refused(wrong_place), Refusal::UnsupportedSecurityToken);
}

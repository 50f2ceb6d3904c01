//! Lines that break, lines beside others of the same worker, and lines of peers that nobody can tell apart.

use super::*;

/// What a worker does when its channel ends while issuer lives: what was open goes over the next one, and again while
/// that is young.
#[test]
fn a_worker_whose_line_breaks_with_a_redemption_on_it_breaks_no_rule_by_asking_again() {
    let house = House::new();
    let mut scene = scene(&house);
    for before_issuer_has_seen_it in [true, false] {
        let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
        let unspent = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
        scene.worker.say(&WorkerToIssuer::Redeem(Redemption { ..redemption }));
        let (sequence, _) = entry(&mut scene.audit);
        if !before_issuer_has_seen_it {
            scene.worker = nowhere(Link::IssuerToWorker);
            std::thread::sleep(SILENCE);
        }
        scene.worker = house.worker();
        for _ in 0..3 {
            scene.worker.say(&WorkerToIssuer::Redeem(Redemption { ..redemption }));
            assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
        }
        if !before_issuer_has_seen_it {
            // What was not redeemed is burnt, and may be asked for as often.
            for _ in 0..3 {
                scene.worker.say(&WorkerToIssuer::Redeem(Redemption { ..unspent }));
                assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
            }
        }
        // It is signed, and nobody's.
        scene.audit.say(&FromAudit::Durable { sequence });
        house.sign(&mut scene.signer);
        assert!(matches!(record(&mut scene.audit), IssuerEntry::Outcome(_)));
        assert!(scene.worker.hears_nothing());
        scene.issue(&house, order("office", TokenType::Saml20));
    }
}

#[test]
fn a_voucher_put_in_over_two_lines_buys_one_token_and_over_one_line_twice_ends_it() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    let mut other = house.worker();
    scene.worker.say(&WorkerToIssuer::Redeem(Redemption { ..redemption }));
    record(&mut scene.audit);
    other.say(&WorkerToIssuer::Redeem(Redemption { ..redemption }));
    assert_eq!(failure(&mut other), Failure::NoSuchVoucher);
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
    other.say(&WorkerToIssuer::Redeem(Redemption { ..redemption }));
    assert_eq!(failure(&mut other), Failure::NoSuchVoucher);
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert!(scene.worker.is_hung_up());
    scene.nothing_happened(&house);
}

/// This process has no number where issuer is.
#[test]
fn peers_of_another_pid_namespace_are_hung_up_on_and_fill_no_log() {
    use nix::sched::{CloneFlags, unshare};
    use std::io::{BufRead, BufReader};
    // The namespace is that of this thread's children.
    if !nix::unistd::geteuid().is_root() || unshare(CloneFlags::CLONE_NEWPID).is_err() {
        println!("SKIPPED pid-namespace: no such namespace for us");
        return;
    }
    let mut there = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lines::an_issuer_of_another_pid_namespace", "--ignored", "--nocapture"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(there.stdout.take().unwrap()).lines().map_while(Result::ok);
    let root = lines.find_map(|line| line.strip_prefix("ready ").map(std::path::PathBuf::from)).unwrap();
    for _ in 0..60 {
        let channel = Channel::connect(&root.join(Place::IssuerWorker.file())).unwrap();
        assert!(Worker::new(channel, Link::IssuerToWorker).is_hung_up());
    }
    let said = std::fs::read_to_string(root.join("log")).unwrap().matches("peer-refused").count();
    drop(there.stdin.take());
    there.wait().unwrap();
    assert!((1..=10).contains(&said), "{said}");
}

#[test]
#[ignore = "not a test: a part of peers_of_another_pid_namespace_are_hung_up_on_and_fill_no_log, in a namespace of its own"]
fn an_issuer_of_another_pid_namespace() {
    let house = House::new();
    let _issuer = house.start_saying(File::create(house.root.path().join("log")).unwrap());
    println!("ready {}", house.root.path().display());
    let _until_nobody_needs_it = std::io::read_to_string(std::io::stdin());
}

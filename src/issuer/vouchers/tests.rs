//! Each voucher buys one order at most, whoever asks for it, over whatever, and as often as he likes.

use super::*;
use crate::issuer::examples::order;
use crate::wire::order::Claim;
use crate::wire::{Correlation, List, Text};

const WORKER: Peer = Peer(41);
/// Two channels of that worker, and one of another.
const FIRST: (Peer, u64) = (WORKER, 1);
const SECOND: (Peer, u64) = (WORKER, 2);
const OTHER: (Peer, u64) = (Peer(42), 3);

fn voucher(vouchers: &mut Vouchers, now: Instant) -> Redemption {
    let order = order("office");
    let redemption = Redemption { voucher: VoucherId::random(), correlation: order.correlation };
    let voucher = Voucher { id: redemption.voucher, worker: WORKER, order, signed_reply: false };
    assert_eq!(vouchers.lodge(voucher, now), Ok(Lodged::Taken));
    redemption
}

#[test]
fn a_voucher_is_good_once() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let redemption = voucher(&mut vouchers, now);
    assert!(vouchers.redeem(&redemption, FIRST, now).is_ok());
    let again = vouchers.redeem(&redemption, FIRST, now);
    assert!(matches!(again, Err(NotRedeemed::Violation(_))));
}

#[test]
fn a_voucher_is_burnt_by_the_wrong_worker_and_by_the_wrong_request() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let redemption = voucher(&mut vouchers, now);
    assert!(matches!(vouchers.redeem(&redemption, OTHER, now), Err(NotRedeemed::Violation(_))));
    assert_eq!(vouchers.redeem(&redemption, FIRST, now), Err(NotRedeemed::NoSuchVoucher));
    let redemption = voucher(&mut vouchers, now);
    let wrong = Redemption { voucher: redemption.voucher, correlation: Correlation::random() };
    assert!(matches!(vouchers.redeem(&wrong, FIRST, now), Err(NotRedeemed::Violation(_))));
    assert!(matches!(vouchers.redeem(&redemption, FIRST, now), Err(NotRedeemed::Violation(_))));
    assert!(vouchers.of_worker.is_empty());
}

#[test]
fn a_voucher_runs_out() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let redemption = voucher(&mut vouchers, now);
    let later = now + Duration::from_secs(5);
    assert_eq!(vouchers.redeem(&redemption, FIRST, later), Err(NotRedeemed::NoSuchVoucher));
    assert_eq!((vouchers.count(), vouchers.of_worker.len(), vouchers.ends.len()), (0, 0, 0));
    assert_eq!(vouchers.octets, 0);
}

#[test]
fn vouchers_die_with_their_worker_and_at_auths_wish_and_to_come_too_late_is_no_breach() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let (one, other) = (voucher(&mut vouchers, now), voucher(&mut vouchers, now));
    let spent = voucher(&mut vouchers, now);
    assert!(vouchers.redeem(&spent, FIRST, now).is_ok());
    vouchers.withdraw(one.voucher);
    vouchers.withdraw(spent.voucher);
    vouchers.bereave(WORKER);
    for late in [one, other] {
        // A worker asks again while its line is young: it may be there before auth.
        for channel in [FIRST, SECOND, SECOND] {
            assert_eq!(vouchers.redeem(&late, channel, now), Err(NotRedeemed::NoSuchVoucher));
        }
    }
    assert!(matches!(vouchers.redeem(&spent, FIRST, now), Err(NotRedeemed::Violation(_))));
}

#[test]
fn what_was_asked_over_a_line_that_broke_may_be_asked_over_the_next_and_is_not_given_twice() {
    let now = Instant::now();
    // Before and after it is known that the first is gone.
    for gone in [false, true] {
        let mut vouchers = Vouchers::new(Duration::from_secs(5));
        let redemption = voucher(&mut vouchers, now);
        assert!(vouchers.redeem(&redemption, FIRST, now).is_ok());
        if gone {
            vouchers.bereave(WORKER);
        }
        for _ in 0..3 {
            assert_eq!(vouchers.redeem(&redemption, SECOND, now), Err(NotRedeemed::NoSuchVoucher));
        }
        assert!(matches!(vouchers.redeem(&redemption, FIRST, now), Err(NotRedeemed::Violation(_))));
        assert!(matches!(vouchers.redeem(&redemption, OTHER, now), Err(NotRedeemed::Violation(_))));
        let again = Voucher { id: redemption.voucher, worker: WORKER, order: order("office"), signed_reply: false };
        assert_eq!(vouchers.lodge(again, now), Ok(Lodged::Spent));
    }
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let redemption = voucher(&mut vouchers, now);
    let wrong = Redemption { voucher: redemption.voucher, correlation: Correlation::random() };
    assert!(matches!(vouchers.redeem(&wrong, FIRST, now), Err(NotRedeemed::Violation(_))));
    vouchers.bereave(WORKER);
    assert!(matches!(vouchers.redeem(&redemption, SECOND, now), Err(NotRedeemed::Violation(_))));
}

#[test]
fn a_burnt_voucher_of_another_worker_is_still_a_breach() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let redemption = voucher(&mut vouchers, now);
    vouchers.withdraw(redemption.voucher);
    assert!(matches!(vouchers.redeem(&redemption, OTHER, now), Err(NotRedeemed::Violation(_))));
    assert_eq!(vouchers.redeem(&redemption, FIRST, now), Err(NotRedeemed::NoSuchVoucher));
}

#[test]
fn a_voucher_lodged_again_is_the_same_voucher_and_stays_spent() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let order = order("office");
    let id = VoucherId::random();
    let again = || Voucher { id, worker: WORKER, order: order.clone(), signed_reply: false };
    assert_eq!(vouchers.lodge(again(), now), Ok(Lodged::Taken));
    assert_eq!(vouchers.lodge(again(), now), Ok(Lodged::Taken));
    assert!(vouchers.lodge(Voucher { worker: Peer(42), ..again() }, now).is_err());
    assert!(vouchers.lodge(Voucher { signed_reply: true, ..again() }, now).is_err());
    let redemption = Redemption { voucher: id, correlation: order.correlation };
    assert!(vouchers.redeem(&redemption, FIRST, now).is_ok());
    assert_eq!(vouchers.lodge(again(), now), Ok(Lodged::Spent));
    assert!(vouchers.redeem(&redemption, FIRST, now).is_err());
}

#[test]
fn a_spent_voucher_stays_spent_for_as_long_as_auth_may_lodge_it_whatever_ours_run() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(1));
    let order = order("office");
    let lodge = |vouchers: &mut Vouchers, id, now| {
        vouchers.lodge(Voucher { id, worker: WORKER, order: order.clone(), signed_reply: false }, now)
    };
    let [redeemed, withdrawn, unspent] = [0; 3].map(|_| VoucherId::random());
    for id in [redeemed, withdrawn, unspent] {
        assert_eq!(lodge(&mut vouchers, id, now), Ok(Lodged::Taken));
    }
    let redemption = Redemption { voucher: redeemed, correlation: order.correlation };
    assert!(vouchers.redeem(&redemption, FIRST, now).is_ok());
    vouchers.withdraw(withdrawn);
    for seconds in [1, 5, 60, 65] {
        let later = now + Duration::from_secs(seconds);
        for id in [redeemed, withdrawn] {
            assert!(vouchers.knows(id));
            assert_eq!(lodge(&mut vouchers, id, later), Ok(Lodged::Spent), "{seconds}");
        }
        assert_eq!(vouchers.redeem(&redemption, FIRST, later), Err(NotRedeemed::NoSuchVoucher));
    }
    // One that ran out was not used.
    assert_eq!(lodge(&mut vouchers, unspent, now + Duration::from_secs(65)), Ok(Lodged::Taken));
    vouchers.expire(now + Duration::from_secs(200));
    assert_eq!((vouchers.count(), vouchers.spent.len(), vouchers.forgotten.len()), (0, 0, 0));
}

#[test]
fn names_of_spent_vouchers_take_so_much_room() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(1));
    vouchers.spent.extend((0..MOST_SPENT).map(|_| VoucherId::random()));
    let id = VoucherId::random();
    let voucher = Voucher { id, worker: WORKER, order: order("office"), signed_reply: false };
    assert_eq!(vouchers.lodge(voucher, now), Ok(Lodged::Full));
}

#[test]
fn one_worker_cannot_fill_the_house() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    for _ in 0..MOST_OF_ONE {
        voucher(&mut vouchers, now);
    }
    let one_more = |worker| Voucher { id: VoucherId::random(), worker, order: order("office"), signed_reply: false };
    assert_eq!(vouchers.lodge(one_more(WORKER), now), Ok(Lodged::Full));
    assert_eq!(vouchers.lodge(one_more(Peer(42)), now), Ok(Lodged::Taken));
}

#[test]
fn orders_for_workers_that_there_are_not_take_so_much_room_and_give_it_back() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let large = Text::new("x".repeat(4096)).unwrap();
    let claim = Claim { uri: Text::new("urn:a").unwrap(), values: List::new(vec![large; 60]).unwrap() };
    let order = Order { claims: List::new(vec![claim]).unwrap(), ..order("office") };
    let of =
        |worker| Voucher { id: VoucherId::random(), worker: Peer(worker), order: order.clone(), signed_reply: false };
    let mut taken = 0;
    while vouchers.lodge(of(taken), now) == Ok(Lodged::Taken) {
        taken += 1;
    }
    // 240 KiB each.
    assert!((400..600).contains(&taken), "{taken}");
    vouchers.bereave(Peer(0));
    assert_eq!(vouchers.lodge(of(9000), now), Ok(Lodged::Taken));
    assert_eq!(vouchers.lodge(of(9001), now), Ok(Lodged::Full));
    vouchers.expire(now + Duration::from_secs(5));
    assert_eq!(vouchers.octets, 0);
}

#[test]
fn a_worker_whose_voucher_was_refused_leaves_nothing_behind() {
    let now = Instant::now();
    let mut vouchers = Vouchers::new(Duration::from_secs(5));
    let of =
        |worker| Voucher { id: VoucherId::random(), worker: Peer(worker), order: order("office"), signed_reply: false };
    for number in 0..MOST {
        let worker = i32::try_from(number / MOST_OF_ONE).unwrap();
        assert_eq!(vouchers.lodge(of(worker), now), Ok(Lodged::Taken));
    }
    let known = vouchers.of_worker.len();
    for stranger in 1000..1100 {
        assert_eq!(vouchers.lodge(of(stranger), now), Ok(Lodged::Full));
    }
    assert_eq!(vouchers.of_worker.len(), known);
}

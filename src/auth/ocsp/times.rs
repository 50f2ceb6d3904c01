//! `GeneralizedTime` as DER has it (RFC 5280 4.1.2.5.2): fifteen octets, without fractions, in UTC.

use time::{Date, Month, PrimitiveDateTime, Time};
use x509_parser::der_parser::asn1_rs::Tag;

use crate::config::auth::der::Element;
use crate::wire::Millis;

/// The instant that is written there.
pub(super) fn instant(value: &Element<'_>) -> Option<Millis> {
    if value.tag != Tag::GeneralizedTime || value.content.len() != 15 {
        return None;
    }
    let (digits, zone) = value.content.split_at(14);
    if zone != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, length: usize| {
        let digits = digits.iter().skip(from).take(length);
        digits.fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'))
    };
    let two = |from: usize| u8::try_from(number(from, 2)).ok();
    let date = Date::from_calendar_date(number(0, 4).into(), Month::try_from(two(4)?).ok()?, two(6)?).ok()?;
    let time = Time::from_hms(two(8)?, two(10)?, two(12)?).ok()?;
    let seconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
    Some(Millis(seconds.saturating_mul(1000)))
}

//! `xsd:dateTime` as WS-Security allows it: UTC with a `Z`, seconds below 60, no more than nine digits of a
//! fraction (R-W010). Written with exactly three, which is what the strictest client wants.

use time::{Date, Month, OffsetDateTime, Time};

use crate::wire::Millis;

/// Reads an instant; what is below a millisecond is dropped.
#[must_use]
pub fn parse(text: &str) -> Option<Millis> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let milliseconds =
        fraction.bytes().chain([b'0'; 3]).take(3).fold(0, |sum, octet| sum * 10 + u16::from(octet - b'0'));

    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let [hour, minute, second] = [u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?];
    let time = Time::from_hms_milli(hour, minute, second, milliseconds).ok()?;
    let instant = OffsetDateTime::new_utc(date, time);
    Some(Millis(instant.unix_timestamp() * 1000 + i64::from(milliseconds)))
}

/// Three numbers of fixed width.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[u16; 3]> {
    let mut parts = text.split(separator);
    let mut values = [0; 3];
    for (value, width) in values.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(values)
}

/// `2006-01-02T15:04:05.000Z`. An instant outside the years 0001 to 9999, which no clock of ours gives,
/// becomes the nearest that can be written.
#[must_use]
pub fn format(instant: Millis) -> String {
    const FIRST: i64 = -62_135_596_800_000;
    const LAST: i64 = 253_402_300_799_999;
    let milliseconds = instant.0.clamp(FIRST, LAST);
    let moment =
        OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (moment.date(), moment.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        milliseconds.rem_euclid(1000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_none_to_nine_digits_are_read() {
        for (text, milliseconds) in [
            ("2026-11-22T06:22:07Z", 0),
            ("2026-11-22T06:22:07.4Z", 400),
            ("2026-11-22T06:22:07.486Z", 486),
            ("2026-11-22T06:22:07.486123Z", 486),
            ("2026-11-22T06:22:07.4861239Z", 486),
            ("2026-11-22T06:22:07.999999999Z", 999),
        ] {
            assert_eq!(parse(text), Some(Millis(1_795_328_527_000 + milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_utc_or_not_a_time_is_refused_r_w010() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T06:22:07",
            "2026-11-22T06:22:07+00:00",
            "2026-11-22T06:22:07.Z",
            "2026-11-22T06:22:07.1234567890Z",
            "2026-11-22T06:22:60Z",
            "2026-11-22T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-1-01T00:00:00Z",
            "-2026-11-22T06:22:07Z",
            "+026-11-22T06:22:07Z",
            "2026-11-22t06:22:07z",
            " 2026-11-22T06:22:07Z",
            "2026-11-22T06:22:07\u{663}Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn instants_have_exactly_three_digits_and_a_z() {
        assert_eq!(format(Millis(1_795_328_527_486)), "2026-11-22T06:22:07.486Z");
        assert_eq!(format(Millis(-1)), "1969-12-31T23:59:59.999Z");
        for instant in [i64::MIN, -62_135_596_800_000, 0, 951_782_400_000, 253_402_300_799_999] {
            let text = format(Millis(instant));
            assert_eq!(parse(&text).map(format), Some(text));
        }
    }
}

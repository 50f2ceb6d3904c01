//! `xsd:duration`, as far as metadata needs it: not negative, whole numbers but for the seconds. A year and a month
//! have as many days as the shortest of them.

/// Milliseconds of each unit, before and after the `T`, in their order.
const DATE: [(char, i64); 3] = [('Y', 365 * 86_400_000), ('M', 28 * 86_400_000), ('D', 86_400_000)];
const TIME: [(char, i64); 3] = [('H', 3_600_000), ('M', 60_000), ('S', 1000)];

/// Reads a duration: milliseconds, what is below one dropped.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.strip_prefix('P')?;
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    sum(date, &DATE)?.checked_add(sum(time, &TIME)?)
}

fn sum(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut sum: i64 = 0;
    for (unit, milliseconds) in units {
        let Some((number, rest)) = text.split_once(*unit) else { continue };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if *unit == 'S' && digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (number, ""),
        };
        if !digits(whole) {
            return None;
        }
        let thousandths =
            fraction.bytes().chain([b'0'; 3]).take(3).fold(0, |sum, octet| sum * 10 + i64::from(octet - b'0'));
        sum = sum.checked_add(whole.parse::<i64>().ok()?.checked_mul(*milliseconds)?)?.checked_add(thousandths)?;
        text = rest;
    }
    text.is_empty().then_some(sum)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_nothing_else_is() {
        for (text, milliseconds) in [
            ("PT5H", 5 * 3_600_000),
            ("P1D", 86_400_000),
            ("P1Y2M3DT4H5M6.7S", (365 + 56 + 3) * 86_400_000 + 4 * 3_600_000 + 5 * 60_000 + 6700),
            ("PT0S", 0),
            ("P1M", 28 * 86_400_000),
            ("PT1M", 60_000),
        ] {
            assert_eq!(parse(text), Some(milliseconds), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "-P1D",
            "P-1D",
            "1D",
            "P1",
            "P1H",
            "PT1D",
            "P1D1Y",
            "PT1.5H",
            "PT.5S",
            "PT1.S",
            "P1S",
            "P99999999999999999999D",
            "P9999999999999D",
            "P1DT1H1H",
            "P١D",
            "p1d",
            "P1D ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

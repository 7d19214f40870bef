//! Dates that other programs write, as AWS's SDK for JavaScript reads them: it makes `new Date()` of whatever stands there.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// The moment of an ISO 8601 date, with `T` or a blank before the time, and `Z`, `UTC`, `GMT` or an offset behind it. Without any it
/// is in UTC.
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(&canonical(text)?, Format::DateTimeWithOffset).ok()?).ok()
}

/// The same date as the SDK for Rust writes and reads it; `None` where it is none.
pub(crate) fn in_utc(text: &str) -> Option<String> {
    DateTime::from_str(&canonical(text)?, Format::DateTimeWithOffset).ok()?.fmt(Format::DateTime).ok()
}

fn canonical(text: &str) -> Option<String> {
    let (date, rest) = text.trim().split_at_checked(10)?;
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let end = rest.find(|sign: char| !(sign.is_ascii_digit() || sign == ':' || sign == '.')).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    let seconds = if time.len() == 5 { ":00" } else { "" };
    Some(format!("{date}T{time}{seconds}{}", offset(zone.trim())?))
}

/// `+01:00` of `+0100` and `+01`.
fn offset(zone: &str) -> Option<String> {
    if ["", "Z", "UTC", "GMT"].iter().any(|utc| zone.eq_ignore_ascii_case(utc)) {
        return Some("Z".to_owned());
    }
    let digits: String = zone.strip_prefix(['+', '-'])?.chars().filter(|sign| *sign != ':').collect();
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        2 => (&*digits, "00"),
        4 => digits.split_at(2),
        _ => return None,
    };
    Some(format!("{}{hours}:{minutes}", &zone[..1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_javascript_takes_for_a_date_is_one() {
        for text in [
            "2030-01-01T10:00:00Z",
            "2030-01-01T10:00:00.000Z",
            "2030-01-01T10:00:00UTC",
            "2030-01-01 10:00:00 GMT",
            "2030-01-01T10:00:00",
            "2030-01-01T10:00",
            "2030-01-01 10:00:00+00:00",
            "2030-01-01T12:00:00+0200",
            "2030-01-01T12:00:00+02:00",
            "2030-01-01T08:00:00-02",
            " 2030-01-01T10:00:00Z\n",
        ] {
            assert_eq!(in_utc(text).as_deref(), Some("2030-01-01T10:00:00Z"), "{text}");
        }
        assert_eq!(in_utc("2030-01-01").as_deref(), Some("2030-01-01T00:00:00Z"));
        for text in
            ["", "soon", "2030-13-01T10:00:00Z", "2030-01-01X10:00:00Z", "2030-01-01T10:00:00 MEZ", "1893492000"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}

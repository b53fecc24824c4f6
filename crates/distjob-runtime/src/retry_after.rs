//! What an HTTP receiver says about when to come again.

use std::time::{Duration, SystemTime};

use hyper::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// How long the receiver asks to wait (RFC 9110, section 10.2.3): a number of seconds, or a date, which is taken against the
/// answer's own `Date`, so that the two clocks need not agree; against `now` in an answer without one. `None` when it
/// does not ask, or not in a way that can be read.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a very long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let again = httpdate::parse_http_date(text).ok()?;
    let said = date(headers, DATE).unwrap_or(now);
    Some(again.duration_since(said).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const NOON: &str = "Sun, 22 Nov 2026 12:00:00 GMT";

    fn asked(text: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers, httpdate::parse_http_date(NOON).unwrap())
    }

    #[test]
    fn seconds_are_seconds_and_too_many_of_them_a_very_long_time() {
        assert_eq!(asked("120", None), Some(Duration::from_secs(120)));
        assert_eq!(asked(" 0 ", None), Some(Duration::ZERO));
        let huge = "9".repeat(40);
        assert_eq!(asked(&huge, None), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn a_date_is_taken_against_the_answers_own_clock_or_ours_and_is_never_in_the_past() {
        let later = "Sun, 22 Nov 2026 12:00:30 GMT";
        assert_eq!(asked(later, None), Some(Duration::from_secs(30)));
        let slow = "Sun, 22 Nov 2026 11:00:00 GMT";
        assert_eq!(asked(later, Some(slow)), Some(Duration::from_secs(3630)));
        assert_eq!(asked(later, Some("nonsense")), Some(Duration::from_secs(30)));
        assert_eq!(asked(slow, None), Some(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_read_asks_for_nothing() {
        for text in ["", "-1", "1.5", "soon", "12 s", "2026-11-22T12:00:00Z"] {
            assert_eq!(asked(text, None), None, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}

//! Clock skew. AWS refuses a request whose signature is minutes off its own clock, with codes that mean other things as well. So
//! each answer is compared with the time at which its request was signed.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Set on an answer whose request was signed with a wrong clock. Nobody else may set it.
const MARK: &str = "x-tcs-signed-with-a-wrong-clock";
/// AWS accepts five minutes. The SDK learns a skew from four minutes on.
const MINUTES_4: i64 = 4 * 60;

/// The time in the signature of `request`, in seconds since 1970.
pub(crate) fn signed_at(request: &HttpRequest) -> Option<i64> {
    let text = request.headers().get("x-amz-date")?;
    let digits = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    // 20261128T184111Z
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hours, minutes, seconds) = (digits(9..11)?, digits(11..13)?, digits(13..15)?);
    let written = format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z");
    DateTime::from_str(&written, Format::DateTime).ok().map(|date| date.secs())
}

/// What the date of `response` shows of this machine's clock, where it answers a request that was signed: others than AWS do not say what
/// time it is.
pub(crate) fn note(response: &HttpResponse, signed: Option<i64>) {
    if let (Some(_), Some(date)) = (signed, date_of(response)) {
        secret::clock::note_shown(date.secs().max(0).cast_unsigned());
    }
}

fn date_of(response: &HttpResponse) -> Option<DateTime> {
    response.headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok())
}

/// `response`, marked when its `Date` is minutes off the time at which its request was signed.
pub(crate) fn marked(mut response: HttpResponse, signed: Option<i64>) -> HttpResponse {
    let date = date_of(&response);
    let headers = response.headers_mut();
    headers.remove(MARK);
    if let (Some(signed), Some(date)) = (signed, date)
        && (date.secs() - signed).abs() >= MINUTES_4
    {
        headers.insert(MARK, "1");
    }
    response
}

/// Whether `response` answers a request that was signed with a wrong clock.
pub(crate) fn is_marked(response: &HttpResponse) -> bool {
    response.headers().get(MARK).is_some()
}

/// Whether AWS may mean a wrong clock by this error code.
pub(crate) fn may_be_meant_by(code: &str) -> bool {
    matches!(
        code,
        "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "SignatureExpired"
            | "IncompleteSignature"
            | "AuthFailure"
            | "RequestTimeTooSkewed"
            | "RequestInTheFuture"
            | "RequestExpired"
            | "AccessDeniedException"
            | "AccessDenied"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    fn answered(signed: &'static str, date: &'static str) -> bool {
        let mut request = HttpRequest::empty();
        request.headers_mut().insert("x-amz-date", signed);
        let mut response = HttpResponse::new(400.try_into().expect("a status"), SdkBody::empty());
        response.headers_mut().insert(MARK, "1");
        response.headers_mut().insert("date", date);
        is_marked(&marked(response, signed_at(&request)))
    }

    #[test]
    fn an_answer_shows_the_clock_of_its_request() {
        let date = "Sat, 28 Nov 2026 18:41:11 GMT";
        assert!(!answered("20261128T184111Z", date));
        assert!(!answered("20261128T183800Z", date));
        assert!(answered("20261128T183000Z", date));
        assert!(answered("20261128T185111Z", date));
        for garbage in ["", "T", "2026112", "99999999T999999Z"] {
            assert!(!answered(garbage, date), "{garbage}");
        }
        assert!(!answered("20261128T183000Z", "yesterday"));
    }
}

//! Ends an answer that is longer than any of AWS's, with or without a length, before it fills the memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use http_body::{Body, Frame, SizeHint};

const MIB: u64 = 1 << 20;
/// A value has at most 64 KiB; JSON escapes make it up to six times as long.
const ONE: u64 = MIB;
/// 20 values, or a page of a listing.
const MANY: u64 = 10 * MIB;
/// Ten messages of SQS, of 1 MiB each, with escapes.
const MESSAGES: u64 = 24 * MIB;

/// What the operation of a request is called in `x-amz-target`, without its service.
pub(crate) fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit_once('.').map_or(target, |(_, operation)| operation)
}

/// The longest answer that `operation` may have.
pub(crate) fn limit(operation: &str) -> u64 {
    match operation {
        "ReceiveMessage" => MESSAGES,
        many if many.starts_with("Batch") || many.starts_with("List") => MANY,
        _ => ONE,
    }
}

/// `response`, whose body is an error from the first byte beyond `limit` on.
pub(crate) fn bounded(response: HttpResponse, limit: u64) -> HttpResponse {
    let mut response = response;
    let body = response.take_body();
    *response.body_mut() = SdkBody::from_body_1_x(Bounded { body, limit, left: limit });
    response
}

/// An answer was longer than AWS's can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(u64);

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer is longer than {} MiB, which Secrets Manager's never is", self.0 / MIB)
    }
}

impl std::error::Error for TooLong {}

struct Bounded {
    body: SdkBody,
    limit: u64,
    left: u64,
}

impl Body for Bounded {
    type Data = <SdkBody as Body>::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let too_long = TooLong(self.limit);
        // The length that the sender claims: nothing needs to be read to refuse it.
        if self.body.size_hint().lower() > self.left {
            return Poll::Ready(Some(Err(too_long.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(too_long.into()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

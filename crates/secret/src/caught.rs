//! Work that may panic where it must not: what calls it goes on.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `work`; `None` when it panicked. It is not polled again then.
pub async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // What the work holds is dropped with it, and seen by nobody.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Some(result)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    fn ended<T>(work: impl Future<Output = Option<T>>) -> Option<T> {
        match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => ended,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn a_panic_ends_the_work_and_nothing_else() {
        assert_eq!(ended(caught(async { 1 })), Some(1));
        assert_eq!(ended(caught(async { [0][std::hint::black_box(1)] })), None);
    }
}

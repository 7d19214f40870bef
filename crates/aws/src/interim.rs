//! Ends a connection on which interim answers (HTTP 1xx) come without an end.
//!
//! hyper skips interim answers one after another, and takes microseconds for each: it makes room for as many headers as an answer may
//! have. A server that sends nothing else would keep a thread of the runtime busy, and with it the deadlines of all reads. So the
//! interim answers are counted where hyper reads.
//!
//! - <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use network::tunnel::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More interim answers before an answer are not read: a server sends one or two.
const MOST: u32 = 32;
/// Where the first digit of the status is in `HTTP/1.1 200 OK`.
const STATUS: usize = 9;

/// More than [`MOST`] interim answers came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many interim answers")
    }
}

impl Error for Endless {}

/// Where in what the server says the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the first line of a head, behind this many bytes.
    Status(usize),
    /// In the head of an interim answer; whether its line is empty so far.
    Interim { is_empty: bool },
    /// In the answer, or behind it.
    Answer,
}

/// Counts interim answers.
#[derive(Debug)]
struct Interim {
    at: At,
    count: u32,
}

impl Interim {
    const fn new() -> Self {
        Self { at: At::Status(0), count: 0 }
    }

    /// Something is sent: after an answer, this is the next request.
    fn sent(&mut self) {
        if self.at == At::Answer {
            *self = Self::new();
        }
    }

    /// `bytes` come from the server.
    fn came(&mut self, bytes: &[u8]) -> Result<(), Endless> {
        for byte in bytes {
            self.at = match (self.at, byte) {
                (At::Answer, _) => return Ok(()),
                // Empty lines may come before a head.
                (At::Status(0), b'\r' | b'\n') | (At::Interim { is_empty: true }, b'\n') => At::Status(0),
                (At::Status(STATUS), b'1') if self.count == MOST => return Err(Endless),
                (At::Status(STATUS), b'1') => {
                    self.count += 1;
                    At::Interim { is_empty: false }
                }
                (At::Status(STATUS), _) => At::Answer,
                (At::Status(before), _) => At::Status(before + 1),
                (At::Interim { .. }, b'\n') => At::Interim { is_empty: true },
                (At::Interim { is_empty }, b'\r') => At::Interim { is_empty },
                (At::Interim { .. }, _) => At::Interim { is_empty: false },
            };
        }
        Ok(())
    }
}

/// A connection that speaks HTTP/1, whose interim answers are counted.
pub(crate) struct Counted {
    stream: Box<dyn Stream>,
    /// `None` in HTTP/2, whose frames are others.
    interim: Option<Interim>,
}

impl Counted {
    /// Nothing was read of `stream`.
    pub(crate) fn new(stream: Box<dyn Stream>, is_h2: bool) -> Self {
        Self { stream, interim: (!is_h2).then(Interim::new) }
    }

    fn sent(&mut self) -> Pin<&mut Box<dyn Stream>> {
        if let Some(interim) = &mut self.interim {
            interim.sent();
        }
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let came = &buffer.filled()[before..];
        Poll::Ready(self.interim.as_mut().map_or(Ok(()), |interim| interim.came(came).map_err(io::Error::other)))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.sent().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.sent().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n";
    const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

    #[test]
    fn interim_answers_are_counted_however_they_are_cut() {
        let most = CONTINUE.repeat(MOST as usize);
        for size in [1, 2, 7, 1024] {
            let mut interim = Interim::new();
            for part in most.as_bytes().chunks(size) {
                assert_eq!(interim.came(part), Ok(()), "{size}");
            }
            let one_more = CONTINUE.as_bytes().chunks(size).try_for_each(|part| interim.came(part));
            assert_eq!(one_more, Err(Endless), "{size}");
        }
        let bare = "HTTP/1.0 102 \n\n\r\n".repeat(MOST as usize + 1);
        assert_eq!(Interim::new().came(bare.as_bytes()), Err(Endless));
    }

    #[test]
    fn an_answer_may_hold_what_it_likes_and_the_next_request_counts_anew() {
        let mut interim = Interim::new();
        let most = CONTINUE.repeat(MOST as usize);
        for _ in 0..3 {
            interim.sent();
            assert_eq!(interim.came(most.as_bytes()), Ok(()));
            // The rest of the request, which does not begin another one.
            interim.sent();
            assert_eq!(interim.came(OK.as_bytes()), Ok(()));
            assert_eq!(interim.came(CONTINUE.repeat(99).as_bytes()), Ok(()), "its body");
        }
    }
}

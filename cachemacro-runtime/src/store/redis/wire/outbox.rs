//! Bytes on their way to the socket: small commands copied together, large ones as they are.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// From how many bytes on commands are not copied.
const LARGE: usize = 16 * 1024;
/// Room over this is not kept.
const KEPT: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    segments: VecDeque<Vec<u8>>,
    /// How much of the first was written.
    at: usize,
    /// How many bytes the segments have that were not written.
    left: usize,
    /// How many bytes were ever written.
    written: u64,
    /// Whether a stream that has a buffer of its own still holds some of it.
    is_unflushed: bool,
    /// Room to be used again.
    spare: Vec<u8>,
}

impl Outbox {
    /// How many bytes wait to be written.
    pub(super) const fn len(&self) -> usize {
        self.left
    }

    /// How many bytes were ever written.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes; where they begin among all that were ever added.
    pub(super) fn append(&mut self, bytes: Vec<u8>) -> u64 {
        let begins = self.written + self.left as u64;
        self.left += bytes.len();
        if bytes.len() >= LARGE {
            self.segments.push_back(bytes);
        } else {
            self.tail().extend_from_slice(&bytes);
        }
        begins
    }

    /// Adds what is written to the end of the given bytes; where that begins among all that were ever added.
    pub(super) fn append_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let begins = self.written + self.left as u64;
        let tail = self.tail();
        let before = tail.len();
        write(tail);
        self.left += tail.len() - before;
        begins
    }

    /// The segment that small commands go to.
    fn tail(&mut self) -> &mut Vec<u8> {
        if self.segments.back().is_none_or(|last| last.len() >= LARGE) {
            self.segments.push_back(std::mem::take(&mut self.spare));
        }
        self.segments.back_mut().expect("made where there was none")
    }

    /// Writes all there is.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(segment) = self.segments.front_mut() {
            if self.at < segment.len() {
                let written = ready!(Pin::new(&mut *stream).poll_write(cx, &segment[self.at..]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.is_unflushed = true;
                self.at += written;
                self.left -= written;
                self.written += written as u64;
                continue;
            }
            self.at = 0;
            segment.clear();
            let segment = std::mem::take(segment);
            self.segments.pop_front();
            if segment.capacity() <= KEPT {
                self.spare = segment;
            }
        }
        if self.is_unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

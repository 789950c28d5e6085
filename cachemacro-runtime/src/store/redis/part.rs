//! One of several commands that go in one go.

use super::script::{self, Arg, Call};
use super::wire::{Packed, Reply};

/// How many bytes a key counts for besides its own: a thousand keys in one go take a server one to three milliseconds.
const KEY: usize = 1 << 10;

/// One command of several.
pub(super) enum Part<'a> {
    /// A script. It is sent once more, with its source, where the server does not know it: then it did not run.
    Script(Call<'a>),
    /// A command that is sent once.
    Command(Plain<'a>),
    /// A read of what is there after the commands before it: it is sent once more after scripts that were.
    Read(Plain<'a>),
}

/// A command that is no script.
pub(super) struct Plain<'a> {
    /// Its name and its arguments.
    parts: Vec<Arg<'a>>,
    keys: usize,
}

impl<'a> Plain<'a> {
    /// A command all of whose arguments are keys.
    pub(super) fn on_keys(name: &'static str, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut plain = Self { parts: vec![Arg::borrowed(name.as_bytes())], keys: 0 };
        plain.parts.extend(keys.into_iter().map(|key| Arg::borrowed(key.as_bytes())));
        plain.keys = plain.parts.len() - 1;
        plain
    }

    /// Stores a value for so many milliseconds.
    pub(super) fn set(key: &'a str, value: &'a [u8], life: u64) -> Self {
        let [set, key, value, px] = [&b"SET"[..], key.as_bytes(), value, b"PX"].map(Arg::borrowed);
        Self { parts: vec![set, key, value, px, Arg::number(life)], keys: 1 }
    }

    /// Stores a value where nothing is, until that time in milliseconds.
    pub(super) fn set_where_nothing_is(key: &'a str, value: &'a [u8], until: u64) -> Self {
        let [set, key, value, at, nx] =
            [&b"SET"[..], key.as_bytes(), value, b"PXAT", b"NX"].map(Arg::borrowed);
        Self { parts: vec![set, key, value, at, Arg::number(until), nx], keys: 1 }
    }

    /// Waits until so many replicas have what was written before it on its connection, for so many milliseconds at most.
    pub(super) fn wait(replicas: usize, millis: u64) -> Self {
        let parts = vec![Arg::borrowed(b"WAIT"), Arg::number(replicas), Arg::number(millis)];
        Self { parts, keys: 0 }
    }

    fn write(&self, out: &mut Packed) {
        out.reserve(self.parts.len(), self.parts.iter().map(Arg::size).sum());
        out.command(self.parts.len());
        for part in &self.parts {
            part.write(out);
        }
    }
}

impl Part<'_> {
    /// Writes it, a script by its hash.
    pub(super) fn write(&self, out: &mut Packed) {
        match self {
            Self::Script(call) => call.by_hash(out),
            Self::Command(plain) | Self::Read(plain) => plain.write(out),
        }
    }

    /// Writes it, a script by its source.
    pub(super) fn write_again(&self, out: &mut Packed) {
        match self {
            Self::Script(call) => call.by_source(out),
            Self::Command(plain) | Self::Read(plain) => plain.write(out),
        }
    }

    /// What it costs a server and a connection, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Script(call) => call.key_count() * KEY + call.size(),
            Self::Command(plain) | Self::Read(plain) => {
                plain.keys * KEY + plain.parts.iter().map(Arg::size).sum::<usize>()
            }
        }
    }

    /// Whether it is sent once more, where this is its reply.
    pub(super) fn is_sent_again(&self, reply: &Reply) -> bool {
        matches!(self, Self::Read(_)) || self.is_unknown(reply)
    }

    /// Whether this reply says that the server does not know the script.
    pub(super) fn is_unknown(&self, reply: &Reply) -> bool {
        matches!(self, Self::Script(_)) && script::is_unknown(reply)
    }

    /// The server's time in milliseconds, where this reply tells it.
    pub(super) fn time_in(&self, reply: &Reply) -> Option<i64> {
        match self {
            Self::Script(call) => call.time_in(reply),
            Self::Command(_) | Self::Read(_) => None,
        }
    }
}

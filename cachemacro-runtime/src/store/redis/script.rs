//! The static Lua scripts and the commands that run them.
//!
//! A script is called by its hash. Only where the server answers that it does not know the hash, which proves
//! that the script did not run, is the same call sent again with its source.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::wire::{Packed, Reply};

macro_rules! script {
    ($tells_time:expr, $($file:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file))),+), $tells_time))
    };
}

pub(super) static LEASE: LazyLock<Script> =
    script!(true, "prelude.lua", "stamps.lua", "versions.lua", "lease.lua");
pub(super) static RENEW: LazyLock<Script> = script!(true, "prelude.lua", "renew.lua");
pub(super) static RELEASE: LazyLock<Script> = script!(true, "prelude.lua", "release.lua");
pub(super) static FILL: LazyLock<Script> = script!(true, "quick.lua", "prelude.lua", "fill.lua");
pub(super) static REFILL: LazyLock<Script> = script!(true, "prelude.lua", "refill.lua");
pub(super) static CAS: LazyLock<Script> = script!(true, "prelude.lua", "cas.lua");
pub(super) static INCREMENT: LazyLock<Script> = script!(true, "prelude.lua", "increment.lua");
pub(super) static EVICT: LazyLock<Script> = script!(true, "prelude.lua", "evict.lua");
pub(super) static CAPTURE: LazyLock<Script> = script!(false, "versions.lua", "capture.lua");
pub(super) static EMIT: LazyLock<Script> = script!(false, "emit.lua");
pub(super) static JOIN: LazyLock<Script> = script!(false, "join.lua");
pub(super) static LEAVE: LazyLock<Script> = script!(false, "leave.lua");
pub(super) static TAKE: LazyLock<Script> = script!(false, "take.lua");
pub(super) static BURY: LazyLock<Script> = script!(false, "bury.lua");
pub(super) static ACCEPT: LazyLock<Script> = script!(false, "accept.lua");
pub(super) static OWN: LazyLock<Script> = script!(false, "own.lua");
pub(super) static DISOWN: LazyLock<Script> = script!(false, "disown.lua");
pub(super) static SETTLE: LazyLock<Script> = script!(false, "settle.lua");

/// All scripts of calls, in the order in which a new connection loads them. Those of events and queues are sent when they are needed.
pub(super) fn all() -> [&'static Script; 9] {
    [&LEASE, &RENEW, &RELEASE, &FILL, &REFILL, &CAS, &INCREMENT, &EVICT, &CAPTURE]
}

/// One script and its hash.
#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    hash: String,
    /// Whether the second element of its reply is the server's time.
    tells_time: bool,
}

impl Script {
    fn new(source: &'static str, tells_time: bool) -> Self {
        Self { source, hash: redis::Script::new(source).get_hash().to_owned(), tells_time }
    }

    /// Writes the command that makes the server remember it.
    pub(super) fn load(&self, out: &mut Packed) {
        out.command(3).part("SCRIPT").part("LOAD").part(self.source);
    }

    pub(super) fn call<'a>(&'static self, key: &'a str) -> Call<'a> {
        Call { script: self, keys: vec![key], args: Vec::with_capacity(8), outlives: false }
    }

    pub(super) fn call_many<'a>(&'static self, keys: impl IntoIterator<Item = &'a str>) -> Call<'a> {
        Call { script: self, keys: keys.into_iter().collect(), args: Vec::new(), outlives: false }
    }
}

/// A script with its keys and arguments.
pub(super) struct Call<'a> {
    script: &'static Script,
    keys: Vec<&'a str>,
    args: Vec<Arg<'a>>,
    outlives: bool,
}

/// An argument of a script or a command. Only what is long and nobody else's lies on the heap.
pub(super) enum Arg<'a> {
    Bytes(Cow<'a, [u8]>),
    Id([u8; 8]),
    /// In decimal.
    Number(i64),
}

impl<'a> Arg<'a> {
    pub(super) const fn borrowed(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    pub(super) fn number(number: impl TryInto<i64>) -> Self {
        Self::Number(number.try_into().unwrap_or(i64::MAX))
    }

    pub(super) fn write(&self, out: &mut Packed) {
        match self {
            Self::Bytes(bytes) => out.part(bytes),
            Self::Id(id) => out.part(id),
            Self::Number(number) => out.number(*number),
        };
    }

    /// How many bytes it has, at most.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Id(id) => id.len(),
            Self::Number(_) => "-9223372036854775808".len(),
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn bytes(mut self, arg: impl Into<Cow<'a, [u8]>>) -> Self {
        self.args.push(Arg::Bytes(arg.into()));
        self
    }

    /// Has it written though its connection's runtime ends before its turn.
    pub(super) const fn outliving(mut self) -> Self {
        self.outlives = true;
        self
    }

    /// More keys.
    pub(super) fn keys(mut self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// A token, version or fill id: compared as raw bytes in Lua, whose numbers are too short for it.
    pub(super) fn id(mut self, id: [u8; 8]) -> Self {
        self.args.push(Arg::Id(id));
        self
    }

    pub(super) fn number(mut self, number: impl TryInto<i64>) -> Self {
        self.args.push(Arg::number(number));
        self
    }

    /// Writes the call by hash.
    pub(super) fn by_hash(&self, out: &mut Packed) {
        self.write(out, "EVALSHA", &self.script.hash);
    }

    /// Writes the call by source, which also makes the server remember it.
    pub(super) fn by_source(&self, out: &mut Packed) {
        self.write(out, "EVAL", self.script.source);
    }

    /// How many keys it has.
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// How many bytes its keys and arguments have, about.
    pub(super) fn size(&self) -> usize {
        let keys: usize = self.keys.iter().map(|key| key.len()).sum();
        keys + self.args.iter().map(Arg::size).sum::<usize>()
    }

    /// The server's time in milliseconds, where this reply tells it.
    pub(super) fn time_in(&self, reply: &Reply) -> Option<i64> {
        match reply {
            Reply::Array(parts) if self.script.tells_time => match parts.get(1) {
                Some(Reply::Int(millis)) => Some(*millis),
                _ => None,
            },
            _ => None,
        }
    }

    fn write(&self, out: &mut Packed, name: &str, script: &str) {
        let parts = 3 + self.keys.len() + self.args.len();
        out.reserve(parts, name.len() + script.len() + self.size());
        out.command(parts).part(name).part(script).count(self.keys.len());
        for key in &self.keys {
            out.part(key);
        }
        for arg in &self.args {
            arg.write(out);
        }
        if self.outlives {
            out.outlive();
        }
    }
}

/// Whether the reply says that the server does not know the script, and so did not run it.
pub(super) fn is_unknown(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(line) if line.starts_with(b"NOSCRIPT"))
}

//! What a node of a cluster says of a slot that it does not serve, or not alone. The command was not carried out.

use std::error::Error as StdError;
use std::fmt;

use super::refusal;
use super::url::Host;
use crate::ground::error::Error;

/// Why a node did not carry out what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// Another node serves the slot from now on.
    Moved(Host),
    /// The slot is being moved, and another node has this key, or would have it.
    Ask(Host),
    /// The slot is being moved, and the keys are on two nodes.
    TryAgain,
}

impl Redirect {
    /// Reads an error's line; `None` where it is no redirection.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let (code, details) = refusal::split(line);
        match code {
            "MOVED" => host(details).map(Self::Moved),
            "ASK" => host(details).map(Self::Ask),
            "TRYAGAIN" => Some(Self::TryAgain),
            _ => None,
        }
    }

    /// The redirection that an error carries, if it does.
    pub(super) fn in_error(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

/// The host in `3999 10.0.0.7:6381`. Its name is empty where it is the one that says so.
fn host(details: &str) -> Option<Host> {
    let (_, address) = details.split_once(' ')?;
    // What is behind the address is of a later version; an IPv6 address has colons of its own.
    let address = address.split([' ', '\r']).next()?;
    let (name, port) = address.rsplit_once(':')?;
    Some(Host { name: name.to_owned(), port: port.parse().ok().filter(|port| *port > 0)? })
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved(_) => "another node serves the slot",
            Self::Ask(_) => "the slot is being moved to another node",
            Self::TryAgain => "the slot is being moved, and its keys are in two places",
        })
    }
}

impl StdError for Redirect {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_slot_is_served_is_read_from_the_errors_line() {
        let at = |name: &str, port| Host { name: name.to_owned(), port };
        for (line, told) in [
            ("MOVED 3999 127.0.0.1:6381", Some(Redirect::Moved(at("127.0.0.1", 6381)))),
            ("MOVED 3999 :6381", Some(Redirect::Moved(at("", 6381)))),
            ("ASK 1 node-2.cache.internal:7000", Some(Redirect::Ask(at("node-2.cache.internal", 7000)))),
            ("ASK 1 fe80::1:7000", Some(Redirect::Ask(at("fe80::1", 7000)))),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Some(Redirect::TryAgain)),
            ("MOVED 3999", None),
            ("MOVED 3999 host:0", None),
            ("MOVED 3999 host:hunter2", None),
            ("ERR MOVED 1 a:1", None),
        ] {
            assert_eq!(Redirect::of(line.as_bytes()), told, "{line}");
        }
    }
}

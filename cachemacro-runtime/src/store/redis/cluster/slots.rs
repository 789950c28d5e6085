//! Reads what a node answers to `CLUSTER SLOTS`: which node serves which slots.

use super::super::slot::SLOTS;
use super::super::url::Host;
use super::super::wire::Reply;

/// A run of slots, both ends included, and the primary that serves it. Its name is empty where it is the node that told so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) host: Host,
}

/// What `CLUSTER SLOTS` tells; `None` where it is something else.
pub(super) fn served(reply: &Reply) -> Option<Vec<Served>> {
    let Reply::Array(runs) = reply else { return None };
    runs.iter().map(run).collect()
}

fn run(run: &Reply) -> Option<Served> {
    let Reply::Array(parts) = run else { return None };
    let [first, last, Reply::Array(primary), ..] = &parts[..] else { return None };
    let [name, port, ..] = &primary[..] else { return None };
    let number = |reply: &Reply| match reply {
        Reply::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let name = match name {
        Reply::Bytes(name) => String::from_utf8(name.to_vec()).ok()?,
        Reply::Nil => String::new(),
        _ => return None,
    };
    // A node whose name is not known to others says `?`.
    let name = if name == "?" { String::new() } else { name };
    let (first, last) = (number(first)?, number(last).filter(|last| *last < SLOTS)?);
    let host = Host { name, port: number(port).filter(|port| *port > 0)? };
    (first <= last).then_some(Served { first, last, host })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_which_slots_is_read_and_nothing_of_its_shape_is_trusted() {
        let text = |text: &str| Reply::Bytes(text.as_bytes().to_vec().into());
        let node = |name: Reply, port| Reply::Array(vec![name, Reply::Int(port), text("id")]);
        let run = |first, last, node: Reply| Reply::Array(vec![Reply::Int(first), Reply::Int(last), node]);
        let host = |name: &str, port| Host { name: name.to_owned(), port };
        let told =
            Reply::Array(vec![run(0, 5460, node(text("a"), 7000)), run(5461, 16383, node(Reply::Nil, 7001))]);
        let expected = vec![
            Served { first: 0, last: 5460, host: host("a", 7000) },
            Served { first: 5461, last: 16383, host: host("", 7001) },
        ];
        assert_eq!(served(&told), Some(expected));
        for wrong in [
            run(0, 16384, node(text("a"), 7000)),
            run(5, 4, node(text("a"), 7000)),
            run(0, 4, node(text("a"), 0)),
            run(0, 4, Reply::Nil),
            run(-1, 4, node(text("a"), 7000)),
            Reply::Nil,
        ] {
            assert_eq!(served(&Reply::Array(vec![wrong])), None);
        }
        assert_eq!(served(&Reply::Nil), None);
    }
}

//! What the servers say of themselves, each of a cluster's nodes by its own text.

use cachemacro::store::ServerFigures;

/// The text of each server: all nodes of a cluster give theirs, one after the other, and each begins with the same section.
pub(crate) fn each(info: &str) -> Vec<&str> {
    const BEGINS: &str = "# Server";
    let mut begins: Vec<usize> = info.match_indices(BEGINS).map(|(at, _)| at).collect();
    // A server that tells less has no such section, and what stands before one is a server's too.
    if begins.first() != Some(&0) && !info.trim().is_empty() {
        begins.insert(0, 0);
    }
    let ends = begins.iter().skip(1).copied().chain([info.len()]);
    let texts = begins.iter().zip(ends).map(|(begin, end)| &info[*begin..end]);
    texts.filter(|text| !text.trim().is_empty()).collect()
}

/// One field of a server's text; empty: it does not tell.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}

/// Memory and evicted keys of all of them, and what the first says otherwise. Where one has no limit, all have none together.
pub(crate) fn together(info: &str) -> Option<ServerFigures> {
    let mut all = each(info).into_iter().map(ServerFigures::from_info);
    let first = all.next()?;
    Some(all.fold(first, |mut sum, one| {
        let has_limits = sum.max_memory > 0 && one.max_memory > 0;
        sum.max_memory = if has_limits { sum.max_memory.saturating_add(one.max_memory) } else { 0 };
        sum.used_memory = sum.used_memory.saturating_add(one.used_memory);
        sum.evicted_keys = sum.evicted_keys.saturating_add(one.evicted_keys);
        sum
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_tells_for_itself() {
        let one = "# Server\r\ntcp_port:1\r\n# Memory\r\nused_memory:10\r\nmaxmemory:100\r\n# Stats\r\nevicted_keys:2\r\n";
        let other = "# Server\r\ntcp_port:2\r\n# Memory\r\nused_memory:5\r\nmaxmemory:50\r\n";
        let both = format!("{one}\r\n{other}");
        let ports =
            |info: &str| each(info).iter().map(|info| field(info, "tcp_port").to_owned()).collect::<Vec<_>>();
        assert_eq!((ports(&both), ports(one)), (vec!["1".to_owned(), "2".to_owned()], vec!["1".to_owned()]));
        assert_eq!(ports("tcp_port:3\r\n"), ["3"], "it has no sections");
        assert_eq!((ports(""), ports("\r\n")), (vec![], vec![]));
        let sum = together(&both).expect("there are two");
        assert_eq!((sum.used_memory, sum.max_memory, sum.evicted_keys), (15, 150, 2));
        let unlimited = together(&format!("{both}# Server\r\nmaxmemory:0\r\n")).expect("there are three");
        assert_eq!(unlimited.max_memory, 0);
        assert_eq!(together(""), None);
    }
}

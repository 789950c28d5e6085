//! What the nodes of a cluster say of themselves, put together: what is wrong with one of them is wrong with the cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::super::url::Host;
use crate::ground::sync::lock;
use crate::store::messages::server::{Server, ServerFacts};

/// What is known of each node, and who is told of all of it.
pub(super) struct Facts {
    nodes: Mutex<BTreeMap<Host, ServerFacts>>,
    server: Server,
}

impl Facts {
    /// Nothing is known but whether bytes travel to another host as they are.
    pub(super) fn new(plaintext: bool) -> Self {
        let facts = Self { nodes: Mutex::default(), server: Server::new() };
        if plaintext {
            facts.server.found(ServerFacts { plaintext, ..ServerFacts::new() });
        }
        facts
    }

    /// The cluster, as one server.
    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// Hears from now on what is found out about a node.
    pub(super) fn hear(self: &Arc<Self>, host: &Host, node: &Server) {
        let (facts, host) = (Arc::downgrade(self), host.clone());
        node.tell(move |found| {
            let Some(facts) = facts.upgrade() else { return false };
            lock(&facts.nodes).insert(host.clone(), found.clone());
            facts.tell();
            true
        });
    }

    /// Forgets the nodes that are none any more.
    pub(super) fn keep(&self, is_node: impl Fn(&Host) -> bool) {
        let mut nodes = lock(&self.nodes);
        let before = nodes.len();
        nodes.retain(|host, _| is_node(host));
        let is_changed = nodes.len() < before;
        drop(nodes);
        if is_changed {
            self.tell();
        }
    }

    /// Tells what is known now; again where another node said something meanwhile.
    fn tell(&self) {
        loop {
            let known = together(&lock(&self.nodes));
            self.server.found(known.clone());
            if together(&lock(&self.nodes)) == known {
                return;
            }
        }
    }
}

/// What is wrong with any of them. A node that became a replica is no fault: another one took over.
fn together(nodes: &BTreeMap<Host, ServerFacts>) -> ServerFacts {
    let nodes = || nodes.values();
    let policy_is = |node: &ServerFacts, begins: &str| {
        node.eviction_policy.as_ref().is_some_and(|policy| policy.starts_with(begins))
    };
    let drops_others = |node: &&ServerFacts| policy_is(node, "allkeys-") && node.keys_without_ttl > Some(0);
    let drops_nothing = |node: &&ServerFacts| policy_is(node, "noeviction");
    let told = nodes().find(drops_others).or_else(|| nodes().find(drops_nothing));
    let told = told.or_else(|| nodes().find(|node| node.eviction_policy.is_some()));
    let are_dropped = told.is_some_and(|told| drops_others(&told));
    let keys = nodes().filter(|node| !are_dropped || drops_others(node));
    let mut keys = keys.filter_map(|node| node.keys_without_ttl);
    let mut persists = nodes().map(|node| node.persists);
    ServerFacts {
        too_old: nodes().find_map(|node| node.too_old.clone()),
        eviction_policy: told.and_then(|node| node.eviction_policy.clone()),
        memory_limit: told.and_then(|node| node.memory_limit),
        keys_without_ttl: keys.next().map(|first| keys.fold(first, u64::saturating_add)),
        persists: match persists.next() {
            Some(first) => persists.fold(first, |one, other| match (one, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            }),
            None => None,
        },
        replica: false,
        plaintext: nodes().any(|node| node.plaintext),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(change: impl Fn(&mut ServerFacts)) -> ServerFacts {
        let mut facts = ServerFacts::new();
        facts.eviction_policy = Some("volatile-lru".to_owned());
        (facts.keys_without_ttl, facts.persists) = (Some(0), Some(false));
        change(&mut facts);
        facts
    }

    fn host(port: u16) -> Host {
        Host { name: "h".to_owned(), port }
    }

    /// What is told of nodes that found this out.
    fn told(nodes: &[ServerFacts]) -> ServerFacts {
        together(&(1..).map(host).zip(nodes.iter().cloned()).collect())
    }

    #[test]
    fn what_is_wrong_with_one_node_is_told_whichever_it_is() {
        let well = facts(|_| {});
        assert_eq!(told(&[well.clone(), well.clone()]), well);
        assert_eq!(told(&[]), ServerFacts::new());
        let wrong: [fn(&mut ServerFacts); 4] = [
            |facts| facts.too_old = Some("6.0.20".to_owned()),
            |facts| {
                (facts.eviction_policy, facts.keys_without_ttl) = (Some("allkeys-lru".to_owned()), Some(7));
            },
            |facts| facts.eviction_policy = Some("noeviction".to_owned()),
            |facts| facts.persists = Some(true),
        ];
        for wrong in wrong {
            let wrong = facts(wrong);
            for nodes in [[&wrong, &well, &well], [&well, &wrong, &well], [&well, &well, &wrong]] {
                assert_eq!(told(&nodes.map(ServerFacts::clone)), wrong);
            }
        }
    }

    #[test]
    fn keys_that_may_be_dropped_are_those_of_nodes_that_drop_them() {
        let keeps = |keys| facts(|facts| facts.keys_without_ttl = Some(keys));
        let drops = |keys| {
            let mut facts = keeps(keys);
            facts.eviction_policy = Some("allkeys-lru".to_owned());
            facts
        };
        let told = told(&[keeps(100), drops(2), drops(0), drops(3)]);
        assert_eq!((told.eviction_policy.as_deref(), told.keys_without_ttl), (Some("allkeys-lru"), Some(5)));
    }

    #[test]
    fn what_a_node_may_not_tell_is_not_known_of_all() {
        let silent = facts(|facts| facts.persists = None);
        assert_eq!(told(&[facts(|_| {}), silent]).persists, None);
        let replica = facts(|facts| facts.replica = true);
        assert!(!told(&[replica]).replica, "another one took over");
    }

    #[test]
    fn a_node_that_is_none_any_more_is_not_told_of() {
        let (all, nodes) = (Arc::new(Facts::new(false)), [Server::new(), Server::new()]);
        assert_eq!(all.server().facts(), None);
        for (port, node) in (1..).zip(&nodes) {
            all.hear(&host(port), node);
        }
        nodes[0].found(facts(|_| {}));
        nodes[1].found(facts(|facts| facts.persists = Some(true)));
        let persists = || all.server().facts().and_then(|facts| facts.persists);
        assert_eq!(persists(), Some(true));
        all.keep(|host| host.port == 1);
        assert_eq!(persists(), Some(false));
    }
}

//! What is to be generated. Every choice is made and every name checked, also what waits for `result` (`late`), so that
//! [`crate::expand`] asks nothing and cannot fail.

use proc_macro2::{Ident, Span};
use syn::{Expr, Pat, Path, Type, Visibility};

use crate::syntax::duration::Time;
use crate::syntax::item::names_in;
use crate::syntax::options::OfTrait;
use crate::syntax::template::Part;

/// A `#[cached]` function.
pub(crate) struct Cached {
    pub(crate) facade: Path,
    pub(crate) entry: EntryParts,
    pub(crate) condition: Option<Expr>,
    pub(crate) rules: RulesModel,
    pub(crate) stores_none: Option<Span>,
    pub(crate) stores_err: Option<StoresErr>,
    /// The entry function to generate beside it.
    pub(crate) function: Option<EntryFn>,
    /// Its loads go on behind their callers.
    pub(crate) behind: Option<Behind>,
    /// The queue whose pending writes come before its loads.
    pub(crate) write_behind: Option<Expr>,
}

/// How long a call waits for its load.
pub(crate) struct Behind {
    pub(crate) background: bool,
    pub(crate) soft: Option<Time>,
    pub(crate) timeout: Option<Time>,
    /// What is returned after that.
    pub(crate) late: Option<Expr>,
}

/// Errors are stored: `cache_err`.
pub(crate) struct StoresErr {
    pub(crate) span: Span,
    /// Whether `#[cache_config]` set it. Then it does not apply to functions that return no `Result`.
    pub(crate) inherited: bool,
}

/// A `#[cache_write_behind]` function.
pub(crate) struct Queued {
    pub(crate) facade: Path,
    pub(crate) entry: Value,
    pub(crate) queue: Expr,
    /// Evicted once the write was applied.
    pub(crate) tags: Vec<Tag>,
    /// It removes the entry, whatever it returns.
    pub(crate) deletes: bool,
}

/// A function under `#[cache_put]` and `#[cache_evict]` attributes.
pub(crate) struct Writing {
    pub(crate) facade: Path,
    /// Whether there is a put among them, so that the return type must be cacheable.
    pub(crate) puts: bool,
    pub(crate) return_errors: Option<Span>,
    /// The paths of the attributes below, which the first one expands together with itself. The expansion mentions them
    /// once, so that their imports do not become unused.
    pub(crate) taken: Vec<Path>,
    pub(crate) attributes: Vec<WriteAttr>,
}

/// One `#[cache_put]` or `#[cache_evict]`.
pub(crate) struct WriteAttr {
    pub(crate) before: bool,
    pub(crate) on_err: bool,
    /// The cache that tags, keys and prefixes are evicted from.
    pub(crate) cache: Option<Expr>,
    pub(crate) writes: Vec<Write>,
}

/// One thing that an attribute does to the cache.
pub(crate) enum Write {
    Put(Box<Put>),
    Evict(Value),
    EvictAll(Value),
    EvictKey(Box<EntryParts>),
    EvictTags(Vec<Tag>),
    EvictPrefix(Expr),
}

/// What a `#[cache_put]` writes.
pub(crate) struct Put {
    pub(crate) target: PutTarget,
    pub(crate) condition: Option<Expr>,
    pub(crate) rules: RulesModel,
}

pub(crate) enum PutTarget {
    Entry(Box<Value>),
    Parts(Box<EntryParts>),
}

impl PutTarget {
    /// Whether it is known only after the body.
    pub(crate) fn is_late(&self) -> bool {
        match self {
            PutTarget::Entry(entry) => entry.late,
            PutTarget::Parts(parts) => parts.key.is_late(),
        }
    }
}

/// Everything that an `Entry` is made of.
pub(crate) struct EntryParts {
    pub(crate) policy: Policy,
    pub(crate) cache: Option<Expr>,
    /// The trait whose `impl` the function is in, if its entry function is outside of that `impl`.
    pub(crate) of_trait: Option<OfTrait>,
    pub(crate) prefix: Option<Expr>,
    /// The form that all keys under `prefix` have, as text, if it is known.
    pub(crate) form: Option<String>,
    pub(crate) types: Vec<TypePart>,
    pub(crate) key: Key,
    pub(crate) tags: Vec<Tag>,
    pub(crate) ttl: Option<Value>,
    pub(crate) codec: Option<Type>,
    /// Its question may be answered with the answer to another one.
    pub(crate) similar: Option<Similar>,
    /// What only tools show.
    pub(crate) shown: Shown,
}

/// Questions that mean the same share an answer.
pub(crate) struct Similar {
    /// The argument that is the question.
    pub(crate) question: Ident,
    /// How alike they have to be.
    pub(crate) threshold: Expr,
    /// What makes vectors of them.
    pub(crate) embedder: Option<Expr>,
    /// Says whether one's answer is the other's.
    pub(crate) confirm: Option<Path>,
}

/// What decides nothing about an entry.
#[derive(Default)]
pub(crate) struct Shown {
    /// The name of the function that gives it.
    pub(crate) entry: Option<Ident>,
    /// Tags that mention `result`.
    pub(crate) late_tags: Vec<Tag>,
    /// The queue whose pending writes come before its loads.
    pub(crate) queue: Option<Expr>,
}

/// The options that have the same value on every call.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "options do not depend on each other")]
pub(crate) struct Policy {
    pub(crate) ttl: Option<Time>,
    pub(crate) cache_none: bool,
    pub(crate) none_ttl: Option<Time>,
    pub(crate) cache_err: bool,
    pub(crate) err_ttl: Option<Time>,
    pub(crate) stale: Option<Time>,
    pub(crate) max_age: Option<Time>,
    /// In percent.
    pub(crate) refresh: Option<u8>,
    pub(crate) jitter: Option<u8>,
    pub(crate) wait: Option<Time>,
    pub(crate) lease_limit: Option<Time>,
    /// Zero: not at all.
    pub(crate) local: Option<Time>,
    pub(crate) validate: bool,
    pub(crate) sealed: bool,
    pub(crate) verify: Option<Verify>,
    pub(crate) recorded: bool,
    pub(crate) version: Option<Expr>,
}

/// Of how many hits it is seen whether they are true.
pub(crate) struct Verify {
    pub(crate) millionths: u32,
    /// The function runs in a task of its own.
    pub(crate) behind: bool,
    pub(crate) within: Option<Time>,
    pub(crate) evicts: bool,
}

/// A type or constant that is part of the key, because it tells two instantiations of a function apart.
pub(crate) enum TypePart {
    Type(Ident),
    Const(Ident),
    /// The type of an argument that is `impl Trait`: the argument's index, and a name that its pattern binds.
    Arg(usize, Ident),
}

/// How the arguments make up the key.
pub(crate) enum Key {
    Template(Vec<Part>),
    /// Arguments: the index, and a name that the argument's pattern binds.
    Args(Vec<(usize, Ident)>),
    Value(Box<Value>),
}

impl Key {
    /// Whether it is known only after the body.
    pub(crate) fn is_late(&self) -> bool {
        match self {
            Key::Template(parts) => has_late_hole(parts),
            Key::Value(value) => value.late,
            Key::Args(_) => false,
        }
    }
}

/// An expression of the user's. A closure is stored as its body and `lets`.
#[derive(Clone)]
pub(crate) struct Value {
    /// The closure's parameters; empty if it is no closure.
    pub(crate) lets: Vec<Let>,
    pub(crate) expr: Expr,
    /// The closure's own return type.
    pub(crate) ty: Option<Type>,
    /// Whether it says `return` or `?`, which must not leave the function around it.
    pub(crate) returns: bool,
    /// Whether arguments that stand bare in a tuple or array of it are borrowed.
    pub(crate) borrows: bool,
    /// Whether it mentions `result`, and so is known only after the body.
    pub(crate) late: bool,
    pub(crate) span: Span,
}

impl Value {
    /// The names that the closure's parameters bind.
    pub(crate) fn bound(&self) -> Vec<Ident> {
        self.lets.iter().flat_map(|bound| names_in(&bound.pat)).collect()
    }
}

/// One parameter of an inlined closure.
#[derive(Clone)]
pub(crate) struct Let {
    pub(crate) pat: Pat,
    pub(crate) ty: Option<Type>,
    /// The argument that it stands for, by index.
    pub(crate) arg: usize,
}

/// A tag, or several.
#[derive(Clone)]
pub(crate) enum Tag {
    Template(Vec<Part>),
    /// An expression that is one tag.
    One(Value),
    /// An expression that gives tags.
    Many(Value),
}

impl Tag {
    /// Whether it is known only after the body.
    pub(crate) fn is_late(&self) -> bool {
        match self {
            Tag::Template(parts) => has_late_hole(parts),
            Tag::One(value) | Tag::Many(value) => value.late,
        }
    }
}

fn has_late_hole(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Hole(hole) if hole.late))
}

/// What is asked about the value, after the body: whether it is stored, how long, and under which further tags.
#[derive(Default)]
pub(crate) struct RulesModel {
    pub(crate) unless: Option<Value>,
    /// Mentions `result`, as each of the tags does. `unless` need not.
    pub(crate) ttl: Option<Value>,
    pub(crate) tags: Vec<Tag>,
    /// When two values are the same.
    pub(crate) verify_by: Option<Path>,
    /// The texts by which the value is found. None of them needs more than the value.
    pub(crate) search: Vec<Tag>,
}

impl RulesModel {
    pub(crate) fn is_empty(&self) -> bool {
        let is_plain = self.unless.is_none() && self.ttl.is_none() && self.tags.is_empty();
        is_plain && self.verify_by.is_none() && self.search.is_empty()
    }
}

/// The function that `entry` names.
pub(crate) struct EntryFn {
    pub(crate) vis: Visibility,
    pub(crate) name: Ident,
    /// The type of the value: the option `value`, or a guess by the spelling of the return type, which the expansion proves.
    pub(crate) value: Type,
    /// Whether it takes `&self`.
    pub(crate) takes_self: bool,
    /// The arguments it takes, by index.
    pub(crate) takes: Vec<usize>,
}

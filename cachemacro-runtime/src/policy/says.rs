//! What an attribute says of its function, as text: for those who look at a cache from outside. Nothing here decides anything.

/// What an attribute says, as it is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// What the function returns.
    pub(crate) value: &'static str,
    /// The template of its keys behind the prefix; `None` where an expression gives them.
    pub(crate) key: Option<&'static str>,
    /// The codec's type; `None`: the cache's.
    pub(crate) codec: Option<&'static str>,
    /// The templates of its tags, `result` among their placeholders; of one that an expression gives `= ` and the expression.
    pub(crate) tags: &'static [&'static str],
    /// The name of the function that gives its entries.
    pub(crate) entry: Option<&'static str>,
    /// What a function that writes puts and evicts: a word for what is done, and to what.
    pub(crate) writes: &'static [&'static str],
    /// The queue whose pending writes come before its loads.
    pub(crate) queue: Option<&'static str>,
}

impl Says {
    /// A function that returns this type.
    pub const fn new(value: &'static str) -> Self {
        Self { value, key: None, codec: None, tags: &[], entry: None, writes: &[], queue: None }
    }

    /// The template of its keys.
    #[must_use]
    pub const fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    /// Its codec.
    #[must_use]
    pub const fn codec(mut self, codec: &'static str) -> Self {
        self.codec = Some(codec);
        self
    }

    /// The templates of its tags.
    #[must_use]
    pub const fn tags(mut self, tags: &'static [&'static str]) -> Self {
        self.tags = tags;
        self
    }

    /// The function that gives its entries.
    #[must_use]
    pub const fn entry(mut self, entry: &'static str) -> Self {
        self.entry = Some(entry);
        self
    }

    /// The queue that it looks into before it loads.
    #[must_use]
    pub const fn queue(mut self, queue: &'static str) -> Self {
        self.queue = Some(queue);
        self
    }

    /// What it puts and evicts.
    #[must_use]
    pub const fn writes(mut self, writes: &'static [&'static str]) -> Self {
        self.writes = writes;
        self
    }
}

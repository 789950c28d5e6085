//! One annotated function: its name and static options.

use crate::options::Policy;

/// One annotated function. Generated code has one static of it per function.
#[derive(Debug)]
pub struct Site {
    module: &'static str,
    function: &'static str,
    pub(crate) policy: Policy,
}

impl Site {
    /// A site in `module`, called `function`.
    pub const fn new(module: &'static str, function: &'static str, policy: Policy) -> Self {
        Self { module, function, policy }
    }

    /// The function's name.
    pub(crate) const fn function(&self) -> &'static str {
        self.function
    }

    /// What tells this site from all others: the function and what is generated beside it are one site.
    pub(crate) const fn id(&self) -> (&'static str, &'static str) {
        (self.module, self.function)
    }
}

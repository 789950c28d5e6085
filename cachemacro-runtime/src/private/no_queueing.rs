//! What `write_behind` meets in a build without queues: words for the compiler.

use crate::private::call::Call;

/// A queue of writes, of which there are none in this build.
#[diagnostic::on_unimplemented(
    message = "`write_behind` needs the feature `write-behind` of `cachemacro`",
    label = "this build has no queues of writes",
    note = "write `cachemacro = {{ features = [\"write-behind\"], … }}` in `Cargo.toml`"
)]
pub trait TakesWrites {}

/// A queue of what the function returns.
pub const fn queue_of<R, O: Copy, Q: TakesWrites + ?Sized>(_outcome: O, queue: &Q) -> &Q {
    queue
}

impl<V, O, X> Call<V, O, X> {
    /// The same.
    #[must_use]
    pub const fn write_behind<Q: ?Sized>(self, _queue: &Q) -> Self {
        self
    }
}

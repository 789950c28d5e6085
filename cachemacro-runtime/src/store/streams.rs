//! Streams that processes append to and read from: the events of an application.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::error::Result;

/// A store that keeps streams. From [`Store::streams`](crate::store::Store::streams).
///
/// A stream is a key that arrives complete, in braces, so that all that belongs to it is in one slot of a cluster. It keeps its last items; each has a number, one more than that of the item before it. A *group*
/// gives each item to one of its members, until that finishes it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Member, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let (store, minute) = (MemoryStore::new(), Duration::from_secs(60));
/// let streams = store.streams().expect("it keeps them");
/// let stream = "{shop:event:renamed}";
///
/// // Everybody reads from where the stream ended when he came.
/// let joined = streams.end(stream).await?;
/// let mailer = Member::new(stream, "mailers", "one");
/// streams.join(mailer).await?;
/// let first = streams.append(stream, "Ada".into(), 1_000).await?;
/// streams.grown(stream, joined, minute).await; // at once: it has
/// let items = streams.after(stream, joined, 10).await?;
/// assert_eq!((&items[0].payload[..], items[0].place), (&b"Ada"[..], first));
/// assert!(streams.after(stream, first, 10).await?.is_empty());
///
/// // One of a group gets it, and finishes it, or puts it aside with the reason.
/// let taken = streams.take(mailer, minute, 10).await?;
/// assert_eq!((taken.items[0].tries, taken.missed), (1, 0));
/// streams.hold(mailer, &[first.number]).await?; // it takes longer than `idle`
/// streams.bury(mailer, &taken.items[0].item, "no such user").await?;
/// let buried = streams.buried(mailer, 10).await?;
/// assert_eq!(buried[0].why, "no such user");
/// assert!(streams.unbury(mailer, &buried[0].id).await?);
///
/// streams.append(stream, "Grace".into(), 1_000).await?;
/// let second = streams.take(mailer, minute, 10).await?;
/// streams.finish(mailer, second.items[0].item.place.number).await?;
/// streams.leave(mailer).await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Streams: Send + Sync {
    /// Adds an item, and keeps the last `keep` of them. It may have been added where that fails.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn append(&self, stream: &str, payload: Bytes, keep: usize) -> Result<Place>;

    /// The place of the last item; the default where there is none.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn end(&self, stream: &str) -> Result<Place>;

    /// The items behind this place that are kept, at most so many, in their order.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn after(&self, stream: &str, place: Place, most: usize) -> Result<Vec<Item>>;

    /// Waits until there may be items behind this place, at most so long. Waking early is allowed.
    async fn grown(&self, stream: &str, place: Place, at_most: Duration);

    /// Makes the group, unless it is there: its first item is the next that is appended.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn join(&self, member: Member<'_>) -> Result<()>;

    /// Forgets the member, unless there is something that it was given and did not finish.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn leave(&self, member: Member<'_>) -> Result<()>;

    /// Gives the member at most so many items: first those that other members were given, and neither finished nor held for `idle`, then those
    /// that nobody was given yet.
    ///
    /// # Errors
    /// Where the store failed or refused: items may have been given.
    async fn take(&self, member: Member<'_>, idle: Duration, most: usize) -> Result<Taken>;

    /// Says that the member still has to do with these items.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn hold(&self, member: Member<'_>, numbers: &[u64]) -> Result<()>;

    /// Nobody of the group is given this item any more.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn finish(&self, member: Member<'_>, number: u64) -> Result<()>;

    /// The same, and the item is put aside with the reason, unless it was finished before. Of those of a group, the last 10,000 are kept.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn bury(&self, member: Member<'_>, item: &Item, why: &str) -> Result<()>;

    /// What the group put aside, at most so many, the oldest first.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn buried(&self, member: Member<'_>, most: usize) -> Result<Vec<Buried>>;

    /// Forgets what was put aside under this id; tells whether it was there.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn unbury(&self, member: Member<'_>, id: &str) -> Result<bool>;
}

/// A place in a stream: that of an item, or the beginning, which is the default.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Place;
///
/// assert_eq!(Place::new(100, 104).missed(Place::new(100, 107)), (2, true));
/// assert_eq!(Place::default().missed(Place::new(100, 101)), (1, true));
/// let (at_least, exact) = Place::new(100, 104).missed(Place::new(500, 500));
/// assert_eq!((at_least, exact), (0, false), "the stream was lost, and begun anew");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Place {
    /// The number of the stream's first item. Where a stream was lost, another one begins with another number.
    pub origin: u64,
    /// The number of the item.
    pub number: u64,
}

impl Place {
    /// The item of this number, of the stream that began with that one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_ne!(cachemacro::store::Place::new(7, 8), cachemacro::store::Place::default());
    /// ```
    pub const fn new(origin: u64, number: u64) -> Self {
        Self { origin, number }
    }

    /// How many items are missing between this one and `next`, at least, and whether it is no more than that. See [`Place`] for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Place;
    ///
    /// assert_eq!(Place::new(7, 8).missed(Place::new(7, 9)), (0, true));
    /// ```
    pub const fn missed(self, next: Self) -> (u64, bool) {
        let is_beginning = self.number == 0;
        if is_beginning || self.origin != next.origin {
            (next.number.saturating_sub(next.origin), is_beginning)
        } else {
            (next.number.saturating_sub(self.number).saturating_sub(1), true)
        }
    }
}

/// One item of a stream.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Item, Place};
///
/// let item = Item::new(Place::new(7, 8), "Ada".into());
/// assert!(!format!("{item:?}").contains("Ada"), "it may be a secret");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Where it is.
    pub place: Place,
    /// What was appended.
    pub payload: Bytes,
}

impl Item {
    /// What is there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Item, Place};
    ///
    /// assert_eq!(Item::new(Place::new(7, 8), "Ada".into()).payload, "Ada");
    /// ```
    pub const fn new(place: Place, payload: Bytes) -> Self {
        Self { place, payload }
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("place", &self.place)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// One who takes items of a stream, for a group.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Member;
///
/// assert_eq!(Member::new("{shop:event:renamed}", "mailers", "one").group, "mailers");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The group.
    pub group: &'a str,
    /// Tells the member from others of the group.
    pub name: &'a str,
}

impl<'a> Member<'a> {
    /// The member of this name.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Member;
    ///
    /// let [one, other] = ["one", "other"].map(|name| Member::new("{shop:event:renamed}", "mailers", name));
    /// assert_ne!(one, other);
    /// ```
    pub const fn new(stream: &'a str, group: &'a str, name: &'a str) -> Self {
        Self { stream, group, name }
    }
}

/// What a member was given, from [`Streams::take`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Given, Item, Place, Taken};
///
/// let given = Given::new(Item::new(Place::new(7, 8), "Ada".into()), 1);
/// let taken = Taken::new(vec![given]).with_missed(2, true);
/// assert_eq!((taken.items.len(), taken.missed, taken.exact), (1, 2, true));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Taken {
    /// The items.
    pub items: Vec<Given>,
    /// How many items were not kept until the group came to them, at least.
    pub missed: u64,
    /// Whether it was no more than that: the stream was not lost.
    pub exact: bool,
}

impl Taken {
    /// These, and nothing was missed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::store::Taken::new(Vec::new()).exact);
    /// ```
    pub const fn new(items: Vec<Given>) -> Self {
        Self { items, missed: 0, exact: true }
    }

    /// The same, where so many were missed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Taken;
    ///
    /// assert_eq!(Taken::new(Vec::new()).with_missed(2, false).missed, 2);
    /// ```
    #[must_use]
    pub fn with_missed(self, missed: u64, exact: bool) -> Self {
        Self { missed, exact, ..self }
    }
}

/// An item that a member was given.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Given, Item, Place};
///
/// assert_eq!(Given::new(Item::new(Place::new(7, 8), "Ada".into()), 2).tries, 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Given {
    /// The item.
    pub item: Item,
    /// How often a member of the group was given it, this time included.
    pub tries: u64,
}

impl Given {
    /// The item, given for this time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Given, Item, Place};
    ///
    /// assert_eq!(Given::new(Item::new(Place::new(7, 8), "Ada".into()), 1).item.payload, "Ada");
    /// ```
    pub const fn new(item: Item, tries: u64) -> Self {
        Self { item, tries }
    }
}

/// An item that was put aside, from [`Streams::buried`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Buried, Item, Place};
///
/// let buried = Buried::new("1-0", Item::new(Place::new(7, 8), "Ada".into()), "no such user");
/// assert_eq!(buried.why, "no such user");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buried {
    /// What it is called among those.
    pub id: String,
    /// The item.
    pub item: Item,
    /// Why.
    pub why: String,
}

impl Buried {
    /// The item, under this id.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Buried, Item, Place};
    ///
    /// assert_eq!(Buried::new("1-0", Item::new(Place::new(7, 8), "Ada".into()), "").id, "1-0");
    /// ```
    pub fn new(id: impl Into<String>, item: Item, why: impl Into<String>) -> Self {
        Self { id: id.into(), item, why: why.into() }
    }
}

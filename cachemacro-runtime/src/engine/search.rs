//! The search for an entry's value or, where there is none, for the right to store one: ask for the lease, wait while
//! another process holds it, ask again.
//!
//! It follows a read that was a miss, and is one machine for every kind of call: [`Search::find`] drives one, with a
//! flight's lead or without; a batch drives many and sends their requests together. Knows no types of values: whether a
//! payload can be decoded is its caller's to say.

use std::time::Duration;

use crate::engine::asking::{self, Answer, Capture, Wanted};
use crate::engine::flight::{AsOf, Lead};
use crate::engine::lease::{Held, Pauses};
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Found, Looked, Miss, Usable};
use crate::format::ids::{Token, Version};
use crate::observe::reason::MissReason;
use crate::store::Few;

/// How many values that others keep storing in an unusable form are looked at before the search gives up.
const MOST_LOOKS: u32 = 3;

/// How far the search for one entry has come.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    expected: Expected,
    /// Whether values name tags, so that the lease must capture all any-tag versions.
    late_tags: bool,
    /// Why the last value that was looked at is of no use, and which one that was.
    miss: Miss,
    /// How many requests came to nothing: what was found could not be used, or they came too late.
    turned_down: u32,
    /// A holder that captured other versions than the last request did, to take over from.
    over: Token,
    /// The read found nothing, and these versions of the tags: until the first request.
    vacant: Option<Few<Option<Version>>>,
    /// Whether the next request is the first that the call sends, or its answer the first.
    is_unread: bool,
    pauses: Pauses,
}

/// How a search ended. A stale value, to be served while this or another caller refreshes it, will be an answer beside
/// these three.
pub(crate) enum End<V> {
    /// A value that another caller stored meanwhile.
    Found(V),
    /// The right to load and store.
    Held(Held),
    /// To be loaded and not stored: the wait is over, the store failed, or others keep storing what cannot be used.
    Unheld,
}

/// What is next.
pub(crate) enum Step<V> {
    End(End<V>),
    /// Another process holds the lease, for at most so long: pause, then ask again.
    Pause(Duration),
    /// Ask again at once.
    Ask,
}

impl Search {
    /// Begins where the first read was a miss. From now on it waits for other processes' loads, as long as the entry's
    /// `wait`.
    pub(crate) fn after(miss: Miss, raw: &RawEntry, expected: Expected, late_tags: bool) -> Self {
        let pauses = Pauses::new(raw.wait());
        let (over, vacant) = (Token::NONE, None);
        Self { expected, late_tags, miss, turned_down: 0, over, vacant, is_unread: false, pauses }
    }

    /// There was no read.
    pub(crate) const fn unread(&mut self) {
        self.is_unread = true;
    }

    /// Where that read found nothing at all, what it showed of the tags counts as captured: the load begins later.
    pub(crate) fn of_nothing(mut self, read: Option<&AsOf>) -> Self {
        if self.miss.reason == MissReason::Absent && !self.late_tags {
            self.vacant = read.map(AsOf::versions);
        }
        self
    }

    /// The read is long ago.
    pub(crate) fn captures_anew(&mut self) {
        self.vacant = None;
    }

    /// Why the last value that was looked at is of no use.
    pub(crate) const fn reason(&self) -> MissReason {
        self.miss.reason
    }

    /// The versions that a lease must capture before the load.
    pub(crate) fn capture(&self, raw: &RawEntry) -> Capture {
        Capture::of(raw, self.late_tags)
    }

    /// What to ask for next.
    pub(crate) fn wanted(&mut self, raw: &RawEntry, capture: Capture) -> Wanted {
        let wanted = Wanted::load(raw, self.miss.seen, capture, self.over).of_nothing(self.vacant.take());
        if self.is_unread { wanted.first() } else { wanted }
    }

    /// What the answer to the request means. A value that came with it is judged by these very bytes.
    pub(crate) async fn answered(&mut self, raw: &RawEntry, answer: Answer) -> Step<Usable> {
        if std::mem::take(&mut self.is_unread) {
            // What a read would have shown.
            self.miss.reason = match &answer {
                Answer::Failed => MissReason::StoreFailed,
                Answer::Busy(..) => MissReason::Pending,
                Answer::Held(_) | Answer::Late | Answer::Found(..) => MissReason::Absent,
            };
        }
        match answer {
            Answer::Held(held) => Step::End(End::Held(held)),
            // G6: the call loads all the same.
            Answer::Failed => Step::End(End::Unheld),
            // Nobody could read what is stored under a lease that an evict made worthless: capture again at once, and ask
            // again, so that it is no older capture that takes over.
            Answer::Busy(_, Some(holder)) if holder != self.over => {
                self.over = holder;
                Step::Ask
            }
            Answer::Busy(remaining, _) => Step::Pause(remaining),
            Answer::Late => self.give_up_or(Step::Ask),
            Answer::Found(bytes, versions) => match raw.verify(bytes, &versions, self.expected).await {
                Ok(Looked::Usable(usable)) => Step::End(End::Found(usable)),
                Ok(Looked::Miss(miss)) => self.turn_down(miss),
                Err(_) => Step::End(End::Unheld),
            },
        }
    }

    /// What `decode` makes of the end; a value that it makes nothing of is no end yet.
    pub(crate) fn decoded<V>(
        &mut self,
        end: End<Usable>,
        decode: impl FnOnce(&Usable) -> Option<V>,
    ) -> Step<Found<V>> {
        match end {
            End::Held(held) => Step::End(End::Held(held)),
            End::Unheld => Step::End(End::Unheld),
            End::Found(usable) => match Looked::Usable(usable).decoded(decode) {
                Ok(found) => Step::End(End::Found(found)),
                Err(miss) => self.turn_down(miss),
            },
        }
    }

    /// A value that came instead of the lease is of no use: asks for the right to replace it, unless others have stored
    /// such values too often.
    fn turn_down<V>(&mut self, miss: Miss) -> Step<V> {
        self.miss = miss;
        self.give_up_or(Step::Ask)
    }

    /// Goes on, unless too many requests have led to nothing.
    fn give_up_or<V>(&mut self, next: Step<V>) -> Step<V> {
        self.turned_down += 1;
        if self.turned_down < MOST_LOOKS { next } else { Step::End(End::Unheld) }
    }

    /// Drives the search to its end; `decode` says whether a value's payload is of use. The lead hears of each request
    /// before it is sent.
    pub(crate) async fn find<V>(
        &mut self,
        raw: &RawEntry,
        mut lead: Option<&mut Lead>,
        decode: impl Fn(&Usable) -> Option<V>,
    ) -> End<Found<V>> {
        loop {
            let end = self.next(raw, lead.as_deref_mut()).await;
            if let Step::End(end) = self.decoded(end, &decode) {
                return end;
            }
        }
    }

    /// Asks until the search ends, or a value is there whose bytes are right.
    async fn next(&mut self, raw: &RawEntry, mut lead: Option<&mut Lead>) -> End<Usable> {
        let capture = self.capture(raw);
        loop {
            if let Some(lead) = &mut lead {
                lead.reading();
            }
            let wanted = self.wanted(raw, capture.clone());
            let answer = asking::acquire(raw, wanted).await;
            match self.answered(raw, answer).await {
                Step::End(end) => return end,
                Step::Pause(remaining) if self.pauses.wait(raw, remaining).await => {}
                Step::Pause(_) => return End::Unheld,
                Step::Ask => {}
            }
        }
    }

    /// Pauses until any of these searches may go on, each of an entry whose lease remains so long.
    pub(crate) async fn pause_any(waiting: &mut [(&RawEntry, &mut Self, Duration)]) {
        let leased: Vec<_> =
            waiting.iter().map(|(raw, search, left)| (*raw, (*left).min(search.pauses.left()))).collect();
        let Some(mut pauses) = waiting.first().map(|(_, search, _)| search.pauses.clone()) else { return };
        if leased.iter().all(|(_, left)| !left.is_zero()) {
            pauses.wait_for_any(&leased).await;
        }
        for (_, search, _) in waiting {
            search.pauses.follow(&pauses);
        }
    }

    /// Whether the wait for other processes is over.
    pub(crate) fn is_over(&self) -> bool {
        self.pauses.left().is_zero()
    }
}

//! How much goes in one request: what is larger goes in several, one after the other, each with a deadline of its own. What
//! others send gets in between.

use std::iter::Peekable;

/// How many entries one request names.
pub(crate) const MOST_ENTRIES: usize = 256;
/// How many entries and tags one request evicts: about a millisecond of a server's time.
pub(crate) const MOST_EVICTS: usize = 512;
/// How many tags those entries have together.
pub(crate) const MOST_TAGS: usize = 4_096;
/// How many bytes one request carries, there or back.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// The items in groups of at most `most` that weigh at most `heaviest` together, each made when it is asked for. What weighs
/// more than that goes alone.
pub(crate) fn chunks<I, W>(items: I, most: usize, heaviest: usize, weight: W) -> Chunks<I::IntoIter, W>
where
    I: IntoIterator,
    W: Fn(&I::Item) -> usize,
{
    Chunks { items: items.into_iter().peekable(), most, heaviest, weight }
}

/// Groups of items, by [`chunks`].
pub(crate) struct Chunks<I: Iterator, W> {
    items: Peekable<I>,
    most: usize,
    heaviest: usize,
    weight: W,
}

impl<I: Iterator, W: Fn(&I::Item) -> usize> Iterator for Chunks<I, W> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { items, most, heaviest, weight } = self;
        let first = items.next()?;
        let mut weighs = weight(&first);
        let mut chunk = vec![first];
        while chunk.len() < *most {
            let with = |item: &I::Item| weighs.saturating_add(weight(item));
            let Some(item) = items.next_if(|item| with(item) <= *heaviest) else { break };
            weighs = with(&item);
            chunk.push(item);
        }
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_by_count_and_weight_and_keep_the_order() {
        let lengths: Vec<usize> = chunks(0..600, 256, 10, |_| 0).map(|chunk| chunk.len()).collect();
        assert_eq!(lengths, [256, 256, 88]);
        let weighed = |items: Vec<usize>| chunks(items, 256, 10, |item| *item).collect::<Vec<_>>();
        assert_eq!(weighed(vec![4, 6, 1, 99, 2, 8, 1]), [vec![4, 6], vec![1], vec![99], vec![2, 8], vec![1]]);
        assert_eq!(weighed(vec![usize::MAX, usize::MAX]).len(), 2);
        assert!(weighed(Vec::new()).is_empty());
    }

    #[test]
    fn no_more_is_made_than_is_asked_for() {
        let mut made = 0;
        let items = std::iter::repeat_with(|| made += 1);
        assert_eq!(chunks(items, 256, 10, |()| 1).take(2).map(|chunk| chunk.len()).sum::<usize>(), 20);
        assert_eq!(made, 21);
    }
}

//! How much one request to the store names: what a batch needs goes in several, each with a deadline of its own.

/// How many entries one request names.
pub(crate) const MOST_ENTRIES: usize = 256;
/// How many tags those entries have together.
pub(crate) const MOST_TAGS: usize = 4_096;
/// How many bytes one request stores.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// The items in groups of at most [`MOST_ENTRIES`] that weigh at most `most` together. What weighs more than that goes
/// alone.
pub(crate) fn chunks<T>(items: Vec<T>, most: usize, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks: Vec<Vec<T>> = Vec::new();
    let mut weighs = 0_usize;
    for item in items {
        let more = weight(&item);
        match chunks.last_mut() {
            Some(last) if last.len() < MOST_ENTRIES && weighs.saturating_add(more) <= most => {
                last.push(item);
                weighs += more;
            }
            _ => {
                chunks.push(vec![item]);
                weighs = more;
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_by_count_and_weight_and_keep_the_order() {
        let lengths = |chunks: Vec<Vec<usize>>| chunks.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(chunks((0..600).collect(), 10, |_| 0)), [256, 256, 88]);
        assert_eq!(
            chunks(vec![4, 6, 1, 99, 2, 8, 1], 10, |item| *item),
            [vec![4, 6], vec![1], vec![99], vec![2, 8], vec![1]]
        );
        assert_eq!(chunks(vec![usize::MAX, usize::MAX], 10, |item| *item).len(), 2);
        assert!(chunks(Vec::<u8>::new(), 10, |_| 1).is_empty());
    }
}

//! What the ledger knows of a partition: up to which number all took effect, but for those that were left aside.

use std::collections::BTreeSet;

/// The row of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    applied: u64,
    aside: BTreeSet<u64>,
}

impl Row {
    pub(crate) fn read(applied: i64, aside: &str) -> Self {
        let aside = aside.split(' ').filter_map(|number| number.parse().ok()).collect();
        Self { applied: u64::try_from(applied).unwrap_or(0), aside }
    }

    /// Whether this write took no effect before.
    pub(crate) fn is_new(&self, number: u64) -> bool {
        number > self.applied || self.aside.contains(&number)
    }

    /// All up to this number are done with, but for those that are left.
    pub(crate) fn note(
        &mut self,
        up_to: u64,
        left: impl Iterator<Item = u64>,
        done: impl Iterator<Item = u64>,
    ) {
        // What is left of what took effect before is known already, or took effect.
        let applied = self.applied;
        self.aside.extend(left.filter(|number| *number > applied));
        for number in done {
            self.aside.remove(&number);
        }
        self.applied = applied.max(up_to);
    }

    pub(crate) const fn applied(&self) -> u64 {
        self.applied
    }

    /// As text.
    pub(crate) fn aside(&self) -> String {
        let numbers: Vec<String> = self.aside.iter().map(u64::to_string).collect();
        numbers.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(numbers: &[u64]) -> impl Iterator<Item = u64> {
        numbers.iter().copied()
    }

    #[test]
    fn a_write_is_new_once_whatever_batches_it_comes_in() {
        let mut row = Row::read(0, "");
        // 1 to 9 were read, 3 stands aside, and 5 and 7 are in the other half.
        assert!([1, 2, 4].iter().all(|number| row.is_new(*number)));
        row.note(9, all(&[3, 5, 7]), all(&[1, 2, 4, 6, 8, 9]));
        let again = Row::read(i64::try_from(row.applied()).unwrap(), &row.aside());
        assert_eq!(again, row);
        assert!([1, 2, 4, 6, 8, 9].iter().all(|number| !row.is_new(*number)));
        assert!([3, 5, 7, 10].iter().all(|number| row.is_new(*number)));
        // The other half, by another process that knows of nothing aside: it reads from the beginning.
        row.note(5, all(&[]), all(&[5]));
        assert!(!row.is_new(5) && row.is_new(3) && row.is_new(7));
        // What it takes for left took effect before.
        row.note(10, all(&[1, 3]), all(&[7, 10]));
        assert_eq!((row.applied(), row.aside()), (10, "3".to_owned()));
        // A dead letter.
        row.note(10, all(&[]), all(&[3]));
        assert!(!row.is_new(3));
    }

    #[test]
    fn garbage_is_nothing() {
        assert_eq!(Row::read(-1, "x 7  -3"), Row { applied: 0, aside: BTreeSet::from([7]) });
    }
}

//! How far a word is from another, to say what was meant.

/// The edit distance of two words: letters changed, added, removed, or swapped with their neighbour.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_more_less_changed_or_swapped_is_one() {
        for word in ["prefx", "prefixx", "prefux", "perfix"] {
            assert_eq!(distance(word, "prefix"), 1, "{word}");
        }
        assert_eq!((distance("", "abc"), distance("abc", "abc")), (3, 0));
    }
}

//! A list that needs no heap where it holds one.

use std::iter::{Chain, FromIterator};
use std::ops::Deref;
use std::{fmt, option, vec};

/// Answers, one for each question and in the same order. A single one lies on the stack, so that a hit allocates nothing for
/// it. Made by [`collect`](Iterator::collect) or from a `Vec`, and read as a slice.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Few;
///
/// let lengths: Few<usize> = ["Ada", "Grace"].iter().map(|name| name.len()).collect();
/// assert_eq!(*lengths, [3, 5]);
/// assert_eq!(Few::from(vec![3, 5]), lengths);
/// ```
#[derive(Clone)]
pub struct Few<T>(Held<T>);

#[derive(Clone)]
enum Held<T> {
    One(T),
    /// Any other number.
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// One alone.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Few;
    ///
    /// assert_eq!(*Few::one(7), [7]);
    /// ```
    pub const fn one(item: T) -> Self {
        Self(Held::One(item))
    }

    /// The first of them, which is the only one where one was asked for.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Few;
    ///
    /// assert_eq!(Few::from_iter([7]).into_first(), Some(7));
    /// assert_eq!(Few::<u8>::default().into_first(), None);
    /// ```
    pub fn into_first(self) -> Option<T> {
        self.into_iter().next()
    }
}

impl<T> Default for Few<T> {
    /// None.
    fn default() -> Self {
        Self(Held::Many(Vec::new()))
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(many: Vec<T>) -> Self {
        Self(Held::Many(many))
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        if items.size_hint().0 > 1 {
            return Self(Held::Many(items.collect()));
        }
        match (items.next(), items.next()) {
            (Some(one), None) => Self(Held::One(one)),
            (None, _) => Self::default(),
            (first, second) => Self(Held::Many(first.into_iter().chain(second).chain(items).collect())),
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = Chain<option::IntoIter<T>, vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.0 {
            Held::One(one) => (Some(one), Vec::new()),
            Held::Many(many) => (None, many),
        };
        one.into_iter().chain(many)
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::One(one) => std::slice::from_ref(one),
            Held::Many(many) => many,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_comes_out_as_it_went_in() {
        for length in 0..5 {
            let few: Few<usize> = (0..length).collect();
            assert_eq!(*few, *(0..length).collect::<Vec<_>>());
            assert_eq!(few, (0..length).filter(|_| true).collect(), "of unknown length");
            assert_eq!(few, Few::from((0..length).collect::<Vec<_>>()));
            assert_eq!(matches!(few.0, Held::One(_)), length == 1);
            assert_eq!(few.clone().into_first(), (length > 0).then_some(0));
            assert_eq!(few.into_iter().collect::<Vec<_>>(), (0..length).collect::<Vec<_>>());
        }
    }
}

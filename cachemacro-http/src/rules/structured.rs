//! Structured fields (RFC 9651), as far as caches read them: dictionaries and lists. Reading and writing is the work of the crate `sfv`.

use sfv::{BareItem, Dictionary, List, ListEntry, ListSerializer, Parser, StringRef};

/// A member without its parameters, which caches pass over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    True,
    False,
    Integer(i64),
    /// Without its quotes and escapes.
    String(String),
    /// A decimal, a token, bytes, a date, a display string, an inner list.
    Other,
}

impl From<ListEntry> for Item {
    fn from(member: ListEntry) -> Self {
        let ListEntry::Item(item) = member else { return Self::Other };
        match item.bare_item {
            BareItem::Boolean(true) => Self::True,
            BareItem::Boolean(false) => Self::False,
            BareItem::Integer(number) => Self::Integer(number.into()),
            BareItem::String(text) => Self::String(text.into()),
            _ => Self::Other,
        }
    }
}

/// The members of a dictionary, the last of each name (4.2.2); `None` where it is none.
pub(crate) fn dictionary(text: &[u8]) -> Option<Vec<(Vec<u8>, Item)>> {
    let members: Dictionary = Parser::new(text).parse().ok()?;
    Some(
        members
            .into_iter()
            .map(|(name, member)| (name.as_str().as_bytes().to_vec(), member.into()))
            .collect(),
    )
}

/// The members of a list (4.2.1); `None` where it is none.
pub(crate) fn list(text: &[u8]) -> Option<Vec<Item>> {
    let members: List = Parser::new(text).parse().ok()?;
    Some(members.into_iter().map(Item::from).collect())
}

/// A list of strings as a field's value (4.1.1, 4.1.6), of those that are printable ASCII; `None` where there are none.
pub(crate) fn list_of_strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut list = ListSerializer::new();
    for text in texts.into_iter().filter_map(|text| StringRef::from_str(text).ok()) {
        let _parameters = list.bare_item(text);
    }
    list.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_strings_come_back() {
        let texts = ["a", "b c", "q\"u\\o"];
        let written = list_of_strings(texts).unwrap();
        assert_eq!(written, r#""a", "b c", "q\"u\\o""#);
        let strings: Vec<Item> = texts.iter().map(|text| Item::String((*text).to_owned())).collect();
        assert_eq!(list(written.as_bytes()), Some(strings));
        assert_eq!(list_of_strings(["\u{e9}"]), None, "no string of ASCII");
    }

    #[test]
    fn lists_have_items_and_parameters() {
        let one = |text: &str| Some(vec![Item::String(text.to_owned())]);
        let and_another = |text: &str| Some(vec![Item::String(text.to_owned()), Item::Other]);
        for (text, expected) in [
            (r#""a""#, one("a")), // RFC 9651, 4.2.1
            (r#""a";x=1;y"#, one("a")),
            (r#"  "a"  "#, one("a")),
            ("", Some(vec![])),
            (r#""a", tok"#, and_another("a")),
            (r#""a", ("b" "c");x"#, and_another("a")), // 4.2.1.2
            (r#""a", @1659578233"#, and_another("a")), // 4.2.9
            (r#""a", :aGVsbG8=:"#, and_another("a")),
            (r#""a", :aGVs-_:"#, None), // 4.2.7
            (r#""a","#, None),
            (r#""a" "b""#, None),
            (r#""a"#, None),
            (r#""\a""#, None),
            (r#"("a""#, None),
        ] {
            assert_eq!(list(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn dictionaries_have_any_members() {
        let members = dictionary(b"max-age=60, a, b=?0, c=(1 2);x, d=1.5").unwrap();
        let expected = [
            ("max-age", Item::Integer(60)),
            ("a", Item::True),
            ("b", Item::False),
            ("c", Item::Other), // 3.2: an inner list is a member as any other
            ("d", Item::Other),
        ];
        assert!(
            members
                .iter()
                .map(|(name, item)| (&name[..], item))
                .eq(expected.iter().map(|(name, item)| (name.as_bytes(), item)))
        );
    }
}

//! Which requests a stored response answers, going by its Vary (4.1), and the normal form of what they are compared by.

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName};

use crate::rules::digest::{self, Digest};
use crate::rules::fields::{joined, members, split};

/// The fields that Vary names, sorted, each once; `None` where it names all. What is no field name selects nothing that could be
/// compared, so it counts as all.
pub(crate) fn names(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names: Vec<HeaderName> = members(headers, &VARY)
        .map(|name| if name == b"*" { None } else { HeaderName::from_bytes(name).ok() })
        .collect::<Option<_>>()?;
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Some(names)
}

/// So many members of a list with weights are understood. No client has more to say, and each is compared with each.
const MOST_MEMBERS: usize = 64;

/// Whether the field has more members than are understood.
pub(crate) fn names_too_many(request: &HeaderMap, name: &HeaderName) -> bool {
    joined(request, name).is_some_and(|value| has_too_many(&value))
}

fn has_too_many(value: &[u8]) -> bool {
    split(value, b',').nth(MOST_MEMBERS).is_some()
}

/// The value of a field by which requests are compared, in normal form; `None` where the request has none. A value with more members than
/// are understood is compared as it is, and equals none with fewer.
pub(crate) fn selecting(request: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let value = joined(request, name)?;
    Some(if has_too_many(&value) {
        value
    } else if *name == ACCEPT_ENCODING {
        encodings(&value)
    } else if *name == ACCEPT_LANGUAGE {
        languages(&value)
    } else {
        split(&value, b',').collect::<Vec<_>>().join(&b","[..])
    })
}

/// The digest of [`selecting`], by which a value is compared that is stored: it may be the cookie of a session.
pub(crate) fn digest(request: &HeaderMap, name: &HeaderName) -> Option<Digest> {
    Some(digest::digest(&selecting(request, name)?))
}

/// The first of `offered` that the field prefers; `None` where it takes none of them, or the request has no such field. It has not
/// [too many](names_too_many) members.
pub(crate) fn preferred<'a>(
    request: &HeaderMap,
    name: &HeaderName,
    offered: &'a [String],
) -> Option<&'a str> {
    let Weighted { taken, refused } = weighted(&joined(request, name)?);
    taken.iter().find_map(|wanted| {
        offered.iter().map(String::as_str).find(|offer| {
            let offer = offer.to_ascii_lowercase().into_bytes();
            // RFC 4647, 3.4: `de` takes `de-ch`, and `de-ch` is content with `de`.
            let names = is_in(&offer, wanted);
            // What names it most closely counts: `de, de-ch;q=0` takes no `de-ch`, and `en;q=0, *` no `en`.
            let closeness = if names { wanted.len() } else { 0 };
            (names || wanted == b"*" || is_in(wanted, &offer))
                && !refused.iter().any(|range| is_in(&offer, range) && range.len() > closeness)
        })
    })
}

/// Whether a language is one of a range: the range itself, or one of its kinds.
fn is_in(language: &[u8], range: &[u8]) -> bool {
    language.strip_prefix(range).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
}

/// Codings that are taken, and refused, sorted. Weights among them are left out: which one a server picks of those that a client takes is
/// the server's to say. So is `identity`, which is taken unless it is refused (RFC 9110, 12.5.3).
fn encodings(value: &[u8]) -> Vec<u8> {
    let Weighted { mut taken, mut refused } = weighted(value);
    // What is not named is refused in any case, but for what is taken without being named.
    let takes_any = taken.iter().any(|coding| coding == b"*");
    refused.retain(|coding| takes_any || coding == b"identity" || coding == b"*");
    taken.retain(|coding| coding != b"identity" || refused.iter().any(|refused| refused == b"*"));
    normal(taken, refused)
}

/// Languages that are taken, by falling weight, and those that are refused among them.
fn languages(value: &[u8]) -> Vec<u8> {
    let Weighted { taken, mut refused } = weighted(value);
    refused.retain(|language| {
        language == b"*"
            || taken.iter().any(|range| range == b"*" || is_in(language, range) || is_in(range, language))
    });
    let mut members = taken;
    refused.sort_unstable();
    refused.dedup();
    members.extend(refused.into_iter().map(|language| [&language[..], b";q=0"].concat()));
    members.join(&b","[..])
}

/// Members in any order.
fn normal(mut taken: Vec<Vec<u8>>, refused: Vec<Vec<u8>>) -> Vec<u8> {
    taken.extend(refused.into_iter().map(|member| [&member[..], b";q=0"].concat()));
    taken.sort_unstable();
    taken.dedup();
    taken.join(&b","[..])
}

/// The members of a list with weights, in lower case (RFC 9110, 12.4.2).
struct Weighted {
    /// By falling weight, and then by name.
    taken: Vec<Vec<u8>>,
    /// Those with the weight zero.
    refused: Vec<Vec<u8>>,
}

/// Weights are in thousandths; one that cannot be read is one.
fn weighted(value: &[u8]) -> Weighted {
    let mut weighted: Vec<(Vec<u8>, u32)> = split(value, b',')
        .filter(|member| !member.is_empty())
        .map(|member| {
            let mut parts = split(member, b';');
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
            let weight =
                weight.and_then(|weight| std::str::from_utf8(weight).ok()?.trim().parse::<f32>().ok());
            let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
            (name, (weight * 1000.0).round() as u32)
        })
        .collect();
    weighted.sort_by(|(one, first), (other, second)| second.cmp(first).then_with(|| one.cmp(other)));
    let refused = weighted.split_off(weighted.partition_point(|(_, weight)| *weight > 0));
    let names = |of: Vec<(Vec<u8>, u32)>| of.into_iter().map(|(name, _)| name).collect();
    Weighted { taken: names(weighted), refused: names(refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (HeaderName::from_static(name), line.parse().unwrap())).collect()
    }

    fn normal(name: &'static str, lines: &[&str]) -> String {
        let value = selecting(&request(name, lines), &HeaderName::from_static(name));
        String::from_utf8(value.unwrap()).unwrap()
    }

    #[test]
    fn vary_names_fields() {
        let names = |lines: &[&str]| names(&request("vary", lines));
        assert_eq!(names(&[]).unwrap(), [] as [&str; 0]);
        assert_eq!(names(&["Foo, bar", "foo"]).unwrap(), ["bar", "foo"]);
        for all in ["*", "*, *", ", *", "foo, *", "*, foo", "not a name"] {
            assert_eq!(names(&[all]), None, "{all}");
        }
    }

    #[test]
    fn values_that_mean_the_same_are_the_same() {
        assert_eq!(normal("foo", &["1, 2"]), normal("foo", &["1", "2"])); // 4.1
        assert_eq!(normal("foo", &["1,2"]), normal("foo", &[" 1, 2 "]));
        assert_ne!(normal("foo", &["1,2"]), normal("foo", &["2,1"]));
        assert_eq!(normal("accept-language", &["en, de"]), normal("accept-language", &[" De ,   eN"]));
        assert_ne!(
            normal("accept-language", &["en, de;q=0.9"]),
            normal("accept-language", &["de, en;q=0.9"])
        );
        assert_eq!(normal("accept-language", &["fr;q=0.5, de;q=1.0, it;q=0"]), "de,fr");
        assert_eq!(normal("accept-encoding", &["br;q=0.8, GZIP, identity, zstd;q=0"]), "br,gzip");
        assert_eq!(selecting(&HeaderMap::new(), &ACCEPT_ENCODING), None);
    }

    #[test]
    fn what_is_refused_of_what_is_taken_is_not_the_same() {
        // RFC 9110, 12.5.3 and 12.5.4
        for (name, refusing, taking) in [
            ("accept-encoding", "gzip;q=0, *", "*"),
            ("accept-encoding", "gzip, identity;q=0", "gzip"),
            ("accept-encoding", "gzip, *;q=0", "gzip"),
            ("accept-encoding", "gzip, *;q=0", "gzip, identity, *;q=0"),
            ("accept-encoding", "gzip, *;q=0.000", "gzip, identity;q=0"),
            ("accept-language", "en;q=0, *", "*"),
            ("accept-language", "en, en-us;q=0", "en"),
            ("accept-language", "de, *;q=0", "de"),
            ("accept-language", "de-ch, de;q=0", "de-ch"),
        ] {
            assert_ne!(normal(name, &[refusing]), normal(name, &[taking]), "{name}: {refusing}");
        }
        for (name, one, other) in [
            ("accept-encoding", "gzip;q=0, *", "*;q=0.5, GZIP;q=0.0"),
            ("accept-encoding", "br;q=0, gzip", "gzip"),
            ("accept-encoding", "gzip, identity;q=0.5", "identity, gzip"),
            ("accept-language", "fr;q=0, en;q=0, *", "*, en;q=0, fr;q=0"),
            ("accept-language", "it;q=0, de", "de"),
        ] {
            assert_eq!(normal(name, &[one]), normal(name, &[other]), "{name}: {one}");
        }
    }

    #[test]
    fn more_members_than_anybody_sends_are_compared_as_they_are() {
        let list = |count: usize, refused: usize| {
            let taken = (0..count).map(|at| format!("a-{at}"));
            taken.chain((0..refused).map(|at| format!("b-{at};q=0"))).collect::<Vec<_>>().join(",")
        };
        for name in ["accept-language", "accept-encoding"] {
            let (most, more) = (list(MOST_MEMBERS, 0), list(MOST_MEMBERS, 1));
            let header = HeaderName::from_static(name);
            assert!(!names_too_many(&request(name, &[&most]), &header));
            assert!(names_too_many(&request(name, &[&more]), &header));
            assert_eq!(normal(name, &[&more]), more, "as it is");
            assert_ne!(normal(name, &[&more]), normal(name, &[&most]));
        }
        // 32 KiB of them cost no more than reading them.
        let many = list(2_000, 2_000);
        assert_eq!(normal("accept-language", &[&many]), many);
    }

    #[test]
    fn of_what_is_offered_the_client_chooses() {
        let offered = ["en".to_owned(), "de".to_owned()];
        let chosen =
            |value: &str| preferred(&request("accept-language", &[value]), &ACCEPT_LANGUAGE, &offered);
        assert_eq!(chosen("fr, de;q=0.9, en;q=0.8"), Some("de"));
        assert_eq!(chosen("de-CH"), Some("de"));
        assert_eq!(chosen("*"), Some("en"));
        assert_eq!(chosen("fr"), None);
        assert_eq!(chosen("en;q=0, *"), Some("de"));
        assert_eq!(chosen("en;q=0, de;q=0, *"), None);
        assert_eq!(chosen("en;q=0, en-us, *;q=0.1"), Some("de"), "it is content with no `en`");
        assert_eq!(chosen("en, en;q=0"), Some("en"));
        let offered = ["de-CH".to_owned(), "de-AT".to_owned(), "de".to_owned()];
        let chosen =
            |value: &str| preferred(&request("accept-language", &[value]), &ACCEPT_LANGUAGE, &offered);
        assert_eq!(chosen("de"), Some("de-CH"));
        assert_eq!(chosen("de, de-ch;q=0"), Some("de-AT"));
        assert_eq!(chosen("de;q=0, de-at"), Some("de-AT"));
        assert_eq!(chosen("de;q=0, *"), None);
    }
}

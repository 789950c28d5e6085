//! Which requests a stored response answers, going by its Vary (4.1), and the normal form of what they are compared by.

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName};

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

/// The value of a field by which requests are compared, in normal form; `None` where the request has none.
pub(crate) fn selecting(request: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let value = joined(request, name)?;
    Some(if *name == ACCEPT_ENCODING {
        encodings(&value)
    } else if *name == ACCEPT_LANGUAGE {
        weighted(&value).into_iter().map(|(language, _)| language).collect::<Vec<_>>().join(&b","[..])
    } else {
        split(&value, b',').collect::<Vec<_>>().join(&b","[..])
    })
}

/// The first of `offered` that the field prefers; `None` where it takes none of them, or the request has no such field.
pub(crate) fn preferred<'a>(
    request: &HeaderMap,
    name: &HeaderName,
    offered: &'a [String],
) -> Option<&'a str> {
    let value = joined(request, name)?;
    weighted(&value).into_iter().find_map(|(wanted, _)| {
        offered.iter().map(String::as_str).find(|offer| {
            let offer = offer.as_bytes();
            // RFC 4647, 3.4: `de` takes `de-ch`, and `de-ch` is content with `de`.
            wanted == b"*"
                || offer.eq_ignore_ascii_case(&wanted)
                || begins_with(&offer.to_ascii_lowercase(), &wanted)
                || begins_with(&wanted, &offer.to_ascii_lowercase())
        })
    })
}

fn begins_with(language: &[u8], range: &[u8]) -> bool {
    language.strip_prefix(range).is_some_and(|rest| rest.starts_with(b"-"))
}

/// Codings that are taken, sorted. Weights among them are left out: which one a server picks of those that a client takes is the
/// server's to say.
fn encodings(value: &[u8]) -> Vec<u8> {
    let mut codings: Vec<Vec<u8>> = weighted(value).into_iter().map(|(coding, _)| coding).collect();
    codings.retain(|coding| coding != b"identity");
    codings.sort_unstable();
    codings.dedup();
    codings.join(&b","[..])
}

/// The members with a weight above zero, in lower case, by falling weight and then by name (RFC 9110, 12.4.2). Weights are in
/// thousandths; one that cannot be read is one.
fn weighted(value: &[u8]) -> Vec<(Vec<u8>, u32)> {
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
        .filter(|(_, weight)| *weight > 0)
        .collect();
    weighted.sort_by(|(one, first), (other, second)| second.cmp(first).then_with(|| one.cmp(other)));
    weighted
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
    fn of_what_is_offered_the_client_chooses() {
        let offered = ["en".to_owned(), "de".to_owned()];
        let chosen =
            |value: &str| preferred(&request("accept-language", &[value]), &ACCEPT_LANGUAGE, &offered);
        assert_eq!(chosen("fr, de;q=0.9, en;q=0.8"), Some("de"));
        assert_eq!(chosen("de-CH"), Some("de"));
        assert_eq!(chosen("*"), Some("en"));
        assert_eq!(chosen("fr"), None);
    }
}

use super::{Difference, Guard, WordLists};

/// What the guard says, which is the same both ways round.
fn compare(one: &str, other: &str) -> Option<Difference> {
    let guard = Guard::english();
    let found = guard.compare(one, other);
    assert_eq!(found, guard.compare(other, one), "{one} / {other}");
    found
}

#[test]
fn numbers_are_the_same_however_they_are_written() {
    for (one, other) in [
        ("pay 1,000 points", "pay 1000 points"),
        ("pay 2.50", "pay 2.5"),
        ("two cards", "2 cards"),
        ("the 3rd card", "the third card"),
        ("at 10:30", "at 10:30?"),
        ("٣ cards", "٣ cards!"),
    ] {
        assert_eq!(compare(one, other), None, "{one} / {other}");
    }
    for (one, other) in [
        ("pay 1,000 points", "pay 1,001 points"),
        ("two cards", "three cards"),
        ("2 cards", "cards"),
        ("at 10:30", "at 10:31"),
        ("-5 degrees", "5 degrees"),
        ("1 and 2 and 2", "1 and 1 and 2"),
        ("3,5 km", "35 km"),
    ] {
        assert_eq!(compare(one, other), Some(Difference::Numbers), "{one} / {other}");
    }
}

#[test]
fn what_is_quoted_and_codes_have_to_be_there() {
    for (one, other) in [
        (r#"what is "fresh"?"#, r#"what is "stale"?"#),
        ("what is 'fresh'?", "what is 'stale'?"),
        ("what is “fresh”?", "what is “stale”?"),
        ("what is `Fresh`?", "what is `fresh`?"),
    ] {
        assert_eq!(compare(one, other), Some(Difference::Quoted), "{one} / {other}");
    }
    for (one, other) in [
        ("weather at EGLL", "weather at EGKK"),
        ("seats of an A320", "seats of an A321"),
        ("mend main.rs", "mend lib.rs"),
        ("pay 5 €", "pay 5 dollars"),
        ("mail a@b.c", "mail a@b.d"),
        ("is fetchAll slow", "is fetchOne slow"),
    ] {
        assert_eq!(compare(one, other), Some(Difference::Codes), "{one} / {other}");
    }
    assert_eq!(compare("weather at EGLL", "WEATHER AT EGLL"), None);
    assert_eq!(compare("weather at egll", "weather at EGLL"), None);
    assert_eq!(compare("pay €5", "pay 5 euros"), None);
    assert_eq!(compare("what's the card's limit", "what is the limit of the card"), None);
}

#[test]
fn what_is_denied_and_what_is_opposed_are_told_apart() {
    assert_eq!(compare("why can I pay", "why can't I pay"), Some(Difference::Negations));
    assert_eq!(compare("why can’t I pay", "why can not I pay"), None);
    for (one, other) in [
        ("turn on dark mode", "turn off dark mode"),
        ("check before landing", "check after landing"),
        ("enable contactless", "deactivate contactless"),
        ("arrivals today", "departures today"),
        ("top-up limits", "top-down limits"),
    ] {
        assert_eq!(compare(one, other), Some(Difference::Opposites), "{one} / {other}");
    }
    assert_eq!(compare("switch dark mode on", "turn on dark mode"), None);
    assert_eq!(compare("lights on then off", "lights off then on"), Some(Difference::Opposites));
}

#[test]
fn places_after_from_and_to_are_told_apart_and_infinitives_are_none() {
    for (one, other) in [
        ("trains from Oslo to Rome", "trains from Rome to Oslo"),
        ("trains from Oslo", "trains to Oslo"),
        ("trains to New York", "trains to New Orleans"),
        ("send it to Rome", "send it to Oslo"),
        ("from oslo to rome, by rail", "from rome to oslo, by rail"),
        ("move money from savings into checking", "move money from checking into savings"),
    ] {
        assert_eq!(compare(one, other), Some(Difference::Direction), "{one} / {other}");
    }
    for (one, other) in [
        ("trains from Oslo to Rome", "to Rome from Oslo by train"),
        ("how to change my pin", "I want to update my pin"),
        ("trains to Rome", "trains to Rome tomorrow"),
        ("I need to get a refund", "how do I get a refund"),
    ] {
        let found = compare(one, other);
        assert!(found != Some(Difference::Direction), "{one} / {other}: {found:?}");
    }
}

#[test]
fn any_text_has_an_answer() {
    let long = "word ".repeat(200_000);
    for text in [
        "",
        " ",
        "\"",
        "'",
        "''",
        "€",
        "-",
        "n't",
        "from",
        "to to to",
        "\u{0}",
        "🙂",
        "“",
        "$$$",
        "a.b.c.",
        &long,
        &"x".repeat(1 << 20),
    ] {
        assert_eq!(compare(text, text), None);
        for other in ["", "from Oslo", "\"a", &long] {
            let _ = compare(text, other);
        }
    }
    let (one, other) = (format!("{long} one"), format!("{long} other"));
    assert_eq!(compare(&one, &other), Some(Difference::Quoted), "what was not looked at");
}

#[test]
fn lists_can_be_extended_and_made_anew() {
    let guard = Guard::new(WordLists::english().opposites(&["Inbound"], &["outbound"]));
    assert_eq!(guard.compare("INBOUND", "outbound"), Some(Difference::Opposites));
    let none = Guard::new(WordLists::empty());
    assert_eq!(none.compare("turn it on", "turn it off"), None);
    assert_eq!(none.compare("gate 3", "gate 4"), Some(Difference::Numbers));
}

#[test]
fn german_has_lists_too() {
    let guard = Guard::german();
    for (one, other, found) in [
        ("Züge von Oslo nach Rom", "Züge von Rom nach Oslo", Difference::Direction),
        ("Karte sperren", "Karte entsperren", Difference::Opposites),
        ("ich kann zahlen", "ich kann nicht zahlen", Difference::Negations),
        ("zwei Karten", "drei Karten", Difference::Numbers),
    ] {
        assert_eq!(guard.compare(one, other), Some(found), "{one} / {other}");
    }
    assert_eq!(guard.compare("Wie sperre ich meine Karte?", "Wie kann ich meine Karte sperren?"), None);
}

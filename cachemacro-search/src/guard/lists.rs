//! The words of a language that tell alike questions apart.

use std::collections::{HashMap, HashSet};

use crate::text::Analyzer;

/// Words, and those that mean the opposite.
const ENGLISH_OPPOSITES: &[(&str, &str)] = &[
    ("on", "off"),
    ("before", "after"),
    ("in", "out"),
    ("up", "down"),
    ("with", "without"),
    (
        "enable enables enabled enabling activate activated activating activation",
        "disable disables disabled disabling deactivate deactivated deactivating deactivation",
    ),
    ("open opens opened opening", "close closes closed closing"),
    ("add adds added adding", "remove removes removed removing delete deletes deleted deleting"),
    (
        "increase increases increased increasing raise raised raising",
        "decrease decreases decreased decreasing lower lowered lowering reduce reduced reducing",
    ),
    ("buy buys bought buying", "sell sells sold selling"),
    ("send sends sent sending", "receive receives received receiving"),
    (
        "deposit deposits deposited depositing",
        "withdraw withdraws withdrew withdrawn withdrawing withdrawal withdrawals",
    ),
    ("lock locks locked locking", "unlock unlocks unlocked unlocking"),
    ("block blocks blocked blocking", "unblock unblocks unblocked unblocking"),
    ("freeze froze frozen freezing", "unfreeze unfreezing unfrozen"),
    (
        "start starts started starting begin begins began beginning",
        "stop stops stopped stopping end ends ended ending finish finished",
    ),
    ("show shows shown showing", "hide hides hidden hiding"),
    ("push pushes pushed pushing", "pull pulls pulled pulling"),
    ("upload uploads uploaded uploading", "download downloads downloaded downloading"),
    ("import imports imported importing", "export exports exported exporting"),
    ("encrypt encrypted encrypting encryption", "decrypt decrypted decrypting decryption"),
    ("install installed installing", "uninstall uninstalled uninstalling"),
    ("subscribe subscribed subscribing", "unsubscribe unsubscribed unsubscribing"),
    ("connect connected connecting", "disconnect disconnected disconnecting"),
    (
        "accept accepts accepted accepting approve approved",
        "reject rejects rejected rejecting decline declines declined declining deny denied",
    ),
    ("allow allows allowed allowing permit permitted", "forbid forbidden forbids prohibit prohibited"),
    (
        "arrive arrives arrived arriving arrival arrivals",
        "depart departs departed departing departure departures leave leaves leaving left",
    ),
    ("incoming inbound", "outgoing outbound"),
    ("credit", "debit"),
    ("domestic", "international foreign"),
    ("physical", "virtual"),
    ("public", "private"),
    ("first earliest oldest", "last latest newest"),
    (
        "min minimum least lowest smallest cheapest shortest",
        "max maximum most highest largest biggest longest",
    ),
    ("more", "less fewer"),
    ("above over", "below under"),
    ("early earlier", "late later"),
    ("left", "right"),
    ("top", "bottom"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("hot warm", "cold cool"),
    ("lend lent lending", "borrow borrowed borrowing"),
    ("win wins won winning", "lose loses lost losing"),
    ("male man men", "female woman women"),
    ("valid", "invalid"),
    ("same", "different other"),
    ("yes", "no"),
    ("true", "false"),
    ("safe", "unsafe dangerous"),
    ("legal", "illegal"),
    ("online", "offline"),
    ("today", "tomorrow yesterday"),
    ("tomorrow", "yesterday"),
    ("morning am", "evening afternoon night pm"),
    ("always", "never"),
    ("all every", "none"),
    ("ascending", "descending"),
    ("old", "new"),
];

const ENGLISH_NUMBERS: &[(&str, u64)] = &[
    ("zero", 0),
    ("first", 1),
    ("two", 2),
    ("twice", 2),
    ("second", 2),
    ("three", 3),
    ("third", 3),
    ("four", 4),
    ("fourth", 4),
    ("five", 5),
    ("fifth", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("fifteen", 15),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("hundred", 100),
    ("thousand", 1_000),
    ("million", 1_000_000),
];

/// The words of a language, or of several, that a [`Guard`](super::Guard) knows. All are compared without case and accents, and each is one word.
///
/// ```
/// use cachemacro_search::{Difference, Guard, WordLists};
///
/// let lists = WordLists::english().opposites(&["inbound"], &["outbound"]).negations(&["sans"]);
/// let guard = Guard::new(lists);
/// assert_eq!(guard.compare("inbound flights", "outbound flights"), Some(Difference::Opposites));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a guard is made of them"]
pub struct WordLists {
    pub(super) negations: HashSet<String>,
    /// Pairs by number: which a word belongs to, and on which side it stands.
    pub(super) opposites: HashMap<String, Vec<(usize, bool)>>,
    pairs: usize,
    pub(super) numbers: HashMap<String, String>,
    pub(super) currencies: HashMap<String, String>,
    pub(super) sources: HashSet<String>,
    pub(super) targets: HashSet<String>,
    /// A source or target ends before these.
    pub(super) ends: HashSet<String>,
    /// These say nothing within a source or target.
    pub(super) fillers: HashSet<String>,
    /// After these a target's word begins an infinitive: "want to".
    pub(super) before_infinitive: HashSet<String>,
    /// Verbs: what follows a target's word is an infinitive: "to get".
    pub(super) infinitives: HashSet<String>,
}

fn folded(word: &str) -> String {
    Analyzer::new().words(word).concat()
}

fn add(set: &mut HashSet<String>, words: &[&str]) {
    set.extend(words.iter().map(|word| folded(word)));
}

fn split(text: &'static str) -> Vec<&'static str> {
    text.split_whitespace().collect()
}

impl WordLists {
    /// No words.
    ///
    /// ```
    /// use cachemacro_search::{Guard, WordLists};
    ///
    /// assert_eq!(Guard::new(WordLists::empty()).compare("lights on", "lights off"), None);
    /// ```
    pub fn empty() -> Self {
        Self::default()
    }

    /// Words that deny: `not`. Both texts must have as many of them.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard, WordLists};
    ///
    /// let guard = Guard::new(WordLists::empty().negations(&["jamais"]));
    /// assert_eq!(guard.compare("il pleut", "il pleut jamais"), Some(Difference::Negations));
    /// ```
    pub fn negations(mut self, words: &[&str]) -> Self {
        add(&mut self.negations, words);
        self
    }

    /// Words whose opposites these are, such as `enable activate` and `disable deactivate`: where one text has words of one side, the other may not have
    /// those of the other.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard, WordLists};
    ///
    /// let guard = Guard::new(WordLists::empty().opposites(&["ouvrir"], &["fermer"]));
    /// assert_eq!(guard.compare("ouvrir un compte", "fermer un compte"), Some(Difference::Opposites));
    /// assert_eq!(guard.compare("ouvrir un compte", "un compte"), None);
    /// ```
    pub fn opposites(mut self, these: &[&str], those: &[&str]) -> Self {
        let pair = self.pairs;
        self.pairs += 1;
        let sides = these.iter().map(|word| (word, false)).chain(those.iter().map(|word| (word, true)));
        for (word, side) in sides {
            self.opposites.entry(folded(word)).or_default().push((pair, side));
        }
        self
    }

    /// Words that are numbers.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard, WordLists};
    ///
    /// let guard = Guard::new(WordLists::empty().numbers(&[("deux", 2), ("trois", 3)]));
    /// assert_eq!(guard.compare("deux billets", "2 billets"), None);
    /// assert_eq!(guard.compare("deux billets", "trois billets"), Some(Difference::Numbers));
    /// ```
    pub fn numbers(mut self, words: &[(&str, u64)]) -> Self {
        self.numbers.extend(words.iter().map(|(word, number)| (folded(word), number.to_string())));
        self
    }

    /// Words before what is left, `from`, and before what is reached, `to`.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard, WordLists};
    ///
    /// let guard = Guard::new(WordLists::empty().directions(&["de"], &["à"]));
    /// assert_eq!(guard.compare("de Oslo à Rome", "de Rome à Oslo"), Some(Difference::Direction));
    /// ```
    pub fn directions(mut self, sources: &[&str], targets: &[&str]) -> Self {
        add(&mut self.sources, sources);
        add(&mut self.targets, targets);
        self
    }

    /// The words of English.
    ///
    /// ```
    /// use cachemacro_search::{Guard, WordLists};
    ///
    /// assert!(Guard::new(WordLists::english()).compare("enable it", "deactivate it").is_some());
    /// ```
    pub fn english() -> Self {
        let mut lists = Self::empty().directions(&["from"], &["to", "into", "onto", "towards"]);
        lists = lists.negations(&split(
            "not no never none nobody nothing nowhere neither nor without cannot cant wont dont doesnt didnt isnt arent wasnt werent couldnt wouldnt shouldnt \
             hasnt havent hadnt unable",
        ));
        for (these, those) in ENGLISH_OPPOSITES {
            lists = lists.opposites(&split(these), &split(those));
        }
        lists = lists.numbers(ENGLISH_NUMBERS);
        lists.currencies([
            ("euro", "€"),
            ("euros", "€"),
            ("eur", "€"),
            ("dollar", "$"),
            ("dollars", "$"),
            ("usd", "$"),
            ("pound", "£"),
            ("pounds", "£"),
            ("gbp", "£"),
            ("yen", "¥"),
            ("jpy", "¥"),
        ])
        .endings(
            "and or but if when while because in on at by for of with without before after until till via per as than then so is are was were be am do does did can \
             could will would should may might must using through between during from to into onto towards today tomorrow yesterday now",
            "the a an my your our his her their its this that these those any some please thanks new other another",
        )
        .infinitive(
            "want wants wanted wanting need needs needed needing like how able unable have has had having try tries tried trying wish possible impossible supposed used \
             allowed ready where what when whom who which why best easiest forgot ask asked hope hoping looking love prefer decide decided plan planning required \
             necessary steps option options reason fail failed fails failing continue start started begin began seem seems happen happens long wait waiting i refuse \
             refuses easy hard difficult safe sure expect expected intend intended choose chose permission right something anything nothing someone anyone",
            "get do be have make use see know find set add pay buy sell open close cancel change update check go take give send receive verify prove stop start turn switch \
             transfer top activate order request help work show tell contact withdraw deposit exchange link put keep reset unblock block replace apply use access allow \
             return refund come wait expect arrive receive delete remove create register sign log read write build run install report dispute understand learn convert fix \
             solve store evict load fill cache search enable disable lock unlock travel fly book reach increase decrease edit track view call speak talk leave hold cover \
             complete enter provide confirm choose pick join merge move download upload connect default process respond reply avoid prevent handle ensure expire",
        )
    }

    /// The words of German.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard, WordLists};
    ///
    /// let guard = Guard::new(WordLists::german());
    /// assert_eq!(guard.compare("Karte sperren", "Karte entsperren"), Some(Difference::Opposites));
    /// ```
    pub fn german() -> Self {
        let mut lists = Self::empty().directions(&["von", "aus", "ab"], &["nach", "bis"]);
        lists = lists.negations(&split(
            "nicht nichts nie niemals niemand kein keine keinen keinem keiner keines ohne weder noch",
        ));
        for (these, those) in [
            ("ein an einschalten anschalten aktivieren", "aus ausschalten abschalten deaktivieren"),
            ("vor vorher", "nach nachher"),
            ("mit", "ohne"),
            ("öffnen geöffnet offen", "schließen geschlossen"),
            ("sperren gesperrt", "entsperren entsperrt"),
            ("kaufen gekauft", "verkaufen verkauft"),
            ("senden gesendet", "empfangen erhalten"),
            ("einzahlen eingezahlt", "abheben abgehoben auszahlen ausgezahlt"),
            ("hinzufügen hinzugefügt", "entfernen entfernt löschen gelöscht"),
            ("erhöhen erhöht", "senken gesenkt verringern verringert"),
            ("abfahrt abflug", "ankunft"),
            ("erste ersten erster frühester", "letzte letzten letzter spätester"),
            ("mehr", "weniger"),
            ("über", "unter"),
            ("früh früher", "spät später"),
            ("links", "rechts"),
            ("oben", "unten"),
            ("hochladen", "herunterladen"),
            ("heute", "morgen gestern"),
            ("alt", "neu"),
            ("immer", "nie niemals"),
        ] {
            lists = lists.opposites(&split(these), &split(those));
        }
        lists = lists.numbers(&[
            ("null", 0),
            ("erste", 1),
            ("zwei", 2),
            ("zweite", 2),
            ("drei", 3),
            ("dritte", 3),
            ("vier", 4),
            ("fünf", 5),
            ("sechs", 6),
            ("sieben", 7),
            ("acht", 8),
            ("neun", 9),
            ("zehn", 10),
            ("elf", 11),
            ("zwölf", 12),
            ("zwanzig", 20),
            ("hundert", 100),
            ("tausend", 1_000),
        ]);
        lists.currencies([("euro", "€"), ("euros", "€"), ("eur", "€"), ("dollar", "$"), ("usd", "$"), ("pfund", "£"), ("franken", "chf")]).endings(
            "und oder aber wenn weil in im an am auf bei für mit ohne vor über unter durch per als dann ist sind war kann können soll muss von aus ab nach bis heute \
             morgen gestern jetzt",
            "der die das den dem des ein eine einen einem einer mein meine meinen meinem meiner bitte danke",
        )
    }

    fn currencies<const N: usize>(mut self, words: [(&str, &str); N]) -> Self {
        self.currencies.extend(words.map(|(word, currency)| (folded(word), currency.to_owned())));
        self
    }

    fn endings(mut self, ends: &'static str, fillers: &'static str) -> Self {
        add(&mut self.ends, &split(ends));
        add(&mut self.fillers, &split(fillers));
        self
    }

    fn infinitive(mut self, before: &'static str, verbs: &'static str) -> Self {
        add(&mut self.before_infinitive, &split(before));
        add(&mut self.infinitives, &split(verbs));
        self
    }
}

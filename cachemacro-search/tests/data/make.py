#!/usr/bin/env python3
"""Writes the rankings, typos and pairs in this folder anew. Needs scikit-learn (written with 1.9.1)."""

import csv
import gzip
import io
import random
import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

HERE = Path(__file__).parent
AIRPORTS = HERE / "../../../examples/airports/data/airports.csv.gz"

PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "n", "æ": "ae", "œ": "oe", "þ": "th"})
# Unicode's word boundaries, as far as these texts have need of them.
WORD = re.compile(r"\w+(?:(?:(?<=[^\W\d_])['’.](?=[^\W\d_])|(?<=\d)['’.,;](?=\d))\w+)*")


def fold(text):
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare.casefold()).translate(PLAIN)


def words(text):
    return [fold(word) for word in WORD.findall(text)]


def rows(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name, lines):
    # No time in its head, so that the same data are the same bytes.
    with open(HERE / name, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
        with io.TextIOWrapper(packed, encoding="utf-8", newline="") as file:
            file.writelines("\t".join(map(str, line)) + "\n" for line in lines)


def nearest(matrix, queries, chunk=100):
    """For each query the documents that are as near as the tenth or nearer, the nearest first."""
    for start in range(0, queries.shape[0], chunk):
        scores = (queries[start : start + chunk] @ matrix.T).toarray()
        for row in scores:
            tenth = np.partition(row, -10)[-10]
            found = np.flatnonzero((row >= tenth - 1e-6) & (row > 0))
            yield sorted(found, key=lambda at: (-round(row[at], 6), at))[:300]


def rankings(name, documents, queries):
    model = TfidfVectorizer(analyzer=words, sublinear_tf=True, smooth_idf=True, norm="l2")
    matrix = model.fit_transform(documents)
    write(name, ([query, *found] for query, found in zip(queries, nearest(matrix, model.transform(queries)))))


def mistyped(name, dice):
    letters = "abcdefghijklmnopqrstuvwxyz"
    while True:
        at, kind = dice.randrange(len(name)), dice.choice(["insert", "delete", "replace", "swap"])
        if kind == "insert":
            typed = name[:at] + dice.choice(letters) + name[at:]
        elif kind == "delete":
            typed = name[:at] + name[at + 1 :]
        elif kind == "replace":
            typed = name[:at] + dice.choice(letters) + name[at + 1 :]
        else:
            typed = name[:at] + name[at : at + 2][::-1] + name[at + 2 :]
        if words(typed) != words(name):
            return typed, kind


def typos(names, dice):
    folded = [" ".join(words(name)) for name in names]
    count = Counter(folded)
    once = [at for at, name in enumerate(folded) if count[name] == 1 and len(name) >= 4]
    lines = []
    for at in dice.sample(once, 1000):
        typed, kind = mistyped(names[at], dice)
        lines.append((typed, at, kind))
    write("typos.tsv.gz", lines)
    for idf in [False, True]:
        model = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), preprocessor=fold, use_idf=idf)
        matrix = model.fit_transform(names)
        found = nearest(matrix, model.transform([line[0] for line in lines]))
        met = sum(line[1] in ten[:10] for line, ten in zip(lines, found))
        print(f"trigrams and cosine{', weighted by rareness' if idf else ''}: {met} of {len(lines)} typos among the first ten")


def guard_pairs(dice):
    cities = ["Oslo", "Rome", "Bern", "Berlin", "Madrid", "Vienna", "Paris", "Lisbon", "Dublin", "Prague"]
    codes = ["EGLL", "EGKK", "EDDB", "EDDF", "LFPG", "LIRF", "KJFK", "A320", "A321", "B737"]
    numbers = ["2", "3", "5", "7", "10", "12", "20", "24", "50", "100"]
    numbers_in = [
        "how do I pay {} euros into my account",
        "can I order {} cards at once",
        "is the shop open on the {}th of May",
        "how long is runway {} of this airport",
        "what is the fee for {} withdrawals a month",
        "may children under {} fly alone",
        "which trains leave platform {} today",
        "how do I upgrade to version {} of the app",
    ]
    codes_in = [
        "what is the weather at {} today",
        "which runways does {} have",
        "how many seats does gate {} have",
        "where do I find charts of {}",
        "is {} closed at night",
        "who operates {} at the moment",
        "how do I reach {} by car",
        "what does error {} mean",
    ]
    directions_in = [
        "how long is the flight from {} to {}",
        "what does a ticket from {} to {} cost",
        "when does the last train from {} to {} leave",
        "how far is it from {} to {} by car",
        "can I take a dog from {} to {}",
        "which airlines fly from {} to {}",
        "how do I send a parcel from {} to {}",
        "is there a night bus from {} to {}",
    ]
    denied = [
        ("why can I pay with this card", "why can I not pay with this card"),
        ("what happens if I pay in time", "what happens if I don't pay in time"),
        ("which countries do support this card", "which countries do not support this card"),
        ("who has to show a passport", "who hasn't to show a passport"),
        ("when is a visa needed for the trip", "when isn't a visa needed for the trip"),
        ("is it a problem if my name is on the ticket", "is it a problem if my name is not on the ticket"),
        ("what can I carry in my bag", "what can't I carry in my bag"),
        ("which foods are allowed on board", "which foods are not allowed on board"),
        ("what if the refund arrives this week", "what if the refund never arrives this week"),
        ("can I travel with a ticket", "can I travel without a ticket"),
        ("do I pay if I cancel the booking", "do I pay if I do not cancel the booking"),
        ("why is my account verified", "why is my account not verified"),
        ("why does the machine give me cash", "why doesn't the machine give me cash"),
        ("which seats will recline", "which seats won't recline"),
        ("why was I charged a fee", "why wasn't I charged a fee"),
        ("can I fly when I am ill", "can I fly when I am not ill"),
        ("is tax included in the price", "is tax not included in the price"),
        ("should I tip the driver", "shouldn't I tip the driver"),
        ("what if I know my pin", "what if I don't know my pin"),
        ("who may enter the lounge", "who may not enter the lounge"),
    ]
    opposed = [
        ("how do I turn on dark mode", "how do I turn off dark mode"),
        ("how do I enable push messages", "how do I disable push messages"),
        ("can I change my seat before check-in", "can I change my seat after check-in"),
        ("how do I open an account", "how do I close an account"),
        ("how do I add a traveller", "how do I remove a traveller"),
        ("where are the arrivals shown", "where are the departures shown"),
        ("how do I lock my card", "how do I unlock my card"),
        ("how do I increase my limit", "how do I decrease my limit"),
        ("what does it cost to send money abroad", "what does it cost to receive money abroad"),
        ("when does boarding start", "when does boarding stop"),
        ("how do I deposit cash", "how do I withdraw cash"),
        ("how do I upload a document", "how do I download a document"),
        ("which is the first flight of the day", "which is the last flight of the day"),
        ("what is the minimum age of a driver", "what is the maximum age of a driver"),
        ("can I bring more than my allowance", "can I bring less than my allowance"),
        ("how do I import my contacts", "how do I export my contacts"),
        ("is the credit card free", "is the debit card free"),
        ("what are the rules of domestic flights", "what are the rules of international flights"),
        ("how do I freeze my account", "how do I unfreeze my account"),
        ("how do I subscribe to the newsletter", "how do I unsubscribe from the newsletter"),
        ("is the pool open in the morning", "is the pool open in the evening"),
        ("can I buy shares here", "can I sell shares here"),
        ("is the lift going up", "is the lift going down"),
        ("what if the flight is early", "what if the flight is late"),
    ]
    lines = []
    for kind, templates, fillers in [("number", numbers_in, numbers), ("code", codes_in, codes)]:
        for template in templates:
            for _ in range(6):
                one, other = dice.sample(fillers, 2)
                lines.append((kind, template.format(one), template.format(other)))
    for template in directions_in:
        for _ in range(8):
            one, other = dice.sample(cities, 2)
            lines.append(("direction", template.format(one, other), template.format(other, one)))
    lines += [("denial", *pair) for pair in denied] + [("opposite", *pair) for pair in opposed]
    return lines[4:]


def main():
    airports = rows(AIRPORTS)
    documents = [" ".join([row["name"], row["city"], row["icao"]]) for row in airports]
    dice = random.Random(14)
    queries = [row["name"] for row in dice.sample(airports, 150)]
    for row in dice.sample(airports, 150):
        some = words(row["name"] + " " + row["city"])
        queries.append(" ".join(dice.sample(some, min(len(some), dice.randint(1, 3)))))
    rankings("rankings_airports.tsv.gz", documents, queries)
    asked = [" ".join(row["text"].split()) for row in dice.sample(rows(HERE / "banking77/test.csv.gz"), 400)]
    rankings("rankings_banking77.tsv.gz", [row["text"] for row in rows(HERE / "banking77/train.csv.gz")], asked)
    typos([row["name"] for row in airports], dice)
    pairs = guard_pairs(dice)
    with open(HERE / "guard_pairs.tsv", "w", encoding="utf-8") as file:
        file.writelines("\t".join(pair) + "\n" for pair in pairs)
    print(f"{len(pairs)} pairs for the guard")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Expressions at random, one a line, for make-golden.sh: random-expressions.py SEED COUNT

Values lie near the edges that matter: ends of months and years, changes of clocks, the ends of the types' ranges. Texts
are well-formed ones in all styles, and such with pieces exchanged, doubled or left out.
"""
import random
import sys

chance = random.Random(int(sys.argv[1]))
pick = chance.choice

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
         "Pacific/Apia", "Asia/Tehran", "America/St_Johns"]
PLACES = ["UTC", "EST", "pst", "CEST", "MSK", "Europe/Moscow", "Asia/Tokyo", "+02", "-03:30", "<+04>-4", "EST5EDT",
          "America/Denver", "IST", "nowhere", "Z", "zulu", "FOO3", "utc+3"]
MONTHS = ["Jan", "feb", "March", "APR", "may", "June", "jul", "Aug", "sept", "October", "nov", "December"]
FIELDS = ["year", "month", "day", "hour", "minute", "second", "year to month", "day to hour", "day to minute",
          "day to second", "hour to minute", "hour to second", "minute to second"]
UNITS = ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade",
         "century", "millennium", "isoyear", "dow", "isodow", "doy", "julian", "epoch", "timezone", "timezone_hour",
         "timezone_minute", "foo", "mins", "y", "usec"]
WORDS = ["year", "years", "mon", "months", "day", "days", "hour", "hours", "min", "mins", "sec", "secs", "week", "weeks",
         "decade", "century", "millennium", "ms", "us", "msec", "y", "m", "d", "h", "s", "c", "w", "yr", "foo"]
KEYS = ["YYYY", "YYY", "YY", "Y", "Y,YYY", "IYYY", "IYY", "IY", "I", "MM", "MON", "Mon", "mon", "MONTH", "Month", "month",
        "DD", "DDD", "D", "ID", "IDDD", "DY", "Dy", "dy", "DAY", "Day", "day", "HH", "HH12", "HH24", "MI", "SS", "MS",
        "US", "SSSS", "SSSSS", "AM", "PM", "a.m.", "P.M.", "am", "BC", "A.D.", "ad", "WW", "IW", "W", "CC", "J", "Q", "RM", "rm",
        "FF1", "FF3", "FF6", "TH", "th", "\"x\"", "-", "/", " ", ":", ",", ".", "T", "FX"]
OUT_KEYS = KEYS + ["TZ", "tz", "OF", "TZH", "TZM", "TMMonth", "TMDy"]


def year():
    return pick([chance.randint(1900, 2100), chance.randint(1, 9999), chance.randint(1990, 2030), 2000, 1999, 2004, 1,
                 chance.randint(10000, 294276), chance.randint(1800, 1960)])


def day():
    return pick([chance.randint(1, 28), chance.randint(28, 31), 1])


def clock():
    hour, minute, second = chance.randint(0, 23), chance.randint(0, 59), chance.randint(0, 59)
    text = pick([f"{hour:02}:{minute:02}:{second:02}"] * 4 + [f"{hour}:{minute:02}", f"{hour:02}{minute:02}{second:02}",
                f"24:00:00", f"23:59:60", f"{hour}:{minute}:{second}", "00:00:00", "02:30:00", "23:59:59"])
    if chance.random() < 0.4 and text.count(":") != 1:
        text += "." + "".join(pick("0123456789") for _ in range(chance.randint(1, 8)))
    if chance.random() < 0.08:
        text += pick([" am", " PM", "AM"])
    return text


def displacement():
    return pick(["", "", "Z", "+00", "-08", "+05:30", " UTC", " EST", " Europe/Berlin", "+0345", "-15:59:59", "+16",
                 " MSK", " CET DST", " " + pick(PLACES)])


def date_text():
    y, m, d = year(), chance.randint(1, 12), day()
    name = pick(MONTHS)
    text = pick([f"{y:04}-{m:02}-{d:02}"] * 6 + [f"{y:04}{m:02}{d:02}", f"{m}/{d}/{y}", f"{name} {d}, {y}", f"{d} {name} {y}",
                f"{y}-{name}-{d}", f"{d}-{name}-{y}", f"{y}.{chance.randint(1, 366):03}", f"{y}-{m}-{d}", f"{m}-{d}-{y % 100:02}",
                f"J{chance.randint(0, 5373484)}", f"{name}-{d}-{y}", f"{y}/{m}/{d}", f"{d}.{m}.{y}", f"{y} {m} {d}",
                f"y{y}m{m}d{d}", f"{y % 100}-{m}-{d}"])
    if chance.random() < 0.08:
        text += pick([" BC", " AD", " bc"])
    return text


def garbled(text):
    if chance.random() > 0.08 or not text:
        return text
    parts = text.split(" ")
    action = chance.randint(0, 4)
    at = chance.randrange(len(text))
    if action == 0:
        chance.shuffle(parts)
        return " ".join(parts)
    if action == 1:
        return text[:at] + text[at + 1:]
    if action == 2:
        return text[:at] + pick("0123456789-:/. +TPZ,e") + text[at:]
    if action == 3:
        return " ".join(parts + [pick(parts)])
    return text + pick([" foo", " 1", " at", " t", " on", " y", " 12:00"])


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def precision():
    return "(%d)" % chance.randint(0, 6) if chance.random() < 0.1 else ""


def moment_text():
    if chance.random() < 0.03:
        return pick(["infinity", "-infinity", "epoch", "294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC", "5874897-12-31"])
    separator = pick([" ", " ", " ", "T"])
    return garbled(date_text() + (separator + clock() + displacement() if chance.random() < 0.9 else ""))


def number():
    return pick([chance.randint(-40, 40), chance.randint(-2000, 2000), chance.randint(-2**31, 2**31), chance.randint(0, 12)])


def interval_text():
    style = chance.randint(0, 5)
    if style == 0:
        text = f"{pick(['', '-', '+'])}{abs(number()) % 5000}-{chance.randint(0, 12)} {chance.randint(-99, 99)} {pick(['', '-', '+'])}{clock()}"
    elif style == 1:
        parts = [f"{chance.randint(-99, 99)}{pick(['', '', '.5', '.25'])}{unit}" for unit in "YMWD" if chance.random() < 0.5]
        time = [f"{chance.randint(-99, 99)}{pick(['', '', '.5', '.75'])}{unit}" for unit in "HMS" if chance.random() < 0.5]
        text = "P" + "".join(parts) + ("T" + "".join(time) if time else "")
    elif style == 2:
        text = pick([clock(), "-" + clock(), f"{number()}", f"{chance.uniform(-1e4, 1e4):.4f}", f"{number()}:{chance.randint(0, 59)}"])
    else:
        parts = []
        for _ in range(chance.randint(1, 4)):
            value = pick([str(number()), str(chance.randint(-20, 20)), f"{chance.uniform(-100, 100):.{chance.randint(1, 4)}f}"])
            parts.append(f"{value} {pick(WORDS[:-1])}")
        if chance.random() < 0.4:
            parts.append(pick(["", "-", "+"]) + clock())
        text = " ".join(parts) + (" ago" if chance.random() < 0.15 else "")
        text = ("@ " if chance.random() < 0.1 else "") + text
    return garbled(text)


def date():
    return "date " + quote(moment_text() if chance.random() < 0.2 else garbled(date_text()))


def time():
    return f"time{precision()} " + quote(garbled(clock() + (displacement() if chance.random() < 0.3 else "")))


def timestamp():
    return f"timestamp{precision()} " + quote(moment_text())


def timestamptz():
    return f"timestamptz{precision()} " + quote(moment_text())


def interval():
    if chance.random() < 0.15:
        return f"interval {quote(interval_text())} {pick(FIELDS)}"
    return f"interval{precision()} " + quote(interval_text())


def template(keys):
    return "".join(pick(["", "", "", "FM"]) + pick(keys) + pick(["", "-", " ", ":", "/"]) for _ in range(chance.randint(1, 5)))


def expression():
    any_moment = pick([timestamp, timestamptz])
    return pick([
        date, time, timestamp, timestamptz, interval, interval,
        lambda: f"{date()} {pick('+-')} {abs(chance.randint(0, 100000))}",
        lambda: f"{date()} - {date()}",
        lambda: f"{date()} + {time()}",
        lambda: f"{date()} {pick('+-')} {interval()}",
        lambda: f"{any_moment()} {pick('+-')} {interval()}",
        lambda: f"{any_moment()} {pick('+-')} {interval()}",
        lambda: f"{timestamp()} - {timestamp()}",
        lambda: f"{timestamptz()} - {timestamptz()}",
        lambda: f"{time()} {pick('+-')} {interval()}",
        lambda: f"{time()} - {time()}",
        lambda: f"{interval()} {pick('+-')} {interval()}",
        lambda: f"{interval()} {pick('*/')} {pick([chance.uniform(0, 10), chance.uniform(0, 1), chance.randint(0, 12), 0.5, 1.5])}",
        lambda: f"- {interval()}",
        lambda: f"justify_{pick(['days', 'hours', 'interval'])}({interval()})",
        lambda: f"age({timestamp()}, {timestamp()})",
        lambda: f"age({timestamptz()}, {timestamptz()})",
        lambda: f"{interval()} {pick(['<', '=', '>'])} {interval()}",
        lambda: f"{date()} {pick(['<', '=', '>='])} {timestamp()}",
        lambda: f"extract({pick(UNITS)} from {pick([date, time, timestamp, timestamptz, interval])()})",
        lambda: f"extract({pick(UNITS)} from {pick([date, time, timestamp, timestamptz, interval])()})",
        lambda: f"date_part('{pick(UNITS)}', {pick([time, timestamp, timestamptz, interval])()})",
        lambda: f"date_trunc('{pick(UNITS)}', {pick([timestamp, timestamptz, interval])()})",
        lambda: f"date_trunc('{pick(UNITS)}', {timestamptz()}, '{pick(PLACES)}')",
        lambda: f"date_bin({interval()}, {timestamp()}, {timestamp()})",
        lambda: f"{any_moment()} at time zone '{pick(PLACES)}'",
        lambda: f"{timestamp()}::{pick(['date', 'time', 'timestamptz'])}",
        lambda: f"{timestamptz()}::{pick(['date', 'time', 'timestamp'])}",
        lambda: f"{date()}::{pick(['timestamp', 'timestamptz'])}",
        lambda: f"{interval()}::time",
        lambda: f"make_date({pick([year(), -year(), 0])}, {chance.randint(0, 13)}, {chance.randint(0, 32)})",
        lambda: f"make_time({chance.randint(-1, 25)}, {chance.randint(0, 60)}, {chance.uniform(0, 61):.4f})",
        lambda: f"make_timestamptz({year()}, {chance.randint(1, 12)}, {day()}, {chance.randint(0, 24)}, {chance.randint(0, 59)}, {chance.uniform(0, 60):.3f}, '{pick(PLACES)}')",
        lambda: f"make_interval({chance.randint(-99, 99)}, {chance.randint(-99, 99)}, {chance.randint(-99, 99)}, {chance.randint(-99, 99)}, {chance.randint(-99, 99)}, {chance.randint(-99, 99)}, {chance.uniform(-99, 99):.7f})",
        lambda: f"to_timestamp({pick([chance.uniform(-1e11, 1e11), chance.uniform(-1e9, 2e9), chance.randint(-10**13, 10**13)])})",
        lambda: f"to_char({pick([timestamp, timestamptz])()}, {quote(template(OUT_KEYS))})",
        lambda: f"to_char({interval()}, {quote(template(OUT_KEYS))})",
        lambda: f"to_date({quote(pick([date_text, moment_text, clock])())}, {quote(template(KEYS))})",
        lambda: f"to_timestamp({quote(garbled(f'{year():04}-{chance.randint(1, 12):02}-{day():02} {clock()}'))}, {quote(garbled('YYYY-MM-DD HH24:MI:SS') + pick(['', '.MS', '.US', 'TZH', ' AM']))})",
    ])()


for index in range(int(sys.argv[2])):
    if index % 500 == 0:
        print(f"timezone = {ZONES[index // 500 % len(ZONES)]}")
    print(expression())

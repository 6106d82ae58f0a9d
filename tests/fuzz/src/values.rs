//! Numbers, dates and times: as text, as clients send them, as rows and keys have them.

use cluster_calendar::{Date, Interval, Modifier, Session, Time, Timestamp, Timestamptz, Zone};
use cluster_numeric::{Numeric, Typmod};

use crate::input::{Input, Output};

/// Longer numbers take long to print, and are made of the same digits.
const PRINTED_LEN_MAX: usize = 512;

/// Bytes as each of the things that a number may be.
pub fn numbers(bytes: &[u8]) {
    let read = [Numeric::from_wire(bytes).ok(), Numeric::read(bytes).map(|(value, _)| value)];
    read.iter().flatten().for_each(check_number);
    if let Some((value, _)) = Numeric::read_key(bytes) {
        let mut key = Vec::new();
        value.write_key(&mut key);
        let again = Numeric::read_key(&key).map(|(again, rest)| (again, rest.len()));
        assert_eq!(again, Some((value.clone(), 0)), "a key stays a key");
        check_number(&value);
    }
    let mut input = Input::new(bytes);
    let typmod = Typmod::from_i32(i32::from_le_bytes([input.byte(), input.byte(), input.byte(), 0]));
    let texts = [input.short(), input.rest()].map(|text| str::from_utf8(text).ok()?.parse::<Numeric>().ok());
    for value in texts.iter().flatten() {
        check_number(value);
        if let Some(Ok(rounded)) = typmod.map(|typmod| value.with_typmod(typmod)) {
            check_number(&rounded);
        }
    }
    if let [Some(one), Some(other)] = &texts {
        let [mut left, mut right] = [Vec::new(), Vec::new()];
        one.write_key(&mut left);
        other.write_key(&mut right);
        assert_eq!(left.cmp(&right), one.cmp(other), "keys sort as values do");
    }
}

/// Whatever a value is written as, it is read again.
fn check_number(value: &Numeric) {
    let (mut wire, mut row) = (Vec::new(), Vec::new());
    value.to_wire(&mut wire);
    value.write(&mut row);
    let from_wire = Numeric::from_wire(&wire).expect("what was sent can be received");
    let (from_row, rest) = Numeric::read(&row).expect("what was written can be read");
    assert!(rest.is_empty());
    assert_eq!((&from_wire, &from_row), (value, value));
    if wire.len() > PRINTED_LEN_MAX {
        return;
    }
    let text = value.to_string();
    assert_eq!([from_wire, from_row].map(|again| again.to_string()), [text.clone(), text.clone()]);
    assert_eq!(text.parse::<Numeric>().map(|again| again.to_string()), Ok(text), "what is shown can be read");
}

/// Numbers as each writes them.
pub fn number_seeds() -> Vec<Vec<u8>> {
    let texts =
        ["0", "-1.50", "NaN", "Infinity", "12345678901234567890.0001", "1e40", "-1e-30", "0x1F", "1_000"];
    let mut seeds = Vec::new();
    for text in texts {
        let mut two = Output::default();
        two.bytes(&[14, 0, 10]).short(text.as_bytes()).bytes(b"1.5");
        seeds.push(two.0);
        let Ok(value) = text.parse::<Numeric>() else { continue };
        let [mut wire, mut row, mut key] = [Vec::new(), Vec::new(), Vec::new()];
        value.to_wire(&mut wire);
        value.write(&mut row);
        value.write_key(&mut key);
        seeds.extend([wire, row, key]);
    }
    seeds
}

/// Checks that what one of the types of time reads, it writes again.
macro_rules! check_bytes {
    ($name:ident, $bytes:ident) => {
        if let Ok(value) = $name::from_key($bytes) {
            assert_eq!(value.to_key()[..], *$bytes, "a key stays a key");
        }
        if let Ok(value) = $name::from_wire($bytes) {
            assert_eq!(value.to_wire()[..], *$bytes, "what is received is sent");
        }
        if let Ok((value, rest)) = $name::decode($bytes) {
            let mut again = Vec::new();
            value.encode(&mut again);
            let reread = $name::decode(&again).map(|(value, rest)| (value.to_key(), rest.len()));
            assert_eq!(reread, Ok((value.to_key(), 0)), "a value stays a value");
            assert!(rest.len() < $bytes.len());
        }
    };
}

/// Bytes as each of the things that a date, a time, a moment or a span may be.
pub fn moments(bytes: &[u8]) {
    check_bytes!(Date, bytes);
    check_bytes!(Time, bytes);
    check_bytes!(Timestamp, bytes);
    check_bytes!(Timestamptz, bytes);
    check_bytes!(Interval, bytes);
    let mut input = Input::new(bytes);
    let [zone, template, text] = [input.short(), input.short(), input.rest()].map(str::from_utf8);
    let zone = zone.ok().and_then(|zone| Zone::setting(zone).ok()).unwrap_or_else(Zone::utc);
    let Ok(text) = text else { return };
    check_texts(text, &zone);
    if let Ok(template) = template {
        let _ = Date::parse_as(text, template);
        let _ = Timestamptz::parse_as(text, template, &zone).map(|read| read.format(template, &zone));
    }
}

/// What is shown of a value that a text stands for stands for it, too.
fn check_texts(text: &str, zone: &Zone) {
    let now = Timestamptz::from_micros(0).expect("2000-01-01 is in range");
    let session = Session { zone, now };
    if let Ok(date) = Date::parse(text, session) {
        assert_eq!(Date::parse(&date.to_string(), session), Ok(date));
    }
    if let Ok(time) = Time::parse(text, session) {
        assert_eq!(Time::parse(&time.to_string(), session), Ok(time));
    }
    if let Ok(timestamp) = Timestamp::parse(text, session) {
        assert_eq!(Timestamp::parse(&timestamp.to_string(), session), Ok(timestamp));
    }
    if let Ok(moment) = Timestamptz::parse(text, session) {
        assert_eq!(Timestamptz::parse(&moment.to_text(zone), session), Ok(moment));
    }
    if let Ok(interval) = Interval::parse(text, Modifier::default()) {
        let again = Interval::parse(&interval.to_string(), Modifier::default());
        assert_eq!(again.map(Interval::to_wire), Ok(interval.to_wire()));
    }
}

/// Moments as each writes them.
pub fn moment_seeds() -> Vec<Vec<u8>> {
    let texts = [
        ("Europe/Berlin", "YYYY-MM-DD HH24:MI:SS.US", "2024-03-31 02:30:00.5"),
        ("<+03>-3", "DD Mon YYYY BC", "Jan 8 04:05:06 1999 PST"),
        ("UTC", "IYYY-IW-ID", "infinity"),
        ("America/New_York", "J", "19990108T040506-08"),
        ("-5:30", "HH12:MI am TZH", "allballs"),
        ("UTC", "Q", "1 year 2 mons -3 days 04:05:06.789"),
        ("UTC", "", "P1Y2M3DT4H5M6S"),
        ("UTC", "", "@ 1 day ago"),
        ("UTC", "", "4714-11-24 BC"),
    ];
    let mut seeds = Vec::new();
    for (zone, template, text) in texts {
        let mut seed = Output::default();
        seed.short(zone.as_bytes()).short(template.as_bytes()).bytes(text.as_bytes());
        seeds.push(seed.0);
        if let Ok(interval) = Interval::parse(text, Modifier::default()) {
            let mut encoded = Vec::new();
            interval.encode(&mut encoded);
            seeds.extend([interval.to_key().to_vec(), interval.to_wire().to_vec(), encoded]);
        }
    }
    let now = Timestamptz::from_micros(1).expect("it is in range");
    let mut encoded = Vec::new();
    now.encode(&mut encoded);
    seeds.extend([now.to_key().to_vec(), now.to_wire().to_vec(), encoded]);
    seeds
}

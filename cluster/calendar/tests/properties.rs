//! What holds for all values: encodings come back and keep the order, texts come back, sums agree with jiff's where both
//! reach, and no input whatever makes a function panic.

#![forbid(unsafe_code)]

use cluster_calendar::{
    Date, Error, Interval, Modifier, Session, Time, Timestamp, Timestamptz, Unit, Zone, zone_names,
};
use jiff::civil::date as civil_date;
use jiff::{Span, ToSpan};
use proptest::prelude::*;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Days of the dates that both have: from 4714 BC, where Postgres's begin, to 9997, where jiff's are about to end.
const SHARED_DAYS: core::ops::Range<i32> = -2_451_545..2_921_000;

fn dates() -> impl Strategy<Value = Date> {
    let days =
        prop_oneof![-2_451_545..2_145_031_949, -800_000..800_000, -40..40, Just(i32::MAX), Just(i32::MIN)];
    days.prop_map(|days| Date::from_days(days).expect("in range"))
}

fn times() -> impl Strategy<Value = Time> {
    let micros = prop_oneof![0..=MICROS_PER_DAY, (0..=86_400_i64).prop_map(|second| second * 1_000_000)];
    micros.prop_map(|micros| Time::from_micros(micros).expect("in range"))
}

fn micros() -> impl Strategy<Value = i64> {
    let all = -211_813_488_000_000_000..9_223_371_331_200_000_000_i64;
    let near = -5_000_000_000_i64..5_000_000_000;
    prop_oneof![
        all,
        near.clone().prop_map(|second| second * 1_000_000),
        near.clone().prop_map(|milli| milli * 1000),
        near,
        Just(i64::MAX),
        Just(i64::MIN),
    ]
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    micros().prop_map(|micros| Timestamp::from_micros(micros).expect("in range"))
}

fn moments() -> impl Strategy<Value = Timestamptz> {
    micros().prop_map(|micros| Timestamptz::from_micros(micros).expect("in range"))
}

fn intervals() -> impl Strategy<Value = Interval> {
    let small = (-40..40, -70..70, -100_000_000_000_i64..100_000_000_000);
    let any = (any::<i32>(), any::<i32>(), any::<i64>());
    prop_oneof![small, any].prop_map(|(months, days, micros)| Interval::new(months, days, micros))
}

fn zones() -> impl Strategy<Value = Zone> {
    let names = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"];
    proptest::sample::select(names.to_vec()).prop_map(|name| Zone::named(name).expect("a zone"))
}

fn session(zone: &Zone) -> Session<'_> {
    Session { zone, now: Timestamptz::from_micros(800_000_000_000_000).expect("in range") }
}

/// All three fields, which equality does not look at.
fn parts(interval: Interval) -> (i32, i32, i64) {
    (interval.months, interval.days, interval.micros)
}

/// Checks the encodings of a type whose key tells the whole value.
macro_rules! encodings {
    ($name:ident, $type:ident, $values:expr) => {
        proptest! {
            #[test]
            fn $name(one in $values, other in $values, bytes in prop::collection::vec(any::<u8>(), 0..12)) {
                prop_assert_eq!($type::from_wire(&one.to_wire()), Ok(one));
                prop_assert_eq!($type::from_key(&one.to_key()), Ok(one));
                prop_assert_eq!(one.to_key().cmp(&other.to_key()), one.cmp(&other));
                let mut row = Vec::new();
                one.encode(&mut row);
                other.encode(&mut row);
                let (first, rest) = $type::decode(&row).expect("what was encoded");
                prop_assert_eq!((first, $type::decode(rest)), (one, Ok((other, &[][..]))));
                // Of any bytes, what is accepted is the one encoding of its value.
                if let Ok((value, rest)) = $type::decode(&bytes) {
                    let mut again = Vec::new();
                    value.encode(&mut again);
                    prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
                }
                if let Ok(value) = $type::from_wire(&bytes) {
                    prop_assert_eq!(&value.to_wire()[..], &bytes[..]);
                }
            }
        }
    };
}

encodings!(dates_are_encoded, Date, dates());
encodings!(times_are_encoded, Time, times());
encodings!(timestamps_are_encoded, Timestamp, timestamps());
encodings!(moments_are_encoded, Timestamptz, moments());

proptest! {
    #[test]
    fn intervals_are_encoded(one in intervals(), other in intervals(), bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        prop_assert_eq!(Interval::from_wire(&one.to_wire()).map(parts), Ok(parts(one)));
        prop_assert_eq!(Interval::from_key(&one.to_key()), Ok(one));
        prop_assert_eq!(one.to_key().cmp(&other.to_key()), one.cmp(&other));
        let mut row = Vec::new();
        one.encode(&mut row);
        let decoded = Interval::decode(&row).map(|(value, rest)| (parts(value), rest.len()));
        prop_assert_eq!(decoded, Ok((parts(one), 0)));
        if let Ok((value, rest)) = Interval::decode(&bytes) {
            let mut again = Vec::new();
            value.encode(&mut again);
            prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
        }
        if let Ok(value) = Interval::from_key(&bytes) {
            prop_assert_eq!(&value.to_key()[..], &bytes[..]);
        }
    }

    #[test]
    fn texts_come_back(date in dates(), time in times(), timestamp in timestamps(), moment in moments(), zone in zones()) {
        let session = session(&zone);
        prop_assert_eq!(Date::parse(&date.to_string(), session), Ok(date));
        prop_assert_eq!(Time::parse(&time.to_string(), session), Ok(time));
        prop_assert_eq!(Timestamp::parse(&timestamp.to_string(), session), Ok(timestamp));
        // A clock that is ahead of UTC may show a time that is out of range.
        match Timestamptz::parse(&moment.to_text(&zone), session) {
            Ok(parsed) => prop_assert_eq!(parsed, moment),
            Err(error) => prop_assert!(matches!(error, Error::TextRange(..))),
        }
    }

    #[test]
    fn interval_texts_come_back(interval in intervals()) {
        // Of the longest time, the hours are printed and cannot be read, as in Postgres.
        prop_assume!(interval.micros != i64::MIN);
        let parsed = Interval::parse(&interval.to_string(), Modifier::default());
        prop_assert_eq!(parsed.map(parts), Ok(parts(interval)));
    }

    #[test]
    fn days_are_those_of_jiff(days in SHARED_DAYS, months in -2400..2400_i32, unit in 0..5_usize) {
        let date = Date::from_days(days).expect("in range");
        let jiff = civil_date(2000, 1, 1).checked_add(days.days()).expect("in range");
        let year = if jiff.year() > 0 { jiff.year() } else { jiff.year() - 1 };
        let fields = [
            ("year", i64::from(year)),
            ("month", jiff.month().into()),
            ("day", jiff.day().into()),
            ("doy", jiff.day_of_year().into()),
            ("isodow", jiff.weekday().to_monday_one_offset().into()),
            ("week", jiff.iso_week_date().week().into()),
        ];
        for (unit, expected) in fields {
            prop_assert_eq!(date.extract(unit).expect(unit).to_f64(), Some(expected as f64), "{}", unit);
        }
        let later = jiff.checked_add(Span::new().months(months));
        let sum = date.to_timestamp().and_then(|midnight| midnight.checked_add(Interval::new(months, 0, 0)));
        if let (Ok(later), Ok(sum)) = (later, sum) {
            let expected = civil_date(2000, 1, 1).until(later).expect("a span").get_days();
            prop_assert_eq!(sum.to_date().days(), expected);
        }
        let unit = ["day", "week", "month", "quarter", "year"][unit];
        if let Ok(first) = date.to_timestamp().expect("in range").truncate(unit) {
            prop_assert!(first.to_date() <= date);
            prop_assert_eq!(first.truncate(unit), Ok(first));
        }
    }

    #[test]
    fn differences_are_taken_back(one in timestamps(), other in timestamps(), stride in 1..i64::MAX / 4) {
        if let Ok(difference) = one.since(other) {
            prop_assert_eq!(other.checked_add(difference), Ok(one));
        }
        if let Ok(first) = one.bin(Interval::new(0, 0, stride), other) {
            prop_assert!(first <= one && (!one.is_finite() || one.micros() - first.micros() < stride));
        }
        if let (Ok(age), true) = (one.age(other), one >= other) {
            prop_assert!(age.months >= 0 && (0..31).contains(&age.days) && (0..MICROS_PER_DAY).contains(&age.micros));
        }
    }

    #[test]
    fn clocks_of_zones_agree(moment in moments(), zone in zones()) {
        if let Ok(shown) = moment.to_timestamp(&zone) {
            // An hour that is there twice comes back as one of the two.
            let back = shown.to_timestamptz(&zone).expect("in range");
            prop_assert_eq!(back.to_timestamp(&zone), Ok(shown));
        }
    }

    #[test]
    fn justified_intervals_are_equal(interval in intervals()) {
        let justified = [interval.justify_days(), interval.justify_hours(), interval.justify_interval()];
        for justified in justified.into_iter().flatten() {
            prop_assert_eq!(justified, interval);
        }
    }

    #[test]
    fn no_text_panics(text in "[ -~äT0-9:.+-]{0,24}", words in prop::collection::vec("([0-9]{1,4}|jan|bc|pm|y|[-:./+ ]|P|T|day|ago|est|foo5)", 0..9), zone in zones()) {
        for text in [text, words.concat(), words.join(" ")] {
            let session = session(&zone);
            let _ = Date::parse(&text, session);
            let _ = Time::parse(&text, session);
            let _ = Timestamp::parse(&text, session);
            let _ = Timestamptz::parse(&text, session);
            let _ = Interval::parse(&text, Modifier::default());
            let _ = Zone::setting(&text);
            let _ = Unit::of_extract(&text);
            let _ = session.now.at_zone_named(&text);
            let _ = session.now.truncate_at("day", &text);
        }
    }

    #[test]
    fn no_template_panics(
        text in "[ -~ä0-9]{0,24}",
        template in prop::collection::vec("(FM|TM|FX)?(YYYY|Y,YYY|YY|Y|IYYY|IW|ID|IDDD|MM|Mon|Month|RM|DDD|DD|D|Day|HH|HH24|MI|SS|MS|US|FF3|SSSS|AM|BC|CC|J|Q|WW|W|TZ|TZH|TZM|OF|ä|\"|\\\\|[ -~])(TH|th)?", 0..6),
        moment in moments(),
        interval in intervals(),
        zone in zones(),
    ) {
        let template = template.concat();
        let _ = Date::parse_as(&text, &template);
        let _ = Timestamptz::parse_as(&text, &template, &zone);
        let _ = interval.format(&template);
        let written = moment.format(&template, &zone).expect("no field is refused");
        if let Some(written) = written {
            let _ = Timestamptz::parse_as(&written, &template, &zone);
        }
    }

    #[test]
    fn no_sum_panics(
        (date, time, timestamp) in (dates(), times(), timestamps()),
        (moment, interval, other) in (moments(), intervals(), intervals()),
        factor in prop_oneof![any::<f64>(), -10.0..10.0_f64],
        days in any::<i32>(),
        zone in zones(),
    ) {
        let _ = (date.checked_add_days(days), date.checked_sub_days(days), date.checked_add_time(time));
        let _ = (time.plus(interval), time.minus(interval), interval.to_time());
        let _ = (timestamp.checked_add(interval), timestamp.checked_sub(interval));
        let _ = (moment.checked_add(interval, &zone), moment.checked_sub(interval, &zone));
        let _ = (moment.bin(interval, moment), date.to_timestamptz(&zone), moment.age(moment, &zone));
        let _ = (interval.checked_add(other), interval.checked_sub(other), interval.checked_neg());
        let _ = (interval.checked_mul(factor), interval.checked_div(factor));
        let _ = (Timestamptz::from_unix_seconds(factor), Time::make(days, days, factor));
        let _ = Timestamp::make(days, 1, 1, 0, 0, factor);
        let _ = Interval::make([days; 6], factor);
        for unit in ["us", "second", "hour", "day", "week", "year", "century", "millennium", "julian", "epoch", "isoyear"] {
            let _ = (date.extract(unit), time.extract(unit), timestamp.extract(unit), interval.extract(unit));
            let _ = (moment.extract(unit, &zone), moment.truncate(unit, &zone), timestamp.truncate(unit));
            let _ = interval.truncate(unit);
        }
    }
}

#[test]
fn all_zones_are_read() {
    let names: Vec<&str> = zone_names().collect();
    assert!(names.len() > 500, "the whole database");
    for name in names {
        let zone = Zone::named(&name.to_lowercase()).expect(name);
        assert_eq!(zone.name(), name);
    }
}

#[test]
fn an_offset_of_many_digits_is_none() {
    for text in ["p29053363953219809", "x1:99999999999999999", "x9223372036854775807"] {
        assert!(Zone::named(text).is_none(), "{text}");
    }
}

#[test]
fn settings_of_the_zone() {
    let name = |text: &str| Zone::setting(text).map(|zone| zone.name().to_string());
    assert_eq!(name("UTC"), Ok("UTC".into()));
    assert_eq!(name("europe/BERLIN"), Ok("Europe/Berlin".into()));
    assert_eq!(name("+02"), Ok("<+02>-02".into()));
    assert_eq!(name("-3.5"), Ok("<-03:30>+03:30".into()));
    assert_eq!(name("7"), Ok("<+07>-07".into()));
    assert_eq!(name("CET-1CEST"), Ok("CET-1CEST".into()));
    let error = name("Europe/Nowhere").expect_err("no such place");
    assert_eq!(error.sqlstate(), "22023");
    assert_eq!(error.to_string(), "invalid value for parameter \"TimeZone\": \"Europe/Nowhere\"");
    for refused in ["", "168", "-200", "1e9", "nan", "inf", "2001"] {
        assert!(name(refused).is_err(), "{refused}");
    }
}

#[test]
fn now_is_an_argument() {
    let zone = Zone::named("Europe/Berlin").expect("a zone");
    let now = Timestamptz::parse("2001-07-03 23:30:00+00", session(&zone)).expect("valid");
    let session = Session { zone: &zone, now };
    let date = |text| Date::parse(text, session).expect(text).to_string();
    assert_eq!(
        [date("today"), date("yesterday"), date("tomorrow"), date("now")],
        ["2001-07-04", "2001-07-03", "2001-07-05", "2001-07-04"]
    );
    assert_eq!(Timestamptz::parse("now", session), Ok(now));
    assert_eq!(Time::parse("now", session).expect("now").to_string(), "01:30:00");
    assert_eq!(Timestamp::parse("today 04:05", session).expect("today").to_string(), "2001-07-04 04:05:00");
    let midnight = Timestamptz::parse("tomorrow allballs", session).expect("midnight UTC");
    assert_eq!(midnight.to_text(&zone), "2001-07-05 02:00:00+02");
}

//! What the generator of random SQL promises: the same from the same seed, and nothing that is no SQL.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use tests_conformance::random::case::{Case, case};
use tests_conformance::random::features::{FEATURES, Features, LATER};

fn texts(case: &Case) -> Vec<String> {
    let setup = case.tables.iter().flat_map(|table| table.setup());
    setup.chain(case.statements.iter().map(|statement| statement.tree.to_string())).collect()
}

#[test]
fn a_seed_is_a_case() {
    let features = Features::default();
    let (one, again) = (case(7, &features, 200), case(7, &features, 200));
    assert_eq!(texts(&one), texts(&again));
    assert_eq!(one, again);
    assert_ne!(texts(&one), texts(&case(8, &features, 200)));
}

#[test]
fn what_is_made_can_be_parsed() {
    // What is wrong on purpose is left out, as some of it is no SQL; and what this parser does not know.
    let mut features = Features::default();
    features.leave_out("mistakes,symmetric").expect("a feature");
    let mut refused = Vec::new();
    for seed in 0..60 {
        for text in texts(&case(seed, &features, 50)) {
            let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(300);
            let parsed = parser.try_with_sql(&text).and_then(|mut parser| parser.parse_statements());
            refused.extend(parsed.err().map(|error| format!("{error}: {text}")));
        }
    }
    assert!(refused.is_empty(), "{} are refused, such as\n{}", refused.len(), refused[0]);
}

#[test]
fn every_feature_is_used_and_can_be_left_out() {
    // What shows that a feature was used, in so many statements that it must have been.
    let signs = [
        ("joins", " JOIN "),
        ("using", " USING ("),
        ("lateral", " LATERAL "),
        ("groups", " GROUP BY "),
        ("grouping_sets", " CUBE ("),
        ("star", "SELECT * FROM t"),
        ("filter", " FILTER (WHERE"),
        ("subqueries", "EXISTS ("),
        ("sets", " EXCEPT "),
        ("with", "WITH "),
        ("recursive", "WITH RECURSIVE "),
        ("windows", " OVER ("),
        ("order", " ORDER BY "),
        ("values", "(VALUES "),
        ("series", "generate_series("),
        ("numeric", "numeric"),
        ("interval", "interval"),
        ("changes", "UPDATE t"),
        ("changes_from", " USING t"),
        ("transactions", "SAVEPOINT"),
        ("arrays", "integer[]"),
        ("jsonb", "jsonb"),
        ("on_conflict", " ON CONFLICT "),
        ("returning", " RETURNING "),
    ];
    let all = |features: &Features| -> String {
        let cases = (0..30).map(|seed| texts(&case(seed, features, 40)).join("\n"));
        cases.collect::<Vec<_>>().join("\n")
    };
    let mut features = Features::default();
    assert!(LATER.iter().all(|feature| features.weight(*feature) == 0));
    features.set("lateral,grouping_sets").expect("features");
    let used = all(&features);
    for (feature, sign) in signs {
        assert!(FEATURES.iter().any(|known| known.1 == feature), "{feature}");
        assert!(used.contains(sign), "{feature} is never used");
    }
    for (feature, sign) in signs {
        let mut features = features.clone();
        // Those bring an order, or times, of their own.
        let more = match feature {
            "order" => ",mistakes,distinct_on,windows,ordered_aggregates,insert_select,subqueries",
            "using" => ",mistakes",
            "subqueries" | "groups" | "sets" | "with" | "windows" => ",mistakes",
            "changes" => ",mistakes,transactions",
            "star" => ",mistakes,changes,transactions",
            _ => "",
        };
        features.leave_out(&format!("{feature}{more}")).expect("features");
        assert!(!all(&features).contains(sign), "{feature} is left out");
    }
}

#[test]
fn unknown_features_are_refused() {
    assert!(Features::only("joins,no_such").is_err());
    assert!(Features::only("joins=much").is_err());
    assert_eq!(Features::only("joins=7").map(|features| features.weight(FEATURES[0].0)), Ok(0));
}

/// The smaller trees of a statement are smaller, and it ends.
#[test]
fn a_case_gets_smaller_until_it_is_smallest() {
    let mut smallest = case(3, &Features::default(), 20);
    for _ in 0..100_000 {
        let size = smallest.size();
        let Some(smaller) = smallest.smaller().into_iter().next_back() else {
            assert!(size < 400, "{size}: {:?}", texts(&smallest));
            return;
        };
        assert_ne!(smaller, smallest, "something is left out");
        smallest = smaller;
    }
    panic!("it goes on for ever: {:?}", texts(&smallest));
}

//! Statements on files read what they are about, and nothing else of the tables.

use super::*;
use cluster_sql::types::Datum;

/// How a statement is run, whatever the values are that it is given.
fn plan(bench: &mut Bench, sql: &str) -> String {
    let params = (1..).take_while(|number| sql.contains(&format!("${number}"))).count();
    let answer = block_on(bench.session.run(&format!("EXPLAIN {sql}"), alloc::vec![Datum::Null; params]));
    let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let line = |row: &Vec<Datum>| {
        if let Some(Datum::Text(line)) = row.first() { line.clone() } else { String::new() }
    };
    answer.rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn statements_look_rows_up_by_their_keys() {
    let mut bench = Bench::new();
    for files in [0, 0, 20, 1000, 10_000] {
        for sql in statements::ALL {
            let plan = plan(&mut bench, sql);
            let scans = plan.lines().any(|line| line.trim_start().starts_with("Scan of"));
            assert!(!scans && !plan.contains("Hash"), "{files} files:\n{sql}\n{plan}");
        }
        let sql = format!(
            "WITH i AS (INSERT INTO sys.inodes (kind, mode, owner) \
             SELECT 'file', 420, 'relix' FROM generate_series(1, {files}) RETURNING id) \
             INSERT INTO sys.entries (directory, name, inode) SELECT 1, 'f' || id, id FROM i"
        );
        bench.run(&sql);
        assert_eq!(bench.run("ANALYZE"), "");
    }
}

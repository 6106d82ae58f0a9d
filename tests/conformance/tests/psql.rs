//! psql describes what there is, and pg_dump takes it from one cluster to another.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tests-conformance --test psql` rewrites what psql says.

use std::path::PathBuf;
use std::process::Command;

use tests_vm::{Cluster, is_installed, repository, run};

/// What psql is asked, one after the other.
const ASKED: &[&str] = &[
    "\\d",
    "\\d shop.customers",
    "\\d shop.orders",
    "\\d+ shop.orders",
    "\\d shop.big",
    "\\d+ shop.big",
    "\\d shop.numbers",
    "\\d \"Odd Name\"",
    "\\dt shop.*",
    "\\di shop.*",
    "\\ds shop.*",
    "\\dv shop.*",
    "\\dn",
    "\\du",
    "\\df substr",
    "\\dT int4",
    "\\dx",
    "\\dp shop.*",
    r"\d+ shop.places",
    r"\dv+ shop.*",
];

fn golden(name: &str) -> PathBuf {
    repository().join("tests/conformance/golden").join(name)
}

/// psql, asked something of a cluster's first node.
fn psql(cluster: &Cluster, arguments: &[&str]) -> String {
    let mut command = Command::new("psql");
    command.args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-P",
        "pager=off",
        "-h",
        "127.0.0.1",
        "-U",
        "relix",
        "-d",
        "relix",
    ]);
    command.args(["-p", &cluster.port(1).to_string()]).args(arguments);
    run(&mut command).expect_success(&format!("psql {arguments:?}"))
}

/// What pg_dump writes, but for what is another text each time.
fn dump(cluster: &Cluster, arguments: &[&str]) -> String {
    let mut command = Command::new("pg_dump");
    command.args(["-h", "127.0.0.1", "-U", "relix", "-p", &cluster.port(1).to_string()]);
    let said = run(command.args(arguments).arg("relix")).expect_success("pg_dump");
    let is_random = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
    said.lines().filter(|line| !is_random(line)).map(|line| format!("{line}\n")).collect()
}

fn start(name: &str) -> Option<Cluster> {
    let missing = ["psql", "pg_dump"].into_iter().find(|program| !is_installed(program));
    if let Some(program) = missing {
        println!("skipped: {program} is not installed (apt install postgresql-client)");
        return None;
    }
    let cluster = Cluster::start(name, &["--host", "--nodes", "1"]);
    Some(cluster)
}

#[test]
fn psql_describes_what_there_is() {
    let Some(cluster) = start("psql") else { return };
    psql(&cluster, &["-f", &golden("psql.sql").to_string_lossy()]);
    let mut said = String::new();
    for asked in ASKED {
        said += &format!("> {asked}\n{}", psql(&cluster, &["-c", asked]));
    }
    // What no output ends with is not looked at.
    let said: String = said.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let path = golden("psql.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &said).expect("the golden text is written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden text");
    for (line, (said, expected)) in said.lines().zip(expected.lines()).enumerate() {
        assert_eq!(said, expected, "line {} of {}", line + 1, path.display());
    }
    assert_eq!(said.lines().count(), expected.lines().count(), "psql says as much as it should");
}

#[test]
fn a_dump_comes_back_whole() {
    let Some(cluster) = start("dump") else { return };
    psql(&cluster, &["-f", &golden("psql.sql").to_string_lossy()]);
    // Functions come before their tables in a dump.
    psql(
        &cluster,
        &[
            "-c",
            "CREATE FUNCTION shop.tidy() RETURNS trigger LANGUAGE sql AS $$ SELECT lower(new.note) AS note $$",
            "-c",
            "CREATE FUNCTION shop.orders_of(who bigint, lowest bigint DEFAULT 1) RETURNS bigint LANGUAGE sql STABLE AS \
             $$ SELECT count(*) FROM shop.orders WHERE customer = who AND id >= $2 $$",
            "-c",
            "CREATE TRIGGER tidied BEFORE INSERT ON shop.orders FOR EACH ROW WHEN (new.note <> '') \
             EXECUTE FUNCTION shop.tidy()",
        ],
    );
    let first = dump(&cluster, &[]);
    assert!(
        first.contains("CREATE TRIGGER tidied BEFORE INSERT ON shop.orders FOR EACH ROW WHEN"),
        "{first}"
    );
    assert!(!first.contains("sys."), "what a node shows of itself is in no dump");
    assert!(
        first.contains("COMMENT ON CONSTRAINT one_each ON shop.places IS 'no two at one place';"),
        "{first}"
    );
    assert!(first.contains("UNIQUE (place) DEFERRABLE INITIALLY DEFERRED;"), "{first}");
    let file = cluster.dir().join("dump.sql");
    std::fs::write(&file, &first).expect("the dump is written");
    let Some(other) = start("dump-restored") else { return };
    psql(&other, &["-f", &file.to_string_lossy()]);
    let second = dump(&other, &[]);
    for (first, second) in first.lines().zip(second.lines()) {
        assert_eq!(first, second, "the same dump again");
    }
    assert_eq!(first.len(), second.len(), "the same dump again");
    // Numbers go on where they were.
    psql(
        &other,
        &[
            "-c",
            "INSERT INTO shop.customers (email) VALUES ('c'); INSERT INTO shop.orders (customer) VALUES (1)",
        ],
    );
    let rows = psql(&other, &["-At", "-c", "SELECT count(DISTINCT id), count(*) FROM shop.customers"]);
    assert_eq!(rows, "3|3\n");
    let insert = "INSERT INTO shop.orders (customer, note) SELECT max(id), 'LOUD' FROM shop.customers";
    psql(&other, &["-c", insert]);
    let ask = "SELECT note, shop.orders_of(customer) FROM shop.orders WHERE note = 'loud'";
    assert_eq!(psql(&other, &["-At", "-c", ask]), "loud|1\n");
}

//! Programs in other languages than Rust, by the imports as they are.

use tests_programs::{Node, zig};

#[test]
fn a_program_in_zig_does_what_its_head_says() {
    let module = match zig("stock") {
        Ok(module) => module,
        Err(why) => return println!("skipped: the compiler of Zig cannot be installed: {why}"),
    };
    let mut node = Node::new(&[("stock", module)]);
    node.ask("CREATE TABLE stock (item text PRIMARY KEY, amount bigint NOT NULL CHECK (amount >= 0))");
    assert_eq!(node.result("stock", r#"["bolt", 50]"#), r#"{"columns":["amount"],"rows":[[50]],"count":1}"#);
    assert_eq!(node.result("stock", r#"["bolt", 7]"#), r#"{"columns":["amount"],"rows":[[57]],"count":1}"#);
    let error = node.error("stock", r#"["nut", -1]"#);
    assert!(error.contains("stock_amount_check") && error.ends_with("(SQLSTATE 23514)"), "{error}");
    assert_eq!(node.ask("SELECT * FROM stock"), "bolt 57");
}

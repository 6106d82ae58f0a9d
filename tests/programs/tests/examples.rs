//! The examples, as their heads say.

use tests_programs::{Node, rust};

#[test]
fn greet_greets_who_its_arguments_name() {
    let mut node = Node::new(&[("greet", rust("greet"))]);
    assert_eq!(node.result("greet", "\"Ann\""), "\"Hello, Ann\"");
    assert_eq!(
        node.error("greet", "7"),
        "arguments: invalid type: integer `7`, expected a string at line 1 column 1"
    );
}

#[test]
fn transfer_moves_all_or_nothing() {
    let mut node = Node::new(&[("transfer", rust("transfer"))]);
    node.ask("CREATE TABLE accounts (name text PRIMARY KEY, balance bigint NOT NULL)");
    node.ask("INSERT INTO accounts VALUES ('ann', 100), ('bob', 0)");
    let order = |amount: i64, to: &str| format!(r#"{{"from": "ann", "to": "{to}", "amount": {amount}}}"#);
    assert_eq!(node.result("transfer", &order(30, "bob")), r#"{"from":70,"to":30}"#);
    assert_eq!(node.error("transfer", &order(71, "bob")), "ann has 70, which is less than 71");
    assert_eq!(node.error("transfer", &order(1, "carl")), "there is no account carl");
    assert_eq!(node.error("transfer", &order(-1, "bob")), "-1 cannot be moved");
    let missing = node.error("transfer", "{}");
    assert_eq!(missing, "arguments: missing field `from` at line 1 column 2");
    assert_eq!(node.ask("SELECT * FROM accounts ORDER BY name"), "ann 70\nbob 30");
    assert!(node.console().contains("ann has given 30 to bob"));
}

#[test]
fn order_does_each_step_once_though_its_node_loses_power() {
    let mut node = Node::new(&[("order", rust("order"))]);
    node.ask("CREATE TABLE payments (number bigint PRIMARY KEY, amount numeric NOT NULL, paid_at timestamptz NOT NULL)");
    node.ask("CREATE TABLE shipments (number bigint PRIMARY KEY, name text NOT NULL)");
    let task = node.begin("order", r#"{"number": 7, "name": "Ann", "amount": "12.50"}"#, 1);
    let waits = "SELECT waits_for FROM sys.tasks";
    while node.ask(waits) == "-" {}
    assert_eq!(node.ask("SELECT number, amount, now() - paid_at < '1 min' FROM payments"), "7 12.50 t");
    node.lose_power();
    assert_eq!(node.ask(waits), "order 7");
    node.ask(r#"SELECT sys.send('order 7', '{"by": "the bank"}')"#);
    let done = node.until(task, |task| task.state != "ready" && task.state != "running");
    assert_eq!((&*done.state, done.result.as_deref()), ("done", Some("\"/invoices/7.txt\"")), "{done:?}");
    assert_eq!(node.file("/invoices/7.txt"), "Order 7 for Ann: 12.50, confirmed by the bank\n");
    assert_eq!(node.ask("SELECT * FROM shipments"), "7 Ann");
    assert_eq!(node.ask("SELECT count(*) FROM payments"), "1");
    assert_eq!(node.ask("SELECT count(*) FROM sys.mailboxes"), "0");
    assert_eq!(node.ask("SELECT name FROM sys.steps ORDER BY name"), "confirm\ninvoice\npay\nship");
}

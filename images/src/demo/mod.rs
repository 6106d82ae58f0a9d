//! `relix demo orders`: a shop that takes orders over HTTP while its nodes are killed.
//!
//! ```text
//! customers ──POST /hooks/order──► a task ──► payment, invoice, message, reminder: one transaction
//!     │ the same key until it is taken                 ▲
//!     └── main: kill a node, wait, start it again ─────┘
//! ```

mod customers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tokio_postgres::Row;

use self::customers::Customers;
use crate::cli::{DemoOptions, UpOptions};
use crate::cluster::Cluster;
use crate::control::{self, FaultOrder, Order};
use crate::error::Failure;
use crate::http::{Http, port_of};
use crate::layout::Layout;
use crate::progress::spinner;
use crate::session::{self, Session};
use crate::{down, status, table, up};

/// What runs the reminders: a program whose argument is a statement.
const STATEMENT: &str = include_str!("../../../cluster/tasks/examples/statement.wat");
const SHOP: &str = include_str!("shop.wat");
const TABLES: &str = include_str!("shop.sql");
const REPORT: &str = include_str!("report.sql");

/// How long orders come before a node is killed, how long it stays dead, and how long they go on when it is back.
const CALM: Duration = Duration::from_secs(2);
const DEAD: Duration = Duration::from_secs(3);

/// How long the cluster may take for something that it is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs it on a cluster of its own, below the directory of the other.
pub fn orders(layout: &Layout, options: &DemoOptions) -> Result<(), Failure> {
    let layout = Layout::new(&layout.dir().join("demo"))?;
    println!("A cluster of {} nodes starts, which is this demo's alone.", options.nodes);
    let machines = UpOptions {
        nodes: Some(options.nodes),
        base_port: options.base_port,
        host: options.host,
        detach: true,
        fresh: true,
        ..UpOptions::default()
    };
    let shown = up::run(&layout, &machines).and_then(|()| show(&layout, options));
    if options.keep && shown.is_ok() {
        let dir = layout.dir().display();
        println!(
            "The cluster goes on: 'relix --dir {dir} sql' looks into it, 'relix --dir {dir} down --wipe' ends it."
        );
        return shown;
    }
    match down::run(&layout, true) {
        // It may not have come so far.
        Err(Failure::NotRunning) | Ok(()) => shown,
        failed => shown.and(failed),
    }
}

fn show(layout: &Layout, options: &DemoOptions) -> Result<(), Failure> {
    let cluster = Cluster::expect(layout)?;
    open_shop(layout, &cluster)?;
    println!(
        "The shop is open: POST /hooks/order makes a task, which books, writes, sends and reminds in one transaction."
    );
    let shop = Arc::new(Customers::new(cluster.node_ids().map(|node| cluster.http_port(node)).collect()));
    let threads = customers::start(&shop);
    let progress = spinner("orders come in");
    let broken = (0..options.kills).try_for_each(|_| break_a_node(layout, &cluster, &shop, &progress));
    if broken.is_ok() {
        watch(&shop, &progress, CALM, "orders come in");
    }
    shop.close();
    let sent = threads
        .into_iter()
        .map(|thread| thread.join().unwrap_or_else(|_| Err("a customer has failed".into())));
    let sent: Result<Vec<()>, String> = sent.collect();
    progress.set_message("the last orders and reminders are waited for");
    let settled =
        broken.and_then(|()| sent.map(drop).map_err(Failure::Http)).and_then(|()| settle(layout, &cluster));
    progress.finish_and_clear();
    settled?;
    report(layout, &cluster, &shop, options.kills)
}

/// Makes the shop's tables and programs.
fn open_shop(layout: &Layout, cluster: &Cluster) -> Result<(), Failure> {
    let (http, port) = (Http::new(), port_of(layout, None)?);
    for (name, text) in [("shop", SHOP), ("statement", STATEMENT)] {
        let module = wat::parse_str(text).map_err(|error| Failure::Argument(error.to_string()))?;
        http.ask(port, "PUT", &format!("/programs/{name}"), None, &[], &module)?;
    }
    let Session { runtime, client, .. } = session::connect(layout, cluster, None)?;
    runtime.block_on(client.batch_execute(TABLES)).map_err(|error| Failure::sql(&error))
}

/// Kills a node, the leader at first, and starts it again.
fn break_a_node(
    layout: &Layout,
    cluster: &Cluster,
    shop: &Customers,
    progress: &ProgressBar,
) -> Result<(), Failure> {
    watch(shop, progress, CALM, "orders come in");
    let machines = control::machines(layout)?;
    let answers = status::ask_all(cluster, &machines, status::ANSWER_WITHIN)?;
    let leader = status::leader(&machines, &answers);
    let (node, which) = leader.map_or((1, ""), |leader| (leader, ", which led,"));
    control::send(layout, &Order::Fault(FaultOrder::Kill { node }))?;
    progress.suspend(|| println!("Node {node}{which} is killed: {} orders are taken by now.", shop.taken()));
    watch(shop, progress, DEAD, &format!("node {node} is dead"));
    control::send(layout, &Order::Fault(FaultOrder::Restart { node }))?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        watch(shop, progress, PAUSE, &format!("node {node} comes back"));
        let machines = control::machines(layout)?;
        let answers = status::ask_all(cluster, &machines, status::ANSWER_WITHIN)?;
        if answers.iter().flatten().filter(|answer| answer.serves()).count() == usize::from(cluster.nodes) {
            return Ok(());
        }
    }
    Err(Failure::NotServing {
        seconds: PATIENCE.as_secs(),
        detail: format!("node {node} does not come back"),
    })
}

fn watch(shop: &Customers, progress: &ProgressBar, time: Duration, what: &str) {
    let end = Instant::now() + time;
    loop {
        progress.set_message(format!("{} orders taken; {what}", shop.taken()));
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(PAUSE));
    }
}

/// Waits until every task has ended.
fn settle(layout: &Layout, cluster: &Cluster) -> Result<(), Failure> {
    let Session { runtime, client, .. } = session::connect(layout, cluster, None)?;
    let start = Instant::now();
    let mut left = 0;
    while start.elapsed() < PATIENCE {
        let open = "SELECT count(*) FROM sys.tasks WHERE state IN ('ready', 'running')";
        let row = runtime.block_on(client.query_one(open, &[])).map_err(|error| Failure::sql(&error))?;
        left = number(&row, 0)?;
        if left == 0 {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Err(Failure::NotServing { seconds: PATIENCE.as_secs(), detail: format!("{left} tasks have not ended") })
}

/// One query says how often each order was handled.
fn report(layout: &Layout, cluster: &Cluster, shop: &Customers, kills: u8) -> Result<(), Failure> {
    let Session { runtime, client, .. } = session::connect(layout, cluster, None)?;
    let taken = i32::try_from(shop.taken()).unwrap_or(i32::MAX);
    let ask = |sql: &str| runtime.block_on(client.query_one(sql, &[])).map_err(|error| Failure::sql(&error));
    let totals = ask("SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM reminders), \
         (SELECT count(*) FROM sys.tasks WHERE attempt > 1), (SELECT count(*) FROM sys.tasks WHERE state <> 'done')")?;
    let row = runtime.block_on(client.query_one(REPORT, &[&taken])).map_err(|error| Failure::sql(&error))?;
    let names: Vec<String> = row.columns().iter().map(|column| column.name().to_string()).collect();
    let counts: Vec<i64> = (0..names.len()).map(|at| number(&row, at)).collect::<Result<_, _>>()?;
    let cells = counts.iter().map(|count| Some(count.to_string())).collect();
    println!(
        "{kills} nodes were killed, {} tasks were begun more than once, and customers asked {} times again.",
        number(&totals, 2)?,
        shop.asked_again()
    );
    println!("How many of the orders were paid, invoiced, shipped and reminded of once, by one query:\n");
    println!("{}", table::layout(&names, &[cells]));
    let once = counts.last().copied().unwrap_or(0);
    let exact =
        [once, number(&totals, 0)?, number(&totals, 1)?].iter().all(|count| *count == i64::from(taken));
    if !exact || number(&totals, 3)? != 0 {
        return Err(Failure::Refused(format!(
            "of {taken} orders, {once} were handled exactly once: this is a bug of Relix"
        )));
    }
    println!("Every one of {taken} orders was handled exactly once.");
    Ok(())
}

fn number(row: &Row, at: usize) -> Result<i64, Failure> {
    row.try_get(at).map_err(|error| Failure::Sql(error.to_string()))
}

#[cfg(test)]
mod tests {
    use cluster_tasks::{Grants, Program};

    #[test]
    fn the_shops_program_is_one() {
        let module = wat::parse_str(super::SHOP).expect("valid text");
        Program::new(&module, Grants::all()).expect("a program");
    }
}

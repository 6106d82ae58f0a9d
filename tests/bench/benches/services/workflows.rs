//! Workflows: the example "order", which books a payment, takes the message that confirms it, and ships, each in a step of its
//! own. Clients order one after the other; an order is a task and its confirmation, sent in one transaction, and done when its
//! client is told of the task's end by a message, which it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tests_bench::report::shown;
use tests_bench::spread::Spread;
use tests_workloads::add_order_program;
use tokio::sync::Barrier;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::session::{Session, ask, number, run};
use crate::subject::Subject;

/// Steps of an order.
const STEPS: usize = 3;

/// The mailbox of the example, as long as those that take its place.
const MAILBOX: &str = "confirmed";

/// How much work a run is.
pub struct Effort {
    pub load: Duration,
    pub clients: &'static [usize],
}

/// Whose mailbox a client's confirmations come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mailboxes {
    /// All orders take from one, as in the example: whoever is first gets the next.
    Shared,
    /// Each client has its own.
    Own,
}

/// Measures and prints.
pub async fn measure(subject: &Subject, effort: &Effort) -> Result<(), Error> {
    let heading = ["clients", "workflows/s", "steps/s", "p50 ms", "p99 ms"];
    let mut table = vec![heading.map(String::from).to_vec()];
    prepare(subject, effort.clients.iter().copied().max().unwrap_or(0)).await?;
    for mailboxes in [Mailboxes::Own, Mailboxes::Shared] {
        for clients in effort.clients {
            let (per_second, spread) = orders(subject, *clients, mailboxes, effort.load).await?;
            let name = match mailboxes {
                Mailboxes::Own => format!("{clients}, a mailbox each"),
                Mailboxes::Shared => format!("{clients}, one mailbox"),
            };
            let numbers = [per_second, per_second * STEPS as f64, spread.p50_ms(), spread.p99_ms()];
            table.push(std::iter::once(name).chain(numbers.map(|number| shown(Some(number)))).collect());
        }
    }
    subject.print("Workflows", &table);
    Ok(())
}

fn own_mailbox(client: usize) -> String {
    format!("confirm{client:02}")
}

/// Makes the tables and mailboxes, the program, and one for each client that takes from the client's own mailbox: the example
/// with another name in it, which is as long.
async fn prepare(subject: &Subject, clients: usize) -> Result<(), Error> {
    let tables = format!(
        "CREATE TABLE payments (number integer PRIMARY KEY); CREATE TABLE shipments (number integer PRIMARY KEY); \
         INSERT INTO sys.mailboxes (name) VALUES ('{MAILBOX}')"
    );
    run(subject.leader(), &tables).await?;
    let program = add_order_program();
    run(subject.leader(), &program).await?;
    for client in 0..clients {
        let mailbox = own_mailbox(client);
        let own =
            program.replace("'order'", &format!("'order-{client}'")).replace(&hex(MAILBOX), &hex(&mailbox));
        let made = format!(
            "INSERT INTO sys.mailboxes (name) VALUES ('{mailbox}'); \
             INSERT INTO sys.mailboxes (name, channel) VALUES ('ended-{client}', 'ended-{client}')"
        );
        run(subject.leader(), &own).await?;
        run(subject.leader(), &made).await?;
    }
    Ok(())
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Orders of so many clients, for `duration`: how many a second, and how long each took.
///
/// # Panics
/// If any is not paid and shipped once, in as many steps as it has.
async fn orders(
    subject: &Subject,
    clients: usize,
    mailboxes: Mailboxes,
    duration: Duration,
) -> Result<(f64, Spread), Error> {
    let warm = Arc::new(Barrier::new(clients + 1));
    let mut tasks = Vec::new();
    for client in 0..clients {
        let session = Session::listen(subject.port(client), &format!("ended-{client}")).await?;
        tasks.push(tokio::spawn(order_again(session, client, mailboxes, duration, warm.clone())));
    }
    warm.wait().await;
    let started = Instant::now();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("no client panics")?);
    }
    let per_second = took.len() as f64 / started.elapsed().as_secs_f64();
    // The first one of each client came before the clock ran.
    let all = (took.len() + clients) as i64;
    for (what, rows) in
        [("payments", all), ("shipments", all), ("sys.steps", all * STEPS as i64), ("sys.messages", 0)]
    {
        let found = number(subject.leader(), &format!("SELECT count(*) FROM {what}")).await?;
        assert_eq!(found, rows, "rows of {what}");
    }
    run(subject.leader(), "DELETE FROM sys.tasks; DELETE FROM payments; DELETE FROM shipments").await?;
    Ok((per_second, took.into_iter().collect()))
}

/// One client.
async fn order_again(
    mut session: Session,
    client: usize,
    mailboxes: Mailboxes,
    duration: Duration,
    warm: Arc<Barrier>,
) -> Result<Vec<Duration>, Error> {
    let (program, mailbox) = match mailboxes {
        Mailboxes::Own => (format!("order-{client}"), own_mailbox(client)),
        Mailboxes::Shared => ("order".into(), MAILBOX.into()),
    };
    let order = "WITH t AS (INSERT INTO sys.tasks (program, arguments, reply_to) \
                 VALUES ($1, jsonb_build_array($2::integer), $3) RETURNING id) \
                 SELECT id, sys.send($4, 'true') FROM t";
    let types = [Type::TEXT, Type::INT4, Type::TEXT, Type::TEXT];
    let order = session.client.prepare_typed(order, &types).await?;
    let take = session.client.prepare("SELECT about, body ->> 'state' FROM sys.receive($1)").await?;
    let ended = format!("ended-{client}");
    let mut took = Vec::new();
    let mut ends_at = None;
    for number in 0.. {
        let started = Instant::now();
        if ends_at.is_some_and(|ends_at| started >= ends_at) {
            break;
        }
        let number = ((client as i32) << 20) | number;
        let ordered = ask(&session.client, &order, &[&program, &number, &ended, &mailbox]).await?;
        session.told().await;
        let told = ask(&session.client, &take, &[&ended]).await?;
        let (about, state): (String, String) = (told[0].try_get(0)?, told[0].try_get(1)?);
        assert_eq!((about, &*state), (ordered[0].get::<_, i64>(0).to_string(), "done"), "the order's end");
        match ends_at {
            Some(_) => took.push(started.elapsed()),
            None => {
                warm.wait().await;
                ends_at = Some(Instant::now() + duration);
            }
        }
    }
    Ok(took)
}

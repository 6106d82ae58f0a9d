//! A table of sales with its customers and products, and what is asked of it.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use prost::bytes::Bytes;
use tests_bench::chance::scramble;
use tests_bench::load::connect;
use tokio_postgres::{Client, Error, Statement};

const CUSTOMERS: u64 = 10_000;
const PRODUCTS: u64 = 1_000;

/// Rows of one `COPY`: each is one transaction, which a cluster holds in memory.
const BATCH_ROWS: u64 = 10_000;

const SCHEMA: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, region int NOT NULL, name text NOT NULL);
    CREATE TABLE products (id int PRIMARY KEY, category int NOT NULL, price numeric(10,2) NOT NULL);
    CREATE TABLE sales (id bigint PRIMARY KEY, customer int NOT NULL, product int NOT NULL, quantity int NOT NULL,
        amount numeric(10,2) NOT NULL, day date NOT NULL, note text);
    INSERT INTO customers SELECT i, i % 25, 'customer ' || i FROM generate_series(0, 9999) i;
    INSERT INTO products SELECT i, i % 40, (i % 900) * 1.25 + 1 FROM generate_series(0, 999) i;";

/// The queries, by name: each gives few rows of many.
pub const QUERIES: [(&str, &str); 6] = [
    (
        "range scan, 10,000 rows by key",
        "SELECT count(*), sum(quantity) FROM sales WHERE id BETWEEN 50000 AND 59999",
    ),
    ("scan of all with a filter", "SELECT count(*), sum(quantity) FROM sales WHERE quantity > 8"),
    ("group by, 1,000 groups", "SELECT product, count(*), sum(quantity) FROM sales GROUP BY product"),
    ("group by with numeric", "SELECT day, sum(amount), avg(amount), max(quantity) FROM sales GROUP BY day"),
    (
        "3-way join, all rows",
        "SELECT p.category, count(*), sum(s.quantity) FROM sales s JOIN customers c ON s.customer = c.id \
         JOIN products p ON s.product = p.id WHERE c.region < 20 GROUP BY p.category",
    ),
    (
        "3-way join, few rows",
        "SELECT s.id, c.name, p.price FROM customers c JOIN sales s ON s.customer = c.id \
         JOIN products p ON s.product = p.id WHERE s.id < 20000 AND c.id < 20 ORDER BY s.id",
    ),
];

/// Loads the tables; how many rows a second were copied.
pub async fn load(port: u16, rows: u64) -> Result<f64, Error> {
    let client = connect(port).await?;
    client.batch_execute(SCHEMA).await?;
    let started = Instant::now();
    for first in (0..rows).step_by(BATCH_ROWS as usize) {
        copy(&client, first..rows.min(first + BATCH_ROWS)).await?;
    }
    let rate = rows as f64 / started.elapsed().as_secs_f64();
    for table in ["customers", "products", "sales"] {
        client.batch_execute(&format!("VACUUM ANALYZE {table}")).await?;
    }
    Ok(rate)
}

async fn copy(client: &Client, ids: std::ops::Range<u64>) -> Result<(), Error> {
    let mut text = String::new();
    for id in ids {
        let chance = scramble(id);
        let (customer, product) = (chance % CUSTOMERS, (chance >> 14) % PRODUCTS);
        let (quantity, cents, day) = (chance % 10 + 1, chance % 100_000, chance % 28 + 1);
        let month = (chance >> 5) % 12 + 1;
        text += &format!(
            "{id}\t{customer}\t{product}\t{quantity}\t{}.{:02}\t2026-{month:02}-{day:02}\tsale number {id}\n",
            cents / 100,
            cents % 100
        );
    }
    let mut sink = pin!(client.copy_in::<_, Bytes>("COPY sales FROM STDIN").await?);
    sink.send(Bytes::from(text)).await?;
    sink.finish().await?;
    Ok(())
}

/// How many rows so many clients have read in a second, spread over the ports, each by its key and one after the other.
pub async fn point_reads(ports: &[u16], clients: usize, rows: u64, duration: Duration) -> Result<f64, Error> {
    let mut tasks = Vec::new();
    for number in 0..clients {
        let client = connect(ports[number % ports.len()]).await?;
        let statement = client.prepare("SELECT note FROM sales WHERE id = $1").await?;
        tasks.push(tokio::spawn(read_for(client, statement, rows, duration, number as u64)));
    }
    let started = Instant::now();
    let mut reads = 0;
    for task in tasks {
        reads += task.await.expect("a client goes on to the end")?;
    }
    Ok(reads as f64 / started.elapsed().as_secs_f64())
}

async fn read_for(
    client: Client,
    statement: Statement,
    rows: u64,
    duration: Duration,
    number: u64,
) -> Result<u64, Error> {
    let ends_at = Instant::now() + duration;
    let mut reads = 0;
    while Instant::now() < ends_at {
        let id = (scramble(reads + (number << 32)) % rows) as i64;
        client.query_one(&statement, &[&id]).await?;
        reads += 1;
    }
    Ok(reads)
}

/// How long a query takes, in ms: the median of three, after one that brings what it reads into memory.
pub async fn time_ms(port: u16, query: &str) -> Result<f64, Error> {
    let client = connect(port).await?;
    let statement = client.prepare(query).await?;
    client.query(&statement, &[]).await?;
    let mut times = [0.0; 3];
    for time in &mut times {
        let started = Instant::now();
        client.query(&statement, &[]).await?;
        *time = started.elapsed().as_secs_f64() * 1e3;
    }
    times.sort_by(f64::total_cmp);
    Ok(times[1])
}

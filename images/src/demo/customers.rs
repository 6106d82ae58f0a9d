//! Customers: each orders again and again, and repeats an order until it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::{Http, Problem};

/// How many there are.
const CUSTOMERS: u32 = 4;

/// Between two orders of one.
const PAUSE: Duration = Duration::from_millis(60);

/// How long an order is repeated, and how long one waits before it does.
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN_AFTER: Duration = Duration::from_millis(100);

const NAMES: [&str; 4] = ["Ann", "Bob", "Cleo", "Dan"];
const ITEMS: [(&str, f64); 5] =
    [("lamp", 19.9), ("chair", 45.0), ("cup", 7.25), ("book", 12.5), ("clock", 33.4)];

/// What they share.
pub struct Customers {
    ports: Vec<u16>,
    /// Orders that were begun: those up to here are numbered.
    begun: AtomicU32,
    taken: AtomicU32,
    asked_again: AtomicU32,
    is_closed: AtomicBool,
}

impl Customers {
    /// They know all nodes of the shop.
    pub fn new(ports: Vec<u16>) -> Customers {
        let (begun, taken, asked_again) = Default::default();
        Customers { ports, begun, taken, asked_again, is_closed: AtomicBool::new(false) }
    }

    /// Orders that the shop has taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::SeqCst)
    }

    /// How often an order was repeated, because nobody had said that it was taken.
    pub fn asked_again(&self) -> u32 {
        self.asked_again.load(Ordering::SeqCst)
    }

    /// Nobody begins another order.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    fn order(&self, http: &Http) -> Result<(), String> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let at = number as usize;
        let (item, amount) = ITEMS[at % ITEMS.len()];
        let order =
            json!({"number": number, "customer": NAMES[at % NAMES.len()], "item": item, "amount": amount});
        let (body, key) = (order.to_string(), format!("order {number}"));
        let start = Instant::now();
        let mut node = at;
        loop {
            // Whichever node it is that takes it, it is the same order.
            let port = self.ports[node % self.ports.len()];
            let fields = [("Idempotency-Key", key.as_str())];
            let problem = match http.ask(port, "POST", "/hooks/order", None, &fields, &body) {
                Ok(_) => {
                    self.taken.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                Err(Problem::Refused(status, why)) if status < 500 => return Err(why),
                Err(Problem::Refused(_, why) | Problem::Lost(why)) => why,
            };
            if start.elapsed() > PATIENCE {
                return Err(format!(
                    "order {number} was not taken within {} s: {problem}",
                    PATIENCE.as_secs()
                ));
            }
            self.asked_again.fetch_add(1, Ordering::SeqCst);
            node += 1;
            thread::sleep(AGAIN_AFTER);
        }
    }
}

/// They begin to order, until the shop is closed. Each has what it has begun taken.
pub fn start(shop: &Arc<Customers>) -> Vec<JoinHandle<Result<(), String>>> {
    let customer = |_| {
        let shop = shop.clone();
        thread::spawn(move || {
            let http = Http::new();
            while !shop.is_closed.load(Ordering::SeqCst) {
                shop.order(&http)?;
                thread::sleep(PAUSE);
            }
            Ok(())
        })
    };
    (0..CUSTOMERS).map(customer).collect()
}

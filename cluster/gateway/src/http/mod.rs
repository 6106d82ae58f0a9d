//! HTTP/1.1 (RFC 9110, 9112): files, programs, hooks that make tasks, and what is notified.
//!
//! ```text
//! /files/PATH       see files.rs
//! /hooks/NAME       POST: a task, as a row of sys.hooks says; its arguments are the body
//! /tasks/ID         GET: how a task is
//! /programs/NAME    PUT: a WebAssembly module that tasks run; GET: the newest
//! /events           GET: notifications, as server-sent events
//! /health           GET: 200 where SQL is answered, else 503
//! ```
//! 1. **Any bytes are an answer**, as with Postgres clients: within stated limits, and in bounded memory.
//! 2. **What is done is transactions.** A node that answers has committed; one that is lost meanwhile has done it or not, and a
//!    key or a condition says which when it is asked again.
//! 3. **For those who may speak SQL here.** There are no accounts: who reaches the port may do everything, but for pages of
//!    other sites in the browser of somebody who can.

mod body;
mod change;
mod events;
mod exchange;
mod files;
mod head;
mod hooks;
mod range;
mod response;

use alloc::format;
use alloc::sync::Arc;

use cluster_sql::Session;
use cluster_sql::database::{Database, Freshness};

use self::exchange::{Exchange, Wire, now};
use self::response::{Response, Stop};
use crate::registry::arrived;
use crate::serve::{DATABASE, USER};
use crate::{Connection, Registry};

pub use self::body::Framing;
pub use self::head::{FIELDS_MAX, HEAD_LEN_MAX, Head, Malformed};

/// What is said of itself to somebody who looks.
const ABOUT: &str = "\
Relix answers HTTP here:

  /files/PATH      GET, PUT, DELETE, MKCOL, MOVE
  /hooks/NAME      POST makes a task, as sys.hooks says
  /tasks/ID        GET
  /programs/NAME   PUT, GET
  /events          GET, ?channel=NAME
  /health          GET
";

/// Serves one client until it leaves. `backend` and `secret` are as in [`crate::serve()`].
pub async fn serve_http<C: Connection, D: Database>(
    connection: C,
    database: D,
    registry: Arc<Registry>,
    backend: u32,
    secret: u32,
) {
    let mut wire = Wire::new(connection);
    // Nothing is said to a client that says nothing.
    let arrival = registry.arrive(backend);
    let head = match arrival.in_time(wire.head()).await {
        Some(Ok(head)) => head,
        Some(Err(Stop::Refused(response) | Stop::Lost(response))) => {
            let _ = wire.last(&response, now(&database)).await;
            return;
        }
        Some(Err(Stop::Closed)) | None => return,
    };
    let Some(entered) = arrival.enter(secret, arrived("http", backend, &database)) else {
        let response = Response::error(503, "too many clients already", None).with("Retry-After", "1");
        let _ = wire.last(&response, now(&database)).await;
        return;
    };
    let session = Session::new(database.clone(), USER, DATABASE, backend, entered.cancel.clone());
    let mut exchange = Exchange::new(wire, entered, database, session);
    let mut next = Ok(Some(head));
    loop {
        let answered = match next {
            Ok(Some(head)) => {
                exchange.begin(&head);
                answer(&mut exchange, &head).await
            }
            Ok(None) => return,
            Err(stop) => Err(stop),
        };
        let told = match answered {
            Ok(()) => Ok(()),
            Err(Stop::Closed) => return,
            Err(Stop::Refused(response)) => exchange.respond(response).await,
            Err(Stop::Lost(response)) => {
                exchange.give_up();
                exchange.respond(response).await
            }
        };
        if told.is_err() {
            return;
        }
        next = exchange.next().await;
    }
}

async fn answer<C: Connection, D: Database>(exchange: &mut Exchange<C, D>, head: &Head) -> Result<(), Stop> {
    if head.is_of_another_site() {
        let message = "a page of another site may have asked for this";
        let hint = "Call the node by its address, or localhost.";
        return Err(Response::error(403, message, Some(hint)).into());
    }
    let path = head.path.as_str();
    let name_in =
        |prefix: &str| path.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'));
    let response = if let Some(path) = files::path_in(path) {
        return exchange.files(head, path).await;
    } else if let Some(name) = name_in("/hooks/") {
        exchange.hook(head, name).await?
    } else if let Some(id) = name_in("/tasks/") {
        exchange.task(head, id).await?
    } else if let Some(name) = name_in("/programs/") {
        exchange.program(head, name).await?
    } else {
        match path {
            "/events" => return exchange.events(head).await,
            "/health" => health(exchange).await?,
            "/" => Response::new(200, "text/plain; charset=utf-8", ABOUT),
            _ => Response::error(
                404,
                &format!("there is nothing at {path}"),
                Some("GET / lists what there is."),
            ),
        }
    };
    exchange.respond(response).await
}

/// Whether this node, with a quorum behind it, answers.
async fn health<C: Connection, D: Database>(exchange: &mut Exchange<C, D>) -> Result<Response, Stop> {
    exchange.begin_work();
    let begun = exchange.session.begin_on(Freshness::Linearizable).await;
    exchange.session.abandon_block();
    exchange.end_work();
    begun?;
    Ok(Response::new(200, "text/plain; charset=utf-8", "ok\n"))
}

fn not_allowed(methods: &'static str) -> Response {
    Response::error(405, &format!("the methods are {methods}"), None).with("Allow", methods)
}

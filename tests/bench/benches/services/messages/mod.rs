//! Messages beside gRPC: round trips, in the shapes of the DBOS papers.
//!
//! A round is what one requester sends at once, to one receiver or to many, and all of the answers: each receiver sends every
//! message back as it is. In Relix that is a transaction that sends, one at each receiver that takes and answers, and one or
//! more that take the answers; all are durable, and whoever waits is woken by a notification. A call of gRPC is kept nowhere.

mod grpc;
mod relix;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tests_bench::report::shown;
use tests_bench::spread::Spread;
use tokio::sync::Barrier;

use crate::session::number;
use crate::subject::Subject;

/// Rounds of each requester before the clock runs.
const WARM_UP: u64 = 3;

/// Bytes of a message's body.
const LENGTHS: [usize; 3] = [64, 1024, 8192];

/// How much work a run is.
pub struct Effort {
    /// How long each shape lasts, on each side.
    pub load: Duration,
    /// How many of the lengths.
    pub lengths: usize,
    /// Rounds under way at once, in ping-pong.
    pub outstanding: &'static [usize],
    /// Receivers, in fan-out.
    pub receivers: &'static [usize],
}

/// Who sends how much to whom.
#[derive(Clone, Debug)]
struct Shape {
    name: String,
    /// Each has one round under way.
    requesters: usize,
    /// Each gets as many messages of a round.
    receivers: usize,
    batch: usize,
    length: usize,
}

/// What is sent, and comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    /// The receiver.
    to: usize,
    /// No other message has it.
    about: String,
    body: String,
}

/// What came of a shape.
struct Figures {
    messages_per_second: f64,
    rounds: Spread,
}

/// Who sends, and waits for what comes back.
trait Requester: Send + 'static {
    /// Sends all of these: what has come back, by what it is about.
    fn round(
        &mut self,
        messages: &[Message],
    ) -> impl Future<Output = Result<BTreeMap<String, String>, String>> + Send;
}

/// Measures and prints.
pub async fn measure(subject: &Subject, effort: &Effort) -> Result<(), String> {
    let heading = [
        "bytes, shape",
        "messages/s",
        "p50 ms",
        "p99 ms",
        "gRPC/s",
        "gRPC p50 ms",
        "gRPC p99 ms",
        "messages / gRPC",
        "p50 / gRPC",
    ];
    let mut table = vec![heading.map(String::from).to_vec()];
    for shape in shapes(effort) {
        let receivers = relix::Receivers::start(subject, &shape).await?;
        let requesters = relix::requesters(subject, &shape).await?;
        let ours = drive(requesters, &shape, effort.load).await?;
        receivers.stop();
        let left = number(subject.leader(), "SELECT count(*) FROM sys.messages").await;
        assert_eq!(left.map_err(|error| error.to_string())?, 0, "messages that nobody was to get");
        let servers = grpc::Servers::start(shape.receivers);
        let theirs = drive(servers.requesters(&shape).await?, &shape, effort.load).await?;
        table.push(line(&shape, &ours, &theirs));
    }
    subject.print("Messages", &table);
    Ok(())
}

fn line(shape: &Shape, ours: &Figures, theirs: &Figures) -> Vec<String> {
    let figures =
        |figures: &Figures| [figures.messages_per_second, figures.rounds.p50_ms(), figures.rounds.p99_ms()];
    let (ours, theirs) = (figures(ours), figures(theirs));
    let ratios = [ours[0] / theirs[0], ours[1] / theirs[1]];
    let numbers = ours.into_iter().chain(theirs).chain(ratios);
    let name = format!("{}, {}", shape.length, shape.name);
    std::iter::once(name).chain(numbers.map(|number| shown(Some(number)))).collect()
}

fn shapes(effort: &Effort) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for length in LENGTHS.into_iter().take(effort.lengths) {
        shapes.extend(effort.outstanding.iter().map(|requesters| Shape {
            name: format!("ping-pong, {requesters} outstanding"),
            requesters: *requesters,
            receivers: 1,
            batch: 1,
            length,
        }));
        shapes.push(Shape { name: "ping20-pong20".into(), requesters: 1, receivers: 1, batch: 20, length });
        shapes.extend(effort.receivers.iter().map(|receivers| Shape {
            name: format!("fan-out to {receivers}"),
            requesters: 1,
            receivers: *receivers,
            batch: 1,
            length,
        }));
    }
    shapes
}

/// Lets the requesters send for `duration`.
async fn drive<R: Requester>(
    requesters: Vec<R>,
    shape: &Shape,
    duration: Duration,
) -> Result<Figures, String> {
    let warm = Arc::new(Barrier::new(requesters.len() + 1));
    let tasks: Vec<_> = requesters
        .into_iter()
        .zip(0_u64..)
        .map(|(requester, number)| {
            tokio::spawn(repeat(requester, shape.clone(), number << 32, duration, warm.clone()))
        })
        .collect();
    warm.wait().await;
    let started = Instant::now();
    let mut rounds = Vec::new();
    for task in tasks {
        rounds.extend(task.await.map_err(|error| format!("a requester ended: {error}"))??);
    }
    let messages = 2 * rounds.len() * shape.receivers * shape.batch;
    let messages_per_second = messages as f64 / started.elapsed().as_secs_f64();
    Ok(Figures { messages_per_second, rounds: rounds.into_iter().collect() })
}

/// One requester, which sends again as soon as all is answered: how long each round took.
async fn repeat<R: Requester>(
    mut requester: R,
    shape: Shape,
    first: u64,
    duration: Duration,
    warm: Arc<Barrier>,
) -> Result<Vec<Duration>, String> {
    let mut rounds = Vec::new();
    let mut ends_at = None;
    for number in 0.. {
        if number == WARM_UP {
            warm.wait().await;
            ends_at = Some(Instant::now() + duration);
        }
        let started = Instant::now();
        if ends_at.is_some_and(|ends_at| started >= ends_at) {
            break;
        }
        let messages = messages(&shape, first + number);
        let sent: BTreeMap<String, String> =
            messages.iter().map(|message| (message.about.clone(), message.body.clone())).collect();
        let answers = requester.round(&messages).await?;
        if answers != sent {
            return Err(format!("{}: what came back is not what was sent", shape.name));
        }
        if ends_at.is_some() {
            rounds.push(started.elapsed());
        }
    }
    Ok(rounds)
}

/// The messages of a round, all different from those of any other.
fn messages(shape: &Shape, round: u64) -> Vec<Message> {
    let mut messages = Vec::with_capacity(shape.receivers * shape.batch);
    for to in 0..shape.receivers {
        for number in 0..shape.batch {
            let about = format!("{round:x}-{to}-{number}");
            let body = format!("{about:>16}").repeat(shape.length.div_ceil(16))[..shape.length].to_string();
            messages.push(Message { to, about, body });
        }
    }
    messages
}

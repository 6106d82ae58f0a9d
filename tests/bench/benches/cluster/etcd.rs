//! The peer with the same promise: three etcd processes with their defaults, on the same disk, asked over
//! gRPC, each client on a connection of its own.
//!
//! The few messages of its interface that are needed are written down here (rpc.proto of etcd, API v3), so
//! that nothing has to be generated.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests_bench::load::{READ_ROWS, Session, Work, body};
use tests_vm::{free_base_port, is_installed, run, scratch_dir};
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// How long the three may take to elect a leader.
const SERVING_WITHIN: Duration = Duration::from_secs(30);

/// Three processes, ended when they go out of scope.
pub struct Etcd {
    dir: std::path::PathBuf,
    members: Vec<Child>,
    /// Where they serve clients, on 127.0.0.1.
    pub ports: Vec<u16>,
}

impl Etcd {
    /// Three that serve and hold the rows to be read; none if it is not installed.
    ///
    /// # Panics
    /// If it is and does not serve.
    pub fn start(runtime: &Runtime) -> Option<Etcd> {
        if !is_installed("etcd") {
            return None;
        }
        let (dir, base) = (scratch_dir("etcd"), free_base_port());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let members: Vec<String> = (1..=3).map(|k| format!("n{k}={}", url(base + 3 + k))).collect();
        let start = |k: u16| {
            let mut command = Command::new("etcd");
            command.args(["--name", &format!("n{k}"), "--log-level", "error", "--logger", "zap"]);
            command.arg("--data-dir").arg(dir.join(format!("n{k}")));
            command.args(["--listen-client-urls", &url(base + k), "--advertise-client-urls", &url(base + k)]);
            command.args(["--listen-peer-urls", &url(base + 3 + k)]);
            command.args(["--initial-advertise-peer-urls", &url(base + 3 + k)]);
            command.args(["--initial-cluster", &members.join(","), "--initial-cluster-state", "new"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("etcd starts")
        };
        let members = (1..=3).map(start).collect();
        let etcd = Etcd { dir, members, ports: (1..=3).map(|k| base + k).collect() };
        runtime.block_on(prepare(&etcd.ports));
        Some(etcd)
    }

    /// Its version.
    pub fn version() -> String {
        let said = run(Command::new("etcd").arg("--version")).out;
        said.lines().next().unwrap_or_default().replace(" Version:", "")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            // Fails only for one that has ended by itself.
            let _ = member.kill();
            let _ = member.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Waits until every member takes a write, and writes the rows to be read.
async fn prepare(ports: &[u16]) {
    let started = Instant::now();
    for port in ports {
        // The last of them writes them all: the others have shown that they serve.
        let rows = if Some(port) == ports.last() { READ_ROWS } else { 1 };
        while let Err(error) = write_rows(*port, rows).await {
            assert!(started.elapsed() < SERVING_WITHIN, "etcd does not serve: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn write_rows(port: u16, rows: i64) -> Result<(), String> {
    let mut session = EtcdSession::open(port, Work::Insert).await?;
    for id in 0..rows {
        session.perform(id).await?;
    }
    Ok(())
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Answers are not looked into: prost skips the fields it is not told of.
#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(int64, tag = "4")]
    count: i64,
}

/// A client of one member.
pub struct EtcdSession {
    grpc: Grpc<Channel>,
    work: Work,
}

impl Session for EtcdSession {
    async fn open(port: u16, work: Work) -> Result<EtcdSession, String> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
        let endpoint = endpoint.map_err(|error| error.to_string())?.tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        Ok(EtcdSession { grpc: Grpc::new(channel), work })
    }

    async fn perform(&mut self, id: i64) -> Result<(), String> {
        self.grpc.ready().await.map_err(|error| error.to_string())?;
        match self.work {
            Work::Insert => {
                let request = PutRequest { key: key(id), value: body(id).into_bytes() };
                let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
                let codec: ProstCodec<PutRequest, Nothing> = ProstCodec::default();
                let answer = self.grpc.unary(tonic::Request::new(request), path, codec).await;
                answer.map(drop).map_err(|status| status.to_string())
            }
            Work::Read => {
                let request = RangeRequest { key: key(id) };
                let path = PathAndQuery::from_static("/etcdserverpb.KV/Range");
                let codec: ProstCodec<RangeRequest, RangeResponse> = ProstCodec::default();
                let answer = self.grpc.unary(tonic::Request::new(request), path, codec).await;
                let count = answer.map_err(|status| status.to_string())?.into_inner().count;
                if count == 1 { Ok(()) } else { Err(format!("{count} rows with the id {id}")) }
            }
        }
    }
}

fn key(id: i64) -> Vec<u8> {
    format!("{id:016x}").into_bytes()
}

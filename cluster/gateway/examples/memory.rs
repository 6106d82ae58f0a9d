//! Serves an in-memory database on 127.0.0.1, at the port given or a free one, which is printed.

#[path = "../tests/support/mod.rs"]
mod support;

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0u16);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    println!("{}", support::listen_on(listener));
    loop {
        std::thread::park();
    }
}

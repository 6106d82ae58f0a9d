//! What a VM's QEMU is told while it runs: QMP, objects of JSON each way, over a Unix socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::error::Failure;
use crate::qemu::DRIVE;

/// How long QEMU may take for a command.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Tells the QEMU that listens on `socket` that the file of its disk has `len` bytes, and the VM with it. One that has
/// ended, or does not listen yet, has not opened the file: it will find it as it is. An error if QEMU refuses, or does not
/// answer in time.
pub async fn resize_disk(socket: &Path, len: u64) -> Result<(), Failure> {
    let arguments = json!({ "device": DRIVE, "size": len });
    tell(socket, json!({ "execute": "block_resize", "arguments": arguments })).await
}

/// Presses the power button of the VM whose QEMU listens on `socket`; nothing, if it has ended. Errors as above.
pub async fn press_power_button(socket: &Path) -> Result<(), Failure> {
    tell(socket, json!({ "execute": "system_powerdown" })).await
}

/// Gives a command, unless QEMU has ended.
async fn tell(socket: &Path, command: Value) -> Result<(), Failure> {
    let Ok(stream) = UnixStream::connect(socket).await else { return Ok(()) };
    let mut stream = BufReader::new(stream);
    let commands = [json!({ "execute": "qmp_capabilities" }), command];
    let told = async {
        for command in commands {
            match execute(&mut stream, &command).await {
                Ok(None) => {}
                Ok(Some(error)) => return Err(Failure::Refused(format!("QEMU refuses {command}: {error}"))),
                Err(error) if has_ended(&error) => return Ok(()),
                Err(error) => {
                    let why = format!("what QEMU answers to {command} cannot be read: {error}");
                    return Err(Failure::Refused(why));
                }
            }
        }
        Ok(())
    };
    let in_time = tokio::time::timeout(ANSWER_WITHIN, told).await;
    in_time.unwrap_or_else(|_| {
        let seconds = ANSWER_WITHIN.as_secs();
        let why = format!("QEMU has not answered on {} within {seconds} s", socket.display());
        Err(Failure::Refused(format!("{why}: run the command again")))
    })
}

/// Whether an error means that QEMU is gone.
fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Gives a command; what QEMU has against it, if anything. Its greeting and events are passed over.
async fn execute(stream: &mut BufReader<UnixStream>, command: &Value) -> io::Result<Option<Value>> {
    stream.write_all(command.to_string().as_bytes()).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer: Value =
            serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some(error) = answer.get("error") {
            return Ok(Some(error.clone()));
        }
        if answer.get("return").is_some() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    /// What the command comes to if QEMU answers in this way, one line for each command.
    fn answered(name: &str, answers: &[&str]) -> (Vec<Value>, Result<(), Failure>) {
        let path = std::env::temp_dir().join(format!("relix-monitor-{name}-{}", std::process::id()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let result = runtime.block_on(async {
            let listener = UnixListener::bind(&path).expect("a socket");
            let qemu = async {
                let (mut stream, _) = listener.accept().await.expect("somebody comes");
                stream.write_all(b"{\"QMP\": {\"capabilities\": []}}\r\n").await.expect("it listens");
                let mut commands = Vec::new();
                for answer in answers {
                    let mut bytes = [0; 200];
                    let len =
                        tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.expect("a command");
                    commands.push(serde_json::from_slice(&bytes[..len]).expect("a command"));
                    stream.write_all(answer.as_bytes()).await.expect("it listens");
                }
                commands
            };
            tokio::join!(qemu, resize_disk(&path, 4096))
        });
        std::fs::remove_file(&path).expect("it is removed");
        result
    }

    #[test]
    fn the_disk_is_resized_once_capabilities_are_negotiated() {
        let event = "{\"event\": \"RESUME\"}\r\n{\"return\": {}}\r\n";
        let (commands, told) = answered("done", &["{\"return\": {}}\r\n", event]);
        assert!(told.is_ok());
        let resize = json!({ "execute": "block_resize", "arguments": { "device": "data", "size": 4096 } });
        assert_eq!(commands, [json!({ "execute": "qmp_capabilities" }), resize]);
    }

    #[test]
    fn a_refusal_is_an_error_and_a_vm_that_has_ended_is_none() {
        let (_, told) = answered("refused", &["{\"return\": {}}\r\n", "{\"error\": {\"desc\": \"no\"}}\r\n"]);
        let said = told.expect_err("it was refused").to_string();
        assert!(said.contains("block_resize") && said.contains("\"desc\":\"no\""), "{said}");
        assert!(answered("ended", &[""]).1.is_ok());
    }
}

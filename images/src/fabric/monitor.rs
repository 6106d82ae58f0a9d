//! What a VM's QEMU is told while it runs: QMP, objects of JSON each way, over a Unix socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::error::Failure;
use crate::qemu::{DRIVE, nic};

/// How long QEMU may take for a command.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long one that has just been started may take to listen.
const LISTENING_WITHIN: Duration = Duration::from_secs(2);

/// How long it is left alone until it is tried again.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(10);

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

/// Lets the disk of the VM whose QEMU listens on `socket` do no more than so many operations per second, or as many as it
/// can with 0. One that has just been started is waited for. Errors as above.
pub async fn slow_disk(socket: &Path, iops: u32) -> Result<(), Failure> {
    let arguments = json!({
        "device": DRIVE, "iops": iops, "iops_rd": 0, "iops_wr": 0, "bps": 0, "bps_rd": 0, "bps_wr": 0
    });
    let command = json!({ "execute": "block_set_io_throttle", "arguments": arguments });
    tell_once_it_listens(socket, command).await
}

/// Gives a command to a QEMU that listens.
async fn tell(socket: &Path, command: Value) -> Result<(), Failure> {
    let Ok(stream) = UnixStream::connect(socket).await else { return Ok(()) };
    tell_over(socket, stream, command).await
}

/// Tells the QEMU of `socket` to plug its VM's network card on a fabric in, or to unplug it, and the VM with it. One that has just been
/// started is waited for; one that has ended is told nothing. An error as above.
pub async fn set_link(socket: &Path, fabric: u8, up: bool) -> Result<(), Failure> {
    let command = json!({ "execute": "set_link", "arguments": { "name": nic(fabric), "up": up } });
    tell_once_it_listens(socket, command).await
}

/// Gives a command to a QEMU that has been started.
async fn tell_once_it_listens(socket: &Path, command: Value) -> Result<(), Failure> {
    let connected = async {
        loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(TRIED_AGAIN_AFTER).await,
            }
        }
    };
    let Ok(stream) = tokio::time::timeout(LISTENING_WITHIN, connected).await else { return Ok(()) };
    tell_over(socket, stream, command).await
}

async fn tell_over(socket: &Path, stream: UnixStream, command: Value) -> Result<(), Failure> {
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

    /// What `tells` comes to if QEMU answers in this way, one line for each command.
    fn answered(
        name: &str,
        answers: &[&str],
        tells: impl AsyncFnOnce(&Path) -> Result<(), Failure>,
    ) -> (Vec<Value>, Result<(), Failure>) {
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
            tokio::join!(qemu, tells(&path))
        });
        std::fs::remove_file(&path).expect("it is removed");
        result
    }

    #[test]
    fn the_disk_is_resized_once_capabilities_are_negotiated() {
        let event = "{\"event\": \"RESUME\"}\r\n{\"return\": {}}\r\n";
        let answers = ["{\"return\": {}}\r\n", event];
        let (commands, told) = answered("done", &answers, async |path| resize_disk(path, 4096).await);
        assert!(told.is_ok());
        let resize = json!({ "execute": "block_resize", "arguments": { "device": "data", "size": 4096 } });
        assert_eq!(commands, [json!({ "execute": "qmp_capabilities" }), resize]);
    }

    #[test]
    fn a_network_card_is_unplugged_by_name() {
        let answers = ["{\"return\": {}}\r\n"; 2];
        let (commands, told) = answered("link", &answers, async |path| set_link(path, 2, false).await);
        assert!(told.is_ok());
        let unplug = json!({ "execute": "set_link", "arguments": { "name": "nic2", "up": false } });
        assert_eq!(commands[1], unplug);
    }

    #[test]
    fn a_disk_is_slowed_down_by_name() {
        let answers = ["{\"return\": {}}\r\n"; 2];
        let (commands, told) = answered("slow", &answers, async |path| slow_disk(path, 20).await);
        assert!(told.is_ok());
        assert_eq!(commands[1]["execute"], "block_set_io_throttle");
        assert_eq!(
            (&commands[1]["arguments"]["device"], &commands[1]["arguments"]["iops"]),
            (&json!("data"), &json!(20))
        );
    }

    #[test]
    fn a_refusal_is_an_error_and_a_vm_that_has_ended_is_none() {
        let resize = async |path: &Path| resize_disk(path, 4096).await;
        let refusal = ["{\"return\": {}}\r\n", "{\"error\": {\"desc\": \"no\"}}\r\n"];
        let said = answered("refused", &refusal, resize).1.expect_err("it was refused").to_string();
        assert!(said.contains("block_resize") && said.contains("\"desc\":\"no\""), "{said}");
        assert!(answered("ended", &[""], resize).1.is_ok());
    }
}

//! The table of all links.

use std::io::{self, Write};

use crate::control::LinksStatus;
use crate::error::Failure;
use crate::links::{Fault, LinkState, LinkStatus};
use crate::table;

/// Prints it.
pub fn print(status: &LinksStatus, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(status).map_err(|error| Failure::Refused(error.to_string()))?;
        return show(&format!("{text}\n"));
    }
    let mut text = layout(&status.links);
    text += &format!("0 is the gateway. The dice began at seed {}.\n", status.seed);
    if let Some(path) = &status.capture {
        text += &format!("Frames are captured in {}.\n", path.display());
    }
    show(&text)
}

/// It is long: whoever reads it may have enough before its end.
fn show(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::file("write to", "standard output")(error))
        }
        _ => Ok(()),
    }
}

fn layout(links: &[LinkStatus]) -> String {
    let header = [
        "fabric",
        "from",
        "to",
        "state",
        "faults",
        "sent",
        "arrived",
        "bytes",
        "lost",
        "dropped",
        "duplicated",
        "reordered",
        "in flight",
        "untaken",
    ];
    table::layout(&header.map(String::from), &links.iter().map(cells).collect::<Vec<_>>())
}

fn cells(link: &LinkStatus) -> Vec<Option<String>> {
    let state = match link.state {
        LinkState::Up => "up",
        LinkState::Down => "down",
        LinkState::Cut => "cut",
        LinkState::Unplugged => "unplugged",
    };
    let counters = &link.counters;
    let numbers = [
        counters.sent,
        counters.arrived,
        counters.arrived_bytes,
        counters.lost,
        counters.dropped,
        counters.duplicated,
        counters.reordered,
        counters.in_flight,
        counters.untaken,
    ];
    let texts = [
        link.fabric.to_string(),
        link.from.to_string(),
        link.to.to_string(),
        state.into(),
        describe(&link.fault),
    ];
    texts.into_iter().chain(numbers.map(|number| number.to_string())).map(Some).collect()
}

/// What befalls frames, in the words of the options.
fn describe(fault: &Fault) -> String {
    let mut parts = Vec::new();
    let mut add = |is_there: bool, text: String| parts.extend(is_there.then_some(text));
    add(fault.loss > 0.0, format!("loss {}", fault.loss));
    add(fault.delay_ms > 0, format!("delay {} ms", fault.delay_ms));
    add(fault.jitter_ms > 0, format!("jitter {} ms", fault.jitter_ms));
    add(fault.duplicate > 0.0, format!("duplicate {}", fault.duplicate));
    add(fault.reorder > 0.0, format!("reorder {} by {} ms", fault.reorder, fault.reorder_ms));
    add(fault.rate_kbit.is_some(), format!("rate {} kbit/s", fault.rate_kbit.unwrap_or_default()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::LinkCounters;

    #[test]
    fn a_line_says_what_befalls_frames_and_what_has() {
        let counters =
            LinkCounters { sent: 10, arrived: 8, arrived_bytes: 512, lost: 2, ..Default::default() };
        let fault = Fault { loss: 0.2, delay_ms: 5, reorder: 0.01, rate_kbit: Some(800), ..Fault::default() };
        let bad = LinkStatus { fabric: 1, from: 1, to: 2, state: LinkState::Up, fault, counters };
        let good = LinkStatus {
            fabric: 1,
            from: 2,
            to: 1,
            state: LinkState::Cut,
            fault: Fault::default(),
            counters,
        };
        let table = layout(&[bad, good]);
        let lines: Vec<&str> = table.lines().collect();
        let faults = "loss 0.2, delay 5 ms, reorder 0.01 by 10 ms, rate 800 kbit/s";
        assert!(
            lines[2]
                .starts_with(&format!("      1 |    1 |  2 | up    | {faults} |   10 |       8 |   512 |")),
            "{table}"
        );
        assert!(lines[3].starts_with("      1 |    2 |  1 | cut   |  "), "{table}");
    }
}

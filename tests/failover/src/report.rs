//! What was measured: a table for the terminal, and a page with a picture of each run.

use std::fmt::Write;
use std::time::Duration;

use plotters::prelude::*;

use crate::scenario::Scenario;
use crate::stage::Outcome;

/// A picture's pixels.
const SIZE: (u32, u32) = (900, 300);

/// What a point of a picture is the mean of.
const SPAN: Duration = Duration::from_millis(250);

/// All runs of a scenario.
pub struct Result {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// What each of its runs has shown.
    pub outcomes: Vec<Outcome>,
}

impl Result {
    /// The median and the most of all runs, of the longest time without service of a series.
    fn silence(&self, series: usize) -> Option<(Duration, Duration)> {
        let mut spans: Vec<Duration> =
            self.outcomes.iter().filter_map(|outcome| outcome.silences().get(series).copied()).collect();
        spans.sort();
        // Of an even number, the longer of the two in the middle.
        Some((*spans.get(spans.len() / 2)?, *spans.last()?))
    }

    fn names(&self) -> &[&'static str] {
        self.outcomes.first().map_or(&[], |outcome| &outcome.timeline.names)
    }

    fn sum(&self, count: impl Fn(&Outcome) -> usize) -> usize {
        self.outcomes.iter().map(count).sum()
    }

    /// The cells of its row: the scenario, the time without service of each series, and what went wrong.
    fn cells(&self) -> Vec<String> {
        let spans = (0..self.names().len()).map(|series| {
            let span = |(median, most): (Duration, Duration)| {
                format!("{:.2} / {:.2}", median.as_secs_f64(), most.as_secs_f64())
            };
            self.silence(series).map_or_else(String::new, span)
        });
        let counts = [
            self.sum(|outcome| outcome.lost),
            self.sum(|outcome| outcome.doubled),
            self.sum(|outcome| outcome.anomalies.len()),
        ];
        let name = [self.scenario.name.to_string()].into_iter();
        name.chain(spans).chain(counts.map(|count| count.to_string())).collect()
    }
}

fn head(results: &[Result]) -> Vec<String> {
    let names = results.first().map_or(&[][..], Result::names);
    let words = ["scenario"].into_iter().chain(names.iter().copied());
    words.chain(["lost", "doubled", "anomalies"]).map(String::from).collect()
}

/// The table, in Markdown, whose columns are aligned for the terminal as well.
pub fn table(results: &[Result]) -> String {
    let mut rows = vec![head(results)];
    rows.extend(results.iter().map(Result::cells));
    let columns = rows[0].len();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            widths.iter().for_each(|width| text.push_str(&format!("|{:-<1$}", "", width + 2)));
            text.push_str("|\n");
        }
    }
    text
}

/// The page: how it was measured, the table, and for each scenario what happens in it and a picture of each run.
pub fn page(setup: &str, results: &[Result]) -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Relix failover</title>\n\
         <style>body{font:15px sans-serif;margin:2em auto;max-width:960px}table{border-collapse:collapse}\
         td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child\
         {text-align:left}.wrong{color:#b00}</style>\n<h1>Failover</h1>\n",
    );
    let _ = writeln!(html, "<p>{}</p>", escaped(setup).replace('\n', "<br>"));
    html.push_str(
        "<p>Seconds without service from the first event of a run on: the longest span in which no transaction of a \
         workload, by any of its clients, was acknowledged. Median and most of all runs.</p>\n<table>\n",
    );
    let row = |cells: Vec<String>, tag: &str| {
        let cells: Vec<String> =
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        format!("<tr>{}</tr>\n", cells.concat())
    };
    html.push_str(&row(head(results), "th"));
    results.iter().for_each(|result| html.push_str(&row(result.cells(), "td")));
    html.push_str("</table>\n");
    for result in results {
        let _ =
            writeln!(html, "<h2>{}</h2>\n<p>{}</p>", result.scenario.name, escaped(result.scenario.story));
        for outcome in &result.outcomes {
            outcome.anomalies.iter().for_each(|wrong| {
                let _ = writeln!(html, "<p class=\"wrong\">{}</p>", escaped(wrong));
            });
            match picture(outcome) {
                Ok(svg) => html.push_str(&svg),
                Err(error) => drop(writeln!(html, "<p class=\"wrong\">no picture: {}</p>", escaped(&error))),
            }
        }
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Transactions a second over time, a line for each workload, and a mark for each event.
fn picture(outcome: &Outcome) -> std::result::Result<String, String> {
    let mut svg = String::new();
    draw(outcome, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(outcome: &Outcome, svg: &mut String) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let timeline = &outcome.timeline;
    let rates: Vec<Vec<f64>> = (0..timeline.names.len()).map(|series| timeline.rates(series, SPAN)).collect();
    let most = rates.iter().flatten().copied().fold(1.0, f64::max) * 1.25;
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..outcome.end.as_secs_f64(), 0.0..most)?;
    chart.configure_mesh().disable_x_mesh().x_desc("s").y_desc("transactions/s").draw()?;
    for (index, (name, rates)) in timeline.names.iter().zip(&rates).enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let at = |step: usize| (step as f64 + 0.5) * SPAN.as_secs_f64();
        let points = rates.iter().enumerate().map(|(step, rate)| (at(step), *rate));
        let line = chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color));
    }
    for (index, event) in outcome.events.iter().enumerate() {
        let at = event.at.as_secs_f64();
        chart.draw_series([PathElement::new([(at, 0.0), (at, most)], BLACK.mix(0.6))])?;
        // One below the other, so that those that follow each other closely can be read.
        let height = most * (0.97 - 0.06 * (index % 4) as f64);
        chart.draw_series([Text::new(event.what.clone(), (at, height), ("sans-serif", 11))])?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.2)).draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SCENARIOS;
    use crate::stage::Event;
    use crate::timeline::Timeline;

    fn result() -> Result {
        let seconds = Duration::from_secs;
        let samples = vec![(seconds(0), vec![0]), (seconds(1), vec![5]), (seconds(4), vec![9])];
        let outcome = |at| Outcome {
            timeline: Timeline { names: vec!["bank"], samples: samples.clone() },
            events: vec![Event { at: seconds(at), what: "kill 1".into() }],
            end: seconds(4),
            lost: 1,
            doubled: 0,
            anomalies: vec!["a < b".into()],
        };
        Result { scenario: &SCENARIOS[0], outcomes: vec![outcome(0), outcome(2), outcome(3)] }
    }

    #[test]
    fn the_table_gives_median_and_most() {
        let expected = "\
| scenario      | bank        | lost | doubled | anomalies |
|---------------|-------------|------|---------|-----------|
| leader-killed | 2.00 / 3.00 | 3    | 0       | 3         |
";
        assert_eq!(table(&[result()]), expected);
    }

    #[test]
    fn the_page_shows_every_run() {
        let html = page("two cores\nTCG", &[result()]);
        assert_eq!(html.matches("<svg").count(), 3);
        assert!(html.contains("kill 1") && html.contains("a &lt; b") && html.contains("two cores<br>TCG"));
    }
}

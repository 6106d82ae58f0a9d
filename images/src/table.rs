//! Aligned tables for a terminal.

use std::fmt::Write;

/// Lays out `rows` below `header`, as psql does. Columns whose values are all numbers are set to the
/// right.
pub fn layout(header: &[String], rows: &[Vec<Option<String>>]) -> String {
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let width = |cell: &str| cell.chars().count();
    let columns = 0..header.len();
    let widths: Vec<usize> = columns
        .clone()
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| width(&text(cell)));
            cells.chain([width(&header[column])]).max().unwrap_or(0)
        })
        .collect();
    let numeric: Vec<bool> = columns
        .map(|column| {
            let mut cells = rows.iter().filter_map(|row| row.get(column)?.as_ref()).peekable();
            cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
        })
        .collect();
    let mut out = String::new();
    let names: Vec<String> =
        header.iter().zip(&widths).map(|(name, width)| format!(" {name:^width$} ")).collect();
    let _ = writeln!(out, "{}", names.join("|").trim_end());
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let _ = writeln!(out, "{}", rules.join("+"));
    for row in rows {
        let cells = row.iter().zip(&widths).zip(&numeric).map(|((cell, width), numeric)| match numeric {
            true => format!(" {:>width$} ", text(cell)),
            false => format!(" {:<width$} ", text(cell)),
        });
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("|").trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [vec![Some("ab".into()), Some("7".into())], vec![None, Some("-12".into())]];
        let table = layout(&["name".into(), "n".into()], &rows);
        assert_eq!(table, " name |  n\n------+-----\n ab   |   7\n      | -12\n");
    }
}

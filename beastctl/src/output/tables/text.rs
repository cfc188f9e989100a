//! Tables for people: aligned columns and bars.

use std::io;

use beast_launchd::shown::one_line;

use super::{Group, Row, Table, bar, details_text, is_utf8};
use crate::output::console::{Console, columns};

/// Columns when the output is no terminal.
const WIDTH: usize = 100;
/// Shortest and longest bar: shorter ones show nothing, longer ones nothing more.
const BAR_WIDTHS: (usize, usize) = (8, 32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub width: usize,
    pub is_utf8: bool,
}

impl Layout {
    pub fn of(console: Console) -> Self {
        let width = columns(io::stdout()).filter(|_| console.stdout_is_terminal);
        Self { width: width.unwrap_or(WIDTH), is_utf8: is_utf8() }
    }
}

pub fn table_text(table: &Table, layout: Layout) -> String {
    let mut text = format!("\n{}: {}\n", table.name, table.title);
    let facts = details_text(&table.facts);
    if !facts.is_empty() {
        line(&mut text, &format!("  {facts}"));
    }
    if let Some(reason) = &table.failure {
        line(&mut text, &format!("  not measured: {}", one_line(reason)));
    }
    let columns = Columns::of(table, layout);
    for group in &table.groups {
        line(&mut text, &format!("  {}", group.heading()));
        for row in &group.rows {
            line(&mut text, &columns.row(row, group));
        }
    }
    for note in &table.notes {
        line(&mut text, &format!("  note: {}", one_line(note)));
    }
    text
}

fn line(text: &mut String, words: &str) {
    *text += words.trim_end();
    text.push('\n');
}

struct Columns {
    label: usize,
    median: usize,
    spread: usize,
    ratio: usize,
    bar: usize,
    layout: Layout,
}

impl Columns {
    fn of(table: &Table, layout: Layout) -> Self {
        let rows = || table.groups.iter().flat_map(|group| &group.rows);
        let widest = |text: fn(&Row) -> String| rows().map(|row| text(row).chars().count()).max().unwrap_or(0);
        let (label, median) = (widest(|row| row.label.clone()), widest(median));
        let (spread, ratio, details) = (widest(spread), widest(ratio), widest(Row::details_text));
        let gaps = 4 + [median, spread, ratio, details].into_iter().filter(|width| *width > 0).count() * 2 + 2;
        let rest = layout.width.saturating_sub(label + median + spread + ratio + details + gaps);
        let has_bars = table.groups.iter().any(|group| group.longest().is_some());
        let bar = if has_bars { rest.clamp(BAR_WIDTHS.0, BAR_WIDTHS.1) } else { 0 };
        Self { label, median, spread, ratio, bar, layout }
    }

    fn row(&self, row: &Row, group: &Group) -> String {
        let mark = if row.is_marked { '*' } else { ' ' };
        let mut text = format!("  {mark} {:<width$}", row.label, width = self.label);
        if let Some(excuse) = row.excuse() {
            text += &format!("  {}", one_line(&excuse));
            return text;
        }
        text += &format!("  {:>width$}", median(row), width = self.median);
        for (width, cell) in [(self.spread, spread(row)), (self.ratio, ratio(row)), (self.bar, self.bar_of(row, group))]
        {
            if width > 0 {
                text += &format!("  {cell:<width$}");
            }
        }
        text += &format!("  {}", row.details_text());
        text
    }

    fn bar_of(&self, row: &Row, group: &Group) -> String {
        let share = row.samples.median().zip(group.longest()).map(|(median, longest)| median / longest);
        share.map(|share| bar(share, self.bar, self.layout.is_utf8)).unwrap_or_default()
    }
}

fn median(row: &Row) -> String {
    row.samples.median().map_or_else(|| "-".into(), number)
}

/// The range of the samples; empty for a single one.
fn spread(row: &Row) -> String {
    let spread = row.samples.spread().filter(|_| row.samples.all().len() > 1);
    spread.map(|(min, max)| format!("{}..{}", number(min), number(max))).unwrap_or_default()
}

fn ratio(row: &Row) -> String {
    row.ratio.map(|ratio| format!("x{ratio:.2}")).unwrap_or_default()
}

/// At most three digits, since more would exceed the precision of the measurement; small numbers get two decimals.
pub(super) fn number(n: f64) -> String {
    if n.abs() < 1.0 { format!("{n:.2}") } else { format!("{n:.1}") }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;

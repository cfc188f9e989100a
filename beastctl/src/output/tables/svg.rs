//! All tables as one chart: a standalone file for light and dark pages, without scripts.

use beast_launchd::shown::one_line;

use super::{Group, Row, Table, text::number};

const WIDTH: u32 = 860;
const MARGIN: u32 = 24;
/// Where bars begin, and the length of the longest one; labels are to the left, numbers to the right.
const BAR_X: u32 = 230;
const BAR_WIDTH: f64 = 370.0;
const BAR_HEIGHT: u32 = 14;
const ROW_HEIGHT: u32 = 22;
/// Characters that fit before the bars, and on a whole line.
const N_LABEL: usize = 30;
const N_LINE: usize = 125;

const STYLE: &str = "\
    text { font: 13px system-ui, sans-serif; fill: #24292f } \
    .title { font-weight: 600; font-size: 16px } .name { font-weight: 600; font-size: 14px } \
    .faint { fill: #57606a; font-size: 12px } .page { fill: #ffffff } .bar { fill: #0969da } .chosen { fill: #1a7f37 } \
    .spread { stroke: #24292f; stroke-width: 1.5 } \
    @media (prefers-color-scheme: dark) { \
    text { fill: #e6edf3 } .faint { fill: #8d96a0 } .page { fill: #0d1117 } .bar { fill: #4493f8 } \
    .chosen { fill: #3fb950 } .spread { stroke: #e6edf3 } }";

/// A chart of these tables, below a title and lines about their origin.
pub fn chart(title: &str, about: &[String], tables: &[Table]) -> String {
    let mut page = Page { body: String::new(), y: MARGIN + 8 };
    page.text("title", MARGIN, title, N_LINE);
    for line in about {
        page.y += 20;
        page.text("faint", MARGIN, line, N_LINE);
    }
    for table in tables {
        page.table(table);
    }
    let height = page.y + MARGIN;
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} \
         {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" \
         height=\"{height}\"/>\n{}</svg>\n",
        page.body
    )
}

/// The drawing so far, from top to bottom; `y` is the base line of the last item.
struct Page {
    body: String,
    y: u32,
}

impl Page {
    fn table(&mut self, table: &Table) {
        self.y += 40;
        self.text("name", MARGIN, &format!("{}: {}", table.name, table.title), N_LINE);
        if let Some(reason) = &table.failure {
            self.y += ROW_HEIGHT;
            self.text("faint", MARGIN, &format!("not measured: {reason}"), N_LINE);
        }
        for group in &table.groups {
            self.y += 24;
            self.text("faint", MARGIN, &group.heading(), N_LINE);
            for row in &group.rows {
                self.row(row, group);
            }
        }
    }

    fn row(&mut self, row: &Row, group: &Group) {
        self.y += ROW_HEIGHT;
        self.push("<g>");
        let tip = row.details_text();
        if !tip.is_empty() {
            self.push(&format!("<title>{}</title>", escaped(&tip)));
        }
        self.text("label", MARGIN, &row.label, N_LABEL);
        match (row.samples.median(), row.excuse()) {
            (Some(median), None) => self.measured(row, median, group),
            (_, excuse) => self.text("faint", BAR_X, excuse.as_deref().unwrap_or("no sample"), N_LINE - N_LABEL - 5),
        }
        self.push("</g>\n");
    }

    fn measured(&mut self, row: &Row, median: f64, group: &Group) {
        let mut value = number(median);
        let spread = row.samples.spread().filter(|_| row.samples.all().len() > 1);
        if let Some((min, max)) = spread {
            value += &format!(" ({}..{})", number(min), number(max));
        }
        if let Some(ratio) = row.ratio {
            value += &format!(" x{ratio:.2}");
        }
        let Some(longest) = group.longest() else {
            return self.text("label", BAR_X, &value, N_LABEL * 2);
        };
        let top = group.rows.iter().filter_map(|row| Some(row.samples.spread()?.1)).fold(longest, f64::max);
        let x = |n: f64| (n / top).clamp(0.0, 1.0) * BAR_WIDTH;
        let class = if row.is_marked { "chosen" } else { "bar" };
        let y = self.y - BAR_HEIGHT + 3;
        // Any value above 0 is visible.
        let width = x(median).max(1.0);
        self.push(&format!(
            "<rect class=\"{class}\" x=\"{BAR_X}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>"
        ));
        let mut end = width;
        if let Some((min, max)) = spread {
            let [from, to] = [min, max].map(|n| f64::from(BAR_X) + x(n));
            let y = y + BAR_HEIGHT / 2;
            self.push(&format!("<line class=\"spread\" x1=\"{from:.1}\" y1=\"{y}\" x2=\"{to:.1}\" y2=\"{y}\"/>"));
            end = end.max(x(max));
        }
        self.text("label", BAR_X + 8 + end.round() as u32, &value, N_LABEL * 2);
    }

    fn text(&mut self, class: &str, x: u32, words: &str, n_max: usize) {
        let words = escaped(&shortened(&one_line(words), n_max));
        let y = self.y;
        self.push(&format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>"));
        if class != "label" {
            self.push("\n");
        }
    }

    fn push(&mut self, markup: &str) {
        self.body += markup;
    }
}

fn shortened(words: &str, n_max: usize) -> String {
    if words.chars().count() <= n_max {
        return words.into();
    }
    words.chars().take(n_max - 1).chain(['…']).collect()
}

/// Escapes text. Characters that XML forbids are left out.
fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => text += "&amp;",
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '"' => text += "&quot;",
            '\'' => text += "&apos;",
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;

//! Charges each repetition of a loop or macro body for the text that it writes. Knows only tokens.

use std::borrow::Cow;
use std::ops::Range;

/// Longer texts are charged where they occur, since not every repetition may write them.
const LONG: usize = 256;

/// The open bodies and their charges.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    open: Vec<usize>,
    found: Vec<Body>,
    /// State of the current tag.
    keyword: Keyword,
    /// The last tag, if text may directly follow it.
    tag: Option<(Range<usize>, bool)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Begin,
    End,
    #[default]
    Other,
}

#[derive(Debug)]
struct Body {
    /// End of the tag before the text, and whether that is a block tag.
    tag: (Range<usize>, bool),
    n_bytes: usize,
    parameters: Vec<String>,
}

impl Bodies {
    /// The keyword of a block.
    pub(super) fn keyword(&mut self, name: &str) {
        self.keyword = match name {
            "for" | "macro" | "call" => Keyword::Begin,
            "endfor" | "endmacro" | "endcall" => Keyword::End,
            _ => Keyword::Other,
        };
    }

    /// A tag ends at `end`.
    pub(super) fn end_of_tag(&mut self, end: Range<usize>, is_block: bool, parameters: Vec<String>) {
        match std::mem::take(&mut self.keyword) {
            Keyword::Begin => {
                self.open.push(self.found.len());
                self.found.push(Body { tag: (end.clone(), is_block), n_bytes: 0, parameters });
            }
            // The parser reports unmatched ends.
            Keyword::End => drop(self.open.pop()),
            Keyword::Other => {}
        }
        self.tag = Some((end, is_block));
    }

    /// Text between tags, starting at `start` of the source.
    pub(super) fn text(&mut self, source: &str, start: usize, n_bytes: usize) {
        // A gap means a comment, `raw`, or trimmed whitespace.
        let is_next = |end: &Range<usize>| source[end.end..start].trim_start().is_empty();
        let tag = self.tag.take().filter(|(end, _)| n_bytes > LONG && is_next(end));
        let Some(&body) = self.open.last() else { return };
        match tag {
            Some(tag) => self.found.push(Body { tag, n_bytes, parameters: Vec::new() }),
            None => self.found[body].n_bytes += n_bytes,
        }
    }

    /// The insertions into the source.
    pub(super) fn edits(&mut self, source: &str) -> Vec<(Range<usize>, Cow<'static, str>)> {
        let edit = |body: Body| {
            let ((end, is_block), n_bytes) = (body.tag, body.n_bytes);
            let arguments: String = body.parameters.iter().map(|name| format!(", {name}")).collect();
            // The tag's whitespace control must end up after the insertion.
            let mark = source[end.clone()].chars().next().filter(|mark| matches!(mark, '-' | '+')).map(String::from);
            let mark = mark.unwrap_or_default();
            let text = match is_block {
                true => format!("{{% if _spend({n_bytes}{arguments}) %}}{{% endif {mark}%}}"),
                false => format!("{{{{ _spend({n_bytes}{arguments}) {mark}}}}}"),
            };
            (end.end..end.end, Cow::Owned(text))
        };
        std::mem::take(&mut self.found).into_iter().map(edit).collect()
    }
}

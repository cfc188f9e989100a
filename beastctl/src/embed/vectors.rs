//! Asks the daemon for vectors, a bounded number of texts at a time. Knows no files.

use std::path::Path;

use beast_protocol::{Embed, Embedded, Event, Request};

use super::{error::EmbedError, units::Unit};
use crate::{
    client::ClientError,
    context::Context,
    exchange::Exchange,
    exit::Result,
    output::{Console, units::count},
    wait::Wait,
};

/// Texts and bytes of a request: many enough for the daemon to compute texts of similar length together, and few enough
/// to show progress.
const MAX_TEXTS: usize = 64;
const MAX_BYTES: usize = 1 << 20;

pub(super) struct Vectors<'a> {
    exchange: Exchange<'a>,
    wait: &'a Wait,
    console: Console,
    /// Name of the model that embeds; `None` for the default one.
    name: Option<String>,
    /// The model and the length of its vectors, once known.
    model: Option<Model>,
    n_truncated: u64,
}

/// A text's vector.
#[derive(Debug, Clone)]
pub(super) struct Vector {
    pub numbers: Vec<f32>,
    /// Whether it is only that of the text's beginning.
    pub is_truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub fingerprint: Option<[u8; 32]>,
    pub n_dims: usize,
}

impl<'a> Vectors<'a> {
    pub(super) fn new(
        context: &Context,
        (path, may_start): (&'a Path, bool),
        name: Option<String>,
        wait: &'a Wait,
    ) -> Self {
        let exchange = Exchange::new(context, path, may_start);
        Self { exchange, wait, console: context.console, name, model: None, n_truncated: 0 }
    }

    /// Embeds the texts in order; `take` gets each request's texts with their vectors.
    pub(super) fn embed(
        &mut self,
        units: &[Unit<'_>],
        mut take: impl FnMut(&[Unit<'_>], &[Vector]) -> Result<()>,
    ) -> Result<()> {
        let n = units.len();
        let mut rest = units;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_len(rest));
            if n > MAX_TEXTS {
                self.exchange.say(format!("embedding: {} of {n}", n - rest.len()));
            }
            let vectors = self.ask(batch.iter().map(|unit| unit.text.to_owned()).collect())?;
            take(batch, &vectors)?;
            rest = after;
        }
        Ok(())
    }

    /// Embeds a few texts.
    pub(super) fn ask(&mut self, texts: Vec<String>) -> Result<Vec<Vector>> {
        let n = texts.len();
        // The daemon could refuse a long text, but does not know its place.
        let request = Request::Embed(Embed { model: self.name.clone(), texts, drop_tail: true });
        let Event::Embedded(Embedded { fingerprint, vectors, truncated, notices, .. }) =
            self.exchange.ask(&request, self.wait)?
        else {
            return Err(ClientError::Lost.into());
        };
        if !notices.is_empty() {
            self.exchange.erase();
        }
        notices.iter().for_each(|notice| self.console.notice(notice));
        let n_dims = vectors.first().map_or(0, Vec::len);
        if vectors.len() != n || n_dims == 0 || vectors.iter().any(|vector| vector.len() != n_dims) {
            return Err(EmbedError::Mismatch.into());
        }
        let model = Model { fingerprint, n_dims };
        if self.model.get_or_insert_with(|| model.clone()) != &model {
            return Err(EmbedError::OtherModel.into());
        }
        let is_truncated = |nth: usize| truncated.iter().any(|&index| index as usize == nth);
        let vectors: Vec<Vector> =
            (0..).zip(vectors).map(|(nth, numbers)| Vector { numbers, is_truncated: is_truncated(nth) }).collect();
        self.n_truncated += vectors.iter().filter(|vector| vector.is_truncated).count() as u64;
        Ok(vectors)
    }

    /// The model of the vectors so far.
    pub(super) fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Removes the progress line.
    pub(super) fn end(&mut self) {
        self.exchange.erase();
    }

    /// Warns about truncated texts.
    pub(super) fn warn(&self) {
        if self.n_truncated > 0 {
            let (n, was) = (count(self.n_truncated, "text"), if self.n_truncated == 1 { "was" } else { "were" });
            self.console.warning(&format!("{n} {was} longer than the context, and only the beginning counts"));
        }
    }
}

/// How many of these texts fit into one request: at least one.
fn batch_len(units: &[Unit<'_>]) -> usize {
    let mut n_bytes = 0;
    let fits = |unit: &&Unit<'_>| {
        n_bytes += unit.text.len();
        n_bytes <= MAX_BYTES
    };
    units.iter().take(MAX_TEXTS).take_while(fits).count().max(1)
}

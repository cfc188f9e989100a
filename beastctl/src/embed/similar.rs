//! `beastctl similar`: ranks lines, paragraphs or files by the cosine of their vectors and the query's.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Line,
    error::EmbedError,
    index::{self, Hash, Index},
    units::{self, Source, Unit},
    vectors::{Vector, Vectors},
};
use crate::{
    cli::{By, SimilarOptions},
    context::Context,
    exit::{self, AlreadyTold, During as _, Result},
    output::{excerpt, json_line, one_line},
    wait::Wait,
};

/// Texts to embed before the next sources are looked at.
const GROUP: usize = 4096;
/// How much an interrupted search has lost at most, besides the texts of a request.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// Columns of a text to show without `--json`.
const MAX_SHOWN: usize = 300;

/// Prints the most similar texts, the best first; exits with 1 if there is none.
pub(in super::super) fn run(context: &Context, options: &SimilarOptions) -> Result<()> {
    if options.query.trim().is_empty() {
        return Err(EmbedError::NoQuery.into());
    }
    if options.files.is_empty() && Path::new(&options.query).is_file() {
        return Err(EmbedError::IsFile(options.query.clone()).into());
    }
    let path = context.socket()?;
    let reading = Wait::default().limited(context.timeout);
    let sources = units::read(&options.files, &reading, context.console)?;
    let units = match options.by {
        By::File => units::passages(&sources),
        by => units::split(&sources, by),
    };
    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading);
    let mut vectors = Vectors::new(context, (&path, !options.no_start), options.model.name(), &wait);
    let outcome = rank(context, options, &sources, &units, &mut vectors);
    vectors.end();
    vectors.warn();
    let found = outcome?;
    for (score, unit) in &found {
        context.console.print(&line(*score, unit, &sources[unit.source], options))?;
    }
    if found.is_empty() { Err(AlreadyTold(exit::FAILED).into()) } else { Ok(()) }
}

/// The wanted units with their scores, the best first.
fn rank<'a>(
    context: &Context,
    options: &SimilarOptions,
    sources: &[Source],
    units: &[Unit<'a>],
    vectors: &mut Vectors<'_>,
) -> Result<Vec<(f32, Unit<'a>)>> {
    let query = vectors.ask(vec![options.query.clone()])?.remove(0).numbers;
    let model = vectors.model().cloned();
    let mut scored = Vec::new();
    let (mut group, mut n_missing) = (Vec::new(), 0);
    let mut each = units.chunk_by(|a, b| a.source == b.source).peekable();
    while let Some(of_source) = each.next() {
        let file = if options.no_index { None } else { units::indexed(&sources[of_source[0].source]) };
        let index = file.zip(model.as_ref()).and_then(|(file, model)| Index::open(&file, options.by.name(), model));
        let hashes = of_source.iter().map(|unit| index::hash(unit.text)).collect();
        let searched = Searched { units: of_source, hashes, index };
        n_missing += searched.missing().count();
        group.push(searched);
        if n_missing >= GROUP || each.peek().is_none() {
            score(context, std::mem::take(&mut group), vectors, &query, &mut scored)?;
            n_missing = 0;
        }
    }
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    if options.by == By::File {
        let mut seen = HashSet::new();
        scored.retain(|(_, unit)| seen.insert(unit.source));
    }
    scored.retain(|(score, _)| options.min.is_none_or(|min| *score >= min));
    scored.truncate(options.top as usize);
    Ok(scored)
}

/// The units of a source, and the vectors that an earlier search saved.
struct Searched<'a, 'u> {
    units: &'a [Unit<'u>],
    hashes: Vec<Hash>,
    index: Option<Index>,
}

impl<'u> Searched<'_, 'u> {
    fn saved(&self, hash: &Hash) -> Option<&[f32]> {
        self.index.as_ref()?.get(hash)
    }

    /// Units without a saved vector.
    fn missing(&self) -> impl Iterator<Item = (Hash, Unit<'u>)> {
        let each = self.hashes.iter().zip(self.units);
        each.filter(|(hash, _)| self.saved(hash).is_none()).map(|(hash, unit)| (*hash, *unit))
    }
}

/// Scores all units of some sources. Computes only vectors that are not saved, and saves them.
fn score<'u>(
    context: &Context,
    group: Vec<Searched<'_, 'u>>,
    vectors: &mut Vectors<'_>,
    query: &[f32],
    scored: &mut Vec<(f32, Unit<'u>)>,
) -> Result<()> {
    // Equal texts are computed once.
    let missing: HashMap<Hash, Unit<'_>> = group.iter().flat_map(Searched::missing).collect();
    let (missing, texts): (Vec<Hash>, Vec<Unit<'_>>) = missing.into_iter().unzip();
    let (mut computed, mut saved_at) = (HashMap::new(), Instant::now());
    let outcome = vectors.embed(&texts, |_, vectors| {
        let hashes = missing[computed.len()..].iter().copied();
        computed.extend(hashes.zip(vectors.iter().cloned()));
        // A signal may end this program, or a crash the machine.
        if saved_at.elapsed() >= SAVE_EVERY {
            save(context, &group, &computed);
            saved_at = Instant::now();
        }
        Ok(())
    });
    // Also after a failure, so that an interrupted search can be continued.
    save(context, &group, &computed);
    outcome?;
    for searched in &group {
        let vector = |hash| computed.get(hash).map(|vector| vector.numbers.as_slice()).or_else(|| searched.saved(hash));
        for (hash, unit) in searched.hashes.iter().zip(searched.units) {
            let vector = vector(hash).expect("it is saved or has been computed");
            scored.push((dot(query, vector), *unit));
        }
    }
    Ok(())
}

/// Saves the vectors of these sources that are known so far. Truncated texts are not saved: the context may be larger
/// next time.
fn save(context: &Context, group: &[Searched<'_, '_>], computed: &HashMap<Hash, Vector>) {
    for searched in group {
        let to_save = |hash: &Hash| match computed.get(hash) {
            Some(vector) => (!vector.is_truncated).then_some(vector.numbers.as_slice()),
            None => searched.saved(hash),
        };
        let present: Vec<_> = searched.hashes.iter().filter_map(|hash| Some((*hash, to_save(hash)?))).collect();
        let Some(index) = &searched.index else { continue };
        if let Err(error) = index.save(&present) {
            let problem = format!("cannot save vectors in {}: {error}", index.folder().display());
            context.console.warning(&format!("{problem}; try: make it a writable folder, or pass --no-index"));
        }
    }
}

/// The cosine, since vectors have length 1.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Several sums, so that the compiler can use vector instructions: it must not reorder a single sum.
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a, b) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn line(score: f32, unit: &Unit<'_>, source: &Source, options: &SimilarOptions) -> String {
    if options.json {
        let file = source.name.as_deref();
        return json_line(&Line { file, line: unit.line, text: unit.text, embedding: None, score: Some(score) });
    }
    let place = match (&source.name, options.by) {
        (Some(name), By::File) => one_line(name),
        _ => units::place(unit, source),
    };
    let text = unit.text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{score:.3}\t{place}\t{}\n", excerpt(&text, MAX_SHOWN))
}

#[cfg(test)]
#[path = "similar_tests.rs"]
mod tests;

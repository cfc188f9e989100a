//! `beastctl similar`: ranks lines, paragraphs or files by the cosine of their vectors and the query's.

use std::{cmp::Ordering, collections::HashMap, path::PathBuf};

use super::{
    Line,
    error::EmbedError,
    index::{self, Hash, Index},
    units::{self, Source, Unit},
    vectors::Vectors,
};
use crate::{
    cli::{By, SimilarOptions},
    context::Context,
    exit::{self, AlreadyTold, During as _, Result},
    output::{excerpt, json_line},
    wait::Wait,
};

/// Bytes of a text to show without `--json`.
const MAX_SHOWN: usize = 300;

/// Prints the most similar texts, the best first; exits with 1 if there is none.
pub(in super::super) fn run(context: &Context, options: &SimilarOptions) -> Result<()> {
    if options.query.trim().is_empty() {
        return Err(EmbedError::NoQuery.into());
    }
    let path = context.socket()?;
    let reading = Wait::default().limited(context.timeout);
    let sources = units::read(&options.files, &reading, context.console, "similar")?;
    let units = match options.by {
        By::File => units::passages(&sources),
        by => units::split(&sources, by),
    };
    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading);
    // One overlong text among thousands must not end the search.
    let mut vectors = Vectors::new(context, &path, !options.no_start, true, &wait);
    let outcome = rank(context, options, &sources, &units, &mut vectors);
    vectors.end();
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
    let query = vectors.ask(vec![options.query.clone()])?.remove(0);
    let mut scored = Vec::new();
    for of_source in units.chunk_by(|a, b| a.source == b.source) {
        let source = &sources[of_source[0].source];
        let searched = if options.no_index { None } else { units::indexed(source) };
        let scores = scores(context, options, of_source, searched, vectors, &query)?;
        scored.extend(scores.into_iter().zip(of_source.iter().copied()));
    }
    scored.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    if options.by == By::File {
        let mut seen = std::collections::HashSet::new();
        scored.retain(|(_, unit)| seen.insert(unit.source));
    }
    scored.retain(|(score, _)| options.min.is_none_or(|min| *score >= min));
    scored.truncate(options.top as usize);
    Ok(scored)
}

/// The scores of one source's units. Computes only vectors that the index lacks, and saves them there.
fn scores(
    context: &Context,
    options: &SimilarOptions,
    units: &[Unit<'_>],
    searched: Option<PathBuf>,
    vectors: &mut Vectors<'_>,
    query: &[f32],
) -> Result<Vec<f32>> {
    let index = searched.zip(vectors.model()).and_then(|(path, model)| Index::open(&path, options.by.name(), model));
    let hashes: Vec<Hash> = units.iter().map(|unit| index::hash(unit.text)).collect();
    // Equal texts are computed once.
    let missing: HashMap<Hash, Unit<'_>> = hashes
        .iter()
        .zip(units)
        .filter(|(hash, _)| index.as_ref().is_none_or(|index| index.get(hash).is_none()))
        .map(|(hash, unit)| (*hash, *unit))
        .collect();
    let (missing, texts): (Vec<Hash>, Vec<Unit<'_>>) = missing.into_iter().unzip();
    let mut computed: Vec<Vec<f32>> = Vec::new();
    vectors.embed(&texts, |_, vectors| {
        computed.extend_from_slice(vectors);
        Ok(())
    })?;
    let computed: HashMap<Hash, Vec<f32>> = missing.into_iter().zip(computed).collect();
    let vector = |hash: &Hash| computed.get(hash).map(Vec::as_slice).or_else(|| index.as_ref()?.get(hash));
    let present: Vec<(Hash, &[f32])> = hashes.iter().filter_map(|hash| Some((*hash, vector(hash)?))).collect();
    if let Some(Err(error)) = index.as_ref().map(|index| index.save(&present)) {
        context.console.warning(&format!("cannot save vectors for the next search: {error}"));
    }
    Ok(present.iter().map(|(_, vector)| dot(query, vector)).collect())
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
        (Some(name), By::File) => name.clone(),
        (Some(name), _) => format!("{name}:{}", unit.line),
        (None, _) => unit.line.to_string(),
    };
    let text = unit.text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{score:.3}\t{place}\t{}\n", excerpt(&text, MAX_SHOWN))
}

#[cfg(test)]
#[path = "similar_tests.rs"]
mod tests;

//! Repeated measurements of one quantity.

use serde::{Serialize, Serializer};
use serde_json::json;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a sample. Anything but a number (a speed without a time) is ignored.
    pub fn push(&mut self, sample: impl Into<Option<f64>>) {
        self.0.extend(sample.into().filter(|sample| sample.is_finite()));
    }

    /// All samples, in the order of measurement.
    pub fn all(&self) -> &[f64] {
        &self.0
    }

    /// The median; of an even number, the mean of the two in the middle.
    pub fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
    }

    pub fn spread(&self) -> Option<(f64, f64)> {
        let sorted = self.sorted();
        Some((*sorted.first()?, *sorted.last()?))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (min, max) = self.spread().unzip();
        json!({ "median": self.median(), "min": min, "max": max, "samples": self.0 }).serialize(serializer)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut all = Self::default();
        for sample in samples {
            all.push(sample);
        }
        all
    }
}

#[cfg(test)]
#[path = "samples_tests.rs"]
mod tests;

//! Models on disk and their sources: the catalogue, the hub, downloads, the setting that selects one.
//!
//! Knows the network, the models folder and `config.toml`; does not print and knows no daemon.

pub mod catalogue;
pub mod check;
pub mod download;
mod error;
mod flow;
pub mod folder;
mod forward;
mod head;
pub mod hub;
pub mod lock;
mod part;
mod proxy;
pub mod reference;
pub mod setting;
mod tries;
pub mod upstream;
mod url;

pub use error::ModelError;
pub use url::shown as url_shown;

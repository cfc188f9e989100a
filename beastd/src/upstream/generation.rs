//! Answers one request: makes its body, has a server stream the answer, and passes the events on.

use beast_protocol::{Event, Generate};
use tokio::sync::mpsc;

use super::body;
use super::chunk::Said;
use super::failure::Fault;
use super::model::{Attempt, NotAnswered, Upstream};
use super::server::{Asking, Server};
use super::sizes;
use super::telling::Telling;
use crate::clock::now_us;

/// One answer, streamed.
struct Answering<'a> {
    body: String,
    said: Said,
    telling: Telling<'a>,
}

impl Attempt for Answering<'_> {
    type Answer = ();

    async fn ask(&mut self, server: &Server, asking: &Asking<'_>) -> Result<(), Fault> {
        self.said = Said::default();
        server.stream(asking, &self.body, &mut self.said, &mut self.telling).await
    }

    fn has_begun(&self) -> bool {
        self.telling.has_started()
    }
}

impl Upstream {
    pub(super) async fn answer(&self, request: &Generate, events: &mpsc::Sender<Event>) -> Result<(), NotAnswered> {
        let arrived_us = now_us();
        self.key()?;
        let about = self.about().await;
        let mut request = request.clone();
        let n_prompt = self.n_prompt(&request, &about).await;
        let notice = sizes::fit(&mut request, n_prompt, about.context, &self.config.name);
        let notice = notice.map_err(NotAnswered::finally)?;
        let body = body::body(&request, about.model()).map_err(NotAnswered::finally)?.to_string();
        let started = Event::Started {
            model: self.full_name(&about),
            n_prompt: u32::try_from(n_prompt).unwrap_or(u32::MAX),
            n_ctx: about.context.unwrap_or(0),
            notices: Vec::from_iter(notice),
        };
        let telling = Telling::new(events, started, &request, arrived_us);
        let mut answering = Answering { body, said: Said::default(), telling };
        self.ask(&mut answering).await?;
        let Answering { said, telling, .. } = answering;
        self.note(telling.finish(&said, n_prompt).await);
        Ok(())
    }

    /// Refuses a prompt that does not fit.
    pub(super) async fn check_fit(&self, request: &Generate) -> Result<(), NotAnswered> {
        let about = self.about().await;
        let n_prompt = self.n_prompt(request, &about).await;
        sizes::check(request, n_prompt, about.context, &self.config.name).map_err(NotAnswered::finally)
    }
}

#[cfg(test)]
#[path = "generation_tests.rs"]
mod tests;

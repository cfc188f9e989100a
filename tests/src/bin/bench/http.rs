//! As much HTTP as llama-server needs: one request per connection.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{beast::LIMIT, process::last_line};

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The status of a GET request; `None` if nothing listens yet.
pub fn get(port: u16, path: &str) -> Result<Option<u16>> {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return Ok(None) };
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("llama-server does not answer")?;
    status(&answer).with_context(|| format!("llama-server answers {answer:?}")).map(Some)
}

fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// An event stream; dropping it disconnects.
pub struct Events(BufReader<TcpStream>);

/// Sends a JSON object that requests an event stream.
pub fn post(port: u16, path: &str, json: &str) -> Result<Events> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let n = json.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {n}"
    );
    stream.write_all(format!("{head}\r\n\r\n{json}").as_bytes())?;
    Ok(Events(BufReader::new(stream)))
}

impl Events {
    /// The next event; `None` at the end. Other lines are skipped, so chunk sizes need no parsing, as llama-server
    /// never splits an event between chunks.
    pub fn next(&mut self) -> Result<Option<Value>> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).context("llama-server does not answer")? == 0 {
                bail!("llama-server hung up in the middle of an answer");
            }
            if let Some(status) = line.strip_prefix("HTTP/1.1 ")
                && !status.starts_with("200")
            {
                let mut why = String::new();
                self.0.read_to_string(&mut why)?;
                bail!("llama-server answers {}: {}", status.trim(), last_line(&why));
            }
            match event(line.trim_end())? {
                Line::Event(event) => return Ok(Some(event)),
                Line::End => return Ok(None),
                Line::Other => {}
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Line {
    Event(Value),
    End,
    Other,
}

fn event(line: &str) -> Result<Line> {
    match line.strip_prefix("data: ") {
        Some("[DONE]") => Ok(Line::End),
        Some(json) => {
            let event: Value = serde_json::from_str(json).context("llama-server sends no JSON")?;
            if let Some(error) = event.get("error") {
                bail!("llama-server: {error}");
            }
            Ok(Line::Event(event))
        }
        None => Ok(Line::Other),
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;

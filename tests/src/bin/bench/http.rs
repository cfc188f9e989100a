//! As much HTTP as llama-server needs: one request on one connection.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use anyhow::{Context as _, Result};

use crate::beast::LIMIT;

/// Code and body of an answer.
pub struct Response {
    pub status: u16,
    pub body: String,
}

/// A port where nobody listened a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Asks; `None` when nobody listens yet.
pub fn get(port: u16, path: &str) -> Result<Option<Response>> {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return Ok(None) };
    exchange(stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).map(Some)
}

/// Sends an object.
pub fn post(port: u16, path: &str, json: &str) -> Result<Response> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let n = json.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {n}"
    );
    exchange(stream, &format!("{head}\r\n\r\n{json}"))
}

fn exchange(mut stream: TcpStream, request: &str) -> Result<Response> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("llama-server does not answer")?;
    parse(&answer).with_context(|| format!("llama-server answers {answer:?}"))
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Response { status, body: body.into() })
}

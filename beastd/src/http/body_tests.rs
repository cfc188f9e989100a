use std::collections::VecDeque;
use std::io::Write;

use tokio::time::{Instant, sleep};

use super::*;

/// A body with a pause before each piece.
struct Slow {
    pieces: VecDeque<&'static [u8]>,
    pause: Duration,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Slow {
    fn new(pieces: impl IntoIterator<Item = &'static [u8]>, pause: Duration) -> Self {
        Self { pieces: pieces.into_iter().collect(), pause, waiting: None }
    }
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let pause = self.pause;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(pause)));
        std::task::ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
    }
}

fn encoded(encoding: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))])
}

fn whole(bytes: Vec<u8>) -> Body {
    Body::Whole(Some(bytes.into()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_pauses_is_given_up_and_one_that_drips_is_too() {
    let began = Instant::now();
    let read = |body| async { read(body, &HeaderMap::new(), 1000).await.map_err(|refusal| refusal.status.as_u16()) };
    assert_eq!(read(Slow::new([&b"a"[..], b"b"], Duration::from_secs(9))).await, Ok(Bytes::from_static(b"ab")));
    assert_eq!(began.elapsed().as_secs(), 27);
    let began = Instant::now();
    assert_eq!(read(Slow::new([&b"a"[..]], Duration::from_secs(11))).await, Err(408));
    assert_eq!(began.elapsed(), SILENCE);
    let began = Instant::now();
    assert_eq!(read(Slow::new([&b"a"[..]; 100], Duration::from_secs(1))).await, Err(408));
    assert_eq!(began.elapsed(), ARRIVAL);
}

#[tokio::test]
async fn the_limit_holds_for_what_comes_and_for_what_is_made_of_it() {
    let status = |refusal: Refusal| refusal.status.as_u16();
    assert_eq!(read(whole(vec![b'x'; 10]), &HeaderMap::new(), 10).await.map(|bytes| bytes.len()), Ok(10));
    assert_eq!(read(whole(vec![b'x'; 11]), &HeaderMap::new(), 10).await.map_err(status), Err(413));
    let pieces = Slow::new([&b"123456"[..]; 2], Duration::ZERO);
    assert_eq!(read(pieces, &HeaderMap::new(), 10).await.map_err(status), Err(413));

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&[b'x'; 1000]).expect("memory takes everything");
    let gzip = gzip.finish().expect("memory takes everything");
    assert_eq!(read(whole(gzip.clone()), &encoded("gzip"), 1000).await.map(|bytes| bytes.len()), Ok(1000));
    assert_eq!(read(whole(gzip.clone()), &encoded("GZIP "), 999).await.map_err(status), Err(413));
    assert_eq!(read(whole(gzip[..20].to_vec()), &encoded("gzip"), 1000).await.map_err(status), Err(400));
    assert_eq!(read(whole(gzip), &encoded("zstd"), 1000).await.map_err(status), Err(400));
    assert_eq!(read(whole(b"x".to_vec()), &encoded("br"), 1000).await.map_err(status), Err(415));
    assert_eq!(read(whole(b"x".to_vec()), &encoded("identity"), 1000).await.map(|bytes| bytes.len()), Ok(1));
}

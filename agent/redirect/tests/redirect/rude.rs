//! DNS servers that misbehave, and a wire that is cut.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hanse_redirect::{
    Clock, Dns, DnsConfig, DnsProblem, RedirectError, TsigAlgorithm, check, lead,
};

use super::bind::{Bind, SECRET, ip, key};

/// What a server does with a message: what comes back, with its length before it.
fn serve(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Some(message) = read(&mut stream) {
                let answer = answer(&message);
                let is_whole = answer.len() > 2
                    && answer.len() - 2 == usize::from(u16::from_be_bytes([answer[0], answer[1]]));
                // A part of an answer is followed by the end of the connection.
                if stream.write_all(&answer).is_err() || !is_whole {
                    break;
                }
            }
        }
    });
    address
}

fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// The head of an answer to a message: authoritative, without records.
fn unsigned(message: &[u8], code: u8) -> Vec<u8> {
    let mut answer = message[..12].to_vec();
    answer[2] |= 0x84;
    answer[3] = code;
    answer[4..12].fill(0);
    answer
}

fn dns(server: String, timeout: Duration) -> Dns {
    let config = DnsConfig {
        server,
        zone: "example.org".parse().unwrap(),
        record: "app.example.org".parse().unwrap(),
        ttl_s: 20,
        key: key("hanse", TsigAlgorithm::HmacSha256, SECRET),
        timeout,
    };
    Dns::try_new(config, Clock::system()).unwrap()
}

async fn said_by(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> RedirectError {
    let dns = dns(serve(answer), Duration::from_secs(30));
    lead(&dns, ip("192.0.2.9"), 9).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_ends_in_its_midst_is_told_apart() {
    let error = said_by(|_| Vec::new()).await;
    assert!(matches!(error, RedirectError::Cut { .. }), "{error}");
    let error = said_by(|message| {
        let mut answer = framed(&unsigned(message, 0));
        answer.truncate(9);
        answer
    })
    .await;
    assert!(matches!(error, RedirectError::Cut { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dns = dns(
        listener.local_addr().unwrap().to_string(),
        Duration::from_millis(100),
    );
    let error = check(&dns).await.unwrap_err();
    assert!(
        error.to_string().contains("no answer came in time"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let error = said_by(|_| framed(b"what?")).await;
    assert!(error.to_string().contains("it ends too early"), "{error}");
    let error = said_by(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(1000)).await;
    assert!(matches!(error, RedirectError::Malformed { .. }), "{error}");
    let error = said_by(|message| {
        let mut answer = unsigned(message, 0);
        answer[0] ^= 1;
        framed(&answer)
    })
    .await;
    assert!(error.to_string().contains("another question"), "{error}");
    // A server that sends back what it got: even with the right signature that is no answer.
    let error = said_by(framed).await;
    assert!(error.to_string().contains("another question"), "{error}");
    let error = said_by(|message| {
        let mut answer = message.to_vec();
        answer[2] |= 0x84;
        framed(&answer)
    })
    .await;
    let is_forged = matches!(
        error,
        RedirectError::Dns {
            problem: DnsProblem::Forged { .. },
            ..
        }
    );
    assert!(is_forged, "{error}");
}

#[tokio::test]
async fn what_comes_without_a_signature_is_not_believed() {
    for (code, name) in [
        (0, "NOERROR"),
        (3, "NXDOMAIN"),
        (5, "REFUSED"),
        (9, "NOTAUTH"),
    ] {
        let error = said_by(move |message| framed(&unsigned(message, code))).await;
        let said = error.to_string();
        assert!(
            said.contains(&format!("{name} without a signature")),
            "{said}"
        );
        let advice = if code == 9 {
            "See that the server has the key"
        } else {
            "Permit the key"
        };
        assert!(said.contains(advice), "{said}");
    }
}

/// A wire to a server on which the answers to the first so many updates are lost.
fn lossy(server: String, lost: usize) -> String {
    let updates = AtomicUsize::new(0);
    serve(move |message| {
        let mut stream = TcpStream::connect(&server).unwrap();
        stream.write_all(&framed(message)).unwrap();
        let answer = read(&mut stream).unwrap();
        let is_update = message[2] >> 3 & 0xf == 5;
        if is_update && updates.fetch_add(1, Ordering::Relaxed) < lost {
            return Vec::new();
        }
        framed(&answer)
    })
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_found_to_have_taken_place() {
    let bind = Bind::start();
    let dns = dns(lossy(bind.server(), 1), Duration::from_secs(30));
    let led = lead(&dns, ip("192.0.2.9"), 9).await.unwrap();
    assert_eq!((led.spread, led.attempts), (None, 2));
    assert!(check(&dns).await.unwrap().leads_to(ip("192.0.2.9")));
}

//! Large reads over HTTP/2 with flow-control windows of any size, on a path of any length.
//!
//! `windows HOST:PORT fill MIB` writes keys of 1 MiB each.
//! `windows HOST:PORT range|snapshot STREAM_KIB CONNECTION_KIB DELAY_MS` reads them all, in one answer or as a
//! snapshot, over a relay that holds everything back for so long each way, and tells the bytes and the
//! seconds in a line of JSON.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const MIB: usize = 1 << 20;

/// A field of a protobuf message: bytes with their length.
fn field(message: &mut BytesMut, number: u8, value: &[u8]) {
    message.put_u8(number << 3 | 2);
    let mut length = value.len();
    while length > 0x7f {
        message.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.put_u8(length as u8);
    message.extend_from_slice(value);
}

fn put(key: &str, value: &[u8]) -> BytesMut {
    let mut message = BytesMut::new();
    field(&mut message, 1, key.as_bytes());
    field(&mut message, 2, value);
    message
}

/// From the first key to the last.
fn everything() -> BytesMut {
    let mut message = BytesMut::new();
    field(&mut message, 1, b"\0");
    field(&mut message, 2, b"\0");
    message
}

/// Both ways, everything is held back for a while.
async fn relay(listener: TcpListener, server: String, delay: Duration) -> Outcome<()> {
    let (client, _) = listener.accept().await?;
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::spawn(carry(from_client, to_server, delay));
    tokio::spawn(carry(from_server, to_client, delay));
    Ok(())
}

async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Duration,
) {
    // What is under way is bounded by the windows that are measured.
    let (send, mut receive) = mpsc::unbounded_channel::<(Instant, Bytes)>();
    tokio::spawn(async move {
        while let Some((due, chunk)) = receive.recv().await {
            sleep_until(due.into()).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
    loop {
        let mut chunk = BytesMut::with_capacity(256 << 10);
        match from.read_buf(&mut chunk).await {
            Ok(read) if read > 0 => drop(send.send((Instant::now() + delay, chunk.freeze()))),
            _ => return,
        }
    }
}

/// Sends a message and reads the answer to its end; how many bytes it had.
async fn ask(sender: &SendRequest<Bytes>, path: &str, message: &[u8]) -> Outcome<usize> {
    let head = Request::post(format!("http://etcd{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut requests) = sender.clone().ready().await?.send_request(head, false)?;
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(message.len().try_into()?);
    framed.extend_from_slice(message);
    requests.send_data(framed.freeze(), true)?;
    let mut body = response.await?.into_body();
    let mut bytes = 0;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        bytes += chunk.len();
        body.flow_control().release_capacity(chunk.len())?;
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    match trailers.get("grpc-status").map(|status| status.as_bytes()) {
        Some(b"0") => Ok(bytes),
        status => Err(format!("{path}: status {status:?}").into()),
    }
}

async fn connect(address: &str, stream: u32, connection: u32) -> Outcome<SendRequest<Bytes>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut builder = Builder::new();
    builder.initial_window_size(stream).initial_connection_window_size(connection);
    let (sender, driver) = builder.handshake(socket).await?;
    tokio::spawn(driver);
    Ok(sender)
}

async fn fill(server: &str, mib: usize) -> Outcome<()> {
    let sender = connect(server, 1 << 20, 1 << 20).await?;
    for number in 0..mib {
        ask(&sender, "/etcdserverpb.KV/Put", &put(&format!("large/{number:05}"), &vec![b'v'; MIB - 256])).await?;
    }
    Ok(())
}

async fn read(server: &str, way: &str, sizes: &[u32; 3]) -> Outcome<()> {
    let [stream, connection, delay] = *sizes;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(relay(listener, server.to_owned(), Duration::from_millis(delay.into())));
    let sender = connect(&address, stream << 10, connection << 10).await?;
    let (path, message) = match way {
        "range" => ("/etcdserverpb.KV/Range", everything()),
        "snapshot" => ("/etcdserverpb.Maintenance/Snapshot", BytesMut::new()),
        _ => return Err(format!("no such way: {way}").into()),
    };
    let began = Instant::now();
    let bytes = ask(&sender, path, &message).await?;
    println!(r#"{{"bytes": {bytes}, "seconds": {:.4}}}"#, began.elapsed().as_secs_f64());
    Ok(())
}

async fn run(arguments: &[String]) -> Outcome<()> {
    match arguments {
        [_, server, way, mib] if way == "fill" => fill(server, mib.parse()?).await,
        [_, server, way, stream, connection, delay] => {
            read(server, way, &[stream.parse()?, connection.parse()?, delay.parse()?]).await
        }
        _ => Err("see the source".into()),
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| {
        let arguments: Vec<_> = env::args().collect();
        runtime.block_on(run(&arguments))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("windows: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Endpoints from DNS. The name server is played by the test: no real one would hold its records.

use std::net::SocketAddr;

use etcd_ark::{Client, Discovery, ErrorKind, TlsConfig};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;

use crate::support::{Server, Tls};

/// A name server with SRV records: names, and the ports that they lead to on this machine.
async fn name_server(records: Vec<(&'static str, u16)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
            let answer = answer(&Message::from_vec(&buffer[..len]).unwrap(), &records);
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    });
    address
}

fn answer(question: &Message, records: &[(&str, u16)]) -> Message {
    let query = question.queries[0].clone();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    for (_, port) in records.iter().filter(|(name, _)| query.name().to_utf8() == *name) {
        let target = Name::from_utf8("localhost.").unwrap();
        let srv = RData::SRV(SRV::new(0, 0, *port, target));
        answer.answers.push(Record::from_rdata(query.name().clone(), 60, srv));
    }
    if answer.answers.is_empty() {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.queries.push(query);
    answer
}

async fn found(discovery: Discovery) -> Vec<String> {
    discovery.endpoints().await.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn encrypted_endpoints_come_before_plaintext_ones() {
    let tls = Tls::new();
    let server = Server::builder().tls(&tls).start().await;
    let names =
        vec![("_etcd-client-ssl._tcp.example.com.", server.port()), ("_etcd-client._tcp.example.com.", 1)];
    let discovery = Discovery::new("example.com").name_server(name_server(names).await);
    let endpoints = found(discovery.allow_plaintext()).await;
    assert_eq!(endpoints, [format!("https://localhost:{}", server.port())]);
    let client = Client::builder(endpoints).unwrap().tls(TlsConfig::new().ca_file(tls.ca()));
    client.connect().await.unwrap().put("k", "v").await.unwrap();
}

#[tokio::test]
async fn plaintext_endpoints_must_be_allowed() {
    let names = vec![("_etcd-client._tcp.example.com.", 7), ("_etcd-client._tcp.example.com.", 8)];
    let discovery = Discovery::new("example.com.").name_server(name_server(names).await);
    let error = discovery.clone().endpoints().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("not allowed"), "{error}");
    assert_eq!(found(discovery.allow_plaintext()).await, ["http://localhost:7", "http://localhost:8"]);
}

#[tokio::test]
async fn a_service_has_records_of_its_own() {
    let names = vec![("_etcd-client-ssl-blue._tcp.example.com.", 7)];
    let address = name_server(names).await;
    let discovery = Discovery::new("example.com").name_server(address);
    assert_eq!(found(discovery.clone().service("blue")).await, ["https://localhost:7"]);
    let error = discovery.endpoints().await.unwrap_err();
    assert!(error.to_string().contains("_etcd-client-ssl._tcp.example.com."), "{error}");
}

//! The worker's front door: the real binary, real sockets, real TLS. auth and issuer are played by this
//! program, over the sockets they have in production; the handshake key is in memory here.

#![cfg(all(feature = "worker", feature = "signer"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "front/stage.rs"]
mod stage;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use stage::{ENDPOINT, Mood, Reply, SOAP, Stage};

#[test]
fn evidence_goes_to_auth_the_voucher_to_issuer_and_the_token_to_the_client() {
    let stage = Stage::new("");
    for http2 in [false, true] {
        let reply = stage.client().http2(http2).post(SOAP);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.text().contains("<token-of-issuer"), "{reply:?}");
        assert_eq!(reply.header("x-correlation-id").map(str::len), Some(32));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    assert_eq!(stage.auth.seen(), 2);
    assert_eq!(stage.issuer.redeemed.load(Ordering::SeqCst), 2);
    stage.counts("chancery_requests_total", "released", 2.0);
    stage.counts("chancery_endpoint_requests_total", ENDPOINT, 2.0);
    stage.counts("chancery_tls_handshakes_total", "1.3", 2.0);
    stage.counts("chancery_leniencies_total", "timestamp-absent", 2.0);
}

#[test]
fn paths_and_methods_nobody_configured_are_turned_away() {
    let stage = Stage::new("");
    let client = stage.client();
    assert_eq!(client.send("GET", "/", &[], b"").status, 404);
    assert_eq!(client.send("POST", "/adfs/services/trust/13/", &[], SOAP).status, 404);
    let reply = client.send("GET", ENDPOINT, &[], b"");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let reply = client.send("PUT", "/adfs/services/trust/mex", &[], SOAP);
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, POST")));
    let reply = client.send("GET", "/adfs/services/trust/mex", &[], b"");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/xml; charset=utf-8")));
    assert!(reply.text().contains("definitions"));
    assert_eq!(client.send("POST", &format!("{ENDPOINT}?client-request-id="), &[], SOAP).status, 200);
    assert_eq!(stage.auth.seen(), 1);
    stage.logs("reason=\"unknown-path\"");
}

#[test]
fn a_description_is_the_same_by_get_and_by_soap_and_asks_nobody_r_p020() {
    const MEX: &str = "/adfs/services/trust/mex";
    const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
    let stage = Stage::new("");
    let question = |inside: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">{GET}</a:Action>\
             <a:MessageID>urn:uuid:7</a:MessageID></s:Header><s:Body>{inside}</s:Body></s:Envelope>"
        )
    };
    let soap = [("content-type", "application/soap+xml; charset=utf-8")];
    for http2 in [false, true] {
        let client = stage.client().http2(http2);
        let fetched = client.send("GET", MEX, &[], b"").text();
        assert!(fetched.starts_with("<wsdl:definitions ") && fetched.ends_with("</wsdl:definitions>"), "{fetched}");
        let reply = client.send("HEAD", MEX, &[], b"");
        let length = fetched.len().to_string();
        assert_eq!((reply.status, reply.header("content-length")), (200, Some(&*length)), "{http2}");
        assert_eq!((reply.header("content-type").is_some(), reply.text()), (true, String::new()), "{http2}");
        for (path, status) in [("/nowhere", 404), (ENDPOINT, 405)] {
            let reply = client.send("HEAD", path, &[], b"");
            assert_eq!((reply.status, reply.text()), (status, String::new()), "{http2} {path}");
        }
        let reply = client.send("POST", MEX, &soap, question("").as_bytes());
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(soap[0].1)));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(reply.text().contains(&format!(">{fetched}</mex:MetadataSection>")), "{}", reply.text());
        assert!(reply.text().len() < fetched.len() + 1024, "{}", reply.text().len());
        let reply = client.send("POST", MEX, &soap, question("<x/>").as_bytes());
        assert!(reply.status == 500 && !reply.text().contains("definitions"), "{}", reply.text());
        assert_eq!(client.send("POST", MEX, &soap, &vec![b' '; 16 * 1024 + 1]).status, 413);
        let coded = [soap[0], ("content-encoding", "gzip")];
        assert_eq!(client.send("POST", MEX, &coded, question("").as_bytes()).status, 415);
        assert_eq!(client.send("POST", MEX, &soap, SOAP).status, 500);
        assert_eq!(client.send("GET", MEX, &[], b"").text(), fetched);
    }
    assert_eq!(stage.auth.seen(), 0);
    stage.counts("chancery_requests_total", "metadata", 8.0);
    stage.counts("chancery_requests_total", "unreadable", 4.0);
    stage.counts("chancery_request_refusals_total", "metadata: not an empty body", 2.0);
    stage.logs("reason=\"metadata: not an empty body\"");
}

#[test]
fn whoever_knows_the_address_of_an_endpoint_alone_asks_there_for_its_description_r_p020() {
    const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
    const FILTERED: &str = "http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Request";
    let stage = Stage::new("");
    let question = |action: &str, inside: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">{action}</a:Action>\
             <a:MessageID>urn:uuid:7</a:MessageID><a:To>https://localhost{ENDPOINT}</a:To></s:Header><s:Body>{inside}</s:Body>\
             </s:Envelope>"
        )
    };
    let soap = [("content-type", "application/soap+xml; charset=utf-8")];
    let client = stage.client();
    let fetched = client.send("GET", "/adfs/services/trust/mex", &[], b"").text();
    let filter = "<m:GetMetadata xmlns:m=\"http://schemas.xmlsoap.org/ws/2004/09/mex\"/>";
    for (action, inside) in [(GET, ""), (FILTERED, filter)] {
        let reply = client.send("POST", ENDPOINT, &soap, question(action, inside).as_bytes());
        assert!(
            reply.status == 200 && reply.text().contains(&format!(">{fetched}</mex:MetadataSection>")),
            "{}",
            reply.text()
        );
    }
    // Nothing else is such a question, nor one that is larger than any.
    let request =
        std::str::from_utf8(SOAP).unwrap().split_once("<s:Body>").unwrap().1.split_once("</s:Body>").unwrap().0;
    for question in [
        question(GET, "<x/>"),
        question(GET, request),
        question("urn:x", ""),
        question(GET, &" ".repeat(16 * 1024)),
        question("http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue", ""),
    ] {
        let reply = client.send("POST", ENDPOINT, &soap, question.as_bytes());
        assert!(reply.status >= 400 && !reply.text().contains("definitions"), "{question}: {}", reply.text());
    }
    assert_eq!(client.post(SOAP).status, 200);
    assert_eq!(stage.auth.seen(), 1);
    stage.counts("chancery_requests_total", "metadata", 3.0);
    stage.counts("chancery_requests_total", "unreadable", 5.0);
}

#[test]
fn a_toolkit_fetches_the_description_of_an_endpoint_there_by_its_query() {
    let stage = Stage::new("");
    for http2 in [false, true] {
        let client = stage.client().http2(http2);
        let document = client.send("GET", "/adfs/services/trust/mex", &[], b"");
        for query in ["wsdl", "WSDL", "Wsdl"] {
            let reply = client.send("GET", &format!("{ENDPOINT}?{query}"), &[], b"");
            assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/xml; charset=utf-8")));
            assert_eq!(reply.text(), document.text());
        }
        let reply = client.send("HEAD", &format!("{ENDPOINT}?wsdl"), &[], b"");
        let length = document.text().len().to_string();
        assert_eq!((reply.status, reply.header("content-length"), reply.text()), (200, Some(&*length), String::new()));
        for query in ["", "?", "?wsdl=1", "?wsdl&x", "?x&wsdl", "?%77sdl", "?xsd=1"] {
            let reply = client.send("GET", &format!("{ENDPOINT}{query}"), &[], b"");
            assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{query}");
        }
        let reply = client.send("PUT", &format!("{ENDPOINT}?wsdl"), &[], SOAP);
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, POST")));
        // It is a question by its method, and a request is one wherever it is sent.
        assert_eq!(client.send("POST", &format!("{ENDPOINT}?wsdl"), &[], SOAP).status, 200);
    }
    assert_eq!(stage.auth.seen(), 2);
    stage.counts("chancery_requests_total", "metadata", 10.0);
}

#[test]
fn an_endpoint_of_which_no_description_is_published_has_none_by_its_query_either() {
    let mut stage = Stage::new("");
    stage.configured(|text| text.replace("kind = \"mex\"", "kind = \"wsdl\""));
    let reply = stage.client().send("GET", &format!("{ENDPOINT}?wsdl"), &[], b"");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}

#[test]
fn a_kerberos_endpoint_has_its_description_by_get_and_reads_no_question_before_somebody_negotiates() {
    let mut stage = Stage::new("");
    stage.configured(|text| text.replace("credential = \"username\"", "credential = \"kerberos\""));
    let client = stage.client();
    let document = client.send("GET", "/adfs/services/trust/mex", &[], b"").text();
    let reply = client.send("GET", &format!("{ENDPOINT}?wsdl"), &[], b"");
    assert!(document.contains(ENDPOINT) && (reply.status, reply.text()) == (200, document), "{reply:?}");
    let soap = [("content-type", "application/soap+xml; charset=utf-8")];
    let question = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action>\
         http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</a:Action></s:Header><s:Body/></s:Envelope>";
    let reply = client.send("POST", ENDPOINT, &soap, question.as_bytes());
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Negotiate")));
    assert_eq!(client.send("POST", "/adfs/services/trust/mex", &soap, question.as_bytes()).status, 200);
}

/// A message in which what auth cannot open is sealed, and a header that means nothing here.
fn sealed() -> String {
    let thumbprint = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";
    let security = format!(
        "<x:EncryptedKey xmlns:x=\"http://www.w3.org/2001/04/xmlenc#\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
         Id=\"ek\"><x:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"/><ds:KeyInfo>\
         <o:SecurityTokenReference><o:KeyIdentifier ValueType=\"{thumbprint}\">AAAAAAAAAAAAAAAAAAAAAAAAAAA=\
         </o:KeyIdentifier></o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>AAEC</x:CipherValue>\
         </x:CipherData><x:ReferenceList><x:DataReference URI=\"#ed\"/></x:ReferenceList></x:EncryptedKey>\
         <x:EncryptedData xmlns:x=\"http://www.w3.org/2001/04/xmlenc#\" Id=\"ed\" \
         Type=\"http://www.w3.org/2001/04/xmlenc#Element\"><x:EncryptionMethod \
         Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"/><x:CipherData><x:CipherValue>AwQF</x:CipherValue>\
         </x:CipherData></x:EncryptedData></o:Security><y:Unknown xmlns:y=\"urn:y\"/>"
    );
    let text = std::str::from_utf8(SOAP).unwrap();
    let from = text.find("<o:UsernameToken>").unwrap();
    let (_, after) = text.split_once("</o:Security>").unwrap();
    [&text[..from], &security, after].concat()
}

#[test]
fn what_is_tolerated_of_a_message_is_counted_also_where_auth_opens_nothing_of_it() {
    let mut stage = Stage::new("");
    stage.configured(|text| text.replace("credential = ", "encryption = true\ncredential = "));
    let reply = stage.client().post(sealed().as_bytes());
    assert!(reply.status == 500 && reply.text().contains(":FailedCheck"), "{}", reply.text());
    stage.counts("chancery_request_refusals_total", "failed-check", 1.0);
    stage.counts("chancery_leniencies_total", "unknown-header", 1.0);
    assert_eq!(stage.auth.seen(), 0);
}

#[test]
fn a_question_for_a_description_takes_the_place_of_a_request() {
    let stage = Stage::new("requests = 1\n");
    stage.auth.mood(Mood::Slow(Duration::from_millis(1500)));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| stage.client().post(SOAP).status);
        stage.auth.wait_for(1);
        let client = stage.client();
        assert_eq!(client.send("POST", "/adfs/services/trust/mex", &[], b"").status, 503);
        assert_eq!(client.send("GET", "/adfs/services/trust/mex", &[], b"").status, 200);
        assert_eq!(first.join().unwrap(), 200);
    });
}

#[test]
fn a_body_above_the_limit_is_refused_whether_it_says_so_or_not() {
    let stage = Stage::new("body_kib = 4\n");
    let client = stage.client();
    let large = vec![b' '; 8 * 1024];
    assert_eq!(client.post(&large).status, 413);
    let mut chunked = format!("POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..8 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&large[..0x400]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert!(client.raw(&chunked).starts_with("HTTP/1.1 413 "));
    assert_eq!(client.http2(true).post(&large).status, 413);
    assert_eq!(stage.client().post(SOAP).status, 200);
    assert_eq!(stage.auth.seen(), 1);
}

#[test]
fn heads_that_are_coded_doubled_or_too_large_are_refused() {
    let stage = Stage::new("headers = 16\n");
    let client = stage.client();
    assert_eq!(client.send("POST", ENDPOINT, &[("content-encoding", "gzip")], SOAP).status, 415);
    let twice = [("content-type", "text/xml"), ("content-type", "application/soap+xml")];
    assert_eq!(client.send("POST", ENDPOINT, &twice, SOAP).status, 400);
    assert_eq!(client.send("POST", ENDPOINT, &[("soapaction", "a"), ("soapaction", "b")], SOAP).status, 400);
    let names: Vec<String> = (0..20).map(|index| format!("x-{index}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(client.send("POST", ENDPOINT, &many, SOAP).status, 431);
    assert_eq!(stage.client().http2(true).send("POST", ENDPOINT, &many, SOAP).status, 431);
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(32 * 1024));
    assert!(client.raw(long.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert_eq!(stage.auth.seen(), 0);
}

#[test]
fn what_cannot_be_read_is_answered_counted_and_logged_under_the_clients_id() {
    let stage = Stage::new("");
    let client = stage.client();
    let deep = format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000));
    let entity = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>";
    for bad in ["", "<", "\u{FEFF}", deep.as_str(), entity, "<a/>", &String::from_utf8_lossy(&SOAP[..SOAP.len() / 2])] {
        let reply = client.post(bad.as_bytes());
        assert!((400..=500).contains(&reply.status), "{reply:?}");
        assert!(!reply.text().contains("root:"), "{reply:?}");
        let id = reply.header("x-correlation-id").unwrap().to_owned();
        stage.logs(&format!("correlation={id}"));
        let lines = stage.log().lines().filter(|line| line.contains(&id)).count();
        assert_eq!(lines, 1);
    }
    assert_eq!(client.post(SOAP).status, 200);
    assert_eq!(stage.auth.seen(), 1);
    stage.counts("chancery_requests_total", "unreadable", 7.0);
}

#[test]
fn the_log_names_a_request_as_its_client_does_and_no_client_writes_a_line_of_its_own() {
    let stage = Stage::new("");
    let client = stage.client();
    let id = "7c1e5f0a-3b8e-4c52-9d0e-5c0f5a3c9a11";
    let ids = |lines: &str| lines.lines().filter(|line| line.contains("message_id=")).count();
    let bad = |message_id: &str, name: &str| {
        let text = String::from_utf8(SOAP.to_vec()).unwrap().replace("RequestType>", "Requesttype>");
        text.replace("urn:uuid:0a3c1f9e-8a53-4c4e-9b5d-0d5a1c7b2f10", message_id).replace("MessageID", name)
    };
    let media = ("content-type", "application/soap+xml; charset=utf-8");
    let reply =
        client.send("POST", ENDPOINT, &[media, ("client-request-id", id)], bad("urn:uuid:1", "MessageID").as_bytes());
    assert_eq!(reply.status, 500, "{reply:?}");
    let correlation = reply.header("x-correlation-id").unwrap();
    stage.logs(&format!("correlation={correlation} client_request_id=\"{id}\" message_id=\"urn:uuid:1\" event="));
    // What MSAL for Go and Java sends is found in the log, though nothing echoes it.
    let path = format!("{ENDPOINT}?client-request-id={id}");
    let reply = client.send("POST", &path, &[media], bad("urn:uuid:2", "messageID").as_bytes());
    assert!(!reply.text().contains("urn:uuid:2"), "{reply:?}");
    stage.logs(&format!("client_request_id=\"{id}\" message_id=\"urn:uuid:2\" event="));
    // A line break, a quotation mark, a terminal's escape, a reversal of the script; and no end.
    let forged = format!("a\"&#10;ERROR worker@1: event=&#9;\u{9b}31m\u{202e}{}", "z".repeat(900));
    client.send("POST", ENDPOINT, &[media, ("client-request-id", "a\" b=c")], bad(&forged, "MessageID").as_bytes());
    stage.logs("message_id=\"a\\\"\\nERROR worker@1: event=\\t\\u{9b}31m\\u{202e}zz");
    let log = stage.log();
    assert_eq!(ids(&log), 3, "{log}");
    assert!(!log.contains("b=c") && log.lines().all(|line| line.len() < 600 && !line.starts_with("ERROR")), "{log}");
}

#[test]
fn a_flood_of_bad_messages_is_a_few_lines_a_second_and_says_how_many_it_left_out() {
    const EACH_SECOND: u64 = 10;
    const FLOOD: u64 = 200;
    let stage = Stage::new("");
    let refused =
        || stage.log().lines().filter(|line| line.contains("event=\"refused\"")).map(str::to_owned).collect::<Vec<_>>();
    let begun = Instant::now();
    for reply in stage.client().posts(b"<", FLOOD) {
        assert_eq!(reply.status, 400);
    }
    let took = begun.elapsed();
    stage.counts("chancery_request_refusals_total", "xml: not well-formed", FLOOD as f64);
    let lines = refused();
    // A second that began before the flood may end in it.
    let most = EACH_SECOND * (took.as_secs() + 2);
    assert!((1..=most).contains(&(lines.len() as u64)) && most < FLOOD, "{} lines in {took:?}", lines.len());
    // When the second is over, the next line says what was left out.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(stage.client().post(b"<").status, 400);
    stage.counts("chancery_request_refusals_total", "xml: not well-formed", FLOOD as f64 + 1.0);
    let after = refused();
    assert_eq!(after.len(), lines.len() + 1);
    let left_out = |line: &String| line.rsplit("left_out=").next().unwrap().parse::<u64>().unwrap();
    assert!(left_out(after.last().unwrap()) > 0, "{after:#?}");
    assert_eq!(after.iter().map(left_out).sum::<u64>() + after.len() as u64, FLOOD + 1, "{after:#?}");
}

#[test]
fn slow_senders_are_cut_off() {
    let stage = Stage::new("body_timeout_s = 3\nbody_octets_per_s = 1000\nhead_timeout_s = 1\nidle_timeout_s = 30\n");
    let started = Instant::now();
    let head = format!("POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<");
    assert!(stage.client().raw(head.as_bytes()).starts_with("HTTP/1.1 408 "));
    assert!((1..3).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(stage.client().raw(b"POST / HTTP/1.1\r\nHos"), "");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    stage.logs("reason=\"slow-head\"");
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let stage = Stage::new("idle_timeout_s = 1\nhead_timeout_s = 5\n");
    let started = Instant::now();
    assert_eq!(stage.client().raw(b""), "");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    stage.counts("chancery_connections_closed_total", "unused", 1.0);
    stage.logs("event=\"closed\" reason=\"unused\" source=127.0.0.1");
    stage.auth.mood(Mood::Slow(Duration::from_millis(1800)));
    assert_eq!(stage.client().post(SOAP).status, 200);
}

#[test]
fn octets_that_are_no_tls_are_a_counted_close() {
    let stage = Stage::new("handshake_timeout_s = 1\n");
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 300], b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"] {
        let mut stream = TcpStream::connect(stage.address).unwrap();
        stream.write_all(garbage).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() <= 7, "at most an alert: {answer:?}");
    }
    // A client that says nothing at all.
    let mut silent = TcpStream::connect(stage.address).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    stage.logs("reason=\"tls\"");
    stage.logs("reason=\"handshake-timeout\"");
    assert_eq!(stage.client().post(SOAP).status, 200);
}

#[test]
fn tls_1_2_is_a_leniency() {
    let strict = Stage::new("");
    assert!(strict.client().tls12().try_post(SOAP).is_err());
    let lenient = Stage::with("1.2", "");
    let client = lenient.client().tls12();
    assert_eq!(client.post(SOAP).status, 200);
    assert_eq!(client.seen().version, Some(rustls::ProtocolVersion::TLSv1_2));
    lenient.counts("chancery_leniencies_total", "tls-1.2", 1.0);
}

#[test]
fn the_key_exchange_is_post_quantum_where_the_client_can() {
    let stage = Stage::new("");
    let client = stage.client();
    assert_eq!(client.post(SOAP).status, 200);
    assert_eq!(client.seen().group, Some(rustls::NamedGroup::X25519MLKEM768));
    assert_eq!(client.seen().version, Some(rustls::ProtocolVersion::TLSv1_3));
}

#[test]
fn a_second_client_hello_is_signed_for_too() {
    let stage = Stage::new("");
    let client = stage.client().awkward_group();
    assert_eq!(client.post(SOAP).status, 200);
    assert_eq!(client.seen().kind, Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
}

/// Or strangers would have more signed at one time than is let in, by the first one or the second that they are asked
/// for.
#[test]
fn each_client_hello_has_its_turn() {
    for awkward in [false, true] {
        client_hellos_have_their_turn(awkward);
    }
}

fn client_hellos_have_their_turn(awkward: bool) {
    let stage = Stage::new("handshakes = 2\n");
    stage.issuer.signs.store(false, Ordering::SeqCst);
    let client = || if awkward { stage.client().awkward_group() } else { stage.client() };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| client().try_post(SOAP))).collect();
        let end = Instant::now() + Duration::from_secs(10);
        while stage.issuer.asked.load(Ordering::SeqCst) < 2 {
            assert!(Instant::now() < end, "issuer is not asked");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(stage.issuer.asked.load(Ordering::SeqCst), 2);
        // Those two end when their time is over, and the others have their turn.
        stage.issuer.signs.store(true, Ordering::SeqCst);
        let served = all.into_iter().map(|one| one.join().unwrap());
        assert_eq!(served.filter(|reply| reply.as_ref().is_ok_and(|reply| reply.status == 200)).count(), 6);
    });
}

#[test]
fn a_client_that_comes_back_costs_no_signature() {
    let stage = Stage::new("");
    let client = stage.client();
    assert_eq!(client.post(SOAP).status, 200);
    let signed = stage.issuer.signed.load(Ordering::SeqCst);
    assert_eq!(client.post(SOAP).status, 200);
    assert_eq!(client.seen().kind, Some(rustls::HandshakeKind::Resumed));
    assert_eq!(stage.issuer.signed.load(Ordering::SeqCst), signed);
}

#[test]
fn one_address_cannot_take_every_connection() {
    let stage = Stage::new("connections_per_source = 4\n");
    let _held: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(stage.address).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert!(stage.client().try_post(SOAP).is_err());
    assert_eq!(stage.client().from("127.0.0.2").post(SOAP).status, 200);
    stage.logs("reason=\"too-many-from-source\"");
}

#[test]
fn ten_thousand_idle_connections_are_held_and_keep_nobody_out() {
    const HELD: usize = 10_000;
    // One end of each is ours, and the other tests in this process need some too.
    let needed = HELD as u64 + 2_000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < needed {
        println!("SKIPPED idle-connections: a process may open {hard} descriptors here, {needed} are needed");
        return;
    }
    // The worker has our limit.
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(needed), hard).unwrap();
    let mut stage = Stage::new("connections = 11000\nhandshake_timeout_s = 600\n");
    assert_eq!(stage.client().post(SOAP).status, 200);
    let before = stage.resident_kib();
    let mut held = stage.silent(HELD);
    stage.counts("chancery_connections", "", HELD as f64);
    let grown = stage.resident_kib().saturating_sub(before);
    println!("{HELD} idle connections: {grown} KiB");
    assert!(grown < 24 * HELD as u64, "{grown} KiB for {HELD} connections");
    let started = Instant::now();
    assert_eq!(stage.client().post(SOAP).status, 200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    stage.counts("chancery_connections", "", HELD as f64);
    stage.terminate();
    let ended = stage.exited(Duration::from_secs(20));
    assert!(ended.success(), "{ended:?}");
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(matches!(stream.read(&mut [0]), Ok(0)), "one was not closed");
    }
}

#[test]
fn more_requests_than_can_be_worked_on_are_told_to_come_back() {
    let stage = Stage::new("requests = 2\n");
    stage.auth.mood(Mood::Slow(Duration::from_millis(1500)));
    std::thread::scope(|scope| {
        let busy: Vec<_> = (0..2).map(|_| scope.spawn(|| stage.client().post(SOAP))).collect();
        stage.auth.wait_for(2);
        let started = Instant::now();
        let refused = stage.client().post(SOAP);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert!(started.elapsed() < Duration::from_millis(900));
        for admitted in busy {
            assert_eq!(admitted.join().unwrap().status, 200);
        }
    });
}

#[test]
fn one_address_cannot_take_every_request() {
    let stage = Stage::new("requests_per_source = 1\n");
    stage.auth.mood(Mood::Slow(Duration::from_millis(1000)));
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| stage.client().post(SOAP));
        stage.auth.wait_for(1);
        assert_eq!(stage.client().post(SOAP).status, 503);
        assert_eq!(stage.client().from("127.0.0.2").post(SOAP).status, 200);
        assert_eq!(busy.join().unwrap().status, 200);
    });
    stage.counts("chancery_request_refusals_total", "overload", 1.0);
}

#[test]
fn a_worker_told_to_stop_finishes_what_it_has_and_its_successor_serves_who_came_meanwhile() {
    let mut stage = Stage::new("");
    stage.auth.mood(Mood::Slow(Duration::from_millis(800)));
    let (client, latecomer) = (stage.client(), stage.client());
    let answered = std::thread::spawn(move || client.post(SOAP));
    stage.auth.wait_for(1);
    stage.terminate();
    stage.logs("event=\"draining\"");
    let waiting = std::thread::spawn(move || latecomer.post(SOAP));
    assert_eq!(answered.join().unwrap().status, 200);
    assert!(stage.exited(Duration::from_secs(3)).success());
    stage.start();
    assert_eq!(waiting.join().unwrap().status, 200);
}

#[test]
fn a_worker_whose_configuration_changed_finishes_what_it_has_and_ends() {
    let mut stage = Stage::new("");
    stage.auth.mood(Mood::Slow(Duration::from_millis(800)));
    let client = stage.client();
    let answered = std::thread::spawn(move || client.post(SOAP));
    stage.auth.wait_for(1);
    stage.tell(nix::sys::signal::Signal::SIGHUP);
    assert_eq!(answered.join().unwrap().status, 200);
    assert!(stage.exited(Duration::from_secs(3)).success());
}

#[test]
fn a_request_on_its_way_to_a_worker_that_was_told_to_stop_is_answered() {
    let mut stage = Stage::new("");
    let client = stage.client();
    let (shaken, connected) = std::sync::mpsc::channel();
    let (go, told) = std::sync::mpsc::channel::<()>();
    let late = std::thread::spawn(move || {
        let head = format!(
            "POST {ENDPOINT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n",
            SOAP.len()
        );
        let between = || {
            shaken.send(()).unwrap();
            told.recv().unwrap();
        };
        client.raw_after(between, &[head.as_bytes(), SOAP].concat())
    });
    connected.recv().unwrap();
    // TLS 1.3: the client is through with the handshake before the server is.
    std::thread::sleep(Duration::from_millis(100));
    stage.terminate();
    stage.logs("event=\"draining\"");
    go.send(()).unwrap();
    let answer = late.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(stage.exited(Duration::from_secs(3)).success());
}

#[test]
fn strangers_who_hold_connections_do_not_hold_up_a_restart() {
    let mut stage = Stage::new("");
    let _silent = TcpStream::connect(stage.address).unwrap();
    let client = stage.client();
    let holding = std::thread::spawn(move || client.raw(b""));
    stage.counts("chancery_connections", "", 2.0);
    let started = Instant::now();
    stage.terminate();
    assert!(stage.exited(Duration::from_secs(5)).success());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(holding.join().unwrap(), "");
}

#[test]
fn a_restart_of_auth_fails_no_request() {
    let mut stage = Stage::new("");
    stage.auth.mood(Mood::Silent);
    let client = stage.client();
    let answered = std::thread::spawn(move || client.post(SOAP));
    stage.auth.wait_for(1);
    stage.restart_auth(Duration::from_millis(700));
    let reply: Reply = answered.join().unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(stage.client().post(SOAP).status, 200);
}

#[test]
fn without_auth_the_client_is_told_when_to_come_back() {
    let mut stage = Stage::new("");
    stage.auth.stop();
    let started = Instant::now();
    let reply = stage.client().post(SOAP);
    assert_eq!((reply.status, reply.header("retry-after")), (500, Some("2")), "{reply:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
    let started = Instant::now();
    assert_eq!(stage.client().post(SOAP).status, 500);
    assert!(started.elapsed() < Duration::from_secs(1), "the second is refused at once");
}

#[test]
fn a_question_that_kills_auth_is_put_twice_and_no_more() {
    let mut stage = Stage::new("");
    stage.auth.mood(Mood::HangUp);
    let client = stage.client();
    let answered = std::thread::spawn(move || client.post(SOAP));
    assert_eq!(answered.join().unwrap().status, 500);
    assert_eq!(stage.auth.seen(), 2);
    stage.auth.mood(Mood::Kind);
    assert_eq!(stage.client().post(SOAP).status, 200);
    stage.terminate();
}

#[test]
fn a_restart_of_issuer_fails_no_request() {
    let mut stage = Stage::new("");
    stage.auth.mood(Mood::Slow(Duration::from_millis(600)));
    let client = stage.client();
    let answered = std::thread::spawn(move || client.post(SOAP));
    stage.auth.wait_for(1);
    // The new issuer does not know the voucher until auth has lodged it again.
    stage.restart_issuer(Duration::from_millis(200), 3);
    assert_eq!(answered.join().unwrap().status, 200);
}

#[test]
fn a_worker_dies_at_its_failpoints_and_its_successor_serves() {
    for failpoint in ["accepted", "released"] {
        let mut stage = Stage::doomed(failpoint);
        assert!(stage.client().try_post(SOAP).is_err(), "{failpoint}");
        assert_eq!(stage.exited(Duration::from_secs(5)).signal(), Some(9), "{failpoint}");
        stage.start();
        assert_eq!(stage.client().post(SOAP).status, 200, "{failpoint}");
    }
}

#[test]
fn no_signature_no_connection() {
    let stage = Stage::new("handshake_signature_timeout_ms = 300\n");
    stage.issuer.signs.store(false, Ordering::SeqCst);
    let started = Instant::now();
    assert!(stage.client().try_post(SOAP).is_err());
    assert!(started.elapsed() < Duration::from_secs(2));
    stage.logs("reason=\"no-signature\"");
    stage.issuer.signs.store(true, Ordering::SeqCst);
    assert_eq!(stage.client().post(SOAP).status, 200);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_cut_off_and_called_again() {
    let stage = Stage::new("");
    stage.auth.mood(Mood::Liar);
    let reply = stage.client().post(SOAP);
    assert_eq!(reply.status, 500);
    stage.logs("event=\"violation\"");
    stage.auth.mood(Mood::Kind);
    assert_eq!(stage.client().post(SOAP).status, 200);
}

#[test]
fn many_handshakes_at_once_all_get_their_signature() {
    let stage = Stage::new("");
    stage.issuer.delay_ms.store(5, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..64).map(|_| scope.spawn(|| stage.client().post(SOAP).status)).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
}

//! `POST /hook/<source>` through the router.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bowline::api::webhook::{Hooks, MAX_BODY, router};
use bowline::net::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tower::ServiceExt;

const HOUR: Duration = Duration::from_secs(3600);

fn hooks(pause: Duration) -> (axum::Router, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    let secrets = BTreeMap::from([
        ("main".to_owned(), Secret::given("canary")),
        ("empty".to_owned(), Secret::given("")),
        ("unreadable".to_owned(), Secret::file("no/such/file")),
    ]);
    let look = move |source: &str| {
        assert_eq!(source, "main");
        counted.fetch_add(1, Ordering::SeqCst);
    };
    (router(Hooks::new(secrets, pause, look)), looks)
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"canary").unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn call(router: &axum::Router, source: &str, headers: &[(&str, &str)], body: Vec<u8>) -> StatusCode {
    let mut request = Request::post(format!("/hook/{source}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status()
}

async fn good(router: &axum::Router, body: &[u8]) -> StatusCode {
    call(router, "main", &[("x-hub-signature-256", &signature(body))], body.to_vec()).await
}

async fn wait_for(looks: &AtomicUsize, count: usize) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while looks.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
}

#[tokio::test]
async fn a_signed_call_asks_for_a_look_whatever_it_says() {
    for body in [&b"{}"[..], b"null", br#"{"ref":null,"repository":null,"commits":null}"#, b"", b"\xff\x00 no JSON"] {
        let (router, looks) = hooks(HOUR);
        assert_eq!(good(&router, body).await, StatusCode::ACCEPTED);
        wait_for(&looks, 1).await;
    }
}

#[tokio::test]
async fn without_a_secret_there_is_no_webhook() {
    let (router, _) = hooks(HOUR);
    for source in ["other", "empty", "unreadable", "main%2f..", "%00"] {
        let status = call(&router, source, &[("x-hub-signature-256", &signature(b"{}"))], b"{}".to_vec()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{source}");
    }
    let get = Request::get("/hook/main").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(get).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_unsigned_or_wrongly_signed_call_is_refused() {
    let (router, looks) = hooks(HOUR);
    assert_eq!(call(&router, "main", &[], b"{}".to_vec()).await, StatusCode::UNAUTHORIZED);
    let right = signature(b"{}");
    for wrong in ["sha256=", &right[..20], &signature(b"{ }")] {
        let status = call(&router, "main", &[("x-hub-signature-256", wrong)], b"{}".to_vec()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{wrong}");
    }
    assert_eq!(call(&router, "main", &[("x-gitlab-token", "canarx")], vec![]).await, StatusCode::FORBIDDEN);
    assert_eq!(call(&router, "main", &[("x-gitlab-token", "canary")], vec![]).await, StatusCode::ACCEPTED);
    wait_for(&looks, 1).await;
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let (router, _) = hooks(HOUR);
    // A gigabyte is only claimed: the answer must come without a byte of it.
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let claimed = Request::post("/hook/main").header("content-length", "1073741824").body(never).unwrap();
    assert_eq!(router.clone().oneshot(claimed).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    // Without a length, reading ends at the limit.
    let endless = Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 65_536])));
    let endless = Request::post("/hook/main").body(endless).unwrap();
    assert_eq!(router.clone().oneshot(endless).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(good(&router, &vec![b' '; MAX_BODY]).await, StatusCode::ACCEPTED);
    assert_eq!(good(&router, &vec![b' '; MAX_BODY + 1]).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_storm_is_one_look_in_a_pause() {
    let (router, looks) = hooks(HOUR);
    for _ in 0..500 {
        assert_eq!(good(&router, b"{}").await, StatusCode::ACCEPTED);
    }
    wait_for(&looks, 1).await;
    assert_eq!(looks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_comes_in_a_pause_is_not_lost() {
    let (router, looks) = hooks(Duration::from_millis(50));
    good(&router, b"{}").await;
    wait_for(&looks, 1).await;
    for _ in 0..20 {
        good(&router, b"{}").await;
    }
    wait_for(&looks, 2).await;
}

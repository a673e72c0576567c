//! A server that speaks a provider's API, and says what it is told to say.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request as the provider read it.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// What the provider does.
#[derive(Clone, Debug)]
pub(crate) enum Speech {
    /// The model's text.
    Says(Value),
    /// A status without an answer.
    Fails(u16),
    /// Nothing, for ever.
    Hangs,
}

/// A provider on loopback. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) address: SocketAddr,
    prompts: Arc<Mutex<Vec<Prompt>>>,
}

impl Model {
    /// Starts one; `speaks` is handed the number of the request, counted from 0.
    pub(crate) async fn start(speaks: impl Fn(usize) -> Speech + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let model = Self { address: listener.local_addr().unwrap(), prompts: Arc::default() };
        let (served, speaks) = (model.clone(), Arc::new(speaks));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (model, speaks) = (served.clone(), Arc::clone(&speaks));
                let service = service_fn(move |request| {
                    let (model, speaks) = (model.clone(), Arc::clone(&speaks));
                    async move { model.answer(request, &*speaks).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        model
    }

    /// What it was asked so far.
    pub(crate) fn prompts(&self) -> Vec<Prompt> {
        self.prompts.lock().unwrap().clone()
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        speaks: &(dyn Fn(usize) -> Speech + Send + Sync),
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().to_owned();
        let number = {
            let mut prompts = self.prompts.lock().unwrap();
            let body = serde_json::from_slice(&text).unwrap();
            prompts.push(Prompt { path: path.clone(), headers: head.headers, body });
            prompts.len() - 1
        };
        let (status, body) = match speaks(number) {
            Speech::Says(routine) if path.ends_with("/v1/messages") => (200, message(&routine)),
            Speech::Says(routine) => (200, completion(&routine)),
            Speech::Fails(status) => (status, json!({"error": {"type": "api_error"}})),
            Speech::Hangs => std::future::pending().await,
        };
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(Full::new(body.to_string().into())).unwrap())
    }
}

fn message(routine: &Value) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": routine.to_string()}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1000, "output_tokens": 50},
    })
}

fn completion(routine: &Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": routine.to_string()}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    })
}

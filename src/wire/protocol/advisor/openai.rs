//! Chat completions, as OpenAI defined them and others speak them: `POST …/chat/completions`.

use serde_json::{Value, json};

use super::grammar::{Optional, closed};
use super::{Constraint, Failure, Heard, Kind, Turn, Usage};

/// The body of a request.
pub(super) fn request(
    kind: Kind,
    model: &str,
    max_tokens: u32,
    constraint: Constraint,
    system: &str,
    schema: &Value,
    turns: &[Turn],
) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": system })];
    messages.extend(turns.iter().map(Turn::message));
    let mut body = json!({ "model": model, "messages": messages, "stream": false });
    // Models that think take only the newer name, older servers only the older one.
    let bound = match kind {
        Kind::OpenAiCompatible => "max_tokens",
        Kind::OpenAi | Kind::AzureOpenAi | Kind::Anthropic => "max_completion_tokens",
    };
    body[bound] = json!(max_tokens);
    if constraint == Constraint::Schema {
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": {
                "name": "routine",
                "strict": true,
                "schema": closed(schema, Optional::Null),
            },
        });
    }
    body
}

/// What an answer with status 200 says.
pub(super) fn heard(body: &Value) -> Heard {
    let count = |name: &str| body["usage"][name].as_u64();
    let usage = count("prompt_tokens")
        .zip(count("completion_tokens"))
        .map(|(input, output)| Usage { input, output });
    Heard { usage, answer: answer(body) }
}

fn answer(body: &Value) -> Result<Value, Failure> {
    let malformed = |what: &str| Failure::Malformed(what.to_owned());
    let choice = body["choices"].get(0).ok_or_else(|| malformed("expected a choice"))?;
    let message = &choice["message"];
    if !message.is_object() {
        return Err(malformed("expected a choice with a message"));
    }
    match choice["finish_reason"].as_str() {
        Some("stop") => {}
        Some("length") => return Err(Failure::CutOff),
        Some("content_filter") => return Err(Failure::Declined),
        _ => return Err(malformed("expected a known finish_reason")),
    }
    if message["refusal"].is_string() {
        return Err(Failure::Declined);
    }
    let text = message["content"].as_str().ok_or_else(|| malformed("expected content"))?;
    super::provider::answer_of(text)
}

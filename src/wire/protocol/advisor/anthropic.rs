//! Anthropic's Messages API: `POST /v1/messages`.
//!
//! The answer is held to the schema by `output_config.format`, or is the input of a tool. A tool is
//! offered and not forced, because models that always think refuse a forced one. Sampling is left
//! alone for the same reason.

use serde_json::{Value, json};

use super::grammar::{Optional, closed};
use super::{Constraint, Failure, Heard, Turn, Usage};

/// The tool whose input is the answer.
pub(super) const TOOL: &str = "propose_routine";

/// The body of a request.
pub(super) fn request(
    model: &str,
    max_tokens: u32,
    constraint: Constraint,
    system: &str,
    schema: &Value,
    turns: &[Turn],
) -> Value {
    let messages: Vec<Value> = turns.iter().map(Turn::message).collect();
    let mut body = json!({
        "model": model,
        "max_tokens": max_tokens,
        "system": system,
        "messages": messages,
    });
    match constraint {
        Constraint::Schema => {
            let schema = closed(schema, Optional::LeftOut);
            body["output_config"] =
                json!({ "format": { "type": "json_schema", "schema": schema } });
        }
        Constraint::Tool => {
            body["tools"] = json!([{
                "name": TOOL,
                "description": "Takes your answer: the routine for the tool that changed.",
                "input_schema": schema,
            }]);
            body["tool_choice"] = json!({ "type": "auto", "disable_parallel_tool_use": true });
        }
        Constraint::Words => {}
    }
    body
}

/// What an answer with status 200 says.
pub(super) fn heard(body: &Value, constraint: Constraint) -> Heard {
    let count = |name: &str| body["usage"][name].as_u64();
    let usage = count("input_tokens").zip(count("output_tokens")).map(|(input, output)| {
        // What is read from or written to a cache is counted beside the input.
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        let cached = cached.into_iter().filter_map(count).fold(0, u64::saturating_add);
        Usage { input: input.saturating_add(cached), output }
    });
    Heard { usage, answer: answer(body, constraint) }
}

fn answer(body: &Value, constraint: Constraint) -> Result<Value, Failure> {
    let Some(blocks) = body["content"].as_array().filter(|_| body["type"] == "message") else {
        return Err(Failure::Malformed("expected a message with content".to_owned()));
    };
    match body["stop_reason"].as_str() {
        Some("end_turn" | "stop_sequence" | "tool_use") => {}
        Some("max_tokens" | "model_context_window_exceeded" | "pause_turn") => {
            return Err(Failure::CutOff);
        }
        Some("refusal") => return Err(Failure::Declined),
        _ => return Err(Failure::Malformed("expected a known stop_reason".to_owned())),
    }
    if constraint == Constraint::Tool {
        let call = blocks.iter().find(|it| it["type"] == "tool_use" && it["name"] == TOOL);
        let call = call.ok_or_else(|| Failure::NotJson(format!("it does not call {TOOL}")))?;
        return super::provider::answer_of(&call["input"].to_string());
    }
    // Blocks of thought may stand before the text.
    let texts = blocks.iter().filter(|it| it["type"] == "text");
    let text: String = texts.filter_map(|it| it["text"].as_str()).collect();
    super::provider::answer_of(&text)
}

//! A server with the tools, resources and prompts that the conformance suite calls by name. What it
//! says is data: `fixtures/conformance/*.json`.

#![expect(deprecated, reason = "what the suite still asks of legacy servers")]

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
    CompleteRequestParams, CompleteResult, ContentBlock, CustomRequest, ErrorData,
    GetPromptRequestParams, GetPromptResponse, Implementation, InitializeResult,
    InputRequiredResult, InputResponses, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, LoggingLevel, LoggingMessageNotificationParam,
    PaginatedRequestParams, ProgressNotificationParam, Prompt, ReadResourceRequestParams,
    ReadResourceResponse, Resource, ResourceTemplate, ServerRequest, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

type Context = RequestContext<RoleServer>;

/// What somebody who listens is told.
#[derive(Clone, Copy)]
enum Changed {
    Tools,
    Prompts,
}

/// The server.
#[derive(Clone)]
pub(crate) struct Fixture {
    tools: Arc<[Tool]>,
    /// Results by tool.
    answers: Arc<BTreeMap<String, Value>>,
    /// Requests of a legacy client by tool.
    asks: Arc<BTreeMap<String, Value>>,
    /// Rounds of input by tool or prompt.
    rounds: Arc<BTreeMap<String, Vec<Value>>>,
    resources: Arc<Value>,
    prompts: Arc<Value>,
    changed: broadcast::Sender<Changed>,
}

impl Fixture {
    /// The server, as its data describe it.
    pub(crate) fn new() -> Self {
        let tools: Vec<Tool> = read(include_str!("../../fixtures/conformance/tools.json"));
        Self {
            tools: tools.into(),
            answers: Arc::new(read(include_str!("../../fixtures/conformance/answers.json"))),
            asks: Arc::new(read(include_str!("../../fixtures/conformance/asks.json"))),
            rounds: Arc::new(read(include_str!("../../fixtures/conformance/rounds.json"))),
            resources: Arc::new(read(include_str!("../../fixtures/conformance/resources.json"))),
            prompts: Arc::new(read(include_str!("../../fixtures/conformance/prompts.json"))),
            changed: broadcast::channel(16).0,
        }
    }

    /// What is still to be asked; `None` where all rounds are over.
    fn round(
        &self,
        name: &str,
        given: Option<InputResponses>,
        state: Option<String>,
        able: &ClientCapabilities,
    ) -> Result<Option<InputRequiredResult>, ErrorData> {
        let Some(rounds) = self.rounds.get(name) else { return Ok(None) };
        let sealed = |round: &Value| round["requestState"].as_str().map(str::to_owned);
        let at = match &state {
            None => 0,
            Some(state) => rounds
                .iter()
                .position(|round| sealed(round).as_ref() == Some(state))
                .ok_or_else(|| invalid("this requestState was not sealed here"))?,
        };
        let asked = rounds[at]["inputRequests"].as_object().unwrap();
        let given = given.unwrap_or_default();
        let answered = asked.keys().all(|key| given.get(key).is_some_and(Value::is_object));
        let next = if answered && !given.is_empty() { at + 1 } else { at };
        let Some(round) = rounds.get(next) else { return Ok(None) };
        let mut round = round.clone();
        round["resultType"] = json!("input_required");
        let requests = round["inputRequests"].as_object_mut().unwrap();
        if name == "test_input_required_result_capabilities" {
            requests.retain(|_, request| match request["method"].as_str() {
                Some("elicitation/create") => able.elicitation.is_some(),
                _ => able.sampling.is_some(),
            });
        }
        Ok(Some(value(round)))
    }

    /// Asks a legacy client in the middle of a call.
    async fn ask(&self, asked: &Value, arguments: &Value, context: &Context) -> CallToolResult {
        let mut params = asked["params"].clone();
        if let (Some(from), Some(to)) =
            (asked["take"]["from"].as_str(), asked["take"]["to"].as_str())
        {
            *params.pointer_mut(to).unwrap() = arguments[from].clone();
        }
        let request = CustomRequest::new(asked["method"].as_str().unwrap(), Some(params));
        match context.peer.send_request(ServerRequest::CustomRequest(request)).await {
            Ok(answer) => text(format!("The client answered: {}", json!(answer))),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
        }
    }

    async fn logged(&self, lines: [&str; 3], context: &Context) -> Result<(), ErrorData> {
        for line in lines {
            let param = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line));
            context.peer.notify_logging_message(param).await.map_err(internal)?;
        }
        Ok(())
    }

    async fn special(&self, name: &str, context: &Context) -> Result<CallToolResult, ErrorData> {
        match name {
            "test_tool_with_logging" => {
                let lines =
                    ["Tool execution started", "Tool processing data", "Tool execution completed"];
                self.logged(lines, context).await?;
            }
            "test_logging_tool" if context.meta.log_level().is_some() => {
                self.logged(["one", "two", "three"], context).await?;
            }
            "test_tool_with_progress" => {
                if let Some(token) = context.meta.get_progress_token() {
                    for done in [0.0, 50.0, 100.0] {
                        let param = ProgressNotificationParam::new(token.clone(), done);
                        let told = context.peer.notify_progress(param.with_total(100.0));
                        told.await.map_err(internal)?;
                    }
                }
            }
            "test_missing_capability" => {
                let able = context.client_capabilities().unwrap_or_default();
                if able.sampling.is_none() {
                    let wanted = value(json!({"sampling": {}}));
                    return Err(ErrorData::missing_required_client_capability(wanted));
                }
            }
            "test_trigger_tool_change" => self.change(Changed::Tools),
            "test_trigger_prompt_change" => self.change(Changed::Prompts),
            _ if self.tools.iter().any(|tool| tool.name == name) => {}
            _ => return Err(invalid(&format!("Unknown tool: {name}"))),
        }
        Ok(text(format!("{name} is done; state-ok")))
    }

    fn change(&self, changed: Changed) {
        // Nobody has to listen.
        let _ = self.changed.send(changed);
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> InitializeResult {
        let able = json!({
            "logging": {}, "completions": {}, "prompts": {"listChanged": true},
            "resources": {"subscribe": true, "listChanged": true}, "tools": {"listChanged": true},
        });
        InitializeResult::new(value(able)).with_server_info(Implementation::new("fixture", "1.0.0"))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        let arguments = json!(request.arguments.unwrap_or_default());
        let able = context.client_capabilities().unwrap_or_default();
        let (given, state) = (request.input_responses, request.request_state);
        if let Some(round) = self.round(name, given, state, &able)? {
            return Ok(round.into());
        }
        if let Some(answer) = self.answers.get(name) {
            return Ok(complete::<CallToolResult>(answer.clone()).into());
        }
        if let Some(asked) = self.asks.get(name) {
            return Ok(self.ask(asked, &arguments, &context).await.into());
        }
        self.special(name, &context).await.map(Into::into)
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: Context,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(complete(json!({"completion": {"values": ["test"], "total": 1, "hasMore": false}})))
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all: Vec<Resource> = value(self.resources["resources"].clone());
        Ok(ListResourcesResult::with_all_items(all))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let all: Vec<ResourceTemplate> = value(self.resources["templates"].clone());
        Ok(ListResourceTemplatesResult::with_all_items(all))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let found = &self.resources["contents"][&request.uri];
        if found.is_null() {
            let data = json!({"uri": request.uri});
            return Err(ErrorData::invalid_params("Resource not found", Some(data)));
        }
        let read: rmcp::model::ReadResourceResult = complete(json!({"contents": [found]}));
        Ok(read.into())
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: Context,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let all: Vec<Prompt> = value(self.prompts["prompts"].clone());
        Ok(ListPromptsResult::with_all_items(all))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let able = context.client_capabilities().unwrap_or_default();
        let (given, state) = (request.input_responses, request.request_state);
        if let Some(round) = self.round(&request.name, given, state, &able)? {
            return Ok(round.into());
        }
        let mut messages = self.prompts["messages"][&request.name].clone();
        if messages.is_null() {
            return Err(invalid(&format!("Unknown prompt: {}", request.name)));
        }
        fill(&mut messages, &request.arguments.unwrap_or_default());
        let prompt: rmcp::model::GetPromptResult = complete(json!({"messages": messages}));
        Ok(prompt.into())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changed.subscribe();
        loop {
            let changed = tokio::select! {
                changed = changes.recv() => changed,
                () = context.cancelled() => return Ok(()),
            };
            // Who did not ask for a kind is not told of it.
            let _ = match changed {
                Ok(Changed::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Changed::Prompts) => context.sink().notify_prompt_list_changed().await,
                Err(_) => return Ok(()),
            };
        }
    }
}

/// Puts arguments where a text names them in braces.
fn fill(messages: &mut Value, arguments: &Map<String, Value>) {
    match messages {
        Value::String(text) => {
            for (name, given) in arguments {
                *text = text.replace(&format!("{{{name}}}"), given.as_str().unwrap_or_default());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, arguments)),
        Value::Object(members) => members.values_mut().for_each(|item| fill(item, arguments)),
        _ => {}
    }
}

fn text(words: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(words)])
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

fn value<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A result that is all there; legacy clients are not told so.
fn complete<T: serde::de::DeserializeOwned>(mut result: Value) -> T {
    result["resultType"] = json!("complete");
    value(result)
}

fn invalid(why: &str) -> ErrorData {
    ErrorData::invalid_params(why.to_owned(), None)
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

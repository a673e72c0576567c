//! Every name that a span or an attribute carries, in one place, because the conventions for MCP and
//! GenAI (OpenTelemetry `semantic-conventions-genai`, status Development) still move.

/// Instrumentation scope of every span.
pub const SCOPE: &str = "dev.stipula";

/// Bytes become words.
pub const RECEIVE: &str = "gateway.receive";
/// Into the peer's words and back, MCP.
pub const TRANSFORM_MCP: &str = "adapter.mcp.transform";
/// The upstream part of an exchange: waiting, retrying, asking.
pub const INVOKE: &str = "runtime.invoke";
/// The reply is held against its contract.
pub const VALIDATE: &str = "runtime.validate";
/// The outcome is told to the control plane.
pub const SEAL: &str = "coherence.seal";
/// Prefix of the span of one upstream attempt; the operator's name of the peer follows.
pub const EXTERNAL_PREFIX: &str = "external.";

/// JSON-RPC method.
pub const METHOD: &str = "mcp.method.name";
/// Tool that is called.
pub const TOOL: &str = "gen_ai.tool.name";
/// What a `tools/call` is among GenAI operations.
pub const OPERATION: &str = "gen_ai.operation.name";
/// Value of [`OPERATION`] for `tools/call`.
pub const EXECUTE_TOOL: &str = "execute_tool";
/// Revision of MCP that the request names.
pub const PROTOCOL_VERSION: &str = "mcp.protocol.version";
/// JSON-RPC id of the request.
pub const REQUEST_ID: &str = "jsonrpc.request.id";
/// JSON-RPC error code of the answer.
pub const STATUS_CODE: &str = "rpc.response.status_code";
/// What kind of failure it was.
pub const ERROR_TYPE: &str = "error.type";
/// Value of [`ERROR_TYPE`] for a result with `isError: true`.
pub const TOOL_ERROR: &str = "tool_error";

/// The operator's name of the peer.
pub const PEER: &str = "stipula.peer";
/// What became of the exchange.
pub const VERDICT: &str = "stipula.verdict";
/// Generation of the snapshot it ran under.
pub const GENERATION: &str = "stipula.generation";
/// Hash of the contract it was held against.
pub const CONTRACT: &str = "stipula.contract";
/// Stable code of a refusal.
pub const CODE: &str = "stipula.code";

//! The closed sets that labels are taken from.

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label's text.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

label!(
    /// How a reply broke its contract; keywords of JSON Schema are gathered by family.
    ViolationKind {
        /// `required`, `dependentRequired`: something promised is absent.
        Missing = "missing",
        /// `type`.
        Type = "type",
        /// `enum`, `const`.
        Value = "value",
        /// `pattern`, `format`.
        Pattern = "pattern",
        /// `minimum`, `maximum`, `multipleOf` and their kin.
        Range = "range",
        /// `minLength`, `maxItems`, `minProperties`, `uniqueItems` and their kin.
        Size = "size",
        /// `additionalProperties`, `unevaluatedProperties` and their kin.
        Unexpected = "unexpected",
        /// `anyOf`, `oneOf`, `not` and other combinations.
        Combination = "combination",
        /// No JSON-RPC reply, or not strict JSON.
        Malformed = "malformed",
        /// Anything else.
        Other = "other",
    }
);

impl ViolationKind {
    /// The family of a violated JSON Schema keyword.
    #[must_use]
    pub fn of_keyword(keyword: &str) -> Self {
        match keyword {
            "required" | "dependentRequired" | "dependencies" => Self::Missing,
            "type" => Self::Type,
            "enum" | "const" => Self::Value,
            "pattern" | "format" => Self::Pattern,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                Self::Range
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "uniqueItems"
            | "minProperties" | "maxProperties" | "contains" | "minContains" | "maxContains" => {
                Self::Size
            }
            "additionalProperties"
            | "additionalItems"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "propertyNames"
            | "false" => Self::Unexpected,
            "anyOf" | "oneOf" | "allOf" | "not" | "if" | "then" | "else" => Self::Combination,
            _ => Self::Other,
        }
    }
}

label!(
    /// Who let a patch through.
    Approval {
        /// The safety gate alone.
        Auto = "auto",
        /// A person.
        Person = "person",
    }
);

label!(
    /// What a negotiation came to.
    NegotiationResult {
        /// A new version is live.
        Applied = "applied",
        /// A person must decide.
        Waiting = "waiting",
        /// Nothing carries the promise over.
        Nothing = "nothing",
        /// It ended in an error, or ran out of rounds or time.
        Failed = "failed",
    }
);

label!(
    /// What came of asking one advisor.
    AdvisorOutcome {
        /// It proposed something.
        Answered = "answered",
        /// It answered without a routine: declined, cut off, not JSON, or nothing to say.
        NoRoutine = "no_routine",
        /// What came back is no answer of its API, or too long.
        Malformed = "malformed",
        /// It asked to be left alone (429).
        Limited = "limited",
        /// No answer in time.
        Slow = "slow",
        /// No connection, or an HTTP status of failure.
        Failed = "failed",
        /// Not asked: its breaker is open.
        Resting = "resting",
        /// Not asked: the budget is used up.
        Spent = "spent",
    }
);

label!(
    /// Why an observation was dropped.
    Dropped {
        /// The ordinary lane was full.
        Ordinary = "ordinary_full",
        /// The reserved lane was full.
        Reserved = "reserved_full",
    }
);

label!(
    /// A limit that bit.
    Limit {
        /// Largest request.
        RequestBytes = "request_bytes",
        /// Largest reply or decompressed body.
        ReplyBytes = "reply_bytes",
        /// Largest server-sent event.
        EventBytes = "event_bytes",
        /// All bodies held at once.
        HeldBytes = "held_bytes",
        /// Header list.
        Headers = "headers",
        /// Depth of a document.
        Depth = "depth",
        /// Nodes of a document.
        Nodes = "nodes",
        /// Connections at once.
        Connections = "connections",
        /// Connections at once of one address.
        PerAddress = "connections_per_address",
        /// Exchanges at once.
        Exchanges = "exchanges",
        /// Memory of the process.
        Memory = "memory",
        /// File descriptors: a connection could not be accepted.
        Descriptors = "file_descriptors",
        /// Bytes of an HTTP/2 connection that carry neither a request nor a body.
        Overhead = "overhead_bytes",
        /// A connection or body that came too slowly, or idled too long.
        Timeout = "timeout",
        /// A quota of requests.
        Rate = "rate",
        /// Calls at once of a peer: no room to wait, or waited too long.
        Queue = "queue",
    }
);

label!(
    /// What came of trying a call again.
    Retried {
        /// An answer came.
        Succeeded = "succeeded",
        /// The last try failed too.
        Failed = "failed",
        /// It was not tried: the budget is used up.
        Denied = "denied",
    }
);

label!(
    /// Why a request was refused for want of room, rate or size.
    Shed {
        /// More requests than the peer is to be asked.
        PeerRate = "peer_rate",
        /// More calls than this tool is to be asked.
        ToolRate = "tool_rate",
        /// More requests than one principal may make.
        PrincipalRate = "principal_rate",
        /// As many calls wait as may.
        Queue = "queue",
        /// As many calls of one principal wait as may.
        PrincipalQueue = "principal_queue",
        /// It waited too long.
        Wait = "wait",
        /// Its arguments, or a text in them, are too long.
        Size = "size",
    }
);

label!(
    /// What came of a call that may wait at an open breaker.
    Held {
        /// The probe came back, or it was the probe.
        Released = "released",
        /// The breaker opened again, or the wait was over.
        Refused = "refused",
        /// As many wait as may: refused at once.
        Full = "full",
        /// Its caller left.
        Left = "left",
    }
);

label!(
    /// How an exchange went that was run in shadow.
    Shadow {
        /// It was carried over, and nothing differed.
        Carried = "carried",
        /// It was not, or something differed.
        Missed = "missed",
        /// Nothing could be compared.
        Untold = "untold",
    }
);

label!(
    /// What became of a notice to the webhook.
    Webhook {
        /// It was taken.
        Delivered = "delivered",
        /// A try failed and another one follows.
        Retried = "retried",
        /// It was given up.
        Failed = "failed",
        /// The queue was full.
        Dropped = "dropped",
    }
);

label!(
    /// Where the time between the first sighting of a drift and the swap goes.
    HealStage {
        /// From the exchange that saw it to the control plane that takes it up.
        Notice = "notice",
        /// The surface is read again.
        Read = "read",
        /// Comparing, proposing, gate, proof.
        Decide = "decide",
        /// Recorded requests are asked again.
        Replay = "replay",
        /// An advisor is asked.
        Advise = "advise",
        /// The new version is written and synced.
        Seal = "seal",
        /// Judges and routines are compiled and put in force.
        Swap = "swap",
    }
);

label!(
    /// What came of reading the configuration again.
    Reloaded {
        /// Another one is in force.
        Applied = "applied",
        /// No key changed.
        Unchanged = "unchanged",
        /// It has faults; the one in force is kept.
        Invalid = "invalid",
        /// A key changed that needs a restart; the one in force is kept.
        NeedsRestart = "needs_restart",
    }
);

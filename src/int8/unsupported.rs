//! Why a graph can't be lowered, and at which of its nodes.

/// Why something can't be lowered.
pub type Why = String;

/// The node that keeps a graph from being lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The node's name, or its first output's where it has none; empty where no one node is to blame.
    pub node: String,
    /// The ONNX operator.
    pub op: String,
    /// What about it can't be lowered.
    pub why: Why,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.node.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "{} ({}): {}", self.node, self.op, self.why)
        }
    }
}

impl std::error::Error for Unsupported {}

//! What offers, demands and money owners do on a running network: write statements, sign them with the right
//! sequence number, hand them to a node through its control socket, and follow them until they are final.
//!
//! [`connection`] asks the node, [`documents`] reads what people write, [`submit`] signs and hands in,
//! [`track`] waits, [`found`] writes the files a new network starts from and [`node_toml`] the commented
//! configuration of a node. Nothing here is part of a node; the command line is in `cli::client`.

pub mod connection;
pub mod documents;
mod error;
pub mod found;
pub mod node_toml;
pub mod submit;
pub mod track;

pub use connection::{NodeClient, control_socket};
pub use documents::{DemandDocument, DocumentError, OfferDocument};
pub use error::ClientError;
pub use submit::{SubmitOptions, SubmittedRecord};

//! Requests as if they had come, for tests of what they lead to.

use super::{Peer, Proof, Trust, Verified};
use crate::jose::{self, Binding, Digest, Signer, Unverified, random, testing};
use bytes::Bytes;
use policy::Timestamp;
use std::sync::Arc;

impl Trust {
    /// A request that this peer has signed for us.
    pub(crate) fn come(&self, from: &Peer, body: &str, now: Timestamp) -> Verified<Bytes> {
        let signer = Signer::new(&format!("{}#k1", from.did), testing::rfc7515_private()).unwrap();
        let me = self.me().as_str();
        let binding = || Binding::Request {
            method: "POST",
            url: "https://lycee.example/here",
        };
        let (jti, body) = (
            random::message_id(now).unwrap(),
            Bytes::copy_from_slice(body.as_bytes()),
        );
        let header = jose::seal(&signer, me, binding(), Digest::EMPTY, &body, now, &jti).unwrap();
        let checked = Unverified::parse(&header).unwrap().check(me, binding(), now).unwrap();
        let key = signer.key().verifying_key();
        Verified {
            value: body.clone(),
            sender: Arc::new(from.clone()),
            proof: Proof::Signed {
                opened: Arc::new(checked.verify(key, &body).unwrap()),
                key: key.thumbprint(),
            },
            body,
        }
    }
}

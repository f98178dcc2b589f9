//! Gossipsub, set up for a few validators and small announcements.

use std::collections::HashSet;
use std::time::Duration;

use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter, Message,
    MessageAuthenticity, MessageId, ValidationMode, WhitelistSubscriptionFilter,
};
use tonle_model::hash::{ChainHash, TaggedHasher};

use super::{ANNOUNCEMENT_BYTES_MAX, NetworkError};

/// Tag of the hash that names an announcement in gossipsub's own messages.
const ANNOUNCEMENT_TAG: &str = "tonle.announcement.v1";
/// Above this many neighbours they are thinned out to [`NEIGHBOURS`].
const NEIGHBOURS_MAX: usize = 16;
/// As many neighbours as possible up to this count relay everything to each other. It exceeds the
/// degree of small networks on purpose: in a sparse one each edge may be the only way.
const NEIGHBOURS: usize = 10;
/// Below this many, neighbours are added as soon as they subscribe.
const NEIGHBOURS_MIN: usize = 8;
/// How long an announcement is known as seen. Longer than gossipsub's history of five heartbeats,
/// or it would be fetched again.
const SEEN: Duration = Duration::from_secs(10);
/// Messages that gossipsub may hold for one peer.
const QUEUE_MAX: usize = 512;

/// Gossipsub that knows one topic.
pub(super) type Gossip =
    Behaviour<IdentityTransform, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// The topic of a chain.
pub(super) fn topic(chain: &ChainHash) -> IdentTopic {
    IdentTopic::new(format!("tonle/announcements/1/{chain}"))
}

/// Gossipsub, subscribed to the topic of the chain.
pub(super) fn gossip(chain: &ChainHash) -> Result<Gossip, NetworkError> {
    let setup = |error: &dyn std::fmt::Display| NetworkError::Setup(error.to_string());
    let config = ConfigBuilder::default()
        .protocol_id_prefix("/tonle/meshsub")
        .heartbeat_interval(Duration::from_secs(1))
        .max_transmit_size(ANNOUNCEMENT_BYTES_MAX + 1024)
        // What an announcement says is signed by its author; who relayed it, by Noise.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(name)
        .duplicate_cache_time(SEEN)
        .mesh_n_low(NEIGHBOURS_MIN)
        .mesh_n(NEIGHBOURS)
        .mesh_n_high(NEIGHBOURS_MAX)
        .mesh_outbound_min(0)
        // A peer that left the mesh by a restart is back as soon as it is connected.
        .prune_backoff(Duration::from_secs(1))
        .unsubscribe_backoff(Duration::from_secs(1))
        .graft_flood_threshold(Duration::from_secs(0))
        .connection_handler_queue_len(QUEUE_MAX)
        .build()
        .map_err(|error| setup(&error))?;
    let topic = topic(chain);
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(HashSet::from([topic.hash()])),
        max_subscribed_topics: 1,
        max_subscriptions_per_request: 4,
    };
    let mut gossip =
        Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
            .map_err(|error| setup(&error))?;
    gossip.subscribe(&topic).map_err(|error| setup(&error))?;
    Ok(gossip)
}

fn name(message: &Message) -> MessageId {
    MessageId::new(TaggedHasher::new(ANNOUNCEMENT_TAG).part(&message.data).finish().as_ref())
}

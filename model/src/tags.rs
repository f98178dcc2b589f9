//! The domain tags of all hashes and signatures, in one place so that no two can be the same.

/// Over the SCALE genesis: names the chain.
pub const CHAIN: &str = "tonle.chain.v1";
/// Over a transaction's SCALE payload (which begins with the chain hash).
pub const TRANSACTION: &str = "tonle.transaction.v1";
/// Over an authority and a reference: what may be used once within its window.
pub const REFERENCE: &str = "tonle.reference.v1";
/// Over a transaction or proposal and a place in it: names a hold.
pub const HOLD: &str = "tonle.hold.v1";
/// Over chain and number: what stands for the transaction of a step of the genesis.
pub const GENESIS_STEP: &str = "tonle.genesis.step.v1";
/// Over a transaction and a step: names what an account's signatories may approve.
pub const ACCOUNT_PROPOSAL: &str = "tonle.account.proposal.v1";
/// Over the complete signed bytes of one transaction, as a leaf of its batch.
pub const BATCH_LEAF: &str = "tonle.batch.leaf.v1";
/// Over author, number, count and Merkle root of a batch.
pub const BATCH: &str = "tonle.batch.v1";
/// Over chain and digest: what the author of a batch signs.
pub const BATCH_SIGNATURE: &str = "tonle.batch.signature.v1";
/// Over the SCALE header.
pub const BLOCK: &str = "tonle.block.v1";
/// Over chain, height, view and kind: what a vote signs.
pub const VOTE: &str = "tonle.vote.v1";
/// Over chain, height, view and block: what a leader signs.
pub const PROPOSAL: &str = "tonle.proposal.v1";
/// Over state root, receipts root and next validators.
pub const RESULT: &str = "tonle.result.v1";
/// Over the SCALE validator set.
pub const VALIDATORS: &str = "tonle.validators.v1";
/// Over transaction hash and outcome: a leaf of the receipts tree.
pub const RECEIPT: &str = "tonle.receipt.v1";
/// Over key, value and next key: a leaf of the state tree.
pub const STATE_LEAF: &str = "tonle.state.leaf.v1";
/// Over two children: an interior node of any Merkle tree.
pub const NODE: &str = "tonle.node.v1";
/// The root of a tree without leaves.
pub const EMPTY: &str = "tonle.empty.v1";
/// Over all keys, messages and signatures of a batch check: where its coefficients come from.
pub const BATCH_CHECK: &str = "tonle.batchcheck.v1";
/// Over a query's SCALE payload (which begins with the chain hash): what its signatures sign.
pub const QUERY: &str = "tonle.query.v1";
/// Over the 32 bytes of a token for event streams: what the node keeps of it.
pub const STREAM_TOKEN: &str = "tonle.stream.token.v1";
/// Over chain, height and block: what a key signs to become a validator's.
pub const JOINING: &str = "tonle.joining.v1";
/// Over a name: the seed of a demo key, known to everyone.
pub const DEMO_KEY: &str = "tonle.demo.key.v1";

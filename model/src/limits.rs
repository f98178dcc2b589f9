//! Every bound of the wire and the ledger, by name (ledger.md, Transaction: Limits).

/// Longest SCALE transaction, signatures included.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024;
/// Most steps in one transaction.
pub const STEPS_MAX: usize = 256;
/// Most signatures on one transaction.
pub const SIGNATURES_MAX: usize = 32;
/// Longest transaction reference and memo, in bytes of UTF-8.
pub const REFERENCE_BYTES_MAX: usize = 64;
/// Longest memo of a transfer, in bytes of UTF-8.
pub const MEMO_BYTES_MAX: usize = 140;
/// Longest SCALE batch.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Most transactions in one batch: no smaller transaction than this share of a batch exists.
pub const BATCH_TRANSACTIONS_MAX: usize = 4096;
/// Most batches in one header.
pub const HEADER_BATCHES_MAX: usize = 256;
/// Most batch bytes in one block.
pub const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most signatures in one block.
pub const BLOCK_SIGNATURES_MAX: usize = 16_384;
/// Most validators in a set.
pub const VALIDATORS_MAX: usize = 100;
/// How many heights ago the block may be that a new validator signs.
pub const JOINING_HEIGHTS_MAX: u64 = 256;
/// Most changes of the validators in a network's life: a proof carries them all.
pub const VALIDATOR_CHANGES_MAX: usize = 1_024;
/// Most nullifications in a justification: a leader further behind waits for a certificate.
pub const JUSTIFICATION_NULLIFICATIONS_MAX: usize = 256;
/// Undecided bytes that one author may have in the pool.
pub const AUTHOR_UNDECIDED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Clock drift that a validator allows a leader, and a client, in milliseconds.
pub const DRIFT_MS: u64 = 5_000;
/// Longest life of a transaction that the parameter `max_ttl_ms` may allow, in milliseconds.
pub const TTL_MS_MAX: u64 = 600_000;
/// Most instructions in a genesis.
pub const GENESIS_STEPS_MAX: usize = 1_000_000;
/// Most signatories of one account.
pub const SIGNATORIES_MAX: usize = 32;
/// Longest reason for a freeze or a recall, in bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 256;
/// Longest id of an invoice, in bytes of UTF-8.
pub const INVOICE_ID_BYTES_MAX: usize = 64;
/// How far ahead an invoice may expire, in milliseconds: a day.
pub const INVOICE_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Longest that a hold may reserve an invoice, in milliseconds.
pub const INVOICE_HOLD_MS_MAX: u64 = 600_000;
/// Longest life of a hold, in milliseconds: a year.
pub const HOLD_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;
/// Longest life of a proposal, in milliseconds: 30 days.
pub const PROPOSAL_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Most instructions of one proposal.
pub const PROPOSAL_INSTRUCTIONS_MAX: usize = 64;
/// Most open proposals of one account.
pub const PROPOSALS_PER_ACCOUNT_MAX: usize = 32;
/// Most permissions of one role, and most that one account is given directly.
pub const PERMISSIONS_MAX: usize = 64;
/// Most roles of one account.
pub const ROLES_PER_ACCOUNT_MAX: usize = 16;
/// Most tiers that an asset limits.
pub const TIERS_MAX: usize = 16;
/// Longest note of an account's metadata, in bytes of UTF-8.
pub const METADATA_BYTES_MAX: usize = 256;
/// Most notes of one account.
pub const METADATA_ENTRIES_MAX: usize = 32;
/// Most assets of an account that is closed.
pub const CLOSED_ASSETS_MAX: usize = 256;
/// Most expired entries that one block forgets.
pub const FORGOTTEN_PER_BLOCK_MAX: usize = 1_024;

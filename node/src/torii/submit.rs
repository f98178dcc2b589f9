//! Taking transactions in: one or an array, JSON or SCALE.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use parity_scale_codec::{Compact, Encode};
use serde::de::DeserializeOwned;
use tonle_client::api::{
    EncodeReply, RefusedItem, RefusedTag, SubmitCode, SubmitItem, SubmitOutcome, SubmitReply,
    TRANSACTIONS_MAX, TransactionStatus,
};
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::transaction::{FormError, Payload, SignedTransaction, Transaction};
use tonle_model::{decode, hex};

use super::negotiate::{Form, form_of_answer, form_of_body, json, scale};
use super::problem::{self, ApiError};
use super::{App, Refusal, RefusalClass, SUBMIT_MAX, Shared, Submitted, body};

/// One transaction, or an array: answered alike, but not in the same shape.
struct Request {
    transactions: Vec<SignedTransaction>,
    array: bool,
}

type Answer = (TransactionHash, Result<Submitted, Refusal>);

/// `POST /v1/transactions`
pub(super) async fn submit(
    State(shared): App,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (form, held) = receive(&shared, &headers, body).await?;
    let request = match form {
        Form::Scale => from_scale(&shared.genesis.chain, held.bytes.clone())?,
        Form::Json => from_json(&held.bytes)?,
    };
    let hashes: Vec<_> = request.transactions.iter().map(SignedTransaction::hash).collect();
    let answers = decided(&shared, request.transactions).await?;
    let mut answers: Vec<Answer> = hashes.into_iter().zip(answers).collect();
    match (request.array, answers.pop()) {
        (false, Some(answer)) => one(answer, form_of_answer(&headers)),
        (_, last) => {
            answers.extend(last);
            many(answers, form_of_answer(&headers))
        }
    }
}

/// `POST /v1/transactions/encode`
pub(super) async fn encode(
    State(shared): App,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (form, held) = receive(&shared, &headers, body).await?;
    let payload: Payload = match form {
        Form::Json => parse(&held.bytes, "payload")?,
        Form::Scale => decode::all(&held.bytes)
            .map_err(|error| ApiError::malformed(format!("not a payload: {error}")))?,
    };
    let reply = EncodeReply { hash: payload.hash(), payload: hex::encode(&payload.encode()) };
    Ok(json(StatusCode::OK, reply))
}

/// What the node says to each. Its work goes on if the client hangs up or we stop waiting: what it
/// noted as queued must be queued.
async fn decided(
    shared: &Arc<Shared>,
    transactions: Vec<SignedTransaction>,
) -> Result<Vec<Result<Submitted, Refusal>>, ApiError> {
    let node = Arc::clone(&shared.node);
    let work = tokio::spawn(async move { node.submit(transactions).await });
    match tokio::time::timeout(SUBMIT_MAX, work).await {
        Ok(answers) => problem::joined(answers),
        Err(_) => Err(ApiError::busy(
            "no_answer",
            "the node did not decide in time whether to take this; ask for its status, or send it \
             again, which is safe",
        )),
    }
}

pub(super) async fn receive(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Form, body::Held), ApiError> {
    match form_of_body(headers) {
        Ok(form) => Ok((form, body::read(shared, headers, body).await?)),
        Err(error) => {
            body::drain(body).await;
            Err(error)
        }
    }
}

/// A SCALE body is one transaction if it begins with this network's hash, as a payload does, and
/// an array otherwise: an array begins with its count, and then comes that hash. What is neither
/// may be one transaction for another network, which deserves its own answer.
fn from_scale(chain: &ChainHash, bytes: Bytes) -> Result<Request, ApiError> {
    let one = |bytes| SignedTransaction::decode(bytes).map(|transaction| vec![transaction]);
    if bytes.starts_with(chain.as_ref()) {
        let transactions = one(bytes).map_err(|error| ill_formed(None, &error))?;
        return Ok(Request { transactions, array: false });
    }
    match scale_array(bytes.clone()) {
        Ok(transactions) => Ok(Request { transactions, array: true }),
        Err(error) => match one(bytes) {
            Ok(transactions) => Ok(Request { transactions, array: false }),
            Err(_) => Err(error),
        },
    }
}

fn scale_array(bytes: Bytes) -> Result<Vec<SignedTransaction>, ApiError> {
    let mut input: &[u8] = &bytes;
    let count = decode::next::<Compact<u32>>(&mut input)
        .map_err(|error| ApiError::malformed(format!("not an array of transactions: {error}")))?;
    let count = count.0 as usize;
    check_count(count)?;
    let mut rest = bytes.slice(bytes.len() - input.len()..);
    let mut transactions = Vec::with_capacity(count);
    for position in 0..count {
        let transaction = SignedTransaction::decode_first(&mut rest)
            .map_err(|error| ill_formed(Some(position), &error))?;
        transactions.push(transaction);
    }
    match rest.len() {
        0 => Ok(transactions),
        more => Err(ApiError::malformed(format!(
            "{more} bytes after the {count} transactions that the array says it has"
        ))),
    }
}

fn from_json(bytes: &[u8]) -> Result<Request, ApiError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let array = first == Some(&b'[');
    let transactions: Vec<Transaction> = match array {
        true => parse(bytes, "array of transactions")?,
        false => vec![parse(bytes, "transaction")?],
    };
    if array {
        check_count(transactions.len())?;
    }
    let position = |position| array.then_some(position);
    let transactions = transactions.iter().enumerate().map(|(index, transaction)| {
        SignedTransaction::from_transaction(transaction)
            .map_err(|error| ill_formed(position(index), &error))
    });
    Ok(Request { transactions: transactions.collect::<Result<_, _>>()?, array })
}

/// Reads JSON; `what` says what it should be.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::malformed(format!("not the JSON of a {what}: {error}")))
}

fn check_count(count: usize) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::malformed("the array is empty; put at least one transaction in it")),
        1..=TRANSACTIONS_MAX => Ok(()),
        _ => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_many_transactions",
            format!("an array has at most {TRANSACTIONS_MAX} transactions; send several arrays"),
        )),
    }
}

fn ill_formed(position: Option<usize>, error: &FormError) -> ApiError {
    let (status, code) = match error {
        FormError::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
        FormError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "transaction_too_large"),
        FormError::NoSteps => (StatusCode::BAD_REQUEST, "no_steps"),
        FormError::EmptyWindow => (StatusCode::BAD_REQUEST, "empty_window"),
        FormError::NoSignatures => (StatusCode::UNAUTHORIZED, "no_signatures"),
        FormError::RepeatedSignature(_) => (StatusCode::UNAUTHORIZED, "repeated_signature"),
    };
    let detail = match position {
        None => error.to_string(),
        Some(position) => {
            format!("transaction {position} of the array, from 0: {error}; nothing was taken")
        }
    };
    ApiError::new(status, code, detail)
}

fn one((hash, answer): Answer, form: Form) -> Result<Response, ApiError> {
    let submitted = answer?;
    let status = accepted(submitted.known.is_some());
    Ok(match form {
        Form::Scale => scale(status, &vec![(hash, code_of_taken(submitted.known.as_ref()))]),
        Form::Json => {
            let known = submitted.known.unwrap_or(TransactionStatus::Queued);
            json(status, SubmitReply { hash, status: known })
        }
    })
}

fn accepted(known: bool) -> StatusCode {
    if known { StatusCode::OK } else { StatusCode::ACCEPTED }
}

/// A list is an answer if anything in it is good news. If nothing is, the request failed: with the
/// refusal that time may cure, if there is one, so that a client knows to try again.
fn many(answers: Vec<Answer>, form: Form) -> Result<Response, ApiError> {
    if answers.iter().all(|(_, answer)| answer.is_err()) {
        return Err(all_refused(answers, form));
    }
    let known = |answer: &Result<Submitted, _>| {
        answer.as_ref().is_ok_and(|submitted| submitted.known.is_some())
    };
    let status = accepted(answers.iter().all(|(_, answer)| known(answer)));
    Ok(match form {
        Form::Scale => {
            let codes: Vec<_> =
                answers.iter().map(|(hash, answer)| (*hash, code_of(answer))).collect();
            scale(status, &codes)
        }
        Form::Json => json(status, answers.into_iter().map(item).collect::<Vec<_>>()),
    })
}

fn all_refused(answers: Vec<Answer>, form: Form) -> ApiError {
    let refusals = || answers.iter().filter_map(|(_, answer)| answer.as_ref().err());
    let curable = refusals()
        .find(|refusal| matches!(refusal.class, RefusalClass::Busy | RefusalClass::NotReady));
    let Some(refusal) = curable.or_else(|| refusals().next()).cloned() else {
        return ApiError::malformed("the array is empty; put at least one transaction in it");
    };
    match form {
        // Whoever wants one byte about each does not want a page about each.
        Form::Scale => refusal.into(),
        Form::Json => ApiError::from(refusal).with_results(answers.into_iter().map(item).collect()),
    }
}

fn item((hash, answer): Answer) -> SubmitItem {
    let outcome = match answer {
        Ok(submitted) => SubmitOutcome::Taken(submitted.known.unwrap_or(TransactionStatus::Queued)),
        Err(refusal) => SubmitOutcome::Refused(RefusedItem {
            status: RefusedTag::Refused,
            code: refusal.code.to_owned(),
            detail: refusal.detail,
            http_status: problem::status_of(refusal.class).as_u16(),
        }),
    };
    SubmitItem { hash, outcome }
}

fn code_of(answer: &Result<Submitted, Refusal>) -> SubmitCode {
    match answer {
        Ok(submitted) => code_of_taken(submitted.known.as_ref()),
        Err(refusal) => match refusal.class {
            RefusalClass::Signature => SubmitCode::BadSignature,
            RefusalClass::Unprocessable => SubmitCode::Unprocessable,
            RefusalClass::Busy => SubmitCode::Busy,
            RefusalClass::NotReady => SubmitCode::NotReady,
        },
    }
}

fn code_of_taken(known: Option<&TransactionStatus>) -> SubmitCode {
    match known {
        None | Some(TransactionStatus::Queued) => SubmitCode::Queued,
        Some(TransactionStatus::Committed { .. }) => SubmitCode::Committed,
        Some(TransactionStatus::Rejected { .. }) => SubmitCode::Rejected,
        Some(TransactionStatus::Expired) => SubmitCode::Expired,
    }
}

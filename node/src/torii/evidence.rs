//! Evidence: what this node saw validators sign against the rules.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tonle_client::api::{self, EvidenceKind, Page, PublicReads, Said, Statement};
use tonle_model::validators::ValidatorSet;
use tonle_wsv::chain::{EvidencePlace, EvidenceRow, Signed, Statements};

use super::negotiate::{Query, json};
use super::problem::{ApiError, stored};
use super::reads::{ListQuery, off_thread, page_length};
use super::{App, answers};

/// `GET /v1/evidence`
pub(super) async fn list(
    State(shared): App,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::Chain)?;
    let length = page_length(limit)?;
    let after = cursor.map(|cursor| answers::parse_cursor::<EvidencePlace>(cursor.as_str()));
    let after = after.transpose()?;
    off_thread(shared, move |shared| {
        // One more than the page holds tells whether it is the last.
        let mut rows = stored(shared.node.chain().evidence(after.as_ref(), length + 1))?;
        let more = rows.len() > length;
        rows.truncate(length);
        let next = rows.last().filter(|_| more).map(|row| row.place().to_string());
        let validators = shared.node.world().validators();
        let items: Vec<_> = rows.iter().map(|row| shown(row, &validators)).collect();
        Ok(json(StatusCode::OK, Page { items, next }))
    })
    .await
}

/// A row as the API has it; a validator that is one no more has no name.
pub(super) fn shown(row: &EvidenceRow, validators: &ValidatorSet) -> api::Evidence {
    let EvidenceRow { height, view, validator, statements, seen_ms } = row;
    let place = validators.index_of(validator).and_then(|index| validators.get(index));
    let (kind, statements) = match statements {
        Statements::Votes(votes) => {
            let said =
                votes.map(|Signed { said, signature }| Statement { said: said.into(), signature });
            (EvidenceKind::Votes, said)
        }
        Statements::Proposals(proposals) => {
            let said = proposals.map(|Signed { said: block, signature }| Statement {
                said: Said::Propose { block },
                signature,
            });
            (EvidenceKind::Proposals, said)
        }
    };
    api::Evidence {
        height: *height,
        view: *view,
        public_key: *validator,
        name: place.map(|validator| validator.name.clone()),
        kind,
        statements,
        seen_ms: *seen_ms,
    }
}

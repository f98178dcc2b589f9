//! Which form a body has and which the answer shall have: JSON for people, SCALE for speed.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parity_scale_codec::Encode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;
use tonle_client::api::{JSON, SCALE};

use super::problem::ApiError;

/// The two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`.
    Json,
    /// `application/x-parity-scale`.
    Scale,
}

/// The form of the body by `Content-Type`; parameters such as a charset decide nothing.
pub(super) fn form_of_body(headers: &HeaderMap) -> Result<Form, ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.map(|text| essence(text).to_ascii_lowercase());
    match essence.as_deref() {
        Some(JSON) => Ok(Form::Json),
        Some(SCALE) => Ok(Form::Scale),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("set the header Content-Type to {JSON} or {SCALE}"),
        )),
    }
}

/// The form of the answer by `Accept`: SCALE if it is named, else JSON.
pub(super) fn form_of_answer(headers: &HeaderMap) -> Form {
    let values =
        headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let scale = values
        .flat_map(|value| value.split(','))
        .any(|range| essence(range).eq_ignore_ascii_case(SCALE));
    if scale { Form::Scale } else { Form::Json }
}

fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// An answer in SCALE.
pub(super) fn scale(status: StatusCode, value: &impl Encode) -> Response {
    (status, [(header::CONTENT_TYPE, SCALE)], value.encode()).into_response()
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: impl Serialize) -> Response {
    (status, Json(value)).into_response()
}

/// The one variable segment of a path, parsed.
pub(super) struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text: String = segments(parts, state).await?;
        Ok(Self(parsed(&text)?))
    }
}

/// The two variable segments of a path, parsed.
pub(super) struct Path2<A, B>(pub A, pub B);

impl<A, B, S> FromRequestParts<S> for Path2<A, B>
where
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (first, second): (String, String) = segments(parts, state).await?;
        Ok(Self(parsed(&first)?, parsed(&second)?))
    }
}

/// The three variable segments of a path, parsed.
pub(super) struct Path3<A, B, C>(pub A, pub B, pub C);

impl<A, B, C, S> FromRequestParts<S> for Path3<A, B, C>
where
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
    C: FromStr<Err: Display>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (first, second, third): (String, String, String) = segments(parts, state).await?;
        Ok(Self(parsed(&first)?, parsed(&second)?, parsed(&third)?))
    }
}

async fn segments<T: DeserializeOwned + Send, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, ApiError> {
    let segments: Result<axum::extract::Path<T>, PathRejection> =
        axum::extract::Path::from_request_parts(parts, state).await;
    match segments {
        Ok(axum::extract::Path(segments)) => Ok(segments),
        Err(error) => Err(ApiError::malformed(error.body_text())),
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| {
        ApiError::malformed(format!("{text:?} in the path cannot be read: {error}"))
    })
}

/// The query string, parsed; unknown keys are refused so that a misspelt filter is noticed.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<axum::extract::Query<T>, QueryRejection> =
            axum::extract::Query::from_request_parts(parts, state).await;
        match query {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(ApiError::malformed(error.body_text())),
        }
    }
}

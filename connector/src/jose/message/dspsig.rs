//! The critical member `dspsig` of a header: as we write it and as it is read, with the rules that each of its members keeps.

use super::{Binding, JoseError, LIFETIME};
use crate::jose::{Digest, compact::Members, did};
use policy::Timestamp;
use serde::Serialize;

/// The longest lifetime accepted, in seconds.
const MAX_LIFETIME: u64 = 300;

/// Longest URL bound, in bytes.
const MAX_URL: usize = 2048;

/// The member as we write it, in canonical order.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Dspsig<'a> {
    Request {
        aud: &'a str,
        dir: &'static str,
        exp: i64,
        htm: &'a str,
        htu: &'a str,
        iat: i64,
        iss: &'a str,
        jti: &'a str,
        prev: Digest,
        v: u8,
    },
    Response {
        aud: &'a str,
        dir: &'static str,
        exp: i64,
        iat: i64,
        iss: &'a str,
        jti: &'a str,
        prev: Digest,
        req: &'a Digest,
        sts: u16,
        v: u8,
    },
}

impl<'a> Dspsig<'a> {
    pub(super) fn of(
        binding: Binding<'a>,
        iss: &'a str,
        aud: &'a str,
        prev: Digest,
        now: Timestamp,
        jti: &'a str,
    ) -> Result<Self, JoseError> {
        let (iat, exp) = (now.seconds(), now.plus(LIFETIME).seconds());
        match binding {
            Binding::Request { method, .. } if !is_method(method) => {
                Err(JoseError::CannotSign("not an upper-case HTTP method"))
            }
            Binding::Request { url, .. } if !is_url(url) => Err(JoseError::CannotSign(
                "not an absolute http(s) URL without query and fragment",
            )),
            Binding::Response { status, .. } if !is_status(status) => Err(JoseError::CannotSign("not an HTTP status")),
            Binding::Request { method, url } => Ok(Self::Request {
                aud,
                dir: "req",
                exp,
                htm: method,
                htu: url,
                iat,
                iss,
                jti,
                prev,
                v: 1,
            }),
            Binding::Response { request, status } => Ok(Self::Response {
                aud,
                dir: "res",
                exp,
                iat,
                iss,
                jti,
                prev,
                req: request,
                sts: status,
                v: 1,
            }),
        }
    }
}

/// The member as it came.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) issued_at: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) jti: String,
    pub(super) prev: Digest,
    pub(super) route: Route,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Request { method: String, url: String },
    Response { request: Digest, status: u16 },
}

impl Claims {
    pub(super) fn read(mut members: Members) -> Result<Self, JoseError> {
        if members.integer("v")? != 1 {
            return Err(JoseError::InvalidMember("v"));
        }
        let issuer = members.text("iss")?;
        let audience = members.text("aud")?;
        if !did::is_did(&audience) {
            return Err(JoseError::InvalidMember("aud"));
        }
        let jti = members.text("jti")?;
        if !is_id(&jti) {
            return Err(JoseError::InvalidMember("jti"));
        }
        let (issued_at, expires) = lifetime(&mut members)?;
        let prev = members.digest("prev")?;
        let route = Route::read(&mut members)?;
        members.end()?;
        Ok(Self {
            issuer,
            audience,
            issued_at,
            expires,
            jti,
            prev,
            route,
        })
    }
}

fn lifetime(members: &mut Members) -> Result<(Timestamp, Timestamp), JoseError> {
    let (iat, exp) = (members.integer("iat")?, members.integer("exp")?);
    match exp.checked_sub(iat) {
        None | Some(0) => return Err(JoseError::InvalidMember("exp")),
        Some(lifetime) if lifetime > MAX_LIFETIME => return Err(JoseError::LifetimeTooLong),
        Some(_) => {}
    }
    let instant = |seconds| {
        i64::try_from(seconds)
            .map(Timestamp::from_seconds)
            .map_err(|_| JoseError::InvalidMember("iat"))
    };
    Ok((instant(iat)?, instant(exp)?))
}

impl Route {
    fn read(members: &mut Members) -> Result<Self, JoseError> {
        match members.text("dir")?.as_str() {
            "req" => {
                let (method, url) = (members.text("htm")?, members.text("htu")?);
                if !is_method(&method) {
                    return Err(JoseError::InvalidMember("htm"));
                }
                if !is_url(&url) {
                    return Err(JoseError::InvalidMember("htu"));
                }
                Ok(Self::Request { method, url })
            }
            "res" => {
                let request = members.digest("req")?;
                let status = u16::try_from(members.integer("sts")?)
                    .ok()
                    .filter(|status| is_status(*status));
                Ok(Self::Response {
                    request,
                    status: status.ok_or(JoseError::InvalidMember("sts"))?,
                })
            }
            _ => Err(JoseError::InvalidMember("dir")),
        }
    }

    pub(super) fn check(&self, binding: Binding<'_>) -> Result<(), JoseError> {
        match (self, binding) {
            (
                Self::Request { method, url },
                Binding::Request {
                    method: expected_method,
                    url: expected_url,
                },
            ) => {
                if method == expected_method && url == expected_url {
                    Ok(())
                } else {
                    Err(JoseError::WrongRoute)
                }
            }
            (Self::Response { request, .. }, Binding::Response { request: expected, .. }) if request != expected => {
                Err(JoseError::WrongRequest)
            }
            (Self::Response { status, .. }, Binding::Response { status: expected, .. }) => {
                if *status == expected {
                    Ok(())
                } else {
                    Err(JoseError::WrongStatus)
                }
            }
            (Self::Request { .. }, Binding::Response { .. }) | (Self::Response { .. }, Binding::Request { .. }) => {
                Err(JoseError::WrongRoute)
            }
        }
    }
}

/// 128 random bits in base64url have 22 characters, a UUID has 36.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 22..=64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_method(text: &str) -> bool {
    matches!(text.len(), 3..=16) && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text.len() <= MAX_URL
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'))
}

const fn is_status(status: u16) -> bool {
    matches!(status, 100..=599)
}

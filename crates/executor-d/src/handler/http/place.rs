//! Where tasks are posted to.

use std::{fmt, str::FromStr};

use hyper::{
    Uri,
    header::HeaderValue,
    http::uri::{Parts, PathAndQuery, Scheme},
};
use thiserror::Error;

/// An `http` or `https` URL with a host, and without a user or a fragment. Shows its scheme, host and port only: a query may
/// hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    uri: Uri,
    host: HeaderValue,
}

/// Why a text is no [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NoPlace {
    /// It cannot be read at all.
    #[error("is no URL such as \"https://thumbs.internal/make\"")]
    NoUrl,
    /// Another scheme, or none.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// `user:password@`.
    #[error("must not hold a user or a password: give an Authorization header instead")]
    User,
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let uri: Uri = text.parse().map_err(|_| NoPlace::NoUrl)?;
        if ![Some("http"), Some("https")].contains(&uri.scheme_str()) {
            return Err(NoPlace::Scheme);
        }
        let authority = uri.authority().ok_or(NoPlace::NoUrl)?.as_str();
        if authority.contains('@') {
            return Err(NoPlace::User);
        }
        let host = HeaderValue::from_str(authority).map_err(|_| NoPlace::NoUrl)?;
        Ok(Self { uri, host })
    }
}

impl Place {
    /// What connections are made to.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The `Host` of requests.
    pub(super) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// What a request line names: path and query.
    pub(super) fn target(&self) -> Uri {
        let path = self.uri.path_and_query().cloned();
        let mut parts = Parts::default();
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        // A path alone is always one.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme().unwrap_or(&Scheme::HTTP);
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_what_may_be_secret() {
        let place: Place = "https://thumbs.internal:8443/make?token=hidden".parse().unwrap();
        assert_eq!(place.to_string(), "https://thumbs.internal:8443");
        assert_eq!(place.target(), "/make?token=hidden");
        assert_eq!(place.host(), "thumbs.internal:8443");
        let bare: Place = "http://[::1]".parse().unwrap();
        assert_eq!(
            (bare.to_string().as_str(), bare.target().path()),
            ("http://[::1]", "/")
        );
    }

    #[test]
    fn what_is_no_place_says_why() {
        for (text, why) in [
            ("", NoPlace::NoUrl),
            ("thumbs.internal/make", NoPlace::NoUrl),
            ("http://", NoPlace::NoUrl),
            ("http://a b/", NoPlace::NoUrl),
            ("/make", NoPlace::Scheme),
            ("ftp://thumbs.internal/", NoPlace::Scheme),
            ("http://user:secret@thumbs.internal/", NoPlace::User),
        ] {
            assert_eq!(text.parse::<Place>(), Err(why), "{text:?}");
        }
    }
}

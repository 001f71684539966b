//! Pages of a catalog (DSP 2025-1 §6.2): where one begins, what is on it, and the links to its neighbours. Pure.
//!
//! A page is named by a dataset, not by a number: what is added or removed meanwhile neither hides nor repeats another.

use super::problem::Problem;
use crate::{
    dsp::{DatasetId, catalog::ListedDataset},
    jose::base64url,
};
use http::HeaderValue;

/// The query parameter, opaque to callers.
const PARAMETER: &str = "continuationToken";

/// Where a page begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The first page.
    Start,
    /// The page that follows this dataset.
    After(DatasetId),
    /// The page before this dataset.
    Before(DatasetId),
}

impl Place {
    /// From a request's query. Other parameters are ignored.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Problem> {
        let token = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == PARAMETER)
            .map(|(_, value)| value);
        let Some(token) = token else {
            return Ok(Self::Start);
        };
        Self::read(&token)
            .ok_or_else(|| Problem::bad_request("invalid-page", format!("{PARAMETER} is not one of this catalog")))
    }

    fn read(token: &str) -> Option<Self> {
        let (side, id) = token.split_once('.')?;
        let id = String::from_utf8(base64url::decode(id)?).ok()?.parse().ok()?;
        match side {
            "a" => Some(Self::After(id)),
            "b" => Some(Self::Before(id)),
            _ => None,
        }
    }

    fn token(&self) -> Option<String> {
        let (side, id) = match self {
            Self::Start => return None,
            Self::After(id) => ("a", id),
            Self::Before(id) => ("b", id),
        };
        Some(format!("{side}.{}", base64url::encode(id.as_str().as_bytes())))
    }
}

/// The neighbours of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    next: Option<Place>,
    previous: Option<Place>,
}

impl Links {
    /// One `Link` header for each neighbour (RFC 8288), below `address`.
    pub(super) fn headers(&self, address: &str) -> Vec<HeaderValue> {
        [("next", &self.next), ("previous", &self.previous)]
            .into_iter()
            .filter_map(|(name, place)| {
                let token = place.as_ref()?.token()?;
                HeaderValue::from_str(&format!("<{address}?{PARAMETER}={token}>; rel=\"{name}\"")).ok()
            })
            .collect()
    }
}

/// Leaves one page of datasets, which are sorted by id, and names its neighbours.
pub(super) fn cut(datasets: &mut Vec<ListedDataset>, place: &Place, size: usize) -> Links {
    let (begin, end) = match place {
        Place::Start => (0, size),
        Place::After(id) => {
            let begin = datasets.partition_point(|dataset| dataset.id <= *id);
            (begin, begin.saturating_add(size))
        }
        Place::Before(id) => {
            let end = datasets.partition_point(|dataset| dataset.id < *id);
            (end.saturating_sub(size), end)
        }
    };
    let all = datasets.len();
    datasets.truncate(end);
    datasets.drain(..begin.min(datasets.len()));
    let (first, last) = (datasets.first(), datasets.last());
    Links {
        next: last.filter(|_| end < all).map(|last| Place::After(last.id.clone())),
        previous: first.filter(|_| begin > 0).map(|first| Place::Before(first.id.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datasets(ids: &[&str]) -> Vec<ListedDataset> {
        let dataset = |id: &&str| ListedDataset {
            id: id.parse().unwrap(),
            title: None,
            offers: Vec::new(),
            formats: Vec::new(),
        };
        ids.iter().map(dataset).collect()
    }

    fn page(ids: &[&str], place: &Place, size: usize) -> (Vec<String>, Links) {
        let mut all = datasets(ids);
        let links = cut(&mut all, place, size);
        (all.iter().map(|dataset| dataset.id.to_string()).collect(), links)
    }

    /// The place that a link leads to, read back from the header as a caller would.
    fn follow(links: &Links, name: &str) -> Option<Place> {
        let header = links
            .headers("https://a.example/catalog/request")
            .into_iter()
            .find(|header| header.to_str().unwrap().ends_with(&format!("rel=\"{name}\"")))?;
        let text = header.to_str().unwrap().to_owned();
        let query = text.split_once('?').unwrap().1.split_once('>').unwrap().0;
        Some(Place::of(Some(query)).unwrap())
    }

    #[test]
    fn following_the_links_shows_every_dataset_once_in_both_directions() {
        let ids: Vec<String> = (10..31).map(|n| format!("urn:d:{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for size in [1, 4, 7, 21, 50] {
            let (mut place, mut seen) = (Place::Start, Vec::new());
            let mut last = loop {
                let (shown, links) = page(&ids, &place, size);
                assert!(shown.len() <= size);
                seen.extend(shown);
                match follow(&links, "next") {
                    Some(next) => place = next,
                    None => break links,
                }
            };
            assert_eq!(seen, ids, "forward by {size}");
            while let Some(place) = follow(&last, "previous") {
                let (shown, links) = page(&ids, &place, size);
                assert!(!shown.is_empty());
                last = links;
            }
            assert_eq!(last.previous, None);
        }
    }

    #[test]
    fn a_removed_dataset_neither_hides_nor_repeats_another() {
        let (_, links) = page(&["a", "b", "c", "d"], &Place::Start, 2);
        let (rest, _) = page(&["a", "c", "d"], &links.next.unwrap(), 2);
        assert_eq!(rest, ["c", "d"]);
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for token in ["", "x", "a.", "c.YQ", "a.YQ==", "a.ICA", "-1", "a.____"] {
            assert!(Place::of(Some(&format!("{PARAMETER}={token}"))).is_err(), "{token}");
        }
        assert_eq!(Place::of(Some("other=1")).unwrap(), Place::Start);
    }
}

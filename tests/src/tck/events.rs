//! Reads server-sent events from a byte stream (WHATWG HTML, section 9.2.6), as far as the connector's feed uses them. No I/O.

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name: here the protocol.
    pub name: String,
    /// Its id: here its number.
    pub id: String,
    /// Its data.
    pub data: String,
}

/// Bytes as they come, events as they are complete.
#[derive(Default)]
pub struct Reader {
    line: Vec<u8>,
    event: Event,
}

impl Reader {
    /// Takes the next bytes and returns the events that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut complete = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    complete.extend(self.end_line(String::from_utf8_lossy(&line).trim_end_matches('\r')));
                }
                _ => self.line.push(*byte),
            }
        }
        complete
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => value.clone_into(&mut self.event.id),
            "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
            "data" => self.event.data += &format!("\n{value}"),
            // A comment keeps the connection alive; other fields are not ours.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: &str = ": hello\n\nid: 7\nevent: transfer\ndata: {\"a\":\"é\"}\n\nid:8\r\nevent:negotiation\r\ndata:one\r\ndata: two\r\n\r\n";

    fn expected() -> [Event; 2] {
        let event = |name: &str, id: &str, data: &str| Event {
            name: name.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        };
        [
            event("transfer", "7", "{\"a\":\"é\"}"),
            event("negotiation", "8", "one\ntwo"),
        ]
    }

    #[test]
    fn comments_are_skipped_and_lines_of_data_joined() {
        assert_eq!(Reader::default().feed(FEED.as_bytes()), expected());
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let mut reader = Reader::default();
        let events: Vec<Event> = FEED.bytes().flat_map(|byte| reader.feed(&[byte])).collect();
        assert_eq!(events, expected());
    }

    #[test]
    fn an_event_without_its_empty_line_is_not_complete() {
        assert_eq!(Reader::default().feed(b"data: x\n"), []);
    }
}

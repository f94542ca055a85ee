//! Which copies there are, in the order of their last use, and how much room is left. Pure.

use std::collections::HashMap;

use lru::LruCache;

use super::Key;

/// Of one content more names are not kept: anybody can make them up.
const MOST_NAMES: usize = 16;

/// Content that is here.
#[derive(Debug)]
struct Content {
    bytes: u64,
    /// From the oldest.
    names: Vec<Key>,
}

/// Content that was found on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) content: Key,
    pub(super) bytes: u64,
    pub(super) names: Vec<Key>,
}

/// See the top of the file.
pub(super) struct Index {
    contents: LruCache<Key, Content>,
    names: HashMap<Key, Key>,
    writing: HashMap<Key, u64>,
    /// Of what is here and of what is being written.
    bytes: u64,
    most_bytes: u64,
    most_files: usize,
}

impl Index {
    pub(super) fn new(most_bytes: u64, most_files: usize) -> Self {
        Self {
            contents: LruCache::unbounded(),
            names: HashMap::new(),
            writing: HashMap::new(),
            bytes: 0,
            most_bytes,
            most_files,
        }
    }

    /// Takes over what was found on disk; call it from the oldest to the newest.
    pub(super) fn restore(&mut self, found: Found) {
        let Found { content, bytes, mut names } = found;
        names.truncate(MOST_NAMES);
        self.bytes += bytes;
        self.names.extend(names.iter().map(|name| (*name, content)));
        self.contents.put(content, Content { bytes, names });
    }

    /// The content of this name, which is used now.
    pub(super) fn find(&mut self, name: &Key) -> Option<Key> {
        let content = *self.names.get(name)?;
        self.contents.promote(&content);
        Some(content)
    }

    /// Whether this content is here.
    pub(super) fn holds(&self, content: Key, bytes: u64) -> bool {
        self.contents.peek(&content).is_some_and(|held| held.bytes == bytes)
    }

    /// Sets room aside for content that is about to be written; gives what must go for it.
    /// `None` if there is no room, or if it is being written already.
    pub(super) fn begin(&mut self, content: Key, bytes: u64) -> Option<Vec<Key>> {
        let being_written: u64 = self.writing.values().sum();
        if self.writing.contains_key(&content) || being_written + bytes > self.most_bytes {
            return None;
        }
        self.writing.insert(content, bytes);
        self.bytes += bytes;
        Some(self.make_room(1))
    }

    /// Forgets what was used longest ago, until everything fits and so many more files would.
    pub(super) fn make_room(&mut self, more_files: usize) -> Vec<Key> {
        let mut evicted = Vec::new();
        while (self.bytes > self.most_bytes || self.contents.len() + more_files > self.most_files)
            && let Some((content, _)) = self.contents.peek_lru()
        {
            let content = *content;
            self.remove(content);
            evicted.push(content);
        }
        evicted
    }

    /// The content was written, and has this name.
    pub(super) fn finish(&mut self, content: Key, bytes: u64, name: Key) {
        self.writing.remove(&content);
        if let Some(before) = self.contents.put(content, Content { bytes, names: Vec::new() }) {
            self.bytes -= before.bytes;
            for name in before.names {
                self.names.remove(&name);
            }
        }
        self.add_name(content, name);
    }

    /// The content was not written.
    pub(super) fn give_up(&mut self, content: Key) {
        self.bytes -= self.writing.remove(&content).unwrap_or_default();
    }

    /// Gives content one more name; tells which name of which content is to go for it.
    pub(super) fn add_name(&mut self, content: Key, name: Key) -> Option<(Key, Key)> {
        let before = self.names.get(&name).copied();
        if before == Some(content) {
            return None;
        }
        let held = self.contents.get_mut(&content)?;
        held.names.push(name);
        let dropped = (held.names.len() > MOST_NAMES).then(|| held.names.remove(0));
        self.names.insert(name, content);
        if let Some(dropped) = dropped {
            self.names.remove(&dropped);
        }
        if let Some(before) = before
            && let Some(held) = self.contents.peek_mut(&before)
        {
            held.names.retain(|other| *other != name);
            return Some((before, name));
        }
        dropped.map(|dropped| (content, dropped))
    }

    /// Forgets content.
    pub(super) fn remove(&mut self, content: Key) {
        let Some(held) = self.contents.pop(&content) else { return };
        self.bytes -= held.bytes;
        for name in held.names {
            self.names.remove(&name);
        }
    }

    /// How many copies there are, and how many bytes they take.
    pub(super) fn held(&self) -> (usize, u64) {
        (self.contents.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::of(&[name])
    }

    fn write(index: &mut Index, content: &str, bytes: u64) -> Option<Vec<Key>> {
        let evicted = index.begin(key(content), bytes)?;
        index.finish(key(content), bytes, key(&format!("name of {content}")));
        Some(evicted)
    }

    fn finds(index: &mut Index, content: &str) -> bool {
        index.find(&key(&format!("name of {content}"))) == Some(key(content))
    }

    #[test]
    fn what_was_not_used_longest_makes_room() {
        let mut index = Index::new(100, 10);
        for content in ["a", "b", "c"] {
            assert_eq!(write(&mut index, content, 30), Some(vec![]));
        }
        assert!(finds(&mut index, "a"));

        assert_eq!(write(&mut index, "d", 50), Some(vec![key("b"), key("c")]));

        assert!(finds(&mut index, "a") && finds(&mut index, "d") && !finds(&mut index, "b"));
        assert_eq!(index.held(), (2, 80));
    }

    #[test]
    fn there_are_not_more_files_than_allowed() {
        let mut index = Index::new(100, 2);
        write(&mut index, "a", 1);
        write(&mut index, "b", 1);

        assert_eq!(write(&mut index, "c", 1), Some(vec![key("a")]));

        assert_eq!(index.held(), (2, 2));
    }

    #[test]
    fn what_is_being_written_counts() {
        let mut index = Index::new(100, 10);
        write(&mut index, "old", 40);

        assert_eq!(index.begin(key("a"), 60), Some(vec![]));
        assert_eq!(index.begin(key("b"), 30), Some(vec![key("old")]));
        assert_eq!(index.begin(key("c"), 30), None);

        index.give_up(key("a"));
        assert_eq!(index.begin(key("c"), 30), Some(vec![]));
        assert_eq!(index.begin(key("too large"), 101), None);
    }

    #[test]
    fn one_writes_at_a_time() {
        let mut index = Index::new(100, 10);

        assert!(index.begin(key("a"), 10).is_some());
        assert!(index.begin(key("a"), 10).is_none());
        index.give_up(key("a"));
        assert!(index.begin(key("a"), 10).is_some());
        assert_eq!(index.held(), (0, 10));
    }

    #[test]
    fn a_name_belongs_to_one_content_and_the_oldest_of_many_goes() {
        let mut index = Index::new(100, 10);
        write(&mut index, "a", 1);
        write(&mut index, "b", 1);
        for number in 1..MOST_NAMES {
            assert_eq!(index.add_name(key("a"), key(&number.to_string())), None);
        }

        assert_eq!(index.add_name(key("a"), key("one more")), Some((key("a"), key("name of a"))));
        assert_eq!(index.add_name(key("b"), key("one more")), Some((key("a"), key("one more"))));

        assert!(!finds(&mut index, "a"));
        assert_eq!(index.find(&key("one more")), Some(key("b")));
        index.remove(key("b"));
        assert_eq!(index.find(&key("one more")), None);
    }
}

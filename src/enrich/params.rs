//! The parameters of one raw event: name → optional text.
//!
//! A few dozen short names: a list that borrows from the request and is searched in order beats a map, and costs one
//! allocation. Names are unique: where a request repeats one, the last wins, in the place of the first.

use std::borrow::Cow;

/// One parameter. A name that came without `=` has no value; a step treats it as absent, but in a query string it still
/// hides the value that a request body gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// Tracker parameter name, such as `se_ca`.
    pub name: Cow<'a, str>,
    /// The text, decoded but not sanitised.
    pub value: Option<Cow<'a, str>>,
}

/// All parameters of one raw event, in the order received.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params<'a>(Vec<Param<'a>>);

/// Lists up to this long find repeated names by looking, longer ones by hashing: time stays linear in hostile requests.
const SMALL: usize = 64;

impl<'a> Params<'a> {
    /// An empty list with room for `n`.
    pub fn with_capacity(n: usize) -> Self {
        Params(Vec::with_capacity(n))
    }

    /// Takes a list in which names may repeat; the last of equal names wins.
    pub fn from_pairs(pairs: Vec<Param<'a>>) -> Self {
        if pairs.len() > SMALL {
            return Params(unique_by_hash(pairs));
        }
        let mut out = Params(Vec::with_capacity(pairs.len() + 4));
        for p in pairs {
            out.set(p.name, p.value);
        }
        out
    }

    /// Takes a list whose names are known to be unique.
    pub fn from_unique(pairs: Vec<Param<'a>>) -> Self {
        Params(pairs)
    }

    /// The value of `name`; `None` when it is absent or has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|p| p.name == name)?.value.as_deref()
    }

    /// Whether `name` is there, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|p| p.name == name)
    }

    /// Sets `name`, replacing what it was.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: Option<Cow<'a, str>>) {
        let name = name.into();
        match self.0.iter_mut().find(|p| p.name == name) {
            Some(p) => p.value = value,
            None => self.0.push(Param { name, value }),
        }
    }

    /// Takes `name` out; the inner `None` is a name without a value.
    pub fn remove(&mut self, name: &str) -> Option<Option<Cow<'a, str>>> {
        let at = self.0.iter().position(|p| p.name == name)?;
        Some(self.0.remove(at).value)
    }

    /// Lays `over` on top: its names win, and a name without a value takes the value away.
    pub fn overlay(&mut self, over: &Params<'a>) {
        if over.0.len() > SMALL || self.0.len() > SMALL {
            let mut all = std::mem::take(&mut self.0);
            all.extend(over.0.iter().cloned());
            self.0 = unique_by_hash(all);
            return;
        }
        for p in &over.0 {
            self.set(p.name.clone(), p.value.clone());
        }
    }

    /// The parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Param<'a>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn unique_by_hash(pairs: Vec<Param<'_>>) -> Vec<Param<'_>> {
    let mut at = ahash::AHashMap::with_capacity(pairs.len());
    let mut out: Vec<Param<'_>> = Vec::with_capacity(pairs.len());
    for p in pairs {
        match at.get(&p.name) {
            Some(&i) => {
                let slot: &mut Param<'_> = &mut out[i]; // `i` was the length when that name was pushed
                slot.value = p.value;
            }
            None => {
                at.insert(p.name.clone(), out.len());
                out.push(p);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<Param<'_>> {
        text.split('&')
            .map(|p| match p.split_once('=') {
                Some((n, v)) => Param { name: n.into(), value: Some(v.into()) },
                None => Param { name: p.into(), value: None },
            })
            .collect()
    }

    #[test]
    fn the_last_of_equal_names_wins_in_short_and_long_lists() {
        let p = Params::from_pairs(pairs("a=1&b=2&a=3&c"));
        assert_eq!(p.get("a"), Some("3"));
        assert_eq!(p.len(), 3);
        assert!(p.has("c"));
        assert_eq!(p.get("c"), None);
        let long: String = (0..400).map(|i| format!("k{}={i}&", i % 100)).collect();
        let p = Params::from_pairs(pairs(long.trim_end_matches('&')));
        assert_eq!((p.len(), p.get("k7")), (100, Some("307")));
    }

    #[test]
    fn what_is_laid_over_wins_and_a_valueless_name_takes_the_value_away() {
        let mut p = Params::from_pairs(pairs("aid=body&p=web"));
        p.overlay(&Params::from_pairs(pairs("aid=query&p&tna=n")));
        assert_eq!((p.get("aid"), p.get("p"), p.get("tna")), (Some("query"), None, Some("n")));
    }
}

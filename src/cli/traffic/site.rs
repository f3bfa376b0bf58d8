//! Sites and their visitors.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// One site: how much of the traffic it has and which pages.
#[derive(Clone, Debug)]
pub struct Site {
    /// `aid`.
    pub app_id: String,
    /// Host of its pages.
    pub host: String,
    /// `web` or `mob`.
    pub platform: &'static str,
    /// Language of its visitors.
    pub lang: &'static str,
    /// Time zone of its visitors.
    pub zone: &'static str,
    pages: Vec<(String, String)>,
    visitors: Vec<Visitor>,
}

/// Somebody on a site, in a session.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// `duid`.
    pub domain_userid: Uuid,
    /// `sid`.
    pub session: Uuid,
    /// `vid`.
    pub session_index: u32,
    /// Events sent in this session.
    pub events: u32,
    /// `id` of the web_page context.
    pub page_view: Uuid,
    /// Index of the page that is open.
    pub page: usize,
    /// User agent and screen.
    pub device: Device,
    /// Where the visitor came from, for the first page.
    pub referrer: Option<&'static str>,
    /// Campaign of the first page.
    pub campaign: Option<&'static str>,
}

/// What the visitor holds in the hand.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// User agent.
    pub user_agent: &'static str,
    /// Screen.
    pub screen: (u32, u32),
    /// View port.
    pub view: (u32, u32),
}

const DEVICES: &[Device] = &[
    Device {
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        screen: (1920, 1080),
        view: (1903, 969),
    },
    Device {
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        screen: (1512, 982),
        view: (1512, 823),
    },
    Device {
        user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        screen: (393, 852),
        view: (393, 659),
    },
    Device {
        user_agent: "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
        screen: (412, 915),
        view: (412, 785),
    },
    Device {
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
        screen: (2560, 1440),
        view: (2544, 1307),
    },
];

const REFERRERS: &[Option<&str>] = &[
    None,
    None,
    None,
    Some("https://www.google.com/"),
    Some("https://www.google.com/"),
    Some("https://duckduckgo.com/"),
    Some("https://www.bing.com/search?q=second+hand"),
    Some("https://news.ycombinator.com/"),
    Some("https://www.facebook.com/"),
];

const CAMPAIGNS: &[Option<&str>] = &[
    None,
    None,
    None,
    None,
    Some("utm_source=newsletter&utm_medium=email&utm_campaign=autumn"),
    Some("utm_source=google&utm_medium=cpc&utm_campaign=brand&gclid=Cj0KCQjw"),
    Some("utm_source=partner&utm_medium=affiliate&utm_campaign=always_on"),
];

const LOCALES: &[(&str, &str)] = &[
    ("en-US", "America/New_York"),
    ("en-GB", "Europe/London"),
    ("de-DE", "Europe/Berlin"),
    ("fr-FR", "Europe/Paris"),
    ("es-ES", "Europe/Madrid"),
    ("ja-JP", "Asia/Tokyo"),
    ("pt-BR", "America/Sao_Paulo"),
    ("en-IN", "Asia/Kolkata"),
];

const FIRST: &[&str] = &[
    "cars", "bikes", "boats", "vans", "tools", "garden", "books", "vinyl", "shoes", "coats", "tents", "lamps",
    "chairs", "plants", "games", "phones", "cameras", "coffee", "bread", "wine",
];
const SECOND: &[&str] = &["shop", "market", "blog", "news", "deals", "club", "app", "forum", "guide", "outlet"];
const TOPICS: &[&str] = &[
    "cars", "offers", "about", "search", "guide", "reviews", "cart", "checkout", "help", "stories", "compare", "saved",
];

/// Visitors that a site keeps in mind; a new one replaces an old one.
const VISITORS_PER_SITE: usize = 40;

/// All sites, with how often each is visited.
#[derive(Clone, Debug)]
pub struct Sites {
    sites: Vec<Site>,
    /// Cumulated share of the traffic.
    shares: Vec<f64>,
}

impl Sites {
    /// `count` sites; the first has the most visitors, the tail is long.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let sites: Vec<Site> = (0..count.max(1)).map(|i| Site::new(i, &mut rng)).collect();
        let mut sum = 0.0;
        let shares = (0..sites.len())
            .map(|i| {
                sum += 1.0 / (i as f64 + 3.0).powf(0.8);
                sum
            })
            .collect();
        Sites { sites, shares }
    }

    /// A site, by its share of the traffic.
    pub fn pick(&mut self, rng: &mut SmallRng) -> &mut Site {
        let total = self.shares.last().copied().unwrap_or(1.0);
        let at = rng.random_range(0.0..total);
        let index = self.shares.partition_point(|s| *s <= at).min(self.sites.len() - 1);
        &mut self.sites[index]
    }
}

impl Site {
    fn new(index: usize, rng: &mut SmallRng) -> Self {
        let name = format!("{}-{}", FIRST[index % FIRST.len()], SECOND[index / FIRST.len() % SECOND.len()]);
        let app_id = if index >= FIRST.len() * SECOND.len() { format!("{name}-{index}") } else { name };
        let (lang, zone) = LOCALES.choose(rng).copied().unwrap_or(("en-US", "America/New_York"));
        let pages = (0..rng.random_range(8..30))
            .map(|n| {
                let topic = TOPICS.choose(rng).copied().unwrap_or("home");
                match n {
                    0 => ("/".to_owned(), format!("{app_id}: home")),
                    _ => (format!("/{topic}/{}", 100 + n), format!("{topic} {} - {app_id}", 100 + n)),
                }
            })
            .collect();
        let host = format!("www.{app_id}.example");
        let platform = if index % 9 == 4 { "mob" } else { "web" };
        Site { app_id, host, platform, lang, zone, pages, visitors: Vec::new() }
    }

    /// A visitor: mostly somebody who is here already, sometimes somebody new.
    pub fn visitor(&mut self, rng: &mut SmallRng) -> &mut Visitor {
        let new = self.visitors.is_empty() || rng.random_bool(0.08);
        let at = if !new {
            rng.random_range(0..self.visitors.len())
        } else {
            let visitor = Visitor::new(rng, self.pages.len());
            if self.visitors.len() < VISITORS_PER_SITE {
                self.visitors.push(visitor);
                self.visitors.len() - 1
            } else {
                let at = rng.random_range(0..VISITORS_PER_SITE);
                self.visitors[at] = visitor;
                at
            }
        };
        &mut self.visitors[at]
    }

    /// Path and title of a page.
    pub fn page(&self, index: usize) -> (&str, &str) {
        self.pages.get(index).map_or(("/", "home"), |(path, title)| (path, title))
    }

    /// A page, the first ones more often.
    pub fn any_page(&self, rng: &mut SmallRng) -> usize {
        let x: f64 = rng.random();
        ((x * x) * self.pages.len() as f64) as usize
    }
}

impl Visitor {
    fn new(rng: &mut SmallRng, pages: usize) -> Self {
        Visitor {
            domain_userid: random_uuid(rng),
            session: random_uuid(rng),
            session_index: rng.random_range(1..6),
            events: 0,
            page_view: random_uuid(rng),
            page: rng.random_range(0..pages.max(1)),
            device: DEVICES.choose(rng).copied().unwrap_or(DEVICES[0]),
            referrer: REFERRERS.choose(rng).copied().flatten(),
            campaign: CAMPAIGNS.choose(rng).copied().flatten(),
        }
    }
}

/// A version 4 UUID from the generator, so that a seed gives the same ids.
pub fn random_uuid(rng: &mut SmallRng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

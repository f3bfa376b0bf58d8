//! The 131 columns of the canonical event, in their frozen order.
//!
//! A pure table (exempt from the file-size guide). Source: `enriched_columns.csv` of the Snowplow facts sheet; the order is
//! for ever, new facts go into contexts. Constants are the 0-based indices.

/// How a column is written and typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Free text.
    Text,
    /// Milliseconds since the epoch, UTC.
    Time,
    /// 32-bit integer.
    Int,
    /// `1` or `0` in TSV.
    Bool,
    /// Decimal text as Java prints it.
    Decimal,
    /// 32-bit float.
    Float,
    /// A self-describing envelope: `contexts`, `unstruct_event`, `derived_contexts`.
    Json,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name in the atomic table.
    pub name: &'static str,
    /// How it is typed.
    pub kind: Kind,
    /// Default atomic length limit in UTF-16 code units.
    pub max: Option<u32>,
}

/// Number of columns, and of TSV cells.
pub const COUNT: usize = 131;

/// Index of `app_id`.
pub const APP_ID: usize = 0;
/// Index of `platform`.
pub const PLATFORM: usize = 1;
/// Index of `etl_tstamp`.
pub const ETL_TSTAMP: usize = 2;
/// Index of `collector_tstamp`.
pub const COLLECTOR_TSTAMP: usize = 3;
/// Index of `dvce_created_tstamp`.
pub const DVCE_CREATED_TSTAMP: usize = 4;
/// Index of `event`.
pub const EVENT: usize = 5;
/// Index of `event_id`.
pub const EVENT_ID: usize = 6;
/// Index of `txn_id`.
pub const TXN_ID: usize = 7;
/// Index of `name_tracker`.
pub const NAME_TRACKER: usize = 8;
/// Index of `v_tracker`.
pub const V_TRACKER: usize = 9;
/// Index of `v_collector`.
pub const V_COLLECTOR: usize = 10;
/// Index of `v_etl`.
pub const V_ETL: usize = 11;
/// Index of `user_id`.
pub const USER_ID: usize = 12;
/// Index of `user_ipaddress`.
pub const USER_IPADDRESS: usize = 13;
/// Index of `user_fingerprint`.
pub const USER_FINGERPRINT: usize = 14;
/// Index of `domain_userid`.
pub const DOMAIN_USERID: usize = 15;
/// Index of `domain_sessionidx`.
pub const DOMAIN_SESSIONIDX: usize = 16;
/// Index of `network_userid`.
pub const NETWORK_USERID: usize = 17;
/// Index of `geo_country`.
pub const GEO_COUNTRY: usize = 18;
/// Index of `geo_region`.
pub const GEO_REGION: usize = 19;
/// Index of `geo_city`.
pub const GEO_CITY: usize = 20;
/// Index of `geo_zipcode`.
pub const GEO_ZIPCODE: usize = 21;
/// Index of `geo_latitude`.
pub const GEO_LATITUDE: usize = 22;
/// Index of `geo_longitude`.
pub const GEO_LONGITUDE: usize = 23;
/// Index of `geo_region_name`.
pub const GEO_REGION_NAME: usize = 24;
/// Index of `ip_isp`.
pub const IP_ISP: usize = 25;
/// Index of `ip_organization`.
pub const IP_ORGANIZATION: usize = 26;
/// Index of `ip_domain`.
pub const IP_DOMAIN: usize = 27;
/// Index of `ip_netspeed`.
pub const IP_NETSPEED: usize = 28;
/// Index of `page_url`.
pub const PAGE_URL: usize = 29;
/// Index of `page_title`.
pub const PAGE_TITLE: usize = 30;
/// Index of `page_referrer`.
pub const PAGE_REFERRER: usize = 31;
/// Index of `page_urlscheme`.
pub const PAGE_URLSCHEME: usize = 32;
/// Index of `page_urlhost`.
pub const PAGE_URLHOST: usize = 33;
/// Index of `page_urlport`.
pub const PAGE_URLPORT: usize = 34;
/// Index of `page_urlpath`.
pub const PAGE_URLPATH: usize = 35;
/// Index of `page_urlquery`.
pub const PAGE_URLQUERY: usize = 36;
/// Index of `page_urlfragment`.
pub const PAGE_URLFRAGMENT: usize = 37;
/// Index of `refr_urlscheme`.
pub const REFR_URLSCHEME: usize = 38;
/// Index of `refr_urlhost`.
pub const REFR_URLHOST: usize = 39;
/// Index of `refr_urlport`.
pub const REFR_URLPORT: usize = 40;
/// Index of `refr_urlpath`.
pub const REFR_URLPATH: usize = 41;
/// Index of `refr_urlquery`.
pub const REFR_URLQUERY: usize = 42;
/// Index of `refr_urlfragment`.
pub const REFR_URLFRAGMENT: usize = 43;
/// Index of `refr_medium`.
pub const REFR_MEDIUM: usize = 44;
/// Index of `refr_source`.
pub const REFR_SOURCE: usize = 45;
/// Index of `refr_term`.
pub const REFR_TERM: usize = 46;
/// Index of `mkt_medium`.
pub const MKT_MEDIUM: usize = 47;
/// Index of `mkt_source`.
pub const MKT_SOURCE: usize = 48;
/// Index of `mkt_term`.
pub const MKT_TERM: usize = 49;
/// Index of `mkt_content`.
pub const MKT_CONTENT: usize = 50;
/// Index of `mkt_campaign`.
pub const MKT_CAMPAIGN: usize = 51;
/// Index of `contexts`.
pub const CONTEXTS: usize = 52;
/// Index of `se_category`.
pub const SE_CATEGORY: usize = 53;
/// Index of `se_action`.
pub const SE_ACTION: usize = 54;
/// Index of `se_label`.
pub const SE_LABEL: usize = 55;
/// Index of `se_property`.
pub const SE_PROPERTY: usize = 56;
/// Index of `se_value`.
pub const SE_VALUE: usize = 57;
/// Index of `unstruct_event`.
pub const UNSTRUCT_EVENT: usize = 58;
/// Index of `tr_orderid`.
pub const TR_ORDERID: usize = 59;
/// Index of `tr_affiliation`.
pub const TR_AFFILIATION: usize = 60;
/// Index of `tr_total`.
pub const TR_TOTAL: usize = 61;
/// Index of `tr_tax`.
pub const TR_TAX: usize = 62;
/// Index of `tr_shipping`.
pub const TR_SHIPPING: usize = 63;
/// Index of `tr_city`.
pub const TR_CITY: usize = 64;
/// Index of `tr_state`.
pub const TR_STATE: usize = 65;
/// Index of `tr_country`.
pub const TR_COUNTRY: usize = 66;
/// Index of `ti_orderid`.
pub const TI_ORDERID: usize = 67;
/// Index of `ti_sku`.
pub const TI_SKU: usize = 68;
/// Index of `ti_name`.
pub const TI_NAME: usize = 69;
/// Index of `ti_category`.
pub const TI_CATEGORY: usize = 70;
/// Index of `ti_price`.
pub const TI_PRICE: usize = 71;
/// Index of `ti_quantity`.
pub const TI_QUANTITY: usize = 72;
/// Index of `pp_xoffset_min`.
pub const PP_XOFFSET_MIN: usize = 73;
/// Index of `pp_xoffset_max`.
pub const PP_XOFFSET_MAX: usize = 74;
/// Index of `pp_yoffset_min`.
pub const PP_YOFFSET_MIN: usize = 75;
/// Index of `pp_yoffset_max`.
pub const PP_YOFFSET_MAX: usize = 76;
/// Index of `useragent`.
pub const USERAGENT: usize = 77;
/// Index of `br_name`.
pub const BR_NAME: usize = 78;
/// Index of `br_family`.
pub const BR_FAMILY: usize = 79;
/// Index of `br_version`.
pub const BR_VERSION: usize = 80;
/// Index of `br_type`.
pub const BR_TYPE: usize = 81;
/// Index of `br_renderengine`.
pub const BR_RENDERENGINE: usize = 82;
/// Index of `br_lang`.
pub const BR_LANG: usize = 83;
/// Index of `br_features_pdf`.
pub const BR_FEATURES_PDF: usize = 84;
/// Index of `br_features_flash`.
pub const BR_FEATURES_FLASH: usize = 85;
/// Index of `br_features_java`.
pub const BR_FEATURES_JAVA: usize = 86;
/// Index of `br_features_director`.
pub const BR_FEATURES_DIRECTOR: usize = 87;
/// Index of `br_features_quicktime`.
pub const BR_FEATURES_QUICKTIME: usize = 88;
/// Index of `br_features_realplayer`.
pub const BR_FEATURES_REALPLAYER: usize = 89;
/// Index of `br_features_windowsmedia`.
pub const BR_FEATURES_WINDOWSMEDIA: usize = 90;
/// Index of `br_features_gears`.
pub const BR_FEATURES_GEARS: usize = 91;
/// Index of `br_features_silverlight`.
pub const BR_FEATURES_SILVERLIGHT: usize = 92;
/// Index of `br_cookies`.
pub const BR_COOKIES: usize = 93;
/// Index of `br_colordepth`.
pub const BR_COLORDEPTH: usize = 94;
/// Index of `br_viewwidth`.
pub const BR_VIEWWIDTH: usize = 95;
/// Index of `br_viewheight`.
pub const BR_VIEWHEIGHT: usize = 96;
/// Index of `os_name`.
pub const OS_NAME: usize = 97;
/// Index of `os_family`.
pub const OS_FAMILY: usize = 98;
/// Index of `os_manufacturer`.
pub const OS_MANUFACTURER: usize = 99;
/// Index of `os_timezone`.
pub const OS_TIMEZONE: usize = 100;
/// Index of `dvce_type`.
pub const DVCE_TYPE: usize = 101;
/// Index of `dvce_ismobile`.
pub const DVCE_ISMOBILE: usize = 102;
/// Index of `dvce_screenwidth`.
pub const DVCE_SCREENWIDTH: usize = 103;
/// Index of `dvce_screenheight`.
pub const DVCE_SCREENHEIGHT: usize = 104;
/// Index of `doc_charset`.
pub const DOC_CHARSET: usize = 105;
/// Index of `doc_width`.
pub const DOC_WIDTH: usize = 106;
/// Index of `doc_height`.
pub const DOC_HEIGHT: usize = 107;
/// Index of `tr_currency`.
pub const TR_CURRENCY: usize = 108;
/// Index of `tr_total_base`.
pub const TR_TOTAL_BASE: usize = 109;
/// Index of `tr_tax_base`.
pub const TR_TAX_BASE: usize = 110;
/// Index of `tr_shipping_base`.
pub const TR_SHIPPING_BASE: usize = 111;
/// Index of `ti_currency`.
pub const TI_CURRENCY: usize = 112;
/// Index of `ti_price_base`.
pub const TI_PRICE_BASE: usize = 113;
/// Index of `base_currency`.
pub const BASE_CURRENCY: usize = 114;
/// Index of `geo_timezone`.
pub const GEO_TIMEZONE: usize = 115;
/// Index of `mkt_clickid`.
pub const MKT_CLICKID: usize = 116;
/// Index of `mkt_network`.
pub const MKT_NETWORK: usize = 117;
/// Index of `etl_tags`.
pub const ETL_TAGS: usize = 118;
/// Index of `dvce_sent_tstamp`.
pub const DVCE_SENT_TSTAMP: usize = 119;
/// Index of `refr_domain_userid`.
pub const REFR_DOMAIN_USERID: usize = 120;
/// Index of `refr_dvce_tstamp`.
pub const REFR_DVCE_TSTAMP: usize = 121;
/// Index of `derived_contexts`.
pub const DERIVED_CONTEXTS: usize = 122;
/// Index of `domain_sessionid`.
pub const DOMAIN_SESSIONID: usize = 123;
/// Index of `derived_tstamp`.
pub const DERIVED_TSTAMP: usize = 124;
/// Index of `event_vendor`.
pub const EVENT_VENDOR: usize = 125;
/// Index of `event_name`.
pub const EVENT_NAME: usize = 126;
/// Index of `event_format`.
pub const EVENT_FORMAT: usize = 127;
/// Index of `event_version`.
pub const EVENT_VERSION: usize = 128;
/// Index of `event_fingerprint`.
pub const EVENT_FINGERPRINT: usize = 129;
/// Index of `true_tstamp`.
pub const TRUE_TSTAMP: usize = 130;

const fn c(name: &'static str, kind: Kind, max: u32) -> Column {
    Column { name, kind, max: if max == 0 { None } else { Some(max) } }
}

/// All columns by index.
pub static COLUMNS: [Column; COUNT] = [
    c("app_id", Kind::Text, 255),
    c("platform", Kind::Text, 255),
    c("etl_tstamp", Kind::Time, 0),
    c("collector_tstamp", Kind::Time, 0),
    c("dvce_created_tstamp", Kind::Time, 0),
    c("event", Kind::Text, 128),
    c("event_id", Kind::Text, 36),
    c("txn_id", Kind::Int, 0),
    c("name_tracker", Kind::Text, 128),
    c("v_tracker", Kind::Text, 100),
    c("v_collector", Kind::Text, 100),
    c("v_etl", Kind::Text, 100),
    c("user_id", Kind::Text, 255),
    c("user_ipaddress", Kind::Text, 128),
    c("user_fingerprint", Kind::Text, 128),
    c("domain_userid", Kind::Text, 128),
    c("domain_sessionidx", Kind::Int, 0),
    c("network_userid", Kind::Text, 128),
    c("geo_country", Kind::Text, 2),
    c("geo_region", Kind::Text, 3),
    c("geo_city", Kind::Text, 75),
    c("geo_zipcode", Kind::Text, 15),
    c("geo_latitude", Kind::Float, 0),
    c("geo_longitude", Kind::Float, 0),
    c("geo_region_name", Kind::Text, 100),
    c("ip_isp", Kind::Text, 100),
    c("ip_organization", Kind::Text, 128),
    c("ip_domain", Kind::Text, 128),
    c("ip_netspeed", Kind::Text, 100),
    c("page_url", Kind::Text, 10000),
    c("page_title", Kind::Text, 2000),
    c("page_referrer", Kind::Text, 10000),
    c("page_urlscheme", Kind::Text, 16),
    c("page_urlhost", Kind::Text, 255),
    c("page_urlport", Kind::Int, 0),
    c("page_urlpath", Kind::Text, 3000),
    c("page_urlquery", Kind::Text, 6000),
    c("page_urlfragment", Kind::Text, 3000),
    c("refr_urlscheme", Kind::Text, 16),
    c("refr_urlhost", Kind::Text, 255),
    c("refr_urlport", Kind::Int, 0),
    c("refr_urlpath", Kind::Text, 6000),
    c("refr_urlquery", Kind::Text, 6000),
    c("refr_urlfragment", Kind::Text, 3000),
    c("refr_medium", Kind::Text, 25),
    c("refr_source", Kind::Text, 50),
    c("refr_term", Kind::Text, 255),
    c("mkt_medium", Kind::Text, 255),
    c("mkt_source", Kind::Text, 255),
    c("mkt_term", Kind::Text, 255),
    c("mkt_content", Kind::Text, 500),
    c("mkt_campaign", Kind::Text, 255),
    c("contexts", Kind::Json, 0),
    c("se_category", Kind::Text, 1000),
    c("se_action", Kind::Text, 1000),
    c("se_label", Kind::Text, 4096),
    c("se_property", Kind::Text, 1000),
    c("se_value", Kind::Decimal, 0),
    c("unstruct_event", Kind::Json, 0),
    c("tr_orderid", Kind::Text, 255),
    c("tr_affiliation", Kind::Text, 255),
    c("tr_total", Kind::Decimal, 0),
    c("tr_tax", Kind::Decimal, 0),
    c("tr_shipping", Kind::Decimal, 0),
    c("tr_city", Kind::Text, 255),
    c("tr_state", Kind::Text, 255),
    c("tr_country", Kind::Text, 255),
    c("ti_orderid", Kind::Text, 255),
    c("ti_sku", Kind::Text, 255),
    c("ti_name", Kind::Text, 255),
    c("ti_category", Kind::Text, 255),
    c("ti_price", Kind::Decimal, 0),
    c("ti_quantity", Kind::Int, 0),
    c("pp_xoffset_min", Kind::Int, 0),
    c("pp_xoffset_max", Kind::Int, 0),
    c("pp_yoffset_min", Kind::Int, 0),
    c("pp_yoffset_max", Kind::Int, 0),
    c("useragent", Kind::Text, 1000),
    c("br_name", Kind::Text, 50),
    c("br_family", Kind::Text, 50),
    c("br_version", Kind::Text, 50),
    c("br_type", Kind::Text, 50),
    c("br_renderengine", Kind::Text, 50),
    c("br_lang", Kind::Text, 255),
    c("br_features_pdf", Kind::Bool, 0),
    c("br_features_flash", Kind::Bool, 0),
    c("br_features_java", Kind::Bool, 0),
    c("br_features_director", Kind::Bool, 0),
    c("br_features_quicktime", Kind::Bool, 0),
    c("br_features_realplayer", Kind::Bool, 0),
    c("br_features_windowsmedia", Kind::Bool, 0),
    c("br_features_gears", Kind::Bool, 0),
    c("br_features_silverlight", Kind::Bool, 0),
    c("br_cookies", Kind::Bool, 0),
    c("br_colordepth", Kind::Text, 12),
    c("br_viewwidth", Kind::Int, 0),
    c("br_viewheight", Kind::Int, 0),
    c("os_name", Kind::Text, 50),
    c("os_family", Kind::Text, 50),
    c("os_manufacturer", Kind::Text, 50),
    c("os_timezone", Kind::Text, 255),
    c("dvce_type", Kind::Text, 50),
    c("dvce_ismobile", Kind::Bool, 0),
    c("dvce_screenwidth", Kind::Int, 0),
    c("dvce_screenheight", Kind::Int, 0),
    c("doc_charset", Kind::Text, 128),
    c("doc_width", Kind::Int, 0),
    c("doc_height", Kind::Int, 0),
    c("tr_currency", Kind::Text, 3),
    c("tr_total_base", Kind::Decimal, 0),
    c("tr_tax_base", Kind::Decimal, 0),
    c("tr_shipping_base", Kind::Decimal, 0),
    c("ti_currency", Kind::Text, 3),
    c("ti_price_base", Kind::Decimal, 0),
    c("base_currency", Kind::Text, 3),
    c("geo_timezone", Kind::Text, 64),
    c("mkt_clickid", Kind::Text, 1000),
    c("mkt_network", Kind::Text, 64),
    c("etl_tags", Kind::Text, 500),
    c("dvce_sent_tstamp", Kind::Time, 0),
    c("refr_domain_userid", Kind::Text, 128),
    c("refr_dvce_tstamp", Kind::Time, 0),
    c("derived_contexts", Kind::Json, 0),
    c("domain_sessionid", Kind::Text, 128),
    c("derived_tstamp", Kind::Time, 0),
    c("event_vendor", Kind::Text, 1000),
    c("event_name", Kind::Text, 1000),
    c("event_format", Kind::Text, 128),
    c("event_version", Kind::Text, 128),
    c("event_fingerprint", Kind::Text, 128),
    c("true_tstamp", Kind::Time, 0),
];

/// Money columns, `DECIMAL(18,2)` in the warehouse; the other decimal column, `se_value`, is a double there.
pub const MONEY: [usize; 8] =
    [TR_TOTAL, TR_TAX, TR_SHIPPING, TI_PRICE, TR_TOTAL_BASE, TR_TAX_BASE, TR_SHIPPING_BASE, TI_PRICE_BASE];

/// Index of the column called `name`. `refr_device_tstamp` is another name of `refr_dvce_tstamp`.
pub fn index_of(name: &str) -> Option<usize> {
    let name = if name == "refr_device_tstamp" { "refr_dvce_tstamp" } else { name };
    COLUMNS.iter().position(|c| c.name == name)
}

//! The table, for people.

use std::fmt::Write;

use super::{Handler, ROUTES, Route, Switch};

const INTRODUCTION: &str = "# Endpoints

Made from the table in `services/api/src/routes/table.rs` by `heliograph config routes`; do not edit.

`(a|b)` stands for several paths, `[/c]` may be there or not. `OPTIONS` is answered on every path and `HEAD` wherever
`GET` is; another method is 405 and another path 404, both with `M_UNRECOGNIZED`. \"Deprecated\" paths can be switched
off with `api.legacy_media`, those of MSC1902 also with `api.msc1902_paths`. What must come here through a reverse proxy
is in `tests/nginx/heliograph.conf`.

| method | path | who may call it | defined in |
|---|---|---|---|
";

/// The reference of all endpoints (Markdown).
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for Route { method, handler, source, switch, paths } in ROUTES {
        let off = match switch {
            Switch::Always => "",
            Switch::Legacy | Switch::Msc1902 => " (can be switched off)",
        };
        for path in *paths {
            let (method, caller) = (method.allowed(), handler.caller());
            // A bar would end the cell.
            let path = path.replace('|', "\\|");
            let _ = writeln!(text, "| {method} | `{path}` | {caller} | {source}{off} |");
        }
    }
    text
}

impl Handler {
    const fn caller(self) -> &'static str {
        match self {
            Self::User(_) => "users",
            Self::UserOrGuest(_) => "users and guests",
            Self::Anyone(_) => "anyone",
            Self::Server(_) => "other servers, by signature",
            Self::Administrator(_) => "administrators",
        }
    }
}

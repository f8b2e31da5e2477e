//! Which request is for whom.

use hyper::Method;

use super::respond::{Answer, Refusal, RefusalCode};
use crate::telemetry::{Api, Code};

/// What a request on the decision listener asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'p> {
    /// The interface.
    pub(super) api: Api,
    /// The company that the path names, if it names one.
    pub(super) company: Option<&'p str>,
    /// What follows the interface's path.
    pub(super) rest: &'p str,
}

/// An interface of the decision listener.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Which one.
    pub api: Api,
    /// Its path, after the company's name; of the metadata, before it.
    pub path: &'static str,
    /// Its methods, as in the header `Allow`.
    pub methods: &'static str,
    /// What it may answer to these methods.
    pub codes: &'static [Code],
}

// === impl Interface ===

impl Interface {
    /// Its paths, with `{company}` where the company's name stands.
    #[must_use]
    pub fn templates(&self) -> Vec<String> {
        match self.api {
            Api::Metadata => vec![self.path.to_owned(), format!("{}/{{company}}", self.path)],
            Api::ProxyEnvoy => vec![format!("/{{company}}{}/{{path}}", self.path)],
            _ => vec![format!("/{{company}}{}", self.path)],
        }
    }
}

/// Every interface of the decision listener.
pub static INTERFACES: [Interface; 10] = [
    posted(Api::Evaluation, "/access/v1/evaluation"),
    posted(Api::Evaluations, "/access/v1/evaluations"),
    posted(Api::SearchSubject, "/access/v1/search/subject"),
    posted(Api::SearchResource, "/access/v1/search/resource"),
    posted(Api::SearchAction, "/access/v1/search/action"),
    posted(Api::Explain, "/v1/explain"),
    FILTER,
    proxied(Api::ProxyAuth, "/proxy/auth"),
    proxied(Api::ProxyEnvoy, "/proxy/envoy"),
    METADATA,
];

const FILTER: Interface = Interface {
    codes: &[
        Code::Ok,
        Code::BadRequest,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotFound,
        Code::RequestTimeout,
        Code::TooLarge,
        Code::Unprocessable,
        Code::HeadTooLarge,
        Code::Internal,
        Code::Unavailable,
    ],
    ..posted(Api::Filter, "/v1/filter")
};

const METADATA: Interface = Interface {
    api: Api::Metadata,
    path: "/.well-known/authzen-configuration",
    methods: "GET, HEAD",
    codes: &[
        Code::Ok,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotFound,
        Code::HeadTooLarge,
        Code::Unavailable,
    ],
};

const fn posted(api: Api, path: &'static str) -> Interface {
    Interface {
        api,
        path,
        methods: "POST",
        codes: &[
            Code::Ok,
            Code::BadRequest,
            Code::Unauthorized,
            Code::Forbidden,
            Code::NotFound,
            Code::RequestTimeout,
            Code::TooLarge,
            Code::HeadTooLarge,
            Code::Internal,
            Code::Unavailable,
        ],
    }
}

/// Any method: a proxy sends GET, HEAD, or that of the request which it asks about. These are those
/// that can be named in a document.
const fn proxied(api: Api, path: &'static str) -> Interface {
    Interface {
        api,
        path,
        methods: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE",
        codes: &[Code::Ok, Code::Unauthorized, Code::Forbidden],
    }
}

/// Finds the route, or the interface that is missed and its answer. The path is compared as it
/// stands: nothing in it is decoded or put right.
pub(super) fn route<'p>(method: &Method, path: &'p str) -> Result<Route<'p>, (Api, Answer)> {
    let (interface, company, rest) = match path.strip_prefix(METADATA.path) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => (Some(&METADATA), None, rest),
        _ => {
            let (company, path) = split_company(path);
            let found = INTERFACES.iter().find_map(|interface| match interface.api {
                Api::Metadata => None,
                // What follows is the path of another request: it may be anything.
                Api::ProxyEnvoy => Some((interface, path.strip_prefix(interface.path)?)),
                _ => (interface.path == path).then_some((interface, "")),
            });
            let rest = found.map_or("", |(_, rest)| rest);
            (found.map(|(interface, _)| interface), company, rest)
        }
    };
    let Some(interface) = interface else {
        let message = "there is nothing at this path: try /COMPANY/access/v1/evaluation";
        let refusal = Refusal::new(Code::NotFound, RefusalCode::UnknownPath, message);
        return Err((Api::Unrouted, refusal.into()));
    };
    let (api, methods) = (interface.api, interface.methods);
    let is_one = || {
        let mut allowed = methods.split(", ");
        allowed.any(|allowed| allowed == method.as_str())
    };
    // Most take one method, and most requests have it.
    if api.is_of_proxies() || method.as_str() == methods || is_one() {
        return Ok(Route { api, company, rest });
    }
    let message = format!("this path takes {methods} alone");
    let code = RefusalCode::MethodNotAllowed;
    let refusal = Refusal::new(Code::MethodNotAllowed, code, message);
    Err((api, Answer::from(refusal).allowing(methods)))
}

/// Whether the table above knows of the answer: else what is written of the interface is wrong.
pub(super) fn is_foreseen(api: Api, code: Code) -> bool {
    let found = INTERFACES.iter().find(|interface| interface.api == api);
    let any_method = api.is_of_proxies();
    (code == Code::MethodNotAllowed && !any_method)
        || found.is_none_or(|interface| interface.codes.contains(&code))
}

/// The company that a path begins with, and what follows. A company is never named `access`,
/// `v1` or `proxy`, so a path that begins with one of these names none.
fn split_company(path: &str) -> (Option<&str>, &str) {
    let company = path.strip_prefix('/').and_then(|rest| {
        let end = rest.bytes().position(|byte| byte == b'/')?;
        rest.split_at_checked(end)
    });
    match company {
        Some((company, rest)) if !matches!(company, "" | "access" | "v1" | "proxy") => {
            (Some(company), rest)
        }
        _ => (None, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Result<Route<'_>, Code> {
        route(&method, path).map_err(|(_, answer)| answer.code)
    }

    #[test]
    fn a_path_names_a_company_or_leaves_it_out() {
        let evaluation = |company| {
            let api = Api::Evaluation;
            let rest = "";
            Ok(Route { api, company, rest })
        };
        let post = Method::POST;
        assert_eq!(
            found(post.clone(), "/demo/access/v1/evaluation"),
            evaluation(Some("demo"))
        );
        assert_eq!(found(post, "/access/v1/evaluation"), evaluation(None));
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "",
            "/",
            "*",
            "/demo",
            "//access/v1/evaluation",
            "/demo/access/v1/evaluation/",
            "/demo//access/v1/evaluation",
            "/demo/access/v1/Evaluation",
            "/demo/access/v1/evaluation%20",
            "/access/access/v1/evaluation",
            "/demo/access/v1/search",
            "/demo/.well-known/authzen-configuration",
            "/.well-known/authzen-configurations",
            "/.well-known",
        ] {
            assert_eq!(found(Method::POST, path), Err(Code::NotFound), "{path}");
        }
    }

    #[test]
    fn an_evaluation_is_posted() {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
            let found = found(method, "/demo/access/v1/evaluation");
            assert_eq!(found, Err(Code::MethodNotAllowed));
        }
    }
}

//! Which request is for whom.

use hyper::Method;

use super::respond::{Answer, Refusal, RefusalCode};
use crate::telemetry::{Api, Code};

/// What a request on the decision listener asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// An AuthZEN evaluation, of the company that the path names, if it names one.
    Evaluation { company: Option<&'p str> },
}

/// Finds the route, or the interface that is missed and its answer. The path is compared as it
/// stands: nothing in it is decoded or put right.
pub(super) fn route<'p>(method: &Method, path: &'p str) -> Result<Route<'p>, (Api, Answer)> {
    let (company, rest) = split_company(path);
    let (route, allowed) = match rest {
        "/access/v1/evaluation" => (Route::Evaluation { company }, Method::POST),
        _ => {
            let message = "there is nothing at this path: try /COMPANY/access/v1/evaluation";
            let refusal = Refusal::new(Code::NotFound, RefusalCode::UnknownPath, message);
            return Err((Api::Unrouted, refusal.into()));
        }
    };
    if *method == allowed {
        Ok(route)
    } else {
        let message = "this path takes POST alone";
        let code = RefusalCode::MethodNotAllowed;
        let refusal = Refusal::new(Code::MethodNotAllowed, code, message);
        Err((route.api(), Answer::from(refusal).allowing("POST")))
    }
}

/// The company that a path begins with, and what follows. A company is never named `access`,
/// `v1` or `proxy`, so a path that begins with one of these names none.
fn split_company(path: &str) -> (Option<&str>, &str) {
    let company = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    match company {
        Some((company, _)) if !matches!(company, "" | "access" | "v1" | "proxy") => {
            (Some(company), path.get(company.len() + 1..).unwrap_or(""))
        }
        _ => (None, path),
    }
}

impl Route<'_> {
    /// The interface, for metrics.
    pub(super) const fn api(self) -> Api {
        match self {
            Self::Evaluation { .. } => Api::Evaluation,
        }
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
        let evaluation = |company| Ok(Route::Evaluation { company });
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

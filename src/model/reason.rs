//! The answer, and why.

use std::fmt;

/// The answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, or not known.
    Deny,
}

/// Why a check was answered as it was. The decision follows from the reason.
///
/// Written (`Display`) it is the code that answers, logs and policy tests bear; [`Reason::code`]
/// is the part before the colon, a closed set fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason<'a> {
    /// Allow: a scope granted reaches the resource.
    Granted,
    /// Allow: a linked resource's permission stands in.
    Via {
        /// The linked type (`deal`).
        kind: &'a str,
        /// The linked action (`view`).
        action: &'a str,
    },
    /// Allow: the section may be entered.
    Section,
    /// Allow: a route is open to everybody.
    Public,
    /// Allow: a route is open to every active user.
    Authenticated,
    /// The subject's type means no user, or no user has this id or alias.
    UnknownSubject,
    /// The user is not active.
    InactiveSubject,
    /// The catalogue has no such resource type.
    UnknownResourceType,
    /// The resource type has no such action.
    UnknownAction,
    /// No such object is registered, and one of this type must be; or the id is never an id.
    UnknownResource,
    /// A role in force denies the permission.
    DeniedByRole,
    /// The project wall: no project of the resource is one of the user's.
    OutsideProjects,
    /// No role in force grants the permission.
    NoGrant,
    /// The permission is granted, but no scope reaches this resource.
    OutOfScope,
    /// The permission needs another one of the same resource, which is denied.
    Requires {
        /// The action that is needed and denied.
        action: &'a str,
    },
    /// The user may not test roles.
    TestRoleNotAllowed,
    /// There is no role of the name to be tested.
    UnknownRole,
    /// The tested role would allow what the user's own roles do not.
    BeyondOwnRoles,
    /// No route is about the path of an HTTP request.
    NoRoute,
    /// Routes are about the path of an HTTP request, and none about its method.
    MethodNotAllowed,
    /// What would decide is older than it may be, and the operator wants that to deny.
    PolicyTooOld,
}

// === impl Reason ===

impl Reason<'_> {
    /// Every code, in the order of the decision's steps.
    pub const CODES: [&'static str; 21] = [
        "granted",
        "via",
        "section",
        "public",
        "authenticated",
        "unknown_subject",
        "inactive_subject",
        "unknown_resource_type",
        "unknown_action",
        "unknown_resource",
        "denied_by_role",
        "outside_projects",
        "no_grant",
        "out_of_scope",
        "requires",
        "test_role_not_allowed",
        "unknown_role",
        "beyond_own_roles",
        "no_route",
        "method_not_allowed",
        "policy_too_old",
    ];

    /// Those that no check comes to: they are of routes, or say that nothing was decided.
    pub const BESIDE_CHECKS: [&'static str; 5] = [
        "public",
        "authenticated",
        "no_route",
        "method_not_allowed",
        "policy_too_old",
    ];

    /// The code without what follows its colon.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "checked for every ordinal in tests"
    )]
    pub const fn code(&self) -> &'static str {
        Self::CODES[self.ordinal()]
    }

    /// The code's position in [`Reason::CODES`].
    #[must_use]
    pub const fn ordinal(&self) -> usize {
        match self {
            Self::Granted => 0,
            Self::Via { .. } => 1,
            Self::Section => 2,
            Self::Public => 3,
            Self::Authenticated => 4,
            Self::UnknownSubject => 5,
            Self::InactiveSubject => 6,
            Self::UnknownResourceType => 7,
            Self::UnknownAction => 8,
            Self::UnknownResource => 9,
            Self::DeniedByRole => 10,
            Self::OutsideProjects => 11,
            Self::NoGrant => 12,
            Self::OutOfScope => 13,
            Self::Requires { .. } => 14,
            Self::TestRoleNotAllowed => 15,
            Self::UnknownRole => 16,
            Self::BeyondOwnRoles => 17,
            Self::NoRoute => 18,
            Self::MethodNotAllowed => 19,
            Self::PolicyTooOld => 20,
        }
    }

    /// The decision that this reason stands for.
    #[inline]
    #[must_use]
    pub const fn decision(&self) -> Decision {
        match self {
            Self::Granted
            | Self::Via { .. }
            | Self::Section
            | Self::Public
            | Self::Authenticated => Decision::Allow,
            Self::UnknownSubject
            | Self::InactiveSubject
            | Self::UnknownResourceType
            | Self::UnknownAction
            | Self::UnknownResource
            | Self::DeniedByRole
            | Self::OutsideProjects
            | Self::NoGrant
            | Self::OutOfScope
            | Self::Requires { .. }
            | Self::TestRoleNotAllowed
            | Self::UnknownRole
            | Self::BeyondOwnRoles
            | Self::NoRoute
            | Self::MethodNotAllowed
            | Self::PolicyTooOld => Decision::Deny,
        }
    }

    /// Whether the decision is allow.
    #[inline]
    #[must_use]
    pub const fn allows(&self) -> bool {
        matches!(self.decision(), Decision::Allow)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())?;
        match self {
            Self::Via { kind, action } => write!(f, ":{kind}.{action}"),
            Self::Requires { action } => write!(f, ":{action}"),
            _ => Ok(()),
        }
    }
}

// === impl Decision ===

impl Decision {
    /// The name in policy tests, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn ordinals_and_codes_go_together() {
        let last = Reason::PolicyTooOld;
        assert_eq!(last.ordinal() + 1, Reason::CODES.len());
        assert_eq!(last.code(), "policy_too_old");
        assert_eq!(Reason::OutsideProjects.code(), "outside_projects");
        assert_eq!(
            Reason::Requires { action: "view" }.to_string(),
            "requires:view"
        );
        assert_eq!(
            Reason::Via {
                kind: "deal",
                action: "view"
            }
            .to_string(),
            "via:deal.view"
        );
    }
}

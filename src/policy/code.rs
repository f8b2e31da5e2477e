//! What can be wrong with policy files: a closed list of stable codes.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)*) => {
        /// What is wrong: a stable code that tools may match and people may look up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])+ $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    // --- files ---
    /// A file or folder that must be there is not.
    MissingFile = "missing_file",
    /// A file that callgate would not read, though its name says it is policy.
    UnknownFile = "unknown_file",
    /// The same thing is written as YAML and as CSV.
    TwoFiles = "two_files",
    /// A file has nothing in it; it may be half written.
    EmptyFile = "empty_file",
    /// A file is larger than what is read, or holds more values.
    TooLarge = "too_large",
    /// A file is not text in UTF-8.
    NotUtf8 = "not_utf8",
    /// A character that no policy file may hold: NUL, other controls, a lone carriage return.
    ForbiddenCharacter = "forbidden_character",

    // --- YAML ---
    /// The file cannot be read as YAML.
    YamlSyntax = "yaml_syntax",
    /// A tab where YAML wants spaces.
    TabIndentation = "tab_indentation",
    /// A second document in one file.
    SeveralDocuments = "several_documents",
    /// An anchor or an alias.
    Anchor = "anchor",
    /// A merge key, `<<`.
    MergeKey = "merge_key",
    /// A tag, `!…`.
    Tag = "tag",
    /// Values nested too deeply.
    TooNested = "too_nested",
    /// A key that stands twice in one table.
    DuplicateKey = "duplicate_key",
    /// A key that is no plain text.
    KeyNotText = "key_not_text",
    /// A bare word or number that readers of YAML take for different things.
    Ambiguous = "ambiguous",
    /// A bare boolean or number where text is meant.
    Unquoted = "unquoted",
    /// A number that is not finite, or that would not be kept exactly.
    BadNumber = "bad_number",

    // --- CSV ---
    /// The file cannot be read as CSV.
    CsvSyntax = "csv_syntax",
    /// A row with more or fewer fields than the header.
    UnevenRow = "uneven_row",

    // --- shape ---
    /// A key or column that is not known here.
    UnknownKey = "unknown_key",
    /// A key or column that must be there is not.
    MissingKey = "missing_key",
    /// Two keys that exclude each other.
    ConflictingKeys = "conflicting_keys",
    /// A value of another kind than is expected.
    WrongType = "wrong_type",
    /// A word that is none of those that may stand here.
    UnknownValue = "unknown_value",
    /// An empty list where one would say nothing.
    EmptyList = "empty_list",
    /// An empty table where one would say nothing.
    EmptyTable = "empty_table",

    // --- names ---
    /// A name that breaks the rules for names.
    BadName = "bad_name",
    /// An id or alias that breaks the rules for ids.
    BadId = "bad_id",
    /// A company is not named like its folder.
    NameMismatch = "name_mismatch",
    /// A name that callgate keeps for itself.
    ReservedName = "reserved_name",
    /// Two things of one kind bear one name.
    DuplicateName = "duplicate_name",
    /// Something stands twice in one list.
    DuplicateItem = "duplicate_item",
    /// One id or alias stands for two users.
    IdCollision = "id_collision",
    /// Two user names differ only by case (a warning).
    SimilarNames = "similar_names",
    /// No such resource type.
    UnknownType = "unknown_type",
    /// No such action.
    UnknownAction = "unknown_action",
    /// No such role.
    UnknownRole = "unknown_role",
    /// No such user.
    UnknownUser = "unknown_user",
    /// No such group.
    UnknownGroup = "unknown_group",
    /// No such department.
    UnknownDepartment = "unknown_department",
    /// No such team.
    UnknownTeam = "unknown_team",
    /// No such shift.
    UnknownShift = "unknown_shift",
    /// No such project.
    UnknownProject = "unknown_project",
    /// No such registered object.
    UnknownObject = "unknown_object",
    /// No such pack.
    UnknownPack = "unknown_pack",
    /// No such time zone.
    UnknownTimeZone = "unknown_time_zone",
    /// Something extends, requires or lies below itself.
    Cycle = "cycle",
    /// A chain is longer than 32.
    TooDeep = "too_deep",

    // --- catalogue ---
    /// A name that would mean two things.
    NameCollision = "name_collision",
    /// Users, projects and roles are registered by nature.
    RegisteredByNature = "registered_by_nature",
    /// A second action is marked `lifts_wall` or `tests_roles`.
    DuplicateMark = "duplicate_mark",
    /// An action marked `lifts_wall` or `tests_roles` offers another scope than `any`.
    AnyScopeOnly = "any_scope_only",

    // --- roles ---
    /// No such scope.
    UnknownScope = "unknown_scope",
    /// A scope that the action does not offer.
    ScopeNotOffered = "scope_not_offered",
    /// Two denies of a role say the same.
    DuplicateLine = "duplicate_line",
    /// A line that decides for an action marked `lifts_wall` or `tests_roles` tests the resource.
    TestsResourceNotAllowed = "tests_resource_not_allowed",
    /// A company's role bears a template role's name.
    TemplateRoleIsFixed = "template_role_is_fixed",
    /// A required role that nobody has for good.
    NoHolder = "no_holder",
    /// A required role bound to shifts, which nobody can have for good.
    RequiredOnShift = "required_on_shift",
    /// A user with no role or several, where each has one.
    OneRoleEach = "one_role_each",

    // --- conditions ---
    /// A path that leads nowhere.
    BadPath = "bad_path",
    /// A path to the name under which requests give a fact.
    FactPath = "fact_path",
    /// Not a CIDR block.
    BadNetwork = "bad_network",

    // --- time ---
    /// Not a date, a time of the day, or a moment.
    BadTime = "bad_time",
    /// A period that ends before it begins.
    EmptyPeriod = "empty_period",

    // --- properties and objects ---
    /// A stored null.
    NullValue = "null_value",
    /// A stored property named like a fact.
    ReservedProperty = "reserved_property",
    /// An object of an exclusive type in two projects.
    ExclusiveObject = "exclusive_object",

    // --- routes ---
    /// A route's path breaks the grammar.
    BadRoutePath = "bad_route_path",
    /// A route's host is no host.
    BadHost = "bad_host",
    /// A route's method is no method.
    BadMethod = "bad_method",
    /// A check's id uses a capture that its path does not have.
    UnknownCapture = "unknown_capture",
    /// Two routes are equal in host, path and method.
    DuplicateRoute = "duplicate_route",

    // --- tests ---
    /// Not a reason code.
    UnknownReason = "unknown_reason",
    /// A reason that never comes with the expected decision.
    ReasonContradicts = "reason_contradicts",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The tables of a snapshot: rows of fixed size that point at each other by number.
//!
//! Every row is plain memory without padding, so that a table goes into a file, and comes out of
//! one, as it lies. Readers never trust a number: what points nowhere is absent.

use std::net::IpAddr;

use ipnet::IpNet;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::names::Slot;
use super::walls::Outline;
/// The operators' names, by the `TEST_…` numbers.
pub(crate) use crate::policy::OPERATORS;

/// "There is none", where a number may be missing.
pub(crate) const NONE: u32 = u32::MAX;

/// `Some`, where a number is not [`NONE`].
#[inline]
pub(crate) const fn some(id: u32) -> Option<u32> {
    if id == NONE { None } else { Some(id) }
}

/// A stretch of another table.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Span {
    /// The stretch; empty where the table does not reach.
    #[inline]
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        let start = self.start as usize;
        table
            .get(start..start + self.length as usize)
            .unwrap_or(&[])
    }
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
            zerocopy::KnownLayout,
        )]
        #[repr(C)]
        pub(crate) struct $name { $($(#[$field_doc])* pub(crate) $field: $type,)* }
    )*};
}
pub(in crate::snapshot) use rows;

rows! {
    /// What holds for the whole company; one row.
    MetaRow {
        company: u32,
        /// List of texts.
        subject_types: u32,
        /// 1: the project wall stands.
        enhanced: u32,
        /// Columns of the tables of roles.
        permissions: u32,
        /// The permission that lifts the wall, or none.
        lifts_wall: u32,
        /// The permission that allows testing roles, or none.
        tests_roles: u32,
        /// The role set of the implicit roles that are not bound to shifts.
        implicit_set: u32,
        /// List of the limited roles that are implicit and bound to shifts.
        implicit_limited: u32,
    }
    /// A resource type.
    TypeRow {
        name: u32,
        /// One of the `REGISTRY_…` numbers.
        registry: u32,
        walled: u32,
        /// The name under which a request gives the owner.
        owner_name: u32,
        group_name: u32,
        /// List of texts.
        department_names: u32,
        /// List of texts.
        project_names: u32,
        /// List of types that may be parents.
        parents: u32,
        /// 1: some object of the type is registered.
        objects: u32,
    }
    /// A permission: an action of a type.
    PermissionRow {
        kind: u32,
        /// The action's name.
        name: u32,
        /// 1: about a resource that is not there yet.
        new: u32,
        /// Stretch of `requires`.
        requires: Span,
        /// List of linked permissions.
        via: u32,
    }
    /// An action that another one requires.
    RequireRow {
        permission: u32,
        /// List of the permission and all that it requires in turn.
        closure: u32,
    }
    /// A role.
    RoleRow {
        name: u32,
        /// List of the projects that the role is in, as a resource.
        projects: u32,
        /// Stretch of `conditional`.
        conditional: Span,
    }
    /// What a role grants or denies under a condition.
    ConditionalRow {
        permission: u32,
        /// Scopes granted; 0: a deny.
        scopes: u32,
        condition: u32,
    }
    /// Roles that users hold together for good: everybody with the same ones shares the row.
    RoleSetRow {
        /// List of roles.
        roles: u32,
        reserved: u32,
        /// The bits (see [`permission_bit`]) of what some of them deny under a condition.
        denies_bits: u64,
    }
    /// A role that is in force only at times.
    LimitedRow {
        /// Microseconds since the epoch, inclusive.
        from: i64,
        /// Microseconds since the epoch, exclusive.
        until: i64,
        role: u32,
        /// List of projects; none: everywhere.
        projects: u32,
        /// 1: on the user's shift only.
        on_shift: u32,
        reserved: u32,
    }
    /// A user. One row is one fetch.
    #[repr(align(64))]
    UserRow {
        id: u32,
        group: u32,
        /// List of the user's departments.
        departments: u32,
        /// List of these and all departments above them.
        within: u32,
        /// List of the user's departments and those that the user leads.
        reach_departments: u32,
        /// List of the user's group and those that the user leads.
        reach_groups: u32,
        /// List of teams.
        teams: u32,
        /// List of projects.
        projects: u32,
        role_set: u32,
        /// List of limited roles.
        limited: u32,
        /// Which shift counts, or none.
        shift_plan: u32,
        /// Node of the stored properties, or none.
        properties: u32,
        /// The bits (see [`permission_bit`]) of what the roles in `limited` speak of, so that the
        /// list is mostly not looked at.
        limited_bits: u64,
        /// The outline of the projects, [`USER_ACTIVE`] and [`USER_MAY_LIFT`].
        flags: u64,
    }
    /// A department.
    DepartmentRow {
        name: u32,
        parent: u32,
    }
    /// A group or a project.
    NamedRow {
        name: u32,
    }
    /// People, by any of four ways. Lists.
    MembersRow {
        users: u32,
        groups: u32,
        departments: u32,
        teams: u32,
    }
    /// A registered object. One row is one fetch.
    #[repr(align(32))]
    ObjectRow {
        kind: u32,
        id: u32,
        owner: u32,
        group: u32,
        /// List; empty where the registration leaves them out.
        departments: u32,
        /// List: those that list it, else its parent's, else `default`.
        projects: u32,
        /// Row of `members`: its own operators and those of all its parents; or none.
        operators: u32,
        /// Node of the stored properties, or none.
        properties: u32,
    }
    /// A stored value: see `NODE_…`.
    NodeRow {
        tag: u32,
        a: u32,
        b: u32,
    }
    /// A member of a stored object; members lie sorted by name.
    MemberRow {
        name: u32,
        node: u32,
    }
    /// A condition: stretch of `tests`, all of which must hold.
    ConditionRow {
        tests: Span,
    }
    /// One test of a condition.
    TestRow {
        path: u32,
        /// One of the `TEST_…` numbers.
        operator: u32,
        /// Stretch of `operands`.
        operands: Span,
        /// 1: it looks at the resource, on either side.
        resource: u32,
    }
    /// Where a test looks.
    PathRow {
        /// One of the `ROOT_…` numbers.
        root: u32,
        /// One of the `FACT_…` numbers.
        fact: u32,
        /// List of texts.
        segments: u32,
    }
    /// What a test compares with: see `OPERAND_…`.
    OperandRow {
        tag: u32,
        a: u32,
        b: u32,
    }
    /// A CIDR block.
    NetworkRow {
        /// IPv6, or IPv4 in the first four bytes.
        address: [u8; 16],
        /// 4 or 6.
        family: u32,
        prefix: u32,
    }
    /// Which shift counts on which day.
    ShiftPlanRow {
        shift: u32,
        /// The shift after the change, or none.
        next: u32,
        /// The first day whose turns are the next shift's, in days since the epoch.
        next_from: i32,
    }
    /// A shift.
    ShiftRow {
        /// Stretch of `turns`.
        turns: Span,
        /// Stretch of `days_off`.
        off: Span,
    }
    /// A turn of a shift.
    TurnRow {
        /// Bit 0 Monday to bit 6 Sunday.
        days: u32,
        /// Minute of the day.
        from: u32,
        /// Minutes after midnight of the day on which it starts; above 1440 on the next day.
        to: u32,
    }
    /// From this second on, the company's clocks are ahead of UTC by so much.
    OffsetRow {
        at: i64,
        /// Seconds east.
        offset: i64,
    }
    /// What the policy must decide.
    ExpectationRow {
        at: i64,
        /// 1: `at` is given.
        timed: u32,
        name: u32,
        subject_type: u32,
        subject: u32,
        subject_properties: u32,
        action: u32,
        action_properties: u32,
        resource_type: u32,
        resource: u32,
        resource_properties: u32,
        context: u32,
        section: u32,
        /// Text, or none.
        test_role: u32,
        /// 1: allow.
        expect: u32,
        /// Text, or none.
        reason: u32,
        reserved: u32,
    }
    /// The routes of one host. Sorted by host; those for any host stand last.
    RouteHostRow {
        /// Text, or none: any host.
        host: u32,
        /// The node of the root `/`.
        node: u32,
    }
    /// A path so far: what may follow, and the lines for those that end here.
    RouteNodeRow {
        /// Stretch of `route_edges`, sorted by segment.
        literals: Span,
        /// The node behind any one segment, or none.
        capture: u32,
        /// The node for all that follows, nothing too; or none.
        rest: u32,
        /// Stretch of `route_lines`.
        lines: Span,
    }
    /// A segment that stands as such, and what is behind it.
    RouteEdgeRow {
        /// Text.
        segment: u32,
        node: u32,
    }
    /// Who may pass, of the requests that end at a node.
    RouteLineRow {
        /// List of the methods' texts, sorted; empty: all methods.
        methods: u32,
        /// One of the `ROUTE_…` numbers.
        rule: u32,
        /// Of a check the permission, else none.
        permission: u32,
        /// 1: a section check.
        section: u32,
        /// Of a check of a resource, its id: stretch of `route_parts`.
        id: Span,
        /// Node of the constant properties, or none.
        properties: u32,
    }
    /// A part of an id that is made of a path.
    RoutePartRow {
        /// One of the `PART_…` numbers.
        tag: u32,
        /// A text, or the position of a segment from 0.
        value: u32,
    }
}

/// Everybody.
pub(crate) const ROUTE_PUBLIC: u32 = 0;
/// Every user who is active.
pub(crate) const ROUTE_AUTHENTICATED: u32 = 1;
/// Who may, by the permission.
pub(crate) const ROUTE_CHECK: u32 = 2;

/// A text as it stands.
pub(crate) const PART_TEXT: u32 = 0;
/// One segment of the path.
pub(crate) const PART_SEGMENT: u32 = 1;
/// A segment and all that follow.
pub(crate) const PART_REST: u32 = 2;

pub(crate) const REGISTRY_OPEN: u32 = 0;
pub(crate) const REGISTRY_OBJECTS: u32 = 1;
pub(crate) const REGISTRY_USERS: u32 = 2;
pub(crate) const REGISTRY_PROJECTS: u32 = 3;
pub(crate) const REGISTRY_ROLES: u32 = 4;

/// `a`: 0 or 1.
pub(crate) const NODE_BOOL: u32 = 1;
/// `a`, `b`: low and high half of a double's bits.
pub(crate) const NODE_NUMBER: u32 = 2;
/// `a`: a text.
pub(crate) const NODE_STRING: u32 = 3;
/// `a`, `b`: stretch of `nodes`.
pub(crate) const NODE_LIST: u32 = 4;
/// `a`, `b`: stretch of `members_of_nodes`.
pub(crate) const NODE_OBJECT: u32 = 5;
/// Within a list only: it counts as absent.
pub(crate) const NODE_NULL: u32 = 6;

/// As [`NODE_BOOL`]; likewise the next two.
pub(crate) const OPERAND_BOOL: u32 = 1;
pub(crate) const OPERAND_NUMBER: u32 = 2;
pub(crate) const OPERAND_STRING: u32 = 3;
/// `a`: a path; the value there.
pub(crate) const OPERAND_PATH: u32 = 4;
/// `a`: a path; the list there stands for all operands.
pub(crate) const OPERAND_WHOLE_PATH: u32 = 5;
/// `a`: a network.
pub(crate) const OPERAND_NETWORK: u32 = 6;

pub(crate) const ROOT_SUBJECT: u32 = 0;
pub(crate) const ROOT_RESOURCE: u32 = 1;
pub(crate) const ROOT_ACTION: u32 = 2;
pub(crate) const ROOT_CONTEXT: u32 = 3;

/// A property, no fact.
pub(crate) const FACT_NONE: u32 = 0;
pub(crate) const FACT_ID: u32 = 1;
pub(crate) const FACT_OWNER: u32 = 2;
pub(crate) const FACT_GROUP: u32 = 3;
pub(crate) const FACT_DEPARTMENTS: u32 = 4;
pub(crate) const FACT_PROJECTS: u32 = 5;

pub(crate) const TEST_IS: u32 = 0;
pub(crate) const TEST_NOT: u32 = 1;
pub(crate) const TEST_IN: u32 = 2;
pub(crate) const TEST_NOT_IN: u32 = 3;
pub(crate) const TEST_AT_LEAST: u32 = 4;
pub(crate) const TEST_AT_MOST: u32 = 5;
pub(crate) const TEST_IN_NETWORK: u32 = 6;
pub(crate) const TEST_NOT_IN_NETWORK: u32 = 7;
pub(crate) const TEST_CONTAINS: u32 = 8;
/// The operand is a bool.
pub(crate) const TEST_PRESENT: u32 = 9;

/// A role denies the permission, whatever the circumstances: a bit beside the scopes in a cell.
pub(crate) const CELL_DENY: u8 = 1 << 6;
/// A role grants or denies the permission under a condition.
pub(crate) const CELL_CONDITIONAL: u8 = 1 << 7;

/// The bit that stands for a permission, and for those whose numbers differ from its by 64.
#[inline]
pub(crate) const fn permission_bit(permission: u32) -> u64 {
    1 << (permission & 63)
}

/// The user may do something at all: beside the outline in `flags`.
pub(crate) const USER_ACTIVE: u64 = 1 << 63;
/// The user's roles say something of the permission that lifts the project wall.
pub(crate) const USER_MAY_LIFT: u64 = 1 << 62;

// === impl UserRow ===

impl UserRow {
    #[inline]
    pub(crate) const fn is_active(&self) -> bool {
        self.flags & USER_ACTIVE != 0
    }

    /// Whether the user's own roles may lift the project wall. Where they may not, none does.
    #[inline]
    pub(crate) const fn may_lift(&self) -> bool {
        self.flags & USER_MAY_LIFT != 0
    }

    /// The outline of the projects.
    #[inline]
    pub(crate) const fn outline(&self) -> Outline {
        Outline(self.flags & Outline::ANYTHING.0)
    }
}

// === impl NetworkRow ===

impl NetworkRow {
    /// The block of this text (`10.0.0.0/8`), without bits beyond its prefix. IPv4-mapped blocks are
    /// IPv4.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let block: IpNet = text.parse().ok()?;
        if block.addr() != block.network() {
            return None;
        }
        let prefix = u32::from(block.prefix_len());
        Some(match (block.addr(), block.addr().to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= 96 => {
                Self::v4(mapped.octets(), prefix - 96)
            }
            (IpAddr::V6(v6), _) => Self {
                address: v6.octets(),
                family: 6,
                prefix,
            },
            (IpAddr::V4(v4), _) => Self::v4(v4.octets(), prefix),
        })
    }

    fn v4([a, b, c, d]: [u8; 4], prefix: u32) -> Self {
        let address = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self {
            address,
            family: 4,
            prefix,
        }
    }
}

impl std::fmt::Display for NetworkRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, ..] = self.address;
        match self.family {
            4 => write!(f, "{}/{}", IpAddr::from([a, b, c, d]), self.prefix),
            _ => write!(f, "{}/{}", IpAddr::from(self.address), self.prefix),
        }
    }
}

macro_rules! tables {
    (
        $(#[$all_doc:meta])*
        $all:ident;
        $($(#[$doc:meta])* $number:literal $name:ident: $row:ty,)*
    ) => {
        $(#[$all_doc])*
        #[derive(Clone, Default)]
        pub(crate) struct $all { $($(#[$doc])* pub(crate) $name: std::sync::Arc<[$row]>,)* }

        impl $all {
            /// Calls `each` with every table's number, name, row size and bytes, in the order of numbers.
            pub(crate) fn for_each(&self, mut each: impl FnMut(u32, &'static str, usize, &[u8])) {
                $(each(
                    $number,
                    stringify!($name),
                    size_of::<$row>(),
                    zerocopy::IntoBytes::as_bytes(&*self.$name),
                );)*
            }

            /// Reads the tables, in the order of numbers.
            pub(in crate::snapshot) fn read(
                from: &mut crate::snapshot::reader::Reader<'_>,
            ) -> Result<Self, crate::snapshot::file::ReadError> {
                Ok(Self { $($name: from.rows($number)?,)* })
            }

            /// Every table's number and row size, in the order of numbers.
            pub(in crate::snapshot) const SHAPE: &[(u32, usize)] = &[$(($number, size_of::<$row>()),)*];
        }
    };
}
pub(in crate::snapshot) use tables;

tables! {
    /// All tables of a company but its texts. They are shared, so that a snapshot that differs in
    /// one of them costs that one.
    Tables;
    2 meta: MetaRow,
    3 names: Slot,
    4 lists: u32,
    5 types: TypeRow,
    6 permissions: PermissionRow,
    7 requires: RequireRow,
    8 roles: RoleRow,
    /// A cell for each role and permission: scopes, `CELL_DENY`, `CELL_CONDITIONAL`.
    9 role_cells: u8,
    10 conditional: ConditionalRow,
    11 role_sets: RoleSetRow,
    /// A cell for each role set and permission: its roles' cells united.
    12 role_set_cells: u8,
    13 limited: LimitedRow,
    14 users: UserRow,
    15 departments: DepartmentRow,
    16 groups: NamedRow,
    17 projects: NamedRow,
    18 objects: ObjectRow,
    19 members: MembersRow,
    20 nodes: NodeRow,
    21 members_of_nodes: MemberRow,
    22 conditions: ConditionRow,
    23 tests: TestRow,
    24 paths: PathRow,
    25 operands: OperandRow,
    26 networks: NetworkRow,
    27 shift_plans: ShiftPlanRow,
    28 shifts: ShiftRow,
    29 turns: TurnRow,
    30 days_off: i32,
    31 offsets: OffsetRow,
    32 expectations: ExpectationRow,
    33 route_hosts: RouteHostRow,
    34 route_nodes: RouteNodeRow,
    35 route_edges: RouteEdgeRow,
    36 route_lines: RouteLineRow,
    37 route_parts: RoutePartRow,
}

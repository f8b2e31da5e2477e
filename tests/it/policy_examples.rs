//! The examples of the model's page, completed to a pack and a company that hold together.

/// A tree of files: path and content.
pub(crate) type Tree = Vec<(String, String)>;

/// The pack and the company `demo`, whole.
pub(crate) fn good() -> Tree {
    let mut tree: Tree = FILES
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    tree.sort();
    tree
}

/// The pack, without a role that must be held and without tests, and a company of one user.
pub(crate) fn small() -> Tree {
    let templates = TEMPLATES.replace("    required: true\n", "");
    let files = [
        ("packs/oki-toki/catalogue.yaml", CATALOGUE),
        ("packs/oki-toki/roles.yaml", templates.as_str()),
        (
            "companies/demo/company.yaml",
            "company: demo\npack: oki-toki\n",
        ),
        (
            "companies/demo/users.yaml",
            "users:\n  - { user: ewa, roles: [admin] }\n",
        ),
    ];
    let owned = |(path, text): (&str, &str)| (path.to_owned(), text.to_owned());
    files.map(owned).to_vec()
}

const FILES: &[(&str, &str)] = &[
    ("packs/oki-toki/catalogue.yaml", CATALOGUE),
    ("packs/oki-toki/roles.yaml", TEMPLATES),
    ("packs/oki-toki/tests.yaml", PACK_TESTS),
    ("companies/demo/company.yaml", COMPANY),
    ("companies/demo/roles.yaml", ROLES),
    ("companies/demo/users.yaml", USERS),
    ("companies/demo/objects.yaml", OBJECTS),
    ("companies/demo/projects.yaml", PROJECTS),
    ("companies/demo/routes.yaml", ROUTES),
    ("companies/demo/tests.yaml", TESTS),
];

const CATALOGUE: &str = r#"catalogue: oki-toki
resources:
  queue:
    title: Queue of calls
    registered: true           # an id that is not registered is denied
    exclusive: true            # an object of this type is in one project at most
    properties: { owner: responsible }
    actions:
      create: { new: true }
      view:   {}
      manage: {}
  dialer:
    registered: true
    actions: { view: {} }
  number_list:
    registered: true
    parent: [queue]
    actions: { view: {}, edit: {} }
  channel:
    registered: true
    actions: { view: {} }
  crm_form:
    registered: true
    actions: { view: {}, edit: {} }
  deal:
    registered: true
    actions: { view: {}, edit: {}, delete: {} }
  lead:
    actions: { view: {} }
  ticket:
    actions: { create: { new: true }, view: {} }
  widget:
    actions: { view: {} }
  kpi:
    actions: { view: {}, export: {} }
  security:
    actions: { manage: {} }
  settings:
    walled: false
    actions: { manage: {} }
  canned_reply:
    registered: true
    actions: { use: {} }
  call:
    parent: [queue, dialer]
    actions:
      view:   {}
      take:   { scopes: [assigned] }
      listen: { scopes: [own, group, department, branch, any], requires: [view] }
      export: {}
  chat:
    parent: [channel]
    actions:
      view:    {}
      history: { via: [deal.view, lead.view] }
      join:    { via: [deal.view, lead.view] }
      rate:    { scopes: [department, any], requires: [history] }
  finance:
    walled: false
    actions: { view: {}, edit: {} }
  project:
    actions:
      view_all: { lifts_wall: true, scopes: [any] }
      list: {}
      manage_access: {}
      manage: {}
  role:
    walled: false
    actions: { view: {}, manage: {}, test: { tests_roles: true, scopes: [any] } }
  user:
    actions: { view: {}, view_offline: { requires: [view] }, manage: {} }
"#;

const TEMPLATES: &str = r#"roles:
  - role: admin
    required: true
    grants: { "*": any }
  - role: supervisor
    title: Supervisor
    description: Leads operators
    grants:
      "*": any
      finance: none
      kpi: none
      security: none
      project: none
      role: { "*": none, view: any }
  - role: operator
    grants:
      ticket: { create: any }
      call:   { view: any, listen: any, take: assigned }
      chat:   { view: any }
      widget: any
  - role: auditor
    grants: { "*": { view: any } }
    deny: ["*.export"]
  - role: everyone
    implicit: true
    grants: { canned_reply: { use: assigned } }
"#;

const PACK_TESTS: &str = r#"company: { company: small, security: enhanced, departments: [{ department: care }] }
roles:
  - { role: helper, extends: [operator] }
users:
  - { user: root, roles: [admin] }
  - { user: ann, departments: [care], roles: [helper] }
objects:
  - { type: queue, id: in }
projects:
  - { project: one, members: { departments: [care] }, objects: { queue: [in] } }
tests:
  - { name: ann may view calls, user: ann, action: view, resource: { type: call, id: c1 }, expect: deny, reason: outside_projects }
"#;

const COMPANY: &str = r##"company: demo
title: Demo contact centre
pack: oki-toki
security: enhanced
roles_per_user: many
subject_types: [user]
time_zone: Europe/Warsaw
departments:
  - { department: care, leaders: [ewa] }
  - { department: billing, parent: care, roles: [biller] }
groups:
  - { group: night, title: Night team, color: "#224488", roles: [operator], leaders: [anna], shift: night }
teams:
  - { team: launch, users: [olga, piotr], roles: [reporter] }
shifts:
  - { shift: night, weekly: [{ days: [mon, tue, wed, thu, fri], from: "22:00", to: "06:00" }], off: [2026-12-24] }
  - { shift: day, weekly: [{ days: [mon], from: "08:00", to: "24:00" }] }
"##;

const ROLES: &str = r#"roles:
  - role: office_only
    implicit: true
    deny: [{ permission: call.export, when: { context.ip: { not_in_network: [10.0.0.0/8] } } }]
  - role: collector
    extends: [operator]
    only_on_shift: true
    grants:
      deal:
        edit: { scope: own, when: { resource.status: open, resource.amount: { at_most: 5000 } } }
        view: [ own, { scope: any, when: { resource.region: { is: { path: subject.region } } } } ]
      chat: { rate: { scope: any, when: { resource.owner: { not: { path: subject.id } } } } }
  - role: biller
    grants: { finance: any }
  - role: reporter
    grants: { kpi: { view: [own, department] } }
"#;

const USERS: &str = r#"users:
  - user: olga
    title: Olga Nowak
    aliases: [olga@demo.example, "sip:101"]
    active: true
    properties: { region: north, level: 3, trusted: false }
    group: night
    departments: [billing]
    roles: [operator, { role: supervisor, projects: [bank-x], until: 2026-02-01T00:00:00Z }]
    shift: { shift: night, next: day, next_from: 2026-01-12 }
  - { user: piotr, roles: [{ role: collector, from: 2026-01-01, until: 2026-07-01 }], shift: day }
  - { user: ewa, title: "Ewa", roles: [admin] }
  - { user: anna, active: false, departments: [care, billing] }
"#;

const OBJECTS: &str = r#"objects:
  - { type: queue, id: sales-in, owner: olga, departments: [billing], group: night, operators: { users: [olga], groups: [night] } }
  - { type: number_list, id: vip, parent: { type: queue, id: sales-in } }
  - { type: deal, id: d-7, owner: "sip:101", properties: { status: open, amount: 900 } }
  - { type: crm_form, id: loan, title: Loan }
"#;

const PROJECTS: &str = r#"projects:
  - project: bank-x
    title: Bank X
    members: { users: [olga], groups: [night], departments: [billing], teams: [launch] }
    objects: { queue: [sales-in], crm_form: [loan], role: [collector] }
  - project: default
    members: { users: [ewa] }
"#;

const ROUTES: &str = r#"routes:
  - { path: "/health", allow: public }
  - { path: "/me/{*rest}", allow: authenticated }
  - { methods: [get, HEAD], host: "Reports.demo.example", path: "/calls/{id}", check: { type: call, action: view, id: "{id}" } }
  - { methods: [DELETE], path: "/deals/{id}", check: { type: deal, action: delete, id: "{id}" } }
  - { path: "/admin/{*rest}", check: { type: settings, action: manage, section: true } }
"#;

const TESTS: &str = r#"tests:
  - name: an operator hears only own calls
    user: olga
    action: listen
    resource: { type: call, id: c1, properties: { owner: piotr } }
    expect: deny
    reason: out_of_scope
  - { name: at night, user: olga, action: view, section: true, resource: { type: call }, at: 2026-03-02T23:00:00+01:00, expect: allow }
  - name: by a link
    user: { type: user, id: olga, properties: { floor: 2 } }
    action: { name: history, properties: { reason: complaint } }
    resource: { type: chat, id: c2, properties: { deal: d-7, note: null } }
    context: { ip: 10.0.0.1 }
    test_role: operator
    expect: allow
    reason: via:deal.view
"#;

//! Outlines of sets of projects, so that the project wall mostly says no without a look at lists.
//!
//! A project has one of some 250 classes, and a class has two bits of 62. The outline of a user's
//! projects is the bits of all their classes: the user is in no project of a class of which it lacks
//! a bit. Objects are mostly in one or two projects, so that the classes of these are told.

/// The projects of a user: the bits of their classes, or more. The two highest bits are free for
/// other use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outline(pub(crate) u64);

/// The classes of a resource's projects, if they are one or two.
pub(crate) type Classes = [u8; 2];

/// What may be any projects.
pub(crate) const ANY_CLASSES: Classes = [u8::MAX; 2];

/// What is in no project.
pub(crate) const NO_CLASSES: Classes = [CLASSES as u8; 2];

/// Bits of an outline.
const BITS: u32 = 62;
/// Classes that a project may have. The next one has a bit that no outline has; those above have none,
/// which every outline has.
const CLASSES: u32 = BITS * 4;

static BITS_OF: [u64; 256] = bits_of_classes();

#[expect(
    clippy::indexing_slicing,
    reason = "where it is evaluated, the build would fail"
)]
const fn bits_of_classes() -> [u64; 256] {
    let mut all = [0; 256];
    let mut class = 0;
    while class < CLASSES {
        let first = class % BITS;
        let second = (first + 7 * (class / BITS) + 1) % BITS;
        all[class as usize] = 1 << first | 1 << second;
        class += 1;
    }
    all[CLASSES as usize] = 1 << BITS;
    all
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "there is one for each byte")]
fn bits_of(class: u8) -> u64 {
    BITS_OF[usize::from(class)]
}

const fn class(project: u32) -> u8 {
    (project % CLASSES) as u8
}

/// The classes of a resource that is in these projects.
pub(super) fn classes(projects: &[u32]) -> Classes {
    match *projects {
        [one] => [class(one); 2],
        [one, other] => [class(one), class(other)],
        _ => ANY_CLASSES,
    }
}

// === impl Outline ===

impl Outline {
    pub(crate) const ANYTHING: Self = Self((1 << BITS) - 1);

    pub(super) fn new(projects: &[u32]) -> Self {
        let each = projects.iter().map(|&project| class(project));
        Self(each.fold(0, |all, class| all | bits_of(class)))
    }

    /// Whether a user of this outline may be in a project of one of these classes.
    #[inline]
    pub(crate) fn meets(self, [one, other]: Classes) -> bool {
        let lacks = |class| bits_of(class) & !self.0 != 0;
        !(lacks(one) & lacks(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_project_meets_it_and_few_others_do() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut apart, mut met) = (0, 0);
        for _ in 0..20_000 {
            let mut projects = |most| -> Vec<u32> {
                let count = rng.usize(1..=most);
                (0..count).map(|_| rng.u32(0..5_000)).collect()
            };
            let (mut own, of_object) = (projects(8), projects(3));
            let outline = Outline::new(&own);
            apart += 1;
            met += u32::from(outline.meets(classes(&of_object[..1])));
            assert!(outline.meets(ANY_CLASSES), "{own:?}");
            assert!(!outline.meets(NO_CLASSES), "{own:?}");
            own.push(of_object[of_object.len() - 1]);
            let outline = Outline::new(&own);
            assert!(outline.meets(classes(&of_object)), "{own:?} {of_object:?}");
        }
        assert!(met * 12 < apart, "{met} of {apart}");
        assert!(Outline::ANYTHING.meets(classes(&[4_999])));
        assert!(!Outline::ANYTHING.meets(NO_CLASSES));
    }
}

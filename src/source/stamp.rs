//! What `stat` says of a file: cheap to ask for, and almost always different once the file is.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file changed this lately may change again within the clock's tick and keep its stamp
/// ("racily clean", as git calls it). Two seconds also cover file systems that keep whole seconds.
const YOUNG: Duration = Duration::from_secs(2);

/// What `stat` says of a file, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether an equal stamp, seen later, would not prove that the content is equal too.
    ///
    /// Anyone may date a file's modification into the future, and it stays there; the kernel alone
    /// dates its change. So the first counts only near the present, the second in the future too.
    pub(crate) fn is_young(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |span| {
            i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
        });
        let nanos =
            |(seconds, nanos): (i64, i64)| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let young = i128::try_from(YOUNG.as_nanos()).unwrap_or(i128::MAX);
        let age = |time| now - nanos(time);
        age(self.changed) < young || age(self.modified).abs() < young
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(modified: i64, changed: i64) -> Stamp {
        Stamp {
            device: 1,
            inode: 1,
            size: 1,
            modified: (modified, 0),
            changed: (changed, 0),
        }
    }

    #[test]
    fn a_stamp_is_young_near_the_present_and_when_the_kernel_dates_it_later() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        assert!(!stamp(990, 990).is_young(now));
        assert!(stamp(999, 990).is_young(now));
        assert!(stamp(990, 999).is_young(now));
        assert!(stamp(990, 5_000).is_young(now));
        assert!(!stamp(5_000, 990).is_young(now), "dated by hand");
    }
}

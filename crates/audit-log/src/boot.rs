//! Which boot of the machine this is. After a power cut the disk may lack what was written last: a log that ends early, or a
//! journal with pages of different times, is no tampering then.
//!
//! Each system says it in a way of its own, and only Linux without `unsafe`.

/// Tells the boots of a machine apart.
trait Boots {
    /// What changes with each boot and stays the same until the next; `None` where the system does not say.
    fn id(&self) -> Option<Vec<u8>>;
}

/// The machine that this process runs on.
struct Machine;

/// A number that changes with every boot; 0 where the system has none.
pub fn boot() -> u64 {
    number(&Machine)
}

/// Whether what was written in boot `before` was written in boot `now`. Where one of them is not known no other boot can be
/// recognised, so that nothing is excused.
pub fn is_same(before: u64, now: u64) -> bool {
    before == now || before == 0 || now == 0
}

fn number(system: &impl Boots) -> u64 {
    let Some(id) = system.id().filter(|id| !id.is_empty()) else { return 0 };
    id.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(target_os = "linux")]
impl Boots for Machine {
    fn id(&self) -> Option<Vec<u8>> {
        std::fs::read("/proc/sys/kernel/random/boot_id").ok()
    }
}

#[cfg(target_os = "macos")]
impl Boots for Machine {
    fn id(&self) -> Option<Vec<u8>> {
        let mut text = [0_u8; 64];
        let mut length = text.len();
        let (name, place) = (c"kern.bootsessionuuid", text.as_mut_ptr().cast());
        // SAFETY: the name ends in NUL; the kernel writes at most `length` bytes to `place`, and sets `length` to their number.
        let status = unsafe { libc::sysctlbyname(name.as_ptr(), place, &raw mut length, std::ptr::null_mut(), 0) };
        (status == 0).then(|| text[..length.min(text.len())].to_vec())
    }
}

#[cfg(windows)]
impl Boots for Machine {
    /// The kernel counts the boots there.
    fn id(&self) -> Option<Vec<u8>> {
        use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RegGetValueW};
        let key = windows_sys::core::w!(
            r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
        );
        let (mut count, mut size) = (0_u32, 4_u32);
        let (name, place) = (windows_sys::core::w!("BootId"), (&raw mut count).cast());
        // SAFETY: both names end in NUL; of a DWORD, which is asked for, Windows writes four bytes to `place`.
        let status = unsafe {
            RegGetValueW(HKEY_LOCAL_MACHINE, key, name, RRF_RT_REG_DWORD, std::ptr::null_mut(), place, &raw mut size)
        };
        (status == 0).then(|| count.to_le_bytes().to_vec())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
impl Boots for Machine {
    fn id(&self) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Other(Option<&'static [u8]>);

    impl Boots for Other {
        fn id(&self) -> Option<Vec<u8>> {
            self.0.map(<[u8]>::to_vec)
        }
    }

    #[test]
    fn boots_are_told_apart_by_whatever_the_system_says() {
        // As Linux, macOS and Windows say it.
        let ids: [&[u8]; 4] = [
            b"5f8f0c1e-7d0b-4a3c-9d0e-1b2c3d4e5f60\n",
            b"6A1B0C1E-7D0B-4A3C-9D0E-1B2C3D4E5F60\0",
            b"\x29\0\0\0",
            b"\x2a\0\0\0",
        ];
        let numbers = ids.map(|id| number(&Other(Some(id))));
        for (at, one) in numbers.iter().enumerate() {
            assert!(is_same(*one, number(&Other(Some(ids[at])))), "the same boot");
            assert!(numbers[at + 1..].iter().all(|other| !is_same(*one, *other)), "another boot: {numbers:?}");
        }
    }

    #[test]
    fn where_a_boot_is_not_known_nothing_is_excused() {
        for unknown in [None, Some(b"".as_slice())] {
            assert_eq!(number(&Other(unknown)), 0);
        }
        // A version that did not ask left 0.
        assert!(is_same(0, 7) && is_same(7, 0) && is_same(0, 0));
    }

    #[test]
    fn this_machine_says_the_same_twice() {
        assert_eq!(boot(), boot());
        assert_ne!(boot(), 0);
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//! Sees what `share_writer` wrote, at other addresses than it; also reads a region that the image tool filled from a
//! file. The judge.
#![no_std]
#![no_main]

use boot_domains::{differences, fill, region};
use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, get_mr, protection_domain, var};
use window::Window;

struct Reader {
    small: Window,
    large: Window,
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    let file = region(*var!(file_vaddr: usize = 0), 0x1000);
    let mut text = [0; 26];
    assert!(file.read_bytes(0, &mut text));
    assert_eq!(&text, b"Read this from the region.");
    assert_eq!(file.read::<u8>(0xfff), 0, "behind the file there are zeros");
    Reader {
        small: region(*var!(small_vaddr: usize = 0), 0x3000),
        large: region(*var!(large_vaddr: usize = 0), 0x40_0000),
    }
}

impl Handler for Reader {
    type Error = Infallible;

    fn protected(&mut self, _: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        if message.label() == 1 {
            boot_domains::pass();
        }
        assert_eq!(
            get_mr(0),
            *var!(small_paddr: u64 = 0),
            "both know the small region by one physical address"
        );
        assert_eq!(get_mr(1), *var!(large_paddr: u64 = 0), "and the large one");
        assert_eq!(get_mr(0) % 0x1000, 0);
        assert_eq!(get_mr(1) % 0x20_0000, 0);
        assert_eq!(differences(&self.small, 1, 0..self.small.len() / 8), 0, "small pages");
        assert_eq!(differences(&self.large, 2, 0..self.large.len() / 8), 0, "large pages");
        let words = self.large.len() / 8;
        fill(&mut self.large, 3, 0..words);
        Ok(MessageInfo::new(7, 0))
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//! Pages in driver memory that belong together: a buffer object of the upper half.

use super::pool::{AccountId, MAX_ORDER, PageList, Pool};
use crate::address::{DmaPage, PAGE_SHIFT, PageRun};
use crate::error::Error;
use crate::mmio::Bus;
use crate::platform::Hardware;

/// Pages of the driver's pool, in as long runs as there were, zeroed. Given back through
/// [`crate::Gpu::object_free`] only.
#[derive(Debug)]
#[must_use = "the pages are lost until it is freed"]
pub struct Object {
    pub(crate) blocks: PageList,
    pages: u32,
}

impl Object {
    pub(crate) fn allocate<H: Hardware>(
        bus: &mut Bus<H>,
        pool: &mut Pool,
        pages: u32,
        account: AccountId,
    ) -> Result<Self, Error> {
        if pages == 0 {
            return Err(Error::Invalid);
        }
        let mut object = Self { blocks: PageList::new(), pages };
        let mut missing = pages;
        let mut order = MAX_ORDER;
        while missing != 0 {
            while 1 << order > missing {
                order -= 1;
            }
            match pool.allocate(order, account) {
                Ok(block) => {
                    pool.push(&mut object.blocks, block);
                    missing -= 1 << order;
                    bus.hw.write_u64_run(block.at(0), 0, 0, 512 << order);
                    bus.publish(block.at(0), 4096 << order);
                }
                Err(Error::NoMemory) if order > 0 => order -= 1,
                Err(error) => {
                    pool.free_list(&mut object.blocks);
                    return Err(error);
                }
            }
        }
        Ok(object)
    }

    /// Length in 4 KiB pages.
    #[must_use]
    pub const fn pages(&self) -> u32 {
        self.pages
    }

    /// Where byte `offset` lies: its block's first page, the offset in the block, and the bytes left in
    /// the block.
    pub(crate) fn locate(&self, pool: &Pool, offset: u64) -> Option<(DmaPage, u32, u32)> {
        let mut start = 0;
        for (block, pages) in pool.blocks(&self.blocks) {
            let bytes = u64::from(pages) << PAGE_SHIFT;
            if offset < start + bytes {
                let inside = u32::try_from(offset - start).ok()?;
                return Some((block, inside, u32::try_from(bytes).ok()? - inside));
            }
            start += bytes;
        }
        None
    }

    /// The runs, one per call, for [`super::ppgtt::Ppgtt::bind`].
    pub(crate) fn runs(&self, pool: &Pool) -> impl FnMut(&Pool) -> Option<PageRun> + use<> {
        let mut at = pool.first(&self.blocks);
        move |pool| {
            let block = at?;
            at = pool.after(block);
            Some(PageRun { address: pool.address(block), pages: pool.pages_of(block) })
        }
    }
}

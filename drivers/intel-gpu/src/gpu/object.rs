// SPDX-License-Identifier: BSD-2-Clause
//! Accounts, and buffer objects in driver memory.

use super::Gpu;
use crate::error::Error;
use crate::memory::{AccountId, Object, Usage};
use crate::platform::Hardware;

impl<H: Hardware> Gpu<H> {
    /// Opens an account that may use `limit` pages of 4 KiB.
    ///
    /// # Errors
    /// [`Error::NoMemory`] when all are in use.
    pub fn account_create(&mut self, limit: u32) -> Result<AccountId, Error> {
        self.pool.create_account(limit)
    }

    /// Closes an account.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`] while pages are charged to it.
    pub fn account_destroy(&mut self, account: AccountId) -> Result<(), Error> {
        self.pool.destroy_account(account)
    }

    /// What an account uses and may use.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn account_usage(&self, account: AccountId) -> Result<Usage, Error> {
        self.pool.usage(account).ok_or(Error::NotFound)
    }

    /// Pages of driver memory that are free.
    #[must_use]
    pub const fn free_pages(&self) -> u32 {
        self.pool.free_pages()
    }

    /// Allocates an object of `pages` pages of 4 KiB, zeroed.
    ///
    /// # Errors
    /// [`Error::Invalid`] (no pages), [`Error::NoMemory`], [`Error::Quota`], [`Error::NotFound`].
    pub fn object_allocate(&mut self, account: AccountId, pages: u32) -> Result<Object, Error> {
        Object::allocate(&mut self.bus, &mut self.pool, pages, account)
    }

    /// Frees an object. It must be unbound everywhere, and each unbinding released.
    pub fn object_free(&mut self, mut object: Object) {
        self.pool.free_list(&mut object.blocks);
    }

    /// Copies bytes into an object. Offset and length are multiples of 4.
    ///
    /// # Errors
    /// [`Error::Invalid`] when not aligned or not inside.
    pub fn object_write(&mut self, object: &Object, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        check(object, offset, bytes.len())?;
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (block, inside, left) = object.locate(&self.pool, offset).ok_or(Error::Invalid)?;
            let (now, later) = rest.split_at(rest.len().min(left as usize));
            self.bus.hw.write_bytes(block.at(inside), now);
            self.bus.publish(block.at(inside), now.len());
            offset += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Copies bytes out of an object. Offset and length are multiples of 4.
    ///
    /// # Errors
    /// [`Error::Invalid`] when not aligned or not inside.
    pub fn object_read(&self, object: &Object, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        check(object, offset, bytes.len())?;
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (block, inside, left) = object.locate(&self.pool, offset).ok_or(Error::Invalid)?;
            let length = rest.len().min(left as usize);
            let (now, later) = rest.split_at_mut(length);
            self.bus.hw.read_bytes(block.at(inside), now);
            offset += length as u64;
            rest = later;
        }
        Ok(())
    }
}

fn check(object: &Object, offset: u64, length: usize) -> Result<(), Error> {
    let end = offset.checked_add(length as u64).ok_or(Error::Invalid)?;
    let aligned = offset.is_multiple_of(4) && length.is_multiple_of(4);
    if aligned && end <= u64::from(object.pages()) << 12 { Ok(()) } else { Err(Error::Invalid) }
}

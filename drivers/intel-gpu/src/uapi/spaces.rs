// SPDX-License-Identifier: BSD-2-Clause
//! Operations on address spaces.

use gpu_protocol::{Errno, Reply, VmCreate, VmDestroy};

use super::domain::ClientId;
use super::driver::Driver;
use super::space::AddressSpace;
use crate::Error;
use crate::handle::Id;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    pub(crate) fn vm_create(&mut self, client: ClientId, create: &VmCreate) -> Result<Reply, Errno> {
        if create.flags != 0 || create.extensions != 0 {
            return Err(Errno::Inval);
        }
        if !self.clients[client].spaces.has_room() {
            return Err(Errno::NoMem);
        }
        let space = self.space_new(client)?;
        match self.clients[client].spaces.insert(space) {
            Some(handle) => Ok(Reply::ok(&[u64::from(handle)])),
            None => {
                self.space_put(space, 1);
                Err(Errno::NoMem)
            }
        }
    }

    pub(crate) fn vm_destroy(&mut self, client: ClientId, destroy: &VmDestroy) -> Result<Reply, Errno> {
        if destroy.flags != 0 || destroy.extensions != 0 {
            return Err(Errno::Inval);
        }
        let space = self.clients[client].spaces.remove(destroy.vm_id).ok_or(Errno::NoEnt)?;
        self.space_put(space, 1);
        Ok(Reply::ok(&[]))
    }

    /// A new address space with one reference, the caller's.
    pub(crate) fn space_new(&mut self, client: ClientId) -> Result<Id<AddressSpace>, Errno> {
        let state = &mut self.clients[client];
        // Every context may have one that no handle names.
        if state.live_spaces >= state.limits.spaces.saturating_add(state.limits.contexts).saturating_add(1) {
            return Err(Errno::NoMem);
        }
        let vm = self.gpu.vm_create(state.account)?;
        match self.spaces.insert(AddressSpace { client, vm, references: 1, bindings: None }) {
            Ok(space) => {
                state.live_spaces += 1;
                Ok(space)
            }
            Err(space) => {
                self.vm_destroy_unused(space.vm);
                Err(Errno::NoMem)
            }
        }
    }

    /// Takes references.
    pub(crate) fn space_get(&mut self, space: Id<AddressSpace>, references: u32) {
        if let Some(space) = self.spaces.get_mut(space) {
            space.references += references;
        }
    }

    /// Drops references; the last one destroys the address space.
    pub(crate) fn space_put(&mut self, id: Id<AddressSpace>, references: u32) {
        let Some(space) = self.spaces.get_mut(id) else {
            return;
        };
        space.references -= references;
        if space.references > 0 {
            return;
        }
        self.dying.push(id);
        self.bury_spaces();
    }

    /// Destroys the dying address spaces that the hardware has let go of.
    pub(crate) fn bury_spaces(&mut self) {
        let mut at = 0;
        while let Some(id) = self.dying.get(at).copied() {
            if self.space_destroy(id) {
                self.dying.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Destroys an address space that nothing refers to. False if a context of it is still on the
    /// hardware, or if the GPU did not confirm that it reaches nothing of it any more.
    fn space_destroy(&mut self, id: Id<AddressSpace>) -> bool {
        let Some((client, vm)) = self.spaces.get(id).map(|space| (space.client, space.vm)) else {
            return true;
        };
        if !self.unbind_all(id) {
            return false;
        }
        match self.gpu.vm_destroy(vm) {
            Ok(unbinding) => {
                // Nothing was bound any more, so there is no page to wait for.
                let _ = self.gpu.release(unbinding);
            }
            Err(Error::Busy) => return false,
            Err(_) => {}
        }
        self.spaces.remove(id);
        self.clients[client].live_spaces -= 1;
        true
    }

    /// Destroys an address space in which nothing has ever been bound.
    fn vm_destroy_unused(&mut self, vm: crate::VmId) {
        if let Ok(unbinding) = self.gpu.vm_destroy(vm) {
            // No engine has ever seen it.
            let _ = self.gpu.release(unbinding);
        }
    }
}

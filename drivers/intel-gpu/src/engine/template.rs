// SPDX-License-Identifier: BSD-2-Clause
//! What most requests are made of: see [`Template`].

use super::emit::{Breadcrumb, Dialect, Layout, MAX_DWORDS, Payload, Writer, request};
use crate::address::{GgttOffset, GpuVirtual};
use crate::platform::Dwords;

/// A batch's request that waits for nothing, as every one of an engine is but for where its batch is and what it signals: it is
/// put together once, so that submitting is filling in four dwords and copying them all.
#[derive(Debug)]
pub(crate) struct Template {
    pairs: [[u32; 2]; MAX_DWORDS as usize / 2],
    layout: Layout,
    /// Which dwords are the batch's address, low half first, the breadcrumb's and its value.
    batch: [usize; 2],
    slot: usize,
    value: usize,
    /// What else is in the dword of the breadcrumb's address.
    slot_flags: u32,
}

/// Dwords on their way into a [`Template`].
struct Draft<'a> {
    dwords: &'a mut [u32],
}

impl Dwords for Draft<'_> {
    fn put<const N: usize>(&mut self, dwords: &[u32; N]) {
        if let Some((now, later)) = core::mem::take(&mut self.dwords).split_first_chunk_mut() {
            *now = *dwords;
            self.dwords = later;
        }
    }
}

impl Template {
    /// For the engines of a dialect.
    pub(crate) fn new(dialect: Dialect) -> Self {
        let draft = |batch, slot, value| {
            let mut dwords = [0; MAX_DWORDS as usize];
            let to = Writer::new(Draft { dwords: &mut dwords });
            let payload = Payload::Batch(GpuVirtual::from_low(batch));
            let signal = Breadcrumb { slot: GgttOffset::new(slot), value };
            let layout = request(to, dialect, core::iter::empty(), payload, signal);
            (dwords, layout)
        };
        let (plain, layout) = draft(0, 0, 0);
        // What differs from it is where it differs.
        let differs = |(other, _): ([u32; MAX_DWORDS as usize], Layout)| {
            plain.iter().zip(other).position(|(mine, other)| *mine != other).unwrap_or_default()
        };
        let batch = [differs(draft(8, 0, 0)), differs(draft(1 << 32, 0, 0))];
        let (slot, value) = (differs(draft(0, 64, 0)), differs(draft(0, 0, 1)));
        let mut pairs = [[0; 2]; MAX_DWORDS as usize / 2];
        pairs.as_flattened_mut().copy_from_slice(&plain);
        Self { pairs, layout, batch, slot, value, slot_flags: plain[slot] }
    }

    /// Fills in a request. Returns its dwords.
    #[inline(always)] // Many parts of it are known where it is called.
    pub(crate) fn fill(&mut self, batch: GpuVirtual, signal: Breadcrumb) -> &[[u32; 2]] {
        let address = batch.canonical();
        let [low, high] = self.batch;
        // CAST: the two halves.
        #[expect(clippy::cast_possible_truncation)]
        let values = [
            (low, address as u32),
            (high, (address >> 32) as u32),
            (self.slot, signal.slot.get() | self.slot_flags),
            (self.value, signal.value),
        ];
        for (at, value) in values {
            if let Some(dword) = self.pairs.as_flattened_mut().get_mut(at) {
                *dword = value;
            }
        }
        self.pairs.get(..self.layout.spare_tail as usize / 8).unwrap_or(&[])
    }

    pub(crate) const fn layout(&self) -> Layout {
        self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::DmaOffset;
    use crate::device::{EngineClass, Generation};
    use crate::platform::DmaMemory;
    use crate::testing::FakeHardware;

    #[test]
    fn a_template_is_filled_in_to_what_is_emitted() {
        for generation in
            [Generation::Gen8, Generation::Gen9, Generation::Gen9Lp, Generation::Gen11, Generation::Gen12]
        {
            for (class, dc_flush) in [
                (EngineClass::Render, false),
                (EngineClass::Render, true),
                (EngineClass::Copy, false),
                (EngineClass::Video, false),
                (EngineClass::VideoEnhance, false),
            ] {
                let dialect = Dialect { generation, class, dc_flush };
                let mut template = Template::new(dialect);
                for (batch, slot, value) in
                    [(0xffff_8000_0000_1008, 0xffff_f040, u32::MAX), (0x7fff_ffff_fff8, 0x40, 1), (0, 0, 0)]
                {
                    let batch = GpuVirtual::new(batch).expect("canonical");
                    let signal = Breadcrumb { slot: GgttOffset::new(slot), value };
                    let mut memory = FakeHardware::new(1);
                    let writer = Writer::new(memory.dwords(DmaOffset(0), 1024));
                    let payload = Payload::Batch(batch);
                    let layout = request(writer, dialect, core::iter::empty(), payload, signal);
                    let emitted: Vec<u32> = (0..layout.spare_tail as usize)
                        .step_by(4)
                        .map(|at| memory.read_u32(DmaOffset(at)))
                        .collect();
                    let filled = template.fill(batch, signal).as_flattened().to_vec();
                    assert_eq!((filled, template.layout()), (emitted, layout), "{dialect:?}");
                }
            }
        }
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//! A thread's registers, in the order in which the kernel counts them.

/// Declares the registers of one kernel.
macro_rules! user_context {
    ($($(#[$doc:meta])* $register:ident)*) => {
        /// A thread's registers.
        #[allow(missing_docs, reason = "each is the register of its name")]
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[repr(C)]
        pub struct UserContext {
            $($(#[$doc])* pub $register: u64,)*
        }

        impl UserContext {
            /// How many registers there are.
            pub(crate) const COUNT: usize = [$(stringify!($register)),*].len();

            pub(crate) const fn to_words(self) -> [u64; Self::COUNT] {
                [$(self.$register),*]
            }

            pub(crate) const fn from_words(words: [u64; Self::COUNT]) -> Self {
                let [$($register),*] = words;
                Self { $($register),* }
            }
        }
    };
}

// seL4: libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/types.h; the order is the kernel's
#[cfg(not(feature = "mcs"))]
user_context! {
    rip rsp rflags rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15
    /// Base of the thread-local storage segment (fs).
    tls_base
}

#[cfg(feature = "mcs")]
user_context! {
    rip rsp rflags rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15
    /// Base of the thread-local storage segment (fs).
    tls_base
    /// Base of the segment gs.
    gs_base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_survive_the_way_through_words() {
        let mut words = [0; UserContext::COUNT];
        for (i, word) in words.iter_mut().enumerate() {
            *word = 100 + i as u64;
        }
        let context = UserContext::from_words(words);
        assert_eq!(context.to_words(), words);
        // seL4: src/arch/x86/64/machine/registerset.c, frameRegisters then gpRegisters
        assert_eq!([context.rip, context.rsp, context.rflags, context.rax], [100, 101, 102, 103]);
        assert_eq!([context.rdi, context.r8, context.r15, context.tls_base], [108, 110, 117, 118]);
    }
}

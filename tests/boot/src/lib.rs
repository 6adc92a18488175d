// SPDX-License-Identifier: BSD-2-Clause
//! Boot tests: the real kernel in QEMU, the real image, the device model attached.

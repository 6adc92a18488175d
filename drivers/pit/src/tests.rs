// SPDX-License-Identifier: BSD-2-Clause
//! The alarm on a timer, an I/O APIC's line and a kernel that behave like those of a board.

use super::*;

/// Counts of the 8254 in 10 ms.
const SHOT: u32 = 11_932;
/// The firmware's: the largest count, again and again.
const TICK: u32 = 0x1_0000;

#[derive(Debug, PartialEq)]
enum Mode {
    /// Rises each time that the count is over (modes 2 and 3).
    Ticks,
    /// The mode is written, and none, or half, of the count.
    Waits(Option<u8>),
    /// Rises once.
    OneShot,
    Done,
}

/// Channel 0, the line, and what the kernel does with an interrupt.
#[derive(Debug)]
struct Board {
    mode: Mode,
    left: u32,
    masked: bool,
    /// The kernel knows whom to tell.
    told: bool,
    signals: u32,
    lost: u32,
    ports: bool,
}

impl Board {
    fn of_firmware() -> Self {
        Self { mode: Mode::Ticks, left: TICK, masked: false, told: false, signals: 0, lost: 0, ports: true }
    }

    /// The same, and the kernel knows whom to tell.
    fn heard() -> Self {
        Self { told: true, ..Self::of_firmware() }
    }

    /// Lets counts of the timer pass.
    fn pass(&mut self, counts: u32) {
        for _ in 0..counts {
            if matches!(self.mode, Mode::Waits(_) | Mode::Done) {
                return;
            }
            self.left -= 1;
            if self.left == 0 {
                self.left = TICK;
                if self.mode == Mode::OneShot {
                    self.mode = Mode::Done;
                }
                self.edge();
            }
        }
    }

    fn edge(&mut self) {
        if self.masked {
            self.lost += 1;
            return;
        }
        self.masked = true;
        self.signals += u32::from(self.told);
    }

    fn signalled(&mut self) -> bool {
        core::mem::take(&mut self.signals) != 0
    }
}

impl Timer for &mut Board {
    fn write(&mut self, port: u16, value: u8) -> bool {
        if !self.ports {
            return false;
        }
        match (port, &self.mode) {
            (MODE, _) => {
                assert_eq!(value, 0x30, "channel 0, both bytes, mode 0");
                self.mode = Mode::Waits(None);
            }
            (COUNTER, Mode::Waits(None)) => self.mode = Mode::Waits(Some(value)),
            (COUNTER, Mode::Waits(Some(low))) => {
                self.left = u16::from_le_bytes([*low, value]).into();
                self.mode = Mode::OneShot;
            }
            other => panic!("{other:?}"),
        }
        true
    }

    fn acknowledge(&mut self) {
        self.masked = false;
    }
}

#[test]
fn the_first_shot_comes_although_the_firmwares_ticks_have_masked_the_line_unheard() {
    let mut board = Board::of_firmware();
    // Between the kernel's handing out the interrupt and its being told where to send it.
    board.pass(TICK);
    board.told = true;
    assert!(board.masked && board.signals == 0);
    Alarm::new(&mut board).begin();
    // Whatever acknowledges a domain's interrupts when it is ready comes later than the shot.
    board.pass(2 * SHOT);
    assert!(board.signalled());
}

#[test]
fn an_alarm_that_has_begun_never_stays_without_an_interrupt() {
    // The firmware's tick comes at any time around the beginning, the domain looks at any time after it.
    for early in (0..TICK).step_by(97) {
        for late in [0, 1, SHOT - 1, SHOT, SHOT + 1, 3 * SHOT] {
            let mut board = Board::of_firmware();
            board.pass(early);
            board.told = true;
            board.pass(TICK / 3);
            let mut alarm = Alarm::new(&mut board);
            alarm.begin();
            alarm.timer.pass(late);
            for turn in 0..4 {
                alarm.timer.pass(SHOT);
                assert!(alarm.timer.signalled(), "tick after {early}, look after {late}, turn {turn}");
                alarm.expired();
                alarm.set();
            }
        }
    }
}

#[test]
fn setting_it_again_while_it_is_set_does_not_put_it_off() {
    let mut board = Board::heard();
    let mut alarm = Alarm::new(&mut board);
    alarm.begin();
    for _ in 0..10 {
        alarm.timer.pass(SHOT / 10);
        alarm.set();
    }
    alarm.timer.pass(SHOT % 10);
    assert!(alarm.timer.signalled());
}

#[test]
fn soon_is_sooner_and_its_loss_to_a_shot_that_waits_to_be_handled_loses_nothing() {
    let mut board = Board::heard();
    let mut alarm = Alarm::new(&mut board);
    alarm.begin();
    alarm.set_soon();
    alarm.timer.pass(60);
    assert!(alarm.timer.signalled());
    alarm.expired();
    alarm.set();
    alarm.timer.pass(SHOT);
    // It has come, and is not handled yet.
    alarm.set_soon();
    alarm.timer.pass(60);
    assert_eq!(alarm.timer.lost, 1);
    assert!(alarm.timer.signalled());
    alarm.expired();
    alarm.set();
    alarm.timer.pass(SHOT);
    assert!(alarm.timer.signalled());
}

#[test]
fn where_the_ports_are_refused_it_is_tried_again() {
    let mut board = Board { ports: false, ..Board::heard() };
    let mut alarm = Alarm::new(&mut board);
    alarm.begin();
    alarm.timer.ports = true;
    alarm.set();
    alarm.timer.pass(SHOT);
    assert!(alarm.timer.signalled());
}

// SPDX-License-Identifier: BSD-2-Clause
//! The demonstration systems: the one in the root of the tree, and how a run of it is judged.
//!
//! A demonstration has succeeded when the domains say so (exit code 0), the device model saw nothing that a real part
//! would have punished, and the picture that the serial port announced could be taken out of guest memory; where its
//! clients do not check it, because no CPU of the guest may touch it, the host does, and where it goes to a screen, that
//! is looked at, too.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::sdk::Sdk;
use pictures::{share, stream};

use crate::frame::{Frame, difference};
use crate::machine::{Ending, Machine, Outcome};
use crate::model::{Gpu, Timing};
use crate::serial::{Line, find};
use crate::system::{DEFAULT_BOARD, Image, Kernel, Pieces, SdkPieces, board_file};
use crate::workspace::Workspace;

/// The memory region that a demonstration's picture is in.
const FRAME_REGION: &str = "frame";

/// A demonstration system.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Its name.
    pub name: &'static str,
    /// Its description, from the root of the tree.
    description: &'static str,
    /// The packages with its domains' programs.
    packages: &'static [&'static str],
    /// How the device model works for it.
    timing: Timing,
    /// The announcement of its picture, for kernels on which nobody can print it.
    picture: &'static str,
    /// The host's own computation of its picture, for those whose clients do not check theirs.
    expected: Option<fn() -> Vec<u32>>,
    /// Why it cannot run on the kernel of a Microkit SDK, if that is so.
    embedded_only: Option<&'static str>,
    /// What is printed when the picture is on the screen, for those that show it there: who looks at it ends the run.
    on_screen: Option<&'static str>,
}

/// What paint and recover print when their picture is right.
const PICTURE: &str = "frame: 640x480 stride=2560 format=XRGB8888";

/// Why a memory server that moves pages is for the embedded kernel.
const MOVES_PAGES: &str = "its memory server maps other frames into its clients' address spaces, and Microkit gives no domain \
                           the capabilities of frames";

/// Why a screen is for the embedded kernel: GRUB sets a mode for kernels whose Multiboot header has the flag for it (bit 2).
const ASKS_FOR_A_MODE: &str = "the boot loader sets a mode on the screen only if the kernel asks for it in its Multiboot header, \
                               and an SDK's does not";

/// Every demonstration there is; the first one is what is run when none is named.
const DEMOS: &[Demo] = &[
    Demo {
        name: "paint",
        description: "system.xml",
        packages: &["gpu-driver", "gpu-trace", "paint"],
        timing: Timing::Instant,
        picture: PICTURE,
        expected: None,
        embedded_only: None,
        on_screen: None,
    },
    // A batch without end has all the time there is to itself where work is done before it is asked after.
    Demo {
        name: "recover",
        description: "components/recover/system.xml",
        packages: &["gpu-driver", "gpu-trace", "gpu-top", "recover"],
        timing: Timing::Realtime,
        picture: PICTURE,
        expected: None,
        embedded_only: None,
        on_screen: None,
    },
    Demo {
        name: "migrate",
        description: "components/memory-server/system.xml",
        packages: &["gpu-driver", "gpu-trace", "memory-server", "repaint", "conductor"],
        timing: Timing::Realtime,
        picture: "frame: 128x256 stride=512 format=XRGB8888",
        expected: None,
        embedded_only: Some(MOVES_PAGES),
        on_screen: None,
    },
    Demo {
        name: "share",
        description: "components/compositor/system.xml",
        packages: &["gpu-driver", "gpu-trace", "artist", "compositor"],
        timing: Timing::Instant,
        picture: PICTURE,
        expected: Some(shared),
        embedded_only: None,
        on_screen: None,
    },
    Demo {
        name: "stream",
        description: "components/stream/system.xml",
        packages: &["gpu-driver", "gpu-trace", "gpu-top", "stream"],
        timing: Timing::Realtime,
        picture: "frame: 320x480 stride=1280 format=XRGB8888",
        expected: Some(streamed),
        embedded_only: None,
        on_screen: None,
    },
    Demo {
        name: "show",
        description: "components/compositor/show.xml",
        packages: &["gpu-driver", "gpu-trace", "artist", "compositor", "screen"],
        timing: Timing::Instant,
        picture: PICTURE,
        expected: Some(shared),
        embedded_only: Some(ASKS_FOR_A_MODE),
        on_screen: Some("screen: shows the picture"),
    },
    // A client in C.
    Demo {
        name: "hello-c",
        description: "examples/hello-c/system.xml",
        packages: &["gpu-driver", "hello-c"],
        timing: Timing::Instant,
        picture: "frame: 320x256 stride=1280 format=XRGB8888",
        expected: Some(painted_in_c),
        embedded_only: None,
        on_screen: None,
    },
];

/// What two clients compose.
fn shared() -> Vec<u32> {
    let pixels = |width: u32, height: u32| vec![0; width as usize * height as usize];
    let mut picture = pixels(share::WIDTH, share::HEIGHT);
    share::expected(&mut picture, &mut pixels(share::TILE_WIDTH, share::TILE_HEIGHT));
    picture
}

/// The last frame in each of the two buffers.
fn streamed() -> Vec<u32> {
    let mut picture = vec![0; 2 * stream::WIDTH as usize * stream::HEIGHT as usize];
    let half = picture.len() / 2;
    for (number, pixels) in (stream::FRAMES - 2..).zip(picture.chunks_mut(half)) {
        stream::expected(number, pixels);
    }
    picture
}

/// What the client in C paints: 20 by 8 tiles of 16 by 16 pixels, whose red grows by column, whose green grows by row and whose
/// blue makes a chequerboard, and the same below once more.
fn painted_in_c() -> Vec<u32> {
    const TILE: u32 = 16;
    let pixel = |index: u32| {
        let (column, row) = (index % 320 / TILE, index / 320 % 128 / TILE);
        let blue = if (column + row) % 2 == 1 { 0xc0 } else { 0x20 };
        0xff00_0000 + column * 0x000c_0000 + row * 0x1000 + blue
    };
    (0..320 * 256).map(pixel).collect()
}

/// What a successful run of a demonstration shows.
#[derive(Debug)]
pub struct Shown {
    /// The picture's shape.
    pub frame: Frame,
    /// The file that it was written to.
    pub png: PathBuf,
}

impl Demo {
    /// The demonstration of that name.
    ///
    /// # Errors
    /// When there is none; the error lists those that there are.
    pub fn named(name: &str) -> Result<&'static Self> {
        DEMOS.iter().find(|demo| demo.name == name).with_context(|| {
            let known: Vec<_> = DEMOS.iter().map(|demo| demo.name).collect();
            format!("there is no demonstration {name}; there is {}", known.join(", "))
        })
    }

    /// Every demonstration there is.
    #[must_use]
    pub fn all() -> &'static [Self] {
        DEMOS
    }

    /// Whether it runs on the embedded kernel only, so that [`Demo::build_with_sdk`] refuses it.
    #[must_use]
    pub fn is_for_the_embedded_kernel(&self) -> bool {
        self.embedded_only.is_some()
    }

    /// Whether it is for boards whose file says how the screen is set up.
    #[must_use]
    pub fn is_for_screens(&self) -> bool {
        self.on_screen.is_some()
    }

    /// The GPU to run it with.
    #[must_use]
    pub fn gpu(&self, part: &str) -> Gpu {
        Gpu { timing: self.timing, ..Gpu::new(part) }
    }

    /// Builds its image in `folder`, for the machine that QEMU is.
    ///
    /// # Errors
    /// When a build fails.
    pub fn build(&self, workspace: &Workspace, kernel: Kernel, folder: &Path) -> Result<Image> {
        self.build_on(workspace, kernel, &board_file(workspace, DEFAULT_BOARD)?, folder)
    }

    /// The same for the machine that the board file `board` describes.
    ///
    /// # Errors
    /// When a build fails.
    pub fn build_on(
        &self,
        workspace: &Workspace,
        kernel: Kernel,
        board: &Path,
        folder: &Path,
    ) -> Result<Image> {
        let pieces = Pieces::build(workspace, kernel, self.packages)?;
        pieces.image_on(workspace, board, &workspace.root().join(self.description), folder)
    }

    /// The same with a Microkit SDK.
    ///
    /// # Errors
    /// When a build fails.
    pub fn build_with_sdk(
        &self,
        workspace: &Workspace,
        sdk: &Sdk,
        board: &Path,
        folder: &Path,
    ) -> Result<Image> {
        if let Some(why) = self.embedded_only {
            bail!("{} runs on the embedded kernel only: {why}", self.name);
        }
        let pieces = SdkPieces::build(workspace, sdk, self.packages)?;
        pieces.image_on(workspace, board, &workspace.root().join(self.description), folder)
    }

    /// Boots its image on `machine`, showing each line of the serial port to `watch`.
    ///
    /// # Errors
    /// When the run has no outcome.
    pub fn run(&self, machine: &Machine, image: &Image, mut watch: impl FnMut(&Line)) -> Result<Outcome> {
        let mut machine = machine.clone();
        if self.on_screen.is_some() {
            if machine.is_silent() {
                bail!(
                    "{} says on the serial port when to look at the screen, and this kernel prints nothing",
                    self.name
                );
            }
            let frame = Frame::parse(self.picture)?.context("a picture for the screen")?;
            machine = machine.screen(frame.width, frame.height);
        }
        // Those of late, as a line may be torn.
        let mut lines: Vec<Line> = vec![];
        let outcome = machine.run(image, |line| {
            watch(line);
            lines.drain(..lines.len().saturating_sub(32));
            lines.push(line.clone());
            let shown = self.on_screen.is_some_and(|text| find(&lines, text).is_some());
            // A domain that faulted never goes on, and the others may wait for it for ever.
            if shown || line.tells_of_a_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(outcome)
    }

    /// Judges a run, and takes its picture.
    ///
    /// # Errors
    /// When the run was no success: the error says why.
    pub fn judge(&self, image: &Image, outcome: &Outcome) -> Result<Shown> {
        match outcome.ending {
            Ending::Exit(0) => {}
            Ending::Exit(code) => {
                bail!("the system ended with code {code}; its last lines:\n{}", outcome.tail())
            }
            Ending::Stopped if self.on_screen.is_some_and(|text| outcome.told(text).is_some()) => {}
            Ending::Stopped => bail!("a domain broke:\n{}", outcome.tail()),
        }
        if let Some(verdict) = &outcome.verdict
            && !verdict.reports.is_empty()
        {
            bail!(
                "a real GPU would have punished {}:\n{}",
                count(&verdict.reports),
                verdict.reports.join("\n")
            );
        }
        let mut frame = None;
        for line in &outcome.lines {
            frame = Frame::parse(&line.text)?.or(frame);
        }
        if outcome.lines.is_empty() {
            frame = Frame::parse(self.picture)?;
        }
        let frame = frame.context("no domain announced a picture (`frame: ...`)")?;
        let region = image.region(FRAME_REGION)?;
        if frame.bytes() > region.size {
            bail!("a picture of {} bytes in a region of {}", frame.bytes(), region.size);
        }
        let pixels = outcome.ram.read(region.paddr, frame.bytes()).context("the picture's memory")?;
        let png = outcome.folder.join("frame.png");
        frame.write_png(&pixels, &png)?;
        if let Some(expected) = self.expected {
            let found = frame.pixels(&pixels)?;
            if let Some(difference) = difference(frame.width, &found, &expected()) {
                bail!("the picture is not what the host computes: {difference}");
            }
        }
        if self.on_screen.is_some() {
            let screen = outcome.screen.as_ref().context("nobody has looked at the screen")?;
            if let Some(difference) = screen.difference(frame, &frame.pixels(&pixels)?) {
                bail!("the screen does not show the picture: {difference}: {}", screen.png.display());
            }
        }
        fs::copy(&image.report, outcome.folder.join("report.json")).context("the image's report")?;
        Ok(Shown { frame, png })
    }
}

fn count(reports: &[String]) -> String {
    match reports.len() {
        1 => "an access".into(),
        more => format!("{more} accesses"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_computes_has_the_size_that_is_announced() -> Result<()> {
        for demo in DEMOS {
            let Some(expected) = demo.expected else { continue };
            let frame = Frame::parse(demo.picture)?.context("an announcement")?;
            assert_eq!(expected().len(), (frame.width * frame.height) as usize, "{}", demo.name);
        }
        Ok(())
    }
}

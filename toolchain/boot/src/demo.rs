// SPDX-License-Identifier: BSD-2-Clause
//! The demonstration systems: the one in the root of the tree, and how a run of it is judged.
//!
//! A demonstration has succeeded when the domains say so (exit code 0), the device model saw nothing that a real part
//! would have punished, and the picture that the serial port announced could be taken out of guest memory; where its
//! clients do not check it, because no CPU of the guest may touch it, the host does.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::sdk::Sdk;
use pictures::{share, stream};

use crate::frame::Frame;
use crate::machine::{Ending, Machine, Outcome};
use crate::model::{Gpu, Timing};
use crate::serial::Line;
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
}

/// What paint and recover print when their picture is right.
const PICTURE: &str = "frame: 640x480 stride=2560 format=XRGB8888";

/// Every demonstration there is; the first one is what is run when none is named.
const DEMOS: &[Demo] = &[
    Demo {
        name: "paint",
        description: "system.xml",
        packages: &["gpu-driver", "gpu-trace", "paint"],
        timing: Timing::Instant,
        picture: PICTURE,
        expected: None,
    },
    // A batch without end has all the time there is to itself where work is done before it is asked after.
    Demo {
        name: "recover",
        description: "components/recover/system.xml",
        packages: &["gpu-driver", "gpu-trace", "gpu-top", "recover"],
        timing: Timing::Realtime,
        picture: PICTURE,
        expected: None,
    },
    Demo {
        name: "migrate",
        description: "components/memory-server/system.xml",
        packages: &["gpu-driver", "gpu-trace", "memory-server", "repaint", "conductor"],
        timing: Timing::Realtime,
        picture: "frame: 128x256 stride=512 format=XRGB8888",
        expected: None,
    },
    Demo {
        name: "share",
        description: "components/compositor/system.xml",
        packages: &["gpu-driver", "gpu-trace", "artist", "compositor"],
        timing: Timing::Instant,
        picture: PICTURE,
        expected: Some(shared),
    },
    Demo {
        name: "stream",
        description: "components/stream/system.xml",
        packages: &["gpu-driver", "gpu-trace", "gpu-top", "stream"],
        timing: Timing::Realtime,
        picture: "frame: 320x480 stride=1280 format=XRGB8888",
        expected: Some(streamed),
    },
    // A client in C.
    Demo {
        name: "hello-c",
        description: "examples/hello-c/system.xml",
        packages: &["gpu-driver", "hello-c"],
        timing: Timing::Instant,
        picture: "frame: 320x256 stride=1280 format=XRGB8888",
        expected: None,
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
        let pieces = SdkPieces::build(workspace, sdk, self.packages)?;
        pieces.image_on(workspace, board, &workspace.root().join(self.description), folder)
    }

    /// Boots its image on `machine`, showing each line of the serial port to `watch`.
    ///
    /// # Errors
    /// When the run has no outcome.
    pub fn run(&self, machine: &Machine, image: &Image, mut watch: impl FnMut(&Line)) -> Result<Outcome> {
        let outcome = machine.run(image, |line| {
            watch(line);
            // A domain that faulted never goes on, and the others may wait for it for ever.
            if line.tells_of_a_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
        fs::copy(&image.report, outcome.folder.join("report.json")).context("the image's report")?;
        Ok(Shown { frame, png })
    }
}

/// Where two pictures differ first, and in how many pixels.
fn difference(width: u32, found: &[u32], expected: &[u32]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} pixels for {}", found.len(), expected.len()));
    }
    let differ = || found.iter().zip(expected).enumerate().filter(|(_, (found, expected))| found != expected);
    let (index, (is, should)) = differ().next()?;
    let (x, y) = (index % width as usize, index / width as usize);
    Some(format!("pixel ({x}, {y}) is {is:#010x} and not {should:#010x}, one of {}", differ().count()))
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
    fn the_first_pixel_that_differs_is_told_and_how_many_there_are() {
        assert_eq!(difference(2, &[1, 2, 3, 4], &[1, 2, 3, 4]), None);
        let told = difference(2, &[1, 2, 3, 5], &[1, 9, 3, 4]);
        assert_eq!(told.as_deref(), Some("pixel (1, 0) is 0x00000002 and not 0x00000009, one of 2"));
        assert!(difference(2, &[1, 2], &[1]).is_some());
    }

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

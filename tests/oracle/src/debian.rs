// SPDX-License-Identifier: BSD-2-Clause
//! Packages of a Debian release, unpacked in a folder of their own. apt runs with folders of its own too: the host's
//! list of packages is neither asked nor changed.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use boot::Workspace;

/// Where packages come from when the host does not say otherwise.
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Seconds for the lists of packages, which are some ten megabytes, and for packages, some hundred.
const UPDATE: u32 = 120;
const DOWNLOAD: u32 = 300;

/// A release of Debian.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub(crate) suite: &'static str,
    /// Whether it has security updates in a place of their own.
    pub(crate) security: bool,
}

impl Release {
    fn sources(&self, mirror: &str) -> String {
        let mut text = format!("deb [signed-by={KEYS}] {mirror} {} main\n", self.suite);
        if self.security {
            text += &format!("deb [signed-by={KEYS}] {SECURITY} {}-security main\n", self.suite);
        }
        text
    }
}

/// The mirror that the host's apt uses: the first address of Debian's own archive in its lists of sources.
fn host_mirror() -> String {
    let mut texts = vec![fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        texts.extend(paths.iter().filter_map(|path| fs::read_to_string(path).ok()));
    }
    mirror_in(&texts.concat()).unwrap_or_else(|| MIRROR.into())
}

fn mirror_in(sources: &str) -> Option<String> {
    let lines = sources.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace).map(|word| word.trim_end_matches('/'));
    words.find(|word| word.starts_with("http") && word.ends_with("/debian")).map(str::to_owned)
}

/// Packages could not be fetched.
#[derive(Debug)]
pub struct Unreachable(String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be fetched", self.0)
    }
}

impl std::error::Error for Unreachable {}

/// A package and everything that it depends on, unpacked.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// `NAME VERSION` of each package.
    packages: BTreeSet<String>,
}

impl Root {
    /// The root for a package, fetched where that has not been done yet.
    pub(crate) fn obtain(
        workspace: &Workspace,
        folder: &Path,
        release: &Release,
        package: &str,
    ) -> Result<Self> {
        if let Ok(root) = Self::fetched(folder, release, package) {
            return Ok(root);
        }
        let path = Self::place(folder, release, package);
        let list = path.with_extension("packages");
        workspace.step(&format!("fetch: {package} of Debian {}", release.suite));
        let apt = Apt::new(folder, release)?;
        let fetched = apt.update().and_then(|()| apt.download(package));
        let files = fetched.with_context(|| Unreachable(format!("{package} of Debian {}", release.suite)))?;
        // What an interrupted run left is not trusted.
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        fs::create_dir_all(path.join("usr/lib64"))?;
        for name in ["lib", "lib64", "bin", "sbin"] {
            fs::create_dir_all(path.join("usr").join(name))?;
            symlink(format!("usr/{name}"), path.join(name))?;
        }
        let mut packages = BTreeSet::new();
        for file in &files {
            let mut dpkg = Command::new("dpkg-deb");
            // Through tar, and without replacing the links by folders.
            dpkg.arg("--fsys-tarfile").arg(file);
            unpack(dpkg, &path).with_context(|| format!("unpacking {}", file.display()))?;
            packages.insert(name_and_version(file)?);
        }
        let text: String = packages.iter().map(|package| format!("{package}\n")).collect();
        fs::write(&list, text).with_context(|| list.display().to_string())?;
        Ok(Self { path, packages })
    }

    /// The root for a package that was fetched before.
    pub(crate) fn fetched(folder: &Path, release: &Release, package: &str) -> Result<Self> {
        let path = Self::place(folder, release, package);
        let text = fs::read_to_string(path.with_extension("packages"))
            .with_context(|| Unreachable(format!("{package} of Debian {}", release.suite)))?;
        Ok(Self { path, packages: text.lines().map(str::to_owned).collect() })
    }

    fn place(folder: &Path, release: &Release, package: &str) -> PathBuf {
        folder.join(format!("root-{}-{package}", release.suite))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Name and version of the package whose name starts so.
    pub(crate) fn version_like(&self, start: &str) -> Result<String> {
        let found = self.packages.iter().find(|package| package.starts_with(start));
        found.cloned().with_context(|| format!("no package {start} in {}", self.path.display()))
    }

    /// The file of a folder whose name starts so.
    pub(crate) fn only_file(&self, folder: &str, start: &str) -> Result<PathBuf> {
        let folder = self.path.join(folder);
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)) {
                return Ok(path);
            }
        }
        anyhow::bail!("no {start}... in {}", folder.display())
    }
}

/// Name and version, from a file's name: `NAME_VERSION_ARCHITECTURE.deb`, the version's colon written as %3a.
fn name_and_version(file: &Path) -> Result<String> {
    let stem = file.file_stem().context("a package without name")?.to_string_lossy();
    let mut words = stem.split('_');
    let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(format!("{name} {}", version.replace("%3a", ":")))
}

/// Unpacks the archive that `source` prints below `path`.
fn unpack(mut source: Command, path: &Path) -> Result<()> {
    let mut source = source.stdout(std::process::Stdio::piped()).spawn().context("starting dpkg-deb")?;
    let archive = source.stdout.take().context("no output")?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--keep-directory-symlink", "--no-same-owner", "-C"]).arg(path).stdin(archive);
    let unpacked = tar.status().context("starting tar")?;
    ensure!(source.wait()?.success(), "dpkg-deb failed");
    ensure!(unpacked.success(), "tar failed");
    Ok(())
}

/// apt-get with folders of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path, release: &Release) -> Result<Self> {
        let folder = folder.join(format!("apt-{}", release.suite));
        for part in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "var/cache/apt/archives/partial",
        ] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| part.display().to_string())?;
        }
        fs::write(folder.join("var/lib/dpkg/status"), "")?;
        fs::write(folder.join("apt.conf"), "")?;
        fs::write(folder.join("etc/apt/sources.list"), release.sources(&host_mirror()))?;
        Ok(Self { folder })
    }

    /// With an end to every wait for the network.
    fn command(&self, seconds: u32) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", &seconds.to_string(), "apt-get", "-qq"]);
        let settings = [
            format!("Dir={}", self.folder.display()),
            format!("Dir::State::status={}", self.folder.join("var/lib/dpkg/status").display()),
            "Dir::Bin::Methods=/usr/lib/apt/methods".into(),
            "APT::Architecture=amd64".into(),
            "APT::Architectures=amd64".into(),
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=2".into(),
            "Acquire::http::Timeout=30".into(),
        ];
        for setting in settings {
            command.arg("-o").arg(setting);
        }
        // In place of the host's: an image that forbids caches would empty ours.
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }

    fn update(&self) -> Result<()> {
        let status = self.command(UPDATE).arg("update").status().context("starting apt-get")?;
        ensure!(status.success(), "apt-get update failed");
        Ok(())
    }

    /// The files of a package and of what it depends on.
    fn download(&self, package: &str) -> Result<Vec<PathBuf>> {
        let mut plan = self.command(UPDATE);
        plan.args(["install", "--no-install-recommends", "--yes", "--print-uris", package]);
        let output = plan.output().context("starting apt-get")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // 'ADDRESS' FILE SIZE HASH
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text.lines().filter_map(|line| line.split_whitespace().nth(1));
        // A kernel's dependencies are the tools that would install it.
        let needed = |name: &&str| !package.starts_with("linux-image") || name.starts_with("linux-image-6");
        let names: Vec<_> = names.filter(needed).collect();
        ensure!(!names.is_empty(), "apt-get knows no package {package}");
        let downloads = self.folder.join("downloads");
        fs::create_dir_all(&downloads)?;
        let mut download = self.command(DOWNLOAD);
        let packages = names.iter().filter_map(|name| name.split('_').next());
        download.arg("download").args(packages).current_dir(&downloads);
        let status = download.status().context("starting apt-get")?;
        ensure!(status.success(), "apt-get could not download {package}");
        Ok(names.iter().map(|name| downloads.join(name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_first_archive_of_debian_itself() {
        let sources = "# deb http://old/debian\nTypes: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm\n\
                       deb http://elsewhere/debian sid main\n";
        assert_eq!(mirror_in(sources).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror_in("deb https://packages.example/apt cloud main\n"), None);
    }

    #[test]
    fn a_file_name_says_the_version() -> Result<()> {
        let file = Path::new("libx11-6_2%3a1.8.14-1_amd64.deb");
        assert_eq!(name_and_version(file)?, "libx11-6 2:1.8.14-1");
        Ok(())
    }
}

"""Files of public datasets: found in the data directory, verified, and downloaded if requested."""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...specs import SpecError
from .dataset import DataSource


class AbsentDataError(SpecError):
    """A dataset is missing from the data directory, or incomplete there."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that the authors of a dataset publish."""

    urls: tuple[str, ...]
    """URLs of the file, tried in order until one succeeds."""
    md5: str
    folder: str = "."
    """Destination of the file, or of its content if it is an archive, relative to the data directory."""


def provide(name: str, source: DataSource, *, files: Mapping[str, str | None], downloads: Sequence[Download]) -> Path:
    """Return the data directory, once it has all files of a dataset with the correct MD5 checksums.

    Files are downloaded only if some are missing and the source allows it. If several processes need them, one
    downloads and the others wait.

    Args:
        name: name of the dataset.
        source: data directory, and permission to download.
        files: paths of files or directories relative to the data directory, and their MD5 checksums if known.
        downloads: downloads that provide all files; empty if the dataset's terms do not allow a download.

    Raises:
        AbsentDataError: if no data directory is given, or a file is missing from it.
        SpecError: if a file is damaged, or its download fails.
    """
    way_out = "add --download" if downloads else "request the dataset from its authors, whose terms forbid a download"
    if source.directory is None:
        message = f"{name} needs a data directory; set it with --data DIR or EXEUNT_DATA. If {name} is not in it yet"
        raise AbsentDataError(f"{message}, {way_out}.", field="dataset")
    directory = source.directory
    if source.download and downloads and _absent(directory, files):
        with _alone_in(directory):
            if _absent(directory, files):  # no other process downloaded it in the meantime
                _fetch(name, directory, files, downloads)
    if absent := _absent(directory, files):
        message = (
            f"{name} is missing from {directory}: {absent[0]} not found. Set another data directory with --data DIR"
        )
        raise AbsentDataError(f"{message} or EXEUNT_DATA, or {way_out}.", field="dataset")
    for path, md5 in files.items():
        if md5 is not None and (found := _md5(directory / path)) != md5:
            message = f"{directory / path} of {name} is damaged: its MD5 checksum is {found}, not {md5}. Delete it"
            raise SpecError(f"{message} and {way_out}.", field="dataset")
    return directory


def _absent(directory: Path, files: Mapping[str, str | None]) -> list[str]:
    return [path for path in files if not (directory / path).exists()]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold an exclusive lock on the directory; it is released at the latest when the process ends."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(name: str, directory: Path, files: Mapping[str, str | None], downloads: Sequence[Download]) -> None:
    """Download into a temporary directory, then move the complete files to their place."""
    fetching = directory / ".fetching"
    shutil.rmtree(fetching, ignore_errors=True)  # left by a killed process
    for download in downloads:
        _fetch_one(name, download, fetching)
    for path in files:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (fetching / path).replace(directory / path)
    shutil.rmtree(fetching)


def _fetch_one(name: str, download: Download, fetching: Path) -> None:
    from torchvision.datasets.utils import download_url, extract_archive  # noqa: PLC0415 - takes two seconds

    folder, file = fetching / download.folder, download.urls[0].rpartition("/")[2]
    for attempt, url in enumerate(download.urls, start=1):
        try:
            download_url(url, folder, filename=file, md5=download.md5)
            break
        except (OSError, RuntimeError) as error:  # RuntimeError: the MD5 checksum differs
            (folder / file).unlink(missing_ok=True)
            if attempt == len(download.urls):
                message = (
                    f"{name} cannot be downloaded from {url} ({error}). Check the network connection and run again"
                )
                raise SpecError(f"{message}.", field="dataset") from error
    if file.endswith((".tar.gz", ".zip")):
        extract_archive(folder / file, folder, remove_finished=True)

"""Files of public data sets: found in the user's data folder, checked, and fetched there where that was asked for."""

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
    """A data set is not in the data folder, or not all of it."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that the authors of a data set offer."""

    urls: tuple[str, ...]
    """Where it is; the second is asked where the first fails."""
    md5: str
    folder: str = "."
    """Where it is put, or its content if it is an archive, below the data folder."""


def provide(name: str, source: DataSource, *, files: Mapping[str, str | None], downloads: Sequence[Download]) -> Path:
    """The data folder, once it has all files (or folders) of a data set and their MD5 sums are right.

    Only what is absent is fetched, and only where the source allows it. Of several processes that want to, one
    fetches and the others wait for it.

    Args:
        name: of the data set.
        source: where to look and whether to fetch.
        files: paths below the data folder and their MD5 sums, where those are known.
        downloads: what has to be fetched to have all files; none if its authors' terms forbid that.

    Raises:
        AbsentDataError: if there is no data folder, or a file is not in it.
        SpecError: if a file is damaged, or cannot be fetched.
    """
    way_out = "add --download to fetch it" if downloads else "ask its authors for it, whose terms forbid fetching it"
    if source.directory is None:
        message = f"{name} is read from a data folder, and none is named: name one with --data DIR or EXEUNT_DATA"
        raise AbsentDataError(f"{message}; {way_out}.", field="dataset")
    directory = source.directory
    if source.download and downloads and _absent(directory, files):
        with _alone_in(directory):
            if _absent(directory, files):  # nobody fetched it while this process waited
                _fetch(name, directory, files, downloads)
    if absent := _absent(directory, files):
        message = f"{name} is not in {directory}: there is no {absent[0]}. Name the folder that has it with --data DIR"
        raise AbsentDataError(f"{message} or EXEUNT_DATA, or {way_out}.", field="dataset")
    for path, md5 in files.items():
        if md5 is not None and (found := _md5(directory / path)) != md5:
            message = f"{directory / path} of {name} is damaged: its MD5 sum is {found}, not {md5}. Delete it"
            raise SpecError(f"{message} and {way_out}.", field="dataset")
    return directory


def _absent(directory: Path, files: Mapping[str, str | None]) -> list[str]:
    return [path for path in files if not (directory / path).exists()]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Waits until no other process is in here with the same folder; the lock ends with the process at the latest."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(name: str, directory: Path, files: Mapping[str, str | None], downloads: Sequence[Download]) -> None:
    """Fetches beside the place where others look, and moves there what is complete."""
    fetching = directory / ".fetching"
    shutil.rmtree(fetching, ignore_errors=True)  # of a process that was killed
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
        except (OSError, RuntimeError) as error:  # RuntimeError: of another MD5 sum
            (folder / file).unlink(missing_ok=True)
            if attempt == len(download.urls):
                raise SpecError(f"{name} cannot be fetched from {url}: {error}", field="dataset") from error
    if file.endswith((".tar.gz", ".zip")):
        extract_archive(folder / file, folder, remove_finished=True)

"""The Hugging Face Hub: download models, and list the models in its cache."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaplan.encoders import conversions, folders
from vaplan.encoders.folders import BRING_A_FOLDER, FILES, SUBFOLDERS, read_json
from vaplan.errors import EncoderError, MachineError
from vaplan.writing import NO_SPACE, machine_errors, write_text

KINDS = {  # classes of the library by `model_type` of config.json, by kind of encoder
    "clip": {
        "clip": "CLIPModel",
        "metaclip_2": "MetaClip2Model",
        "siglip": "SiglipModel",
    },
    "clap": {"clap": "ClapModel"},
}
BY_HAND = (
    "on a machine with a network run `vaplan models fetch {kind}:{source} --to FOLDER`, "
    "bring the folder here and give it as {kind}:FOLDER"
)
CONVERT = (
    "{instead}ask for a conversion of {name} on "
    "https://huggingface.co/spaces/safetensors/convert and fetch it again"
)
INSTEAD = {  # a model with safetensors on its main branch, by kind of encoder
    "clip": "use clip:laion/CLIP-ViT-B-32-laion2B-s34B-b79K, or ",
    "clap": "",
}

UNWRITABLE = NO_SPACE | {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
}


def fetch(source: str, kind: str, *, to: Path | None = None) -> Path:
    """Download the files of a model that vaplan reads.

    If its weights are pickled, the Hub's own conversion to safetensors is downloaded; see
    `conversions`.

    Args:
        source: Hub id, `owner/name` or `owner/name@revision`.
        kind: `clip` or `clap`, for the errors.
        to: Folder of the files; by default the Hub's cache.

    Returns:
        The folder of the files.

    Raises:
        MachineError: The download failed, or its files cannot be written.
        EncoderError: The Hub has no such model, or no safetensors file of it.
    """
    name, _, revision = source.partition("@")
    with _readable_errors(source, kind):
        conversion = _find_conversion(name, revision, kind)
        folder = _download(name, conversion or revision, to)

    if conversion and to is None:
        reference = folders.conversion_ref(revision)
        write_text(folder.parents[1] / "refs" / reference, conversion)
    return folder


def _find_conversion(name: str, revision: str, kind: str) -> str:
    """Return the commit of the conversion of a model; empty if it needs none."""
    from huggingface_hub import HfApi

    api = HfApi()
    model = api.model_info(name, revision=revision or None)
    if folders.names_weights(file.rfilename for file in model.siblings or []):
        return ""
    if commit := conversions.find(api, name, str(model.sha)):
        return commit
    raise EncoderError(
        f"{name!r} has no model.safetensors and no conversion by the Hub, and pickled "
        "weights are not read",
        fix=CONVERT.format(instead=INSTEAD[kind], name=name),
    )


def _download(name: str, revision: str, to: Path | None) -> Path:
    from huggingface_hub import constants, snapshot_download

    try:
        with warnings.catch_warnings():  # of a full disk, which is an error below
            warnings.filterwarnings("ignore", message="Not enough free disk space")
            path = snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=FILES,
                ignore_patterns=SUBFOLDERS,
                local_dir=to,
            )
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise  # a fault of the network
        folder = to or Path(constants.HF_HUB_CACHE)
        with machine_errors(folder, size=_count_bytes(name, revision)):
            raise
    return Path(path)


def _count_bytes(name: str, revision: str) -> int | None:
    """Return the size of the files that a download needs; None if the Hub does not tell it."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import filter_repo_objects, httpx  # type: ignore[attr-defined]

    try:
        model = HfApi().model_info(name, revision=revision or None, files_metadata=True)
    except (OSError, httpx.HTTPError, RuntimeError):
        return None
    files = filter_repo_objects(
        model.siblings or [],
        allow_patterns=FILES,
        ignore_patterns=SUBFOLDERS,
        key=lambda file: file.rfilename,
    )
    return sum(file.size or 0 for file in files) or None


@contextmanager
def _readable_errors(source: str, kind: str) -> Iterator[None]:
    """Turn the errors of the Hub's client into errors of vaplan."""
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    name, _, revision = source.partition("@")
    page = f"https://huggingface.co/{name}"
    try:
        yield
    except errors.GatedRepoError:
        raise EncoderError(
            f"{name!r} requires a login and its licence to be accepted",
            fix=f"accept the licence on {page}, run `hf auth login`, then fetch it again",
        ) from None
    except errors.RevisionNotFoundError:
        raise EncoderError(
            f"{name!r} has no revision {revision!r}",
            fix=f"name a branch, a commit or refs/pr/N of {page}, or none",
        ) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise EncoderError(
            f"the Hub has no {source!r}, or does not show it without a login",
            fix=f"look for it on {page}, or {BRING_A_FOLDER}",
        ) from None
    except (OSError, httpx.HTTPError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MachineError(
            f"{source!r} cannot be fetched ({reason})",
            fix=BY_HAND.format(kind=kind, source=source),
        ) from None


def cached() -> Iterator[tuple[str, Path]]:
    """Yield the names and folders of the CLIP and CLAP models in the Hub's cache.

    No request is made. A name is `clip:owner/name` or `clap:owner/name`.
    """
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        cache = scan_cache_dir(constants.HF_HUB_CACHE)
    except (CacheNotFound, RuntimeError):  # the last if there is no home folder
        return
    repositories = sorted(cache.repos, key=lambda repository: repository.repo_id)
    for repository in repositories:
        for revision in repository.revisions:
            kind = _kind(revision.snapshot_path)
            if repository.repo_type == "model" and kind:
                yield (
                    f"{kind}:{repository.repo_id}{_suffix(revision.refs)}",
                    revision.snapshot_path,
                )


def _kind(folder: Path) -> str:
    """Return the kind of encoder that loads a model; empty if there is none."""
    try:
        model_type = str(read_json(folder / "config.json").get("model_type"))
    except EncoderError:
        return ""
    for kind, architectures in KINDS.items():
        if model_type in architectures:
            return kind
    return ""


def _suffix(refs: frozenset[str]) -> str:
    revisions = {ref.removeprefix(folders.CONVERSION) for ref in refs}
    return "" if "main" in revisions or not refs else f"@{min(revisions)}"

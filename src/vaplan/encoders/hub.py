"""The Hugging Face hub: bring a model from it, and see which of its models are here already."""

from collections.abc import Iterator
from pathlib import Path

from vaplan.encoders.folders import BRING_A_FOLDER, FILES, SUBFOLDERS, read_json
from vaplan.errors import EncoderError, MachineError

KINDS = {  # by the kind of encoder, the library's classes by the `model_type` of config.json
    "clip": {"clip": "CLIPModel", "siglip": "SiglipModel"},
    "clap": {"clap": "ClapModel"},
}
BY_HAND = (
    "on a machine with a network run `hf download {name} --local-dir FOLDER`, "
    "bring the folder here and name it in the "
    "hub id's place; of its files config.json, model.safetensors, "
    "preprocessor_config.json and the tokenizer's are read"
)


def fetch(source: str, *, to: Path | None = None) -> Path:
    """Download the few files that are needed of a hub id, `owner/name` or `owner/name@revision`;
    return their folder.

    Args:
        to: A folder to put them in, instead of the hub's cache.

    Raises: MachineError without a network, EncoderError for what the hub does not have or not as
    safetensors.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = source.partition("@")
    try:
        folder = Path(
            snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=FILES,
                ignore_patterns=SUBFOLDERS,
                local_dir=to,
            )
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        what = f"the hub has no {source!r}, or does not show it without a login"
        raise EncoderError(
            what,
            fix=f"look for it on https://huggingface.co/{name}, or {BRING_A_FOLDER}",
        ) from None
    except OSError as error:
        reason = str(error).strip().partition("\n")[0]
        raise MachineError(
            f"{source!r} cannot be fetched ({reason})", fix=BY_HAND.format(name=name)
        ) from None
    if not any(folder.glob("model*.safetensors")):
        what = (
            f"{source!r} holds no model.safetensors, and pickled weights are not read"
        )
        fix = f"name a revision that holds one, often a pull request: {name}@refs/pr/1"
        raise EncoderError(what, fix=fix)
    return folder


def cached() -> Iterator[tuple[str, Path]]:
    """The CLIP-like and CLAP-like models in the hub's cache, as (`clip:owner/name`, folder); no
    request is made."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = sorted(
            scan_cache_dir().repos, key=lambda repository: repository.repo_id
        )
    except CacheNotFound:
        return
    for repository in repositories:
        for revision in repository.revisions:
            kind = _kind(revision.snapshot_path)
            if repository.repo_type == "model" and kind:
                yield (
                    f"{kind}:{repository.repo_id}{_suffix(revision.refs)}",
                    revision.snapshot_path,
                )


def _kind(folder: Path) -> str:
    """By which name its models are loaded, empty if by none."""
    try:
        model_type = str(read_json(folder / "config.json").get("model_type"))
    except EncoderError:
        return ""
    return next(
        (kind for kind, architectures in KINDS.items() if model_type in architectures),
        "",
    )


def _suffix(refs: frozenset[str]) -> str:
    return "" if "main" in refs or not refs else f"@{min(refs)}"

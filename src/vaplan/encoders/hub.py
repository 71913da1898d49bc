"""The Hugging Face Hub: download models, and list the models in its cache."""

from collections.abc import Iterator
from pathlib import Path

from vaplan.encoders.folders import BRING_A_FOLDER, FILES, SUBFOLDERS, read_json
from vaplan.errors import EncoderError, MachineError

KINDS = {  # classes of the library by `model_type` of config.json, by kind of encoder
    "clip": {"clip": "CLIPModel", "siglip": "SiglipModel"},
    "clap": {"clap": "ClapModel"},
}
BY_HAND = (
    "on a machine with a network run `hf download {name} --local-dir FOLDER`, "
    "bring the folder here and give it in place of the Hub id; vaplan reads its "
    "config.json, model.safetensors, preprocessor_config.json and the tokenizer's files"
)


def fetch(source: str, *, to: Path | None = None) -> Path:
    """Download the files of a model that vaplan reads.

    Args:
        source: Hub id, `owner/name` or `owner/name@revision`.
        to: Folder of the files; by default the Hub's cache.

    Returns:
        The folder of the files.

    Raises:
        MachineError: The download failed.
        EncoderError: The Hub has no such model, or it has no safetensors file.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = source.partition("@")
    try:
        path = snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=FILES,
            ignore_patterns=SUBFOLDERS,
            local_dir=to,
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        raise EncoderError(
            f"the Hub has no {source!r}, or does not show it without a login",
            fix=f"look for it on https://huggingface.co/{name}, or {BRING_A_FOLDER}",
        ) from None
    except OSError as error:
        reason = str(error).strip().partition("\n")[0]
        raise MachineError(
            f"{source!r} cannot be fetched ({reason})", fix=BY_HAND.format(name=name)
        ) from None
    folder = Path(path)
    if not any(folder.glob("model*.safetensors")):
        raise EncoderError(
            f"{source!r} has no model.safetensors, and pickled weights are not read",
            fix=f"give a revision that has one, often a pull request: {name}@refs/pr/1",
        )
    return folder


def cached() -> Iterator[tuple[str, Path]]:
    """Yield the names and folders of the CLIP and CLAP models in the Hub's cache.

    No request is made. A name is `clip:owner/name` or `clap:owner/name`.
    """
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
    return "" if "main" in refs or not refs else f"@{min(refs)}"

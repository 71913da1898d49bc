"""Fetch models from the Hugging Face Hub, and list the models in its cache."""

from collections.abc import Iterator
from pathlib import Path

from vaplan.encoders.folders import BRING_A_FOLDER, FILES, SUBFOLDERS, read_json
from vaplan.errors import EncoderError, MachineError

# by the kind of encoder: classes of the transformers library by `model_type` of config.json
KINDS = {
    "clip": {"clip": "CLIPModel", "siglip": "SiglipModel"},
    "clap": {"clap": "ClapModel"},
}
FETCH_BY_HAND = (
    "on a machine with a network run `hf download {name} --local-dir FOLDER`, "
    "copy the folder to this machine and write its path instead of the Hub id; "
    "of its files config.json, model.safetensors, preprocessor_config.json and the "
    "tokenizer's are read"
)


def fetch(source: str, *, to: Path | None = None) -> Path:
    """Download the files of a model that an encoder reads.

    Args:
        source: Hub id, `owner/name` or `owner/name@revision`.
        to: Folder to write instead of the Hub's cache.

    Returns:
        The folder of the files.

    Raises:
        MachineError: The Hub cannot be reached.
        EncoderError: The Hub does not have the model, or not as safetensors.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = source.partition("@")
    try:
        snapshot = snapshot_download(
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
            f"{source!r} cannot be fetched ({reason})",
            fix=FETCH_BY_HAND.format(name=name),
        ) from None
    folder = Path(snapshot)
    if not any(folder.glob("model*.safetensors")):
        raise EncoderError(
            f"{source!r} has no model.safetensors, and pickled weights are not read",
            fix=f"name a revision that has one, often a pull request: {name}@refs/pr/1",
        )
    return folder


def list_cached() -> Iterator[tuple[str, Path]]:
    """Yield the CLIP-like and CLAP-like models in the Hub's cache, without requests.

    Yields:
        Name of the encoder, such as `clip:owner/name`, and folder of its files.
    """
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        cache = scan_cache_dir()
    except CacheNotFound:
        return
    for repository in sorted(cache.repos, key=lambda repository: repository.repo_id):
        if repository.repo_type != "model":
            continue
        for revision in repository.revisions:
            kind = _encoder_kind(revision.snapshot_path)
            if kind:
                suffix = _revision_suffix(revision.refs)
                name = f"{kind}:{repository.repo_id}{suffix}"
                yield name, revision.snapshot_path


def _encoder_kind(folder: Path) -> str:
    """Return the kind of encoder of a model; empty if there is none for it."""
    try:
        config = read_json(folder / "config.json")
    except EncoderError:
        return ""
    model_type = str(config.get("model_type"))
    for kind, architectures in KINDS.items():
        if model_type in architectures:
            return kind
    return ""


def _revision_suffix(refs: frozenset[str]) -> str:
    if not refs or "main" in refs:
        return ""
    return f"@{min(refs)}"

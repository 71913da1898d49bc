"""Conversions to safetensors that the Hub's own converter proposes as pull requests.

Many repositories of the Hub have pickled weights only. The Hub's converter writes the same
weights as safetensors and opens a pull request, which authors often leave open. Anyone can open
a pull request of that title, so a conversion counts only if all of this holds: the converter
opened it, it is open, it is one commit on top of the requested commit, and no other file that
vaplan reads is changed by it.
"""

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from vaplan.encoders.folders import FILES

if TYPE_CHECKING:
    from huggingface_hub import HfApi

AUTHOR = "SFconvertbot"
TITLE = "Adding `safetensors` variant of this model"
CONVERTED = ("*.safetensors", "*.safetensors.index.json")


def find(api: "HfApi", name: str, commit: str) -> str | None:
    """Return the commit of the Hub's conversion of a repository.

    Args:
        api: Client of the Hub.
        name: Hub id without a revision.
        commit: Commit whose weights are pickled.

    Returns:
        The commit of the conversion; None if there is none.
    """
    proposals = api.get_repo_discussions(
        name,
        author=AUTHOR,
        discussion_type="pull_request",
        discussion_status="open",
    )
    for proposal in proposals:  # checked again, in case a server ignores the filters
        is_by_converter = proposal.author == AUTHOR and proposal.title == TITLE
        is_open = proposal.is_pull_request and proposal.status == "open"
        if is_by_converter and is_open:
            commits = api.list_repo_commits(name, revision=proposal.git_reference)
            converted = commits[0].commit_id
            parents = [one.commit_id for one in commits[1:2]]
            if parents == [commit] and _adds_weights_only(api, name, commit, converted):
                return converted
    return None


def _adds_weights_only(api: "HfApi", name: str, old: str, new: str) -> bool:
    """Return whether two commits have the same files except for safetensors."""
    return _other_files(api, name, old) == _other_files(api, name, new)


def _other_files(api: "HfApi", name: str, commit: str) -> Mapping[str, Any]:
    """Return the hashes of the files that vaplan reads, except those of the weights."""
    files = api.list_repo_tree(name, revision=commit)
    return {
        file.path: getattr(file, "blob_id", None)
        for file in files
        if _matches(file.path, FILES) and not _matches(file.path, CONVERTED)
    }


def _matches(path: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)

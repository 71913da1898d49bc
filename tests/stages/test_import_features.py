"""Published packs to a store: valid files are imported, bad files are named, and a second run does nothing."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SMALL
from tests.oracles import packs as oracle
from vaplan import encoders, recipe, stages
from vaplan.annotations import Annotations, Video
from vaplan.errors import AnnotationError, EncoderError, StoreError, UsageError
from vaplan.packs import LAYOUTS, PackError
from vaplan.packs.h5 import KEY
from vaplan.packs.pooling import mean_of_tokens
from vaplan.stages.import_features import Imported, import_pack
from vaplan.store import Store, find_stores
from vaplan.taxonomy import LLP, Taxonomy

IDS = ("-ABCDEFGHIJ_0_10", "abcdefghijk_30_40", "zz_y-xwvuts_101.8_111.8")
HAN = ("audio:legacy:vggish", "visual:legacy:res152", "visual:legacy:r2plus1d_18")
SPEECH, DOG = LLP.index("Speech"), LLP.index("Dog")


def videos(*ids: str, taxonomy: Taxonomy = LLP) -> Annotations:
    return Annotations(taxonomy, tuple(Video(video, ("Dog",)) for video in ids or IDS))


def save(
    folder: Path,
    shape: tuple[int, ...],
    *,
    ids: tuple[str, ...] = IDS,
    seed: int = 0,
    dtype: str = "f4",
) -> None:
    """A folder of files as they are published."""
    folder.mkdir(parents=True)
    for number, video in enumerate(ids):
        array = np.random.default_rng([seed, number]).standard_normal(shape)
        np.save(folder / f"{video[:11]}.npy", array.astype(dtype))


def han(folder: Path, ids: tuple[str, ...] = IDS) -> Path:
    for seed, (name, shape) in enumerate(
        {"vggish": (10, 128), "res152": (80, 2048), "r2plus1d_18": (10, 512)}.items()
    ):
        save(folder / "feats" / name, shape, seed=seed, ids=ids)
    return folder


def valor(folder: Path) -> Path:
    save(folder / "CLAP/features", (64, 768))
    save(folder / "CLIP/features", (10, 768), seed=1)
    for modality in ("CLAP", "CLIP"):
        labels = folder / modality / "segment_pseudo_labels"
        labels.mkdir()
        for video in IDS:
            np.save(labels / f"{video[:11]}.npy", np.zeros((10, 25), np.int64))
    return folder


def stored(store: Path, name: str, *ids: str) -> np.ndarray:
    feature, mask, lengths = Store.open(store, name).read(ids or IDS)
    assert mask.all()
    return lengths.pad(feature)


def hashes(store: Path) -> dict[str, str]:
    return {name: found.content_hash() for name, found in find_stores(store).items()}


def test_han_features_are_imported_with_frames_averaged_to_segments(
    tmp_path: Path,
) -> None:
    pack = han(tmp_path / "pack")
    done = import_pack("han", pack, videos(), tmp_path / "store")
    assert done == Imported(len(IDS), 0, (), HAN, ())
    files = [
        [np.load(pack / "feats" / f / f"{v[:11]}.npy") for v in IDS]
        for f in ("vggish", "res152", "r2plus1d_18")
    ]
    sound, frames, motion = files
    assert (stored(tmp_path / "store", HAN[0]) == np.stack(sound)).all()
    assert (stored(tmp_path / "store", HAN[2]) == np.stack(motion)).all()
    averaged = np.stack([oracle.mean_of_frames(one, 10) for one in frames])
    assert np.allclose(stored(tmp_path / "store", HAN[1]), averaged, atol=1e-6)


def test_frames_are_kept_whole_under_another_name(tmp_path: Path) -> None:
    pack = han(tmp_path / "pack")
    names = import_pack("han", pack, videos(), tmp_path / "store", whole=True).stores
    assert names == (HAN[0], "visual:legacy:res152-frames", HAN[2])
    frames = np.stack(
        [np.load(pack / f"feats/res152/{video[:11]}.npy") for video in IDS]
    )
    assert (stored(tmp_path / "store", names[1]).reshape(frames.shape) == frames).all()
    assert (
        find_stores(tmp_path / "store")[names[1]].card.provenance["frames_per_segment"]
        == 8
    )


def test_tokens_become_segments_and_cannot_be_kept_whole(tmp_path: Path) -> None:
    pack = valor(tmp_path / "pack")
    done = import_pack("valor", pack, videos(), tmp_path / "store")
    assert done.stores == ("audio:legacy:clap", "visual:legacy:clip")
    assert [line.split(",")[0] for line in done.absent] == ["no legacy:r2plus1d_18"]
    tokens = [np.load(pack / f"CLAP/features/{video[:11]}.npy") for video in IDS]
    expected = np.stack([mean_of_tokens(array, 10) for array in tokens])
    assert (stored(tmp_path / "store", "audio:legacy:clap") == expected).all()
    with pytest.raises(
        UsageError,
        match="legacy:clap cannot be imported whole: its vectors do not belong to single",
    ):
        import_pack("valor", pack, videos(), tmp_path / "other", whole=True)


def test_both_packs_share_the_features_that_both_publish(tmp_path: Path) -> None:
    pack = valor(han(tmp_path / "pack"))
    import_pack("han", pack, videos(), tmp_path / "store")
    before = hashes(tmp_path / "store")[HAN[2]]
    import_pack("valor", pack, videos(), tmp_path / "store")
    assert hashes(tmp_path / "store")[HAN[2]] == before
    assert len(find_stores(tmp_path / "store")) == 5


@pytest.mark.parametrize("place", [".", "feats", "feats/res152", "feats/res152/.."])
def test_the_pack_is_found_from_above_and_from_inside(
    tmp_path: Path, place: str
) -> None:
    pack = han(tmp_path / "pack")
    assert (
        HAN[1] in import_pack("han", pack / place, videos(), tmp_path / "store").stores
    )


def test_the_folder_data_of_the_published_repositories_is_entered(
    tmp_path: Path,
) -> None:
    han(tmp_path / "data")
    assert import_pack("han", tmp_path, videos(), tmp_path / "store").stores == HAN


def test_a_missing_pack_names_the_expected_folders(tmp_path: Path) -> None:
    for layout, place in (
        ("han", "feats/res152"),
        ("valor", "CLAP/features"),
        ("ave", r"visual_feature\.h5"),
    ):
        with pytest.raises(
            PackError, match=rf"it contains no part of the {layout} pack: .*{place}"
        ):
            import_pack(layout, tmp_path, videos("x@0"), tmp_path / "store")
    assert not (tmp_path / "store").exists()
    with pytest.raises(
        UsageError, match="unknown layout 'valour'; did you mean 'valor'"
    ):
        import_pack("valour", tmp_path, videos(), tmp_path / "store")
    with pytest.raises(UsageError, match="no such folder"):
        import_pack("han", tmp_path / "none", videos(), tmp_path / "store")


def test_a_second_run_reads_no_file(tmp_path: Path) -> None:
    pack = han(tmp_path / "pack")
    import_pack("han", pack, videos(), tmp_path / "store")
    before = sorted(
        (path, path.stat().st_mtime_ns)
        for path in (tmp_path / "store").rglob("shard-*")
    )
    for path in pack.rglob("abcdefghijk.npy"):
        path.write_bytes(b"")
    again = import_pack("han", pack, videos(), tmp_path / "store")
    assert (again.done, again.already, again.failed) == (0, len(IDS), ())
    assert (
        sorted(
            (path, path.stat().st_mtime_ns)
            for path in (tmp_path / "store").rglob("shard-*")
        )
        == before
    )


def test_order_and_interruptions_do_not_change_what_is_stored(tmp_path: Path) -> None:
    pack = han(tmp_path / "pack")
    import_pack("han", pack, videos(), tmp_path / "whole")
    import_pack("han", pack, videos(*IDS[2:]), tmp_path / "parts")
    import_pack("han", pack, videos(*reversed(IDS)), tmp_path / "parts")
    assert hashes(tmp_path / "whole") == hashes(tmp_path / "parts")


def damaged(path: Path, fault: str) -> None:
    """Put a fault in the place of a file."""
    array = np.load(path)
    path.unlink()
    if fault == "link":
        path.symlink_to(path.with_name("-ABCDEFGHIJ.npy"))
    elif fault == "pipe":
        os.mkfifo(path)
    elif fault == "short":
        np.save(path, array)
        path.write_bytes(path.read_bytes()[:-4])
    elif fault != "missing":
        kinds = {
            "shape": array[:79],
            "wider": array.astype("f8"),
            "whole": array.astype(int),
            "pickle": {"a": 1},
        }
        array[15, 3] = np.nan if fault == "nan" else np.inf
        np.save(path, kinds.get(fault, array), allow_pickle=True)


FAULTS = {
    "missing": "no such file",
    "shape": "shape 79 x 2048, expected 80 x 2048",
    "whole": "numbers of type int64, expected floating point numbers",
    "wider": "numbers of type float64, the other files have float32",
    "pickle": "numbers of type object, expected floating point numbers",
    "short": "by its header",
    "nan": "NaN, infinite or too large numbers for segment 1 of 'abcdefghijk_30_40'",
    "inf": "NaN, infinite or too large numbers for segment 1 of 'abcdefghijk_30_40'",
    "link": "no regular file",
    "pipe": "no regular file",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_named_the_rest_is_imported_and_a_corrected_file_is_imported_later(
    tmp_path: Path, fault: str
) -> None:
    bad = han(tmp_path / "pack") / "feats/res152/abcdefghijk.npy"
    good = bad.read_bytes()
    damaged(bad, fault)
    first = import_pack("han", tmp_path / "pack", videos(), tmp_path / "store")
    ((video, reason),) = first.failed
    assert (first.done, video) == (2, IDS[1])
    assert reason.startswith(f"{bad}: ")
    assert FAULTS[fault] in reason
    assert "\n" not in reason
    assert first.problems == (reason,)
    store = Store.open(tmp_path / "store", HAN[1])
    assert store.read_statuses()[IDS[1]] == ("failed", reason)
    reports = list[tuple[int, int, str]]()
    again = import_pack(
        "han",
        tmp_path / "pack",
        videos(),
        tmp_path / "store",
        progress=lambda *a: reports.append(a),
    )
    assert again == replace(first, done=0, already=2)
    assert reports == [(1, 1, reason)]
    assert (
        len(list(store.folder.glob("shard-*"))) == 1
    )  # a fault that the store knows is not written again
    _, mask, lengths = store.read(IDS)
    assert lengths.pad(mask).any(axis=1).tolist() == [True, False, True]
    bad.unlink(missing_ok=True)
    bad.write_bytes(good)
    assert import_pack("han", tmp_path / "pack", videos(), tmp_path / "store").done == 1
    assert store.read(IDS)[1].all()


def test_one_kind_of_fault_is_one_problem(tmp_path: Path) -> None:
    pack = han(tmp_path / "pack") / "feats/res152"
    for segment, video in enumerate(IDS[:2]):
        frames = np.load(pack / f"{video[:11]}.npy")
        frames[8 * segment] = np.nan
        np.save(pack / f"{video[:11]}.npy", frames)
    (pack / f"{IDS[2][:11]}.npy").unlink()
    done = import_pack("han", tmp_path / "pack", videos(), tmp_path / "store")
    numbers, missing = done.problems
    first = done.failed[0][1]
    assert numbers == f"2 alike, the first is {first} The others: {IDS[1]}."
    assert missing == done.failed[2][1]


def test_numbers_too_large_for_single_precision_do_not_stop_the_others(
    tmp_path: Path,
) -> None:
    save(tmp_path / "vggish", (10, 128), dtype="f8")
    np.save(tmp_path / "vggish/abcdefghijk.npy", np.full((10, 128), 1e300))
    done = import_pack("han", tmp_path, videos(), tmp_path / "store")
    assert [video for video, _ in done.failed] == [IDS[1]]
    assert done.done == 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_store_keeps_the_type_of_the_pack(tmp_path: Path, dtype: str) -> None:
    save(tmp_path / "vggish", (10, 128), dtype=dtype)
    import_pack("han", tmp_path, videos(), tmp_path / "store")
    assert find_stores(tmp_path / "store")[HAN[0]].card.dtype == dtype


def test_a_pack_without_a_valid_file_makes_no_store(tmp_path: Path) -> None:
    (tmp_path / "vggish").mkdir()
    done = import_pack("han", tmp_path, videos(), tmp_path / "store")
    assert (done.done, len(done.failed), done.stores) == (0, len(IDS), ())
    assert not (tmp_path / "store").exists()


def test_two_ids_that_begin_alike_are_both_named_before_anything_is_written(
    tmp_path: Path,
) -> None:
    han(tmp_path / "pack")
    data = videos(*IDS, "abcdefghijk_50_60")
    with pytest.raises(
        AnnotationError,
        match="'abcdefghijk_30_40' and 'abcdefghijk_50_60' start with the same characters",
    ):
        import_pack("han", tmp_path / "pack", data, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_store_of_other_numbers_of_that_name_is_left_alone(tmp_path: Path) -> None:
    han(tmp_path / "pack")
    about = {
        **LAYOUTS["han"].packs[0].provenance(),
        "weights_sha256": "of another pack",
    }
    Store.create(tmp_path / "store", HAN[0], about, planned=IDS, dtype="float32")
    with pytest.raises(
        StoreError, match="audio:legacy:vggish had weights_sha256 'of another pack'"
    ):
        import_pack("han", tmp_path / "pack", videos(), tmp_path / "store")


def mark(
    pack: Path, modality: str, video: str, *cells: tuple[int, int], value: int = 1
) -> Path:
    path = pack / modality / "segment_pseudo_labels" / f"{video[:11]}.npy"
    label = np.load(path)
    for cell in cells:
        label[cell] = value
    np.save(path, label)
    return path


def test_segment_labels_become_rows_and_a_video_without_any_has_an_empty_one(
    tmp_path: Path,
) -> None:
    pack, out = valor(tmp_path / "pack"), tmp_path / "labels.csv"
    mark(pack, "CLAP", IDS[0], (2, DOG), (3, DOG), (0, SPEECH))
    mark(pack, "CLIP", IDS[0], (9, DOG))
    done = import_pack("valor", pack, videos(), tmp_path / "store", labels=out)
    assert (done.done, done.failed) == (len(IDS), ())
    assert out.read_text().splitlines() == [
        "video,modality,class,onset,offset,score",
        f"{IDS[0]},audio,Speech,0,1,",
        f"{IDS[0]},audio,Dog,2,3,",
        f"{IDS[0]},audio,Dog,3,4,",
        f"{IDS[0]},visual,Dog,9,10,",
        f"{IDS[1]},,,,,",
        f"{IDS[2]},,,,,",
    ]


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        (2, (10, 25), "a label is 2, expected 0 or 1"),
        (1, (10, 26), "shape 10 x 26, expected 10 x 25"),
        (0.5, (10, 25), "numbers of type float64, expected whole numbers"),
    ],
)
def test_bad_labels_are_named_and_their_video_gets_no_row(
    tmp_path: Path, value: float, shape: tuple[int, ...], message: str
) -> None:
    pack, out = valor(tmp_path / "pack"), tmp_path / "labels.csv"
    path = pack / "CLIP/segment_pseudo_labels/abcdefghijk.npy"
    np.save(path, np.full(shape, value))
    done = import_pack("valor", pack, videos(), tmp_path / "store", labels=out)
    ((video, reason),) = done.failed
    assert (video, done.done) == (IDS[1], len(IDS))
    assert str(path) in reason
    assert message in reason
    assert IDS[1] not in out.read_text()


def test_labels_stay_within_the_classes_of_the_data_set(tmp_path: Path) -> None:
    pack = valor(tmp_path / "pack")
    mark(pack, "CLIP", IDS[0], (0, SPEECH))
    mark(pack, "CLIP", IDS[1], (0, DOG))
    data, out = videos(taxonomy=Taxonomy(("Cat", "Dog"))), tmp_path / "labels.csv"
    done = import_pack("valor", pack, data, tmp_path / "store", labels=out)
    assert (
        "labels 'Speech', which is no class of the data set"
        in dict(done.failed)[IDS[0]]
    )
    assert f"{IDS[1]},visual,Dog,0,1," in out.read_text()


def test_labels_can_be_imported_alone_and_must_exist_if_requested(
    tmp_path: Path,
) -> None:
    pack, out = valor(tmp_path / "pack"), tmp_path / "labels.csv"
    for modality in ("CLAP", "CLIP"):
        (pack / modality / "features").rename(tmp_path / modality)
    (pack / "CLIP").rename(tmp_path / "CLIP with labels")
    done = import_pack("valor", pack, videos(), tmp_path / "store", labels=out)
    assert (done.done, done.already, done.stores) == (0, 0, ())
    assert "no visual segment labels" in done.absent[-1]
    assert len(out.read_text().splitlines()) == 1 + len(IDS)
    with pytest.raises(
        UsageError,
        match="no segment labels to write: this pack was published without any",
    ):
        import_pack(
            "han", han(tmp_path / "han"), videos(), tmp_path / "store", labels=out
        )


def ave(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The h5 files of three clips and two background clips; returns the sounds and the maps of the three."""
    h5py = pytest.importorskip("h5py")
    generator = np.random.default_rng(0)
    arrays = {}
    for name, count, shape in (
        ("audio_feature", 3, (10, 128)),
        ("visual_feature", 3, (10, 7, 7, 512)),
        ("audio_feature_noisy", 2, (10, 128)),
    ):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            arrays[name] = file.create_dataset(
                KEY, data=generator.standard_normal((count, *shape))
            )[:]
    return arrays["audio_feature"], arrays["visual_feature"]


CLIPS = ("RUhOCu3LNXM@2", "-@AuQ_3cFsY@0", "background@1")


def test_rows_of_ave_are_found_by_the_end_of_the_id(tmp_path: Path) -> None:
    sounds, maps = ave(tmp_path)
    done = import_pack("ave", tmp_path, videos(*CLIPS), tmp_path / "store")
    assert done.stores == ("audio:legacy:ave-vggish", "visual:legacy:ave-vgg19")
    kept = stored(tmp_path / "store", "audio:legacy:ave-vggish", *CLIPS)
    assert (kept[:2] == sounds[[2, 0]].astype(np.float32)).all()
    noisy = pytest.importorskip("h5py").File(tmp_path / "audio_feature_noisy.h5")
    assert (kept[2] == noisy[KEY][1].astype(np.float32)).all()
    pictures = stored(tmp_path / "store", "visual:legacy:ave-vgg19", *CLIPS[:2])
    averaged = np.stack([oracle.mean_of_positions(maps[row]) for row in (2, 0)])
    assert np.allclose(pictures, averaged, atol=1e-6)
    ((video, reason),) = done.failed
    assert video == "background@1"
    assert "visual_feature_noisy.h5: no such file" in reason


def test_maps_are_kept_whole_under_another_name(tmp_path: Path) -> None:
    _, maps = ave(tmp_path)
    names = import_pack(
        "ave", tmp_path, videos(*CLIPS[:2]), tmp_path / "store", whole=True
    ).stores
    whole = stored(tmp_path / "store", "visual:legacy:ave-vgg19-maps", *CLIPS[:2])
    assert names[1] == "visual:legacy:ave-vgg19-maps"
    assert (whole.reshape(2, *maps.shape[1:]) == maps[[2, 0]].astype(np.float32)).all()
    assert find_stores(tmp_path / "store")[names[1]].card.provenance["map_shape"] == [
        7,
        7,
        512,
    ]


def test_a_row_that_the_file_lacks_and_a_row_with_nan_fail_alone(
    tmp_path: Path,
) -> None:
    ave(tmp_path)
    with pytest.importorskip("h5py").File(tmp_path / "audio_feature.h5", "a") as file:
        file[KEY][1, 4, 0] = np.nan
    done = import_pack("ave", tmp_path, videos("a@0", "b@1", "c@3"), tmp_path / "store")
    reasons = dict(reversed(done.failed))
    assert (
        "audio_feature.h5: NaN, infinite or too large numbers for segment 4 of 'b@1'"
        in reasons["b@1"]
    )
    assert "audio_feature.h5: it has no row 3, only 3 rows" in reasons["c@3"]
    assert done.done == 1


def test_a_large_file_of_another_kind_stops_the_import_before_anything_is_written(
    tmp_path: Path,
) -> None:
    ave(tmp_path)
    (tmp_path / "visual_feature.h5").write_bytes(b"torn")
    with pytest.raises(PackError, match=r"visual_feature\.h5: no valid HDF5 file"):
        import_pack("ave", tmp_path, videos(*CLIPS), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_ids_without_a_row_are_no_ids_of_ave(tmp_path: Path) -> None:
    ave(tmp_path)
    for video in (IDS[0], "x@", "x@-1", "x@²", "@3"):
        with pytest.raises(
            AnnotationError, match="does not name a row of the pack's files"
        ):
            import_pack("ave", tmp_path, videos(video), tmp_path / "store")


def test_an_imported_pack_trains_the_shipped_recipe(tmp_path: Path) -> None:
    ids = tuple(f"{number:011d}_0_10" for number in range(6))
    import_pack("han", han(tmp_path / "pack", ids), videos(*ids), tmp_path / "store")
    table = tmp_path / "data.csv"
    rows = [
        f"{video},,{('Dog', 'Speech')[number % 2]},,,"
        for number, video in enumerate(ids)
    ]
    table.write_text(
        "\n".join(["video,modality,class,onset,offset,score", *rows]) + "\n"
    )
    streams = [
        "audio=[legacy:vggish]",
        "visual=[legacy:res152, legacy:r2plus1d_18]",
        "training.epochs=1",
    ]
    changes = [*SMALL, *streams, f"data=table:{table}", f"store={tmp_path / 'store'}"]
    run = stages.train(recipe.read("han", changes=changes), tmp_path / "run")
    assert run.feature_sizes == ((128,), (2048, 512))
    assert np.isfinite(run.history[0]["loss"])


def test_imported_features_have_no_encoder_and_cannot_be_labelled(
    tmp_path: Path,
) -> None:
    import_pack("han", han(tmp_path / "pack"), videos(), tmp_path / "store")
    with pytest.raises(
        EncoderError,
        match="legacy:vggish are imported features: no encoder here makes them",
    ):
        stages.label(
            videos(),
            tmp_path / "store",
            tmp_path / "l.csv",
            encoders=(("legacy:vggish",), ("legacy:r2plus1d_18",)),
        )
    with pytest.raises(EncoderError, match="are imported features"):
        encoders.load("legacy:clip", 1)


def test_features_of_zeros_only_are_counted_and_named(tmp_path: Path) -> None:
    pack = han(tmp_path / "pack")
    np.save(pack / "feats/vggish/abcdefghijk.npy", np.zeros((10, 128), "f4"))
    done = import_pack("han", pack, videos(), tmp_path / "store")
    (line,) = done.warnings
    assert line.startswith("1 of 3 videos have only zeros as features of legacy:vggish")
    assert repr(IDS[1]) in line

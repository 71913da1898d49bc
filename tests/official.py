"""Small data sets in the official formats, with the issues of the real ones; and the folders of the real ones."""

from pathlib import Path

REAL = Path(__file__).parents[2] / "shared" / "data"

LLP = {
    "AVVP_train.csv": """filename event_labels
-DSNfC2EJhU_30_40 Speech,Dog
AKVyIQoSyBA_131.8_141.8 Cat
""",
    "AVVP_val_pd.csv": """filename event_labels
4O9rI-FpqLg_10_20 Cheering,Speech
""",
    "AVVP_test_pd.csv": """filename event_labels
8DF2PxdT5tE_390_400 Cheering,Speech
LcFWKgFphXI_20_30 Clapping,Clapping
JfZEqeLZqWk_30_40 Baby_cry_infant_cry
""",
    "AVVP_eval_audio.csv": """filename onset offset event_labels
4O9rI-FpqLg_10_20 0 4 Cheering
4O9rI-FpqLg_10_20 4 6 Cheering
4O9rI-FpqLg_10_20 5 8 Cheering
8DF2PxdT5tE_390_400 9 0 Cheering
8DF2PxdT5tE_390_400 3 3 Speech
8DF2PxdT5tE_390_400 1 3 Dog
LcFWKgFphXI_20_30 2 5 Clapping
LcFWKgFphXI_20_30 2 5 Clapping
CSWQ_HzQ_10_20 0 10 Speech
""",
    "AVVP_eval_visual.csv": """filename onset offset event_labels
LcFWKgFphXI_20_30 0 10 Clapping
""",
}

AVE = """Church bell&RUhOCu3LNXM&good&0&10
Male speech, man speaking&MH3m4AwEcRY&good&6&8
Bark&RUhOCu3LNXM&good&2&5
Bark&2An2JMGMbbs&good&0&0
"""
ORDERS = {"train": "0\n3\n", "val": "1\n", "test": "2\n"}


def write_llp(folder: Path, **changes: str) -> Path:
    """Write LLP's files; `changes` replaces the text of a file, by its name without the ending. Spaces become tabs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in LLP.items():
        content = changes.get(Path(name).stem, text).replace(" ", "\t")
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def write_ave(folder: Path, annotations: str = AVE, **orders: str) -> Path:
    """Write AVE's files; `orders` replaces the order of a split."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Annotations.txt").write_text(annotations, encoding="utf-8")
    for split, text in (ORDERS | orders).items():
        (folder / f"{split}_order.txt").write_text(text, encoding="utf-8")
    return folder

"""Classes and prompts of the user are read correctly, or give one error with place and fix."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vaplan.errors import AnnotationError, Exit
from vaplan.taxonomy import LLP, TEMPLATES, Taxonomy, read_taxonomy, with_prompts

PETS = Taxonomy(("Dog", "Cat"), own_prompts={"audio": {"Cat": ("a purr",)}})


def written(folder: Path, text: str, name: str = "pets.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_yaml_file_gives_classes_in_order_templates_and_prompts(
    tmp_path: Path,
) -> None:
    text = """
classes: [Rain, Dog]
templates: {audio: "I hear {}."}
prompts:
  Dog: {visual: [a dog, a puppy]}
"""
    taxonomy = read_taxonomy(written(tmp_path, text))
    assert taxonomy.classes == ("Rain", "Dog")
    assert taxonomy.prompts("audio") == [["I hear rain."], ["I hear dog."]]
    assert taxonomy.prompts("visual") == [
        ["This photo contains the rain."],
        ["a dog", "a puppy"],
    ]


def test_classes_alone_are_described_by_the_default_templates(tmp_path: Path) -> None:
    for path in (
        written(tmp_path, "classes: [Dog, Cat]"),
        written(tmp_path, "class\nDog\nCat\n", "pets.csv"),
    ):
        assert read_taxonomy(path) == Taxonomy(
            ("Dog", "Cat"), own_prompts={"audio": {}, "visual": {}}
        )
        assert read_taxonomy(path).templates == TEMPLATES


def test_a_csv_class_has_as_many_prompts_as_rows(tmp_path: Path) -> None:
    text = 'class,visual,audio\nDog,a dog,\nCat,,\nDog,a puppy,"barking, then a howl"\n'
    taxonomy = read_taxonomy(written(tmp_path, text, "pets.csv"))
    assert taxonomy.classes == ("Dog", "Cat")
    assert taxonomy.prompts("visual") == [
        ["a dog", "a puppy"],
        ["This photo contains the cat."],
    ]
    assert taxonomy.prompts("audio") == [
        ["barking, then a howl"],
        ["This sound contains the cat."],
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_formats_are_read_in_the_encodings_that_programs_write(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "pets"
    path.with_suffix(".yaml").write_text("classes: [Löwe, 犬]", encoding=encoding)
    path.with_suffix(".csv").write_text("class\r\nLöwe\r\n犬\r\n", encoding=encoding)
    for suffix in (".yaml", ".csv"):
        assert read_taxonomy(path.with_suffix(suffix)).classes == ("Löwe", "犬")


@given(
    names=st.lists(
        st.sampled_from([*LLP.classes, "No", "1e3", "null", "a: b", "- x", "# y"]),
        min_size=1,
        unique=True,
    )
)
def test_any_quoted_names_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = written(tmp_path_factory.mktemp("names"), yaml.safe_dump({"classes": names}))
    assert read_taxonomy(path).classes == tuple(names)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the file is empty"),
        ("- Dog\n- Cat", 1, "the file is"),
        (
            "classes: [Dog]\nprompt: {}",
            2,
            "unknown key 'prompt'; did you mean 'prompts'",
        ),
        ("Classes: [Dog]", 1, "unknown key 'Classes'; did you mean 'classes'"),
        ("classes: []", 1, "no classes"),
        ("templates: {}\nprompts: {Dog: {}}", 1, "no classes"),
        ("classes: Dog", 1, "classes is 'Dog', expected a list"),
        ("classes:\n- Dog\n- No", 3, "class False is no text.* Fix: put it in quotes"),
        ("classes:\n- Dog\n- 1.5", 3, r"class 1\.5 is no text.* Fix: put it in quotes"),
        ("classes:\n- Dog\n-", 3, "class None is no text"),
        ("classes:\n- Dog\n- 'Do\\tg'\n- Dog", 4, "class 'Dog' is listed twice"),
        ('classes: [Dog, "a\\nb"]', 1, "cannot be used"),
        ("classes: [' ']", 1, "cannot be used"),
        ("classes: [Dog]\nclasses: [Cat]", 2, "'classes' is set twice"),
        (
            "classes: [Dog]\nprompts:\n  dog: {audio: a bark}",
            3,
            "unknown class 'dog'; did you mean 'Dog'",
        ),
        (
            "classes: [Dog]\nprompts:\n  on: {audio: a bark}",
            3,
            "the key on is no text but True. Fix: put it in quotes",
        ),
        (
            "classes: [Dog]\nprompts: {Dog: a bark}",
            2,
            r"prompts\.Dog is 'a bark', expected one `modality: …`",
        ),
        (
            "classes: [Dog]\nprompts: {Dog: {sound: a bark}}",
            2,
            "unknown modality 'sound'",
        ),
        (
            "classes: [Dog]\nprompts:\n  Dog:\n    audio: []",
            4,
            r"prompts\.Dog\.audio is empty",
        ),
        (
            "classes: [Dog]\nprompts:\n  Dog:\n    audio: ['']",
            4,
            "sentence '' is empty",
        ),
        (
            "classes: [Dog]\nprompts: {Dog: {audio: [a bark, 3]}}",
            2,
            "sentence 3 is no text",
        ),
        (
            "classes: [Dog]\nprompts: {Dog: {audio: 'a {}'}}",
            2,
            "contains {}, which only templates may",
        ),
        (
            f"classes: [Dog]\nprompts: {{Dog: {{audio: {'bark ' * 300}}}}}",
            2,
            "is longer than 1000 characters",
        ),
        (
            "classes: [Dog]\ntemplates: {Audio: 'a {}'}",
            2,
            "unknown modality 'Audio'; did you mean 'audio'",
        ),
        (
            "classes: [Dog]\ntemplates:\n  audio:\n  - 'a {}'\n  - a dog",
            5,
            "must contain one {}",
        ),
        ("classes: [Dog]\ntemplates: {audio: '{} and {}'}", 2, "must contain one {}"),
        (
            "classes: [Dog]\ntemplates: a {}",
            2,
            "templates is 'a {}', expected one `modality: …`",
        ),
        ("classes: &x [Dog]\nprompts: *x", 2, "aliases are not allowed"),
        ("classes: !!python/object/apply:os.system [ls]", 1, "not YAML"),
        ("classes: [Dog", 1, "not YAML"),
    ],
)
def test_a_fault_in_yaml_names_the_line_and_the_value(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(AnnotationError) as fault:
        read_taxonomy(path)
    assert fault.value.exit == Exit.NOTHING_DONE
    assert (fault.value.file, fault.value.line) == (path, line)
    assert fault.match(message)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the file is empty"),
        ("class,audio\n", None, "no classes"),
        ("Dog\nCat\n", 1, "column 'class' is missing; found: Dog"),
        (
            "class;audio\nDog;a bark\n",
            1,
            "column 'class' is missing; found: class;audio.* separated by commas",
        ),
        ("class,sound\nDog,a bark\n", 1, "unknown column 'sound'"),
        ("class,class\nDog,Cat\n", 1, "a column occurs twice"),
        ("class,audio\nDog,a bark, a howl\n", 2, "3 fields where the header has 2"),
        ("class,audio\nDog,a bark\n\nCat\n", 4, "1 fields where the header has 2"),
        ("class,audio\nDog,a bark\n,a purr\n", 3, "class '' cannot be used"),
        ("class,audio\nDog,a bark\nDog,\n", 3, "class 'Dog' is listed twice"),
        ("class\nDog\nDog\n", 3, "class 'Dog' is listed twice"),
        ("class,audio\nDog,{} barks\n", 2, "contains {}, which only templates may"),
        ('class,audio\nDog,"a bark\nCat,\n', 2, "not CSV"),
    ],
)
def test_a_fault_in_csv_names_the_line(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    path = written(tmp_path, text, "pets.csv")
    with pytest.raises(AnnotationError) as fault:
        read_taxonomy(path)
    assert (fault.value.file, fault.value.line) == (path, line)
    assert fault.match(message)


def test_a_file_that_is_no_taxonomy_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        AnnotationError, match=r"cannot end with '\.txt'.*\.yaml or \.yml or \.csv"
    ):
        read_taxonomy(written(tmp_path, "Dog", "pets.txt"))
    with pytest.raises(AnnotationError, match="No such file"):
        read_taxonomy(tmp_path / "absent.yaml")
    with pytest.raises(AnnotationError, match="larger than"):
        read_taxonomy(written(tmp_path, "#" * 300_000))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.yaml", "prompts: {Dog: {audio: [a bark, a howl]}}"),
        ("words.csv", "class,audio\nDog,a bark\nDog,a howl\n"),
    ],
)
def test_other_prompts_replace_only_those_of_their_classes(
    tmp_path: Path, name: str, text: str
) -> None:
    taxonomy = with_prompts(PETS, written(tmp_path, text, name))
    assert taxonomy.classes == PETS.classes
    assert taxonomy.prompts("audio") == [["a bark", "a howl"], ["a purr"]]
    assert taxonomy.prompts("visual") == PETS.prompts("visual")


def test_other_templates_leave_a_class_its_own_prompts(tmp_path: Path) -> None:
    taxonomy = with_prompts(
        PETS, written(tmp_path, "templates: {audio: ['one {}', 'a {} far away']}")
    )
    assert taxonomy.prompts("audio") == [["one dog", "a dog far away"], ["a purr"]]
    assert taxonomy.prompts("visual") == PETS.prompts("visual")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "words.yaml",
            "classes: [Cow]\ntemplates: {audio: 'a {}'}",
            "words.yaml:1: unknown class 'Cow'",
        ),
        (
            "words.yaml",
            "prompts:\n  cat: {audio: a purr}",
            "words.yaml:2: unknown class 'cat'; did you mean 'Cat'",
        ),
        (
            "words.csv",
            "class,audio\nDog,a bark\nCta,a purr\n",
            "words.csv:3: unknown class 'Cta'; did you mean 'Cat'",
        ),
        ("words.csv", "class\nDog\n", "neither templates nor prompts"),
        ("words.yaml", "classes: [Dog]", "neither templates nor prompts"),
    ],
)
def test_prompts_for_unknown_classes_are_an_error(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(AnnotationError) as fault:
        with_prompts(PETS, written(tmp_path, text, name))
    assert message in str(fault.value)


def test_braces_in_a_template_are_only_braces(tmp_path: Path) -> None:
    taxonomy = read_taxonomy(
        written(tmp_path, "classes: [Dog]\ntemplates: {audio: '{noise} of a {}'}")
    )
    assert taxonomy.prompts("audio") == [["{noise} of a dog"]]


def test_ten_thousand_classes_are_read(tmp_path: Path) -> None:
    text = "class\n" + "".join(f"class {n}\n" for n in range(10_000))
    assert len(read_taxonomy(written(tmp_path, text, "many.csv"))) == 10_000


def test_too_many_classes_are_an_error_of_the_file(tmp_path: Path) -> None:
    text = "class\n" + "".join(f"class {number}\n" for number in range(20_001))
    path = written(tmp_path, text, "many.csv")
    with pytest.raises(AnnotationError, match="20,001 classes, expected at") as caught:
        read_taxonomy(path)
    assert str(caught.value).startswith(f"{path}: ")

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.playlists.formats import MAX_NAME_BYTES, file_name_of, file_names_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Plain name", "Plain name"),
        ("AC/DC", "AC_DC"),
        ('a\\b:c*d?e"f<g>h|i', "a_b_c_d_e_f_g_h_i"),
        ("../../etc/passwd", "___.._etc_passwd"),
        (".hidden", "_hidden"),
        ("..", "__"),
        ("ends with dots...", "ends with dots___"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1", "_com1"),
        ("LPT¹", "_LPT¹"),
        ("Console", "Console"),
        ("", "playlist"),
        ("tab\there", "tab_here"),
        ("zero\0byte", "zero_byte"),
        ("שלום עולם", "שלום עולם"),
        ("evil\u202egnp.exe", "evil_gnp.exe"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("日本語 🎧", "日本語 🎧"),
        ("\ud800", "_"),
    ],
)
def test_file_names(name, expected):
    assert file_name_of(name) == expected


@given(st.text(max_size=300))
def test_any_name_makes_a_usable_file_name(name):
    made = file_name_of(name)
    assert 0 < len(made.encode("utf-8")) <= MAX_NAME_BYTES + 1
    assert not set(made) & set('<>:"/\\|?*')
    assert made[0] != "."
    assert made[-1] not in ". "
    assert all(unicodedata.category(sign)[0] != "C" or sign in "\u200c\u200d" for sign in made)
    assert made.split(".")[0].casefold() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}


@given(st.lists(st.sampled_from(["Mix", "mix", "MIX", "a/b", "a_b", "", "Mix (2)"]), max_size=12))
def test_names_in_one_folder_never_meet(names):
    made = file_names_of(names)
    assert len({name.casefold() for name in made}) == len(names)


def test_long_names_are_cut_between_characters(tmp_path):
    made = file_name_of("é" * 200)
    assert made == "é" * (MAX_NAME_BYTES // 2)
    (tmp_path / f"{made}.m3u8").write_text("x")

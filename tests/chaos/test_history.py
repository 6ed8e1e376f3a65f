"""The history checker sees each fault that it is there for, and nothing in a good history."""

from dataclasses import replace

from tests.chaos.history import Read, faults


def read(reader: str, turn: int, number: int, *, rows: int | None = None) -> Read:
    """Return a good read: snapshot n holds the rows 0 to n, and its A5 every other one."""
    a4 = [f"row-{n}" for n in range(rows if rows is not None else number + 1)]
    a5 = a4[::2]
    return Read(
        reader,
        turn,
        number,
        said={"A4": len(a4), "A5": len(a5)},
        ids={"A4": a4, "A5": a5},
        digests={"A4": f"{number}-4", "A5": f"{number}-5"},
        manifest_rows=len(a4),
    )


GOOD = [
    Read("left", 0, 0),
    read("left", 1, 1),
    read("right", 0, 3),
    read("left", 2, 3),
    read("left", 3, 3),
    read("right", 1, 4),
]


def test_readers_who_see_whole_snapshots_that_only_advance_see_no_fault() -> None:
    assert faults(GOOD) == []
    assert faults(reversed(GOOD)) == []
    assert faults([]) == []


def test_a_torn_read_is_seen_by_the_record_and_by_the_manifest() -> None:
    whole = read("left", 0, 5)
    torn = replace(whole, ids={"A4": whole.ids["A4"][:-1], "A5": whole.ids["A5"]})
    assert faults([torn]) == [
        "left, read 0, snapshot 5: A4 has 5 rows, and its record says 6",
        "left, read 0, snapshot 5: A4 has 5 rows, and its manifest's shards keep 6",
    ]


def test_a_row_of_the_best_split_that_the_other_lacks_is_seen() -> None:
    whole = read("left", 0, 4)
    odd = replace(whole, ids={"A4": whole.ids["A4"], "A5": ["row-0", "row-2", "stray"]})
    assert faults([odd]) == ["left, read 0, snapshot 4: A5 has stray, which A4 has not"]


def test_an_id_that_is_there_twice_is_seen_though_the_counts_are_right() -> None:
    whole = read("left", 0, 2)
    doubled = replace(whole, ids={"A4": ["row-0", "row-0", "row-2"], "A5": whole.ids["A5"]})
    assert faults([doubled]) == ["left, read 0, snapshot 2: A4 has row-0 more than once"]


def test_a_number_that_goes_back_for_one_reader_is_seen() -> None:
    assert faults([*GOOD, read("right", 2, 3)]) == [
        "right, read 2, snapshot 3: after snapshot 4 in read 1"
    ]
    gone = Read("right", 2, 0)
    assert faults([*GOOD, gone]) == ["right, read 2, snapshot 0: after snapshot 4 in read 1"]


def test_a_reader_behind_another_is_no_fault() -> None:
    assert faults([*GOOD, read("third", 0, 1)]) == []


def test_a_snapshot_that_changed_is_seen_though_it_is_whole_both_times() -> None:
    known = read("left", 0, 3)
    other = replace(read("right", 0, 3), digests={"A4": "others", "A5": "3-5"})
    assert faults([known, other]) == ["right, read 0, snapshot 3: not what left saw in its read 0"]
    fewer = read("right", 0, 3, rows=2)
    assert faults([known, fewer]) == ["right, read 0, snapshot 3: not what left saw in its read 0"]


def test_a_reader_who_is_told_of_a_missing_file_has_seen_a_fault() -> None:
    told = Read("left", 0, 2, failure="splits/ab/A4/part-00000.parquet: no such object")
    assert faults([told]) == [f"left, read 0, snapshot 2: {told.failure}"]

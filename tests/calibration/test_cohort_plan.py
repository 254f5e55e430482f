from dataclasses import replace
from itertools import chain

import pytest

from calibration.cohort_plan import FOLDS, CohortSettings, plan_clips, plan_people, splits
from engines.emg.profile import healthy
from engines.emg.tasks import TASKS
from engines.errors import BadInput

PHOTOS = [f"{n:03d}" for n in range(1, 103)]
SMALL = CohortSettings(participants=3, sessions=1, tasks=("Smile-Closed", "happy", "sad"))


def test_the_default_is_the_studies_cohort():
    settings = CohortSettings()
    people = plan_people(settings, PHOTOS)
    clips = plan_clips(settings, people)
    assert len(people) == 36
    assert len({person.photos for person in people}) == 36
    assert len(clips) == 36 * 2 * 2 * 17 == len({clip.id for clip in clips})
    assert {clip.id.rec for clip in clips} == {"1N", "1S", "2N", "2S"}
    assert {clip.id.task for clip in clips} == {task.name for task in TASKS}
    assert all(person.condition == "healthy" for person in people)


def test_the_order_is_the_files_and_the_numbers_are_the_recordings():
    clips = plan_clips(SMALL, plan_people(SMALL, PHOTOS))
    assert [str(clip.id) for clip in clips[:1]] == ["001_1N_schaede_04_Smile-Closed"]
    assert [clip.id.pid for clip in clips] == sorted(clip.id.pid for clip in clips)


def test_a_part_of_a_cohort_is_the_same_people_and_clips():
    """Neither the number of others nor what else is recorded changes a person or a clip."""
    whole, part = CohortSettings(), replace(SMALL, sessions=1)
    people, fewer = plan_people(whole, PHOTOS), plan_people(part, PHOTOS)
    assert fewer == people[:3]
    assert set(plan_clips(part, fewer)) <= set(plan_clips(whole, people))


def test_emotions_come_in_another_order_each_time_and_repeat():
    settings = replace(SMALL, emotion_repeats=4, sessions=2, tasks=tuple(t.name for t in TASKS if t.mode == "emotion"))
    clips = plan_clips(settings, plan_people(settings, PHOTOS))
    orders = {}
    for clip in clips:
        orders.setdefault(clip.id.session, []).append((clip.id.seq, clip.id.task))
    assert {len(order) for order in orders.values()} == {24}
    assert all([seq for seq, _ in order] == list(range(24)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == len(orders) == 12


def test_another_seed_gives_other_people():
    a, b = (plan_people(replace(SMALL, seed=seed), PHOTOS) for seed in (0, 1))
    assert [p.photos for p in a] != [p.photos for p in b]
    assert a[0].seed != b[0].seed


@pytest.mark.parametrize("mixed", [False, True])
def test_no_photo_is_in_two_folds(mixed):
    people = plan_people(CohortSettings(participants=200, mixed=mixed), PHOTOS)
    owner = {}
    for person in people:
        assert sum(person.weights) == pytest.approx(1)
        assert len(person.photos) == len(person.weights) == len(set(person.photos))
        for photo in person.photos:
            assert owner.setdefault(photo, person.fold) == person.fold


def test_more_people_than_photos_are_mixed_and_nobody_comes_twice():
    people = plan_people(CohortSettings(participants=200), PHOTOS)
    assert sum(len(person.photos) == 1 for person in people) == 102
    assert len({(person.photos, person.weights) for person in people}) == 200


def test_a_mixed_cohort_shows_no_photo_alone():
    people = plan_people(CohortSettings(mixed=True), PHOTOS)
    assert all(len(person.photos) >= 4 and max(person.weights) < 0.8 for person in people)


def test_splits_are_by_person_and_complete():
    people = plan_people(CohortSettings(), PHOTOS)
    found = splits(people)
    parts = [found[name] for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [24, 6, 6]
    assert sorted(chain(*parts)) == [person.pid for person in people]
    assert sorted(chain(*(found[f"fold_{n}"] for n in range(FOLDS)))) == [person.pid for person in people]
    small = splits(people[:3])
    assert all(len(small[name]) == 1 for name in ("train", "validation", "test"))


def test_patients_are_a_share_of_every_condition_and_split():
    people = plan_people(CohortSettings(patients=0.5), PHOTOS)
    patients = [person for person in people if person.condition != "healthy"]
    assert len(patients) == pytest.approx(18, abs=1)
    assert {person.condition for person in patients} == {"palsy", "synkinesis", "recovery"}
    assert {person.split for person in patients} == {"train", "validation", "test"}
    assert all(person.side in ("left", "right") for person in patients)
    assert {person.condition for person in plan_people(CohortSettings(patients=1), PHOTOS)} == {
        "palsy",
        "synkinesis",
        "recovery",
    }


def test_profiles_follow_the_condition():
    settings = CohortSettings(patients=1, sessions=2)
    people = {person.condition: person for person in plan_people(settings, PHOTOS)}
    early, late = (people["recovery"].profile(session, 2) for session in (1, 2))
    worst = {name: abs(value) for name, value in early.asymmetry_percent().items()}
    assert abs(late.asymmetry_percent()["zygomaticus"]) < worst["zygomaticus"]
    assert late.synkinesis_matrix.max() > early.synkinesis_matrix.max()
    assert people["palsy"].profile(1, 2) == people["palsy"].profile(2, 2)
    assert people["synkinesis"].profile(1, 2).synkinesis
    well = plan_people(CohortSettings(), PHOTOS)[0]
    assert well.profile(1, 2) == well.profile(2, 2) == healthy(well.seed)


def test_one_session_holds_no_recovery():
    people = plan_people(CohortSettings(patients=1, sessions=1), PHOTOS)
    assert {person.condition for person in people} == {"palsy", "synkinesis"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"participants": 0}, "participants must be 1 to 999, found 0"),
        ({"participants": -3}, "found -3"),
        ({"sessions": 0}, "sessions"),
        ({"sessions": 10}, "sessions must be 1 to 9"),
        ({"emotion_repeats": 0}, "emotion_repeats"),
        ({"repetitions": -1}, "repetitions"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"mishaps": -0.5}, "mishaps must be 0"),
        ({"patients": 1.5}, "share of patients"),
        ({"patients": float("nan")}, "share of patients"),
        ({"seconds": 0.0}, "clips of 0 s"),
        ({"tasks": ()}, "at least one"),
        ({"tasks": ("sad", "sad")}, "each task once"),
        ({"tasks": ("Smile-Closd",)}, "did you mean 'Smile-Closed'"),
    ],
)
def test_absurd_settings_are_refused(wrong, said):
    with pytest.raises(BadInput, match=said):
        CohortSettings(**wrong)


@pytest.mark.parametrize(
    ("settings", "photos"), [(CohortSettings(), 5), (CohortSettings(mixed=True), 23), (CohortSettings(), 20)]
)
def test_too_few_photos_are_refused(settings, photos):
    with pytest.raises(BadInput, match="photos with a face or more"):
        plan_people(settings, PHOTOS[:photos])

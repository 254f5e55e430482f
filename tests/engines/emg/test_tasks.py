import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from engines.emg.muscles import ACTION_INDEX, SILENT, at_the_sites
from engines.emg.tasks import (
    MAXIMUM,
    TASKS,
    Clip,
    Contraction,
    Task,
    clip_of,
    emotion_clip,
    functional_clip,
    session_clips,
    task_named,
)
from engines.errors import BadInput

FUNCTIONAL = [
    "Face-At-Rest",
    "Forehead-Raise",
    "Eye-Gentle",
    "Eye-Tight",
    "Smile-Closed",
    "Smile-Open",
    "Nose-Wrinkler",
    "Cheeks-Blow",
    "Lip-Pucker",
    "Snarl",
    "Depress-Lip",
]
EMOTIONS = ["angry", "disgusted", "fearful", "happy", "sad", "surprised"]


def test_the_17_tasks_by_name():
    assert [t.name for t in TASKS if t.mode == "schaede"] == FUNCTIONAL
    assert [t.name for t in TASKS if t.mode == "emotion"] == EMOTIONS
    assert [t.name for t in TASKS] == FUNCTIONAL + EMOTIONS


def test_healthy_people_intend_both_sides_alike():
    for task in TASKS:
        sites = at_the_sites(task.intent)
        np.testing.assert_array_equal(sites[::2], sites[1::2])
        assert task.name == "Face-At-Rest" or task.intent.max() >= 0.45


@pytest.mark.parametrize(
    ("task", "muscle"),
    [
        ("Forehead-Raise", "lateral_frontalis"),
        ("Eye-Tight", "orbicularis_oculi"),
        ("Eye-Gentle", "orbicularis_oculi"),
        ("Smile-Closed", "zygomaticus"),
        ("Smile-Open", "zygomaticus"),
        ("happy", "zygomaticus"),
        ("Nose-Wrinkler", "levator_labii_superioris"),
        ("Snarl", "levator_labii_superioris"),
        ("Lip-Pucker", "orbicularis_oris"),
        ("Cheeks-Blow", "orbicularis_oris"),
        ("Depress-Lip", "depressor_anguli_oris"),
        ("angry", "corrugator_supercilii"),
        ("sad", "depressor_anguli_oris"),
        ("surprised", "lateral_frontalis"),
    ],
)
def test_the_named_muscle_leads(task, muscle):
    assert at_the_sites(task_named(task).intent).argmax() == FRIDLUND.column(f"{muscle}_right")


def test_the_maximum_is_every_muscle_and_nothing_silent():
    np.testing.assert_array_equal(MAXIMUM.intent[:22], 1.0)
    assert not MAXIMUM.intent[[ACTION_INDEX[name] for name in SILENT]].any()


def test_a_session_is_as_recorded():
    clips = session_clips(seed=4)
    names = [clip.task.name for clip in clips]
    assert names[:11] == FUNCTIONAL
    assert sorted(names[11:]) == sorted(EMOTIONS * 4)
    assert names[11:] != [clip.task.name for clip in session_clips(seed=5)][11:]
    assert names == [clip.task.name for clip in session_clips(seed=4)]
    for clip in clips:
        assert len(clip.holds) == {"Face-At-Rest": 0}.get(clip.task.name, 3 if clip.task.mode == "schaede" else 1)
        assert 6.0 <= clip.duration_s <= 30.0


def test_an_emotion_peaks_where_the_paper_takes_its_picture():
    clip = emotion_clip(task_named("happy"))
    assert clip.duration_s == 6.0
    assert clip.holds[0].start_s < 4.5 < clip.holds[0].end_s
    assert clip.holds[0].start_s > 3.0  # seen first, shown after
    assert clip_of(task_named("happy")) == clip


def test_a_part_of_the_tasks_keeps_its_order():
    chosen = [task_named(name) for name in ("sad", "Snarl", "Lip-Pucker")]
    assert [c.task.name for c in session_clips(0, chosen, emotion_repeats=1)] == ["Snarl", "Lip-Pucker", "sad"]


def test_bad_tasks_and_clips_are_sentences():
    with pytest.raises(BadInput, match="no task 'Smile-Close'; did you mean 'Smile-Closed'"):
        task_named("Smile-Close")
    with pytest.raises(BadInput, match="choose from"):
        task_named("qqqq")
    with pytest.raises(BadInput, match="did you mean 'orbicularis_oris'"):
        Task("x", "schaede", (("orbicularis_ori", 0.5),))
    with pytest.raises(BadInput, match=r"level of mentalis is -0\.5"):
        Task("x", "schaede", (("mentalis", -0.5),))
    with pytest.raises(BadInput, match="does not fit"):
        Clip(TASKS[1], 5.0, (Contraction(1.0, 3.0), Contraction(2.5, 4.0)))
    with pytest.raises(BadInput, match="does not fit"):
        Clip(TASKS[1], 5.0, (Contraction(1.0, 6.0),))
    with pytest.raises(BadInput, match="positive times"):
        functional_clip(TASKS[1], hold_s=0.0)
    with pytest.raises(BadInput, match="at least one task"):
        session_clips(0, [])

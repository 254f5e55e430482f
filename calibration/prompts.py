"""What a person is told while being calibrated: plain words for every movement, and why a picture is not taken."""

from __future__ import annotations

from enum import StrEnum

from rt.sinks.page import label_of


class Reason(StrEnum):
    """Why a picture is not taken; the value is the sentence for the person.

    All names of engines.face.frame_check.Obstacle are here.
    """

    LOST = "No face found: sit in front of the camera, nothing before your face"
    FAR = "Your face is too small in the picture: come closer"
    COVERED = "This picture is not your bare face, electrodes or a movement lie over it: hold still for a moment"
    TURNED = "Your head is turned away: turn to the camera"
    DARK = "The picture is too dark: more light from the front"
    CLOSED = "Your eyes are closed: open them"
    MOVING = "Too much motion: hold still"
    BLURRED = "The picture is blurred: hold still, and clean the lens if it stays so"
    NOT_AT_REST = "Your face is not at rest: let everything go loose. If it is as loose as it gets, just hold still"
    WEAK = "The movement does not show yet: a little more, as far as is comfortable"
    OTHER = "That is another movement: try again as described above"
    LIPS = "Your lips are apart: keep them together in this movement"
    LESS = "You let go: do it once more as before, and hold it"


NEUTRAL_TITLE = "Relaxed face"
NEUTRAL_WORDS = "Look into the camera, eyes open, mouth lightly closed. Let your face go loose and hold still."
WELCOME_WORDS = (
    "In a minute the movements that you practise are fitted to your own face. You are told what to do, one thing after "
    "the other."
)
DONE_WORDS = "That is all. From now on the mirror shows the movement as it looks on you."
NOTHING_WORDS = "Nothing was kept. The movements are shown as before."

_WORDS = {
    "pixel-smile-open": "Smile so that your teeth show, as far as is comfortable. Hold it.",
    "pixel-smile-closed": "Smile with your lips closed, as far as is comfortable. Hold it.",
    "pixel-happy": "Look happy, as far as is comfortable. Hold it.",
    "pixel-forehead-raise": "Raise your eyebrows as high as is comfortable. Hold them there.",
    "pixel-eye-gentle": "Close your eyes gently, as if asleep. Keep them closed until the ring is full.",
    "pixel-eye-tight": "Close your eyes tightly, as far as is comfortable. Keep them closed until the ring is full.",
    "pixel-lip-pucker": "Purse your lips as if to whistle. Hold it.",
    "pixel-nose-wrinkler": "Wrinkle your nose. Hold it.",
    "pixel-cheeks-blow": "Blow up your cheeks with your lips closed. Hold it.",
    "pixel-snarl": "Raise your upper lip as if to snarl. Hold it.",
    "pixel-depress-lip": "Pull your lower lip down so that the lower teeth show. Hold it.",
}
_ANY = "Make this movement as far as is comfortable, and hold it."


def words_for(movement: str) -> tuple[str, str]:
    """Title and what to do, for the name of a bundle: pixel-smile-open -> ("Smile open", "Smile so that ...")."""
    return label_of(movement), _WORDS.get(movement, _ANY)

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.light import Light
from engines.face.pose import HeadPose
from engines.face.studio import Studio

PEOPLE = ("004", "034", "129")
TASKS = {
    "mouthSmile": {"mouthSmile": 0.9, "cheekSquint": 0.4},
    "browInnerUp": {"browInnerUp": 0.9, "browOuterUp": 0.9},
    "jawOpen": {"jawOpen": 0.8},
    "eyeBlink": {"eyeBlink": 1.0},
    "mouthPucker": {"mouthPucker": 0.9},
    "mouthUpperUp": {"noseSneer": 0.9, "mouthUpperUp": 0.6},  # a snarl: MediaPipe's noseSneer stays at 0 for anybody
    "browDown": {"browDown": 0.9},
}


def test_at_rest_the_picture_is_the_photo(person_of, studio, express):
    person = person_of("004")
    found = studio.render(person, express())
    photo = cv2.warpAffine(person.photo, found.out_from_photo, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    difference = np.abs(found.picture.astype(int) - photo)
    assert difference.mean() < 1.5
    assert np.percentile(difference, 99) < 12


@pytest.mark.parametrize("number", PEOPLE)
@pytest.mark.parametrize("read", TASKS)
def test_mediapipe_follows_the_truth(number, read, person_of, studio, express, read_face):
    amounts = np.linspace(0, 1, 6)
    seen = []
    for amount in amounts:
        shown = studio.render(person_of(number), express(**{k: v * amount for k, v in TASKS[read].items()}))
        points, scores = read_face(shown.picture)
        assert points is not None
        assert np.median(np.linalg.norm(points - shown.landmarks_px, axis=1)) < 2
        seen.append(np.mean([scores[name] for name in (read, f"{read}Left", f"{read}Right") if name in scores]))
    assert spearmanr(amounts, seen)[0] >= 0.7
    if read in ("mouthSmile", "jawOpen", "eyeBlink"):
        assert seen[-1] - seen[0] > 0.4


def test_one_side_moves_alone(person_of, studio, express, read_face):
    weights = express()
    weights[BLENDSHAPE_INDEX["eyeBlinkLeft"]] = 1
    _, scores = read_face(studio.render(person_of("004"), weights).picture)
    assert scores["eyeBlinkLeft"] > scores["eyeBlinkRight"] + 0.3


def test_gaze_moves_the_irises_and_their_truth(person_of, studio, express, read_face):
    weights = express()
    weights[[BLENDSHAPE_INDEX["eyeLookOutLeft"], BLENDSHAPE_INDEX["eyeLookInRight"]]] = 0.9  # to the person's left
    rest = studio.render(person_of("004"), express()).landmarks_px.copy()
    shown = studio.render(person_of("004"), weights)
    points, scores = read_face(shown.picture)
    assert (shown.landmarks_px[[468, 473], 0] - rest[[468, 473], 0] > 3).all()
    assert np.linalg.norm(points[[468, 473]] - shown.landmarks_px[[468, 473]], axis=1).max() < 2.5
    assert scores["eyeLookOutLeft"] > 0.4


def test_the_same_frame_twice_is_the_same_bytes_and_remembers_nothing(person_of, express):
    studio = Studio(240, 320)
    before = studio.render(person_of("004"), express(mouthSmile=0.5)).picture.copy()
    studio.render(person_of("034"), np.ones(52), HeadPose(yaw_deg=30), Light(direction=(1.0, 0.0, 0.2)))
    again = studio.render(person_of("004"), express(mouthSmile=0.5))
    np.testing.assert_array_equal(again.picture, before)
    np.testing.assert_array_equal(Studio(240, 320).render(person_of("004"), express(mouthSmile=0.5)).picture, before)


@pytest.mark.parametrize("yaw_deg", [-35, -20, -8, 8, 20, 35])
def test_a_turned_head_is_still_a_face_where_the_truth_says(yaw_deg, person_of, studio, express, read_face):
    shown = studio.render(person_of("129"), express(mouthSmile=0.6), HeadPose(yaw_deg=yaw_deg))
    points, _ = read_face(shown.picture)
    assert points is not None
    nose = 4
    assert np.sign(shown.landmarks_px[nose, 0] - shown.landmarks_px[[33, 263], 0].mean()) == np.sign(yaw_deg)
    assert np.median(np.linalg.norm(points - shown.landmarks_px, axis=1)) < 9


def test_light_from_one_side_brightens_that_side(person_of, studio, express):
    sides = {}
    for name, x in (("left", -1.0), ("right", 1.0)):
        shown = studio.render(person_of("129"), express(), light=Light(direction=(x, 0.2, 0.6), ambient=0.4))
        mask = shown.face_mask > 250
        grey, column = shown.picture.mean(2), np.arange(640)[None] - shown.landmarks_px[4, 0]
        sides[name] = grey[mask & (column < -20)].mean() / grey[mask & (column > 20)].mean()
    assert sides["left"] > 1.15 * sides["right"]


def test_a_backdrop_replaces_the_wall_and_not_the_face(person_of, studio, express):
    backdrop = np.zeros((480, 640, 3), np.uint8)
    shown = studio.render(person_of("042"), express(), backdrop=backdrop)
    assert shown.picture[:200, :120].max() == 0
    mask = shown.face_mask > 250
    cut = shown.picture.copy()
    own = studio.render(person_of("042"), express()).picture
    assert np.abs(cut[mask].astype(int) - own[mask]).mean() < 1


def test_the_raster_belongs_to_the_projected_mesh(person_of, studio, express):
    shown = studio.render(person_of("004"), express(jawOpen=0.5), HeadPose(yaw_deg=5, roll_deg=3))
    rows, columns = (axis[::50] for axis in np.nonzero(shown.raster.triangle >= 0))
    corners = person_of("004").anatomy.skin[shown.raster.triangle[rows, columns]]
    where = (shown.projected[corners] * shown.raster.barycentric[rows, columns][..., None]).sum(1)
    np.testing.assert_allclose(where[:, 0], columns, atol=0.05)
    np.testing.assert_allclose(where[:, 1], rows, atol=0.05)


def test_what_does_not_fit_is_a_sentence(person_of, studio, express):
    with pytest.raises(BadInput, match="64"):
        Studio(10, 640)
    with pytest.raises(BadInput, match="52 weights"):
        studio.render(person_of("004"), np.zeros(51))
    with pytest.raises(BadInput, match="52 weights"):
        studio.render(person_of("004"), np.full(52, 1.2))
    with pytest.raises(BadInput, match="output"):
        studio.render(person_of("004"), express(), out=np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(BadInput, match="backdrop"):
        studio.render(person_of("004"), express(), backdrop=np.zeros((10, 10, 3), np.uint8))

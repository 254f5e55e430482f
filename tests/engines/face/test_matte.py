import cv2
import numpy as np

from engines.face.matte import cut_out


def test_a_drawn_person_is_cut_from_a_wall_with_a_gradient():
    y, x = np.mgrid[:400, :400]
    wall = (150 + 0.12 * x + 0.05 * y)[..., None] * np.array([1.0, 1.0, 0.98])
    truth = np.zeros((400, 400), np.uint8)
    cv2.ellipse(truth, (200, 180), (60, 85), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.rectangle(truth, (165, 240), (235, 315), 255, -1)
    cv2.rectangle(truth, (0, 312), (400, 400), 255, -1)
    share = truth[..., None] / 255
    photo = np.rint(share * np.array([60, 80, 120]) + (1 - share) * wall).astype(np.uint8)
    found = cut_out(photo, np.array([200.0, 180, 0]), 265.0, 10.0)
    assert np.abs(found.cover.astype(int) - truth).mean() < 3
    assert np.abs(found.wall - wall).mean() < 2
    edge = (found.cover > 60) & (found.cover < 200) & (np.mgrid[:400, :400][0] < 240)
    assert edge.any()
    assert found.cutout[edge].mean() < 0.75 * wall[edge].mean()  # the wall's light is out of the soft edge


def test_a_real_person_is_cut_out(person_of):
    person = person_of("129")
    cover = person.matte.cover
    points = person.landmarks_px.astype(int)
    assert (cover[points[:, 1], points[:, 0]] == 255).all()
    assert (cover[:40] == 0).mean() > 0.98
    assert (cover[:400, :30] == 0).mean() > 0.98

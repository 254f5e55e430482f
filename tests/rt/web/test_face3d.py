"""How often 3D faces are drawn where the processor draws them."""

import pytest

pytestmark = pytest.mark.browser

RATES = """async (rates) => {
  const { giveWay } = await import("/static/face3d.js");
  return rates.map(([captured, shown]) => giveWay(captured, shown));
}"""


def test_faces_are_drawn_less_often_while_pictures_are_lost_and_recover(serve, open_page):
    page = open_page(serve())
    losing = page.evaluate(RATES, [[30.0, 24.0]] * 12)
    assert losing == sorted(losing)
    assert losing[-1] == 12
    keeping = page.evaluate(RATES, [[30.0, 29.6]] * 30)
    assert keeping == sorted(keeping, reverse=True)
    assert keeping[-1] == 2
    assert page.evaluate(RATES, [[0.0, 0.0]]) == [2]  # before the first picture nothing is lost

import io
from dataclasses import replace

import pytest
from rich.console import Console

from calibration.recipes import pixel_train
from calibration.recipes.pixel_rr import PixelRRSettings
from calibration.recipes.pixel_train import KIND, learn
from calibration.train_order import Order
from engines.errors import BadInput
from engines.face.pixel_map import load_pixel_map
from rt.errors import BadSettings


def test_one_fit_becomes_a_bundle_and_its_numbers_are_said(tmp_path, monkeypatch, toy_pairs):
    seen, unseen = toy_pairs(6, 32), toy_pairs(2, 32, seed=1)
    pairs = (seen.neutral, seen.target), (unseen.neutral, unseen.target)
    monkeypatch.setattr(pixel_train, "read_pairs", lambda data, model, settings: pairs)
    monkeypatch.setattr(pixel_train, "find", lambda name: tmp_path)
    said = io.StringIO()
    settings = replace(KIND.settings, size=32, lambda_=0.8)
    outcome = learn(Order(tmp_path, tmp_path / "b"), settings, Console(file=said, width=200))
    assert (outcome.ending, outcome.steps) == ("finished", 1)
    assert load_pixel_map(tmp_path / "b").lambda_ == pytest.approx(0.8)
    assert "psnr_copying_input" in said.getvalue()


def test_what_a_closed_form_does_not_have_is_refused(tmp_path):
    order = Order(tmp_path, tmp_path / "b", people=("001",))
    with pytest.raises(BadSettings, match="--people"):
        learn(order, PixelRRSettings(), Console(quiet=True))


def test_without_mediapipe_s_model_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_train, "find", lambda name: None)
    with pytest.raises(BadInput, match="assets fetch"):
        learn(Order(tmp_path, tmp_path / "b"), PixelRRSettings(), Console(quiet=True))

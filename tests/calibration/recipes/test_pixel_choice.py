from calibration.recipes import pixel_choice
from calibration.recipes.pixel_choice import choose, main
from calibration.recipes.pixel_judge import copying, pixel_rr
from calibration.recipes.pixel_rr import PixelRRSettings


def test_every_combination_is_scored_and_the_better_one_wins(toy_pairs, monkeypatch):
    def candidates():
        yield "copying", "-", ("upright",), copying()
        yield "Pixel-RR", "0.4", ("centred", "upright"), pixel_rr(PixelRRSettings())

    monkeypatch.setattr(pixel_choice, "_candidates", candidates)
    pairs = toy_pairs(8, 32)
    found = list(choose({"centred": pairs, "upright": pairs}, 2, 0))
    assert [(c.system, c.alignment) for c in found] == [
        ("copying", "upright"),
        ("Pixel-RR", "centred"),
        ("Pixel-RR", "upright"),
    ]
    assert found[1].score.psnr_face > found[0].score.psnr_face


def test_the_paper_s_settings_are_among_the_candidates():
    words = [f"{system}: {settings}" for system, settings, _, _ in pixel_choice._candidates()]
    assert "Pixel-RR: lambda 0.4 on [0,1]" in words
    assert "Pixel-KR: lambda 0.4, sigma 3 on [0,1]" in words
    assert len(words) == len(set(words))


def test_a_folder_without_faces_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--assets", str(tmp_path)]) == 2
    assert "canonical_face_model.obj" in capsys.readouterr().err

import pytest

from benchmarks.pixel_quality import FAITHFUL, OURS, generator_parameters, methods, targets


def test_the_generator_is_counted_as_its_layers_say():
    torch = pytest.importorskip("torch")
    norm = lambda n: torch.nn.InstanceNorm2d(n, affine=True)  # noqa: E731
    layers = [torch.nn.Conv2d(8, 8, 7, bias=False), norm(8)]
    layers += [torch.nn.Conv2d(8, 16, 4, bias=False), norm(16), torch.nn.Conv2d(16, 32, 4, bias=False), norm(32)]
    for _ in range(4):
        layers += [torch.nn.Conv2d(32, 32, 3, bias=False), norm(32)]
    layers += [torch.nn.ConvTranspose2d(32, 16, 4, bias=False), norm(16)]
    layers += [torch.nn.ConvTranspose2d(16, 8, 4, bias=False), norm(8), torch.nn.Conv2d(8, 3, 7, bias=False)]
    counted = sum(p.numel() for layer in layers for p in layer.parameters())
    assert generator_parameters(8, 3, width=8, blocks=2) == counted


def test_targets_compare_with_the_paper_in_both_crops():
    rows = [
        {"method": name, "smiles": kind, "crop": crop, "psnr_face_db": value, "photo_psnr_whole_db": value}
        for kind in ("all", "smile-open", "smile-closed")
        for crop in ("centred", "upright")
        for name, value in (("the input as it is", 20.0), (FAITHFUL, 21.0), (OURS, 23.5))
        if name != OURS or crop == "upright"
    ]
    found = targets(rows, [{"fit": "Pixel-RR", "size_px": 512, "pairs": 90, "seconds": 30.0}])
    assert [target.reached for target in found] == [True] * 7 + [False]
    assert found[0].value == pytest.approx(2.5)


def test_the_paper_and_its_peers_are_compared():
    assert {FAITHFUL, OURS, "the input as it is"} < set(methods())
    assert any("masked" in name for name in methods())
    assert any("Pixel-KR" in name for name in methods())

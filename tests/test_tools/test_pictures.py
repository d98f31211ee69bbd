"""The pictures of a run."""

import matplotlib.image
import pytest
from helpers import DIGITS_SLF, ROOT, run_python


def test_weights_of_a_run(trained, tmp_path):
    run_python(ROOT / 'tools/analysis_tools/plot_weights.py', trained[0], '--out', tmp_path / 'weights.png')
    image = matplotlib.image.imread(tmp_path / 'weights.png')
    assert image.shape[:2] == (720, 960) and image[..., :3].std() > 0.05


def test_curves_are_those_of_the_log(tmp_path):
    import runpy

    tool = runpy.run_path(str(ROOT / 'tools/analysis_tools/plot_weights.py'))
    for name, lines in {
        '20260101_000000': [
            '{"lr": 0.1, "balance/a": 1.0, "iter": 1, "step": 1}',
            '{"pascal_voc/mAP": 0.5, "step": 1}',
        ],
        # a resumed run repeats iteration 2
        '20260101_000001': [
            f'{{"lr": 0.1, "balance/a": {v}, "iter": {i}, "step": {i}}}' for i, v in ((2, 2.0), (3, 3.0))
        ],
    }.items():
        log = tmp_path / name / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('\n'.join(lines))
    curves = tool['read_curves'](tmp_path)
    assert curves['balance/a'] == ([1, 2, 3], [1.0, 2.0, 3.0])
    assert 'pascal_voc/mAP' not in curves
    with pytest.raises(FileNotFoundError, match='holds no log: expected'):
        tool['read_curves'](tmp_path / 'nothing')
    with pytest.raises(ValueError, match='no key balance/<part>'):
        tool['plot']({'loss': ([1], [1.0])}, 'run', tmp_path / 'x.png')


def test_detections(trained, digits, tmp_path):
    out = tmp_path / 'detections.png'
    tool = ROOT / 'tools/analysis_tools/draw_detections.py'
    run_python(tool, DIGITS_SLF, trained[0] / 'epoch_1.pth', '--out', out, '--num', '4', cwd=digits)
    image = matplotlib.image.imread(out)
    green = (image[..., 1] > 0.9) & (image[..., 0] < 0.3) & (image[..., 2] < 0.3)
    assert green.sum() > 50  # the true boxes

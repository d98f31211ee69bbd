"""The pictures of a run."""

import re
import shutil

import matplotlib.image

from ..helpers import DIGITS_SLF


def test_weights_of_a_run(run_tool, trained, tmp_path):
    run_tool('analysis_tools/plot_weights.py', trained[0], '--out', tmp_path / 'weights.png')
    image = matplotlib.image.imread(tmp_path / 'weights.png')
    assert image.shape[1] == 840 and image[..., :3].std() > 0.05


def test_weights_of_runs_with_several_seeds(run_tool, trained, tmp_path):
    runs = [shutil.copytree(trained[0], tmp_path / f'slf_s{seed}') for seed in range(2)]
    runs.append(shutil.copytree(trained[0], tmp_path / 'other'))
    done = run_tool('analysis_tools/plot_weights.py', *runs, '--out', tmp_path / 'weights.svg')
    assert f'Weights drawn: {tmp_path / "weights.svg"}' in done.stdout
    text = (tmp_path / 'weights.svg').read_text()
    assert '<!-- slf (2 runs) -->' in text and '<!-- other -->' in text


def test_detections(run_tool, trained, digits, tmp_path):
    out = tmp_path / 'detections.png'
    tool = 'analysis_tools/draw_detections.py'
    run_tool(tool, DIGITS_SLF, trained[0] / 'epoch_1.pth', '--out', out, '--num', '4', cwd=digits)
    image = matplotlib.image.imread(out)
    green = (image[..., 1] > 0.9) & (image[..., 0] < 0.3) & (image[..., 2] < 0.3)
    assert green.sum() > 50  # the true boxes


def test_report(run_tool, trained_copy):
    done = run_tool('analysis_tools/report.py', trained_copy)
    assert f'Report written: {trained_copy / "report.html"}' in done.stdout
    text = (trained_copy / 'report.html').read_text(encoding='utf-8')
    assert re.search(r'<td>1</td>\s*<td class="number best">0\.\d{4}</td>', text)  # mAP of epoch 1
    assert all(f'<td>{name}</td>' in text for name in ('zero', 'nine', 'coord', 'noobj'))
    assert 'id="trajectories"' in text and 'id="evenness"' in text
    assert 'no loss weight collapsed' in text


def test_decision_network(run_tool, trained, digits, tmp_path):
    out = tmp_path / 'decisions.svg'
    tool = 'analysis_tools/decision_network.py'
    done = run_tool(tool, DIGITS_SLF, trained[0] / 'epoch_1.pth', '--out', out, '--num', '8', cwd=digits)
    assert re.search(r'│ coord +│ +5 │ +\d[.\d]*', done.stdout)
    assert '<!-- objects in the image -->' in out.read_text(encoding='utf-8')

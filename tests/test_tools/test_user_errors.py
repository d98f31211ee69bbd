"""Errors of the user are one paragraph without a traceback: exit code 2 for wrong arguments, 1 for a failure."""

import pytest
from helpers import DIGITS_SLF

CASES = [
    ('analysis_tools/report.py', ['absent'], 'absent holds no log of a training'),
    ('analysis_tools/plot_weights.py', ['absent'], 'absent holds no log of a training'),
    ('analysis_tools/plot_weights.py', ['broken.pth'], 'broken.pth is not a json log'),
    ('analysis_tools/check_dataset.py', ['absent.py'], 'absent.py'),
    ('analysis_tools/check_dataset.py', ['wrong.py'], 'invalid syntax'),
    ('analysis_tools/benchmark.py', ['absent.py'], 'absent.py'),
    ('analysis_tools/benchmark.py', [str(DIGITS_SLF), '--checkpoint', 'absent.pth'], 'absent.pth'),
    ('analysis_tools/decision_network.py', ['absent.py', 'absent.pth'], 'absent.py'),
    ('analysis_tools/draw_detections.py', ['absent.py', 'absent.pth'], 'absent.py'),
    ('analysis_tools/draw_detections.py', [str(DIGITS_SLF), 'absent.pth'], 'absent.pth'),
]
TOOLS = sorted({tool for tool, _, _ in CASES})


@pytest.mark.parametrize(('tool', 'args', 'message'), CASES)
def test_a_failure(run_tool, tmp_path, tool, args, message):
    (tmp_path / 'broken.pth').write_text('not a checkpoint\nat all')
    (tmp_path / 'wrong.py').write_text('model = dict(a=1 b=2)')
    done = run_tool(tool, *args, cwd=tmp_path, check=False)
    assert done.returncode == 1
    (paragraph,) = [line for line in done.stdout.splitlines() if line.startswith(tool.split('/')[1][:-3])]
    assert message in paragraph and 'Traceback' not in done.stdout


@pytest.mark.parametrize('tool', TOOLS)
def test_wrong_arguments(run_tool, tool):
    done = run_tool(tool, '--no-such-option', check=False)
    assert done.returncode == 2 and 'usage:' in done.stdout

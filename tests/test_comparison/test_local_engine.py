"""Which GPU a local run gets."""

import pytest

from slf_mmdet.comparison.engines import local


@pytest.mark.parametrize(
    ('given', 'count', 'expected'),
    [
        (None, 1, [None, None]),
        (None, 2, ['0', '1', '0']),
        ('2,3', 2, ['2', '3', '2']),  # those that this process may use
        ('GPU-a,MIG-b', 2, ['GPU-a', 'MIG-b']),
    ],
)
def test_runs_share_the_gpus_of_this_process(given, count, expected, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(local.torch.cuda, 'device_count', lambda: count)
    monkeypatch.setattr(local, 'start_run', lambda folder, log, env: seen.append(env.get('CUDA_VISIBLE_DEVICES')))
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if given is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', given)
    for slot in range(len(expected)):
        local.LocalEngine(2).start(tmp_path, slot)
    assert seen == expected

"""Scalars of a run, read from logs written here."""

import pytest

from slf_mmdet.analysis import find_logs, part_names, read_curves, read_validations


@pytest.fixture
def work_dir(tmp_path):
    """Two epochs of two iterations; the run was killed in the second one, and resumed from the first."""
    write(
        tmp_path / '20260101_000000',
        '{"lr": 0.1, "balance_a": 1.0, "iter": 1, "step": 1}',
        '{"lr": 0.1, "balance_a": 2.0, "iter": 2, "step": 2}',
        '{"pascal_voc/mAP": 0.5, "time": 0.1, "data_time": 0.1, "step": 1}',
        '{"lr": 0.1, "balance_a": 9.0, "iter": 3, "step": 3}',
        '{"lr": 0.1, "balan',
    )
    write(
        tmp_path / '20260101_000001',
        *(f'{{"lr": 0.1, "balance_a": {i}.0, "balance_b": NaN, "iter": {i}, "step": {i}}}' for i in (3, 4)),
        '{"pascal_voc/mAP": 0.6, "step": 2}',
    )
    return tmp_path


def write(folder, *lines):
    log = folder / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(lines))


def test_a_resumed_run_overwrites_what_it_repeats(work_dir):
    curve = read_curves(work_dir)['balance_a']
    assert curve.iters.tolist() == [1, 2, 3, 4] and curve.values.tolist() == [1, 2, 3, 4]


def test_validations_are_kept_apart(work_dir):
    assert read_validations(work_dir) == {1: {'pascal_voc/mAP': 0.5}, 2: {'pascal_voc/mAP': 0.6}}
    assert 'pascal_voc/mAP' not in read_curves(work_dir)


def test_parts(work_dir):
    assert part_names(read_curves(work_dir)) == ('a', 'b')
    assert part_names(dict(loss=1)) == ()


def test_one_log_or_all_of_a_work_dir(work_dir):
    logs = find_logs(work_dir)
    assert [log.parents[1].name for log in logs] == ['20260101_000000', '20260101_000001']
    assert find_logs(logs[1]) == [logs[1]] and find_logs(logs[1].parents[1]) == [logs[1]]


@pytest.mark.parametrize(('said', 'joined'), [('resumed epoch: 1, iter: 2', True), ('Epoch(train)  [1][3/9]', False)])
def test_a_run_that_starts_anew_and_logs_later(work_dir, said, joined):
    # With a longer interval between logs its first one comes after the first one of the run before
    text_log = work_dir / '20260101_000001' / '20260101_000001.log'
    text_log.write_text(f'Config:\n2026/01/01 - mmengine - INFO - {said}\nEpoch(train)  [2][3/9]\nresumed epoch: 9')
    assert read_curves(work_dir)['lr'].iters.tolist() == ([1, 2, 3, 4] if joined else [3, 4])


def test_no_log(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no log of a training: expected'):
        read_curves(tmp_path)


def test_a_file_that_is_no_log(tmp_path):
    path = tmp_path / 'run.log'
    path.write_text('2026/11/21 - mmengine - INFO\nmore\n')
    with pytest.raises(
        ValueError, match=r"run.log is not a json log, it has the line '2026/.*Give a work dir or its scalars.json"
    ):
        read_curves(path)


def test_keys_of_older_versions(tmp_path):
    """Before version 0.2 the name of a part came after a slash."""
    old = '{"lr": 0.1, "loss_a": 3.0, "balance/a": 1.5, "weights/entropy": 0.5, "voc/x": 1.0, "iter": 1, "step": 1}'
    (tmp_path / 'scalars.json').write_text(old + '\n')
    curves = read_curves(tmp_path / 'scalars.json')
    assert curves['balance_a'].values.tolist() == [1.5] and curves['weights_entropy'].values.tolist() == [0.5]
    assert part_names(curves) == ('a',) and 'voc/x' in curves


def test_iterations_of_a_run_with_two_optimizers(tmp_path):
    """Each has its learning rate; a validation has none."""
    lines = [
        '{"generator.lr": 0.1, "discriminator.lr": 0.2, "loss_generator": 3.0, "iter": 1, "step": 1}',
        '{"gan/frechet_distance": 7.0, "data_time": 0.1, "time": 0.2, "step": 1}',
    ]
    (tmp_path / 'scalars.json').write_text('\n'.join(lines) + '\n')
    curves = read_curves(tmp_path / 'scalars.json')
    assert curves['loss_generator'].values.tolist() == [3.0] and 'gan/frechet_distance' not in curves
    assert read_validations(tmp_path / 'scalars.json') == {1: {'gan/frechet_distance': 7.0}}

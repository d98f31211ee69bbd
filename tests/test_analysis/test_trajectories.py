"""What the figures of weights and losses show."""

import numpy as np
import pytest

from slf_mmdet.analysis import Curve, draw_trajectories


def curves(offset=0.0, parts=('a', 'b'), raw=True):
    iters = np.arange(1, 6)
    keys = [f'balance_{part}' for part in parts] + [f'loss_{part}' for part in parts]
    keys += [f'raw_{part}' for part in parts] if raw else []
    return {key: Curve(iters, 1 + offset + i + 0.1 * iters) for i, key in enumerate(keys)}


def lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_one_group_has_a_line_for_each_part():
    figure = draw_trajectories(dict(slf=[curves()]))
    assert [axes.get_ylabel() for axes in figure.axes] == ['weight', 'unweighted\nloss', 'weighted\nloss']
    for key, axes in zip(('balance_', 'raw_', 'loss_'), figure.axes):
        assert list(lines(axes)) == ['a', 'b']
        np.testing.assert_array_equal(lines(axes)['b'], curves()[f'{key}b'].values)
    assert figure.axes[0].get_title() == 'slf'


def test_several_groups_have_a_column_for_each_part():
    figure = draw_trajectories(dict(slf=[curves(0), curves(1), curves(2)], static=[curves(raw=False)]))
    assert [axes.get_title() for axes in figure.axes[:2]] == ['a', 'b']
    weights = lines(figure.axes[0])
    assert list(weights) == ['slf (3 runs)', 'static']
    np.testing.assert_allclose(weights['slf (3 runs)'], curves(1)['balance_a'].values)
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((1.1, 3.5))  # least of the first run, largest of the last
    assert list(lines(figure.axes[2])) == ['slf (3 runs)']  # static has no unweighted losses


def test_scales():
    def scale_of(*values):
        iters = np.arange(len(values))
        figure = draw_trajectories(dict(x=[{'balance_a': Curve(iters, np.array(values, dtype=float))}]))
        return figure.axes[0].get_yscale()

    assert scale_of(5.0, 0.1) == 'log'
    assert scale_of(5.0, 4.0) == 'linear'
    assert scale_of(5.0, 0.0) == 'linear'
    assert scale_of(5.0, 1e-30) == 'linear'
    assert scale_of(float('nan')) == 'linear'


@pytest.mark.parametrize('ending', ['png', 'svg'])
def test_the_ending_of_the_file_decides(tmp_path, ending):
    path = tmp_path / f'weights.{ending}'
    draw_trajectories(dict(slf=[curves()])).savefig(path)
    assert path.read_bytes()[:5] == dict(png=b'\x89PNG\r', svg=b'<?xml')[ending]


def test_run_without_a_balancer_is_named():
    with pytest.raises(ValueError, match='plain: the log has no key balance_<part>; did this run use a balancer'):
        draw_trajectories(dict(slf=[curves()], plain=[dict(loss=Curve(np.ones(1), np.ones(1)))]))

"""The tables of docs/results.md are those of the csv files; how they are made, by hand."""

import csv
import json
import runpy
import statistics
import sys

import pytest
import yaml
from scipy import stats

from .helpers import ROOT

TABLES = ROOT / 'results' / 'tables.py'


@pytest.fixture(scope='module')
def tables():
    return runpy.run_path(str(TABLES))


def test_docs_have_the_numbers_of_the_csv_files(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [str(TABLES), '--check'])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TABLES), run_name='__main__')
    assert ended.value.code == 0, capsys.readouterr().err


def test_every_bed_has_its_files(tables):
    beds = json.loads((ROOT / 'results' / 'beds.json').read_text())
    for bed in beds:
        folder = ROOT / 'results' / 'beds' / bed['name']
        assert (ROOT / bed['config']).is_file() and set(bed) == {'name', 'title', 'config', 'metric', 'commit', 'day'}
        values = tables['read_values'](folder / 'comparison.csv', bed['metric'])
        curves = tables['read_curves'](folder / 'comparison_curves.csv', bed['metric'])
        assert next(iter(values)) == 'static' and set(values) == set(curves)
        for arm, by_seed in values.items():
            assert len(by_seed) >= 5 and by_seed.keys() == curves[arm].keys()
            for seed, value in by_seed.items():
                assert curves[arm][seed][-1][1] == pytest.approx(value)  # the last validation is the result
            assert list(folder.glob(f'{arm}*.py.gz')) and list(folder.glob(f'{arm}*.json.gz'))


def map_in_metafile(config):
    models = yaml.safe_load((ROOT / config).with_name('metafile.yml').read_text())['Models']
    (model,) = (model for model in models if model['Config'] == config)
    (result,) = model['Results']
    return result['Metrics']['mAP']


def test_metafiles_have_the_results_of_the_beds(tables):
    for bed in json.loads((ROOT / 'results' / 'beds.json').read_text()):
        values = tables['read_values'](ROOT / 'results' / 'beds' / bed['name'] / 'comparison.csv', bed['metric'])
        assert map_in_metafile(bed['config']) == pytest.approx(statistics.fmean(values['static'].values()), abs=0.005)


@pytest.mark.parametrize(
    ('bed', 'config'),
    [
        ('yolo_digits', 'configs/yolov1/yolov1_nano_ap_1xb16-24e_digits-112px.py'),
        ('yolo_bce_digits', 'configs/yolov1/yolov1_nano_bce_ap_1xb16-24e_digits-112px.py'),
        ('retinanet_digits', 'configs/digits/retinanet_r18-slim_fpn_ap_1xb8-24e_digits-112px.py'),
        ('retinanet_voc', 'configs/voc/retinanet_efficientnet-lite0_fpn_ap_1xb16-12e_voc07-224px.py'),
        ('faster_rcnn_digits', 'configs/digits/faster-rcnn_r18-slim_fpn_ap_1xb8-12e_digits-112px.py'),
        ('atss_digits', 'configs/digits/atss_r18-slim_fpn_ap_1xb8-24e_digits-112px.py'),
    ],
)
def test_metafile_and_note_have_the_result_of_the_average_precision_part(tables, bed, config):
    values = tables['read_values'](ROOT / 'results' / 'beds' / bed / 'more_arms.csv', 'pascal_voc/mAP')
    means = {arm: statistics.fmean(by_seed.values()) for arm, by_seed in values.items() if arm.startswith('ap')}
    assert map_in_metafile(config) == pytest.approx(means['ap'], abs=0.005)
    note = (ROOT / 'docs' / 'research' / 'average_precision_part.md').read_text(encoding='utf-8')
    normal = ' '.join(note.split())
    assert all(f'{mean:.2f} ±' in normal for mean in means.values())


def test_mean_over_beds(tables):
    def effect(*differences):
        return tables['Effect']({}, 'slf', [0.0] * len(differences), list(differences), None)

    # One bed: Student's interval of it
    assert tables['mean_over_beds']([effect(1, 2, 3)]) == pytest.approx(
        (2, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3
    )
    # Variances of the two means 1/3 and 4/3; of their mean 5/12; (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 50/17 degrees
    mean, low, high = tables['mean_over_beds']([effect(1, 2, 3), effect(0, 2, 4)])
    half = stats.t.ppf(0.975, 50 / 17) * (5 / 12) ** 0.5
    assert (mean, low, high) == pytest.approx((2, 2 - half, 2 + half))


def test_effect(tables, tmp_path, monkeypatch):
    folder = tmp_path / 'beds' / 'bed'
    folder.mkdir(parents=True)
    rows = [
        ('static', 0, 0.70),
        ('static', 1, 0.72),
        ('static', 2, 0.68),
        ('slf', 2, 0.70),
        ('slf', 0, 0.71),
        ('slf', 1, 0.75),
    ]
    with open(folder / 'comparison.csv', 'w', newline='') as file:
        csv.writer(file).writerows([('arm', 'seed', 'mAP'), *rows])
    with open(folder / 'comparison_curves.csv', 'w', newline='') as file:
        points = [(arm, seed, step, 100 * value * step / 40) for arm, seed, value in rows for step in (10, 20, 40)]
        csv.writer(file).writerows([('arm', 'seed', 'iter', 'mAP'), *points])
    monkeypatch.setitem(tables['find_effects'].__globals__, 'RESULTS', tmp_path)
    bed = dict(name='bed', title='A bed', config='configs/a.py', metric='mAP')
    (effect,) = tables['find_effects']([bed], 'slf')
    assert effect.differences == pytest.approx([1, 3, 2])
    assert effect.adjusted == pytest.approx(0.0742, abs=1e-4)  # t = 2 / (1 / sqrt(3)), 2 degrees of freedom
    assert effect.verdict == 'no significant difference'
    assert effect.reach == pytest.approx(sorted([70 / 71, 72 / 75, 68 / 70])[1])
    text = tables['table']([effect])
    assert (
        '[A bed](../configs/a.py) | 3 | 70.00 ± 2.00 | 72.00 ± 2.65 | +2.00 (-0.48, +4.48) | 0.074 | 0.97, 1.00 |'
        in text
    )
    assert tables['find_effects']([bed], 'rlw') == []


def test_table_of_the_readme(tables):
    bed = dict(name='bed', title='A bed', config='configs/a.py')
    effect = tables['Effect'](bed, 'slf', [70.0, 72.0, 68.0], [71.0, 75.0, 70.0], None, adjusted=0.04)
    other = effect._replace(second=[71.0, 73.0, 69.1], adjusted=0.2)
    assert tables['readme_table'](dict(SLF=[effect], AP=[other])).splitlines() == [
        '| detector | static weights | SLF | AP |',
        '|---|---:|---:|---:|',
        # 1, 3, 2: a standard error of 1 / sqrt(3), 2 degrees of freedom; 1, 1, 1.1: of 0.1 / 3
        '| [A bed](configs/a.py) | 70.0 ± 2.0 | **+2.0 (-0.5, +4.5)** | +1.0 (+0.9, +1.2) |',
        '| mean | | +2.0 (-0.5, +4.5) | +1.0 (+0.9, +1.2) |',
    ]


def test_place_of_a_table(tables):
    page = 'a\n<!-- table: beds -->\nold\n<!-- end of table -->\nb <!-- end of table -->'
    found = tables['with_table'](page, 'beds', 'new')
    assert found == 'a\n<!-- table: beds -->\n\nnew\n\n<!-- end of table -->\nb <!-- end of table -->'
    assert tables['with_table'](found, 'beds', 'new') == found
    with pytest.raises(ValueError, match='no page has a place for the table other'):
        tables['with_table'](page, 'other', 'new')


def test_more_arms_of_a_bed(tables, tmp_path, monkeypatch):
    folder, work_dir = tmp_path / 'beds' / 'bed', tmp_path / 'work'
    folder.mkdir(parents=True)

    def write(path, arms):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [(arm, seed, value) for arm, values in arms.items() for seed, value in enumerate(values)]
        with open(path, 'w', newline='') as file:
            csv.writer(file).writerows([('arm', 'seed', 'mAP'), *rows])

    monkeypatch.setitem(tables['add'].__globals__, 'RESULTS', tmp_path)
    write(folder / 'comparison.csv', dict(static=[0.70, 0.72, 0.68], slf=[0.71, 0.75, 0.70]))
    write(work_dir / 'comparison.csv', dict(rlw=[0.60, 0.63, 0.60], dwa=[0.10, 0.20, 0.30]))
    tables['add'](work_dir, 'bed')
    write(work_dir / 'comparison.csv', dict(dwa=[0.71, 0.74, 0.71]))  # takes the place of the one before
    tables['add'](work_dir, 'bed')
    text = tables['arms_table'](dict(name='bed', metric='mAP'))
    # Both have mean 2 and standard deviation 1: t = 2 / (1 / sqrt(3)), p = 0.0742; rlw -9 with 1: p = 0.0041
    assert text.splitlines()[2:] == [
        '| `static` | 3 | 70.00 ± 2.00 | | |',
        '| `slf` | 3 | 72.00 ± 2.65 | +2.00 (-0.48, +4.48) | 0.148 |',
        '| `dwa` | 3 | 72.00 ± 1.73 | +2.00 (-0.48, +4.48) | 0.148 |',
        '| `rlw` | 3 | 61.00 ± 1.73 | -9.00 (-11.48, -6.52) | 0.012 |',
    ]
    write(work_dir / 'comparison.csv', dict(famo=[0.5, 0.5]))
    with pytest.raises(ValueError, match=r"famo has the seeds \['0', '1'\], but the bed bed has \['0', '1', '2'\]"):
        tables['add'](work_dir, 'bed')


def test_tables_of_other_tasks(tables, tmp_path, monkeypatch):
    def write(name, arms):
        (tmp_path / 'tasks').mkdir(exist_ok=True)
        rows = [(arm, seed, value, 2 * value) for arm, values in arms.items() for seed, value in enumerate(values)]
        with open(tmp_path / 'tasks' / f'{name}.csv', 'w', newline='') as file:
            csv.writer(file).writerows([('arm', 'seed', 'dice', 'distance'), *rows])

    monkeypatch.setitem(tables['tasks_table'].__globals__, 'RESULTS', tmp_path)
    write('net', dict(slf=[4, 8, 6], mse=[3, 5, 4]))
    columns = [dict(metric='dice', title='Dice, %', digits=1), dict(metric='distance', title='px', digits=0, factor=10)]
    task = dict(name='net', columns=columns, arms=dict(mse='[MSE](a.py)', slf='SLF'))
    assert tables['tasks_table'](task).splitlines() == [
        '| loss | Dice, % | px | difference in Dice, 95 % | p (Holm) |',
        '|---|---:|---:|---:|---:|',
        '| [MSE](a.py) | 4.0 ± 1.0 | 80 ± 20 |  |  |',
        # 1, 3, 2: a standard error of 1 / sqrt(3), 2 degrees of freedom
        '| SLF | 6.0 ± 2.0 | 120 ± 40 | +2.0 (-0.5, +4.5) | 0.074 |',
    ]
    rows = dict(task, rows=dict(net='a network'))
    assert tables['tasks_table'](rows).splitlines()[2] == '| a network | 4.0 ± 1.0 | **6.0 ± 2.0** |'
    write('net', dict(slf=[4, 8], mse=[3, 5, 4]))
    with pytest.raises(ValueError, match='net.csv.*the same seeds'):
        tables['tasks_table'](task)
